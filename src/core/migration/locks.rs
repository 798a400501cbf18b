//! The lock modes of tables (PostgreSQL manual 13.3.1), weakest first.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LockMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl LockMode {
    /// Whether a SELECT waits for it.
    pub fn blocks_reads(self) -> bool {
        self == Self::AccessExclusive
    }

    /// Whether INSERT, UPDATE and DELETE wait for it.
    pub fn blocks_writes(self) -> bool {
        self >= Self::Share
    }

    /// As LOCK TABLE spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowShare => "ROW SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// From the number that the grammar's tree has, 1 to 8.
    pub(super) fn from_number(number: i32) -> Option<Self> {
        const ALL: [LockMode; 8] = [
            LockMode::AccessShare,
            LockMode::RowShare,
            LockMode::RowExclusive,
            LockMode::ShareUpdateExclusive,
            LockMode::Share,
            LockMode::ShareRowExclusive,
            LockMode::Exclusive,
            LockMode::AccessExclusive,
        ];
        ALL.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
