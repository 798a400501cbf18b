//! The numbers that stand in `statements` for what is few.

use crate::core::model::{Sensitivity, StatementResult};
use std::collections::BTreeSet;

/// Bit of a statement of which it is not known what it saw unmasked.
pub(super) const UNKNOWN: i64 = 16;

const KINDS: [(Sensitivity, i64); 4] =
    [(Sensitivity::Pii, 1), (Sensitivity::Financial, 2), (Sensitivity::Health, 4), (Sensitivity::Secret, 8)];

pub(super) fn bit(kind: Sensitivity) -> i64 {
    KINDS.iter().find(|(known, _)| *known == kind).map_or(0, |(_, bit)| *bit)
}

pub(super) fn bits(kinds: &BTreeSet<Sensitivity>) -> i64 {
    kinds.iter().map(|kind| bit(*kind)).sum()
}

pub(super) fn kinds(bits: i64) -> Vec<Sensitivity> {
    KINDS.iter().filter(|(_, bit)| bits & bit != 0).map(|(kind, _)| *kind).collect()
}

pub(super) const RUNNING: i64 = 0;
pub(super) const OK: i64 = 1;
pub(super) const FAILED: i64 = 2;
pub(super) const REFUSED: i64 = 3;
pub(super) const CUT: i64 = 4;
pub(super) const SKIPPED: i64 = 5;
pub(super) const LOST: i64 = 6;

pub(super) fn outcome(result: &StatementResult) -> i64 {
    match result {
        StatementResult::Ok { .. } | StatementResult::Suspended => OK,
        StatementResult::Error { .. } => FAILED,
        StatementResult::Refused { .. } => REFUSED,
        StatementResult::Cut { .. } => CUT,
        StatementResult::Skipped => SKIPPED,
        StatementResult::Unknown => LOST,
    }
}

/// As `ResultKind` spells it.
pub(super) fn outcome_name(outcome: i64) -> &'static str {
    match outcome {
        OK => "ok",
        FAILED => "failed",
        REFUSED => "refused",
        CUT => "cut",
        SKIPPED => "skipped",
        LOST => "unknown",
        _ => "running",
    }
}
