//! Quarters of the calendar, in UTC: what access reviews are counted by.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quarter {
    /// From the one, and before the other.
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Quarter {
    /// The one that a moment is in; none at the end of what can be counted.
    pub fn of(at: Timestamp) -> Option<Self> {
        let day = at.to_zoned(TimeZone::UTC).date();
        Self::starting(Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1).ok()?)
    }

    /// As people write it: `2026Q4`.
    pub fn parse(text: &str) -> Option<Self> {
        let (year, number) = text.trim().split_once(['Q', 'q'])?;
        let (year, number): (i16, i8) = (year.parse().ok()?, number.parse().ok()?);
        if !(1..=4).contains(&number) {
            return None;
        }
        Self::starting(Date::new(year, number * 3 - 2, 1).ok()?)
    }

    pub fn next(self) -> Option<Self> {
        Self::of(self.to)
    }

    pub fn before(self) -> Option<Self> {
        Self::of(self.from.checked_sub(1.second()).ok()?)
    }

    fn starting(first: Date) -> Option<Self> {
        let at = |day: Date| day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).ok();
        Some(Self { from: at(first)?, to: at(first.checked_add(3.months()).ok()?)? })
    }
}

impl fmt::Display for Quarter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.from.to_zoned(TimeZone::UTC).date();
        write!(f, "{}Q{}", first.year(), (first.month() + 2) / 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r9_4_a_quarter_is_three_months() {
        for (text, from, to) in [
            ("2026Q4", "2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2027q1", "2027-01-01T00:00:00Z", "2027-04-01T00:00:00Z"),
        ] {
            let quarter = Quarter::parse(text).unwrap();
            assert_eq!((quarter.from.to_string().as_str(), quarter.to.to_string().as_str()), (from, to));
            assert_eq!(quarter.to_string(), text.to_uppercase());
        }
        for bad in ["", "2026", "2026Q5", "2026Q0", "Q1", "2026-10-01"] {
            assert_eq!(Quarter::parse(bad), None, "{bad}");
        }
        let of = |text: &str| Quarter::of(text.parse().unwrap()).unwrap();
        let last = of("2026-12-31T23:59:59Z");
        assert_eq!(last, of("2026-10-01T00:00:00Z"));
        assert_eq!(last.next(), Quarter::parse("2027Q1"));
        assert_eq!(last.before(), Quarter::parse("2026Q3"));
    }
}
