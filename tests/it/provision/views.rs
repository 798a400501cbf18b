//! Views in place of tables: rows, writes, names, and what happens to the
//! tables below them (G3, R3.4, R6).

use super::masks::{partial, rows};
use super::*;
use dbaccess::core::model::{Comparison, Condition, Mask, PartialKind, Permission, Scope, TableName};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

on_every_version! {
    g3_a_masked_table_is_reached_by_its_view_alone
    r3_4_a_row_scope_hides_rows_whatever_is_tried
    r3_4_a_condition_may_lead_through_foreign_keys
    r3_4_row_security_of_the_table_and_a_scope_of_rows
    r3_4_nothing_is_inserted_where_rows_are_hidden
    g3_no_foreign_key_where_a_session_could_make_one
    r6_3_sealed_columns_where_nobody_may_use_the_schema
    r3_5_only_what_is_shown_may_be_written
    a_view_follows_what_becomes_of_its_table
    hostile_identifiers_are_names_in_views_too
    the_functions_refuse_views_that_are_none
    g5_fifty_masked_sessions_open_at_once_and_leave_nothing
}

const DENIED: Option<&str> = Some("42501");
/// A masked column of a view is an expression.
const NOT_WRITABLE: Option<&str> = Some("0A000");

fn tenant(value: &str) -> Condition {
    Condition::Compare {
        column: "tenant".to_owned(),
        operator: Comparison::Equal,
        value: value.to_owned(),
        type_name: "integer".to_owned(),
    }
}

fn of_tenant(shop_tables: &[&str], permissions: &[Permission]) -> Scope {
    let names = || shop_tables.iter().map(|name| TableName::new("public", *name));
    let objects =
        dbaccess::core::model::Objects::Only { schemas: BTreeSet::new(), tables: names().collect() };
    let rows = names().map(|name| (name, tenant("7"))).collect();
    Scope { rows, ..Scope::new(objects, permissions.iter().copied().collect()) }
}

const PEOPLE: &str = "
    CREATE TABLE people (id int PRIMARY KEY, tenant int NOT NULL, email text, note text DEFAULT 'new');
    INSERT INTO people SELECT i, CASE WHEN i <= 40 THEN 7 ELSE 9 END, 'person' || i || '@example.com', 'hidden' || i FROM generate_series(1, 80) i;
    CREATE INDEX ON people (tenant); ANALYZE people";

