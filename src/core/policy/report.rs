//! A decision rule by rule: which decided, which applied as well, and what each
//! of the others missed, condition by condition.

use super::parts::{Part, parts, speaks_of};
use super::{EMERGENCY, Policy, Rule, TIERS};
use crate::core::model::{Explanation, Facts, Missing, RuleOutcome, RuleSaid, Tier, format_duration};
use cedar_policy::{Authorizer, Decision as Answer, Effect, Entities, PolicyId, PolicySet, Request};

impl Policy {
    /// What this policy says to facts that were kept, rule by rule.
    /// `emergency` is whether they were of the path break-glass.
    pub fn explain(&self, facts: &Facts, emergency: bool) -> Explanation {
        let tiers = if emergency { EMERGENCY } else { TIERS };
        let decision = self.decide_for(facts, tiers);
        let mut rules: Vec<RuleSaid> = Vec::new();
        if let Ok(entities) = self.vocabulary.entities(facts) {
            let asked = tiers
                .iter()
                .filter_map(|&tier| Some((tier, self.vocabulary.access(facts, tier, &self.schema).ok()?)));
            let asked: Vec<(Tier, Request)> = asked.collect();
            for rule in &self.rules {
                let decided = decision.rules.iter().any(|decided| decided.id == rule.id);
                rules.extend(self.said(rule, facts, &asked, &entities, decided));
            }
        }
        rules.sort_by_key(|said| (said.outcome, said.missing.len()));
        Explanation { decision, rules }
    }

    /// Nothing, where the rule is about something else.
    fn said(
        &self,
        rule: &Rule,
        facts: &Facts,
        asked: &[(Tier, Request)],
        entities: &Entities,
        decided: bool,
    ) -> Option<RuleSaid> {
        let cedar = self.set.policy(&PolicyId::new(&rule.id))?;
        let (_, request) = asked.iter().find(|(tier, _)| rule.tiers.contains(tier))?;
        let missing: Vec<Missing> = parts(cedar)
            .into_iter()
            .filter(|part| !holds(&part.set, request, entities))
            .map(|Part { text, .. }| Missing { known: known(&text, facts), condition: text })
            .collect();
        let outcome = match rule.effect {
            _ if decided => RuleOutcome::Decided,
            _ if !missing.is_empty() => RuleOutcome::Missed,
            Effect::Permit if !rule.can_be_kept(facts) => RuleOutcome::CannotMask,
            Effect::Permit if rule.longest < facts.window => RuleOutcome::TooLong,
            _ => RuleOutcome::Applied,
        };
        let missing = if outcome == RuleOutcome::Missed { missing } else { Vec::new() };
        let permits = rule.permits().map_or("forbid", Tier::as_str).to_owned();
        Some(RuleSaid { id: rule.id.clone(), title: rule.title.clone(), permits, outcome, missing })
    }
}

pub(super) fn holds(set: &PolicySet, request: &Request, entities: &Entities) -> bool {
    Authorizer::new().is_authorized(request, set, entities).decision() == Answer::Allow
}

/// The facts that a condition speaks of, in words.
fn known(condition: &str, facts: &Facts) -> String {
    let list = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    type Said<'a> = (&'static str, &'static str, Box<dyn Fn() -> String + 'a>);
    let said: [Said<'_>; 17] = [
        (
            "permissions",
            "asked for",
            Box::new(|| list(facts.permissions.iter().map(|p| p.as_str().to_owned()).collect())),
        ),
        ("level", "level", Box::new(|| facts.level.as_str().to_owned())),
        (
            "sensitivities",
            "raw",
            Box::new(|| list(facts.sensitivities.iter().map(|s| s.as_str().to_owned()).collect())),
        ),
        ("unmask", "columns named to be raw", Box::new(|| yes(facts.unmask))),
        ("business_hours", "within business hours", Box::new(|| yes(facts.business_hours))),
        ("minutes", "window", Box::new(|| format_duration(facts.window))),
        ("tables", "tables", Box::new(|| list(some(facts.tables.iter().map(ToString::to_string))))),
        ("schemas", "schemas", Box::new(|| list(some(facts.schemas.iter().cloned())))),
        ("columns", "raw columns", Box::new(|| list(some(facts.columns.keys().cloned())))),
        ("on_call", "on call", Box::new(|| yes(facts.on_call))),
        ("incident", "incident", Box::new(|| facts.incident.as_str().to_owned())),
        ("environment", "environment", Box::new(|| facts.environment.as_str().to_owned())),
        ("service", "service", Box::new(|| facts.service.clone().unwrap_or_else(|| "none".to_owned()))),
        ("owners", "owned by", Box::new(|| list(facts.owners.iter().cloned().collect()))),
        ("roles", "roles", Box::new(|| list(facts.roles.iter().map(|role| role.0.clone()).collect()))),
        ("principal in", "member of", Box::new(|| list(facts.teams.iter().cloned().collect()))),
        ("resource ==", "target", Box::new(|| facts.target.clone())),
    ];
    let told = said.iter().filter(|(name, ..)| speaks_of(condition, name));
    told.map(|(_, words, value)| format!("{words}: {}", value())).collect::<Vec<_>>().join("; ")
}

