//! The HTTP API: decode → access → encode. No rule lives here; every route but
//! `about`, `login`, `renew`, health and metrics demands a signed-in caller.

mod auth;
mod events;
mod failure;
mod routes;
mod tunnel;

pub use routes::router;
pub use tunnel::TunnelSink;
