//! Notices on their way out, a queue for each channel: what the other end has
//! not taken is tried again until it has. They were committed with their event
//! (G7) and survive a restart. Whatever the other end does, nothing here waits
//! for it, and no channel waits for another.

mod webhook;

use super::config::Alerts;
use super::store::{NoticeRow, Store, StoreError};
use crate::tls::TlsError;
use jiff::SignedDuration;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use webhook::Webhook;

/// Between two attempts: so long at first, then twice as long each time.
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(1);
const LAST_RETRY: SignedDuration = SignedDuration::from_mins(10);
/// How often it is looked for notices that are due.
const LOOK: Duration = Duration::from_secs(1);
const BATCH: u32 = 16;

/// One way in which people are told.
enum Channel {
    Webhook(Webhook),
}

impl Channel {
    fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => webhook::NAME,
        }
    }

    async fn send(&self, row: &NoticeRow) -> Result<(), OutboundError> {
        match self {
            Self::Webhook(webhook) => webhook.send(row).await,
        }
    }
}

/// What carries notices to one channel.
pub struct Outbound {
    channel: Channel,
    store: Store,
    noticed: Arc<Notify>,
}

/// The names of the channels that are configured, as notices are kept for them.
pub fn channels(alerts: &Alerts) -> Vec<&'static str> {
    alerts.webhook.iter().map(|_| webhook::NAME).collect()
}

impl Outbound {
    /// One for each channel that is configured.
    pub fn all(alerts: &Alerts, store: &Store, noticed: &Arc<Notify>) -> Result<Vec<Self>, TlsError> {
        let webhook = alerts.webhook.clone().map(|config| Webhook::new(config).map(Channel::Webhook));
        let over = |channel| Self { channel, store: store.clone(), noticed: Arc::clone(noticed) };
        webhook.into_iter().map(|channel| channel.map(over)).collect()
    }

    /// Runs for ever.
    pub async fn run(self) {
        let channel = self.channel.name();
        let mut failing = false;
        loop {
            match self.deliver().await {
                Ok(0) => {
                    // A new notice, or an old one's next attempt.
                    drop(tokio::time::timeout(LOOK, self.noticed.notified()).await);
                }
                Ok(_) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!(channel, "notices arrive again");
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(channel, %error, "notices do not arrive; trying again");
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Sends what is due, oldest first, up to the first failure.
    async fn deliver(&self) -> Result<usize, OutboundError> {
        let (channel, now) = (self.channel.name(), crate::os::now());
        let due = self.store.read(move |tx| tx.due_notices(channel, now, BATCH)).await?;
        let count = due.len();
        for row in due {
            let id = row.id;
            match self.channel.send(&row).await {
                Ok(()) => self.store.write(move |tx| tx.notice_sent(id)).await?,
                Err(error) => {
                    let doublings = u32::try_from(row.attempts).unwrap_or(u32::MAX).min(16);
                    let wait = FIRST_RETRY.saturating_mul(1 << doublings).min(LAST_RETRY);
                    let next = crate::os::now() + wait;
                    self.store.write(move |tx| tx.notice_failed(id, next)).await?;
                    return Err(error);
                }
            }
        }
        Ok(count)
    }
}

/// Why a notice is still here.
#[derive(Debug, thiserror::Error)]
enum OutboundError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the other end cannot be reached: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the other end answered {0}")]
    Status(u16),
    #[error("the secret cannot be used")]
    Secret,
    #[error("the notice cannot be written: {0}")]
    Body(#[from] serde_json::Error),
}
