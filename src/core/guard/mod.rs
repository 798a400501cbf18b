//! The guard: whether one statement may pass under a session's permit. The
//! gateway asks it for every statement, startup packet and function call.
//!
//! It is the second layer. What the database's own privileges refuse (a table
//! outside the scope, an unmasked column) is left to them, because they cannot
//! be fooled; the guard refuses what PostgreSQL permits to any role (settings,
//! hidden SQL, files, locks, notifications) and says clearly what the database
//! would say obscurely. Closed by default (G2): what is not listed is refused.

mod catalogs;
mod classes;
mod durability;
mod extensions;
mod functions;
mod large_objects;
mod reason;
mod script;
mod settings;
mod startup;
mod vocabulary;

pub use durability::{Durability, TxStatus, may_have_changed};
pub use functions::is_steady;
pub use large_objects::check_function_call;
pub use reason::{hint, request_with};
pub use script::{
    Approved, INVALID_INDEXES, Message, check_message, check_script, is_timeout, next_in_script,
};
pub use startup::{Startup, check_startup};
pub use vocabulary::Vocabulary;

use super::model::{Budget, ErrorKind, GrantId, Objects, Path, PersonRef, Scope, SessionId};
use super::profile::Views;
use super::sql::{Statement, TxEffect};
use jiff::Timestamp;
use reason::{Reason, refusal};
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
    /// The end of the window when the session was opened; a renewal moves the session's.
    pub until: Timestamp,
    /// Where masked and filtered tables are found.
    pub views: Arc<Views>,
    pub vocabulary: Arc<Vocabulary>,
    pub budget: Budget,
    /// The reviewed script that it is for, where it is for one: see [`check_message`].
    pub script: Option<Arc<Approved>>,
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

/// What a permit allows beyond reading whole tables.
#[derive(Clone, Copy, Debug)]
struct Rights<'a> {
    /// Changing rows: of the scope's tables, or for a migration of its schemas'.
    write: bool,
    export: bool,
    /// Some of its tables show some of their rows only.
    some_rows: bool,
    /// Where a migration may change the schema.
    migrate: Option<&'a Objects>,
    /// Changing rows nowhere but there.
    only_there: bool,
    /// Somebody has reviewed what is run.
    script: bool,
}

impl<'a> Rights<'a> {
    fn of(scope: &'a Scope) -> Self {
        Self {
            write: scope.writes() || scope.changes_schema(),
            export: scope.exports(),
            some_rows: !scope.rows.is_empty(),
            migrate: scope.changes_schema().then_some(&scope.objects),
            only_there: !scope.writes(),
            script: false,
        }
    }
}

/// Whether a statement may pass. `tx` is the transaction status at its place:
/// see [`TxStatus`] for what to say when that is not certain.
pub fn check(permit: &Permit, statement: &Statement, tx: TxStatus) -> Verdict {
    let rights = Rights { script: permit.script.is_some(), ..Rights::of(&permit.scope) };
    match reason_against(statement, rights, &permit.vocabulary) {
        Some(reason) => Verdict::Refuse(refusal(permit, reason)),
        None => Verdict::Allow(Allowed {
            durability: durability::of(permit.path, rights.write, statement, &permit.vocabulary, tx),
            effect: statement.effect,
        }),
    }
}

fn reason_against(statement: &Statement, rights: Rights<'_>, known: &Vocabulary) -> Option<Reason> {
    classes::check(statement, rights)
        .or_else(|| statement.writes.iter().find_map(|name| known.check_written(name)))
        .or_else(|| statement.settings.iter().find_map(|setting| settings::check(setting, rights.write)))
        .or_else(|| catalogs::check(statement, rights))
        .or_else(|| statement.functions.iter().find_map(|name| known.check_function(name, rights)))
        .or_else(|| statement.operators.iter().find_map(|name| known.check_operator(name, rights)))
        .or_else(|| known.check_casts(statement, rights))
        .or_else(|| statement.attributes.iter().find_map(|name| known.check_attribute(name, rights)))
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
pub(crate) mod tests;
