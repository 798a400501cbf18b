//! Which classified columns a scope shows raw.

use crate::core::model::{Catalog, Classification, Scope, Sensitivity, TableName};
use std::collections::BTreeMap;

/// The classified columns that a person would see as they are, as
/// `schema.table.column`, by why they are classified. What stays masked is not
/// sensitive; a migration runs with the rights of the schema's owner, so every
/// classified column of that owner's tables is.
pub fn sensitivities(
    scope: &Scope,
    classification: &Classification,
    catalog: &Catalog,
) -> BTreeMap<Sensitivity, Vec<String>> {
    let owners: Vec<&str> = if scope.changes_schema() {
        catalog
            .schemas
            .iter()
            .filter(|schema| names_schema(scope, schema))
            .filter_map(|s| catalog.owner(s))
            .collect()
    } else {
        Vec::new()
    };
    let owned = |table: &TableName| {
        catalog.relation(table).is_some_and(|relation| owners.contains(&relation.owner.as_str()))
    };
    let mut found: BTreeMap<Sensitivity, Vec<String>> = BTreeMap::new();
    for (table, columns) in classification.tables() {
        let raw_all = owned(table);
        for (column, classified) in columns {
            if raw_all || scope.covers(table) && scope.unmasks(table, column) {
                found.entry(classified.sensitivity).or_default().push(format!("{table}.{column}"));
            }
        }
    }
    found
}

/// Whether a scope speaks of a schema, whole or of a table in it.
fn names_schema(scope: &Scope, schema: &str) -> bool {
    use crate::core::model::Objects;
    match &scope.objects {
        Objects::Database => true,
        Objects::Only { schemas, tables } => {
            schemas.contains(schema) || tables.iter().any(|table| table.schema == schema)
        }
    }
}
