//! The report as a document for people: blocks that two writers render, one to
//! a page for browsers, one to PDF. What is said is decided here; how it looks,
//! in the writers.

mod access;
mod campaign;
mod control;
mod html;
mod pdf;
mod plot;

pub use html::html;
pub use pdf::pdf;

use super::Period;
use super::report::Report;
use super::sample;
use crate::core::text::shown;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use plot::Plot;

/// A titled list of blocks.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub title: String,
    pub subtitle: String,
    pub blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Level 1 to 3, and a name to link to.
    Heading {
        level: u8,
        text: String,
        anchor: Option<String>,
    },
    Text(String),
    /// A few numbers to see first.
    Figures(Vec<Figure>),
    /// Names and what they are.
    Facts(Vec<(String, Cell)>),
    Table(Table),
    /// Beside each other, where there is room.
    Plots(Vec<Plot>),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    pub value: String,
    pub label: String,
    pub tone: Tone,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub name: &'static str,
    /// Its share of the width on paper.
    pub share: f32,
    /// Numbers stand to the right.
    pub right: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub text: String,
    pub tone: Tone,
    /// The anchor that it leads to.
    pub link: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Soft,
    Good,
    Bad,
}

impl Document {
    pub fn of(report: &Report) -> Self {
        let (period, named) = (report.period, access::Named::of(report));
        let mut blocks = Vec::new();
        summary(report, &mut blocks);
        metrics(report, &mut blocks);
        for finding in &report.controls {
            control::blocks(&named, finding, &mut blocks);
        }
        campaign::blocks(report, &mut blocks);
        access::blocks(report, &named, &mut blocks);
        colophon(report, &mut blocks);
        Self {
            title: "Evidence of database access".to_owned(),
            subtitle: format!("{}, {}", report.framework, span(period)),
            blocks,
        }
    }
}

fn summary(report: &Report, blocks: &mut Vec<Block>) {
    let totals = &report.totals;
    let exceptions = match totals.exceptions {
        0 => Figure::new("0", "exceptions", Tone::Good),
        many => Figure::new(many, if many == 1 { "exception" } else { "exceptions" }, Tone::Bad),
    };
    blocks.push(Block::Figures(vec![
        exceptions,
        Figure::new(totals.grants, "grants", Tone::Plain),
        Figure::new(totals.sessions, "sessions", Tone::Plain),
        Figure::new(totals.statements, "statements", Tone::Plain),
        Figure::new(totals.people, "people", Tone::Plain),
        Figure::new(totals.targets, "databases", Tone::Plain),
    ]));
    let mut table = Table::new(&[
        ("control", 1.0, false),
        ("requirement", 4.2, false),
        ("frameworks", 3.0, false),
        ("population", 1.3, true),
        ("sample", 1.0, true),
        ("exceptions", 1.3, true),
    ]);
    for finding in &report.controls {
        table.row([
            Cell::link(finding.control.id(), finding.control.id()),
            Cell::plain(finding.title),
            Cell::soft(&finding.references),
            Cell::number(finding.count),
            Cell::number(finding.sample.len() as u64),
            Cell::count(finding.exceptions.len() as u64),
        ]);
    }
    blocks.push(Block::heading(1, "Summary", Some("summary")));
    blocks.push(Block::Table(table));
    let ledger = &report.ledger;
    blocks.push(Block::Text(format!(
        "Of {} requests made in the interval, {} ended without a grant. Everything here was found in lines {} to {} of \
         the ledger, as of {}, and nothing else was asked. {}",
        grouped(totals.requests),
        grouped(totals.not_granted),
        grouped(ledger.first),
        grouped(ledger.last),
        time(report.as_of),
        match &ledger.broken {
            None => "The chain of these lines is whole.".to_owned(),
            Some(broken) => format!("The chain of these lines is broken: {broken}."),
        }
    )));
    blocks.push(Block::Plots(vec![
        plot::sessions_by_week(report),
        plot::latency(report),
        plot::exceptions(report),
    ]));
}

fn metrics(report: &Report, blocks: &mut Vec<Block>) {
    blocks.push(Block::heading(1, "Metrics", Some("metrics")));
    blocks.push(Block::Text(
        "How well access was kept small in the interval, as far as these lines tell. `dbaccess metrics` shows trends \
         and what is behind each number."
            .to_owned(),
    ));
    let mut table = Table::new(&[
        ("metric", 0.9, false),
        ("what", 5.0, false),
        ("value", 1.4, true),
        ("target", 1.6, true),
    ]);
    for measured in &report.metrics {
        let tone = match measured.met {
            Some(true) => Tone::Good,
            Some(false) => Tone::Bad,
            None => Tone::Soft,
        };
        table.row([
            Cell::plain(&measured.metric),
            Cell::plain(&measured.title),
            Cell::new(measured.said.as_deref().unwrap_or("not measured"), tone),
            Cell::soft(&measured.target),
        ]);
    }
    blocks.push(Block::Table(table));
}

