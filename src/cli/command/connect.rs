use super::doctor::find_program;
use super::grants::pick;
use super::{Context, holder};
use crate::cli::error::CliError;
use crate::cli::hold::Ended;
use crate::cli::output::{note, relative, result};
use crate::cli::session::{self, Connection, Live, MISLEADING, Way, greeting, of_script};
use crate::cli::session_files::sweep;
use crate::core::model::{EndReason, ErrorKind, Secret};
use crate::os;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::process::{Child, Command};

/// Open a session and run psql in it, or COMMAND, or just hold it for a GUI.
///
/// The session ends when the program does, when the window ends, or when
/// somebody revokes it; its database role is gone then.
///
/// psql and COMMAND find everything in their environment: PGHOST, PGPORT,
/// PGUSER, PGDATABASE and PGPASSFILE, a private file that is wiped at the end.
/// COMMAND gets PGPASSWORD too, because many drivers read nothing else; only
/// your own processes can read a process's environment, and the password opens
/// this session alone.
#[derive(Clone, Debug, clap::Args)]
pub struct ConnectArgs {
    /// The database
    pub(super) target: String,
    /// The grant to use, by id or unique prefix, where several fit
    #[arg(long, value_name = "ID")]
    pub(super) grant: Option<String>,
    /// Run nothing: hold the session on this local port (or a free one) until Ctrl-C
    #[arg(long, num_args = 0..=1, default_missing_value = "0", value_name = "PORT", conflicts_with_all = ["print_env", "command"])]
    listen: Option<u16>,
    /// Use the server's own PostgreSQL endpoint instead of a local tunnel
    #[arg(long)]
    native: bool,
    /// Print where to connect and return; the session lasts until its window ends or it is revoked
    #[arg(long, requires = "native", conflicts_with_all = ["listen", "print_env", "command"])]
    detach: bool,
    /// Print export lines for `eval "$(…)"`; a process of ours holds the session in the background
    #[arg(long, conflicts_with_all = ["command", "native"])]
    print_env: bool,
    /// The background process of --print-env
    #[arg(long, hide = true, conflicts_with_all = ["listen", "native", "print_env", "command"])]
    holder: bool,
    /// The program to run, with its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

impl ConnectArgs {
    /// To run a program in a session under one grant.
    pub(super) fn under(target: String, grant: String, command: Vec<OsString>) -> Self {
        let (listen, native, detach, print_env, holder) = (None, false, false, false, false);
        Self { target, grant: Some(grant), listen, native, detach, print_env, holder, command }
    }

    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        sweep(os::now())?;
        let runs_psql = self.command.is_empty() && self.listen.is_none() && !self.detach;
        if runs_psql && !self.print_env && !self.holder && find_program("psql").is_none() {
            return Err(CliError::usage("psql is not installed, or not on PATH").hint(
                "install PostgreSQL's client, run another program (-- COMMAND), or hold a port: --listen",
            ));
        }
        let (client, endpoint) = (context.client()?, context.endpoint()?);
        let grant = pick(&client, &self.target, self.grant.as_deref(), |target, id| {
            format!("dbaccess connect {target} --grant {id}")
        })
        .await?;
        if self.print_env {
            return holder::start(&endpoint, &grant).await;
        }
        if self.native && client.about().await?.native.is_none() {
            return Err(CliError::usage("this server has no native PostgreSQL endpoint")
                .hint("leave out --native: the tunnel works everywhere"));
        }
        if self.detach {
            let (id, connection, password, until) =
                session::open_detached(&client, &endpoint, &grant).await?;
            result(&place(&connection, Some(&password)))?;
            note(&format!("session {id} lasts until {until} ({})", relative(until, os::now())));
            note(&format!("to end it: dbaccess revoke {id}"));
            return Ok(0);
        }
        let port = self.listen.filter(|port| *port != 0);
        let way = if self.native { Way::Native } else { Way::Tunnel { port } };
        let mut live = Live::open(client, &endpoint, &grant, way).await?;
        if self.holder {
            return holder::hold(live).await;
        }
        note(&greeting(&live, &grant));
        if let Some(line) = of_script(&grant) {
            note(&line);
        }
        let end = if self.listen.is_some() {
            match result(&place(&live.connection, self.native.then_some(&live.password))) {
                Ok(()) => {
                    note("holding the session; Ctrl-C ends it");
                    wait(&mut live).await
                }
                Err(error) => Err(error),
            }
        } else {
            run_child(&self.command, &mut live).await
        };
        finish(live, end).await
    }
}

/// How holding a session came to its end.
pub(super) enum End {
    /// The program ended.
    Exited(ExitStatus),
    /// The server ended the session.
    Cut(Ended),
    /// Somebody ended this process: Ctrl-C while holding a port, or a signal.
    Signalled { code: u8 },
}

/// Ends the session, however it went, and gives the exit code.
pub(super) async fn finish(live: Live, end: Result<End, CliError>) -> Result<u8, CliError> {
    let ended = match &end {
        Ok(End::Cut(ended)) => Some(ended),
        _ => None,
    };
    if let Some(ended) = ended {
        note(&format!("the session was ended: {}", words(ended)));
    }
    let told = live.end(ended).await.map_or(EndReason::Lost, |summary| summary.reason);
    let cut = told != EndReason::Exit;
    match end {
        // The program lost its connection before we heard why.
        Ok(End::Exited(status)) if cut && !status.success() => Ok(code_of(told)),
        Ok(End::Exited(status)) => Ok(status_code(status)),
        Ok(End::Signalled { code }) => Ok(code),
        // A client that was away when it happened learns the reason only now.
        Ok(End::Cut(ended)) if ended.reason == EndReason::Lost => Ok(code_of(told)),
        Ok(End::Cut(ended)) => Ok(code_of(ended.reason)),
        Err(error) if cut => {
            note(error.render().trim_end());
            Ok(code_of(told))
        }
        Err(error) => Err(error),
    }
}

