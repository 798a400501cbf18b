//! `dbaccess review campaign`: access reviews in the terminal, line by line.

mod tables;

use super::Context;
use crate::cli::ask;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, OutputArgs, can_ask, note};
use crate::core::model::{Bar, LineVerdict, Quarter, Right, parse_duration};
use crate::os;
use crate::proto::{
    CampaignDetail, CampaignRow, CampaignsQuery, DecideLines, LiftBar, LinesDecided, LinesQuery,
    StartCampaign,
};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use std::collections::VecDeque;
use tables::{bars, campaigns, in_words, lines};

/// Review who can get what, who got it, and what was used; certify, narrow or revoke line by line.
#[derive(Clone, Debug, clap::Args)]
pub struct CampaignArgs {
    #[command(subcommand)]
    command: CampaignCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum CampaignCommand {
    Start(StartArgs),
    List(ListArgs),
    Show(ShowArgs),
    Decide(DecideArgs),
    Sign(SignArgs),
    Bars(BarsArgs),
    Lift(LiftArgs),
}

/// Start a review over a quarter, or any other period. For security and admins.
#[derive(Clone, Debug, clap::Args)]
struct StartArgs {
    /// The quarter to look at, such as 2026Q4; the running one if nothing is said
    #[arg(long, value_name = "QUARTER", value_parser = quarter, conflicts_with = "between")]
    quarter: Option<Quarter>,
    /// The days to look at: from the first, and before the second
    #[arg(long, num_args = 2, value_names = ["A", "B"], value_parser = day)]
    between: Option<Vec<Timestamp>>,
    /// Only these targets; may be given several times
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
    /// How long reviewers have
    #[arg(long, value_name = "LENGTH", default_value = "14d", value_parser = seconds)]
    due: u64,
    #[command(flatten)]
    output: OutputArgs,
}

/// List the campaigns that wait for decisions or a signature.
#[derive(Clone, Debug, clap::Args)]
struct ListArgs {
    /// Signed ones too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Show a campaign's lines: what each person can get, got and used, and what was decided.
#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// The campaign's id, or a unique prefix of it
    id: String,
    /// Only undecided lines that are yours to decide
    #[arg(long)]
    mine: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Decide lines: what is narrowed or revoked is taken away at once.
///
/// On a terminal, without lines, it walks through those that are yours and
/// undecided; after `quit` the next one begins where it ended. What is taken away stays so until a later campaign certifies it, or security lifts it.
#[derive(Clone, Debug, clap::Args)]
struct DecideArgs {
    /// The campaign's id, or a unique prefix of it
    id: String,
    /// The numbers of the lines
    #[arg(value_name = "LINE")]
    lines: Vec<u32>,
    #[command(flatten)]
    verdict: VerdictArgs,
    /// Why
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Debug, clap::Args)]
#[group(multiple = false)]
struct VerdictArgs {
    /// What they have is right
    #[arg(long)]
    certify: bool,
    /// Only these stay, separated by commas: read, write, ddl, export, unmask
    #[arg(long, value_name = "PERMISSIONS", value_delimiter = ',', value_parser = right)]
    narrow: Vec<Right>,
    /// Nothing stays
    #[arg(long)]
    revoke: bool,
}

/// Sign a campaign whose lines are all decided.
#[derive(Clone, Debug, clap::Args)]
struct SignArgs {
    /// The campaign's id, or a unique prefix of it
    id: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// List what reviews took from whom.
#[derive(Clone, Debug, clap::Args)]
struct BarsArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Give back what a review took, before the next one. For security.
#[derive(Clone, Debug, clap::Args)]
struct LiftArgs {
    /// Whom it bars, by e-mail address
    person: String,
    /// The target that it bars them from
    target: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    comment: String,
    #[command(flatten)]
    output: OutputArgs,
}

impl CampaignArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            CampaignCommand::Start(args) => args.run(context).await,
            CampaignCommand::List(args) => args.run(context).await,
            CampaignCommand::Show(args) => args.run(context).await,
            CampaignCommand::Decide(args) => args.run(context).await,
            CampaignCommand::Sign(args) => args.run(context).await,
            CampaignCommand::Bars(args) => args.run(context).await,
            CampaignCommand::Lift(args) => args.run(context).await,
        }
    }
}

