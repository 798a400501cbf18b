//! The server's configuration: raw TOML in, checked values out.

use crate::core::model::Secret;
use std::path::PathBuf;

/// How the server reaches one target, as its own restricted login.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub host: String,
    pub port: u16,
    pub database: String,
    /// The control plane's login, which may only call the definer functions
    /// (or an administrator's, in trials).
    pub user: String,
    pub password: Option<Secret>,
    pub tls: UpstreamTls,
    /// Objects that a write session leaves behind are given to this role.
    pub object_owner: Option<String>,
}

/// Whether the connection to a target is encrypted. There is no `prefer`:
/// a downgrade must be somebody's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpstreamTls {
    /// Plain text: for a loopback or an already encrypted network.
    Off,
    /// Encrypted, certificate and host name verified.
    Verify { ca: Option<PathBuf> },
}
