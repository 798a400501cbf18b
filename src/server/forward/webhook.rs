//! Batches as JSON, `{"lines":[…]}`, signed as all our posts are.

use super::ForwardError;
use crate::server::config;
use crate::server::journal::LedgerLine;
use crate::server::outbound::{http, signature};
use crate::tls::TlsError;

pub(super) struct Webhook {
    config: config::Webhook,
    http: reqwest::Client,
}

impl Webhook {
    pub fn new(config: config::Webhook) -> Result<Self, TlsError> {
        let http = http::client(config.ca.as_deref())?;
        Ok(Self { config, http })
    }

    pub async fn send(&self, lines: &[LedgerLine]) -> Result<(), ForwardError> {
        // Each is a JSON object already.
        let lines: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
        let body = format!("{{\"lines\":[{}]}}", lines.join(","));
        let mut post = self.http.post(&self.config.url).header("content-type", "application/json");
        if let Some(secret) = &self.config.secret {
            let time = crate::os::now().as_second();
            post = post.header("dbaccess-signature", signature(secret.expose().as_bytes(), time, &body)?);
        }
        http::send(post.body(body)).await?;
        Ok(())
    }
}
