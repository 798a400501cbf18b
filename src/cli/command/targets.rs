use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, relative, short_ids};
use crate::cli::session::shell_quoted;
use crate::cli::view::{scope_on, short_scope};
use crate::core::model::{ErrorKind, Suspension, nearest};
use crate::os;
use crate::proto::{TableView, TargetView};
use jiff::Timestamp;

/// List the databases you may ask for; with TARGET, its tables and columns.
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct TargetsArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// List this one's tables and columns, and which are classified
    target: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Action {
    Describe(DescribeArgs),
}

/// Show what you would see of a database, column by column: as it is, or masked and how.
///
/// Under the grants you hold there; where none covers a table, as a request
/// would give it that asks for nothing more.
#[derive(Clone, Debug, clap::Args)]
struct DescribeArgs {
    /// The database
    target: String,
    /// Only this table: name or schema.name
    table: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl TargetsArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let targets = context.client()?.targets().await?;
        match (&self.action, &self.target) {
            (Some(Action::Describe(args)), _) => args.run(find(&targets, &args.target)?),
            (None, Some(name)) => columns(find(&targets, name)?, self.output.output),
            (None, None) => list(&targets, self.output.output),
        }
    }
}

impl DescribeArgs {
    fn run(&self, target: &TargetView) -> Result<(), CliError> {
        let format = self.output.output;
        tell_problem(target);
        let tables = match &self.table {
            None => target.tables.iter().collect(),
            Some(name) => vec![find_table(target, name)?],
        };
        let mut listing = Listing::new(
            ["table", "column", "type", "mask", "you see"],
            "no tables are known: it was never reached",
        );
        let short = short_ids(target.grants.iter().map(|grant| grant.id.as_str()));
        for table in &tables {
            for (index, column) in table.columns.iter().enumerate() {
                let first = index == 0 || format != Format::Table;
                let under: Vec<String> = column.raw_under.iter().map(|id| short(id.as_str())).collect();
                let you_see = if under.is_empty() || format != Format::Table {
                    column.you_see.clone()
                } else {
                    format!("{} under {}", column.you_see, under.join(", "))
                };
                let mask = match (&column.mask, &column.sensitivity) {
                    (Some(mask), Some(why)) => format!("{mask}, {why}"),
                    (mask, _) => mask.clone().unwrap_or_default(),
                };
                listing.row([
                    if first { table.name.clone() } else { String::new() },
                    column.name.clone(),
                    column.type_name.clone(),
                    mask,
                    you_see,
                ]);
            }
        }
        output::print_list(format, &listing, &tables)?;
        if format == Format::Table {
            for table in &tables {
                if let Some(reason) = &table.closed {
                    output::note(&format!("nobody is let into {}: {reason}", table.name));
                }
                for condition in &table.rows {
                    output::note(&format!(
                        "of {}, a grant of yours shows rows where {condition}",
                        table.name
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The table of that name: `schema.name`, or a name that one schema has, or else `public`.
fn find_table<'t>(target: &'t TargetView, asked: &str) -> Result<&'t TableView, CliError> {
    let whole = |table: &&TableView| table.name == asked;
    let tail = |table: &&TableView| table.name.split_once('.').is_some_and(|(_, name)| name == asked);
    let found: Vec<&TableView> = target.tables.iter().filter(|t| whole(t) || tail(t)).collect();
    let public = format!("public.{asked}");
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            let names = target.tables.iter().map(|table| table.name.as_str());
            let bare = names.clone().filter_map(|name| name.split_once('.').map(|(_, bare)| bare));
            let near = nearest(asked, names.chain(bare));
            let error = CliError::new(ErrorKind::NotFound, format!("{} has no table {asked}", target.name));
            Err(match near.as_slice() {
                [] => error.hint(format!("dbaccess targets {} lists them", shell_quoted(&target.name))),
                names => error.hint(format!("did you mean {}?", names.join(" or "))),
            })
        }
        several => several.iter().copied().find(|table| table.name == public).ok_or_else(|| {
            let names: Vec<&str> = several.iter().map(|table| table.name.as_str()).collect();
            CliError::usage(format!("{asked} is ambiguous: say which of {}", names.join(", ")))
        }),
    }
}

fn suspended(suspension: &Suspension, now: Timestamp) -> String {
    format!("by {}, ends {}", suspension.by.email, relative(suspension.until, now))
}

fn tell_problem(target: &TargetView) {
    if let Some(suspension) = &target.suspended {
        let how = suspended(suspension, os::now());
        output::note(&format!(
            "{} is suspended for a deploy, {how}: no session opens that sees masked or filtered tables",
            target.name
        ));
    }
    if let Some(problem) = &target.problem {
        output::note(&format!("{} cannot be reached now: {problem}", target.name));
    }
}

/// The target of that name, or an error with the nearest names.
pub(super) fn find<'a>(targets: &'a [TargetView], name: &str) -> Result<&'a TargetView, CliError> {
    if let Some(found) = targets.iter().find(|target| target.name == name) {
        return Ok(found);
    }
    let mut scored: Vec<(f64, &str)> = targets
        .iter()
        .map(|target| (strsim::jaro_winkler(name, &target.name), target.name.as_str()))
        .filter(|(score, _)| *score >= 0.7)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let nearest: Vec<&str> = scored.into_iter().take(3).map(|(_, name)| name).collect();
    let error = CliError::new(ErrorKind::NotFound, format!("there is no target {name}"));
    Err(if nearest.is_empty() {
        error.hint("dbaccess targets lists them")
    } else {
        error.hint(format!("did you mean {}?", nearest.join(" or ")))
    })
}

fn list(targets: &[TargetView], format: Format) -> Result<(), CliError> {
    let now = os::now();
    let people = format == Format::Table;
    let grants = || targets.iter().flat_map(|target| &target.grants);
    let short = short_ids(grants().map(|grant| grant.id.as_str()));
    let mut listing = Listing::new(
        ["target", "environment", "service", "owners", "yours", "access", "problem", "suspended"],
        "there are no targets for you",
    );
    for target in targets {
        let access: Vec<String> = target
            .grants
            .iter()
            .map(|grant| {
                let (scope, until) = (scope_on(grant.path, &short_scope(&grant.scope)), grant.until);
                if people {
                    format!("{}: {scope}, ends {}", short(grant.id.as_str()), relative(until, now))
                } else {
                    format!("{}: {scope}, until {until}", grant.id)
                }
            })
            .collect();
        listing.row([
            target.name.clone(),
            target.environment.clone(),
            target.service.clone().unwrap_or_default(),
            output::list(target.owners.iter().map(String::as_str)),
            if target.at_home { "yes" } else { "" }.to_owned(),
            access.join(if people { "\n" } else { "; " }),
            target.problem.clone().unwrap_or_default(),
            target.suspended.as_ref().map(|found| suspended(found, now)).unwrap_or_default(),
        ]);
    }
    output::print_list(format, &listing, &targets)
}

fn columns(target: &TargetView, format: Format) -> Result<(), CliError> {
    tell_problem(target);
    if let Some(width) = output::width_of_stdout().filter(|width| *width < output::NARROW)
        && format == Format::Table
        && !target.tables.is_empty()
    {
        return output::result(&tables(target, width));
    }
    let mut listing =
        Listing::new(["table", "column", "type", "classified"], "no tables are known: it was never reached");
    for table in &target.tables {
        for (index, column) in table.columns.iter().enumerate() {
            let name = if index == 0 || format == Format::Csv { table.name.clone() } else { String::new() };
            let sensitivity = column.sensitivity.clone().unwrap_or_default();
            listing.row([name, column.name.clone(), column.type_name.clone(), sensitivity]);
        }
    }
    output::print_list(format, &listing, &target)
}

/// Tables on a narrow terminal: a column a line.
fn tables(target: &TargetView, width: u16) -> String {
    let columns = target.tables.iter().flat_map(|table| &table.columns);
    let label = columns.map(|column| column.name.chars().count()).max().unwrap_or(0).min(20) + 2;
    let mut text = String::new();
    for table in &target.tables {
        text.push_str(&format!("{}\n", output::clean(&table.name)));
        for column in &table.columns {
            let sensitivity = column.sensitivity.iter().map(|found| format!(" ({found})"));
            let what = format!("{}{}", column.type_name, sensitivity.collect::<String>());
            let name = output::clean(&column.name);
            text.push_str(&output::field(&name, &output::clean(&what), label, Some(width)));
        }
    }
    text
}
