//! Row conditions, as people type them: `customers: tenant_id = 42`.

use super::{Target, kind};
use dbaccess::core::model::{Catalog, Column, Condition, Relation, TableName};
use dbaccess::core::rows::{LONGEST, parse};
use std::sync::LazyLock;

pub fn rows() -> Target {
    fn check(data: &[u8]) -> u64 {
        let text = String::from_utf8_lossy(data);
        let (table, condition) = match parse(&text, &CATALOG) {
            Ok(parsed) => parsed,
            Err(error) => return kind((std::mem::discriminant(&error), super::shape(&error.to_string()))),
        };
        let relation = CATALOG.relation(&table).expect("a table that is there");
        known(&condition, relation);
        // What is shown to the person who approves means what was asked for.
        let shown = format!("{table}: {condition}");
        if shown.len() <= LONGEST {
            let again = parse(&shown, &CATALOG).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!(again, (table, condition.clone()), "{shown}");
        }
        let stored = serde_json::to_string(&condition).unwrap();
        assert_eq!(serde_json::from_str::<Condition>(&stored).unwrap(), condition);
        kind(form(&condition).chars().take(40).collect::<String>())
    }
    Target { name: "rows", dictionary: WORDS, seeds: super::no_seeds, check }
}

/// Only the table's own columns, of their own types, with values that are whole.
fn known(condition: &Condition, relation: &Relation) {
    let column = |name: &str, type_name: Option<&String>| {
        let found =
            relation.columns.iter().find(|column| column.name == name).expect("a column of the table");
        assert!(type_name.is_none_or(|given| *given == found.type_name), "{name} is {}", found.type_name);
    };
    match condition {
        Condition::And { all: parts } | Condition::Or { any: parts } => {
            assert!(parts.len() > 1, "a part alone is no list");
            parts.iter().for_each(|part| known(part, relation));
        }
        Condition::Compare { column: name, value, type_name, .. } => {
            column(name, Some(type_name));
            assert!(!value.contains('\0'));
        }
        Condition::In { column: name, values, type_name } => {
            column(name, Some(type_name));
            assert!(!values.is_empty());
        }
        Condition::Null { column: name, .. } => column(name, None),
        Condition::Through { .. } => panic!("nobody types this: {condition:?}"),
    }
}

/// Its shape, without names and values.
fn form(condition: &Condition) -> String {
    let list = |parts: &[Condition]| parts.iter().take(4).map(form).collect::<String>();
    match condition {
        Condition::And { all } => format!("&({})", list(all)),
        Condition::Or { any } => format!("|({})", list(any)),
        Condition::Compare { operator, type_name, .. } => format!("{}{type_name} ", operator.as_str()),
        Condition::In { type_name, values, .. } => format!("in {type_name} {} ", values.len().min(3)),
        Condition::Null { negated, .. } => format!("null {negated} "),
        Condition::Through { .. } => String::new(),
    }
}

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let columns = [
        ("id", "bigint"),
        ("tenant_id", "integer"),
        ("small", "smallint"),
        ("email", "text"),
        ("code", "character varying(8)"),
        ("total", "numeric(10,2)"),
        ("ratio", "double precision"),
        ("active", "boolean"),
        ("token", "uuid"),
        ("day", "date"),
        ("created_at", "timestamp with time zone"),
        ("at", "time without time zone"),
        ("profile", "jsonb"),
        ("We\"ird. Täble", "text"),
        ("select", "integer"),
    ];
    let columns: Vec<Column> =
        columns.iter().map(|(name, type_name)| Column::new(*name, *type_name)).collect();
    let relation = |name: &str| Relation {
        name: TableName::new("public", name),
        columns: columns.clone(),
        ..Relation::default()
    };
    Catalog {
        relations: ["customers", "We\"ird: Täble"].map(relation).into(),
        schemas: vec!["public".to_owned()],
        ..Catalog::default()
    }
});

const WORDS: &[&[u8]] = &[
    b"customers: ",
    b"public.customers: ",
    b"\"We\"\"ird: T\xc3\xa4ble\": ",
    b"tenant_id",
    b"email",
    b"active",
    b"NOT ",
    b" AND ",
    b" OR ",
    b"(",
    b")",
    b" = ",
    b" <> ",
    b" != ",
    b" < ",
    b" <= ",
    b" > ",
    b" >= ",
    b" IN (",
    b" BETWEEN ",
    b" IS NULL",
    b" IS NOT NULL",
    b" IS TRUE",
    b" LIKE ",
    b"42",
    b"-1",
    b"9223372036854775808",
    b"1e3",
    b"0x1F",
    b"1_000",
    b".5",
    b"'x'",
    b"''",
    b"E'\\n'",
    b"U&'\\0041'",
    b"$$x$$",
    b"B'1'",
    b"N'x'",
    b"NULL",
    b"true",
    b"false",
    b"DATE '2026-01-01'",
    b"'2026-01-01'",
    b"'infinity'",
    b"'now'",
    b"'2026-01-01T00:00:00Z'",
    b"'NaN'",
    b"::int",
    b"::text",
    b"CAST(1 AS int)",
    b"now()",
    b"(SELECT 1)",
    b"CASE WHEN true THEN 1 END",
    b" COLLATE \"C\"",
    b"ARRAY[1]",
    b" = ANY ('{1}')",
    b" OPERATOR(pg_catalog.=) ",
    b"customers.tenant_id",
    b"\"select\"",
    b"\"We\"\"ird. T\xc3\xa4ble\"",
    b" LIMIT 1",
    b" ORDER BY 1",
    b" UNION SELECT 1",
    b" FOR UPDATE",
    b"--",
    b"/*",
    b";",
    b"\0",
    b"\xc2\xa0",
    b"(1, 2)",
    b"ROW(1)",
    b"$1",
];
