use super::*;
use crate::core::model::TableName;
use crate::core::sql::{SqlError, analyse};
use std::collections::BTreeSet;

pub(super) fn permit_for(scope: Scope) -> Permit {
    Permit {
        session: SessionId::from_stored("ses-1"),
        grant: GrantId::from_stored("grt-7k"),
        person: PersonRef { subject: "alice".into(), email: "alice@example.org".into() },
        target: "prod-orders".into(),
        path: if scope.writes() { Path::Write } else { Path::ReadOnly },
        scope,
        until: Timestamp::UNIX_EPOCH,
        views: Arc::default(),
        vocabulary: vocabulary(),
        budget: Budget::UNLIMITED,
        script: None,
    }
}

fn permit(write: bool) -> Permit {
    use crate::core::model::Permission::{Read, Write};
    let tables = BTreeSet::from([TableName::new("public", "orders"), TableName::new("a", "it's")]);
    permit_for(Scope::new(
        Objects::Only { schemas: BTreeSet::new(), tables },
        if write { BTreeSet::from([Read, Write]) } else { BTreeSet::from([Read]) },
    ))
}

fn exporting(write: bool) -> Permit {
    let mut permit = permit(write);
    permit.scope.permissions.insert(crate::core::model::Permission::Export);
    permit
}

/// A target with functions of its own that configuration lets pass.
fn vocabulary() -> Arc<Vocabulary> {
    use crate::core::model::{Catalog, Routine, RoutineKind};
    let functions = ["public.f", "audit.note_visit", "public.upper"];
    let routine = |name: &&str| {
        let (schema, name) = name.split_once('.').unwrap();
        Routine {
            schema: schema.into(),
            name: name.into(),
            what: RoutineKind::Function,
            definer: true,
            language: "c".into(),
            body: None,
            extension: None,
        }
    };
    let catalog = Catalog { routines: functions.iter().map(routine).collect(), ..Catalog::default() };
    Arc::new(Vocabulary::of(&catalog, &functions.map(str::to_owned)))
}

/// The first refusal of a text's statements, as the gateway would find it.
fn refused(write: bool, text: &str) -> Option<Refusal> {
    let facts = analyse(text).unwrap_or_else(|error: SqlError| panic!("{text}: {error}"));
    assert!(!facts.statements.is_empty(), "{text}");
    facts.statements.iter().find_map(|s| match check(&permit(write), s, TxStatus::Idle) {
        Verdict::Allow(_) => None,
        Verdict::Refuse(refusal) => Some(refusal),
    })
}

/// What the record of a text says of it afterwards.
#[test]
fn r8_5_a_record_tells_what_may_have_changed_something() {
    let table = [
        ("SELECT lower(a) FROM t", false),
        ("BEGIN", false),
        ("SELECT pg_catalog.lower(a) FROM t", false),
        ("FETCH 10 FROM c", false),
        ("INSERT INTO t VALUES (1)", true),
        ("WITH w AS (DELETE FROM t RETURNING 1) SELECT * FROM w", true),
        ("EXPLAIN ANALYZE DELETE FROM t", true),
        ("EXECUTE p(1)", true),
        ("SELECT setval('s', 1)", true),
        ("SELECT app.lower(a) FROM t", true),
        ("SELECT archive_orders()", true),
        ("NOTIFY c", true),
    ];
    for (text, expected) in table {
        let facts = analyse(text).unwrap();
        let record: serde_json::Value = serde_json::from_str(facts.statements[0].record.as_json()).unwrap();
        let names = |list: &str| record[list].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        assert_eq!(
            may_have_changed(names("verbs"), names("writes"), names("functions")),
            expected,
            "{text}: {record}"
        );
    }
}

fn durability(write: bool, text: &str, tx: TxStatus) -> Durability {
    let facts = analyse(text).unwrap();
    match check(&exporting(write), &facts.statements[0], tx) {
        Verdict::Allow(allowed) => allowed.durability,
        Verdict::Refuse(refusal) => panic!("{text}: {refusal}"),
    }
}

