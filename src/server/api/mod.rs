//! The HTTP API: decode → access → encode. No rule lives here; every route but
//! `about`, `login`, `renew` and health demands a signed-in caller.

mod auth;
mod events;
mod failure;
mod recordings;
mod reports;
mod routes;
mod tunnel;

pub use routes::{Route, Who, metrics_router, router, routes};
pub use tunnel::TunnelSink;
