//! `connect --print-env`: a process of ours that holds the session while the
//! shell goes on, so that `eval "$(dbaccess connect X --print-env)"` returns.
//! It ends with the window, a revocation, or a signal.

use super::connect::{End, finish, wait};
use crate::cli::error::CliError;
use crate::cli::output::{note, result};
use crate::cli::session::{Live, shell_quoted};
use crate::cli::settings::Endpoint;
use crate::core::model::{ErrorKind, Grant};
use std::io::IsTerminal;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

/// What the holder prints after its last export line.
const READY: &str = "# ready";

/// Starts the holder and prints its export lines.
pub(super) async fn start(endpoint: &Endpoint, grant: &Grant) -> Result<u8, CliError> {
    let failed = |error: std::io::Error| CliError::local("the background process cannot be started", error);
    // Its warnings belong on the terminal. Anything else that captures stderr
    // would wait for as long as the holder has it open.
    let on_terminal = std::io::stderr().is_terminal();
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command
        .args(["connect", &grant.target, "--holder", "--grant", grant.id.as_str()])
        .env("DBACCESS_SERVER", endpoint.server.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(if on_terminal { Stdio::inherit() } else { Stdio::piped() });
    if let Some(ca) = &endpoint.ca {
        command.env("DBACCESS_CA", ca);
    }
    let mut child = command.spawn().map_err(failed)?;
    let mut exports = String::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await.map_err(failed)? {
            if line == READY {
                result(&exports)?;
                note("the session outlives this shell: `dbaccess revoke $DBACCESS_SESSION` ends it");
                return Ok(0);
            }
            exports.push_str(&line);
            exports.push('\n');
        }
    }
    // It ended before it was ready; its stderr says why.
    if let Some(mut stderr) = child.stderr.take() {
        let mut text = String::new();
        stderr.read_to_string(&mut text).await.map_err(failed)?;
        note(text.trim_end());
    }
    let status = child.wait().await.map_err(failed)?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.filter(|code| *code != 0).unwrap_or(ErrorKind::Internal.exit_code()))
}

/// The holder itself: says where the session is, then stays with it.
pub(super) async fn hold(mut live: Live) -> Result<u8, CliError> {
    // Out of the terminal's session, so that Ctrl-C in the shell is not for us.
    // It fails only for a process that leads its own group already.
    rustix::process::setsid().ok();
    let mut lines: Vec<String> = live
        .connection
        .environment()
        .into_iter()
        .map(|(name, value)| format!("export {name}={}", shell_quoted(&value)))
        .collect();
    lines.push("unset PGHOSTADDR PGSERVICE PGPASSWORD".to_owned());
    lines.push(READY.to_owned());
    let end = match result(&format!("{}\n", lines.join("\n"))) {
        Ok(()) => wait(&mut live).await,
        // The shell is gone already.
        Err(_) => Ok(End::Signalled { code: 1 }),
    };
    finish(live, end).await
}
