//! What a result is like before its rows: the names and types of its columns, as
//! RowDescription tells them (PostgreSQL manual 55.7).

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The most columns that a record names, and bytes of their names and types; a
/// result has at most 1,664.
const MOST_COLUMNS: usize = 250;
const MOST_BYTES: usize = 8 << 10;

/// A result's columns, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultShape {
    pub columns: Vec<ResultColumn>,
    /// So many more there are behind them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultColumn {
    pub name: String,
    /// `integer`, or `type 16401` where it is none of PostgreSQL's own.
    #[serde(rename = "type")]
    pub type_name: Cow<'static, str>,
}

impl ResultShape {
    /// Of the first of `count` columns, as many as a record names.
    pub fn of(count: usize, columns: impl Iterator<Item = ResultColumn>) -> Self {
        let mut bytes = 0;
        let fits = |column: &ResultColumn| {
            bytes += column.len();
            bytes <= MOST_BYTES
        };
        let columns: Vec<_> = columns.take(MOST_COLUMNS.min(count)).take_while(fits).collect();
        Self { left_out: count.saturating_sub(columns.len()) as u64, columns }
    }

    /// Bytes of its texts.
    pub fn len(&self) -> usize {
        self.columns.iter().map(ResultColumn::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }
}

impl ResultColumn {
    pub fn new(name: impl Into<String>, type_oid: u32) -> Self {
        Self { name: name.into(), type_name: type_name(type_oid) }
    }

    fn len(&self) -> usize {
        self.name.len() + self.type_name.len()
    }

    /// Whether its values are read by their place, right-aligned.
    pub fn is_number(&self) -> bool {
        matches!(
            self.type_name.as_ref(),
            "bigint" | "smallint" | "integer" | "oid" | "real" | "double precision" | "money" | "numeric"
        )
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// By the OIDs of `pg_type.dat`, which never change. A result does not tell others' names.
const NAMES: [(u32, &str); 86] = [
    (16, "boolean"),
    (17, "bytea"),
    (18, "\"char\""),
    (19, "name"),
    (20, "bigint"),
    (21, "smallint"),
    (23, "integer"),
    (24, "regproc"),
    (25, "text"),
    (26, "oid"),
    (27, "tid"),
    (28, "xid"),
    (29, "cid"),
    (114, "json"),
    (142, "xml"),
    (194, "pg_node_tree"),
    (199, "json[]"),
    (600, "point"),
    (601, "lseg"),
    (602, "path"),
    (603, "box"),
    (604, "polygon"),
    (628, "line"),
    (650, "cidr"),
    (700, "real"),
    (701, "double precision"),
    (705, "unknown"),
    (718, "circle"),
    (774, "macaddr8"),
    (790, "money"),
    (829, "macaddr"),
    (869, "inet"),
    (1000, "boolean[]"),
    (1001, "bytea[]"),
    (1002, "\"char\"[]"),
    (1003, "name[]"),
    (1005, "smallint[]"),
    (1007, "integer[]"),
    (1009, "text[]"),
    (1015, "varchar[]"),
    (1016, "bigint[]"),
    (1021, "real[]"),
    (1022, "double precision[]"),
    (1028, "oid[]"),
    (1033, "aclitem"),
    (1034, "aclitem[]"),
    (1041, "inet[]"),
    (1042, "char"),
    (1043, "varchar"),
    (1082, "date"),
    (1083, "time"),
    (1114, "timestamp"),
    (1115, "timestamp[]"),
    (1182, "date[]"),
    (1184, "timestamptz"),
    (1185, "timestamptz[]"),
    (1186, "interval"),
    (1187, "interval[]"),
    (1231, "numeric[]"),
    (1266, "timetz"),
    (1560, "bit"),
    (1562, "varbit"),
    (1700, "numeric"),
    (1790, "refcursor"),
    (2202, "regprocedure"),
    (2205, "regclass"),
    (2206, "regtype"),
    (2249, "record"),
    (2278, "void"),
    (2950, "uuid"),
    (2951, "uuid[]"),
    (3220, "pg_lsn"),
    (3614, "tsvector"),
    (3615, "tsquery"),
    (3802, "jsonb"),
    (3807, "jsonb[]"),
    (3904, "int4range"),
    (3906, "numrange"),
    (3908, "tsrange"),
    (3910, "tstzrange"),
    (3912, "daterange"),
    (3926, "int8range"),
    (4072, "jsonpath"),
    (4089, "regnamespace"),
    (4096, "regrole"),
    (5069, "xid8"),
];

fn type_name(oid: u32) -> Cow<'static, str> {
    match NAMES.binary_search_by_key(&oid, |(known, _)| *known) {
        Ok(place) => NAMES.get(place).map(|(_, name)| Cow::Borrowed(*name)).unwrap_or_default(),
        Err(_) => Cow::Owned(format!("type {oid}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_4_every_type_is_found_by_its_number() {
        assert!(NAMES.is_sorted_by(|(one, _), (next, _)| one < next));
        for (oid, name) in NAMES {
            assert_eq!(type_name(oid), name);
        }
        assert_eq!(type_name(16_401), "type 16401");
    }

    #[test]
    fn r8_4_a_record_says_how_many_columns_it_leaves_out() {
        let columns = |length| move |n| ResultColumn::new(format!("{n:c>length$}"), 23);
        let of = |count: usize| ResultShape::of(count, (0..count).map(columns(2)));
        let json = serde_json::to_string(&of(2)).unwrap();
        assert_eq!(json, r#"{"columns":[{"name":"c0","type":"integer"},{"name":"c1","type":"integer"}]}"#);
        let wide = of(MOST_COLUMNS + 3);
        assert_eq!((wide.columns.len(), wide.left_out), (MOST_COLUMNS, 3));
        let long = ResultShape::of(1664, (0..1664).map(columns(63)));
        assert!(long.len() <= MOST_BYTES && long.left_out == 1664 - long.columns.len() as u64, "{long:?}");
        let cut = ResultShape::of(3, (0..2).map(columns(2)));
        assert_eq!((cut.columns.len(), cut.left_out), (2, 1), "the description is not all here");
        let json = serde_json::to_string(&wide).unwrap();
        assert_eq!(serde_json::from_str::<ResultShape>(&json).unwrap(), wide);
    }
}
