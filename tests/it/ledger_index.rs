//! The index of the ledger: what was asked is found, and it heals.

use dbaccess::core::model::{
    ConnectionId, GrantId, PersonRef, SessionId, StatementFacts, StatementRecord, StatementResult,
};
use dbaccess::proto::AuditQuery;
use dbaccess::server::journal::{EventQuery, Index, Journal, Options, Position};
use std::borrow::Cow;
use std::fs;
use std::path::Path;

pub fn intent(n: u8, person: &str, target: &str, text: &str) -> String {
    let record = StatementRecord::Intent {
        // A session has one target.
        session: Cow::Owned(SessionId::from_stored(match target {
            "prod" => format!("ses-{n}abd"),
            _ => format!("ses-{n}abc"),
        })),
        grant: Cow::Owned(GrantId::from_stored("grt-1")),
        connection: Cow::Owned(ConnectionId::from_stored("con-1")),
        person: Cow::Owned(PersonRef {
            subject: format!("sub-{person}"),
            email: format!("{person}@example.com"),
        }),
        target: target.into(),
        text: text.into(),
        parameters: Cow::Owned(vec![Some("7".to_owned()), None]),
        parameters_sha256: None,
        sealed: None,
        class: "select".into(),
        facts: Some(Cow::Owned(StatementFacts::of(&serde_json::json!({"verbs": ["SELECT"]})))),
    };
    serde_json::to_string(&record).unwrap()
}

pub fn outcome(n: u8, intent: Position, rows: u64) -> String {
    let record = StatementRecord::Outcome {
        intent: intent.0,
        session: Cow::Owned(SessionId::from_stored(format!("ses-{n}abc"))),
        result: StatementResult::Ok { tag: format!("SELECT {rows}") },
        rows,
        bytes: 10 * rows,
        duration_us: 250,
        shape: None,
        export: None,
        sealed: None,
    };
    serde_json::to_string(&record).unwrap()
}

pub async fn append(journal: &Journal, body: String) -> Position {
    let position = journal.append(dbaccess::os::now(), body).await.unwrap();
    journal.written(position).await.unwrap();
    position
}

async fn texts(index: &Index, query: AuditQuery) -> Vec<String> {
    index.statements(&query).await.unwrap().into_iter().map(|row| row.text).collect()
}

