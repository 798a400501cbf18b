//! What no rule can tell apart: a review asks about everybody at every target
//! (R9.4), and policy is asked once about those who are alike.
//!
//! A rule sees a name where it writes it down, and where it compares names that
//! the question brings: `principal in resource.owners`. Cedar neither reads a
//! name as text nor counts a set. So to the rules people differ by their roles,
//! by whether a rule names them, by their teams that a rule names or that the
//! rest of the question has, too, and by whether they have others. Of what a
//! scope reaches, what no rule names is some thing of its kind, or none.

use super::{Policy, Question, TIERS, Touched, facts};
use crate::core::model::{
    Level, Permission, Person, PersonRef, Role, Scope, Sensitivity, Target, Tier, name_part,
};
use cedar_policy::EntityUid;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Display;

/// The names that rules write down.
#[derive(Debug, Default)]
pub(super) struct Names {
    people: HashSet<String>,
    teams: HashSet<String>,
    /// Tables, schemas and columns: `prod-orders/public.orders`.
    things: HashSet<String>,
}

impl Names {
    pub fn of<'r>(rules: impl IntoIterator<Item = &'r cedar_policy::Policy>) -> Self {
        let mut names = Self::default();
        for name in rules.into_iter().flat_map(cedar_policy::Policy::entity_literals) {
            if let Some(kind) = names.kind(&name) {
                kind.insert(name.id().unescaped().to_owned());
            }
        }
        names
    }

    fn kind(&mut self, name: &EntityUid) -> Option<&mut HashSet<String>> {
        match name.type_name().basename() {
            "Person" => Some(&mut self.people),
            "Team" => Some(&mut self.teams),
            "Table" | "Schema" | "Column" => Some(&mut self.things),
            _ => None,
        }
    }
}

/// What rules can tell of somebody beside their roles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Marks {
    subject: Option<String>,
    teams: BTreeSet<String>,
    other_teams: bool,
}

/// What rules can tell of a scope at one target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reaches {
    permissions: BTreeSet<Permission>,
    level: Level,
    unmask: bool,
    sensitivities: BTreeSet<Sensitivity>,
    tables: BTreeSet<Option<String>>,
    schemas: BTreeSet<Option<String>>,
    columns: BTreeSet<Option<String>>,
}

impl Policy {
    /// What rules can tell of somebody in questions that have these teams, too.
    pub fn marks(&self, subject: &str, teams: &BTreeSet<String>, others: &[&BTreeSet<String>]) -> Marks {
        let told = |team: &&String| {
            self.names.teams.contains(*team) || others.iter().any(|others| others.contains(*team))
        };
        let told: BTreeSet<String> = teams.iter().filter(told).cloned().collect();
        Marks {
            subject: self.names.people.get(subject).cloned(),
            other_teams: told.len() < teams.len(),
            teams: told,
        }
    }

    /// What rules can tell of a scope at one target.
    pub fn reaches(&self, target: &Target, scope: &Scope, touched: &Touched) -> Reaches {
        let named = |thing: &dyn Display| self.names.things.get(&format!("{}/{thing}", target.name)).cloned();
        Reaches {
            permissions: scope.permissions.clone(),
            level: scope.level(),
            unmask: !scope.unmask.is_empty(),
            sensitivities: touched.raw.keys().copied().collect(),
            tables: touched.tables.iter().map(|table| named(table)).collect(),
            schemas: touched.schemas.iter().map(|schema| named(&name_part(schema))).collect(),
            columns: touched.raw.values().flatten().map(|column| named(column)).collect(),
        }
    }

    /// The tier that [`Policy::decide`] finds, without a word on why.
    pub fn tier(&self, question: &Question<'_>) -> Tier {
        self.weigh(&facts(question), TIERS).chosen.map_or(Tier::Deny, |(tier, _)| tier)
    }

    /// To ask in which of these roles somebody may approve for many.
    pub fn fills_of<'p>(&'p self, approver: &'p Person, roles: &'p [Role]) -> Fills<'p> {
        Fills { policy: self, approver, roles, known: HashMap::new() }
    }
}

/// What one person fills for others.
pub struct Fills<'p> {
    policy: &'p Policy,
    approver: &'p Person,
    roles: &'p [Role],
    known: HashMap<(String, Marks), Vec<Role>>,
}

impl Fills<'_> {
    /// [`Policy::fills`].
    pub fn at(&mut self, requester: &PersonRef, teams: &BTreeSet<String>, target: &Target) -> &[Role] {
        let Self { policy, approver, roles, known } = self;
        if requester.subject == approver.subject {
            return &[];
        }
        let marks = policy.marks(&requester.subject, teams, &[&target.owners, &approver.teams]);
        let ask = || policy.fills(approver, requester, teams, target, roles);
        known.entry((target.name.clone(), marks)).or_insert_with(ask)
    }
}

