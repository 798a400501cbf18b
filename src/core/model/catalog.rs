//! A target's catalog as the server last saw it: what scopes are resolved against.

use super::TableName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    #[default]
    Table,
    PartitionedTable,
    View,
    MaterializedView,
    ForeignTable,
}

impl RelationKind {
    /// Whether its rows are those of a query.
    pub fn is_view(self) -> bool {
        matches!(self, Self::View | Self::MaterializedView)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// As `format_type` prints it.
    pub type_name: String,
    /// `COMMENT ON COLUMN`.
    #[serde(default)]
    pub comment: Option<String>,
    /// The columns that its values are computed from. Of a generated column all
    /// of them; of a view's the one that it shows unchanged. A view's column
    /// without any may be computed from everything that the view reads.
    #[serde(default)]
    pub derived_from: Vec<(TableName, String)>,
    /// Written by the database alone: GENERATED … STORED, or an identity ALWAYS.
    #[serde(default)]
    pub generated: bool,
}

impl Column {
    /// A column of which no more is known.
    pub fn new(name: impl Into<String>, type_name: impl Into<String>) -> Self {
        Self { name: name.into(), type_name: type_name.into(), ..Self::default() }
    }
}

/// A foreign key of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignKey {
    pub columns: Vec<String>,
    pub table: TableName,
    pub references: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The columns of its primary key, in the key's order; none without one.
    #[serde(default)]
    pub primary_key: Vec<String>,
    #[serde(default)]
    pub foreign_keys: Vec<ForeignKey>,
    /// Row-level security is enabled on it.
    #[serde(default)]
    pub row_security: bool,
    /// The planner's estimate of its rows; none before the first ANALYZE.
    #[serde(default)]
    pub rows: Option<u64>,
    /// Of a view or materialized view: every column of other relations that it
    /// reads, be it for a column of its own, a condition or a join. A relation of
    /// which it reads no column, but whether there are rows and how many, is here
    /// with an empty name for the column.
    #[serde(default)]
    pub reads: Vec<(TableName, String)>,
    /// Of a view: the functions it calls that run with their owner's rights, as
    /// `schema.name`. What those read is not in `reads`.
    #[serde(default)]
    pub definers: Vec<String>,
}

/// A function, operator or cast outside `pg_catalog`, as far as it matters
/// what calling it could do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routine {
    pub schema: String,
    pub name: String,
    pub what: RoutineKind,
    /// SECURITY DEFINER, of itself or of the function behind it.
    pub definer: bool,
    /// The language of the function (of an aggregate's: of the one that gives
    /// its result): `sql`, `plpgsql`, `c`, `internal`…
    pub language: String,
    /// Its body, where the language is one that is read: `sql` and `plpgsql`.
    pub body: Option<String>,
    /// The extension that it belongs to.
    pub extension: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutineKind {
    Function,
    /// `name` is the operator's.
    Operator,
    /// `name` is the type that is cast from or to, and that is no built-in.
    Cast,
}

/// A schema and who owns it: whose rights its migrations run with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaOwner {
    pub schema: String,
    pub owner: String,
}

/// Relations outside the system schemas and outside dbaccess's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    pub relations: Vec<Relation>,
    pub schemas: Vec<String>,
    #[serde(default)]
    pub owners: Vec<SchemaOwner>,
    #[serde(default)]
    pub routines: Vec<Routine>,
    pub taken_at: Timestamp,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            relations: Vec::new(),
            schemas: Vec::new(),
            owners: Vec::new(),
            routines: Vec::new(),
            taken_at: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Catalog {
    pub fn relation(&self, name: &TableName) -> Option<&Relation> {
        self.relations.iter().find(|relation| relation.name == *name)
    }

    /// Who owns a schema.
    pub fn owner(&self, schema: &str) -> Option<&str> {
        self.owners.iter().find(|known| known.schema == schema).map(|known| known.owner.as_str())
    }
}

/// The name that `format_type` prints for a built-in type's own: `integer` for `int4`.
pub(crate) fn usual_type_name(name: &str) -> &str {
    match name {
        "int2" => "smallint",
        "int4" => "integer",
        "int8" => "bigint",
        "float4" => "real",
        "float8" => "double precision",
        "bool" => "boolean",
        "varchar" => "character varying",
        "bpchar" => "character",
        "varbit" => "bit varying",
        "timestamp" => "timestamp without time zone",
        "timestamptz" => "timestamp with time zone",
        "time" => "time without time zone",
        "timetz" => "time with time zone",
        other => other,
    }
}
