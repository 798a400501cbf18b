//! A rule taken apart: the conditions that must all hold for it to apply, each
//! as a rule of its own that can be asked, and the names that it speaks of.

use cedar_policy::{Policy, PolicyId, PolicySet};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// One condition of a rule.
pub(super) struct Part {
    /// As Cedar text.
    pub text: String,
    /// Permits where it holds.
    pub set: PolicySet,
}

/// The conditions of a rule, in its order: where it applies (principal,
/// resource), then each operand of `&&` in a `when`, and each `unless` whole.
/// What cannot be taken apart is no part; the rule itself decides in any case.
pub(super) fn parts(rule: &Policy) -> Vec<Part> {
    let Ok(json) = rule.to_json() else { return Vec::new() };
    let mut found = Vec::new();
    for scope in ["principal", "resource"] {
        let Some(own) = json.get(scope).filter(|own| **own != all()) else { continue };
        let alone = match scope {
            "principal" => bare(own.clone(), all(), json!([])),
            _ => bare(all(), own.clone(), json!([])),
        };
        found.extend(part(alone, |text| {
            let (_, inside) = text.split_once('(')?;
            let (inside, _) = inside.rsplit_once(')')?;
            inside.split(',').map(str::trim).find(|one| one.starts_with(scope)).map(str::to_owned)
        }));
    }
    for condition in json.get("conditions").and_then(Value::as_array).into_iter().flatten() {
        let (Some(kind), Some(body)) = (condition.get("kind"), condition.get("body")) else { continue };
        let mut bodies = Vec::new();
        if kind == "when" {
            operands(body, &mut bodies);
        } else {
            bodies.push(body);
        }
        for body in bodies {
            let alone = bare(all(), all(), json!([{"kind": kind, "body": body}]));
            found.extend(part(alone, |text| {
                let (before, inside) = text.split_once('{')?;
                let (inside, _) = inside.rsplit_once('}')?;
                let inside = inside.split_whitespace().collect::<Vec<_>>().join(" ");
                let not = if before.contains("unless") { "not: " } else { "" };
                Some(format!("{not}{}", unwrapped(&inside)))
            }));
        }
    }
    found
}

/// What restricts nothing.
fn all() -> Value {
    json!({"op": "All"})
}

/// A rule with no more than this to it.
fn bare(principal: Value, resource: Value, conditions: Value) -> Value {
    json!({
        "effect": "permit", "principal": principal, "action": all(), "resource": resource,
        "conditions": conditions,
    })
}

fn part(rule: Value, text: impl Fn(&str) -> Option<String>) -> Option<Part> {
    let rule = Policy::from_json(Some(PolicyId::new("part")), rule).ok()?;
    let text = text(&rule.to_cedar()?)?;
    let mut set = PolicySet::new();
    set.add(rule).ok()?;
    Some(Part { text, set })
}

fn operands<'v>(body: &'v Value, found: &mut Vec<&'v Value>) {
    let both = body.get("&&").and_then(|both| both.get("left").zip(both.get("right")));
    match both {
        Some((left, right)) => {
            operands(left, found);
            operands(right, found);
        }
        None => found.push(body),
    }
}

/// Without brackets that hold the whole.
fn unwrapped(text: &str) -> &str {
    let Some(inside) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) else { return text };
    let mut depth = 0i32;
    for c in inside.chars() {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth < 0 {
            return text;
        }
    }
    unwrapped(inside.trim())
}

/// Whether a text speaks of a name, as a word.
pub(super) fn speaks_of(text: &str, name: &str) -> bool {
    text.match_indices(name).any(|(at, _)| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let before = text.get(..at).and_then(|rest| rest.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|rest| rest.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// What rules speak of.
#[derive(Default)]
pub(super) struct Mentioned {
    /// Entities by type: `Team` → `shop`.
    pub entities: BTreeMap<String, BTreeSet<String>>,
    pub attributes: BTreeSet<String>,
    pub strings: BTreeSet<String>,
    pub numbers: BTreeSet<i64>,
}

impl Mentioned {
    pub fn of<'p>(rules: impl Iterator<Item = &'p Policy>) -> Self {
        let mut mentioned = Self::default();
        for rule in rules {
            if let Ok(json) = rule.to_json() {
                let parts = ["principal", "resource", "conditions"];
                parts.iter().filter_map(|part| json.get(part)).for_each(|part| mentioned.walk(part));
            }
        }
        mentioned
    }

    pub fn named(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.entities.get(kind).into_iter().flatten().map(String::as_str)
    }

    pub fn speaks_of(&self, attribute: &str) -> bool {
        self.attributes.contains(attribute)
    }

    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| self.walk(value)),
            Value::Object(fields) => {
                let text = |key: &str| fields.get(key).and_then(Value::as_str);
                if let (Some(kind), Some(id)) = (text("type"), text("id")) {
                    self.entities.entry(kind.to_owned()).or_default().insert(id.to_owned());
                }
                self.attributes.extend(text("attr").map(str::to_owned));
                self.strings.extend(text("Value").map(str::to_owned));
                self.numbers.extend(fields.get("Value").and_then(Value::as_i64));
                fields.values().for_each(|value| self.walk(value));
            }
            _ => {}
        }
    }
}
