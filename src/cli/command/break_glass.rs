use super::connect::ConnectArgs;
use super::{Context, request};
use crate::cli::ask;
use crate::cli::error::CliError;
use crate::cli::output::{Format, OutputArgs, note, relative};
use crate::cli::session::shell_quoted;
use crate::core::model::RequestState;
use crate::os;
use crate::proto::{NewBreakGlass, RequestView};
use std::ffi::OsString;

/// In an incident: write to the service's whole database now, without waiting for anybody.
///
/// The incident must be open, assigned to you, and of the service that the
/// database belongs to. Access lasts 30 minutes, goes on by itself while that
/// is so, and ends with the incident. Security is told at once, everything is
/// recorded, and somebody reviews it afterwards.
///
/// Classified columns stay masked unless --unmask names them.
#[derive(Clone, Debug, clap::Args)]
pub struct BreakGlassArgs {
    /// The database
    target: String,
    /// The incident: PD-… of PagerDuty, OG-… of Opsgenie
    #[arg(long, value_name = "ID")]
    incident: String,
    /// What you are going to do; asked for on a terminal when left out or given without a value
    #[arg(long, short, num_args = 0..=1, default_missing_value = "", value_name = "TEXT")]
    reason: Option<String>,
    /// See a classified column as it is: column, table.column or
    /// schema.table.column; give it again for more
    #[arg(long, value_name = "COLUMN")]
    unmask: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
    /// Connect at once and run this program, with its arguments (such as psql)
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl BreakGlassArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let client = context.client()?;
        let reason = match self.reason.as_deref().map(str::trim) {
            Some(reason) if !reason.is_empty() => reason.to_owned(),
            _ => ask::text("Reason", "--reason 'TEXT'")?,
        };
        let asked =
            NewBreakGlass { target: self.target, incident: self.incident, reason, unmask: self.unmask };
        let view = client.break_glass(&asked).await?;
        if self.command.is_empty() {
            request::print(&view, self.output.output)?;
        } else if self.output.output == Format::Table {
            // Standard output is the program's.
            note(request::told(&view).trim_end());
        }
        if view.request.state != RequestState::Granted {
            return request::outcome(&view);
        }
        say(&view);
        let Some(grant) = view.grant.filter(|_| !self.command.is_empty()) else { return Ok(0) };
        ConnectArgs::under(grant.target, grant.id.to_string(), self.command).run(context).await
    }
}

fn say(view: &RequestView) {
    let Some(grant) = &view.grant else { return };
    note(&format!(
        "the glass is broken until {} ({}), and longer while the incident stays open",
        grant.until,
        relative(grant.until, os::now())
    ));
    let due = view.break_glass.as_ref().and_then(|glass| glass.break_glass.confirmation.as_ref());
    if let Some(due) = due {
        let needed: Vec<String> = due.open_slots().map(|(_, slot)| slot.to_string()).collect();
        note(&format!(
            "the incident system could not be asked: {} must confirm it {}, or it ends: dbaccess confirm {}",
            needed.join(" and "),
            relative(due.due, os::now()),
            view.request.id
        ));
    }
    note(&format!("to connect: dbaccess connect {} --grant {}", shell_quoted(&grant.target), grant.id));
    note(&format!("when you are done: dbaccess revoke {}", grant.id));
}