impl StartArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let (from, to) = match (self.quarter.or_else(|| Quarter::of(os::now())), self.between.as_deref()) {
            (_, Some([from, to])) => (*from, *to),
            (Some(Quarter { from, to }), _) => (from, to),
            (None, _) => return Err(CliError::usage("say which days: --between A B")),
        };
        let body = StartCampaign { from, to, targets: self.targets, due_seconds: Some(self.due) };
        let client = context.client()?;
        let spinner = output::spinner("policy is asked what everybody can get".to_owned());
        let started = client.start_campaign(&body).await;
        spinner.finish_and_clear();
        let row = started?;
        print_row(&row, self.output.output)
    }
}

impl ListArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let rows = context.client()?.campaigns(CampaignsQuery { all: self.all }).await?;
        let format = self.output.output;
        output::print_list(format, &campaigns(&rows, format), &rows)
    }
}

impl ShowArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let detail = all_lines(&*context.client()?, &self.id, self.mine).await?;
        let format = self.output.output;
        output::print_list(format, &lines(&detail.lines, format), &detail)?;
        if format == Format::Table {
            note(&next(&detail.campaign));
        }
        Ok(())
    }
}

impl DecideArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let VerdictArgs { certify, narrow, revoke } = self.verdict;
        let verdict = match (certify, revoke, narrow.is_empty()) {
            (true, ..) => Some(LineVerdict::Certified),
            (_, true, _) => Some(LineVerdict::Revoked),
            (_, _, false) => Some(LineVerdict::Narrowed),
            _ => None,
        };
        let Some(verdict) = verdict.filter(|_| !self.lines.is_empty()) else {
            if self.lines.is_empty() && verdict.is_none() && can_ask() {
                return walk(context, &self.id).await;
            }
            return Err(CliError::usage("say which lines, and what becomes of them").hint(format!(
                "dbaccess review campaign decide {} 1 2 --certify --comment TEXT; or --narrow read, --revoke",
                self.id
            )));
        };
        let comment = match self.comment {
            Some(comment) => comment,
            None => ask::text("Why", "--comment")?,
        };
        let body = DecideLines { lines: self.lines, verdict, keeps: narrow, comment };
        let decided = context.client()?.decide_lines(&self.id, &body).await?;
        let format = self.output.output;
        output::print_list(format, &lines(&decided.lines, format), &decided)?;
        if format == Format::Table {
            note(&became(&decided));
        }
        Ok(())
    }
}

impl SignArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let row = context.client()?.sign_campaign(&self.id).await?;
        print_row(&row, self.output.output)
    }
}

impl BarsArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let found = context.client()?.bars().await?;
        let format = self.output.output;
        output::print_list(format, &bars(&found, format), &found)
    }
}

impl LiftArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let body = LiftBar { person: self.person, target: self.target, comment: self.comment };
        let lifted = context.client()?.lift_bar(&body).await?;
        let format = self.output.output;
        output::print_list(format, &bars(&lifted, format), &lifted)?;
        if format == Format::Table {
            note("it is given back: policy decides again");
        }
        Ok(())
    }
}

/// Line by line, on a terminal. What was decided is kept, however it ends.
async fn walk(context: &Context, id: &str) -> Result<(), CliError> {
    let client = context.client()?;
    let mut detail = client.campaign(id, LinesQuery { mine: true, after: None }).await?;
    let mut lines = VecDeque::from(std::mem::take(&mut detail.lines));
    while let Some(line) = lines.pop_front() {
        if lines.is_empty() {
            let more = client.campaign(id, LinesQuery { mine: true, after: Some(line.line) }).await?;
            lines.extend(more.lines);
        }
        note(&format!(
            "line {} of {}: {} on {}",
            line.line, detail.campaign.lines, line.person.email, line.target
        ));
        line.rights.iter().for_each(|one| note(&format!("  {}", in_words(one, os::now()))));
        let answers = ["certify", "narrow", "revoke", "skip", "quit"].map(str::to_owned);
        let (verdict, keeps) = match ask::choose("What becomes of it", &answers)? {
            0 => (LineVerdict::Certified, Vec::new()),
            1 => {
                let names = ask::text("What stays (read, write, ddl, export, unmask)", "--narrow")?;
                let named: Result<Vec<Right>, String> =
                    names.split([',', ' ']).filter(|name| !name.is_empty()).map(right).collect();
                match named {
                    Ok(keeps) => (LineVerdict::Narrowed, keeps),
                    Err(what) => {
                        note(&format!("{what}; the line is left undecided"));
                        continue;
                    }
                }
            }
            2 => (LineVerdict::Revoked, Vec::new()),
            3 => continue,
            _ => break,
        };
        let comment = ask::text("Why", "--comment")?;
        let body = DecideLines { lines: vec![line.line], verdict, keeps, comment };
        match client.decide_lines(id, &body).await {
            Ok(decided) => note(&became(&decided)),
            Err(error) => note(&format!("{error}; the line is left undecided")),
        }
    }
    note(&next(&client.campaign(id, LinesQuery { mine: true, after: Some(u32::MAX) }).await?.campaign));
    Ok(())
}

