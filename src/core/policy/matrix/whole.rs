//! The whole matrix: every person, path, sensitivity, environment and hour is
//! decided, on call and off it, with an incident and without. What is printed
//! is every answer, with the facts that lead to it: those that are not named
//! make no difference.

use super::*;

/// Who asks, for what of it, and when.
#[derive(Clone, Copy)]
struct Asking {
    level: &'static str,
    /// What would be seen raw.
    raw: &'static [Sensitivity],
    incident: IncidentFact,
    member: bool,
    on_call: bool,
    day: bool,
}

type Factor = fn(&Asking) -> &'static str;

/// What may tell two answers apart, in the order in which it is said.
const FACTORS: [Factor; 6] = [
    |asking| asking.level,
    |asking| match asking.raw {
        [] => "masked",
        [kind] => kind.as_str(),
        _ => "several",
    },
    |asking| match asking.incident {
        IncidentFact::None => "no incident",
        IncidentFact::Confirmed => "confirmed",
        IncidentFact::Unconfirmed => "unconfirmed",
    },
    |asking| if asking.member { "member" } else { "guest" },
    |asking| if asking.on_call { "on call" } else { "off call" },
    |asking| if asking.day { "day" } else { "night" },
];

const LEVELS: [&str; 3] = ["table", "schema", "database"];
const RAW: [&[Sensitivity]; 6] = {
    use Sensitivity::{Financial, Health, Pii, Secret};
    [&[], &[Pii], &[Financial], &[Health], &[Secret], &[Pii, Financial]]
};
const INCIDENTS: [IncidentFact; 3] = [IncidentFact::None, IncidentFact::Confirmed, IncidentFact::Unconfirmed];

type Answers = Vec<(Asking, String)>;

/// Appends a line for each answer, with what leads to it.
fn tell(answers: &Answers, factors: &[Factor], path: &str, lines: &mut Vec<String>) {
    let (_, first) = answers.first().unwrap();
    if answers.iter().all(|(_, answer)| answer == first) {
        let everybody = if path.ends_with(':') { " everybody" } else { "" };
        lines.push(format!("{path}{everybody} → {first}").trim_end().to_owned());
        return;
    }
    let (factor, rest) = factors.split_first().unwrap();
    let mut groups: Vec<(Vec<&str>, Answers)> = Vec::new();
    for value in distinct(answers.iter().map(|(asking, _)| factor(asking))) {
        let of_it: Answers = answers.iter().filter(|(asking, _)| factor(asking) == value).cloned().collect();
        let said = |answers: &Answers| answers.iter().map(|(_, answer)| answer.clone()).collect::<Vec<_>>();
        match groups.iter_mut().find(|(_, known)| said(known) == said(&of_it)) {
            Some((values, _)) => values.push(value),
            None => groups.push((vec![value], of_it)),
        }
    }
    let matters = groups.len() > 1;
    for (values, answers) in &groups {
        let further = if matters { format!("{path} {}", values.join("/")) } else { path.to_owned() };
        tell(answers, rest, &further, lines);
    }
}

fn distinct<'a>(values: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    values.for_each(|value| {
        if !seen.contains(&value) {
            seen.push(value);
        }
    });
    seen
}

/// All who ask for something in one place, at any hour.
fn everybody(environment: Environment, asks: &str) -> Vec<(Asking, Facts)> {
    let mut all = Vec::new();
    for level in LEVELS {
        for raw in RAW {
            let facts = asked(environment, asks, level, raw);
            for incident in INCIDENTS {
                for (member, on_call) in [(true, true), (true, false), (false, true), (false, false)] {
                    for day in [true, false] {
                        let teams = BTreeSet::from([if member { "shop" } else { "other" }.to_owned()]);
                        let facts = Facts { incident, on_call, business_hours: day, teams, ..facts.clone() };
                        all.push((Asking { level, raw, incident, member, on_call, day }, facts));
                    }
                }
            }
        }
    }
    all
}

fn asked(environment: Environment, asks: &str, level: &str, raw: &[Sensitivity]) -> Facts {
    let mut scope = scope(level, asks);
    if !raw.is_empty() && asks != "ddl" {
        scope.unmask.insert(TableName::new("public", "orders"), BTreeSet::from(["note".into()]));
    }
    facts(&Question {
        person: &person("alice", &[], &[]),
        target: &target(environment),
        scope: &scope,
        touched: touched(raw, 0),
        window: Duration::from_secs(1800),
        business_hours: false,
        on_call: false,
        incident: IncidentFact::None,
    })
}

/// `single single-read`: the tier and the rules that decided.
fn answer(policy: &Policy, facts: &Facts, tiers: &[Tier]) -> String {
    let verdict = policy.weigh(facts, tiers);
    assert_eq!(verdict.broken, None);
    let (tier, rules) = match verdict.chosen {
        Some((tier, rule)) => (tier, vec![rule]),
        None => (Tier::Deny, policy.in_the_way(facts, &verdict)),
    };
    let rules: Vec<&str> = rules.iter().map(|rule| rule.id.as_str()).collect();
    format!("{} {}", tier.as_str(), rules.join(", "))
}

fn of_one_place(policy: &Policy, environment: Environment, tiers: &[Tier]) -> Vec<String> {
    let mut lines = Vec::new();
    for asks in ["read", "write", "ddl", "export"] {
        let everybody = everybody(environment, asks);
        assert_eq!(everybody.len(), 432);
        let answers: Answers =
            everybody.iter().map(|(asking, facts)| (*asking, answer(policy, facts, tiers))).collect();
        lines.push(String::new());
        tell(&answers, &FACTORS, &format!("{} {asks}:", environment.as_str()), &mut lines);
    }
    lines
}

/// What each rule grants that the rows name.
fn legend(policy: &Policy, tiers: &[Tier]) -> Vec<String> {
    let of_these = |rule: &&Rule| rule.permits().is_some_and(|tier| tiers.contains(&tier));
    let line = |rule: &Rule| {
        let Limits { rows, recording, masked } = rule.limits;
        let slots = rule.slots.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
        let limits = [
            rows.map(|rows| format!("at most {rows} rows")),
            recording.then(|| "recorded".to_owned()),
            masked.then(|| "masks".to_owned()),
            (!slots.is_empty()).then(|| format!("by {slots}")),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        let longest = crate::core::model::format_duration(rule.longest);
        format!("{:<25} {longest:<4} {}", rule.id, limits.join(", ")).trim_end().to_owned()
    };
    policy.rules.iter().filter(of_these).map(line).collect()
}

fn table(tiers: &[Tier]) -> String {
    let policy = Policy::default_set().unwrap();
    let places = [Environment::Production, Environment::Staging, Environment::Development];
    let rows = places.map(|place| of_one_place(&policy, place, tiers)).concat();
    format!("{}\n{}", legend(&policy, tiers).join("\n"), rows.join("\n"))
}

/// The whole matrix, read by people when it changes.
#[test]
fn r4_the_default_policy_as_a_table() {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("default_policy", table(TIERS));
    });
}

/// The emergency path, for everybody, everywhere, at any hour.
#[test]
fn r4_4_the_emergency_path_as_a_table() {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!("default_policy_break_glass", table(EMERGENCY));
    });
}
