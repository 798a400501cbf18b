//! A scope as the command that asks for it.

use crate::core::model::{Objects, Scope};

/// `dbaccess request TARGET …` for a scope, for hints that a person copies:
/// the one place that knows the flags.
pub fn request_command(target: &str, scope: &Scope) -> String {
    let mut words = vec!["dbaccess".to_owned(), "request".to_owned(), target.to_owned()];
    let mut say = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    let followed = |condition: &crate::core::model::Condition| condition.is_followed();
    match &scope.objects {
        Objects::Database => words.push("--database".to_owned()),
        Objects::Only { schemas, tables } => {
            for schema in schemas {
                say("--schema", crate::core::model::name_part(schema));
            }
            // A condition names its table.
            for table in tables.iter().filter(|table| scope.rows.get(table).is_none_or(followed)) {
                say("--table", table.to_string());
            }
        }
    }
    let mut say = |flag: &str, value: String| words.extend([flag.to_owned(), value]);
    for (table, condition) in
        scope.rows.iter().filter(|(table, condition)| scope.covers(table) && !followed(condition))
    {
        say("--row", format!("{table}: {condition}"));
    }
    for (table, columns) in &scope.unmask {
        for column in columns {
            say("--unmask", table.column(column));
        }
    }
    let flags = [
        (scope.rows.values().any(followed), "--follow"),
        (scope.writes() && !scope.changes_schema(), "--write"),
        (scope.changes_schema(), "--ddl"),
        (scope.exports(), "--export"),
    ];
    words.extend(flags.into_iter().filter(|(is, _)| *is).map(|(_, flag)| flag.to_owned()));
    words.iter().map(|word| shell_quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a POSIX shell reads it back.
pub fn shell_quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
