//! `GET /v1/recordings/{id}/file`: the file itself, in pieces of a bounded size.

use super::failure::Failure;
use super::routes::Id;
use crate::server::access::{Access, Caller};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::fs::File;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;

const PIECE: usize = 256 << 10;

/// As much as there was when it was asked for.
pub async fn file(
    State(access): State<Arc<Access>>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, Failure> {
    let (file, length) = access.recording_file(&caller, &id).await?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], stream(file, length)).into_response())
}

/// A file's next `length` bytes, in pieces.
pub(super) fn stream(file: File, length: u64) -> Body {
    let rest = tokio::fs::File::from_std(file).take(length);
    let pieces = futures_util::stream::try_unfold(rest, async |mut rest| {
        let mut piece = vec![0; PIECE];
        let n = rest.read(&mut piece).await?;
        piece.truncate(n);
        Ok::<_, std::io::Error>((n > 0).then(|| (Bytes::from(piece), rest)))
    });
    Body::from_stream(pieces)
}
