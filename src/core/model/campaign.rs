//! Access review campaigns (R9.4): who can get what, who got it, what of it was
//! used, and what reviewers said of that, line by line.

use super::{CampaignId, PersonRef, Role, Scope, Tier};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a campaign looks at one by one: the permissions of a scope, and seeing
/// classified columns raw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    Read,
    Write,
    Ddl,
    Export,
    Unmask,
}

impl Right {
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Ddl, Self::Export, Self::Unmask];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Ddl => "ddl",
            Self::Export => "export",
            Self::Unmask => "unmask",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.as_str() == name)
    }

    /// Those that a scope needs.
    pub fn of(scope: &Scope) -> BTreeSet<Self> {
        let of_scope = |right: &Self| match right {
            // A change of the schema runs as its owner, whom no mask stands before.
            Self::Unmask => !scope.unmask.is_empty() || scope.changes_schema(),
            named => scope.permissions.iter().any(|permission| permission.as_str() == named.as_str()),
        };
        Self::ALL.into_iter().filter(of_scope).collect()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    pub id: CampaignId,
    /// Who started it; the schedule where nobody did.
    pub by: Option<PersonRef>,
    /// The quarter that it was started for by the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduled: Option<String>,
    /// The period that is looked at: from the one, and before the other.
    pub from: Timestamp,
    pub to: Timestamp,
    pub targets: Vec<String>,
    pub started_at: Timestamp,
    pub due_at: Timestamp,
    /// What people were told so far.
    pub told: CampaignTold,
    /// How many there are, and how many of them nobody has decided.
    pub lines: usize,
    pub undecided: usize,
    pub signed: Option<CampaignSigned>,
}

/// How much people were told of a campaign with undecided lines. It only moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CampaignTold {
    Started,
    HalfTime,
    Soon,
    Overdue,
}

/// One person at one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignLine {
    pub line: u32,
    pub person: PersonRef,
    pub target: String,
    pub rights: Vec<LineRight>,
    /// The last one counts, until the campaign is signed.
    pub decision: Option<LineDecision>,
}

/// What says whose a line is to decide: whom it is about, and where; and whether that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineAbout {
    pub line: u32,
    pub person: PersonRef,
    pub target: String,
    pub decided: bool,
}

impl CampaignLine {
    pub fn about(&self) -> LineAbout {
        let Self { line, person, target, decision, .. } = self;
        LineAbout { line: *line, person: person.clone(), target: target.clone(), decided: decision.is_some() }
    }
}

/// What is known of one permission of a person at a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineRight {
    pub right: Right,
    /// The lightest tier in which policy gives it, when the campaign began.
    pub can: Tier,
    /// Whether an earlier review barred it.
    pub barred: bool,
    /// Grants of the period that had it.
    pub grants: u64,
    pub last_grant: Option<Timestamp>,
    /// Sessions and statements of the period that used it.
    pub sessions: u64,
    pub statements: u64,
    pub last_use: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineVerdict {
    Certified,
    Narrowed,
    Revoked,
}

impl LineVerdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certified => "certified",
            Self::Narrowed => "narrowed",
            Self::Revoked => "revoked",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineDecision {
    pub by: PersonRef,
    /// The role in which policy lets them.
    pub role: Role,
    pub at: Timestamp,
    pub verdict: LineVerdict,
    /// What stays, where it was narrowed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub keeps: BTreeSet<Right>,
    pub comment: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignSigned {
    pub by: PersonRef,
    pub at: Timestamp,
    /// Of the lines with their decisions, in hex: their compact JSON in this order.
    pub sha256: String,
}

/// What a review took from a person at a target, until a later one certifies it
/// or security lifts it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bar {
    pub person: PersonRef,
    pub target: String,
    pub rights: BTreeSet<Right>,
    pub by: PersonRef,
    pub at: Timestamp,
    pub campaign: CampaignId,
    pub line: u32,
    pub comment: String,
}

impl Campaign {
    /// `open`, `decided`, `overdue` or `signed`.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match &self.signed {
            Some(_) => "signed",
            None if self.due_at <= now => "overdue",
            None if self.undecided == 0 => "decided",
            None => "open",
        }
    }
}
