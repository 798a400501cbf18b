//! What a statement is, and what it changes: the classes that a permit allows.

use super::Rights;
use super::reason::Reason;
use crate::core::model::Objects;
use crate::core::sql::{Class, CopyEnd, Name, Statement};
use std::borrow::Cow;

pub(super) fn check(statement: &Statement, rights: Rights<'_>) -> Option<Reason> {
    let refused = |class| match rule(class) {
        // VACUUM and its kin, of tables that it names; and the same rule as for
        // every other change of the schema.
        Rule::Never(_) if class == Class::Maintenance && rights.script => match rights.migrate {
            Some(_) if statement.writes.is_empty() => {
                Some(Reason::never(told(class), "name the tables, each with its schema"))
            }
            objects => objects.and_then(|objects| outside(statement, objects)),
        },
        Rule::Any => None,
        Rule::Write => needs_write(rights, || class.verb().to_owned()),
        Rule::Export => (!rights.export).then(|| Reason::NeedsExport(class.verb().to_owned())),
        Rule::Migration => match rights.migrate {
            None => Some(Reason::NeedsMigration(class.verb().to_owned())),
            Some(objects) => outside(statement, objects),
        },
        Rule::Never(instead) => Some(Reason::Never(told(class), Cow::Borrowed(instead))),
    };
    if let Some(reason) = statement.classes().find_map(refused) {
        return Some(reason);
    }
    if let Some(system) = statement.writes.iter().find(|name| is_system(name)) {
        return Some(Reason::never(
            format!("changing {system}"),
            "it belongs to the system; read it instead",
        ));
    }
    if !statement.writes.is_empty() || statement.modifying_cte {
        let what = || match statement.writes.first() {
            Some(name) => format!("changing {name}"),
            None => "a change in a WITH query".to_owned(),
        };
        if let Some(reason) = needs_write(rights, what) {
            return Some(reason);
        }
    }
    if let Some(objects) = rights.migrate.filter(|_| rights.only_there)
        && let Some(name) = statement.writes.iter().find(|name| is_elsewhere(name, objects))
    {
        return Some(Reason::Outside(format!("changing {name}")));
    }
    if statement.hold && !rights.export {
        return Some(Reason::NeedsExport("a cursor WITH HOLD, which sets rows aside,".to_owned()));
    }
    if statement.locks_rows {
        return needs_write(rights, || "locking rows (FOR UPDATE, FOR SHARE)".to_owned());
    }
    None
}

fn needs_write(rights: Rights<'_>, what: impl Fn() -> String) -> Option<Reason> {
    (!rights.write).then(|| Reason::NeedsWrite(what()))
}

/// What a migration touches must stand in the scope's schemas, and say so: where
/// a name without a schema leads is for the search path, which a session may set.
fn outside(statement: &Statement, objects: &Objects) -> Option<Reason> {
    for name in &statement.writes {
        if name.schema.is_none() {
            return Some(Reason::never(
                format!("a change of the schema that does not say where {name} is"),
                "write the schema before the name: CREATE TABLE shop.products (…)",
            ));
        }
        if is_elsewhere(name, objects) {
            return Some(Reason::Outside(format!("a change of {name}")));
        }
    }
    // A view or a table made of a query takes from the schemas that it is for.
    let read = statement.reads.iter().find(|name| is_elsewhere(name, objects) && !is_system(name))?;
    Some(Reason::Outside(format!("a change of the schema that reads {read}")))
}

/// A name with a schema that the scope does not hold.
fn is_elsewhere(name: &Name, objects: &Objects) -> bool {
    match (&name.schema, objects) {
        (None, _) | (_, Objects::Database) => false,
        (Some(schema), Objects::Only { schemas, .. }) => schema != "pg_temp" && !schemas.contains(schema),
    }
}

