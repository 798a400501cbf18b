//! Metrics as they are told: a number, what it should be, how it has been.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Count,
    Percent,
    Seconds,
}

impl Unit {
    /// A value for people, at the precision that they decide by: `12 ms`, `1.5 h`, `8.3%`, `3`.
    pub fn say(self, value: f64) -> String {
        match self {
            Self::Count => short(value),
            Self::Percent => format!("{}%", short(value)),
            Self::Seconds => {
                // Where a value of one unit would be read more easily in the next.
                let units = [(0.95, 0.001, "ms"), (100.0, 1.0, "s"), (6000.0, 60.0, "min")];
                let larger = [(2.0 * 86_400.0, 3600.0, "h"), (f64::INFINITY, 86_400.0, "d")];
                let fits = units.into_iter().chain(larger).find(|(below, _, _)| value < *below);
                let (_, divisor, name) = fits.unwrap_or((0.0, 1.0, "s"));
                format!("{} {name}", short(value / divisor))
            }
        }
    }
}

/// One decimal below ten, none above; no zero that says nothing.
fn short(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    if tenths.abs() < 10.0 && tenths.fract() != 0.0 { format!("{tenths:.1}") } else { format!("{value:.0}") }
}

/// What a metric's value should be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Goal {
    Zero,
    Under(f64),
}

impl Goal {
    pub fn met(self, value: f64) -> bool {
        match self {
            Self::Zero => value <= 0.0,
            Self::Under(bound) => value < bound,
        }
    }

    pub fn say(self, unit: Unit) -> String {
        match self {
            Self::Zero => unit.say(0.0),
            Self::Under(bound) => format!("under {}", unit.say(bound)),
        }
    }
}

/// A metric's value in the seven days from `from` on; none where nothing happened
/// that it could measure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Week {
    pub from: Date,
    pub value: Option<f64>,
}

/// One of the metrics of privilege reduction, over a span of time. Of all of them
/// less is better.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The requirement's number: `R10.3`.
    pub id: String,
    pub title: String,
    pub unit: Unit,
    pub goal: Goal,
    /// None where nothing happened that it could measure.
    pub value: Option<f64>,
    pub met: Option<bool>,
    /// Of the span of the same length before.
    pub previous: Option<f64>,
    /// What else is known: quantiles, and the parts that a time is made of.
    pub parts: Vec<Part>,
    /// Oldest first; the last ends with the span.
    pub weeks: Vec<Week>,
    /// Those that make the value what it is, the worst first; `more` are not listed.
    pub behind: Vec<Case>,
    pub more: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub name: String,
    pub value: Option<f64>,
    pub unit: Unit,
    pub goal: Option<Goal>,
}

/// A session, request or role behind a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Its id, or the role's name.
    pub id: String,
    pub person: Option<String>,
    pub target: String,
    pub at: Timestamp,
    /// What is wrong with it.
    pub why: String,
    /// The command that would have asked for no more than was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tighter: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_in_the_unit_that_people_read() {
        for (unit, value, said) in [
            (Unit::Count, 0.0, "0"),
            (Unit::Count, 3.0, "3"),
            (Unit::Count, 1234.4, "1234"),
            (Unit::Percent, 8.33, "8.3%"),
            (Unit::Percent, 100.0, "100%"),
            (Unit::Seconds, 0.0, "0 ms"),
            (Unit::Seconds, 0.0123, "12 ms"),
            (Unit::Seconds, 0.96, "1 s"),
            (Unit::Seconds, 1.04, "1 s"),
            (Unit::Seconds, 30.0, "30 s"),
            (Unit::Seconds, 300.0, "5 min"),
            (Unit::Seconds, 5400.0, "90 min"),
            (Unit::Seconds, 7200.0, "2 h"),
            (Unit::Seconds, 3.0 * 86_400.0, "3 d"),
        ] {
            assert_eq!(unit.say(value), said, "{unit:?} {value}");
        }
    }

    #[test]
    fn a_goal_is_met_below_its_bound_and_zero_at_nothing() {
        for (goal, value, met, said) in [
            (Goal::Zero, 0.0, true, "0"),
            (Goal::Zero, 1.0, false, "0"),
            (Goal::Under(3.0), 2.9, true, "under 3"),
            (Goal::Under(3.0), 3.0, false, "under 3"),
        ] {
            assert_eq!((goal.met(value), goal.say(Unit::Count).as_str()), (met, said), "{goal:?} {value}");
        }
        assert_eq!(Goal::Under(7200.0).say(Unit::Seconds), "under 2 h");
    }
}
