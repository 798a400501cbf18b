//! The interval that evidence is asked for.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// From its first moment up to, and without, its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub from: Timestamp,
    pub until: Timestamp,
}

impl Period {
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }

    /// Whether something that lasted from `start` to `end` was there within it.
    pub fn meets(&self, start: Timestamp, end: Timestamp) -> bool {
        start < self.until && self.from <= end
    }
}