enum Rule {
    Any,
    Write,
    Export,
    Migration,
    /// And what to do instead.
    Never(&'static str),
}

/// The statement classes. `Any` means that class alone is no reason against:
/// what it carries (settings, functions, relations) is judged apart.
fn rule(class: Class) -> Rule {
    const SCHEMA: &str = "a migration changes tables, indexes, sequences, views and types of its schemas, each by \
                          name; the rest is for the owners of the target";
    const CODE: &str = "code and rules that run for others are for the owners of the target to put in place";
    const ADMIN: &str = "ask the owners of the target to do it";
    match class {
        Class::Select | Class::Values | Class::Show | Class::Explain { .. } => Rule::Any,
        Class::Prepare | Class::Execute | Class::Deallocate => Rule::Any,
        Class::DeclareCursor | Class::Fetch | Class::Move | Class::Close => Rule::Any,
        Class::Begin | Class::Commit | Class::Rollback => Rule::Any,
        Class::Savepoint | Class::Release | Class::RollbackTo => Rule::Any,
        Class::Set | Class::Reset | Class::SetConstraints | Class::Discard => Rule::Any,
        Class::Unlisten => Rule::Any,
        Class::Listen => Rule::Never(
            "channels carry what the application sends, of any table and unmasked; read the tables",
        ),
        Class::CopyOut(CopyEnd::Client) => Rule::Export,

        Class::Insert | Class::Update | Class::Delete | Class::Merge | Class::Truncate => Rule::Write,
        Class::CopyIn(CopyEnd::Client) | Class::Notify => Rule::Write,
        // Up to ROW EXCLUSIVE, which an UPDATE takes too. A stronger lock stops
        // the application, and LOCK of a view locks the tables beneath it.
        Class::Lock { mode: 1..=3 } => Rule::Write,
        Class::Lock { .. } => Rule::Never("lock IN ROW EXCLUSIVE MODE or weaker, or rows with FOR UPDATE"),
        Class::SelectInto { temporary: true }
        | Class::CreateTable { temporary: true }
        | Class::CreateTableAs { temporary: true }
        | Class::DropTemporary => Rule::Write,

        Class::CopyIn(_) | Class::CopyOut(_) => {
            Rule::Never("COPY to or from the client instead (\\copy in psql)")
        }
        Class::SelectInto { .. } | Class::CreateTable { .. } | Class::CreateTableAs { .. } => Rule::Migration,
        Class::Migration(_) => Rule::Migration,
        Class::Ddl(
            "CREATE FUNCTION"
            | "ALTER FUNCTION"
            | "CREATE TRIGGER"
            | "ALTER TABLE … TRIGGER"
            | "CREATE RULE"
            | "ALTER TABLE … RULE"
            | "CREATE POLICY"
            | "ALTER POLICY"
            | "ALTER TABLE … ROW LEVEL SECURITY"
            | "CREATE EVENT TRIGGER"
            | "ALTER EVENT TRIGGER"
            | "CREATE CAST"
            | "CREATE LANGUAGE"
            | "CREATE EXTENSION"
            | "ALTER EXTENSION",
        ) => Rule::Never(CODE),
        Class::Ddl("CASCADE in a change of the schema") => {
            Rule::Never("drop what depends on it first, by name: CASCADE reaches other people's objects")
        }
        Class::Ddl(_) => Rule::Never(SCHEMA),
        Class::PrepareTransaction | Class::CommitPrepared | Class::RollbackPrepared => {
            Rule::Never("use an ordinary transaction: a prepared one would outlive the session")
        }
        Class::Call | Class::Do => {
            Rule::Never("run its SQL as statements, so that each is seen and recorded")
        }
        Class::Maintenance => Rule::Never(ADMIN),
        Class::Privileges | Class::Roles => Rule::Never("access is granted by dbaccess request, not by SQL"),
        Class::AlterSystem | Class::Load | Class::Checkpoint => Rule::Never(ADMIN),
        Class::Unknown(_) => Rule::Never("write it in another way, or tell us that you need it"),
    }
}

fn told(class: Class) -> String {
    match class {
        Class::Unknown(what) => format!("a statement that dbaccess cannot judge ({what})"),
        Class::CopyIn(CopyEnd::Program) | Class::CopyOut(CopyEnd::Program) => {
            "COPY with a program".to_owned()
        }
        Class::CopyIn(_) | Class::CopyOut(_) => "COPY with a file on the server".to_owned(),
        _ => class.verb().to_owned(),
    }
}

/// Relations that nobody's data is in. Without a schema, `pg_…` is
/// `pg_catalog`'s, which PostgreSQL searches first.
pub(super) fn is_system(name: &Name) -> bool {
    match name.schema.as_deref() {
        None => name.name.starts_with("pg_"),
        Some("pg_temp") => false,
        Some(schema) => {
            schema.starts_with("pg_") || schema == "information_schema" || schema.starts_with("dbaccess")
        }
    }
}
