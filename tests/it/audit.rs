//! Audit questions (R5.2): what was asked is found, by any of it, and counted.

use crate::support::env::TestEnv;
use dbaccess::core::model::{
    ConnectionId, Environment, GrantId, PersonRef, SessionId, StatementRecord, StatementResult,
};
use dbaccess::core::sql;
use dbaccess::proto::{AuditQuery, CountBy, ResultKind, TouchedKind};
use dbaccess::server::journal::{Index, Journal, Options, Position};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::borrow::Cow;

/// A ledger that is written by hand, and its index.
pub struct Past {
    pub dir: tempfile::TempDir,
    pub journal: Journal,
    pub index: Index,
}

impl Past {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
        let index = Index::open(dir.path(), &dir.path().join("index.db")).unwrap();
        Self { dir, journal, index }
    }

    async fn append(&self, at: Timestamp, body: String) -> Position {
        self.journal.append(at, body).await.unwrap()
    }

    /// What a person was granted: public.customers with its e-mail addresses unmasked, and orders.
    pub async fn granted(&self, grant: &str, person: &str, team: &str, environment: &str) {
        let at = dbaccess::os::now();
        let who = json!({"subject": format!("sub-{person}"), "email": format!("{person}@example.com")});
        let scope = json!({
            "objects": {"only": {"schemas": [], "tables": ["public.customers", "public.orders"]}},
            "permissions": ["read", "write", "export"],
            "rows": {}, "unmask": {"public.customers": ["email"]},
        });
        let target = format!("{environment}-shop");
        let facts = json!({
            "subject": who["subject"], "teams": [team], "roles": [], "target": target,
            "environment": environment, "service": null, "owners": [], "permissions": ["read"],
            "level": "table", "objects": "", "tables": ["public.customers", "public.orders"],
            "schemas": ["public"],
            // The card number was asked for, too, and an approver kept it masked.
            "columns": {"public.customers.email": "pii", "public.customers.card": "financial"},
            "sensitivities": ["pii"], "unmask": true, "masked": 1, "window": 3600,
            "business_hours": true, "on_call": false, "incident": "none",
        });
        let decision = json!({
            "tier": "dual", "rules": [], "why": "", "slots": [], "longest": 3600, "policy": "", "facts": facts,
        });
        let request = json!({
            "id": format!("req-{grant}"), "person": who, "target": target, "scope": scope, "path": "write",
            "reason": "tests", "window": 3600, "created_at": at, "expires_at": at, "state": "granted",
            "approvals": [], "closed": null, "grant": null, "decision": decision,
            "incident": {"id": format!("PD-{grant}"), "confirmed": true},
        });
        self.append(at, json!({"kind": "request.created", "request": request}).to_string()).await;
        let issued = json!({
            "id": grant, "request": format!("req-{grant}"), "person": who, "target": target, "scope": scope,
            "path": "write", "from": at, "until": at, "revoked": null,
        });
        self.append(at, json!({"kind": "grant.issued", "grant": issued}).to_string()).await;
    }

    /// A statement under a grant, in the session `ses-GRANT`, and how it ended.
    pub async fn ran(&self, grant: &str, person: &str, text: &str, ended: (StatementResult, u64)) -> u64 {
        self.ran_at(dbaccess::os::now(), grant, person, text, ended).await
    }

    async fn ran_at(
        &self,
        at: Timestamp,
        grant: &str,
        person: &str,
        text: &str,
        (result, rows): (StatementResult, u64),
    ) -> u64 {
        let facts = sql::analyse(text).unwrap();
        let facts = &facts.statements[0];
        let session = SessionId::from_stored(format!("ses-{grant}"));
        let environment = if grant.starts_with('p') { "production" } else { "staging" };
        let intent = StatementRecord::Intent {
            session: Cow::Borrowed(&session),
            grant: Cow::Owned(GrantId::from_stored(grant)),
            connection: Cow::Owned(ConnectionId::from_stored("con-1")),
            person: Cow::Owned(PersonRef {
                subject: format!("sub-{person}"),
                email: format!("{person}@example.com"),
            }),
            target: format!("{environment}-shop").into(),
            text: text.into(),
            parameters: Cow::Owned(Vec::new()),
            parameters_sha256: None,
            sealed: None,
            class: facts.class.verb().into(),
            facts: Some(Cow::Borrowed(&facts.record)),
        };
        let intent = self.append(at, serde_json::to_string(&intent).unwrap()).await;
        let export =
            facts.export.then(|| dbaccess::core::model::Export { sha256: "0".repeat(64), bytes: 1, rows });
        let outcome = StatementRecord::Outcome {
            intent: intent.0,
            session: Cow::Borrowed(&session),
            result,
            rows,
            bytes: 10 * rows,
            duration_us: 250,
            shape: None,
            export,
            sealed: None,
        };
        self.append(at, serde_json::to_string(&outcome).unwrap()).await;
        intent.0
    }

    pub async fn caught_up(&self) {
        let newest = self.journal.last_queued();
        self.journal.written(newest).await.unwrap();
        self.index.catch_up(newest).await.unwrap();
    }

    /// Texts, newest first.
    async fn found(&self, query: AuditQuery) -> Vec<String> {
        let page = self.index.search(query, None).await.unwrap();
        assert_eq!(page.next, None);
        page.statements.into_iter().map(|row| row.text).collect()
    }

    async fn counted(&self, by: CountBy, query: AuditQuery) -> Vec<(String, u64)> {
        let counts = self.index.counts(query, by, None).await.unwrap();
        counts.counts.into_iter().map(|count| (count.key, count.statements)).collect()
    }
}

