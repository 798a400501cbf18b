//! The server's configuration: raw TOML in, checked values out.
//!
//! It decides what a configuration means and refuses what is unclear, all
//! problems at once. It reads the files that the text names (policy, secrets)
//! but opens no connection. Called by `boot`, `demo` and `doctor`.

mod approvals;
mod break_glass;
mod budgets;
mod classified;
mod directory;
mod forward;
mod incidents;
mod notify;
mod policy;
mod reader;
mod retention;
mod reviews;
mod secret;
mod sections;
mod target;

#[cfg(test)]
mod tests;

pub use approvals::Approvals;
pub use break_glass::BreakGlass;
pub use directory::Directory;
pub use forward::{Forward, ForwardTo, OtlpTo, SyslogTo};
pub use incidents::{IncidentApi, Incidents};
pub use policy::{DEFAULT_NAME, PolicyFiles, Unusable, default_source, usable};
pub use reader::Problem;
pub use reviews::Reviews;

use crate::core::model::{Budgets, BulkRule, ErrorKind, Notice, NoticeKind, Secret, Target, Urgency};
use crate::core::policy::{BusinessHours, Policy};
use crate::core::recording::AuditorKey;
use crate::core::retention::Retention;
use lettre::message::Mailbox;
use reader::{Reader, Section};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;

/// Everything that the server is told.
#[derive(Debug)]
pub struct Config {
    pub server: Server,
    pub identity: IdentityProvider,
    pub directory: Directory,
    pub business_hours: BusinessHours,
    /// What the files were when they were read.
    pub policy: Arc<Policy>,
    pub policy_files: PolicyFiles,
    /// How long a request waits for approval.
    pub request_expiry: Duration,
    /// The window of a request that names none.
    pub default_window: Duration,
    pub targets: BTreeMap<String, ConfiguredTarget>,
    pub limits: Limits,
    /// How much sessions may read (R7.1).
    pub budgets: Budgets,
    pub alerts: Alerts,
    pub notify: Notify,
    /// Where the ledger is sent to.
    pub forward: Vec<Forward>,
    pub approvals: Approvals,
    pub break_glass: BreakGlass,
    pub reviews: Reviews,
    /// Who says whether there is an incident (R8.1).
    pub incidents: Incidents,
    /// Whom recordings are sealed to, and what redacted texts leave out.
    pub auditor_key: Option<AuditorKey>,
    /// How long what is kept.
    pub retention: Retention,
    /// Texts on the ledger have placeholders for their values.
    pub redacts: bool,
    pub metrics: Option<MetricsEndpoint>,
}

/// Prometheus metrics, in plain HTTP.
#[derive(Clone, Copy, Debug)]
pub struct MetricsEndpoint {
    pub listen: SocketAddr,
    /// How often those are measured that come from the record.
    pub refresh: Duration,
    /// How often login roles are counted.
    pub scan: Duration,
}

/// Where the server listens and lives.
#[derive(Clone, Debug)]
pub struct Server {
    /// The one port: API and tunnel.
    pub listen: SocketAddr,
    /// The native PostgreSQL endpoint, when it is on.
    pub native_listen: Option<SocketAddr>,
    /// How people reach it: `https://host[:port]`, without a slash at the end.
    pub public_url: String,
    /// Its state, ledger and recordings.
    pub data_dir: PathBuf,
    pub tls_certificate: PathBuf,
    pub tls_key: PathBuf,
}

impl Server {
    /// The name that people know it by.
    pub fn host(&self) -> &str {
        let rest = self.public_url.split_once("://").map_or(self.public_url.as_str(), |(_, rest)| rest);
        rest.split(['/', ':']).next().unwrap_or_default()
    }
}

/// The identity provider, and the client that we are there.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    /// Whether people sign in at pages of ours, too (links lead there).
    pub browser: Option<BrowserClient>,
    pub scopes: Vec<String>,
    /// The claim of the ID token that lists a person's groups.
    pub groups_claim: String,
    /// A certificate authority beside the system's.
    pub ca: Option<PathBuf>,
    /// How far the provider's clock may be off.
    pub leeway: Duration,
    /// How long a token of ours lives before it is renewed.
    pub token_lifetime: Duration,
}

/// The client that our own pages are at the identity provider.
#[derive(Clone, Debug)]
pub struct BrowserClient {
    /// Another than the command line's, with its secret.
    pub own: Option<(String, Option<Secret>)>,
}

/// A target: what decisions need to know, and how to reach it.
#[derive(Clone, Debug)]
pub struct ConfiguredTarget {
    pub target: Target,
    pub upstream: Upstream,
    /// Functions of the target's own that sessions may call, as `schema.name`
    /// or `schema.*`, though dbaccess does not find them harmless by itself.
    pub functions: Vec<String>,
    /// Logins of applications, replication and the like: no person's (R1.5).
    pub service_roles: BTreeSet<String>,
}

/// Bounds (G9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest statement text that is taken, in bytes.
    pub statement_bytes: usize,
    pub sessions_per_person: usize,
    pub connections_per_session: usize,
    pub waiting_requests_per_person: usize,
    /// How long a statement of a session runs, unless it asks for more (an hour at most).
    pub statement_timeout: Duration,
    /// How long a session may keep a transaction open and do nothing in it.
    pub idle_in_transaction: Duration,
}

