//! `[break_glass]` and `[recording]`: how long emergency access lasts, what it
//! owes afterwards (R8), and who can read what was recorded of it (R8.4).

use super::reader::Section;
use super::sections::length;
use crate::core::break_glass::Rules;
use crate::core::model::{format_duration, parse_duration};
use crate::core::recording::AuditorKey;
use std::ops::RangeInclusive;
use std::time::Duration;

/// What follows break-glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// How soon after its end the access must have been reviewed.
    pub review_within: Duration,
    /// Whether an overdue review keeps its person from the next break-glass.
    pub overdue_blocks: bool,
    /// How many uses in 30 days, by a person or a team, are not yet too many (R8.6).
    pub warn_after: u32,
    pub rules: Rules,
    /// How often the incident system is asked about an open one.
    pub poll: Duration,
}

impl Default for BreakGlass {
    fn default() -> Self {
        Self {
            review_within: Duration::from_secs(48 * 3600),
            overdue_blocks: true,
            warn_after: 3,
            rules: Rules {
                window: Duration::from_secs(1800),
                unconfirmed_for: Duration::from_secs(2 * 3600),
                confirm_within: Duration::from_secs(3600),
            },
            poll: Duration::from_secs(60),
        }
    }
}

pub(super) fn break_glass(section: Option<Section<'_>>) -> BreakGlass {
    let default = BreakGlass::default();
    let Some(section) = section else { return default };
    let review_within = length(&section, "review_within", default.review_within);
    if review_within.is_zero() {
        section.say("review_within must leave time to write a review");
    }
    let overdue_blocks = !section.has("overdue_blocks") || section.boolean("overdue_blocks");
    let warn_after = section.number("warn_after", 1000, u64::from(default.warn_after));
    let warn_after = u32::try_from(warn_after).unwrap_or(default.warn_after);
    let within = |name: &str, range: RangeInclusive<u64>, default: Duration| {
        let (least, most) = (Duration::from_secs(*range.start()), Duration::from_secs(*range.end()));
        let expected = format!(
            "a length of time such as 5m, from {} to {}",
            format_duration(least),
            format_duration(most)
        );
        let fits = |length: &Duration| range.contains(&length.as_secs());
        let given = section.parsed(name, &expected, |text| parse_duration(text).ok().filter(fits));
        given.unwrap_or(default)
    };
    let rules = Rules {
        window: within("window", 5..=3600, default.rules.window),
        unconfirmed_for: within("unconfirmed_for", 5..=24 * 3600, default.rules.unconfirmed_for),
        confirm_within: within("confirm_within", 1..=24 * 3600, default.rules.confirm_within),
    };
    let poll = within("poll", 1..=300, default.poll);
    section.finish();
    BreakGlass { review_within, overdue_blocks, warn_after, rules, poll }
}

/// Whether texts on the ledger are shown without their values.
pub(super) fn redacts(section: Option<Section<'_>>, sealed: bool) -> bool {
    let Some(section) = section else { return false };
    let expected = "\"whole\" or \"redacted\"";
    let found = section.text("text", expected);
    let redacts = match found.as_ref().map(|found| found.value) {
        Some("redacted") => true,
        None | Some("whole") => false,
        Some(other) => {
            if let Some(found) = &found {
                found.say(format!("expected {expected}, found `{other}`"));
            }
            false
        }
    };
    if let (true, false, Some(found)) = (redacts, sealed, &found) {
        found.say(
            "the originals of redacted texts are sealed to an auditor: give [recording] auditor_key, which \
             `dbaccess recording keygen` makes",
        );
    }
    section.finish();
    redacts
}

/// Whom recordings are sealed to.
pub(super) fn auditor_key(section: Section<'_>) -> Option<AuditorKey> {
    let expected = "a public key that `dbaccess recording keygen` has printed";
    let found = section.text("auditor_key", expected);
    let key = found.as_ref().and_then(|found| AuditorKey::parse(found.value));
    if let (Some(found), None) = (found, key) {
        // Not what was found: it may be the private key.
        found.say(format!("expected {expected}"));
    }
    section.finish();
    key
}
