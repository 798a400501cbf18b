//! From policy texts to a checked [`Policy`]: every problem at once, each with
//! its file and line, so that a policy that loads is one that can decide.

use super::alike::Names;
use super::facts::Vocabulary;
use super::{EMERGENCY, Policy, Rule, SCHEMA, TIERS};
use crate::core::hex::hex;
use crate::core::model::{ErrorKind, Limits, PolicySource, Role, Slot, Tier, parse_duration};
use cedar_policy::{
    ActionConstraint, Effect, EntityUid, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};
use miette::Diagnostic;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Why policy texts cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy has problems:\n{}", list(.0))]
    Problems(Vec<Problem>),
    #[error("the policy schema does not load: {0}")]
    Schema(String),
}

impl PolicyError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Problems(_) => ErrorKind::Usage,
            Self::Schema(_) => ErrorKind::Internal,
        }
    }
}

/// One thing that is wrong with a policy text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: String,
    pub line: usize,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}

/// A source text with its name.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn problem(self, offset: usize, message: impl Into<String>) -> Problem {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        Problem { file: self.file.to_owned(), line, message: message.into() }
    }

    /// A fault that Cedar found: where its first label points, else `offset`.
    fn fault(self, offset: usize, fault: &impl Diagnostic) -> Problem {
        let label = fault.labels().and_then(|mut labels| labels.next());
        let message = match fault.help() {
            Some(help) => format!("{fault}: {help}"),
            None => fault.to_string(),
        };
        self.problem(label.map_or(offset, |label| label.offset()), message)
    }
}

pub(super) fn compile(sources: &[(&str, &str)]) -> Result<Policy, PolicyError> {
    let internal = |error: String| PolicyError::Schema(error);
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| internal(e.to_string()))?;
    let vocabulary = Vocabulary::new().map_err(|e| internal(e.to_string()))?;
    let mut problems = Vec::new();
    let mut found: Vec<(Source<'_>, usize, Rule, cedar_policy::Policy)> = Vec::new();
    let mut hash = Sha256::new();
    for (file, text) in sources {
        hash.update(text);
        let source = Source { file, text };
        for (offset, policy) in read(source, &schema, &mut problems) {
            match annotated(source, offset, &policy) {
                Ok(rule) => found.push((source, offset, rule, policy)),
                Err(several) => problems.extend(several),
            }
        }
    }
    let (mut set, mut permits) = (PolicySet::new(), PolicySet::new());
    let (mut rules, mut by_id) = (Vec::new(), HashMap::new());
    for (source, offset, rule, policy) in found {
        if by_id.contains_key(&rule.id) {
            problems
                .push(source.problem(offset, format!("a rule with @id(\"{}\") is there already", rule.id)));
            continue;
        }
        let policy = policy.new_id(PolicyId::new(&rule.id));
        if rule.effect == Effect::Permit
            && let Err(error) = permits.add(policy.clone())
        {
            problems.push(source.problem(offset, error.to_string()));
        }
        if let Err(error) = set.add(policy) {
            problems.push(source.problem(offset, error.to_string()));
        }
        by_id.insert(rule.id.clone(), rules.len());
        rules.push(rule);
    }
    if rules.is_empty() && problems.is_empty() {
        let file = sources.first().map_or("policy", |(file, _)| file).to_owned();
        problems.push(Problem { file, line: 1, message: "no rule: every request would be denied".into() });
    }
    if !problems.is_empty() {
        problems.sort();
        problems.dedup();
        return Err(PolicyError::Problems(problems));
    }
    let hash = hex(&hash.finalize());
    let kept = |(file, text): &(&str, &str)| PolicySource { file: (*file).into(), text: (*text).into() };
    let sources = sources.iter().map(kept).collect();
    let names = Names::of(set.policies());
    Ok(Policy { rules, by_id, set, permits, schema, vocabulary, names, sources, hash })
}

/// The rules of one text with their offsets, in the order written, checked against the schema.
fn read(
    source: Source<'_>,
    schema: &Schema,
    problems: &mut Vec<Problem>,
) -> Vec<(usize, cedar_policy::Policy)> {
    let set: PolicySet = match source.text.parse() {
        Ok(set) => set,
        Err(errors) => {
            let errors: cedar_policy::ParseErrors = errors;
            problems.extend(errors.iter().map(|error| source.fault(0, error)));
            return Vec::new();
        }
    };
    if set.templates().next().is_some() {
        problems.push(source.problem(0, "templates (?principal, ?resource) are not supported"));
    }
    // Cedar numbers the rules of a text as policy0, policy1, …
    let number = |policy: &cedar_policy::Policy| {
        let id: &str = policy.id().as_ref();
        id.trim_start_matches("policy").parse().unwrap_or(usize::MAX)
    };
    let mut policies: Vec<cedar_policy::Policy> = set.policies().cloned().collect();
    policies.sort_by_key(number);
    let mut placed = Vec::new();
    let mut from = 0;
    for policy in policies {
        let text = policy.to_cedar().unwrap_or_default();
        let offset = source.text.get(from..).and_then(|rest| rest.find(&text)).map_or(from, |at| from + at);
        from = offset + text.len();
        placed.push((offset, policy));
    }
    let place = |id: &PolicyId| placed.iter().find(|(_, policy)| policy.id() == id).map_or(0, |(at, _)| *at);
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    problems.extend(result.validation_errors().map(|error| source.fault(place(error.policy_id()), error)));
    problems.extend(result.validation_warnings().map(|error| source.fault(place(error.policy_id()), error)));
    placed
}

