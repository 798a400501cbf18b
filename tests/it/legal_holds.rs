//! Holds by target, by incident and by time on a server that runs: what each of
//! them covers outlives its age, and nothing else does.

use crate::break_glass::{Emergency, USUAL, break_glass};
use crate::retention_live::pruned;
use crate::support::api::{events, ledger};
use crate::support::env::{TestEnv, TestPerson};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The session that somebody ran last, once its role is gone: from then on it ages.
async fn over(env: &TestEnv, person: &TestPerson<'_>) -> String {
    let session = person.last_session()["session"]["id"].as_str().unwrap().to_owned();
    events(env, "session.dead", 1, |event| event["session"] == session.as_str()).await;
    session
}

async fn runs(env: &TestEnv, person: &TestPerson<'_>, target: &str, sql: &str) -> String {
    person.run(&["exec", target, sql]).ok();
    over(env, person).await
}

/// Break-glass for PD-Q1 that was used, has ended and is reviewed, so that only
/// a hold keeps it.
async fn emergency(env: &TestEnv, alice: &TestPerson<'_>, dave: &TestPerson<'_>) -> String {
    break_glass(alice, &["--", "psql", "-XAtc", "SELECT 'incident' FROM orders LIMIT 1"]).ok();
    let session = over(env, alice).await;
    let grant = alice.last_session()["session"]["grant"].as_str().unwrap().to_owned();
    alice.run(&["revoke", &grant]).ok();
    let opened = events(env, "review.opened", 1, |_| true).await;
    let review = opened[0]["review"]["id"].as_str().unwrap();
    let judged = ["--verdict", "justified", "--finding", "as it says", "--action", "none"];
    dave.run(&[&["review", "write", review][..], &judged].concat()).ok();
    session
}

/// Places a hold that covers one session so far; its id.
fn place(dave: &TestPerson<'_>, covers: &[&str]) -> String {
    let said = ["--reason", "case 2026-17", "-o", "json"];
    let placed = dave.run(&[&["hold", "place"], covers, &said].concat()).ok().json();
    assert_eq!((&placed["sessions"], &placed["pruned"]), (&1.into(), &0.into()), "{placed}");
    placed["hold"]["id"].as_str().unwrap().to_owned()
}

/// Where on the ledger it says that of these sessions what is old went.
fn told(records: &[Value], kind: &str) -> BTreeMap<String, u64> {
    let of_kind = records.iter().filter(|record| record["body"]["kind"] == kind);
    let one = |record: &Value| {
        (record["body"]["session"].as_str().unwrap().to_owned(), record["seq"].as_u64().unwrap())
    };
    of_kind.map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn g7_r9_3_holds_by_target_incident_and_time_keep_what_they_cover_until_they_are_released() {
    let mut glass = Emergency::with(USUAL).await;
    let (held, free, holds) = {
        let env = &glass.env;
        let (alice, dave) = (env.signed_in("alice").await, env.signed_in("dave").await);
        alice.run(&["request", "crowd", "--table", "people", "--reason", "INC-1"]).ok();
        let by_target = runs(env, &alice, "crowd", "SELECT count(*) AS target FROM people").await;
        let by_incident = emergency(env, &alice, &dave).await;
        alice.granted(&["--table", "orders"]);
        let from = dbaccess::os::now().to_string();
        let by_time = runs(env, &alice, "prod-orders", "SELECT count(*) AS time FROM orders").await;
        let until = dbaccess::os::now().to_string();
        // Behind the others on the ledger: where its lines can go, theirs could.
        let free = runs(env, &alice, "prod-orders", "SELECT count(*) AS free FROM orders").await;
        let holds = [
            place(&dave, &["--target", "crowd"]),
            place(&dave, &["--incident", "PD-Q1"]),
            place(&dave, &["--between", &from, &until]),
        ];
        ([by_target, by_incident, by_time], free, holds)
    };

    // Everything is old when the server that prunes starts.
    glass.env.server.take().unwrap().stop();
    let config = glass.env.dir.path().join("server.toml");
    let text = std::fs::read_to_string(&config).unwrap() + "\n[retention]\nstatements = \"1s\"\n";
    std::fs::write(&config, text).unwrap();
    glass.env.start_server().await;
    let env = &glass.env;
    let dave = env.person("dave");
    pruned(env, &dave, &free).await;
    let view = dave.run(&["retention", "-o", "json"]).ok().json();
    let stay =
        |by: &[&String]| -> Value { by.iter().map(|id| (format!("held by {id}"), json!(1))).collect() };
    assert_eq!(view["statements"]["stay"], stay(&holds.each_ref()), "{view}");
    assert_eq!(view["recordings"]["stay"], stay(&[&holds[1]]), "{view}");
    for session in &held {
        let rows = dave.run(&["audit", "--session", session, "-o", "json"]).ok().json();
        assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    }
    let recording = env.dir.path().join(format!("data/recordings/{}.rec", held[1]));
    assert!(recording.exists());

    for hold in &holds {
        dave.run(&["hold", "release", hold, "--reason", "settled"]).ok();
    }
    for session in &held {
        pruned(env, &dave, session).await;
    }
    env.eventually("its recording is gone", || (!recording.exists()).then_some(())).await;
    // Nothing of what was held went before.
    let records = ledger(env);
    let released = records.iter().filter(|record| record["body"]["kind"] == "hold.released");
    let released: BTreeMap<&str, u64> = released
        .map(|record| (record["body"]["hold"].as_str().unwrap(), record["seq"].as_u64().unwrap()))
        .collect();
    let gone = told(&records, "statements.pruned");
    let all: BTreeSet<&String> = held.iter().chain([&free]).collect();
    assert_eq!(gone.keys().collect::<BTreeSet<_>>(), all);
    for (session, hold) in held.iter().zip(&holds) {
        assert!(gone[session] > released[hold.as_str()], "{session}");
    }
    let recordings = told(&records, "recording.pruned");
    assert_eq!(recordings.keys().collect::<Vec<_>>(), [&held[1]]);
    assert!(recordings[&held[1]] > released[holds[1].as_str()]);
    dave.run(&["ledger", "verify", env.ledger_dir().to_str().unwrap()]).ok();
}
