//! Bulk reads: what looks like somebody carrying a table away (R7.3).

use super::{GrantId, PersonRef, SessionId};
use serde::{Deserialize, Serialize};

/// When a read is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BulkRule {
    /// From so many rows on a read is large, whatever of.
    pub rows: u64,
    /// From such a share of a table on it is, too.
    pub share_percent: u8,
    /// A large read is unusual when it is so many times what is usual.
    pub factor: u64,
}

impl Default for BulkRule {
    fn default() -> Self {
        Self { rows: 10_000, share_percent: 50, factor: 3 }
    }
}

/// What was read: by one statement, or by one session so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BulkKind {
    Statement,
    Session,
}

impl BulkKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Statement => "statement",
            Self::Session => "session",
        }
    }
}

/// A large read, and why it is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkRead {
    pub of: BulkKind,
    pub session: SessionId,
    pub grant: GrantId,
    pub person: PersonRef,
    pub target: String,
    /// Ledger position of the statement that it was seen at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<u64>,
    pub rows: u64,
    pub bytes: u64,
    /// The relations that the statement reads.
    pub tables: Vec<String>,
    /// The rows as a share of the smallest of these tables, as the planner estimates it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_percent: Option<u64>,
    /// What large reads of this person, and of these tables, usually return; 0 without a history.
    pub usual: u64,
    /// In words.
    pub why: String,
}

/// Reads below are no news to anybody, whatever share of a table they are.
pub const BULK_FLOOR: u64 = 1_000;

/// So many reads make a history: of fewer, none is usual.
const HISTORY: usize = 10;

/// What is usual, from the rows of earlier reads: their 95th percentile.
pub fn usual(mut rows: Vec<u64>) -> u64 {
    rows.sort_unstable();
    let place = (rows.len() * 95).div_ceil(100).saturating_sub(1);
    if rows.len() < HISTORY { 0 } else { rows.get(place).copied().unwrap_or_default() }
}

impl BulkRule {
    /// Why a read of so many rows is told of, if it is. `table` is the planner's
    /// estimate for the smallest table that was read.
    pub fn weigh(&self, rows: u64, table: Option<u64>, usual: u64) -> Option<String> {
        let share = table.filter(|all| *all > 0).map(|all| percent(rows, all));
        let of_table = share.filter(|share| *share >= u64::from(self.share_percent));
        let large = rows >= self.rows || (rows >= BULK_FLOOR && of_table.is_some());
        // A habit is no news, but nobody's habit makes it one to take all there is.
        let unusual = rows > usual.saturating_mul(self.factor);
        if !large || !unusual {
            return None;
        }
        let share = of_table.map(|share| format!(", {share}% of a table")).unwrap_or_default();
        Some(match usual {
            0 => format!("{rows} rows{share}, and there is no history to compare with"),
            usual => format!("{rows} rows{share}, where {usual} are usual"),
        })
    }
}

/// How many percent of `all` it is; estimates can lag behind, so more than all is all.
pub fn percent(rows: u64, all: u64) -> u64 {
    rows.saturating_mul(100).checked_div(all).unwrap_or(100).min(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r7_3_what_is_large_and_unusual_is_told_of() {
        let rule = BulkRule::default();
        let told = |rows, table, usual| rule.weigh(rows, table, usual).is_some();
        for (rows, table, usual, expected) in [
            (9_999, None, 0, false),
            (10_000, None, 0, true),
            (10_000, None, 5_000, false),
            (15_001, None, 5_000, true),
            (999, Some(999), 0, false),
            (1_000, Some(2_000), 0, true),
            (1_000, Some(2_001), 0, false),
            (1_000, Some(2_000), 900, false),
            (1_000, Some(0), 0, false),
            (u64::MAX, Some(1), u64::MAX, false),
        ] {
            assert_eq!(told(rows, table, usual), expected, "{rows} {table:?} {usual}");
        }
        assert_eq!(
            rule.weigh(50_000, Some(60_000), 100).unwrap(),
            "50000 rows, 83% of a table, where 100 are usual"
        );
    }

    #[test]
    fn what_is_usual_needs_a_history() {
        assert_eq!(usual(vec![500; 9]), 0);
        assert_eq!(usual((1..=10).collect()), 10);
        assert_eq!(usual((1..=100).rev().collect()), 95);
    }
}
