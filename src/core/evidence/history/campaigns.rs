//! What is known of each access review, and of what was given back without one.

use super::{History, Mark};
use crate::core::model::{CampaignId, Event, LineDecision, PersonRef};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// An access review, from its start to its signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Campaigned {
    pub started: Mark,
    /// Nobody: the schedule.
    pub by: Option<PersonRef>,
    /// The days that it looked at.
    pub from: Timestamp,
    pub to: Timestamp,
    pub targets: Vec<String>,
    pub due_at: Timestamp,
    pub lines: u64,
    pub people: u64,
    /// Of its lines, before anything was decided.
    pub sha256: String,
    /// All of them; the last about a line counts.
    pub decisions: Vec<Decided>,
    pub overdue: Option<Mark>,
    pub signed: Option<Signed>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    pub mark: Mark,
    pub line: u32,
    pub person: PersonRef,
    pub target: String,
    pub decision: LineDecision,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Signed {
    pub mark: Mark,
    pub by: PersonRef,
    /// Of its lines with what was decided.
    pub sha256: String,
}

/// What a review took, and security gave back.
#[derive(Clone, Debug, PartialEq)]
pub struct Lifted {
    pub mark: Mark,
    /// The review, where the record says it.
    pub of: Option<CampaignId>,
    pub person: PersonRef,
    pub target: String,
    pub by: PersonRef,
    pub comment: String,
}

impl Campaigned {
    /// What counts of each line.
    pub fn standing(&self) -> BTreeMap<u32, &Decided> {
        self.decisions.iter().map(|decided| (decided.line, decided)).collect()
    }
}

impl History {
    /// The records of access reviews; every other one comes back.
    pub(super) fn campaign(&mut self, mark: Mark, event: Event) -> Option<Event> {
        match event {
            Event::CampaignStarted {
                campaign, by, from, to, targets, due_at, lines, people, sha256, ..
            } => {
                let told = Campaigned {
                    started: mark,
                    by,
                    from,
                    to,
                    targets,
                    due_at,
                    lines: lines as u64,
                    people: people as u64,
                    sha256,
                    decisions: Vec::new(),
                    overdue: None,
                    signed: None,
                };
                self.campaigns.insert(campaign, told);
            }
            Event::CampaignDecided { campaign, line, person, target, decision } => {
                if let Some(told) = self.campaigns.get_mut(&campaign) {
                    told.decisions.push(Decided { mark, line, person, target, decision });
                }
            }
            Event::CampaignReminded { campaign, stage, .. } => {
                if let Some(told) = self.campaigns.get_mut(&campaign)
                    && stage == crate::core::model::CampaignTold::Overdue
                {
                    told.overdue = Some(mark);
                }
            }
            Event::CampaignSigned { campaign, by, sha256, .. } => {
                if let Some(told) = self.campaigns.get_mut(&campaign) {
                    told.signed = Some(Signed { mark, by, sha256 });
                }
            }
            Event::AccessUnbarred { person, target, by, of, campaign: None, comment } => {
                self.lifted.push(Lifted { mark, of, person, target, by, comment });
            }
            other => return Some(other),
        }
        None
    }
}
