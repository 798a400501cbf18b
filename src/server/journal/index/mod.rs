//! The index for searches: what the segments say, in SQLite, so that a
//! question costs no walk through the ledger. It decides nothing and proves
//! nothing: it may be deleted at any time, and is made anew from the segments
//! when it is missing, damaged, of another version, or of another ledger.
//!
//! It has three threads: one reads the segments behind the writer's back, so
//! that a statement never pays for it, and answers the server's own small
//! questions; the others answer people's searches, pages and counts, each over
//! a connection of its own, so that nothing waits for a slow one.

mod codes;
mod feed;
mod filter;
mod following;
mod forget;
mod query;
mod schema;
mod search;
mod searcher;
mod usage;

pub use forget::Aged;
pub use query::{EventQuery, EventRow, PastRead, SealedOf, SealedRow, SealedTexts};
pub use usage::Usage;

use super::tail::Cursor;
use super::{JournalError, Position};
use crate::core::campaign::SessionUse;
use crate::core::model::SessionId;
use crate::proto::{AuditCounts, AuditPage, AuditQuery, AuditRow, CountBy};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};
use searcher::Searcher;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Questions that may wait; beyond, callers wait.
const PENDING: usize = 64;

type Question = Box<dyn FnOnce(&mut Store) + Send>;

/// A handle to the index. Cheap to clone; the thread ends with the last one.
#[derive(Clone)]
pub struct Index {
    questions: mpsc::Sender<Question>,
    pages: Searcher,
    counts: Searcher,
}

/// What the feeding thread owns.
struct Store {
    dir: PathBuf,
    path: PathBuf,
    connection: Connection,
    cursor: Cursor,
    file: Arc<File>,
}

/// What both threads know of the index's file.
#[derive(Default)]
struct File {
    /// How often it was made anew: whoever else has it open opens it again.
    made: AtomicU64,
    /// A search has found that it is damaged.
    damaged: AtomicBool,
}

impl Index {
    /// Opens the index at `path` of the ledger in `dir`, or makes it. Reads no
    /// segment yet: [`Index::catch_up`] does.
    pub fn open(dir: &Path, path: &Path) -> Result<Self, JournalError> {
        let mut store = Store::open(dir, path)?;
        let file = Arc::clone(&store.file);
        let (questions, mut incoming) = mpsc::channel::<Question>(PENDING);
        let run = move || {
            // Statements come first: on Linux this is the thread's own priority, and the
            // index takes what processor time is left. A search waits for it to catch up.
            #[cfg(target_os = "linux")]
            if let Err(error) = rustix::process::nice(19) {
                tracing::debug!(%error, "the ledger's index keeps its priority");
            }
            while let Some(question) = incoming.blocking_recv() {
                question(&mut store);
            }
        };
        let thread = thread::Builder::new().name("ledger-index".into()).spawn(run);
        thread.map_err(JournalError::io("starting a thread for", path))?;
        let pages = Searcher::start(path, Arc::clone(&file))?;
        let counts = Searcher::start(path, file)?;
        Ok(Self { questions, pages, counts })
    }

    /// Makes every line up to `position`, which must be written, searchable.
    /// Cancel-safe: what was begun is finished. Call it every few seconds, so
    /// that the call before a search has little to do.
    pub async fn catch_up(&self, position: Position) -> Result<(), JournalError> {
        self.ask(move |store| store.catch_up(position.0)).await
    }

    /// A session's statements that fit, newest first: at most 1,000, 100 if
    /// nothing is said. For what names a session: others take their time here.
    pub async fn statements(&self, query: &AuditQuery) -> Result<Vec<AuditRow>, JournalError> {
        let query = query.clone();
        self.ask(move |store| {
            store.answer(|connection| search::page(connection, &query, None, Duration::MAX))
        })
        .await
        .map(|page| page.statements)
    }

    /// A page of a person's search. `only` is the subject whose statements alone
    /// may be seen. Cancel-safe: what nobody waits for is not begun.
    pub async fn search(&self, query: AuditQuery, only: Option<String>) -> Result<AuditPage, JournalError> {
        self.pages.page(query, only).await
    }

    /// All statements that fit, counted; cancel-safe alike.
    pub async fn counts(
        &self,
        query: AuditQuery,
        by: CountBy,
        only: Option<String>,
    ) -> Result<AuditCounts, JournalError> {
        self.counts.counts(query, by, only).await
    }

    /// Records other than statements that fit, newest first, bounded alike.
    pub async fn events(&self, query: &EventQuery) -> Result<Vec<EventRow>, JournalError> {
        let query = query.clone();
        self.ask(move |store| store.answer(|connection| query::events(connection, &query))).await
    }

    /// The newest of a target's reads of a hundred rows and more since then, of
    /// one person or of all; at most 500.
    pub async fn past_reads(
        &self,
        target: &str,
        subject: Option<&str>,
        since: Timestamp,
    ) -> Result<Vec<PastRead>, JournalError> {
        let (target, subject) = (target.to_owned(), subject.map(str::to_owned));
        self.ask(move |store| {
            store.answer(|connection| query::past_reads(connection, &target, subject.as_deref(), since))
        })
        .await
    }

    /// The statements that left out anything, of these, in their order.
    pub async fn sealed(&self, of: SealedOf, limit: u32) -> Result<Vec<SealedRow>, JournalError> {
        self.counts.ask(move |connection| query::sealed(connection, &of, limit)).await
    }

    /// What statements left out, until there are so many bytes of it.
    pub async fn sealed_texts(
        &self,
        seqs: Vec<u64>,
        most_bytes: usize,
    ) -> Result<Vec<SealedTexts>, JournalError> {
        self.counts.ask(move |connection| query::sealed_texts(connection, &seqs, most_bytes)).await
    }

