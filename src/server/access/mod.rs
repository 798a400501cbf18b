//! The use-cases, a file each: load → pure decision → one transaction of state
//! and record → effects. Called by `api` and `tasks`; the only room that
//! changes what people may do.

mod audit;
mod authority;
mod bars;
mod break_glass;
mod browser;
mod bulk;
mod campaigns;
mod decide;
mod delegate;
mod doctor;
mod ending;
mod error;
mod evidence;
mod holding;
mod holds;
mod incidents;
mod metrics;
mod notices;
mod policy;
mod probe;
mod recordings;
mod request;
mod retention;
mod review_detail;
mod reviews;
mod rotate;
mod scan;
mod script;
mod sessions;
mod sign_in;
mod slack;
mod suspend;
mod sweep;
mod targets;
mod telling;
mod unseals;
mod views;
mod visible;

pub use browser::BrowserSession;
pub use bulk::Told;
pub(in crate::server) use ending::why;
pub use error::AccessError;
pub use slack::{Press, Pressed};

use crate::core::model::{Person, Role, Via};
use crate::core::policy::Policy;
use crate::core::unseal::UnsealKey;
use crate::server::config::Config;
use crate::server::gateway::Registry;
use crate::server::identity::Provider;
use crate::server::incidents::Incidents;
use crate::server::journal::{Index, Journal};
use crate::server::metrics::Metrics;
use crate::server::outbound::{Links, Route};
use crate::server::outbox::Outbox;
use crate::server::recording::Recordings;
use crate::server::store::Store;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use targets::TargetState;
use tokio::sync::{Mutex, Semaphore};

/// Everything the use-cases stand on; built once, in `boot`.
pub struct Access {
    pub(super) config: Config,
    pub(super) provider: Provider,
    pub(super) store: Store,
    pub(super) outbox: Outbox,
    pub(super) journal: Journal,
    pub(super) index: Index,
    pub(super) recordings: Recordings,
    pub(super) registry: Arc<Registry>,
    pub(super) metrics: Arc<Metrics>,
    policy: RwLock<Arc<Policy>>,
    /// Held by whoever reads the policy's files again.
    loading: Mutex<()>,
    /// Held while a report is made, or while retention writes segments anew.
    reporting: Arc<Mutex<()>>,
    targets: BTreeMap<String, TargetState>,
    holders: holding::Holders,
    idle: sweep::Idle,
    mark: sweep::Mark,
    /// Set once, when the server begins to stop: no session begins any more.
    stopping: AtomicBool,
    notices: notices::Notices,
    /// Who decides which lines of access reviews, held while policy is asked.
    lately: Arc<Mutex<campaigns::Lately>>,
    /// Turns at trying dead credentials.
    probes: Semaphore,
    pub(super) incidents: Incidents,
    links: Links,
    slack: Option<slack::Workspace>,
    /// The server's half of what redacted texts leave out.
    unseal_key: Option<UnsealKey>,
}

/// A signed-in person making a call.
#[derive(Clone)]
pub struct Caller {
    pub person: Person,
    pub token_expires_at: Timestamp,
    /// How they came.
    pub via: Via,
}

/// What boot has opened for the use-cases.
pub struct Parts {
    pub config: Config,
    pub provider: Provider,
    pub store: Store,
    pub outbox: Outbox,
    pub journal: Journal,
    pub index: Index,
    pub recordings: Recordings,
    pub registry: Arc<Registry>,
    pub metrics: Arc<Metrics>,
    pub links: Links,
    pub unseal_key: Option<UnsealKey>,
    /// The public key of the server's ledger.
    pub server_key: String,
}

impl Access {
    /// Connects to nothing yet: a target that is down is no error here.
    pub fn new(parts: Parts) -> Result<Self, AccessError> {
        let Parts {
            config,
            provider,
            store,
            outbox,
            journal,
            index,
            recordings,
            registry,
            metrics,
            links,
            unseal_key,
            server_key,
        } = parts;
        let targets = TargetState::all(&config)?;
        let notices = notices::Notices::new(Route::all(&config));
        let slack = config.notify.slack.as_ref().and_then(slack::Workspace::of).transpose()?;
        let incidents =
            Incidents::new(&config.incidents).map_err(|error| AccessError::internal(error.to_string()))?;
        let policy = RwLock::new(Arc::clone(&config.policy));
        Ok(Self {
            config,
            provider,
            store,
            outbox,
            journal,
            index,
            recordings,
            registry,
            metrics,
            policy,
            loading: Mutex::new(()),
            reporting: Arc::default(),
            targets,
            holders: holding::Holders::default(),
            idle: sweep::Idle::default(),
            mark: sweep::Mark::new(&server_key),
            stopping: AtomicBool::new(false),
            notices,
            lately: Arc::default(),
            probes: Semaphore::new(probe::AT_ONCE),
            incidents,
            links,
            slack,
            unseal_key,
        })
    }

    /// Where the native endpoint is reached: the server's public name, its own port.
    fn native_address(&self) -> Option<String> {
        let port = self.config.server.native_listen?.port();
        let url = self.config.server.public_url.strip_prefix("https://")?;
        let host = url.rsplit_once(':').map_or(url, |(host, port)| {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { url }
        });
        Some(format!("{host}:{port}"))
    }

    /// Waits until everything committed so far is on the ledger.
    pub async fn flush(&self) -> Result<(), AccessError> {
        Ok(self.outbox.flushed().await?)
    }

    /// Waits until all that was put on record before this call is found by searches.
    async fn caught_up(&self) -> Result<(), AccessError> {
        let newest = self.journal.last_queued();
        self.journal.written(newest).await?;
        Ok(self.index.catch_up(newest).await?)
    }

    /// The policy in force. A decision takes it once and keeps to it.
    pub(super) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Forgets tokens that nobody can renew any more.
    pub async fn drop_stale_tokens(&self) -> Result<(), AccessError> {
        let now = crate::os::now();
        self.store.write(move |tx| tx.drop_stale_tokens(now).map(drop).map_err(AccessError::from)).await
    }
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
