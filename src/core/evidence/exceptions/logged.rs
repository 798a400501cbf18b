//! R9.3: all queries logged.

use super::{Case, Exception};
use crate::core::evidence::controls::Rule;
use crate::core::evidence::history::Tally;

pub(super) fn find(case: &Case<'_>) -> Vec<Exception> {
    let mut found = Vec::new();
    for (id, held) in &case.population.sessions {
        if let Some(pruned) = &held.statements_pruned {
            let what = format!(
                "its {} statements were pruned by the rule {}: they are not among what this report looked at",
                held.totals.statements, pruned.rule
            );
            found.push(Exception::new(Rule::StatementsPruned, id.as_str(), pruned.mark, what));
        }
        let told = &held.statements;
        let (Some(dead), Some(last)) = (held.dead, told.last) else { continue };
        let open = told.begun.saturating_sub(told.ended);
        if open > 0 && case.is_settled(dead) {
            let what = format!("no outcome is on record of {open} of its {} statements", told.begun);
            found.push(Exception::new(Rule::NoOutcome, id.as_str(), dead, what));
        }
        if last.seq > dead.seq && last.at > dead.at {
            let what = format!("its role {} was proven gone at line {}", held.role, dead.seq);
            found.push(Exception::new(Rule::AfterDeath, id.as_str(), last, what));
        }
    }
    let within = |tally: &Tally| case.period.meets(tally.first.at, tally.last.at);
    for (session, tally) in case.history.strays.iter().filter(|(_, tally)| within(tally)) {
        let what = format!("no record opens the session of {} statements", tally.count);
        found.push(Exception::new(Rule::NoSession, session.as_str(), tally.first, what));
    }
    for (kind, tally) in case.history.unknown.iter().filter(|(_, tally)| within(tally)) {
        let name = if kind.is_empty() { "(no kind)" } else { kind };
        let what = format!("how many: {}; a newer version may know what they are", tally.count);
        found.push(Exception::new(Rule::UnknownRecord, name, tally.first, what));
    }
    for mark in case.history.torn.iter().filter(|mark| case.period.holds(mark.at)) {
        let what = "the line that tells of it says what was cut off and where it is kept".to_owned();
        found.push(Exception::new(Rule::RecordTorn, "ledger", *mark, what));
    }
    for fault in case.faults {
        found.push(Exception::new(Rule::RecordMissing, &fault.about, fault.mark, fault.what.clone()));
    }
    found
}
