//! The gateway: one client connection, one server connection, every statement
//! on record. It asks the control plane nothing: a [`Live`] session carries the
//! permit and everything else it needs, and ends through a `watch`.

mod binding;
mod book;
mod budget;
mod cancel;
mod connection;
mod cut;
mod fingerprint;
mod intercept;
mod live;
mod login;
mod long;
mod names;
mod probe;
mod refusal;
mod sealing;
mod shape;
mod tape;
mod upstream;
mod values;
mod watch;

pub use binding::end_point;
pub use live::{Connections, Counters, End, Keeping, Life, Live, Registry};
pub use probe::probe;
pub use upstream::Way;
pub use watch::{LargeRead, Watch};

use crate::core::sql::FactsCache;
use crate::server::config::Limits;
use crate::server::journal::Journal;
use crate::server::metrics::Metrics;
use cancel::Cancels;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of statement texts and their facts that are remembered.
const FACTS: usize = 64 << 20;

/// What all connections share.
pub struct Gateway {
    registry: Arc<Registry>,
    journal: Journal,
    metrics: Arc<Metrics>,
    watch: Watch,
    facts: FactsCache,
    cancels: Cancels,
    /// The longest statement text, in bytes.
    statement_bytes: u32,
    idle_in_transaction: Duration,
    /// What unknown users are answered with, always the same for one user.
    mock_secret: [u8; 32],
}

impl Gateway {
    pub fn new(
        registry: Arc<Registry>,
        journal: Journal,
        metrics: Arc<Metrics>,
        watch: Watch,
        limits: &Limits,
    ) -> Self {
        Self {
            registry,
            journal,
            metrics,
            watch,
            facts: FactsCache::new(FACTS),
            cancels: Cancels::default(),
            statement_bytes: u32::try_from(limits.statement_bytes).unwrap_or(u32::MAX),
            idle_in_transaction: limits.idle_in_transaction,
            mock_secret: crate::os::random(),
        }
    }
}