#[test]
fn every_permit_reads() {
    for text in [
        "SELECT * FROM orders WHERE id = $1",
        "TABLE orders",
        "VALUES (1), (2)",
        "WITH r AS (SELECT 1) SELECT * FROM r",
        "SHOW search_path",
        "EXPLAIN ANALYZE SELECT 1",
        "PREPARE p AS SELECT 1",
        "EXECUTE p",
        "DEALLOCATE ALL",
        "BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH 5 FROM c; MOVE c; CLOSE c; COMMIT",
        "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SAVEPOINT a; ROLLBACK TO a; RELEASE a; ABORT",
        "UNLISTEN jobs; UNLISTEN *",
        "SELECT pg_sleep(1), current_setting('work_mem')",
        "SELECT o.id, (o.address).city, (f(o)).total, public.orders.note, o.tags[1] FROM orders o",
        "SELECT (NEW).id, (OLD).lower, lo_creat, pg_notify FROM (SELECT 1, 2) AS n(lo_creat, pg_notify)",
        "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace",
        "SELECT * FROM information_schema.columns",
        // What drivers and tools say when they begin or give a connection back.
        "SET client_encoding TO 'UTF8'; SET client_min_messages TO warning; SET standard_conforming_strings = on",
        "SET SESSION timezone TO 'UTC'; SET intervalstyle = iso_8601; SET extra_float_digits = 3",
        "SET application_name = 'PostgreSQL JDBC Driver'; SET DateStyle = ISO; SET search_path TO \"$user\", public",
        "SELECT set_config('bytea_output', 'hex', false) FROM pg_show_all_settings() WHERE name = 'bytea_output'",
        "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL",
        "SET SESSION AUTHORIZATION DEFAULT; DISCARD SEQUENCES; DISCARD TEMP; DISCARD ALL",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
        "SET statement_timeout = '30s'; SET LOCAL lock_timeout = 100; SET work_mem = '64MB'",
        "SET enable_seqscan = off; SET jit = off; SET NAMES 'utf-8'",
    ] {
        for write in [false, true] {
            assert_eq!(refused(write, text), None, "{text}");
        }
    }
}

#[test]
fn r3_5_writing_needs_a_grant_to_write() {
    for text in [
        "INSERT INTO orders VALUES (1)",
        "UPDATE orders SET a = 1",
        "DELETE FROM orders",
        "MERGE INTO orders o USING n ON o.id = n.id WHEN MATCHED THEN DELETE",
        "TRUNCATE orders",
        "COPY orders FROM STDIN",
        "WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d",
        "EXPLAIN DELETE FROM orders",
        "PREPARE p AS DELETE FROM orders",
        "SELECT * FROM orders FOR UPDATE",
        "SELECT * FROM (SELECT * FROM orders FOR KEY SHARE) x",
        "LOCK orders IN ACCESS SHARE MODE",
        "LOCK orders IN ROW EXCLUSIVE MODE",
        "CREATE TEMP TABLE x (a int)",
        "CREATE TEMP TABLE x AS SELECT * FROM orders",
        "SELECT * INTO TEMP x FROM orders",
        "DROP TABLE pg_temp.x",
        "NOTIFY jobs, 'x'",
        "SELECT pg_notify('jobs', 'x')",
        "SELECT nextval('s')",
        "SELECT 1 FROM orders ORDER BY pg_catalog.setval('s', 1)",
        "SELECT pg_advisory_xact_lock(1)",
        "SELECT pg_try_advisory_lock(1)",
        "SELECT (4711::bigint).pg_advisory_lock",
        "SELECT ('s'::regclass).nextval",
        "SELECT 1 FROM generate_series(1, 2) g WHERE (g.pg_try_advisory_xact_lock) IS NOT NULL",
        "BEGIN READ WRITE",
        "SET TRANSACTION READ WRITE",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "SET default_transaction_read_only = of",
        "RESET transaction_read_only",
        "SET LOCAL transaction_read_only TO DEFAULT",
        "SELECT set_config('transaction_read_only', 'f', true)",
        "VALUES (1), (txid_current())",
    ] {
        let refusal = refused(false, text).unwrap_or_else(|| panic!("{text}"));
        assert!(refusal.message.contains("needs write access, and grant grt-7k"), "{text}: {refusal}");
        assert_eq!(refusal.sqlstate, "42501", "{text}");
        assert_eq!(refused(true, text), None, "{text}");
    }
}