pub fn ok(rows: u64) -> (StatementResult, u64) {
    (StatementResult::Ok { tag: format!("SELECT {rows}") }, rows)
}

fn refused() -> (StatementResult, u64) {
    (StatementResult::Refused { sqlstate: "42501".into(), message: "no".into() }, 0)
}

const EMAILS: &str = "SELECT email FROM customers";
const ORDERS: &str = "SELECT id FROM public.orders WHERE note = '100%'";
const DELETE: &str = "DELETE FROM orders";
const HIDDEN: &str = "WITH d AS (DELETE FROM public.orders RETURNING id) SELECT count(*) FROM d";
const COPY: &str = "COPY orders TO STDOUT";
const CARDS: &str = "SELECT card FROM customers";
const WHOLE: &str = "SELECT to_json(c) FROM public.customers c";
const CURSOR: &str = "DECLARE c CURSOR FOR SELECT email FROM customers";
const FETCH: &str = "FETCH 100 FROM c";

/// Two people with a session each, on production and on staging, and one
/// session of which the grant is not on record.
async fn past() -> Past {
    let past = Past::new();
    past.granted("prod1", "ana", "orders", "production").await;
    past.granted("stag1", "bo", "support", "staging").await;
    past.ran("prod1", "ana", EMAILS, ok(3)).await;
    past.ran("prod1", "ana", ORDERS, ok(5_000)).await;
    past.ran("prod1", "ana", DELETE, refused()).await;
    past.ran("prod1", "ana", HIDDEN, ok(1)).await;
    past.ran("prod1", "ana", CARDS, ok(2)).await;
    past.ran("stag1", "bo", COPY, ok(7)).await;
    past.ran("stag1", "bo", WHOLE, ok(1)).await;
    past.ran("stag1", "bo", CURSOR, ok(0)).await;
    past.ran("stag1", "bo", FETCH, ok(100)).await;
    past.ran("lost1", "cy", EMAILS, ok(1)).await;
    past.caught_up().await;
    past
}

#[tokio::test]
async fn r5_2_whoever_follows_goes_from_page_to_page_and_misses_nothing() {
    let past = past().await;
    let follow = async |query: AuditQuery, limit: u32| {
        let (mut after, mut texts) = (0, Vec::new());
        loop {
            let query = AuditQuery { after: Some(after), limit: Some(limit), ..query.clone() };
            let page = past.index.search(query, None).await.unwrap();
            if page.statements.is_empty() {
                return (texts, page.next.unwrap());
            }
            texts.extend(page.statements.into_iter().map(|row| row.text));
            after = page.next.unwrap();
        }
    };
    let all = vec![EMAILS, ORDERS, DELETE, HIDDEN, CARDS, COPY, WHOLE, CURSOR, FETCH, EMAILS];
    for limit in [1, 3, 1000] {
        assert_eq!(follow(AuditQuery::default(), limit).await.0, all, "{limit}");
    }
    let refused = AuditQuery { result: Some(ResultKind::Refused), ..AuditQuery::default() };
    assert_eq!(follow(refused, 1).await.0, vec![DELETE]);
    let texts = AuditQuery { text: Some("FROM customers".into()), ..AuditQuery::default() };
    assert_eq!(follow(texts, 2).await.0, vec![EMAILS, CARDS, CURSOR, EMAILS]);
    let nobody = AuditQuery { person: Some("nobody".into()), ..AuditQuery::default() };
    let (found, newest) = follow(nobody, 9).await;
    assert!(found.is_empty());

    // From now on.
    let beyond = AuditQuery { after: Some(u64::MAX), ..AuditQuery::default() };
    let page = past.index.search(beyond, None).await.unwrap();
    assert_eq!((page.statements.len(), page.next), (0, Some(newest)));
    past.ran("prod1", "ana", DELETE, ok(1)).await;
    past.caught_up().await;
    let later = AuditQuery { after: Some(newest), ..AuditQuery::default() };
    let page = past.index.search(later, None).await.unwrap();
    assert_eq!(page.statements.iter().map(|row| row.text.as_str()).collect::<Vec<_>>(), [DELETE]);
}

