//! The player on a terminal: raw mode, the alternate screen, and both given
//! back on every way out.

use super::keys::keys;
use super::player::Player;
use super::roll::Roll;
use super::{Manner, for_people};
use crate::cli::error::CliError;
use crate::cli::output::colour_on_stdout;
use crate::cli::session::Signals;
use crate::core::timeline::Timeline;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How late a new size of the window or a signal may be seen.
const GLANCE: Duration = Duration::from_millis(150);
/// How often what moves by itself is drawn.
const FRAME: Duration = Duration::from_millis(50);
/// Lines below the session: where it is, and what to press.
const FOOT: usize = 2;
const HELP: &str = "space play/pause · ←→ seek · n/p step · +/- speed · ↑↓ scroll · / search · q quit";

/// Plays until the person ends it, or a signal does: then 128 and its number.
pub async fn play(timeline: Timeline, manner: Manner) -> Result<u8, CliError> {
    let mut signals = Signals::catch()?;
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let player = move || show(Player::new(for_people(timeline), manner), &seen);
    let mut playing = tokio::task::spawn_blocking(player);
    let code = tokio::select! {
        played = &mut playing => return ended(played).map(|()| 0),
        _ = signals.terminate.recv() => 128 + 15,
        _ = signals.interrupt.recv() => 128 + 2,
        _ = signals.hang_up.recv() => 128 + 1,
    };
    stop.store(true, Ordering::Relaxed);
    ended(playing.await).map(|()| code)
}

fn ended(played: Result<io::Result<()>, tokio::task::JoinError>) -> Result<(), CliError> {
    let played = played.unwrap_or_else(|error| Err(io::Error::other(error)));
    played.map_err(|error| CliError::local("the terminal cannot be played on", error))
}

/// The terminal while it is ours.
struct Raw {
    before: Termios,
}

impl Raw {
    fn take() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        let taken = Self { before };
        tcsetattr(io::stdin(), OptionalActions::Flush, &raw)?;
        // The alternate screen, no cursor, no wrapping.
        write(b"\x1b[?1049h\x1b[?25l\x1b[?7l")?;
        Ok(taken)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // There is nobody left to tell if the terminal is gone.
        drop(write(b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"));
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn show(mut player: Player, stop: &AtomicBool) -> io::Result<()> {
    let colour = colour_on_stdout();
    let raw = Raw::take()?;
    let mut drawn = Drawn::default();
    let mut last = Instant::now();
    while !player.over && !stop.load(Ordering::Relaxed) {
        drawn.draw(&player, colour)?;
        let quiet = player.quiet().map_or(GLANCE, |quiet| quiet.clamp(FRAME, GLANCE));
        let pressed = read(quiet)?;
        let now = Instant::now();
        player.pass(now - std::mem::replace(&mut last, now));
        match pressed {
            Pressed::Nothing => {}
            Pressed::Keys(bytes) => keys(&bytes).into_iter().for_each(|key| player.press(key)),
            Pressed::Gone => break,
        }
    }
    drop(raw);
    Ok(())
}

enum Pressed {
    Nothing,
    Keys(Vec<u8>),
    /// The terminal was closed.
    Gone,
}

fn read(patience: Duration) -> io::Result<Pressed> {
    let stdin = io::stdin();
    let timeout = Timespec::try_from(patience).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&timeout)) {
        Ok(0) | Err(Errno::INTR) => return Ok(Pressed::Nothing),
        ready => ready?,
    };
    let mut bytes = vec![0; 256];
    match rustix::io::read(&stdin, &mut bytes) {
        Ok(0) | Err(Errno::IO) => Ok(Pressed::Gone),
        Ok(read) => {
            bytes.truncate(read);
            Ok(Pressed::Keys(bytes))
        }
        Err(Errno::INTR | Errno::AGAIN) => Ok(Pressed::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// What is on the screen.
#[derive(Default)]
struct Drawn {
    size: (usize, usize),
    roll: Option<Roll>,
    frame: String,
}

impl Drawn {
    fn draw(&mut self, player: &Player, colour: bool) -> io::Result<()> {
        let size = tcgetwinsize(io::stdout())?;
        let size = (usize::from(size.ws_col).max(20), usize::from(size.ws_row).max(4));
        if self.size != size {
            (self.size, self.roll) = (size, None);
        }
        let made = || Roll::new(&player.timeline, &player.moments, Some(size.0));
        let roll = self.roll.get_or_insert_with(made);
        let frame = frame(player, roll, size, colour);
        if frame == self.frame {
            return Ok(());
        }
        write(frame.as_bytes())?;
        self.frame = frame;
        Ok(())
    }
}

fn frame(player: &Player, roll: &Roll, (columns, rows): (usize, usize), colour: bool) -> String {
    let room = rows - FOOT;
    let there = roll.upto(player.passed());
    let end = there.saturating_sub(player.back).max(room.min(there));
    let lines = roll.shown(&player.timeline, end.saturating_sub(room)..end, columns, colour);
    let mut frame = String::from("\x1b[H");
    let mut written = 0;
    for line in lines {
        frame.push_str(&format!("{line}\x1b[K\r\n"));
        written += 1;
    }
    frame.push_str(&"\x1b[K\r\n".repeat(room - written));
    frame.push_str(&bar(player, columns, colour));
    frame.push_str("\x1b[K\r\n");
    frame.push_str(&foot(player, columns));
    frame.push_str("\x1b[K");
    frame
}

fn bar(player: &Player, columns: usize, colour: bool) -> String {
    let (at, all) = (player.position(), player.pace.length());
    let share = u128::from(at) * columns as u128 / u128::from(all.max(1));
    let done = if all == 0 { columns } else { usize::try_from(share).unwrap_or(columns).min(columns) };
    let (blue, dim, plain) = if colour { ("\x1b[34m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    format!("{blue}{}{plain}{dim}{}{plain}", "━".repeat(done), "─".repeat(columns - done))
}

fn foot(player: &Player, columns: usize) -> String {
    let said = match (&player.typing, &player.said) {
        (Some(typed), _) => format!("search: {typed}▏"),
        (None, Some(said)) => said.clone(),
        (None, None) => format!(
            "{} {}×  {} / {}  {} of {}   {HELP}",
            if player.playing { "▶" } else { "⏸" },
            player.speed,
            minutes(player.position()),
            minutes(player.pace.length()),
            player.statement(),
            player.timeline.statements.len(),
        ),
    };
    said.chars().take(columns).collect()
}

/// `4:07`.
fn minutes(us: u64) -> String {
    let seconds = us / 1_000_000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}
