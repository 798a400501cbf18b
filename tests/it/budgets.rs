//! R7.1: what goes over a budget is cut in the middle, with one clear error and
//! a connection that is as usable as after any error.

use crate::support::env::{Setting, TestEnv, TestPerson};
use crate::support::held::{Held, exporter, outcomes, settled_audit, writer};
use crate::support::raw_pg::RawPg;
use std::time::{Duration, Instant};

const SMALL: &str = r#"
[budgets]
auto = { statement_rows = 100, statement_bytes = "64KiB", session_rows = 2000, session_bytes = "1MiB" }
single = { statement_rows = 100, statement_bytes = "64KiB", session_rows = 2000, session_bytes = "1MiB" }
dual = { statement_rows = 100, statement_bytes = "64KiB", session_rows = 2000, session_bytes = "1MiB" }
export = { statement_rows = 100, statement_bytes = "64KiB", session_rows = 2000, session_bytes = "1MiB" }
"#;
const SQL: &str = "CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 150)";
/// Far more than any buffer on the way holds.
const POURS: &str = "SELECT generate_series(1, 100000000)";
const ENOUGH: &str = "SELECT generate_series(1, 100)";
const OVER: &str = "SELECT generate_series(1, 101)";

async fn small() -> TestEnv {
    let databases = vec![("reads", SQL)];
    TestEnv::with(Setting { databases, extra: SMALL.to_owned(), ..Setting::default() }).await
}

async fn session(env: &TestEnv) -> (TestPerson<'_>, Held) {
    let alice = writer(env, "reads").await;
    let held = Held::open(&alice, "reads");
    (alice, held)
}

