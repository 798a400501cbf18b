use super::Context;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, OutputArgs, note, width_of_stderr};
use crate::cli::session::shell_quoted;
use crate::cli::{ask, script, view};
use crate::core::model::{
    AskedScope, BadDuration, ErrorKind, RequestState, Slot, Tier, format_duration, needed, parse_duration,
};
use crate::os;
use crate::proto::{Amend, NewRequest, RequestView};
use std::path::PathBuf;
use std::time::Duration;

/// Ask for access: what, for how long, and why.
///
/// Says at once what policy demands: granted, waiting for approval (exit code
/// 4), or denied (5). With --wait, stays until it is decided; with --output json
/// it is then a line of JSON as it was asked, and one as it was decided.
#[derive(Clone, Debug, clap::Args)]
pub struct RequestArgs {
    /// The database; may be left out where only one has the tables
    target: Option<String>,
    /// A table: name or schema.name; give it again for more
    #[arg(long, short, value_name = "TABLE")]
    table: Vec<String>,
    /// A whole schema; give it again for more
    #[arg(long, value_name = "SCHEMA")]
    schema: Vec<String>,
    /// Everything in the database, to write or to migrate; never what is meant by
    /// leaving tables and schemas out
    #[arg(long, conflicts_with_all = ["table", "schema", "row"])]
    database: bool,
    /// Only rows that match, such as 'customers: tenant_id = 42'; give it again for more tables
    ///
    /// The condition compares the table's own columns with constants: =, <>, <,
    /// <=, >, >=, IN, BETWEEN, IS NULL, a boolean column alone; with AND and OR.
    /// The table need not be named with --table.
    #[arg(long, value_name = "TABLE: CONDITION")]
    row: Vec<String>,
    /// Tables whose foreign keys lead to one with a condition show only the rows that belong to it
    #[arg(long)]
    follow: bool,
    /// See a classified column as it is: column, table.column or
    /// schema.table.column; give it again for more
    ///
    /// Every classified column is masked unless it is named here, and what is
    /// named raises what policy demands.
    #[arg(long, value_name = "COLUMN")]
    unmask: Vec<String>,
    /// Ask to write too
    #[arg(long)]
    write: bool,
    /// Ask to change the schema, with the rights of its owner
    #[arg(long)]
    ddl: bool,
    /// Ask to run this script, reviewed: its statements and nothing else
    ///
    /// What it changes is what is asked for; --schema may name the schemas.
    /// Once it is approved: dbaccess migrate ID.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["table", "row", "follow", "unmask", "write", "ddl", "export", "database"])]
    migrate: Option<PathBuf>,
    /// Put the script of --migrate in the place of the one that this request of
    /// yours waits with; approvals given so far are void
    #[arg(long, value_name = "ID", requires = "migrate", conflicts_with_all = ["target", "window", "reason"])]
    amend: Option<String>,
    /// Ask to take rows out as a file
    #[arg(long)]
    export: bool,
    /// For how long, such as 30m or 1h30m; the policy's usual window when left out
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    window: Option<Duration>,
    /// Why; asked for on a terminal when left out or given without a value
    #[arg(long, short, num_args = 0..=1, default_missing_value = "", value_name = "TEXT")]
    reason: Option<String>,
    /// The incident that it is about, for rules that weigh it: PD-… of PagerDuty, OG-… of Opsgenie
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Wait until it is decided
    #[arg(long, short)]
    wait: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// A length of time as an argument.
pub(super) fn length(text: &str) -> Result<Duration, BadDuration> {
    parse_duration(text)
}

impl RequestArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let script = self.migrate.as_deref().map(script::read).transpose()?;
        let nothing = self.table.is_empty() && self.schema.is_empty() && self.row.is_empty();
        if nothing && !self.database && script.is_none() {
            return Err(CliError::usage("say what you need access to").hint(
                "--table TABLE (again for more), --row 'TABLE: CONDITION', --schema SCHEMA, or to change all \
                 of it --database",
            ));
        }
        let client = context.client()?;
        if let (Some(id), Some(migration)) = (&self.amend, script.clone()) {
            let view = client.amend(id, &Amend { migration, schemas: self.schema }).await?;
            show_script(&view, self.output.output);
            print(&view, self.output.output)?;
            return outcome(&view);
        }
        let reason = match self.reason.as_deref().map(str::trim) {
            Some(reason) if !reason.is_empty() => reason.to_owned(),
            _ => ask::text("Reason", "--reason 'TEXT'")?,
        };
        let asked = NewRequest {
            target: self.target,
            scope: AskedScope {
                schemas: self.schema,
                tables: self.table,
                rows: self.row,
                follow: self.follow,
                unmask: self.unmask,
                write: self.write,
                ddl: self.ddl,
                export: self.export,
            },
            reason,
            window_seconds: self.window.map(|window| window.as_secs()),
            migration: script,
            incident: self.incident,
        };
        let mut view = client.request(&asked).await?;
        show_script(&view, self.output.output);
        if self.wait && view.request.state == RequestState::Waiting {
            match self.output.output {
                Format::Table => note(told(&view).trim_end()),
                Format::Json => output::json_line(&view)?,
                Format::Csv => {}
            }
            view = wait(&client, view).await?;
        }
        match self.output.output {
            Format::Json if self.wait => output::json_line(&view)?,
            format => print(&view, format)?,
        }
        outcome(&view)
    }
}

