//! The sync thread: makes what is written safe on disk, when somebody waits
//! for it or after at most the flush interval.

use super::disk::Disk;
use super::progress::Progress;
use super::{JournalError, Shared};
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Where the sync thread waits for work.
pub(super) struct Gate {
    /// The furthest position that somebody waits for.
    wanted: AtomicU64,
    state: Mutex<State>,
    work: Condvar,
}

struct State {
    /// The segment being written; everything before it is synced.
    file: Arc<File>,
    stop: bool,
}

impl Gate {
    pub(super) fn new(file: Arc<File>, last: u64) -> Self {
        let state = State { file, stop: false };
        Self { wanted: AtomicU64::new(last), state: Mutex::new(state), work: Condvar::new() }
    }

    /// Asks for a sync of `position`. If it is not written yet, the writer passes the word on.
    /// What is written is read after the wish is stored, as the writer does the
    /// reverse: one of the two sees the other.
    pub(super) fn want(&self, position: u64, written: &Progress) {
        self.wanted.fetch_max(position, Ordering::SeqCst);
        if written.reached() >= position {
            self.wake();
        }
    }

    pub(super) fn wanted(&self) -> u64 {
        self.wanted.load(Ordering::SeqCst)
    }

    /// After the lock was taken once, the thread either waits and is woken or has yet to look.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.work.notify_one();
    }

    /// The next segment; the writer has synced the one before.
    pub(super) fn switch(&self, file: Arc<File>) {
        self.lock().file = file;
    }

    pub(super) fn stop(&self) {
        self.lock().stop = true;
        self.work.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn run(shared: &Shared, disk: &dyn Disk) {
    while let Some((position, file)) = next(shared) {
        if let Err(error) = disk.sync(&file) {
            failed(shared, error);
            return;
        }
        shared.synced.advance(position);
    }
}

/// A failed sync may have dropped what it did not write, and the next one
/// would not tell: nobody may be told any more that something is safe.
pub(super) fn failed(shared: &Shared, error: std::io::Error) {
    shared.health.fail_for_good(JournalError::io("syncing", &shared.dir)(error));
    shared.wake_everybody();
}

/// Waits until there is something to sync: the position reached by it and its file.
fn next(shared: &Shared) -> Option<(u64, Arc<File>)> {
    let gate = &shared.sync;
    let mut state = gate.lock();
    let mut flush = false;
    loop {
        if state.stop {
            return None;
        }
        // The position first: what is written by now is in this file or synced before.
        let written = shared.written.reached();
        let synced = shared.synced.reached();
        if written.min(gate.wanted()) > synced || (flush && written > synced) {
            return Some((written, Arc::clone(&state.file)));
        }
        let waited = gate.work.wait_timeout(state, shared.options.flush_every);
        let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state = woken;
        flush = timeout.timed_out();
    }
}
