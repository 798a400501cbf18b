//! Scope: what is asked for and granted. Words become objects here, against a
//! catalog; a [`Scope`] that exists names only things that were there.

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
}

/// `schema.name`, each part double-quoted only where PostgreSQL needs it.
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with(|c: char| c.is_ascii_digit())
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        let quoted = |part: &str| {
            if plain(part) { part.to_owned() } else { format!("\"{}\"", part.replace('"', "\"\"")) }
        };
        f.pad(&format!("{}.{}", quoted(&self.schema), quoted(&self.name)))
    }
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

/// Splits `a.b` into its parts, honouring double quotes. What is not quoted is
/// taken as it stands (a person who types `Orders` may mean just that).
pub(super) fn split_name(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        let mut part = String::new();
        if rest.next_if_eq(&'"').is_some() {
            loop {
                match rest.next()? {
                    '"' if rest.next_if_eq(&'"').is_some() => part.push('"'),
                    '"' => break,
                    c => part.push(c),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != '.' && *c != '"') {
                part.push(c);
            }
        }
        if part.is_empty() || part.contains('\0') {
            return None;
        }
        parts.push(part);
        match rest.next() {
            None => return Some(parts),
            Some('.') => {}
            Some(_) => return None,
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

/// Why a typed scope names nothing.
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
    #[error("{0} is outside what was asked for: approval can only narrow")]
    Wider(String),
}

impl ScopeError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::UnknownTable { .. } | Self::UnknownSchema { .. } => ErrorKind::NotFound,
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

impl AskedScope {
    /// Finds what was typed in the catalog. An unqualified table is sought in
    /// every schema; `public` wins where several have it.
    pub fn resolve(&self, catalog: &Catalog) -> Result<Scope, ScopeError> {
        let mut permissions = BTreeSet::from([Permission::Read]);
        if self.write {
            permissions.insert(Permission::Write);
        }
        if self.schemas.is_empty() && self.tables.is_empty() {
            return Ok(Scope::new(Objects::Database, permissions));
        }
        let schemas = self.schemas.iter().map(|s| find_schema(s, catalog)).collect::<Result<_, _>>()?;
        let tables = self.tables.iter().map(|t| find_table(t, catalog)).collect::<Result<_, _>>()?;
        Ok(Scope::new(Objects::Only { schemas, tables }, permissions))
    }
}

fn find_schema(asked: &str, catalog: &Catalog) -> Result<String, ScopeError> {
    let Some([name]) = split_name(asked).and_then(|parts| <[String; 1]>::try_from(parts).ok()) else {
        return Err(ScopeError::Malformed(asked.to_owned()));
    };
    if catalog.schemas.contains(&name) {
        return Ok(name);
    }
    let nearest = nearest(&name, catalog.schemas.iter().map(String::as_str));
    Err(ScopeError::UnknownSchema { asked: asked.to_owned(), nearest })
}

fn find_table(asked: &str, catalog: &Catalog) -> Result<TableName, ScopeError> {
    let parts = split_name(asked).ok_or_else(|| ScopeError::Malformed(asked.to_owned()))?;
    let found: Vec<&TableName> = match parts.as_slice() {
        [name] => catalog.relations.iter().map(|r| &r.name).filter(|t| t.name == *name).collect(),
        [schema, name] => catalog
            .relations
            .iter()
            .map(|r| &r.name)
            .filter(|t| t.schema == *schema && t.name == *name)
            .collect(),
        _ => return Err(ScopeError::Malformed(asked.to_owned())),
    };
    match found.as_slice() {
        [] => {
            let qualified: Vec<String> = catalog.relations.iter().map(|r| r.name.to_string()).collect();
            let bare = catalog.relations.iter().map(|r| r.name.name.as_str());
            let names = if parts.len() == 1 {
                nearest(asked, bare)
            } else {
                nearest(asked, qualified.iter().map(String::as_str))
            };
            Err(ScopeError::UnknownTable { asked: asked.to_owned(), nearest: names })
        }
        [one] => Ok((*one).clone()),
        several => match several.iter().find(|t| t.schema == "public") {
            Some(public) => Ok((*public).clone()),
            None => Err(ScopeError::AmbiguousTable {
                asked: asked.to_owned(),
                candidates: several.iter().map(ToString::to_string).collect(),
            }),
        },
    }
}

/// The at most three names that a person may have meant, best first.
pub fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let asked = asked.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(&asked, &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
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

    /// Whether a classified column is shown raw.
    pub fn unmasks(&self, table: &TableName, column: &str) -> bool {
        self.unmask.get(table).is_some_and(|columns| columns.contains(column))
    }

    /// Whether a relation is inside this scope.
    pub fn covers(&self, table: &TableName) -> bool {
        match &self.objects {
            Objects::Database => true,
            Objects::Only { schemas, tables } => schemas.contains(&table.schema) || tables.contains(table),
        }
    }

    /// The relations of a catalog that are inside this scope.
    pub fn relations<'c>(&self, catalog: &'c Catalog) -> impl Iterator<Item = &'c super::Relation> {
        catalog.relations.iter().filter(|relation| self.covers(&relation.name))
    }

    /// This scope cut down to some of its tables.
    ///
    /// # Errors
    /// [`ScopeError::Wider`] when a table is not inside this scope.
    pub fn narrowed_to(&self, tables: BTreeSet<TableName>) -> Result<Self, ScopeError> {
        if let Some(outside) = tables.iter().find(|table| !self.covers(table)) {
            return Err(ScopeError::Wider(outside.to_string()));
        }
        let rows = self.rows.iter().filter(|(table, _)| tables.contains(table));
        let unmask = self.unmask.iter().filter(|(table, _)| tables.contains(table));
        Ok(Self {
            permissions: self.permissions.clone(),
            rows: rows.map(|(table, condition)| (table.clone(), condition.clone())).collect(),
            unmask: unmask.map(|(table, columns)| (table.clone(), columns.clone())).collect(),
            objects: Objects::Only { schemas: BTreeSet::new(), tables },
        })
    }
}

