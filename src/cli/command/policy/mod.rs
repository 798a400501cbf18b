//! The `policy` commands. `check` and `init` work on files alone: `main` runs
//! them, because only the server's wing knows what a configuration means.

mod check;
mod explain;
mod init;
mod reload;
mod replay;
mod suggest;

pub use check::PolicyCheckArgs;
pub use init::{InitArgs, Written};

use super::Context;
use crate::cli::error::CliError;

/// Check the rules, ask why they decide as they do, and try others.
#[derive(Clone, Debug, clap::Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    pub command: PolicyCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum PolicyCommand {
    Check(PolicyCheckArgs),
    Explain(explain::ExplainArgs),
    Replay(replay::ReplayArgs),
    Suggest(suggest::SuggestArgs),
    Reload(reload::ReloadArgs),
    Init(Box<InitArgs>),
}

impl PolicyArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            PolicyCommand::Explain(args) => args.run(context).await,
            PolicyCommand::Replay(args) => args.run(context).await,
            PolicyCommand::Suggest(args) => args.run(context).await,
            PolicyCommand::Reload(args) => args.run(context).await,
            PolicyCommand::Check(_) | PolicyCommand::Init(_) => {
                Err(CliError::usage("this command is not one of the client's"))
            }
        }
    }
}
