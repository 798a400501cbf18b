//! A target's catalog as the server last saw it: what scopes are resolved against.

use super::TableName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// As `format_type` prints it.
    pub type_name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    pub name: TableName,
    pub kind: RelationKind,
    pub owner: String,
    pub columns: Vec<Column>,
    /// The sequences that the table's columns own: writing needs them.
    pub sequences: Vec<TableName>,
    /// What it is a partition or an inheritance child of, however far above:
    /// reading one of these reads this relation too.
    #[serde(default)]
    pub ancestors: Vec<TableName>,
}

/// Relations outside the system schemas and outside dbaccess's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    pub relations: Vec<Relation>,
    pub schemas: Vec<String>,
    pub taken_at: Timestamp,
}

impl Catalog {
    pub fn relation(&self, name: &TableName) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == *name)
    }
}
