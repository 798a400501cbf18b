//! The report: for each control its population, its sample and the exceptions
//! from it, and for each access who asked, who approved, when it was used and
//! when its roles were gone. All of it follows from the ledger's lines and the
//! interval; so whoever has the lines can make it again and compare.

use super::access::{Access, Session};
use super::campaign::ReviewedAccess;
use super::controls::Control;
use super::exceptions::{self, Case, Exception};
use super::history::History;
use super::metrics::{Span, measure};
use super::population::Population;
use super::reading::{Proven, Read};
use super::{Period, sample};
use crate::core::model::{Framework, Metric};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that a bundle's data say. The keys are stable.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub framework: Framework,
    pub period: Period,
    /// When the ledger's last line was written: what is open then is open.
    pub as_of: Timestamp,
    pub ledger: Proven,
    pub totals: Totals,
    pub controls: Vec<Finding>,
    pub metrics: Vec<Measured>,
    pub accesses: Vec<Access>,
    pub sessions: Vec<Session>,
    pub campaigns: Vec<ReviewedAccess>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Made in the interval, and those of them that ended without a grant.
    pub requests: u64,
    pub not_granted: u64,
    /// Of the populations.
    pub people: u64,
    pub targets: u64,
    pub grants: u64,
    pub revoked: u64,
    pub sessions: u64,
    pub statements: u64,
    pub rows: u64,
    pub exports: u64,
    pub exceptions: u64,
}

/// A metric of privilege reduction, as far as these lines tell of it.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    pub metric: String,
    pub title: String,
    pub value: Option<f64>,
    /// The value as people read it, and what it should be.
    pub said: Option<String>,
    pub target: String,
    pub met: Option<bool>,
}

/// What was found for one control.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    #[serde(rename = "control", serialize_with = "by_id")]
    pub control: Control,
    pub title: &'static str,
    pub requirement: &'static str,
    pub references: String,
    /// What its population is made of, and how many there are.
    pub population: &'static str,
    pub count: u64,
    /// Chosen by hash, so that nobody chooses.
    pub sample: Vec<String>,
    /// Each rule that was asked, and how many exceptions it found.
    pub rules: Vec<Asked>,
    pub exceptions: Vec<Exception>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    pub rule: &'static str,
    pub finds: &'static str,
    pub found: u64,
}

fn by_id<S: serde::Serializer>(control: &Control, ser: S) -> Result<S::Ok, S::Error> {
    ser.serialize_str(control.id())
}

impl Report {
    pub fn of(read: &Read, framework: Framework, period: Period) -> Self {
        let history = &read.history;
        let population = Population::of(history, period);
        let case = Case { history, population: &population, period, faults: &read.faults };
        let controls: Vec<Finding> = Control::asked_by(framework)
            .map(|control| Finding::of(&case, control, &read.proven.hash))
            .collect();
        let mut of_grant: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (id, held) in &population.sessions {
            of_grant.entry(held.grant.as_str()).or_default().push(id.to_string());
        }
        let accesses: Vec<Access> = population
            .grants
            .iter()
            .map(|(id, granted)| {
                let sessions = of_grant.remove(id.as_str()).unwrap_or_default();
                Access::of(history, id, granted, sessions)
            })
            .collect();
        let sessions: Vec<Session> =
            population.sessions.iter().map(|(id, held)| Session::of(history, id, held)).collect();
        let exceptions = controls.iter().map(|finding| finding.exceptions.len() as u64).sum();
        let totals = Totals { exceptions, ..Totals::of(history, period, &accesses, &sessions) };
        Self {
            framework,
            period,
            as_of: population.as_of,
            ledger: read.proven.clone(),
            totals,
            controls,
            metrics: Measured::all(history, period, population.as_of),
            accesses,
            sessions,
            campaigns: population.campaigns.iter().map(|(id, told)| ReviewedAccess::of(id, told)).collect(),
        }
    }

    /// `report.json`.
    pub fn to_json(&self) -> String {
        // Only foreign types and keys that are no text could fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }
}

impl Measured {
    fn all(history: &History, period: Period, as_of: Timestamp) -> Vec<Self> {
        let span = Span { from: period.from, until: period.until.min(as_of).max(period.from) };
        let of = |metric: Metric| Self {
            said: metric.value.map(|value| metric.unit.say(value)),
            target: metric.goal.say(metric.unit),
            metric: metric.id,
            title: metric.title,
            value: metric.value,
            met: metric.met,
        };
        measure(history, span).into_iter().map(of).collect()
    }
}

impl Finding {
    fn of(case: &Case<'_>, control: Control, seed: &str) -> Self {
        let ids = case.population.ids(case.history, control);
        let exceptions = exceptions::find(case, control);
        let found = |id: &str| exceptions.iter().filter(|one| one.rule == id).count() as u64;
        let rules = control
            .rules()
            .map(|rule| Asked { rule: rule.id(), finds: rule.finds(), found: found(rule.id()) })
            .collect();
        Self {
            control,
            title: control.title(),
            requirement: control.requirement(),
            references: control.cited(),
            population: control.population(),
            count: ids.len() as u64,
            sample: sample::draw(&ids, control.id(), seed),
            rules,
            exceptions,
        }
    }
}

impl Totals {
    fn of(history: &History, period: Period, accesses: &[Access], sessions: &[Session]) -> Self {
        let made = || history.requests.values().filter(|asked| period.holds(asked.created.at));
        let people = accesses.iter().map(|access| &access.person.subject);
        let people = people.chain(sessions.iter().map(|session| &session.person.subject));
        let targets = accesses.iter().map(|access| &access.target);
        let targets = targets.chain(sessions.iter().map(|session| &session.target));
        let sum = |of: fn(&Session) -> u64| sessions.iter().map(of).sum();
        Self {
            requests: made().count() as u64,
            not_granted: made().filter(|asked| asked.closed.is_some()).count() as u64,
            people: people.collect::<BTreeSet<_>>().len() as u64,
            targets: targets.collect::<BTreeSet<_>>().len() as u64,
            grants: accesses.len() as u64,
            revoked: accesses.iter().filter(|access| access.revoked.is_some()).count() as u64,
            sessions: sessions.len() as u64,
            statements: sum(|session| session.statements),
            rows: sum(|session| session.rows),
            exports: sum(|session| session.exports),
            exceptions: 0,
        }
    }
}
