//! `dbaccess metrics`: how well access is kept small, in six numbers.

use super::Context;
use super::request::length;
use crate::cli::error::CliError;
use crate::cli::output::{
    Format, Listing, OutputArgs, clean, field, note, print_list, relative, result, width_of_stdout,
};
use crate::core::model::{Case, Metric, Week, nearest};
use crate::os;
use crate::proto::MetricsQuery;
use std::time::Duration;

/// Show the metrics of privilege reduction: value, target, trend.
///
/// Six numbers, all of which should be small: standing credentials, how long
/// access lasts, sessions that were granted more than they used, how long people
/// wait for access, break-glass, and how long a credential outlives its session.
/// For security and auditors. Exit code 1 when a target is missed.
#[derive(Clone, Debug, clap::Args)]
pub struct MetricsArgs {
    /// Over how long, up to now: such as 24h, 30d or 365d
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = length)]
    since: Duration,
    /// Show one of them whole, with the sessions or requests behind it: such as R10.3
    #[arg(long, value_name = "METRIC")]
    metric: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl MetricsArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let query = MetricsQuery { since_seconds: Some(self.since.as_secs()) };
        let view = context.client()?.metrics(&query).await?;
        let missed = |metrics: &[Metric]| u8::from(metrics.iter().any(|metric| metric.met == Some(false)));
        let Some(wanted) = &self.metric else {
            print_list(self.output.output, &listing(&view.metrics), &view)?;
            return Ok(missed(&view.metrics));
        };
        let Some(metric) = view.metrics.iter().find(|metric| metric.id.eq_ignore_ascii_case(wanted)) else {
            let near = nearest(wanted, view.metrics.iter().map(|metric| metric.id.as_str()));
            let near = if near.is_empty() { "R10.1 to R10.6".to_owned() } else { near.join(" or ") };
            return Err(CliError::usage(format!("there is no metric {wanted}: did you mean {near}?")));
        };
        match self.output.output {
            Format::Table => result(&whole(metric, width_of_stdout()))?,
            format => print_list(format, &cases(&metric.behind), metric)?,
        }
        Ok(missed(std::slice::from_ref(metric)))
    }
}

fn listing(metrics: &[Metric]) -> Listing {
    let mut listing =
        Listing::new(["id", "metric", "value", "target", "before", "weeks"], "nothing is measured");
    for metric in metrics {
        let weeks = sparkline(&metric.weeks);
        let value = format!("{}{}", said(metric, metric.value), mark(metric));
        let before = format!("{}{}", said(metric, metric.previous), arrow(metric));
        listing.row([
            metric.id.clone(),
            metric.title.clone(),
            value,
            metric.goal.say(metric.unit),
            before,
            weeks,
        ]);
    }
    listing
}

fn cases(behind: &[Case]) -> Listing {
    let mut listing =
        Listing::new(["id", "person", "target", "at", "why", "tighter"], "nothing is behind it");
    for case in behind {
        let Case { id, person, target, at, why, tighter } = case;
        listing.row([
            id.clone(),
            person.clone().unwrap_or_default(),
            target.clone(),
            at.to_string(),
            why.clone(),
            tighter.clone().unwrap_or_default(),
        ]);
    }
    listing
}

/// One metric with its parts and what is behind it, in records that fit any width.
fn whole(metric: &Metric, width: Option<u16>) -> String {
    const LABEL: usize = 9;
    let mut text = format!("{}  {}\n", metric.id, metric.title);
    let mut line = |name: &str, value: String| text.push_str(&field(name, &clean(&value), LABEL, width));
    line("value", format!("{}{}", said(metric, metric.value), mark(metric)));
    line("target", metric.goal.say(metric.unit));
    line("before", format!("{}{}", said(metric, metric.previous), arrow(metric)));
    line("weeks", sparkline(&metric.weeks));
    for part in &metric.parts {
        let value = part.value.map_or_else(|| "nothing measured".to_owned(), |value| part.unit.say(value));
        let goal = part.goal.map(|goal| format!(" (target {})", goal.say(part.unit))).unwrap_or_default();
        line("part", format!("{}: {value}{goal}", part.name));
    }
    for case in &metric.behind {
        let Case { id, person, target, at, why, tighter } = case;
        text.push_str(&format!("\n{}\n", clean(id)));
        let mut line = |name: &str, value: &str| text.push_str(&field(name, &clean(value), LABEL, width));
        if let Some(person) = person {
            line("who", person);
        }
        line("target", target);
        line("when", &relative(*at, os::now()));
        line("why", why);
        if let Some(tighter) = tighter {
            line("tighter", tighter);
        }
    }
    if metric.more > 0 {
        note(&format!("{} more are not listed: ask for a shorter time", metric.more));
    }
    text
}

fn said(metric: &Metric, value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| metric.unit.say(value))
}

fn mark(metric: &Metric) -> &'static str {
    if metric.met == Some(false) { " MISSED" } else { "" }
}

/// Where it went since: of all of them less is better.
fn arrow(metric: &Metric) -> &'static str {
    match (metric.value, metric.previous) {
        (Some(value), Some(before)) if value > before => " ↑ worse",
        (Some(value), Some(before)) if value < before => " ↓ better",
        (Some(_), Some(_)) => " → same",
        _ => "",
    }
}

/// The weeks as bars, the highest the largest; a dot where nothing was measured.
fn sparkline(weeks: &[Week]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = weeks.iter().filter_map(|week| week.value).fold(0.0, f64::max);
    let bar = |week: &Week| {
        let Some(value) = week.value else { return '·' };
        let height = if most > 0.0 { (value / most * 7.0).round() as usize } else { 0 };
        BARS.get(height).copied().unwrap_or('█')
    };
    // A screen has room for a quarter.
    weeks.iter().rev().take(12).rev().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{Goal, Part, Unit};
    use jiff::civil::date;

    fn metric() -> Metric {
        let weeks = [None, Some(0.0), Some(4.0), Some(8.0)];
        Metric {
            id: "R10.3".into(),
            title: "over-privileged sessions".into(),
            unit: Unit::Percent,
            goal: Goal::Under(10.0),
            value: Some(12.5),
            met: Some(false),
            previous: Some(8.0),
            parts: vec![Part {
                name: "p50".into(),
                value: None,
                unit: Unit::Seconds,
                goal: Some(Goal::Under(1.0)),
            }],
            weeks: weeks.map(|value| Week { from: date(2026, 1, 5), value }).to_vec(),
            behind: vec![Case {
                id: "ses-7k2m9p".into(),
                person: Some("alice@example.com".into()),
                target: "prod-orders".into(),
                at: jiff::Timestamp::UNIX_EPOCH,
                why: "writing was allowed, and nothing was written".into(),
                tighter: Some("dbaccess request prod-orders --table public.orders".into()),
            }],
            more: 0,
        }
    }

    #[test]
    fn r10_a_metric_fits_40_and_80_columns() {
        assert_eq!(sparkline(&metric().weeks), "·▁▅█");
        for width in [40, 80] {
            let shown = whole(&metric(), Some(width));
            for line in shown.lines() {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
            }
            assert!(shown.contains("12% MISSED") && shown.contains("8% ↑ worse"), "{shown}");
        }
        assert!(
            whole(&metric(), None)
                .contains("  tighter  dbaccess request prod-orders --table public.orders\n")
        );
        let row = &listing(&[metric()]).rows[0];
        assert_eq!(row[..5], ["R10.3", "over-privileged sessions", "12% MISSED", "under 10%", "8% ↑ worse"]);
    }
}
