//! A session as lines of a terminal, moment by moment: what the player, the
//! cast and a pipe show is the same.

use crate::cli::recorded::{cell, outcome};
use crate::core::model::ResultColumn;
use crate::core::sql::Shade;
use crate::core::timeline::{MarkKind, Moment, Statement, Timeline, What};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
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

/// A line's pieces.
type Pieces<'t> = Vec<(Ink, Cow<'t, str>)>;

/// What a line is made of. Of a grid's lines only their places are kept: padded
/// to their columns' widths they would be many times as large as the values.
#[derive(Debug)]
enum Line {
    Said(Pieces<'static>),
    /// Of a statement's grid: its columns' names, the rule below them, a row.
    Names(usize),
    Rule(usize),
    Row {
        statement: usize,
        row: usize,
    },
}

/// All lines of a session, and how many of them are there after each moment.
pub struct Roll {
    lines: Vec<Line>,
    ends: Vec<usize>,
    /// Of the columns of grids, by statement.
    widths: HashMap<usize, Vec<usize>>,
}

/// For a pipe: all of it, without colours and as wide as it is. How sure it is,
/// stderr has said.
pub fn plain(timeline: &Timeline, moments: &[Moment], colour: bool) -> String {
    let roll = Roll::new(timeline, moments, None);
    let lines = roll.shown(timeline, roll.upto(0)..roll.lines.len(), usize::MAX, colour);
    lines.map(|line| format!("{line}\n")).collect()
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
        for note in &timeline.notes {
            writer.say_long(vec![(Ink::Dim, format!("── {}", note.replace('\n', " ")).into())]);
        }
        let mut ends = Vec::with_capacity(moments.len() + 1);
        ends.push(writer.lines.len());
        for moment in moments {
            writer.moment(moment.what);
            ends.push(writer.lines.len());
        }
        Self { lines: writer.lines, ends, widths: writer.widths }
    }

    /// How many lines are there when so many moments have passed; before the
    /// first there is how sure all of it is.
    pub fn upto(&self, passed: usize) -> usize {
        self.ends.get(passed).copied().unwrap_or(self.lines.len())
    }

    /// Some of its lines, each as far as it fits `width` columns.
    pub fn shown(
        &self,
        timeline: &Timeline,
        lines: Range<usize>,
        width: usize,
        colour: bool,
    ) -> impl Iterator<Item = String> {
        let lines = self.lines.iter().take(lines.end).skip(lines.start);
        lines.map(move |line| match line {
            Line::Said(pieces) => inked(pieces, width, colour),
            grid => inked(&self.grid(grid, timeline), width, colour),
        })
    }

    /// A line of a grid: `  name │ name`.
    fn grid<'t>(&self, line: &Line, timeline: &'t Timeline) -> Pieces<'t> {
        let (Line::Names(index) | Line::Rule(index) | Line::Row { statement: index, .. }) = line else {
            return Vec::new();
        };
        let of = timeline.statements.get(*index).zip(self.widths.get(index));
        let Some((statement, widths)) = of else { return Vec::new() };
        if let Line::Rule(_) = line {
            let rule: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
            return vec![(Ink::Dim, format!("  {}", rule.join("─┼─")).into())];
        }
        let values = match line {
            Line::Row { row, .. } => statement.grid.get(*row),
            _ => None,
        };
        let columns = values.map_or(widths.len(), Vec::len);
        let mut pieces = Vec::with_capacity(2 * columns);
        for (column, width) in widths.iter().enumerate().take(columns) {
            let number = statement.columns.get(column).is_some_and(ResultColumn::is_number);
            let (ink, text, right) = match values.and_then(|row| row.get(column)) {
                None => (Ink::Bold, name(statement, column), false),
                Some(None) => (Ink::Dim, "NULL".to_owned(), number),
                Some(Some(value)) => (Ink::Plain, cell(value), number),
            };
            pieces.push((Ink::Dim, if column == 0 { "  " } else { " │ " }.into()));
            pieces.push((ink, padded(&text, *width, right).into()));
        }
        pieces
    }
}

