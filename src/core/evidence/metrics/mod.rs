//! The metrics of privilege reduction (R10), from a history: each over a span of
//! time, over the one before, and week by week. docs/metrics.md says for people
//! what is counted; this is the one place that counts it.
//!
//! A session counts when its role is proven gone, an access when its first
//! statement came, a role while the last scan of its target found it.

use super::privilege::excess;
use super::{Granted, Held, History, Used};
use crate::core::model::{Case, Goal, GrantId, Metric, Part, Path, ProbeAnswer, SessionId, Tier, Unit, Week};
use crate::core::scope::request_command;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::collections::BTreeMap;

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// A month of break-glass is this long, whatever the calendar says.
const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A scan says what is there for so long; targets are scanned daily.
const SCAN_HOLDS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Of records before the first week: what a session in it may have begun with.
const LEAD: SignedDuration = SignedDuration::from_hours(8 * 24);
/// As many weeks as are read at a glance, and as many as a year has.
const WEEKS: (i32, i32) = (12, 53);
/// As many of those behind a number as are listed.
const MOST_CASES: usize = 100;

/// From a moment on, up to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Span {
    pub fn before(until: Timestamp, length: SignedDuration) -> Self {
        Self { from: earlier(until, length), until }
    }

    /// The one of the same length before.
    fn previous(self) -> Self {
        Self::before(self.from, self.length())
    }

    fn length(self) -> SignedDuration {
        self.until.duration_since(self.from)
    }

    fn has(self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// The weeks that are told with it, oldest first; the last ends with it.
    fn weeks(self) -> Vec<Self> {
        let covered = i32::try_from(self.length().as_hours() / (7 * 24)).unwrap_or(i32::MAX);
        let count = covered.clamp(WEEKS.0, WEEKS.1);
        (0..count).rev().map(|ago| Self::before(earlier(self.until, DAY * (7 * ago)), DAY * 7)).collect()
    }

    /// From where on records are needed to measure it.
    pub fn reads_from(self) -> Timestamp {
        let first = self.weeks().first().map_or(self.from, |week| week.from);
        earlier(earlier(first, MONTH).min(self.previous().from), LEAD)
    }
}

fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// The six, in their order.
pub fn measure(history: &History, span: Span) -> Vec<Metric> {
    let accesses = Accesses::of(history);
    vec![
        standing(history, span),
        durations(history, span),
        over_privileged(history, span),
        time_to_access(history, &accesses, span),
        break_glass(history, span),
        revocations(history, span),
    ]
}

/// One thing that was measured.
struct Sample {
    at: Timestamp,
    value: f64,
    case: Option<Case>,
}

/// Samples, and what is made of those of one span.
struct Measured {
    samples: Vec<Sample>,
    statistic: fn(&mut [f64]) -> Option<f64>,
}

impl Measured {
    fn over(&self, span: Span) -> Option<f64> {
        let inside = self.samples.iter().filter(|sample| span.has(sample.at));
        (self.statistic)(&mut inside.map(|sample| sample.value).collect::<Vec<_>>())
    }

    /// The metric, with those of its samples that miss `bad` behind it.
    fn metric(self, id: &str, title: &str, (unit, goal): (Unit, Goal), bad: Goal, span: Span) -> Metric {
        let over = |span| self.over(span);
        let mut metric = blank(id, title, (unit, goal), span, over);
        let missing = self.samples.into_iter().filter(|sample| span.has(sample.at) && !bad.met(sample.value));
        metric.list(missing.filter_map(|sample| Some((sample.value, sample.case?))).collect());
        metric
    }
}

/// A metric with its values, and nothing behind it yet.
fn blank(
    id: &str,
    title: &str,
    (unit, goal): (Unit, Goal),
    span: Span,
    over: impl Fn(Span) -> Option<f64>,
) -> Metric {
    let value = over(span);
    let week = |week: Span| Week { from: week.from.to_zoned(TimeZone::UTC).date(), value: over(week) };
    Metric {
        id: id.to_owned(),
        title: title.to_owned(),
        unit,
        goal,
        value,
        met: value.map(|value| goal.met(value)),
        previous: over(span.previous()),
        parts: Vec::new(),
        weeks: span.weeks().into_iter().map(week).collect(),
        behind: Vec::new(),
        more: 0,
    }
}

