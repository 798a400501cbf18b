//! The ledger's writer: one thread owns the file, everybody else holds a
//! [`Journal`] handle. It decides when a line is written and when it is safe
//! on disk; what a line is, `core::ledger` decides. It never looks at what a
//! record says.
//!
//! ```text
//!  append ──► queue (bounded) ──► writer thread: hash, one write a batch ──► written(position)
//!                                        └──► sync thread: fdatasync ──────► synced(position)
//! ```
//!
//! The gateway appends two records for each statement and waits by G1; the
//! outbox appends events. Syncs have a thread of their own, so that lines are
//! written, and reads go on, while a disk is busy; all who wait for `synced`
//! meanwhile share the next one. A ledger that cannot be written stops all who
//! wait (G1); when a write succeeds again, after a full disk, it goes on by
//! itself with the same lines. After a failed sync it does not: what the disk
//! holds is unknown then (PostgreSQL stops for the same reason), and the
//! process must be started again.
//!
//! Lines that retention takes out leave a gap behind that keeps the chain
//! ([`Journal::prune`]); only closed segments are written anew.
//!
//! The directory: `ledger-<first line>.jsonl` segments, `blobs/<sha256>` for
//! records too large for a line, `signing.key` (32 bytes, mode 0600, made at
//! the first start), `signing.pub` (its public key in hex, for auditors),
//! `torn-…` what recovery cut off, `pruned.new` a segment that is being written
//! anew, `pruned.blobs` the records that go with its lines, `lock`.

mod blob;
mod disk;
mod error;
mod follow;
mod index;
mod key;
mod progress;
mod prune;
mod queue;
mod recover;
mod sync;
mod tail;
mod writer;

pub use blob::read_record;
pub use error::{JournalError, NotAppended};
pub use follow::{Batch, Follower, LedgerLine, place};
pub use index::{Aged, EventQuery, EventRow, Index, PastRead, SealedOf, SealedRow, SealedTexts};
pub use recover::Recovered;

use crate::core::ledger::{Detached, PublicKey};
use disk::{Disk, RealDisk};
use ed25519_dalek::SigningKey;
use jiff::Timestamp;
use progress::Progress;
use queue::{Health, Hurry, Queue};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A line's number in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

/// Bounds and intervals. The defaults are for production; tests make them small.
#[derive(Clone, Debug)]
pub struct Options {
    /// A segment is closed when it has grown to about this many bytes.
    pub segment_bytes: u64,
    /// It is closed, too, when its first line is so old; only closed segments are pruned.
    pub segment_age: Option<Duration>,
    /// No line stays unsigned for longer.
    pub checkpoint_every: Duration,
    /// No line stays in memory only for longer, whether somebody waits or not.
    pub flush_every: Duration,
    /// A record with more bytes is stored beside the chain.
    pub blob_over: usize,
    /// Bounds of what may wait to be written; beyond, [`Journal::append`] waits.
    /// As much again may be in the writer's hands.
    pub queue_bytes: usize,
    pub queue_lines: usize,
    /// Where the signing key is kept, if not in the ledger's directory.
    pub key_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            segment_age: None,
            checkpoint_every: Duration::from_secs(60),
            flush_every: Duration::from_secs(1),
            blob_over: 1 << 20,
            queue_bytes: 32 << 20,
            queue_lines: 65_536,
            key_file: None,
        }
    }
}

/// What opening found.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The last line that was there.
    pub last: Option<Position>,
    pub public_key: PublicKey,
    /// A torn tail that was cut off; a `ledger.recovered` line tells of it.
    pub recovered: Option<Recovered>,
}

/// A handle to the ledger. Cheap to clone; when the last one is dropped the
/// writer finishes by itself, but only [`Journal::close`] waits for it.
#[derive(Clone)]
pub struct Journal(Arc<Handle>);

struct Handle(Arc<Shared>);

/// What handles, writer and sync thread share.
struct Shared {
    dir: PathBuf,
    key: SigningKey,
    options: Options,
    queue: Queue,
    written: Progress,
    synced: Progress,
    sync: sync::Gate,
    health: Health,
    /// Whoever writes holds it; empty before the start and after the end.
    writer: Mutex<Option<writer::Writer>>,
    /// True when the writer is gone and its lock with it.
    done: tokio::sync::watch::Sender<bool>,
}

