//! Conditions on rows (R3.4), as parsed, typed and resolved. What a person
//! typed becomes one of these in `core::rows`; a profile carries it, and the
//! target's setup turns it into a view's WHERE.

use super::TableName;
use serde::{Deserialize, Serialize};
use std::fmt;

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

impl Condition {
    /// The columns of the condition's own table that it looks at.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::And { all } => all.iter().flat_map(Self::columns).collect(),
            Self::Or { any } => any.iter().flat_map(Self::columns).collect(),
            Self::Compare { column, .. } | Self::In { column, .. } | Self::Null { column, .. } => {
                vec![column]
            }
            Self::Through { columns, .. } => columns.iter().map(String::as_str).collect(),
        }
    }

    /// Whether it was derived from another table's condition.
    pub fn is_followed(&self) -> bool {
        matches!(self, Self::Through { .. })
    }
}

/// As SQL for people, which `core::rows` reads back; but for
/// [`Condition::Through`], which is in words: `customer_id -> public.customers where id = 17`.
impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And { all } => join(f, all, " AND ", |part| matches!(part, Self::Or { .. })),
            Self::Or { any } => join(f, any, " OR ", |part| matches!(part, Self::And { .. })),
            Self::Compare { column, operator: Comparison::Equal, value, type_name }
                if type_name == "boolean" =>
            {
                let not = if value == "true" { "" } else { "NOT " };
                write!(f, "{not}{}", identifier(column))
            }
            Self::Compare { column, operator, value, type_name } => {
                write!(f, "{} {} {}", identifier(column), operator.as_str(), constant(value, type_name))
            }
            Self::In { column, values, type_name } => {
                let values: Vec<String> = values.iter().map(|value| constant(value, type_name)).collect();
                write!(f, "{} IN ({})", identifier(column), values.join(", "))
            }
            Self::Null { column, negated } => {
                write!(f, "{} IS {}NULL", identifier(column), if *negated { "NOT " } else { "" })
            }
            Self::Through { columns, table, condition, .. } => {
                let columns: Vec<String> = columns.iter().map(|column| identifier(column)).collect();
                write!(f, "{} -> {table} where {condition}", columns.join(", "))
            }
        }
    }
}

fn join(
    f: &mut fmt::Formatter<'_>,
    parts: &[Condition],
    between: &str,
    needs_parentheses: impl Fn(&Condition) -> bool,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        if needs_parentheses(part) { write!(f, "({part})")? } else { write!(f, "{part}")? }
    }
    Ok(())
}

/// A constant as PostgreSQL's grammar reads it: numbers and booleans bare.
fn constant(value: &str, type_name: &str) -> String {
    const BARE: [&str; 7] =
        ["smallint", "integer", "bigint", "numeric", "real", "double precision", "boolean"];
    let bare = type_name.split('(').next().is_some_and(|name| BARE.contains(&name));
    if bare { value.to_owned() } else { format!("'{}'", value.replace('\'', "''")) }
}

/// A column's name, in double quotes where PostgreSQL's grammar needs them.
fn identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && KEYWORDS.binary_search(&name).is_err();
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// PostgreSQL's keywords but for those that are a name everywhere (manual,
/// appendix C). A word too many only costs quotes.
const KEYWORDS: [&str; 164] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "between",
    "bigint",
    "binary",
    "bit",
    "boolean",
    "both",
    "case",
    "cast",
    "char",
    "character",
    "check",
    "coalesce",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "dec",
    "decimal",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "exists",
    "extract",
    "false",
    "fetch",
    "float",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "greatest",
    "group",
    "grouping",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "inout",
    "int",
    "integer",
    "intersect",
    "interval",
    "into",
    "is",
    "isnull",
    "join",
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "lateral",
    "leading",
    "least",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "merge_action",
    "national",
    "natural",
    "nchar",
    "none",
    "normalize",
    "not",
    "notnull",
    "null",
    "nullif",
    "numeric",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "out",
    "outer",
    "overlaps",
    "overlay",
    "placing",
    "position",
    "precision",
    "primary",
    "real",
    "references",
    "returning",
    "right",
    "row",
    "select",
    "session_user",
    "setof",
    "similar",
    "smallint",
    "some",
    "substring",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "time",
    "timestamp",
    "to",
    "trailing",
    "treat",
    "trim",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "values",
    "varchar",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];
