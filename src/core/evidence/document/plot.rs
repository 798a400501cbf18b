//! Plots as shapes on a small canvas. Both writers draw the same shapes, so
//! page and paper show the same.

use super::{grouped, length};
use crate::core::evidence::access::Session;
use crate::core::evidence::report::Report;
use crate::core::model::Path;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use std::collections::BTreeMap;

/// The canvas. It is small, so that words stay readable on a telephone.
pub const WIDTH: f32 = 420.0;
pub const HEIGHT: f32 = 220.0;
/// The size of words.
pub const SIZE: f32 = 13.0;

const LEFT: f32 = 44.0;
const RIGHT: f32 = WIDTH - 8.0;
const TOP: f32 = 14.0;
const BOTTOM: f32 = HEIGHT - 26.0;

#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    pub title: &'static str,
    /// What it shows, in words: for who cannot see it.
    pub caption: String,
    pub legend: Vec<(Ink, &'static str)>,
    pub shapes: Vec<Shape>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// `says` is what a pointer is told.
    Bar {
        x: f32,
        y: f32,
        width: f32,
        height: f32,
        ink: Ink,
        says: String,
    },
    /// A line across, at a height.
    Rule {
        y: f32,
    },
    Word {
        x: f32,
        y: f32,
        align: Align,
        text: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// The paths, from 0.
    Series(usize),
    Bad,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Start,
    Middle,
    End,
}

const PATHS: [Path; 4] = [Path::ReadOnly, Path::Write, Path::Migration, Path::BreakGlass];

/// How many sessions opened in each week, by path.
pub(super) fn sessions_by_week(report: &Report) -> Plot {
    let period = report.period;
    let (first, last) = (monday(period.from), monday(period.until.min(report.as_of).max(period.from)));
    let mut weeks: BTreeMap<Date, [u64; PATHS.len()]> = BTreeMap::new();
    let mut week = first;
    while week <= last {
        weeks.insert(week, [0; PATHS.len()]);
        let Ok(next) = week.checked_add(7.days()) else { break };
        week = next;
    }
    let within = |session: &&Session| period.holds(session.opening.at);
    for session in report.sessions.iter().filter(within) {
        let index = PATHS.iter().position(|path| Some(path.as_str()) == session.path);
        let counts = weeks.entry(monday(session.opening.at)).or_default();
        if let Some(count) = index.and_then(|index| counts.get_mut(index)) {
            *count += 1;
        }
    }
    let most = weeks.values().map(|counts| counts.iter().sum::<u64>()).max().unwrap_or(0);
    let (mut shapes, scale) = axis(most);
    let step = (RIGHT - LEFT) / weeks.len().max(1) as f32;
    let every = weeks.len().div_ceil(5).max(1);
    for (index, (week, counts)) in weeks.iter().enumerate() {
        let x = LEFT + step * index as f32;
        let mut y = BOTTOM;
        for (series, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let height = *count as f32 * scale;
            y -= height;
            let path = PATHS.get(series).map_or("", |path| path.as_str());
            let says = format!("week of {week}: {count} {path}");
            let (width, x) = (step * 0.8, x + step * 0.1);
            shapes.push(Shape::Bar { x, y, width, height, ink: Ink::Series(series), says });
        }
        if index.is_multiple_of(every) {
            let text = week.strftime("%-d %b").to_string();
            shapes.push(below(x + step / 2.0, text));
        }
    }
    let total = report.sessions.iter().filter(within).count() as u64;
    Plot {
        title: "Sessions by week and path",
        caption: format!(
            "{} sessions opened in {} weeks, {} in the busiest.",
            grouped(total),
            weeks.len(),
            grouped(most)
        ),
        legend: PATHS.iter().enumerate().map(|(series, path)| (Ink::Series(series), path.as_str())).collect(),
        shapes,
    }
}

/// Upper ends in milliseconds; what is longer than the last is over the limit.
const LATENCIES: [(u64, &str); 6] =
    [(100, "0.1 s"), (300, "0.3 s"), (1000, "1 s"), (3000, "3 s"), (10_000, "10 s"), (30_000, "30 s")];

/// How long after the end of each session its role was proven gone.
pub(super) fn latency(report: &Report) -> Plot {
    let mut all: Vec<u64> = report.sessions.iter().filter_map(|session| session.latency_ms).collect();
    all.sort_unstable();
    let mut counts = [0u64; LATENCIES.len() + 1];
    for ms in &all {
        let index = LATENCIES.iter().position(|(end, _)| ms <= end).unwrap_or(LATENCIES.len());
        if let Some(count) = counts.get_mut(index) {
            *count += 1;
        }
    }
    let (mut shapes, scale) = axis(counts.iter().copied().max().unwrap_or(0));
    let step = (RIGHT - LEFT) / counts.len() as f32;
    for (index, count) in counts.iter().enumerate() {
        let (x, height) = (LEFT + step * index as f32, *count as f32 * scale);
        let (ink, label) = match LATENCIES.get(index) {
            Some((_, label)) => (Ink::Series(0), (*label).to_owned()),
            None => (Ink::Bad, "longer".to_owned()),
        };
        if *count > 0 {
            let (width, x, y) = (step * 0.8, x + step * 0.1, BOTTOM - height);
            shapes.push(Shape::Bar { x, y, width, height, ink, says: format!("up to {label}: {count}") });
        }
        shapes.push(below(x + step / 2.0, label));
    }
    let nth = |percent: usize| all.get((all.len() * percent / 100).min(all.len().saturating_sub(1))).copied();
    let caption = match (nth(50), nth(99), all.last()) {
        (Some(half), Some(most), Some(longest)) => format!(
            "Half within {}, 99 in 100 within {}, the longest {}; the limit is 30\u{a0}s.",
            length(half),
            length(most),
            length(*longest)
        ),
        _ => "No session has ended yet.".to_owned(),
    };
    Plot { title: "How soon after a session's end its role was gone", caption, legend: Vec::new(), shapes }
}

/// How many exceptions each control has.
pub(super) fn exceptions(report: &Report) -> Plot {
    let most = report.controls.iter().map(|finding| finding.exceptions.len()).max().unwrap_or(0).max(1);
    let step = (BOTTOM - TOP) / report.controls.len().max(1) as f32;
    let (left, room) = (LEFT + 6.0, RIGHT - LEFT - 46.0);
    let mut shapes = Vec::new();
    for (index, finding) in report.controls.iter().enumerate() {
        let count = finding.exceptions.len();
        let (y, height) = (TOP + step * index as f32, (step * 0.62).min(26.0));
        let width = (room * count as f32 / most as f32).max(2.0);
        let (ink, id) = (if count == 0 { Ink::Series(0) } else { Ink::Bad }, finding.control.id());
        shapes.push(Shape::Bar { x: left, y, width, height, ink, says: format!("{id}: {count}") });
        let y = y + height / 2.0 + SIZE * 0.36;
        shapes.push(Shape::Word { x: left - 8.0, y, align: Align::End, text: id.to_owned() });
        let text = grouped(count as u64);
        shapes.push(Shape::Word { x: left + width + 6.0, y, align: Align::Start, text });
    }
    let found: Vec<String> = report
        .controls
        .iter()
        .map(|finding| format!("{} in {}", grouped(finding.exceptions.len() as u64), finding.control.id()))
        .collect();
    Plot {
        title: "Exceptions by control",
        caption: format!("{}; each is told of below.", found.join(", ")),
        legend: Vec::new(),
        shapes,
    }
}

/// Lines across with their numbers, and the height of one.
fn axis(most: u64) -> (Vec<Shape>, f32) {
    let steps = [1, 2, 5].into_iter();
    let mut nice = (0..19).flat_map(|power| steps.clone().map(move |step| step * 10u64.pow(power)));
    let tick = nice.find(|tick| most.div_ceil(*tick) <= 4).unwrap_or(most.max(1));
    let ticks = most.div_ceil(tick).max(1);
    let scale = (BOTTOM - TOP) / (ticks * tick) as f32;
    let mut shapes = Vec::new();
    for n in 0..=ticks {
        let y = BOTTOM - (n * tick) as f32 * scale;
        shapes.push(Shape::Rule { y });
        let text = grouped(n * tick);
        shapes.push(Shape::Word { x: LEFT - 6.0, y: y + SIZE * 0.36, align: Align::End, text });
    }
    (shapes, scale)
}

fn below(x: f32, text: String) -> Shape {
    Shape::Word { x, y: BOTTOM + SIZE + 5.0, align: Align::Middle, text }
}

fn monday(at: Timestamp) -> Date {
    let date = at.to_zoned(TimeZone::UTC).date();
    let back = i64::from(date.weekday().to_monday_zero_offset());
    date.checked_sub(back.days()).unwrap_or(date)
}
