//! `[break_glass]`: what emergency access owes afterwards (R8.5).

use super::reader::Section;
use super::sections::length;
use std::time::Duration;

/// What follows break-glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// How soon after its end the access must have been reviewed.
    pub review_within: Duration,
    /// Whether an overdue review keeps its person from the next break-glass.
    pub overdue_blocks: bool,
}

impl Default for BreakGlass {
    fn default() -> Self {
        Self { review_within: Duration::from_secs(48 * 3600), overdue_blocks: true }
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
    section.finish();
    BreakGlass { review_within, overdue_blocks }
}
