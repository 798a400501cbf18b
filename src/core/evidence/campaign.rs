//! One access review as a report tells of it: what it looked at, who decided
//! what of it, and who signed.

use super::history::{Campaigned, Decided, Mark};
use crate::core::model::{CampaignId, LineVerdict, PersonRef};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Clone, Debug, Serialize)]
pub struct ReviewedAccess {
    pub campaign: String,
    pub started: Mark,
    /// Nobody: the schedule.
    pub by: Option<PersonRef>,
    /// The days that it looked at.
    pub from: Timestamp,
    pub to: Timestamp,
    pub targets: Vec<String>,
    pub due: Timestamp,
    pub lines: u64,
    pub people: u64,
    /// Of the lines before anything was decided.
    pub sha256: String,
    /// How many lines have a decision, and what it is.
    pub decided: u64,
    pub certified: u64,
    pub narrowed: u64,
    pub revoked: u64,
    pub signed: Option<SignedBy>,
    /// Every one that was made.
    pub decisions: Vec<LineDecided>,
}

#[derive(Clone, Debug, Serialize)]
pub struct SignedBy {
    #[serde(flatten)]
    pub mark: Mark,
    pub by: PersonRef,
    /// Of the lines with what was decided.
    pub sha256: String,
}

#[derive(Clone, Debug, Serialize)]
pub struct LineDecided {
    #[serde(flatten)]
    pub mark: Mark,
    pub line: u32,
    pub person: PersonRef,
    pub target: String,
    pub verdict: &'static str,
    /// What stays, where it was narrowed.
    pub keeps: Vec<&'static str>,
    pub by: PersonRef,
    pub role: String,
    pub comment: String,
    /// It is the last about its line.
    pub counts: bool,
}

impl ReviewedAccess {
    pub fn starter(&self) -> &str {
        self.by.as_ref().map_or("the schedule", |by| &by.email)
    }

    pub(super) fn of(id: &CampaignId, told: &Campaigned) -> Self {
        let standing = told.standing();
        let count = |verdict: LineVerdict| {
            standing.values().filter(|one| one.decision.verdict == verdict).count() as u64
        };
        let decided = |one: &Decided| LineDecided {
            mark: one.mark,
            line: one.line,
            person: one.person.clone(),
            target: one.target.clone(),
            verdict: one.decision.verdict.as_str(),
            keeps: one.decision.keeps.iter().map(|right| right.as_str()).collect(),
            by: one.decision.by.clone(),
            role: one.decision.role.to_string(),
            comment: one.decision.comment.clone(),
            counts: standing.get(&one.line).is_some_and(|last| last.mark == one.mark),
        };
        Self {
            campaign: id.to_string(),
            started: told.started,
            by: told.by.clone(),
            from: told.from,
            to: told.to,
            targets: told.targets.clone(),
            due: told.due_at,
            lines: told.lines,
            people: told.people,
            sha256: told.sha256.clone(),
            decided: standing.len() as u64,
            certified: count(LineVerdict::Certified),
            narrowed: count(LineVerdict::Narrowed),
            revoked: count(LineVerdict::Revoked),
            signed: told.signed.as_ref().map(|signed| SignedBy {
                mark: signed.mark,
                by: signed.by.clone(),
                sha256: signed.sha256.clone(),
            }),
            decisions: told.decisions.iter().map(decided).collect(),
        }
    }
}