/// What is told of, and where to (R7.3).
#[derive(Clone, Debug)]
pub struct Alerts {
    pub bulk: BulkRule,
    pub webhook: Option<Webhook>,
}

/// Where alerts are posted to.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub url: String,
    /// Signs what is posted.
    pub secret: Option<Secret>,
    /// A certificate authority beside the system's.
    pub ca: Option<PathBuf>,
}

/// Where people are told of things, beside the webhook.
#[derive(Clone, Debug, Default)]
pub struct Notify {
    pub slack: Option<Slack>,
    pub mail: Option<Mail>,
    pub pagerduty: Option<PagerDuty>,
}

/// Which notices a channel takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Takes {
    /// All of them where none is named.
    pub kinds: Option<Vec<NoticeKind>>,
    pub urgency: Urgency,
}

impl Takes {
    pub fn takes(&self, notice: &Notice) -> bool {
        self.takes_kind(notice.kind) && notice.urgency >= self.urgency
    }

    pub fn takes_kind(&self, kind: NoticeKind) -> bool {
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }
}

/// A Slack app, as its bot.
#[derive(Clone, Debug)]
pub struct Slack {
    pub takes: Takes,
    pub url: String,
    pub token: Secret,
    pub channel: String,
    /// For what is urgent, in place of `channel`.
    pub urgent_channel: Option<String>,
    /// Proves that what comes in is Slack's; without it there are no buttons but the link.
    pub signing_secret: Option<Secret>,
    pub decide: SlackDecides,
    pub ca: Option<PathBuf>,
}

/// What a button in Slack does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlackDecides {
    /// It leads to the page, where the identity provider says who it is.
    Link,
    /// It decides: Slack's word is enough for people who signed in here so recently.
    Slack { signed_in_within: Duration },
}

/// A mail server that takes our mail.
#[derive(Clone, Debug)]
pub struct Mail {
    pub takes: Takes,
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub login: Option<(String, Secret)>,
    pub from: Mailbox,
    /// Told of what is urgent, beside the people who are meant.
    pub to: Vec<lettre::Address>,
    pub ca: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Plain at first; without TLS afterwards nothing is sent (RFC 3207).
    StartTls,
    /// From the first byte (RFC 8314).
    Implicit,
    /// On this machine.
    Off,
}

/// PagerDuty's Events API v2.
#[derive(Clone, Debug)]
pub struct PagerDuty {
    pub takes: Takes,
    pub url: String,
    pub routing_key: Secret,
    pub ca: Option<PathBuf>,
}

/// How the server reaches one target, as its own restricted login.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub host: String,
    pub port: u16,
    pub database: String,
    /// The control plane's login, which may only call the definer functions
    /// (or an administrator's, in trials).
    pub user: String,
    pub password: Option<Secret>,
    pub tls: UpstreamTls,
    /// Objects that a write session leaves behind are given to this role.
    pub object_owner: Option<String>,
    /// Owners of schemas as whom sessions may work that change a schema.
    pub ddl_owners: Vec<String>,
    /// Of a standby: the server that it follows, where roles are made.
    pub primary: Option<Address>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

impl Upstream {
    /// The same database where it can be written: of a standby its primary.
    pub fn writable(&self) -> Self {
        match &self.primary {
            Some(Address { host, port }) => {
                Self { host: host.clone(), port: *port, primary: None, ..self.clone() }
            }
            None => self.clone(),
        }
    }
}

/// Whether the connection to a target is encrypted. There is no `prefer`:
/// a downgrade must be somebody's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTls {
    /// Plain text: for a loopback or an already encrypted network.
    Off,
    /// Encrypted, certificate and host name verified.
    Verify { ca: Option<PathBuf> },
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("the configuration has problems:\n{}", list(.0))]
    Problems(Vec<Problem>),
}

impl ConfigError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { .. } => ErrorKind::NotFound,
            Self::Problems(_) => ErrorKind::Usage,
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

/// What a configuration text refers to.
pub struct Outside<'a> {
    /// The directory that relative paths start from: the configuration file's own.
    pub dir: &'a Path,
    pub env: &'a dyn Fn(&str) -> Option<String>,
}

impl Outside<'_> {
    fn path(&self, text: &str) -> PathBuf {
        self.dir.join(text)
    }
}

impl Config {
    /// Reads the file, and what it names relative to itself.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: shown.clone(), source })?;
        let dir = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, &shown, &Outside { dir, env: &|name| std::env::var(name).ok() })
    }

    /// Checks a text. `file` is how errors call it.
    ///
    /// # Errors
    /// All problems that can be found at once. A text that is not TOML is not read further.
    pub fn parse(text: &str, file: &str, outside: &Outside<'_>) -> Result<Self, ConfigError> {
        let reader = Reader::new(file, text);
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            reader.say(error.span().map_or(0, |span| span.start), "", error.message());
        }
        let config = if errors.is_empty() {
            sections::config(Section::root(&reader, table.get_ref()), outside)
        } else {
            None
        };
        match (config, reader.into_problems()) {
            (Some(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(ConfigError::Problems(problems)),
        }
    }
}
