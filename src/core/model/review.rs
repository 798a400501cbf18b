//! Reviews: what people say afterwards of access that nobody was asked for (R8.5).

use super::{GrantId, PersonRef, RequestId, ReviewId, Role};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The review of one break-glass grant. It opens when the grant has ended; a
/// finding closes it. What was written stays: more can only be added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub id: ReviewId,
    pub grant: GrantId,
    pub request: RequestId,
    /// Who had the access, and can therefore not be the reviewer (G6).
    pub person: PersonRef,
    pub target: String,
    /// When the access ended.
    pub ended_at: Timestamp,
    pub due_at: Timestamp,
    /// What people were told so far.
    pub told: ReviewTold,
    pub findings: Vec<ReviewFinding>,
}

/// How much people were told of a review that nobody has written. It only moves
/// down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewTold {
    Opened,
    Reminded,
    Overdue,
}

/// What one reviewer found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewFinding {
    pub by: PersonRef,
    /// The role in which policy lets them.
    pub role: Role,
    pub at: Timestamp,
    pub verdict: Verdict,
    pub finding: String,
    /// What is to be done about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
}

/// Whether the access was what the incident needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Justified,
    Unjustified,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Justified => "justified",
            Self::Unjustified => "unjustified",
        }
    }
}

impl Review {
    pub fn is_written(&self) -> bool {
        !self.findings.is_empty()
    }

    pub fn is_overdue(&self, now: Timestamp) -> bool {
        !self.is_written() && self.due_at <= now
    }

    /// `open`, `overdue`, or the last verdict.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match self.findings.last() {
            Some(last) => last.verdict.as_str(),
            None if self.is_overdue(now) => "overdue",
            None => "open",
        }
    }
}