#[tokio::test]
async fn r5_1_statements_are_found_with_their_outcomes() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) =
        Journal::open(dir.path(), Options { segment_bytes: 1500, ..Options::default() }).unwrap();
    let index = Index::open(dir.path(), &dir.path().join("index.db")).unwrap();
    let first = append(&journal, intent(1, "alice", "shop", "one")).await;
    let opened = append(&journal, r#"{"kind":"session.opened","session":"ses-1abc"}"#.into()).await;
    let second = append(&journal, intent(1, "alice", "prod", "two")).await;
    append(&journal, outcome(1, second, 3)).await;
    let third = append(&journal, intent(2, "bob", "shop", &"three".repeat(500_000))).await;
    append(&journal, r#"{"kind":"session.ending","session":"ses-1abc"}"#.into()).await;
    index.catch_up(journal.last_written()).await.unwrap();

    let all = index.statements(&AuditQuery::default()).await.unwrap();
    assert_eq!(all.iter().map(|row| row.seq).collect::<Vec<_>>(), [third.0, second.0, first.0]);
    assert_eq!(all[0].text.len(), 2_500_000, "a record beside the chain is found whole");
    assert_eq!(all[1].result, Some(StatementResult::Ok { tag: "SELECT 3".into() }));
    assert_eq!((all[1].rows, all[1].bytes, all[1].duration_us), (3, 30, Some(250)));
    assert_eq!((&all[2].result, all[2].duration_us), (&None, None));
    assert_eq!(all[2].parameters, [Some("7".to_owned()), None]);
    assert_eq!(all[2].facts, Some(serde_json::json!({"verbs": ["SELECT"]})));
    assert_eq!(all[2].person.email, "alice@example.com");

    // An outcome may come when the intent has long been indexed.
    append(&journal, outcome(1, first, 9)).await;
    index.catch_up(journal.last_written()).await.unwrap();
    let query = AuditQuery { before: Some(second.0), ..AuditQuery::default() };
    assert_eq!(index.statements(&query).await.unwrap()[0].rows, 9);

    let ask = AuditQuery::default;
    let three = "three".repeat(500_000);
    for (query, expected) in [
        (AuditQuery { person: Some("Alice@Example.com".into()), ..ask() }, vec!["two", "one"]),
        (AuditQuery { person: Some("sub-bob".into()), ..ask() }, vec![three.as_str()]),
        (AuditQuery { person: Some("alice".into()), ..ask() }, vec![]),
        (AuditQuery { session: Some("ses-1".into()), ..ask() }, vec!["two", "one"]),
        (AuditQuery { session: Some("ses-%".into()), ..ask() }, vec![]),
        (AuditQuery { target: Some("shop".into()), limit: Some(1), ..ask() }, vec![three.as_str()]),
        (AuditQuery { target: Some("shop".into()), before: Some(third.0), ..ask() }, vec!["one"]),
        (AuditQuery { since: Some(all[1].at), before: Some(third.0), ..ask() }, vec!["two"]),
        (AuditQuery { person: Some("' OR 1=1 --".into()), ..ask() }, vec![]),
    ] {
        assert_eq!(texts(&index, query.clone()).await, expected, "{query:?}");
    }

    let events = |kind: &str| EventQuery { kind: Some(kind.into()), ..EventQuery::default() };
    let found = index.events(&events("session.")).await.unwrap();
    let kinds: Vec<_> = found.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["session.ending", "session.opened"]);
    assert_eq!(
        (found[1].seq, found[1].body.as_str()),
        (opened.0, r#"{"kind":"session.opened","session":"ses-1abc"}"#)
    );
    let query = EventQuery { before: Some(found[0].seq), ..events("session.") };
    assert_eq!(index.events(&query).await.unwrap().len(), 1);
    assert!(!index.events(&events("checkpoint")).await.unwrap().is_empty());
    journal.close().await.unwrap();
}

async fn reopened(dir: &Path, upto: Position) -> Vec<String> {
    let index = Index::open(dir, &dir.join("index.db")).unwrap();
    index.catch_up(upto).await.unwrap();
    texts(&index, AuditQuery::default()).await
}

#[tokio::test]
async fn the_index_continues_where_it_stopped_and_is_made_anew_when_it_must() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
    let first = append(&journal, intent(1, "alice", "shop", "one")).await;
    assert_eq!(reopened(dir.path(), first).await, ["one"]);
    let second = append(&journal, intent(1, "alice", "shop", "two")).await;
    assert_eq!(reopened(dir.path(), second).await, ["two", "one"]);
    assert_eq!(reopened(dir.path(), first).await, ["two", "one"], "an older position changes nothing");

    fs::remove_file(&path).unwrap();
    assert_eq!(reopened(dir.path(), second).await, ["two", "one"]);
    fs::write(&path, "this is no database, however long one looks at it".repeat(100)).unwrap();
    assert_eq!(reopened(dir.path(), second).await, ["two", "one"]);
    journal.close().await.unwrap();

    // Another ledger in the same place, as after a power cut that took indexed lines.
    for lines in [1, 5] {
        let other = tempfile::tempdir().unwrap();
        for name in ["index.db", "index.db-wal", "index.db-shm"] {
            if dir.path().join(name).exists() {
                fs::copy(dir.path().join(name), other.path().join(name)).unwrap();
            }
        }
        let (journal, _) = Journal::open(other.path(), Options::default()).unwrap();
        let mut last = Position(0);
        for _ in 0..lines {
            last = append(&journal, intent(3, "carol", "shop", "other")).await;
        }
        assert_eq!(reopened(other.path(), last).await, vec!["other"; lines]);
        journal.close().await.unwrap();
    }
}

#[tokio::test]
async fn r10_3_what_a_session_used_adds_up_over_batches_and_comes_back_from_the_segments() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.db");
    let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
    let index = Index::open(dir.path(), &path).unwrap();
    let first = append(&journal, intent(1, "alice", "shop", "one")).await;
    index.catch_up(first).await.unwrap();
    append(&journal, intent(2, "bob", "shop", "two")).await;
    append(&journal, intent(1, "alice", "shop", "three").replace("SELECT", "UPDATE")).await;
    append(&journal, r#"{"kind":"session.dead","session":"ses-1abc"}"#.into()).await;
    let asked = |n: u8| SessionId::from_stored(format!("ses-{n}abc"));
    let check = async |index: &Index| {
        index.catch_up(journal.last_written()).await.unwrap();
        let found = index.usage(vec![asked(1), asked(3)]).await.unwrap();
        let [(session, usage)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((session, usage.first.seq), (&asked(1), first.0));
        assert_eq!(usage.used.verbs, ["SELECT", "UPDATE"].map(str::to_owned).into());
        let lives = index.lives(jiff::Timestamp::UNIX_EPOCH, 0, 9).await.unwrap();
        assert_eq!(lives.iter().map(|row| row.kind.as_str()).collect::<Vec<_>>(), ["session.dead"]);
        assert!(index.lives(dbaccess::os::now(), 0, 9).await.unwrap().is_empty());
    };
    check(&index).await;
    drop(index);
    fs::remove_file(&path).unwrap();
    check(&Index::open(dir.path(), &path).unwrap()).await;
    journal.close().await.unwrap();
}
