//! A session as lines of a terminal, moment by moment: what the player, the
//! cast and a pipe show is the same.

use crate::cli::recorded::{cell, outcome};
use crate::core::sql::{Shade, highlight};
use crate::core::timeline::{MarkKind, Moment, Statement, Timeline, What, is_number};
use jiff::Timestamp;
use std::collections::HashMap;
use std::rc::Rc;
use unicode_width::UnicodeWidthChar as _;
use unicode_width::UnicodeWidthStr as _;

/// What a piece of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Plain,
    Dim,
    Bold,
    Keyword,
    Text,
    Number,
    Good,
    Bad,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<(Ink, String)>);

/// All lines of a session, and how many of them are there after each moment.
pub struct Roll {
    pub lines: Vec<Line>,
    ends: Vec<usize>,
}

/// For a pipe: all of it, without colours and as wide as it is.
pub fn plain(timeline: &Timeline, moments: &[Moment], colour: bool) -> String {
    let roll = Roll::new(timeline, moments, None);
    roll.lines.iter().map(|line| format!("{}\n", line.shown(usize::MAX, colour))).collect()
}

impl Roll {
    /// Long statements are broken at `width`.
    pub fn new(timeline: &Timeline, moments: &[Moment], width: Option<usize>) -> Self {
        let mut writer = Writer {
            timeline,
            width: width.unwrap_or(usize::MAX),
            lines: Vec::new(),
            grid: None,
            shown: vec![0; timeline.statements.len()],
            widths: HashMap::new(),
        };
        let mut ends = Vec::with_capacity(moments.len());
        for moment in moments {
            writer.moment(moment.what);
            ends.push(writer.lines.len());
        }
        Self { lines: writer.lines, ends }
    }

    /// How many lines are there when so many moments have passed.
    pub fn upto(&self, passed: usize) -> usize {
        passed.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0)
    }
}

impl Line {
    fn of(ink: Ink, text: impl Into<String>) -> Self {
        Self(vec![(ink, text.into())])
    }

    fn and(mut self, ink: Ink, text: impl Into<String>) -> Self {
        self.0.push((ink, text.into()));
        self
    }

    /// What fits `width` columns.
    pub fn shown(&self, width: usize, colour: bool) -> String {
        let mut shown = String::new();
        let mut room = width;
        for (ink, text) in &self.0 {
            let (fits, all) = fitting(text, room);
            let code = ink.code().filter(|_| colour);
            match code {
                Some(code) => shown.push_str(&format!("\x1b[{code}m{fits}\x1b[0m")),
                None => shown.push_str(fits),
            }
            room -= fits.width().min(room);
            if !all {
                break;
            }
        }
        if colour { shown } else { shown.trim_end().to_owned() }
    }
}

impl Ink {
    fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Dim => Some("2"),
            Self::Bold => Some("1"),
            Self::Keyword => Some("1;34"),
            Self::Text => Some("32"),
            Self::Number => Some("36"),
            Self::Good => Some("32"),
            Self::Bad => Some("1;31"),
        }
    }
}

struct Writer<'t> {
    timeline: &'t Timeline,
    width: usize,
    lines: Vec<Line>,
    /// Whose rows were written last: their header need not stand there again.
    grid: Option<usize>,
    /// By statement, how many rows were written.
    shown: Vec<usize>,
    /// Of their grids' columns, once they were needed.
    widths: HashMap<usize, Rc<[usize]>>,
}

