//! Rules that can never decide anything: found by asking the policy about every
//! combination of the facts that its rules speak of. A finding holds for these
//! combinations; a rule that compares what is not tried here may be told wrongly.

use super::parts::{Mentioned, Part, parts, speaks_of};
use super::report::holds;
use super::{EMERGENCY, Policy, Rule, TIERS};
use crate::core::model::{
    Environment, Facts, IncidentFact, Level, Permission, Person, Role, Sensitivity, Slot, TableName, Target,
    Tier, split_name,
};
use cedar_policy::{Effect, PolicyId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// More combinations than this are not tried.
const MOST: usize = 60_000;

const ENVIRONMENTS: [Environment; 3] =
    [Environment::Production, Environment::Staging, Environment::Development];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// How many combinations of facts were tried.
    pub tried: usize,
    /// Whether those were all: a policy that speaks of very many names has more.
    pub all: bool,
    /// Whether any of it is permitted.
    pub permits: bool,
    pub idle: Vec<Idle>,
}

/// A rule that decided nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    pub rule: String,
    pub file: String,
    pub line: usize,
    /// The rules that came before it wherever it applied; empty where it never did.
    pub behind: Vec<String>,
    /// Whether it would decide, did one of the targets stand in another environment.
    pub elsewhere: bool,
}

impl Policy {
    /// Asks about every combination of facts. `targets` are those that there
    /// are; without any, one of each kind is made up.
    pub fn reach(&self, targets: &[Target]) -> Reach {
        let mut seen = self.seen(targets);
        let permits = |place: &usize| self.rules.get(*place).is_some_and(|rule| rule.permits().is_some());
        let mut reach = Reach {
            tried: seen.tried,
            all: !seen.cut,
            permits: seen.decided.iter().any(permits),
            idle: Vec::new(),
        };
        // Who may approve is not tried here.
        let is_idle =
            |(place, rule): &(usize, &Rule)| !rule.tiers.is_empty() && !seen.decided.contains(place);
        let idle: Vec<(usize, &Rule)> = self.rules.iter().enumerate().filter(is_idle).collect();
        if idle.is_empty() {
            return reach;
        }
        let elsewhere = self.seen(&everywhere(targets)).decided;
        for (place, rule) in idle {
            let behind = seen.behind.remove(&place).unwrap_or_default();
            let behind = behind.into_iter().filter_map(|place| self.rules.get(place));
            reach.idle.push(Idle {
                rule: rule.id.clone(),
                file: rule.file.clone(),
                line: rule.line,
                behind: behind.map(|rule| rule.id.clone()).collect(),
                elsewhere: elsewhere.contains(&place),
            });
        }
        reach
    }

    /// What every rule did, of all combinations.
    fn seen(&self, targets: &[Target]) -> Seen {
        let mut seen = Seen::default();
        for tiers in [TIERS, EMERGENCY] {
            let cells = self.cells(tiers, targets);
            seen.cut |= cells.len() > MOST;
            for facts in cells.iter().take(MOST) {
                seen.tried += 1;
                self.try_one(facts, tiers, &mut seen);
            }
        }
        seen
    }

    /// The approvals that rules ask for at a target and that nobody could give,
    /// each with those rules: not by any one of these teams' people with all of
    /// these roles, for a request by anybody else.
    pub fn nobody_approves(
        &self,
        target: &Target,
        teams: &BTreeSet<String>,
        roles: &BTreeSet<Role>,
    ) -> Vec<(Slot, Vec<String>)> {
        let person = |subject: &str, team: &String| Person {
            subject: subject.to_owned(),
            email: format!("{subject}@example.com"),
            name: None,
            teams: BTreeSet::from([team.clone()]),
            roles: roles.clone(),
        };
        let fills = |slot: &Slot| {
            teams.iter().any(|asking| {
                let requester = person("requester", asking);
                teams.iter().any(|approving| {
                    let approver = person("approver", approving);
                    let asked = (&requester.to_ref(), &requester.teams);
                    !self.fills(&approver, asked.0, asked.1, target, &slot.any_of).is_empty()
                })
            })
        };
        let decided = self.seen(std::slice::from_ref(target)).decided;
        let mut lacking: Vec<(Slot, Vec<String>)> = Vec::new();
        for rule in decided.into_iter().filter_map(|place| self.rules.get(place)) {
            for slot in rule.slots.iter().filter(|slot| !fills(slot)) {
                match lacking.iter_mut().find(|(known, _)| known == slot) {
                    Some((_, rules)) => rules.push(rule.id.clone()),
                    None => lacking.push((slot.clone(), vec![rule.id.clone()])),
                }
            }
        }
        lacking
    }

