use super::*;
use crate::core::model::{Column, Comparison, ForeignKey, Relation};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Columns of the table that all tests here ask about: name and type.
const COLUMNS: [(&str, &str); 22] = [
    ("id", "bigint"),
    ("tenant_id", "integer"),
    ("small", "smallint"),
    ("amount", "numeric(10,2)"),
    ("rate", "numeric"),
    ("score", "double precision"),
    ("name", "text"),
    ("code", "character varying(3)"),
    ("status", "order_status"),
    ("kind", "shop.\"Odd kind\""),
    ("active", "boolean"),
    ("key", "uuid"),
    ("day", "date"),
    ("at", "timestamp with time zone"),
    ("local", "timestamp(3) without time zone"),
    ("clock", "time without time zone"),
    ("span", "interval"),
    ("doc", "jsonb"),
    ("tags", "text[]"),
    ("user", "text"),
    ("We\"ird: Täble", "text"),
    ("place", "geometry(Point,4326)"),
];

fn relation(name: &str, columns: &[(&str, &str)], keys: &[(&str, &str)]) -> Relation {
    Relation {
        name: TableName::new("public", name),
        columns: columns.iter().map(|(name, type_name)| Column::new(*name, *type_name)).collect(),
        foreign_keys: keys
            .iter()
            .map(|(column, table)| ForeignKey {
                columns: vec![(*column).into()],
                table: TableName::new("public", *table),
                references: vec!["id".into()],
            })
            .collect(),
        ..Relation::default()
    }
}

fn catalog() -> Catalog {
    let odd = Relation { name: TableName::new("a:b", "c\"d"), ..relation("", &COLUMNS, &[]) };
    Catalog { relations: vec![relation("customers", &COLUMNS, &[]), odd], ..Catalog::default() }
}

fn read(condition: &str) -> Result<Condition, RowsError> {
    parse(&format!("customers: {condition}"), &catalog()).map(|(table, condition)| {
        assert_eq!(table, TableName::new("public", "customers"));
        condition
    })
}

#[test]
fn r3_4_conditions_are_read_and_printed_in_one_form() {
    for (typed, printed) in [
        ("tenant_id = 42", "tenant_id = 42"),
        ("  TENANT_ID=42 ", "tenant_id = 42"),
        ("42 = tenant_id", "tenant_id = 42"),
        ("42 < tenant_id", "tenant_id > 42"),
        ("tenant_id >= -5", "tenant_id >= -5"),
        ("tenant_id != 0x10", "tenant_id <> 16"),
        ("'42' = customers.tenant_id", "tenant_id = 42"),
        ("public.customers.tenant_id = '0042'", "tenant_id = 42"),
        ("tenant_id = '42'::int", "tenant_id = 42"),
        ("tenant_id = int4 '42'", "tenant_id = 42"),
        ("tenant_id = CAST('42' AS integer)", "tenant_id = 42"),
        ("id = 9223372036854775807", "id = 9223372036854775807"),
        ("amount > 10.50 AND rate < 1e3", "amount > 10.50 AND rate < 1e3"),
        ("rate = '-.5'", "rate = -0.5"),
        ("status IN ('new', 'paid')", "status IN ('new', 'paid')"),
        ("status = 'new'::order_status", "status = 'new'"),
        ("kind = 'x'::shop.\"Odd kind\"", "kind = 'x'"),
        ("status NOT IN ('new', 'paid')", "status <> 'new' AND status <> 'paid'"),
        ("tenant_id BETWEEN 1 AND 9", "tenant_id >= 1 AND tenant_id <= 9"),
        ("name = 'o''brien'", "name = 'o''brien'"),
        ("name = E'a\\'b\\\\'", "name = 'a''b\\'"),
        ("name = $$it's$$", "name = 'it''s'"),
        ("name IS NULL OR name IS NOT NULL", "name IS NULL OR name IS NOT NULL"),
        ("active", "active"),
        ("NOT active", "NOT active"),
        ("active = true", "active"),
        ("active <> false", "active <> false"),
        ("key = 'C0FFEE00-0000-4000-8000-000000000000'", "key = 'c0ffee00-0000-4000-8000-000000000000'"),
        ("day >= date '2024-02-29'", "day >= '2024-02-29'"),
        ("at < timestamptz '2024-01-01 10:00+02'", "at < '2024-01-01 10:00+02'"),
        ("local = '2024-01-01'", "local = '2024-01-01'"),
        ("clock < '23:59:59'", "clock < '23:59:59'"),
        ("span > interval '3 days'", "span > '3 days'"),
        ("\"user\" = 'x'", "\"user\" = 'x'"),
        ("\"We\"\"ird: Täble\" = 'x'", "\"We\"\"ird: Täble\" = 'x'"),
        ("active AND (tenant_id = 1 AND name = 'a')", "active AND tenant_id = 1 AND name = 'a'"),
        ("active OR tenant_id = 1 AND name = 'a'", "active OR (tenant_id = 1 AND name = 'a')"),
        ("(active OR tenant_id = 1) AND name = 'a'", "(active OR tenant_id = 1) AND name = 'a'"),
    ] {
        let condition = read(typed).unwrap_or_else(|error| panic!("{typed}: {error}"));
        assert_eq!(condition.to_string(), printed, "{typed}");
        assert_eq!(read(printed).unwrap(), condition, "{printed}");
    }
}