/// What of it fits `width` columns.
fn inked(pieces: &[(Ink, Cow<'_, str>)], width: usize, colour: bool) -> String {
    let mut shown = String::new();
    let mut room = width;
    for (ink, text) in pieces {
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
    widths: HashMap<usize, Vec<usize>>,
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
                let said = format!("{} {}", mark.connection, said.replace('\n', " "));
                self.say(Ink::Dim, format!("── {}  {}", clock(mark.at), said.trim_start()));
            }
            What::Begin(index) => self.begin(index),
            What::Rows { statement, upto } => self.rows(statement, upto),
            What::End(index) => self.end(index),
        }
    }

    fn say(&mut self, ink: Ink, text: impl Into<Cow<'static, str>>) {
        self.line(vec![(ink, text.into())]);
    }

    fn line(&mut self, pieces: Pieces<'static>) {
        self.grid = None;
        self.lines.push(Line::Said(pieces));
    }

    /// In as many lines as it takes.
    fn say_long(&mut self, pieces: Pieces<'static>) {
        for line in broken(pieces, self.width) {
            self.line(line);
        }
    }

    fn begin(&mut self, index: usize) {
        let Some(statement) = self.timeline.statements.get(index) else { return };
        self.line(Vec::new());
        let head = format!("#{}  {}  {}", statement.intent, clock(statement.at), statement.connection);
        self.say(Ink::Dim, head);
        for line in sql(statement) {
            self.say_long(line);
        }
        if statement.cut {
            self.say(Ink::Dim, "… (the ledger has all of it)");
        }
        for (number, value) in (1..).zip(&statement.parameters) {
            let value = value.as_deref().map_or_else(|| "NULL".to_owned(), cell);
            self.say(Ink::Dim, format!("  ${number} = {value}"));
        }
    }

    fn rows(&mut self, index: usize, upto: usize) {
        let Some(statement) = self.timeline.statements.get(index) else { return };
        if self.grid != Some(index) {
            self.header(index, statement);
        }
        let from = self.shown.get(index).copied().unwrap_or(0);
        let rows = from..upto.min(statement.grid.len());
        self.lines.extend(rows.map(|row| Line::Row { statement: index, row }));
        self.grid = Some(index);
        if let Some(shown) = self.shown.get_mut(index) {
            *shown = upto.max(*shown);
        }
    }

    fn header(&mut self, index: usize, statement: &Statement) {
        self.widths.entry(index).or_insert_with(|| widths(statement));
        self.lines.extend([Line::Names(index), Line::Rule(index)]);
    }

    fn end(&mut self, index: usize) {
        let Some(statement) = self.timeline.statements.get(index) else { return };
        if statement.grid.is_empty() && !statement.columns.is_empty() {
            self.header(index, statement);
            self.grid = None;
        }
        if statement.more_columns > 0 {
            self.say(Ink::Dim, format!("  … and {} more columns", statement.more_columns));
        }
        if statement.grid.is_empty()
            && statement.rows > 0
            && !statement.columns.is_empty()
            && !self.timeline.recorded
        {
            self.say(Ink::Dim, "  the rows are not in here".to_owned());
        }
        for copied in &statement.copied {
            let way = if copied.out { "< " } else { "> " };
            for line in copied.text.lines() {
                self.line(vec![(Ink::Dim, way.into()), (Ink::Plain, line.replace('\t', "  ").into())]);
            }
        }
        for notice in &statement.notices {
            self.say(Ink::Dim, format!("NOTICE: {}", notice.replace('\n', " ")));
        }
        match statement.left_out {
            0 => {}
            more => {
                let session = &self.timeline.session;
                self.say(Ink::Dim, format!("  … {more} more: dbaccess recording show {session}"));
            }
        }
        let Some(result) = &statement.result else { return };
        let ink = if statement.error().is_some() { Ink::Bad } else { Ink::Good };
        let said = outcome(result, statement.rows).replace(['\n', '\t'], " ");
        let length = statement.duration_us.map(|us| format!("  {}", length(us))).unwrap_or_default();
        self.say_long(vec![(ink, format!("→ {said}").into()), (Ink::Dim, length.into())]);
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

fn sql(statement: &Statement) -> Vec<Pieces<'static>> {
    let mut lines = vec![Vec::new()];
    for (text, shade) in statement.shaded() {
        let ink = match shade {
            Shade::Plain => Ink::Plain,
            Shade::Keyword => Ink::Keyword,
            Shade::Text => Ink::Text,
            Shade::Number | Shade::Parameter => Ink::Number,
            Shade::Comment => Ink::Dim,
        };
        for (number, part) in text.split('\n').enumerate() {
            if number > 0 {
                lines.push(Vec::new());
            }
            if let Some(line) = lines.last_mut()
                && !part.is_empty()
            {
                line.push((ink, part.replace('\t', "    ").into()));
            }
        }
    }
    lines
}

/// As many lines as it takes, none wider than `width`.
fn broken(pieces: Pieces<'static>, width: usize) -> Vec<Pieces<'static>> {
    let mut lines = vec![Vec::new()];
    let mut room = width;
    for (ink, text) in pieces {
        let mut rest = &*text;
        while !rest.is_empty() {
            let (fits, all) = fitting(rest, room);
            if fits.is_empty() && room == width {
                // One that is wider than the whole line.
                break;
            }
            if let Some(line) = lines.last_mut()
                && !fits.is_empty()
            {
                line.push((ink, fits.to_owned().into()));
            }
            room -= fits.width().min(room);
            rest = rest.get(fits.len()..).unwrap_or_default();
            if !all {
                lines.push(Vec::new());
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
    use super::super::for_people;
    use super::*;
    use crate::core::model::{SessionId, StatementResult};
    use crate::core::timeline::{Arrival, moments};

    #[test]
    fn a_session_is_told_moment_by_moment() {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap();
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        let mut read = Statement::begun(7, at(1000), "con-a", "SELECT id,\n\tname FROM t".to_owned());
        read.columns =
            [("id", 23), ("name", 25)].map(|(name, type_oid)| ResultColumn::new(name, type_oid)).to_vec();
        read.grid =
            vec![vec![Some("7".to_owned()), None], vec![Some("10".to_owned()), Some("表".to_owned())]];
        read.arrived = vec![Arrival { at: at(1001), rows: 1 }, Arrival { at: at(1100), rows: 2 }];
        (read.result, read.rows) = (Some(StatementResult::Ok { tag: "SELECT 2".to_owned() }), 2);
        read.duration_us = Some(100_400);
        timeline.statements.push(read);
        let timeline = for_people(timeline);
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
        assert!(roll.shown(&timeline, 0..14, 8, false).all(|line| line.width() <= 8));
        assert!(plain(&timeline, &moments, true).contains("\x1b[1;34mSELECT\x1b[0m id"));
    }

    #[test]
    fn how_sure_it_is_stands_before_the_first_moment() {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        timeline.notes.push("not compared with a ledger".to_owned());
        let roll = Roll::new(&timeline, &[], Some(20));
        let lines: Vec<String> = roll.shown(&timeline, 0..roll.upto(0), 20, false).collect();
        assert_eq!(lines, ["── not compared with", " a ledger"]);
        assert_eq!(plain(&timeline, &[], false), "", "stderr has said it");
    }

    #[test]
    fn g9_a_grid_is_padded_when_it_is_shown() {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        let mut wide = Statement::begun(1, Timestamp::UNIX_EPOCH, "con-a", "SELECT".to_owned());
        wide.grid = vec![vec![None; 200]; 999];
        wide.grid.push(vec![Some("x".repeat(60)); 200]);
        wide.arrived = vec![Arrival { at: Timestamp::UNIX_EPOCH, rows: 1000 }];
        timeline.statements.push(wide);
        let roll = Roll::new(&timeline, &moments(&timeline), None);
        let kept: usize = roll
            .lines
            .iter()
            .map(|line| match line {
                Line::Said(pieces) => pieces.iter().map(|(_, text)| text.len()).sum(),
                Line::Names(_) | Line::Rule(_) | Line::Row { .. } => 0,
            })
            .sum();
        assert!(kept < 100 && size_of::<Line>() <= 32, "{kept}");
        assert_eq!(roll.lines.len(), 1005);
        let row = roll.shown(&timeline, 5..6, usize::MAX, true).next().unwrap();
        assert!(row.width() > 200 * 60, "it is padded where it is shown");
    }
}
