//! From what a person typed to a [`Scope`]: names become objects that are
//! there, conditions become typed, columns to see raw are known to be masked.
//! What makes no sense together is refused here, with what to ask instead;
//! who may have the rest is policy's. Called when a request comes in, and never
//! again: a scope that exists is not checked anew.

mod flags;
mod unmask;

#[cfg(test)]
mod tests;

pub use flags::{request_command, shell_quoted};

use super::model::{
    AskedScope, Catalog, Classification, Condition, Objects, Permission, Scope, ScopeError, TableName,
};
use super::rows;
use std::collections::{BTreeMap, BTreeSet};

impl AskedScope {
    /// Whether it names the whole database, by naming nothing in it.
    pub fn is_database(&self) -> bool {
        self.schemas.is_empty() && self.tables.is_empty() && self.rows.is_empty()
    }

    /// Finds what was typed in the catalog.
    pub fn resolve(&self, catalog: &Catalog, classification: &Classification) -> Result<Scope, ScopeError> {
        let schemas: BTreeSet<String> =
            self.schemas.iter().map(|name| catalog.find_schema(name)).collect::<Result<_, _>>()?;
        let mut tables: BTreeSet<TableName> =
            self.tables.iter().map(|name| catalog.find_table(name)).collect::<Result<_, _>>()?;
        let mut conditions = BTreeMap::new();
        for text in &self.rows {
            let (table, condition) = rows::parse(text, catalog)?;
            if conditions.insert(table.clone(), condition).is_some() {
                return Err(ScopeError::TwoConditions(table));
            }
        }
        let filtered = conditions.keys().filter(|table| !schemas.contains(&table.schema));
        tables.extend(filtered.cloned());
        for table in tables.iter().chain(conditions.keys()) {
            if let Some(reason) = classification.closed(table) {
                return Err(ScopeError::Closed { table: table.clone(), reason: reason.to_owned() });
            }
        }
        let objects = if self.is_database() { Objects::Database } else { Objects::Only { schemas, tables } };
        let mut scope = Scope::new(objects, self.permissions());
        if self.ddl {
            self.check_migration(&scope, catalog)?;
            return Ok(scope);
        }
        scope.unmask = unmask::resolve(&self.unmask, &scope, catalog, classification)?;
        scope.rows = self.rows(conditions, &scope, catalog, classification)?;
        Ok(scope)
    }

    /// A migration can write, so it says so.
    fn permissions(&self) -> BTreeSet<Permission> {
        let asked = [
            (true, Permission::Read),
            (self.write || self.ddl, Permission::Write),
            (self.ddl, Permission::Ddl),
            (self.export, Permission::Export),
        ];
        asked.into_iter().filter(|(asked, _)| *asked).map(|(_, permission)| permission).collect()
    }

    /// A migration runs with the rights of one owner, and can do what that
    /// owner can: a filter or a mask beside it would be a false promise.
    fn check_migration(&self, scope: &Scope, catalog: &Catalog) -> Result<(), ScopeError> {
        if !self.rows.is_empty() || self.follow {
            return Err(ScopeError::NotWithDdl("a row condition"));
        }
        if !self.unmask.is_empty() {
            return Err(ScopeError::NotWithDdl("--unmask"));
        }
        let (schemas, tables) = match &scope.objects {
            Objects::Database => (catalog.schemas.iter().collect::<Vec<_>>(), BTreeSet::new()),
            Objects::Only { schemas, tables } => (schemas.iter().collect(), tables.clone()),
        };
        if schemas.is_empty() {
            return Err(ScopeError::DdlNeedsSchema);
        }
        let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for schema in schemas {
            // No session can become a predefined role, such as pg_database_owner.
            let owner = catalog.owner(schema).filter(|owner| !owner.starts_with("pg_"));
            let owner = owner.ok_or_else(|| ScopeError::UnknownOwner(schema.clone()))?;
            owners.entry(owner.to_owned()).or_default().push(format!("schema {schema}"));
        }
        for relation in tables.iter().filter_map(|table| catalog.relation(table)) {
            owners.entry(relation.owner.clone()).or_default().push(relation.name.to_string());
        }
        if owners.len() == 1 {
            return Ok(());
        }
        let owned = |(owner, what): (String, Vec<String>)| format!("{owner} (of {})", what.join(", "));
        Err(ScopeError::SeveralOwners(owners.into_iter().map(owned).collect()))
    }

    /// The conditions, with those that follow from them.
    fn rows(
        &self,
        mut conditions: BTreeMap<TableName, Condition>,
        scope: &Scope,
        catalog: &Catalog,
        classification: &Classification,
    ) -> Result<BTreeMap<TableName, Condition>, ScopeError> {
        let masked = |table: &TableName, column: &str| {
            classification.column(table, column).is_some() && !scope.unmasks(table, column)
        };
        for (table, condition) in &conditions {
            if let Some(column) = condition.columns().into_iter().find(|column| masked(table, column)) {
                return Err(ScopeError::MaskedCondition { table: table.clone(), column: column.to_owned() });
            }
        }
        let open = || scope.relations(catalog).filter(|one| classification.closed(&one.name).is_none());
        if self.follow {
            if conditions.is_empty() {
                return Err(ScopeError::NothingToFollow);
            }
            let tables = open().map(|relation| &relation.name);
            let followed = rows::follow(&conditions, tables, catalog, &masked)?;
            // Whoever asks for it takes what they see for narrowed.
            if followed.is_empty() {
                return Err(ScopeError::NothingFollows);
            }
            conditions.extend(followed);
        }
        // A part of a table, read by its own name, has no more rows than the whole.
        for relation in open() {
            let from = relation.ancestors.iter().find_map(|whole| conditions.get(whole)).cloned();
            if let Some(condition) = from {
                conditions.entry(relation.name.clone()).or_insert(condition);
            }
        }
        Ok(conditions)
    }
}