/// What a rule's annotations say, or everything that is wrong with them.
fn annotated(source: Source<'_>, offset: usize, policy: &cedar_policy::Policy) -> Result<Rule, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut say = |message: String| problems.push(source.problem(offset, message));
    let id = policy.annotation("id").unwrap_or_default().to_owned();
    let named = if id.is_empty() { "this rule".to_owned() } else { format!("rule {id}") };
    let title = policy.annotation("title").unwrap_or_default().to_owned();
    if id.is_empty() {
        say("a rule has no @id(\"…\"): decisions cite it".to_owned());
    }
    if title.is_empty() {
        say(format!("{named} has no @title(\"…\"): requesters and approvers read it"));
    }
    let permits = match permitted(policy) {
        Ok(permits) => permits,
        Err(()) => {
            say(format!(
                "{named} must name one action: action == Action::\"auto\", \"single\", \"dual\", \"break-glass\" or \"approve\""
            ));
            Permits::Approve
        }
    };
    let known: &[&str] = match permits {
        Permits::Tier(Tier::Auto) => &["id", "title", "longest", "rows", "recording", "masks"],
        Permits::Tier(_) => &["id", "title", "longest", "approvers", "rows", "recording", "masks"],
        Permits::Approve | Permits::Nothing => &["id", "title"],
    };
    for (key, _) in policy.annotations().filter(|(key, _)| !known.contains(key)) {
        say(format!("{named} has @{key}, which means nothing here: expected @{}", known.join(", @")));
    }
    let (mut longest, mut slots, mut limits) = (Duration::ZERO, Vec::new(), Limits::default());
    if let Permits::Tier(tier) = permits {
        match policy.annotation("longest").map(parse_duration) {
            Some(Ok(length)) => longest = length,
            Some(Err(error)) => say(format!("@longest of {named}: {error}")),
            None => say(format!("{named} has no @longest(\"…\"): no access is without an end")),
        }
        match read_limits(policy) {
            Ok(read) => limits = read,
            Err(wrong) => wrong.iter().for_each(|(key, what)| say(format!("@{key} of {named}: {what}"))),
        }
        slots = policy.annotation("approvers").map(read_slots).unwrap_or_default();
        let enough = match tier {
            Tier::Single => slots.len() == 1,
            Tier::Dual => slots.len() >= 2,
            _ => true,
        };
        if !enough || slots.iter().any(|slot| slot.any_of.is_empty()) {
            let example = if tier == Tier::Single { "lead|security" } else { "peer, manager|security" };
            say(format!(
                "{named} is {}: expected approvers such as @approvers(\"{example}\")",
                tier.as_str()
            ));
        }
    }
    if problems.is_empty() {
        let (tiers, place) = (tiers(policy), source.problem(offset, ""));
        let effect = policy.effect();
        Ok(Rule { id, title, file: place.file, line: place.line, effect, tiers, slots, longest, limits })
    } else {
        Err(problems)
    }
}

/// What a rule permits.
enum Permits {
    Tier(Tier),
    Approve,
    /// It forbids.
    Nothing,
}

fn permitted(policy: &cedar_policy::Policy) -> Result<Permits, ()> {
    if policy.effect() == Effect::Forbid {
        return Ok(Permits::Nothing);
    }
    let ActionConstraint::Eq(action) = policy.action_constraint() else { return Err(()) };
    match action.id().unescaped() {
        "auto" => Ok(Permits::Tier(Tier::Auto)),
        "single" => Ok(Permits::Tier(Tier::Single)),
        "dual" => Ok(Permits::Tier(Tier::Dual)),
        "break-glass" => Ok(Permits::Tier(Tier::BreakGlass)),
        "approve" => Ok(Permits::Approve),
        // The schema's check reports it.
        _ => Ok(Permits::Approve),
    }
}

/// The tiers that a rule speaks of.
fn tiers(policy: &cedar_policy::Policy) -> Vec<Tier> {
    let all = TIERS.iter().chain(EMERGENCY).copied();
    let named: Vec<EntityUid> = match policy.action_constraint() {
        ActionConstraint::Any => return all.collect(),
        ActionConstraint::In(actions) => actions,
        ActionConstraint::Eq(action) => vec![action],
    };
    all.filter(|tier| named.iter().any(|action| action.id().unescaped() == tier.as_str())).collect()
}

/// What a rule bounds beside the window, or what is wrong with how it says so.
fn read_limits(policy: &cedar_policy::Policy) -> Result<Limits, Vec<(&'static str, String)>> {
    let mut wrong = Vec::new();
    let rows = policy.annotation("rows").and_then(|text| {
        let rows = text.parse().ok().filter(|rows| *rows > 0);
        if rows.is_none() {
            let expected = "expected how many rows a session may read, such as 50000";
            wrong.push(("rows", format!("`{text}`: {expected}")));
        }
        rows
    });
    let mut switch = |name: &'static str| match policy.annotation(name) {
        Some("on") => true,
        None | Some("off") => false,
        Some(other) => {
            wrong.push((name, format!("`{other}`: expected on or off")));
            false
        }
    };
    let limits = Limits { rows, recording: switch("recording"), masked: switch("masks") };
    if wrong.is_empty() { Ok(limits) } else { Err(wrong) }
}

/// `peer, manager|security` → two slots, the second for either role.
fn read_slots(text: &str) -> Vec<Slot> {
    let roles =
        |slot: &str| slot.split('|').map(str::trim).filter(|role| !role.is_empty()).map(Role::new).collect();
    text.split(',').map(|slot| Slot { any_of: roles(slot) }).collect()
}
