//! Suspensions: no session with views on a target, for a deploy.

use super::PersonRef;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a suspension is where nobody says.
pub const USUAL_SUSPENSION: Duration = Duration::from_secs(30 * 60);
/// A deploy that takes longer suspends again.
pub const LONGEST_SUSPENSION: Duration = Duration::from_secs(4 * 3600);

/// While it lasts, no session that needs views is open on the target, and no
/// view stands in the way of changing its tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    pub target: String,
    pub by: PersonRef,
    pub at: Timestamp,
    /// It ends by itself.
    pub until: Timestamp,
}

impl Suspension {
    pub fn is_on(&self, now: Timestamp) -> bool {
        now < self.until
    }
}
