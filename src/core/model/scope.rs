//! Scope: what is asked for and granted. Words become objects here, against a
//! catalog; a [`Scope`] that exists names only things that were there.

use super::lookup::split_name;
use super::{Catalog, Condition, ErrorKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A schema-qualified relation name, unquoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }

    /// `schema.name.column`, such as `--unmask` takes it.
    pub fn column(&self, column: &str) -> String {
        format!("{self}.{}", name_part(column))
    }
}

/// `schema.name`, each part double-quoted only where PostgreSQL needs it.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", name_part(&self.schema), name_part(&self.name)))
    }
}

/// A part of a name, such as [`split_name`] reads it back.
pub(crate) fn name_part(part: &str) -> String {
    let plain = !part.is_empty()
        && !part.starts_with(|c: char| c.is_ascii_digit())
        && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { part.to_owned() } else { format!("\"{}\"", part.replace('"', "\"\"")) }
}

/// The serialised form is the displayed form, so that it can be a JSON key.
impl Serialize for TableName {
    fn serialize<S: serde::Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        ser.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        let text = String::deserialize(de)?;
        match split_name(&text).as_deref() {
            Some([name]) => Ok(Self::new("public", name)),
            Some([schema, name]) => Ok(Self::new(schema, name)),
            _ => {
                Err(serde::de::Error::custom(format!("`{text}` is not a table name: expected schema.table")))
            }
        }
    }
}

/// The level of a scope (R3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Row,
    Table,
    Schema,
    Database,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Table => "table",
            Self::Schema => "schema",
            Self::Database => "database",
        }
    }
}

/// What may be done with the objects of a scope (R3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    Read,
    Write,
    /// Changing the schema, with the rights of the schema's owner.
    Ddl,
    /// Taking rows out as a file: COPY, and beyond the budgets of reading.
    Export,
}

impl Permission {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Ddl => "ddl",
            Self::Export => "export",
        }
    }
}

/// A scope as a person typed it. No schema and no table means the whole database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedScope {
    #[serde(default)]
    pub schemas: Vec<String>,
    #[serde(default)]
    pub tables: Vec<String>,
    /// `table: condition`, each of them; its table need not be in `tables`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<String>,
    /// Where foreign keys of the tables asked for lead to a table with a
    /// condition, they get the condition that follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// Classified columns to see raw: `column`, `table.column` or `schema.table.column`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmask: Vec<String>,
    #[serde(default)]
    pub write: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ddl: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub export: bool,
}

/// The objects of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Objects {
    /// Everything in the database outside the system schemas.
    Database,
    /// Whole schemas and single tables.
    Only { schemas: BTreeSet<String>, tables: BTreeSet<TableName> },
}

impl Objects {
    pub fn cover(&self, table: &TableName) -> bool {
        match self {
            Self::Database => true,
            Self::Only { schemas, tables } => schemas.contains(&table.schema) || tables.contains(table),
        }
    }

    /// Whether all of a schema is in it.
    pub fn has_schema(&self, schema: &str) -> bool {
        match self {
            Self::Database => true,
            Self::Only { schemas, .. } => schemas.contains(schema),
        }
    }

    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Only { schemas, tables } if schemas.is_empty() && tables.is_empty())
    }

    /// What is in both.
    pub fn common(&self, other: &Self) -> Self {
        let (mine, theirs) = match (self, other) {
            (Self::Database, one) | (one, Self::Database) => return one.clone(),
            (Self::Only { schemas, tables }, Self::Only { schemas: others, tables: their }) => {
                ((schemas, tables), (others, their))
            }
        };
        let inside = |table: &&TableName| self.cover(table) && other.cover(table);
        Self::Only {
            schemas: mine.0.intersection(theirs.0).cloned().collect(),
            tables: mine.1.union(theirs.1).filter(inside).cloned().collect(),
        }
    }
}

/// A scope whose objects exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    pub objects: Objects,
    pub permissions: BTreeSet<Permission>,
    /// Only the rows for which the condition holds, by table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rows: BTreeMap<TableName, Condition>,
    /// Classified columns that are shown raw, by table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unmask: BTreeMap<TableName, BTreeSet<String>>,
}

