//! Grants: what an approved request allows, to whom, from when until when.

use super::{GrantId, Limits, Path, PersonRef, RequestId, Scope, ScriptRef};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    pub id: GrantId,
    pub request: RequestId,
    pub person: PersonRef,
    pub target: String,
    pub scope: Scope,
    pub path: Path,
    /// Of the rule that let it be granted.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// The reviewed script that its sessions may run, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ScriptRef>,
    pub from: Timestamp,
    /// The end of the window: no session outlives it.
    pub until: Timestamp,
    pub revoked: Option<Revoked>,
}

/// Who ended a grant before its time, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    pub by: PersonRef,
    pub at: Timestamp,
    pub reason: Option<String>,
}

/// What a grant is worth at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Active,
    Revoked,
    /// Its window has ended.
    Expired,
}

impl Standing {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

impl Grant {
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self.revoked {
            Some(_) => Standing::Revoked,
            None if now < self.until => Standing::Active,
            None => Standing::Expired,
        }
    }

    /// Whether sessions may be opened under this grant at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.from <= now && self.standing(now) == Standing::Active
    }

    /// Whether its sessions are recorded with the rows that they see: where the
    /// rule says so, and always where people look only afterwards or the schema
    /// changes (R8.4).
    pub fn is_recorded(&self) -> bool {
        self.limits.recording || matches!(self.path, Path::BreakGlass | Path::Migration)
    }
}
