//! A thread that answers people's searches, one at a time, over a connection
//! that only reads. A search has a bound in time; what nobody waits for any
//! more is not begun.

use super::{File, PENDING, following, is_damage, search};
use crate::proto::{AuditCounts, AuditPage, AuditQuery, CountBy};
use crate::server::journal::JournalError;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// A page comes as it is after that, and says where to go on.
const PAGE_PATIENCE: Duration = Duration::from_millis(1200);
/// A search that takes longer is broken off: nobody reads a page so long.
const LONGEST: Duration = Duration::from_secs(60);
/// Steps of SQLite's machine between two looks at the clock.
const STEPS: i32 = 1_000;
/// Pages in memory, in KiB; negative as SQLite wants it.
const CACHE: i32 = -65_536;

type Question = Box<dyn FnOnce(&mut Reader) + Send>;

/// A handle to the thread, which ends with the last one.
#[derive(Clone)]
pub(super) struct Searcher(mpsc::Sender<Question>);

/// What the thread owns.
struct Reader {
    path: PathBuf,
    file: Arc<File>,
    /// With the number of the file that it is of.
    open: Option<(u64, Connection)>,
}

impl Searcher {
    pub(super) fn start(path: &Path, file: Arc<File>) -> Result<Self, JournalError> {
        let (questions, mut incoming) = mpsc::channel::<Question>(PENDING);
        let mut reader = Reader { path: path.to_owned(), file, open: None };
        let run = move || {
            while let Some(question) = incoming.blocking_recv() {
                question(&mut reader);
            }
        };
        let thread = thread::Builder::new().name("ledger-search".into()).spawn(run);
        thread.map_err(JournalError::io("starting a thread for", path))?;
        Ok(Self(questions))
    }

    pub(super) async fn page(
        &self,
        query: AuditQuery,
        only: Option<String>,
    ) -> Result<AuditPage, JournalError> {
        self.ask(move |sql| match query.after {
            Some(after) => following::page(sql, &query, after, only.as_deref(), PAGE_PATIENCE),
            None => search::page(sql, &query, only.as_deref(), PAGE_PATIENCE),
        })
        .await
    }

    pub(super) async fn counts(
        &self,
        query: AuditQuery,
        by: CountBy,
        only: Option<String>,
    ) -> Result<AuditCounts, JournalError> {
        self.ask(move |sql| search::counts(sql, &query, by, only.as_deref())).await
    }

    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.send(LONGEST, question).await
    }

    /// As [`Searcher::ask`], for what must come to its end however long it takes.
    pub(super) async fn ask_for_long<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        self.send(Duration::MAX, question).await
    }

    async fn send<T: Send + 'static>(
        &self,
        longest: Duration,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (reply, answer) = oneshot::channel();
        let question: Question = Box::new(move |reader| {
            if !reply.is_closed() {
                // Who asked may be gone by now.
                let _ = reply.send(reader.answer(longest, question));
            }
        });
        self.0.send(question).await.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }
}

impl Reader {
    fn answer<T>(
        &mut self,
        longest: Duration,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        let begun = Instant::now();
        let answered = self.connection().and_then(|sql| {
            sql.progress_handler(STEPS, Some(move || begun.elapsed() > longest))?;
            question(sql)
        });
        answered.map_err(|error| {
            if is_damage(&error) {
                self.open = None;
                self.file.damaged.store(true, Ordering::SeqCst);
            }
            match error.sqlite_error_code() {
                Some(ErrorCode::OperationInterrupted) => JournalError::TooLong(longest.as_secs()),
                _ => JournalError::io("searching", &self.path)(io::Error::other(error)),
            }
        })
    }

    /// Of the file that is there now.
    fn connection(&mut self) -> rusqlite::Result<&mut Connection> {
        let made = self.file.made.load(Ordering::SeqCst);
        let connection = match self.open.take() {
            Some((of, connection)) if of == made => connection,
            _ => {
                let connection = Connection::open_with_flags(
                    &self.path,
                    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
                )?;
                connection.pragma_update(None, "cache_size", CACHE)?;
                connection.set_prepared_statement_cache_capacity(64);
                connection
            }
        };
        Ok(&mut self.open.insert((made, connection)).1)
    }
}
