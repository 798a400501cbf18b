//! argv in, exit code out.

use clap::Parser;
use dbaccess::cli::{self, Cli, CliError, Command};
use dbaccess::core::model::ErrorKind;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    dbaccess::tls::install_provider();
    let Cli { global, command } = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&CliError::local("no threads can be started", error)),
    };
    let outcome = runtime.block_on(async {
        match command {
            Command::Server(args) => operated(boot::run(&args).await),
            Command::Target(args) => operated(boot::target(&args).await),
            Command::Demo(args) => operated(demo::run(&args).await),
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

fn failed(error: &CliError) -> ExitCode {
    // Without words: the reader of our output went away (`| head`).
    if !error.what.is_empty() {
        drop(std::io::stderr().lock().write_all(error.render().as_bytes()));
    }
    ExitCode::from(error.kind().exit_code())
}
