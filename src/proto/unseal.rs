//! `/v1/unseals`: the originals of redacted statements, for two auditors.

use crate::core::model::{PersonRef, SessionId, Unseal, UnsealState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /v1/unseals`: a session, or statements.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskUnseal {
    /// An id or the beginning of one: all that is redacted of it until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Places of their intents in the ledger.
    #[serde(default)]
    pub statements: Vec<u64>,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnsealsQuery {
    /// Those too with which nothing can be done any more.
    #[serde(default)]
    pub all: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnsealView {
    #[serde(flatten)]
    pub unseal: Unseal,
    pub state: UnsealState,
}

/// `POST /v1/unseals/{id}/decide`: another auditor's word, or who asked withdraws it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideUnseal {
    pub approve: bool,
    #[serde(default)]
    pub comment: Option<String>,
}

/// `POST /v1/unseals/{id}/open`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenUnseal {
    /// Those behind this place alone, for paging.
    #[serde(default)]
    pub after: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Unsealed {
    pub unseal: UnsealView,
    pub statements: Vec<OpenedStatement>,
    /// Where to go on, as `after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A redacted statement, and what opens its original.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OpenedStatement {
    /// Position of the intent record in the ledger.
    pub seq: u64,
    pub at: Timestamp,
    pub person: PersonRef,
    pub target: String,
    pub session: SessionId,
    /// As the record shows it.
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<SealedPart>,
    /// Of the error that it ended in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<SealedPart>,
}

/// What the auditor's private key opens together with the server's share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SealedPart {
    pub sealed: String,
    /// In hex. It is a secret, and opens this part alone.
    pub share: String,
}
