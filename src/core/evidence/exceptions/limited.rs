//! R9.2: time-limited.

use super::{Case, Exception, TOLERANCE, by};
use crate::core::evidence::controls::Rule;
use crate::core::evidence::history::{Granted, Held, Mark};
use crate::core::model::{EndReason, Path, SessionId};
use jiff::SignedDuration;
use std::time::Duration;

pub(super) fn find(case: &Case<'_>) -> Vec<Exception> {
    let mut found = Vec::new();
    for (_, granted) in &case.population.grants {
        window(case, granted, &mut found);
    }
    for (id, held) in &case.population.sessions {
        let mut tell = |rule, mark: Mark, what: String| {
            found.push(Exception::new(rule, id.as_str(), mark, what));
        };
        match case.history.grants.get(&held.grant) {
            Some(granted) => of_grant(case, held, granted, &mut tell),
            None => tell(Rule::NoGrant, held.opening, format!("no record tells of its grant {}", held.grant)),
        }
        death(case, id, held, &mut found);
    }
    for swept in case.history.swept.iter().filter(|swept| case.period.holds(swept.mark.at)) {
        let what = format!("it was in {} and belonged to no session", swept.target);
        found.push(Exception::new(Rule::SweptRole, &swept.role, swept.mark, what));
    }
    found
}

fn of_grant(case: &Case<'_>, held: &Held, granted: &Granted, tell: &mut impl FnMut(Rule, Mark, String)) {
    let (grant, opening) = (&granted.grant, held.opening);
    if held.person.subject != grant.person.subject || held.target != grant.target {
        let what = format!(
            "{} was let into {}; {} is {}'s, for {}",
            held.person.email, held.target, grant.id, grant.person.email, grant.target
        );
        tell(Rule::OtherAccess, opening, what);
    }
    if opening.at < grant.from || opening.seq < granted.issued.seq {
        tell(Rule::OpenedBefore, opening, format!("the window of {} began at {:.0}", grant.id, grant.from));
    }
    let revoked = granted.revoked.as_ref().filter(|revoked| revoked.mark.seq < opening.seq);
    if let Some(revoked) = revoked {
        let what = format!("{} was revoked by {} at line {}", grant.id, revoked.by.email, revoked.mark.seq);
        tell(Rule::OpenedRevoked, opening, what);
    } else if opening.at >= granted.over() && held.opened.is_some() {
        tell(Rule::OpenedAfter, opening, format!("{} had ended at {:.0}", grant.id, granted.over()));
    }
    let alive = held.dead.map_or(case.population.as_of, |dead| dead.at);
    let over = alive.duration_since(granted.over());
    // A session whose role was not made has outlived nothing.
    if over > TOLERANCE && held.opened.is_some() {
        let mark = held.dead.or(held.ending.as_ref().map(|(mark, ..)| *mark)).unwrap_or(opening);
        tell(Rule::Outlived, mark, format!("its role lived {} beyond the end of {}", by(over), grant.id));
    }
}

/// Whether the role is gone, and since when.
fn death(case: &Case<'_>, id: &SessionId, held: &Held, found: &mut Vec<Exception>) {
    let mut tell = |rule, mark, what| found.push(Exception::new(rule, id.as_str(), mark, what));
    match (held.dead, &held.ending) {
        (Some(dead), _) => {
            let latency = held.latency_ms.unwrap_or(0);
            if Duration::from_millis(latency) > TOLERANCE.unsigned_abs() {
                let latency = SignedDuration::from_millis(i64::try_from(latency).unwrap_or(i64::MAX));
                let what = format!("role {} was gone {} after the end was decided", held.role, by(latency));
                tell(Rule::RevokedLate, dead, what);
            }
        }
        (None, Some((ending, reason, _))) => {
            let since = case.population.as_of.duration_since(ending.at);
            if since > TOLERANCE && *reason != EndReason::Failed {
                let what = format!("role {} is not proven gone, {} after its end", held.role, by(since));
                tell(Rule::NeverDead, *ending, what);
            }
        }
        // Still open: whether it may be is the window's question.
        (None, None) => {}
    }
}

/// A break-glass window is moved while its incident is open, so it has no longest.
fn window(case: &Case<'_>, granted: &Granted, found: &mut Vec<Exception>) {
    let Some(asked) = case.history.requests.get(&granted.grant.request) else { return };
    if granted.grant.path == Path::BreakGlass {
        return;
    }
    let length = granted.until.duration_since(granted.grant.from);
    let longest = asked.request.window.min(asked.request.decision.longest);
    if !length.is_negative() && length.unsigned_abs() > longest {
        let what = format!(
            "its window is {}, and {} were allowed",
            by(length),
            crate::core::model::format_duration(longest)
        );
        found.push(Exception::new(Rule::TooLong, granted.grant.id.as_str(), granted.issued, what));
    }
}