impl Metric {
    /// Lists the worst first, of equals the latest.
    fn list(&mut self, mut cases: Vec<(f64, Case)>) {
        cases.sort_by(|(one, a), (other, b)| other.total_cmp(one).then(b.at.cmp(&a.at)));
        self.more = cases.len().saturating_sub(MOST_CASES);
        self.behind = cases.into_iter().take(MOST_CASES).map(|(_, case)| case).collect();
    }
}

/// R10.1: roles that the last scans found.
fn standing(history: &History, span: Span) -> Metric {
    let latest = |at: Timestamp| {
        let since = earlier(at, SCAN_HOLDS);
        history.scans.iter().filter_map(move |(target, scans)| {
            let known = scans.iter().rev().find(|(mark, _)| mark.at < at && mark.at >= since);
            known.map(|(mark, scan)| (target, mark.at, scan))
        })
    };
    let over = |span: Span| {
        latest(span.until).fold(None, |sum, (_, _, scan)| Some(sum.unwrap_or(0.0) + count(scan.standing)))
    };
    let title = "standing human credentials";
    let mut metric = blank("R10.1", title, (Unit::Count, Goal::Zero), span, over);
    let role = |target: &String, at: Timestamp, role: &String| Case {
        id: role.clone(),
        person: None,
        target: target.clone(),
        at,
        why: format!(
            "can log in, and is no declared service's: `dbaccess scan {target}` says what it may do"
        ),
        tighter: None,
    };
    let cases = latest(span.until)
        .flat_map(|(target, at, scan)| scan.roles.iter().map(move |name| (1.0, role(target, at, name))));
    metric.list(cases.collect());
    metric
}

/// R10.2: how long a session's role existed.
fn durations(history: &History, span: Span) -> Metric {
    let samples = dead(history).filter(|(_, held, _)| held.opened.is_some()).map(|(id, held, at)| {
        let value = seconds(at.duration_since(held.opening.at));
        let why = format!("lasted {}", Unit::Seconds.say(value));
        Sample { at, value, case: Some(of_session(id, held, at, why)) }
    });
    let goal = Goal::Under(2.0 * 3600.0);
    let measured = Measured { samples: samples.collect(), statistic: mean };
    measured.metric("R10.2", "mean access duration", (Unit::Seconds, goal), goal, span)
}

/// R10.3: of the sessions that ran anything, those whose grant allowed more than
/// was used under it. Break-glass is not asked for by scope, and is reviewed.
fn over_privileged(history: &History, span: Span) -> Metric {
    let mut by_grant: BTreeMap<&GrantId, (Used, u64)> = BTreeMap::new();
    for held in history.sessions.values() {
        let (used, rows) = by_grant.entry(&held.grant).or_default();
        used.add(held.used.clone());
        *rows += held.totals.rows.max(held.statements.rows);
    }
    let judged = dead(history).filter(|(_, held, _)| held.statements.first.is_some());
    let samples = judged.filter_map(|(id, held, at)| {
        let granted = history.grants.get(&held.grant)?;
        let (used, rows) = by_grant.get(&held.grant).filter(|_| granted.grant.path != Path::BreakGlass)?;
        let found = excess(&granted.grant.scope, used, *rows);
        let value = if found.is_some() { 100.0 } else { 0.0 };
        let case = found.map(|excess| Case {
            tighter: Some(request_command(&held.target, &excess.enough)),
            ..of_session(id, held, at, excess.why.join("; "))
        });
        Some(Sample { at, value, case })
    });
    let measured = Measured { samples: samples.collect(), statistic: mean };
    let goal = Goal::Under(10.0);
    measured.metric("R10.3", "over-privileged sessions", (Unit::Percent, goal), Goal::Zero, span)
}

/// The way from a request to the first statement, in its parts.
struct Accesses<'h>(Vec<Access<'h>>);

struct Access<'h> {
    granted: &'h Granted,
    first: Timestamp,
    auto: bool,
    total: f64,
    /// Until the last approval.
    people: f64,
    /// Deciding by policy, and making the session's role.
    machine: f64,
}

