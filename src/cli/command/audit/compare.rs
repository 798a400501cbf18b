use super::super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, note};
use crate::cli::script;
use crate::core::model::{Run, ScriptComparison};
use crate::proto::Compare;
use std::path::PathBuf;

/// Did it run the approved script? Statement by statement.
///
/// Says of each statement of the script whether it took effect, and lists what
/// was run besides. Exit code 1 when anything differs. With a request's id all
/// its sessions count together, as after a migration that was resumed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CompareArgs {
    /// A session's or a request's id, or a unique prefix of it
    id: String,
    /// Compare with this file in place of the request's script
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl CompareArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let script = self.script.as_deref().map(script::read).transpose()?;
        let client = context.client()?;
        let comparison = client.compare(&self.id, &Compare { script }).await?;
        print(&comparison, self.output.output)?;
        Ok(u8::from(!comparison.same))
    }
}

fn print(comparison: &ScriptComparison, format: Format) -> Result<(), CliError> {
    let people = format == Format::Table;
    let shown = |text: &str| {
        if people { text.split_whitespace().collect::<Vec<_>>().join(" ") } else { text.to_owned() }
    };
    let mut listing =
        Listing::new(["statement", "line", "state", "seq", "session", "text", "why"], "no statements");
    let cells = |run: Option<&Run>| {
        let why = run.and_then(|run| run.message.clone()).unwrap_or_default();
        (
            run.map(|run| run.seq.to_string()).unwrap_or_default(),
            run.map(|run| run.session.to_string()).unwrap_or_default(),
            why,
        )
    };
    for one in &comparison.statements {
        let order = if one.out_of_order { ", out of order" } else { "" };
        let (seq, session, why) = cells(one.runs.last());
        let state = format!("{}{order}", one.state.as_str());
        listing.row([
            one.number.to_string(),
            one.line.to_string(),
            state,
            seq,
            session,
            shown(&one.text),
            why,
        ]);
    }
    for other in &comparison.others {
        let (seq, session, why) = cells(Some(&other.run));
        let state = format!("not in the script: {}", other.run.state.as_str());
        listing.row(["-".to_owned(), String::new(), state, seq, session, shown(&other.text), why]);
    }
    output::print_list(format, &listing, comparison)?;
    if people {
        let script = &comparison.script;
        let short = script.sha256.get(..12).unwrap_or_default();
        note(&format!(
            "{}: {} ({short})",
            if comparison.same { "the same as the script" } else { "not the same as the script" },
            script.name,
        ));
        if comparison.without_values > 0 {
            note(&format!(
                "the values of {} of them are sealed, so they were not compared: `dbaccess audit unseal` shows them",
                comparison.without_values
            ));
        }
    }
    Ok(())
}
