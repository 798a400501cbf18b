//! Budgets: how much may leave a database by reading (R7.1).

use serde::{Deserialize, Serialize};

/// The most that one statement and one session may return. Rows count however
/// they leave: as a result, by FETCH, as COPY data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    pub statement_rows: u64,
    /// Bytes of rows and COPY data on the wire.
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
}
