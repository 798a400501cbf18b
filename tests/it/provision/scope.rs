//! What a session's role can and cannot do, used directly (G3, R1.2, R3).

use super::*;
use dbaccess::core::profile::quote_ident;

on_every_version! {
    r1_2_only_the_tables_of_the_scope_are_readable
    r3_levels_hold_in_the_database
    r3_5_read_and_write_are_separate
    hostile_identifiers_are_names_and_nothing_else
    g3_a_profile_holds_exactly_its_content_whatever_happened_to_the_tables
    g3_a_session_is_no_session_of_another_database
    g4_no_log_holds_a_password
}

/// Denied by privilege.
const DENIED: Option<&str> = Some("42501");

async fn check(client: &Client, expectations: &[(&str, Option<&str>)]) {
    for (sql, expected) in expectations {
        assert_eq!(sqlstate(client, sql).await.as_deref(), *expected, "{sql}");
    }
}

async fn r1_2_only_the_tables_of_the_scope_are_readable(shop: &mut Shop) {
    let alice = shop.session(&tables(&["orders"])).await;
    let client = shop.connect(&alice).await;
    assert_eq!(value(&client, "SELECT count(*) FROM orders").await.as_deref(), Some("100"));
    // Read-only is a default that a session may lift: privileges are what holds.
    run(&client, "SET default_transaction_read_only = off").await;
    check(
        &client,
        &[
            ("SELECT * FROM payments", DENIED),
            ("SELECT * FROM public.order_totals", DENIED),
            ("SELECT * FROM hr.salaries", DENIED),
            ("SELECT rolpassword FROM pg_authid", DENIED),
            ("TABLE daily", DENIED),
            ("COPY payments TO STDOUT", DENIED),
            ("COPY orders TO PROGRAM 'true'", DENIED),
            ("SET ROLE postgres", DENIED),
            ("SET ROLE dbaccess_gateway", DENIED),
            ("SET SESSION AUTHORIZATION postgres", DENIED),
            ("CREATE ROLE mallory", DENIED),
            ("ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'", DENIED),
            ("ALTER ROLE CURRENT_USER CONNECTION LIMIT 1000", DENIED),
            ("SET temp_file_limit = -1", DENIED),
            ("SELECT dbaccess.version()", DENIED),
            ("GRANT SELECT ON orders TO PUBLIC", None), // a warning: nothing is granted
            ("DROP TABLE orders", Some("42501")),
        ],
    )
    .await;
    // From 16 on a session has the profile's privileges but cannot become it.
    let version = value(&shop.admin, "SHOW server_version_num").await.expect("a version");
    let become_it = format!("SET ROLE {}", shop.profile(&tables(&["orders"])).await.name());
    let expected = if version.as_str() >= "160000" { DENIED } else { None };
    check(&client, &[(&become_it, expected)]).await;
    let granted = "SELECT has_table_privilege('public', 'orders', 'SELECT')";
    assert_eq!(value(&shop.admin, granted).await.as_deref(), Some("f"));
    // R1.4: attribution in the database's own view.
    let seen = format!("SELECT application_name FROM pg_stat_activity WHERE usename = '{}'", alice.role);
    assert_eq!(value(&shop.admin, &seen).await.as_deref(), Some("dbaccess alice@example.com"));
    let comment = format!("SELECT shobj_description('{}'::regrole, 'pg_authid')", alice.role);
    assert_eq!(value(&shop.admin, &comment).await.as_deref(), Some("alice@example.com grt-000000000000"));
}

async fn r3_levels_hold_in_the_database(shop: &mut Shop) {
    let everything = [
        "SELECT * FROM orders",
        "SELECT * FROM payments",
        "SELECT * FROM order_totals",
        "SELECT * FROM daily",
        "SELECT * FROM events",
        "SELECT * FROM hr.salaries",
        "SELECT * FROM hr.people",
    ];
    let schema = |name: &str| AskedScope { schemas: vec![name.to_owned()], ..AskedScope::default() };
    let scopes = [
        (tables(&["hr.people", "daily"]), vec!["SELECT * FROM daily", "SELECT * FROM hr.people"]),
        (schema("hr"), vec!["SELECT * FROM hr.salaries", "SELECT * FROM hr.people"]),
        (AskedScope::default(), everything.to_vec()),
    ];
    for (asked, readable) in scopes {
        let person = shop.session(&asked).await;
        let client = shop.connect(&person).await;
        for sql in everything {
            let expected = if readable.contains(&sql) { None } else { DENIED };
            assert_eq!(sqlstate(&client, sql).await.as_deref(), expected, "{sql} under {asked:?}");
        }
    }
}

async fn r3_5_read_and_write_are_separate(shop: &mut Shop) {
    let statements = [
        "INSERT INTO orders (customer, total) VALUES (1, 1)",
        "UPDATE orders SET total = 2 WHERE id = 1",
        "DELETE FROM orders WHERE id = 2",
    ];
    let reader = shop.session(&tables(&["orders"])).await;
    let client = shop.connect(&reader).await;
    for sql in statements {
        assert_eq!(sqlstate(&client, sql).await.as_deref(), Some("25006"), "{sql}");
        run(&client, "SET default_transaction_read_only = off").await;
        assert_eq!(sqlstate(&client, sql).await.as_deref(), DENIED, "{sql}");
        run(&client, "RESET default_transaction_read_only").await;
    }
    let writer = shop.session(&writing(tables(&["orders", "payments"]))).await;
    let client = shop.connect(&writer).await;
    for sql in statements {
        assert_eq!(sqlstate(&client, sql).await, None, "{sql}");
    }
    check(
        &client,
        &[
            ("INSERT INTO payments (card_number) VALUES ('1')", None),
            ("TRUNCATE orders", DENIED),
            ("ALTER TABLE orders ADD COLUMN x int", DENIED),
            ("CREATE INDEX ON orders (total)", DENIED),
            ("CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()", DENIED),
            ("INSERT INTO hr.people VALUES ('x')", DENIED),
            ("SELECT setval('orders_id_seq', 1)", DENIED),
        ],
    )
    .await;
}