/// Why what was typed is no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    #[error("`{0}` is not a name: write table, schema.table or \"Quoted\".\"Name\"")]
    Malformed(String),
    #[error("no table {asked}{}", hint(nearest))]
    UnknownTable { asked: String, nearest: Vec<String> },
    #[error("table {asked} is ambiguous: say which of {}", candidates.join(", "))]
    AmbiguousTable { asked: String, candidates: Vec<String> },
    #[error("no schema {asked}{}", hint(nearest))]
    UnknownSchema { asked: String, nearest: Vec<String> },
    #[error("no column {asked} in {within}{}", hint(nearest))]
    UnknownColumn { asked: String, within: String, nearest: Vec<String> },
    #[error("column {asked} is ambiguous: say which of {}", candidates.join(", "))]
    AmbiguousColumn { asked: String, candidates: Vec<String> },
    #[error("{0} is not masked anyway: ask without --unmask {0}")]
    NotMasked(String),
    #[error("nobody is let into {table}: {reason}")]
    Closed { table: TableName, reason: String },
    /// What is wrong with a row condition, from [`crate::core::rows`].
    #[error("{0}")]
    Rows(String),
    #[error("there are two conditions on {0}: write one, joined by AND or OR")]
    TwoConditions(TableName),
    #[error(
        "{table}.{column} is masked, and rows chosen by it would show it: choose them by another column, or \
         ask to see it: --unmask {table}.{column}"
    )]
    MaskedCondition { table: TableName, column: String },
    #[error("--follow needs a condition to follow: --row 'TABLE: CONDITION'")]
    NothingToFollow,
    #[error(
        "--follow leads nowhere: no other table of what is asked for has a foreign key that leads to one with a \
         condition; give such a table a --row of its own, or ask without --follow"
    )]
    NothingFollows,
    #[error("schema changes are asked for by schema, since what they make is in one: --schema NAME --ddl")]
    DdlNeedsSchema,
    #[error("schema changes run as the one owner of what they change, and here are several: {}", .0.join(", "))]
    SeveralOwners(Vec<String>),
    #[error("who owns the schema {0} is not known, so its changes cannot be allowed")]
    UnknownOwner(String),
    #[error(
        "{0} cannot go with --ddl: a migration has the rights of the owner, who sees every row and column"
    )]
    NotWithDdl(&'static str),
    #[error("{0} is outside what was asked for: approval can only narrow")]
    Wider(String),
    #[error(
        "schema changes cannot be narrowed to tables, since they run with the rights of the owner: narrow the \
         time, or deny"
    )]
    DdlNotNarrowed,
    #[error("this request asks to see nothing raw by name: there is nothing to mask")]
    NothingRaw,
}

impl ScopeError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownTable { .. } | Self::UnknownSchema { .. } | Self::UnknownColumn { .. } => {
                ErrorKind::NotFound
            }
            Self::Closed { .. } => ErrorKind::Denied,
            _ => ErrorKind::Usage,
        }
    }
}

fn hint(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        names => format!(": did you mean {}?", names.join(" or ")),
    }
}

impl Scope {
    /// All rows of the objects, with every mask on.
    pub fn new(objects: Objects, permissions: BTreeSet<Permission>) -> Self {
        Self { objects, permissions, rows: BTreeMap::new(), unmask: BTreeMap::new() }
    }

    /// How wide its widest part is.
    pub fn level(&self) -> Level {
        match &self.objects {
            Objects::Database => Level::Database,
            Objects::Only { schemas, tables } if schemas.is_empty() => {
                let rows = !tables.is_empty() && tables.iter().all(|table| self.rows.contains_key(table));
                if rows { Level::Row } else { Level::Table }
            }
            Objects::Only { .. } => Level::Schema,
        }
    }

    pub fn writes(&self) -> bool {
        self.permissions.contains(&Permission::Write)
    }

    pub fn changes_schema(&self) -> bool {
        self.permissions.contains(&Permission::Ddl)
    }

    pub fn exports(&self) -> bool {
        self.permissions.contains(&Permission::Export)
    }

