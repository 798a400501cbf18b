//! dbaccess: safe production database access for developers.
//!
//! The map. Each wing stands on the floors below it and never imports upward;
//! `tests/it/meta` reads every `use crate::…` against this table.
//!
//! | wing | floor | what it decides or does |
//! |---|---|---|
//! | [`core`] | 0 | What is decided. Pure: no clock, socket, file or task. |
//! | [`wire`] | 0 | The PostgreSQL protocol: bytes to messages and back. |
//! | [`os`] | 0 | The two impure sources that decisions take as arguments: clock, randomness. |
//! | [`tls`] | 0 | TLS configurations and the HTTP client that every wing uses. |
//! | [`oidc`] | 1 | OpenID Connect as both ends speak it: HTTP, discovery, the token endpoint. |
//! | [`proto`] | 1 | Requests and responses of the HTTP API, shared by both ends. |
//! | [`server`] | 2 | What is done: control plane, gateway, provisioning, record. |
//! | [`cli`] | 2 | What a person types. A file per command. |
//! | [`demo`] | 3 | A scratch database, a development identity provider, the story. |

pub mod cli;
pub mod core;
pub mod demo;
pub mod oidc;
pub mod os;
pub mod proto;
pub mod server;
pub mod tls;
pub mod wire;
