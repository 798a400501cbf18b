//! `doctor`: every finding with its remedy, to those whom it concerns.

use crate::support::env::{Ran, TestEnv};
use serde_json::Value;

fn find<'a>(findings: &'a Value, check: &str) -> &'a Value {
    let mut all = findings.as_array().unwrap().iter();
    all.find(|finding| finding["check"] == check)
        .unwrap_or_else(|| panic!("no finding {check} in {findings:#}"))
}

/// Problems and warnings come with a remedy, always.
fn assert_remedies(ran: &Ran) -> Value {
    let findings = ran.json();
    for finding in findings.as_array().unwrap() {
        let remedy = finding["remedy"].as_str().unwrap_or_default();
        assert!(finding["level"] == "ok" || !remedy.is_empty(), "no remedy: {finding}");
    }
    findings
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_is_wrong_and_what_to_do() {
    let mut env = TestEnv::start().await;
    let signed_out = env.person("frank").run(&["doctor", "--output", "json"]).exits(1);
    assert_eq!(find(&assert_remedies(&signed_out), "login")["level"], "problem");

    for name in ["alice", "dave", "erin"] {
        env.signed_in(name).await;
    }
    // An owner sees inside the target.
    let ran = env.person("alice").run(&["doctor", "--output", "json"]).exits(0);
    let findings = assert_remedies(&ran);
    for check in
        ["server", "clock", "tunnel", "login", "ledger", "disk space", "identity provider", "native endpoint"]
    {
        assert_ne!(find(&findings, check)["level"], "problem", "{check}");
    }
    for check in ["prod-orders: version", "prod-orders: clock", "prod-orders: setup", "prod-orders: orphans"]
    {
        assert_eq!(find(&findings, check)["level"], "ok", "{check}");
    }
    // Its scratch database lets everybody connect, and doctor says how to end that.
    let connect = find(&findings, "prod-orders: public_connect");
    assert!(connect["remedy"].as_str().unwrap().contains("REVOKE CONNECT"), "{connect}");

    // Security too; somebody of another team learns whether it answers.
    let by_security = env.person("dave").run(&["doctor", "prod-orders", "--output", "json"]).exits(0);
    find(&by_security.json(), "prod-orders: setup");
    let by_other = env.person("erin").run(&["doctor", "prod-orders", "--output", "json"]).exits(0).json();
    assert_eq!(find(&by_other, "prod-orders: reachable")["level"], "ok");
    assert!(!by_other.to_string().contains("prod-orders: setup"), "{by_other:#}");
    let unknown = env.person("erin").run(&["doctor", "prod-order"]).exits(1);
    assert!(format!("{}{}", unknown.out, unknown.err).contains("prod-orders"), "{unknown:?}");

    // A target that is down.
    env.pg.crash();
    for name in ["alice", "erin"] {
        let ran = env.person(name).run(&["doctor", "prod-orders", "--output", "json"]).exits(1);
        assert_eq!(find(&assert_remedies(&ran), "prod-orders: reachable")["level"], "problem");
    }
    env.pg.restart().await;

    // An identity provider that is down: nobody can sign in, those who are can ask.
    env.idp.stop();
    let ran = env.person("alice").run(&["doctor", "--output", "json"]).exits(1);
    let finding = find(&assert_remedies(&ran), "identity provider").clone();
    assert_eq!(finding["level"], "problem", "{finding}");

    // No server at all.
    drop(env.server.take());
    let ran = env.person("alice").run(&["doctor", "--output", "json"]).exits(1);
    assert_eq!(find(&ran.json(), "server")["level"], "problem");
}