/// For people: `read public.orders, public.payments`.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verbs: Vec<&str> = self.permissions.iter().map(|p| p.as_str()).collect();
        let objects = match &self.objects {
            Objects::Database => "the whole database".to_owned(),
            Objects::Only { schemas, tables } => schemas
                .iter()
                .map(|schema| format!("schema {schema}"))
                .chain(tables.iter().map(ToString::to_string))
                .collect::<Vec<_>>()
                .join(", "),
        };
        f.pad(&format!("{} {objects}", verbs.join("+")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Relation, RelationKind};
    use super::*;

    fn catalog() -> Catalog {
        let relation = |schema: &str, name: &str| Relation {
            name: TableName::new(schema, name),
            kind: RelationKind::Table,
            owner: "app".into(),
            ..Relation::default()
        };
        Catalog {
            relations: vec![
                relation("public", "orders"),
                relation("public", "payments"),
                relation("shop", "orders"),
                relation("shop", "stock"),
                relation("a", "twin"),
                relation("b", "twin"),
                relation("public", "We\"ird. Täble"),
            ],
            schemas: vec!["public".into(), "shop".into(), "a".into(), "b".into()],
            ..Catalog::default()
        }
    }

    fn ask(tables: &[&str]) -> Result<Scope, ScopeError> {
        let tables = tables.iter().map(|t| (*t).to_owned()).collect();
        AskedScope { tables, ..AskedScope::default() }.resolve(&catalog())
    }

    #[test]
    fn r3_names_resolve_to_what_is_there() {
        assert_eq!(ask(&["orders"]).unwrap().to_string(), "read public.orders");
        assert_eq!(ask(&["shop.orders", "stock"]).unwrap().to_string(), "read shop.orders, shop.stock");
        assert_eq!(ask(&["\"We\"\"ird. Täble\""]).unwrap().to_string(), "read public.\"We\"\"ird. Täble\"");
        assert_eq!(ask(&[]).unwrap().level(), Level::Database);
    }

    #[test]
    fn a_name_that_is_not_there_gets_the_nearest() {
        assert_eq!(ask(&["paymnts"]).unwrap_err().to_string(), "no table paymnts: did you mean payments?");
        assert_eq!(
            ask(&["shop.stok"]).unwrap_err().to_string(),
            "no table shop.stok: did you mean shop.stock or shop.orders?"
        );
        assert!(matches!(ask(&["twin"]), Err(ScopeError::AmbiguousTable { .. })));
        assert!(matches!(ask(&["a..b"]), Err(ScopeError::Malformed(_))));
        assert!(matches!(ask(&["\"open"]), Err(ScopeError::Malformed(_))));
    }

    #[test]
    fn b7_a_scope_only_narrows() {
        let scope = ask(&["orders", "payments"]).unwrap();
        let one = BTreeSet::from([TableName::new("public", "orders")]);
        assert_eq!(scope.narrowed_to(one).unwrap().to_string(), "read public.orders");
        let other = BTreeSet::from([TableName::new("shop", "stock")]);
        assert_eq!(scope.narrowed_to(other), Err(ScopeError::Wider("shop.stock".into())));
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
