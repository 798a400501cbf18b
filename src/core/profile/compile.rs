//! From a scope to the parts of a profile: what is granted as it is, and what
//! becomes a view.

use super::{ObjectGrant, ObjectKind, Privilege, View, ViewColumn};
use crate::core::model::{
    Catalog, Classification, Column, Condition, Mask, Objects, Relation, RelationKind, Scope, TableName,
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
    let shows_hidden_rows = shows_hidden_rows(scope, catalog);
    let owners: BTreeSet<&str> = scope.relations(catalog).map(|relation| relation.owner.as_str()).collect();
    for relation in scope.relations(catalog) {
        let hidden = shows_hidden_rows.contains(&relation.name);
        if classification.closed(&relation.name).is_some() || hidden {
            continue;
        }
        let (schema, name) = (&relation.name.schema, &relation.name.name);
        schemas.insert(schema);
        let masks = Masks { scope, classification, relation, one_owner: owners.len() == 1 };
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
    let become_role = scope.migrates_as(catalog).map(ToOwned::to_owned);
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

/// What would show rows that a condition hides: tables whose partitions or
/// children are filtered, and views that read such tables, by whatever way and
/// with their owner's rights. Each is in the scope only with a condition of its
/// own. A view that calls a function with its owner's rights can read anything.
fn shows_hidden_rows<'c>(scope: &Scope, catalog: &'c Catalog) -> BTreeSet<&'c TableName> {
    if scope.rows.is_empty() {
        return BTreeSet::new();
    }
    let filtered = |name: &TableName| scope.rows.contains_key(name);
    let above_filtered: BTreeSet<&TableName> = catalog
        .relations
        .iter()
        .filter(|relation| filtered(&relation.name))
        .flat_map(|relation| &relation.ancestors)
        .collect();
    let mut shows: BTreeSet<&TableName> = catalog
        .relations
        .iter()
        .filter(|relation| match relation.kind.is_view() {
            true => !relation.definers.is_empty(),
            false => above_filtered.contains(&relation.name),
        })
        .map(|relation| &relation.name)
        .collect();
    // Reading a part of a filtered table is reading it.
    let of_filtered: BTreeSet<&TableName> = catalog
        .relations
        .iter()
        .filter(|relation| filtered(&relation.name) || relation.ancestors.iter().any(filtered))
        .map(|relation| &relation.name)
        .collect();
    loop {
        let more: Vec<&TableName> = catalog
            .relations
            .iter()
            .filter(|relation| relation.kind.is_view() && !shows.contains(&relation.name))
            .filter(|view| {
                view.reads.iter().any(|(source, _)| of_filtered.contains(source) || shows.contains(source))
            })
            .map(|relation| &relation.name)
            .collect();
        if more.is_empty() {
            break;
        }
        shows.extend(more);
    }
    shows.retain(|name| !filtered(name));
    shows
}

/// The masks that one relation has under one scope.
struct Masks<'a> {
    scope: &'a Scope,
    classification: &'a Classification,
    relation: &'a Relation,
    /// All relations of the scope belong to one role.
    one_owner: bool,
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
    /// unmasked primary key to tell rows apart by, or among tables of several
    /// owners (code of a table's owner, such as an index predicate's, can run
    /// where the answer is made, with what the views' owner may read), and JSON's
    /// of what is none.
    fn mask(&self, column: &Column) -> Option<Mask> {
        let mask = self.classified(&column.name)?;
        let key = &self.relation.primary_key;
        let possible = match mask {
            Mask::Aggregate { .. } => {
                self.one_owner && !key.is_empty() && key.iter().all(|part| self.classified(part).is_none())
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
    let key = if sealed { relation.primary_key.clone() } else { Vec::new() };
    View {
        schema: relation.name.schema.clone(),
        name: relation.name.name.clone(),
        columns,
        // ON CONFLICT reaches the row in the way, though the condition hides it.
        insert: if rows.is_some() { Vec::new() } else { writable.clone() },
        // A row with another key has other noise, and noise can be averaged away.
        update: writable.into_iter().filter(|column| !key.contains(column)).collect(),
        delete: write,
        key,
        rows,
    }
}

#[cfg(test)]
mod tests;
