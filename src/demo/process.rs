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
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Reached only when something is broken.
const LIMIT: Duration = Duration::from_secs(60);
/// Lines that wait to be shown; a command that prints more waits itself.
const LINES: usize = 1000;
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
    lines: mpsc::Receiver<(Stream, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
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
        let (sender, lines) = mpsc::channel(LINES);
        if let Some(out) = child.stdout.take() {
            tokio::spawn(read(Stream::Out, out, sender.clone()));
        }
        if let Some(err) = child.stderr.take() {
            tokio::spawn(read(Stream::Err, err, sender));
        }
        Ok(Self { who, child, group, lines })
    }

    /// Shows what the command prints until it ends. When it asks its person to
    /// open an address in a browser, that is done.
    pub async fn finish(mut self, world: &World, screen: &Screen) -> Result<Ended> {
        let watched = tokio::time::timeout(LIMIT, self.watch(world, screen)).await;
        watched.unwrap_or_else(|_| bail!("it did not end within {} seconds", LIMIT.as_secs()))
    }

    async fn watch(&mut self, world: &World, screen: &Screen) -> Result<Ended> {
        let mut ended = Ended::default();
        while let Some((stream, line)) = self.lines.recv().await {
            screen.printed(&line);
            if let Some(link) = line.strip_prefix("Sign in at: ") {
                let answer = Answer::ApproveAs(self.who);
                answer_without_browser(&world.around.ca, link.trim(), answer).await?;
                screen.told(&format!("({} opens the address, compares the code and approves)", self.who));
            }
            let text = if stream == Stream::Out { &mut ended.out } else { &mut ended.err };
            text.push_str(&line);
            text.push('\n');
        }
        let status = self.child.wait().await?;
        ended.code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1);
        Ok(ended)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not after it was waited for: its number may be another's by then.
        if let (Some(group), Some(_)) = (self.group, self.child.id()) {
            kill_process_group(group, Signal::KILL).ok();
        }
    }
}

async fn read(stream: Stream, from: impl AsyncRead + Unpin, to: mpsc::Sender<(Stream, String)>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if to.send((stream, line)).await.is_err() {
            return;
        }
    }
}
