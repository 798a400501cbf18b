use super::*;
use crate::core::model::{
    Classified, Column, ForeignKey, Level, Mask, Relation, Rule, SchemaOwner, Selector, Sensitivity,
};

fn relation(schema: &str, name: &str, columns: &[&str]) -> Relation {
    let column = |name: &&str| Column::new(*name, if name.ends_with("id") { "integer" } else { "text" });
    Relation {
        name: TableName::new(schema, name),
        owner: if schema == "hr" { "hr_owner" } else { "app" }.into(),
        columns: columns.iter().map(column).collect(),
        ..Relation::default()
    }
}

fn catalog() -> Catalog {
    let mut orders = relation("public", "orders", &["id", "customer_id", "note"]);
    orders.foreign_keys.push(ForeignKey {
        columns: vec!["customer_id".into()],
        table: TableName::new("public", "customers"),
        references: vec!["id".into()],
    });
    let mut part = relation("public", "customers_2024", &["id", "tenant_id", "name", "email"]);
    part.ancestors.push(TableName::new("public", "customers"));
    Catalog {
        relations: vec![
            relation("public", "customers", &["id", "tenant_id", "name", "email"]),
            part,
            orders,
            relation("public", "payments", &["id", "order_id", "card_number", "email"]),
            relation("shop", "orders", &["id"]),
            relation("shop", "stock", &["id"]),
            relation("hr", "staff", &["id", "email"]),
            relation("a", "twin", &["id"]),
            relation("b", "twin", &["id"]),
            relation("public", "We\"ird. Täble", &["id"]),
        ],
        schemas: ["public", "shop", "hr", "a", "b", "It's"].map(str::to_owned).to_vec(),
        owners: [("public", "app"), ("shop", "app"), ("hr", "hr_owner")]
            .map(|(schema, owner)| SchemaOwner { schema: schema.into(), owner: owner.into() })
            .to_vec(),
        ..Catalog::default()
    }
}

fn classification() -> Classification {
    let rule = |schema: &str, table: &str, column: &str| Rule {
        selector: Selector::Column { table: TableName::new(schema, table), column: column.into() },
        classified: Classified { sensitivity: Sensitivity::Pii, mask: Mask::Null },
    };
    let rules = [
        rule("public", "customers", "email"),
        rule("public", "payments", "email"),
        rule("public", "payments", "card_number"),
        rule("hr", "staff", "email"),
    ];
    Classification::of(&rules, &catalog())
}

/// Words as on the command line.
fn ask(line: &str) -> Result<Scope, ScopeError> {
    let mut asked = AskedScope::default();
    let words: Vec<&str> = line.split('|').map(str::trim).filter(|word| !word.is_empty()).collect();
    for word in words {
        let (flag, value) = word.split_once(' ').unwrap_or((word, ""));
        match flag {
            "--table" => asked.tables.push(value.into()),
            "--schema" => asked.schemas.push(value.into()),
            "--row" => asked.rows.push(value.into()),
            "--unmask" => asked.unmask.push(value.into()),
            "--follow" => asked.follow = true,
            "--write" => asked.write = true,
            "--ddl" => asked.ddl = true,
            "--export" => asked.export = true,
            other => panic!("{other}"),
        }
    }
    asked.resolve(&catalog(), &classification())
}

#[test]
fn r3_what_was_typed_becomes_a_scope() {
    for (typed, scope, level) in [
        ("--table orders", "read public.orders", Level::Table),
        ("--table shop.orders | --table stock", "read shop.orders, shop.stock", Level::Table),
        ("--table \"We\"\"ird. Täble\"", "read public.\"We\"\"ird. Täble\"", Level::Table),
        ("", "read the whole database", Level::Database),
        ("--schema shop | --write", "read+write schema shop", Level::Schema),
        ("--row customers: tenant_id = 42", "read public.customers where tenant_id = 42", Level::Row),
        (
            "--row customers: tenant_id = 42 | --table orders",
            "read public.customers where tenant_id = 42, public.orders",
            Level::Table,
        ),
        (
            "--row customers: tenant_id = 42 | --table orders | --follow | --write",
            "read+write public.customers where tenant_id = 42, public.orders where customer_id -> \
             public.customers where tenant_id = 42",
            Level::Row,
        ),
        (
            "--schema public | --row customers: tenant_id = 42",
            "read schema public; of public.customers where tenant_id = 42, of public.customers_2024 where \
             tenant_id = 42",
            Level::Schema,
        ),
        (
            "--row customers: id = 1 | --table customers_2024",
            "read public.customers where id = 1, public.customers_2024 where id = 1",
            Level::Row,
        ),
        ("--table payments | --unmask card_number", "read public.payments; raw card_number", Level::Table),
        (
            "--schema public | --unmask payments.email | --unmask public.customers.email",
            "read schema public; raw public.customers.email, public.payments.email",
            Level::Schema,
        ),
        (
            "--row customers: email = 'a' | --unmask email",
            "read public.customers where email = 'a'; raw email",
            Level::Row,
        ),
        ("--table orders | --export", "read+export public.orders", Level::Table),
        ("--schema shop | --ddl", "read+write+ddl schema shop", Level::Schema),
        (
            "--schema shop | --schema public | --ddl | --table payments",
            "read+write+ddl schema public, schema shop, public.payments",
            Level::Schema,
        ),
    ] {
        let found = ask(typed).unwrap_or_else(|error| panic!("{typed}: {error}"));
        assert_eq!((found.to_string().as_str(), found.level()), (scope, level), "{typed}");
    }
}

