//! Business hours: a pure question to a time zone.

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil::Time};

/// When people are expected to be at work.
#[derive(Clone, Debug)]
pub struct BusinessHours {
    pub zone: TimeZone,
    /// The days on which a span starts.
    pub days: Vec<Weekday>,
    /// The first instant inside, on the local clock.
    pub from: Time,
    /// The first instant outside. Not after `from`: it is on the following day,
    /// so `00:00` to `00:00` is the whole day.
    pub to: Time,
}

impl BusinessHours {
    pub fn contains(&self, at: Timestamp) -> bool {
        let local = at.to_zoned(self.zone.clone());
        let (day, time) = (local.weekday(), local.time());
        if self.from < self.to {
            return self.days.contains(&day) && self.from <= time && time < self.to;
        }
        (self.days.contains(&day) && self.from <= time)
            || (self.days.contains(&day.previous()) && time < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEKDAYS: [Weekday; 5] =
        [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];

    fn contains(zone: &str, days: &[Weekday], from: i8, to: i8, at: &str) -> bool {
        let zone = TimeZone::get(zone).unwrap();
        let (from, to) = (Time::constant(from, 0, 0, 0), Time::constant(to, 0, 0, 0));
        BusinessHours { zone, days: days.to_vec(), from, to }.contains(at.parse().unwrap())
    }

    #[test]
    fn r4_1_business_hours_follow_the_local_clock() {
        // 2026-03-29 is the Sunday on which Berlin's clocks go forward.
        for (at, inside) in [
            ("2026-03-27T08:00:00Z", true),  // Friday 09:00 in winter time
            ("2026-03-27T07:59:59Z", false), // a second early
            ("2026-03-30T07:00:00Z", true),  // Monday 09:00 in summer time
            ("2026-03-30T16:59:59Z", true),  // one second before 19:00
            ("2026-03-30T17:00:00Z", false), // 19:00
            ("2026-03-28T10:00:00Z", false), // Saturday
        ] {
            assert_eq!(contains("Europe/Berlin", &WEEKDAYS, 9, 19, at), inside, "{at}");
        }
    }

    #[test]
    fn a_span_over_midnight_belongs_to_the_day_it_starts_on() {
        for (at, inside) in [
            ("2026-11-27T22:00:00Z", true),  // Friday night
            ("2026-11-28T05:59:59Z", true),  // Saturday morning, still Friday's
            ("2026-11-28T06:00:00Z", false), // its end
            ("2026-11-28T22:00:00Z", false), // Saturday night
            ("2026-11-23T05:00:00Z", false), // Monday morning would be Sunday's
        ] {
            assert_eq!(contains("UTC", &WEEKDAYS, 22, 6, at), inside, "{at}");
        }
        assert!(contains("UTC", &WEEKDAYS, 0, 0, "2026-11-27T23:59:59Z"));
        assert!(!contains("UTC", &WEEKDAYS, 0, 0, "2026-11-28T12:00:00Z"));
    }
}
