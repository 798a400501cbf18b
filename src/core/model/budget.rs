//! Budgets: how much may leave a database by reading (R7.1).

use super::{Scope, Tier};
use serde::{Deserialize, Serialize};

/// The most that one statement and one session may return. Rows count however
/// they leave: as a result, by FETCH, as COPY data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    pub statement_rows: u64,
    /// Bytes of rows and COPY data on the wire, and of errors and notices.
    pub statement_bytes: u64,
    pub session_rows: u64,
    pub session_bytes: u64,
    /// Statements of a session that may ask for aggregates of sealed columns:
    /// noise averages out over many.
    pub aggregate_statements: u64,
}

impl Budget {
    /// No bound at all: for tests, and where configuration says so.
    pub const UNLIMITED: Self = Self {
        statement_rows: u64::MAX,
        statement_bytes: u64::MAX,
        session_rows: u64::MAX,
        session_bytes: u64::MAX,
        aggregate_statements: u64::MAX,
    };

    /// What access that nobody approved may read.
    const AUTO: Self = Self {
        statement_rows: 50_000,
        statement_bytes: 16 << 20,
        session_rows: 500_000,
        session_bytes: 256 << 20,
        aggregate_statements: 100,
    };

    /// This budget with a rule's own bound on the rows of a session.
    pub fn with_rows(self, rows: Option<u64>) -> Self {
        let Some(rows) = rows else { return self };
        Self { session_rows: rows, statement_rows: self.statement_rows.min(rows), ..self }
    }

    const fn times(self, factor: u64) -> Self {
        Self {
            statement_rows: self.statement_rows.saturating_mul(factor),
            statement_bytes: self.statement_bytes.saturating_mul(factor),
            session_rows: self.session_rows.saturating_mul(factor),
            session_bytes: self.session_bytes.saturating_mul(factor),
            aggregate_statements: self.aggregate_statements.saturating_mul(factor),
        }
    }
}

/// Budgets by what was demanded before access was granted: the more people
/// looked at a request, the more it may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budgets {
    pub auto: Budget,
    pub single: Budget,
    pub dual: Budget,
    /// Of a grant that may export, whatever its tier.
    pub export: Budget,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            auto: Budget::AUTO,
            single: Budget::AUTO.times(4),
            dual: Budget::AUTO.times(10),
            export: Budget::UNLIMITED,
        }
    }
}

impl Budgets {
    pub fn of(&self, tier: Tier, scope: &Scope) -> Budget {
        match tier {
            _ if scope.exports() => self.export,
            Tier::Dual | Tier::BreakGlass => self.dual,
            Tier::Single => self.single,
            // Nothing is granted under `deny`.
            Tier::Auto | Tier::Deny => self.auto,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{Objects, Permission};
    use std::collections::BTreeSet;

    #[test]
    fn r7_1_a_budget_goes_by_tier_and_export() {
        let budgets = Budgets::default();
        let scope = |permissions: &[Permission]| {
            Scope::new(Objects::Database, permissions.iter().copied().collect::<BTreeSet<_>>())
        };
        let read = scope(&[Permission::Read]);
        assert_eq!(budgets.of(Tier::Auto, &read).statement_rows, 50_000);
        assert_eq!(budgets.of(Tier::Single, &read).statement_bytes, 64 << 20);
        assert_eq!(budgets.of(Tier::Dual, &read).session_rows, 5_000_000);
        let export = scope(&[Permission::Read, Permission::Export]);
        assert_eq!(budgets.of(Tier::Dual, &export), Budget::UNLIMITED);
        // What a rule says stands in place of the session's rows, and no statement reads more.
        let own = |rows| {
            let budget = budgets.of(Tier::Auto, &read).with_rows(rows);
            (budget.statement_rows, budget.session_rows)
        };
        assert_eq!(own(None), (50_000, 500_000));
        assert_eq!(own(Some(1_000)), (1_000, 1_000));
        assert_eq!(own(Some(9_000_000)), (50_000, 9_000_000));
    }
}