#[test]
fn a_table_may_be_called_anything() {
    let (table, _) = parse("\"a:b\".\"c\"\"d\" : \"user\" = 'a:b'", &catalog()).unwrap();
    assert_eq!(table, TableName::new("a:b", "c\"d"));
}

#[test]
fn g2_all_else_is_refused_with_what_is_allowed() {
    for (typed, said) in [
        ("lower(name) = 'x'", "a comparison of a function is not allowed"),
        ("name = current_user", "a comparison with a function is not allowed"),
        ("tenant_id = (SELECT 9)", "a comparison with a subquery"),
        ("EXISTS (SELECT 1)", "a subquery is not allowed"),
        ("tenant_id IN (SELECT 1)", "a subquery is not allowed"),
        ("tenant_id = $1", "a comparison with a parameter"),
        ("name LIKE 'a%'", "LIKE is not allowed"),
        ("name ~ 'a'", "the operator ~ is not allowed"),
        ("tenant_id OPERATOR(pg_catalog.=) 1", "OPERATOR(…) is not allowed"),
        ("NOT (tenant_id = 1)", "NOT before anything but a boolean column"),
        ("tenant_id = ANY (ARRAY[1])", "ANY or ALL is not allowed"),
        ("tenant_id IS DISTINCT FROM 1", "IS DISTINCT FROM is not allowed"),
        ("tenant_id NOT BETWEEN 1 AND 2", "this comparison is not allowed"),
        ("active IS TRUE", "IS TRUE or IS FALSE is not allowed"),
        ("tenant_id = NULL", "write IS NULL"),
        ("tenant_id IN (1, NULL)", "write IS NULL"),
        ("tenant_id = id", "no constant (text is in single quotes)"),
        ("name = \"new\"", "no constant (text is in single quotes)"),
        ("tenant_id = 1 + 1", "a comparison with a computed value"),
        ("tenant_id = +1", "a comparison with a computed value"),
        ("1 = 1", "a comparison of a constant alone"),
        ("true", "a constant alone is not allowed"),
        ("name", "name alone, which is text and not boolean, is not allowed"),
        ("orders.id = 1", "a column of another table"),
        ("customers.* IS NULL", "a star"),
        ("(id, tenant_id) = (1, 2)", "a row of several values"),
        ("tenant_id = '42'::bigint", "a cast to another type than tenant_id's own (integer)"),
        ("code = 'abc'::varchar(2)", "a cast to another type"),
        ("name = 'a' COLLATE \"C\"", "COLLATE"),
        ("tenant_id = 1; DROP TABLE users", "a semicolon"),
        ("tenant_id = 1 -- x", "a comment"),
        ("tenant_id = 1 /* x */", "a comment"),
        ("tenant_id = 1 ORDER BY 1", "anything after the condition"),
        ("tenant_id = 1 UNION SELECT 1", "this is not allowed"),
        ("tenant_id = 1 FOR UPDATE", "anything after the condition"),
        ("tenant_id = 1) OR (true", "not SQL: syntax error"),
        ("tenant_id =", "not SQL: syntax error"),
        ("7 OR 1=1", "a constant alone is not allowed"),
        ("'open", "unterminated"),
        ("nothing = 1", "no column nothing in public.customers"),
        ("tenant = 1", "did you mean tenant_id?"),
        ("ctid = '(0,1)'", "no column ctid"),
        ("doc = '{}'", "which no row condition can compare"),
        ("tags = '{a}'", "which no row condition can compare"),
        ("place = 'x'", "which no row condition can compare"),
        ("name = b'1'", "a bit string"),
    ] {
        match read(typed) {
            Err(error) => assert!(error.to_string().contains(said), "{typed}: {error}"),
            Ok(condition) => panic!("{typed} became {condition}"),
        }
    }
    for (typed, said) in [
        ("tenant_id = 42", "write TABLE: CONDITION"),
        ("customers:", "write TABLE: CONDITION"),
        (": tenant_id = 42", "write TABLE: CONDITION"),
        ("\"customers: tenant_id = 42", "write TABLE: CONDITION"),
        ("custmers: tenant_id = 42", "did you mean customers?"),
        ("customers: id = 1\0", "not SQL"),
    ] {
        let error = parse(typed, &catalog()).unwrap_err().to_string();
        assert!(error.contains(said), "{typed}: {error}");
    }
}

