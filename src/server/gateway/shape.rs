//! The shapes of results (R8.4): the server tells of a result's columns in answer
//! to a Query or a Describe, never to an Execute (PostgreSQL manual 55.2.3). What
//! it tells is kept with what was described; where the client has asked nothing,
//! the gateway asks in front of the Execute, and keeps the answer for itself.

use super::sealing::column_name;
use crate::core::model::{ResultColumn, ResultShape};
use crate::core::sql::{Class, Facts};
use crate::wire::postgres::WireError;
use crate::wire::postgres::backend::row_description;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// What is known of the result of a prepared statement or portal before it comes.
#[derive(Debug, Default)]
pub struct Foreseen {
    /// None inside where there will be no rows.
    told: OnceLock<Option<Arc<ResultShape>>>,
    /// The last batch that asked.
    asked: AtomicU64,
}

impl Foreseen {
    pub fn tell(&self, shape: Option<&Arc<ResultShape>>) {
        // Told again, it is the same.
        self.told.get_or_init(|| shape.cloned());
    }

    pub fn told(&self) -> Option<&Option<Arc<ResultShape>>> {
        self.told.get()
    }

    /// This batch asks: what comes behind in it is run only if it was told.
    pub fn ask(&self, batch: u64) {
        self.asked.store(batch, Ordering::Relaxed);
    }

    pub fn is_known_in(&self, batch: u64) -> bool {
        self.told.get().is_some() || self.asked.load(Ordering::Relaxed) == batch
    }
}

/// Whether a prepared statement's every execution has one shape: PostgreSQL fails
/// one that would have another, but not where a name is looked up each time.
pub fn is_fixed(facts: &Facts) -> bool {
    let by_name = |class| matches!(class, Class::Execute | Class::Fetch | Class::Call);
    !facts.statements.iter().any(|statement| statement.classes().any(by_name))
}

/// What a RowDescription says, as a record of it may.
pub fn shape(body: &[u8], redacted: bool) -> Result<ResultShape, WireError> {
    let columns = row_description(body)?.into_iter();
    let named = columns.map(|column| ResultColumn::new(column_name(column.name, redacted), column.type_oid));
    Ok(ResultShape::of(named))
}
