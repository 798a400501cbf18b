//! Statements that are cut short: by a cancel request, by a client that is
//! gone, by the database, by the session's end.

use crate::support::env::{Setting, TestEnv, TestPerson, eventually};
use crate::support::held::{Held, audit, outcome, outcomes, writer};
use crate::support::raw_pg::RawPg;
use dbaccess::wire::postgres::startup;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const ENDLESS: &str =
    "SELECT count(*) FROM generate_series(1, 9999) a, generate_series(1, 9999) b, generate_series(1, 9999) c";
const POURS: &str = "SELECT repeat('x', 999) FROM generate_series(1, 9999) a, generate_series(1, 9999) b, generate_series(1, 9999) c";

async fn cuts() -> TestEnv {
    TestEnv::with(Setting { databases: vec![("cuts", "")], ..Setting::default() }).await
}

/// Waits until the database runs so many statements for sessions.
async fn running(env: &TestEnv, statements: i64) {
    let admin = env.pg.admin("cuts").await;
    let sql =
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename LIKE 'dbaccess\\_s\\_%'";
    loop {
        if admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == statements {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn last_outcome(alice: &TestPerson<'_>) -> String {
    eventually("the outcome is on record", || {
        audit(alice).last().filter(|row| !row["result"].is_null()).map(outcome)
    })
    .await
}

async fn cancel(held: &Held, process_id: u32, key: &[u8]) {
    let mut stream = TcpStream::connect((held.host.as_str(), held.port)).await.unwrap();
    let mut out = bytes::BytesMut::new();
    startup::cancel_request(&mut out, process_id, key);
    stream.write_all(&out).await.unwrap();
    assert_eq!(stream.read(&mut [0; 9]).await.unwrap_or(0), 0, "a cancel request is not answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_hits_its_own_connection_alone() {
    let env = cuts().await;
    let alice = writer(&env, "cuts").await;
    let held = Held::open(&alice, "cuts");
    let (mut first, mut second) = (held.raw().await, held.raw().await);
    let (id, key) = (first.process_id, first.key.clone());
    first.query(ENDLESS).send().await;
    running(&env, 1).await;
    second.query("SELECT pg_sleep(1)").send().await;
    running(&env, 2).await;
    let mut wrong = key.clone();
    wrong[0] ^= 1;
    cancel(&held, id, &wrong).await;
    cancel(&held, id, &second.key).await;
    cancel(&held, id ^ 1, &key).await;
    assert_eq!(second.replies(1).await, "T D*1 C(SELECT 1) Z(I)");
    running(&env, 1).await;
    cancel(&held, id, &key).await;
    assert_eq!(first.replies(1).await, "T E(57014) Z(I)");
    first.query("SELECT 1");
    assert_eq!(first.replies(1).await, "T D*1 C(SELECT 1) Z(I)", "it is usable again");
    // libpq's own, as psql sends it at Ctrl-C.
    let psql = ["connect", "cuts", "--", "timeout", "-s", "INT", "1", "psql", "-Xc", ENDLESS];
    let ran = alice.run(&psql);
    assert!(ran.err.contains("canceling statement due to user request"), "{}", ran.err);
    let rest = ["→ error 57014", "→ ok SELECT 1, 1 row", "→ ok SELECT 1, 1 row", "→ error 57014"];
    let all = outcomes(&alice).await;
    assert!(all.iter().zip(rest).all(|(one, end)| one.ends_with(end)), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_gone_stops_its_statement() {
    let env = cuts().await;
    let alice = writer(&env, "cuts").await;
    let held = Held::open(&alice, "cuts");
    for text in [ENDLESS, POURS] {
        let mut raw = held.raw().await;
        raw.query(text).send().await;
        running(&env, 1).await;
        if text == POURS {
            raw.next().await.unwrap();
        }
        drop(raw);
        running(&env, 0).await;
        let last = last_outcome(&alice).await;
        assert!(last.contains("→ error 57014"), "{last}");
    }
    // What was sent before an orderly goodbye is done, and answered.
    let mut raw = held.raw().await;
    raw.query("CREATE TEMP TABLE x (i int)").frame(b'X', b"");
    assert_eq!(raw.replies(2).await, "C(CREATE TABLE) Z(I) .");
    let mut raw = held.raw().await;
    raw.query("SELECT pg_sleep(0.2)").send().await;
    raw.stream.shutdown().await.unwrap();
    assert_eq!(raw.replies(2).await, "T D*1 C(SELECT 1) Z(I) .");
    assert!(last_outcome(&alice).await.ends_with("ok SELECT 1, 1 row"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_or_the_session_ends_is_told_and_on_record() {
    let env = cuts().await;
    let alice = writer(&env, "cuts").await;
    let held = Held::open(&alice, "cuts");
    let mut raw = held.raw().await;
    raw.query(ENDLESS).send().await;
    running(&env, 1).await;
    let admin = env.pg.admin("cuts").await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'dbaccess\\_s\\_%'";
    admin.execute(kill, &[]).await.unwrap();
    assert_eq!(raw.replies(1).await, "T E(57P01) .");
    assert!(last_outcome(&alice).await.ends_with("→ error 57P01"));

    let mut idle = held.raw().await;
    let mut busy = held.raw().await;
    busy.query(ENDLESS).send().await;
    running(&env, 1).await;
    alice.run(&["revoke", &held.session]).ok();
    let ended = idle.next().await.unwrap();
    assert_eq!(ended.sqlstate(), "57P01");
    assert!(ended.message().contains(&held.session), "{}", ended.message());
    assert!(idle.next().await.is_none());
    let replies = busy.replies(1).await;
    assert!(replies.ends_with("E(57P01) ."), "{replies}");
    let last = last_outcome(&alice).await;
    assert!(last.ends_with("→ error 57014") || last.ends_with("→ error 57P01"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_the_connection_with_a_reason() {
    let env = cuts().await;
    let alice = writer(&env, "cuts").await;
    let held = Held::open(&alice, "cuts");
    let cases: [(&[u8], &str); 8] = [
        (b"?\0\0\0\x04", "E(08P01) ."),
        (b"Q\0\0\0\x03", "E(54000) ."),
        (b"E\xff\xff\xff\xff", "E(54000) ."),
        (b"Q\0\0\0\x09SELEC", "E(08P01) ."),
        (b"P\0\0\0\x08\0\0\0\x05", "E(08P01) ."),
        (b"p\0\0\0\x05\0", "E(08P01) ."),
        (b"D\0\0\0\x06Z\0", "E(08P01) ."),
        (b"\x16\x03\x01\x02\0\x01", "E(08P01) ."),
    ];
    for (bytes, replies) in cases {
        let mut raw: RawPg = held.raw().await;
        raw.bytes(bytes);
        assert_eq!(raw.replies(1).await, replies, "{bytes:?}");
    }
    assert!(audit(&alice).is_empty(), "nothing of it is a statement");
    let mut raw = held.raw().await;
    raw.query("SELECT 1");
    assert_eq!(raw.replies(1).await, "T D*1 C(SELECT 1) Z(I)");
}
