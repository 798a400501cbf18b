//! How far the ledger has come, and those who wait for it. Each waiter is
//! woken once, when its own position is reached, however many wait.

use super::JournalError;
use super::queue::Health;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

pub(super) struct Progress {
    reached: AtomicU64,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    /// By position, then by a ticket that tells equal positions apart.
    waiting: BTreeMap<(u64, u64), Waker>,
    tickets: u64,
}

impl Progress {
    pub(super) fn new(reached: u64) -> Self {
        Self { reached: AtomicU64::new(reached), waiters: Mutex::default() }
    }

    pub(super) fn reached(&self) -> u64 {
        self.reached.load(Ordering::SeqCst)
    }

    /// Moves forward, never back, and wakes those whose position is reached.
    pub(super) fn advance(&self, to: u64) {
        self.reached.fetch_max(to, Ordering::SeqCst);
        let mut waiters = self.lock();
        if waiters.waiting.is_empty() {
            return;
        }
        let later = waiters.waiting.split_off(&(to.saturating_add(1), 0));
        let due = std::mem::replace(&mut waiters.waiting, later);
        drop(waiters);
        due.into_values().for_each(Waker::wake);
    }

    /// Wakes everybody, to look at the ledger's health.
    pub(super) fn wake_all(&self) {
        let due = std::mem::take(&mut self.lock().waiting);
        due.into_values().for_each(Waker::wake);
    }

    /// Ready when `position` is reached, or with an error when the ledger fails.
    pub(super) fn wait<'a>(&'a self, position: u64, health: &'a Health) -> Wait<'a> {
        Wait { progress: self, health, position, ticket: None }
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Wait<'a> {
    progress: &'a Progress,
    health: &'a Health,
    position: u64,
    ticket: Option<u64>,
}

impl Future for Wait<'_> {
    type Output = Result<(), JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut waiters = this.progress.lock();
        // Looked at under the lock: who advances or fails changes the state
        // first and takes the lock after, so either this sees it or is woken.
        let outcome = if this.progress.reached() >= this.position {
            Ok(())
        } else if let Err(error) = this.health.check() {
            Err(error)
        } else {
            let ticket = *this.ticket.get_or_insert_with(|| {
                waiters.tickets += 1;
                waiters.tickets
            });
            let waker = waiters.waiting.entry((this.position, ticket));
            waker
                .and_modify(|old| old.clone_from(context.waker()))
                .or_insert_with(|| context.waker().clone());
            return Poll::Pending;
        };
        if let Some(ticket) = this.ticket.take() {
            waiters.waiting.remove(&(this.position, ticket));
        }
        Poll::Ready(outcome)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.progress.lock().waiting.remove(&(self.position, ticket));
        }
    }
}
