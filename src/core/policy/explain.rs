//! Decisions in words. Cedar names the rules that decided, but a denial by
//! default has no rule: its near misses are found by changing one fact and
//! asking again.

use super::{Policy, Rule, Verdict};
use crate::core::model::{Facts, IncidentFact, Level, Permission, Tier, format_duration};

/// Why a rule applied; and which lighter tier a shorter window would have had.
pub(super) fn chosen(facts: &Facts, rule: &Rule, too_long: &[(Tier, &Rule)]) -> String {
    let mut why = in_words(facts);
    if rule.limits.masked && facts.unmask {
        why.push_str("; the rule keeps every classified column masked");
    }
    if let Some((tier, rule)) = too_long.first() {
        let longest = format_duration(rule.longest);
        why.push_str(&format!("; for at most {longest} it would be {}", tier.as_str()));
    }
    why
}

/// Why nothing allowed it, and what would have been allowed in its place.
pub(super) fn denied(
    policy: &Policy,
    facts: &Facts,
    tiers: &[Tier],
    verdict: &Verdict<'_>,
    forbids: &[&Rule],
) -> String {
    if let Some(error) = &verdict.broken {
        return format!("policy cannot decide {}: {error}", in_words(facts));
    }
    if let Some(longest) = verdict.longest() {
        let (asked, longest) = (format_duration(facts.window), format_duration(longest));
        return format!("{}; {asked} is too long: the longest possible is {longest}", in_words(facts));
    }
    let start = match forbids.first() {
        Some(rule) => format!("forbidden by the rule \"{}\": {}", rule.title, in_words(facts)),
        None => format!("no rule allows {}", in_words(facts)),
    };
    match near_misses(policy, facts, tiers).as_slice() {
        [] => start,
        misses => format!("{start}; it would be {}", misses.join(", or ")),
    }
}

/// `read of public.orders on production, no classified columns, member of shop, within business hours`
fn in_words(facts: &Facts) -> String {
    let permissions: Vec<&str> = facts.permissions.iter().map(|p| p.as_str()).collect();
    let hours = if facts.business_hours { "within business hours" } else { "outside business hours" };
    let on_call = if facts.on_call { ", on call" } else { "" };
    let incident = match facts.incident {
        IncidentFact::None => "",
        IncidentFact::Confirmed => ", in an incident that is open",
        IncidentFact::Unconfirmed => ", in an incident that cannot be confirmed",
    };
    format!(
        "{} of {} on {}, {}, {}, {hours}{on_call}{incident}",
        permissions.join(" and "),
        facts.objects,
        facts.environment.as_str(),
        classified(facts),
        membership(facts),
    )
}

/// `raw pii columns, 2 classified columns stay masked`
fn classified(facts: &Facts) -> String {
    let raw: Vec<&str> = facts.sensitivities.iter().map(|s| s.as_str()).collect();
    let raw = (!raw.is_empty()).then(|| format!("raw {} columns", raw.join(" and ")));
    let masked = match facts.masked {
        0 => None,
        1 => Some("1 classified column stays masked".to_owned()),
        several => Some(format!("{several} classified columns stay masked")),
    };
    let said: Vec<String> = raw.into_iter().chain(masked).collect();
    if said.is_empty() { "no classified columns".to_owned() } else { said.join(", ") }
}

fn membership(facts: &Facts) -> String {
    let owners: Vec<&str> = facts.owners.iter().map(String::as_str).collect();
    match (facts.shared_teams().as_slice(), owners.as_slice()) {
        ([], []) => "a target that no team owns".to_owned(),
        ([], owners) => format!("not a member of {}", owners.join(" or ")),
        (shared, _) => format!("member of {}", shared.join(" and ")),
    }
}

/// The changes of one fact that would have led to a tier, in words.
fn near_misses(policy: &Policy, facts: &Facts, tiers: &[Tier]) -> Vec<String> {
    type Change = (&'static str, fn(&mut Facts));
    let changes: [Change; 7] = [
        ("for single tables", |facts| facts.level = Level::Table),
        ("read-only", |facts| facts.permissions.retain(|p| *p == Permission::Read)),
        ("with every classified column masked", |facts| {
            // What a migration's owner sees cannot be masked.
            if !facts.permissions.contains(&Permission::Ddl) {
                facts.sensitivities.clear();
                facts.columns.clear();
                facts.unmask = false;
            }
        }),
        ("within business hours", |facts| facts.business_hours = true),
        ("for a member of the owning team", |facts| facts.teams.extend(facts.owners.iter().cloned())),
        ("for somebody on call", |facts| facts.on_call = true),
        ("in an open incident of the requester's", |facts| facts.incident = IncidentFact::Confirmed),
    ];
    let outcome = |(words, change): &Change| {
        let mut changed = facts.clone();
        change(&mut changed);
        // Where it is so already, the answer is the same.
        if changed == *facts {
            return None;
        }
        let verdict = policy.weigh(&changed, tiers);
        let (tier, rule) = verdict.chosen.or_else(|| verdict.too_long.first().copied())?;
        let limit = match verdict.chosen {
            Some(_) => String::new(),
            None => format!(" and at most {}", format_duration(rule.longest)),
        };
        Some(format!("{} {words}{limit}", tier.as_str()))
    };
    changes.iter().filter_map(outcome).collect()
}