#[cfg(test)]
mod tests {
    use super::super::matrix::{person, scope, target, touched};
    use super::*;
    use crate::core::model::{Environment, IncidentFact};
    use std::time::Duration;

    /// Rules that name people, teams and tables, and that compare teams.
    const NAMING: &str = r#"
@id("a") @title("t") @longest("1h")
permit (principal == Person::"p3", action == Action::"auto", resource);
@id("b") @title("t") @longest("1h")
permit (principal in Team::"core", action == Action::"auto", resource)
when { context.tables.contains(Table::"prod-orders/public.orders") };
@id("c") @title("t") @longest("1h") @approvers("lead")
permit (principal, action == Action::"single", resource)
when { principal in resource.owners };
@id("d") @title("t") @longest("1h") @approvers("peer, lead|security")
permit (principal, action == Action::"dual", resource)
when { principal.roles.contains(Role::"lead") };
@id("e") @title("t")
forbid (principal, action, resource)
when { [Person::"p5"].contains(principal) };
@id("f") @title("t")
permit (principal, action == Action::"approve", resource)
when {
  principal.roles.contains(context.role) && context.requester != Person::"p9" &&
  (principal in context.requester_teams || context.requester_teams == resource.owners ||
   context.requester_teams.contains(Team::"core") || context.requester_teams.isEmpty())
};
"#;

    /// So many people, each combination of teams and roles among them.
    fn people() -> Vec<Person> {
        let teams = ["shop", "core", "x", "y", "z"];
        let some = |bits: usize, names: &[&'static str]| -> Vec<&'static str> {
            let has = |(bit, name): (usize, &&'static str)| (bits >> bit & 1 == 1).then_some(*name);
            names.iter().enumerate().filter_map(has).collect()
        };
        let of = |number: usize| {
            let (teams, roles) = (some(number, &teams), some(number >> 5, &["lead", "security"]));
            person(&format!("p{number}"), &teams, &roles)
        };
        (0..128).map(of).collect()
    }

    #[test]
    fn r9_4_rules_decide_alike_about_those_whom_they_cannot_tell_apart() {
        let here = target(Environment::Production);
        for text in [super::super::DEFAULT, NAMING] {
            let policy = Policy::compile(&[("rules.cedar", text)]).unwrap();
            let people = people();
            for asks in ["read", "write", "export"] {
                let (scope, touched) = (scope("table", asks), touched(&[], 1));
                let mut known: HashMap<(Marks, BTreeSet<Role>), Tier> = HashMap::new();
                for person in &people {
                    let question = Question {
                        person,
                        target: &here,
                        scope: &scope,
                        touched: touched.clone(),
                        window: Duration::from_secs(60),
                        business_hours: true,
                        on_call: false,
                        incident: IncidentFact::None,
                    };
                    let tier = policy.tier(&question);
                    if person.teams.len() == 2 {
                        assert_eq!(tier, policy.decide(&question).tier);
                    }
                    let marks = policy.marks(&person.subject, &person.teams, &[&here.owners]);
                    let first = *known.entry((marks, person.roles.clone())).or_insert(tier);
                    assert_eq!(tier, first, "{asks} of {person:?}");
                }
                assert!(known.len() < 40, "{} kinds of people", known.len());
            }
            let roles: Vec<Role> = policy.roles().into_iter().collect();
            for approver in people.iter().filter(|person| !person.roles.is_empty()).step_by(25) {
                let mut fills = policy.fills_of(approver, &roles);
                for person in &people {
                    let (of, teams) = (person.to_ref(), &person.teams);
                    let asked = policy.fills(approver, &of, teams, &here, &roles);
                    assert_eq!(fills.at(&of, teams, &here), asked, "{approver:?} for {person:?}");
                }
                assert!(fills.known.len() <= 66, "{} kinds of people", fills.known.len());
            }
        }
    }

    #[test]
    fn r9_4_scopes_are_told_apart_by_what_rules_name_in_them() {
        let (here, read) = (target(Environment::Production), scope("table", "read"));
        let policy = Policy::compile(&[("rules.cedar", NAMING)]).unwrap();
        let of = |table: &str| {
            let tables = BTreeSet::from([crate::core::model::TableName::new("public", table)]);
            policy.reaches(&here, &read, &Touched { tables, ..touched(&[], 0) })
        };
        assert_eq!(of("users"), of("payments"));
        assert_ne!(of("users"), of("orders"), "a rule names it");
        assert_ne!(of("users"), policy.reaches(&here, &scope("table", "write"), &touched(&[], 0)));
        let raw = |kind| policy.reaches(&here, &read, &touched(&[kind], 0));
        assert_ne!(raw(Sensitivity::Pii), raw(Sensitivity::Secret));
    }
}
