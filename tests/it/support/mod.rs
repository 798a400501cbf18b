//! What the tests share: the real parts they run against.

pub mod api;
pub mod env;
pub mod film;
pub mod held;
pub mod incidents;
pub mod masked;
pub mod pg_server;
pub mod pki;
pub mod port;
pub mod providers;
pub mod pty;
pub mod raw_pg;
pub mod session;
pub mod slack;
pub mod smtp;
pub mod tools;
pub mod visitor;
pub mod wire;
