mod columns;
mod compare;
mod filters;
mod follow;
mod parquet;
mod unseal;

use super::Context;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, note, relative, short_ids};
use crate::core::model::StatementResult;
use crate::os;
use crate::proto::{AuditCounts, AuditQuery, AuditRow, CountBy};
pub(super) use filters::moment;
use filters::{Filters, named};
use parquet::ParquetArgs;

/// Show the statements that were run: who, when, what, how it ended.
///
/// Security and auditors see everybody's statements, others their own. Newest
/// first; with --count-by how many there are of what, in place of a list.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AuditArgs {
    #[command(flatten)]
    filters: Filters,
    /// Count them by person, team, target, environment, table, sensitivity, verb,
    /// export, grant, session, incident, result or day
    #[arg(long, value_name = "WHAT", value_parser = named::<CountBy>, conflicts_with = "before")]
    count_by: Option<CountBy>,
    /// At most so many lines
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: u32,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    file: ParquetArgs,
    /// Go on until Ctrl-C with what comes: from now, or from --since
    #[arg(long, conflicts_with_all = ["parquet", "count_by", "limit", "before", "between"])]
    follow: bool,
    #[command(subcommand)]
    command: Option<AuditCommand>,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum AuditCommand {
    Compare(compare::CompareArgs),
    Unseal(unseal::UnsealArgs),
}

/// The server's longest page.
const PAGE: u32 = 1000;

impl AuditArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        match self.command {
            Some(AuditCommand::Compare(args)) => return args.run(context).await,
            Some(AuditCommand::Unseal(args)) => return args.run(context).await,
            None => {}
        }
        let mut query = self.filters.query()?;
        let client = context.client()?;
        if self.follow {
            return follow::follow(&client, query, self.output.output).await;
        }
        if let Some(path) = self.file.path() {
            return self.file.write(&client, query, path).await;
        }
        if let Some(by) = self.count_by {
            query.by = Some(by);
            query.limit = Some(self.limit);
            let counts = client.audit_counts(&query).await?;
            return print_counts(&counts, by, self.output.output).map(|()| 0);
        }
        let (rows, more) = pages(&client, query, self.limit).await?;
        print(&rows, self.output.output)?;
        if let Some(next) = more {
            note(&format!(
                "there are more: the same with --before {next} goes on, --limit shows more at a time"
            ));
        }
        Ok(0)
    }
}

/// Page after page until so many are there, or all are; then where to go on, too.
async fn pages(
    client: &Client,
    mut query: AuditQuery,
    limit: u32,
) -> Result<(Vec<AuditRow>, Option<u64>), CliError> {
    let mut rows: Vec<AuditRow> = Vec::new();
    loop {
        let missing = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        if missing == 0 {
            return Ok((rows, query.before));
        }
        query.limit = Some(missing.min(PAGE));
        let page = client.audit(&query).await?;
        rows.extend(page.statements);
        if page.next.is_none() {
            return Ok((rows, None));
        }
        query.before = page.next;
    }
}

fn print_counts(counts: &AuditCounts, by: CountBy, format: Format) -> Result<(), CliError> {
    let now = os::now();
    let people = format == Format::Table;
    let time = |at| if people { relative(at, now) } else { format!("{at}") };
    let mut listing =
        Listing::new([header(by), "statements", "refused", "rows", "first", "last"], "no statements");
    for count in &counts.counts {
        listing.row([
            count.key.clone(),
            count.statements.to_string(),
            count.refused.to_string(),
            count.rows.to_string(),
            time(count.first),
            time(count.last),
        ]);
    }
    output::print_list(format, &listing, &counts.counts)?;
    if counts.left_out > 0 {
        note(&format!("{} more lines, of fewer statements each: --limit shows more", counts.left_out));
    }
    Ok(())
}

fn header(by: CountBy) -> &'static str {
    match by {
        CountBy::Person => "person",
        CountBy::Team => "team",
        CountBy::Target => "target",
        CountBy::Environment => "environment",
        CountBy::Table => "table",
        CountBy::Sensitivity => "sensitivity",
        CountBy::Verb => "verb",
        CountBy::Export => "export",
        CountBy::Grant => "grant",
        CountBy::Session => "session",
        CountBy::Incident => "incident",
        CountBy::Result => "result",
        CountBy::Day => "day",
    }
}

const COLUMNS: [&str; 10] =
    ["seq", "when", "person", "target", "session", "statement", "result", "rows", "bytes", "ms"];

fn print(rows: &[AuditRow], format: Format) -> Result<(), CliError> {
    let now = os::now();
    let mut listing = Listing::new(COLUMNS, "no statements");
    let short = short_ids(rows.iter().map(|row| row.session.as_str()));
    for row in rows {
        listing.row(if format == Format::Table {
            cells(row, relative(row.at, now), short(row.session.as_str()), one_line(&row.text))
        } else {
            cells_for_programs(row)
        });
    }
    output::print_list(format, &listing, &rows)
}

fn cells_for_programs(row: &AuditRow) -> [String; 10] {
    cells(row, row.at.to_string(), row.session.to_string(), row.text.clone())
}

fn cells(row: &AuditRow, when: String, session: String, text: String) -> [String; 10] {
    [
        row.seq.to_string(),
        when,
        row.person.email.clone(),
        row.target.clone(),
        session,
        text,
        row.result.as_ref().map_or_else(|| "running".to_owned(), words),
        row.rows.to_string(),
        row.bytes.to_string(),
        row.duration_us.map(|us| format!("{}.{:03}", us / 1000, us % 1000)).unwrap_or_default(),
    ]
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
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
