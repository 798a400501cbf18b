//! Aggregate-only columns (R6.3, B2): attacked with the session's own role, directly.

use super::*;
use dbaccess::core::model::{Classified, Condition, Mask, Rule, Selector, Sensitivity, TableName};
use std::collections::BTreeMap;

on_every_version! {
    r6_3_aggregates_answer_and_nothing_else_does
    b2_an_answer_needs_a_group_of_different_rows
    b2_the_same_rows_have_the_same_answer_however_asked
    b2_no_difference_tells_a_row
    b2_no_number_of_questions_leads_to_a_value
    r6_3_keys_and_values_of_every_kind
    r6_3_forged_references_stay_within_the_rows_of_the_scope
    r6_3_a_column_without_a_key_that_shows_is_null
}

/// Two hundred people; every value has digits that no rounded answer has.
const STAFF: &str = "
    CREATE TABLE staff (id bigint PRIMARY KEY, team int, salary numeric(12,5), bonus int, name text);
    INSERT INTO staff SELECT i, i % 4, 50000 + i * 731 + (i * 137 % 997) / 1000.0 + 0.00007,
                             CASE WHEN i % 10 = 0 THEN NULL ELSE i * 31 + 7 END, 'name ' || i FROM generate_series(1, 200) i;
    ANALYZE staff";

impl Shop {
    /// A profile of these tables with these columns sealed.
    pub(super) async fn sealed(
        &self,
        sealed: &[(&str, &str)],
        min_group: u32,
        rows: Option<(&str, Condition)>,
    ) -> Profile {
        let mut catalog = self.target.catalog().await.expect("the catalog is readable");
        for relation in &mut catalog.relations {
            let keys = format!(
                "SELECT string_agg(a.attname, ',' ORDER BY a.attnum) FROM pg_index i JOIN pg_attribute a
                 ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) WHERE i.indisprimary AND i.indrelid = '{}'::regclass",
                quoted(&relation.name)
            );
            let keys = value(&self.admin, &keys).await.unwrap_or_default();
            relation.primary_key = keys.split(',').filter(|k| !k.is_empty()).map(ToOwned::to_owned).collect();
        }
        let rules: Vec<Rule> = sealed
            .iter()
            .map(|(table, column)| Rule {
                selector: Selector::Column {
                    table: TableName::new("public", *table),
                    column: (*column).to_owned(),
                },
                classified: Classified { sensitivity: Sensitivity::Pii, mask: Mask::Aggregate { min_group } },
            })
            .collect();
        let tables: Vec<&str> = sealed.iter().map(|(table, _)| *table).collect();
        let mut scope =
            super::tables(&tables).resolve(&catalog, &Classification::default()).expect("they exist");
        scope.rows = rows
            .into_iter()
            .map(|(table, condition)| (TableName::new("public", table), condition))
            .collect::<BTreeMap<_, _>>();
        self.target.profile(&scope, &catalog, &Classification::of(&rules, &catalog))
    }

    pub(super) async fn reader(&self, profile: &Profile) -> Client {
        self.connect(&self.session_with(profile, true).await.expect("the session opens")).await
    }
}

fn quoted(name: &TableName) -> String {
    format!("\"{}\".\"{}\"", name.schema.replace('"', "\"\""), name.name.replace('"', "\"\""))
}

async fn number(client: &Client, sql: &str) -> f64 {
    let found = value(client, sql).await.unwrap_or_else(|| panic!("{sql} is NULL"));
    found.parse().unwrap_or_else(|_| panic!("{sql}: {found}"))
}

async fn staff(shop: &Shop) -> Client {
    run(&shop.admin, STAFF).await;
    let profile = shop.sealed(&[("staff", "salary"), ("staff", "bonus"), ("staff", "name")], 10, None).await;
    shop.reader(&profile).await
}

