//! The shapes of results (R8.4): the server tells of a result's columns in answer
//! to a Query or a Describe, never to an Execute (PostgreSQL manual 55.2.3). What
//! it tells is kept with what was described; where the client has asked nothing,
//! the gateway asks in front of the Execute, and keeps the answer for itself.

use super::sealing::column_name;
use super::values::Held;
use crate::core::model::{ResultColumn, ResultShape};
use crate::core::sql::{Class, Facts};
use crate::wire::postgres::backend::first_columns;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// All that one connection's statements keep of shapes, in bytes.
const MOST_SHAPES: usize = 4 << 20;
/// With less room than that what was asked for may not be kept.
const LEAST_ROOM: usize = 1 << 20;

/// What is known of the result of a prepared statement or portal before it comes.
#[derive(Debug, Default)]
pub struct Foreseen {
    /// None inside where there will be no rows.
    told: OnceLock<Option<Kept>>,
    /// The last batch that asked.
    asked: AtomicU64,
}

#[derive(Debug)]
struct Kept {
    shape: Arc<ResultShape>,
    _held: Held,
}

impl Foreseen {
    /// It is kept if there is room; if not, it is asked for the next time.
    pub fn tell(&self, shape: Option<&Arc<ResultShape>>, all: &Arc<AtomicUsize>) {
        let kept = shape.map(|shape| {
            let bytes = shape.len() + size_of_val(shape.columns.as_slice());
            let held = Held::take(all, bytes, MOST_SHAPES)?;
            Some(Kept { shape: Arc::clone(shape), _held: held })
        });
        if let Some(told) = kept.map_or(Some(None), |kept| kept.map(Some)) {
            // Told again, it is the same.
            self.told.get_or_init(|| told);
        }
    }

    /// None where it was not told, and where there will be no rows.
    pub fn shape(&self) -> Option<&Arc<ResultShape>> {
        Some(&self.told.get()?.as_ref()?.shape)
    }

    /// This batch asks: what comes behind in it is run only if it was told.
    pub fn ask(&self, batch: u64) {
        self.asked.store(batch, Ordering::Relaxed);
    }

    pub fn is_told(&self) -> bool {
        self.told.get().is_some()
    }

    pub fn is_known_in(&self, batch: u64, all: &AtomicUsize) -> bool {
        let is_asked = self.asked.load(Ordering::Relaxed) == batch;
        self.is_told() || is_asked && all.load(Ordering::Relaxed) + LEAST_ROOM <= MOST_SHAPES
    }
}

/// Whether a prepared statement's every execution has one shape: PostgreSQL fails
/// one that would have another, but not where a name is looked up each time.
pub fn is_fixed(facts: &Facts) -> bool {
    let by_name = |class| matches!(class, Class::Execute | Class::Fetch | Class::Call);
    !facts.statements.iter().any(|statement| statement.classes().any(by_name))
}

/// What a RowDescription says, as a record of it may. It may be longer than is held.
pub fn shape(body: &[u8], redacted: bool) -> ResultShape {
    let (count, columns) = first_columns(body);
    let named = |name| column_name(name, redacted);
    ResultShape::of(count, columns.map(|column| ResultColumn::new(named(column.name), column.type_oid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g9_a_shape_that_there_is_no_room_for_is_asked_for_again() {
        let shape = Arc::new(ResultShape::of(1, std::iter::once(ResultColumn::new("i", 23))));
        let full = Arc::new(AtomicUsize::new(MOST_SHAPES));
        let result = Foreseen::default();
        result.ask(3);
        result.tell(Some(&shape), &full);
        assert!(!result.is_known_in(3, &full) && result.shape().is_none());
        full.store(0, Ordering::Relaxed);
        assert!(result.is_known_in(3, &full) && !result.is_known_in(4, &full));
        result.tell(Some(&shape), &full);
        assert!(result.is_known_in(4, &full) && result.shape() == Some(&shape));
        assert!(full.load(Ordering::Relaxed) > 0);
        drop(result);
        assert_eq!(full.load(Ordering::Relaxed), 0);
        let without_rows = Foreseen::default();
        without_rows.tell(None, &full);
        assert!(without_rows.is_known_in(1, &full) && without_rows.shape().is_none());
    }
}