/// How to check all of this, and what it does not show.
fn colophon(report: &Report, blocks: &mut Vec<Block>) {
    let ledger = &report.ledger;
    blocks.push(Block::heading(1, "How to check this report", Some("check")));
    blocks.push(Block::Text(
        "This document is part of a bundle with the data, the lines of the ledger that they follow from, and a signed \
         manifest. `dbaccess report verify BUNDLE` checks it on a machine that has never seen the server: the \
         signature, the hash of every file, the chain of the ledger, and that the same lines lead to this report \
         again, word for word. Compare the key with the one that the server's operators published."
            .to_owned(),
    ));
    let mut facts = vec![
        (
            "signing key".to_owned(),
            Cell::plain(ledger.key.as_deref().unwrap_or("none: no checkpoint is here")),
        ),
        ("last line".to_owned(), Cell::plain(&format!("{}, hash {}", ledger.last, ledger.hash))),
        (
            "checkpoints".to_owned(),
            Cell::plain(&format!(
                "{} in {} segments; {} lines after the last are signed by the manifest",
                grouped(ledger.checkpoints),
                ledger.segments,
                grouped(ledger.unsigned)
            )),
        ),
        ("sample".to_owned(), Cell::plain(sample::HOW)),
        ("times".to_owned(), Cell::plain("UTC, by the server's clock")),
    ];
    let pruned = ledger.pruned.iter().map(|pruned| ("pruned".to_owned(), Cell::plain(&pruned.to_string())));
    facts.extend(pruned);
    blocks.push(Block::Facts(facts));
    blocks.push(Block::Text(
        "What it does not show: access to a database that did not pass through dbaccess, and lines that were cut off \
         the ledger's end together with their checkpoints before the report was made. The first is for the database's \
         own log, the second for a copy of the ledger, or the number of a line, kept elsewhere."
            .to_owned(),
    ));
}

impl Block {
    fn heading(level: u8, text: &str, anchor: Option<&str>) -> Self {
        Self::Heading { level, text: shown(text), anchor: anchor.map(str::to_owned) }
    }
}

impl Figure {
    fn new(value: impl Into<Count>, label: &str, tone: Tone) -> Self {
        Self { value: value.into().0, label: label.to_owned(), tone }
    }
}

/// A number or what stands for one.
struct Count(String);

impl From<u64> for Count {
    fn from(number: u64) -> Self {
        Self(grouped(number))
    }
}

impl From<&str> for Count {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Table {
    fn new(columns: &[(&'static str, f32, bool)]) -> Self {
        let column = |&(name, share, right): &(&'static str, f32, bool)| Column { name, share, right };
        Self { columns: columns.iter().map(column).collect(), rows: Vec::new() }
    }

    fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.to_vec());
    }
}

impl Cell {
    fn new(text: &str, tone: Tone) -> Self {
        Self { text: shown(text), tone, link: None }
    }

    fn plain(text: &str) -> Self {
        Self::new(text, Tone::Plain)
    }

    fn soft(text: &str) -> Self {
        Self::new(text, Tone::Soft)
    }

    fn link(text: &str, anchor: &str) -> Self {
        Self { link: Some(anchor.to_owned()), ..Self::plain(text) }
    }

    fn number(number: u64) -> Self {
        Self::plain(&grouped(number))
    }

    /// Of what should not be there.
    fn count(number: u64) -> Self {
        Self::new(&grouped(number), if number == 0 { Tone::Good } else { Tone::Bad })
    }
}

/// `1 234 567`, with spaces that do not break.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// Whole days as their first and last, everything else by its moments.
fn span(period: Period) -> String {
    let zoned = |at: Timestamp| at.to_zoned(TimeZone::UTC);
    let midnight = |at| zoned(at).time() == Time::midnight();
    if !(midnight(period.from) && midnight(period.until)) {
        return format!("{} to {} UTC", time(period.from), time(period.until));
    }
    let day = |at| zoned(at).strftime("%-d %B %Y").to_string();
    let last = period.until.checked_sub(1.nanosecond()).unwrap_or(period.until);
    format!("{} to {}", day(period.from), day(last))
}

fn time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `12 ms`, `1.4 s`, `5m 3s`.
fn length(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms}\u{a0}ms"),
        1000..60_000 => format!("{}.{}\u{a0}s", ms / 1000, ms % 1000 / 100),
        _ => crate::core::model::format_duration(std::time::Duration::from_millis(ms)),
    }
}
