//! From a scope to the parts of a profile: what is granted as it is, and what
//! becomes a view.

use super::{ObjectGrant, ObjectKind, Privilege, View, ViewColumn};
use crate::core::model::{
    Catalog, Classification, Column, Condition, Mask, Objects, Relation, RelationKind, Scope,
};
use std::collections::BTreeSet;

/// What a profile is made of.
pub(super) struct Parts {
    /// In a fixed order, for the digest.
    pub grants: Vec<ObjectGrant>,
    /// By schema and name.
    pub views: Vec<View>,
    pub become_role: Option<String>,
}

pub(super) fn compile(
    scope: &Scope,
    catalog: &Catalog,
    classification: &Classification,
    database: &str,
) -> Parts {
    let mut schemas: BTreeSet<&str> = match &scope.objects {
        Objects::Database => catalog.schemas.iter().map(String::as_str).collect(),
        Objects::Only { schemas, .. } => schemas.iter().map(String::as_str).collect(),
    };
    // So that a target may take CONNECT away from PUBLIC.
    let mut grants =
        BTreeSet::from([grant(ObjectKind::Database, database, database, vec![Privilege::Connect])]);
    let mut views = BTreeSet::new();
    for relation in scope.relations(catalog) {
        if classification.closed(&relation.name).is_some() || shows_filtered_rows(scope, relation) {
            continue;
        }
        let (schema, name) = (&relation.name.schema, &relation.name.name);
        schemas.insert(schema);
        let masks = Masks { scope, classification, relation };
        let rows = condition(scope, relation);
        if rows.is_some() || masks.any() {
            // A foreign key to a filtered table would tell which rows there are.
            if rows.is_none() {
                grants.insert(grant(ObjectKind::Table, schema, name, vec![Privilege::References]));
            }
            views.insert(view(&masks, rows, scope.writes()));
        } else {
            grants.insert(grant(ObjectKind::Table, schema, name, table_privileges(relation, scope.writes())));
        }
        for sequence in relation.sequences.iter().filter(|_| scope.writes()) {
            let usage = vec![Privilege::Usage];
            grants.insert(grant(ObjectKind::Sequence, &sequence.schema, &sequence.name, usage));
        }
    }
    let become_role = if scope.changes_schema() { only_owner(catalog, &schemas) } else { None };
    grants.extend(
        schemas.into_iter().map(|schema| grant(ObjectKind::Schema, schema, schema, vec![Privilege::Usage])),
    );
    Parts { grants: grants.into_iter().collect(), views: views.into_iter().collect(), become_role }
}

fn grant(kind: ObjectKind, schema: &str, name: &str, privileges: Vec<Privilege>) -> ObjectGrant {
    ObjectGrant { kind, schema: schema.to_owned(), name: name.to_owned(), privileges }
}

/// A materialized view cannot be written; the rest may be, as far as
/// PostgreSQL finds it updatable.
fn table_privileges(relation: &Relation, write: bool) -> Vec<Privilege> {
    let writable = write && relation.kind != RelationKind::MaterializedView;
    let mut privileges = vec![Privilege::Select];
    if writable {
        privileges.extend([Privilege::Insert, Privilege::Update, Privilege::Delete]);
    }
    privileges
}

/// The condition on a relation's rows: its own, and those of the tables that
/// it is a part of, whose rows its rows are.
fn condition(scope: &Scope, relation: &Relation) -> Option<Condition> {
    let names = std::iter::once(&relation.name).chain(&relation.ancestors);
    let all: BTreeSet<&Condition> = names.filter_map(|name| scope.rows.get(name)).collect();
    let mut all: Vec<Condition> = all.into_iter().cloned().collect();
    match all.len() {
        0 | 1 => all.pop(),
        _ => Some(Condition::And { all }),
    }
}

/// A view over a filtered table runs with its owner's rights and so shows all
/// rows: it is in the scope only with a condition of its own.
fn shows_filtered_rows(scope: &Scope, relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView)
        && !scope.rows.contains_key(&relation.name)
        && relation
            .columns
            .iter()
            .flat_map(|column| &column.derived_from)
            .any(|(source, _)| scope.rows.contains_key(source))
}

/// Whose rights the schemas' migrations run with, where that is one role's.
fn only_owner(catalog: &Catalog, schemas: &BTreeSet<&str>) -> Option<String> {
    let owners: BTreeSet<Option<&str>> = schemas.iter().map(|schema| catalog.owner(schema)).collect();
    let mut owners = owners.into_iter();
    match (owners.next(), owners.next()) {
        (Some(Some(owner)), None) => Some(owner.to_owned()),
        _ => None,
    }
}

/// The masks that one relation has under one scope.
struct Masks<'a> {
    scope: &'a Scope,
    classification: &'a Classification,
    relation: &'a Relation,
}

impl Masks<'_> {
    fn any(&self) -> bool {
        self.relation.columns.iter().any(|column| self.classified(&column.name).is_some())
    }

    fn classified(&self, column: &str) -> Option<&Mask> {
        let masked = !self.scope.unmasks(&self.relation.name, column);
        let classified = self.classification.column(&self.relation.name, column);
        classified.filter(|_| masked).map(|classified| &classified.mask)
    }

    /// A mask that its column cannot have is null: aggregates without a whole,
    /// unmasked primary key to tell rows apart by, and JSON's of what is none.
    fn mask(&self, column: &Column) -> Option<Mask> {
        let mask = self.classified(&column.name)?;
        let key = &self.relation.primary_key;
        let possible = match mask {
            Mask::Aggregate { .. } => {
                !key.is_empty() && key.iter().all(|part| self.classified(part).is_none())
            }
            Mask::Json { .. } => matches!(column.type_name.as_str(), "json" | "jsonb"),
            Mask::Null | Mask::Partial(_) | Mask::Token { .. } => true,
        };
        Some(if possible { mask.clone() } else { Mask::Null })
    }
}

fn view(masks: &Masks<'_>, rows: Option<Condition>, write: bool) -> View {
    let relation = masks.relation;
    let columns: Vec<ViewColumn> = relation
        .columns
        .iter()
        .map(|column| ViewColumn { name: column.name.clone(), mask: masks.mask(column) })
        .collect();
    let is_sealed = |column: &ViewColumn| matches!(column.mask, Some(Mask::Aggregate { .. }));
    let sealed = columns.iter().any(is_sealed);
    let is_table = matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable);
    let write = write && is_table;
    // A token of a chosen value would be as good as the value.
    let writable: Vec<String> = relation
        .columns
        .iter()
        .filter(|column| write && !column.generated && masks.classified(&column.name).is_none())
        .map(|column| column.name.clone())
        .collect();
    View {
        schema: relation.name.schema.clone(),
        name: relation.name.name.clone(),
        columns,
        key: if sealed { relation.primary_key.clone() } else { Vec::new() },
        rows,
        insert: writable.clone(),
        update: writable,
        delete: write,
    }
}

#[cfg(test)]
mod tests;