async fn r6_3_aggregates_answer_and_nothing_else_does(shop: &mut Shop) {
    let client = staff(shop).await;
    for column in ["salary", "bonus"] {
        for aggregate in ["avg", "sum"] {
            let sql = format!("SELECT {aggregate}({column}) FROM staff");
            let (told, exact) = (number(&client, &sql).await, number(&shop.admin, &sql).await);
            assert!((told / exact - 1.0).abs() < 0.04 && told != exact, "{sql}: {told}, and not {exact}");
        }
    }
    assert_eq!(value(&client, "SELECT count(bonus) FROM staff").await.as_deref(), Some("180"));
    assert_eq!(value(&client, "SELECT count(name) FROM staff").await.as_deref(), Some("200"));
    let teams = "SELECT count(*) FROM (SELECT team, avg(salary) AS a FROM staff GROUP BY team HAVING avg(salary) > 0) x WHERE a IS NOT NULL";
    assert_eq!(value(&client, teams).await.as_deref(), Some("4"));
    for sql in [
        "SELECT salary + 0 FROM staff",
        "SELECT salary::numeric FROM staff",
        "SELECT max(salary::text::numeric) FROM staff",
        "SELECT percentile_disc(0) WITHIN GROUP (ORDER BY salary::numeric) FROM staff",
        "SELECT stddev(salary) FROM staff",
        "SELECT count(*) FROM staff WHERE salary > 50731",
        "SELECT avg(salary) OVER (ORDER BY id) FROM staff",
        "SELECT sum(salary) OVER (ORDER BY id ROWS 10 PRECEDING) FROM staff",
        "SELECT count(salary) OVER (PARTITION BY team) FROM staff",
        "SELECT (salary).salary FROM staff",
        "SELECT salary FROM public.staff",
        "SELECT avg(salary) FROM public.staff",
        "SELECT * FROM dbaccess_secret.token_key",
    ] {
        assert!(sqlstate(&client, sql).await.is_some(), "{sql}");
    }
    // The functions behind the aggregates are nobody's to call, nor to build another aggregate of.
    let stem = "SELECT min(p.oid::regproc::text) FROM pg_proc p WHERE p.proname ~ '^sealed_.*_sum$'";
    let function = value(&client, stem).await.expect("a final function");
    let direct = format!("SELECT {function}(array_agg(salary)) FROM staff");
    assert_eq!(sqlstate(&client, &direct).await.as_deref(), Some("42501"));
    // Everything that can be got of a row: its reference, which is its key.
    for sql in [
        "SELECT salary FROM staff WHERE id = 7",
        "SELECT min(s) FROM (SELECT to_jsonb(x) ->> 'salary' AS s FROM staff x WHERE id = 7) y",
        "SELECT salary::text FROM staff WHERE id = 7",
        "SELECT array_to_string(array_agg(salary), ',') FROM staff WHERE id = 7",
        "SELECT mode() WITHIN GROUP (ORDER BY salary) FROM staff WHERE id = 7",
    ] {
        let shown = value(&client, sql).await.expect("a reference");
        assert!(shown == "(7)" || shown == r#"{"k1": 7}"# || shown == r#""(7)""#, "{sql}: {shown}");
    }
}

async fn b2_an_answer_needs_a_group_of_different_rows(shop: &mut Shop) {
    let client = staff(shop).await;
    for sql in [
        "SELECT avg(salary) FROM staff WHERE id < 10",
        "SELECT sum(salary) FROM staff WHERE id = 1",
        "SELECT count(salary) FROM staff WHERE id = 1",
        "SELECT sum(DISTINCT salary) FROM staff WHERE id = 1",
        "SELECT sum(salary) FILTER (WHERE id = 1) FROM staff",
        "SELECT sum(salary) FROM staff, generate_series(1, 50) WHERE id = 1",
        "SELECT avg(s) FROM (SELECT salary s FROM staff WHERE id = 1 UNION ALL SELECT salary FROM staff WHERE id < 9) x",
        "SELECT max(s) FROM (SELECT sum(salary) AS s FROM staff GROUP BY id) x",
        "SELECT max(s) FROM (SELECT sum(salary) AS s FROM staff GROUP BY GROUPING SETS ((id), (name))) x",
        // Nine rows, and some that are NULL or are not there.
        "SELECT sum(bonus) FROM staff WHERE id < 11",
        "SELECT sum(CASE WHEN id < 10 THEN salary END) FROM staff",
        "SELECT sum(coalesce(CASE WHEN id < 10 THEN salary END, salary)) FROM staff WHERE id < 10",
        "SELECT (SELECT sum(b.salary) FROM staff b WHERE b.id = a.id) FROM staff a LIMIT 1",
    ] {
        assert_eq!(value(&client, sql).await, None, "{sql}");
    }
    let kind = value(&client, "SELECT pg_typeof(salary)::text FROM staff LIMIT 1").await.expect("a type");
    let forged = format!("SELECT sum(ROW(i % 9 + 1)::{kind}) FROM generate_series(1, 500) i");
    assert_eq!(value(&client, &forged).await, None);
    let absent = format!("SELECT sum(ROW(i)::{kind}) FROM generate_series(192, 500) i");
    assert_eq!(value(&client, &absent).await, None, "nine rows of those are there");
    // However it is configured, an answer is of two rows or more.
    let profile = shop.sealed(&[("staff", "salary")], 1, None).await;
    let client = shop.reader(&profile).await;
    assert_eq!(value(&client, "SELECT sum(salary) FROM staff WHERE id = 1").await, None);
}

async fn b2_the_same_rows_have_the_same_answer_however_asked(shop: &mut Shop) {
    let client = staff(shop).await;
    let kind = value(&client, "SELECT pg_typeof(salary)::text FROM staff LIMIT 1").await.expect("a type");
    let plain = value(&client, "SELECT sum(salary) FROM staff WHERE id <= 50").await;
    for sql in [
        "SELECT sum(salary) FROM (SELECT * FROM staff WHERE id <= 50 ORDER BY id DESC) x",
        "SELECT sum(salary ORDER BY md5(id::text)) FROM staff WHERE id <= 50",
        "SELECT sum(DISTINCT salary) FROM staff WHERE id <= 50",
        "SELECT sum(salary) FILTER (WHERE id <= 50) FROM staff",
        "SELECT sum(a.salary) FROM staff a JOIN staff b ON b.team <> a.team WHERE a.id <= 50",
        "SELECT sum(s) FROM (SELECT salary s FROM staff WHERE id <= 50 UNION ALL SELECT salary FROM staff WHERE id <= 7) x",
        &format!("SELECT sum(ROW(i)::{kind}) FROM generate_series(-200, 50) i"),
        "SET timezone = 'Asia/Tokyo'; SET datestyle = 'German'; SET extra_float_digits = -5; SET enable_hashjoin = off;
         SET plan_cache_mode = force_custom_plan; SELECT sum(salary) FROM staff WHERE id <= 50",
    ] {
        assert_eq!(value(&client, sql).await, plain, "{sql}");
    }
    // Through another profile, and by another name, too; avg is sum by count and adds nothing.
    let profile = shop.sealed(&[("staff", "salary")], 11, None).await;
    let other = shop.reader(&profile).await;
    assert_eq!(value(&other, "SELECT sum(salary) FROM staff WHERE id <= 50").await, plain);
    let average = number(&client, "SELECT avg(salary) FROM staff WHERE id <= 50").await;
    let sum: f64 = plain.expect("an answer").parse().expect("a number");
    assert!((average - sum / 50.0).abs() < 50.0, "{average} is not {sum} / 50");
}

async fn b2_no_difference_tells_a_row(shop: &mut Shop) {
    let client = staff(shop).await;
    let mut near = 0;
    for id in 1..=20 {
        let difference = format!(
            "SELECT (SELECT sum(salary) FROM staff) - (SELECT sum(salary) FROM staff WHERE id <> {id})"
        );
        let told = number(&client, &difference).await;
        let exact = number(&shop.admin, &format!("SELECT salary FROM staff WHERE id = {id}")).await;
        near += i32::from((told / exact - 1.0).abs() < 0.05);
    }
    // By chance some of twenty are near; which ones, nobody can tell.
    assert!(near < 8, "{near} of 20 differences are within 5% of the value");
    // An outlier widens the noise that hides it: what should be its value each time is far apart.
    run(
        &shop.admin,
        "INSERT INTO staff VALUES (1000, 1, 1e6, 1000000, 'outlier'), (1001, 1, -1e6, -1000000, 'debtor')",
    )
    .await;
    let mut told = Vec::new();
    for id in 1..=8 {
        let difference = format!(
            "SELECT (SELECT sum(bonus) FROM staff WHERE id <> {id}) - (SELECT sum(bonus) FROM staff WHERE id NOT IN ({id}, 1000))"
        );
        told.push(number(&client, &difference).await);
    }
    let spread = told.iter().fold(f64::MIN, |most, one| most.max(*one))
        - told.iter().fold(f64::MAX, |least, one| least.min(*one));
    assert!(spread > 100_000.0, "{told:?}");
    // Answers are rounded, so by chance one may be it; which one, nobody can tell.
    let exact = told.iter().filter(|told| **told == 1_000_000.0).count();
    assert!(exact < 4, "{told:?}");
    // Nor do values that are all the same come out of a group.
    run(&shop.admin, "UPDATE staff SET bonus = 31337 WHERE id <= 12").await;
    let alike = number(&client, "SELECT avg(bonus) FROM staff WHERE id <= 12").await;
    assert!((alike - 31337.0).abs() > 0.5, "{alike}");
}

async fn b2_no_number_of_questions_leads_to_a_value(shop: &mut Shop) {
    let client = staff(shop).await;
    // 4,000 sets with one row and without it: the noise of the sets averages out, the row's own does not.
    let many = |id: i32| {
        format!(
            "SELECT avg(w - o) FROM (SELECT sum(salary) FILTER (WHERE keep OR id = {id}) AS w, sum(salary) FILTER (WHERE keep AND id <> {id}) AS o
             FROM (SELECT s.id, s.salary, g, hashint8(s.id * 1000003 + g) % 3 = 0 AS keep FROM staff s, generate_series(1, 4000) g) x GROUP BY g) y"
        )
    };
    let mut exact_ones = 0;
    for id in [3, 77, 150] {
        let told = number(&client, &many(id)).await;
        let exact = number(&shop.admin, &format!("SELECT salary FROM staff WHERE id = {id}")).await;
        exact_ones += i32::from((told - exact).abs() < 1.0);
    }
    assert_eq!(exact_ones, 0);
}

