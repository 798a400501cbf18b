//! A moment to come, as people write it: from now, on a day, at a time.

use crate::core::model::parse_duration;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// `3d` from `now`; `2026-12-24`, to the end of that day in `zone`;
/// `2026-12-24T18:00` in `zone`; or an RFC 3339 time.
pub fn until(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(length) = parse_duration(text) {
        return from_now(length, now).ok_or_else(|| format!("{text} from now is beyond any calendar"));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let local = match text.parse::<Date>() {
        // A text with a time of day is a date, too, for the parser.
        Ok(day) if !text.contains(['T', 't', ' ']) => {
            day.tomorrow().map(|next| next.to_datetime(Time::midnight()))
        }
        _ => text.parse::<DateTime>(),
    };
    local
        .and_then(|local| local.to_zoned(zone.clone()))
        .map(|zoned| zoned.timestamp())
        .map_err(|_| format!("`{text}` is not a time: write it as 3d, 2026-12-24 or 2026-12-24T18:00"))
}

fn from_now(length: Duration, now: Timestamp) -> Option<Timestamp> {
    now.checked_add(SignedDuration::try_from(length).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_length_a_day_or_a_time() {
        let now: Timestamp = "2026-12-20T10:00:00Z".parse().unwrap();
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, expected) in [
            ("3d", "2026-12-23T10:00:00Z"),
            ("1h30m", "2026-12-20T11:30:00Z"),
            ("2026-12-24", "2026-12-24T23:00:00Z"),
            ("2026-12-24T18:00", "2026-12-24T17:00:00Z"),
            ("2026-12-24 18:00", "2026-12-24T17:00:00Z"),
            ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00Z"),
        ] {
            assert_eq!(
                until(text, now, &berlin).map(|time| time.to_string()).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
        for bad in ["", "tomorrow", "24.12.2026", "2026-13-01", "0d"] {
            assert!(until(bad, now, &berlin).unwrap_err().contains("write it as 3d"), "{bad}");
        }
    }
}
