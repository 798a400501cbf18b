//! `GET /v1/audit` and `GET /v1/audit/counts`: who did what, by any of it.

use crate::core::model::{
    Environment, Export, GrantId, PersonRef, PrunedBy, ResultShape, Sensitivity, SessionId, StatementResult,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which statements are asked for: those that fit all that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// An id or the beginning of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// An id or the beginning of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
    /// An e-mail address or a subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Of the person when access was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Of the target when access was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// As in `PD-Q1ABC`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// `schema.table` or `table`, read or written. A statement that names a table
    /// without its schema fits every schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<TouchedKind>,
    /// As PostgreSQL's manual spells it, in any case: `delete`, `copy to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// Data that left as COPY, and results of at least so many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<u64>,
    /// At least so many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultKind>,
    /// A part of the statement's text; ASCII letters in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Up to then, not including it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only records before this ledger position, for paging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
    /// Only what began or ended after this ledger position, oldest first, as it
    /// ended: for following. One beyond the newest is the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// What to count by; for `/v1/audit/counts` alone, and needed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<CountBy>,
}

/// Of which kind the classified columns are that a statement named and saw unmasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TouchedKind {
    Pii,
    Financial,
    Health,
    Secret,
    /// Any of them.
    Any,
    /// What the grant showed is not on record.
    Unknown,
}

/// How a statement ended, for searches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResultKind {
    Ok,
    /// The database answered with an error.
    Failed,
    /// The gateway let it not pass.
    Refused,
    /// The gateway stopped it in its result.
    Cut,
    Skipped,
    /// The connection ended before the answer.
    Unknown,
    Running,
    /// It went to the database, however it ended: neither refused nor skipped.
    Ran,
}

/// What statements are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CountBy {
    Person,
    Team,
    Target,
    Environment,
    Table,
    Sensitivity,
    Verb,
    Export,
    Grant,
    Session,
    Incident,
    Result,
    Day,
}

/// A page of statements, newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditPage {
    pub statements: Vec<AuditRow>,
    /// Where to go on, as `before`: there are more, or there was no time to look
    /// at all of them. None when everything was looked at. Where `after` was asked
    /// for, where to go on as `after`; always there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// Where one session was asked for: that retention has taken its recording out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_pruned: Option<PrunedBy>,
}

/// One statement of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditRow {
    /// Position of the intent record in the ledger.
    pub seq: u64,
    pub at: Timestamp,
    pub person: PersonRef,
    pub target: String,
    pub session: SessionId,
    pub grant: GrantId,
    pub connection: String,
    pub text: String,
    pub parameters: Vec<Option<String>>,
    /// What the grammar found in it: `verbs`, `reads`, `writes`, `columns`,
    /// `functions`, `export`. `None` where the text could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<serde_json::Value>,
    /// Of which kinds the classified columns are that it named and saw unmasked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitivity: Vec<Sensitivity>,
    /// `None` while it runs.
    pub result: Option<StatementResult>,
    pub rows: u64,
    pub bytes: u64,
    pub duration_us: Option<u64>,
    /// The columns of its result; `None` where it has no rows, or nobody was told of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<ResultShape>,
    /// Of the data that an export took out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Export>,
    /// The text is without its values, which `audit unseal` shows.
    #[serde(default)]
    pub text_sealed: bool,
    /// So is the message of the error that it ended in.
    #[serde(default)]
    pub message_sealed: bool,
    /// Whether the session's recording holds what it returned.
    #[serde(default)]
    pub recorded: bool,
}

impl AuditRow {
    /// The names in one list of the facts.
    pub fn names(&self, list: &str) -> impl Iterator<Item = &str> {
        let names = self.facts.as_ref().and_then(|facts| facts.get(list)?.as_array());
        names.into_iter().flatten().filter_map(|name| name.as_str())
    }

    /// Whether it failed, was refused, or was cut.
    pub fn failed(&self) -> bool {
        matches!(
            self.result,
            Some(
                StatementResult::Error { .. } | StatementResult::Refused { .. } | StatementResult::Cut { .. }
            )
        )
    }
}

/// Statements by something, most first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditCounts {
    pub counts: Vec<AuditCount>,
    /// How many lines were left out at the end.
    pub left_out: u64,
}

/// A statement that fits several keys is counted with each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditCount {
    pub key: String,
    pub statements: u64,
    /// Those of them that never reached the database.
    pub refused: u64,
    pub rows: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}
