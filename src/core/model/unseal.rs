//! What two auditors decide about the originals of redacted statements.

use super::{PersonRef, SessionId, UnsealId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Asked for by one auditor, decided by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unseal {
    pub id: UnsealId,
    pub by: PersonRef,
    pub asked_at: Timestamp,
    pub reason: String,
    /// Positions of the statements' intents in the ledger, in their order.
    pub statements: Vec<u64>,
    /// Of these sessions.
    pub sessions: Vec<SessionId>,
    /// Whose statements they are.
    pub people: Vec<PersonRef>,
    /// Nobody decides it from then on.
    pub expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<UnsealDecision>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsealDecision {
    pub by: PersonRef,
    pub at: Timestamp,
    pub approved: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Where it was approved, the originals are given out until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What may be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnsealState {
    Waiting,
    /// Nobody decided in time.
    Expired,
    Denied,
    /// Both auditors can read the originals.
    Approved,
    /// It was approved, and its time is over.
    Over,
}

impl UnsealState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Expired => "expired",
            Self::Denied => "denied",
            Self::Approved => "approved",
            Self::Over => "over",
        }
    }
}

impl Unseal {
    /// Nothing can be done with it from then on.
    pub fn live_until(&self) -> Timestamp {
        match &self.decision {
            None => self.expires_at,
            Some(UnsealDecision { at, until, .. }) => until.unwrap_or(*at),
        }
    }

    pub fn state(&self, now: Timestamp) -> UnsealState {
        match &self.decision {
            None if now < self.expires_at => UnsealState::Waiting,
            None => UnsealState::Expired,
            Some(UnsealDecision { approved: false, .. }) => UnsealState::Denied,
            Some(UnsealDecision { until, .. }) if until.is_some_and(|until| now < until) => {
                UnsealState::Approved
            }
            Some(_) => UnsealState::Over,
        }
    }
}
