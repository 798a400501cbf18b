//! Which classified columns a person means to see raw.

use crate::core::model::{
    Catalog, Classification, Relation, Scope, ScopeError, TableName, nearest, split_name,
};
use std::collections::{BTreeMap, BTreeSet};

/// Finds each name among the scope's columns: `column` where one table has a
/// classified one of that name, `table.column`, or `schema.table.column`.
pub(super) fn resolve(
    asked: &[String],
    scope: &Scope,
    catalog: &Catalog,
    classification: &Classification,
) -> Result<BTreeMap<TableName, BTreeSet<String>>, ScopeError> {
    let mut found: BTreeMap<TableName, BTreeSet<String>> = BTreeMap::new();
    if asked.is_empty() {
        return Ok(found);
    }
    let open = |relation: &&Relation| classification.closed(&relation.name).is_none();
    let relations: Vec<&Relation> = scope.relations(catalog).filter(open).collect();
    for name in asked {
        let (table, column) = find(name, &relations, classification)?;
        found.entry(table).or_default().insert(column);
    }
    Ok(found)
}

fn find(
    asked: &str,
    relations: &[&Relation],
    classification: &Classification,
) -> Result<(TableName, String), ScopeError> {
    let malformed = || ScopeError::Malformed(asked.to_owned());
    let parts = split_name(asked).ok_or_else(malformed)?;
    let (schema, table, column) = match parts.as_slice() {
        [column] => (None, None, column),
        [table, column] => (None, Some(table), column),
        [schema, table, column] => (Some(schema), Some(table), column),
        _ => return Err(malformed()),
    };
    let named = |relation: &&&Relation| {
        schema.is_none_or(|schema| *schema == relation.name.schema)
            && table.is_none_or(|table| *table == relation.name.name)
            && relation.columns.iter().any(|own| own.name == *column)
    };
    let have: Vec<&TableName> = relations.iter().filter(named).map(|relation| &relation.name).collect();
    let classified: Vec<&TableName> =
        have.iter().copied().filter(|table| classification.column(table, column).is_some()).collect();
    match classified.as_slice() {
        [one] => Ok(((*one).clone(), column.clone())),
        [] if !have.is_empty() => Err(ScopeError::NotMasked(asked.to_owned())),
        [] => {
            let all = relations.iter().filter_map(|relation| {
                classification.table(&relation.name).map(|columns| (&relation.name, columns))
            });
            // As much of the name as was typed.
            let said = |(table, column): (&TableName, &String)| match parts.len() {
                1 => column.clone(),
                2 => format!("{}.{column}", table.name),
                _ => table.column(column),
            };
            let names: Vec<String> = all
                .flat_map(|(table, columns)| columns.keys().map(move |column| said((table, column))))
                .collect();
            Err(ScopeError::UnknownColumn {
                asked: asked.to_owned(),
                within: "what is asked for".to_owned(),
                nearest: nearest(asked, names.iter().map(String::as_str)),
            })
        }
        several => Err(ScopeError::AmbiguousColumn {
            asked: asked.to_owned(),
            candidates: several.iter().map(|table| table.column(column)).collect(),
        }),
    }
}
