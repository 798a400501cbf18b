//! What goes wrong, as a page.

use super::pages;
use crate::core::link::LinkError;
use crate::core::model::ErrorKind;
use crate::server::access::AccessError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

pub(super) struct Failure(pub AccessError);

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        Self(error)
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        let refusal = AccessError::new(error.kind(), error.to_string());
        Self(match error {
            LinkError::Forged => refusal.hint("copy it whole from the notice, or run `dbaccess requests`"),
            LinkError::Expired(_) => refusal.hint("whoever asked can ask again: `dbaccess request`"),
            LinkError::Foreign => refusal
                .hint("open the one that was sent to you, or run `dbaccess requests` to see what is yours"),
        })
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let AccessError { kind, message, hint } = self.0;
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if kind == ErrorKind::Internal {
            tracing::error!(%message, "a page failed");
            let hint = Some("tell the people who run dbaccess");
            return pages::problem(status, "the server could not do this; its log says why", hint);
        }
        pages::problem(status, &message, hint.as_deref())
    }
}