/// Every name that PostgreSQL takes is one that a profile takes, exactly.
async fn hostile_identifiers_are_names_and_nothing_else(shop: &mut Shop) {
    let max = "x".repeat(63);
    let accents = "é".repeat(31);
    let names = [
        "users\"; DROP TABLE orders; --",
        "o'brien",
        "Weird \"Täble\" ☃",
        "SELECT",
        "user",
        "\u{202e}evil",
        &max,
        &accents,
        "public.users",
        "pg_temp",
        "\"",
        "\"\"",
        "a\nb",
        "a;b",
        "$$",
        "{}",
        "%s",
        "%I",
        "\\",
        "--",
        "/*",
        "users ",
        "USERS",
        "İstanbul",
        "-1",
        "1abc",
        ":version",
    ];
    for name in names {
        let quoted = quote_ident(name);
        run(
            &shop.admin,
            &format!(
                "CREATE TABLE {quoted} (id serial); CREATE TABLE \"Odd \"\"Schéma\"\"\".{quoted} (id int)"
            ),
        )
        .await;
    }
    for schema in ["public", "Odd \"Schéma\""] {
        let all: Vec<String> =
            names.iter().map(|name| format!("{}.{}", quote_ident(schema), quote_ident(name))).collect();
        // Every other one, then the rest: a name that stood for another would show.
        for turn in [0, 1] {
            let inside = |n: usize| n % 2 == turn;
            let asked: Vec<&str> =
                all.iter().enumerate().filter(|(n, _)| inside(*n)).map(|(_, table)| table.as_str()).collect();
            let person = shop.session(&writing(tables(&asked))).await;
            let client = shop.connect(&person).await;
            for (n, table) in all.iter().enumerate() {
                let expected = if inside(n) { None } else { DENIED };
                let insert = format!("INSERT INTO {table} DEFAULT VALUES");
                assert_eq!(sqlstate(&client, &insert).await.as_deref(), expected, "{table}");
            }
        }
    }
    assert_eq!(value(&shop.admin, "SELECT count(*) FROM orders").await.as_deref(), Some("100"));
}

async fn g3_a_profile_holds_exactly_its_content_whatever_happened_to_the_tables(shop: &mut Shop) {
    let profile = shop.profile(&tables(&["orders", "hr.people"])).await;
    let name = profile.name().to_owned();
    let first = shop.session_with(&profile, true).await.expect("it opens");
    // Recreated under its name, it has lost its privileges; somebody was helpful meanwhile.
    run(&shop.admin, "DROP TABLE hr.people; CREATE TABLE hr.people (person text)").await;
    run(
        &shop.admin,
        &format!("GRANT SELECT, UPDATE ON payments TO {name}; GRANT CREATE ON SCHEMA hr TO {name}"),
    )
    .await;
    let second = shop.session_with(&profile, true).await.expect("it opens");
    for person in [&first, &second] {
        let client = shop.connect(person).await;
        run(&client, "SET default_transaction_read_only = off").await;
        check(
            &client,
            &[
                ("SELECT * FROM orders", None),
                ("SELECT * FROM hr.people", None),
                ("SELECT * FROM payments", DENIED),
                ("CREATE TABLE hr.mine ()", DENIED),
            ],
        )
        .await;
    }
    // Gone for good: a clear error, and nothing left of the attempt.
    run(&shop.admin, "DROP TABLE hr.people").await;
    let before = shop.target.managed_roles().await.unwrap().len();
    let error = shop.session_with(&profile, true).await.err().expect("a table of the scope is gone");
    assert!(matches!(&error, ProvisionError::Vanished(why) if why.contains("hr.people")), "{error}");
    assert_eq!(shop.target.managed_roles().await.unwrap().len(), before);
}

async fn g3_a_session_is_no_session_of_another_database(shop: &mut Shop) {
    let other = format!("{}_other", shop.database);
    run(&shop.admin, &format!("CREATE DATABASE {other}")).await;
    let elsewhere = shop.server.admin(&other).await;
    run(&elsewhere, "CREATE TABLE orders (id int)").await;
    let alice = shop.session(&tables(&["orders"])).await;
    let client = shop.connect_to(&other, &alice).await;
    assert_eq!(sqlstate(&client, "SELECT * FROM orders").await.as_deref(), DENIED);
    // With CONNECT taken from PUBLIC the target still works and the other is shut.
    for database in [&other, &shop.database] {
        run(&shop.admin, &format!("REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC")).await;
    }
    assert!(shop.server.connect(&other, &alice.role, &alice.password).await.is_err());
    assert_eq!(sqlstate(&shop.connect(&alice).await, "SELECT * FROM orders").await, None);
}

async fn g4_no_log_holds_a_password(shop: &mut Shop) {
    let alice = shop.session(&tables(&["orders"])).await;
    drop(shop.connect(&alice).await);
    shop.target.close_session(&alice.role).await.expect("it ends");
    let log = shop.server.log();
    assert!(log.contains("dbaccess.open_session"), "statements are logged");
    assert!(log.contains(&alice.role));
    assert!(!log.contains(&alice.password));
    assert!(!log.contains(GATEWAY_PASSWORD));
}
