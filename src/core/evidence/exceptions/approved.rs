//! R9.1: approved before granted.

use super::{Case, Exception};
use crate::core::evidence::controls::Rule;
use crate::core::evidence::history::{Asked, Granted, Mark};
use crate::core::model::{Approval, Tier};

pub(super) fn find(case: &Case<'_>) -> Vec<Exception> {
    let mut found = Vec::new();
    for (_, granted) in &case.population.grants {
        match case.history.requests.get(&granted.grant.request) {
            Some(asked) => of_request(case, granted, asked, &mut found),
            None => {
                let what = format!("no record tells of its request {}", granted.grant.request);
                tell(&mut found, Rule::NoRequest, granted, granted.issued, what);
            }
        }
    }
    found
}

fn of_request(case: &Case<'_>, granted: &Granted, asked: &Asked, found: &mut Vec<Exception>) {
    let (request, issued) = (&asked.request, granted.issued);
    let decision = &request.decision;
    if decision.tier == Tier::Deny {
        tell(found, Rule::Refused, granted, issued, format!("policy had refused {}", request.id));
    }
    if let Some(closed) = asked.closed.filter(|closed| closed.seq < issued.seq) {
        let what = format!("{} had ended without a grant at line {}", request.id, closed.seq);
        tell(found, Rule::Refused, granted, issued, what);
    }
    let standing: Vec<&(Mark, Approval)> = asked.standing().collect();
    let given = standing.iter().filter(|(mark, _)| mark.seq < issued.seq);
    let given: Vec<&Approval> = given.map(|(_, approval)| approval).collect();
    let demanded = !decision.slots.is_empty() || matches!(decision.tier, Tier::Single | Tier::Dual);
    if demanded && standing.is_empty() {
        let what = format!("tier {} demanded approval, and nobody gave one", decision.tier.as_str());
        tell(found, Rule::NotApproved, granted, issued, what);
    } else {
        for (index, slot) in decision.slots.iter().enumerate() {
            if given.iter().any(|approval| approval.slot == index) {
                continue;
            }
            match standing.iter().find(|(_, approval)| approval.slot == index) {
                Some((mark, late)) => {
                    let what = format!("{} approved as {} after the grant", late.by.email, late.role);
                    tell(found, Rule::ApprovedLate, granted, *mark, what);
                }
                None => {
                    let what = format!("the approval by {slot} is missing");
                    tell(found, Rule::NotComplete, granted, issued, what);
                }
            }
        }
    }
    behind_approvals(granted, asked, &standing, found);
    let decided = asked.amended.unwrap_or(asked.created);
    let policy = &decision.policy;
    let in_force = case.history.policies.get(policy).into_iter().flatten().any(|mark| mark.seq < decided.seq);
    if !in_force {
        let what = format!("no record says that policy {} was in force", short(policy));
        tell(found, Rule::UnknownPolicy, granted, decided, what);
    }
}

/// Who stands behind each approval (G6), and what they approved.
fn behind_approvals(
    granted: &Granted,
    asked: &Asked,
    standing: &[&(Mark, Approval)],
    found: &mut Vec<Exception>,
) {
    let requester = &asked.request.person.subject;
    let people = |approval: &Approval| {
        let whose = approval.on_behalf_of.as_ref().map(|whose| whose.subject.clone());
        [Some(approval.by.subject.clone()), whose]
    };
    for (index, (mark, approval)) in standing.iter().enumerate() {
        let behind = people(approval);
        if behind.iter().flatten().any(|subject| subject == requester) {
            let what = format!("{} approved a request of their own", approval.by.email);
            tell(found, Rule::SelfApproval, granted, *mark, what);
        }
        let others = standing.iter().take(index);
        let twice = |(_, other): &&&(Mark, Approval)| {
            people(other).iter().flatten().any(|subject| behind.iter().flatten().any(|one| one == subject))
        };
        if let Some((other, _)) = others.into_iter().find(twice) {
            let what = format!("{} stands behind the approval at line {}, too", approval.by.email, other.seq);
            tell(found, Rule::SamePerson, granted, *mark, what);
        }
        let script = granted.grant.script.as_ref();
        if script.is_some_and(|script| approval.script.as_ref() != Some(&script.sha256)) {
            let seen = approval.script.as_deref().map_or("none", short);
            let what = format!("{} approved script {seen}", approval.by.email);
            tell(found, Rule::OtherScript, granted, *mark, what);
        }
    }
}

/// A hash as people compare it first.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn tell(found: &mut Vec<Exception>, rule: Rule, granted: &Granted, mark: Mark, what: String) {
    found.push(Exception::new(rule, granted.grant.id.as_str(), mark, what));
}
