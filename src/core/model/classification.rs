//! Classification: which columns of a target are sensitive, why, and how they
//! are shown. Rules come from configuration; against a catalog they become
//! columns, and what follows from those: partitions, inheritance, copies.

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
    /// `schema.table.column` where `*` stands for any run of characters.
    Pattern { schema: String, table: String, column: String },
    /// Columns whose comment holds `@tag`.
    Tag(String),
}

/// One line of a target's `[classified]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub selector: Selector,
    pub classified: Classified,
}

/// What the rules mean for one catalog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classification {
    columns: BTreeMap<TableName, BTreeMap<String, Classified>>,
    /// Relations that copy classified columns and are not classified
    /// themselves: no scope covers them. With the reason.
    closed: BTreeMap<TableName, String>,
}

impl Classification {
    /// Rules that name one column hold for it even where the catalog does not
    /// show it (yet).
    pub fn of(rules: &[Rule], catalog: &Catalog) -> Self {
        let mut columns: BTreeMap<TableName, BTreeMap<String, Classified>> = BTreeMap::new();
        for rule in rules {
            if let Selector::Column { table, column } = &rule.selector {
                columns.entry(table.clone()).or_default().insert(column.clone(), rule.classified.clone());
            }
        }
        let named = columns.clone();
        let mut inherit = |heir: &TableName, from: &TableName| {
            let (Some(of_relative), Some(relation)) = (named.get(from), catalog.relation(heir)) else {
                return;
            };
            for (column, classified) in of_relative {
                if relation.columns.iter().any(|own| own.name == *column) {
                    let own = columns.entry(heir.clone()).or_default();
                    own.entry(column.clone()).or_insert_with(|| classified.clone());
                }
            }
        };
        for relation in &catalog.relations {
            for ancestor in &relation.ancestors {
                inherit(&relation.name, ancestor);
                inherit(ancestor, &relation.name);
            }
        }
        Self { columns, closed: BTreeMap::new() }
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
}
