//! Scripts of migrations on this end: read from a file, and shown to people with
//! what may go wrong beside each statement.

use super::error::CliError;
use super::output::{clean, field};
use crate::core::migration::{LONGEST, pieces};
use crate::core::model::{Hazard, Migration, ScriptStatement, Severity};
use crate::proto::NewScript;
use std::io::Read as _;
use std::path::Path;

/// Room for the longest severity and a space.
const SEVERITY: usize = 8;

/// A file, to the byte.
pub fn read(path: &Path) -> Result<NewScript, CliError> {
    let shown = path.display();
    let failed = |error| CliError::local(format!("{shown} cannot be read"), error);
    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let name = name.ok_or_else(|| CliError::usage(format!("{shown} is not the name of a file")))?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path).map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > LONGEST {
        return Err(CliError::usage(format!("{shown} is longer than {LONGEST} bytes"))
            .hint("make it several scripts, each with a request of its own"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        CliError::usage(format!("{shown} is not UTF-8: see the byte at {at}"))
    })?;
    Ok(NewScript { name, text })
}

/// The script with line numbers, and each statement's hazards behind it. What a
/// terminal would take for a command is made harmless.
pub fn numbered(script: &Migration, width: Option<u16>) -> String {
    let mut text = String::new();
    let digits = script.text.lines().count().to_string().len().max(3);
    for (number, line) in (1..).zip(script.text.lines()) {
        let line = clean(line.trim_end_matches('\r'));
        text.push_str(format!("  {number:>digits$}  {line}").trim_end());
        text.push('\n');
        for statement in script.statements.iter().filter(|statement| statement.last_line == number) {
            text.push_str(&hazards(statement, digits, width));
        }
    }
    text
}

/// What may go wrong with a statement, below it: the mark stands behind `indent` columns.
pub fn hazards(statement: &ScriptStatement, indent: usize, width: Option<u16>) -> String {
    statement.hazards.iter().map(|hazard| hazard_lines(hazard, indent, width)).collect()
}

fn hazard_lines(hazard: &Hazard, indent: usize, width: Option<u16>) -> String {
    let instead = hazard.instead.as_ref().map(|instead| format!("\ninstead: {instead}")).unwrap_or_default();
    let label = indent + 2 + SEVERITY;
    let name = format!("{:indent$}^ {}", "", hazard.severity.as_str());
    field(&name, &clean(&format!("{}{instead}", hazard.why)), label, width)
}

/// `3 statements in one transaction`, or which run by themselves.
pub fn in_pieces(script: &Migration, from: usize) -> String {
    let pieces = pieces(&script.statements, from);
    let count = script.statements.len().saturating_sub(from);
    let statements = plural(count, "statement");
    match pieces.as_slice() {
        [one] if one.in_transaction => format!("{statements} in one transaction"),
        several => format!("{statements} in {}", plural(several.len(), "piece")),
    }
}

/// `script "V1.sql" (revision 2, sha256 0123456789ab; 1 danger, 2 cautions)`: what a
/// yes is given to. Quoted, so that a name cannot go on as the sentence does.
pub fn in_short(script: &Migration) -> String {
    let hazards = || script.statements.iter().flat_map(|statement| &statement.hazards);
    let count = |severity: Severity, word| match hazards().filter(|one| one.severity == severity).count() {
        0 => None,
        count => Some(plural(count, word)),
    };
    let found: Vec<String> = [count(Severity::Danger, "danger"), count(Severity::Caution, "caution")]
        .into_iter()
        .flatten()
        .collect();
    let found = if found.is_empty() { "no danger seen".to_owned() } else { found.join(", ") };
    format!("script {:?} ({}; {found})", script.name, revision(script))
}

/// `revision 2, sha256 0123456789ab`.
pub fn revision(script: &Migration) -> String {
    format!("revision {}, sha256 {}", script.revision, script.sha256.get(..12).unwrap_or_default())
}

/// `line 3: ALTER TABLE of public.orders`.
pub fn told(statement: &ScriptStatement) -> String {
    let changes = statement.changes.join(", ");
    let of = if changes.is_empty() { String::new() } else { format!(" of {changes}") };
    clean(&format!("line {}: {}{of}", statement.line, statement.verb))
}

pub fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
