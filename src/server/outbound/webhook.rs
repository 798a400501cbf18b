//! A webhook of the company's own: the event as it is on the ledger, with the
//! notice beside it, signed.

use super::OutboundError;
use crate::server::config;
use crate::server::store::NoticeRow;
use crate::tls::{self, TlsError};
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::redirect;
use sha2::Sha256;
use std::fmt::Write as _;
use std::time::Duration;

pub(super) const NAME: &str = "webhook";
/// How long the other end may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Webhook {
    config: config::Webhook,
    http: reqwest::Client,
}

impl Webhook {
    pub fn new(config: config::Webhook) -> Result<Self, TlsError> {
        tls::install_provider();
        let tls = tls::client_config(config.ca.as_deref(), &[b"http/1.1"])?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("dbaccess/", env!("CARGO_PKG_VERSION")))
            // What is told there is not for whoever it points to.
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .build()?;
        Ok(Self { config, http })
    }

    pub async fn send(&self, row: &NoticeRow) -> Result<(), OutboundError> {
        let event = row.event.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        let notice = serde_json::to_string(&row.notice)?;
        let body = format!("{{\"id\":{},\"at\":\"{}\",{event},\"notice\":{notice}}}", row.id, row.at);
        let mut post = self.http.post(&self.config.url).header("content-type", "application/json");
        if let Some(secret) = &self.config.secret {
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