#[test]
fn values_fit_their_columns() {
    for (typed, said) in [
        (
            "tenant_id = '42abc'",
            "'42abc' does not fit public.customers.tenant_id, which is integer: expected a whole",
        ),
        ("tenant_id = 2147483648", "from -2147483648 to 2147483647"),
        ("id = 9223372036854775808", "a whole number from"),
        ("small = 40000", "from -32768 to 32767"),
        ("tenant_id = 1.5", "a whole number"),
        ("tenant_id = true", "a whole number"),
        // Rounded, it would be another condition.
        ("amount = 1.234", "at most 8 digits before the point and 2 after it"),
        ("amount = 123456789", "at most 8 digits"),
        ("amount = 1e2", "at most 8 digits"),
        ("rate = 'NaN'", "expected a number"),
        ("score = 1e999", "expected a number"),
        // Cut to three characters, it would match others.
        ("code = 'abcd'", "text of at most 3 characters"),
        ("name = 42", "text in single quotes"),
        ("active = 'yes'", "true or false"),
        ("key = 'c0ffee'", "a UUID"),
        ("day = 'today'", "a date"),
        ("day = '2023-02-29'", "a date"),
        ("day = '1/2/2024'", "a date"),
        // The session's time zone would decide.
        ("at = '2024-01-01 10:00'", "a time with its zone"),
        ("at = '2024-01-01'", "a time with its zone"),
        ("at = 'now'", "a time with its zone"),
        ("at = '2024-01-01 10:00 Europe/Berlin'", "a time with its zone"),
        ("local = '2024-01-01 10:00:00.1234'", "expected a time"),
        ("local = '2024-01-01 10:00+02'", "expected a time"),
        ("clock = '24:30'", "expected a time"),
        ("span = 'soon'", "a length of time"),
    ] {
        match read(typed) {
            Err(error) => assert!(error.to_string().contains(said), "{typed}: {error}"),
            Ok(condition) => panic!("{typed} became {condition}"),
        }
    }
    assert_eq!(read("code = 'äöü'").unwrap().to_string(), "code = 'äöü'");
}