/// Sends, and compares with what is expected.
async fn says(raw: &mut RawPg, ready: usize, expected: &str) {
    assert_eq!(raw.replies(ready).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_1_a_result_is_cut_at_the_row_and_the_connection_goes_on() {
    let env = small().await;
    let alice = exporter(&env, "reads").await;
    let held = Held::open(&alice, "reads");
    let mut raw = held.raw().await;
    raw.query(ENOUGH);
    says(&mut raw, 1, "T D*100 C(SELECT 100) Z(I)").await;
    raw.query(OVER);
    says(&mut raw, 1, "T D*100 E(53400) Z(I)").await;
    raw.query(format!("SELECT 1; {OVER}; SELECT 2"));
    says(&mut raw, 1, "T D*1 C(SELECT 1) T D*100 E(53400) Z(I)").await;
    raw.query("COPY (SELECT generate_series(1, 101)) TO STDOUT");
    says(&mut raw, 1, "H d*100 E(53400) Z(I)").await;
    // One row can be too much; so can an error that is made of data.
    raw.query("SELECT repeat('x', 100000)").query("SELECT repeat('x', 65000)");
    says(&mut raw, 2, "T E(53400) Z(I) T D*1 C(SELECT 1) Z(I)").await;
    raw.query("SELECT repeat('x', 100000)::int").query("SELECT repeat('x', 3000)::int");
    says(&mut raw, 2, "E(53400) Z(I) E(22P02) Z(I)").await;
    raw.run(OVER).run("SELECT 1").sync().run("SELECT 2").sync();
    says(&mut raw, 2, "1 2 D*100 E(53400) Z(I) 1 2 D*1 C(SELECT 1) Z(I)").await;
    let cut = |text: &str, rows: u64| format!("{text} → cut 53400, {rows} rows");
    let outcomes = outcomes(&alice).await;
    assert_eq!(outcomes[1], cut(OVER, 100));
    assert_eq!(outcomes[3], cut(OVER, 100));
    assert_eq!(outcomes[5], cut("COPY (SELECT generate_series(1, 101)) TO STDOUT", 100));
    assert_eq!(outcomes[6], "SELECT repeat('x', 100000) → cut 53400");
    assert_eq!(outcomes[8], "SELECT repeat('x', 100000)::int → cut 53400");
    let row = &settled_audit(&alice).await[1];
    let message = row["result"]["cut"]["message"].as_str().unwrap();
    assert!(message.contains("after 100 rows") && message.contains("may return 100 rows"), "{message}");
    assert_eq!(row["bytes"], 9 * 12 + 90 * 13 + 14, "what the client has got: {row}");
}

/// The cancel reaches the server while other statements would follow at once.
#[tokio::test(flavor = "multi_thread")]
async fn r7_1_the_cancel_hits_what_was_cut_and_never_the_next() {
    let env = small().await;
    let (alice, held) = session(&env).await;
    let mut raw = held.raw().await;
    let started = Instant::now();
    for _ in 0..6 {
        raw.query(POURS);
        says(&mut raw, 1, "T D*100 E(53400) Z(I)").await;
        raw.query("SELECT 1");
        says(&mut raw, 1, "T D*1 C(SELECT 1) Z(I)").await;
        raw.run(POURS).sync();
        says(&mut raw, 1, "1 2 D*100 E(53400) Z(I)").await;
        raw.run("SELECT 1").sync();
        says(&mut raw, 1, "1 2 D*1 C(SELECT 1) Z(I)").await;
    }
    assert!(started.elapsed() < Duration::from_secs(20), "it is cancelled, not read to its end");
    // Without a Sync the server must skip what comes next, as after any error.
    let again = Held::open(&alice, "reads");
    let mut raw = again.raw().await;
    for over in [OVER, POURS] {
        raw.run(over).flush().send().await;
        assert_eq!(raw.until(b'E').await, "1 2 D*100 E(53400)");
        raw.run("SELECT 1").sync().run("SELECT 2").sync();
        says(&mut raw, 2, "Z(I) 1 2 D*1 C(SELECT 1) Z(I)").await;
    }
    // What is on its way already runs, unharmed.
    let finite = "SELECT generate_series(1, 300000)";
    raw.query(finite).query("SELECT pg_sleep(0.1)").query("SELECT 3");
    says(&mut raw, 3, "T D*100 E(53400) Z(I) T D*1 C(SELECT 1) Z(I) T D*1 C(SELECT 1) Z(I)").await;
    raw.run(finite).sync().run("SELECT pg_sleep(0.1)").sync();
    says(&mut raw, 2, "1 2 D*100 E(53400) Z(I) 1 2 D*1 C(SELECT 1) Z(I)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_1_inside_a_transaction_the_transaction_has_failed() {
    let env = small().await;
    let (alice, held) = session(&env).await;
    let mut raw = held.raw().await;
    for over in [OVER, POURS] {
        raw.query("BEGIN").query("INSERT INTO t VALUES (0)");
        says(&mut raw, 2, "C(BEGIN) Z(T) C(INSERT 0 1) Z(T)").await;
        raw.query(over);
        says(&mut raw, 1, "T D*100 E(53400) Z(E)").await;
        raw.query("SELECT 1").query("COMMIT");
        says(&mut raw, 2, "E(25P02) Z(E) C(ROLLBACK) Z(I)").await;
        raw.run("BEGIN").sync().run(over).run("INSERT INTO t VALUES (0)").sync();
        says(&mut raw, 2, "1 2 C(BEGIN) Z(T) 1 2 D*100 E(53400) Z(E)").await;
        raw.run("COMMIT").sync();
        says(&mut raw, 1, "1 2 C(ROLLBACK) Z(I)").await;
        // A savepoint takes it back, too.
        raw.query("BEGIN; SAVEPOINT s").query(over).query("ROLLBACK TO s; SELECT 1; ROLLBACK");
        let replies = raw.replies(3).await;
        assert!(replies.ends_with("C(ROLLBACK) T D*1 C(SELECT 1) C(ROLLBACK) Z(I)"), "{replies}");
    }
    assert_eq!(raw.column("SELECT count(*) FROM t WHERE i = 0").await, ["0"]);
    // A change that was finished is told of: it cannot be undone.
    raw.query("INSERT INTO t SELECT -7 FROM generate_series(1, 101) RETURNING i").send().await;
    let error = loop {
        let reply = raw.next().await.unwrap();
        if reply.tag == b'E' {
            break reply;
        }
    };
    says(&mut raw, 1, "Z(I)").await;
    let detail = dbaccess::wire::postgres::backend::Fields::new(&error.body).field(b'D').unwrap_or_default();
    let there = raw.column("SELECT count(*) FROM t WHERE i = -7").await;
    let told = detail.contains("INSERT 0 101");
    assert_eq!(told, there == ["101"], "{detail}, {there:?}");
    assert!(outcomes(&alice).await.iter().any(|line| line.contains("RETURNING i → cut 53400, 100 rows")));
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_1_pieces_of_a_portal_or_cursor_are_one_statement() {
    let env = small().await;
    let (_alice, held) = session(&env).await;
    let mut raw = held.raw().await;
    raw.query("BEGIN").parse("", POURS).bind("p", "", &[]).execute("p", 60).execute("p", 60).sync();
    says(&mut raw, 2, "C(BEGIN) Z(T) 1 2 D*60 s D*40 E(53400) Z(E)").await;
    raw.query("ROLLBACK").query(format!("BEGIN; DECLARE c CURSOR FOR {POURS}; FETCH 60 FROM c"));
    says(&mut raw, 2, "C(ROLLBACK) Z(I) C(BEGIN) C(DECLARE CURSOR) T D*60 C(FETCH 60) Z(T)").await;
    raw.query("FETCH 40 FROM c").query("FETCH 1 FROM c");
    says(&mut raw, 2, "T D*40 C(FETCH 40) Z(T) T E(53400) Z(E)").await;
    // Another cursor of the name is another statement, and so is another portal.
    raw.query(format!("ROLLBACK; BEGIN; DECLARE c CURSOR FOR {POURS}")).query("FETCH 60 FROM c");
    says(&mut raw, 2, "C(ROLLBACK) C(BEGIN) C(DECLARE CURSOR) Z(T) T D*60 C(FETCH 60) Z(T)").await;
    raw.execute("c", 41).sync();
    says(&mut raw, 1, "D*40 E(53400) Z(E)").await;
    raw.query("ROLLBACK").query("BEGIN").parse("s", POURS);
    for _ in 0..2 {
        raw.bind("", "s", &[]).execute("", 60);
    }
    raw.sync();
    says(&mut raw, 3, "C(ROLLBACK) Z(I) C(BEGIN) Z(T) 1 2 D*60 s 2 D*60 s Z(T)").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_1_a_session_that_has_read_enough_reads_no_more() {
    let env = small().await;
    let (alice, held) = session(&env).await;
    let (mut raw, mut other) = (held.raw().await, held.raw().await);
    // By any connection of the session; the small errors count in bytes.
    for _ in 0..10 {
        for raw in [&mut raw, &mut other] {
            raw.query(ENOUGH);
            says(raw, 1, "T D*100 C(SELECT 100) Z(I)").await;
        }
    }
    raw.query("SELECT 1").query("BEGIN; SET work_mem = '5MB'; COMMIT").query("SHOW work_mem");
    says(&mut raw, 3, "E(53400) Z(I) C(BEGIN) C(SET) C(COMMIT) Z(I) E(53400) Z(I)").await;
    other.parse("s", "SELECT 1").bind("", "s", &[]).execute("", 0).sync();
    says(&mut other, 1, "1 2 E(53400) Z(I)").await;
    other.query("BEGIN").query("SELECT 1").query("COMMIT");
    says(&mut other, 3, "C(BEGIN) Z(T) E(53400) Z(E) C(ROLLBACK) Z(I)").await;
    // What may return rows or not is cut at the first.
    other.query("INSERT INTO t VALUES (1)").query("PREPARE p AS SELECT 1").query("EXECUTE p");
    says(&mut other, 3, "C(INSERT 0 1) Z(I) C(PREPARE) Z(I) T E(53400) Z(I)").await;
    let refused = outcomes(&alice).await.iter().filter(|line| line.contains("→ refused 53400")).count();
    assert_eq!(refused, 4);
    // Another session has its own.
    let again = Held::open(&alice, "reads");
    let mut fresh = again.raw().await;
    fresh.query("SELECT 1");
    says(&mut fresh, 1, "T D*1 C(SELECT 1) Z(I)").await;
    let psql = alice.run(&["connect", "reads", "--", "psql", "-Xc", POURS]);
    assert!(psql.err.contains("the result is cut after 100 rows"), "{}", psql.err);
    assert!(psql.err.contains("--export"), "{}", psql.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_a_transaction_that_idles_is_ended_whatever_the_session_sets() {
    let extra = "[limits]\nidle_in_transaction = \"1s\"\nstatement_timeout = \"2s\"\n".to_owned();
    let databases = vec![("reads", SQL)];
    let env = TestEnv::with(Setting { databases, extra, ..Setting::default() }).await;
    let (_alice, held) = session(&env).await;
    // The database's own limit, as the session's role has it.
    let mut raw = held.raw().await;
    raw.query("BEGIN");
    assert_eq!(raw.replies(2).await, "C(BEGIN) Z(T) E(25P03) .");
    let mut raw = held.raw().await;
    raw.query("SELECT pg_sleep(9)");
    assert_eq!(raw.replies(1).await, "T E(57014) Z(I)");
    // Lifted, the gateway's is what is left: for a block, and for a batch without its Sync.
    let (mut block, mut batch, mut idle) = (held.raw().await, held.raw().await, held.raw().await);
    let mut busy = held.raw().await;
    for raw in [&mut block, &mut batch, &mut idle, &mut busy] {
        raw.query("SET idle_in_transaction_session_timeout = '10min'")
            .query("SET statement_timeout = '1min'");
        assert_eq!(raw.replies(2).await, "C(SET) Z(I) C(SET) Z(I)");
    }
    block.query("BEGIN; LOCK TABLE t IN ROW EXCLUSIVE MODE").send().await;
    batch.run("INSERT INTO t VALUES (0)").flush().send().await;
    // A statement that runs is not idle.
    busy.query("BEGIN; SELECT pg_sleep(5)").query("COMMIT").send().await;
    assert_eq!(block.replies(2).await, "C(BEGIN) C(LOCK TABLE) Z(T) E(25P03) .");
    assert_eq!(batch.until(b'E').await, "1 2 C(INSERT 0 1) E(25P03)");
    assert!(batch.next().await.is_none());
    assert_eq!(busy.replies(2).await, "C(BEGIN) T D*1 C(SELECT 1) Z(T) C(COMMIT) Z(I)");
    idle.query("SELECT 1");
    says(&mut idle, 1, "T D*1 C(SELECT 1) Z(I)").await;
    let waiting =
        "SELECT count(*) FROM pg_locks WHERE mode = 'RowExclusiveLock' AND relation = 't'::regclass";
    let admin = env.pg.admin("reads").await;
    env.until("the locks are gone", async || {
        admin.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
}
