//! What waits to be written, and whether it can be. A record gets its number
//! here, under a mutex that is never held over I/O.

use super::{JournalError, NotAppended};
use jiff::Timestamp;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// For so long after a batch the writer lets records that are in no hurry
/// gather: in a busy moment an outcome is then written together with the next
/// intent, and costs no wake-up of its own.
const GATHER: Duration = Duration::from_millis(5);

pub(super) struct Queue {
    state: Mutex<State>,
    /// The writer waits here.
    work: Condvar,
    /// Appenders wait here while the queue is full.
    space: Notify,
    max_bytes: usize,
    max_lines: usize,
}

struct State {
    records: Vec<Record>,
    bytes: usize,
    next: u64,
    sleep: Sleep,
    /// Somebody is going to wait for one of the records.
    urgent: bool,
    closing: bool,
}

impl State {
    /// What the lines will take at most: a body and less than 160 bytes around it.
    fn line_bytes(&self) -> u64 {
        (self.bytes + 160 * self.records.len()) as u64
    }
}

/// What is queued is for the writer's thread to write.
pub(super) struct NotPlain;

/// Only a writer that sleeps costs a system call to wake it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    Awake,
    /// It looks again soon, by itself.
    Gathering,
    Deep,
}

/// Whether a record can wait for others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hurry {
    Now,
    Soon,
}

pub(super) struct Record {
    pub(super) at: Timestamp,
    pub(super) body: String,
}

/// What the writer does next.
pub(super) struct Work {
    pub(super) first: u64,
    pub(super) records: Vec<Record>,
    /// A checkpoint follows the records; its number is reserved.
    pub(super) sign: bool,
    /// The segment ends with it.
    pub(super) rotate: bool,
    pub(super) closing: bool,
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && !self.sign && !self.closing
    }
}

