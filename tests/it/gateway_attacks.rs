//! Attacks on the record: what runs must be judged, and be on record as what it is.

use crate::support::env::{Setting, TestEnv};
use crate::support::held::{Held, writer};

const SQL: &str = "CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 10)";

async fn attacked() -> (TestEnv, &'static str) {
    let databases = vec![("attacked", SQL)];
    (TestEnv::with(Setting { databases, ..Setting::default() }).await, "attacked")
}

/// The name of a prepared statement is the client's to choose, so a refused Bind
/// must not turn into one of a statement that the client could have made.
#[tokio::test(flavor = "multi_thread")]
async fn g1_a_refused_bind_runs_nothing_whatever_the_client_has_prepared() {
    let (env, target) = attacked().await;
    let alice = writer(&env, target).await;
    let held = Held::open(&alice, target);
    let mut raw = held.raw().await;
    for name in ["dbaccess refused this statement; see its ledger", "dbaccess"] {
        raw.parse(name, "INSERT INTO t VALUES (-4242)").bind("", "nope", &[]).execute("", 0).sync();
        assert!(raw.replies(1).await.ends_with("E(26000) Z(I)"));
    }
    assert_eq!(raw.column("SELECT count(*) FROM t WHERE i = -4242").await, ["0"]);
}

/// A long message is judged at its head, and its pieces go upstream: it must not
/// be taken back at its end, or what follows is read as its rest.
#[tokio::test(flavor = "multi_thread")]
async fn g1_g2_a_long_bind_that_becomes_too_much_on_its_way_smuggles_nothing() {
    let (env, target) = attacked().await;
    let alice = writer(&env, target).await;
    let held = Held::open(&alice, target);
    let mut raw = held.raw().await;
    for n in 0..9_999 {
        raw.parse(&format!("s{n}"), "SELECT $1::text IS NULL");
        if n % 1000 == 999 {
            raw.sync();
            raw.replies(1).await;
        }
    }
    raw.sync();
    raw.replies(1).await;
    // The names that make it too much are on their way when the head is judged.
    raw.parse("y1", "SELECT 1").parse("y2", "SELECT 1").flush();
    raw.bind("", "s0", &[&"v".repeat(304 << 10)]);
    let rest = raw.hold_back(2000);
    raw.send().await;
    raw.until(b'1').await;
    raw.bytes(&rest).sync().query("SELECT 'seen'");
    let mut inside = vec![0; 1000];
    inside.extend(b"S\0\0\0\x04Q\0\0\0\x24INSERT INTO t VALUES (-7777)   \0");
    raw.copy_data(&inside);
    raw.send().await;
    // However it goes on, by a refusal or by the connection's end: nothing ran.
    drop(raw.replies(2).await);
    let mut after = held.raw().await;
    assert_eq!(after.column("SELECT count(*) FROM t WHERE i = -7777").await, ["0"]);
}

/// SQL reaches what the protocol prepared, by its name: the record says what ran.
#[tokio::test(flavor = "multi_thread")]
async fn r5_1_what_sql_executes_of_the_protocols_statements_is_on_record() {
    let (env, target) = attacked().await;
    let alice = writer(&env, target).await;
    let held = Held::open(&alice, target);
    let mut raw = held.raw().await;
    raw.parse("told", "SELECT 'by name'").sync();
    raw.replies(1).await;
    raw.query("EXECUTE told");
    assert_eq!(raw.replies(1).await, "T D*1 C(SELECT 1) Z(I)");
    raw.query("EXPLAIN ANALYZE EXECUTE told");
    raw.replies(1).await;
    raw.query("BEGIN").parse("", "SELECT i FROM t WHERE i = $1::int").bind("shown", "", &["7"]).sync();
    raw.replies(2).await;
    raw.query("FETCH ALL FROM shown").query("COMMIT");
    assert_eq!(raw.replies(2).await, "T D*1 C(FETCH 1) Z(T) C(COMMIT) Z(I)");
    let ledger = env.ledger_text();
    for text in [
        r"EXECUTE told\n-- told: SELECT 'by name'",
        r"EXPLAIN ANALYZE EXECUTE told\n-- told: SELECT 'by name'",
        r#"FETCH ALL FROM shown\n-- shown: SELECT i FROM t WHERE i = $1::int -- [\"7\"]"#,
    ] {
        assert!(ledger.contains(text), "{text}");
    }
}
