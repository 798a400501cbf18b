//! Sessions of a reviewed script: they run its statements, to the byte, and
//! nothing else (R2.2). What the other rules of the guard refuse is refused
//! still, and was so when the script was asked for ([`check_script`]).

use super::reason::Reason;
use super::{Permit, Refusal, Rights, Vocabulary, reason_against};
use crate::core::model::{Migration, RequestId, Scope, ScriptRef};
use crate::core::sql::{Change, Class, Facts, Statement};

/// What the tool asks when a statement failed, to name what it has left behind;
/// it passes beside the script's statements.
pub const INVALID_INDEXES: &str = "SELECT n.nspname, c.relname, t.relname FROM pg_catalog.pg_index i JOIN \
                                   pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_class t ON \
                                   t.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                                   WHERE NOT i.indisvalid ORDER BY 1, 2";

/// What an approved script allows.
#[derive(Clone, Debug)]
pub struct Approved {
    pub script: ScriptRef,
    /// Whose it is: `dbaccess migrate ID`.
    pub request: RequestId,
    /// In the script's order.
    texts: Vec<String>,
    /// How many of them, from the first on, earlier sessions have applied.
    pub applied: usize,
}

impl Approved {
    pub fn of(migration: &Migration, request: &RequestId, applied: usize) -> Self {
        let texts = migration.statements.iter().map(|one| migration.text_of(one).to_owned());
        Self { script: migration.to_ref(), request: request.clone(), texts: texts.collect(), applied }
    }
}

/// A message of the client's that carries SQL or calls a function.
#[derive(Clone, Copy, Debug)]
pub enum Message<'a> {
    Query(&'a str, &'a Facts),
    /// Parse, of the extended protocol.
    Parse,
    FunctionCall,
}

/// Whether a message may pass under a script's permit; other permits have no
/// say here. One statement a message and none prepared, so that the ledger
/// tells without doubt what took effect.
pub fn check_message(permit: &Permit, message: Message<'_>) -> Result<(), Refusal> {
    let Some(approved) = &permit.script else { return Ok(()) };
    let Message::Query(text, facts) = message else {
        return Err(refused(permit, approved, "the extended protocol is not used here"));
    };
    match facts.statements.as_slice() {
        [] => Ok(()),
        [one] if is_frame(one) || is_approved(approved, one.text(text)) => Ok(()),
        [_] => Err(refused(permit, approved, "this statement is not one of its, to the byte")),
        _ => Err(refused(permit, approved, "its statements are sent one by one")),
    }
}

/// Where a session stands in its script once a message has passed
/// [`check_message`], if it stood at `at` before: each statement is sent once,
/// in the script's order. Under other permits it stands nowhere.
///
/// # Errors
/// A statement that was sent before, or that comes before one that was.
pub fn next_in_script(permit: &Permit, at: usize, text: &str, facts: &Facts) -> Result<usize, Refusal> {
    let (Some(approved), [one]) = (&permit.script, facts.statements.as_slice()) else { return Ok(at) };
    let text = one.text(text);
    if text == INVALID_INDEXES || !is_approved(approved, text) {
        return Ok(at);
    }
    let place = approved.texts.iter().enumerate().skip(at).find(|(_, approved)| *approved == text);
    place.map(|(place, _)| place + 1).ok_or_else(|| {
        let why = "this statement was sent already, or comes before one that was";
        Refusal {
            hint: format!("`dbaccess migrate {}` goes on behind what is committed", approved.request),
            ..refused(permit, approved, why)
        }
    })
}

impl Approved {
    /// Whether a statement is one of it, letter by letter.
    pub fn has(&self, text: &str) -> bool {
        self.texts.iter().any(|one| one == text)
    }
}

fn is_approved(approved: &Approved, text: &str) -> bool {
    text == INVALID_INDEXES || approved.has(text)
}

/// What `dbaccess migrate` says around the statements.
fn is_frame(statement: &Statement) -> bool {
    match statement.class {
        Class::Begin | Class::Commit | Class::Rollback => statement.settings.is_empty(),
        Class::Show => true,
        Class::Set => statement
            .settings
            .iter()
            .all(|setting| is_timeout(&setting.name) && matches!(setting.change, Change::To(_))),
        _ => false,
    }
}