#[tokio::test]
async fn r5_2_statements_are_found_by_anything_that_is_said() {
    let past = past().await;
    let ask = AuditQuery::default;
    let text = |text: &str| Some(text.to_owned());
    for (query, expected) in [
        (
            AuditQuery { person: text("ANA@example.com"), ..ask() },
            vec![CARDS, HIDDEN, DELETE, ORDERS, EMAILS],
        ),
        (AuditQuery { team: text("support"), ..ask() }, vec![FETCH, CURSOR, WHOLE, COPY]),
        (AuditQuery { team: text("none"), ..ask() }, vec![]),
        (AuditQuery { target: text("staging-shop"), verb: text("copy to"), ..ask() }, vec![COPY]),
        (AuditQuery { incident: text("PD-stag1"), rows: Some(7), ..ask() }, vec![FETCH, COPY]),
        (AuditQuery { grant: text("prod"), verb: text("delete"), ..ask() }, vec![HIDDEN, DELETE]),
        (AuditQuery { session: text("ses-l"), ..ask() }, vec![EMAILS]),
        // The four questions.
        (
            AuditQuery { table: text("customers"), sensitivity: Some(TouchedKind::Pii), ..ask() },
            vec![CURSOR, WHOLE, EMAILS],
        ),
        (AuditQuery { export: Some(1000), ..ask() }, vec![COPY, ORDERS]),
        (
            AuditQuery { verb: text("DELETE"), environment: Some(Environment::Production), ..ask() },
            vec![HIDDEN, DELETE],
        ),
        // A fetch shows what its session's cursors read; a masked column is not sensitive.
        (AuditQuery { sensitivity: Some(TouchedKind::Any), ..ask() }, vec![FETCH, CURSOR, WHOLE, EMAILS]),
        (AuditQuery { sensitivity: Some(TouchedKind::Financial), ..ask() }, vec![]),
        (AuditQuery { sensitivity: Some(TouchedKind::Unknown), ..ask() }, vec![EMAILS]),
        // A name without a schema may mean any.
        (AuditQuery { table: text("public.orders"), ..ask() }, vec![COPY, HIDDEN, DELETE, ORDERS]),
        (AuditQuery { table: text("other.orders"), ..ask() }, vec![COPY, DELETE]),
        (AuditQuery { table: text("ord%"), ..ask() }, vec![]),
        (AuditQuery { result: Some(ResultKind::Refused), ..ask() }, vec![DELETE]),
        (AuditQuery { result: Some(ResultKind::Ran), verb: text("delete"), ..ask() }, vec![HIDDEN]),
        (AuditQuery { text: text("FROM D"), ..ask() }, vec![HIDDEN]),
        (AuditQuery { text: text("100%"), ..ask() }, vec![ORDERS]),
        (AuditQuery { text: text("or_ers"), ..ask() }, vec![]),
        (AuditQuery { person: text("' OR 1=1 --"), ..ask() }, vec![]),
    ] {
        assert_eq!(past.found(query.clone()).await, expected, "{query:?}");
    }

    // Only one person's, whatever is asked for.
    let only = Some("sub-bo".to_owned());
    let page = past.index.search(AuditQuery { table: text("orders"), ..ask() }, only.clone()).await.unwrap();
    assert_eq!(page.statements.iter().map(|row| row.text.as_str()).collect::<Vec<_>>(), [COPY]);
    let counts = past.index.counts(ask(), CountBy::Person, only).await.unwrap();
    assert_eq!((counts.counts.len(), counts.counts[0].statements), (1, 4));
}

