//! `--follow`: statements as they come. Asked for again and again from the place
//! that the last answer named, so nothing is left out, however long an answer
//! takes or the server is away.

use super::{COLUMNS, PAGE, cells_for_programs, one_line, words};
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output::{Format, clean, csv_line, json_line, note, result};
use crate::core::model::ErrorKind;
use crate::proto::{AuditQuery, AuditRow};
use jiff::tz::TimeZone;
use std::time::Duration;
use tokio::time::sleep;

/// Between two questions where the first found nothing.
const PAUSE: Duration = Duration::from_secs(1);
/// Beyond the newest record: from now on.
const NOW: u64 = i64::MAX as u64;

/// Ends with an error alone; Ctrl-C ends the process.
pub(super) async fn follow(client: &Client, mut query: AuditQuery, format: Format) -> Result<u8, CliError> {
    query.limit = Some(PAGE);
    query.after = Some(if query.since.is_some() { 0 } else { NOW });
    let (mut following, mut away) = (false, false);
    if format == Format::Csv {
        result(&csv_line(COLUMNS.map(Some).into_iter()))?;
    }
    loop {
        match client.audit(&query).await {
            Ok(page) => {
                if !std::mem::replace(&mut following, true) {
                    note("following; Ctrl-C ends it");
                }
                if std::mem::take(&mut away) {
                    note("the server is back");
                }
                for row in &page.statements {
                    print(row, format)?;
                }
                query.after = page.next.or(query.after);
                if page.statements.is_empty() {
                    sleep(PAUSE).await;
                }
            }
            Err(error) if following && error.kind() == ErrorKind::Unreachable => {
                if !std::mem::replace(&mut away, true) {
                    note(&format!("{error}; going on when it is back"));
                }
                sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn print(row: &AuditRow, format: Format) -> Result<(), CliError> {
    match format {
        Format::Json => json_line(row),
        Format::Csv => result(&csv_line(cells_for_programs(row).iter().map(|cell| Some(cell.as_str())))),
        Format::Table => result(&format!("{}\n", clean(&line(row)))),
    }
}

/// For people: the time here, who, where, how it ended, what.
fn line(row: &AuditRow) -> String {
    let at = row.at.to_zoned(TimeZone::system()).strftime("%F %T");
    let ended = row.result.as_ref().map_or_else(|| "running".to_owned(), words);
    let (person, target) = (&row.person.email, &row.target);
    format!("{at}  {person:<20}  {target:<14}  {ended:<12}  {}", one_line(&row.text))
}
