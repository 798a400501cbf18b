//! A webhook of the company's own: the event as it is on the ledger, with the
//! notice and the links to its decision beside it, signed.

use super::{Links, OutboundError, http};
use crate::core::hex::hex;
use crate::server::config;
use crate::server::store::NoticeRow;
use crate::tls::TlsError;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use sha2::Sha256;

pub(super) const NAME: &str = "webhook";

pub(super) struct Webhook {
    config: config::Webhook,
    http: reqwest::Client,
    links: Links,
}

/// Where a person decides.
#[derive(Serialize)]
struct LinkFor<'n> {
    /// Nobody: whoever may decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'n str>,
    url: String,
}

impl Webhook {
    pub fn new(config: config::Webhook, links: Links) -> Result<Self, TlsError> {
        let http = http::client(config.ca.as_deref())?;
        Ok(Self { config, http, links })
    }

    pub async fn send(&self, row: &NoticeRow) -> Result<(), OutboundError> {
        let event = row.event.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        let notice = serde_json::to_string(&row.notice)?;
        let links = serde_json::to_string(&self.links_for(row).await?)?;
        let body = format!(
            "{{\"id\":{},\"at\":\"{}\",{event},\"notice\":{notice},\"links\":{links}}}",
            row.id, row.at
        );
        let mut post = self.http.post(&self.config.url).header("content-type", "application/json");
        if let Some(secret) = &self.config.secret {
            let time = crate::os::now().as_second();
            post = post.header("dbaccess-signature", signature(secret.expose().as_bytes(), time, &body)?);
        }
        http::send(post.body(body)).await.map(drop)
    }

    async fn links_for<'n>(&self, row: &'n NoticeRow) -> Result<Vec<LinkFor<'n>>, OutboundError> {
        let notice = &row.notice;
        let mut links = Vec::new();
        for person in &notice.to {
            if let Some(url) = self.links.of(notice, Some(&person.subject)).await? {
                links.push(LinkFor { to: Some(&person.email), url });
            }
        }
        if notice.to.is_empty()
            && let Some(url) = self.links.of(notice, None).await?
        {
            links.push(LinkFor { to: None, url });
        }
        Ok(links)
    }
}

/// Proves who posts, and when: HMAC-SHA256 over the time, a dot and the body.
pub(in crate::server) fn signature(secret: &[u8], time: i64, body: &str) -> Result<String, OutboundError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| OutboundError::Secret)?;
    mac.update(format!("{time}.{body}").as_bytes());
    Ok(format!("t={time},v1={}", hex(&mac.finalize().into_bytes())))
}
