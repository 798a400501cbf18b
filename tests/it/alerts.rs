//! R7.3: a read that is unusually large is on the ledger, and reaches the
//! webhook whatever happens to it meanwhile.

use crate::support::api::{events, ledger};
use crate::support::env::{Setting, TestEnv, UNLIMITED, eventually};
use crate::support::held::{Held, writer};
use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

pub type Posted = Arc<Mutex<Vec<(HeaderMap, String)>>>;

/// A web server that fails so many times before it takes what is posted.
pub async fn sink(failures: Vec<StatusCode>) -> (u16, Posted) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, listening(listener, failures))
}

fn listening(listener: TcpListener, mut failures: Vec<StatusCode>) -> Posted {
    let posted = Posted::default();
    failures.reverse();
    let (into, failures) = (Arc::clone(&posted), Arc::new(Mutex::new(failures)));
    let take = move |headers: HeaderMap, body: String| {
        let failure = failures.lock().unwrap().pop();
        into.lock().unwrap().push((headers, body));
        async move { failure.unwrap_or(StatusCode::NO_CONTENT) }
    };
    let router = Router::new().route("/hook", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    posted
}

async fn environment(port: u16) -> (TestEnv, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "hush\n").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let extra = format!(
        "{UNLIMITED}\n[alerts]\nwebhook = \"http://127.0.0.1:{port}/hook\"\nwebhook_secret_file = \"{}\"\n\
         bulk_rows = 5000\nbulk_factor = 2\n",
        secret.display()
    );
    let sql = "CREATE TABLE people (i int); INSERT INTO people SELECT generate_series(1, 20000)";
    let env = TestEnv::with(Setting { databases: vec![("crowd", sql)], extra, ..Setting::default() }).await;
    (env, dir)
}

fn is_alert(body: &str) -> bool {
    body.contains("\"kind\":\"alert.bulk_read\"")
}