#[test]
fn g9_length_and_depth_are_bounded() {
    let long = format!("name = '{}'", "a".repeat(LONGEST));
    assert_eq!(read(&long), Err(RowsError::TooLong));
    let nested = |levels: usize| {
        (0..levels).fold("active".to_owned(), |inside, level| {
            format!("tenant_id = 1 {} ({inside})", if level % 2 == 0 { "AND" } else { "OR" })
        })
    };
    assert!(read(&nested(10)).is_ok());
    assert!(matches!(read(&nested(30)), Err(RowsError::TooDeep(_))));
    assert!(matches!(read(&nested(200)), Err(RowsError::TooDeep(_))));
    let parentheses = format!("{}active{}", "(".repeat(4000), ")".repeat(4000));
    assert!(
        read(&parentheses).is_ok()
            || matches!(read(&parentheses), Err(RowsError::TooDeep(_) | RowsError::Syntax { .. }))
    );
}

#[test]
fn hostile_values_stay_values() {
    // The filter values of the red team's list.
    for value in
        ["7 OR 1=1", "7); DROP TABLE users; --", "'7'", "(SELECT 9)", "NULL", "\\'; --", "$$", "%s", "a\nb"]
    {
        let condition = read(&format!("name = '{}'", value.replace('\'', "''"))).unwrap();
        let Condition::Compare { value: kept, .. } = &condition else { panic!("{condition:?}") };
        assert_eq!(kept, value);
        assert_eq!(read(&condition.to_string()).unwrap(), condition);
    }
    assert!(read("tenant_id = 7); DROP TABLE users; --").is_err());
}

/// Every keyword of the grammar, as a column.
#[test]
fn columns_may_be_called_like_keywords() {
    for word in [
        "select",
        "user",
        "values",
        "time",
        "date",
        "name",
        "type",
        "order",
        "int",
        "is",
        "not",
        "case",
        "row",
        "interval",
        "exists",
        "array",
        "default",
        "any",
        "current_date",
        "left",
        "collation",
        "between",
    ] {
        let columns = [(word, "boolean")];
        let catalog = Catalog { relations: vec![relation("t", &columns, &[])], ..Catalog::default() };
        let flag = Condition::Compare {
            column: word.into(),
            operator: Comparison::Equal,
            value: "false".into(),
            type_name: "boolean".into(),
        };
        let (_, again) = parse(&format!("t: {flag}"), &catalog).unwrap();
        assert_eq!(again, flag, "{word}");
    }
}

/// The shop, and what leads nowhere, in circles, or two ways.
fn shop() -> Catalog {
    let columns = [("id", "integer"), ("tenant_id", "integer")];
    let table = |name: &str, keys: &[(&str, &str)]| relation(name, &columns, keys);
    Catalog {
        relations: vec![
            table("customers", &[("referred_by", "customers")]),
            table("orders", &[("customer_id", "customers"), ("replaces", "orders")]),
            table("items", &[("order_id", "orders"), ("product_id", "products")]),
            table("products", &[]),
            table("transfers", &[("sender", "customers"), ("receiver", "customers")]),
            table("notes", &[("transfer_id", "transfers"), ("item_id", "items")]),
            table("eggs", &[("hen_id", "hens")]),
            table("hens", &[("egg_id", "eggs")]),
        ],
        ..Catalog::default()
    }
}

fn followed(conditions: &[&str], tables: &[&str], masked: &str) -> Result<String, RowsError> {
    let catalog = shop();
    let conditions: BTreeMap<TableName, Condition> =
        conditions.iter().map(|text| parse(text, &catalog).unwrap()).collect();
    let names: Vec<TableName> = tables.iter().map(|name| TableName::new("public", *name)).collect();
    let hidden = |table: &TableName, column: &str| format!("{}.{column}", table.name) == masked;
    let found = follow(&conditions, names.iter(), &catalog, &hidden)?;
    Ok(found
        .iter()
        .map(|(table, condition)| format!("{table} where {condition}"))
        .collect::<Vec<_>>()
        .join("; "))
}

