//! Why a use-case was refused, in words that a person can act on.

use crate::core::model::{ErrorKind, IdKind, ScopeError};
use crate::server::identity::IdentityError;
use crate::server::journal::JournalError;
use crate::server::outbox::OutboxError;
use crate::server::provision::ProvisionError;
use crate::server::store::StoreError;

/// What happened, what kind of failure it is, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AccessError {
    pub kind: ErrorKind,
    pub message: String,
    pub hint: Option<String>,
}

impl AccessError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    pub fn not_signed_in(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotSignedIn, message).hint("run `dbaccess login`")
    }
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        let refusal = Self::new(error.kind(), error.to_string());
        match error {
            StoreError::NoSuch { kind, prefix } => match IdKind::of(&prefix) {
                IdKind::Bare(name) => {
                    Self::usage(format!("`{prefix}` is how the id of every {name} begins: write more of it"))
                        .hint(listed(kind))
                }
                IdKind::Of(name) if !kind.contains(name) => Self::not_found(format!(
                    "{prefix} is the id of a {name}, and what is asked for is a {kind}"
                ))
                .hint(listed(kind)),
                _ => refusal.hint(listed(kind)),
            },
            StoreError::Ambiguous { kind, .. } => refusal.hint(format!("write more of it; {}", listed(kind))),
            _ => refusal,
        }
    }
}

/// What lists the ids of a kind.
fn listed(kind: &str) -> &'static str {
    match kind {
        "request" => {
            "`dbaccess requests --all` lists what you may see, `dbaccess whoami` the roles that you have now"
        }
        "session" => "`dbaccess sessions --all` lists what you may see",
        "review" => "`dbaccess review list --all` lists what you may see",
        "campaign" => "`dbaccess review campaign list --all` lists what you may see",
        "delegation" => "`dbaccess delegate --list` lists them",
        "hold" => "`dbaccess hold list --all` lists them",
        "unsealing" => "`dbaccess audit unseal list --all` lists them",
        _ => "`dbaccess sessions --all` and `dbaccess requests --all` list them",
    }
}

impl From<ScopeError> for AccessError {
    fn from(error: ScopeError) -> Self {
        Self::new(error.kind(), error.to_string()).hint("`dbaccess targets TARGET` lists tables and columns")
    }
}

impl From<ProvisionError> for AccessError {
    fn from(error: ProvisionError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<IdentityError> for AccessError {
    fn from(error: IdentityError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<JournalError> for AccessError {
    fn from(error: JournalError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<OutboxError> for AccessError {
    fn from(error: OutboxError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