/// As many names as a person reads.
fn some(names: impl Iterator<Item = String>) -> Vec<String> {
    const SHOWN: usize = 8;
    let names: Vec<String> = names.collect();
    match names.len().saturating_sub(SHOWN) {
        0 => names,
        more => names.into_iter().take(SHOWN).chain([format!("and {more} more")]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Question;
    use super::super::matrix::{person, scope, target, touched};
    use super::*;
    use crate::core::model::{Environment, IncidentFact, Sensitivity};
    use std::time::Duration;

    fn said(
        policy: &Policy,
        team: &str,
        asks: &str,
        raw: &[Sensitivity],
        day: bool,
        hours: u64,
    ) -> Vec<String> {
        let decision = policy.decide(&Question {
            person: &person("alice", &[team], &[]),
            target: &target(Environment::Production),
            scope: &scope("table", asks),
            touched: touched(raw, 0),
            window: Duration::from_secs(hours * 3600),
            business_hours: day,
            on_call: false,
            incident: IncidentFact::None,
        });
        let explanation = policy.explain(&decision.facts.unwrap(), false);
        let line = |said: &RuleSaid| {
            let missing = said.missing.iter().map(|one| format!("{} [{}]", one.condition, one.known));
            let missing = missing.collect::<Vec<_>>().join("; ");
            format!("{:?} {} {}: {missing}", said.outcome, said.permits, said.id)
        };
        explanation.rules.iter().map(line).collect()
    }

    #[test]
    fn b8_an_explanation_names_what_decided_and_what_the_others_missed() {
        let policy = Policy::default_set().unwrap();
        let night = said(&policy, "shop", "read", &[], false, 1);
        assert_eq!(night[0], "Decided single single-read: ");
        assert_eq!(night[1], "Missed auto auto-read: context.business_hours [within business hours: no]");
        assert!(
            night.iter().all(|line| !line.contains("break-glass") && !line.contains("approve")),
            "{night:#?}"
        );
        let guest = said(&policy, "other", "read", &[Sensitivity::Pii], true, 1);
        assert_eq!(guest[0], "Decided single single-read-pii: ");
        let missed = guest.iter().find(|line| line.contains("auto-read")).unwrap();
        assert_eq!(
            missed,
            "Missed auto auto-read: context.sensitivities.isEmpty() [raw: pii]; principal in resource.owners \
             [owned by: shop; member of: other]"
        );
        // A lighter rule that allows less time is not a miss.
        let long = said(&policy, "shop", "read", &[], true, 9);
        assert!(long.contains(&"TooLong auto auto-read: ".to_owned()), "{long:#?}");
        let day = said(&policy, "shop", "read", &[], true, 1);
        assert!(day.contains(&"Applied single single-read: ".to_owned()), "{day:#?}");
    }

    #[test]
    fn b8_forbids_and_scopes_of_rules_are_explained_too() {
        let rules = r#"
            @id("only-bob") @title("Only Bob") @longest("1h")
            permit (principal == Person::"bob", action == Action::"auto", resource == Target::"a")
            when { context.on_call || context.business_hours };
            @id("never") @title("Never")
            forbid (principal, action, resource)
            when { principal is Person && resource is Target && context has level }
            unless { context.minutes < 30 };
        "#;
        let policy = Policy::compile(&[("own.cedar", rules)]).unwrap();
        let lines = said(&policy, "shop", "read", &[], false, 1);
        // It forbids what nobody permits: it decided nothing.
        assert_eq!(lines[0], "Applied forbid never: ");
        let missed = &lines[1];
        assert!(missed.starts_with("Missed auto only-bob: principal == Person::\"bob\""), "{missed}");
        assert!(missed.contains("on call: no") && missed.contains("within business hours: no"), "{missed}");
        let rules = rules
            .replace("principal == Person::\"bob\"", "principal")
            .replace("Target::\"a\"", "Target::\"prod-orders\"");
        let policy = Policy::compile(&[("own.cedar", &rules)]).unwrap();
        let lines = said(&policy, "shop", "read", &[], true, 1);
        assert_eq!(lines, ["Decided forbid never: ", "Applied auto only-bob: "]);
    }
}
