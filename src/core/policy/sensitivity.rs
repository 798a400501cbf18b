//! Which classified columns a scope touches.

use crate::core::model::{Catalog, Scope, Sensitivity, TableName, Target};
use std::collections::BTreeMap;

/// The classified columns inside a scope, as `schema.table.column`, by why they
/// are classified. Configuration alone decides of the tables that it names: a
/// column that the catalog's cached copy does not show yet counts too. The
/// catalog adds what is [`inherited`] from tables outside the scope.
pub fn sensitivities(
    scope: &Scope,
    target: &Target,
    catalog: Option<&Catalog>,
) -> BTreeMap<Sensitivity, Vec<String>> {
    let mut found: BTreeMap<Sensitivity, Vec<String>> = BTreeMap::new();
    for (table, columns) in target.classified.iter().filter(|(table, _)| scope.covers(table)) {
        for (column, sensitivity) in columns {
            found.entry(*sensitivity).or_default().push(format!("{table}.{column}"));
        }
    }
    let inherited = catalog.map(|catalog| inherited(target, catalog)).unwrap_or_default();
    for (table, columns) in inherited.into_iter().filter(|(table, _)| scope.covers(table)) {
        // A classified table inside the scope has been named already.
        for Inherited { column, sensitivity, .. } in columns.iter().filter(|c| !scope.covers(c.from)) {
            found.entry(*sensitivity).or_default().push(format!("{table}.{column}"));
        }
    }
    for columns in found.values_mut() {
        columns.sort();
        columns.dedup();
    }
    found
}

/// A column that is classified because a relative's column of that name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited<'a> {
    pub column: &'a str,
    pub sensitivity: Sensitivity,
    /// The table whose column the configuration classifies.
    pub from: &'a TableName,
}

/// What partitions and inheritance children have of their classified ancestors,
/// and ancestors of their classified descendants (reading a parent reads its
/// children), by table. Only columns that the table has itself.
pub fn inherited<'a>(
    target: &'a Target,
    catalog: &'a Catalog,
) -> BTreeMap<&'a TableName, Vec<Inherited<'a>>> {
    let mut found: BTreeMap<&TableName, Vec<Inherited<'_>>> = BTreeMap::new();
    let mut inherit = |heir: &'a TableName, from: &'a TableName| {
        let Some((from, columns)) = target.classified.get_key_value(from) else { return };
        let Some(relation) = catalog.relation(heir) else { return };
        for (column, sensitivity) in columns {
            if relation.columns.iter().any(|own| own.name == *column) {
                let inherited = Inherited { column, sensitivity: *sensitivity, from };
                found.entry(heir).or_default().push(inherited);
            }
        }
    };
    for relation in &catalog.relations {
        for ancestor in &relation.ancestors {
            inherit(&relation.name, ancestor);
            inherit(ancestor, &relation.name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{Column, Environment, Objects, Permission, Relation, RelationKind};
    use std::collections::BTreeSet;

    fn name(table: &str) -> TableName {
        TableName::new("public", table)
    }

    fn relation(table: &str, columns: &[&str], ancestors: &[&str]) -> Relation {
        let column = |column: &&str| Column { name: (*column).into(), type_name: "text".into() };
        Relation {
            name: name(table),
            kind: RelationKind::Table,
            owner: "app".into(),
            columns: columns.iter().map(column).collect(),
            sequences: vec![],
            ancestors: ancestors.iter().copied().map(name).collect(),
        }
    }

    #[test]
    fn r4_2_partitions_and_parents_share_what_is_classified() {
        let classified = [
            ("payments", "card", Sensitivity::Pii),
            ("events_old", "payload", Sensitivity::Health),
            ("events_old", "note", Sensitivity::Secret),
            ("unseen", "x", Sensitivity::Financial),
        ];
        let mut target = Target {
            name: "prod".into(),
            environment: Environment::Production,
            service: None,
            owners: BTreeSet::new(),
            classified: BTreeMap::new(),
        };
        for (table, column, sensitivity) in classified {
            target.classified.entry(name(table)).or_default().insert(column.into(), sensitivity);
        }
        let catalog = Catalog {
            relations: vec![
                relation("payments", &["id", "card"], &[]),
                relation("payments_2025", &["id", "card"], &["payments"]),
                relation("payments_2025_01", &["id", "card"], &["payments_2025", "payments"]),
                relation("orders", &["id", "card"], &[]),
                relation("events", &["id", "payload"], &[]),
                relation("events_old", &["id", "payload", "note"], &["events"]),
                relation("events_new", &["id", "payload"], &["events"]),
            ],
            schemas: vec!["public".into()],
            taken_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let found = |tables: &[&str], catalog: Option<&Catalog>| {
            let tables: BTreeSet<TableName> = tables.iter().copied().map(name).collect();
            let objects = match tables.is_empty() {
                true => Objects::Database,
                false => Objects::Only { schemas: BTreeSet::new(), tables },
            };
            let scope = Scope { objects, permissions: BTreeSet::from([Permission::Read]) };
            let told = sensitivities(&scope, &target, catalog);
            let told = told.iter().map(|(kind, columns)| format!("{}: {}", kind.as_str(), columns.join(" ")));
            told.collect::<Vec<_>>().join("; ")
        };
        for (tables, expected) in [
            (&["payments"][..], "pii: public.payments.card"),
            (&["payments_2025"], "pii: public.payments_2025.card"),
            (&["payments_2025_01"], "pii: public.payments_2025_01.card"),
            (&["payments", "payments_2025"], "pii: public.payments.card"),
            (&["orders"], ""),
            // The parent has no `note`, and reading one child is not reading another.
            (&["events"], "health: public.events.payload"),
            (&["events_new"], ""),
            (&["events_old"], "health: public.events_old.payload; secret: public.events_old.note"),
            (&["unseen"], "financial: public.unseen.x"),
            (
                &[],
                "pii: public.payments.card; financial: public.unseen.x; \
                 health: public.events_old.payload; secret: public.events_old.note",
            ),
        ] {
            assert_eq!(found(tables, Some(&catalog)), expected, "{tables:?}");
        }
        assert_eq!(found(&["payments_2025"], None), "");
        assert_eq!(found(&["payments"], None), "pii: public.payments.card");
    }
}
