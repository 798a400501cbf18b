//! Why something does not pass, and how a person is told: what, under which
//! grant, and what to do instead.

use super::{Permit, Refusal, Rights};
use crate::core::model::{Objects, Permission};
use crate::core::scope::{request_command, shell_quoted};
use crate::core::sql::Name;
use std::borrow::Cow;

/// What to do instead of dumping.
pub(super) const NO_DUMP: &str = "take what you need, on record: dbaccess exec TARGET 'SELECT …' --export FILE (under \
                                  a grant with export); a backup is for the owners of the target";

/// Why not, before it is put in words for one permit. The first part says what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The grant is for reading and this writes.
    NeedsWrite(String),
    /// Rows would leave by another way than as a statement's result.
    NeedsExport(String),
    /// It changes the schema.
    NeedsMigration(String),
    /// A migration's grant is for other schemas.
    Outside(String),
    /// The grant is for some rows of a table, and this tells of the others.
    TellsOfRows(String),
    /// A function of the target's own that configuration could let pass.
    Unlisted { what: String, function: Name },
    /// Under no grant; and what to do instead.
    Never(String, Cow<'static, str>),
}

impl Reason {
    pub(super) fn never(what: String, instead: &'static str) -> Self {
        Self::Never(what, Cow::Borrowed(instead))
    }
}

/// What calling something asks of a permit, beyond reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub write: bool,
    pub export: bool,
    /// A permit that sees all rows of its tables.
    pub all_rows: bool,
}

impl Needs {
    pub(super) const NONE: Self = Self { write: false, export: false, all_rows: false };

    /// The first need that a permit does not meet.
    pub(super) fn unmet(self, rights: Rights<'_>, told: impl Fn() -> String) -> Option<Reason> {
        if self.export && !rights.export {
            Some(Reason::NeedsExport(told()))
        } else if self.write && !rights.write {
            Some(Reason::NeedsWrite(told()))
        } else if self.all_rows && rights.some_rows {
            Some(Reason::TellsOfRows(told()))
        } else {
            None
        }
    }
}

/// Names the grant and what to do.
pub(super) fn refusal(permit: &Permit, reason: Reason) -> Refusal {
    let Permit { grant, scope, target, .. } = permit;
    let (message, hint) = match reason {
        Reason::NeedsWrite(what) => (
            format!("{what} needs write access, and grant {grant} is to {scope}"),
            format!("ask for it: {}", request_with(permit, Permission::Write)),
        ),
        Reason::NeedsExport(what) => (
            format!("{what} takes rows out, and grant {grant} is to {scope}, without export"),
            format!("ask for it: {}", request_with(permit, Permission::Export)),
        ),
        Reason::NeedsMigration(what) => (
            format!("{what} changes the schema, and grant {grant} is to {scope}"),
            format!("ask for it: {}", request_with(permit, Permission::Ddl)),
        ),
        Reason::Outside(what) => (
            format!("{what} is outside grant {grant}, which is to {scope}"),
            format!("ask for that schema: dbaccess request {} --schema SCHEMA --ddl", shell_quoted(target)),
        ),
        Reason::TellsOfRows(what) => (
            format!("{what} can tell of rows outside grant {grant}, which is for some rows only"),
            "read the rows themselves, or ask for the whole table".to_owned(),
        ),
        Reason::Unlisted { what, function } => (
            format!("{what} is not allowed in a dbaccess session (grant {grant})"),
            format!(
                "if it only reads what its caller may read, the people who run dbaccess can allow it: functions = \
                 [\"{function}\"] under [targets.{target}]"
            ),
        ),
        Reason::Never(what, instead) => {
            (format!("{what} is not allowed in a dbaccess session (grant {grant})"), instead.into_owned())
        }
    };
    Refusal { sqlstate: "42501", message, hint }
}

/// What a grant has to do with an error of the database's own, by its SQLSTATE
/// and message (in English; in other languages nothing is added).
pub fn hint(permit: &Permit, sqlstate: &str, message: &str) -> Option<String> {
    let Permit { grant, scope, target, .. } = permit;
    let says = |begin: &str| message.starts_with(begin);
    match sqlstate {
        "42501" if says("permission denied for ") => Some(format!(
            "grant {grant} is to {scope}; for more ask: dbaccess request {} --table TABLE",
            shell_quoted(target)
        )),
        "0A000" if says("cannot update column") || says("cannot insert into column") => Some(format!(
            "masked columns cannot be written: ask for the column as it is: dbaccess request {} --write --table \
             TABLE --unmask COLUMN",
            shell_quoted(target)
        )),
        "42883" | "42804" | "42846" if message.contains("sealed_") => Some(
            "the column is sealed: avg, sum and count over groups of rows are all that it answers".to_owned(),
        ),
        _ => None,
    }
}

/// The command that asks for the same objects and for one thing more; a
/// migration is asked for by schema.
pub fn request_with(permit: &Permit, more: Permission) -> String {
    let mut scope = permit.scope.clone();
    scope.permissions.insert(more);
    if let (Permission::Ddl, Objects::Only { schemas, tables }) = (more, &mut scope.objects) {
        schemas.extend(std::mem::take(tables).into_iter().map(|table| table.schema));
        scope.rows.clear();
        scope.unmask.clear();
    }
    request_command(&permit.target, &scope)
}
