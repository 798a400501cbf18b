//! The views of a profile: where masked and filtered tables are found.

use crate::core::model::{Condition, Mask, TableName};
use serde::Serialize;
use std::collections::BTreeMap;

/// Every view schema's name begins so; the profile's 32 hex digits, `_` and the
/// schema's place in [`super::Profile`]'s content follow.
pub const VIEW_SCHEMA_PREFIX: &str = "dbaccess_v_";
/// Every view owner's name begins so; the profile's 32 hex digits follow.
pub const OWNER_PREFIX: &str = "dbaccess_o_";

/// One view in place of one relation, as the target's setup builds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct View {
    pub schema: String,
    pub name: String,
    /// All of them, in the relation's order.
    pub columns: Vec<ViewColumn>,
    /// The primary key, where a column is sealed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Condition>,
    /// Columns that may be written; never masked ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub insert: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub update: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub delete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ViewColumn {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
}

/// Where the gateway finds what a person means by a table's own name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// View by relation, both by whole names.
    pub relations: BTreeMap<TableName, TableName>,
    /// View schema by schema.
    pub schemas: BTreeMap<String, String>,
    /// Columns whose values are sealed: only aggregates of them are shown.
    pub sealed: BTreeMap<TableName, Vec<String>>,
    /// The owner of the scope's schemas, as whom a session that changes them
    /// works: it connects with this as its `role`. `None` also where they have
    /// several owners, or none is known: then nothing can be changed.
    pub become_role: Option<String>,
}

impl Views {
    /// `digest` is the profile's, `schemas` those of its content.
    pub(super) fn of(digest: &str, schemas: &[&str], views: &[View]) -> Self {
        let schemas: BTreeMap<String, String> = schemas
            .iter()
            .enumerate()
            .map(|(place, schema)| ((*schema).to_owned(), format!("{VIEW_SCHEMA_PREFIX}{digest}_{place}")))
            .collect();
        let mut found = Self::default();
        for view in views {
            let relation = TableName::new(view.schema.as_str(), view.name.as_str());
            let Some(schema) = schemas.get(&view.schema) else { continue };
            found.relations.insert(relation.clone(), TableName::new(schema.as_str(), view.name.as_str()));
            let is_sealed = |column: &&ViewColumn| matches!(column.mask, Some(Mask::Aggregate { .. }));
            let sealed: Vec<String> =
                view.columns.iter().filter(is_sealed).map(|column| column.name.clone()).collect();
            if !sealed.is_empty() {
                found.sealed.insert(relation, sealed);
            }
        }
        Self { schemas, ..found }
    }

    pub fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }
}
