//! The caller of a request, from its bearer token (RFC 6750 section 2.1).

use super::failure::Failure;
use crate::server::access::{Access, AccessError, Caller};
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use std::sync::Arc;

/// The bearer token as sent; not yet checked.
pub struct Bearer(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        token.map(Bearer).ok_or_else(|| Failure(AccessError::not_signed_in("no token was sent")))
    }
}

impl FromRequestParts<Arc<Access>> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, access: &Arc<Access>) -> Result<Self, Failure> {
        let Bearer(token) = Bearer::from_request_parts(parts, access).await?;
        Ok(access.authenticate(&token).await?)
    }
}
