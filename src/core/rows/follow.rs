//! Conditions that follow from others: the orders of the customers for whom a
//! condition holds.

use super::RowsError;
use crate::core::model::{Catalog, Condition, ForeignKey, TableName};
use std::collections::{BTreeMap, BTreeSet};

/// Foreign keys that a condition is followed over, one after the other.
const MOST_STEPS: usize = 8;

/// One foreign key, and the table that has it.
type Step<'c> = (&'c TableName, &'c ForeignKey);

/// The foreign keys of each table.
type Keys<'c> = BTreeMap<&'c TableName, &'c [ForeignKey]>;

/// For each of `tables` that has no condition of its own and whose foreign keys
/// lead to a table that has one, the condition that follows. The shortest way
/// counts: what is nearest says most about a row. Rows whose key is NULL
/// belong to nobody and are left out.
///
/// `masked` are the columns that a person sees masked: a condition over one
/// would show what it stands for.
///
/// # Errors
/// [`RowsError::SeveralWays`] where several ways are equally short, since only
/// a person knows which is meant; [`RowsError::MaskedWay`].
pub fn follow<'c>(
    conditions: &BTreeMap<TableName, Condition>,
    tables: impl Iterator<Item = &'c TableName>,
    catalog: &'c Catalog,
    masked: &dyn Fn(&TableName, &str) -> bool,
) -> Result<BTreeMap<TableName, Condition>, RowsError> {
    let keys: Keys<'c> =
        catalog.relations.iter().map(|one| (&one.name, one.foreign_keys.as_slice())).collect();
    let mut followed = BTreeMap::new();
    for table in tables.filter(|table| !conditions.contains_key(table)) {
        let ways = shortest(table, conditions, &keys);
        match ways.as_slice() {
            [] => {}
            [way] => {
                if let Some(column) = hidden(way, masked) {
                    return Err(RowsError::MaskedWay { table: table.clone(), column });
                }
                followed.extend(through(way, conditions).map(|condition| (table.clone(), condition)));
            }
            several => {
                let ways = several.iter().map(|way| told(way)).collect();
                return Err(RowsError::SeveralWays { table: table.clone(), ways });
            }
        }
    }
    Ok(followed)
}

/// The shortest ways from a table to one with a condition; of more than two,
/// two. No way leads twice to one table, so cycles end.
fn shortest<'c>(
    table: &'c TableName,
    conditions: &BTreeMap<TableName, Condition>,
    keys: &Keys<'c>,
) -> Vec<Vec<Step<'c>>> {
    let mut seen = BTreeSet::from([table]);
    // By the table that they have come to; two are enough to know of several.
    let mut ways: BTreeMap<&TableName, Vec<Vec<Step<'c>>>> = BTreeMap::from([(table, vec![Vec::new()])]);
    for _ in 0..MOST_STEPS {
        let mut further: BTreeMap<&TableName, Vec<Vec<Step<'c>>>> = BTreeMap::new();
        for (at, so_far) in ways {
            let from_here = keys.get(at).copied().unwrap_or_default();
            for key in from_here.iter().filter(|key| !seen.contains(&key.table)) {
                let there = further.entry(&key.table).or_default();
                for way in &so_far {
                    if there.len() < 2 {
                        there.push(way.iter().copied().chain([(at, key)]).collect());
                    }
                }
            }
        }
        let arrived: Vec<Vec<Step<'c>>> = further
            .iter()
            .filter(|(table, _)| conditions.contains_key(table))
            .flat_map(|(_, ways)| ways.iter().cloned())
            .take(2)
            .collect();
        if !arrived.is_empty() || further.is_empty() {
            return arrived;
        }
        seen.extend(further.keys().copied());
        ways = further;
    }
    Vec::new()
}

/// The condition that a way makes of the one at its end.
fn through(way: &[Step<'_>], conditions: &BTreeMap<TableName, Condition>) -> Option<Condition> {
    let (_, last) = way.last()?;
    let mut condition = conditions.get(&last.table)?.clone();
    for (_, key) in way.iter().rev() {
        condition = Condition::Through {
            columns: key.columns.clone(),
            table: key.table.clone(),
            references: key.references.clone(),
            condition: Box::new(condition),
        };
    }
    Some(condition)
}

/// A column of a way that is masked, by its whole name.
fn hidden(way: &[Step<'_>], masked: &dyn Fn(&TableName, &str) -> bool) -> Option<String> {
    way.iter().find_map(|(table, key)| {
        let here = key.columns.iter().map(|column| (*table, column));
        let there = key.references.iter().map(|column| (&key.table, column));
        let (table, column) = here.chain(there).find(|(table, column)| masked(table, column))?;
        Some(table.column(column))
    })
}

/// `public.orders by billing_id`
fn told(way: &[Step<'_>]) -> String {
    let steps = way.iter().map(|(_, key)| format!("to {} by {}", key.table, key.columns.join(", ")));
    steps.collect::<Vec<_>>().join(" ")
}
