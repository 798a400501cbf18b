//! Statement records: the two lines that the ledger holds for each statement.

use super::{ConnectionId, GrantId, PersonRef, SessionId, StatementResult};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The body of a statement's ledger record. The intent is written before the
/// statement goes upstream (G1); the outcome names it by its ledger position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum StatementRecord<'a> {
    #[serde(rename = "statement.intent")]
    Intent {
        session: Cow<'a, SessionId>,
        grant: Cow<'a, GrantId>,
        connection: Cow<'a, ConnectionId>,
        person: Cow<'a, PersonRef>,
        target: Cow<'a, str>,
        text: Cow<'a, str>,
        /// Bound values (extended protocol): text as sent, binary as `\x` and hex.
        #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
        parameters: Cow<'a, [Option<String>]>,
        /// SHA-256 in hex of parameters too large to hold, in place of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parameters_sha256: Option<Cow<'a, str>>,
        /// The statement's class, as the gateway's grammar sees it: `select`, `update`, …
        class: Cow<'a, str>,
    },
    #[serde(rename = "statement.outcome")]
    Outcome {
        /// Ledger position of the intent.
        intent: u64,
        session: Cow<'a, SessionId>,
        result: StatementResult,
        rows: u64,
        bytes: u64,
        duration_us: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        export: Option<Export>,
    },
}

/// What left the database as COPY data: of the file that a client made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Of the data, in hex.
    pub sha256: String,
    pub bytes: u64,
    pub rows: u64,
}