#[test]
fn r3_5_rows_leave_as_files_under_a_grant_to_export() {
    let refused = |permit: &Permit, text: &str| {
        analyse(text).unwrap().statements.iter().find_map(|s| match check(permit, s, TxStatus::Idle) {
            Verdict::Allow(_) => None,
            Verdict::Refuse(refusal) => Some(refusal),
        })
    };
    for (text, writes) in [
        ("COPY (SELECT * FROM orders) TO STDOUT WITH (FORMAT csv, HEADER)", false),
        ("COPY (DELETE FROM orders RETURNING *) TO STDOUT", true),
        ("SELECT lo_get(1), loread(lo_open(1, 262144), 10)", false),
        (
            "SELECT lo_create(0), lo_unlink(1), lo_put(1, 0, 'x'), lowrite(0, 'x'), lo_from_bytea(0, 'x')",
            true,
        ),
        ("SELECT (-1).lo_creat", true),
        ("SELECT g.lo_creat FROM generate_series(-1, -1) g", true),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", false),
    ] {
        let refusal = refused(&permit(writes), text).unwrap_or_else(|| panic!("{text}"));
        assert!(refusal.message.ends_with("without export"), "{text}: {refusal}");
        assert!(refusal.hint.ends_with(" --export"), "{text}: {}", refusal.hint);
        assert_eq!(refused(&exporting(true), text), None, "{text}");
        assert_eq!(refused(&exporting(false), text).is_some(), writes, "{text}");
    }
}

#[test]
fn r3_5_a_migration_is_asked_for() {
    let refusal = refused(true, "CREATE TABLE public.x (a int)").unwrap();
    assert_eq!(
        refusal.message,
        "CREATE TABLE changes the schema, and grant grt-7k is to read+write a.\"it's\", public.orders"
    );
    assert_eq!(refusal.hint, "ask for it: dbaccess request prod-orders --schema a --schema public --ddl");
}

#[test]
fn g2_some_things_no_grant_allows() {
    for text in [
        "DO $$ BEGIN END $$",
        "CALL p()",
        "CREATE TABLE x (a int)",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1 INTO x",
        "EXPLAIN ANALYZE CREATE TABLE x AS SELECT 1",
        "ALTER TABLE orders ADD c int",
        "DROP TABLE orders",
        "DROP TABLE pg_temp.x, orders",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql RETURN 1",
        "CREATE TEMP VIEW v AS SELECT 1",
        "GRANT SELECT ON orders TO PUBLIC",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "CREATE ROLE r",
        "ALTER ROLE CURRENT_USER SET statement_timeout = 0",
        "ALTER USER u PASSWORD 'x'",
        "REASSIGN OWNED BY a TO b",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "LOAD 'x'",
        "CHECKPOINT",
        "VACUUM orders",
        "ANALYZE orders",
        "REFRESH MATERIALIZED VIEW m",
        "REINDEX TABLE orders",
        "PREPARE TRANSACTION 'x'",
        "COMMIT PREPARED 'x'",
        "COMMENT ON TABLE orders IS 'x'",
        "LOCK orders",
        "LOCK orders IN SHARE MODE",
        "COPY orders TO '/tmp/x'",
        "COPY orders FROM '/etc/passwd'",
        "COPY orders TO PROGRAM 'cat'",
        "COPY orders FROM PROGRAM 'id'",
        "UPDATE pg_settings SET setting = '0' WHERE name = 'statement_timeout'",
        "WITH d AS (DELETE FROM pg_catalog.pg_class RETURNING *) SELECT 1",
        "INSERT INTO information_schema.sql_parts VALUES (1)",
        "INSERT INTO dbaccess_secret.scope VALUES (1)",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "SET session_replication_role = replica",
        "SET row_security = off",
        "SET standard_conforming_strings = off",
        "SELECT set_config('standard_conforming_strings', 'off', false)",
        "SET NAMES 'SJIS'",
        "SET client_encoding = gb18030",
        "SET client_encoding = 'Big-5'",
        "SET app.tenant = '9'",
        "SET statement_timeout = 0",
        "SET statement_timeout = '2h'",
        "SET LOCAL lock_timeout = -1",
        "SET work_mem = '64GB'",
        "SET temp_file_limit = -1",
        "SET TRANSACTION SNAPSHOT 'x'",
        "SELECT set_config(name, '0', false) FROM pg_settings",
        "SELECT set_config('statement_timeout', $1, false)",
        "SELECT set_config('transaction_read_only', NULL, false)",
        "EXPLAIN SELECT set_config('ro' || 'le', 'x', false)",
        "SELECT U&\"\\0073et_config\"('role', 'x', false)",
        "EXECUTE p(set_config('role', 'x', false))",
        "SELECT 1 LIMIT length(set_config('role', 'x', false))",
        "SELECT query_to_xml('select 1', true, false, '')",
        "SELECT pg_catalog.schema_to_xml_and_xmlschema('public', true, false, '')",
        "SELECT * FROM ts_stat('select 1')",
        "SELECT ts_rewrite('a'::tsquery, 'select 1')",
        "SELECT * FROM ext.dblink('host=x', 'select 1') AS t(a int)",
        "SELECT ('select 1'::text).ts_stat",
        "SELECT x.query_to_xml FROM (SELECT 1) x",
        "SELECT ((f(1)).dblink).a",
        "EXPLAIN SELECT ('x'::text).pg_read_file",
        "SELECT U&\"\\0073\".\"pg_terminate_backend\" FROM s",
        "SELECT pg_read_file('x')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_export(1, '/tmp/x')",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_cancel_backend(1)",
        "SELECT pg_create_logical_replication_slot('x', 'y')",
        "SELECT pg_logical_emit_message(true, 'x', 'y')",
        "SELECT 1; SET statement_timeout = 0; SELECT 2",
    ] {
        for write in [false, true] {
            let refusal = refused(write, text).unwrap_or_else(|| panic!("{text}"));
            assert!(refusal.message.contains("grt-7k") && !refusal.hint.is_empty(), "{text}: {refusal}");
            assert_eq!(refusal.sqlstate, "42501");
        }
    }
}