async fn r6_3_keys_and_values_of_every_kind(shop: &mut Shop) {
    run(
        &shop.admin,
        r#"CREATE DOMAIN cents AS bigint;
           CREATE TYPE shade AS ENUM ('light', 'dark');
           CREATE TABLE odd (at timestamptz, f float8, "Select ""k""" text COLLATE "C", s shade, u uuid, d numeric,
               i2 smallint, i8 bigint, f4 real, f8 double precision, m money, iv interval, dom cents, t text, j jsonb, big numeric,
               PRIMARY KEY ("Select ""k""", at, f, s, u, d)) PARTITION BY HASH (at);
           CREATE TABLE odd_0 PARTITION OF odd FOR VALUES WITH (MODULUS 2, REMAINDER 0);
           CREATE TABLE odd_1 PARTITION OF odd FOR VALUES WITH (MODULUS 2, REMAINDER 1);
           INSERT INTO odd SELECT timestamptz '2026-01-01' + i * interval '1 hour', i / 3.0, 'k''"\' || i, 'dark', md5(i::text)::uuid, i,
               i, i * 1e12, i, i / 7.0, i::text::money, i * interval '1 minute', i, 'x', '{}', 'NaN' FROM generate_series(1, 100) i;
           INSERT INTO odd SELECT '2030-01-01', 0, 'odd one', 'light', md5('x')::uuid, 0, NULL, NULL, 'NaN', 'Infinity', NULL, NULL, NULL, NULL, NULL, 'Infinity';
           ANALYZE odd"#,
    )
    .await;
    let columns = ["i2", "i8", "f4", "f8", "m", "iv", "dom", "t", "j", "big"];
    let sealed: Vec<(&str, &str)> = columns.iter().map(|column| ("odd", *column)).collect();
    let client = shop.reader(&shop.sealed(&sealed, 10, None).await).await;
    let exact = |sql: &str| format!("{sql} WHERE \"Select \"\"k\"\"\" <> 'odd one'");
    for (column, of, types) in [
        ("i2", "::numeric", "numeric bigint"),
        ("i8", "::numeric", "numeric numeric"),
        ("f4", "::numeric", "double precision real"),
        ("f8", "::numeric", "double precision double precision"),
        ("m", "::numeric", " money"),
        ("iv", "", "interval interval"),
        ("dom", "::numeric", "numeric numeric"),
    ] {
        let of = if of.is_empty() { ("extract(epoch FROM ", ")") } else { ("(", ")::numeric") };
        for (aggregate, returns) in
            ["avg", "sum"].into_iter().zip(types.split(' ')).filter(|(_, t)| !t.is_empty())
        {
            let sql = format!("SELECT {}{aggregate}({column}){} FROM odd", of.0, of.1);
            let (told, exact) = (number(&client, &sql).await, number(&shop.admin, &exact(&sql)).await);
            assert!((told / exact - 1.0).abs() < 0.06, "{sql}: {told}, and not near {exact}");
            let sql = format!("SELECT pg_typeof({aggregate}({column})) FROM odd");
            let kind = value(&client, &sql).await.expect("a type");
            assert!(kind == returns || types.contains(&kind), "{sql}: {kind}");
        }
    }
    for column in columns {
        let sql = format!("SELECT count({column}) FROM odd");
        assert_eq!(
            value(&client, &sql).await.as_deref(),
            Some(if matches!(column, "f4" | "f8" | "big") { "101" } else { "100" }),
            "{sql}"
        );
    }
    // What is not a number adds nothing.
    assert_eq!(value(&client, "SELECT sum(big) FROM odd").await, None);
    // The rows' own secrets do not follow how a session reads and writes times and fractions.
    let sum = value(&client, "SELECT sum(i8) FROM odd").await;
    run(&client, "SET timezone = 'Asia/Tokyo'; SET datestyle = 'SQL, DMY'; SET extra_float_digits = 3; SET bytea_output = 'escape'").await;
    assert_eq!(value(&client, "SELECT sum(i8) FROM odd").await, sum);
}