fn hmac(secret: &str, text: &str) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_3_an_unusual_read_is_told_once_on_the_ledger_and_to_the_webhook() {
    let (port, posted) = sink(vec![StatusCode::BAD_GATEWAY, StatusCode::FOUND]).await;
    let (env, _dir) = environment(port).await;
    let alice = writer(&env, "crowd").await;
    let held = Held::open(&alice, "crowd");
    let mut raw = held.raw().await;
    let read = async |raw: &mut crate::support::raw_pg::RawPg, rows: u32| {
        raw.query(format!("SELECT * FROM people LIMIT {rows}"));
        assert_eq!(raw.replies(1).await, format!("T D*{rows} C(SELECT {rows}) Z(I)"));
    };
    read(&mut raw, 4999).await;
    read(&mut raw, 6000).await;
    let statements = events(&env, "alert.bulk_read", 2, |_| true).await;
    let one = |of: &str| statements.iter().find(|event| event["read"]["of"] == of).unwrap()["read"].clone();
    let (statement, session) = (one("statement"), one("session"));
    assert_eq!((&statement["rows"], &session["rows"]), (&Value::from(6000), &Value::from(10_999)));
    assert_eq!(statement["tables"], serde_json::json!(["people"]));
    assert_eq!(statement["person"]["email"], "alice@example.com");
    assert_eq!(statement["session"], Value::from(held.session.clone()));
    let intent = ledger(&env).into_iter().find(|record| record["seq"] == statement["intent"]).unwrap();
    assert_eq!(intent["body"]["text"], "SELECT * FROM people LIMIT 6000");
    assert!(env.server_log().contains("a bulk read"), "{}", env.server_log());

    // Twice it failed; then all came, each once, signed.
    let id = |body: &str| serde_json::from_str::<Value>(body).unwrap()["id"].as_u64().unwrap();
    let all = eventually("the webhook has both, and what it refused", || {
        let all = posted.lock().unwrap().clone();
        let (refused, taken) = all.split_at_checked(2)?;
        let alerts = taken.iter().filter(|(_, body)| is_alert(body)).count();
        let again = |(_, body): &(HeaderMap, String)| taken.iter().any(|(_, other)| id(other) == id(body));
        (alerts == 2 && refused.iter().all(again)).then_some(all)
    })
    .await;
    for (headers, body) in &all {
        let signed = headers["dbaccess-signature"].to_str().unwrap();
        let (time, mac) = signed.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        assert_eq!(mac, hmac("hush", &format!("{time}.{body}")));
        assert!(!body.contains("hush"));
    }
    let bodies: Vec<Value> = all.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    let taken = &bodies[2..];
    let ids: BTreeSet<u64> = taken.iter().map(|body| body["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), taken.len(), "{bodies:#?}");
    let alerts = taken.iter().filter(|body| body["kind"] == "alert.bulk_read");
    let mut taken: Vec<&Value> = alerts.map(|body| &body["read"]["of"]).collect();
    taken.sort_by_key(|of| of.to_string());
    assert_eq!(taken, ["session", "statement"], "{bodies:#?}");

    // Told once; again only when it has doubled.
    read(&mut raw, 6001).await;
    read(&mut raw, 12_001).await;
    let of_statement = |event: &Value| event["read"]["of"] == "statement";
    let told = events(&env, "alert.bulk_read", 2, of_statement).await;
    let rows: Vec<_> = told.iter().map(|event| event["read"]["rows"].as_u64().unwrap()).collect();
    assert_eq!(rows, [6000, 12_001]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_3_a_habit_is_no_news_and_small_pages_add_up() {
    let (port, _posted) = sink(Vec::new()).await;
    let (env, _dir) = environment(port).await;
    let alice = writer(&env, "crowd").await;
    // Fewer rows than are looked at one by one, in pages of one portal and in statements.
    let held = Held::open(&alice, "crowd");
    let mut raw = held.raw().await;
    for _ in 0..6 {
        raw.query("SELECT * FROM people LIMIT 900");
        assert_eq!(raw.replies(1).await, "T D*900 C(SELECT 900) Z(I)");
    }
    let told = events(&env, "alert.bulk_read", 1, |_| true).await;
    assert_eq!((&told[0]["read"]["of"], &told[0]["read"]["rows"]), (&"session".into(), &5400.into()));
    // What somebody reads every day.
    for _ in 0..16 {
        raw.query("SELECT * FROM people LIMIT 4000");
        assert_eq!(raw.replies(1).await, "T D*4000 C(SELECT 4000) Z(I)");
    }
    // The index is what knows of it.
    alice.run(&["audit"]).ok();
    alice.run(&["exec", "crowd", "SELECT * FROM people LIMIT 7000", "--output", "csv"]).ok();
    alice.run(&["exec", "crowd", "SELECT * FROM people LIMIT 9000", "--output", "csv"]).ok();
    let of_statement = |event: &Value| event["read"]["of"] == "statement";
    let told = events(&env, "alert.bulk_read", 1, of_statement).await;
    assert_eq!((&told[0]["read"]["rows"], &told[0]["read"]["usual"]), (&9000.into(), &4000.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_3_what_the_webhook_has_not_taken_survives_a_crash() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (mut env, _dir) = environment(port).await;
    {
        let alice = writer(&env, "crowd").await;
        alice.run(&["exec", "crowd", "SELECT * FROM people", "--output", "csv"]).ok();
        events(&env, "alert.bulk_read", 2, |_| true).await;
        let says = "notices do not arrive";
        env.eventually("it is tried", || env.server_log().contains(says).then_some(())).await;
    }
    env.kill_server();
    let posted = listening(TcpListener::bind(("127.0.0.1", port)).await.unwrap(), Vec::new());
    env.start_server().await;
    let both =
        || (posted.lock().unwrap().iter().filter(|(_, body)| is_alert(body)).count() >= 2).then_some(());
    env.eventually("the webhook has both", both).await;
}
