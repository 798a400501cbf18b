//! Which classified columns a scope shows raw, and which stay masked.

use crate::core::model::{Catalog, Classification, Scope, Sensitivity, TableName};
use std::collections::{BTreeMap, BTreeSet};

/// What a scope reaches, as far as policy weighs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    pub tables: BTreeSet<TableName>,
    pub schemas: BTreeSet<String>,
    /// From [`sensitivities`].
    pub raw: BTreeMap<Sensitivity, Vec<String>>,
    /// How many classified columns stay masked.
    pub masked: usize,
}

impl Touched {
    pub fn of(scope: &Scope, classification: &Classification, catalog: &Catalog) -> Self {
        let tables: BTreeSet<TableName> =
            scope.relations(catalog).map(|relation| relation.name.clone()).collect();
        let of_tables = tables.iter().map(|table| table.schema.as_str());
        Self {
            schemas: scope.schemas(catalog).chain(of_tables).map(str::to_owned).collect(),
            tables,
            raw: sensitivities(scope, classification, catalog),
            masked: masked(scope, classification, catalog).len(),
        }
    }
}

/// The classified columns that a person would see as they are, as
/// `schema.table.column`, by why they are classified. What stays masked is not
/// sensitive; a migration runs with the rights of the schema's owner, so every
/// classified column of that owner's tables is.
pub fn sensitivities(
    scope: &Scope,
    classification: &Classification,
    catalog: &Catalog,
) -> BTreeMap<Sensitivity, Vec<String>> {
    let sight = Sight::of(scope, catalog);
    let mut found: BTreeMap<Sensitivity, Vec<String>> = BTreeMap::new();
    for (table, columns) in classification.tables() {
        for (column, classified) in columns.iter().filter(|(column, _)| sight.is_raw(table, column)) {
            found.entry(classified.sensitivity).or_default().push(table.column(column));
        }
    }
    found
}

/// The classified columns of a scope that stay masked, each with its mask:
/// `public.payments.card_number: token (card)`.
pub fn masked(scope: &Scope, classification: &Classification, catalog: &Catalog) -> Vec<String> {
    let sight = Sight::of(scope, catalog);
    let mut found = Vec::new();
    let open = |table: &TableName| classification.closed(table).is_none();
    for relation in scope.relations(catalog).filter(|relation| open(&relation.name)) {
        for column in &relation.columns {
            if let Some(classified) = classification.column(&relation.name, &column.name)
                && !sight.is_raw(&relation.name, &column.name)
            {
                found.push(format!("{}: {}", relation.name.column(&column.name), classified.mask));
            }
        }
    }
    found
}

/// What a scope lets see raw.
pub struct Sight<'a> {
    scope: &'a Scope,
    catalog: &'a Catalog,
    /// With whose rights its migrations run.
    owners: Vec<&'a str>,
}

impl<'a> Sight<'a> {
    pub fn of(scope: &'a Scope, catalog: &'a Catalog) -> Self {
        let owners = if scope.changes_schema() {
            scope.schemas(catalog).filter_map(|schema| catalog.owner(schema)).collect()
        } else {
            Vec::new()
        };
        Self { scope, catalog, owners }
    }

    /// Whether a classified column is shown as it is.
    pub fn is_raw(&self, table: &TableName, column: &str) -> bool {
        self.scope.covers(table) && self.scope.unmasks(table, column) || self.owns(table)
    }

    /// Whether the rights of its migrations reach a table, whatever the scope names.
    pub fn owns(&self, table: &TableName) -> bool {
        !self.owners.is_empty()
            && self.catalog.relation(table).is_some_and(|one| self.owners.contains(&one.owner.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{
        Classified, Column, Mask, Objects, Permission, Relation, Rule, SchemaOwner, Selector,
    };

    #[test]
    fn r6_5_only_what_is_raw_is_sensitive_and_a_migration_reaches_all_of_its_owner() {
        let table = |name: &str| TableName::new("public", name);
        let column = |name: &str| Column { name: name.into(), ..Column::default() };
        let relation = |name: &str, owner: &str| Relation {
            name: table(name),
            owner: owner.into(),
            columns: vec![column("id"), column("email"), column("card")],
            ..Relation::default()
        };
        let catalog = Catalog {
            relations: vec![relation("users", "app"), relation("cards", "app"), relation("other", "else")],
            schemas: vec!["public".into()],
            owners: vec![SchemaOwner { schema: "public".into(), owner: "app".into() }],
            ..Catalog::default()
        };
        let rule = |name: &str, column: &str, sensitivity| Rule {
            selector: Selector::Column { table: table(name), column: column.into() },
            classified: Classified { sensitivity, mask: Mask::Null },
        };
        let rules = [
            rule("users", "email", Sensitivity::Pii),
            rule("users", "card", Sensitivity::Financial),
            rule("cards", "card", Sensitivity::Financial),
            rule("other", "email", Sensitivity::Pii),
            rule("users", "gone", Sensitivity::Secret),
        ];
        let classification = Classification::of(&rules, &catalog);
        let told = |scope: &Scope| {
            let raw: Vec<String> = sensitivities(scope, &classification, &catalog)
                .into_iter()
                .map(|(kind, columns)| format!("{} {}", kind.as_str(), columns.join(" ")))
                .collect();
            (raw.join("; "), masked(scope, &classification, &catalog).join("; "))
        };
        let objects = Objects::Only { schemas: BTreeSet::new(), tables: BTreeSet::from([table("users")]) };
        let mut scope = Scope::new(objects, BTreeSet::from([Permission::Read]));
        let both = "public.users.email: null; public.users.card: null";
        assert_eq!(told(&scope), (String::new(), both.to_owned()));
        scope.unmask.insert(table("users"), BTreeSet::from(["email".to_owned()]));
        let one = ("pii public.users.email".to_owned(), "public.users.card: null".to_owned());
        assert_eq!(told(&scope), one);
        scope.objects =
            Objects::Only { schemas: BTreeSet::from(["public".to_owned()]), tables: BTreeSet::new() };
        scope.unmask.clear();
        scope.permissions.insert(Permission::Ddl);
        let all = "pii public.users.email; financial public.cards.card public.users.card; secret \
                   public.users.gone";
        assert_eq!(told(&scope), (all.to_owned(), "public.other.email: null".to_owned()));
    }
}
