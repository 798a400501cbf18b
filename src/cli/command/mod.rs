//! The commands, and the way from one to its code.

mod approve;
mod audit;
mod away;
mod break_glass;
mod campaign;
mod cancel;
mod complete;
mod completions;
mod config;
mod confirm;
mod connect;
mod delegate;
mod deny;
mod doctor;
mod exec;
mod export;
mod grants;
mod hold;
mod holder;
mod ledger;
mod login;
mod logout;
mod man;
mod metrics;
mod migrate;
mod operate;
mod policy;
mod recording;
mod replay;
mod report;
mod request;
mod requests;
mod retention;
mod review;
mod revoke;
mod scan;
mod sessions;
mod show;
mod target;
mod targets;
mod whoami;

pub use doctor::show_findings;
pub use operate::{CheckArgs, ClassifyArgs, DemoArgs, ServerArgs, SetupArgs, TargetArgs, TargetCommand};
pub use policy::{InitArgs, PolicyArgs, PolicyCheckArgs, PolicyCommand, Written};

use super::client::Client;
use super::error::CliError;
use super::settings::{Endpoint, Global};
use super::tokens::TokenStore;
use clap::{Parser, Subcommand};
use std::sync::Arc;

/// Safe production database access for developers.
///
/// Ask for what you need and why; once it is approved, connect with the tools
/// you know. Every session has its own short-lived database role, limited to
/// what was granted, recorded statement by statement, and gone when it ends.
#[derive(Debug, Parser)]
#[command(name = "dbaccess", version, max_term_width = 100, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// The one place that says what exit codes mean (`ErrorKind::exit_code`).
const EXIT_CODES: &str = "Exit codes:
  0  done
  1  failed
  2  wrong usage
  3  not logged in
  4  waiting for approval
  5  denied, by policy or by a person
  6  expired, revoked, or ended for a deploy
  7  server unreachable
  With a COMMAND or psql, its own code; 128+n when signal n ended it.

Files and environment:
  DBACCESS_SERVER, DBACCESS_CA, DBACCESS_TOKEN  in place of the configuration and the login
  DBACCESS_KEYRING=off                          keep the login in a file of mode 0600
  NO_COLOR                                      no colour
  $XDG_CONFIG_HOME/dbaccess/client.toml         server and ca; see: dbaccess config";

#[derive(Debug, Subcommand)]
pub enum Command {
    Login(login::LoginArgs),
    Logout(logout::LogoutArgs),
    Whoami(whoami::WhoamiArgs),
    Targets(targets::TargetsArgs),
    Request(request::RequestArgs),
    Requests(requests::RequestsArgs),
    Show(show::ShowArgs),
    Approve(approve::ApproveArgs),
    Deny(deny::DenyArgs),
    Cancel(cancel::CancelArgs),
    Delegate(delegate::DelegateArgs),
    Away(away::AwayArgs),
    Connect(connect::ConnectArgs),
    Exec(exec::ExecArgs),
    Migrate(migrate::MigrateArgs),
    BreakGlass(break_glass::BreakGlassArgs),
    Confirm(confirm::ConfirmArgs),
    Sessions(sessions::SessionsArgs),
    Revoke(revoke::RevokeArgs),
    Audit(audit::AuditArgs),
    Replay(replay::ReplayArgs),
    Recording(recording::RecordingArgs),
    Review(review::ReviewArgs),
    Metrics(metrics::MetricsArgs),
    Scan(scan::ScanArgs),
    Ledger(ledger::LedgerArgs),
    Retention(retention::RetentionArgs),
    Hold(hold::HoldArgs),
    Report(report::ReportArgs),
    Doctor(doctor::DoctorArgs),
    Config(config::ConfigArgs),
    Completions(completions::CompletionsArgs),
    Target(TargetArgs),
    Policy(PolicyArgs),
    Server(ServerArgs),
    Demo(DemoArgs),
    #[command(hide = true)]
    Complete(complete::CompleteArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// What a command has at hand: it opens only what it needs.
pub(super) struct Context {
    pub global: Global,
}

impl Context {
    pub fn endpoint(&self) -> Result<Endpoint, CliError> {
        Endpoint::resolve(&self.global)
    }

    pub fn client(&self) -> Result<Arc<Client>, CliError> {
        let endpoint = self.endpoint()?;
        let store = TokenStore::open(endpoint.server.as_str())?;
        Ok(Arc::new(Client::new(&endpoint, store)?))
    }
}

/// Runs a command of the tool and gives its exit code. `server`, `demo` and
/// much of `target` belong to other wings: `main` has taken them before.
pub async fn run(global: Global, command: Command) -> Result<u8, CliError> {
    let context = Context { global };
    match command {
        Command::Login(args) => args.run(&context).await.map(done),
        Command::Logout(args) => args.run(&context).await.map(done),
        Command::Whoami(args) => args.run(&context).await.map(done),
        Command::Targets(args) => args.run(&context).await.map(done),
        Command::Request(args) => args.run(&context).await,
        Command::Requests(args) => args.run(&context).await.map(done),
        Command::Show(args) => args.run(&context).await.map(done),
        Command::Approve(args) => args.run(&context).await.map(done),
        Command::Deny(args) => args.run(&context).await.map(done),
        Command::Cancel(args) => args.run(&context).await.map(done),
        Command::Delegate(args) => args.run(&context).await.map(done),
        Command::Away(args) => args.run(&context).await.map(done),
        Command::Connect(args) => args.run(&context).await,
        Command::Exec(args) => args.run(&context).await,
        Command::Migrate(args) => args.run(&context).await,
        Command::BreakGlass(args) => args.run(&context).await,
        Command::Confirm(args) => args.run(&context).await.map(done),
        Command::Sessions(args) => args.run(&context).await.map(done),
        Command::Revoke(args) => args.run(&context).await.map(done),
        Command::Audit(args) => args.run(&context).await,
        Command::Replay(args) => args.run(&context).await,
        Command::Recording(args) => args.run(&context).await.map(done),
        Command::Review(args) => args.run(&context).await.map(done),
        Command::Metrics(args) => args.run(&context).await,
        Command::Scan(args) => args.run(&context).await,
        Command::Ledger(args) => args.run().map(done),
        Command::Retention(args) => args.run(&context).await.map(done),
        Command::Hold(args) => args.run(&context).await.map(done),
        Command::Report(args) => args.run(&context).await.map(done),
        Command::Doctor(args) => args.run(&context).await,
        Command::Config(args) => args.run(&context).map(done),
        Command::Completions(args) => args.run().map(done),
        Command::Complete(args) => args.run(&context).await.map(done),
        Command::Man(args) => args.run().map(done),
        Command::Target(args) => args.run(&context).await,
        Command::Policy(args) => args.run(&context).await.map(done),
        Command::Server(_) | Command::Demo(_) => {
            Err(CliError::usage("this command is not one of the client's"))
        }
    }
}

fn done((): ()) -> u8 {
    0
}
