//! What people are told without asking: written down with its event, for every
//! channel that is configured; `outbound` carries it.

use super::Access;
use crate::core::model::{Event, Notice};
use crate::server::outbound::Route;
use crate::server::store::{StoreError, Tx};
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::Notify;

/// Writes notices down, inside the transactions of use-cases; cheap to clone.
#[derive(Clone)]
pub(super) struct Notices {
    routes: Arc<[Route]>,
    noticed: Arc<Notify>,
}

impl Notices {
    pub fn new(routes: Vec<Route>) -> Self {
        Self { routes: routes.into(), noticed: Arc::default() }
    }

    /// Records an event, and what people are told of it (G7). Call
    /// [`Access::wake`] once it is committed.
    pub fn tell(&self, tx: &Tx<'_>, at: Timestamp, event: &Event, notice: &Notice) -> Result<(), StoreError> {
        tx.record(at, event)?;
        for route in self.routes.iter() {
            for recipient in route.copies(notice) {
                let copy = (recipient.as_ref(), route.goes_first(notice));
                tx.save_notice(at, route.channel, copy, event, notice)?;
            }
        }
        Ok(())
    }
}

impl Access {
    /// Says that events and notices were committed.
    pub(super) fn wake(&self) {
        self.outbox.wake();
        self.notices.noticed.notify_waiters();
    }

    /// Rings whenever there may be a notice for a channel.
    pub fn noticed(&self) -> Arc<Notify> {
        Arc::clone(&self.notices.noticed)
    }
}
