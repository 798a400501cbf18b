//! Alerts on their way out: posted to the configured webhook until it has
//! taken them. They were committed with their event (G7) and survive a restart.
//! Whatever the other end does, nothing here waits for it.

use super::config::Webhook;
use super::store::{AlertRow, Store, StoreError};
use crate::tls::{self, TlsError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::SignedDuration;
use reqwest::redirect;
use sha2::Sha256;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long the other end may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts: so long at first, then twice as long each time.
const FIRST_RETRY: SignedDuration = SignedDuration::from_secs(1);
const LAST_RETRY: SignedDuration = SignedDuration::from_mins(10);
/// How often it is looked for alerts that are due.
const LOOK: Duration = Duration::from_secs(1);
const BATCH: u32 = 16;

/// What carries alerts to one webhook.
pub struct Outbound {
    webhook: Webhook,
    http: reqwest::Client,
    store: Store,
    alerted: Arc<Notify>,
}

impl Outbound {
    pub fn new(webhook: Webhook, store: Store, alerted: Arc<Notify>) -> Result<Self, TlsError> {
        tls::install_provider();
        let config = tls::client_config(webhook.ca.as_deref(), &[b"http/1.1"])?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .user_agent(concat!("dbaccess/", env!("CARGO_PKG_VERSION")))
            // What is told there is not for whoever it points to.
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .build()?;
        Ok(Self { webhook, http, store, alerted })
    }

    /// Runs for ever.
    pub async fn run(self) {
        let mut failing = false;
        loop {
            match self.deliver().await {
                Ok(0) => {
                    // A new alert, or an old one's next attempt.
                    drop(tokio::time::timeout(LOOK, self.alerted.notified()).await);
                }
                Ok(_) => {
                    if std::mem::take(&mut failing) {
                        tracing::info!("alerts reach their webhook again");
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(%error, "alerts do not reach their webhook; trying again");
                    }
                    tokio::time::sleep(LOOK).await;
                }
            }
        }
    }

    /// Posts what is due, oldest first, up to the first failure.
    async fn deliver(&self) -> Result<usize, OutboundError> {
        let now = crate::os::now();
        let due = self.store.read(move |tx| tx.due_alerts(now, BATCH)).await?;
        let count = due.len();
        for alert in due {
            let id = alert.id;
            match self.post(&alert).await {
                Ok(()) => self.store.write(move |tx| tx.alert_sent(id)).await?,
                Err(error) => {
                    let doublings = u32::try_from(alert.attempts).unwrap_or(u32::MAX).min(16);
                    let wait = FIRST_RETRY.saturating_mul(1 << doublings).min(LAST_RETRY);
                    let next = crate::os::now() + wait;
                    self.store.write(move |tx| tx.alert_failed(id, next)).await?;
                    return Err(error);
                }
            }
        }
        Ok(count)
    }

    async fn post(&self, alert: &AlertRow) -> Result<(), OutboundError> {
        let rest = alert.body.strip_prefix('{').unwrap_or(&alert.body);
        let body = format!("{{\"id\":{},\"at\":\"{}\",{rest}", alert.id, alert.at);
        let mut post = self.http.post(&self.webhook.url).header("content-type", "application/json");
        if let Some(secret) = &self.webhook.secret {
            let time = crate::os::now().as_second();
            post = post.header("dbaccess-signature", signature(secret.expose().as_bytes(), time, &body)?);
        }
        let status = post.body(body).send().await.map_err(reqwest::Error::without_url)?.status();
        if status.is_success() { Ok(()) } else { Err(OutboundError::Status(status.as_u16())) }
    }
}

/// Proves who posts, and when: HMAC-SHA256 over the time, a dot and the body.
fn signature(secret: &[u8], time: i64, body: &str) -> Result<String, OutboundError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| OutboundError::Secret)?;
    mac.update(format!("{time}.{body}").as_bytes());
    let mut text = format!("t={time},v1=");
    for byte in mac.finalize().into_bytes() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// Why an alert is still here.
#[derive(Debug, thiserror::Error)]
enum OutboundError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the webhook cannot be reached: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the webhook answered {0}")]
    Status(u16),
    #[error("the webhook's secret cannot be used")]
    Secret,
}