impl Queue {
    pub(super) fn new(next: u64, max_bytes: usize, max_lines: usize) -> Self {
        let state =
            State { records: Vec::new(), bytes: 0, next, sleep: Sleep::Awake, urgent: false, closing: false };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            space: Notify::new(),
            max_bytes,
            max_lines: max_lines.max(1),
        }
    }

    /// The last number that was given.
    pub(super) fn last(&self) -> u64 {
        self.lock().next.saturating_sub(1)
    }

    pub(super) fn push(&self, at: Timestamp, body: String, hurry: Hurry) -> Result<u64, NotAppended> {
        if !is_record(&body) {
            return Err(NotAppended::Failed(JournalError::NotARecord));
        }
        let mut state = self.lock();
        if state.closing {
            return Err(NotAppended::Failed(JournalError::Closed));
        }
        if !self.fits(&state, body.len(), 1) {
            return Err(NotAppended::Full(body));
        }
        let seq = state.next;
        state.next += 1;
        state.bytes += body.len();
        state.records.push(Record { at, body });
        self.wake(state, hurry);
        Ok(seq)
    }

    /// All or none; the inner error gives the records back when they do not fit.
    pub(super) fn push_all(
        &self,
        at: Timestamp,
        bodies: Vec<String>,
    ) -> Result<Result<Range<u64>, Vec<String>>, JournalError> {
        if !bodies.iter().all(|body| is_record(body)) {
            return Err(JournalError::NotARecord);
        }
        let bytes = bodies.iter().map(String::len).sum();
        let mut state = self.lock();
        if state.closing {
            return Err(JournalError::Closed);
        }
        if !self.fits(&state, bytes, bodies.len()) {
            return Ok(Err(bodies));
        }
        let first = state.next;
        state.next += bodies.len() as u64;
        state.bytes += bytes;
        state.records.extend(bodies.into_iter().map(|body| Record { at, body }));
        let range = first..state.next;
        self.wake(state, Hurry::Now);
        Ok(Ok(range))
    }

    /// Resolves when there may be room. Made before looking, so that no word is missed.
    pub(super) fn space(&self) -> Notified<'_> {
        self.space.notified()
    }

    /// Wakes those who wait for room: there is some, or there will be none.
    pub(super) fn wake_appenders(&self) {
        self.space.notify_waiters();
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_all();
        self.wake_appenders();
    }

    /// Waits for records, for `due` (when something is unsigned since), or for
    /// the end. With `gather` it waits a moment for records that are in no
    /// hurry, and returns whether or not there are any.
    pub(super) fn wait(&self, due: Option<Instant>, gather: bool) {
        let mut state = self.lock();
        let mut now = Instant::now();
        let gathered = now + GATHER;
        while !state.urgent && !state.closing && due.is_none_or(|due| due > now) {
            let until = match gather {
                true if now >= gathered => break,
                true => Some(due.map_or(gathered, |due| due.min(gathered))),
                false if !state.records.is_empty() => break,
                false => due,
            };
            state.sleep = if gather { Sleep::Gathering } else { Sleep::Deep };
            state = match until {
                None => self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let waited = self.work.wait_timeout(state, until.duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.sleep = Sleep::Awake;
            now = Instant::now();
        }
    }

    /// Takes all there is. `room` is what the segment still takes.
    pub(super) fn take(&self, spare: Vec<Record>, due: Option<Instant>, room: u64) -> Work {
        let mut state = self.lock();
        let now = Instant::now();
        state.urgent = false;
        let unsigned = due.is_some() || !state.records.is_empty();
        let rotate = state.line_bytes() >= room && unsigned;
        let sign = unsigned && (rotate || state.closing || due.is_some_and(|due| due <= now));
        let first = state.next - state.records.len() as u64;
        state.next += u64::from(sign);
        state.bytes = 0;
        let records = std::mem::replace(&mut state.records, spare);
        let closing = state.closing;
        drop(state);
        self.wake_appenders();
        Work { first, records, sign, rotate, closing }
    }

    /// Takes all there is, with the number of the first, if it is lines that fit
    /// `room` and are no larger than `largest`; `None` is an empty queue.
    pub(super) fn take_plain(
        &self,
        room: u64,
        largest: usize,
    ) -> Result<Option<(u64, Vec<Record>)>, NotPlain> {
        let mut state = self.lock();
        if state.records.is_empty() {
            return Ok(None);
        }
        let fits = state.line_bytes() < room;
        if state.closing || !fits || state.records.iter().any(|record| record.body.len() > largest) {
            return Err(NotPlain);
        }
        let first = state.next - state.records.len() as u64;
        state.bytes = 0;
        let records = std::mem::take(&mut state.records);
        drop(state);
        self.wake_appenders();
        Ok(Some((first, records)))
    }

    /// Puts back what [`Queue::take_plain`] gave, before anything else was taken.
    pub(super) fn give_back(&self, mut records: Vec<Record>) {
        let mut state = self.lock();
        state.bytes += records.iter().map(|record| record.body.len()).sum::<usize>();
        records.append(&mut state.records);
        state.records = records;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().records.is_empty()
    }

    /// Somebody waits for what is queued: the writer's thread is woken for it.
    pub(super) fn hurry(&self) {
        self.wake(self.lock(), Hurry::Now);
    }

    /// The same, if the thread is at work: then it does not gather afterwards.
    pub(super) fn hurry_the_awake(&self) {
        let mut state = self.lock();
        state.urgent |= state.sleep == Sleep::Awake;
    }

    /// Waits before another attempt; false when there is to be none.
    pub(super) fn pause(&self, length: Duration) -> bool {
        let state = self.lock();
        let waited = self.work.wait_timeout_while(state, length, |state| !state.closing);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closing
    }

    /// A record larger than the bound passes when it is alone: it must pass some time.
    fn fits(&self, state: &State, bytes: usize, lines: usize) -> bool {
        state.records.is_empty()
            || (state.bytes + bytes <= self.max_bytes && state.records.len() + lines <= self.max_lines)
    }

    fn wake(&self, mut state: MutexGuard<'_, State>, hurry: Hurry) {
        let wakes = match (state.sleep, hurry) {
            (Sleep::Awake, _) | (Sleep::Gathering, Hurry::Soon) => false,
            (Sleep::Gathering, Hurry::Now) | (Sleep::Deep, _) => true,
        };
        state.urgent |= hurry == Hurry::Now;
        if wakes {
            state.sleep = Sleep::Awake;
        }
        drop(state);
        if wakes {
            self.work.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_record(body: &str) -> bool {
    body.starts_with('{') && body.ends_with('}') && !body.as_bytes().contains(&b'\n')
}

/// Whether the ledger can be written. Looked at by every append, so the good
/// case is one load.
#[derive(Default)]
pub(super) struct Health {
    failed: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

struct Failure {
    error: JournalError,
    for_good: bool,
}

impl Health {
    pub(super) fn check(&self) -> Result<(), JournalError> {
        if !self.failed.load(Ordering::SeqCst) {
            return Ok(());
        }
        self.lock().as_ref().map_or(Ok(()), |failure| Err(failure.error.clone()))
    }

    /// A failure that may pass.
    pub(super) fn fail(&self, error: JournalError) {
        self.set(Failure { error, for_good: false });
    }

    /// A failure that nothing but a new start ends.
    pub(super) fn fail_for_good(&self, error: JournalError) {
        self.set(Failure { error, for_good: true });
    }

    /// The end, which does not hide the failure that led to it.
    pub(super) fn fail_if_well(&self, error: JournalError) {
        let mut failure = self.lock();
        let earlier = failure.take().map(|failure| failure.error);
        *failure = Some(Failure { error: earlier.unwrap_or(error), for_good: true });
        self.failed.store(true, Ordering::SeqCst);
    }

    pub(super) fn failed_for_good(&self) -> bool {
        self.lock().as_ref().is_some_and(|failure| failure.for_good)
    }

    /// A write succeeded again. Returns whether there had been a failure.
    pub(super) fn recover(&self) -> bool {
        let mut failure = self.lock();
        let passes = failure.as_ref().is_some_and(|failure| !failure.for_good);
        if passes {
            *failure = None;
            self.failed.store(false, Ordering::SeqCst);
        }
        passes
    }

    fn set(&self, new: Failure) {
        let mut failure = self.lock();
        if !failure.as_ref().is_some_and(|old| old.for_good) {
            *failure = Some(new);
        }
        self.failed.store(true, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
