//! Retention and legal holds on a server that runs, with the commands that people type.

use crate::metrics::gauge;
use crate::support::api::events;
use crate::support::env::{Setting, TestEnv, TestPerson};
use serde_json::Value;
use std::time::Instant;

/// Runs one statement, and gives its session.
fn runs(person: &TestPerson<'_>, text: &str) -> String {
    person.granted(&["--table", "orders"]);
    person.run(&["exec", "prod-orders", text]).ok();
    person.last_session()["session"]["id"].as_str().unwrap().to_owned()
}

/// Waits until a session's statements are gone. Lines are written meanwhile: a
/// segment is closed with the next one.
pub async fn pruned(env: &TestEnv, dave: &TestPerson<'_>, session: &str) {
    env.until("its statements are pruned", async || {
        dave.login().await;
        dave.run(&["audit", "--session", session]).code != 0
            && !env
                .ledger_text()
                .contains(&format!("\"kind\":\"statement.intent\",\"session\":\"{session}\""))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g7_r5_1_r9_3_what_is_old_goes_unless_it_is_held_and_all_of_it_is_told() {
    let extra = "[retention]\nstatements = \"2s\"\n".to_owned();
    let mut env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    let (theirs, held, hold) = {
        let (alice, bob, dave) =
            (env.signed_in("alice").await, env.signed_in("bob").await, env.signed_in("dave").await);
        let place = ["hold", "place", "--person", "bob@example.com", "--reason", "a claim"];
        let refused = alice.run(&place).exits(5);
        assert!(refused.err.contains("holds are placed by security and auditors"), "{}", refused.err);
        alice.run(&["hold", "list"]).exits(5);
        alice.run(&["retention"]).exits(5);
        let wrong = dave.run(&["hold", "place", "--person", "bbo@example.com", "--reason", "x"]).exits(1);
        assert!(wrong.err.contains("nobody called bbo@example.com"), "{}", wrong.err);
        dave.run(&["hold", "place", "--target", "prod-order", "--reason", "x"]).exits(1);
        dave.run(&["hold", "place", "--reason", " "]).exits(2);
        let hold = dave.run(&[&place[..], &["-o", "json"]].concat()).ok().json();
        let hold = hold["hold"]["id"].as_str().unwrap().to_owned();
        let placed = events(&env, "hold.placed", 1, |_| true).await;
        assert_eq!(placed[0]["hold"]["covers"]["person"], "bob@example.com");
        let refused = alice.run(&["hold", "release", &hold, "--reason", "x"]).exits(1);
        assert!(refused.err.contains("no hold begins with"), "{}", refused.err);

        let begun = Instant::now();
        let theirs = runs(&alice, "SELECT count(*) AS alices FROM orders");
        let held = runs(&bob, "SELECT count(*) AS bobs FROM orders");
        pruned(&env, &dave, &theirs).await;
        assert!(begun.elapsed().as_secs() >= 2);
        let told = events(&env, "statements.pruned", 1, |_| true).await;
        assert_eq!(
            (&told[0]["session"], &told[0]["rule"]),
            (&theirs.as_str().into(), &"statements = 2s".into())
        );
        assert_eq!(told[0]["statements"], 1);

        // It is said, and not taken for nothing.
        for who in [&alice, &dave] {
            let gone = who.run(&["audit", "--session", &theirs]).exits(1);
            assert!(
                gone.err.contains("were pruned on") && gone.err.contains("statements = 2s"),
                "{}",
                gone.err
            );
        }
        let gone = dave.run(&["replay", &theirs]).exits(1);
        assert!(gone.err.contains("were pruned on"), "{}", gone.err);
        let rows = dave.run(&["audit", "--session", &held, "-o", "json"]).ok().json();
        assert_eq!(rows[0]["text"], "SELECT count(*) AS bobs FROM orders");
        let text = env.ledger_text();
        assert!(!text.contains("AS alices") && text.contains("AS bobs"));
        let shown = dave.run(&["retention", "-o", "json"]).ok().json();
        assert_eq!(shown["statements"]["rule"], "statements = 2s");
        assert_eq!(shown["statements"]["stay"][format!("held by {hold}")], 1, "{shown}");

        // Evidence of that time says what it did not see, and is as it was made.
        let file = env.dir.path().join("evidence.zip");
        let path = file.to_str().unwrap();
        dave.run(&["report", "evidence", "--framework", "pci", "--between", "1h", "now", "--file", path])
            .ok();
        let checked = dave.run(&["report", "verify", path, "-o", "json"]).ok().json();
        assert_eq!((&checked["as_made"], &checked["exceptions"]), (&true.into(), &1.into()), "{checked}");
        let files = crate::evidence::files_of(&file);
        let report: Value = serde_json::from_slice(&files["data/report.json"]).unwrap();
        let exception = &report["controls"][0]["exceptions"][0];
        assert_eq!(
            (&exception["rule"], &exception["about"]),
            (&"statements-pruned".into(), &theirs.as_str().into())
        );
        (theirs, held, hold)
    };

    // The copy verifies without the server, and a server starts on it, without its index.
    env.server.take().unwrap().stop();
    std::fs::remove_file(env.dir.path().join("data/index.db")).unwrap();
    let verified = env.person("dave").run(&["ledger", "verify", env.ledger_dir().to_str().unwrap()]).ok();
    assert!(verified.out.contains("were pruned on"), "{}", verified.out);
    // A copy is played without the server, too.
    let ledger = env.ledger_dir().to_str().unwrap().to_owned();
    let gone = env.person("dave").run(&["replay", &theirs, "--ledger", &ledger]).exits(1);
    let says = format!("the statements of {theirs} were pruned on");
    assert!(gone.err.contains(&says) && gone.err.contains("statements = 2s"), "{}", gone.err);
    let played = env.person("dave").run(&["replay", &held, "--ledger", &ledger]).ok();
    assert!(played.err.contains("no gap but what was pruned"), "{}", played.err);
    // Alice's address was another one then.
    let state = rusqlite::Connection::open(env.dir.path().join("data/state.db")).unwrap();
    let renamed =
        "UPDATE session SET body = json_set(body, '$.person.email', 'al@example.com') WHERE id = ?1";
    assert_eq!(state.execute(renamed, [&theirs]).unwrap(), 1);
    drop(state);
    env.start_server().await;
    let dave = env.person("dave");
    for address in ["AL@example.com", "alice@example.com"] {
        let place = ["hold", "place", "--person", address, "--reason", "a claim", "-o", "json"];
        let placed = dave.run(&place).ok().json();
        assert_eq!((&placed["sessions"], &placed["pruned"]), (&1.into(), &1.into()), "{placed}");
    }
    let gone = dave.run(&["audit", "--session", &theirs]).exits(1);
    assert!(gone.err.contains("were pruned on"), "{}", gone.err);
    let counts = dave.run(&["audit", "--count-by", "person", "-o", "json"]).ok().json();
    assert_eq!((&counts[0]["key"], counts.as_array().unwrap().len()), (&"bob@example.com".into(), 1));

    // What only the hold has kept goes when it is released.
    dave.run(&["hold", "release", &hold, "--reason", "settled"]).ok();
    let again = dave.run(&["hold", "release", &hold, "--reason", "settled"]).exits(1);
    assert!(again.err.contains("was released by dave@example.com"), "{}", again.err);
    pruned(&env, &dave, &held).await;
    let late = dave.run(&["hold", "place", "--session", &held, "--reason", "late", "-o", "json"]).ok();
    assert!(late.err.contains("the statements of 1 of them had been pruned before"), "{}", late.err);
    let listed = dave.run(&["hold", "list", "--all", "-o", "json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 4);
    dave.run(&["ledger", "verify", env.ledger_dir().to_str().unwrap()]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_recordings_go_by_their_own_age_and_statements_wait_for_the_siem() {
    let (rule, _dir) = crate::recordings::rule();
    let nobody = crate::support::port::Port::reserve();
    let forward = format!("[forward.siem]\nto = \"webhook\"\nurl = \"http://{}/\"\n", nobody.address());
    let metrics = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let extra = format!(
        "{rule}[retention]\nstatements = \"2s\"\nrecordings = \"1s\"\n{forward}\
         [metrics]\nlisten = \"127.0.0.1:{metrics}\"\n"
    );
    let setting =
        Setting { databases: vec![("filmed", crate::recordings::SQL)], extra, ..Setting::default() };
    let env = TestEnv::with(setting).await;
    // How far the ledger is forwarded cannot be read: that keeps statements alone.
    let place = env.dir.path().join("data/forward/siem.json");
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(&place, [0xff]).unwrap();
    let (alice, dave) = (env.signed_in("alice").await, env.signed_in("dave").await);
    alice.run(&["request", "filmed", "--schema", "public", "--write", "--reason", "INC-7"]).ok();
    alice.run(&["exec", "filmed", "SELECT 'seen' AS word"]).ok();
    let session = alice.last_session()["session"]["id"].as_str().unwrap().to_owned();

    let told = events(&env, "recording.pruned", 1, |_| true).await;
    assert_eq!(
        (&told[0]["session"], &told[0]["rule"]),
        (&session.as_str().into(), &"recordings = 1s".into())
    );
    let file = env.dir.path().join(format!("data/recordings/{session}.rec"));
    env.eventually("the file is gone", || (!file.exists()).then_some(())).await;
    assert!(env.server_log().contains("the place in the ledger"));
    gauge(metrics, "retention_failed", |value| value == 1.0).await;
    std::fs::remove_file(&place).unwrap();
    let gone = dave.run(&["recording", "show", &session]).exits(1);
    assert!(gone.err.contains("were pruned on") && gone.err.contains("recordings = 1s"), "{}", gone.err);

    let late = dave.run(&["hold", "place", "--session", &session, "--reason", "late"]).ok();
    assert!(late.err.contains("the recordings of 1 of them had been pruned before"), "{}", late.err);
    let held = late.err.split_whitespace().find(|word| word.starts_with("hld-")).unwrap();
    dave.run(&["hold", "release", held, "--reason", "settled"]).ok();

    // Its statements are played all the same, because they wait.
    let played = dave.run(&["replay", &session]).ok();
    assert!(played.out.contains("SELECT 'seen' AS word"), "{}", played.out);
    assert!(played.err.contains("without the rows: they were pruned on"), "{}", played.err);
    env.until("statements wait for what is not forwarded", async || {
        dave.login().await;
        let shown = dave.run(&["retention", "-o", "json"]).ok().json();
        shown["statements"]["stay"]["not forwarded to siem yet"] == 1
    })
    .await;
    assert!(env.ledger_text().contains("SELECT 'seen' AS word"));
    env.eventually("the log says so", || env.server_log().contains("retention waits").then_some(())).await;
    gauge(metrics, "retention_failed", |value| value == 0.0).await;
    gauge(metrics, "retention_waiting_sessions{name=\"siem\"}", |value| value == 1.0).await;
}
