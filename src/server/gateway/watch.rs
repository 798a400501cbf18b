//! Reads that somebody should look at (R7.3), on their way to whoever weighs
//! them. Nothing waits for that: when the queue is full, a read is not weighed.

use super::book::Running;
use super::connection::Connection;
use crate::core::model::{BULK_FLOOR, GrantId, PersonRef, SessionId};
use crate::core::sql::Name;
use std::collections::BTreeSet;
use tokio::sync::mpsc;

/// Reads that may wait to be weighed.
const QUEUE: usize = 1024;

/// A statement that has read much, or with which its session has.
#[derive(Clone, Debug)]
pub struct LargeRead {
    pub session: SessionId,
    pub grant: GrantId,
    pub person: PersonRef,
    pub target: String,
    /// The statement's place in the ledger.
    pub intent: Option<u64>,
    /// Of the statement, with the earlier pieces of its portal.
    pub rows: u64,
    pub bytes: u64,
    /// Of the session so far, where it has passed another multiple of what is large.
    pub session_rows: Option<u64>,
    pub session_bytes: u64,
    pub tables: BTreeSet<Name>,
}

/// The gateway's end of the queue.
pub struct Watch {
    reads: mpsc::Sender<LargeRead>,
    /// So many rows of a session are large.
    large: u64,
}

impl Watch {
    pub fn new(large: u64) -> (Self, mpsc::Receiver<LargeRead>) {
        let (reads, incoming) = mpsc::channel(QUEUE);
        (Self { reads, large: large.max(1) }, incoming)
    }
}

impl Connection {
    /// Tells of a statement that has ended, if it is worth that.
    pub(super) fn watch(&self, running: &Running) {
        if running.rows == 0 {
            return;
        }
        let watch = &self.gateway.watch;
        let statement = running.taken.unwrap_or_default();
        let session = *self.live.taken();
        let before = session.rows.saturating_sub(running.rows);
        // Many small pages are a large read, too.
        let passed = session.rows / watch.large != before / watch.large;
        if statement.rows < BULK_FLOOR && !passed {
            return;
        }
        let permit = &self.live.permit;
        let tables = running.facts.as_ref().and_then(|(facts, index)| facts.statements.get(*index));
        let read = LargeRead {
            session: permit.session.clone(),
            grant: permit.grant.clone(),
            person: permit.person.clone(),
            target: permit.target.clone(),
            intent: running.intent.map(|position| position.0),
            rows: statement.rows,
            bytes: statement.bytes,
            session_rows: passed.then_some(session.rows),
            session_bytes: session.bytes,
            tables: tables.map(|statement| statement.reads.clone()).unwrap_or_default(),
        };
        if watch.reads.try_send(read).is_err() {
            tracing::debug!(session = %permit.session, "a large read is not weighed: too many wait");
        }
    }
}