/// Prints one request.
pub(super) fn print(view: &RequestView, format: Format) -> Result<(), CliError> {
    match format {
        Format::Json => output::json(view),
        Format::Csv => {
            let listing = super::requests::listing(std::slice::from_ref(view), format);
            output::print_list(format, &listing, view)
        }
        Format::Table => output::result(&view::describe(view, os::now(), output::width_of_stdout())),
    }
}

/// Shows a request's script with its hazards, on stderr: what is asked for, or
/// decided about.
pub(super) fn show_script(view: &RequestView, format: Format) {
    if let Some(script) = view.request.migration.as_ref().filter(|_| format == Format::Table) {
        note(script::numbered(script, width_of_stderr()).trim_end());
    }
}

/// What was read to whoever is about to say yes to it, and their yes; `no` is
/// said when they say no.
pub(super) fn agreed(view: &RequestView, question: &str, no: &str) -> Result<(), CliError> {
    note(told(view).trim_end());
    if ask::confirm(question, "--yes")? { Ok(()) } else { Err(CliError::new(ErrorKind::Conflict, no)) }
}

/// What somebody's yes did, and whose is still missing; without any, `complete`.
pub(super) fn said_yes<'a>(did: &str, missing: impl Iterator<Item = (usize, &'a Slot)>, complete: &str) {
    match needed(missing).as_str() {
        "" => note(complete),
        missing => note(&format!("{did}; still needed: {missing}")),
    }
}

/// One request, as it is told on stderr.
pub(super) fn told(view: &RequestView) -> String {
    view::describe(view, os::now(), width_of_stderr())
}

/// The exit code of a request, with a word on what comes next.
pub(super) fn outcome(view: &RequestView) -> Result<u8, CliError> {
    let request = &view.request;
    let closed = request.closed.as_ref().and_then(|closed| closed.reason.clone());
    let ended = |kind, what: &str| {
        let error = CliError::new(kind, what);
        closed.clone().map_or(error.clone(), |reason| error.why(reason))
    };
    match request.state {
        RequestState::Granted => {
            if request.migration.is_some() {
                note(&format!("granted: dbaccess migrate {}", request.id));
                return Ok(0);
            }
            // By its id: with several grants only that says which.
            let grant = view.grant.as_ref().map(|grant| format!(" --grant {}", grant.id));
            let target = shell_quoted(&request.target);
            note(&format!("granted: dbaccess connect {target}{}", grant.unwrap_or_default()));
            Ok(0)
        }
        RequestState::Waiting => {
            let id = &request.id;
            note(&format!("waiting for approval; an approver runs: dbaccess approve {id}"));
            note(&format!("to follow it: dbaccess show {id}; to withdraw it: dbaccess cancel {id}"));
            Ok(ErrorKind::Waiting.exit_code())
        }
        RequestState::Denied if request.decision.tier == Tier::Deny => {
            let decision = &request.decision;
            let error = CliError::new(ErrorKind::Denied, "the request was denied by policy");
            let rules: Vec<String> =
                decision.rules.iter().map(|rule| format!("{} ({})", rule.title, rule.id)).collect();
            let error =
                error.why(rules.into_iter().chain([decision.why.clone()]).collect::<Vec<_>>().join("\n"));
            let longest = decision.longest;
            Err(if !longest.is_zero() && longest < request.window {
                let length = format_duration(longest).replace(' ', "");
                error.hint(format!("ask for less: --for {length}"))
            } else {
                error
            })
        }
        RequestState::Denied => Err(match (&closed, request.decision.rules.first()) {
            (None, Some(rule)) => CliError::new(ErrorKind::Denied, "the request was denied by policy")
                .why(format!("{} ({}): {}", rule.title, rule.id, request.decision.why)),
            _ => ended(ErrorKind::Denied, "the request was denied"),
        }),
        RequestState::Cancelled => Err(ended(ErrorKind::Expired, "the request was cancelled")),
        RequestState::Expired => {
            Err(ended(ErrorKind::Expired, "the request lapsed before it was approved").hint("ask again"))
        }
    }
}

/// Asks again and again until the request is decided. Ctrl-C leaves it waiting.
async fn wait(client: &Client, view: RequestView) -> Result<RequestView, CliError> {
    let id = view.request.id.clone();
    let waiting = |view: &RequestView| format!("{id}: waiting for {}", needed(view.request.open_slots()));
    let spinner = output::spinner(waiting(&view));
    let mut pause = Duration::from_millis(500);
    let decided = loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = tokio::signal::ctrl_c() => {
                spinner.finish_and_clear();
                note("no longer watching; the request goes on waiting");
                break view;
            }
        }
        let seen = match client.request_by_id(id.as_str()).await {
            Ok(seen) => seen,
            // A server that restarts is back in a moment, and the request with it.
            Err(error) if error.kind() == ErrorKind::Unreachable => {
                spinner.set_message(format!("{id}: {error}"));
                pause = Duration::from_secs(5);
                continue;
            }
            Err(error) => {
                spinner.finish_and_clear();
                return Err(error);
            }
        };
        if seen.request.state != RequestState::Waiting {
            break seen;
        }
        spinner.set_message(waiting(&seen));
        pause = (pause * 3 / 2).min(Duration::from_secs(3));
    };
    spinner.finish_and_clear();
    Ok(decided)
}
