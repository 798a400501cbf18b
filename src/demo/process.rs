//! A command of the story as its person runs it: a process of its own, in the
//! person's surroundings, watched line by line.

use super::identity::{Answer, answer_without_browser};
use super::people;
use super::screen::Screen;
use super::world::World;
use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// Reached only when something is broken.
const LIMIT: Duration = Duration::from_secs(60);
/// The caller's variables that would lead a command elsewhere.
const MISLEADING: [&str; 8] = [
    "DBACCESS_TOKEN",
    "DBACCESS_CONFIG",
    "DBUS_SESSION_BUS_ADDRESS",
    "PGSERVICE",
    "PGHOST",
    "PGPORT",
    "PGOPTIONS",
    "PSQLRC",
];

/// A running command. Dropping it kills the command and its children.
pub struct Process {
    who: &'static str,
    child: Child,
    group: Option<Pid>,
    out: Lines<BufReader<ChildStdout>>,
    err: Lines<BufReader<ChildStderr>>,
}

/// What became of a command.
#[derive(Debug, Default)]
pub struct Ended {
    /// As a shell says it: 128 and the signal, where one ended it.
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Process {
    pub fn start(world: &World, screen: &Screen, who: &'static str, words: &[String]) -> Result<Self> {
        let [program, arguments @ ..] = words else { bail!("no command") };
        let home = people::home(world.dir(), who);
        let mut command = match program.as_str() {
            "dbaccess" => Command::new(std::env::current_exe()?),
            other => Command::new(other),
        };
        command
            .args(arguments)
            .envs(people::environment(world.dir(), who, &world.around))
            .env("HOME", &home)
            .env("COLUMNS", screen.room().to_string())
            .current_dir(&home);
        for name in MISLEADING {
            command.env_remove(name);
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let programs = world.around.programs.iter().cloned().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(programs)?);
        // A group of its own, so that it can be ended together with its children.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot run {program}"))?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else { bail!("no pipes") };
        Ok(Self { who, child, group, out: lines(out), err: lines(err) })
    }

    /// Shows what the command prints until it ends. When it asks its person to
    /// open an address in a browser, that is done.
    pub async fn finish(mut self, world: &World, screen: &Screen) -> Result<Ended> {
        let watched = tokio::time::timeout(LIMIT, self.watch(world, screen)).await;
        watched.unwrap_or_else(|_| bail!("it did not end within {} seconds", LIMIT.as_secs()))
    }

    async fn watch(&mut self, world: &World, screen: &Screen) -> Result<Ended> {
        let mut ended = Ended::default();
        let (mut out_open, mut err_open) = (true, true);
        // Opened once the line after it was read too, as a person does.
        let mut link: Option<String> = None;
        while out_open || err_open {
            // What can be read of both was written on stdout first: results come before remarks.
            let (text, line) = tokio::select! {
                biased;
                line = self.out.next_line(), if out_open => (&mut ended.out, note_end(line?, &mut out_open)),
                line = self.err.next_line(), if err_open => (&mut ended.err, note_end(line?, &mut err_open)),
            };
            let Some(line) = line else { continue };
            screen.printed(&line);
            text.push_str(&line);
            text.push('\n');
            if let Some(link) = link.take() {
                let answer = Answer::ApproveAs(self.who);
                answer_without_browser(&world.around.ca, &link, answer).await?;
                screen.told(&format!("({} opens it, compares the code, and approves)", self.who));
            }
            link = line.strip_prefix("Sign in at: ").map(|link| link.trim().to_owned());
        }
        let status = self.child.wait().await?;
        ended.code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
        Ok(ended)
    }
}

fn lines<T: AsyncRead>(from: T) -> Lines<BufReader<T>> {
    BufReader::new(from).lines()
}

fn note_end(line: Option<String>, open: &mut bool) -> Option<String> {
    *open = line.is_some();
    line
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not after it was waited for: its number may be another's by then.
        if let (Some(group), Some(_)) = (self.group, self.child.id()) {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}
