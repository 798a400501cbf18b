//! Conditions on rows (R3.4), as parsed, typed and resolved. What a person
//! typed becomes one of these in `core::rows`; a profile carries it, and the
//! target's setup turns it into a view's WHERE.

use super::TableName;
use serde::{Deserialize, Serialize};

/// A condition over one table's own columns; [`Condition::Through`] alone
/// looks at another table. Its serialised form is part of a profile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum Condition {
    And {
        all: Vec<Condition>,
    },
    Or {
        any: Vec<Condition>,
    },
    /// `column operator value`; the value is text that the type's input
    /// function reads, and is never NULL.
    Compare {
        column: String,
        operator: Comparison,
        value: String,
        /// As `format_type` prints it.
        type_name: String,
    },
    /// `column = ANY (values)`
    In {
        column: String,
        values: Vec<String>,
        type_name: String,
    },
    Null {
        column: String,
        negated: bool,
    },
    /// Rows whose foreign key leads to a row of `table` for which `condition`
    /// holds: `columns` here equal `references` there, in order.
    Through {
        columns: Vec<String>,
        table: TableName,
        references: Vec<String>,
        condition: Box<Condition>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Comparison {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "<>")]
    NotEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">")]
    More,
    #[serde(rename = ">=")]
    AtLeast,
}

impl Comparison {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }
}
