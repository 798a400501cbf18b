//! The writer thread: takes what is queued, chains it, writes it with one
//! call, signs when it is due, and starts a new segment when one is full.

use super::disk::{Disk, sync_dir, write_all_at};
use super::queue::{Record, Work};
use super::recover::Tail;
use super::{JournalError, Shared, blob, sync};
use crate::core::ledger::{Checkpoint, Hash, push_line, segment_name};
use ed25519_dalek::SigningKey;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Between attempts to write when a write failed.
const RETRY: Duration = Duration::from_millis(250);

/// A buffer that grew beyond this is not kept.
const KEEP: usize = 4 << 20;

struct Writer {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    key: SigningKey,
    file: Arc<File>,
    /// The end of the last whole line in the file.
    offset: u64,
    prev: Hash,
    /// When a checkpoint is due, if a line is unsigned.
    due: Option<Instant>,
    buffer: Vec<u8>,
}

/// The thread cannot go on; the ledger's health says why.
struct Stopped;

pub(super) fn start(
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    key: SigningKey,
    tail: Tail,
    lock: File,
) -> Result<(), JournalError> {
    let due = tail.unsigned.then(|| Instant::now() + shared.options.checkpoint_every);
    let dir = shared.dir.clone();
    let mut writer = Writer {
        shared: Arc::clone(&shared),
        disk: Arc::clone(&disk),
        key,
        file: tail.file,
        offset: tail.offset,
        prev: tail.prev,
        due,
        buffer: Vec::new(),
    };
    let farewell = Farewell { shared: Arc::clone(&shared), lock: Some(lock) };
    let syncer = thread::Builder::new()
        .name("ledger-sync".into())
        .spawn(move || {
            let _farewell = Alarm(&shared);
            sync::run(&shared, disk.as_ref());
        })
        .map_err(JournalError::io("starting a thread for", &dir))?;
    let writing = thread::Builder::new().name("ledger-writer".into()).spawn(move || {
        let _farewell = farewell;
        let _ = writer.run();
        writer.shared.sync.stop();
        let _ = syncer.join();
    });
    writing.map(drop).map_err(JournalError::io("starting a thread for", &dir))
}

/// Whatever ends the writer, even a fault of ours: nobody waits in vain, and
/// nobody believes the ledger is open.
struct Farewell {
    shared: Arc<Shared>,
    lock: Option<File>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        self.shared.queue.close();
        self.shared.sync.stop();
        self.shared.health.fail_if_well(JournalError::Closed);
        self.shared.wake_everybody();
        drop(self.lock.take());
        self.shared.done.send_replace(true);
    }
}

/// A sync thread that panics must not leave its waiters waiting.
struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            sync::failed(self.0, io::Error::other("the sync thread failed"));
        }
    }
}

impl Shared {
    /// To look at the ledger's health.
    pub(super) fn wake_everybody(&self) {
        self.written.wake_all();
        self.synced.wake_all();
        self.queue.wake_appenders();
    }
}

impl Writer {
    fn run(&mut self) -> Result<(), Stopped> {
        let mut spare = Vec::new();
        loop {
            let room = self.shared.options.segment_bytes.saturating_sub(self.offset);
            let mut work = self.shared.queue.take(spare, self.due, room);
            let last = self.write(&work)?;
            if work.rotate || work.closing {
                self.sync(last)?;
            } else if work.sign {
                self.shared.sync.want(last, &self.shared.written);
            } else if self.shared.sync.wanted() > self.shared.synced.reached() {
                self.shared.sync.wake();
            }
            if work.closing {
                return Ok(());
            }
            if work.rotate {
                self.rotate(last + 1)?;
            }
            work.records.clear();
            work.records.shrink_to(KEEP / size_of::<Record>());
            spare = work.records;
        }
    }

    /// Writes the records and their checkpoint; returns the last line's number.
    fn write(&mut self, work: &Work) -> Result<u64, Stopped> {
        self.buffer.clear();
        self.buffer.shrink_to(KEEP);
        let mut seq = work.first;
        for record in &work.records {
            if record.body.len() > self.shared.options.blob_over {
                let dir = self.shared.dir.clone();
                let blob = self.insist("storing a record in", |_| blob::store(&dir, &record.body))?;
                self.prev = push_line(&mut self.buffer, seq, record.at, &self.prev, &blob.to_body());
            } else {
                self.prev = push_line(&mut self.buffer, seq, record.at, &self.prev, &record.body);
            }
            seq += 1;
        }
        if !work.records.is_empty() && self.due.is_none() {
            self.due = Some(Instant::now() + self.shared.options.checkpoint_every);
        }
        if work.sign {
            let body = Checkpoint::sign(seq - 1, &self.prev, &self.key).to_body();
            self.prev = push_line(&mut self.buffer, seq, crate::os::now(), &self.prev, &body);
            seq += 1;
            self.due = None;
        }
        self.insist("writing", |writer| {
            let written = write_all_at(writer.disk.as_ref(), &writer.file, &writer.buffer, writer.offset);
            if written.is_err() {
                // Back to the last whole line; the next attempt overwrites what stays all the same.
                let _ = writer.file.set_len(writer.offset);
            }
            written
        })?;
        self.offset += self.buffer.len() as u64;
        self.shared.written.advance(seq - 1);
        Ok(seq - 1)
    }

    fn sync(&self, last: u64) -> Result<(), Stopped> {
        self.disk.sync(&self.file).map_err(|error| {
            sync::failed(&self.shared, error);
            Stopped
        })?;
        self.shared.synced.advance(last);
        Ok(())
    }

    fn rotate(&mut self, first: u64) -> Result<(), Stopped> {
        let dir = self.shared.dir.clone();
        let file = self.insist("starting a segment in", |_| create_segment(&dir, first))?;
        self.file = Arc::new(file);
        self.offset = 0;
        self.shared.sync.switch(Arc::clone(&self.file));
        Ok(())
    }

    /// Repeats until it succeeds: everybody who waits is told meanwhile.
    fn insist<T>(
        &mut self,
        doing: &'static str,
        mut attempt: impl FnMut(&mut Self) -> io::Result<T>,
    ) -> Result<T, Stopped> {
        loop {
            if self.shared.health.failed_for_good() {
                return Err(Stopped);
            }
            let error = match attempt(self) {
                Ok(done) => {
                    if self.shared.health.recover() {
                        tracing::info!("the ledger can be written again");
                    }
                    return Ok(done);
                }
                Err(error) => JournalError::io(doing, &self.shared.dir)(error),
            };
            if self.shared.health.check().is_ok() {
                tracing::error!(%error, "the ledger cannot be written: statements are stopped");
            }
            self.shared.health.fail(error);
            self.shared.wake_everybody();
            if !self.shared.queue.pause(RETRY) {
                return Err(Stopped);
            }
        }
    }
}

/// Makes an empty segment whose name survives the machine.
pub(super) fn create_segment(dir: &Path, first: u64) -> io::Result<File> {
    let path = dir.join(segment_name(first));
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // Left by an attempt that failed half-way it is empty; anything else is not ours to overwrite.
    if file.metadata()?.len() > 0 {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the next segment exists already"));
    }
    sync_dir(dir)?;
    Ok(file)
}