    fn try_one(&self, facts: &Facts, tiers: &[Tier], seen: &mut Seen) {
        let Ok(entities) = self.vocabulary.entities(facts) else { return };
        // Permits that apply, lightest tier first, each with the longest window it allows.
        let mut applying: Vec<(usize, Duration)> = Vec::new();
        for &tier in tiers {
            let Ok(rules) = self.applying(&self.set, facts, tier, &entities) else { continue };
            for place in rules {
                match self.rules.get(place) {
                    Some(Rule { effect: Effect::Forbid, .. }) => {
                        seen.decided.insert(place);
                    }
                    Some(rule) if rule.can_be_kept(facts) && rule.longest >= facts.window => {
                        applying.push((place, rule.longest));
                    }
                    _ => {}
                }
            }
        }
        let mut before: Vec<(usize, Duration)> = Vec::new();
        for (place, longest) in applying {
            // It decides for some window, unless all that it allows is allowed before.
            match before.iter().find(|(_, earlier)| *earlier >= longest) {
                None => {
                    seen.decided.insert(place);
                }
                Some((earlier, _)) => {
                    seen.behind.entry(place).or_default().insert(*earlier);
                }
            }
            before.push((place, longest));
        }
    }

    /// The combinations of what the rules of some tiers speak of.
    fn cells(&self, tiers: &[Tier], targets: &[Target]) -> Vec<Facts> {
        let concerns = |rule: &&Rule| rule.tiers.iter().any(|tier| tiers.contains(tier));
        let cedar = |rule: &Rule| self.set.policy(&PolicyId::new(&rule.id));
        let said = Mentioned::of(self.rules.iter().filter(concerns).filter_map(cedar));
        let conditions: Vec<Part> =
            self.rules.iter().filter(concerns).filter_map(cedar).flat_map(parts).collect();
        let mut cells = start(&said, targets);
        let Some(any) = cells.first().cloned() else { return cells };
        let apart = Apart { policy: self, tiers, conditions: &conditions, any: &any };
        vary(&mut cells, subjects(&said), |facts, subject| facts.subject = subject);
        vary(&mut cells, roles(&said), |facts, roles| facts.roles = roles);
        let set = |facts: &mut Facts, permissions| facts.permissions = permissions;
        vary(&mut cells, apart.told(permissions(), &["permissions"], set), set);
        if said.speaks_of("level") {
            let levels = vec![Level::Row, Level::Table, Level::Schema, Level::Database];
            let set = |facts: &mut Facts, level| facts.level = level;
            vary(&mut cells, apart.told(levels, &["level"], set), set);
        }
        if ["sensitivities", "unmask", "columns"].iter().any(|name| said.speaks_of(name)) {
            let set = |facts: &mut Facts, kinds: BTreeSet<Sensitivity>| {
                facts.unmask = !kinds.is_empty();
                facts.sensitivities = kinds;
            };
            let kinds = apart.told(sensitivities(), &["sensitivities", "unmask"], set);
            vary(&mut cells, kinds, set);
        }
        for (name, set) in [
            ("business_hours", (|facts, yes| facts.business_hours = yes) as fn(&mut Facts, bool)),
            ("on_call", |facts, yes| facts.on_call = yes),
        ] {
            if said.speaks_of(name) {
                vary(&mut cells, vec![false, true], set);
            }
        }
        if said.speaks_of("incident") {
            let all = vec![IncidentFact::None, IncidentFact::Confirmed, IncidentFact::Unconfirmed];
            vary(&mut cells, all, |facts, incident| facts.incident = incident);
        }
        if said.speaks_of("tables") {
            vary_named(&mut cells, &said, "Table", |facts, names| {
                facts.tables = names.iter().filter_map(|name| table(name)).collect();
            });
        }
        if said.speaks_of("schemas") {
            vary_named(&mut cells, &said, "Schema", |facts, names| facts.schemas = names);
        }
        if said.speaks_of("columns") {
            vary_named(&mut cells, &said, "Column", |facts, names| {
                let kind = facts.sensitivities.first().copied();
                facts.columns = names.into_iter().filter_map(|name| Some((name, kind?))).collect();
            });
        }
        if said.speaks_of("minutes") {
            let minutes = |n: i64| u64::try_from(n).ok().map(|n| Duration::from_secs(n.saturating_mul(60)));
            let around = said.numbers.iter().flat_map(|n| [n.saturating_sub(1), *n, n.saturating_add(1)]);
            let longest = self.rules.iter().map(|rule| rule.longest);
            let windows: BTreeSet<Duration> =
                around.filter_map(minutes).chain(longest).filter(|window| !window.is_zero()).collect();
            vary(&mut cells, windows.into_iter().collect(), |facts, window| facts.window = window);
        }
        cells
    }
}