/// The settings that the person who runs a script may choose.
pub fn is_timeout(setting: &str) -> bool {
    matches!(setting, "lock_timeout" | "statement_timeout")
}

fn refused(permit: &Permit, approved: &Approved, why: &str) -> Refusal {
    let ScriptRef { name, sha256 } = &approved.script;
    let short = sha256.get(..12).unwrap_or(sha256);
    Refusal {
        sqlstate: "42501",
        message: format!("grant {} is for the reviewed script {name} ({short}), and {why}", permit.grant),
        hint: format!("run the script: dbaccess migrate {}", approved.request),
    }
}

/// Whether a statement can stand in a script with this scope; else what is wrong
/// and what to do about it.
///
/// # Errors
/// What it does, and why not.
pub fn check_script(
    statement: &Statement,
    scope: &Scope,
    vocabulary: &Vocabulary,
) -> Result<(), (String, String)> {
    let rights = Rights { script: true, ..Rights::of(scope) };
    match reason_against(statement, rights, vocabulary) {
        None => Ok(()),
        Some(reason) => Err(told(reason, scope)),
    }
}

fn told(reason: Reason, scope: &Scope) -> (String, String) {
    let no = |what: &str| format!("{what} is not allowed in a migration");
    match reason {
        Reason::Outside(what) => (
            format!("{what} is outside what is asked for: {scope}"),
            "ask for that schema, too: --schema NAME; or leave --schema out, and the script says which"
                .to_owned(),
        ),
        Reason::NeedsExport(what) => (no(&what), "take rows out under a grant with export".to_owned()),
        Reason::NeedsWrite(what) | Reason::NeedsMigration(what) | Reason::TellsOfRows(what) => {
            (no(&what), "ask for another scope".to_owned())
        }
        Reason::Unlisted { what, function } => (
            no(&what),
            format!(
                "the people who run dbaccess can allow it: functions = [\"{function}\"] under the target"
            ),
        ),
        Reason::Never(what, instead) => (no(&what), instead.into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::permit_for;
    use super::*;
    use crate::core::model::{Objects, Permission};
    use crate::core::sql::analyse;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    const ADD: &str = "ALTER TABLE s.t ADD COLUMN a int";
    const DROP: &str = "ALTER TABLE s.t DROP COLUMN a";

    fn permit(texts: &[&str]) -> Permit {
        let objects = Objects::Only { schemas: BTreeSet::from(["s".to_owned()]), tables: BTreeSet::new() };
        let scope = Scope::new(objects, BTreeSet::from([Permission::Write, Permission::Ddl]));
        let script = Approved {
            script: ScriptRef { name: "V1.sql".to_owned(), sha256: "0".repeat(64) },
            request: RequestId::from_stored("req-1"),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
            applied: 0,
        };
        Permit { script: Some(Arc::new(script)), ..permit_for(scope) }
    }

    #[test]
    fn r2_2_statements_pass_in_the_scripts_order_and_each_once() {
        let permit = permit(&[ADD, DROP, ADD]);
        let next = |at: usize, text: &str| next_in_script(&permit, at, text, &analyse(text).unwrap());
        assert_eq!((next(0, ADD), next(1, DROP), next(2, ADD)), (Ok(1), Ok(2), Ok(3)));
        // One that stands there twice passes twice, and no more.
        for (at, text) in [(2, DROP), (3, ADD), (3, DROP)] {
            let refusal = next(at, text).unwrap_err();
            assert!(refusal.message.contains("was sent already, or comes before"), "{}", refusal.message);
            assert!(refusal.hint.contains("dbaccess migrate req-1"), "{}", refusal.hint);
        }
        // Behind what was committed it goes on; what is passed over does not come again.
        assert_eq!(next(0, DROP), Ok(2));
        // What the tool says around the statements moves nothing.
        for frame in ["BEGIN", "COMMIT", "SET lock_timeout = '1s'", INVALID_INDEXES] {
            assert_eq!(next(2, frame), Ok(2), "{frame}");
        }
        let plain = Permit { script: None, ..permit.clone() };
        assert_eq!(next_in_script(&plain, 0, ADD, &analyse(ADD).unwrap()), Ok(0));
    }
}
