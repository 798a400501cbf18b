use super::super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{Format, OutputArgs, json, note};

/// Let the server read the policy's files again.
///
/// For security and admins; SIGHUP to the server does the same. Files that
/// cannot be used leave the old policy in force, and the answer says what is
/// wrong with each.
#[derive(Clone, Debug, clap::Args)]
pub struct ReloadArgs {
    #[command(flatten)]
    output: OutputArgs,
}

impl ReloadArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let loaded = context.client()?.reload_policy().await?;
        if self.output.output != Format::Table {
            return json(&loaded);
        }
        let short = loaded.policy.get(..12).unwrap_or_default();
        note(&match loaded.changed {
            true => format!("policy {short} decides from now on, by {} rules", loaded.rules),
            false => format!("nothing has changed: policy {short} decides, by {} rules", loaded.rules),
        });
        Ok(())
    }
}