#[tokio::test]
async fn r5_2_statements_are_counted_by_anything() {
    let past = past().await;
    let ask = AuditQuery::default;
    let table: [(CountBy, &[(&str, u64)]); 12] = [
        (CountBy::Person, &[("ana@example.com", 5), ("bo@example.com", 4), ("cy@example.com", 1)]),
        (CountBy::Team, &[("orders", 5), ("support", 4), ("unknown", 1)]),
        (CountBy::Target, &[("production-shop", 5), ("staging-shop", 5)]),
        (CountBy::Environment, &[("production", 5), ("staging", 4), ("unknown", 1)]),
        (
            CountBy::Table,
            &[("customers", 4), ("orders", 2), ("public.orders", 2), ("none", 1), ("public.customers", 1)],
        ),
        (CountBy::Sensitivity, &[("none", 5), ("pii", 4), ("unknown", 1)]),
        (CountBy::Verb, &[("SELECT", 7), ("DELETE", 2), ("COPY TO", 1), ("DECLARE CURSOR", 1), ("FETCH", 1)]),
        (CountBy::Export, &[("neither", 8), ("1000 rows and more", 1), ("copied out", 1)]),
        (CountBy::Grant, &[("prod1", 5), ("stag1", 4), ("lost1", 1)]),
        (CountBy::Session, &[("ses-prod1", 5), ("ses-stag1", 4), ("ses-lost1", 1)]),
        (CountBy::Incident, &[("PD-prod1", 5), ("PD-stag1", 4), ("none", 1)]),
        (CountBy::Result, &[("ok", 9), ("refused", 1)]),
    ];
    for (by, expected) in table {
        let counted = past.counted(by, ask()).await;
        let counted: Vec<(&str, u64)> = counted.iter().map(|(key, n)| (key.as_str(), *n)).collect();
        assert_eq!(counted, expected, "{by:?}");
    }
    assert_eq!(past.counted(CountBy::Day, ask()).await.iter().map(|(_, n)| n).sum::<u64>(), 10);
    let deletes = AuditQuery { verb: Some("delete".into()), limit: Some(1), ..ask() };
    let counts = past.index.counts(deletes.clone(), CountBy::Person, None).await.unwrap();
    assert_eq!((counts.counts[0].refused, counts.counts[0].rows, counts.left_out), (1, 1, 0));
    let counts = past.index.counts(deletes, CountBy::Table, None).await.unwrap();
    assert_eq!((counts.counts.len(), counts.left_out), (1, 1));
}

#[tokio::test]
async fn pages_follow_one_another_to_the_end_of_the_time_that_was_asked_for() {
    let past = Past::new();
    let hour = |n: i64| Timestamp::from_second(1_790_000_000 + 3600 * n).unwrap();
    for n in 0..100 {
        // The clock is set back by a day and a half in the middle of it.
        let at = if n < 50 { hour(n) } else { hour(n - 36) };
        past.ran_at(at, "prod1", "ana", &format!("SELECT {n}"), ok(1)).await;
    }
    past.caught_up().await;
    let query =
        AuditQuery { since: Some(hour(40)), until: Some(hour(60)), limit: Some(7), ..AuditQuery::default() };
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = past.index.search(AuditQuery { before, ..query.clone() }, None).await.unwrap();
        assert_eq!(page.statements.len() == 7, page.next.is_some(), "{page:?}");
        found.extend(page.statements.into_iter().map(|row| row.text));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (76..96).rev().chain((40..50).rev()).map(|n| format!("SELECT {n}")).collect();
    assert_eq!(found, expected);
}

/// Every answer that this room's questions have, as text.
async fn answers(index: &Index) -> String {
    let mut all = String::new();
    for query in [
        AuditQuery::default(),
        AuditQuery { sensitivity: Some(TouchedKind::Pii), ..AuditQuery::default() },
        AuditQuery { export: Some(1000), ..AuditQuery::default() },
        AuditQuery { team: Some("orders".into()), verb: Some("delete".into()), ..AuditQuery::default() },
    ] {
        all += &serde_json::to_string(&index.search(query.clone(), None).await.unwrap()).unwrap();
        for by in [CountBy::Person, CountBy::Team, CountBy::Table, CountBy::Sensitivity, CountBy::Incident] {
            all += &serde_json::to_string(&index.counts(query.clone(), by, None).await.unwrap()).unwrap();
        }
    }
    all
}

