//! Whether sessions ran the script that was approved, statement by statement (R5.2).

use super::{ScriptRef, SessionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A script against what sessions did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptComparison {
    pub script: ScriptRef,
    /// The sessions that were looked at, oldest first.
    pub sessions: Vec<SessionId>,
    /// The script's statements, in its order.
    pub statements: Vec<Compared>,
    /// What was run besides, in the order it was run.
    pub others: Vec<OtherStatement>,
    /// Every statement took effect once and in order, and nothing else changed anything.
    /// False where values could not be compared.
    pub same: bool,
    /// So many runs are of redacted texts: alike, but for values that nobody saw here.
    #[serde(default)]
    pub without_values: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compared {
    /// Counted from 1.
    pub number: usize,
    /// Its line in the script.
    pub line: usize,
    pub text: String,
    pub state: RunState,
    /// It took effect after one that comes later in the script.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub out_of_order: bool,
    /// Each time it was tried.
    pub runs: Vec<Run>,
}

/// One time that a statement was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    pub session: SessionId,
    /// Of its intent record in the ledger.
    pub seq: u64,
    pub at: Timestamp,
    pub state: RunState,
    /// The database's or the gateway's words, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A statement that is not in the script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherStatement {
    pub text: String,
    pub run: Run,
    /// It may have changed something.
    pub differs: bool,
}

/// What became of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It took effect: committed.
    Ran,
    /// It took effect more than once.
    RanTwice,
    /// Its transaction is still open.
    Open,
    /// It ran, and its transaction was rolled back.
    RolledBack,
    Failed,
    /// The gateway refused it.
    Refused,
    NotRun,
    /// The connection broke before the database answered.
    Unknown,
}

impl RunState {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ran => "ran",
            Self::RanTwice => "ran twice",
            Self::Open => "not committed yet",
            Self::RolledBack => "rolled back",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::NotRun => "not run",
            Self::Unknown => "not known",
        }
    }
}
