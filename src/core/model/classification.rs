//! Classification: which columns of a target are sensitive, why, and how they
//! are shown. Rules come from configuration; against a catalog they become
//! columns, and what follows from those: partitions, inheritance, copies.

mod lineage;
mod matching;

#[cfg(test)]
mod tests;

use super::{Catalog, Mask, Sensitivity, TableName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is said of a classified column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Classified {
    pub sensitivity: Sensitivity,
    #[serde(flatten)]
    pub mask: Mask,
}

/// Which columns a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// One column, by its whole name.
    Column { table: TableName, column: String },
    /// `schema.table.column` where `*` stands for any run of characters, and
    /// capitals do not matter.
    Pattern { schema: String, table: String, column: String },
    /// Columns whose comment holds `@tag`, as a word.
    Tag(String),
}

/// One line of a target's `[classified]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub selector: Selector,
    pub classified: Classified,
}

/// Classified columns, by relation and name.
type Columns = BTreeMap<TableName, BTreeMap<String, Classified>>;

/// What the rules mean for one catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classification {
    columns: Columns,
    /// Relations that copy classified columns and are not classified
    /// themselves: no scope covers them. With the reason.
    closed: BTreeMap<TableName, String>,
}

impl Classification {
    /// What rules say of a catalog's columns, and what follows from that.
    ///
    /// - A rule for one column goes before a pattern, that before a tag. Among
    ///   patterns the most specific wins: fewest stars, then most letters;
    ///   among equals, and among tags, the stricter mask and the worse sensitivity.
    /// - Partitions and inheritance share, both ways: reading one reads the other.
    /// - A generated column is shown as what it is computed from, or not at all
    ///   where that is not one column of its own type.
    /// - A view that reads a classified column is closed, unless a rule speaks of
    ///   one of its own columns; the others are then treated as generated ones.
    ///
    /// Rules that name one column hold for it even where the catalog does not
    /// show it (yet).
    pub fn of(rules: &[Rule], catalog: &Catalog) -> Self {
        lineage::follow(matching::named(rules, catalog), catalog)
    }

    /// The classified columns of one relation, by name.
    pub fn table(&self, table: &TableName) -> Option<&BTreeMap<String, Classified>> {
        self.columns.get(table)
    }

    pub fn column(&self, table: &TableName, column: &str) -> Option<&Classified> {
        self.columns.get(table)?.get(column)
    }

    pub fn tables(&self) -> impl Iterator<Item = (&TableName, &BTreeMap<String, Classified>)> {
        self.columns.iter()
    }

    /// Why no scope covers a relation, where none does.
    pub fn closed(&self, table: &TableName) -> Option<&str> {
        self.closed.get(table).map(String::as_str)
    }

    /// The relations that no scope covers, with the reason.
    pub fn closed_tables(&self) -> impl Iterator<Item = (&TableName, &str)> {
        self.closed.iter().map(|(table, why)| (table, why.as_str()))
    }
}

/// What is said where two things hold: the mask that shows less, and the worse
/// of the sensitivities, whichever of the two it came with. What a column costs
/// unmasked follows from its sensitivity, and a mask must not lower that. The
/// order is total, so that it does not matter whom one meets first.
fn stricter(one: Classified, other: Classified) -> Classified {
    let rank = |mask: &Mask| match mask {
        Mask::Null => 3,
        Mask::Aggregate { .. } => 2,
        Mask::Token { .. } => 1,
        Mask::Partial(_) | Mask::Json { .. } => 0,
    };
    let sensitivity = one.sensitivity.max(other.sensitivity);
    let first = (rank(&one.mask), &one.mask) >= (rank(&other.mask), &other.mask);
    Classified { sensitivity, mask: if first { one.mask } else { other.mask } }
}