async fn g3_a_masked_table_is_reached_by_its_view_alone(shop: &mut Shop) {
    run(&shop.admin, PEOPLE).await;
    // Base tables are listed only where nobody can make a foreign key.
    run(&shop.admin, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    run(&shop.admin, "DROP TABLE hr.people; CREATE TABLE hr.people2 (id int PRIMARY KEY, email text)").await;
    run(
        &shop.admin,
        &format!("ALTER DATABASE {} SET search_path = hr, \"$user\", public, nowhere", shop.database),
    )
    .await;
    shop.target = Target::new(shop.target.upstream().clone()).unwrap();
    let masks = [("people.email", partial(PartialKind::Email)), ("hr.people2.email", Mask::Null)];
    let profile = shop.masked_profile(&tables(&["public.people", "hr.people2", "orders"]), &masks).await;
    let alice = shop.session_with(&profile, true).await.expect("it opens");
    let client = shop.connect(&alice).await;
    let view = |table: &str| profile.views().relations[&TableName::new("public", table)].schema.clone();
    let (hr, public) = (profile.views().schemas["hr"].clone(), view("people"));
    assert_eq!(
        value(&client, "SHOW search_path").await,
        Some(format!("{hr}, hr, {public}, public, nowhere"))
    );
    assert_eq!(
        value(&client, "SELECT email FROM people WHERE id = 1").await.as_deref(),
        Some("per***@example.com")
    );
    assert_eq!(sqlstate(&client, "SELECT * FROM people2").await, None);
    assert_eq!(sqlstate(&client, "SELECT * FROM orders").await, None);
    for sql in ["SELECT id FROM public.people", "SELECT count(*) FROM hr.people2", "SELECT * FROM payments"] {
        assert_eq!(sqlstate(&client, sql).await.as_deref(), DENIED, "{sql}");
    }
    // Mask-only views are no barrier: an index is used as on the table.
    run(&client, "SET enable_seqscan = off").await;
    let plan = rows(&client, "EXPLAIN SELECT * FROM people WHERE id = 5").await;
    assert!(plan.iter().flatten().flatten().any(|line| line.contains("Index")), "{plan:?}");
    // Introspection: the base table is listed, its masked column is not.
    let listed = "SELECT string_agg(column_name, ' ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_schema = 'public' AND table_name = 'people'";
    assert_eq!(value(&client, listed).await.as_deref(), Some("id tenant note"));
    let tables =
        "SELECT count(*) FROM information_schema.tables WHERE table_name IN ('people', 'people2', 'orders')";
    assert_eq!(value(&client, tables).await.as_deref(), Some("5"));
    let visible = "SELECT string_agg(format('%s %s', relkind, format_type(atttypid, atttypmod)), ', ') FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
                   WHERE relname = 'people' AND attname = 'email' AND pg_table_is_visible(c.oid)";
    assert_eq!(value(&client, visible).await.as_deref(), Some("v text"));
    // A foreign key would answer guesses.
    run(&shop.admin, "GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC; CREATE UNIQUE INDEX ON people (email)")
        .await;
    run(&client, "SET default_transaction_read_only = off").await;
    let guess = "CREATE TABLE public.guess (email text REFERENCES public.people (email))";
    assert_eq!(sqlstate(&client, guess).await.as_deref(), DENIED);
}

async fn r3_4_a_row_scope_hides_rows_whatever_is_tried(shop: &mut Shop) {
    run(&shop.admin, PEOPLE).await;
    run(&shop.admin, "GRANT TEMPORARY ON DATABASE postgres TO PUBLIC").await;
    let scope = of_tenant(&["people"], &[Permission::Read, Permission::Write]);
    let alice = shop.scoped(&scope, &[], false).await;
    let client = shop.connect(&alice).await;
    assert_eq!(value(&client, "SELECT count(*) FROM people").await.as_deref(), Some("40"));
    // Errors and cheap functions must not see hidden rows first.
    run(&client, "CREATE FUNCTION pg_temp.tell(text) RETURNS bool LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'told %', $1; IF $1 ~ 'hidden(4[1-9]|[5-8][0-9])$' THEN RAISE 'leak %', $1; END IF; RETURN true; END $$").await;
    for sql in [
        "SELECT count(*) FROM people WHERE pg_temp.tell(note)",
        "SELECT count(*) FROM people WHERE 1 / (id - 50) < 5",
        "SELECT count(*) FROM people WHERE CASE WHEN id = 60 THEN note::int > 0 ELSE true END",
        "UPDATE people SET note = note WHERE pg_temp.tell(note)",
        "DELETE FROM people WHERE id = 50 AND pg_temp.tell(note)",
        "SET row_security = off; SELECT count(*) FROM people WHERE pg_temp.tell(note)",
        "SELECT * FROM people p WHERE pg_temp.tell(p::text) FOR UPDATE",
    ] {
        assert_eq!(sqlstate(&client, sql).await, None, "{sql}");
    }
    for (sql, expected) in [
        ("SELECT id FROM public.people", DENIED),
        ("UPDATE people SET tenant = 9 WHERE id = 1", Some("44000")),
        ("INSERT INTO people (id, tenant) VALUES (100, 9)", DENIED),
        ("INSERT INTO people (id, tenant) VALUES (101, 7)", DENIED),
        ("INSERT INTO people (id, tenant) VALUES (60, 7) ON CONFLICT (id) DO UPDATE SET tenant = 7", DENIED),
        ("UPDATE people SET note = 'mine'", None),
        ("DELETE FROM people", None),
    ] {
        assert_eq!(sqlstate(&client, sql).await.as_deref(), expected, "{sql}");
    }
    let untouched = "SELECT count(*) FROM people WHERE tenant = 9 AND note ~ '^hidden'";
    assert_eq!(value(&shop.admin, untouched).await.as_deref(), Some("40"));
    assert_eq!(value(&shop.admin, "SELECT count(*) FROM people").await.as_deref(), Some("40"));
}

async fn r3_4_a_condition_may_lead_through_foreign_keys(shop: &mut Shop) {
    run(&shop.admin, PEOPLE).await;
    run(&shop.admin, "
        CREATE TYPE state AS ENUM ('new', 'paid', 'gone');
        CREATE TABLE \"Odd \"\"Schéma\"\"\".\"Bills\" (id int PRIMARY KEY, person bigint, state state, at timestamptz, label varchar(3), secret text);
        INSERT INTO \"Odd \"\"Schéma\"\"\".\"Bills\" SELECT i, i, CASE i % 2 WHEN 0 THEN 'new' ELSE 'paid' END::state, '2026-01-01', 'abc', 'x' FROM generate_series(1, 80) i").await;
    let bills = TableName::new("Odd \"Schéma\"", "Bills");
    let through = Condition::Through {
        columns: vec!["person".to_owned()],
        table: TableName::new("public", "people"),
        references: vec!["id".to_owned()],
        condition: Box::new(tenant("7")),
    };
    let compare = |column: &str, operator, value: &str| Condition::Compare {
        column: column.to_owned(),
        operator,
        value: value.to_owned(),
        type_name: "what the content says does not count".to_owned(),
    };
    let of = |column: &str, values: &[&str]| Condition::In {
        column: column.to_owned(),
        values: values.iter().map(ToString::to_string).collect(),
        type_name: String::new(),
    };
    let null = |column: &str, negated| Condition::Null { column: column.to_owned(), negated };
    for (condition, expected) in [
        (through.clone(), "40"),
        (Condition::And { all: vec![through.clone(), compare("state", Comparison::More, "new")] }, "20"),
        (Condition::Or { any: vec![through.clone(), compare("id", Comparison::NotEqual, "50")] }, "79"),
        (of("state", &["new", "gone"]), "40"),
        (of("state", &[]), "0"),
        (compare("label", Comparison::Equal, "abcdef"), "0"),
        (compare("label", Comparison::AtLeast, "abc"), "80"),
        (compare("at", Comparison::AtMost, "2026-01-01 00:00:00+00"), "80"),
        (compare("secret", Comparison::Equal, "x' OR 'a' = 'a"), "0"),
        (compare("secret", Comparison::Equal, "\\' OR true --"), "0"),
        (null("secret", true), "80"),
        (null("secret", false), "0"),
    ] {
        let scope = Scope {
            rows: [(bills.clone(), condition.clone())].into(),
            ..Scope::new(
                dbaccess::core::model::Objects::Only {
                    schemas: BTreeSet::new(),
                    tables: [bills.clone()].into(),
                },
                BTreeSet::from([Permission::Read]),
            )
        };
        // A condition may be on what is masked: its owner reads that column then.
        let alice = shop.scoped(&scope, &[("Odd \"Schéma\".Bills.secret", Mask::Null)], true).await;
        let client = shop.connect(&alice).await;
        let profile = shop.scoped_profile(&scope, &[("Odd \"Schéma\".Bills.secret", Mask::Null)]).await;
        let view = &profile.views().relations[&bills];
        assert_eq!(
            value(&client, &format!("SELECT count(*) FROM {view}")).await.as_deref(),
            Some(expected),
            "{condition:?}"
        );
        assert_eq!(value(&client, &format!("SELECT count(secret) FROM {view}")).await.as_deref(), Some("0"));
        assert_eq!(sqlstate(&client, "SELECT * FROM people").await.as_deref(), DENIED);
    }
    for wrong in [
        compare("nowhere", Comparison::Equal, "1"),
        compare("id", Comparison::Equal, "7 OR 1=1"),
        Condition::And { all: Vec::new() },
    ] {
        let scope = Scope {
            rows: [(bills.clone(), wrong)].into(),
            ..Scope::new(
                dbaccess::core::model::Objects::Only {
                    schemas: BTreeSet::new(),
                    tables: [bills.clone()].into(),
                },
                BTreeSet::from([Permission::Read]),
            )
        };
        let profile = shop.scoped_profile(&scope, &[]).await;
        assert!(shop.session_with(&profile, true).await.is_err(), "{scope:?}");
    }
}

async fn r3_4_row_security_of_the_table_and_a_scope_of_rows(shop: &mut Shop) {
    run(&shop.admin, PEOPLE).await;
    run(&shop.admin, "
        CREATE TABLE tickets (id int PRIMARY KEY, tenant int, body text);
        INSERT INTO tickets SELECT i, CASE WHEN i <= 5 THEN 7 ELSE 9 END, 'body' FROM generate_series(1, 10) i;
        ALTER TABLE tickets ENABLE ROW LEVEL SECURITY;
        CREATE POLICY by_setting ON tickets USING (tenant = nullif(current_setting('app.tenant', true), '')::int)").await;
    let scope = of_tenant(&["tickets", "people"], &[Permission::Read]);
    let alice = shop.scoped(&scope, &[], true).await;
    let client = shop.connect(&alice).await;
    run(&client, "SET app.tenant = 9").await;
    assert_eq!(value(&client, "SELECT count(*) FROM tickets").await.as_deref(), Some("5"));
    // Without a condition the table's own policies count.
    let bob = shop.masked(&tables(&["tickets"]), &[("tickets.body", Mask::Null)]).await;
    let client = shop.connect(&bob).await;
    assert_eq!(value(&client, "SELECT count(*) FROM tickets").await.as_deref(), Some("0"));
    run(&client, "SET app.tenant = 9").await;
    assert_eq!(value(&client, "SELECT count(*) FROM tickets").await.as_deref(), Some("5"));
    // Both in one profile cannot be: one would pass by the other's policies.
    run(&shop.admin, "ALTER TABLE people ENABLE ROW LEVEL SECURITY").await;
    let half = Scope { rows: [(TableName::new("public", "tickets"), tenant("7"))].into(), ..scope };
    let profile = shop.scoped_profile(&half, &[("people.email", Mask::Null)]).await;
    let error = shop.session_with(&profile, true).await.err().expect("it is refused").to_string();
    assert!(error.contains("people has row security"), "{error}");
}

async fn r3_4_nothing_is_inserted_where_rows_are_hidden(shop: &mut Shop) {
    run(&shop.admin, PEOPLE).await;
    let gateway = shop.server.connect(&shop.database, GATEWAY, GATEWAY_PASSWORD).await.unwrap();
    let leads = |table: &str, relation: &str| {
        format!(
            r#"{{"is":"and","all":[{{"is":"through","table":"{table}","columns":["id"],"references":["{relation}"],"condition":{{"is":"null","column":"{relation}","negated":true}}}}]}}"#
        )
    };
    run(&shop.admin, "CREATE VIEW peek AS SELECT 1 AS id").await;
    for (rows, more) in [
        (
            r#"{"is":"compare","column":"tenant","operator":"=","value":"7"}"#.to_owned(),
            r#","insert":["id"]"#,
        ),
        (leads("pg_catalog.pg_authid", "oid"), ""),
        (leads("pg_authid", "oid"), ""),
        (leads("dbaccess_secret.token_key", "domain"), ""),
        (leads("public.peek", "id"), ""),
    ] {
        let (name, content) = setup::forged(&format!(
            r#"{{"database":"{}","grants":[],"schemas":["public"],"views":[{{"schema":"public","name":"people","columns":[{{"name":"id"}}],"rows":{rows}{more}}}]}}"#,
            shop.database
        ));
        let sql = format!("SELECT dbaccess.ensure_profile('{name}', '{content}')");
        assert_eq!(sqlstate(&gateway, &sql).await.as_deref(), DENIED, "{content}");
    }
}

async fn g3_no_foreign_key_where_a_session_could_make_one(shop: &mut Shop) {
    run(&shop.admin, PEOPLE).await;
    run(&shop.admin, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let profile =
        shop.masked_profile(&tables(&["people"]), &[("people.email", partial(PartialKind::Email))]).await;
    let held = format!(
        "SELECT count(*) FROM pg_attribute a, aclexplode(a.attacl) x
         WHERE attrelid = 'public.people'::regclass AND x.privilege_type = 'REFERENCES' AND x.grantee = '{}'::regrole",
        profile.name()
    );
    shop.session_with(&profile, false).await.expect("it opens");
    assert_eq!(value(&shop.admin, &held).await.as_deref(), Some("3"));
    for (open, shut) in [
        (
            "GRANT CREATE ON SCHEMA public TO PUBLIC".to_owned(),
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC".to_owned(),
        ),
        (
            format!("GRANT CREATE ON DATABASE {} TO PUBLIC", shop.database),
            format!("REVOKE CREATE ON DATABASE {} FROM PUBLIC", shop.database),
        ),
    ] {
        run(&shop.admin, &open).await;
        shop.session_with(&profile, false).await.expect("it opens");
        assert_eq!(value(&shop.admin, &held).await.as_deref(), Some("0"), "{open}");
        run(&shop.admin, &shut).await;
        shop.session_with(&profile, false).await.expect("it opens");
        assert_eq!(value(&shop.admin, &held).await.as_deref(), Some("3"), "{shut}");
    }
}

async fn r6_3_sealed_columns_where_nobody_may_use_the_schema(shop: &mut Shop) {
    run(&shop.admin, "REVOKE ALL ON SCHEMA public FROM PUBLIC; CREATE TABLE pay (id int PRIMARY KEY, amount int NOT NULL); INSERT INTO pay SELECT i, i FROM generate_series(1, 100) i").await;
    let profile = shop.sealed(&[("pay", "amount")], 10, None).await;
    let client = shop.reader(&profile).await;
    assert_eq!(value(&client, "SELECT count(amount) FROM pay").await.as_deref(), Some("100"));
}

async fn r3_5_only_what_is_shown_may_be_written(shop: &mut Shop) {
    run(&shop.admin, PEOPLE).await;
    run(&shop.admin, "CREATE TABLE logs (id serial PRIMARY KEY, email text, what text, twice text GENERATED ALWAYS AS (what || what) STORED)").await;
    let masks = [("people.email", partial(PartialKind::Email)), ("logs.email", Mask::Null)];
    let alice = shop.masked(&writing(tables(&["people", "logs"])), &masks).await;
    let client = shop.connect(&alice).await;
    for (sql, expected) in [
        ("UPDATE people SET note = 'seen' WHERE id = 1 RETURNING id, email", None),
        ("UPDATE people SET email = 'a@b' WHERE id = 1", NOT_WRITABLE),
        ("UPDATE people SET note = email WHERE id = 2", None),
        ("INSERT INTO people (id, tenant, email) VALUES (100, 1, 'x@y')", NOT_WRITABLE),
        ("INSERT INTO people (id, tenant) VALUES (100, 1)", None),
        ("INSERT INTO people (id, tenant) VALUES (100, 1) ON CONFLICT DO NOTHING", None),
        ("INSERT INTO people (email) VALUES ('person1@example.com') ON CONFLICT DO NOTHING", NOT_WRITABLE),
        ("DELETE FROM people WHERE id = 3", None),
        ("TRUNCATE people", Some("42809")),
        ("INSERT INTO logs (what) VALUES ('x') RETURNING id, twice", None),
        ("UPDATE public.people SET note = ''", DENIED),
        ("SELECT * FROM people WHERE id = 1 FOR UPDATE", None),
    ] {
        assert_eq!(sqlstate(&client, sql).await.as_deref(), expected, "{sql}");
    }
    let stored = "SELECT string_agg(email || ' ' || note, ', ' ORDER BY id) FROM people WHERE id IN (1, 2)";
    assert_eq!(
        value(&shop.admin, stored).await.as_deref(),
        Some("person1@example.com seen, person2@example.com per***@example.com")
    );
    let default = "SELECT note FROM people WHERE id = 100";
    assert_eq!(value(&shop.admin, default).await.as_deref(), Some("new"));
    let reader = shop.masked(&tables(&["people"]), &masks).await;
    let client = shop.connect(&reader).await;
    run(&client, "SET default_transaction_read_only = off").await;
    assert_eq!(sqlstate(&client, "UPDATE people SET note = ''").await.as_deref(), DENIED);
}

async fn a_view_follows_what_becomes_of_its_table(shop: &mut Shop) {
    run(&shop.admin, PEOPLE).await;
    let masks = [("people.email", partial(PartialKind::Email)), ("people.tenant", Mask::Null)];
    let profile = shop.masked_profile(&writing(tables(&["people"])), &masks).await;
    let shown = async |expected: &str| {
        let person = shop.session_with(&profile, true).await.expect("it opens");
        let client = shop.connect(&person).await;
        let columns = "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'people'::regclass AND attnum > 0";
        assert_eq!(value(&client, columns).await.as_deref(), Some(expected));
        let first = value(&client, "SELECT email FROM people LIMIT 1").await;
        assert!(first.is_none_or(|email| email.contains("***")));
        assert_eq!(sqlstate(&client, "SELECT id FROM public.people").await.as_deref(), DENIED);
    };
    shown("id tenant email note").await;
    // A new column stays hidden; a null-masked one is nobody's to block.
    run(
        &shop.admin,
        "ALTER TABLE people ADD COLUMN fresh text DEFAULT 'secret'; ALTER TABLE people DROP COLUMN tenant",
    )
    .await;
    shown("id email note").await;
    run(&shop.admin, "ALTER TABLE people DROP COLUMN note CASCADE").await;
    shown("id email").await;
    // Swapped under its name, and swapped columns.
    run(&shop.admin, "ALTER TABLE people RENAME TO people_old; CREATE TABLE people (id int PRIMARY KEY, email text, note text); INSERT INTO people VALUES (5, 'other@example.com')").await;
    shown("id email note").await;
    run(&shop.admin, "ALTER TABLE people RENAME COLUMN email TO e; ALTER TABLE people RENAME COLUMN note TO email; ALTER TABLE people RENAME COLUMN e TO note; UPDATE people SET email = 'swapped@example.com'").await;
    shown("id email note").await;
    run(&shop.admin, "DROP TABLE people CASCADE; CREATE TABLE people (id int PRIMARY KEY, email text)").await;
    shown("id email").await;
    // Somebody was helpful.
    let (name, owner) = (profile.name(), profile.name().replace("_p_", "_o_"));
    run(&shop.admin, &format!("GRANT SELECT ON people, people_old TO {name}, {owner}; GRANT INSERT (email) ON people TO {owner}; REVOKE SELECT (email) ON people FROM {owner}")).await;
    shown("id email").await;
    let held = format!("SELECT string_agg(format('%s %s %s', relname, attname, a.privilege_type), ', ' ORDER BY relname, attnum, privilege_type) FROM pg_class c
        JOIN pg_attribute t ON t.attrelid = c.oid CROSS JOIN aclexplode(attacl) a WHERE NOT attisdropped AND a.grantee = '{owner}'::regrole");
    assert_eq!(
        value(&shop.admin, &held).await.as_deref(),
        Some("people id INSERT, people id SELECT, people id UPDATE, people email SELECT")
    );
    let whole = format!(
        "SELECT count(*) FROM pg_class c CROSS JOIN aclexplode(relacl) a WHERE a.grantee = '{owner}'::regrole AND relowner <> a.grantee AND privilege_type = 'SELECT'"
    );
    assert_eq!(value(&shop.admin, &whole).await.as_deref(), Some("0"));
    run(&shop.admin, "DROP TABLE people CASCADE").await;
    let error = shop.session_with(&profile, true).await.err().expect("the table is gone");
    assert!(matches!(error, ProvisionError::Vanished(_)), "{error}");
}

async fn hostile_identifiers_are_names_in_views_too(shop: &mut Shop) {
    use dbaccess::core::profile::{quote_ident, quote_literal};
    let max = "x".repeat(63);
    let names = [
        "users\"; DROP TABLE orders; --",
        "o'brien",
        "Weird \"Täble\" ☃",
        "SELECT",
        "user",
        max.as_str(),
        "public.users",
        "\"",
        "a\nb",
        "$$",
        "%s",
        "%I",
        "%1$s",
        "\\",
        "--",
        "/*",
        "b",
        "k",
        "1abc",
        ":version",
        "\u{202e}evil",
    ];
    for schema in ["public", "Odd \"Schéma\""] {
        for name in names {
            let table = format!("{}.{}", quote_ident(schema), quote_ident(name));
            run(&shop.admin, &format!("CREATE TABLE {table} (id int PRIMARY KEY, {0} text, t text, j jsonb); INSERT INTO {table} VALUES (1, 'raw' || {1}, 'raw', '{{}}')",
                quote_ident(name), quote_literal(name))).await;
        }
    }
    let mut masks = Vec::new();
    let mut scope = Scope::new(dbaccess::core::model::Objects::Database, BTreeSet::from([Permission::Read]));
    for schema in ["public", "Odd \"Schéma\""] {
        for name in names {
            let table = TableName::new(schema, name);
            let named = |column: &str| (table.clone(), column.to_owned());
            masks.push((named(name), partial(PartialKind::Email)));
            masks.push((named("t"), Mask::Token { domain: name.to_owned() }));
            masks.push((named("j"), Mask::Json { keep: vec![vec![name.to_owned(), name.to_owned()]] }));
            let condition = Condition::Compare {
                column: name.to_owned(),
                operator: Comparison::Equal,
                value: format!("raw{name}"),
                type_name: "text".to_owned(),
            };
            scope.rows.insert(table, condition);
        }
    }
    let profile = shop.profile_of(&scope, masks).await;
    let person = shop.session_with(&profile, true).await.expect("it opens");
    let client = shop.connect(&person).await;
    for (table, view) in &profile.views().relations {
        let shown = rows(
            &client,
            &format!(
                "SELECT {}, t, j FROM {}.{}",
                quote_ident(&table.name),
                quote_ident(&view.schema),
                quote_ident(&view.name)
            ),
        )
        .await;
        assert_eq!(shown.len(), 1, "{table}");
        assert!(shown[0][0].as_deref().is_some_and(|masked| masked.contains("***")), "{shown:?}");
        let base = format!("SELECT id FROM {}.{}", quote_ident(&table.schema), quote_ident(&table.name));
        assert_eq!(sqlstate(&client, &base).await.as_deref(), DENIED, "{base}");
    }
    assert_eq!(value(&shop.admin, "SELECT count(*) FROM orders").await.as_deref(), Some("100"));
}

async fn the_functions_refuse_views_that_are_none(shop: &mut Shop) {
    use dbaccess::core::profile::quote_literal;
    run(&shop.admin, PEOPLE).await;
    run(&shop.admin, "CREATE FUNCTION evil(text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN DROP TABLE orders; RETURN true; END'; CREATE DOMAIN evil AS text CHECK (evil(value));
                      CREATE TYPE evils AS (e evil); CREATE TABLE traps (id int, d evil, c evils, a evil[])").await;
    let gateway = shop.server.connect(&shop.database, GATEWAY, GATEWAY_PASSWORD).await.unwrap();
    let database = &shop.database;
    let content = |views: &str| {
        format!(r#"{{"database":"{database}","grants":[],"schemas":["public","hr"],"views":[{views}]}}"#)
    };
    let view = |schema: &str, name: &str, columns: &str, more: &str| {
        content(&format!(r#"{{"schema":"{schema}","name":"{name}","columns":[{columns}]{more}}}"#))
    };
    let masked = |mask: &str| view("public", "people", &format!(r#"{{"name":"email","mask":{mask}}}"#), "");
    let filtered = |rows: &str| view("public", "traps", r#"{"name":"id"}"#, &format!(r#","rows":{rows}"#));
    let compare = |column: &str, operator: &str, value: &str| {
        format!(
            r#"{{"is":"compare","column":"{column}","operator":"{operator}","value":{value},"type_name":"text"}}"#
        )
    };
    let refused = [
        view("pg_catalog", "pg_authid", r#"{"name":"rolpassword"}"#, ""),
        view("dbaccess_secret", "token_key", r#"{"name":"key"}"#, ""),
        view("dbaccess_v_00000000000000000000000000000000_0", "x", r#"{"name":"key"}"#, ""),
        view("information_schema", "tables", r#"{"name":"x"}"#, ""),
        view("other", "people", r#"{"name":"id"}"#, ""),
        view("public", &"x".repeat(64), r#"{"name":"id"}"#, ""),
        view("public", "people", &format!(r#"{{"name":"{}"}}"#, "x".repeat(64)), ""),
        view("public", "people", r#"{"name":"id"},{"name":"id"}"#, ""),
        view("public", "people", r#"{"name":"email","mask":{"mask":"null"}}"#, r#","update":["email"]"#),
        view("public", "people", r#"{"name":"email","mask":{"mask":"null"}}"#, r#","insert":["email"]"#),
        view("public", "order_totals", r#"{"name":"customer"}"#, r#","delete":true"#),
        masked(r#"{"mask":"raw"}"#),
        masked(r#"{"mask":"expression","sql":"email"}"#),
        masked(r#"{}"#),
        masked(r#""null""#),
        masked(r#"{"mask":"partial","kind":"other"}"#),
        masked(r#"{"mask":"partial","kind":"phone","last":-1}"#),
        masked(r#"{"mask":"partial","kind":"phone","last":100}"#),
        masked(r#"{"mask":"partial","kind":"phone","last":"2); --"}"#),
        masked(r#"{"mask":"token"}"#),
        masked(r#"{"mask":"token","domain":7}"#),
        masked(r#"{"mask":"json","keep":[]}"#),
        masked(r#"{"mask":"json","keep":["a"]}"#),
        masked(r#"{"mask":"json","keep":[[]]}"#),
        masked(r#"{"mask":"json","keep":[[1]]}"#),
        masked(r#"{"mask":"aggregate","min_group":0}"#),
        filtered(r#"{"is":"sql","sql":"true"}"#),
        filtered(r#""true""#),
        filtered(&compare("id", "OR true OR", "\"1\"")),
        filtered(&compare("id", "=", "1")),
        filtered(&compare("id", "=", "null")),
        filtered(&compare("c", "=", "\"(x)\"")),
        filtered(&compare("a", "=", "\"{x}\"")),
        content(r#"{"schema":"public","name":"people","columns":[{"name":"id"}]},"#.repeat(2).trim_end_matches(',')),
        format!(r#"{{"database":"{database}","grants":[{{"kind":"table","schema":"public","name":"people","privileges":["SELECT"]}}],"schemas":["public"],"views":[{{"schema":"public","name":"people","columns":[]}}]}}"#),
        format!(r#"{{"database":"{database}","grants":[{{"kind":"table","schema":"dbaccess_secret","name":"token_key","privileges":["SELECT"]}}]}}"#),
        format!(r#"{{"database":"{database}","grants":[{{"kind":"table","schema":"public","name":"people","privileges":["REFERENCES"]}}]}}"#),
    ];
    for content in &refused {
        let (name, content) = setup::forged(content);
        let sql = format!("SELECT dbaccess.ensure_profile('{name}', {})", quote_literal(&content));
        assert_eq!(sqlstate(&gateway, &sql).await.as_deref(), DENIED, "{sql}");
    }
    // A domain's check is not run for the administrator.
    let (name, content) = setup::forged(&filtered(&compare("d", "=", "\"x\"")));
    run(&gateway, &format!("SELECT dbaccess.ensure_profile('{name}', {})", quote_literal(&content))).await;
    assert_eq!(value(&shop.admin, "SELECT count(*) FROM orders").await.as_deref(), Some("100"));
    // A schema that somebody made before us is not taken over.
    let (name, content) = setup::forged(&view("public", "people", r#"{"name":"note"}"#, ""));
    run(&shop.admin, &format!("CREATE SCHEMA {}_0", name.replace("_p_", "_v_"))).await;
    let sql = format!("SELECT dbaccess.ensure_profile('{name}', {})", quote_literal(&content));
    assert_eq!(sqlstate(&gateway, &sql).await.as_deref(), DENIED);
}

async fn g5_fifty_masked_sessions_open_at_once_and_leave_nothing(shop: &mut Shop) {
    run(&shop.admin, PEOPLE).await;
    let masks =
        [("people.email", Mask::Token { domain: "person".to_owned() }), ("payments.card_number", Mask::Null)];
    let mut profiles = vec![
        shop.masked_profile(&tables(&["people"]), &masks).await,
        shop.masked_profile(&writing(tables(&["people", "payments"])), &masks).await,
        shop.masked_profile(&tables(&["payments", "orders"]), &masks).await,
    ];
    profiles.push(shop.scoped_profile(&of_tenant(&["people"], &[Permission::Read]), &masks).await);
    {
        let shop = &*shop;
        let openings = (0..50).map(|n| {
            let profile = &profiles[n % profiles.len()];
            async move { shop.session_with(profile, true).await.expect("it opens") }
        });
        let started = Instant::now();
        let people = futures_util::future::join_all(openings).await;
        println!("50 masked sessions of 4 new profiles: {:?}", started.elapsed());
        let client = shop.connect(&people[0]).await;
        assert_eq!(value(&client, "SELECT count(email) FROM people").await.as_deref(), Some("80"));
        // What a session built on a view goes with it.
        run(&shop.admin, "GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC").await;
        run(&client, "SET default_transaction_read_only = off").await;
        run(
            &client,
            "CREATE VIEW public.mine AS SELECT * FROM people; CREATE TEMP VIEW t AS SELECT * FROM people",
        )
        .await;
        drop(client);
        let again = Instant::now();
        let extra = shop.session_with(&profiles[1], true).await.expect("it opens");
        println!("one more: {:?}", again.elapsed());
        assert!(again.elapsed() < Duration::from_secs(1));
        for person in people.iter().chain([&extra]) {
            shop.target.close_session(&person.role).await.expect("it ends");
        }
    }
    let digests: Vec<String> =
        profiles.iter().map(|profile| profile.name().trim_start_matches("dbaccess_p_").to_owned()).collect();
    let ours = |kinds: &str| {
        let digests = digests.join("|");
        format!("SELECT count(*) FROM pg_roles WHERE rolname ~ '^dbaccess_[{kinds}]_({digests})$'")
    };
    assert_eq!(value(&shop.admin, &ours("o")).await.as_deref(), Some("4"));
    // An owner's views are given to nobody.
    let owner = profiles[2].name().replace("_p_", "_o_");
    let gateway = shop.server.connect(&shop.database, GATEWAY, GATEWAY_PASSWORD).await.unwrap();
    run(&gateway, &format!("SELECT dbaccess.dispose_owned('{owner}')")).await;
    for profile in &profiles {
        shop.target.drop_profile(profile.name()).await.expect("it goes");
        shop.target.drop_profile(profile.name()).await.expect("gone is a success");
    }
    for left in [
        ours("po").as_str(),
        "SELECT count(*) FROM pg_namespace WHERE nspname ~ '^dbaccess_v_'",
        "SELECT count(*) FROM pg_class c CROSS JOIN aclexplode(relacl) a WHERE relname = 'people' AND grantee <> relowner",
        "SELECT count(*) FROM pg_attribute WHERE attacl IS NOT NULL AND attrelid = 'people'::regclass",
    ] {
        assert_eq!(value(&shop.admin, left).await.as_deref(), Some("0"), "{left}");
    }
}
