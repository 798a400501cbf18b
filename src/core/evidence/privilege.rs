//! Whether a grant allowed more than was used, and what would have been enough
//! (R10.3). The rules:
//!
//! - it could write, and nothing was written;
//! - it could change the schema, and nothing in it was changed;
//! - it could export, and nothing left as COPY data nor were many rows read;
//! - it showed a classified column raw, and no statement named that column or all of them;
//! - it covered tables that no statement named, while others of it were used;
//! - it covered a schema or the whole database, and few tables were used.
//!
//! Names are as the statements said them, so what a view or function reads
//! inside counts as the view's or function's alone. Where names were too many to
//! keep, only the permissions are judged.

use super::Used;
use crate::core::model::{Objects, Permission, Scope, TableName, split_name};
use std::collections::BTreeSet;

/// Up to so many tables are asked for by name; beyond, a schema is.
pub const FEW_TABLES: usize = 5;
/// Up to so many rows are read without the permission to export.
const FEW_ROWS: u64 = 1000;

/// More than was used, in words, and the scope that would have been enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Excess {
    pub why: Vec<String>,
    pub enough: Scope,
}

/// Compares what a scope allows with what was used of it: `rows` were read in all.
pub fn excess(scope: &Scope, used: &Used, rows: u64) -> Option<Excess> {
    let mut excess = Excess { why: Vec::new(), enough: scope.clone() };
    excess.permissions(used, rows);
    // A migration that changed the schema had the owner's rights, and needed them.
    if !used.cut && !excess.enough.changes_schema() {
        excess.tables(used);
        excess.columns(used);
    }
    (!excess.why.is_empty()).then_some(excess)
}

impl Excess {
    fn permissions(&mut self, used: &Used, rows: u64) {
        let unused = [
            (Permission::Ddl, !used.verbs.iter().any(|verb| changes_schema(verb)), "schema changes", "made"),
            (Permission::Write, used.writes.is_empty(), "writing", "written"),
            (Permission::Export, !used.export && rows <= FEW_ROWS, "export", "exported"),
        ];
        for (permission, unused, what, done) in unused {
            // A migration says that it writes; it can do nothing without.
            let needed = permission == Permission::Write && self.enough.changes_schema();
            if unused && !needed && self.enough.permissions.remove(&permission) {
                self.why.push(match permission {
                    Permission::Ddl => "schema changes were allowed, and none was made".to_owned(),
                    _ => format!("{what} was allowed, and nothing was {done}"),
                });
            }
        }
    }

    fn tables(&mut self, used: &Used) {
        // What follows foreign keys needs the tables that it follows.
        if self.enough.rows.values().any(crate::core::model::Condition::is_followed) {
            return;
        }
        let Some(tables) = named(&self.enough, used) else { return };
        let (schemas, granted) = match &self.enough.objects {
            Objects::Database => (None, BTreeSet::new()),
            Objects::Only { schemas, tables } => (Some(schemas), tables.clone()),
        };
        if tables.is_empty() {
            return;
        }
        let count = match tables.len() {
            1 => "one table was".to_owned(),
            many => format!("{many} tables were"),
        };
        let why = match schemas {
            None => format!("the whole database was open, and {count} used"),
            Some(schemas) if !schemas.is_empty() => {
                let names: Vec<&str> = schemas.iter().map(String::as_str).collect();
                format!("all of schema {} was open, and {count} used", names.join(", "))
            }
            Some(_) => {
                let unused: Vec<String> = granted.difference(&tables).map(ToString::to_string).collect();
                if unused.is_empty() {
                    return;
                }
                format!("not used: {}", unused.join(", "))
            }
        };
        let wide = schemas.is_none_or(|schemas| !schemas.is_empty());
        if wide && tables.len() > FEW_TABLES {
            return;
        }
        let enough = &mut self.enough;
        enough.rows.retain(|table, _| tables.contains(table));
        enough.unmask.retain(|table, _| tables.contains(table));
        enough.objects = Objects::Only { schemas: BTreeSet::new(), tables };
        self.why.push(why);
    }

    fn columns(&mut self, used: &Used) {
        if used.columns.contains("*") {
            return;
        }
        let mut unread = Vec::new();
        for (table, columns) in &mut self.enough.unmask {
            columns.retain(|column| {
                let read = used.columns.contains(column);
                if !read {
                    unread.push(table.column(column));
                }
                read
            });
        }
        self.enough.unmask.retain(|_, columns| !columns.is_empty());
        if !unread.is_empty() {
            self.why.push(format!("shown raw, and never read: {}", unread.join(", ")));
        }
    }
}

