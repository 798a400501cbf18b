//! From what is known of people, grants and sessions to a campaign's lines.

use crate::core::model::{Bar, CampaignLine, Grant, GrantId, LineRight, PersonRef, Right, SessionId, Tier};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// How often something was done, and when last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub statements: u64,
    pub last: Option<Timestamp>,
}

/// What one session did in the period, refused statements left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionUse {
    pub session: SessionId,
    pub grant: GrantId,
    pub person: PersonRef,
    pub target: String,
    pub read: Used,
    pub write: Used,
    pub ddl: Used,
    pub export: Used,
}

/// Everything that lines are made of.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// What policy gives, as (subject, target, right); what is not here is denied.
    pub can: BTreeMap<(String, String, Right), Tier>,
    pub people: Vec<PersonRef>,
    pub targets: BTreeSet<String>,
    /// Those of the period.
    pub grants: Vec<Grant>,
    pub uses: Vec<SessionUse>,
    pub bars: Vec<Bar>,
}

/// A line for each person and target where something can be had or was had.
pub fn lines(known: &Known) -> Vec<CampaignLine> {
    let had = known.grants.iter().map(|grant| &grant.person).chain(known.uses.iter().map(|one| &one.person));
    let mut people: BTreeMap<&str, &PersonRef> = had.map(|one| (one.subject.as_str(), one)).collect();
    people.extend(known.people.iter().map(|one| (one.subject.as_str(), one)));
    let mut people: Vec<&PersonRef> = people.into_values().collect();
    people.sort_by(|a, b| (&a.email, &a.subject).cmp(&(&b.email, &b.subject)));
    let mut lines = Vec::new();
    for target in &known.targets {
        for &person in &people {
            let rights: Vec<LineRight> = Right::ALL
                .into_iter()
                .map(|right| known.right(person, target, right))
                .filter(|one| one.can != Tier::Deny || one.grants > 0 || one.statements > 0)
                .collect();
            if !rights.is_empty() {
                let line = u32::try_from(lines.len() + 1).unwrap_or(u32::MAX);
                let (person, target) = (person.clone(), target.clone());
                lines.push(CampaignLine { line, person, target, rights, decision: None });
            }
        }
    }
    lines
}

impl Known {
    fn right(&self, person: &PersonRef, target: &str, right: Right) -> LineRight {
        let can = self.can.get(&(person.subject.clone(), target.to_owned(), right));
        let theirs = |whose: &PersonRef, where_: &str| whose.subject == person.subject && where_ == target;
        let granted: Vec<&Grant> = self
            .grants
            .iter()
            .filter(|grant| theirs(&grant.person, &grant.target) && Right::of(&grant.scope).contains(&right))
            .collect();
        let used: Vec<Used> = self
            .uses
            .iter()
            .filter(|one| theirs(&one.person, &one.target))
            .map(|one| self.used(one, right))
            .filter(|used| used.statements > 0)
            .collect();
        let barred = |bar: &Bar| theirs(&bar.person, &bar.target) && bar.rights.contains(&right);
        LineRight {
            right,
            can: can.copied().unwrap_or(Tier::Deny),
            barred: self.bars.iter().any(barred),
            grants: granted.len() as u64,
            last_grant: granted.iter().map(|grant| grant.from).max(),
            sessions: used.len() as u64,
            statements: used.iter().map(|used| used.statements).sum(),
            last_use: used.iter().filter_map(|used| used.last).max(),
        }
    }

    /// What a session did with a right. Whatever it read with raw columns in its
    /// scope counts as unmasked: which column a result shows is not on record.
    fn used(&self, one: &SessionUse, right: Right) -> Used {
        match right {
            Right::Read => one.read,
            Right::Write => one.write,
            Right::Ddl => one.ddl,
            Right::Export => one.export,
            Right::Unmask => {
                let grant = self.grants.iter().find(|grant| grant.id == one.grant);
                let raw = grant.is_some_and(|grant| !grant.scope.unmask.is_empty());
                if raw { one.read } else { Used::default() }
            }
        }
    }
}