impl Writer<'_> {
    fn moment(&mut self, what: What) {
        match what {
            What::Mark(index) => {
                let Some(mark) = self.timeline.marks.get(index) else { return };
                let said = match &mark.what {
                    MarkKind::Connected => "connected",
                    MarkKind::Disconnected => "disconnected",
                    MarkKind::Told(text) => text.as_str(),
                };
                let line = format!("── {}  {} {}", clock(mark.at), mark.connection, said.replace('\n', " "));
                self.say(Line::of(Ink::Dim, line));
            }
            What::Begin(index) => self.begin(index),
            What::Rows { statement, upto } => self.rows(statement, upto),
            What::End(index) => self.end(index),
        }
    }

    fn say(&mut self, line: Line) {
        self.grid = None;
        self.lines.push(line);
    }

    fn begin(&mut self, index: usize) {
        let Some(statement) = self.timeline.statements.get(index) else { return };
        self.say(Line::default());
        let head = format!("#{}  {}  {}", statement.intent, clock(statement.at), statement.connection);
        self.say(Line::of(Ink::Dim, head));
        for line in sql(&statement.text, self.width) {
            self.say(line);
        }
        if statement.cut {
            self.say(Line::of(Ink::Dim, "… (the ledger has all of it)"));
        }
        for (number, value) in (1..).zip(&statement.parameters) {
            let value = value.as_deref().map_or_else(|| "NULL".to_owned(), cell);
            self.say(Line::of(Ink::Dim, format!("  ${number} = {value}")));
        }
    }

    fn rows(&mut self, index: usize, upto: usize) {
        let Some(statement) = self.timeline.statements.get(index) else { return };
        let widths = self.widths(index, statement);
        if self.grid != Some(index) {
            self.header(statement, &widths);
        }
        let from = self.shown.get(index).copied().unwrap_or(0);
        for row in statement.grid.iter().take(upto).skip(from) {
            let mut line = Line::of(Ink::Plain, "  ");
            for (column, (value, width)) in row.iter().zip(widths.iter()).enumerate() {
                let number = statement.columns.get(column).is_some_and(|one| is_number(one.type_oid));
                let (ink, text) = match value {
                    None => (Ink::Dim, "NULL".to_owned()),
                    Some(value) => (Ink::Plain, cell(value)),
                };
                let between = if column == 0 { "" } else { " │ " };
                line = line.and(Ink::Dim, between).and(ink, padded(&text, *width, number));
            }
            self.lines.push(line);
        }
        self.grid = Some(index);
        if let Some(shown) = self.shown.get_mut(index) {
            *shown = upto.max(*shown);
        }
    }

    fn widths(&mut self, index: usize, statement: &Statement) -> Rc<[usize]> {
        Rc::clone(self.widths.entry(index).or_insert_with(|| widths(statement).into()))
    }

    fn header(&mut self, statement: &Statement, widths: &[usize]) {
        let mut line = Line::of(Ink::Plain, "  ");
        for (column, width) in widths.iter().enumerate() {
            let between = if column == 0 { "" } else { " │ " };
            line =
                line.and(Ink::Dim, between).and(Ink::Bold, padded(&name(statement, column), *width, false));
        }
        self.say(line);
        let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        self.say(Line::of(Ink::Dim, format!("  {}", rule.join("─┼─"))));
    }

    fn end(&mut self, index: usize) {
        let Some(statement) = self.timeline.statements.get(index) else { return };
        if statement.grid.is_empty() && !statement.columns.is_empty() {
            let widths = self.widths(index, statement);
            self.header(statement, &widths);
        }
        for copied in &statement.copied {
            let way = if copied.out { "< " } else { "> " };
            for line in copied.text.lines() {
                self.say(Line::of(Ink::Dim, way).and(Ink::Plain, line.replace('\t', "  ")));
            }
        }
        for notice in &statement.notices {
            self.say(Line::of(Ink::Dim, format!("NOTICE: {}", notice.replace('\n', " "))));
        }
        match statement.left_out {
            0 => {}
            more => self.say(Line::of(
                Ink::Dim,
                format!("  … {more} more: dbaccess recording show {}", self.timeline.session),
            )),
        }
        let Some(result) = &statement.result else { return };
        let ink = if statement.error().is_some() { Ink::Bad } else { Ink::Good };
        let said = outcome(result, statement.rows).replace(['\n', '\t'], " ");
        let said = Line::of(ink, format!("→ {said}"));
        let length = statement.duration_us.map(|us| format!("  {}", length(us))).unwrap_or_default();
        for line in broken(said.and(Ink::Dim, length), self.width) {
            self.say(line);
        }
    }
}

/// `10:22:31.482`, in UTC as everywhere on the ledger.
fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S%.3f").to_string()
}

/// A duration as people compare it: `0.4 ms`, `1.25 s`, `3 min 5 s`.
pub fn length(us: u64) -> String {
    match us {
        0..100_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        100_000..1_000_000 => format!("{} ms", us / 1000),
        1_000_000..60_000_000 => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
        _ => format!("{} min {} s", us / 60_000_000, us % 60_000_000 / 1_000_000),
    }
}

