//! Statements: facts, and the guard's answer to them.

use super::{Target, kind};
use dbaccess::core::guard::{Permit, TxStatus, Verdict, Vocabulary, check as judge};
use dbaccess::core::model::{
    Budget, GrantId, Objects, Path, Permission, PersonRef, Scope, SessionId, TableName,
};
use dbaccess::core::sql::{Class, SqlError, analyse};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

pub fn sql() -> Target {
    fn check(data: &[u8]) -> u64 {
        let text = String::from_utf8_lossy(data);
        let facts = analyse(&text);
        assert_eq!(facts, analyse(&text), "the same text, the same facts");
        let facts = match facts {
            Ok(facts) => facts,
            Err(error) => {
                if let SqlError::Syntax { position: Some(position), .. } = &error {
                    assert!((1..=text.chars().count() + 1).contains(position), "{position}");
                }
                assert_eq!(error.sqlstate().len(), 5);
                return kind(super::shape(&error.to_string()));
            }
        };
        let mut end = 0;
        let mut answers = Vec::new();
        for statement in &facts.statements {
            let range = statement.range.clone();
            assert!(end <= range.start && range.start < range.end, "{range:?} behind {end}");
            end = range.end;
            let own = text.get(range).expect("a range within the text, between characters");
            // A statement is what its own text says, whatever stands around it.
            let alone = analyse(own).expect("a part of a good text is good");
            assert_eq!(alone.statements.len(), 1, "{own}");
            let mut again = alone.statements[0].clone();
            again.range = statement.range.clone();
            assert_eq!(again, *statement, "{own}");
            answers.push((
                statement.class,
                PERMITS.iter().map(|permit| judged(permit, statement)).collect::<Vec<_>>(),
            ));
        }
        kind(answers)
    }
    Target { name: "sql", dictionary: WORDS, seeds, check }
}

/// Whether it passes, and the shape of the refusal.
fn judged(permit: &Permit, statement: &dbaccess::core::sql::Statement) -> Option<String> {
    let answers =
        [TxStatus::Idle, TxStatus::InBlock, TxStatus::Failed].map(|tx| judge(permit, statement, tx));
    let allowed = answers.iter().filter(|answer| matches!(answer, Verdict::Allow(_))).count();
    assert!(allowed == 0 || allowed == 3, "whether it passes does not depend on the transaction");
    match &answers[0] {
        Verdict::Allow(_) => {
            let unknown = statement.classes().any(|class| matches!(class, Class::Unknown(_)));
            assert!(!unknown, "closed by default: {statement:?}");
            None
        }
        Verdict::Refuse(refusal) => {
            assert!(refusal.sqlstate.len() == 5 && !refusal.message.is_empty() && !refusal.hint.is_empty());
            Some(super::shape(&refusal.message))
        }
    }
}

/// One that reads, one that writes, one that exports.
static PERMITS: LazyLock<[Permit; 3]> = LazyLock::new(|| {
    let permit = |more: &[Permission], path| {
        let tables = BTreeSet::from([TableName::new("public", "users")]);
        let objects = Objects::Only { schemas: BTreeSet::new(), tables };
        let permissions = more.iter().copied().chain([Permission::Read]).collect();
        Permit {
            session: SessionId::from_stored("ses-1"),
            grant: GrantId::from_stored("grt-1"),
            person: PersonRef { subject: "alice".into(), email: "alice@example.org".into() },
            target: "prod".into(),
            scope: Scope::new(objects, permissions),
            path,
            until: jiff::Timestamp::UNIX_EPOCH,
            views: Arc::default(),
            vocabulary: Arc::new(Vocabulary::default()),
            budget: Budget::UNLIMITED,
            script: None,
        }
    };
    [
        permit(&[], Path::ReadOnly),
        permit(&[Permission::Write], Path::Write),
        permit(&[Permission::Export], Path::ReadOnly),
    ]
});

/// The statements of the red-team corpus.
fn seeds() -> Vec<Vec<u8>> {
    let corpora = [include_str!("../../redteam/corpus.jsonl"), include_str!("../../redteam/more.jsonl")];
    let mut seeds = Vec::new();
    for case in corpora.iter().flat_map(|corpus| corpus.lines()) {
        let case: serde_json::Value = serde_json::from_str(case).unwrap();
        for statement in case["statements"].as_array().into_iter().flatten() {
            let text = statement.as_str().or(statement["sql"].as_str()).unwrap();
            seeds.push(text.as_bytes().to_vec());
        }
    }
    seeds
}

const WORDS: &[&[u8]] = &[
    b"SELECT ",
    b" FROM users ",
    b"WITH x AS (",
    b"RECURSIVE ",
    b") ",
    b"(",
    b" UNION ALL ",
    b" WHERE ",
    b"; ",
    b"EXPLAIN (ANALYZE) ",
    b"PREPARE p AS ",
    b"EXECUTE p(1)",
    b"DECLARE c CURSOR WITH HOLD FOR ",
    b"FETCH ALL c",
    b"COPY (",
    b") TO STDOUT",
    b"COPY users FROM STDIN",
    b"CREATE TEMP TABLE t AS ",
    b"INSERT INTO users VALUES (1)",
    b" ON CONFLICT DO NOTHING",
    b" RETURNING *",
    b"UPDATE users SET note = ",
    b"DELETE FROM users",
    b"MERGE INTO users u USING x ON true WHEN MATCHED THEN DELETE",
    b"SET ",
    b"SET LOCAL ",
    b"RESET ALL",
    b"set_config('search_path','x',false)",
    b"SHOW all",
    b"DO $$ begin end $$",
    b"CALL f()",
    b"BEGIN",
    b"COMMIT AND CHAIN",
    b"ROLLBACK TO s",
    b"SAVEPOINT s",
    b"LOCK users IN SHARE MODE",
    b" FOR UPDATE",
    b"LISTEN a",
    b"NOTIFY a, 'x'",
    b"VACUUM",
    b"ALTER ROLE CURRENT_USER SET x = 1",
    b"GRANT ALL ON users TO PUBLIC",
    b"/*",
    b"*/",
    b"--",
    b"\n",
    b"'",
    b"\"",
    b"$$",
    b"$a$",
    b"E'\\''",
    b"U&'\\0041'",
    b"U&\"d\\0061t\"",
    b"B'1'",
    b"::text",
    b"::regclass",
    b"(u).email",
    b"u.*",
    b" OPERATOR(public.##) ",
    b" LATERAL ",
    b" TABLESAMPLE SYSTEM (1) REPEATABLE (1) ",
    b"XMLTABLE('/' PASSING x COLUMNS a text)",
    b"JSON_TABLE(j, '$' COLUMNS (a text PATH '$.a'))",
    b"GROUPING SETS ((), (a))",
    b" OVER (ORDER BY a ROWS 1 PRECEDING)",
    b"ARRAY[",
    b"]",
    b"ROW(",
    b"CASE WHEN ",
    b" END",
    b"pg_sleep(1)",
    b"query_to_xml('x',true,true,'')",
    b"lo_import('x')",
    b"pg_read_file('x')",
    b"nextval('s')",
    b"pg_advisory_lock(1)",
    b"\xc3\xa9",
    b"\xe2\x98\x83",
    b"\xc2\xa0",
    b"\xef\xbb\xbf",
    b"\0",
    b"$1",
    b"0x1F",
    b"1_000",
    b"1e9",
    b".5",
    b"..",
    b":=",
    b"=>",
    b"IS DISTINCT FROM NULL",
];
