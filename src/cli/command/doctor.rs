use super::Context;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs};
use crate::cli::settings::ClientFile;
use crate::cli::tokens::TokenStore;
use crate::cli::{paths, tunnel};
use crate::core::model::ErrorKind;
use crate::proto::{Finding, FindingLevel};
use std::path::PathBuf;

/// Check this machine, the way to the server, and the server's own findings.
///
/// Exit code 1 when something is a problem.
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// Check this target too
    target: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl DoctorArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let findings = self.findings(context).await;
        show_findings(self.output, &findings)
    }

    async fn findings(&self, context: &Context) -> Vec<Finding> {
        let mut findings = vec![runtime_directory(), psql()];
        let endpoint = match context.endpoint() {
            Ok(endpoint) => endpoint,
            Err(error) => {
                findings.push(problem("configuration", &error));
                return findings;
            }
        };
        let file = ClientFile::path().map(|path| path.display().to_string()).unwrap_or_default();
        findings.push(ok("configuration", format!("server {} ({file})", endpoint.server)));
        let client = match context.client() {
            Ok(client) => client,
            Err(error) => {
                findings.push(problem("login", &error));
                return findings;
            }
        };
        findings.push(ok("token", kept(client.store())));
        match client.about().await {
            Ok(about) => {
                findings.push(ok("server", format!("version {} answers", about.version)));
                findings.push(match Client::clock_problem(&about) {
                    None => ok("clock", "agrees with the server's".into()),
                    Some(message) => Finding {
                        check: "clock".into(),
                        level: FindingLevel::Problem,
                        message,
                        remedy: Some("set the clock: logins and windows depend on it".into()),
                    },
                });
            }
            Err(error) => {
                findings.push(problem("server", &error));
                return findings;
            }
        }
        findings.push(match tunnel::probe(&endpoint).await {
            Ok(way) => ok("tunnel", format!("opens over {way}")),
            Err(error) => problem("tunnel", &error),
        });
        match client.me().await {
            Ok(me) => findings.push(ok("login", format!("you are {}", me.person.email))),
            Err(error) => {
                findings.push(problem("login", &error));
                return findings;
            }
        }
        match client.doctor(self.target.as_deref()).await {
            Ok(more) => findings.extend(more),
            Err(error) => findings.push(problem("server's own checks", &error)),
        }
        findings
    }
}

/// Prints findings. Returns the exit code: 1 when something is a problem.
pub fn show_findings(output: OutputArgs, findings: &[Finding]) -> Result<u8, CliError> {
    let mut listing = Listing::new(["", "check", "finding", "remedy"], "nothing was checked");
    for finding in findings {
        let level = match finding.level {
            FindingLevel::Ok => "ok",
            FindingLevel::Warning => "warning",
            FindingLevel::Problem => "PROBLEM",
        };
        listing.row([
            level.to_owned(),
            finding.check.clone(),
            finding.message.clone(),
            finding.remedy.clone().unwrap_or_default(),
        ]);
    }
    if output.output == Format::Csv {
        listing.header = vec!["level", "check", "finding", "remedy"];
    }
    output::print_list(output.output, &listing, &findings)?;
    let sick = findings.iter().any(|finding| finding.level == FindingLevel::Problem);
    Ok(if sick { ErrorKind::Internal.exit_code() } else { 0 })
}

fn ok(check: &str, message: String) -> Finding {
    Finding { check: check.into(), level: FindingLevel::Ok, message, remedy: None }
}

fn problem(check: &str, error: &CliError) -> Finding {
    Finding {
        check: check.into(),
        level: FindingLevel::Problem,
        message: error.to_string(),
        remedy: error.hint.clone(),
    }
}

/// Where the login is kept on this machine.
fn kept(store: &TokenStore) -> String {
    let file = store.file();
    if store.is_read_only() {
        "from DBACCESS_TOKEN".to_owned()
    } else if file.exists() {
        format!("in {}, which only you can read: no keyring was usable", file.display())
    } else if store.load().ok().flatten().is_some() {
        "in the system's keyring".to_owned()
    } else {
        "none is kept here".to_owned()
    }
}

fn runtime_directory() -> Finding {
    match paths::runtime_dir() {
        Ok(path) => ok("runtime directory", path.display().to_string()),
        Err(error) => problem("runtime directory", &error.into()),
    }
}

fn psql() -> Finding {
    match find_program("psql") {
        Some(path) => ok("psql", path.display().to_string()),
        None => Finding {
            check: "psql".into(),
            level: FindingLevel::Warning,
            message: "not found on PATH".into(),
            remedy: Some("install PostgreSQL's client, or use: dbaccess connect TARGET -- COMMAND".into()),
        },
    }
}

/// A program on PATH that may be run.
pub(super) fn find_program(name: &str) -> Option<PathBuf> {
    use rustix::fs::{Access, access};
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file() && access(path, Access::EXEC_OK).is_ok())
}
