use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn one(text: &str) -> Statement {
    let facts = analyse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let [statement] = <[Statement; 1]>::try_from(facts.statements).unwrap();
    statement
}

fn names(set: &BTreeSet<Name>) -> String {
    set.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// `its class and those it carries | reads | writes | functions`
fn told(text: &str) -> String {
    let s = one(text);
    let classes: Vec<String> = s.classes().map(|class| format!("{class:?}")).collect();
    let parts = [classes.join(" "), names(&s.reads), names(&s.writes), names(&s.functions)];
    parts.map(|part| if part.is_empty() { part } else { format!("{part} ") }).join("| ").trim_end().to_owned()
}

/// Classes, scoping of common table expressions and every nested statement.
#[test]
fn statements_are_what_postgresql_takes_them_for() {
    let table = [
        (
            "SELECT a, b.c, d.* FROM t, s.u AS b, LATERAL (SELECT * FROM w) d WHERE EXISTS (SELECT 1 FROM x WHERE lower(y) = 'z')",
            "Select | t w x s.u | | lower",
        ),
        ("WITH f AS (SELECT * FROM f) SELECT * FROM f", "Select | f | |"),
        ("WITH RECURSIVE f AS (SELECT * FROM f) SELECT * FROM f", "Select | | |"),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a, b", "Select | b | |"),
        ("SELECT * FROM (WITH f AS (SELECT 1) SELECT * FROM f) x, f", "Select | f | |"),
        ("WITH f AS (SELECT 1) SELECT * FROM public.f", "Select | public.f | |"),
        ("WITH f AS (SELECT 1) INSERT INTO f SELECT * FROM f RETURNING *", "Insert | f | f |"),
        ("WITH f AS (DELETE FROM g RETURNING *) SELECT * FROM f", "Select | g | g |"),
        ("SELECT a INTO t FROM x UNION SELECT 1", "SelectInto { temporary: false } | x | t |"),
        ("SELECT * INTO TEMP t FROM x", "SelectInto { temporary: true } | x | t |"),
        ("VALUES (1),(nextval('s'))", "Values | | | nextval"),
        ("TABLE t", "Select | t | |"),
        (
            "INSERT INTO t (a,b) VALUES (1,2) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING c",
            "Insert | t | t |",
        ),
        ("UPDATE t SET a = 1, (b,c) = (SELECT 1,2 FROM u) FROM w WHERE t.x = w.x", "Update | t u w | t |"),
        ("DELETE FROM t USING u WHERE CURRENT OF c", "Delete | t u | t |"),
        (
            "MERGE INTO t USING u ON t.a=u.a WHEN MATCHED THEN UPDATE SET b=1 WHEN NOT MATCHED THEN INSERT (a) VALUES (f(1)) RETURNING merge_action(), *",
            "Merge | t u | t | f",
        ),
        ("PREPARE p (int) AS DELETE FROM t", "Prepare Delete | t | t |"),
        ("EXPLAIN (ANALYZE false, costs) UPDATE t SET a=1", "Explain { analyze: false } Update | t | t |"),
        ("EXPLAIN ANALYZE VERBOSE SELECT 1", "Explain { analyze: true } Select | | |"),
        ("EXPLAIN (analyze 'off') EXECUTE p(1)", "Explain { analyze: false } Execute | | |"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM t FOR UPDATE OF t", "DeclareCursor Select | t | |"),
        ("COPY t (a) FROM STDIN WITH (FORMAT csv)", "CopyIn(Client) | | t |"),
        ("COPY (SELECT * FROM t) TO STDOUT", "CopyOut(Client) Select | t | |"),
        ("COPY (DELETE FROM t RETURNING *) TO '/tmp/x'", "CopyOut(File) Delete | t | t |"),
        ("COPY t TO PROGRAM 'cat'", "CopyOut(Program) | t | |"),
        ("SET search_path TO a, \"B\", public", "Set | | |"),
        ("SET TIME ZONE INTERVAL '1' HOUR", "Set | | |"),
        ("SET TIME ZONE LOCAL", "Set | | |"),
        ("SET NAMES 'sjis'", "Set | | |"),
        ("SET SCHEMA 'x'", "Set | | |"),
        ("SET SESSION AUTHORIZATION x", "Set | | |"),
        ("SET SESSION AUTHORIZATION DEFAULT", "Set | | |"),
        ("SET ROLE x", "Set | | |"),
        ("SET ROLE NONE", "Set | | |"),
        ("RESET ROLE", "Reset | | |"),
        ("SET LOCAL statement_timeout = 0", "Set | | |"),
        ("SET extra_float_digits = -1", "Set | | |"),
        ("SET TRANSACTION READ WRITE, ISOLATION LEVEL SERIALIZABLE", "Set | | |"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "Set | | |"),
        ("SET TRANSACTION SNAPSHOT 'x'", "Set | | |"),
        ("SET app.tenant = 'x'", "Set | | |"),
        ("SET XML OPTION DOCUMENT", "Set | | |"),
        ("RESET ALL", "Reset | | |"),
        ("DISCARD ALL", "Discard | | |"),
        ("BEGIN READ WRITE", "Begin | | |"),
        ("START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", "Begin | | |"),
        ("COMMIT AND CHAIN", "Commit | | |"),
        ("ABORT", "Rollback | | |"),
        ("END", "Commit | | |"),
        ("SAVEPOINT a", "Savepoint | | |"),
        ("ROLLBACK TO a", "RollbackTo | | |"),
        ("RELEASE a", "Release | | |"),
        ("PREPARE TRANSACTION 'x'", "PrepareTransaction | | |"),
        ("LOCK TABLE t", "Lock { mode: 8 } | | t |"),
        ("LOCK t IN ACCESS SHARE MODE", "Lock { mode: 1 } | t | |"),
        ("CREATE TEMP TABLE x (a int DEFAULT f(), LIKE t)", "CreateTable { temporary: true } | t | x | f"),
        (
            "CREATE TABLE pg_temp.x AS SELECT * FROM t",
            "CreateTableAs { temporary: true } Select | t | pg_temp.x |",
        ),
        ("CREATE TABLE x AS EXECUTE p", "CreateTableAs { temporary: false } Execute | | x |"),
        ("DROP TABLE pg_temp.x, pg_temp.y", "DropTemporary | | pg_temp.x pg_temp.y |"),
        ("DROP TABLE x", "Migration(\"DROP TABLE\") | | x |"),
        ("TRUNCATE t, u", "Truncate | | t u |"),
        ("SELECT set_config('a'||'b', 'x', false), set_config('role', $1, true)", "Select | | | set_config"),
        ("SELECT pg_catalog.set_config('Work_Mem', '1GB', false)", "Select | | | pg_catalog.set_config"),
        ("SELECT OPERATOR(pg_catalog.+) 1", "Select | | |"),
        (
            "SELECT 1 OPERATOR(s.+) 2, x::s.ty, (r).f, p.peek, ARRAY(SELECT 1 FROM z), ROW(1), CASE WHEN a THEN b END",
            "Select | z | |",
        ),
        ("SELECT x FROM t TABLESAMPLE s.bern(1) REPEATABLE (2)", "Select | t | | s.bern"),
        (
            "SELECT * FROM ROWS FROM (f(1), g(2)) WITH ORDINALITY, h() AS (a int, b s.ty)",
            "Select | | | f g h",
        ),
        (
            "SELECT count(*) FILTER (WHERE a > 1) OVER w, percentile_cont(0.5) WITHIN GROUP (ORDER BY z) FROM t WINDOW w AS (PARTITION BY q ORDER BY r USING OPERATOR(s.<))",
            "Select | t | | count percentile_cont",
        ),
        (
            "SELECT DISTINCT ON (a) a FROM t GROUP BY GROUPING SETS ((a), CUBE(b)) HAVING grouping(a)=1 ORDER BY f(a) LIMIT (SELECT 1 FROM l) OFFSET 2",
            "Select | l t | | f",
        ),
        (
            "SELECT xmlelement(name a, xmlattributes(b as c), d), xmlserialize(content e as text), xmlforest(f), xmlparse(document '<a/>'), x IS DOCUMENT, xmlexists('//a' PASSING g)",
            "Select | | | pg_catalog.xmlexists",
        ),
        (
            "SELECT * FROM xmltable(xmlnamespaces('x' AS y), '/a' PASSING (SELECT d FROM docs) COLUMNS a int PATH 'x' DEFAULT f(1))",
            "Select | docs | | f",
        ),
        (
            "SELECT * FROM json_table(j, '$' PASSING 1 AS x COLUMNS (a int PATH '$.a' DEFAULT f() ON EMPTY, NESTED PATH '$.b' COLUMNS (c s.ty)))",
            "Select | | | f",
        ),
        (
            "SELECT json_object('a': b), json_array(SELECT q FROM z), json_arrayagg(a ORDER BY b RETURNING jsonb), json_objectagg(k: v), json_value(j, '$'), json_query(j,'$'), json_exists(j,'$'), json('1'), json_scalar(1), json_serialize(j), j IS JSON",
            "Select | z | |",
        ),
        (
            "SELECT CURRENT_USER, a AT TIME ZONE 'x', extract(year from d), overlay(a placing b from 1), (1,2) OVERLAPS (3,4), a BETWEEN 1 AND 2, a IN (1,2), a = ANY(SELECT 1 FROM k), x COLLATE \"C\", a[1:2], a IS DISTINCT FROM b, NOT a, a IS TRUE, a ISNULL, f(VARIADIC x => 1)",
            "Select | k | | f pg_catalog.extract pg_catalog.overlaps pg_catalog.overlay pg_catalog.timezone",
        ),
        ("CALL p(1)", "Call | | | p"),
        ("DO $$ x $$", "Do | | |"),
        ("VACUUM t", "Maintenance | | t |"),
        ("ANALYZE t", "Maintenance | | t |"),
        ("REFRESH MATERIALIZED VIEW m", "Migration(\"REFRESH MATERIALIZED VIEW\") | | m |"),
        ("REINDEX TABLE t", "Maintenance | | t |"),
        ("GRANT SELECT ON t TO PUBLIC", "Privileges | | |"),
        ("ALTER ROLE CURRENT_USER SET x = 1", "Roles | | |"),
        ("ALTER SYSTEM SET x = 1", "AlterSystem | | |"),
        ("REASSIGN OWNED BY a TO b", "Roles | | |"),
        ("LOAD 'x'", "Load | | |"),
        ("CHECKPOINT", "Checkpoint | | |"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1", "Ddl(\"CREATE FUNCTION\") | | |"),
        ("CREATE VIEW v AS SELECT * FROM t", "Migration(\"CREATE VIEW\") Select | t | v |"),
        ("ALTER TABLE t ADD c int", "Migration(\"ALTER TABLE\") | | t |"),
        ("IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c", "Ddl(\"IMPORT FOREIGN SCHEMA\") | | |"),
        ("SECURITY LABEL ON TABLE t IS 'x'", "Ddl(\"SECURITY LABEL\") | | |"),
        ("COMMENT ON TABLE t IS 'x'", "Migration(\"COMMENT\") | | t |"),
        ("SET CONSTRAINTS ALL DEFERRED", "SetConstraints | | |"),
        ("NOTIFY x, 'y'", "Notify | | |"),
        ("LISTEN x", "Listen | | |"),
        ("UNLISTEN *", "Unlisten | | |"),
        ("FETCH ALL FROM c", "Fetch | | |"),
        ("MOVE 5 IN c", "Move | | |"),
        ("CLOSE ALL", "Close | | |"),
        ("DEALLOCATE ALL", "Deallocate | | |"),
        ("SHOW ALL", "Show | | |"),
        ("select 'é☃'", "Select | | |"),
        ("select 1 -- x", "Select | | |"),
        ("WITH f AS (SELECT * FROM f) SELECT * FROM f, F, \"F\"", "Select | F f | |"),
        ("SELECT (WITH t AS (TABLE t) SELECT a FROM t) FROM u", "Select | t u | |"),
        ("WITH a AS (SELECT 1), b AS (WITH a AS (TABLE a) TABLE a) SELECT * FROM b", "Select | | |"),
        ("WITH t AS (SELECT 1) UPDATE t SET a = 1 FROM t x", "Update | t | t |"),
        ("WITH RECURSIVE a AS (TABLE b), b AS (TABLE a) TABLE b", "Select | | |"),
        ("WITH a AS (SELECT 1) TABLE a UNION (WITH b AS (TABLE a) TABLE b) UNION TABLE b", "Select | b | |"),
        ("SELECT * FROM db.s.t", "Select | s.t | |"),
        (
            "COPY (WITH x AS (INSERT INTO t VALUES (1) RETURNING *) TABLE x) TO STDOUT",
            "CopyOut(Client) Select | t | t |",
        ),
        (
            "EXPLAIN (ANALYZE) CREATE TEMP TABLE x AS SELECT * FROM t",
            "Explain { analyze: true } CreateTableAs { temporary: true } Select | t | x |",
        ),
        ("PREPARE p AS WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "Prepare Select | t | t |"),
        ("SELECT 'public.secret'::regclass, $$SELECT * FROM hidden$$", "Select | | |"),
        ("CREATE TEMP TABLE x () INHERITS (t)", "CreateTable { temporary: true } | t | t x |"),
        ("DROP TABLE pg_temp.x, y", "Migration(\"DROP TABLE\") | | y pg_temp.x |"),
        ("ROLLBACK AND CHAIN", "Rollback | | |"),
        (
            "CREATE MATERIALIZED VIEW m AS SELECT * FROM t",
            "Migration(\"CREATE MATERIALIZED VIEW\") Select | t | m |",
        ),
        ("CREATE TABLE x (a int) PARTITION BY LIST (a)", "CreateTable { temporary: false } | | x |"),
    ];
    for (text, facts) in table {
        assert_eq!(told(text), facts, "{text}");
    }
}

#[test]
fn g2_every_change_of_the_schema_is_known_as_one() {
    for text in [
        "CREATE SCHEMA s",
        "CREATE EXTENSION e",
        "CREATE AGGREGATE a (int) (sfunc = f, stype = int)",
        "CREATE OPERATOR + (procedure = f)",
        "CREATE CAST (a AS b) WITHOUT FUNCTION",
        "CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()",
        "CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING",
        "CREATE POLICY p ON t",
        "ALTER POLICY p ON t USING (true)",
        "CREATE PUBLICATION p",
        "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
        "CREATE SERVER s FOREIGN DATA WRAPPER w",
        "CREATE USER MAPPING FOR u SERVER s",
        "CREATE FOREIGN TABLE t () SERVER s",
        "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
        "CREATE LANGUAGE l",
        "CREATE STATISTICS s ON a, b FROM t",
        "ALTER FUNCTION f() STABLE",
        "ALTER TABLE t SET SCHEMA s",
        "ALTER TABLE t OWNER TO u",
        "DROP FUNCTION f()",
        "ALTER TABLE t REPLICA IDENTITY FULL",
        "CREATE TRANSFORM FOR t LANGUAGE l (FROM SQL WITH FUNCTION f(internal))",
        "ALTER TEXT SEARCH DICTIONARY d (a = b)",
        "CREATE ACCESS METHOD m TYPE INDEX HANDLER h",
        "CREATE COLLATION c (locale = 'C')",
        "CREATE CONVERSION c FOR 'UTF8' TO 'LATIN1' FROM f",
    ] {
        assert!(matches!(one(text).class, Class::Ddl(_)), "{text}: {:?}", one(text).class);
    }
    for text in [
        "CREATE SEQUENCE s",
        "ALTER SEQUENCE s RESTART",
        "CREATE TYPE t AS ENUM ('a')",
        "CREATE TYPE t AS (a int)",
        "ALTER TYPE t ADD VALUE 'b'",
        "CREATE DOMAIN d AS int",
        "ALTER DOMAIN d DROP DEFAULT",
        "ALTER TABLE t RENAME TO u",
        "DROP VIEW v",
    ] {
        assert!(matches!(one(text).class, Class::Migration(_)), "{text}: {:?}", one(text).class);
        assert_eq!(one(text).writes.len(), 1, "{text}");
    }
    for text in [
        "CREATE ROLE r",
        "DROP ROLE r",
        "ALTER USER u PASSWORD 'x'",
        "CREATE DATABASE d",
        "ALTER DATABASE d SET a = 1",
        "CREATE TABLESPACE t LOCATION '/x'",
        "DROP OWNED BY r",
    ] {
        assert_eq!(one(text).class, Class::Roles, "{text}");
    }
    for text in
        ["GRANT a TO b", "REVOKE ALL ON t FROM u", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO u"]
    {
        assert_eq!(one(text).class, Class::Privileges, "{text}");
    }
}

#[test]
fn settings_are_found_by_every_spelling() {
    let to = |value: &str| Change::To(value.to_owned());
    for (text, name, change) in [
        ("SET search_path TO a, \"B\", public", "search_path", to("a, B, public")),
        ("SET SCHEMA 'x'", "search_path", to("x")),
        ("SET NAMES 'sjis'", "client_encoding", to("sjis")),
        ("SET TIME ZONE 'UTC'", "timezone", to("UTC")),
        ("SET TIME ZONE LOCAL", "timezone", Change::Back),
        ("SET SESSION AUTHORIZATION x", "session_authorization", to("x")),
        ("SET ROLE NONE", "role", to("none")),
        ("RESET role", "role", Change::Back),
        ("SET LOCAL \"Work_Mem\" = '1GB'", "work_mem", to("1GB")),
        ("SET extra_float_digits = -1", "extra_float_digits", to("-1")),
        ("SET a.b TO DEFAULT", "a.b", Change::Back),
        ("SET TRANSACTION READ WRITE", "transaction_read_only", to("0")),
        ("BEGIN READ ONLY", "transaction_read_only", to("1")),
        ("START TRANSACTION READ WRITE", "transaction_read_only", to("0")),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "default_transaction_read_only", to("0")),
        ("SET TRANSACTION SNAPSHOT 'x'", "transaction_snapshot", Change::Unknown),
        ("RESET ALL", "*", Change::Back),
        ("DISCARD ALL", "*", Change::Back),
        ("SELECT pg_catalog.set_config('Role', 'x', true)", "role", to("x")),
        ("SELECT set_config('role'::text, 'x'::varchar, true)", "role", to("x")),
        ("SELECT set_config('role', 'x'::char(1), true)", "role", Change::Unknown),
        ("SELECT set_config('timezone'::s.evil, 'x', true)", "", to("x")),
        ("SELECT set_config('ro' || 'le', $1, true)", "", Change::Unknown),
        (
            "SELECT set_config(setting_name => 'role', new_value => 'x', is_local => true)",
            "",
            Change::Unknown,
        ),
        ("EXPLAIN SELECT 1 FROM t ORDER BY set_config('role', 'x', true)", "role", to("x")),
    ] {
        let settings = one(text).settings;
        assert_eq!(settings, [Setting { name: name.to_owned(), change }], "{text}");
    }
}

#[test]
fn flags_tell_what_a_name_does_not() {
    let s = one("WITH d AS (DELETE FROM t RETURNING *) SELECT a, b.c FROM d FOR UPDATE");
    assert!(s.modifying_cte && s.locks_rows && !s.export);
    assert_eq!(s.columns.into_iter().collect::<Vec<_>>(), ["*", "a", "c"]);
    assert!(one("COPY t TO STDOUT").export);
    assert!(one("DECLARE c CURSOR FOR SELECT 1 FOR SHARE").locks_rows);
    let s = one("SELECT 1 OPERATOR(s.+) 2, (r).f, x::s.ty, ARRAY[1]::int[]");
    assert_eq!((names(&s.operators), names(&s.types)), ("s.+".into(), "pg_catalog.int4 s.ty".into()));
    assert_eq!(one("EXECUTE p(1)").subject.as_deref(), Some("p"));
    assert_eq!(one("CLOSE ALL").subject, None);
    assert_eq!(one("COMMIT AND CHAIN").effect, TxEffect::Commit { chain: true });
    assert_eq!(one("ROLLBACK TO SAVEPOINT a").effect, TxEffect::RollbackTo);
}

/// `f` of `x.f` may be a function (the manual, 38.4.3).
#[test]
fn g2_names_after_a_dot_are_attributes() {
    for (text, attributes, of_expression) in [
        ("SELECT a, b FROM t WHERE c = 1", "", false),
        ("SELECT t.* FROM t", "", false),
        ("SELECT t.a, s.t.b, d.s.t.c FROM s.t", "a b c", false),
        ("SELECT (-1).lo_creat", "lo_creat", true),
        ("SELECT (4711::bigint).pg_advisory_lock", "pg_advisory_lock", true),
        ("SELECT (f(x)).y, ((z).v).w", "v w y", true),
        ("SELECT ((t.a).b).c, (t.r).*", "a b c r", true),
        ("SELECT x[1], x[a:b], (x)[2]", "", false),
        ("SELECT t.x[1], (f(x))[t.y]", "x y", false),
        ("SELECT t.x[1].y", "x y", true),
        ("SELECT (ARRAY(SELECT u.v FROM u))[1]", "v", false),
        ("SELECT 1 FROM t ORDER BY ($1).f", "f", true),
        ("DELETE FROM t WHERE t.a = 1 RETURNING t.b", "a b", false),
        ("UPDATE t SET c.f = 1, d[1] = 2", "", false),
        ("INSERT INTO t (c.f) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b", "b", false),
    ] {
        let s = one(text);
        let names: Vec<String> = s.attributes.into_iter().map(|attribute| attribute.name).collect();
        assert_eq!(names.join(" "), attributes, "{text}");
        assert_eq!(s.expression_attributes, of_expression, "{text}");
    }
}

#[test]
fn each_statement_has_its_own_range() {
    for (text, parts) in [
        ("", &[][..]),
        (" ;; \n ; ", &[]),
        ("-- nothing\n/* at /* all */ */", &[]),
        (
            "select 'ü' ; delete from t where x = 'ß';  update \"☃\" set a=1  ",
            &["select 'ü'", "delete from t where x = 'ß'", "update \"☃\" set a=1"],
        ),
        ("select 1;;select 2", &["select 1", "select 2"]),
        (
            "select $$;$$; select E'\\';' ; select ';' -- ;\n",
            &["select $$;$$", "select E'\\';'", "select ';' -- ;"],
        ),
    ] {
        let facts = analyse(text).unwrap();
        let found: Vec<&str> = facts.statements.iter().map(|s| s.text(text)).collect();
        assert_eq!(found, parts, "{text}");
    }
}

#[test]
fn what_the_grammar_refuses_says_where() {
    for (text, message, position) in [
        ("SELEC 1", "syntax error at or near \"SELEC\"", Some(1)),
        ("select 'é', $1::int + ", "syntax error at end of input", Some(23)),
        ("select 'ö' form t x", "syntax error at or near \"t\"", Some(17)),
        ("select x from x where x = x x x", "syntax error at or near \"x\"", Some(29)),
        ("select 'abc", "unterminated quoted string at or near \"'abc\"", Some(8)),
        ("select 1; \\d", "syntax error at or near \"\\\"", Some(11)),
    ] {
        let expected = SqlError::Syntax { message: message.to_owned(), position };
        assert_eq!(analyse(text), Err(expected), "{text}");
    }
    assert_eq!(analyse("SELEC").unwrap_err().sqlstate(), "42601");
}

/// Runs on a test thread's 2 MiB of stack, as a task of the gateway would.
#[test]
fn g9_depth_is_refused_and_never_overflows() {
    for n in [100, 1000, 3000, 10_000, 60_000] {
        for text in [
            format!("SELECT {}1{}", "(SELECT ".repeat(n), ")".repeat(n)),
            format!("SELECT 1{}", " UNION SELECT 1".repeat(n)),
            format!("SELECT {}1{}", "CASE WHEN a THEN ".repeat(n), " END".repeat(n)),
            format!("SELECT 1{}", "||1".repeat(n)),
            format!("SELECT {}a", "NOT ".repeat(n)),
            format!("SELECT {}1{}", "f(".repeat(n), ")".repeat(n)),
            format!("SELECT * FROM {}t{}", "(SELECT * FROM ".repeat(n), ") x".repeat(n)),
            format!("SELECT * FROM t{}", " JOIN t USING (a)".repeat(n)),
            format!("SELECT {}1{}", "ARRAY[".repeat(n), "]".repeat(n)),
            format!("SELECT 1{}", "::int".repeat(n)),
        ] {
            let error = analyse(&text).unwrap_err();
            let state = error.sqlstate();
            assert!(matches!(state, "54001" | "54000"), "{n} {text:.40}: {error}");
        }
    }
    // Parentheses alone make no tree; PostgreSQL's own parser gives up at some 10,000.
    let parens = |n| analyse(&format!("SELECT {}1{}", "(".repeat(n), ")".repeat(n)));
    assert!(parens(1000).is_ok());
    assert_eq!(parens(20_000), Err(SqlError::TooDeep));
    // What people write is far from the bounds.
    for text in [
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(80)),
        format!("SELECT 1 WHERE a = 1{}", " OR a = 1".repeat(5000)),
        format!("SELECT * FROM t{}", " JOIN t USING (a)".repeat(40)),
        format!("INSERT INTO t VALUES ($1){}", ",($1)".repeat(20_000)),
        format!("SELECT '{}'", "x".repeat(4 << 20)),
    ] {
        assert!(analyse(&text).is_ok(), "{text:.40}");
    }
}

#[test]
fn g9_size_is_bounded_before_anything_is_parsed() {
    assert_eq!(analyse(&format!("SELECT 1{}", ",1".repeat(MAX_TOKENS / 2))), Err(SqlError::TooLarge));
    assert_eq!(SqlError::TooLarge.sqlstate(), "54000");
    for (text, most) in [("", 0), ("a b", 2), ("a.b", 3), ("$1::int", 5), ("'it''s'", 6), ("é ☃x", 2)] {
        assert_eq!(tokens_at_most(text), most, "{text}");
    }
}

#[test]
fn a_text_with_a_nul_is_refused() {
    assert_eq!(analyse("SELECT 1\0; DROP TABLE t").unwrap_err().kind(), ErrorKind::Denied);
}

proptest! {
    #[test]
    fn g2_no_text_panics(text in "\\PC{0,80}") {
        let _ = analyse(&text);
    }

    #[test]
    fn g2_no_row_of_words_panics(words in prop::collection::vec(prop::sample::select(WORDS), 0..24)) {
        let text = words.join(" ");
        if let Ok(facts) = analyse(&text) {
            for statement in facts.statements {
                prop_assert!(text.get(statement.range.clone()).is_some());
            }
        }
    }
}

const WORDS: &[&str] = &[
    "select",
    "from",
    "where",
    "with",
    "as",
    "recursive",
    "(",
    ")",
    "(",
    ")",
    ",",
    ";",
    "*",
    "t",
    "s.t",
    "1",
    "'x'",
    "$1",
    "insert",
    "into",
    "values",
    "update",
    "set",
    "delete",
    "returning",
    "union",
    "all",
    "case",
    "when",
    "then",
    "end",
    "copy",
    "to",
    "stdout",
    "stdin",
    "create",
    "table",
    "temp",
    "drop",
    "function",
    "f",
    "f()",
    "=",
    "on",
    "explain",
    "analyze",
    "prepare",
    "declare",
    "c",
    "cursor",
    "for",
    "lock",
    "begin",
    "commit",
    "and",
    "chain",
    "grant",
    "alter",
    "role",
    "::int",
    "[1]",
    "é",
    "--x\n",
    "/*",
    "*/",
    "$$",
    "E'\\''",
    "null",
    "default",
    "operator",
    "type",
    "view",
    "index",
    "using",
    "rename",
    "rule",
    "trigger",
    "if",
    "exists",
];