#[tokio::test]
async fn r5_2_a_rebuilt_index_gives_the_same_answers() {
    let past = past().await;
    let written = past.journal.last_written();
    let before = answers(&past.index).await;
    assert!(before.contains("ana@example.com") && before.contains("pii"));

    let anew = past.dir.path().join("anew.db");
    // As an older server left it: another schema.
    let older = past.dir.path().join("older.db");
    let sqlite = rusqlite::Connection::open(&older).unwrap();
    sqlite.execute_batch("CREATE TABLE statements (seq INTEGER); PRAGMA user_version = 3").unwrap();
    drop(sqlite);
    for path in [&older, &anew] {
        let index = Index::open(past.dir.path(), path).unwrap();
        index.catch_up(written).await.unwrap();
        assert_eq!(answers(&index).await, before);
    }

    // Another ledger under searches that have the file open: they see the new one.
    let index = past.index.clone();
    let other = Past::new();
    other.ran("prod1", "dan", ORDERS, ok(1)).await;
    other.caught_up().await;
    other.journal.close().await.unwrap();
    past.journal.close().await.unwrap();
    for entry in std::fs::read_dir(past.dir.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.extension().is_some_and(|kind| kind == "jsonl") {
            std::fs::remove_file(entry).unwrap();
        }
    }
    let segment = "ledger-00000000000000000001.jsonl";
    std::fs::copy(other.dir.path().join(segment), past.dir.path().join(segment)).unwrap();
    index.catch_up(Position(written.0 + 1)).await.unwrap_err();
    index.catch_up(Position(2)).await.unwrap();
    let page = index.search(AuditQuery::default(), None).await.unwrap();
    assert_eq!(page.statements.len(), 1);
    assert_eq!(page.statements[0].person.email, "dan@example.com");
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_2_one_command_each_answers() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let carol = env.signed_in("carol").await;
    let dave = env.signed_in("dave").await;
    let single = alice.ask_and_wait_for_approval(&["-t", "payments", "--unmask", "card_number"]);
    carol.run(&["approve", &single, "--yes"]).ok();
    alice.run(&["exec", "prod-orders", "SELECT card_number FROM payments"]).ok();
    alice.run(&["exec", "prod-orders", "SELECT id FROM payments"]).ok();
    alice.run(&["exec", "prod-orders", "DELETE FROM payments"]);

    let counted = |args: &[&str]| -> Vec<Value> {
        dave.run(&[&["audit", "-o", "json"], args].concat()).ok().json().as_array().unwrap().clone()
    };
    let who =
        counted(&["--table", "payments", "--sensitivity", "any", "--since", "90d", "--count-by", "person"]);
    assert_eq!(
        (who.len(), &who[0]["key"], &who[0]["statements"]),
        (1, &json!("alice@example.com"), &json!(1))
    );
    let rows = counted(&["--sensitivity", "any"]);
    assert_eq!((rows.len(), &rows[0]["text"]), (1, &json!("SELECT card_number FROM payments")));
    assert!(!rows[0]["sensitivity"].as_array().unwrap().is_empty());
    assert!(counted(&["--export=1000000", "--between", "today", "today"]).is_empty());
    let deletes = counted(&["--verb", "delete", "--environment", "production", "--since", "quarter"]);
    assert_eq!((deletes.len(), &deletes[0]["person"]["email"]), (1, &json!("alice@example.com")));
    assert!(deletes[0]["result"].get("refused").is_some() || deletes[0]["result"].get("error").is_some());
    let by_team = dave.run(&["audit", "--count-by", "team", "-o", "csv"]).ok();
    assert!(by_team.out.starts_with("team,statements,refused,rows,first,last\r\n"), "{}", by_team.out);

    // A page says that there is more, and how to go on.
    let page = dave.run(&["audit", "--limit", "1", "-o", "json"]).ok();
    let before = page.json()[0]["seq"].to_string();
    assert!(page.err.contains(&format!("--before {before}")), "{}", page.err);
    let rest = dave.run(&["audit", "--limit", "1000", "--before", &before, "-o", "json"]).ok();
    assert!(rest.json().as_array().unwrap().len() >= 2);
    assert_eq!(rest.err, "");

    // People count their own.
    let own = carol.run(&["audit", "--count-by", "person", "-o", "json"]).ok().json();
    assert_eq!(own, json!([]));
    alice.run(&["audit", "--since", "yesterday"]).exits(2);
    alice.run(&["audit", "--sensitivity", "pi"]).exits(2);
}