#[test]
fn r3_4_foreign_keys_are_followed_the_shortest_way() {
    let customer = ["customers: id = 17"];
    let orders = "public.orders where customer_id -> public.customers where id = 17";
    assert_eq!(followed(&customer, &["customers", "orders"], "").unwrap(), orders);
    assert_eq!(
        followed(&customer, &["items"], "").unwrap(),
        "public.items where order_id -> public.orders where customer_id -> public.customers where id = 17"
    );
    // Nothing leads there; circles end.
    assert_eq!(followed(&customer, &["products", "eggs", "hens"], "").unwrap(), "");
    // The nearer condition counts.
    assert_eq!(
        followed(&["customers: id = 17", "products: id = 3"], &["items"], "").unwrap(),
        "public.items where product_id -> public.products where id = 3"
    );
    let error = followed(&customer, &["transfers"], "").unwrap_err().to_string();
    assert!(
        error.contains("to public.customers by sender; to public.customers by receiver")
            && error.contains("--row 'public.transfers: …'"),
        "{error}"
    );
    assert!(matches!(followed(&customer, &["notes"], ""), Err(RowsError::SeveralWays { .. })));
    for masked in ["orders.customer_id", "customers.id"] {
        let error = followed(&customer, &["orders"], masked).unwrap_err().to_string();
        assert!(error.contains(&format!("--unmask public.{masked}")), "{error}");
    }
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let operator = prop_oneof![
        Just(Comparison::Equal),
        Just(Comparison::NotEqual),
        Just(Comparison::Less),
        Just(Comparison::AtMost),
        Just(Comparison::More),
        Just(Comparison::AtLeast),
    ];
    let typed = prop_oneof![
        any::<i32>().prop_map(|n| ("tenant_id", n.to_string())),
        any::<i64>().prop_map(|n| ("id", n.to_string())),
        "-?[1-9][0-9]{0,7}(\\.[0-9]{1,2})?".prop_map(|n| ("amount", n)),
        "[^\0]{0,20}".prop_map(|text| ("name", text)),
        "[^\0]{0,20}".prop_map(|text| ("We\"ird: Täble", text)),
        "[^\0]{0,3}".prop_map(|text| ("code", text)),
        any::<bool>().prop_map(|value| ("active", value.to_string())),
        "20[0-9]{2}-0[1-9]-[12][0-8]".prop_map(|day| ("day", day)),
    ];
    let leaf = (operator, typed, 0..4u8).prop_map(|(operator, (column, value), shape)| {
        let type_name = COLUMNS.iter().find(|(name, _)| *name == column).unwrap().1.to_owned();
        let column = column.to_owned();
        match shape {
            0 => Condition::Null { column, negated: value.len() % 2 == 0 },
            1 => Condition::In { column, values: vec![value.clone(), value], type_name },
            _ => Condition::Compare { column, operator, value, type_name },
        }
    });
    // Within AND there is no AND, within OR no OR: one form for each meaning.
    leaf.prop_recursive(4, 24, 4, |inner| {
        (proptest::collection::vec(inner, 2..4), any::<bool>()).prop_map(|(parts, and)| {
            let mut flat = Vec::new();
            for part in parts {
                match part {
                    Condition::And { all } if and => flat.extend(all),
                    Condition::Or { any } if !and => flat.extend(any),
                    other => flat.push(other),
                }
            }
            if and { Condition::And { all: flat } } else { Condition::Or { any: flat } }
        })
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(condition in any_condition()) {
        prop_assert_eq!(read(&condition.to_string()).unwrap(), condition);
    }

    #[test]
    fn no_text_is_too_much(text in "\\PC{0,60}", before in prop_oneof![Just(""), Just("customers:"), Just("customers: name = ")]) {
        if let Ok((_, condition)) = parse(&format!("{before}{text}"), &catalog()) {
            prop_assert_eq!(read(&condition.to_string()).unwrap(), condition);
        }
    }

    /// Its own words in any order.
    #[test]
    fn no_order_of_words_is_too_much(words in proptest::collection::vec(proptest::sample::select(vec![
        "customers", "tenant_id", "name", "active", "=", "<>", "IN", "(", ")", ",", "AND", "OR", "NOT", "IS", "NULL",
        "BETWEEN", "1", "-", "'x'", "::int", "::text", "SELECT", "$1", ";", "--", ".", "date", "'2024-01-01'", "[", "]",
    ]), 0..14)) {
        drop(read(&words.join(" ")));
    }
}