#[test]
fn a_refusal_says_what_to_do() {
    let refusal = refused(false, "DELETE FROM orders").unwrap();
    assert_eq!(
        refusal.message,
        "DELETE needs write access, and grant grt-7k is to read a.\"it's\", public.orders"
    );
    assert_eq!(
        refusal.hint,
        "ask for it: dbaccess request prod-orders --table 'a.\"it'\\''s\"' --table public.orders --write"
    );
    let refusal = refused(true, "SELECT x.pg_ls_dir FROM x").unwrap();
    assert_eq!(
        refusal.message,
        "`.pg_ls_dir`, which reads as a call of the function pg_ls_dir (a column of that name: write it \
         without its table, or rename it by an alias: FROM t AS t(a, b)), is not allowed in a dbaccess \
         session (grant grt-7k)"
    );
    let refusal = refused(true, "COPY t TO '/x'").unwrap();
    assert_eq!(
        refusal.message,
        "COPY with a file on the server is not allowed in a dbaccess session (grant grt-7k)"
    );
}

#[test]
fn g1_a_write_is_synced_before_it_can_last() {
    use Durability::{Synced, Written};
    use TxStatus::{Failed, Idle, InBlock};
    for (text, idle, in_block) in [
        ("SELECT count(*), lower(a) FROM orders", Written, Written),
        ("SELECT audit.note_visit()", Synced, Written),
        ("SELECT public.upper('x'), lower('x')", Synced, Written),
        ("SELECT upper('x')", Synced, Written),
        ("SELECT o.total, public.orders.note, o.tags[1] FROM orders o", Written, Written),
        ("SELECT (o).note_visit FROM orders o", Synced, Written),
        ("SELECT g.lo_creat FROM generate_series(-1, -1) g", Synced, Written),
        ("INSERT INTO orders VALUES (1)", Synced, Written),
        ("WITH d AS (DELETE FROM orders RETURNING *) SELECT * FROM d", Synced, Written),
        ("COPY orders FROM STDIN", Synced, Written),
        ("COPY orders TO STDOUT", Written, Written),
        ("EXPLAIN ANALYZE UPDATE orders SET a = 1", Synced, Written),
        ("PREPARE p AS SELECT 1", Written, Written),
        ("EXECUTE p", Synced, Written),
        ("FETCH c", Synced, Written),
        ("SELECT nextval('s')", Synced, Written),
        ("NOTIFY x", Synced, Written),
        ("SELECT lo_create(0)", Synced, Written),
        ("SET search_path = a", Written, Written),
        ("BEGIN", Written, Written),
        ("SAVEPOINT a", Written, Written),
        ("ROLLBACK", Written, Written),
        ("COMMIT", Synced, Synced),
        ("END AND CHAIN", Synced, Synced),
    ] {
        assert_eq!(durability(true, text, Idle), idle, "{text}");
        assert_eq!(durability(true, text, InBlock), in_block, "{text}");
    }
    assert_eq!(durability(true, "COMMIT", Failed), Synced);
    for text in ["SELECT f()", "COMMIT", "EXECUTE p", "FETCH c"] {
        assert_eq!(durability(false, text, Idle), Written, "{text}");
    }
}