async fn r6_3_forged_references_stay_within_the_rows_of_the_scope(shop: &mut Shop) {
    run(&shop.admin, STAFF).await;
    let condition = Condition::In {
        column: "team".to_owned(),
        values: vec!["1".to_owned(), "2".to_owned()],
        type_name: "integer".to_owned(),
    };
    let client =
        shop.reader(&shop.sealed(&[("staff", "salary")], 10, Some(("staff", condition))).await).await;
    assert_eq!(value(&client, "SELECT count(salary) FROM staff").await.as_deref(), Some("100"));
    let kind = value(&client, "SELECT pg_typeof(salary)::text FROM staff LIMIT 1").await.expect("a type");
    let all = format!("SELECT count(ROW(i)::{kind}) FROM generate_series(1, 200) i");
    assert_eq!(value(&client, &all).await.as_deref(), Some("100"));
    let hidden = format!("SELECT sum(ROW(i * 4)::{kind}) FROM generate_series(1, 50) i");
    assert_eq!(value(&client, &hidden).await, None);
}

async fn r6_3_a_column_without_a_key_that_shows_is_null(shop: &mut Shop) {
    run(&shop.admin, "CREATE TABLE keyless (id int, amount numeric); INSERT INTO keyless SELECT i, i FROM generate_series(1, 20) i").await;
    let client = shop.reader(&shop.sealed(&[("keyless", "amount")], 10, None).await).await;
    assert_eq!(value(&client, "SELECT sum(amount) FROM keyless").await, None);
    assert_eq!(value(&client, "SELECT sum(id) FROM keyless").await.as_deref(), Some("210"));
}
