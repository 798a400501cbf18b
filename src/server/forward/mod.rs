//! The ledger on its way to other systems: a task for each destination reads
//! what is safe on disk and sends it, line by line as it stands there, in
//! order. At least once: its place moves only when the other end has taken a
//! batch, and survives the process. Nothing waits for it: a destination that is
//! down keeps its place, and is tried again for as long as it takes.
//!
//! ```text
//! segments ──► follower (its place in a file) ──► batch ──► file | syslog | webhook | OTLP
//!                     ▲ moves when the other end has taken it ─────────┘
//! ```
//!
//! It never looks into a record, beyond its kind.

mod file;
mod otlp;
mod syslog;
mod webhook;

use super::config::{self, ForwardTo};
use super::journal::{Follower, Journal, JournalError, LedgerLine};
use super::metrics::Metrics;
use super::outbound::OutboundError;
use crate::tls::TlsError;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is looked for new lines.
const LOOK: Duration = Duration::from_secs(1);
/// Between two attempts: so long at first, then twice as long each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(60);

/// What carries the ledger to one destination.
pub struct Forward {
    name: String,
    to: Destination,
    journal: Journal,
    metrics: Arc<Metrics>,
    follower: Arc<Mutex<Follower>>,
}

enum Destination {
    File(file::File),
    Syslog(syslog::Syslog),
    Webhook(webhook::Webhook),
    Otlp(otlp::Otlp),
}

impl Destination {
    fn new(to: ForwardTo, host: &str) -> Result<Self, TlsError> {
        Ok(match to {
            ForwardTo::File(path) => Self::File(file::File::new(path)),
            ForwardTo::Syslog(to) => Self::Syslog(syslog::Syslog::new(to, host)?),
            ForwardTo::Webhook(to) => Self::Webhook(webhook::Webhook::new(to)?),
            ForwardTo::Otlp(to) => Self::Otlp(otlp::Otlp::new(to, host)?),
        })
    }

    /// Returns when the other end has taken all of it.
    async fn send(&self, lines: &[LedgerLine]) -> Result<(), ForwardError> {
        match self {
            Self::File(to) => to.send(lines).await,
            Self::Syslog(to) => to.send(lines).await,
            Self::Webhook(to) => to.send(lines).await,
            Self::Otlp(to) => to.send(lines).await,
        }
    }
}

/// Why lines are still here.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Http(#[from] OutboundError),
    #[error("the place in the ledger: {0}")]
    Place(io::Error),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the other end does not answer in time")]
    Slow,
    #[error("the batch cannot be written: {0}")]
    Body(#[from] serde_json::Error),
}

impl Forward {
    /// One for each destination; `directory` keeps their places, `host` is what
    /// we are called there.
    pub fn all(
        config: &[config::Forward],
        journal: &Journal,
        metrics: &Arc<Metrics>,
        directory: &Path,
        host: &str,
    ) -> Result<Vec<Self>, ForwardError> {
        let one = |config: &config::Forward| {
            let place = directory.join(format!("{}.json", config.name));
            let follower = Follower::open(journal, &place).map_err(ForwardError::Place)?;
            Ok(Self {
                name: config.name.clone(),
                to: Destination::new(config.to.clone(), host)?,
                journal: journal.clone(),
                metrics: Arc::clone(metrics),
                follower: Arc::new(Mutex::new(follower)),
            })
        };
        config.iter().map(one).collect()
    }

    /// Runs for ever.
    pub async fn run(self) {
        let name = self.name.as_str();
        let (mut failing, mut wait) = (false, FIRST_RETRY);
        loop {
            match self.step().await {
                Ok(moved) => {
                    if moved && std::mem::take(&mut failing) {
                        tracing::info!(name, "the ledger is forwarded again");
                        wait = FIRST_RETRY;
                    }
                    if !moved {
                        tokio::time::sleep(LOOK).await;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(name, %error, "the ledger is not forwarded; trying again");
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LAST_RETRY);
                }
            }
        }
    }

    /// Sends the next batch; returns whether there was one.
    async fn step(&self) -> Result<bool, ForwardError> {
        let newest = self.journal.last_written();
        let behind = self.follower.lock().unwrap_or_else(PoisonError::into_inner).behind(newest);
        self.metrics.forward_behind(&self.name, behind.unwrap_or(newest.0));
        if behind == Some(0) {
            return Ok(false);
        }
        // What a power cut could still take from the ledger is not told to others.
        self.journal.synced(newest).await?;
        let batch = match self.follow(move |follower| follower.read(newest)).await {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                let from = self.follow(Follower::begin_again).await.map_err(ForwardError::Place)?;
                let name = self.name.as_str();
                tracing::error!(name, %error, from, "the place in the ledger is gone: forwarding begins again");
                return Ok(true);
            }
            read => read.map_err(ForwardError::Place)?,
        };
        let Some(batch) = batch else { return Ok(false) };
        self.to.send(&batch.lines).await?;
        self.follow(move |follower: &mut Follower| follower.taken(&batch))
            .await
            .map_err(ForwardError::Place)?;
        Ok(true)
    }

    /// What blocks is done on a thread for it.
    async fn follow<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Follower) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let follower = Arc::clone(&self.follower);
        let act = move || act(&mut follower.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(act).await.map_err(io::Error::other)?
    }
}

/// The weight of a record, for systems that sort by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Information,
    Notice,
    Warning,
}

impl Severity {
    fn of(kind: &str) -> Self {
        match kind {
            "break_glass.unconfirmed"
            | "review.overdue"
            | "policy.refused"
            | "notice.given_up"
            | "ledger.recovered" => Self::Warning,
            kind if kind.starts_with("alert.") => Self::Warning,
            kind if kind.starts_with("break_glass.") => Self::Notice,
            _ => Self::Information,
        }
    }
}
