//! `POST /v1/reports`: a bundle of evidence.

use super::failure::Failure;
use super::recordings::stream;
use super::routes::Body;
use crate::proto::MakeReport;
use crate::server::access::{Access, Caller};
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

pub async fn make(
    State(access): State<Arc<Access>>,
    caller: Caller,
    Body(asked): Body<MakeReport>,
) -> Result<Response, Failure> {
    let (file, length) = access.report(&caller, asked).await?;
    let headers = [(CONTENT_TYPE, "application/zip".to_owned()), (CONTENT_LENGTH, length.to_string())];
    Ok((headers, stream(file, length)).into_response())
}
