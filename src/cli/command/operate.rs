//! Arguments of the commands that other wings run: data only.

use super::target::{ResumeArgs, RotateTokensArgs, SuspendArgs};
use crate::cli::output::OutputArgs;
use std::path::PathBuf;

/// Where the server is described, for the commands that run beside it.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerConfig {
    /// The server's configuration file
    #[arg(
        long,
        env = "DBACCESS_CONFIG",
        hide_env_values = true,
        default_value = "/etc/dbaccess/server.toml"
    )]
    pub config: PathBuf,
}

/// Run the control plane and the gateway.
#[derive(Clone, Debug, clap::Args)]
pub struct ServerArgs {
    #[command(flatten)]
    pub server: ServerConfig,
    /// Check the configuration, say what is wrong with it, and stop
    #[arg(long)]
    pub check: bool,
}

/// Try everything on this machine: a scratch PostgreSQL, an identity provider, sample data.
///
/// Four people live a day with two databases, with the real commands, and
/// every step is checked. Then it stays up for you to play them, until Ctrl-C
/// or a signal; nothing is left of it.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// Stop after the story; exit code 0 only if every step did what it claims
    #[arg(long, conflicts_with = "no_story")]
    pub once: bool,
    /// Do not play the story; only set everything up
    #[arg(long)]
    pub no_story: bool,
    /// Port of the demo's server on 127.0.0.1; a free one when left out
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

/// Prepare databases for dbaccess, and look after them.
#[derive(Clone, Debug, clap::Args)]
pub struct TargetArgs {
    #[command(subcommand)]
    pub command: TargetCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum TargetCommand {
    Setup(SetupArgs),
    Classify(ClassifyArgs),
    Check(CheckArgs),
    Suspend(SuspendArgs),
    Resume(ResumeArgs),
    RotateTokens(RotateTokensArgs),
}

/// Propose which columns are sensitive, and write what you accept into the configuration.
///
/// Looks at names, types and, in a session of its own that can only read, at a
/// sample of values; the target must be set up for that. Values are not shown and
/// not kept. What is classified already stays as it is.
#[derive(Clone, Debug, clap::Args)]
pub struct ClassifyArgs {
    /// The target, as the server's configuration names it
    pub target: String,
    #[command(flatten)]
    pub server: ServerConfig,
    /// How many rows of a table to look at; with 0 only names and types are
    #[arg(long, value_name = "ROWS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub sample: u32,
    /// Accept weak hints too
    #[arg(long)]
    pub unsure: bool,
    /// Accept without asking
    #[arg(long, short)]
    pub yes: bool,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Check what escapes a target's classification, or could.
///
/// Views, functions, statistics, triggers and publications that copy or show
/// classified columns, and columns that look as if they should be classified.
/// Exit code 1 when something is a problem.
#[derive(Clone, Debug, clap::Args)]
pub struct CheckArgs {
    /// The target, as the server's configuration names it
    pub target: String,
    #[command(flatten)]
    pub server: ServerConfig,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Install what the server needs in a target, or print it for a DBA to run.
///
/// Connects as an administrator once; the server itself then needs only a
/// restricted login.
#[derive(Clone, Debug, clap::Args)]
pub struct SetupArgs {
    /// The target, as the server's configuration names it
    pub target: String,
    #[command(flatten)]
    pub server: ServerConfig,
    /// The administrator to connect as; the password comes from PGPASSWORD or a prompt
    #[arg(long, value_name = "USER")]
    pub admin: Option<String>,
    /// Print the SQL instead of running it
    #[arg(long)]
    pub print: bool,
    /// Take everything of dbaccess out of the target again, roles of sessions included
    #[arg(long)]
    pub remove: bool,
}