/// The scope's tables that statements named. None where a name could mean
/// several, or a table that the session made for itself.
fn named(scope: &Scope, used: &Used) -> Option<BTreeSet<TableName>> {
    let makes = |verb: &String| verb.starts_with("CREATE TABLE") || verb == "SELECT INTO";
    let own = used.verbs.iter().any(makes);
    let wide = !matches!(&scope.objects, Objects::Only { schemas, .. } if schemas.is_empty());
    if own && wide {
        return None;
    }
    let mut found = BTreeSet::new();
    for name in used.reads.iter().chain(&used.writes) {
        let parts = split_name_of(name);
        let (schema, name) = match parts.as_slice() {
            [name] => (None, name.as_str()),
            [schema, name] => (Some(schema.as_str()), name.as_str()),
            _ => return None,
        };
        if is_system(schema, name) {
            continue;
        }
        match &scope.objects {
            Objects::Only { schemas, tables } if schemas.is_empty() => {
                let meant = |table: &&TableName| {
                    table.name == name && schema.is_none_or(|schema| table.schema == schema)
                };
                found.extend(tables.iter().filter(meant).cloned());
            }
            objects => {
                let schema = schema.map(str::to_owned).or_else(|| usual_schema(objects, name))?;
                let table = TableName::new(schema, name);
                if scope.covers(&table) {
                    found.insert(table);
                }
            }
        }
    }
    Some(found)
}

/// Where a bare name leads: to a table that the scope names, else to the only
/// schema, else to `public`, as PostgreSQL's own search path has it.
fn usual_schema(objects: &Objects, name: &str) -> Option<String> {
    let Objects::Only { schemas, tables } = objects else { return Some("public".to_owned()) };
    let mut own = tables.iter().filter(|table| table.name == name);
    match (own.next(), own.next(), schemas.len()) {
        (Some(table), None, _) => Some(table.schema.clone()),
        (None, None, 1) => schemas.first().cloned(),
        (None, None, _) => schemas.get("public").cloned(),
        _ => None,
    }
}

/// A name of the facts, which do not quote its parts.
fn split_name_of(name: &str) -> Vec<String> {
    split_name(name).unwrap_or_else(|| name.splitn(2, '.').map(str::to_owned).collect())
}

/// The system's own relations are open to everybody.
fn is_system(schema: Option<&str>, name: &str) -> bool {
    match schema {
        Some(schema) => schema.starts_with("pg_") || schema == "information_schema",
        None => name.starts_with("pg_"),
    }
}

