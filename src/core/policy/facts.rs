//! The facts of a request, and their form in Cedar.

use super::Question;
use crate::core::model::{
    Environment, Facts, Objects, Person, PersonRef, Role, Scope, Sensitivity, TableName, Target, Tier,
    name_part,
};
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression, Schema,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Display;

/// What the rules are told of a question.
pub(super) fn facts(question: &Question<'_>) -> Facts {
    let Question { person, target, scope, touched, .. } = question;
    let columns = touched.raw.iter();
    let named = |(kind, columns): (&Sensitivity, &Vec<String>)| {
        columns.iter().map(|column| (column.clone(), *kind)).collect::<Vec<_>>()
    };
    Facts {
        subject: person.subject.clone(),
        teams: person.teams.clone(),
        roles: person.roles.clone(),
        target: target.name.clone(),
        environment: target.environment,
        service: target.service.clone(),
        owners: target.owners.clone(),
        permissions: scope.permissions.clone(),
        level: scope.level(),
        objects: objects(scope),
        tables: touched.tables.clone(),
        schemas: touched.schemas.clone(),
        columns: columns.flat_map(named).collect(),
        sensitivities: touched.raw.keys().copied().collect(),
        unmask: !scope.unmask.is_empty(),
        masked: touched.masked,
        window: question.window,
        business_hours: question.business_hours,
        on_call: question.on_call,
        incident: question.incident,
    }
}

/// More names than this are counted, not listed.
const NAMES_SHOWN: usize = 4;

fn objects(scope: &Scope) -> String {
    let Objects::Only { schemas, tables } = &scope.objects else { return "the whole database".to_owned() };
    let table = |name: &TableName| {
        let some = if scope.rows.contains_key(name) { "some rows of " } else { "" };
        format!("{some}{name}")
    };
    let names: Vec<String> =
        schemas.iter().map(|name| format!("schema {name}")).chain(tables.iter().map(table)).collect();
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => names.join(", "),
        more => {
            let shown: Vec<String> = names.into_iter().take(NAMES_SHOWN).collect();
            format!("{} and {more} more", shown.join(", "))
        }
    }
}

/// A fact that Cedar would not take. It means a fault of ours, never a person's.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct BadFact(String);

fn bad(error: impl Display) -> BadFact {
    BadFact(error.to_string())
}

/// The schema's names, parsed once: parsing them costs more than a decision.
#[derive(Debug)]
pub(super) struct Vocabulary {
    person: EntityTypeName,
    team: EntityTypeName,
    role: EntityTypeName,
    target: EntityTypeName,
    environment: EntityTypeName,
    sensitivity: EntityTypeName,
    permission: EntityTypeName,
    level: EntityTypeName,
    table: EntityTypeName,
    schema: EntityTypeName,
    column: EntityTypeName,
    incident: EntityTypeName,
    action: EntityTypeName,
}

impl Vocabulary {
    pub fn new() -> Result<Self, BadFact> {
        let name = |text: &str| text.parse().map_err(bad);
        Ok(Self {
            person: name("Person")?,
            team: name("Team")?,
            role: name("Role")?,
            target: name("Target")?,
            environment: name("Environment")?,
            sensitivity: name("Sensitivity")?,
            permission: name("Permission")?,
            level: name("Level")?,
            table: name("Table")?,
            schema: name("Schema")?,
            column: name("Column")?,
            incident: name("Incident")?,
            action: name("Action")?,
        })
    }

    pub fn entities(&self, facts: &Facts) -> Result<Entities, BadFact> {
        let person = self.person_entity(&facts.subject, &facts.teams, &facts.roles)?;
        let target =
            self.target_entity(&facts.target, facts.environment, facts.service.as_deref(), &facts.owners)?;
        let columns = facts.columns.iter().map(|(name, kind)| {
            let kind = HashMap::from([pair("sensitivity", entity(&self.sensitivity, kind.as_str()))]);
            Entity::new(uid(&self.column, &within(facts, name)), kind, HashSet::new()).map_err(bad)
        });
        let all = [Ok(person), Ok(target)].into_iter().chain(columns).collect::<Result<Vec<_>, _>>()?;
        Entities::from_entities(all, None).map_err(bad)
    }

