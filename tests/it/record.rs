//! The record of statements: complete whatever dies, and the gate that closes
//! when it cannot be written (R5.1, G1).

use crate::support::env::{Setting, TestEnv, eventually};
use crate::support::held::{Held, settled_audit, writer};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const SQL: &str = "CREATE TABLE t (i bigint); INSERT INTO t SELECT generate_series(1, 10)";

async fn recorded() -> TestEnv {
    TestEnv::with(Setting { databases: vec![("recorded", SQL)], ..Setting::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_1_a_row_says_who_what_when_and_how_it_went() {
    let env = recorded().await;
    let alice = writer(&env, "recorded").await;
    let held = Held::open(&alice, "recorded");
    let mut raw = held.raw().await;
    raw.parse("", "SELECT i, $1::text FROM t WHERE i < $2")
        .bind("", "", &["kept", "4"])
        .execute("", 0)
        .sync();
    assert_eq!(raw.replies(1).await, "1 2 D*3 C(SELECT 3) Z(I)");
    let client = held.client().await;
    client.batch_execute("SELECT pg_sleep(0.1)").await.unwrap();
    client.query("SELECT $1::bigint, $2::text", &[&4_i64, &None::<&str>]).await.unwrap();
    let rows = settled_audit(&alice).await;
    let row = &rows[0];
    assert_eq!(row["text"], "SELECT i, $1::text FROM t WHERE i < $2");
    assert_eq!(row["parameters"], serde_json::json!(["kept", "4"]));
    assert_eq!(row["person"]["email"].as_str().unwrap().split('@').next(), Some("alice"));
    assert_eq!((row["target"].as_str(), row["session"].as_str()), (Some("recorded"), Some(&*held.session)));
    assert!(row["grant"].as_str().unwrap().starts_with("grt-"));
    assert!(row["connection"].as_str().unwrap().starts_with("con-"));
    // Each row is a frame of 5 + 2 + (4 + 1) + (4 + 4) bytes.
    assert_eq!((row["rows"].as_u64(), row["bytes"].as_u64()), (Some(3), Some(3 * 20)));
    assert!(rows[1]["duration_us"].as_u64().unwrap() >= 100_000);
    assert_eq!(rows[2]["parameters"], serde_json::json!(["\\x0000000000000004", null]));
}

/// Bounds how large the server's files may become, which is how a disk that is
/// full looks to it; `None` is no bound.
fn bound_files(env: &TestEnv, bytes: Option<u64>) {
    let pid = env.server.as_ref().unwrap().child.id();
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let arguments = [format!("--pid={pid}"), format!("--fsize={limit}:unlimited")];
    let status = Command::new("prlimit").args(arguments).status().unwrap();
    assert!(status.success());
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn g1_what_cannot_be_recorded_does_not_run() {
    let env = recorded().await;
    let alice = writer(&env, "recorded").await;
    let held = Held::open(&alice, "recorded");
    let (mut reader, mut writing) = (held.raw().await, held.raw().await);
    assert_eq!(reader.column("SELECT count(*) FROM t").await, ["10"]);
    bound_files(&env, Some(1));
    writing.query("INSERT INTO t VALUES (-1)").send().await;
    let said = writing.next().await.unwrap();
    assert_eq!(said.tag, b'E');
    assert!(said.message().contains("cannot record statements"), "{}", said.message());
    assert!(writing.next().await.is_none());
    // Reads stop as well, on connections that are open and on new ones.
    assert_eq!(reader.query("SELECT i FROM t").replies(1).await, "E(58030) .");
    if let Ok(client) = held.try_client().await {
        assert!(client.batch_execute("SELECT 1").await.is_err());
    }
    bound_files(&env, None);
    let client = eventually_connected(&held).await;
    let rows = client.query("SELECT i FROM t WHERE i < 0", &[]).await.unwrap();
    assert!(rows.is_empty(), "what was not recorded has not run");
    drop(client);
    alice.run(&["audit"]).ok();
}

async fn eventually_connected(held: &Held) -> tokio_postgres::Client {
    let started = std::time::Instant::now();
    loop {
        if let Ok(client) = held.try_client().await
            && client.batch_execute("SELECT 'again'").await.is_ok()
        {
            return client;
        }
        assert!(started.elapsed().as_secs() < 30, "it does not go on");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// However the server dies, what ran is in the ledger: it was there before.
#[tokio::test(flavor = "multi_thread")]
async fn g1_a_server_that_is_killed_has_recorded_what_ran() {
    let mut env = recorded().await;
    let acknowledged = Arc::new(AtomicI64::new(0));
    {
        let alice = writer(&env, "recorded").await;
        let held = Arc::new(Held::open(&alice, "recorded"));
        let mut tasks = tokio::task::JoinSet::new();
        for task in 0..4_i64 {
            let (held, acknowledged) = (Arc::clone(&held), Arc::clone(&acknowledged));
            tasks.spawn(async move {
                let client = held.client().await;
                for n in 1.. {
                    let value = 1_000_000 * (task + 1) + n;
                    let text = match task {
                        0 => format!("INSERT INTO t VALUES ({value})"),
                        1 => format!("BEGIN; INSERT INTO t VALUES ({value}); COMMIT"),
                        2 => format!("INSERT INTO t VALUES ({value}); SELECT 1"),
                        _ => format!("INSERT INTO t SELECT {value}"),
                    };
                    if client.batch_execute(&text).await.is_err() {
                        return;
                    }
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        eventually("hundreds are committed", || (acknowledged.load(Ordering::SeqCst) > 300).then_some(()))
            .await;
        let pid = rustix::process::Pid::from_child(&env.server.as_ref().unwrap().child);
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        tasks.join_all().await;
    }
    env.kill_server();
    let admin = env.pg.admin("recorded").await;
    let rows = admin.query("SELECT i FROM t WHERE i > 1000000", &[]).await.unwrap();
    assert!(rows.len() as i64 >= acknowledged.load(Ordering::SeqCst));
    let ledger = env.ledger_text();
    for row in rows {
        let value = row.get::<_, i64>(0).to_string();
        assert!(ledger.contains(&value), "{value} ran and is not in the ledger");
    }
    // It goes on, and sweeps what the dead one has left.
    env.start_server().await;
    let mut left = 3000;
    while !env.session_roles().await.is_empty() {
        left -= 1;
        assert!(left > 0, "the role of the killed server's session is still there");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