    /// The schemas that it speaks of, whole or of a table in them.
    pub fn schemas<'c>(&self, catalog: &'c Catalog) -> impl Iterator<Item = &'c str> {
        let named = |schema: &&String| match &self.objects {
            Objects::Database => true,
            Objects::Only { schemas, tables } => {
                schemas.contains(*schema) || tables.iter().any(|table| table.schema == **schema)
            }
        };
        catalog.schemas.iter().filter(named).map(String::as_str)
    }

    /// With whose rights its migrations run, where that is one role.
    pub fn migrates_as<'c>(&self, catalog: &'c Catalog) -> Option<&'c str> {
        let owners: BTreeSet<Option<&str>> =
            self.schemas(catalog).map(|schema| catalog.owner(schema)).collect();
        let mut owners = owners.into_iter();
        match (owners.next(), owners.next()) {
            (Some(owner), None) => owner.filter(|_| self.changes_schema()),
            _ => None,
        }
    }

    /// Whether a classified column is shown raw.
    pub fn unmasks(&self, table: &TableName, column: &str) -> bool {
        self.unmask.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// Whether a relation is inside this scope.
    pub fn covers(&self, table: &TableName) -> bool {
        self.objects.cover(table)
    }

    /// The relations of a catalog that are inside this scope.
    pub fn relations<'c>(&self, catalog: &'c Catalog) -> impl Iterator<Item = &'c super::Relation> {
        catalog.relations.iter().filter(|relation| self.covers(&relation.name))
    }

    /// This scope cut down to some of its schemas and tables.
    ///
    /// # Errors
    /// [`ScopeError::Wider`] when one is not inside this scope;
    /// [`ScopeError::DdlNotNarrowed`] for a migration, whose rights are the owner's.
    pub fn narrowed_to(
        &self,
        schemas: BTreeSet<String>,
        tables: BTreeSet<TableName>,
    ) -> Result<Self, ScopeError> {
        if self.changes_schema() {
            return Err(ScopeError::DdlNotNarrowed);
        }
        if let Some(outside) = tables.iter().find(|table| !self.covers(table)) {
            return Err(ScopeError::Wider(outside.to_string()));
        }
        if let Some(outside) = schemas.iter().find(|schema| !self.objects.has_schema(schema)) {
            return Err(ScopeError::Wider(format!("schema {}", name_part(outside))));
        }
        let objects = Objects::Only { schemas, tables };
        let unmask = self.unmask.iter().filter(|(table, _)| objects.cover(table));
        Ok(Self {
            permissions: self.permissions.clone(),
            // All of them: what a condition hides is not to come back by way of a
            // view or a partition.
            rows: self.rows.clone(),
            unmask: unmask.map(|(table, columns)| (table.clone(), columns.clone())).collect(),
            objects,
        })
    }

    /// This scope with every mask on.
    ///
    /// # Errors
    /// [`ScopeError::NothingRaw`] where it shows nothing raw by name;
    /// [`ScopeError::MaskedCondition`] where its rows are chosen by a column that it does.
    pub fn with_masks(&self) -> Result<Self, ScopeError> {
        if self.unmask.is_empty() {
            return Err(ScopeError::NothingRaw);
        }
        for (table, condition) in &self.rows {
            if let Some(column) = condition.columns().into_iter().find(|column| self.unmasks(table, column)) {
                return Err(ScopeError::MaskedCondition { table: table.clone(), column: column.to_owned() });
            }
        }
        Ok(Self { unmask: BTreeMap::new(), ..self.clone() })
    }
}

/// For people: `read public.customers where tenant_id = 42; raw card_number`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists: Vec<String> = self.lists().iter().map(|list| list.join(", ")).collect();
        f.pad(&lists.join("; "))
    }
}

impl Scope {
    /// The same in at most about so many characters a list: of each as many as fit, and
    /// how many more there are. What is shown is never cut.
    pub fn in_short(&self, most: usize) -> String {
        let short = |list: &Vec<String>| {
            let mut length = 0;
            let fits = |item: &&String| {
                length += item.chars().count() + 2;
                length <= most
            };
            let shown = list.iter().take_while(fits).count().max(1);
            let text = list.get(..shown).unwrap_or_default().join(", ");
            match list.len().saturating_sub(shown) {
                0 => text,
                more => format!("{text} and {more} more"),
            }
        };
        self.lists().iter().map(short).collect::<Vec<_>>().join("; ")
    }