fn sql(text: &str, width: usize) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    for (range, shade) in highlight(text) {
        let ink = match shade {
            Shade::Plain => Ink::Plain,
            Shade::Keyword => Ink::Keyword,
            Shade::Text => Ink::Text,
            Shade::Number | Shade::Parameter => Ink::Number,
            Shade::Comment => Ink::Dim,
        };
        for (number, part) in text.get(range).unwrap_or_default().split('\n').enumerate() {
            if number > 0 {
                lines.push(Line::default());
            }
            if let Some(line) = lines.last_mut() {
                line.0.push((ink, part.replace('\t', "    ")));
            }
        }
    }
    lines.into_iter().flat_map(|line| broken(line, width)).collect()
}

/// As many lines as it takes, none wider than `width`.
fn broken(line: Line, width: usize) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    let mut room = width;
    for (ink, text) in line.0 {
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (fits, all) = fitting(rest, room);
            if fits.is_empty() && room == width {
                // One that is wider than the whole line.
                break;
            }
            if let Some(line) = lines.last_mut()
                && !fits.is_empty()
            {
                line.0.push((ink, fits.to_owned()));
            }
            room -= fits.width().min(room);
            rest = rest.get(fits.len()..).unwrap_or_default();
            if !all {
                lines.push(Line::default());
                room = width;
            }
        }
    }
    lines
}

/// The beginning of a text that fits so many columns, and whether it is all.
fn fitting(text: &str, room: usize) -> (&str, bool) {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > room {
            return (text.get(..at).unwrap_or_default(), false);
        }
    }
    (text, true)
}

fn name(statement: &Statement, column: usize) -> String {
    let named = statement.columns.get(column).map(|column| cell(&column.name));
    named.unwrap_or_else(|| format!("column {}", column + 1))
}

fn widths(statement: &Statement) -> Vec<usize> {
    let columns = statement.grid.iter().map(Vec::len).chain([statement.columns.len()]).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns).map(|column| name(statement, column).width()).collect();
    for row in &statement.grid {
        for (value, width) in row.iter().zip(&mut widths) {
            *width = value.as_deref().map_or(4, |value| cell(value).width()).max(*width);
        }
    }
    widths
}

fn padded(text: &str, width: usize, right: bool) -> String {
    let spaces = " ".repeat(width.saturating_sub(text.width()));
    if right { format!("{spaces}{text}") } else { format!("{text}{spaces}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{SessionId, StatementResult};
    use crate::core::timeline::{Arrival, Column, moments};

    #[test]
    fn a_session_is_told_moment_by_moment() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        let mut read = Statement::begun(7, at(1000), "con-a", "SELECT id,\n\tname FROM t".to_owned());
        read.columns = [("id", 23), ("name", 25)]
            .map(|(name, type_oid)| Column { name: name.to_owned(), type_oid })
            .to_vec();
        read.grid =
            vec![vec![Some("7".to_owned()), None], vec![Some("10".to_owned()), Some("表".to_owned())]];
        read.arrived = vec![Arrival { at: at(1001), rows: 1 }, Arrival { at: at(1100), rows: 2 }];
        (read.result, read.rows) = (Some(StatementResult::Ok { tag: "SELECT 2".to_owned() }), 2);
        read.duration_us = Some(100_400);
        timeline.statements.push(read);
        let moments = moments(&timeline);
        let told = plain(&timeline, &moments, false);
        let expected = [
            "",
            "#7  00:00:01.000  con-a",
            "SELECT id,",
            "    name FROM t",
            "  id │ name",
            "  ───┼─────",
            "   7 │ NULL",
            "  10 │ 表",
            "→ SELECT 2, 2 rows  100 ms",
            "",
        ];
        assert_eq!(told, expected.join("\n"));
        let roll = Roll::new(&timeline, &moments, Some(8));
        assert_eq!((0..=4).map(|passed| roll.upto(passed)).collect::<Vec<_>>(), [0, 6, 9, 10, 14]);
        assert!(roll.lines.iter().all(|line| line.shown(8, false).width() <= 8));
        assert!(plain(&timeline, &moments, true).contains("\x1b[1;34mSELECT\x1b[0m id"));
    }
}
