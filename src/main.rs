//! argv in, exit code out.

use clap::Parser;
use dbaccess::cli::{self, Cli, CliError, Command, TargetCommand};
use dbaccess::core::model::ErrorKind;
use dbaccess::server::boot;
use dbaccess::server::setup;
use dbaccess::{demo, tls};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    tls::install_provider();
    let Cli { global, command } = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&CliError::local("no threads can be started", error)),
    };
    let outcome = runtime.block_on(async {
        match command {
            Command::Server(args) if args.check => {
                operated("the configuration is not usable", boot::check(&args.config))
            }
            Command::Server(args) => operated("the server stopped", boot::run(&args.config).await),
            Command::Target(args) => {
                let TargetCommand::Setup(args) = args.command;
                let password = args.admin.as_ref().filter(|_| !args.print).map(|_| cli::admin_password());
                let password = password.transpose()?;
                let admin = args.admin.as_deref().zip(password);
                operated(
                    "the target is not set up",
                    setup::run(&args.config, &args.target, admin, args.print, args.remove).await,
                )
            }
            Command::Demo(args) => operated("the demo ended", demo::run(&args).await),
            command => cli::run(global, command).await,
        }
    });
    // A thread that waits for an answer on the terminal must not hold up the end.
    runtime.shutdown_background();
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => failed(&error),
    }
}

/// The other wings fail with a chain of causes: the first is what happened,
/// the rest is why.
fn operated(what: &str, result: anyhow::Result<()>) -> Result<u8, CliError> {
    result.map(|()| 0).map_err(|error| CliError::new(ErrorKind::Internal, what).why(format!("{error:#}")))
}

fn failed(error: &CliError) -> ExitCode {
    // Without words: the reader of our output went away (`| head`).
    if !error.what.is_empty() {
        drop(std::io::stderr().lock().write_all(error.render().as_bytes()));
    }
    ExitCode::from(error.kind().exit_code())
}