/// What rules can say of a request, by name.
const NAMES: [&str; 13] = [
    "permissions",
    "level",
    "sensitivities",
    "unmask",
    "business_hours",
    "minutes",
    "tables",
    "schemas",
    "columns",
    "on_call",
    "incident",
    "principal",
    "resource",
];

/// Which values of a fact the conditions of rules tell apart.
struct Apart<'p> {
    policy: &'p Policy,
    tiers: &'p [Tier],
    conditions: &'p [Part],
    any: &'p Facts,
}

impl Apart<'_> {
    /// Of those that every condition takes alike, one. Where a condition speaks
    /// of other facts, too, all stay.
    fn told<T: Clone>(&self, options: Vec<T>, names: &[&str], set: impl Fn(&mut Facts, T)) -> Vec<T> {
        let own = |part: &&Part| names.iter().any(|name| speaks_of(&part.text, name));
        let others = |part: &Part| {
            let other = |name: &&&str| !names.contains(*name);
            NAMES.iter().filter(other).any(|name| speaks_of(&part.text, name))
        };
        let conditions: Vec<&Part> = self.conditions.iter().filter(own).collect();
        if conditions.iter().any(|part| others(part)) {
            return options;
        }
        let mut seen = BTreeSet::new();
        let mut is_new = |option: &T| {
            let mut facts = self.any.clone();
            set(&mut facts, option.clone());
            let entities = self.policy.vocabulary.entities(&facts).ok();
            let tier = self.tiers.first().copied();
            let asked =
                tier.and_then(|tier| self.policy.vocabulary.access(&facts, tier, &self.policy.schema).ok());
            let Some((entities, asked)) = entities.zip(asked) else { return true };
            let answers: Vec<bool> =
                conditions.iter().map(|part| holds(&part.set, &asked, &entities)).collect();
            seen.insert(answers)
        };
        options.into_iter().filter(|option| is_new(option)).collect()
    }
}

/// What was seen of the rules, by their places.
#[derive(Default)]
struct Seen {
    tried: usize,
    /// There were more than are tried.
    cut: bool,
    decided: BTreeSet<usize>,
    behind: BTreeMap<usize, BTreeSet<usize>>,
}

