//! Recordings of sessions: what the gateway hands over, in files that only
//! this server's user, or with `[recording] auditor_key` only the auditor, can
//! read. What a file is, `core::recording` decides.
//!
//! ```text
//!  gateway ──► Recorder: entries, up to a chunk ──► a task a session: compress,
//!              (bounded; full: the client waits)     seal, write, sync ──► ledger
//! ```
//!
//! Nothing is dropped: a client whose recording is slow waits, and one whose
//! recording cannot be written gets no further statement through. A chunk is
//! written at the latest a second after its first byte, synced, and its hash put
//! on the ledger then; so a killed server has lost a second at most.
//!
//! The directory: `SESSION.part` while the session lives, `SESSION.rec` once it
//! has ended. What a crash left is ended by [`Recordings::recover`].

mod file;
mod recorder;
mod recover;

pub use recorder::{NotRecorded, Recorder};

use crate::core::model::SessionId;
use crate::core::recording::AuditorKey;
use crate::server::journal::{Journal, JournalError};
use file::Recording;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// Why a recording cannot be begun or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingsError {
    #[error("recordings cannot be kept in {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Form(#[from] crate::core::recording::RecordingError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the writing of a recording broke off")]
    BrokenOff,
}

impl RecordingsError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// All recordings of a server. Cheap to clone.
#[derive(Clone)]
pub struct Recordings(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    key: Option<AuditorKey>,
    journal: Journal,
    /// Those that are being written.
    open: watch::Sender<usize>,
    /// How many of them cannot be written at the moment.
    failing: AtomicUsize,
}

/// One recording among those that are being written; taken off on drop.
struct Place(Arc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

/// One that cannot be written at the moment.
struct Failing(Arc<Shared>);

impl Failing {
    fn of(shared: &Arc<Shared>) -> Self {
        shared.failing.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.0.failing.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Recordings {
    /// Makes the directory where there is none.
    pub fn open(dir: &Path, key: Option<AuditorKey>, journal: Journal) -> Result<Self, RecordingsError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(RecordingsError::io(dir))?;
        let (open, failing) = (watch::Sender::new(0), AtomicUsize::new(0));
        Ok(Self(Arc::new(Shared { dir: dir.to_owned(), key, journal, open, failing })))
    }

    /// Begins a session's recording. When this returns its header is on disk,
    /// and the ledger has been told that there is one.
    pub async fn begin(&self, session: &SessionId) -> Result<Arc<Recorder>, RecordingsError> {
        let (shared, id) = (Arc::clone(&self.0), session.clone());
        let made = tokio::task::spawn_blocking(move || Recording::create(&shared.dir, &id, shared.key));
        let (recording, started) = made.await.map_err(|_| RecordingsError::BrokenOff)??;
        self.0.journal.append(crate::os::now(), started).await?;
        let recorder = Arc::new(Recorder::default());
        self.0.open.send_modify(|open| *open += 1);
        let place = Place(Arc::clone(&self.0));
        tokio::spawn(recorder::write(place, Arc::clone(&recorder), recording));
        Ok(recorder)
    }

    /// Waits until every recording that was ended is whole, within reason.
    pub async fn settled(&self, patience: Duration) {
        let mut open = self.0.open.subscribe();
        let settled = open.wait_for(|open| *open == 0);
        if tokio::time::timeout(patience, settled).await.is_err() {
            tracing::warn!("stopping before every recording is written; the next start ends the rest");
        }
    }

    /// A session's file as far as it has come, and its length.
    pub async fn read(&self, session: &SessionId) -> Result<Option<(File, u64)>, RecordingsError> {
        let (shared, id) = (Arc::clone(&self.0), session.clone());
        let opened = tokio::task::spawn_blocking(move || {
            for path in [file::ended(&shared.dir, &id), file::part(&shared.dir, &id)] {
                match File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file))) {
                    Ok((length, file)) => return Ok(Some((file, length))),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(RecordingsError::io(&path)(error)),
                }
            }
            Ok(None)
        });
        opened.await.map_err(|_| RecordingsError::BrokenOff)?
    }

    /// The sessions whose recording has ended and is here.
    pub async fn ended(&self) -> Result<Vec<SessionId>, RecordingsError> {
        let shared = Arc::clone(&self.0);
        let listed = tokio::task::spawn_blocking(move || {
            file::sessions(&shared.dir, ".rec").map_err(RecordingsError::io(&shared.dir))
        });
        listed.await.map_err(|_| RecordingsError::BrokenOff)?
    }

    /// Removes the recording of a session that has ended. One that is not there is gone.
    pub async fn remove(&self, session: &SessionId) -> Result<(), RecordingsError> {
        let (shared, id) = (Arc::clone(&self.0), session.clone());
        let removed = tokio::task::spawn_blocking(move || {
            file::remove(&shared.dir, &id).map_err(RecordingsError::io(&shared.dir))
        });
        removed.await.map_err(|_| RecordingsError::BrokenOff)?
    }

    /// Whom they are sealed to.
    pub fn key(&self) -> Option<AuditorKey> {
        self.0.key
    }

    /// How many cannot be written at the moment.
    pub fn failing(&self) -> usize {
        self.0.failing.load(Ordering::Relaxed)
    }
}
