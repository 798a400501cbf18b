//! The pages that links in notices lead to, and what Slack tells us. A page is
//! made here, whole, without scripts: it asks people to sign in, shows one
//! request, and takes one decision. What is decided, and by whom it may be, is
//! `access`'s business, exactly as for the command line.
//!
//! ```text
//! GET /decide/TOKEN            the request, or how to sign in; decides nothing
//! GET /decide/TOKEN/sign-in    ─► identity provider ─► GET /oidc/callback ─► /decide/TOKEN
//! POST /decide/TOKEN           the decision, from the form that was shown
//! POST /slack/interactive      a button in Slack
//! ```

mod cookies;
mod decide;
mod failure;
mod pages;
mod sign_in;
mod slack;

use crate::server::access::Access;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use std::sync::Arc;

/// Where the identity provider sends browsers back to.
pub const CALLBACK: &str = "/oidc/callback";
/// No form of ours, and nothing that Slack sends of a button, is near this size, in bytes.
const LARGEST_BODY: usize = 64 * 1024;

pub fn router(access: Arc<Access>) -> Router {
    Router::new()
        .route("/decide/{token}", get(decide::show).post(decide::decide))
        .route("/decide/{token}/sign-in", get(sign_in::begin))
        .route(CALLBACK, get(sign_in::finish))
        .route("/slack/interactive", post(slack::interactive))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(access)
}
