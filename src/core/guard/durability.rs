//! How far a statement's record must have come before the statement goes
//! upstream (G1).
//!
//! The promise is that no effect outlives its record, even when the machine
//! dies. Nothing that a transaction did is durable before its COMMIT; so inside
//! a transaction block it is enough that every record is *written*, and that
//! all of them are *synced* before the COMMIT goes upstream. The journal syncs
//! in order, so syncing the COMMIT's own record syncs those before it, at one
//! group commit a transaction. A write outside a block is its own COMMIT.
//!
//! Effects that do not wait for a COMMIT: `nextval` advances a sequence (no
//! data), advisory locks die with the connection, `dblink` and kin would commit
//! elsewhere and are refused. Large objects and NOTIFY do wait for it.
//!
//! Under a read-only permit nothing durable can come of a statement, and
//! *written* always does. Under a write permit only what is plainly a read is
//! a read: EXECUTE, FETCH and a call of a function that is not known to be
//! without effect count as writes, and so does `(x).f`, which may be a call. A
//! view or an operator with a volatile function behind it is not seen; the
//! record is then *written*, not *synced*.

use super::{Vocabulary, functions};
use crate::core::model::Path;
use crate::core::sql::{Class, Statement, TxEffect};

/// What a record must have reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// It survives the death of the process.
    Written,
    /// It survives the death of the machine.
    Synced,
}

/// The transaction status at a statement's place. Say `InBlock` only when the
/// server has confirmed it (ReadyForQuery) or when the BEGIN stands before it
/// in the same simple query; in doubt, as in a pipeline, say `Idle`: that asks
/// for more, never for less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxStatus {
    Idle,
    InBlock,
    Failed,
}

impl TxStatus {
    /// The status byte of ReadyForQuery.
    pub fn from_wire(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::InBlock),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }

    /// The status after a statement that succeeds, for the statements that
    /// follow it in the same simple query.
    #[must_use]
    pub fn after(self, effect: TxEffect) -> Self {
        match (self, effect) {
            (Self::Idle, TxEffect::Begin) => Self::InBlock,
            (Self::Failed, TxEffect::RollbackTo) => Self::InBlock,
            (Self::InBlock | Self::Failed, TxEffect::Commit { chain } | TxEffect::Rollback { chain }) => {
                if chain {
                    Self::InBlock
                } else {
                    Self::Idle
                }
            }
            (status, _) => status,
        }
    }
}

/// Of break-glass every statement is safe on disk before it runs (R8.4).
pub(super) fn of(
    path: Path,
    may_write: bool,
    statement: &Statement,
    known: &Vocabulary,
    tx: TxStatus,
) -> Durability {
    if path == Path::BreakGlass {
        return Durability::Synced;
    }
    if !may_write {
        return Durability::Written;
    }
    match statement.effect {
        // Even in a failed block, where it rolls back: the status may be stale.
        TxEffect::Commit { .. } => return Durability::Synced,
        TxEffect::Begin
        | TxEffect::Rollback { .. }
        | TxEffect::Savepoint
        | TxEffect::Release
        | TxEffect::RollbackTo => return Durability::Written,
        TxEffect::None => {}
    }
    if tx == TxStatus::Idle && may_have_effect(statement, known) {
        Durability::Synced
    } else {
        Durability::Written
    }
}

fn may_have_effect(statement: &Statement, known: &Vocabulary) -> bool {
    !statement.writes.is_empty()
        || statement.modifying_cte
        || statement.classes().any(|class| !is_plain_read(class))
        || statement.functions.iter().any(|name| !functions::is_plain(&name.name) || known.may_mean_own(name))
        || statement.expression_attributes
        || statement.attributes.iter().any(|attribute| known.may_have_effect(attribute))
}

/// The same of a statement as the ledger has it, long after: by its verbs, what
/// it writes, and the functions that it calls. The target's own functions are
/// not at hand: whatever is not PostgreSQL's and plain may have an effect.
pub fn may_have_changed<'a>(
    mut verbs: impl Iterator<Item = &'a str>,
    mut writes: impl Iterator<Item = &'a str>,
    mut functions: impl Iterator<Item = &'a str>,
) -> bool {
    let plain = |name: &str| match name.rsplit_once('.') {
        Some((schema, name)) => schema == "pg_catalog" && functions::is_plain(name),
        None => functions::is_plain(name),
    };
    writes.next().is_some()
        || verbs.any(|verb| !HARMLESS.contains(&verb))
        || functions.any(|name| !plain(name))
}

/// Verbs of which nothing comes by themselves: reads, transactions, settings. A
/// cursor's functions stand with its DECLARE, so that FETCH is one of them.
const HARMLESS: &[&str] = &[
    "SELECT",
    "VALUES",
    "SHOW",
    "EXPLAIN",
    "PREPARE",
    "DEALLOCATE",
    "DECLARE CURSOR",
    "FETCH",
    "MOVE",
    "CLOSE",
    "SET",
    "RESET",
    "SET CONSTRAINTS",
    "DISCARD",
    "LISTEN",
    "UNLISTEN",
    "COPY TO",
    "LOCK TABLE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT",
    "RELEASE SAVEPOINT",
    "ROLLBACK TO SAVEPOINT",
];

/// Classes of which nothing durable comes, the functions in them aside.
/// EXPLAIN and PREPARE are judged by what they carry.
fn is_plain_read(class: Class) -> bool {
    matches!(
        class,
        Class::Select
            | Class::Values
            | Class::Show
            | Class::Explain { .. }
            | Class::Prepare
            | Class::Deallocate
            | Class::DeclareCursor
            | Class::Close
            | Class::Set
            | Class::Reset
            | Class::SetConstraints
            | Class::Discard
            | Class::Listen
            | Class::Unlisten
            | Class::CopyOut(_)
            | Class::Lock { .. }
    )
}