#[test]
fn what_makes_no_scope_says_what_to_ask_instead() {
    for (typed, said) in [
        ("--table paymnts", "no table paymnts: did you mean payments?"),
        ("--table shop.stok", "no table shop.stok: did you mean shop.stock or shop.orders?"),
        ("--table twin", "table twin is ambiguous: say which of a.twin, b.twin"),
        ("--table a..b", "`a..b` is not a name"),
        ("--table \"open", "is not a name"),
        ("--schema shp", "no schema shp: did you mean shop?"),
        ("--row custmers: id = 1", "no table custmers: did you mean customers"),
        ("--row customers: idd = 1", "no column idd in public.customers: did you mean id?"),
        (
            "--row customers: id = 1 | --row public.customers: id = 2",
            "there are two conditions on public.customers",
        ),
        (
            "--row customers: email = 'a'",
            "public.customers.email is masked, and rows chosen by it would show it",
        ),
        ("--row customers: id = 1 OR email IS NULL", "--unmask public.customers.email"),
        ("--table orders | --follow", "--follow needs a condition to follow"),
        ("--row customers: tenant_id = 42 | --table payments | --follow", "--follow leads nowhere"),
        ("--row customers: tenant_id = 42 | --follow", "--follow leads nowhere"),
        (
            "--table payments | --unmask card_nmber",
            "no column card_nmber in what is asked for: did you mean card_number?",
        ),
        ("--table payments | --unmask payments.card_nmber", "did you mean payments.card_number"),
        ("--table orders | --unmask card_number", "no column card_number in what is asked for"),
        ("--table orders | --unmask note", "note is not masked anyway: ask without --unmask note"),
        (
            "--schema public | --unmask email",
            "column email is ambiguous: say which of public.customers.email, public.customers_2024.email, \
             public.payments.email",
        ),
        ("--table orders | --unmask a.b.c.d", "`a.b.c.d` is not a name"),
        ("--table orders | --ddl", "schema changes are asked for by schema"),
        ("--schema public | --schema hr | --ddl", "several: app (of schema public), hr_owner (of schema hr)"),
        ("--schema public | --table hr.staff | --ddl", "hr_owner (of hr.staff)"),
        ("--schema a | --ddl", "who owns the schema a is not known"),
        ("--schema public | --ddl | --row customers: id = 1", "a row condition cannot go with --ddl"),
        ("--schema public | --ddl | --unmask card_number", "--unmask cannot go with --ddl"),
    ] {
        match ask(typed) {
            Err(error) => assert!(error.to_string().contains(said), "{typed}: {error}"),
            Ok(scope) => panic!("{typed} became {scope}"),
        }
    }
}

/// What a hint prints asks for the same again.
#[test]
fn a_scope_is_printed_as_the_command_that_asks_for_it() {
    for (typed, command) in [
        ("", "dbaccess request prod --database"),
        (
            "--table \"We\"\"ird. Täble\" | --write",
            "dbaccess request prod --table 'public.\"We\"\"ird. Täble\"' --write",
        ),
        (
            "--row customers: name = 'o''brien' | --table orders | --follow",
            "dbaccess request prod --table public.orders --row 'public.customers: name = '\\''o'\\'''\\''brien'\\''' \
             --follow",
        ),
        (
            "--schema public | --row customers: id = 1 | --unmask card_number | --export",
            "dbaccess request prod --schema public --row 'public.customers: id = 1' --row \
             'public.customers_2024: id = 1' --unmask public.payments.card_number --export",
        ),
        ("--schema shop | --ddl", "dbaccess request prod --schema shop --ddl"),
        ("--schema \"It's\"", "dbaccess request prod --schema '\"It'\\''s\"'"),
    ] {
        assert_eq!(request_command("prod", &ask(typed).unwrap()), command, "{typed}");
    }
    assert_eq!(shell_quoted("it's"), "'it'\\''s'");
    assert_eq!(shell_quoted(""), "''");
}

/// Names that hurt careless programs (the red team's list), each found again by
/// the name that it is printed with, in every flag.
#[test]
fn hostile_names_are_found_by_what_is_printed_of_them() {
    let names = [
        "users\"; DROP TABLE users; --",
        "o'brien",
        "Weird \"Täble\" ☃",
        "SELECT",
        "user",
        "\u{202e}evil",
        "public.users",
        "\"",
        "\"\"",
        "a\nb",
        "a;b",
        "a: b",
        "$$",
        "{}",
        "%s",
        "--",
        "/*",
        "users ",
        "USERS",
        "İstanbul",
        "a.b.c",
        "-1",
        "1abc",
    ];
    for name in names {
        let catalog = Catalog { relations: vec![relation(name, name, &["id", name])], ..Catalog::default() };
        let table = TableName::new(name, name);
        let rule = Rule {
            selector: Selector::Column { table: table.clone(), column: name.into() },
            classified: Classified { sensitivity: Sensitivity::Pii, mask: Mask::Null },
        };
        let classification = Classification::of(&[rule], &catalog);
        let condition = Condition::Null { column: name.into(), negated: false };
        let asked = AskedScope {
            tables: vec![table.to_string()],
            rows: vec![format!("{table}: {condition}")],
            unmask: vec![table.column(name)],
            ..AskedScope::default()
        };
        let scope =
            asked.resolve(&catalog, &classification).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(scope.rows, BTreeMap::from([(table.clone(), condition)]));
        assert_eq!(scope.unmask, BTreeMap::from([(table, BTreeSet::from([name.to_owned()]))]));
    }
}
