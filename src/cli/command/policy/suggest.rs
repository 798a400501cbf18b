use super::super::Context;
use super::super::request::length;
use super::replay::back;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, OutputArgs, json, note};
use crate::proto::{Suggest, Suggested};
use std::time::Duration;

/// Propose rules that would have spared people the glass, or a long wait.
///
/// For security, admins and auditors. The narrowest rules that would have
/// covered what was done, as Cedar text with the evidence: read them, and put
/// what you want into a file under `extra`. Raw data, exports and schema changes
/// are never among them.
#[derive(Clone, Debug, clap::Args)]
pub struct SuggestArgs {
    /// How far back
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = length)]
    since: Duration,
    /// From how long a wait on an approval was slow
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = length)]
    slow: Duration,
    /// How often something must have happened
    #[arg(long, value_name = "TIMES", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    at_least: u32,
    #[command(flatten)]
    output: OutputArgs,
}

impl SuggestArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let asked = Suggest {
            since: Some(back(self.since)),
            slow_seconds: Some(self.slow.as_secs()),
            at_least: Some(self.at_least),
        };
        let suggested = context.client()?.suggest(&asked).await?;
        if self.output.output != Format::Table {
            return json(&suggested);
        }
        if !suggested.text.is_empty() {
            output::result(&suggested.text)?;
        }
        note(&summary(&suggested));
        Ok(())
    }
}

fn summary(suggested: &Suggested) -> String {
    let Suggested { accesses, rules, left_out, .. } = suggested;
    let mut text =
        format!("{accesses} accesses broke the glass or waited for long; rules suggested: {rules}");
    for (why, times) in left_out {
        text.push_str(&format!("\n  nothing for {times}: {why}"));
    }
    text
}
