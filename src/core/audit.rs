//! What a statement touched, as far as its record and its grant tell: which
//! classified columns it named that its grant shows as they are. What stays
//! masked is not sensitive. By names, so rather once too often than too seldom.

use crate::core::model::{Facts, Grant, Sensitivity, TableName, split_name};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a statement's record says it names; see [`crate::core::sql`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Named {
    pub verbs: Vec<String>,
    pub reads: Vec<String>,
    pub writes: Vec<String>,
    pub columns: Vec<String>,
    /// A list was too long to be kept whole: it may name anything.
    pub cut: bool,
}

impl Named {
    pub fn tables(&self) -> impl Iterator<Item = &String> {
        self.reads.iter().chain(&self.writes)
    }

    fn names_column(&self, column: &str) -> bool {
        self.cut || self.columns.iter().any(|named| named == "*" || named == column)
    }

    /// Whether it gives a name to a statement that another one runs.
    pub fn prepares(&self) -> bool {
        self.verbs.iter().any(|verb| matches!(verb.as_str(), "PREPARE" | "DECLARE CURSOR"))
    }

    /// Whether it runs what another one gave a name to.
    pub fn runs_prepared(&self) -> bool {
        self.verbs.iter().any(|verb| matches!(verb.as_str(), "EXECUTE" | "FETCH"))
    }
}

/// A table's name as a statement has it: the schema only where it was written.
/// Names in records are not quoted, so the first dot parts them.
pub fn written(name: &str) -> (Option<&str>, &str) {
    match name.split_once('.') {
        Some((schema, name)) => (Some(schema), name),
        None => (None, name),
    }
}

/// The classified columns that a grant shows as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmasked(Vec<(TableName, String, Sensitivity)>);

impl Unmasked {
    /// `facts` are those of the grant's request: of what was asked for, which
    /// approvers may have narrowed.
    pub fn of(grant: &Grant, facts: &Facts) -> Self {
        let scope = &grant.scope;
        let column = |(name, kind): (&String, &Sensitivity)| {
            let [schema, table, column] = split_name(name)?.try_into().ok()?;
            let table = TableName::new(schema, table);
            // A migration has the rights of the schema's owner.
            let shown = scope.changes_schema() || scope.covers(&table) && scope.unmasks(&table, &column);
            shown.then_some((table, column, *kind))
        };
        Self(facts.columns.iter().filter_map(column).collect())
    }

    /// Of which kinds the columns are that a statement named.
    pub fn named_by(&self, named: &Named) -> BTreeSet<Sensitivity> {
        let meant = |table: &TableName| {
            named.tables().any(|name| {
                let (schema, name) = written(name);
                name == table.name && schema.is_none_or(|schema| schema == table.schema)
            })
        };
        let touched = self.0.iter().filter(|(table, column, _)| meant(table) && named.names_column(column));
        touched.map(|(_, _, kind)| *kind).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(reads: &[&str], columns: &[&str], cut: bool) -> Vec<&'static str> {
        let unmasked = Unmasked(vec![
            (TableName::new("public", "customers"), "email".into(), Sensitivity::Pii),
            (TableName::new("shop", "payments"), "card".into(), Sensitivity::Financial),
        ]);
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let named = Named { reads: owned(reads), columns: owned(columns), cut, ..Named::default() };
        unmasked.named_by(&named).into_iter().map(Sensitivity::as_str).collect()
    }

    #[test]
    fn r5_2_what_is_named_and_unmasked_is_touched() {
        for (reads, columns, cut, expected) in [
            (&["customers"][..], &["email", "id"][..], false, &["pii"][..]),
            (&["public.customers"], &["*"], false, &["pii"]),
            (&["customers"], &["id"], false, &[]),
            (&["customers"], &["id"], true, &["pii"]),
            (&["other.customers"], &["email"], false, &[]),
            (&["orders"], &["email", "card"], false, &[]),
            (&["customers", "shop.payments"], &["*"], false, &["pii", "financial"]),
            (&[], &["email"], false, &[]),
        ] {
            assert_eq!(kinds(reads, columns, cut), expected, "{reads:?} {columns:?}");
        }
    }

    #[test]
    fn a_name_is_parted_where_it_was_written_so() {
        assert_eq!(written("shop.payments"), (Some("shop"), "payments"));
        assert_eq!(written("payments"), (None, "payments"));
    }
}
