//! From what is known of people, grants and sessions to a campaign's lines.

use crate::core::model::{Bar, CampaignLine, Grant, GrantId, LineRight, PersonRef, Right, SessionId, Tier};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

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
    /// What policy gives, by target and subject; what is not here is denied.
    pub can: HashMap<String, HashMap<String, Arc<BTreeMap<Right, Tier>>>>,
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
    let had = Had::of(known);
    let mut lines = Vec::new();
    let nothing = (BTreeMap::new(), HashMap::new(), Theirs::default());
    for target in &known.targets {
        let can = known.can.get(target).unwrap_or(&nothing.1);
        for &person in &people {
            let can = can.get(&person.subject).map_or(&nothing.0, |can| &**can);
            let theirs = had.theirs.get(&(person.subject.as_str(), target)).unwrap_or(&nothing.2);
            let rights: Vec<LineRight> = Right::ALL
                .into_iter()
                .map(|right| had.right(can.get(&right).copied(), theirs, right))
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

/// What the period has of one person at one target.
#[derive(Default)]
struct Theirs<'k> {
    grants: Vec<&'k Grant>,
    uses: Vec<&'k SessionUse>,
    barred: BTreeSet<Right>,
}

/// By person and target, so that a line does not look at everything; and the
/// grants that raw columns are in.
struct Had<'k> {
    theirs: HashMap<(&'k str, &'k str), Theirs<'k>>,
    raw: HashSet<&'k GrantId>,
}

impl<'k> Had<'k> {
    fn of(known: &'k Known) -> Self {
        let mut theirs: HashMap<(&str, &str), Theirs<'_>> = HashMap::new();
        for grant in &known.grants {
            theirs.entry((&grant.person.subject, &grant.target)).or_default().grants.push(grant);
        }
        for used in &known.uses {
            theirs.entry((&used.person.subject, &used.target)).or_default().uses.push(used);
        }
        for bar in &known.bars {
            theirs.entry((&bar.person.subject, &bar.target)).or_default().barred.extend(&bar.rights);
        }
        let raw = known.grants.iter().filter(|grant| !grant.scope.unmask.is_empty()).map(|grant| &grant.id);
        Self { theirs, raw: raw.collect() }
    }

    /// What a session did with a right. Whatever it read with raw columns in its
    /// scope counts as unmasked: which column a result shows is not on record.
    fn used(&self, one: &SessionUse, right: Right) -> Used {
        match right {
            Right::Read => one.read,
            Right::Write => one.write,
            Right::Ddl => one.ddl,
            Right::Export => one.export,
            Right::Unmask if self.raw.contains(&one.grant) => one.read,
            Right::Unmask => Used::default(),
        }
    }
    fn right(&self, can: Option<Tier>, theirs: &Theirs<'_>, right: Right) -> LineRight {
        let granted: Vec<&&Grant> =
            theirs.grants.iter().filter(|grant| Right::of(&grant.scope).contains(&right)).collect();
        let used: Vec<Used> =
            theirs.uses.iter().map(|one| self.used(one, right)).filter(|used| used.statements > 0).collect();
        LineRight {
            right,
            can: can.unwrap_or(Tier::Deny),
            barred: theirs.barred.contains(&right),
            grants: granted.len() as u64,
            last_grant: granted.iter().map(|grant| grant.from).max(),
            sessions: used.len() as u64,
            statements: used.iter().map(|used| used.statements).sum(),
            last_use: used.iter().filter_map(|used| used.last).max(),
        }
    }
}
