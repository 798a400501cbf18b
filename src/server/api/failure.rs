//! A refusal as an HTTP answer.

use crate::core::model::ErrorKind;
use crate::proto::ErrorBody;
use crate::server::access::AccessError;
use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// What every handler fails with.
pub struct Failure(pub AccessError);

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let AccessError { kind, message, hint } = self.0;
        let status = StatusCode::from_u16(kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // What went wrong inside is for the log; a client cannot act on it.
        let body = if kind == ErrorKind::Internal {
            tracing::error!(%message, "a request failed");
            ErrorBody {
                kind,
                message: "the server could not do this; its log says why".to_owned(),
                hint: Some("tell the people who run dbaccess".to_owned()),
            }
        } else {
            ErrorBody { kind, message, hint }
        };
        let mut response = (status, Json(body)).into_response();
        if kind == ErrorKind::NotSignedIn {
            // RFC 6750 section 3.
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