fn code_of(reason: EndReason) -> u8 {
    match reason {
        EndReason::Exit => 0,
        EndReason::Expired | EndReason::Revoked | EndReason::IncidentOver | EndReason::Suspended => {
            ErrorKind::Expired.exit_code()
        }
        EndReason::Lost | EndReason::ServerStopped => ErrorKind::Unreachable.exit_code(),
        EndReason::Failed => ErrorKind::Internal.exit_code(),
    }
}

fn words(ended: &Ended) -> &str {
    if ended.message.is_empty() { ended.reason.as_str() } else { &ended.message }
}

/// Holds the session until it ends or somebody ends this process.
pub(super) async fn wait(live: &mut Live) -> Result<End, CliError> {
    let Live { hold, signals, .. } = live;
    Ok(tokio::select! {
        ended = hold.ended() => {
            // The clients of the tunnel have been told why, too: let it reach them.
            tokio::time::sleep(LAST_WORDS).await;
            End::Cut(ended)
        }
        _ = signals.interrupt.recv() => End::Signalled { code: 0 },
        _ = signals.terminate.recv() => End::Signalled { code: 128 + 15 },
        _ = signals.hang_up.recv() => End::Signalled { code: 128 + 1 },
    })
}

/// How long a program may take to end by itself when its session was taken away.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// Runs psql or the command until it, the session, or this process ends.
async fn run_child(command: &[OsString], live: &mut Live) -> Result<End, CliError> {
    // Ctrl-C reaches the child from the terminal by itself (psql cancels its
    // statement); a handler, unlike an ignored signal, is not inherited by it.
    let terminal = rustix::termios::tcgetattr(std::io::stdin()).ok();
    let mut child = child_command(command, &live.connection, &live.password)?;
    let name = command.first().map_or("psql".into(), |name| name.to_string_lossy());
    let mut child = child.spawn().map_err(|error| {
        CliError::new(ErrorKind::Usage, format!("{name} cannot be run")).why(error.to_string())
    })?;
    let end = loop {
        tokio::select! {
            status = child.wait() => {
                let status = status.map_err(|error| CliError::local(format!("{name} is lost"), error))?;
                return Ok(End::Exited(status));
            }
            ended = live.hold.ended() => {
                // Its connection has been told why, too: let it say so.
                drop(tokio::time::timeout(LAST_WORDS, child.wait()).await);
                break End::Cut(ended);
            }
            _ = live.signals.interrupt.recv() => {}
            _ = live.signals.terminate.recv() => break End::Signalled { code: 128 + 15 },
            _ = live.signals.hang_up.recv() => break End::Signalled { code: 128 + 1 },
        }
    };
    stop(&mut child).await;
    if let Some(terminal) = terminal {
        // A program that is killed leaves the terminal as it had it: no echo, raw.
        let now = rustix::termios::OptionalActions::Now;
        rustix::termios::tcsetattr(std::io::stdin(), now, &terminal).ok();
        note("");
    }
    Ok(end)
}

fn child_command(
    words: &[OsString],
    connection: &Connection,
    password: &Secret,
) -> Result<Command, CliError> {
    let mut command = match words {
        [] => Command::new("psql"),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments);
            command
        }
    };
    for name in MISLEADING {
        command.env_remove(name);
    }
    command.envs(connection.environment());
    if !words.is_empty() {
        command.env("PGPASSWORD", password.expose());
    }
    // The ordinary end is `stop`, politely; this is for a future that is dropped.
    command.kill_on_drop(true);
    Ok(command)
}

/// Asks the child to end, and makes it after a while.
async fn stop(child: &mut Child) {
    const PATIENCE: Duration = Duration::from_secs(2);
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if has_terminal_to_itself() {
        // With what the child has started: a pager or an editor would outlive
        // it and go on reading the terminal. The signal is caught here.
        rustix::process::kill_current_process_group(rustix::process::Signal::TERM).ok();
    } else if let Some(pid) = pid {
        // It may have ended by itself just now.
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).ok();
    }
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
        drop(child.kill().await);
    }
}

/// Whether our process group is ours alone: the job of an interactive shell,
/// not a part of a script or a pipeline, which must not be hit.
fn has_terminal_to_itself() -> bool {
    let leads = rustix::process::getpgrp() == rustix::process::getpid();
    leads && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The child's own code, or 128 and the signal that ended it, as shells do.
fn status_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Where a GUI connects.
/// Where a session is reached. The password itself is shown for the native
/// endpoint alone: there the tool may be on another machine.
fn place(connection: &Connection, password: Option<&Secret>) -> String {
    let password = password.map(|password| format!("password       {}\n", password.expose()));
    format!(
        "host           {}\nport           {}\nuser           {}\ndatabase       {}\n{}password file  {}\n\
         JDBC URL       {}\n",
        connection.host,
        connection.port,
        connection.user,
        connection.database,
        password.unwrap_or_default(),
        connection.password_file.display(),
        connection.jdbc_url(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b9_the_exit_code_is_the_childs_own() {
        for (raw, code) in [(0, 0), (3 << 8, 3), (255 << 8, 255), (9, 137), (15, 143)] {
            assert_eq!(status_code(ExitStatus::from_raw(raw)), code);
        }
    }
}
