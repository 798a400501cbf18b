//! `GET /v1/sessions/{id}/events`: the stream that holds a session.

use super::failure::Failure;
use super::routes::Id;
use crate::proto::SessionEvent;
use crate::server::access::{Access, Caller};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use std::convert::Infallible;
use std::sync::Arc;

/// Newline-delimited JSON, until the session's role is dead. Dropping the
/// response (the client is gone) lets go of the session.
pub async fn hold(
    State(access): State<Arc<Access>>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, Failure> {
    let events = access.hold(&caller, id).await?;
    let lines = events.map(|event| Ok::<_, Infallible>(line(&event)));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

fn line(event: &SessionEvent) -> Bytes {
    // The type has no map with other than string keys: this cannot fail.
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
