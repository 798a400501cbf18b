//! Where a player is in a session, and what a key does to that. Pure: time
//! comes in as what has passed.

use super::keys::Key;
use super::{FASTEST, Manner, SLOWEST};
use crate::core::timeline::{Moment, Pace, Statement, Timeline, What, moments};
use std::time::Duration;

/// What an arrow key skips, in played microseconds.
const STEP: u64 = 5_000_000;

pub struct Player {
    pub timeline: Timeline,
    pub moments: Vec<Moment>,
    pub pace: Pace,
    /// When each moment is played.
    played: Vec<u64>,
    /// Played time, and how many moments have passed then.
    position: u64,
    passed: usize,
    pub speed: f64,
    pub playing: bool,
    /// Lines above the newest that the screen ends at.
    pub back: usize,
    /// What is typed to search for, while it is typed.
    pub typing: Option<String>,
    sought: String,
    /// Something to say in place of the help, until the next key.
    pub said: Option<String>,
    pub over: bool,
}

impl Player {
    pub fn new(timeline: Timeline, manner: Manner) -> Self {
        let moments = moments(&timeline);
        let pace = Pace::new(&moments, manner.idle);
        let played = moments.iter().map(|moment| pace.played_time(moment.at)).collect();
        let mut player = Self {
            timeline,
            moments,
            pace,
            played,
            position: 0,
            passed: 0,
            speed: manner.speed,
            playing: true,
            back: 0,
            typing: None,
            sought: String::new(),
            said: None,
            over: false,
        };
        player.seek(0);
        player
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many moments have passed.
    pub fn passed(&self) -> usize {
        self.passed
    }

    /// The statement that began last, counted from 1.
    pub fn statement(&self) -> usize {
        self.passed_moments().filter(|moment| matches!(moment.what, What::Begin(_))).count()
    }

    /// Time goes on.
    pub fn pass(&mut self, elapsed: Duration) {
        if !self.playing {
            return;
        }
        let played = elapsed.mul_f64(self.speed).as_micros();
        let to = self.position.saturating_add(u64::try_from(played).unwrap_or(u64::MAX));
        let passed = self.passed;
        self.seek(to);
        // Moments of one time may have been stepped through.
        self.passed = self.passed.max(passed);
        self.playing = self.position < self.pace.length();
    }

    /// How long nothing new is to be seen.
    pub fn quiet(&self) -> Option<Duration> {
        let next = self.played.get(self.passed).filter(|_| self.playing)?;
        Some(Duration::from_micros(next.saturating_sub(self.position)).div_f64(self.speed))
    }

    pub fn press(&mut self, key: Key) {
        self.said = None;
        if let Some(typed) = self.typing.take() {
            self.type_on(typed, key);
            return;
        }
        match key {
            Key::Char('q') | Key::Interrupt => self.over = true,
            Key::Char(' ') => self.toggle(),
            Key::Char('+' | '=') => self.speed = (self.speed * 2.0).min(FASTEST),
            Key::Char('-') => self.speed = (self.speed / 2.0).max(SLOWEST),
            Key::Right => self.seek(self.position.saturating_add(STEP)),
            Key::Left => self.seek(self.position.saturating_sub(STEP)),
            Key::Home | Key::Char('g') => self.seek(0),
            Key::End | Key::Char('G') => self.seek(u64::MAX),
            Key::Char('n') => self.step(true),
            Key::Char('p') => self.step(false),
            Key::Char('/') => self.typing = Some(String::new()),
            Key::Up => self.back += 1,
            Key::Down => self.back = self.back.saturating_sub(1),
            Key::PageUp => self.back += 10,
            Key::PageDown => self.back = self.back.saturating_sub(10),
            Key::Char(_) | Key::Enter | Key::Escape | Key::Backspace => {}
        }
    }

    fn toggle(&mut self) {
        self.back = 0;
        if !self.playing && self.position >= self.pace.length() {
            self.seek(0);
        }
        self.playing = !self.playing;
    }

    fn seek(&mut self, to: u64) {
        self.back = 0;
        self.position = to.min(self.pace.length());
        self.passed = self.played.partition_point(|at| *at <= self.position);
    }

    /// To just behind this moment, and there it waits.
    fn stop_at(&mut self, index: usize) {
        self.position = self.played.get(index).copied().unwrap_or(self.position);
        self.passed = index + 1;
        (self.playing, self.back) = (false, 0);
    }

    /// To the end of the next statement, or of the one before.
    fn step(&mut self, forward: bool) {
        let is_end = |index: &usize| self.moments.get(*index).is_some_and(|moment| self.ends(moment.what));
        let found = if forward {
            (self.passed..self.moments.len()).find(is_end)
        } else {
            (0..self.passed.saturating_sub(1)).rfind(is_end)
        };
        match found {
            Some(index) => self.stop_at(index),
            None if forward => self.stop_at(self.moments.len().saturating_sub(1)),
            None => {
                self.seek(0);
                self.playing = false;
            }
        }
    }

    /// Whether a statement has come as far as it will.
    fn ends(&self, what: What) -> bool {
        match what {
            What::End(_) => true,
            What::Begin(index) => self.statement_at(index).is_some_and(|one| one.ends_at().is_none()),
            What::Mark(_) | What::Rows { .. } => false,
        }
    }

    fn type_on(&mut self, mut typed: String, key: Key) {
        match key {
            Key::Enter => {
                if !typed.is_empty() {
                    self.sought = typed.to_lowercase();
                }
                self.search();
            }
            Key::Escape | Key::Interrupt => {}
            Key::Backspace => {
                typed.pop();
                self.typing = Some(typed);
            }
            Key::Char(c) => {
                typed.push(c);
                self.typing = Some(typed);
            }
            _ => self.typing = Some(typed),
        }
    }

    /// To the next statement in which it stands, from the first again behind the last.
    fn search(&mut self) {
        if self.sought.is_empty() {
            return;
        }
        let hit = |index: &usize| {
            let moment = self.moments.get(*index).filter(|moment| self.ends(moment.what));
            let statement = moment.and_then(|moment| match moment.what {
                What::End(index) | What::Begin(index) => self.statement_at(index),
                What::Mark(_) | What::Rows { .. } => None,
            });
            statement.is_some_and(|statement| mentions(statement, &self.sought))
        };
        let found = (self.passed..self.moments.len()).find(hit).or_else(|| (0..self.passed).find(hit));
        match found {
            Some(index) => self.stop_at(index),
            None => self.said = Some(format!("{} is nowhere in it", self.sought)),
        }
    }

    fn statement_at(&self, index: usize) -> Option<&Statement> {
        self.timeline.statements.get(index)
    }

    fn passed_moments(&self) -> impl Iterator<Item = &Moment> {
        self.moments.iter().take(self.passed)
    }
}

/// Whether it stands in the text, the error or a row.
fn mentions(statement: &Statement, sought: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(sought);
    has(&statement.text)
        || statement.error().is_some_and(|(sqlstate, message)| has(sqlstate) || has(message))
        || statement.grid.iter().flatten().flatten().any(|value| has(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::SessionId;
    use jiff::Timestamp;

    /// Statements of a second, a minute apart; pauses are two seconds.
    fn player() -> Player {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        for (number, text) in (0_u8..).zip(["SELECT 1", "SELECT 'Needle'", "SELECT 3"]) {
            let at = Timestamp::from_second(1000 + 60 * i64::from(number)).unwrap();
            let mut one = Statement::begun(number.into(), at, "con-a", text.to_owned());
            one.duration_us = Some(1_000_000);
            timeline.statements.push(one);
        }
        Player::new(timeline, Manner { speed: 1.0, idle: Some(Duration::from_secs(2)) })
    }

    fn press(player: &mut Player, keys: &str) {
        for c in keys.chars() {
            player.press(if c == '\r' { Key::Enter } else { Key::Char(c) });
        }
    }

    #[test]
    fn time_passes_at_its_speed_and_stops_at_the_end() {
        let mut player = player();
        assert_eq!((player.pace.length(), player.passed(), player.statement()), (7_000_000, 1, 1));
        assert_eq!(player.quiet(), Some(Duration::from_secs(1)));
        player.pass(Duration::from_millis(1500));
        assert_eq!((player.position(), player.passed()), (1_500_000, 2));
        press(&mut player, "++");
        player.pass(Duration::from_millis(500));
        assert_eq!((player.position(), player.statement()), (3_500_000, 2));
        press(&mut player, " ");
        player.pass(Duration::from_secs(9));
        assert_eq!((player.position(), player.quiet()), (3_500_000, None));
        press(&mut player, " -");
        player.pass(Duration::from_secs(9));
        assert_eq!((player.position(), player.playing), (7_000_000, false));
        press(&mut player, " ");
        assert_eq!((player.position(), player.playing), (0, true), "from the first again");
    }

    #[test]
    fn keys_and_the_option_have_the_same_bounds() {
        let mut player = player();
        for (speed, key) in [(SLOWEST, "-"), (FASTEST, "+")] {
            player.speed = speed;
            press(&mut player, key);
            assert_eq!(player.speed, speed);
        }
        press(&mut player, &"-".repeat(20));
        assert_eq!(player.speed, SLOWEST);
    }

    #[test]
    fn it_goes_from_statement_to_statement() {
        let mut player = player();
        let mut seen = Vec::new();
        for key in "nnnnpppp".chars() {
            press(&mut player, &key.to_string());
            seen.push((player.position() / 1_000_000, player.passed()));
        }
        let expected = [(1, 2), (4, 4), (7, 6), (7, 6), (4, 4), (1, 2), (0, 1), (0, 1)];
        assert_eq!(seen, expected);
        assert!(!player.playing);
        player.press(Key::Right);
        assert_eq!(player.position(), 5_000_000);
        player.press(Key::End);
        player.press(Key::Left);
        assert_eq!(player.position(), 2_000_000);
    }

    #[test]
    fn it_finds_and_says_what_it_does_not_find() {
        let mut player = player();
        press(&mut player, "/needle\r");
        assert_eq!((player.position(), player.playing), (4_000_000, false));
        press(&mut player, "/select\r");
        assert_eq!(player.position(), 7_000_000);
        press(&mut player, "/\r");
        assert_eq!(player.position(), 1_000_000, "the same again, from the first");
        press(&mut player, "/hay\r");
        assert_eq!(player.said.as_deref(), Some("hay is nowhere in it"));
        press(&mut player, "/q");
        player.press(Key::Escape);
        assert!(!player.over && player.typing.is_none());
        press(&mut player, "q");
        assert!(player.over);
    }
}
