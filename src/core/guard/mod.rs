//! The guard: whether one statement may pass under a session's permit. The
//! gateway asks it for every statement, startup packet and function call.
//!
//! It is the second layer. What the database's own privileges refuse (a table
//! outside the scope, an unmasked column) is left to them, because they cannot
//! be fooled; the guard refuses what PostgreSQL permits to any role (settings,
//! hidden SQL, files, locks, notifications) and says clearly what the database
//! would say obscurely. Closed by default (G2): what is not listed is refused.

mod durability;
mod functions;
mod large_objects;
mod settings;
mod startup;
mod vocabulary;

pub use durability::{Durability, TxStatus};
pub use large_objects::check_function_call;
pub use startup::{Startup, check_startup};
pub use vocabulary::Vocabulary;

use super::model::{Budget, ErrorKind, GrantId, Objects, Path, PersonRef, Scope, SessionId};
use super::profile::Views;
use super::sql::{Class, CopyEnd, Name, Statement, TxEffect};
use jiff::Timestamp;
use std::sync::Arc;

/// What the gateway needs to know of a session: everything, so that it never
/// asks the control plane again. A revocation reaches it from outside.
#[derive(Clone, Debug)]
pub struct Permit {
    pub session: SessionId,
    pub grant: GrantId,
    pub person: PersonRef,
    pub target: String,
    pub scope: Scope,
    pub path: Path,
    pub until: Timestamp,
    /// Where masked and filtered tables are found.
    pub views: Arc<Views>,
    pub vocabulary: Arc<Vocabulary>,
    pub budget: Budget,
}

/// The guard's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow(Allowed),
    Refuse(Refusal),
}

/// How an allowed statement passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// What the statement's record must have reached before it goes upstream.
    pub durability: Durability,
    pub effect: TxEffect,
}

/// Why something does not pass, ready to be an ErrorResponse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub sqlstate: &'static str,
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Refusal {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Denied
    }
}

/// Why not, before it is put in words for one permit.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    /// The grant is for reading and this writes: what does.
    NeedsWrite(String),
    /// Under no grant: what, and what to do instead.
    Never(String, &'static str),
}

/// Whether a statement may pass. `tx` is the transaction status at its place:
/// see [`TxStatus`] for what to say when that is not certain.
pub fn check(permit: &Permit, statement: &Statement, tx: TxStatus) -> Verdict {
    match reason_against(statement, permit.scope.writes()) {
        Some(reason) => Verdict::Refuse(refusal(permit, reason)),
        None => Verdict::Allow(Allowed {
            durability: durability::of(permit.scope.writes(), statement, tx),
            effect: statement.effect,
        }),
    }
}

fn reason_against(statement: &Statement, may_write: bool) -> Option<Reason> {
    let needs_write = |what: String| (!may_write).then_some(Reason::NeedsWrite(what));
    if let Some(reason) = statement.classes().find_map(|class| match rule(class) {
        Rule::Any => None,
        Rule::Write => needs_write(class.verb().to_owned()),
        Rule::Never(instead) => Some(Reason::Never(told(class), instead)),
    }) {
        return Some(reason);
    }
    if let Some(system) = statement.writes.iter().find(|name| is_system(name)) {
        return Some(Reason::Never(
            format!("changing {system}"),
            "it belongs to the system; read it instead",
        ));
    }
    if !statement.writes.is_empty() || statement.modifying_cte {
        let what = match statement.writes.first() {
            Some(name) => format!("changing {name}"),
            None => "a change in a WITH query".to_owned(),
        };
        if let Some(reason) = needs_write(what) {
            return Some(reason);
        }
    }
    if statement.locks_rows
        && let Some(reason) = needs_write("locking rows (FOR UPDATE, FOR SHARE)".to_owned())
    {
        return Some(reason);
    }
    let settings = || statement.settings.iter().find_map(|setting| settings::check(setting, may_write));
    let functions = || statement.functions.iter().find_map(|name| functions::check(name, may_write));
    let attributes =
        || statement.attributes.iter().find_map(|name| functions::check_attribute(name, may_write));
    settings().or_else(functions).or_else(attributes)
}

enum Rule {
    Any,
    Write,
    /// And what to do instead.
    Never(&'static str),
}

/// The statement classes. `Any` means that class alone is no reason against:
/// what it carries (settings, functions, relations) is judged apart.
fn rule(class: Class) -> Rule {
    const SCHEMA: &str = "the schema changes by a migration, under a grant for migrations";
    const ADMIN: &str = "ask the owners of the target to do it";
    match class {
        Class::Select | Class::Values | Class::Show | Class::Explain { .. } => Rule::Any,
        Class::Prepare | Class::Execute | Class::Deallocate => Rule::Any,
        Class::DeclareCursor | Class::Fetch | Class::Move | Class::Close => Rule::Any,
        Class::Begin | Class::Commit | Class::Rollback => Rule::Any,
        Class::Savepoint | Class::Release | Class::RollbackTo => Rule::Any,
        Class::Set | Class::Reset | Class::SetConstraints | Class::Discard => Rule::Any,
        Class::Listen | Class::Unlisten => Rule::Any,
        Class::CopyOut(CopyEnd::Client) => Rule::Any,

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
        Class::SelectInto { .. } | Class::CreateTable { .. } | Class::CreateTableAs { .. } => {
            Rule::Never("the schema changes by a migration; under a write grant a TEMP table is allowed")
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
fn is_system(name: &Name) -> bool {
    match name.schema.as_deref() {
        None => name.name.starts_with("pg_"),
        Some("pg_temp") => false,
        Some(schema) => {
            schema.starts_with("pg_") || schema == "information_schema" || schema.starts_with("dbaccess")
        }
    }
}

/// Names the grant and what to do.
fn refusal(permit: &Permit, reason: Reason) -> Refusal {
    match reason {
        Reason::NeedsWrite(what) => Refusal {
            sqlstate: "42501",
            message: format!("{what} needs write access, and grant {} is to {}", permit.grant, permit.scope),
            hint: format!("ask for it: {}", request_with(permit, "--write")),
        },
        Reason::Never(what, instead) => Refusal {
            sqlstate: "42501",
            message: format!("{what} is not allowed in a dbaccess session (grant {})", permit.grant),
            hint: instead.to_owned(),
        },
    }
}

/// The command that asks for the same objects with one more flag.
pub fn request_with(permit: &Permit, flag: &str) -> String {
    let mut command = format!("dbaccess request {}", quoted(&permit.target));
    match &permit.scope.objects {
        Objects::Database => command += " --database",
        Objects::Only { schemas, tables } => {
            for schema in schemas {
                command += &format!(" --schema {}", quoted(schema));
            }
            for table in tables {
                command += &format!(" --table {}", quoted(&table.to_string()));
            }
        }
    }
    command + " " + flag
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
pub(crate) mod tests;
