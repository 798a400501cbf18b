//! R9.4.1: access without approval reviewed.

use super::{Case, Exception, OPENED_WITHIN, by};
use crate::core::evidence::controls::Rule;
use crate::core::evidence::history::{Granted, Reviewed};
use crate::core::evidence::population::review_of;
use crate::core::model::Verdict;

pub(super) fn find(case: &Case<'_>) -> Vec<Exception> {
    let mut found = Vec::new();
    for (id, granted) in case.population.broken_glass() {
        match review_of(case.history, id) {
            Some((_, reviewed)) => of_review(case, granted, reviewed, &mut found),
            None => {
                let since = case.population.as_of.duration_since(granted.over());
                if since > OPENED_WITHIN {
                    let what = format!("it ended {} ago, and no review was opened", by(since));
                    found.push(Exception::new(Rule::NoReview, id.as_str(), granted.issued, what));
                }
            }
        }
        if let Some(mark) = granted.unconfirmed {
            let late = granted.confirmed.iter().find(|confirmed| confirmed.complete);
            let what = match late {
                Some(confirmed) => {
                    format!("confirmation was overdue, and complete at line {} only", confirmed.mark.seq)
                }
                None => "confirmation is overdue".to_owned(),
            };
            found.push(Exception::new(Rule::Unconfirmed, id.as_str(), mark, what));
        } else if granted.owes
            && granted
                .ended
                .is_some_and(|ended| case.population.as_of.duration_since(ended.at) > OPENED_WITHIN)
            && !granted.confirmed.iter().any(|confirmed| confirmed.complete)
        {
            let mark = granted.ended.unwrap_or(granted.issued);
            let what = "it has ended, and confirmation is still due".to_owned();
            found.push(Exception::new(Rule::Unconfirmed, id.as_str(), mark, what));
        }
    }
    found
}

fn of_review(case: &Case<'_>, granted: &Granted, reviewed: &Reviewed, found: &mut Vec<Exception>) {
    let grant = granted.grant.id.as_str();
    let due = reviewed.review.due_at;
    match reviewed.findings.first() {
        Some((mark, finding)) if finding.at > due => {
            let what = format!(
                "{} wrote it {} after it was due",
                finding.by.email,
                by(finding.at.duration_since(due))
            );
            found.push(Exception::new(Rule::ReviewOverdue, grant, *mark, what));
        }
        None if case.population.as_of > due => {
            let what = format!("it was due at {due:.0}, and nobody has written it");
            found.push(Exception::new(
                Rule::ReviewOverdue,
                grant,
                reviewed.overdue.unwrap_or(reviewed.opened),
                what,
            ));
        }
        _ => {}
    }
    for (mark, finding) in &reviewed.findings {
        if finding.by.subject == reviewed.review.person.subject {
            let what = format!("{} reviewed their own access", finding.by.email);
            found.push(Exception::new(Rule::OwnReview, grant, *mark, what));
        }
        if finding.verdict == Verdict::Unjustified {
            let what = format!("{}: {}", finding.by.email, finding.finding);
            found.push(Exception::new(Rule::Unjustified, grant, *mark, what));
        }
    }
}
