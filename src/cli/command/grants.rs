//! Finding the grant for a session, or saying how to get one.

use super::targets;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::grant_choice::{Choice, choose};
use crate::cli::output::{can_ask, note, relative, short_ids, width_of_stderr};
use crate::cli::session::shell_quoted;
use crate::cli::{ask, view};
use crate::core::model::{AskedScope, ErrorKind, Grant, RequestState, needed};
use crate::os;
use crate::proto::{NewRequest, RequestsQuery};

/// The grant to open a session under. Where several fit and nobody can be asked,
/// `again` is the command that names one of them.
pub(super) async fn pick(
    client: &Client,
    target: &str,
    named: Option<&str>,
    again: impl Fn(&str, &str) -> String,
) -> Result<Grant, CliError> {
    let grants = client.grants(Some(target)).await?;
    match choose(&grants, target, named) {
        Choice::One(grant) => Ok(grant.clone()),
        Choice::Several(several) => among(&several, target, again),
        Choice::None => match named {
            Some(named) => Err(CliError::new(ErrorKind::NotFound, format!("you hold no live grant {named} on {target}"))
                .hint("dbaccess targets shows what you hold; dbaccess requests --mine --all what became of requests")),
            None => ask_for_one(client, target).await,
        },
    }
}

fn among(several: &[&Grant], target: &str, again: impl Fn(&str, &str) -> String) -> Result<Grant, CliError> {
    let now = os::now();
    let short = short_ids(several.iter().map(|grant| grant.id.as_str()));
    let lines: Vec<String> = several
        .iter()
        .map(|grant| {
            let until = relative(grant.until, now);
            let scope = view::scope_on(grant.path, &view::short_scope(&grant.scope));
            format!("{}  {scope}, ends {until}", short(grant.id.as_str()))
        })
        .collect();
    if can_ask() {
        let index = ask::choose("Several grants fit; which one?", &lines)?;
        if let Some(grant) = several.get(index) {
            return Ok((*grant).clone());
        }
    }
    let target = shell_quoted(target);
    let hint: Vec<String> = several.iter().map(|grant| again(&target, &short(grant.id.as_str()))).collect();
    Err(CliError::usage(format!("several grants fit {target}: say which one"))
        .why(lines.join("\n"))
        .hint(hint.join("\n")))
}

/// No grant: says what waits, offers to ask on a terminal, or names the command.
async fn ask_for_one(client: &Client, target: &str) -> Result<Grant, CliError> {
    let mine = client.requests(&RequestsQuery { mine: true, ..RequestsQuery::default() }).await?;
    let waits = |state| state == RequestState::Waiting;
    if let Some(waiting) = mine.iter().find(|view| view.request.target == target && waits(view.request.state))
    {
        return Err(still_waiting(waiting));
    }
    let targets = client.targets().await?;
    targets::find(&targets, target)?;
    let quoted = shell_quoted(target);
    let none = CliError::new(ErrorKind::Denied, format!("you hold no grant on {target}"))
        .hint(format!("dbaccess request {quoted} --table TABLE --for 1h --reason 'WHY'"));
    if !can_ask() {
        return Err(none);
    }
    note(&format!("you hold no grant on {target}"));
    if !ask::confirm("Ask for one now?", "dbaccess request")? {
        return Err(none);
    }
    let tables = ask::text("Tables (separated by spaces)", "--table")?;
    let reason = ask::text("Reason", "--reason")?;
    let tables = tables.split_whitespace().map(str::to_owned).collect();
    let asked = NewRequest {
        target: Some(target.to_owned()),
        scope: AskedScope { tables, ..AskedScope::default() },
        reason,
        window_seconds: None,
        migration: None,
        incident: None,
    };
    let view = client.request(&asked).await?;
    note(view::describe(&view, os::now(), width_of_stderr()).trim_end());
    match (view.grant.clone(), view.request.state) {
        (Some(grant), _) => Ok(grant),
        (None, RequestState::Waiting) => Err(still_waiting(&view)),
        (None, _) => Err(CliError::new(ErrorKind::Denied, "the request was not granted")),
    }
}

fn still_waiting(view: &crate::proto::RequestView) -> CliError {
    let id = &view.request.id;
    CliError::new(ErrorKind::Waiting, format!("your request {id} is still waiting for approval"))
        .why(format!("it needs {}", needed(view.request.open_slots())))
        .hint(format!("an approver runs: dbaccess approve {id}"))
}
