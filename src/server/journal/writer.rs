//! The writer: takes what is queued, chains it, writes it with one call, signs
//! when it is due, and starts a new segment when one is full.
//!
//! It has a thread of its own. Whoever waits for a line may do the plain part of
//! the work in its place ([`Shared::write_here`]): a hand-over to another thread
//! and back costs more than the write. Anything that may take its time (a sync,
//! a new segment, a large record, a failure) is left to the thread.

use super::disk::{Disk, sync_dir, write_all_at};
use super::queue::{NotPlain, Record, Work};
use super::recover::Tail;
use super::{JournalError, Shared, blob, sync};
use crate::core::ledger::{Checkpoint, Hash, push_line, segment_name};
use jiff::Timestamp;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Between attempts to write when a write failed.
const RETRY: Duration = Duration::from_millis(250);

/// A buffer that grew beyond this is not kept.
const KEEP: usize = 4 << 20;

/// How often one caller writes for others before the thread takes over.
const ROUNDS: usize = 4;

pub(super) struct Writer {
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    file: Arc<File>,
    /// The end of the last whole line in the file.
    offset: u64,
    prev: Hash,
    /// When the segment's first line was written.
    begun: Option<Timestamp>,
    /// When a checkpoint is due, if a line is unsigned.
    due: Option<Instant>,
    buffer: Vec<u8>,
}

/// The thread cannot go on; the ledger's health says why.
struct Stopped;

