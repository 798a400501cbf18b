//! Those of the `target` commands that ask the server.

use super::{Context, TargetArgs, TargetCommand};
use crate::cli::error::CliError;
use crate::cli::output::{Format, OutputArgs, json, note};
use crate::proto::RotateTokens;

/// Give tokens new keys: those that were seen before lead nowhere from now on.
///
/// For security and admins. Without a domain every key of the target is new,
/// that of the noise on sealed columns too.
#[derive(Clone, Debug, clap::Args)]
pub struct RotateTokensArgs {
    /// The database
    target: String,
    /// Only the tokens of this domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl TargetArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            TargetCommand::RotateTokens(args) => args.run(context).await,
            TargetCommand::Setup(_) | TargetCommand::Classify(_) | TargetCommand::Check(_) => {
                Err(CliError::usage("this command is not one of the client's"))
            }
        }
    }
}

impl RotateTokensArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let body = RotateTokens { domain: self.domain };
        let rotated = context.client()?.rotate_tokens(&self.target, &body).await?;
        if self.output.output == Format::Json {
            json(&rotated)?;
        }
        let of = rotated.domain.map(|domain| format!(" for {domain}")).unwrap_or_default();
        note(&match rotated.keys {
            0 => format!("{} has no tokens yet", rotated.target),
            1 => format!("{} has a new key{of}: tokens seen before lead nowhere now", rotated.target),
            keys => {
                format!("{} has {keys} new keys{of}: tokens seen before lead nowhere now", rotated.target)
            }
        });
        Ok(())
    }
}
