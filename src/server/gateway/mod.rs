//! The gateway: one client connection, one server connection, every statement
//! on record. It asks the control plane nothing: a [`Live`] session carries the
//! permit and everything else it needs, and ends through a `watch`.

mod binding;
mod book;
mod cancel;
mod connection;
mod intercept;
mod live;
mod login;
mod long;
mod names;
mod refusal;
mod upstream;
mod values;

pub use binding::end_point;
pub use live::{Connections, Counters, End, Life, Live, Registry};
pub use upstream::Way;

use crate::core::sql::FactsCache;
use crate::server::config::Limits;
use crate::server::journal::Journal;
use crate::server::metrics::Metrics;
use cancel::Cancels;
use std::sync::Arc;

/// Bytes of statement texts and their facts that are remembered.
const FACTS: usize = 64 << 20;

/// What all connections share.
pub struct Gateway {
    registry: Arc<Registry>,
    journal: Journal,
    metrics: Arc<Metrics>,
    facts: FactsCache,
    cancels: Cancels,
    /// The longest statement text, in bytes.
    statement_bytes: u32,
    /// What unknown users are answered with, always the same for one user.
    mock_secret: [u8; 32],
}

impl Gateway {
    pub fn new(registry: Arc<Registry>, journal: Journal, metrics: Arc<Metrics>, limits: &Limits) -> Self {
        Self {
            registry,
            journal,
            metrics,
            facts: FactsCache::new(FACTS),
            cancels: Cancels::default(),
            statement_bytes: u32::try_from(limits.statement_bytes).unwrap_or(u32::MAX),
            mock_secret: crate::os::random(),
        }
    }
}