impl<'h> Accesses<'h> {
    fn of(history: &'h History) -> Self {
        let mut firsts: BTreeMap<&GrantId, (Timestamp, &Held)> = BTreeMap::new();
        for held in history.sessions.values() {
            let Some(first) = held.statements.first else { continue };
            let known = firsts.entry(&held.grant).or_insert((first.at, held));
            if first.at < known.0 {
                *known = (first.at, held);
            }
        }
        let access = |(id, granted): (&'h GrantId, &'h Granted)| {
            let asked = history.requests.get(&granted.grant.request)?;
            let tier = asked.request.decision.tier;
            let (first, held) = *firsts.get(id)?;
            if !matches!(tier, Tier::Auto | Tier::Single | Tier::Dual) {
                return None;
            }
            let between = |from: Timestamp, until: Timestamp| seconds(until.duration_since(from));
            let deciding = between(asked.created.at, granted.issued.at);
            let opening = held.opened.map_or(0.0, |opened| between(held.opening.at, opened.at));
            let auto = tier == Tier::Auto;
            let (people, machine) = if auto { (0.0, deciding + opening) } else { (deciding, opening) };
            Some(Access { granted, first, auto, total: between(asked.created.at, first), people, machine })
        };
        Self(history.grants.iter().filter_map(access).collect())
    }

    fn over(&self, span: Span, keep: fn(&Access<'_>) -> bool, value: fn(&Access<'_>) -> f64) -> Vec<f64> {
        self.0.iter().filter(|one| span.has(one.first) && keep(one)).map(value).collect()
    }
}

/// R10.4: from a request to its first statement.
fn time_to_access(history: &History, accesses: &Accesses<'_>, span: Span) -> Metric {
    let goal = Goal::Under(300.0);
    let samples = accesses.0.iter().map(|access| {
        let Access { granted, first, total, people, .. } = access;
        let say = |value| Unit::Seconds.say(value);
        let case = Case {
            id: granted.grant.request.to_string(),
            person: Some(granted.grant.person.email.clone()),
            target: granted.grant.target.clone(),
            at: *first,
            why: format!("took {}, of which people's approval {}", say(*total), say(*people)),
            tighter: None,
        };
        Sample { at: *first, value: *total, case: Some(case) }
    });
    let measured = Measured { samples: samples.collect(), statistic: |values| quantile(values, 0.5) };
    let mut metric = measured.metric("R10.4", "time to access, p50", (Unit::Seconds, goal), goal, span);
    let mut part = |name: &str, mut values: Vec<f64>, part: f64, goal: Option<Goal>| {
        let value = quantile(&mut values, part);
        metric.parts.push(Part { name: name.to_owned(), value, unit: Unit::Seconds, goal });
    };
    let second = Some(Goal::Under(1.0));
    part("p95", accesses.over(span, |_| true, |access| access.total), 0.95, None);
    part("auto-approved, p50", accesses.over(span, |access| access.auto, |access| access.total), 0.5, second);
    part("people, p50", accesses.over(span, |access| !access.auto, |access| access.people), 0.5, None);
    part("people, p95", accesses.over(span, |access| !access.auto, |access| access.people), 0.95, None);
    part("machine, p50", accesses.over(span, |_| true, |access| access.machine), 0.5, second);
    part("machine, p95", accesses.over(span, |_| true, |access| access.machine), 0.95, None);
    // Break-glass waits for nobody.
    let waited = |granted: &&Granted| granted.grant.path != Path::BreakGlass && span.has(granted.issued.at);
    let issued = history.grants.values().filter(waited).count();
    let used = accesses.0.iter().filter(|access| span.has(access.granted.issued.at)).count();
    let unused = Some(count(issued.saturating_sub(used)));
    metric.parts.push(Part {
        name: "grants without a statement".to_owned(),
        value: unused,
        unit: Unit::Count,
        goal: None,
    });
    metric
}