/// Each of these targets, in each environment.
fn everywhere(targets: &[Target]) -> Vec<Target> {
    let in_each = |target: &Target| ENVIRONMENTS.map(|environment| Target { environment, ..target.clone() });
    targets.iter().flat_map(in_each).collect()
}

/// Every cell with every option; one beyond the bound is enough to know of it.
fn vary<T: Clone>(cells: &mut Vec<Facts>, options: Vec<T>, set: impl Fn(&mut Facts, T)) {
    let varied = cells.iter().flat_map(|facts| {
        options.iter().map(|option| {
            let mut facts = facts.clone();
            set(&mut facts, option.clone());
            facts
        })
    });
    *cells = varied.take(MOST + 1).collect();
}

/// Names inside of a target: some other one, each that rules name, all of those.
fn vary_named(
    cells: &mut Vec<Facts>,
    said: &Mentioned,
    kind: &str,
    set: impl Fn(&mut Facts, BTreeSet<String>),
) {
    let varied = cells.iter().flat_map(|facts| {
        let own = format!("{}/", facts.target);
        let named: Vec<String> =
            said.named(kind).filter_map(|id| id.strip_prefix(&own)).map(str::to_owned).collect();
        let other = BTreeSet::from(["public.some_other".to_owned()]);
        let each = named.iter().map(|name| BTreeSet::from([name.clone()]));
        let all = (named.len() > 1).then(|| named.iter().cloned().collect());
        let options: Vec<BTreeSet<String>> = [other].into_iter().chain(each).chain(all).collect();
        let set = &set;
        options.into_iter().map(move |names| {
            let mut facts = facts.clone();
            set(&mut facts, names);
            facts
        })
    });
    *cells = varied.take(MOST + 1).collect();
}

fn table(name: &str) -> Option<TableName> {
    match split_name(name).as_deref() {
        Some([schema, name]) => Some(TableName::new(schema, name)),
        _ => None,
    }
}

/// Each kind of target, with each kind of person before it.
fn start(said: &Mentioned, targets: &[Target]) -> Vec<Facts> {
    let teams: Vec<&str> = said.named("Team").collect();
    let mut cells = Vec::new();
    let mut add = |target: &Target| {
        let owners = &target.owners;
        let one = |team: &str| BTreeSet::from([team.to_owned()]);
        let mut members: BTreeSet<BTreeSet<String>> = teams.iter().map(|team| one(team)).collect();
        members.insert(BTreeSet::new());
        members.insert(owners.clone());
        members.extend(teams.iter().map(|team| owners.iter().cloned().chain(one(team)).collect()));
        for teams in members {
            cells.push(facts(target, teams));
        }
    };
    if targets.is_empty() {
        let services = [None].into_iter().chain(said.strings.iter().cloned().map(Some));
        let services: Vec<Option<String>> =
            if said.speaks_of("service") { services.collect() } else { vec![None] };
        let names: Vec<&str> = ["some-target"].into_iter().chain(said.named("Target")).collect();
        let owners: Vec<&str> = ["the-owners"].into_iter().chain(teams.iter().copied()).collect();
        for environment in ENVIRONMENTS {
            for service in &services {
                for name in names.iter().copied().chain(inside(said)) {
                    for owner in &owners {
                        add(&Target {
                            name: name.to_owned(),
                            environment,
                            service: service.clone(),
                            owners: BTreeSet::from([(*owner).to_owned()]),
                            classified: Vec::new(),
                        });
                    }
                }
            }
        }
    }
    // Targets that no rule can tell apart are one.
    let mut kinds = BTreeSet::new();
    for target in targets {
        let named = said.named("Target").chain(inside(said)).any(|name| name == target.name);
        let kind = (
            target.environment,
            target.service.clone().filter(|_| said.speaks_of("service")),
            if teams.is_empty() { BTreeSet::new() } else { target.owners.clone() },
            target.owners.is_empty(),
            named.then(|| target.name.clone()),
        );
        if kinds.insert(kind) {
            add(target);
        }
    }
    cells
}

