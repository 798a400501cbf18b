//! Migrations: a script that travels with a request, as people review it and as
//! the gateway holds a session to it (R2.2).

use serde::{Deserialize, Serialize};

/// A script with what was found in it when it came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// The file's name, without a directory.
    pub name: String,
    /// To the byte. Empty in lists of requests, which would grow without bound.
    pub text: String,
    /// Of the text, in hex: what approvals are given for.
    pub sha256: String,
    /// 1, and one more with each amendment.
    pub revision: u32,
    pub statements: Vec<ScriptStatement>,
}

/// One statement of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptStatement {
    /// Where it stands in the text: bytes from and to.
    pub from: usize,
    pub to: usize,
    /// The lines of its code, counted from 1.
    pub line: usize,
    pub last_line: usize,
    /// As PostgreSQL's manual spells it.
    pub verb: String,
    /// The relations and types it changes.
    #[serde(default)]
    pub changes: Vec<String>,
    /// PostgreSQL refuses it in a transaction block.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// What comes after it needs it committed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends_transaction: bool,
    #[serde(default)]
    pub hazards: Vec<Hazard>,
}

/// What a reviewer should know of a statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hazard {
    pub kind: HazardKind,
    pub severity: Severity,
    /// What happens, and to what.
    pub why: String,
    /// The safer way, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

/// What a hazard is about. Programs tell hazards apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HazardKind {
    /// A lock that keeps others from reading and writing.
    BlocksReads,
    /// A lock that keeps others from writing.
    BlocksWrites,
    /// All rows are written anew.
    Rewrite,
    /// All rows are read, under a lock that others wait for.
    FullScan,
    /// An index is built while writes wait.
    IndexNotConcurrent,
    /// Rows or values are gone for good.
    DropsData,
    /// A name that programs may use leads nowhere any more.
    Renames,
    /// A classified column loses what masks it.
    Unmasks,
    /// Something else needs what is dropped.
    Dependent,
    /// All rows of a table are changed in one transaction.
    UnboundedChange,
    /// PostgreSQL takes it by itself only: it is not undone with the rest.
    NotInTransaction,
    /// Strong locks on several tables at once, or a lock that grows.
    LockOrder,
    /// A value that can be used only after a commit.
    NewEnumValue,
    /// What it names is not in the target.
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Note,
    /// Fine on a small or quiet table.
    Caution,
    /// Stops an application, or cannot be taken back.
    Danger,
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Caution => "caution",
            Self::Danger => "danger",
        }
    }
}

/// A script as a grant and an approval name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptRef {
    pub name: String,
    pub sha256: String,
}

impl Migration {
    /// The text of one of its statements.
    pub fn text_of(&self, statement: &ScriptStatement) -> &str {
        self.text.get(statement.from..statement.to).unwrap_or_default()
    }

    pub fn to_ref(&self) -> ScriptRef {
        ScriptRef { name: self.name.clone(), sha256: self.sha256.clone() }
    }
}
