//! Decisions at the same time, and decisions that a crash follows.

use crate::requests::id;
use crate::support::api::{events, ledger};
use crate::support::env::{Setting, TestEnv};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What waits for a lead: card numbers as they are.
fn asked() -> Value {
    let scope = json!({"tables": ["payments"], "unmask": ["card_number"]});
    json!({"target": "prod-orders", "reason": "INC-3", "scope": scope})
}

#[tokio::test(flavor = "multi_thread")]
async fn two_approvals_at_once_fill_one_slot_once() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let carol = env.signed_in("carol").await.api();
    let dave = env.signed_in("dave").await.api();
    for _ in 0..20 {
        let request = id(&alice.post("/v1/requests", asked()).await.is(200));
        let path = format!("/v1/requests/{request}/approve");
        let (one, other) = tokio::join!(carol.post(&path, json!({})), dave.post(&path, json!({})));
        let (won, lost, winner) =
            if one.status == 200 { (one, other, "carol") } else { (other, one, "dave") };
        assert_eq!((won.status, lost.status), (200, 409), "{won:?} {lost:?}");
        let told = format!("was already granted by {winner}@example.com");
        assert!(lost.message().contains(&told), "{}", lost.message());
        assert_eq!(won.body["request"]["approvals"].as_array().unwrap().len(), 1);
    }
    let issued = events(&env, "grant.issued", 20, |_| true).await;
    let requests: BTreeSet<&str> = issued.iter().filter_map(|e| e["grant"]["request"].as_str()).collect();
    assert_eq!((issued.len(), requests.len()), (20, 20), "one grant a request");
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_against_cancel_has_one_winner() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let carol = env.signed_in("carol").await.api();
    let mut winners = BTreeSet::new();
    for round in 0..20 {
        let request = id(&alice.post("/v1/requests", asked()).await.is(200));
        let approve = format!("/v1/requests/{request}/approve");
        let cancel = format!("/v1/requests/{request}/cancel");
        let (approved, cancelled) = if round % 2 == 0 {
            tokio::join!(carol.post(&approve, json!({})), alice.post(&cancel, json!({})))
        } else {
            let (cancelled, approved) =
                tokio::join!(alice.post(&cancel, json!({})), carol.post(&approve, json!({})));
            (approved, cancelled)
        };
        let state = alice.get(&format!("/v1/requests/{request}")).await.is(200);
        match (approved.status, cancelled.status) {
            (200, 409) => {
                assert!(cancelled.message().contains("granted by carol@example.com"), "{cancelled:?}");
                assert_eq!(state["request"]["state"], "granted");
            }
            (409, 200) => {
                assert!(approved.message().contains("cancelled by alice@example.com"), "{approved:?}");
                assert_eq!(
                    (&state["request"]["state"], &state["grant"]),
                    (&"cancelled".into(), &Value::Null)
                );
            }
            both => panic!("{both:?}"),
        }
        winners.insert(approved.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g7_what_was_answered_is_on_the_ledger_once_after_a_crash() {
    let mut env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let carol = env.signed_in("carol").await.api();
    let mut answered = Vec::new();
    for round in 0..6 {
        let request = id(&alice.post("/v1/requests", asked()).await.is(200));
        let decided = match round % 3 {
            0 => carol.post(&format!("/v1/requests/{request}/approve"), json!({})).await,
            1 => carol.post(&format!("/v1/requests/{request}/deny"), json!({"reason": "no"})).await,
            _ => alice.post(&format!("/v1/requests/{request}/cancel"), json!({})).await,
        };
        env.kill_server();
        let state = decided.is(200)["request"]["state"].as_str().unwrap().to_owned();
        answered.push((request, state));
        env.start_server().await;
    }
    let is = |body: &Value, request: &str| body["request"] == request || body["request"]["id"] == request;
    for (request, state) in &answered {
        let kept = alice.get(&format!("/v1/requests/{request}")).await.is(200);
        assert_eq!(kept["request"]["state"], state.as_str());
        let count = async |kind| events(&env, kind, 1, |body| is(body, request)).await.len();
        assert_eq!(count("request.created").await, 1, "{request}");
        let decision = match state.as_str() {
            "granted" => "request.approved",
            "denied" => "request.denied",
            _ => "request.cancelled",
        };
        assert_eq!(count(decision).await, 1, "{request} {state}");
        let grants = events(&env, "grant.issued", usize::from(state == "granted"), |body| {
            body["grant"]["request"] == request.as_str()
        })
        .await;
        assert_eq!(grants.len(), usize::from(state == "granted"));
    }
    let numbers: Vec<u64> =
        ledger(&env).iter().filter_map(|record| record["body"]["event"].as_u64()).collect();
    let distinct: BTreeSet<&u64> = numbers.iter().collect();
    assert_eq!(numbers.len(), distinct.len(), "no event is on the ledger twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_against_expiry_has_one_winner() {
    let extra = "[policy]\nrequest_expiry = \"2s\"\n".to_owned();
    let env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    let alice = env.signed_in("alice").await.api();
    let carol = env.signed_in("carol").await.api();
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let mut requests = Vec::new();
    // Around the moment of expiry, to either side of it.
    for early_ms in [60, 30, 15, 5, 0, -5, -30] {
        let asked = alice.post("/v1/requests", asked()).await.is(200);
        let request = id(&asked);
        let expiry = time(&asked["request"]["expires_at"]);
        while dbaccess::os::now() + jiff::SignedDuration::from_millis(early_ms) < expiry {
            std::hint::spin_loop();
        }
        let answered = carol.post(&format!("/v1/requests/{request}/approve"), json!({})).await;
        match answered.status {
            200 => assert!(time(&answered.body["request"]["approvals"][0]["at"]) < expiry),
            // Lapsed, or lapsed and already written down as such.
            410 | 409 => assert!(answered.message().contains("expired"), "{answered:?}"),
            _ => panic!("{answered:?}"),
        }
        requests.push((request, answered.status == 200));
    }
    let lost = requests.iter().filter(|(_, won)| !won).count();
    assert!(lost >= 2, "{requests:?}");
    let expired = events(&env, "request.expired", lost, |_| true).await;
    assert_eq!(expired.len(), lost);
    for (request, won) in requests {
        let state = alice.get(&format!("/v1/requests/{request}")).await.is(200);
        let granted = (state["request"]["state"] == "granted", !state["grant"].is_null());
        assert_eq!(granted, (won, won), "{state}");
    }
}
