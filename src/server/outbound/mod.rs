//! Notices on their way out, a queue for each channel: what the other end has
//! not taken is tried again until it has, what is urgent first, else in order. They were committed with
//! their event (G7) and survive a restart. Whatever the other end does, nothing
//! here waits for it, and no channel waits for another.
//!
//! ```text
//! decision ─ one transaction ─► event, notice rows ─► queue of a channel ─► webhook | Slack | mail | PagerDuty
//!                                                      │ cannot be reached, busy, refuses us: all wait, in order
//!                                                      └ refuses this one: others go on; given up after some tries
//! ```

pub(in crate::server) mod http;
mod links;
mod mail;
mod pagerduty;
mod route;
pub mod slack;
mod webhook;

#[cfg(test)]
mod tests;

pub use links::Links;
pub use route::Route;
pub(in crate::server) use webhook::signature;

use super::config::{self, Alerts};
use super::outbox::Outbox;
use super::store::{NoticeRow, Store, StoreError};
use crate::core::model::Event;
use crate::tls::TlsError;
use jiff::{SignedDuration, Timestamp};
use mail::Mail;
use pagerduty::PagerDuty;
use slack::Slack;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use webhook::Webhook;

/// Between two attempts: so long at first, then twice as long each time.
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(1);
const LAST_RETRY: SignedDuration = SignedDuration::from_mins(10);
/// So often may a notice be refused for what it is; then it is given up.
const MOST_REFUSALS: i64 = 8;
/// How often it is looked for notices that are due.
const LOOK: Duration = Duration::from_secs(1);
const BATCH: u32 = 16;

/// One way in which people are told.
enum Channel {
    Webhook(Webhook),
    Slack(Box<Slack>),
    Mail(Box<Mail>),
    PagerDuty(Box<PagerDuty>),
}

impl Channel {
    fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => webhook::NAME,
            Self::Slack(_) => slack::NAME,
            Self::Mail(_) => mail::NAME,
            Self::PagerDuty(_) => pagerduty::NAME,
        }
    }

    async fn send(&self, row: &NoticeRow) -> Result<(), OutboundError> {
        match self {
            Self::Webhook(webhook) => webhook.send(row).await,
            Self::Slack(slack) => slack.send(row).await,
            Self::Mail(mail) => mail.send(row).await,
            Self::PagerDuty(pagerduty) => pagerduty.send(row).await,
        }
    }
}

/// What carries notices to one channel.
pub struct Outbound {
    channel: Channel,
    store: Store,
    outbox: Outbox,
    noticed: Arc<Notify>,
}

impl Outbound {
    /// One for each channel that is configured.
    pub fn all(
        alerts: &Alerts,
        notify: &config::Notify,
        links: &Links,
        outbox: &Outbox,
        noticed: &Arc<Notify>,
    ) -> Result<Vec<Self>, TlsError> {
        let mut channels = Vec::new();
        if let Some(webhook) = alerts.webhook.clone() {
            channels.push(Channel::Webhook(Webhook::new(webhook, links.clone())?));
        }
        if let Some(slack) = notify.slack.clone() {
            channels.push(Channel::Slack(Box::new(Slack::new(slack, links.clone())?)));
        }
        if let Some(mail) = notify.mail.clone() {
            channels.push(Channel::Mail(Box::new(Mail::new(mail, links.clone())?)));
        }
        if let Some(pagerduty) = notify.pagerduty.clone() {
            channels.push(Channel::PagerDuty(Box::new(PagerDuty::new(pagerduty, links.public_url.clone())?)));
        }
        let over = |channel| Self {
            channel,
            store: links.store.clone(),
            outbox: outbox.clone(),
            noticed: Arc::clone(noticed),
        };
        Ok(channels.into_iter().map(over).collect())
    }

    /// Runs for ever.
    pub async fn run(self) {
        let channel = self.channel.name();
        let mut failing = false;
        loop {
            match self.deliver(crate::os::now()).await {
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

    /// Sends what is due, what goes first before the others, oldest first, up to the first that the channel is not
    /// ready for. One that is refused for what it is lets the others pass.
    /// Returns how many arrived.
    async fn deliver(&self, now: Timestamp) -> Result<usize, OutboundError> {
        let channel = self.channel.name();
        let queue = self.store.read(move |tx| tx.queued_notices(channel, now, BATCH)).await?;
        let mut arrived = 0;
        for row in queue {
            if now < row.next_at {
                break;
            }
            let id = row.id;
            match self.channel.send(&row).await {
                Ok(()) => {
                    self.store.write(move |tx| tx.notice_sent(id)).await?;
                    arrived += 1;
                }
                Err(OutboundError::Refused(why)) if row.refusals + 1 >= MOST_REFUSALS => {
                    self.give_up(row, why, now).await?;
                }
                Err(error) => {
                    let refused = matches!(error, OutboundError::Refused(_));
                    let next = now + wait(row.attempts, &error);
                    self.store.write(move |tx| tx.notice_failed(id, next, refused)).await?;
                    if !refused {
                        return Err(error);
                    }
                    tracing::warn!(channel, id, %error, "a notice is refused; trying again");
                }
            }
        }
        Ok(arrived)
    }

    async fn give_up(&self, row: NoticeRow, why: String, now: Timestamp) -> Result<(), OutboundError> {
        let NoticeRow { id, notice, recipient, .. } = row;
        let channel = self.channel.name();
        tracing::error!(channel, id, kind = ?notice.kind, %why, "a notice is given up: it was refused too often");
        let event = Event::NoticeGivenUp {
            channel: channel.to_owned(),
            notice: notice.kind,
            title: notice.title,
            to: recipient.map(|to| to.address),
            why,
        };
        self.store
            .write(move |tx| {
                tx.record(now, &event)?;
                tx.notice_sent(id)
            })
            .await?;
        self.outbox.wake();
        Ok(())
    }
}

/// How long until the next attempt, after so many that failed.
fn wait(attempts: i64, error: &OutboundError) -> SignedDuration {
    let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(16);
    let wait = FIRST_RETRY.saturating_mul(1 << doublings);
    let asked = match error {
        OutboundError::TooMany(Some(pause)) => SignedDuration::try_from(*pause).unwrap_or(LAST_RETRY),
        _ => SignedDuration::ZERO,
    };
    wait.max(asked).min(LAST_RETRY)
}

/// Why a notice is still here.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the other end cannot be reached: {0}")]
    Http(reqwest::Error),
    #[error("the other end answered {0}")]
    Status(u16),
    #[error("the other end is told too much at a time")]
    TooMany(Option<Duration>),
    /// This message, as it is: the same again is of little use.
    #[error("the other end refuses the message: {0}")]
    Refused(String),
    /// What we are there, or what we may: any message.
    #[error("the other end refuses us: {0}")]
    NotUs(String),
    #[error("the other end's answer is none that it should give")]
    Answer,
    #[error("the mail server: {0}")]
    Mail(String),
    #[error("the secret cannot be used")]
    Secret,
    #[error("the notice cannot be written: {0}")]
    Body(#[from] serde_json::Error),
}
