//! The use-cases, a file each: load → pure decision → one transaction of state
//! and record → effects. Called by `api` and `tasks`; the only room that
//! changes what people may do.

mod audit;
mod decide;
mod doctor;
mod error;
mod request;
mod sessions;
mod sign_in;
mod targets;
mod views;

pub use error::AccessError;
pub(in crate::server) use sessions::why;

use crate::core::model::{Person, Role};
use crate::server::config::Config;
use crate::server::gateway::Registry;
use crate::server::identity::Provider;
use crate::server::journal::{Index, Journal};
use crate::server::metrics::Metrics;
use crate::server::store::Store;
use crate::server::tasks::Outbox;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use targets::TargetState;

/// Everything the use-cases stand on; built once, in `boot`.
pub struct Access {
    pub(super) config: Config,
    pub(super) provider: Provider,
    pub(super) store: Store,
    pub(super) outbox: Outbox,
    pub(super) journal: Journal,
    pub(super) index: Index,
    pub(super) registry: Arc<Registry>,
    pub(super) metrics: Arc<Metrics>,
    targets: BTreeMap<String, TargetState>,
    holders: sessions::Holders,
}

/// A signed-in person making a call.
pub struct Caller {
    pub person: Person,
    pub token_expires_at: Timestamp,
}

impl Caller {
    fn has_role(&self, role: &str) -> bool {
        self.person.roles.contains(&Role::new(role))
    }

    /// Security and auditors see everything; others see what concerns them.
    fn sees_all(&self) -> bool {
        self.has_role("security") || self.has_role("auditor")
    }
}
