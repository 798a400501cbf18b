//! For people: statements, and below each its rows in columns.

use super::{Screen, Shown};
use crate::cli::error::CliError;
use crate::cli::output::{self, clean};
use crate::core::model::StatementResult;
use jiff::Timestamp;

/// Rows that are laid out together: of a result so much is in memory.
const SCREENFUL: usize = 100;
/// The widest column, in characters.
const WIDEST: usize = 60;

#[derive(Default)]
pub struct Text {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    /// The connection that was shown last.
    last: String,
}

impl Text {
    fn flush(&mut self) -> Result<(), CliError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let rows = std::mem::take(&mut self.rows);
        output::result(&grid(&self.header, &rows))
    }

    fn say(&mut self, line: &str) -> Result<(), CliError> {
        self.flush()?;
        output::result(&format!("{line}\n"))
    }
}

impl Screen for Text {
    fn show(&mut self, at: Timestamp, connection: &str, shown: Shown<'_>) -> Result<(), CliError> {
        match shown {
            Shown::Connected => self.say(&format!("-- {at:.3}  {connection} connected")),
            Shown::Disconnected => self.say(&format!("-- {at:.3}  {connection} disconnected")),
            Shown::Statement { intent, text, cut, .. } => {
                let other = if self.last == connection { "" } else { connection };
                self.last = connection.to_owned();
                let more = if cut { " … (the ledger has all of it)" } else { "" };
                let head = format!("\n-- {at:.3}  #{intent}  {other}");
                self.say(head.trim_end())?;
                self.say(&format!("{}{more}", clean(text)))
            }
            Shown::Columns(columns) => {
                self.flush()?;
                self.header = columns.iter().map(|column| cell(&column.name)).collect();
                Ok(())
            }
            Shown::Row(values) => {
                let text = |value: &Option<String>| value.as_deref().map_or_else(|| "NULL".to_owned(), cell);
                self.rows.push(values.iter().map(text).collect());
                if self.rows.len() < SCREENFUL { Ok(()) } else { self.flush() }
            }
            Shown::LongRow(bytes) => self.say(&format!("(a row of {bytes} bytes, too long to be shown)")),
            Shown::Copied { out, data } => {
                let way = if out { '<' } else { '>' };
                let text = String::from_utf8_lossy(data);
                self.say(&format!("{way} {}", clean(text.trim_end_matches('\n'))))
            }
            Shown::Error { sqlstate, message } => self.say(&format!("ERROR {sqlstate}: {}", clean(message))),
            Shown::Ended(message) => self.say(&format!("-- {at:.3}  the session ended: {}", clean(message))),
            Shown::Notice(message) => self.say(&format!("NOTICE: {}", clean(message))),
            Shown::Outcome { result, rows, .. } => {
                self.flush()?;
                self.header.clear();
                self.say(&format!("→ {}", clean(&outcome(result, rows))))
            }
        }
    }

    fn finish(&mut self) -> Result<(), CliError> {
        self.flush()
    }
}

pub fn outcome(result: &StatementResult, rows: u64) -> String {
    let rows = match rows {
        0 => String::new(),
        1 => ", 1 row".to_owned(),
        rows => format!(", {rows} rows"),
    };
    match result {
        StatementResult::Ok { tag } => format!("{tag}{rows}"),
        StatementResult::Suspended => format!("to be continued{rows}"),
        StatementResult::Error { sqlstate, message } => format!("failed: {sqlstate} {message}"),
        StatementResult::Refused { sqlstate, message } => format!("refused: {sqlstate} {message}"),
        StatementResult::Cut { sqlstate, message } => format!("cut{rows}: {sqlstate} {message}"),
        StatementResult::Skipped => "skipped, after an earlier error".to_owned(),
        StatementResult::Unknown => "unknown: the connection ended first".to_owned(),
    }
}

/// One line, and no longer than a column is wide.
pub fn cell(text: &str) -> String {
    let line = clean(text).replace('\n', "\\n").replace('\t', "\\t");
    if line.chars().count() <= WIDEST {
        return line;
    }
    line.chars().take(WIDEST - 1).chain(['…']).collect()
}

fn grid(header: &[String], rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).chain([header.len()]).max().unwrap_or(0);
    let named =
        |column: usize| header.get(column).cloned().unwrap_or_else(|| format!("column {}", column + 1));
    let header: Vec<String> = (0..columns).map(named).collect();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().chain([&header]).filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("  {}\n", cells.collect::<Vec<_>>().join(" │ ").trim_end())
    };
    let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
    let mut text = line(&header);
    text.push_str(&format!("  {}\n", rule.join("─┼─")));
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_below_their_names() {
        let row = |cells: [&str; 2]| cells.map(cell).to_vec();
        let shown = grid(&row(["id", "note"]), &[row(["1", "a\nb"]), row(["100", "\x1b[31m"])]);
        let expected = ["  id  │ note", "  ────┼───────────", "  1   │ a\\nb", "  100 │ \\u{1b}[31m", ""];
        assert_eq!(shown, expected.join("\n"));
        assert_eq!(grid(&[], &[row(["1", "2"])]).lines().next(), Some("  column 1 │ column 2"));
    }
}
