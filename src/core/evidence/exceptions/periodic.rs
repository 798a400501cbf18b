//! R9.4.2: access reviewed periodically.

use super::{Case, Exception, by};
use crate::core::evidence::controls::Rule;
use crate::core::evidence::history::{Campaigned, Lifted};
use crate::core::model::{CampaignId, Quarter};

pub(super) fn find(case: &Case<'_>) -> Vec<Exception> {
    let mut found = Vec::new();
    for quarter in whole_quarters(case) {
        let begun = |one: &Campaigned| quarter.from <= one.started.at && one.started.at < quarter.to;
        if let Some(mark) = case.history.last
            && !case.history.campaigns.values().any(begun)
        {
            let what = format!("no access review was started in it, as of line {}", mark.seq);
            found.push(Exception::new(Rule::NoCampaign, &quarter.to_string(), mark, what));
        }
    }
    for (id, told) in &case.population.campaigns {
        of_campaign(case, id, told, &mut found);
    }
    let reviewed = |of: &CampaignId| case.population.campaigns.iter().any(|(id, _)| *id == of);
    for lifted in &case.history.lifted {
        if case.period.holds(lifted.mark.at) || lifted.of.as_ref().is_some_and(reviewed) {
            let Lifted { mark, of, person, target, by, comment } = lifted;
            let what = format!("{} gave {} back what it took on {target}: {comment}", by.email, person.email);
            let about = of.as_ref().map_or(person.email.as_str(), |of| of.as_str());
            found.push(Exception::new(Rule::Lifted, about, *mark, what));
        }
    }
    found
}

/// The calendar's quarters that lie in the interval, are over, and are on the
/// ledger from their first day.
fn whole_quarters(case: &Case<'_>) -> impl Iterator<Item = Quarter> {
    let until = case.period.until.min(case.population.as_of);
    let begun = case.history.first.filter(|mark| mark.seq == 1).map(|mark| mark.at);
    let from = begun.map_or(case.period.from, |begun| begun.max(case.period.from));
    std::iter::successors(Quarter::of(from), |quarter| quarter.next())
        .skip_while(move |quarter| quarter.from < from)
        .take_while(move |quarter| quarter.to <= until)
}

fn of_campaign(case: &Case<'_>, id: &CampaignId, told: &Campaigned, found: &mut Vec<Exception>) {
    let id = id.as_str();
    let due = told.due_at;
    match &told.signed {
        Some(signed) if signed.mark.at > due => {
            let late = by(signed.mark.at.duration_since(due));
            let what = format!("{} signed it {late} after it was due", signed.by.email);
            found.push(Exception::new(Rule::CampaignLate, id, signed.mark, what));
        }
        None if case.population.as_of > due => {
            let what = format!(
                "it was due at {due:.0}, and nobody has signed it: {} of {} lines are decided",
                told.standing().len(),
                told.lines
            );
            found.push(Exception::new(Rule::CampaignLate, id, told.overdue.unwrap_or(told.started), what));
        }
        _ => {}
    }
    if let Some(signed) = &told.signed {
        let before = told.decisions.iter().filter(|one| one.mark.seq < signed.mark.seq);
        let lines: std::collections::BTreeSet<u32> = before.map(|one| one.line).collect();
        let open = told.lines.saturating_sub(lines.len() as u64);
        if open > 0 {
            let what = format!("{} signed it with {open} undecided lines", signed.by.email);
            found.push(Exception::new(Rule::SignedOpen, id, signed.mark, what));
        }
    }
    for one in told.decisions.iter().filter(|one| one.decision.by.subject == one.person.subject) {
        let what = format!("{} decided line {}, which is their own", one.person.email, one.line);
        found.push(Exception::new(Rule::OwnLine, id, one.mark, what));
    }
}
