//! Legal holds, and what retention has taken out.

use super::{HoldId, IncidentId, PersonRef, SessionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// While it lasts, retention takes out nothing that it covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    pub id: HoldId,
    pub covers: Covered,
    /// Who the person that is named was when it was placed: an address may change
    /// hands, and people change theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    pub reason: String,
    pub by: PersonRef,
    pub at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<Released>,
}

/// Sessions, by what they were. All that is said must fit; where nothing is
/// said, every session is covered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covered {
    /// Of this person, by e-mail address or subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// That lived in this time, if only in a part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Who ended a hold, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    pub by: PersonRef,
    pub at: Timestamp,
    pub reason: String,
}

/// When something of a session was taken out, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedBy {
    pub at: Timestamp,
    pub rule: String,
}

impl PrunedBy {
    /// Of what is not there any more.
    pub fn said(&self, what: &str) -> String {
        format!("{what} were pruned on {}, by the rule {}", self.at.strftime("%Y-%m-%d"), self.rule)
    }
}
