//! The analysis against `cases.txt`, scripts that are none, hazards, pieces, and
//! what records of sessions mean.

use super::*;
use crate::core::model::{
    Catalog, Classification, Classified, Column, HazardKind, Mask, Migration, Relation, RelationKind, Rule,
    RunState, Selector, Sensitivity, SessionId, Severity, StatementResult, TableName,
};
use jiff::Timestamp;

fn relation(name: &str, columns: &[(&str, &str)]) -> Relation {
    let (schema, name) = name.split_once('.').unwrap();
    Relation {
        name: TableName::new(schema, name),
        columns: columns.iter().map(|(name, kind)| Column::new(*name, *kind)).collect(),
        ..Relation::default()
    }
}

fn of_cases() -> Catalog {
    let columns = [
        ("id", "bigint"),
        ("name", "text"),
        ("n", "integer"),
        ("code", "character varying(40)"),
        ("price", "numeric(10,2)"),
        ("at", "timestamp(3) with time zone"),
        ("net", "cidr"),
        ("p", "bigint"),
    ];
    let mut relations = vec![relation("s.t", &columns)];
    for name in ["s.p", "s.base", "s.parts", "s.part_1", "s.loose"] {
        relations.push(relation(name, &[]));
    }
    relations.push(Relation { kind: RelationKind::View, ..relation("s.seen", &[("id", "bigint")]) });
    Catalog { relations, ..Catalog::default() }
}