    pub fn access(&self, facts: &Facts, tier: Tier, schema: &Schema) -> Result<Request, BadFact> {
        let minutes = i64::try_from(facts.window.as_secs().div_ceil(60)).map_err(bad)?;
        let context = Context::from_pairs([
            pair("permissions", set(&self.permission, facts.permissions.iter().map(|p| p.as_str()))),
            pair("level", entity(&self.level, facts.level.as_str())),
            pair("sensitivities", set(&self.sensitivity, facts.sensitivities.iter().map(|s| s.as_str()))),
            pair("unmask", RestrictedExpression::new_bool(facts.unmask)),
            pair("business_hours", RestrictedExpression::new_bool(facts.business_hours)),
            pair("minutes", RestrictedExpression::new_long(minutes)),
            pair("tables", inside(&self.table, facts, facts.tables.iter())),
            pair("schemas", inside(&self.schema, facts, facts.schemas.iter().map(|name| name_part(name)))),
            pair("columns", inside(&self.column, facts, facts.columns.keys())),
            pair("on_call", RestrictedExpression::new_bool(facts.on_call)),
            pair("incident", entity(&self.incident, facts.incident.as_str())),
        ])
        .map_err(bad)?;
        let principal = uid(&self.person, &facts.subject);
        let action = uid(&self.action, tier.as_str());
        Request::new(principal, action, uid(&self.target, &facts.target), context, Some(schema)).map_err(bad)
    }

    pub fn approval(
        &self,
        approver: &Person,
        requester: &PersonRef,
        requester_teams: &BTreeSet<String>,
        target: &Target,
        role: &Role,
        schema: &Schema,
    ) -> Result<(Request, Entities), BadFact> {
        let service = target.service.as_deref();
        let entities = [
            self.person_entity(&approver.subject, &approver.teams, &approver.roles)?,
            self.target_entity(&target.name, target.environment, service, &target.owners)?,
        ];
        let context = Context::from_pairs([
            pair("role", entity(&self.role, &role.0)),
            pair("requester", entity(&self.person, &requester.subject)),
            pair("requester_teams", set(&self.team, requester_teams.iter().map(String::as_str))),
        ])
        .map_err(bad)?;
        let principal = uid(&self.person, &approver.subject);
        let resource = uid(&self.target, &target.name);
        let request = Request::new(principal, uid(&self.action, "approve"), resource, context, Some(schema))
            .map_err(bad)?;
        Ok((request, Entities::from_entities(entities, None).map_err(bad)?))
    }

    fn person_entity(
        &self,
        subject: &str,
        teams: &BTreeSet<String>,
        roles: &BTreeSet<Role>,
    ) -> Result<Entity, BadFact> {
        let attributes =
            HashMap::from([pair("roles", set(&self.role, roles.iter().map(|role| role.0.as_str())))]);
        let parents: HashSet<EntityUid> = teams.iter().map(|team| uid(&self.team, team)).collect();
        Entity::new(uid(&self.person, subject), attributes, parents).map_err(bad)
    }

    fn target_entity(
        &self,
        name: &str,
        environment: Environment,
        service: Option<&str>,
        owners: &BTreeSet<String>,
    ) -> Result<Entity, BadFact> {
        let mut attributes = HashMap::from([
            pair("environment", entity(&self.environment, environment.as_str())),
            pair("owners", set(&self.team, owners.iter().map(String::as_str))),
        ]);
        attributes.extend(service.map(|s| pair("service", RestrictedExpression::new_string(s.to_owned()))));
        Entity::new(uid(&self.target, name), attributes, HashSet::new()).map_err(bad)
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn entity(kind: &EntityTypeName, id: &str) -> RestrictedExpression {
    RestrictedExpression::new_entity_uid(uid(kind, id))
}

/// `prod-orders/public.orders`: things inside of a target go by its name, too.
fn within(facts: &Facts, name: impl Display) -> String {
    format!("{}/{name}", facts.target)
}

fn inside(
    kind: &EntityTypeName,
    facts: &Facts,
    names: impl Iterator<Item = impl Display>,
) -> RestrictedExpression {
    RestrictedExpression::new_set(names.map(|name| entity(kind, &within(facts, name))))
}

fn set<'a>(kind: &EntityTypeName, ids: impl Iterator<Item = &'a str>) -> RestrictedExpression {
    RestrictedExpression::new_set(ids.map(|id| entity(kind, id)))
}

fn pair(key: &str, value: RestrictedExpression) -> (String, RestrictedExpression) {
    (key.to_owned(), value)
}
