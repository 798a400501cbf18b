//! argv in, exit code out.

use clap::Parser;
use dbaccess::cli::{
    self, Cli, CliError, Command, Global, PolicyArgs, PolicyCommand, TargetArgs, TargetCommand,
};
use dbaccess::core::model::ErrorKind;
use dbaccess::server::classify::{self, Proposed};
use dbaccess::server::config::Config;
use dbaccess::server::{boot, policy_check, setup};
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
                done("the configuration is not usable", boot::check(&args.server.config)).map(|remarks| {
                    remarks.iter().for_each(|remark| cli::note(remark));
                    cli::note(&format!("{} is usable", args.server.config.display()));
                    0
                })
            }
            Command::Server(args) => operated("the server stopped", boot::run(&args.server.config).await),
            Command::Target(args) => target(global, args.command).await,
            Command::Policy(args) => policy(global, args.command).await,
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

async fn target(global: Global, command: TargetCommand) -> Result<u8, CliError> {
    match command {
        TargetCommand::Setup(args) => {
            let password = args.admin.as_ref().filter(|_| !args.print).map(|_| cli::admin_password());
            let admin = args.admin.as_deref().zip(password.transpose()?);
            operated(
                "the target is not set up",
                setup::run(&args.server.config, &args.target, admin, args.print, args.remove).await,
            )
        }
        TargetCommand::Classify(args) => {
            let what = "the target is not classified";
            let mut proposed =
                done(what, Proposed::of(&args.server.config, &args.target, args.sample).await)?;
            for problem in &proposed.problems {
                cli::note(problem);
            }
            let proposals = std::mem::take(&mut proposed.proposals);
            cli::show_proposals(args.output, &proposals)?;
            let accepted = cli::accepted(&args, proposals)?;
            if accepted.is_empty() {
                return Ok(0);
            }
            for line in done(what, proposed.write(&accepted))? {
                cli::note(&format!("+ {line}"));
            }
            cli::note("The server reads its configuration when it starts: restart it.");
            Ok(0)
        }
        TargetCommand::Check(args) => {
            let findings = classify::check(&args.server.config, &args.target).await;
            cli::show_findings(args.output, &done("the target is not checked", findings)?)
        }
        command => cli::run(global, Command::Target(TargetArgs { command })).await,
    }
}

async fn policy(global: Global, command: PolicyCommand) -> Result<u8, CliError> {
    match command {
        PolicyCommand::Check(args) => {
            let asked = policy_check::Asked {
                files: &args.files,
                with_default: args.with_default,
                config: args.config.as_deref(),
                tests: args.tests.as_deref(),
            };
            let findings = done("the policy is not checked", policy_check::check(&asked))?;
            cli::show_findings(args.output, &findings)
        }
        PolicyCommand::Init(args) => {
            let written = args.write()?;
            if let Err(error) = Config::load(&written.config) {
                written.take_back();
                return Err(CliError::usage("no server would take these answers").why(error.to_string()));
            }
            written.tell();
            Ok(0)
        }
        command => cli::run(global, Command::Policy(PolicyArgs { command })).await,
    }
}

/// The other wings fail with a chain of causes: the first is what happened,
/// the rest is why.
fn operated(what: &str, result: anyhow::Result<()>) -> Result<u8, CliError> {
    done(what, result).map(|()| 0)
}

fn done<T>(what: &str, result: anyhow::Result<T>) -> Result<T, CliError> {
    result.map_err(|error| CliError::new(ErrorKind::Internal, what).why(told(&error)))
}

/// An error with its causes, but for those that the error before them has told already.
fn told(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.as_str() {
        "" => cause,
        before if before.ends_with(&cause) => told,
        before => format!("{before}: {cause}"),
    })
}

fn failed(error: &CliError) -> ExitCode {
    // Without words: the reader of our output went away (`| head`).
    if !error.what.is_empty() {
        drop(std::io::stderr().lock().write_all(error.render().as_bytes()));
    }
    ExitCode::from(error.kind().exit_code())
}
