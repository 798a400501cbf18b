//! What the tests share: the real parts they run against.

pub mod pg_server;