    /// What is in it, other conditions, and what is raw, each with its words before its first.
    fn lists(&self) -> Vec<Vec<String>> {
        let begin = |words: &str, list: Vec<String>| {
            let mut list = list;
            if let Some(first) = list.first_mut() {
                *first = format!("{words} {first}");
            }
            list
        };
        let verbs: Vec<&str> = self.permissions.iter().map(|p| p.as_str()).collect();
        let filtered = |table: &TableName| match self.rows.get(table) {
            Some(condition) => format!("{table} where {condition}"),
            None => table.to_string(),
        };
        let only = match &self.objects {
            Objects::Database => None,
            Objects::Only { schemas, tables } => Some((schemas, tables)),
        };
        let objects = match only {
            None => vec!["the whole database".to_owned()],
            Some((schemas, tables)) => {
                let schemas = schemas.iter().map(|schema| format!("schema {schema}"));
                schemas.chain(tables.iter().map(filtered)).collect()
            }
        };
        let named = |table: &TableName| only.is_some_and(|(_, tables)| tables.contains(table));
        let others: Vec<String> = self
            .rows
            .keys()
            .filter(|table| !named(table) && self.covers(table))
            .map(|table| format!("of {}", filtered(table)))
            .collect();
        // Where there is one table, its columns need no longer name.
        let one = only.is_some_and(|(schemas, tables)| schemas.is_empty() && tables.len() == 1);
        let raw: Vec<String> = self
            .unmask
            .iter()
            .flat_map(|(table, columns)| columns.iter().map(move |column| (table, column)))
            .map(|(table, column)| if one { name_part(column) } else { table.column(column) })
            .collect();
        let lists = [begin(&verbs.join("+"), objects), others, begin("raw", raw)];
        lists.into_iter().filter(|list| !list.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Comparison;
    use super::*;

    #[test]
    fn a_scope_says_rows_and_what_is_raw() {
        let table = |name: &str| TableName::new("public", name);
        let equals = |column: &str, value: &str| Condition::Compare {
            column: column.into(),
            operator: Comparison::Equal,
            value: value.into(),
            type_name: "integer".into(),
        };
        let mut scope = Scope::new(
            Objects::Only { schemas: BTreeSet::new(), tables: BTreeSet::from([table("customers")]) },
            BTreeSet::from([Permission::Read]),
        );
        assert_eq!((scope.to_string(), scope.level()), ("read public.customers".to_owned(), Level::Table));
        scope.rows.insert(table("customers"), equals("tenant_id", "42"));
        scope.unmask.insert(table("customers"), BTreeSet::from(["e mail".to_owned()]));
        assert_eq!(scope.to_string(), "read public.customers where tenant_id = 42; raw \"e mail\"");
        assert_eq!(scope.level(), Level::Row);
        let columns = ["email", "full_name", "phone", "street"].map(str::to_owned);
        let many = Scope { unmask: BTreeMap::from([(table("customers"), columns.into())]), ..scope.clone() };
        for (most, raw) in [(80, "email, full_name, phone, street"), (22, "email, full_name and 2 more")] {
            assert_eq!(
                many.in_short(most),
                format!("read public.customers where tenant_id = 42; raw {raw}"),
                "a name, a condition: whole or not at all"
            );
        }
        scope.objects = Objects::Only {
            schemas: BTreeSet::from(["public".to_owned()]),
            tables: BTreeSet::from([TableName::new("hr", "staff")]),
        };
        assert_eq!(
            scope.to_string(),
            "read schema public, hr.staff; of public.customers where tenant_id = 42; raw \
             public.customers.\"e mail\""
        );
        assert_eq!(scope.level(), Level::Schema);
    }

    #[test]
    fn b7_narrowing_keeps_conditions_and_what_is_raw_and_leaves_migrations_whole() {
        let (orders, payments) = (TableName::new("public", "orders"), TableName::new("public", "payments"));
        let mut scope = Scope::new(
            Objects::Only {
                schemas: BTreeSet::new(),
                tables: BTreeSet::from([orders.clone(), payments.clone()]),
            },
            BTreeSet::from([Permission::Read]),
        );
        for table in [&orders, &payments] {
            scope.rows.insert(table.clone(), Condition::Null { column: "a".into(), negated: true });
            scope.unmask.insert(table.clone(), BTreeSet::from(["b".to_owned()]));
        }
        let narrowed = scope.narrowed_to(BTreeSet::new(), BTreeSet::from([orders.clone()])).unwrap();
        assert_eq!(narrowed.to_string(), "read public.orders where a IS NOT NULL; raw b");
        scope.permissions.insert(Permission::Ddl);
        assert_eq!(
            scope.narrowed_to(BTreeSet::new(), BTreeSet::from([orders])),
            Err(ScopeError::DdlNotNarrowed)
        );
    }

    #[test]
    fn table_names_survive_json() {
        for name in
            [TableName::new("public", "orders"), TableName::new("A b", "x\"y.z"), TableName::new("1", "é")]
        {
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(serde_json::from_str::<TableName>(&json).unwrap(), name, "{json}");
        }
    }
}
