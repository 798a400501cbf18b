//! The outbox: events that were committed with their state change (G7) on
//! their way to the ledger.
//!
//! Each record carries its outbox id as `event`. After a crash between the
//! ledger and the state, the ids that the ledger already has are left out, so
//! that an event is on the ledger exactly once.

use crate::core::model::ErrorKind;
use crate::server::journal::{Journal, JournalError, Position};
use crate::server::store::{OutboxRow, Store, StoreError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

const BATCH: u32 = 256;
/// Callers that may wait for a flush before callers wait themselves.
const QUEUE: usize = 1024;
const RETRY: Duration = Duration::from_secs(1);

type Waiter = oneshot::Sender<()>;

/// Why events are not on the ledger yet. They are kept, and sent again.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the server is stopping")]
    Stopping,
}

impl OutboxError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Journal(error) => error.kind(),
            Self::Stopping => ErrorKind::Unreachable,
        }
    }
}

/// A handle to the outbox task; cheap to clone.
#[derive(Clone)]
pub struct Outbox(mpsc::Sender<Option<Waiter>>);

/// The task's own half.
pub struct OutboxTask {
    calls: mpsc::Receiver<Option<Waiter>>,
    store: Store,
    journal: Journal,
    /// The newest event that the ledger was given.
    last: i64,
    /// Where it stands there; it may not be safe yet.
    position: Option<Position>,
}

impl Outbox {
    pub fn new(store: Store, journal: Journal, last_on_ledger: i64) -> (Self, OutboxTask) {
        let (sender, calls) = mpsc::channel(QUEUE);
        (Self(sender), OutboxTask { calls, store, journal, last: last_on_ledger, position: None })
    }

    /// Says that there is something to send.
    pub fn wake(&self) {
        // A full queue is awake already.
        drop(self.0.try_send(None));
    }

    /// Waits until everything committed before this call is on the ledger.
    pub async fn flushed(&self) -> Result<(), OutboxError> {
        let (done, waiter) = oneshot::channel();
        self.0.send(Some(done)).await.map_err(|_| OutboxError::Stopping)?;
        waiter.await.map_err(|_| OutboxError::Stopping)
    }
}

impl OutboxTask {
    /// Runs until every handle is gone.
    pub async fn run(mut self) {
        let mut failing = false;
        let mut waiters: Vec<Waiter> = Vec::new();
        loop {
            match self.drain().await {
                Ok(()) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("events reach the ledger again");
                    }
                    for waiter in waiters.drain(..) {
                        // Whoever does not wait any more needs no answer.
                        let _ = waiter.send(());
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "events do not reach the ledger; trying again");
                    }
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            }
            let Some(call) = self.calls.recv().await else { return };
            waiters.extend(call);
            while let Ok(call) = self.calls.try_recv() {
                waiters.extend(call);
            }
        }
    }

    async fn drain(&mut self) -> Result<(), OutboxError> {
        loop {
            let rows = self.store.read(|tx| tx.outbox(BATCH)).await?;
            let Some(newest) = rows.last().map(|row| row.id) else { return Ok(()) };
            // What was given to the ledger once is not given again, even where
            // the ledger failed afterwards: it keeps what it has accepted.
            for row in &rows {
                if row.id <= self.last {
                    continue;
                }
                self.position = Some(self.journal.append(row.at, record(row)).await?);
                self.last = row.id;
            }
            if let Some(position) = self.position {
                self.journal.synced(position).await?;
            }
            self.store.write(move |tx| tx.outbox_sent(newest)).await?;
        }
    }
}

/// The event's body with its outbox id in front.
fn record(row: &OutboxRow) -> String {
    let rest = row.body.strip_prefix('{').unwrap_or(&row.body);
    format!("{{\"event\":{},{rest}", row.id)
}