fn script(text: &str) -> Script {
    Script::parse("v1.sql", text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn r2_2_what_a_statement_locks_and_rewrites_is_known() {
    let catalog = of_cases();
    let cases = include_str!("cases.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut count = 0;
    for case in cases {
        let (sql, expected) = case.split_once("=>").unwrap();
        let [effects] = script(sql).effects(&catalog).try_into().unwrap();
        let mut told: Vec<String> = effects
            .locks
            .iter()
            .filter(|(_, mode)| **mode > LockMode::AccessShare || expected.contains("ACCESS SHARE"))
            .map(|(name, mode)| format!("{name}: {mode}"))
            .collect();
        let rewrites = effects.findings.iter().filter_map(|finding| match finding {
            Finding::Rewrite { table, .. } => Some(format!("rewrites {table}")),
            _ => None,
        });
        told.extend(rewrites);
        let reads = |finding: &Finding| matches!(finding, Finding::Scan { .. } | Finding::IndexBuild { .. });
        told.extend(effects.findings.iter().any(reads).then(|| "reads".to_owned()));
        told.extend(effects.alone.then(|| "alone".to_owned()));
        told.sort();
        let mut wanted: Vec<String> =
            expected.split(", ").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
        wanted.sort();
        assert_eq!(told, wanted, "{sql}");
        count += 1;
    }
    assert!(count >= 80, "{count}");
}

#[test]
fn what_is_no_script_says_where_and_why() {
    for (text, words) in [
        ("", "holds no statement"),
        ("-- nothing\n", "holds no statement"),
        ("ALTER TABLE s.t\n  ADD COLUMN x int;\nALTER TABEL s.t ADD y int", "line 3, column 7: syntax error"),
        ("SELECT 'ä', FROM s.t", "line 1, column 13"),
        ("\n\n  SELECT (1", "line 3, column 12: syntax error at end of input"),
        ("BEGIN; DROP TABLE s.t; COMMIT", "line 1: BEGIN has no place"),
        ("DROP TABLE s.t;\n/* a /* b */ */ -- c\nSET lock_timeout = 1", "line 3: SET has no place"),
        ("CREATE INDEX ON t (a)", "CREATE INDEX does not say where t is"),
        ("UPDATE t SET a = 1", "UPDATE does not say where t is"),
        ("CREATE TEMP TABLE x (a int)", "CREATE TABLE has no place"),
        ("COPY s.t FROM STDIN", "COPY FROM has no place"),
        ("PREPARE p AS DELETE FROM s.t", "PREPARE has no place"),
    ] {
        let error = Script::parse("v1.sql", text).expect_err(text).to_string();
        assert!(error.starts_with("v1.sql") && error.contains(words), "{text}: {error}");
    }
    let long = format!("SELECT '{}'", "x".repeat(LONGEST));
    assert!(matches!(Script::parse("v1.sql", &long), Err(ScriptError::TooLong { .. })));
    let many = "SELECT 1;".repeat(501);
    assert!(matches!(Script::parse("v1.sql", &many), Err(ScriptError::TooMany { count: 501, .. })));
    // Further in than a text's errors are looked for at once.
    let far = format!("{}SELEC 1;", "SELECT 'some text that makes it long';\n".repeat(450));
    let error = Script::parse("v1.sql", &far).expect_err("it is none").to_string();
    assert!(error.contains("line 451, column 1: syntax error"), "{error}");
    for name in ["", "a/b", "a\nb", "a\u{1b}[2Jb", &"x".repeat(201)] {
        assert_eq!(Script::parse(name, "SELECT 1").err(), Some(ScriptError::Name), "{name}");
    }
}

#[test]
fn a_script_that_a_terminal_shows_otherwise_than_it_runs_is_refused() {
    let fine = "-- one\r\nDROP TABLE s.t;\r\nSELECT 1;\n";
    assert!(Script::parse("v1.sql", fine).is_ok(), "line ends of Windows are line ends");
    for (text, line) in [
        // PostgreSQL ends a comment there, and runs what follows.
        ("SELECT 1;\n-- harmless\rDROP TABLE s.t;", 2),
        ("SELECT 1;\r", 1),
        ("SELECT 1;\r\r\n", 1),
        ("SELECT 'a\rb'", 1),
    ] {
        let error = Script::parse("v1.sql", text).expect_err(text);
        assert_eq!(error, ScriptError::LoneReturn { name: "v1.sql".to_owned(), line });
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_script_says_its_schemas_and_lines() {
    let text = "CREATE VIEW a.v AS SELECT * FROM b.t;\nUPDATE \"C\".t SET x = (SELECT 1 FROM d.t);\nSELECT 1 FROM e.t";
    let schemas = script(text).schemas();
    assert_eq!(
        schemas.into_iter().collect::<Vec<_>>(),
        [("\"C\"".to_owned(), vec![2]), ("a".to_owned(), vec![1]), ("b".to_owned(), vec![1])]
    );
}

fn reviewed(text: &str, catalog: &Catalog, rules: &[Rule]) -> Migration {
    script(text).review(catalog, &Classification::of(rules, catalog), 1)
}

/// A statement's hazards as `severity kind`.
fn hazards(migration: &Migration, index: usize) -> Vec<String> {
    let told = |hazard: &crate::core::model::Hazard| {
        format!(
            "{} {}",
            hazard.severity.as_str(),
            serde_json::to_value(hazard.kind).unwrap().as_str().unwrap()
        )
    };
    migration.statements[index].hazards.iter().map(told).collect()
}

fn shop() -> Catalog {
    let columns = [("id", "bigint"), ("email", "text"), ("total", "integer")];
    let big = Relation { rows: Some(5_000_000), ..relation("s.orders", &columns) };
    let small = Relation { rows: Some(50), ..relation("s.kinds", &[("id", "bigint")]) };
    let read = (TableName::new("s", "orders"), "total".to_owned());
    let view = Relation {
        kind: RelationKind::View,
        reads: vec![read],
        ..relation("s.sums", &[("total", "integer")])
    };
    Catalog { relations: vec![big, small, view], ..Catalog::default() }
}

#[test]
fn r2_2_hazards_are_told_with_their_size_and_a_safer_way() {
    let rules = [Rule {
        selector: Selector::Column { table: TableName::new("s", "orders"), column: "email".into() },
        classified: Classified { sensitivity: Sensitivity::Pii, mask: Mask::Null },
    }];
    let one = |text: &str| hazards(&reviewed(text, &shop(), &rules), 0);
    for (text, expected) in [
        ("CREATE INDEX ON s.orders (total)", &["danger index_not_concurrent"][..]),
        ("CREATE INDEX ON s.kinds (id)", &["note index_not_concurrent"]),
        ("CREATE INDEX CONCURRENTLY i ON s.orders (total)", &["note not_in_transaction"]),
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON s.orders (total)",
            &["caution index_not_concurrent", "note not_in_transaction"],
        ),
        ("ALTER TABLE s.orders ALTER COLUMN id TYPE numeric", &["danger rewrite"]),
        ("ALTER TABLE s.orders ALTER COLUMN total TYPE bigint", &["danger dependent", "danger rewrite"]),
        ("ALTER TABLE s.orders ADD COLUMN x int", &["note blocks_reads"]),
        ("ALTER TABLE s.orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID", &["note blocks_reads"]),
        ("ALTER TABLE s.orders ADD CONSTRAINT c CHECK (total > 0)", &["danger full_scan"]),
        (
            "ALTER TABLE s.orders DROP COLUMN total",
            &["danger drops_data", "danger dependent", "note blocks_reads"],
        ),
        (
            "ALTER TABLE s.orders DROP COLUMN email",
            &["danger drops_data", "note dependent", "note blocks_reads"],
        ),
        (
            "ALTER TABLE s.orders RENAME COLUMN email TO mail",
            &["danger unmasks", "caution renames", "note blocks_reads"],
        ),
        ("ALTER TABLE s.orders RENAME TO bills", &["danger unmasks", "caution renames", "note blocks_reads"]),
        ("ALTER TABLE s.orders ALTER COLUMN email TYPE varchar", &["note unmasks", "note blocks_reads"]),
        ("UPDATE s.orders SET total = 0", &["danger unbounded_change"]),
        ("DELETE FROM s.kinds", &["note unbounded_change"]),
        ("UPDATE s.orders SET total = 0 WHERE id = 1", &[]),
        ("TRUNCATE s.orders", &["danger drops_data", "note blocks_reads"]),
        ("ALTER TABLE s.nothing ADD COLUMN x int", &["danger missing", "note blocks_reads"]),
        ("ALTER TABLE IF EXISTS s.nothing ADD COLUMN x int", &["note blocks_reads"]),
        ("ALTER TYPE s.mood ADD VALUE 'x'", &["note new_enum_value"]),
    ] {
        assert_eq!(one(text), expected, "{text}");
    }
    let told = reviewed("CREATE INDEX ON s.orders (total)", &shop(), &[]);
    let hazard = &told.statements[0].hazards[0];
    assert_eq!(
        hazard.why,
        "an index is built: all rows of s.orders (about 5000 thousand) are read while nobody can write it (SHARE)"
    );
    assert!(hazard.instead.as_deref().is_some_and(|way| way.starts_with("CREATE INDEX CONCURRENTLY")));
    assert_eq!((hazard.kind, hazard.severity), (HazardKind::IndexNotConcurrent, Severity::Danger));
}

#[test]
fn what_a_script_makes_itself_is_no_hazard_and_locks_add_up() {
    let text = "CREATE TABLE s.new (id int);\nCREATE INDEX ON s.new (id);\nALTER TABLE s.new ADD x int DEFAULT random();\n\
                UPDATE s.orders SET total = 0 WHERE id = 1;\nALTER TABLE s.kinds ADD x int;\nALTER TABLE s.orders ADD x int;\n\
                VACUUM s.kinds;\nALTER TABLE s.orders ADD y int";
    let migration = reviewed(text, &shop(), &[]);
    for index in 0..3 {
        assert_eq!(hazards(&migration, index), Vec::<String>::new(), "{index}");
    }
    assert_eq!(hazards(&migration, 5), ["caution lock_order", "note blocks_reads"], "it grows");
    assert_eq!(hazards(&migration, 7), ["note blocks_reads"], "a new transaction");
    let two = reviewed("ALTER TABLE s.kinds ADD x int; ALTER TABLE s.orders ADD x int", &shop(), &[]);
    assert_eq!(hazards(&two, 1), ["note blocks_reads", "note lock_order"]);
}

#[test]
fn a_script_runs_in_the_fewest_pieces() {
    let pieces_of = |text: &str, from: usize| {
        let migration = reviewed(text, &of_cases(), &[]);
        pieces(&migration.statements, from)
            .into_iter()
            .map(|piece| (piece.statements.start, piece.statements.end, piece.in_transaction))
            .collect::<Vec<_>>()
    };
    let text = "DROP TABLE s.a; DROP TABLE s.b; CREATE INDEX CONCURRENTLY ON s.t (n); VACUUM s.t; DROP TABLE s.c; DROP TABLE s.d";
    let whole = [(0, 2, true), (2, 3, false), (3, 4, false), (4, 6, true)];
    assert_eq!(pieces_of(text, 0), whole);
    assert_eq!(pieces_of(text, 2), whole[1..]);
    assert_eq!(pieces_of(text, 5), [(5, 6, true)]);
    assert_eq!(pieces_of(text, 6), []);
    let used = "ALTER TYPE s.mood ADD VALUE 'it''s'; UPDATE s.t SET name = 'it''s'";
    assert_eq!(pieces_of(used, 0), [(0, 1, true), (1, 2, true)]);
    assert_eq!(pieces_of("ALTER TYPE s.mood ADD VALUE 'x'; UPDATE s.t SET name = 'y'", 0), [(0, 2, true)]);
}

#[test]
fn statements_keep_their_text_and_lines() {
    let text = "-- first\r\nALTER TABLE s.t\n  ADD x int ;\n\n/* second */ DROP TABLE s.p\n";
    let migration = reviewed(text, &of_cases(), &[]);
    let told: Vec<_> =
        migration.statements.iter().map(|one| (migration.text_of(one), one.line, one.last_line)).collect();
    assert_eq!(told, [("ALTER TABLE s.t\n  ADD x int", 2, 3), ("DROP TABLE s.p", 5, 5)]);
    // Of the text as it is: `printf 'DROP TABLE s.p' | sha256sum`.
    let sha256 = reviewed("DROP TABLE s.p", &of_cases(), &[]).sha256;
    assert_eq!(sha256, "d8119d20be878a4847b5672cc16d202dd591b31d0c068585f0842484f46cdff5");
}

// ---- comparing ---------------------------------------------------------------

const SCRIPT: &str =
    "ALTER TABLE s.t ADD a int; CREATE INDEX CONCURRENTLY ON s.t (n); UPDATE s.t SET n = 1 WHERE id = 1";

fn ok(tag: &str) -> Option<StatementResult> {
    Some(StatementResult::Ok { tag: tag.to_owned() })
}

fn failed() -> Option<StatementResult> {
    Some(StatementResult::Error { sqlstate: "55P03".into(), message: "lock timeout".into() })
}

/// Records of one connection, one after the other.
fn records(of: &[(&str, Option<StatementResult>)]) -> Vec<Ran> {
    let record = |(index, (text, result)): (usize, &(&str, Option<StatementResult>))| Ran {
        seq: index as u64,
        at: Timestamp::from_second(index as i64).unwrap(),
        session: SessionId::from_stored("ses-1"),
        connection: "con-1".into(),
        text: (*text).to_owned(),
        redacted: false,
        result: result.clone(),
        duration_us: Some(1000),
        over: true,
    };
    of.iter().enumerate().map(record).collect()
}

fn states(of: &[(&str, Option<StatementResult>)]) -> (Vec<RunState>, bool, usize) {
    let compared = compare(&reviewed(SCRIPT, &of_cases(), &[]), records(of));
    (compared.statements.iter().map(|one| one.state).collect(), compared.same, compared.others.len())
}

const ADD: &str = "ALTER TABLE s.t ADD a int";
const INDEX: &str = "CREATE INDEX CONCURRENTLY ON s.t (n)";
const UPDATE: &str = "UPDATE s.t SET n = 1 WHERE id = 1";

/// Values that nobody may read are not compared; all else is.
#[test]
fn r5_2_a_redacted_statement_is_compared_without_its_values() {
    let script = reviewed(SCRIPT, &of_cases(), &[]);
    let mut all = records(&[
        ("SET lock_timeout = '5s'", ok("SET")),
        (ADD, ok("ALTER TABLE")),
        (INDEX, ok("CREATE INDEX")),
        (UPDATE, ok("UPDATE 1")),
    ]);
    let redact = |record: &mut Ran| {
        let shown = crate::core::sql::redact(&record.text);
        (record.redacted, record.text) = (shown != record.text, shown);
    };
    all.iter_mut().for_each(redact);
    assert!(all[3].redacted && all[3].text == "UPDATE s.t SET n = ? WHERE id = ?", "{:?}", all[3]);
    let compared = compare(&script, all.clone());
    assert!(!compared.same && compared.others.is_empty(), "nobody saw its values: {compared:?}");
    assert_eq!(compared.without_values, 1);
    assert!(compared.statements.iter().all(|one| one.state == RunState::Ran), "{compared:?}");
    all[3].text = "UPDATE s.t SET m = ? WHERE id = ?".to_owned();
    let other = compare(&script, all);
    assert!(!other.same && other.others[0].differs, "{other:?}");
}

#[test]
fn r5_2_what_became_of_each_statement_is_told() {
    use RunState::*;
    let begin = || ("BEGIN", ok("BEGIN"));
    let commit = || ("COMMIT", ok("COMMIT"));
    let add = || (ADD, ok("ALTER TABLE"));
    let index = || (INDEX, ok("CREATE INDEX"));
    let update = || (UPDATE, ok("UPDATE 1"));
    let whole = vec![
        ("SET lock_timeout = '5s'", ok("SET")),
        begin(),
        add(),
        commit(),
        index(),
        begin(),
        update(),
        commit(),
    ];
    assert_eq!(states(&whole), (vec![Ran, Ran, Ran], true, 0));
    let by_itself = [add(), index(), update()];
    assert_eq!(states(&by_itself), (vec![Ran, Ran, Ran], true, 0));
    let spelt = [("alter  table s.t ADD a int -- x", ok("ALTER TABLE"))];
    assert_eq!(states(&spelt).0[0], NotRun, "another spelling is another statement");
    let spaced = [("/* c */ ALTER TABLE s.t\n\tADD a int;", ok("ALTER TABLE"))];
    assert_eq!(states(&spaced).0[0], Ran);
    for (name, records, expected) in [
        ("nothing", vec![], vec![NotRun, NotRun, NotRun]),
        (
            "in a block that was rolled back",
            vec![begin(), add(), ("ROLLBACK", ok("ROLLBACK"))],
            vec![RolledBack, NotRun, NotRun],
        ),
        (
            "its COMMIT rolled back",
            vec![begin(), add(), (UPDATE, failed()), ("COMMIT", ok("ROLLBACK"))],
            vec![RolledBack, NotRun, Failed],
        ),
        ("its connection ended", vec![begin(), add()], vec![RolledBack, NotRun, NotRun]),
        (
            "its COMMIT was not answered",
            vec![begin(), add(), ("COMMIT", Some(StatementResult::Unknown))],
            vec![Unknown, NotRun, NotRun],
        ),
        ("not answered", vec![add(), (INDEX, Some(StatementResult::Unknown))], vec![Ran, Unknown, NotRun]),
        ("failed, then ran", vec![(ADD, failed()), add()], vec![Ran, NotRun, NotRun]),
        ("twice", vec![add(), add()], vec![RanTwice, NotRun, NotRun]),
        (
            "back to a savepoint",
            vec![
                begin(),
                add(),
                ("SAVEPOINT a", ok("SAVEPOINT")),
                update(),
                ("ROLLBACK TO a", ok("ROLLBACK")),
                commit(),
            ],
            vec![Ran, NotRun, RolledBack],
        ),
        (
            "refused",
            vec![(ADD, Some(StatementResult::Refused { sqlstate: "42501".into(), message: "no".into() }))],
            vec![Refused, NotRun, NotRun],
        ),
        (
            "chained",
            vec![begin(), add(), ("COMMIT AND CHAIN", ok("COMMIT")), update(), ("ROLLBACK", ok("ROLLBACK"))],
            vec![Ran, NotRun, RolledBack],
        ),
    ] {
        let (told, same, _) = states(&records);
        assert_eq!((told, same), (expected, false), "{name}");
    }
}

#[test]
fn r5_2_order_and_what_is_not_in_the_script_count() {
    let migration = reviewed(SCRIPT, &of_cases(), &[]);
    let disordered = compare(
        &migration,
        records(&[(UPDATE, ok("UPDATE 1")), (ADD, ok("ALTER TABLE")), (INDEX, ok("CREATE INDEX"))]),
    );
    assert!(
        !disordered.same && disordered.statements[0].out_of_order && !disordered.statements[2].out_of_order
    );
    let whole = [(ADD, ok("ALTER TABLE")), (INDEX, ok("CREATE INDEX")), (UPDATE, ok("UPDATE 1"))];
    for (text, result, same) in [
        ("SELECT count(*) FROM s.t", ok("SELECT 1"), true),
        ("SHOW work_mem", ok("SHOW"), true),
        ("DELETE FROM s.t", ok("DELETE 9"), false),
        ("SELECT setval('s.numbers', 9)", ok("SELECT 1"), false),
        ("SELECT s.f()", ok("SELECT 1"), false),
        ("DELETE FROM s.t", failed(), true),
        ("DROP TABLE s.p; DROP TABLE s.t", ok("DROP TABLE"), false),
    ] {
        let all = [&whole[..], &[(text, result)]].concat();
        assert_eq!(compare(&migration, records(&all)).same, same, "{text}");
    }
    // One message is one transaction: the error undoes what came before it.
    let mut message = records(&[(ADD, ok("ALTER TABLE")), (UPDATE, failed())]);
    message[1].at = message[0].at;
    let together = compare(&migration, message);
    assert_eq!(together.statements[0].state, RunState::RolledBack);
    // Equal statements are counted apart.
    let twice = reviewed("INSERT INTO s.p VALUES (1); INSERT INTO s.p VALUES (1)", &of_cases(), &[]);
    let insert = ("INSERT INTO s.p VALUES (1)", ok("INSERT 0 1"));
    assert_eq!(remaining(&compare(&twice, records(std::slice::from_ref(&insert)))), Ok(Some(1)));
    assert!(compare(&twice, records(&[insert.clone(), insert.clone()])).same);
    assert!(!compare(&twice, records(&[insert.clone(), insert.clone(), insert])).same);
}

#[test]
fn a_migration_goes_on_only_where_that_is_certain() {
    let migration = reviewed(SCRIPT, &of_cases(), &[]);
    let next = |of: &[(&str, Option<StatementResult>)]| remaining(&compare(&migration, records(of)));
    let add = (ADD, ok("ALTER TABLE"));
    assert_eq!(next(&[]), Ok(Some(0)));
    assert_eq!(next(&[add.clone(), (INDEX, failed())]), Ok(Some(1)));
    assert_eq!(next(&[add.clone(), (INDEX, ok("CREATE INDEX")), (UPDATE, ok("UPDATE 1"))]), Ok(None));
    for (records, words) in [
        (vec![(INDEX, Some(StatementResult::Unknown))], "statement 2 (line 1): the connection broke"),
        (vec![(UPDATE, ok("UPDATE 1"))], "statement 3 (line 1) took effect before"),
        (vec![add.clone(), add], "took effect twice"),
    ] {
        let error = next(&records).expect_err(words).1;
        assert!(error.contains(words), "{error}");
    }
}