impl Journal {
    /// Opens the ledger in `dir`, making it at the first start, and starts its
    /// threads. Takes the directory for this process alone, checks the chain of
    /// the last segment, and cuts off a last line that a crash tore. Blocks for
    /// as long as reading one segment takes.
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Opened), JournalError> {
        Self::open_on(dir, options, Arc::new(RealDisk))
    }

    fn open_on(dir: &Path, options: Options, disk: Arc<dyn Disk>) -> Result<(Self, Opened), JournalError> {
        let lock = recover::lock(dir)?;
        let key = key::load_or_create(dir, options.key_file.as_deref())?;
        let public_key = PublicKey::of(&key);
        prune::finish(dir)?;
        let tail = recover::open_tail(dir, public_key)?;
        let last = tail.next - 1;
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            key,
            queue: Queue::new(tail.next, options.queue_bytes, options.queue_lines),
            written: Progress::new(last),
            synced: Progress::new(last),
            sync: sync::Gate::new(Arc::clone(&tail.file), last),
            health: Health::default(),
            writer: Mutex::new(None),
            done: tokio::sync::watch::Sender::new(false),
            options,
        });
        let opened = Opened {
            last: (last > 0).then_some(Position(last)),
            public_key,
            recovered: tail.recovered.clone(),
        };
        let journal = Self(Arc::new(Handle(Arc::clone(&shared))));
        if let Some(recovered) = &opened.recovered {
            let told = journal.try_append(crate::os::now(), recovered.to_body());
            told.map_err(NotAppended::into_error)?;
        }
        writer::start(shared, disk, tail, lock)?;
        Ok((journal, opened))
    }

    /// Queues a record and returns its position at once. Waits only while the
    /// queue is full. Cancel-safe: a dropped future has queued nothing.
    ///
    /// # Errors
    /// When the ledger cannot be written, is closed, or `body` is not one JSON
    /// object on one line.
    pub async fn append(&self, at: Timestamp, body: String) -> Result<Position, JournalError> {
        let mut body = match self.try_append(at, body) {
            Err(NotAppended::Full(body)) => body,
            done => return done.map_err(NotAppended::into_error),
        };
        loop {
            // Made before looking again, so that no word is missed.
            let space = self.shared().queue.space();
            body = match self.try_append(at, body) {
                Err(NotAppended::Full(body)) => body,
                done => return done.map_err(NotAppended::into_error),
            };
            space.await;
        }
    }

    /// Queues a record if there is room; gives it back otherwise. Never blocks
    /// on I/O: for the hot path, before paying for a future.
    pub fn try_append(&self, at: Timestamp, body: String) -> Result<Position, NotAppended> {
        let shared = self.shared();
        shared.health.check().map_err(NotAppended::Failed)?;
        shared.queue.push(at, body, Hurry::Now).map(Position)
    }

    /// As [`Journal::try_append`], for a record that nobody waits for: it may
    /// stay in memory for some milliseconds, to be written with the next one.
    /// A server that is killed meanwhile loses it; the intent it belongs to
    /// is on record all the same.
    pub fn try_append_soon(&self, at: Timestamp, body: String) -> Result<Position, NotAppended> {
        let shared = self.shared();
        shared.health.check().map_err(NotAppended::Failed)?;
        shared.queue.push(at, body, Hurry::Soon).map(Position)
    }

    /// Queues several records under one lock: they get consecutive numbers,
    /// with no other record between them. Cancel-safe, all or nothing.
    pub async fn append_all(
        &self,
        at: Timestamp,
        mut bodies: Vec<String>,
    ) -> Result<Range<u64>, JournalError> {
        loop {
            let shared = self.shared();
            let space = shared.queue.space();
            shared.health.check()?;
            match shared.queue.push_all(at, bodies)? {
                Ok(range) => return Ok(range),
                Err(returned) => bodies = returned,
            }
            space.await;
        }
    }

    /// Returns when the line has been written: it survives the death of this
    /// process. Cancel-safe.
    ///
    /// # Errors
    /// When the ledger cannot be written. The line may still be written later.
    pub async fn written(&self, position: Position) -> Result<(), JournalError> {
        let shared = self.shared();
        if shared.written.reached() >= position.0 {
            return Ok(());
        }
        shared.written.wait(position.0, &shared.health).await
    }

    /// As [`Journal::written`], but the caller's own thread does the writing if
    /// nobody is at it: no other thread has to wake up first. Blocks for as long
    /// as a write to the page cache takes; what takes longer is left to the writer.
    pub async fn written_here(&self, position: Position) -> Result<(), JournalError> {
        let shared = self.shared();
        if shared.written.reached() >= position.0 {
            return Ok(());
        }
        shared.write_here();
        self.written(position).await
    }

    /// Returns when the line is safe on disk: it survives the machine. Asks for
    /// a sync, which all who wait share. Cancel-safe.
    ///
    /// # Errors
    /// As [`Journal::written`].
    pub async fn synced(&self, position: Position) -> Result<(), JournalError> {
        let shared = self.shared();
        if shared.synced.reached() >= position.0 {
            return Ok(());
        }
        shared.sync.want(position.0, &shared.written);
        shared.synced.wait(position.0, &shared.health).await
    }

    /// The last line that [`Journal::written`] is true of; the readers of
    /// segments may read so far.
    pub fn last_written(&self) -> Position {
        Position(self.shared().written.reached())
    }

    /// The last line that was queued, written or not: everything that happened
    /// before this call is at or before it.
    pub fn last_queued(&self) -> Position {
        Position(self.shared().queue.last())
    }

    /// Signs what goes with a copy of the ledger, with the ledger's own key.
    pub fn sign(&self, file: &[u8]) -> Detached {
        Detached::sign(file, &self.shared().key)
    }

    pub fn public_key(&self) -> PublicKey {
        PublicKey::of(&self.shared().key)
    }

    /// Whether records can be written at the moment, and if not, why.
    pub fn health(&self) -> Result<(), JournalError> {
        self.shared().health.check()
    }

    /// The ledger's directory.
    pub fn dir(&self) -> &Path {
        &self.shared().dir
    }

    /// Writes what is queued, signs and syncs it, and releases the directory.
    /// Later calls on any handle fail. Cancel-safe: the closing goes on.
    ///
    /// # Errors
    /// When the last lines could not be written.
    pub async fn close(&self) -> Result<(), JournalError> {
        let shared = self.shared();
        shared.queue.close();
        let mut done = shared.done.subscribe();
        // The sender lives in `shared`, so this ends only when the writer does.
        let _ = done.wait_for(|done| *done).await;
        match shared.health.check() {
            Ok(()) | Err(JournalError::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn shared(&self) -> &Shared {
        &self.0.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}

#[cfg(test)]
mod tests;