/// R10.5: openings in the thirty days before the span's end. A longer span says
/// what a month of it had.
fn break_glass(history: &History, span: Span) -> Metric {
    let opened = || history.grants.values().filter(|granted| granted.incident.is_some());
    let over = |span: Span| {
        let span = if span.length() < MONTH { Span::before(span.until, MONTH) } else { span };
        let uses = opened().filter(|granted| span.has(granted.issued.at)).count();
        // Without any record there is no knowing.
        history.first.filter(|first| first.at < span.until)?;
        Some(count(uses) * (seconds(MONTH) / seconds(span.length())))
    };
    let goal = Goal::Under(3.0);
    let mut metric = blank("R10.5", "break-glass a month", (Unit::Count, goal), span, over);
    let listed = if span.length() < MONTH { Span::before(span.until, MONTH) } else { span };
    let case = |granted: &Granted| Case {
        id: granted.grant.request.to_string(),
        person: Some(granted.grant.person.email.clone()),
        target: granted.grant.target.clone(),
        at: granted.issued.at,
        why: granted.incident.as_ref().map(|incident| format!("for {incident}")).unwrap_or_default(),
        tighter: None,
    };
    let uses = opened().filter(|granted| listed.has(granted.issued.at));
    metric.list(uses.map(|granted| (1.0, case(granted))).collect());
    metric
}

/// R10.6: from a session's end until its role was proven gone.
fn revocations(history: &History, span: Span) -> Metric {
    let samples = dead(history).filter_map(|(id, held, at)| {
        let value = seconds(SignedDuration::from_millis(i64::try_from(held.latency_ms?).unwrap_or(i64::MAX)));
        let why = format!("its role was gone after {}", Unit::Seconds.say(value));
        Some(Sample { at, value, case: Some(of_session(id, held, at, why)) })
    });
    let measured = Measured { samples: samples.collect(), statistic: |values| quantile(values, 0.99) };
    let goal = Goal::Under(30.0);
    let inside = measured.samples.iter().filter(|sample| span.has(sample.at));
    let p50 = quantile(&mut inside.map(|sample| sample.value).collect::<Vec<_>>(), 0.5);
    let mut metric = measured.metric("R10.6", "revocation latency, p99", (Unit::Seconds, goal), goal, span);
    let probed = dead(history).filter(|(_, _, at)| span.has(*at));
    let answers: Vec<_> =
        probed.filter_map(|(id, held, at)| Some((id, held, at, &held.probed.as_ref()?.0))).collect();
    let refused = answers.iter().filter(|(.., answer)| matches!(answer, ProbeAnswer::Refused { .. })).count();
    let alive = answers.iter().filter(|(.., answer)| **answer == ProbeAnswer::LetIn);
    // Worse than any latency.
    let alive: Vec<Case> = alive
        .map(|(id, held, at, _)| of_session(id, held, *at, "its credential was let in afterwards".to_owned()))
        .collect();
    let timed = |name: &str, value, goal| Part { name: name.to_owned(), value, unit: Unit::Seconds, goal };
    let counted = |name: &str, number, goal| Part {
        name: name.to_owned(),
        value: Some(count(number)),
        unit: Unit::Count,
        goal,
    };
    metric.parts = vec![
        timed("p50", p50, None),
        timed("p99, with running queries cut", metric.value, Some(Goal::Under(1.0))),
        counted("dead credentials refused", refused, None),
        counted("dead credentials let in", alive.len(), Some(Goal::Zero)),
    ];
    if !alive.is_empty() {
        metric.met = Some(false);
        metric.behind.splice(0..0, alive);
    }
    metric
}

/// The sessions whose role is proven gone, and when that was.
fn dead(history: &History) -> impl Iterator<Item = (&SessionId, &Held, Timestamp)> {
    history.sessions.iter().filter_map(|(id, held)| Some((id, held, held.dead?.at)))
}

fn of_session(id: &SessionId, held: &Held, at: Timestamp, why: String) -> Case {
    let (person, target) = (Some(held.person.email.clone()), held.target.clone());
    Case { id: id.to_string(), person, target, at, why, tighter: None }
}

fn seconds(length: SignedDuration) -> f64 {
    length.as_secs_f64().max(0.0)
}

fn count(number: usize) -> f64 {
    number as f64
}

fn mean(values: &mut [f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count(values.len()))
}

/// The smallest value that no less than `part` of them do not exceed (nearest rank).
fn quantile(values: &mut [f64], part: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (part * count(values.len())).ceil().max(1.0) as usize;
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests;
