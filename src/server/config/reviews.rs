//! `[reviews]`: which access reviews start by themselves (R9.4).

use super::reader::Section;
use super::sections::length;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reviews {
    /// Whether one starts when a quarter is over, about that quarter.
    pub every_quarter: bool,
    /// How long reviewers have, unless whoever starts one says it.
    pub campaign_due: Duration,
}

impl Default for Reviews {
    fn default() -> Self {
        Self { every_quarter: false, campaign_due: Duration::from_secs(14 * 24 * 3600) }
    }
}

pub(super) fn reviews(section: Option<Section<'_>>) -> Reviews {
    let default = Reviews::default();
    let Some(section) = section else { return default };
    let every = section.parsed("campaign_every", "\"quarter\" or \"never\"", |text| match text {
        "quarter" => Some(true),
        "never" => Some(false),
        _ => None,
    });
    let campaign_due = length(&section, "campaign_due", default.campaign_due);
    section.finish();
    Reviews { every_quarter: every.unwrap_or(default.every_quarter), campaign_due }
}
