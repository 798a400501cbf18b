//! HTTP as all channels speak it: bounded answers, no redirects, and statuses
//! told apart by whether another attempt can help.

use super::OutboundError;
use crate::tls::{self, TlsError};
use reqwest::{RequestBuilder, StatusCode, header, redirect};
use std::path::Path;
use std::time::Duration;

/// How long the other end may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// More than this is not read of an answer.
const LARGEST_ANSWER: usize = 256 * 1024;
/// Of a text of the other end's, for our log.
const MOST_WORDS: usize = 200;

pub(in crate::server) fn client(ca: Option<&Path>) -> Result<reqwest::Client, TlsError> {
    tls::install_provider();
    let tls = tls::client_config(ca, &[b"http/1.1"])?;
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("dbaccess/", env!("CARGO_PKG_VERSION")))
        // What is told there is not for whoever it points to.
        .redirect(redirect::Policy::none())
        .timeout(PATIENCE)
        .build()?)
}

/// Sends, and returns the body of a success.
pub(in crate::server) async fn send(request: RequestBuilder) -> Result<Vec<u8>, OutboundError> {
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let pause =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(OutboundError::Answer);
        }
        body.extend_from_slice(&chunk);
    }
    match status {
        status if status.is_success() => Ok(body),
        StatusCode::TOO_MANY_REQUESTS => Err(OutboundError::TooMany(pause.map(Duration::from_secs))),
        // Another login, another time: not this message's fault.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::REQUEST_TIMEOUT => {
            Err(OutboundError::Status(status.as_u16()))
        }
        status if status.is_client_error() => {
            Err(OutboundError::Refused(format!("{} {}", status.as_u16(), words(&body))))
        }
        status => Err(OutboundError::Status(status.as_u16())),
    }
}

fn unreachable(error: reqwest::Error) -> OutboundError {
    OutboundError::Http(error.without_url())
}

/// A text of somebody else's as one short line.
pub(super) fn words(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_WORDS).collect();
    line.trim().to_owned()
}