    /// What each session did between two times. Call [`Index::catch_up`] before.
    pub async fn uses(&self, from: Timestamp, to: Timestamp) -> Result<Vec<SessionUse>, JournalError> {
        // All of a period is read: not on the thread that feeds.
        self.counts.ask(move |connection| query::uses(connection, from, to)).await
    }

    /// What the ledger says of a session's recording behind `after`, oldest
    /// first, at most 1,000 records.
    pub async fn recording(&self, session: &str, after: u64) -> Result<Vec<EventRow>, JournalError> {
        let session = session.to_owned();
        self.ask(move |store| store.answer(|connection| query::recording(connection, &session, after))).await
    }

    /// Records of requests, grants, sessions and scans behind `after` and not
    /// before `since`, oldest first, at most `limit`.
    pub async fn lives(
        &self,
        since: Timestamp,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EventRow>, JournalError> {
        self.ask(move |store| store.answer(|connection| usage::lives(connection, since, after, limit))).await
    }

    /// What these sessions used, of those that ran anything.
    pub async fn usage(&self, sessions: Vec<SessionId>) -> Result<Vec<(SessionId, Usage)>, JournalError> {
        self.ask(move |store| store.answer(|connection| usage::usage(connection, &sessions))).await
    }

    /// Sessions whose last statement was run before then, in the order of those,
    /// behind `after`; at most `limit`, and no more once they have so many
    /// statements: their lines are asked for together.
    pub async fn aged(
        &self,
        before: Timestamp,
        after: u64,
        limit: u32,
        statements: u64,
    ) -> Result<Vec<Aged>, JournalError> {
        // It looks at all sessions that there are: not on the thread that feeds.
        self.counts
            .ask_for_long(move |connection| forget::aged(connection, before, after, limit, statements))
            .await
    }

    /// The lines of the ledger that statements of these sessions have, in order.
    pub async fn lines_of(&self, sessions: Vec<SessionId>) -> Result<Vec<u64>, JournalError> {
        self.counts.ask_for_long(move |connection| forget::lines_of(connection, &sessions)).await
    }

    /// Forgets the statements of these sessions, as if their lines had never been
    /// there: they are pruned.
    pub async fn forget(&self, sessions: Vec<SessionId>) -> Result<(), JournalError> {
        self.ask(move |store| store.forget(&sessions)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Store) -> Result<T, JournalError> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |store| {
            // Who asked may be gone by now.
            let _ = reply.send(question(store));
        });
        self.questions.send(question).await.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }
}

impl Store {
    fn open(dir: &Path, path: &Path) -> Result<Self, JournalError> {
        let opened = open_file(path).or_else(|error| {
            tracing::info!(%error, "the ledger's index is made anew");
            remove(path).and_then(|()| open_file(path))
        });
        let (connection, known) = opened.map_err(JournalError::io("opening", path))?;
        let cursor = match known {
            Some(cursor) => cursor,
            None => Cursor::start(dir).map_err(JournalError::io("reading", dir))?,
        };
        Ok(Self { dir: dir.to_owned(), path: path.to_owned(), connection, cursor, file: Arc::default() })
    }

    fn catch_up(&mut self, upto: u64) -> Result<(), JournalError> {
        // An index that is ahead of the ledger has seen lines that a power cut took.
        let ahead = self.cursor.next > upto + 1 && !feed::leads_to(&self.cursor, &self.dir);
        let first = if ahead {
            Err(io::Error::other("it is ahead of the ledger"))
        } else if self.file.damaged.swap(false, Ordering::SeqCst) {
            Err(io::Error::other("it is damaged"))
        } else {
            self.feed(upto)
        };
        let Err(error) = first else { return Ok(()) };
        tracing::warn!(%error, "the ledger's index does not fit the ledger and is made anew");
        self.rebuild().and_then(|()| self.feed(upto)).map_err(JournalError::io("indexing", &self.dir))
    }

    fn feed(&mut self, upto: u64) -> io::Result<()> {
        while self.cursor.next <= upto {
            self.cursor = feed::batch(&mut self.connection, &self.dir, &self.cursor, upto)?;
        }
        Ok(())
    }

    fn rebuild(&mut self) -> io::Result<()> {
        // The old connection must let go of the files first.
        self.connection = Connection::open_in_memory().map_err(io::Error::other)?;
        remove(&self.path)?;
        (self.connection, _) = open_file(&self.path)?;
        self.cursor = Cursor::start(&self.dir)?;
        self.file.made.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn forget(&mut self, sessions: &[SessionId]) -> Result<(), JournalError> {
        forget::forget(&mut self.connection, sessions)
            .map_err(|error| JournalError::io("pruning", &self.path)(io::Error::other(error)))
    }

    fn answer<T>(
        &mut self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        question(&self.connection).map_err(|error| {
            if is_damage(&error)
                && let Err(error) = self.rebuild()
            {
                tracing::error!(%error, "the ledger's index cannot be made anew");
            }
            JournalError::io("searching", &self.path)(io::Error::other(error))
        })
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Opens the file, and reads how far it has come if it is an index of ours.
fn open_file(path: &Path) -> io::Result<(Connection, Option<Cursor>)> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // A lost tail is read again: the cursor is in the same transaction.
        connection.pragma_update(None, "synchronous", "normal")?;
        connection.set_prepared_statement_cache_capacity(64);
        let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0 => {
                connection.execute_batch(schema::SCHEMA)?;
                Ok((connection, None))
            }
            schema::VERSION => {
                let cursor = feed::cursor(&connection)?;
                Ok((connection, cursor))
            }
            _ => Err(rusqlite::Error::InvalidQuery),
        }
    };
    open().map_err(io::Error::other)
}

fn remove(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
