//! Row conditions (R3.4): from `customers: tenant_id = 42`, as a person types
//! it, to a typed [`Condition`] over that table's own columns.
//!
//! PostgreSQL's own grammar reads the text, so that nobody disagrees on what
//! it means; of the tree only comparisons of a column with constants pass, and
//! what AND and OR make of them. Nothing of the text itself goes on: a profile
//! carries the condition as a structure, and the target makes its own SQL of
//! it. Called by `core::scope`; it never looks anything up but in the catalog.

mod follow;
mod parse;
mod value;

#[cfg(test)]
mod tests;

pub use follow::follow;

use super::model::{Catalog, Condition, ErrorKind, ScopeError, TableName};

/// The longest text of one condition with its table, in bytes.
pub const LONGEST: usize = 8192;

/// Why a text is no row condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowsError {
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error("`{0}` is no row condition: write TABLE: CONDITION, such as customers: tenant_id = 42")]
    NoTable(String),
    #[error("a row condition is longer than {LONGEST} bytes")]
    TooLong,
    #[error("a row condition is nested more than {0} levels deep: say it in a simpler way")]
    TooDeep(usize),
    /// PostgreSQL's message.
    #[error("the condition on {table} is not SQL: {message}")]
    Syntax { table: TableName, message: String },
    #[error(
        "{what} is not allowed in a row condition: compare columns of {table} with constants (=, <>, <, <=, >, \
         >=, IN, BETWEEN, IS NULL), joined by AND and OR"
    )]
    NotAllowed { what: String, table: TableName },
    #[error("{column} is of type {type_name}, which no row condition can compare")]
    Incomparable { column: String, type_name: String },
    #[error("{value} does not fit {column}, which is {type_name}: expected {expected}")]
    Value { value: String, column: String, type_name: String, expected: String },
    #[error(
        "{table} leads to a condition in several ways ({}): give it a condition of its own, --row '{table}: …'",
        ways.join("; ")
    )]
    SeveralWays { table: TableName, ways: Vec<String> },
    #[error(
        "{table} leads to a condition over {column}, which is masked, so that its rows would show it: give \
         {table} a condition of its own, or ask to see it: --unmask {column}"
    )]
    MaskedWay { table: TableName, column: String },
}

impl RowsError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Scope(error) => error.kind(),
            _ => ErrorKind::Usage,
        }
    }
}

impl From<RowsError> for ScopeError {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Scope(error) => error,
            other => Self::Rows(other.to_string()),
        }
    }
}

/// Reads `TABLE: CONDITION`. Bounded in length and depth, and total: whatever
/// the text is, it gives a condition or an error.
pub fn parse(text: &str, catalog: &Catalog) -> Result<(TableName, Condition), RowsError> {
    if text.len() > LONGEST {
        return Err(RowsError::TooLong);
    }
    let (table, condition) = split(text).ok_or_else(|| RowsError::NoTable(text.to_owned()))?;
    let table = catalog.find_table(table)?;
    let relation = catalog.relation(&table).ok_or_else(|| RowsError::NoTable(text.to_owned()))?;
    let condition = parse::condition(condition, relation)?;
    Ok((table, condition))
}

/// The part before the first colon outside double quotes, and the part after it.
fn split(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let colon = text.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ':' && !quoted
    });
    let (at, _) = colon?;
    let (table, condition) = (text.get(..at)?.trim(), text.get(at + 1..)?.trim());
    (!table.is_empty() && !condition.is_empty()).then_some((table, condition))
}
