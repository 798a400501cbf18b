//! R8.5: when break-glass access has ended, somebody answerable looks at it in
//! time, and until they have its person gets no other.

use crate::support::api::events;
use crate::support::env::{Setting, TestEnv, TestPerson};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Makes a grant one of break-glass, in the state, whatever incident it would need.
pub fn make_break_glass(env: &TestEnv, grant: &str) {
    let state = rusqlite::Connection::open(env.dir.path().join("data/state.db")).unwrap();
    state.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let sql = "UPDATE access_grant SET body = json_set(body, '$.path', 'break-glass') WHERE id = ?1";
    assert_eq!(state.execute(sql, [grant]).unwrap(), 1);
}

async fn environment(within: &str) -> (TestEnv, TempDir) {
    let (policy, rule) = crate::recordings::rule();
    let extra = format!("{policy}\n[break_glass]\nreview_within = \"{within}\"\n");
    (TestEnv::with(Setting { extra, ..Setting::default() }).await, rule)
}

/// Somebody's break-glass grant on orders.
fn granted(env: &TestEnv, alice: &TestPerson<'_>, window: &str) -> String {
    let ask =
        ["request", "prod-orders", "--table", "orders", "--for", window, "--reason", "INC-1", "-o", "json"];
    let grant = alice.run(&ask).ok().json()["grant"]["id"].as_str().unwrap().to_owned();
    make_break_glass(env, &grant);
    grant
}

fn reviews(person: &TestPerson<'_>) -> Vec<Value> {
    let list = person.run(&["review", "list", "--all", "-o", "json"]).ok().json();
    list.as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_5_a_review_opens_with_the_end_shows_what_was_done_and_is_only_added_to() {
    let (env, _rule) = environment("48h").await;
    let alice = env.signed_in("alice").await;
    let (bob, carol, dave) =
        (env.signed_in("bob").await, env.signed_in("carol").await, env.signed_in("dave").await);
    let grant = granted(&env, &alice, "1h");
    alice.run(&["exec", "prod-orders", "SELECT count(*) FROM orders"]).ok();
    alice.run(&["exec", "prod-orders", "SELECT nothing FROM orders"]);
    assert!(reviews(&dave).is_empty(), "access that lives is not reviewed");
    dave.run(&["revoke", &grant, "--reason", "over"]).ok();

    // In the same moment, with its notice's event.
    let opened = reviews(&dave);
    let id = opened[0]["review"]["id"].as_str().unwrap().to_owned();
    assert_eq!((opened.len(), &opened[0]["you_review_as"]), (1, &"security".into()));
    let told = events(&env, "review.opened", 1, |_| true).await;
    assert_eq!((told.len(), &told[0]["review"]["grant"]), (1, &grant.clone().into()));

    let detail = carol.run(&["review", "show", &id, "-o", "json"]).ok().json();
    assert_eq!(detail["view"]["you_review_as"], "manager");
    let texts: Vec<&str> =
        detail["statements"].as_array().unwrap().iter().map(|row| row["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["SELECT count(*) FROM orders", "SELECT nothing FROM orders"]);
    let summary = &detail["summary"];
    assert_eq!(
        (&summary["statements"], &summary["failed"], &summary["rows"]),
        (&2.into(), &1.into(), &1.into())
    );
    assert_eq!(summary["writes"], json!([]));
    let sessions = detail["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    for session in sessions {
        assert_eq!(session["recording"]["state"], "ended", "{session}");
        assert_eq!(session["recording"]["sha256"].as_str().map(str::len), Some(64));
    }
    let kinds: Vec<&str> =
        detail["history"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["grant.issued", "grant.revoked"]);
    let text = carol.run(&["review", "show", &id]).ok().out;
    for says in
        ["INC-1", "2 statements, 1 failed, 1 rows", "nothing", "grant.revoked", "can write it as manager"]
    {
        assert!(text.contains(says), "{says}: {text}");
    }

    // Not by the person themself, not by a colleague; not without a word.
    let write = |person: &TestPerson<'_>, verdict: &str, finding: &str| {
        person.run(&[
            "review",
            "write",
            &id,
            "--verdict",
            verdict,
            "--finding",
            finding,
            "--action",
            "rotate",
        ])
    };
    let own = write(&alice, "justified", "I was right").exits(5);
    assert!(own.err.contains("about your own access"), "{}", own.err);
    let colleague = write(&bob, "justified", "fine");
    assert!(matches!(colleague.code, 1 | 5), "{colleague:?}");
    write(&carol, "justified", " ").exits(2);
    write(&carol, "maybe", "x").exits(2);

    write(&carol, "justified", "the incident needed it").ok();
    write(&dave, "unjustified", "it read more than it needed").ok();
    let written = reviews(&dave);
    let findings = written[0]["review"]["findings"].as_array().unwrap();
    assert_eq!(findings[0]["finding"], "the incident needed it");
    assert_eq!((&findings[1]["verdict"], &findings[1]["role"]), (&"unjustified".into(), &"security".into()));
    assert_eq!(findings[1]["actions"], json!(["rotate"]));
    let on_ledger = events(&env, "review.written", 2, |event| event["review"] == id.as_str()).await;
    assert_eq!(on_ledger[0]["finding"], findings[0]);
    assert!(!dave.run(&["review", "list"]).ok().out.contains("alice"), "what is written waits for nobody");

    // Years later it says why there is nothing to see.
    let state = rusqlite::Connection::open(env.dir.path().join("data/state.db")).unwrap();
    state.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let by = r#"{"at":"2029-01-02T03:04:05Z","rule":"statements = 400d"}"#;
    let sql = "UPDATE session SET body = json_set(body, '$.statements_pruned', json(?1))";
    assert_eq!(state.execute(sql, [by]).unwrap(), 2);
    let text = dave.run(&["review", "show", &id]).ok().out;
    let says = "its statements were pruned on 2029-01-02, by the rule statements = 400d";
    assert_eq!(text.matches(says).count(), 2, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_5_an_expired_grant_is_found_once_and_an_overdue_review_is_told_once() {
    let (mut env, _rule) = environment("4s").await;
    let (grant, id) = {
        let alice = env.signed_in("alice").await;
        let dave = env.signed_in("dave").await;
        let grant = granted(&env, &alice, "1s");
        // It ends by itself; a task finds it.
        let opened = events(&env, "review.opened", 1, |_| true).await;
        let review = &opened[0]["review"];
        assert_eq!(review["grant"], grant.as_str());
        let overdue = events(&env, "review.overdue", 1, |_| true).await;
        assert_eq!(overdue[0]["review"], review["id"]);
        let listed = dave.run(&["review", "list"]).ok().out;
        assert!(listed.contains("overdue"), "{listed}");
        (grant, review["id"].as_str().unwrap().to_owned())
    };
    // Nothing of it comes twice, whatever dies in between.
    env.kill_server();
    env.start_server().await;
    let other = {
        let alice = env.person("alice");
        granted(&env, &alice, "1s")
    };
    events(&env, "review.opened", 1, |event| event["review"]["grant"] == other.as_str()).await;
    let of = |kind, key: &'static str, value: String| {
        let env = &env;
        async move { events(env, kind, 0, |event| event[key] == value.as_str()).await.len() }
    };
    assert_eq!(
        events(&env, "review.opened", 1, |event| event["review"]["grant"] == grant.as_str()).await.len(),
        1
    );
    assert_eq!(of("review.overdue", "review", id).await, 1);
}
