//! Which classified columns a scope touches.

use crate::core::model::{Scope, Sensitivity, Target};
use std::collections::BTreeMap;

/// The classified columns inside a scope, as `schema.table.column`, by why they
/// are classified. Configuration alone decides: a column that the catalog's
/// cached copy does not show yet counts too.
pub fn sensitivities(scope: &Scope, target: &Target) -> BTreeMap<Sensitivity, Vec<String>> {
    let mut found: BTreeMap<Sensitivity, Vec<String>> = BTreeMap::new();
    for (table, columns) in target.classified.iter().filter(|(table, _)| scope.covers(table)) {
        for (column, sensitivity) in columns {
            found.entry(*sensitivity).or_default().push(format!("{table}.{column}"));
        }
    }
    found
}
