//! What masks show of values, and that none ever fails or shows it all (R6, B1).

use super::*;
use dbaccess::core::model::{Mask, Partial, PartialKind};

on_every_version! {
    r6_1_a_partial_mask_shows_a_part_of_whatever_is_there
    r6_1_a_json_mask_keeps_the_named_keys_and_the_type
    r6_2_tokens_join_within_a_domain_and_not_across_or_after_rotation
    r6_4_a_null_masked_column_is_not_even_the_view_owners_to_read
    b1_masks_hold_under_every_setting_that_a_session_may_change
}

pub(super) fn partial(kind: PartialKind) -> Mask {
    Mask::Partial(Partial { kind, first: None, last: None })
}

fn token(domain: &str) -> Mask {
    Mask::Token { domain: domain.to_owned() }
}

/// All rows of a query, as text.
pub(super) async fn rows(client: &Client, sql: &str) -> Vec<Vec<Option<String>>> {
    let found = client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|n| row.get(n).map(ToOwned::to_owned)).collect())
        }
        _ => None,
    };
    found.iter().filter_map(row).collect()
}

async fn r6_1_a_partial_mask_shows_a_part_of_whatever_is_there(shop: &mut Shop) {
    use PartialKind::{Card, Email, Generic, Iban, Name, Phone};
    let cases = [
        (Email, "john.doe.smith@example.com", "john.d***@example.com"),
        (Email, "bob@example.com", "b***@example.com"),
        (Email, "a@example.com", "***@example.com"),
        (Email, "\"a@b\"@example.com", "\"***@example.com"),
        (Email, "ask bob@example.com", "***"),
        (Email, "no address", "***"),
        (Email, "@", "***"),
        (Phone, "+1-415-8675309", "***09"),
        (Phone, "110", "***"),
        (Card, "4929730001018898", "************8898"),
        (Card, "8898", "***"),
        (Iban, "DE89370400440532013000", "DE**************3000"),
        (Name, "John Doe", "J*** D***"),
        (Name, "Anna Maria von Haus", "A*** H***"),
        (Name, "Élodie", "É***"),
        (Name, "J", "***"),
        (Generic, "abcdef", "a***"),
        (Generic, "☃☃☃", "☃***"),
        (Generic, "x", "***"),
        (Generic, "", "***"),
    ];
    let hostile =
        ["", "x", "☃", "@", " ", "@@", "a@", "@a", "\u{1F600}", "\t\n", "é@ü", "%s", "' OR 1=1", "a b", "\\"];
    run(&shop.admin, "CREATE TABLE contacts (id serial PRIMARY KEY, email text, phone text, card varchar(400), iban text, name text, generic text)").await;
    let insert = "INSERT INTO contacts (email, phone, card, iban, name, generic) VALUES ($1::text, $1::text, $1::text, $1::text, $1::text, $1::text)";
    let values: Vec<Option<&str>> = cases
        .iter()
        .map(|(_, value, _)| Some(*value))
        .chain(hostile.into_iter().map(Some))
        .chain([None])
        .collect();
    for value in &values {
        shop.admin.execute(insert, &[value]).await.expect("it is a text");
    }
    let masks: Vec<(String, Mask)> = PartialKind::ALL
        .into_iter()
        .map(|kind| (format!("contacts.{}", kind.as_str()), partial(kind)))
        .collect();
    let masks: Vec<(&str, Mask)> =
        masks.iter().map(|(column, mask)| (column.as_str(), mask.clone())).collect();
    let alice = shop.masked(&tables(&["contacts"]), &masks).await;
    let client = shop.connect(&alice).await;
    for kind in PartialKind::ALL {
        let shown = rows(&client, &format!("SELECT {} FROM contacts ORDER BY id", kind.as_str())).await;
        for (value, row) in values.iter().zip(&shown) {
            match (value, &row[0]) {
                (None, shown) => assert_eq!(*shown, None, "{kind:?}"),
                (Some(value), Some(shown)) => {
                    assert!(shown != value && shown.contains("***"), "{kind:?} of {value:?} is {shown:?}");
                }
                (Some(value), None) => panic!("{kind:?} of {value:?} is NULL"),
            }
        }
        for ((_, value, expected), row) in cases.iter().zip(&shown).filter(|((of, ..), _)| *of == kind) {
            assert_eq!(row[0].as_deref(), Some(*expected), "{value}");
        }
    }

    // Types that are no text; `first` and `last`.
    run(&shop.admin, "
        CREATE DOMAIN code AS text NOT NULL; CREATE TYPE mood AS ENUM ('sad', 'happy');
        CREATE TABLE typed (id int PRIMARY KEY, n bigint, flag bool, mood mood, born date, at timestamptz, tags text[],
                            raw bytea, x float8, code code, u uuid, r int4range, doc jsonb);
        INSERT INTO typed VALUES (1, 123456, true, 'happy', '1985-04-12', '1985-04-12 01:00Z', '{a}', '\\x0102', 1.5, 'secret', gen_random_uuid(), '[1,5)', '{\"a\": 1}');
        INSERT INTO typed VALUES (2, -9223372036854775808, false, 'sad', 'infinity', '-infinity', '{}', '', 'NaN', '', gen_random_uuid(), 'empty', '0');
        INSERT INTO typed (id, code) VALUES (3, '')").await;
    let long = Mask::Partial(Partial { kind: Generic, first: Some(4), last: None });
    let columns = ["n", "flag", "mood", "born", "at", "tags", "raw", "x", "code", "u", "r", "doc"];
    let named: Vec<String> = columns.iter().map(|column| format!("typed.{column}")).collect();
    let mut masks: Vec<(&str, Mask)> = named.iter().map(|name| (name.as_str(), partial(Email))).collect();
    masks[3].1 = long.clone();
    masks[4].1 = long;
    let bob = shop.masked(&tables(&["typed"]), &masks).await;
    let client = shop.connect(&bob).await;
    run(&client, "SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'").await;
    let shown =
        rows(&client, "SELECT n, flag, mood, born, at, tags, raw, x, code, r FROM typed ORDER BY id").await;
    let texts = |row: &[Option<String>]| -> Vec<String> {
        row.iter().map(|v| v.clone().unwrap_or("-".to_owned())).collect()
    };
    assert_eq!(
        texts(&shown[0]),
        ["1***", "***", "***", "1985***", "1985***", "***", "***", "***", "***", "***"]
    );
    assert_eq!(texts(&shown[1])[1..5], ["***", "***", "***", "***"]);
    assert_eq!(texts(&shown[2])[..8], ["-", "-", "-", "-", "-", "-", "-", "-"]);
}

async fn r6_1_a_json_mask_keeps_the_named_keys_and_the_type(shop: &mut Shop) {
    run(&shop.admin, r#"
        CREATE TABLE docs (id int PRIMARY KEY, b jsonb, j json);
        INSERT INTO docs SELECT id, doc::jsonb, doc::json FROM (VALUES
            (1, '{"prefs": {"theme": "dark", "a": [1, {"x": 2}]}, "home": {"city": "Bonn", "street": "x"}, "ssn": "9"}'),
            (2, '{"prefs": null, "home": ["city", {"city": "hidden"}]}'), (3, '{}'), (4, '[{"prefs": 1}, "prefs"]'),
            (5, '"prefs"'), (6, '7'), (7, 'null'), (8, '{"home": {}, "o''brien \\ \"x\"": 1}'), (9, NULL)) v (id, doc);
        INSERT INTO docs (id, j) VALUES (10, '{"prefs": "\u0000"}'), (11, '{"prefs": "\ud800"}'), (12, '{"prefs": 1e999999999}')"#).await;
    let keep = ["prefs", "home.city", "o'brien \\ \"x\"", "missing"];
    let keep = || Mask::Json {
        keep: keep.iter().map(|path| path.split('.').map(ToOwned::to_owned).collect()).collect(),
    };
    let alice = shop.masked(&tables(&["docs"]), &[("docs.b", keep()), ("docs.j", keep())]).await;
    let client = shop.connect(&alice).await;
    let shown = rows(&client, "SELECT b::text, j::jsonb::text FROM docs WHERE id < 10 ORDER BY id").await;
    let expected = [
        Some(r#"{"home": {"city": "Bonn"}, "prefs": {"a": [1, {"x": 2}], "theme": "dark"}}"#),
        Some(r#"{"home": {}, "prefs": null}"#),
        Some("{}"),
        Some("{}"),
        Some("{}"),
        Some("{}"),
        Some("{}"),
        Some(r#"{"home": {}, "o'brien \\ \"x\"": 1}"#),
        None,
    ];
    for (row, expected) in shown.iter().zip(expected) {
        assert_eq!(row[0].as_deref(), expected);
        assert_eq!(row[1].as_deref(), expected);
    }
    let odd = rows(&client, "SELECT j::text, b IS NULL FROM docs WHERE id >= 10 ORDER BY id").await;
    let odd: Vec<&str> = odd.iter().filter_map(|row| row[0].as_deref()).collect();
    assert_eq!(odd, ["{}", "{}", r#"{"prefs": 1e999999999}"#]);
    let types = "SELECT string_agg(format_type(atttypid, atttypmod), ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'docs'::regclass AND attnum > 1";
    assert_eq!(value(&client, types).await.as_deref(), Some("jsonb json"));
}

async fn r6_2_tokens_join_within_a_domain_and_not_across_or_after_rotation(shop: &mut Shop) {
    run(&shop.admin, "
        CREATE TABLE cards (id int PRIMARY KEY, number text, fixed char(30), n bigint, other text);
        CREATE TABLE charges (id int PRIMARY KEY, card text, amount numeric, at timestamptz);
        INSERT INTO cards SELECT i, 'card-' || i, 'card-' || i, i, 'card-' || i FROM generate_series(1, 50) i;
        INSERT INTO charges SELECT i, 'card-' || (i % 50 + 1), 1.50, '2026-01-01' FROM generate_series(1, 100) i;
        INSERT INTO charges VALUES (101, NULL, 1.5, NULL)").await;
    let masks = [
        ("cards.number", token("card")),
        ("cards.fixed", token("card")),
        ("cards.other", token("person")),
        ("cards.n", token("card")),
        ("charges.card", token("card")),
        ("charges.amount", token("card")),
        ("charges.at", token("card")),
    ];
    let alice = shop.masked(&tables(&["cards", "charges"]), &masks).await;
    let client = shop.connect(&alice).await;
    let joined = "SELECT count(*) FROM cards JOIN charges ON card = number";
    assert_eq!(value(&client, joined).await.as_deref(), Some("100"));
    for (sql, expected) in [
        ("SELECT count(*) FROM cards WHERE number = fixed", "50"),
        ("SELECT count(DISTINCT number) FROM cards", "50"),
        ("SELECT count(*) FROM cards JOIN charges ON card = other", "0"),
        ("SELECT count(*) FROM cards WHERE number !~ '^tok_[0-9a-f]{16,}$'", "0"),
        ("SELECT count(*) FROM charges WHERE card IS NULL", "1"),
        ("SELECT count(DISTINCT amount) FROM charges", "1"),
        ("SELECT count(DISTINCT at) FROM charges", "1"),
    ] {
        assert_eq!(value(&client, sql).await.as_deref(), Some(expected), "{sql}");
    }
    // Another profile has the same tokens; a setting changes none.
    let bob = shop.masked(&writing(tables(&["cards"])), &masks).await;
    let first = "SELECT number || n FROM cards WHERE id = 1";
    let seen = value(&client, first).await;
    let other = shop.connect(&bob).await;
    run(&other, "SET DateStyle = 'German'; SET extra_float_digits = -15").await;
    assert_eq!(value(&other, first).await, seen);
    for (sql, expected) in [
        ("SELECT * FROM dbaccess_secret.token_key", "42501"),
        ("SELECT dbaccess.rotate_tokens(NULL)", "42501"),
        // No column of the view that PostgreSQL could write.
        ("UPDATE cards SET number = 'guess'", "0A000"),
        ("INSERT INTO cards (id, number) VALUES (51, 'guess')", "0A000"),
    ] {
        assert_eq!(sqlstate(&other, sql).await.as_deref(), Some(expected), "{sql}");
    }
    let definition = "SELECT count(*) FROM token_key WHERE (SELECT string_agg(pg_get_viewdef(oid), '') FROM pg_class WHERE relkind = 'v') ~ encode(key, 'hex')";
    run(&shop.admin, "SET search_path = public, dbaccess_secret").await;
    assert_eq!(value(&shop.admin, definition).await.as_deref(), Some("0"));

    assert_eq!(shop.target.rotate_tokens(Some("card")).await.unwrap(), 1);
    assert_ne!(value(&client, first).await, seen);
    assert_eq!(value(&client, joined).await.as_deref(), Some("100"));
    assert_eq!(shop.target.rotate_tokens(None).await.unwrap(), 2);
    assert_eq!(shop.target.rotate_tokens(Some("nobody's")).await.unwrap(), 0);
}

async fn r6_4_a_null_masked_column_is_not_even_the_view_owners_to_read(shop: &mut Shop) {
    run(
        &shop.admin,
        "
        CREATE DOMAIN ssn AS text NOT NULL CHECK (value <> '');
        CREATE TABLE staff (id int PRIMARY KEY, ssn ssn, pay numeric(12, 2), email text, secret text[]);
        INSERT INTO staff VALUES (1, '078-05-1120', 10, 'bob@example.com', '{x}')",
    )
    .await;
    let masks = [
        ("staff.ssn", Mask::Null),
        ("staff.pay", Mask::Null),
        ("staff.secret", Mask::Null),
        ("staff.email", partial(PartialKind::Email)),
    ];
    let profile = shop.masked_profile(&tables(&["staff"]), &masks).await;
    let alice = shop.session_with(&profile, true).await.expect("it opens");
    let client = shop.connect(&alice).await;
    assert_eq!(
        rows(&client, "SELECT * FROM staff").await,
        [[Some("1"), None, None, Some("b***@example.com"), None].map(|v| v.map(ToOwned::to_owned))]
    );
    let types = "SELECT string_agg(format_type(atttypid, atttypmod), ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'staff'::regclass AND attnum > 0";
    assert_eq!(value(&client, types).await.as_deref(), Some("integer text numeric(12,2) text text[]"));
    let owner = profile.name().replace("_p_", "_o_");
    let readable = format!(
        "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'public.staff'::regclass
         AND attnum > 0 AND has_column_privilege('{owner}', attrelid, attnum, 'SELECT')"
    );
    assert_eq!(value(&shop.admin, &readable).await.as_deref(), Some("id email"));
    let held = format!(
        "SELECT rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = '{owner}'"
    );
    assert_eq!(value(&shop.admin, &held).await.as_deref(), Some("f"));
}

/// Every way round a mask that PostgreSQL itself offers to a role.
async fn b1_masks_hold_under_every_setting_that_a_session_may_change(shop: &mut Shop) {
    run(&shop.admin, "
        CREATE TABLE people (id int PRIMARY KEY, email text UNIQUE, x float8, raw bytea);
        INSERT INTO people SELECT i, 'canary' || i || '.canary@example.com', i + 0.123456789, 'canary' FROM generate_series(1, 30) i;
        ANALYZE people").await;
    let masks =
        [("people.email", partial(PartialKind::Email)), ("people.x", token("x")), ("people.raw", token("x"))];
    let alice = shop.masked(&tables(&["people"]), &masks).await;
    let client = shop.connect(&alice).await;
    let tokens = rows(&client, "SELECT x, raw FROM people ORDER BY id").await;
    for setting in [
        "extra_float_digits = -15",
        "bytea_output = 'escape'",
        "standard_conforming_strings = off",
        "row_security = off",
        "enable_seqscan = off",
        "DateStyle = 'SQL'",
    ] {
        run(&client, &format!("SET {setting}")).await;
        assert_eq!(rows(&client, "SELECT x, raw FROM people ORDER BY id").await, tokens, "{setting}");
    }
    run(&client, "SET search_path = public, pg_catalog").await;
    assert_eq!(sqlstate(&client, "SELECT * FROM people").await.as_deref(), Some("42501"));
    run(&client, "RESET search_path").await;
    for sql in [
        "SELECT email FROM public.people",
        "SELECT ctid FROM public.people",
        "TABLE ONLY public.people",
        "SELECT most_common_vals FROM pg_statistic",
        "COPY public.people TO STDOUT",
        "CREATE TABLE mine AS SELECT * FROM public.people",
        "SELECT query_to_xml('SELECT * FROM public.people', true, true, '')",
        "SELECT currtid2('public.people', '(0,1)')",
        "LOCK TABLE public.people",
        "SELECT pg_get_expr(adbin, adrelid), email FROM pg_attrdef, public.people",
    ] {
        assert_ne!(sqlstate(&client, sql).await, None, "{sql}");
    }
    let stats = "SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND tablename = 'people' AND attname = 'email'";
    assert_eq!(value(&client, stats).await.as_deref(), Some("0"));
    let found = "SELECT count(*) FROM people WHERE email LIKE '%canary%canary%'";
    assert_eq!(value(&client, found).await.as_deref(), Some("0"));
}
