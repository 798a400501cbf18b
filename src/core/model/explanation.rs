//! What each rule said to a request, for people who ask why.

use super::Decision;
use serde::{Deserialize, Serialize};

/// A decision, rule by rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    pub decision: Decision,
    /// What decided first, then those that applied as well, then the misses,
    /// nearest first. Rules of the other path, and of who may approve, are left out.
    pub rules: Vec<RuleSaid>,
}

/// What one rule said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSaid {
    pub id: String,
    pub title: String,
    /// The tier that it permits, or `forbid`.
    pub permits: String,
    pub outcome: RuleOutcome,
    /// The conditions that did not hold; empty unless it missed.
    pub missing: Vec<Missing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleOutcome {
    /// It is the reason for the answer.
    Decided,
    /// It applied, but not to a window as long as this.
    TooLong,
    /// It applied, but it masks, and from a migration nothing can be masked.
    CannotMask,
    /// It applied, and a lighter or earlier rule, or one that forbids, had decided.
    Applied,
    /// It did not apply.
    Missed,
}

/// A condition that did not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// As Cedar text.
    pub condition: String,
    /// What was the case: the facts that it speaks of.
    pub known: String,
}