/// The targets of the tables, schemas and columns that rules name.
fn inside(said: &Mentioned) -> impl Iterator<Item = &str> {
    let whole: BTreeSet<&str> = said.named("Target").collect();
    let of = |kind| said.named(kind).filter_map(|id| id.split_once('/')).map(|(target, _)| target);
    let all: BTreeSet<&str> = ["Table", "Schema", "Column"].into_iter().flat_map(of).collect();
    all.into_iter().filter(move |target| !whole.contains(target))
}

fn facts(target: &Target, teams: BTreeSet<String>) -> Facts {
    Facts {
        subject: "somebody".to_owned(),
        teams,
        roles: BTreeSet::new(),
        target: target.name.clone(),
        environment: target.environment,
        service: target.service.clone(),
        owners: target.owners.clone(),
        permissions: BTreeSet::new(),
        level: Level::Table,
        objects: String::new(),
        tables: BTreeSet::new(),
        schemas: BTreeSet::new(),
        columns: BTreeMap::new(),
        sensitivities: BTreeSet::new(),
        unmask: false,
        masked: 0,
        window: Duration::from_secs(1),
        business_hours: false,
        on_call: false,
        incident: IncidentFact::None,
    }
}

fn subjects(said: &Mentioned) -> Vec<String> {
    ["somebody"].into_iter().chain(said.named("Person")).map(str::to_owned).collect()
}

fn roles(said: &Mentioned) -> Vec<BTreeSet<Role>> {
    let each = said.named("Role").map(|role| BTreeSet::from([Role::new(role)]));
    [BTreeSet::new()].into_iter().chain(each).collect()
}

/// What a scope can ask for.
fn permissions() -> Vec<BTreeSet<Permission>> {
    use Permission::{Ddl, Export, Read, Write};
    let sets: [&[Permission]; 6] = [
        &[Read],
        &[Read, Write],
        &[Read, Write, Ddl],
        &[Read, Export],
        &[Read, Write, Export],
        &[Read, Write, Ddl, Export],
    ];
    sets.iter().map(|set| set.iter().copied().collect()).collect()
}

