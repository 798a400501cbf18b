//! Alarms that should never ring: a credential that outlives its session (R10.6),
//! and a login that nobody declared (R1.5, R10.1), as far as the pager.

use crate::alerts::sink;
use crate::metrics::gauge;
use crate::support::api::events;
use crate::support::env::{Setting, TestEnv, eventually};
use serde_json::Value;
use std::net::TcpListener;

/// The first session role that is removed is there again when it is: with its
/// password, as if somebody had made it by hand.
const REVIVAL: &str = r#"
    CREATE SCHEMA revival;
    CREATE TABLE revival.of (role text);
    ALTER FUNCTION dbaccess.close_session(text) RENAME TO remove_session;
    CREATE FUNCTION dbaccess.close_session(role text) RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER AS $$
    DECLARE
        verifier text := (SELECT rolpassword FROM pg_authid WHERE rolname = role);
        elsewhere text[] := dbaccess.remove_session(role);
    BEGIN
        IF elsewhere = '{}' AND NOT EXISTS (SELECT FROM revival.of) THEN
            INSERT INTO revival.of VALUES (role);
            EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L IN ROLE dbaccess_sessions', role, verifier);
        END IF;
        RETURN elsewhere;
    END $$"#;

/// A whole that measures and scans every second, and posts its alerts.
async fn alarmed(hook: u16) -> (TestEnv, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let extra = format!(
        "[metrics]\nlisten = \"127.0.0.1:{port}\"\nrefresh = \"1s\"\nscan = \"1s\"\n\
         [alerts]\nwebhook = \"http://127.0.0.1:{hook}/hook\"\n"
    );
    (TestEnv::with(Setting { extra, ..Setting::default() }).await, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_6_a_credential_that_works_after_its_session_rings_the_alarm_and_is_removed_again() {
    let (hook, posted) = sink(Vec::new()).await;
    let (env, port) = alarmed(hook).await;
    let (alice, dave) = (env.signed_in("alice").await, env.signed_in("dave").await);
    alice.granted(&["--table", "orders"]);
    gauge(port, "dead_credentials_let_in", |value| value == 0.0).await;
    let admin = env.pg.admin("shop").await;
    admin.batch_execute(REVIVAL).await.unwrap();
    alice.run(&["exec", "prod-orders", "SELECT count(*) FROM orders"]).ok();

    let probed = events(&env, "credential.probed", 2, |_| true).await;
    assert_eq!(probed[0]["answer"], "let_in", "{probed:#?}");
    assert_eq!(probed[1]["answer"]["refused"]["sqlstate"], "28P01", "it is removed again: {probed:#?}");
    let session = probed[0]["session"].as_str().unwrap();
    gauge(port, "dead_credentials_let_in", |value| value == 1.0).await;
    env.until("the role is gone", async || env.session_roles().await.is_empty()).await;

    let notice = eventually("the alarm goes out", || {
        let posted = posted.lock().unwrap();
        posted.iter().map(|(_, body)| body).find(|body| body.contains("let_in")).cloned()
    })
    .await;
    let notice: Value = serde_json::from_str(&notice).unwrap();
    assert_eq!((&notice["kind"], &notice["session"]), (&"credential.probed".into(), &session.into()));
    assert!(env.server_log().contains("a dead credential was let in; its role is removed again"));

    let view = dave.run(&["metrics", "--metric", "R10.6", "-o", "json"]).exits(1).json();
    let said = view.to_string();
    assert!(said.contains(session) && said.contains("its credential was let in afterwards"), "{view:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_5_r10_1_the_scan_of_the_day_finds_a_login_that_appears() {
    let (hook, _posted) = sink(Vec::new()).await;
    let (env, port) = alarmed(hook).await;
    let dave = env.signed_in("dave").await;
    let scanned = |event: &Value| event["target"] == "prod-orders" && event["by"] == "system";
    let found = |event: &Value| event["scan"]["roles"].to_string().contains("late.comer");
    let before = events(&env, "target.scanned", 1, scanned).await;
    assert!(!found(&before[0]), "{}", before[0]);
    let standing = before[0]["scan"]["standing"].as_f64().unwrap();
    gauge(port, "standing_credentials", |value| value > 0.0).await;

    let admin = env.pg.admin("shop").await;
    admin.batch_execute("CREATE ROLE \"late.comer\" LOGIN PASSWORD 'x'").await.unwrap();
    let after = events(&env, "target.scanned", 1, |event| scanned(event) && found(event)).await;
    assert_eq!(after[0]["scan"]["standing"].as_f64().unwrap(), standing + 1.0);
    let view = dave.run(&["metrics", "--metric", "R10.1", "-o", "json"]).exits(1).json();
    assert!(view.to_string().contains("late.comer"), "{view:#}");
}
