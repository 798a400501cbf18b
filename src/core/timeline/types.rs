//! Names of the types that results have, by the OIDs of `pg_type.dat`, which
//! never change. A recording has no others' names.

use std::borrow::Cow;

const NAMES: [(u32, &str); 42] = [
    (16, "boolean"),
    (17, "bytea"),
    (18, "\"char\""),
    (19, "name"),
    (20, "bigint"),
    (21, "smallint"),
    (23, "integer"),
    (25, "text"),
    (26, "oid"),
    (114, "json"),
    (142, "xml"),
    (600, "point"),
    (650, "cidr"),
    (700, "real"),
    (701, "double precision"),
    (705, "unknown"),
    (790, "money"),
    (829, "macaddr"),
    (869, "inet"),
    (1000, "boolean[]"),
    (1005, "smallint[]"),
    (1007, "integer[]"),
    (1009, "text[]"),
    (1015, "varchar[]"),
    (1016, "bigint[]"),
    (1022, "double precision[]"),
    (1042, "char"),
    (1043, "varchar"),
    (1082, "date"),
    (1083, "time"),
    (1114, "timestamp"),
    (1184, "timestamptz"),
    (1186, "interval"),
    (1231, "numeric[]"),
    (1266, "timetz"),
    (1560, "bit"),
    (1562, "varbit"),
    (1700, "numeric"),
    (2249, "record"),
    (2278, "void"),
    (2950, "uuid"),
    (3802, "jsonb"),
];

/// `integer`, or `type 16401` where it is none of PostgreSQL's own.
pub fn type_name(oid: u32) -> Cow<'static, str> {
    match NAMES.iter().find(|(known, _)| *known == oid) {
        Some((_, name)) => Cow::Borrowed(name),
        None => Cow::Owned(format!("type {oid}")),
    }
}

/// Whether its values are read by their place, right-aligned.
pub fn is_number(oid: u32) -> bool {
    matches!(oid, 20 | 21 | 23 | 26 | 700 | 701 | 790 | 1700)
}