#[test]
fn the_status_follows_the_statements() {
    let text = "BEGIN; INSERT INTO t VALUES (1); COMMIT AND CHAIN; COMMIT; SELECT 1";
    use TxStatus::{Failed, Idle, InBlock};
    let mut status = Idle;
    let mut seen = Vec::new();
    for statement in analyse(text).unwrap().statements {
        seen.push(status);
        status = status.after(statement.effect);
    }
    assert_eq!(seen, [Idle, InBlock, InBlock, InBlock, Idle]);
    assert_eq!(Failed.after(TxEffect::RollbackTo), InBlock);
    assert_eq!(Failed.after(TxEffect::None), Failed);
    assert_eq!(
        [b'I', b'T', b'E', b'x'].map(TxStatus::from_wire),
        [Some(Idle), Some(InBlock), Some(Failed), None]
    );
}

#[test]
fn the_function_call_message_is_for_large_objects() {
    for (oid, name, write) in [(952, "lo_open", false), (954, "loread", false), (955, "lowrite", true)] {
        assert_eq!(check_function_call(&exporting(true), oid, TxStatus::InBlock).unwrap().0, name);
        assert_eq!(check_function_call(&exporting(false), oid, TxStatus::Idle).is_err(), write, "{name}");
        assert!(check_function_call(&permit(true), oid, TxStatus::Idle).is_err(), "{name}");
    }
    let (_, allowed) = check_function_call(&exporting(true), 957, TxStatus::Idle).unwrap();
    assert_eq!(allowed.durability, Durability::Synced);
    for oid in [0, 2078, 2096, 764, u32::MAX] {
        assert!(check_function_call(&exporting(true), oid, TxStatus::Idle).is_err(), "{oid}");
    }
}

#[test]
fn a_startup_packet_is_filtered() {
    let start = |parameters: &[(&str, &str)]| {
        let parameters: Vec<(String, String)> = [("user", "u")]
            .iter()
            .chain(parameters)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        check_startup(&parameters)
    };
    let startup = start(&[
        ("database", "shop"),
        ("application_name", "psql"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO"),
        ("TimeZone", "Europe/Berlin"),
        ("extra_float_digits", "2"),
        ("replication", "false"),
        ("_pq_.command_tag_format", "x"),
        ("options", r"-c search_path=a,\ b --statement-timeout=5s  -cjit=off -c geqo=off"),
    ])
    .unwrap();
    assert_eq!((startup.user.as_str(), startup.database.as_str()), ("u", "shop"));
    let settings: Vec<String> = startup.settings.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(
        settings.join(" | "),
        "application_name=psql | client_encoding=UTF8 | datestyle=ISO | timezone=Europe/Berlin | \
         extra_float_digits=2 | search_path=a, b | statement_timeout=5s | jit=off | geqo=off | \
         standard_conforming_strings=on | backslash_quote=safe_encoding"
    );
    assert_eq!(start(&[]).unwrap().database, "u");
    for (name, value) in [
        ("application_name", "pg_dump"),
        ("fallback_application_name", "pg_dumpall"),
        ("replication", "database"),
        ("replication", "true"),
        ("client_encoding", "GBK"),
        ("role", "postgres"),
        ("session_authorization", "postgres"),
        ("default_transaction_read_only", "off"),
        ("options", "-c role=postgres"),
        ("options", "-c statement_timeout=0"),
        ("options", "-cstandard_conforming_strings=off"),
        ("options", r"-c\ role=postgres"),
        ("options", "--session-replication-role=replica"),
        ("options", "-W 5"),
        ("options", "-c"),
        ("options", "-c jit"),
        ("options", "-e"),
    ] {
        assert!(start(&[(name, value)]).is_err(), "{name}={value}");
    }
    assert_eq!(check_startup(&[]).unwrap_err().sqlstate, "28000");
}

/// What psql sends for its backslash commands (`\d` and kin, PostgreSQL 15).
#[test]
fn psql_can_describe() {
    for text in include_str!("psql_describe.sql").lines() {
        assert_eq!(refused(false, text), None, "{text}");
    }
}
