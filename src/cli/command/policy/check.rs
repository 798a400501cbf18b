use crate::cli::output::OutputArgs;
use std::path::PathBuf;

/// Check rules before a server uses them; no server is needed.
///
/// Says what the schema does not know, rules that can never decide anything,
/// approvals that nobody could give, and sample requests that are not decided as
/// expected. Exit code 1 when something is wrong.
#[derive(Clone, Debug, clap::Args)]
pub struct PolicyCheckArgs {
    /// The rules, in the order in which they decide; those of --config when left out, and without that the default policy
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Put the default policy after FILE…, as `extra` of the configuration does
    #[arg(long, requires = "files")]
    pub with_default: bool,
    /// The server's configuration file, for its targets, teams and roles
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Sample requests with what is expected of them
    #[arg(long, value_name = "FILE")]
    pub tests: Option<PathBuf>,
    #[command(flatten)]
    pub output: OutputArgs,
}