fn sensitivities() -> Vec<BTreeSet<Sensitivity>> {
    use Sensitivity::{Financial, Health, Pii, Secret};
    let sets: [&[Sensitivity]; 8] = [
        &[],
        &[Pii],
        &[Financial],
        &[Health],
        &[Secret],
        &[Pii, Financial],
        &[Pii, Health],
        &[Pii, Financial, Health, Secret],
    ];
    sets.iter().map(|set| set.iter().copied().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::DEFAULT;
    use super::super::matrix::target;
    use super::*;

    fn idle(rules: &str, with_default: bool) -> Vec<String> {
        let mut sources = vec![("own.cedar", rules)];
        if with_default {
            sources.push(("default.cedar", DEFAULT));
        }
        let policy = Policy::compile(&sources).unwrap();
        let reach = policy.reach(&[]);
        assert!(reach.all, "{} tried", reach.tried);
        let told =
            |idle: &Idle| format!("{}:{} {} behind {:?}", idle.file, idle.line, idle.rule, idle.behind);
        reach.idle.iter().map(told).collect()
    }

    #[test]
    fn r4_every_rule_of_the_default_policy_decides_something() {
        let policy = Policy::default_set().unwrap();
        let reach = policy.reach(&[]);
        assert_eq!((reach.idle, reach.all), (Vec::new(), true));
        assert!(reach.tried > 300, "{}", reach.tried);
        // So it is for the targets of one place, where there are all kinds.
        let targets: Vec<Target> = ENVIRONMENTS.into_iter().map(target).collect();
        assert_eq!(policy.reach(&targets).idle, []);
        // Without a development database its rule decides nothing, and would if there were one.
        let idle = policy.reach(&targets[..2]).idle;
        let told = idle.iter().map(|idle| (idle.rule.as_str(), idle.elsewhere)).collect::<Vec<_>>();
        assert_eq!(told, [("auto-development", true)]);
    }

    #[test]
    fn b8_rules_that_never_decide_are_found() {
        let wide = r#"
            @id("all-reads") @title("All reads") @longest("8h")
            permit (principal, action == Action::"auto", resource)
            when { context.permissions == [Permission::"read"] };
        "#;
        assert_eq!(
            idle(wide, true),
            [
                "default.cedar:22 auto-read behind [\"all-reads\"]",
                "default.cedar:47 single-read behind [\"all-reads\"]",
                "default.cedar:58 single-read-pii behind [\"all-reads\"]",
            ]
        );
        // A rule behind one that allows less time decides for the rest of it.
        let rules = r#"
            @id("short") @title("Short") @longest("1h")
            permit (principal in Team::"shop", action == Action::"auto", resource);
            @id("long") @title("Long") @longest("2h")
            permit (principal in Team::"shop", action == Action::"auto", resource == Target::"a");
            @id("never") @title("Never") @longest("1h")
            permit (principal, action == Action::"auto", resource)
            when { context.minutes > 60 };
            @id("table") @title("Table") @longest("4h") @approvers("lead")
            permit (principal, action == Action::"single", resource == Target::"a")
            when { [Table::"a/public.orders"].containsAll(context.tables) };
            @id("elsewhere") @title("Elsewhere")
            forbid (principal, action == Action::"dual", resource)
            when { context.tables.contains(Table::"a/public.orders") && resource == Target::"b" };
        "#;
        assert_eq!(idle(rules, false), ["own.cedar:6 never behind []", "own.cedar:12 elsewhere behind []"]);
    }

    #[test]
    fn b8_a_policy_that_permits_nothing_is_found_whatever_it_speaks_of() {
        let production = [target(Environment::Production)];
        let permits = |rules: &str| {
            let policy = Policy::compile(&[("own.cedar", rules)]).unwrap();
            (policy.permits_nothing(), policy.reach(&production).permits)
        };
        let forbid = r#"@id("no") @title("No") forbid (principal, action, resource);"#;
        let read = r#"@id("read") @title("Read") @longest("1h")
            permit (principal, action == Action::"auto", resource)
            when { resource.environment == Environment::"staging" };"#;
        assert_eq!(permits(forbid), (true, false));
        // It has a rule that permits, and that comes to nothing here.
        assert_eq!(permits(read), (false, false));
        assert_eq!(permits(&format!("{read}{forbid}")), (false, false));
        assert_eq!(permits(&read.replace("staging", "production")), (false, true));
    }

    #[test]
    fn b8_approvals_that_nobody_could_give_are_found() {
        let rules = r#"
            @id("read") @title("Read") @longest("1h") @approvers("manager")
            permit (principal, action == Action::"single", resource == Target::"prod-orders");
            @id("else") @title("Elsewhere") @longest("1h") @approvers("boss")
            permit (principal, action == Action::"single", resource == Target::"other");
            @id("approve") @title("Managers of owners") 
            permit (principal, action == Action::"approve", resource)
            when { principal.roles.contains(context.role) && principal in resource.owners };
        "#;
        let policy = Policy::compile(&[("own.cedar", rules)]).unwrap();
        let mut here = target(Environment::Production);
        let teams = BTreeSet::from(["shop".to_owned()]);
        let roles = BTreeSet::from([Role::new("manager")]);
        assert_eq!(policy.nobody_approves(&here, &teams, &roles), []);
        here.owners = BTreeSet::new();
        let lacking = policy.nobody_approves(&here, &teams, &roles);
        let told: Vec<String> =
            lacking.iter().map(|(slot, rules)| format!("{slot}: {}", rules.join(", "))).collect();
        assert_eq!(told, ["manager: read"]);
        assert_eq!(policy.nobody_approves(&here, &teams, &BTreeSet::new()).len(), 1);
    }
}