fn changes_schema(verb: &str) -> bool {
    let first = verb.split(' ').next().unwrap_or_default();
    ["CREATE", "ALTER", "DROP", "COMMENT", "SECURITY", "IMPORT", "REASSIGN", "REFRESH", "SELECT"]
        .contains(&first)
        && verb != "SELECT"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{Condition, name_part};
    use crate::core::scope::request_command;
    use std::collections::BTreeMap;

    /// `database`, `schema a`, or tables; then permissions and raw columns.
    fn scope(objects: &str, permissions: &[Permission], raw: &[(&str, &str)]) -> Scope {
        let objects = match objects.split_once(' ') {
            None if objects == "database" => Objects::Database,
            Some(("schema", schemas)) => Objects::Only {
                schemas: schemas.split(' ').map(str::to_owned).collect(),
                tables: BTreeSet::new(),
            },
            _ => Objects::Only {
                schemas: BTreeSet::new(),
                tables: objects.split(' ').map(|name| TableName::new("public", name)).collect(),
            },
        };
        let permissions = permissions.iter().copied().chain([Permission::Read]).collect();
        let mut scope = Scope::new(objects, permissions);
        for (table, column) in raw {
            scope.unmask.entry(TableName::new("public", *table)).or_default().insert((*column).to_owned());
        }
        scope
    }

    fn used(verbs: &[&str], reads: &[&str], writes: &[&str], columns: &[&str]) -> Used {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Used {
            verbs: set(verbs),
            reads: set(reads),
            writes: set(writes),
            columns: set(columns),
            ..Used::default()
        }
    }

    #[test]
    fn r10_3_more_than_was_used_is_said_with_the_request_that_would_have_done() {
        use Permission::{Ddl, Export, Write};
        let six = ["a", "b", "c", "d", "e", "f"];
        for (scope, used, rows, why, command) in [
            (scope("orders", &[], &[]), used(&["SELECT"], &["orders"], &[], &["id"]), 9, "", ""),
            (
                scope("orders", &[Write], &[]),
                used(&["SELECT"], &["public.orders"], &[], &[]),
                9,
                "writing was allowed, and nothing was written",
                "--table public.orders",
            ),
            (scope("orders", &[Write], &[]), used(&["UPDATE"], &[], &["orders"], &[]), 0, "", ""),
            (
                scope("orders payments", &[], &[]),
                used(&["SELECT"], &["orders", "pg_class"], &[], &[]),
                9,
                "not used: public.payments",
                "--table public.orders",
            ),
            // None of its tables: nothing narrower is known to do.
            (scope("orders payments", &[], &[]), used(&["SELECT"], &["pg_class"], &[], &[]), 9, "", ""),
            (
                scope("database", &[], &[]),
                used(&["SELECT"], &["orders", "hr.staff", "information_schema.tables"], &[], &[]),
                9,
                "the whole database was open, and 2 tables were used",
                "--table hr.staff --table public.orders",
            ),
            (scope("database", &[], &[]), used(&["SELECT"], &six, &[], &[]), 9, "", ""),
            (
                scope("schema shop", &[], &[]),
                used(&["SELECT"], &["stock"], &[], &[]),
                9,
                "all of schema shop was open, and one table was used",
                "--table shop.stock",
            ),
            // Which schema a bare name meant cannot be known.
            (scope("schema shop hr", &[], &[]), used(&["SELECT"], &["stock"], &[], &[]), 9, "", ""),
            // A table of its own may be among the names.
            (scope("schema shop", &[], &[]), used(&["CREATE TABLE AS"], &["t"], &["t"], &[]), 9, "", ""),
            (
                scope("customers", &[], &[("customers", "email"), ("customers", "phone")]),
                used(&["SELECT"], &["customers"], &[], &["email"]),
                9,
                "shown raw, and never read: public.customers.phone",
                "--table public.customers --unmask public.customers.email",
            ),
            (
                scope("customers", &[], &[("customers", "email")]),
                used(&["SELECT"], &["customers"], &[], &["*"]),
                9,
                "",
                "",
            ),
            (
                scope("orders", &[Export], &[]),
                used(&["SELECT"], &["orders"], &[], &[]),
                1000,
                "export was allowed, and nothing was exported",
                "--table public.orders",
            ),
            (scope("orders", &[Export], &[]), used(&["SELECT"], &["orders"], &[], &[]), 1001, "", ""),
            (
                scope("schema shop", &[Ddl, Write], &[]),
                used(&["UPDATE"], &[], &["shop.stock"], &[]),
                0,
                "schema changes were allowed, and none was made; all of schema shop was open, and one table \
                 was used",
                "--table shop.stock --write",
            ),
            (scope("schema shop", &[Ddl, Write], &[]), used(&["CREATE INDEX"], &[], &[], &[]), 0, "", ""),
        ] {
            let found = excess(&scope, &used, rows);
            let said = found.as_ref().map(|excess| excess.why.join("; ")).unwrap_or_default();
            assert_eq!(said, why, "{scope} {used:?}");
            if let Some(excess) = found {
                let expected = format!("dbaccess request prod {command}");
                assert_eq!(request_command("prod", &excess.enough), expected, "{scope} {used:?}");
            }
        }
    }

    #[test]
    fn r10_3_what_was_too_much_to_keep_is_no_reason_to_narrow() {
        let scope = scope("orders payments", &[Permission::Write], &[("orders", "note")]);
        let mut used = used(&["SELECT"], &["orders"], &[], &["id"]);
        used.cut = true;
        let found = excess(&scope, &used, 1).unwrap();
        assert_eq!(found.why, ["writing was allowed, and nothing was written"]);
        assert_eq!(found.enough.objects, scope.objects);
    }

    #[test]
    fn r10_3_conditions_go_with_their_tables_and_stay_where_others_follow_them() {
        let mut scope = scope("customers orders", &[], &[]);
        let customers = TableName::new("public", "customers");
        let condition = Condition::Null { column: "id".into(), negated: true };
        scope.rows = BTreeMap::from([(customers, condition)]);
        let used = used(&["SELECT"], &["orders"], &[], &[]);
        let found = excess(&scope, &used, 1).unwrap();
        assert!(found.enough.rows.is_empty(), "{found:?}");
        assert_eq!(split_name_of(&format!("a.{}", name_part("B c"))), ["a", "B c"]);
    }
}
