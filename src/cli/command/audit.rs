mod compare;

use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, relative, short_ids};
use crate::core::model::{StatementResult, parse_duration};
use crate::os;
use crate::proto::{AuditQuery, AuditRow};
use jiff::Timestamp;

/// Show the statements that were run: who, when, what, how it ended.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AuditArgs {
    /// Only this session, by id or unique prefix
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only this person, by e-mail address
    #[arg(long, value_name = "EMAIL")]
    person: Option<String>,
    /// Only this target
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Only since then: a length of time back (90d) or a time (2026-11-01T00:00:00Z)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<Timestamp>,
    /// At most so many, newest first
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    command: Option<AuditCommand>,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum AuditCommand {
    Compare(compare::CompareArgs),
}

/// The server's longest page.
const PAGE: u32 = 1000;

impl AuditArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        if let Some(AuditCommand::Compare(args)) = self.command {
            return args.run(context).await;
        }
        let client = context.client()?;
        let mut query = AuditQuery {
            session: self.session,
            person: self.person,
            target: self.target,
            since: self.since,
            before: None,
            limit: None,
        };
        let mut rows: Vec<AuditRow> = Vec::new();
        loop {
            let missing = self.limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            if missing == 0 {
                break;
            }
            query.limit = Some(missing.min(PAGE));
            let page = client.audit(&query).await?;
            let Some(last) = page.last() else { break };
            query.before = Some(last.seq);
            rows.extend(page);
        }
        print(&rows, self.output.output).map(|()| 0)
    }
}

fn print(rows: &[AuditRow], format: Format) -> Result<(), CliError> {
    let now = os::now();
    let people = format == Format::Table;
    let mut listing = Listing::new(
        ["seq", "when", "person", "target", "session", "statement", "result", "rows", "bytes", "ms"],
        "no statements",
    );
    let short = short_ids(rows.iter().map(|row| row.session.as_str()));
    for row in rows {
        let text =
            if people { row.text.split_whitespace().collect::<Vec<_>>().join(" ") } else { row.text.clone() };
        listing.row([
            row.seq.to_string(),
            if people { relative(row.at, now) } else { row.at.to_string() },
            row.person.email.clone(),
            row.target.clone(),
            if people { short(row.session.as_str()) } else { row.session.to_string() },
            text,
            row.result.as_ref().map_or_else(|| "running".to_owned(), words),
            row.rows.to_string(),
            row.bytes.to_string(),
            row.duration_us.map(|us| format!("{}.{:03}", us / 1000, us % 1000)).unwrap_or_default(),
        ]);
    }
    output::print_list(format, &listing, &rows)
}

fn words(result: &StatementResult) -> String {
    match result {
        StatementResult::Ok { tag } => tag.clone(),
        StatementResult::Suspended => "part of the rows".to_owned(),
        StatementResult::Error { sqlstate, message } => format!("error {sqlstate}: {message}"),
        StatementResult::Refused { sqlstate, message } => format!("refused {sqlstate}: {message}"),
        StatementResult::Cut { sqlstate, message } => format!("cut {sqlstate}: {message}"),
        StatementResult::Skipped => "skipped".to_owned(),
        StatementResult::Unknown => "unknown".to_owned(),
    }
}

/// A time, or how long ago.
fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let back = parse_duration(text).map_err(|_| {
        format!("`{text}` is neither a length of time such as 90d nor a time such as 2026-11-01T00:00:00Z")
    })?;
    let seconds = i64::try_from(back.as_secs()).map_err(|error| error.to_string())?;
    Timestamp::from_second(os::now().as_second() - seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_time_or_a_while_ago() {
        assert_eq!(since("2026-11-01T00:00:00Z").unwrap().as_second(), 1_793_491_200);
        let day_ago = os::now().as_second() - 86_400;
        assert!((since("1d").unwrap().as_second() - day_ago).abs() < 5);
        assert!(since("yesterday").unwrap_err().contains("90d"));
    }
}
