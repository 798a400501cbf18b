//! Delegations: who may approve in whose name, in which roles, until when; and
//! absences, in which nobody is reminded of anything.

use super::{DelegationId, PersonRef, Role};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Whoever is away for longer has the roles given to somebody else.
pub const LONGEST_DELEGATION: Duration = Duration::from_secs(30 * 86_400);
/// Live ones that one person may have given.
pub const MOST_DELEGATIONS: usize = 20;

/// Lends one person's approver roles to another. It lends what the one could
/// do at the moment of a decision, never more: a role that was taken away
/// meanwhile is lent no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    pub id: DelegationId,
    /// Whose roles they are.
    pub from: PersonRef,
    /// Who may approve in them, too.
    pub to: PersonRef,
    pub roles: BTreeSet<Role>,
    /// Only for requests for these; for all where it is empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub targets: BTreeSet<String>,
    pub reason: String,
    pub at: Timestamp,
    /// It ends by itself.
    pub until: Timestamp,
    /// Who ended it before its time, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub by: PersonRef,
    pub at: Timestamp,
}

impl Delegation {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.at <= now && now < self.until
    }

    pub fn covers(&self, target: &str) -> bool {
        self.targets.is_empty() || self.targets.contains(target)
    }
}

/// While it lasts, a person is told of no request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    pub person: PersonRef,
    pub at: Timestamp,
    /// It ends by itself.
    pub until: Timestamp,
    /// Who approves meanwhile: it ends with the absence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation: Option<DelegationId>,
}

impl Absence {
    pub fn is_on(&self, now: Timestamp) -> bool {
        now < self.until
    }
}
