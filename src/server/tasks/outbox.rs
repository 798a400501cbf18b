//! The outbox: events that were committed with their state change (G7) on
//! their way to the ledger.
//!
//! Each record carries its outbox id as `event`. After a crash between the
//! ledger and the state, the ids that the ledger already has are left out, so
//! that an event is on the ledger exactly once.

use crate::server::access::AccessError;
use crate::server::journal::Journal;
use crate::server::store::{OutboxRow, Store};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

const BATCH: u32 = 256;
/// Callers that may wait for a flush before callers wait themselves.
const QUEUE: usize = 1024;
const RETRY: Duration = Duration::from_secs(1);

type Waiter = oneshot::Sender<()>;

/// A handle to the outbox task; cheap to clone.
#[derive(Clone)]
pub struct Outbox(mpsc::Sender<Option<Waiter>>);

/// The task's own half.
pub struct OutboxTask {
    calls: mpsc::Receiver<Option<Waiter>>,
    store: Store,
    journal: Journal,
    /// The newest event that the ledger has.
    last: i64,
}

impl Outbox {
    pub fn new(store: Store, journal: Journal, last_on_ledger: i64) -> (Self, OutboxTask) {
        let (sender, calls) = mpsc::channel(QUEUE);
        (Self(sender), OutboxTask { calls, store, journal, last: last_on_ledger })
    }

    /// Says that there is something to send.
    pub fn wake(&self) {
        // A full queue is awake already.
        drop(self.0.try_send(None));
    }

    /// Waits until everything committed before this call is on the ledger.
    pub async fn flushed(&self) -> Result<(), AccessError> {
        let closed = || AccessError::internal("the server is stopping");
        let (done, waiter) = oneshot::channel();
        self.0.send(Some(done)).await.map_err(|_| closed())?;
        waiter.await.map_err(|_| closed())
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

    async fn drain(&mut self) -> Result<(), AccessError> {
        loop {
            let rows = self.store.read(|tx| tx.outbox(BATCH).map_err(AccessError::from)).await?;
            let Some(newest) = rows.last().map(|row| row.id) else { return Ok(()) };
            let mut position = None;
            for row in rows {
                if row.id > self.last {
                    let at = row.at;
                    position = Some((self.journal.append(at, record(&row)).await?, row.id));
                }
            }
            if let Some((position, id)) = position {
                self.journal.synced(position).await?;
                self.last = id;
            }
            self.store.write(move |tx| tx.outbox_sent(newest).map_err(AccessError::from)).await?;
        }
    }
}

/// The event's body with its outbox id in front.
fn record(row: &OutboxRow) -> String {
    let rest = row.body.strip_prefix('{').unwrap_or(&row.body);
    format!("{{\"event\":{},{rest}", row.id)
}