pub(super) fn start(
    shared: Arc<Shared>,
    disk: Arc<dyn Disk>,
    tail: Tail,
    lock: File,
) -> Result<(), JournalError> {
    let due = tail.unsigned.then(|| Instant::now() + shared.options.checkpoint_every);
    let dir = shared.dir.clone();
    let writer = Writer {
        shared: Arc::clone(&shared),
        disk: Arc::clone(&disk),
        file: tail.file,
        offset: tail.offset,
        prev: tail.prev,
        begun: tail.begun,
        due,
        buffer: Vec::new(),
    };
    *shared.writer() = Some(writer);
    let farewell = Farewell { shared: Arc::clone(&shared), lock: Some(lock) };
    let thread_shared = Arc::clone(&shared);
    let syncer = thread::Builder::new()
        .name("ledger-sync".into())
        .spawn(move || {
            let _farewell = Alarm(&shared);
            sync::run(&shared, disk.as_ref());
        })
        .map_err(JournalError::io("starting a thread for", &dir))?;
    let writing = thread::Builder::new().name("ledger-writer".into()).spawn(move || {
        let _farewell = farewell;
        let _ = thread_shared.write_on();
        thread_shared.sync.stop();
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
        drop(self.shared.writer().take());
        self.shared.queue.close();
        self.shared.sync.stop();
        self.shared.health.fail_if_well(JournalError::Closed);
        self.shared.wake_everybody();
        if let Some(lock) = self.lock.take() {
            // Closing would do, but for a child process that was forked meanwhile
            // and still has a copy: unlocking is for all copies.
            let _ = rustix::fs::flock(&lock, rustix::fs::FlockOperation::Unlock);
        }
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

impl Shared {
    /// The writer thread's work, until the ledger is closed.
    fn write_on(&self) -> Result<(), Stopped> {
        let mut spare = Vec::new();
        let mut seen = 0;
        loop {
            let due = self.writer().as_ref().and_then(|writer| writer.due);
            // While lines come, whoever writes them, more will: a thread that
            // slept deeply would be woken for each.
            let last = self.queue.last();
            let busy = std::mem::replace(&mut seen, last) != last;
            self.queue.wait(due, busy);
            let mut writer = self.writer();
            let Some(writer) = writer.as_mut() else { return Ok(()) };
            let room = writer.room();
            let mut work = self.queue.take(spare, writer.due, room);
            if !work.is_empty() && writer.work(&work)? {
                return Ok(());
            }
            work.records.clear();
            work.records.shrink_to(KEEP / size_of::<Record>());
            spare = work.records;
        }
    }

    /// Does the writer's work on the caller's thread, as far as it is plain and
    /// nobody is at it. Who is at it looks again when done, so that whatever was
    /// queued before this call is written or being written when it returns, or
    /// the thread has been told to hurry. Blocks for one write(2).
    pub(super) fn write_here(&self) {
        for _ in 0..ROUNDS {
            let Ok(mut writer) = self.writer.try_lock() else {
                return self.queue.hurry_the_awake();
            };
            let Some(open) = writer.as_mut() else { return };
            let plain = open.write_plain();
            drop(writer);
            match plain {
                Plain::Nothing => return,
                Plain::NotHere => break,
                Plain::Written if self.queue.is_empty() => return,
                Plain::Written => {}
            }
        }
        self.queue.hurry();
    }

    fn writer(&self) -> MutexGuard<'_, Option<Writer>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of an attempt to write outside the thread.
enum Plain {
    Nothing,
    Written,
    /// It is for the thread to do.
    NotHere,
}

impl Writer {
    /// Returns whether it was the last.
    fn work(&mut self, work: &Work) -> Result<bool, Stopped> {
        let last = self.write(work)?;
        if work.rotate || work.closing {
            self.sync(last)?;
        } else if work.sign {
            self.shared.sync.want(last, &self.shared.written);
        } else {
            self.pass_wishes_on();
        }
        if work.rotate && !work.closing {
            self.rotate(last + 1)?;
        }
        Ok(work.closing)
    }

    /// What the segment still takes: nothing when it is old.
    fn room(&self) -> u64 {
        let options = &self.shared.options;
        let old = |age: Duration| {
            let since = self.begun.map(|begun| crate::os::now().duration_since(begun));
            since.is_some_and(|since| !since.is_negative() && since.unsigned_abs() >= age)
        };
        match options.segment_age {
            Some(age) if old(age) => 0,
            _ => options.segment_bytes.saturating_sub(self.offset),
        }
    }

    /// Somebody may have asked for a sync of what was not written then.
    fn pass_wishes_on(&self) {
        if self.shared.sync.wanted() > self.shared.synced.reached() {
            self.shared.sync.wake();
        }
    }

    /// One attempt to write what is queued, if it is nothing but lines for this segment.
    fn write_plain(&mut self) -> Plain {
        let shared = Arc::clone(&self.shared);
        let options = &shared.options;
        if shared.health.check().is_err() || self.due.is_some_and(|due| due <= Instant::now()) {
            return Plain::NotHere;
        }
        let (first, records) = match shared.queue.take_plain(self.room(), options.blob_over) {
            Ok(Some(taken)) => taken,
            Ok(None) => return Plain::Nothing,
            Err(NotPlain) => return Plain::NotHere,
        };
        self.buffer.clear();
        let mut prev = self.prev;
        for (seq, record) in (first..).zip(&records) {
            prev = push_line(&mut self.buffer, seq, record.at, &prev, &record.body);
        }
        if write_all_at(self.disk.as_ref(), &self.file, &self.buffer, self.offset).is_err() {
            // The thread tries again, tells everybody, and waits for better times.
            let _ = self.file.set_len(self.offset);
            shared.queue.give_back(records);
            return Plain::NotHere;
        }
        self.prev = prev;
        self.grown();
        self.due.get_or_insert_with(|| Instant::now() + options.checkpoint_every);
        shared.written.advance(first + records.len() as u64 - 1);
        self.pass_wishes_on();
        Plain::Written
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
            let body = Checkpoint::sign(seq - 1, &self.prev, &self.shared.key).to_body();
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
        self.grown();
        self.shared.written.advance(seq - 1);
        Ok(seq - 1)
    }

    /// The buffer is in the segment.
    fn grown(&mut self) {
        self.offset += self.buffer.len() as u64;
        if self.shared.options.segment_age.is_some() {
            self.begun.get_or_insert_with(crate::os::now);
        }
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
        self.begun = None;
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
