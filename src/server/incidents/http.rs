//! Questions to one incident system, and what is done about its troubles.

use crate::server::config::IncidentApi;
use crate::tls::{self, TlsError};
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{StatusCode, redirect};
use serde::de::DeserializeOwned;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(3);
const LARGEST: usize = 1 << 20;
/// A system that says to slow down for no longer than this is waited for.
const SHORT_WAIT: Duration = Duration::from_secs(1);
/// How long it is left alone where it does not say for how long, and at most.
const USUAL_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Why a system has not answered.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error(
        "it does not accept the token (status {0}): see the incident systems' chapter of docs/operating.md"
    )]
    Refused(u16),
    #[error("it says that it is asked too often; it is asked again in {0} s")]
    Slow(u64),
    #[error("it answered with status {0}")]
    Status(u16),
    /// What it said is not what its documentation says.
    #[error("{0}")]
    Odd(String),
}

/// The client of one system.
pub struct Http {
    client: reqwest::Client,
    url: String,
    authorization: HeaderValue,
    /// Not to be asked before.
    rest: Mutex<Option<Instant>>,
}

impl Http {
    pub fn new(config: &IncidentApi, scheme: &str) -> Result<Self, TlsError> {
        tls::install_provider();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(config.ca.as_deref(), &[b"http/1.1"])?)
            .user_agent(concat!("dbaccess/", env!("CARGO_PKG_VERSION")))
            // The token is not for whoever it points to.
            .redirect(redirect::Policy::none())
            .connect_timeout(ANSWER)
            .timeout(ANSWER)
            .build()?;
        // A token that no header can hold is refused by the system as an empty one.
        let text = zeroize::Zeroizing::new(format!("{scheme}{}", config.token.expose()));
        let mut authorization = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        authorization.set_sensitive(true);
        Ok(Self { client, url: config.url.clone(), authorization, rest: Mutex::default() })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// `GET path?query`; `None` where there is no such thing. Asked once more
    /// where the system is busy for a moment.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        accept: &'static str,
    ) -> Result<Option<T>, Trouble> {
        match self.try_get(path, query, accept).await {
            Err(Trouble::Slow(_)) if self.rests_for() <= SHORT_WAIT => {
                tokio::time::sleep(self.rests_for()).await;
                self.try_get(path, query, accept).await
            }
            other => other,
        }
    }

    async fn try_get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        accept: &'static str,
    ) -> Result<Option<T>, Trouble> {
        let rest = self.rests_for();
        if !rest.is_zero() {
            return Err(Trouble::Slow(rest.as_secs() + 1));
        }
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.url))
            .map_err(|error| Trouble::Unreachable(error.to_string()))?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let asked = self
            .client
            .get(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, HeaderValue::from_static(accept));
        let mut response = asked.send().await.map_err(unreachable)?;
        match response.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::TOO_MANY_REQUESTS => {
                let wait = wait_of(response.headers());
                *self.rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + wait);
                return Err(Trouble::Slow(wait.as_secs().max(1)));
            }
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(Trouble::Refused(status.as_u16()));
            }
            status if !status.is_success() => return Err(Trouble::Status(status.as_u16())),
            _ => {}
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > LARGEST {
                return Err(Trouble::Odd("its answer is larger than a megabyte".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        let read = serde_json::from_slice(&body);
        read.map(Some).map_err(|error| Trouble::Odd(format!("its answer cannot be read: {error}")))
    }

    fn rests_for(&self) -> Duration {
        let rest = *self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        rest.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }
}

/// `Retry-After` in seconds (RFC 9110, 10.2.3), or PagerDuty's `ratelimit-reset`.
fn wait_of(headers: &HeaderMap) -> Duration {
    let seconds = |name: &HeaderName| headers.get(name)?.to_str().ok()?.trim().parse().ok();
    let told = seconds(&RETRY_AFTER).or_else(|| seconds(&HeaderName::from_static("ratelimit-reset")));
    told.map_or(USUAL_WAIT, Duration::from_secs).clamp(Duration::from_millis(100), LONGEST_WAIT)
}

/// Without the URL, which a log would keep.
fn unreachable(error: reqwest::Error) -> Trouble {
    let what =
        if error.is_timeout() { Some(format!("no answer within {} s", ANSWER.as_secs())) } else { None };
    Trouble::Unreachable(what.unwrap_or_else(|| chain(&error.without_url())))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(&format!(": {error}"));
        next = error.source();
    }
    text
}
