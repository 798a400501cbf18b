//! Signing in at a page: off to the identity provider, and back.

use super::{cookies, failure::Failure};
use crate::core::model::ErrorKind;
use crate::server::access::{Access, AccessError};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use std::sync::Arc;

/// Only for a link that is good: this server sends nobody anywhere otherwise.
pub(super) async fn begin(
    State(access): State<Arc<Access>>,
    token: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(token) = token.map_err(|_| crate::core::link::LinkError::Forged)?;
    access.open_link(&token)?;
    let (url, sealed) = access.begin_browser_sign_in(token).await?;
    let mut response = see_other(&url)?;
    cookies::keep_under_way(response.headers_mut(), &sealed);
    Ok(response)
}

/// What a provider sends a browser back with (RFC 6749 section 4.1.2, RFC 9207).
#[derive(Deserialize)]
pub(super) struct Back {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

pub(super) async fn finish(
    State(access): State<Arc<Access>>,
    headers: HeaderMap,
    back: Result<Query<Back>, QueryRejection>,
) -> Result<Response, Failure> {
    let unreadable = |_| AccessError::usage("the identity provider sent this browser back with nonsense");
    let Query(back) = back.map_err(unreadable)?;
    if back.error.is_some() {
        let message = "the identity provider did not sign you in";
        return Err(AccessError::new(ErrorKind::NotSignedIn, message)
            .hint("open the link of the notice once more")
            .into());
    }
    let kept = cookies::under_way(&headers).unwrap_or_default();
    let (Some(state), Some(code)) = (back.state, back.code) else {
        return Err(AccessError::usage("the identity provider sent this browser back without a code").into());
    };
    if !access.is_issuer(back.iss.as_deref()) {
        return Err(AccessError::new(ErrorKind::NotSignedIn, "another identity provider answered").into());
    }
    let (session, link) = access.finish_browser_sign_in(&kept, &state, code).await?;
    let mut response = see_other(&format!("{}/decide/{link}", access.public_url()))?;
    cookies::keep_session(response.headers_mut(), &session);
    Ok(response)
}

pub(super) fn see_other(url: &str) -> Result<Response, Failure> {
    let location = HeaderValue::from_str(url).map_err(|error| AccessError::internal(error.to_string()))?;
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}