/// A campaign with all lines that there are to see, page by page.
async fn all_lines(client: &Client, id: &str, mine: bool) -> Result<CampaignDetail, CliError> {
    let mut all = client.campaign(id, LinesQuery { mine, after: None }).await?;
    let spinner = output::spinner(String::new());
    let mut last = all.lines.last().map(|line| line.line);
    while let Some(after) = last {
        spinner.set_message(format!("{} lines of {}", all.lines.len(), all.campaign.lines));
        let page = client.campaign(all.campaign.id.as_str(), LinesQuery { mine, after: Some(after) }).await?;
        last = page.lines.last().map(|line| line.line);
        all.campaign = page.campaign;
        all.lines.extend(page.lines);
        all.yours.extend(page.yours);
    }
    spinner.finish_and_clear();
    Ok(all)
}

fn print_row(row: &CampaignRow, format: Format) -> Result<(), CliError> {
    output::print_list(format, &campaigns(std::slice::from_ref(row), format), row)?;
    if format == Format::Table {
        note(&next(row));
    }
    Ok(())
}

/// What is to do next.
fn next(row: &CampaignRow) -> String {
    let CampaignRow { id, undecided, yours, signed, .. } = row;
    match signed {
        Some(signed) => format!("signed by {}: SHA-256 {}", signed.by.email, signed.sha256),
        None if *undecided == 0 => format!("every line is decided: dbaccess review campaign sign {id}"),
        None if *yours > 0 => {
            format!(
                "{undecided} lines undecided, {yours} of them yours: dbaccess review campaign decide {id}"
            )
        }
        None => format!("{undecided} lines undecided, none of them yours"),
    }
}

fn became(decided: &LinesDecided) -> String {
    let LinesDecided { lines, grants, sessions, replaced, standing, undecided } = decided;
    let mut said = format!("{} decided, {undecided} undecided", lines.len());
    if !grants.is_empty() {
        said.push_str(&format!("; {} live grants revoked, {} sessions ended", grants.len(), sessions.len()));
    }
    for bar in replaced {
        said.push_str(&format!("\nno longer in force: {}", taken(bar)));
    }
    for bar in standing {
        said.push_str(&format!("\nstays as it was: {}", taken(bar)));
    }
    said
}

/// What a bar takes, in words.
fn taken(bar: &Bar) -> String {
    let rights: Vec<&str> = bar.rights.iter().map(|right| right.as_str()).collect();
    let Bar { person, target, campaign, line, by, .. } = bar;
    let what = rights.join(", ");
    format!("{what} taken from {} on {target} ({campaign}, line {line}, by {})", person.email, by.email)
}

fn right(name: &str) -> Result<Right, String> {
    Right::from_name(name.trim()).ok_or_else(|| "expected read, write, ddl, export or unmask".to_owned())
}

fn seconds(text: &str) -> Result<u64, String> {
    parse_duration(text).map(|length| length.as_secs()).map_err(|error| error.to_string())
}

/// The beginning of a day (UTC), or a time.
fn day(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let midnight = text.parse::<Date>().and_then(|day| day.to_zoned(TimeZone::UTC));
    midnight.map(|zoned| zoned.timestamp()).map_err(|_| {
        format!("`{text}` is not a day: write it as 2026-10-01, or as a time such as 2026-10-01T00:00:00Z")
    })
}

fn quarter(text: &str) -> Result<Quarter, String> {
    Quarter::parse(text).ok_or_else(|| format!("`{text}` is not a quarter: write it as 2026Q4"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r9_4_a_period_is_typed_as_a_quarter_or_as_days() {
        assert_eq!(day("2026-10-01"), Ok(quarter("2026Q4").unwrap().from));
        assert!(day("yesterday").unwrap_err().contains("2026-10-01"));
        assert!(quarter("2026Q5").unwrap_err().contains("2026Q4"));
    }
}
