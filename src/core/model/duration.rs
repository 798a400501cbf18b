//! Lengths of time as people write them: `90s`, `45m`, `1h30m`, `2d`.

use std::time::Duration;

/// A text that is not a length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time: write it as 90s, 45m, 1h30m or 2d")]
pub struct BadDuration(pub String);

/// Reads a length of time. A number needs its unit; zero is refused.
pub fn parse_duration(text: &str) -> Result<Duration, BadDuration> {
    let bad = || BadDuration(text.to_owned());
    let mut seconds: u64 = 0;
    let mut number: Option<u64> = None;
    for c in text.trim().chars() {
        if let Some(digit) = c.to_digit(10) {
            let grown = number.unwrap_or(0).checked_mul(10).and_then(|n| n.checked_add(u64::from(digit)));
            number = Some(grown.ok_or_else(bad)?);
            continue;
        }
        let unit = match c {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            _ => return Err(bad()),
        };
        let part = number.take().and_then(|n| n.checked_mul(unit)).ok_or_else(bad)?;
        seconds = seconds.checked_add(part).ok_or_else(bad)?;
    }
    // A century is beyond any window and keeps every sum with a timestamp in range.
    if number.is_some() || seconds == 0 || seconds > 100 * 366 * 86_400 {
        return Err(bad());
    }
    Ok(Duration::from_secs(seconds))
}

/// Writes a length of time with at most its two largest units: `1h 30m`, `45s`.
pub fn format_duration(length: Duration) -> String {
    let total = length.as_secs();
    let parts = [(total / 86_400, "d"), (total / 3600 % 24, "h"), (total / 60 % 60, "m"), (total % 60, "s")];
    let shown: Vec<String> = parts
        .iter()
        .skip_while(|(n, _)| *n == 0)
        .take(2)
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n}{unit}"))
        .collect();
    if shown.is_empty() { "0s".to_owned() } else { shown.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_lengths_of_time() {
        for (text, seconds) in [("90s", 90), ("45m", 2700), ("1h30m", 5400), ("2d", 172_800), (" 1h ", 3600)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in
            ["", "1", "h", "0s", "-1h", "1.5h", "1y", "99999999999999999999h", "18446744073709551615d"]
        {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for (seconds, text) in [(0, "0s"), (59, "59s"), (5400, "1h 30m"), (3600, "1h"), (90_061, "1d 1h")] {
            assert_eq!(format_duration(Duration::from_secs(seconds)), text);
        }
    }
}
