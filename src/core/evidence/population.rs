//! What a report is about: the grants, sessions and access reviews that lived in its interval,
//! and from which line of the ledger on everything is told of them.

use super::history::{Campaigned, Granted, Held, History, Reviewed};
use super::{Control, Period};
use crate::core::model::{CampaignId, GrantId, Path, ReviewId, SessionId};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// The subjects of every control, in the order of their ids.
pub struct Population<'h> {
    pub grants: Vec<(&'h GrantId, &'h Granted)>,
    pub sessions: Vec<(&'h SessionId, &'h Held)>,
    pub campaigns: Vec<(&'h CampaignId, &'h Campaigned)>,
    /// As of when: the ledger's last line. What is open then is open.
    pub as_of: Timestamp,
}

impl<'h> Population<'h> {
    pub fn of(history: &'h History, period: Period) -> Self {
        let as_of = history.last.map_or(period.until, |mark| mark.at);
        let lived = |held: &Held| period.meets(held.opening.at, held.dead.map_or(as_of, |dead| dead.at));
        let sessions: Vec<_> = history.sessions.iter().filter(|(_, held)| lived(held)).collect();
        let used: BTreeSet<&GrantId> = sessions.iter().map(|(_, held)| &held.grant).collect();
        let grants = history
            .grants
            .iter()
            .filter(|(id, granted)| period.meets(granted.issued.at, granted.over()) || used.contains(id));
        let signed = |told: &Campaigned| told.signed.as_ref().map_or(as_of, |signed| signed.mark.at);
        let campaigns =
            history.campaigns.iter().filter(|(_, told)| period.meets(told.started.at, signed(told)));
        Self { grants: grants.collect(), sessions, campaigns: campaigns.collect(), as_of }
    }

    /// The ids of a control's population.
    pub fn ids(&self, history: &History, control: Control) -> Vec<String> {
        match control {
            Control::Approved => self.grants.iter().map(|(id, _)| id.to_string()).collect(),
            Control::Limited | Control::Logged => {
                self.sessions.iter().map(|(id, _)| id.to_string()).collect()
            }
            Control::Reviewed => self.broken_glass().map(|(id, _)| id.to_string()).collect(),
            Control::Periodic => self.campaigns.iter().map(|(id, _)| id.to_string()).collect(),
            Control::Recorded => {
                let sessions = self.sessions.iter().filter(|(_, held)| is_recorded(history, held));
                sessions.map(|(id, _)| id.to_string()).collect()
            }
        }
    }

    pub fn broken_glass(&self) -> impl Iterator<Item = (&'h GrantId, &'h Granted)> {
        self.grants.iter().copied().filter(|(_, granted)| granted.grant.path == Path::BreakGlass)
    }

    /// The first line that tells of any of them, and of the policies that
    /// decided about them. A ledger from there on leads to the same report.
    pub fn first_line(&self, history: &History) -> Option<u64> {
        let mut first: Vec<u64> = self.sessions.iter().map(|(_, held)| held.opening.seq).collect();
        first.extend(self.campaigns.iter().map(|(_, told)| told.started.seq));
        for (_, granted) in &self.grants {
            first.push(granted.issued.seq);
            let Some(asked) = history.requests.get(&granted.grant.request) else { continue };
            let decided = asked.amended.unwrap_or(asked.created).seq;
            first.push(asked.created.seq);
            let policy = history.policies.get(&asked.request.decision.policy);
            first
                .extend(policy.into_iter().flatten().map(|mark| mark.seq).filter(|seq| *seq < decided).max());
        }
        first.into_iter().min()
    }
}

/// Whether a session had to be recorded: by its grant, or because it was.
pub(super) fn is_recorded(history: &History, held: &Held) -> bool {
    let granted = history.grants.get(&held.grant);
    held.recording.is_some() || granted.is_some_and(|granted| granted.grant.is_recorded())
}

/// The review of a grant.
pub(super) fn review_of<'h>(history: &'h History, grant: &GrantId) -> Option<(&'h ReviewId, &'h Reviewed)> {
    history.reviews.iter().find(|(_, reviewed)| reviewed.review.grant == *grant)
}
