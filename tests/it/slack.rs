//! Requests in Slack: what is shown, whose presses are heard, and what they do.

use crate::requests::id;
use crate::support::api::{Api, events};
use crate::support::env::{Setting, TestEnv, eventually};
use crate::support::slack::{SIGNING_SECRET, Slack, post_signed, signed};
use crate::support::visitor::Visitor;
use serde_json::{Value, json};

async fn environment(slack: &Slack, more: &str) -> TestEnv {
    TestEnv::with(Setting { extra: slack.config(more), ..Setting::default() }).await
}

async fn asked(api: &Api, reason: &str) -> String {
    let scope = json!({"tables": ["payments"], "unmask": ["card_number"]});
    let asked = json!({"target": "prod-orders", "reason": reason, "scope": scope});
    id(&api.post("/v1/requests", asked).await.is(200))
}

async fn state(api: &Api, request: &str) -> Value {
    api.get(&format!("/v1/requests/{request}")).await.is(200)["request"].take()
}

fn now() -> i64 {
    dbaccess::os::now().as_second()
}

async fn send(env: &TestEnv, payload: &Value) -> u16 {
    post_signed(env, &signed(payload, now(), SIGNING_SECRET)).await
}

/// The address in `<https://…|words>`.
fn link_in(text: &str) -> String {
    let (_, rest) = text.split_once('<').unwrap_or_else(|| panic!("no link in {text}"));
    rest.split_once('|').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_2_a_request_is_shown_in_slack_and_its_button_leads_to_the_page() {
    let slack = Slack::start(&["carol", "erin"]).await;
    let env = environment(&slack, "").await;
    env.signed_in("carol").await;
    let alice = env.signed_in("alice").await.api();
    let request = asked(&alice, "INC-3 <!channel> & <https://evil.example|here>").await;
    let message = eventually("the request is in Slack", || slack.calls("chat.postMessage").pop()).await;
    assert_eq!(message["channel"], "C0REQUESTS");
    // As it was written, where Slack reads no markup.
    let reason = json!({"type": "text", "text": "INC-3 <!channel> & <https://evil.example|here>"});
    let quoted = json!({"type": "rich_text_quote", "elements": [reason]});
    let facts = message["blocks"].as_array().unwrap().iter().find(|block| block["type"] == "rich_text");
    assert!(facts.unwrap()["elements"].as_array().unwrap().contains(&quoted), "{message}");
    let buttons = message["blocks"].as_array().unwrap().last().unwrap()["elements"].as_array().unwrap();
    let button = |action: &str| buttons.iter().find(|button| button["action_id"] == action).unwrap();
    assert_eq!(
        (&button("approve")["value"], &button("deny")["style"]),
        (&request.as_str().into(), &"danger".into())
    );
    assert!(button("open")["url"].as_str().unwrap().starts_with(&format!("{}/decide/", env.url)));

    assert_eq!(send(&env, &slack.press("U-carol", "approve", &request, "1")).await, 200);
    let link = link_in(&slack.answer("1").await);
    assert_eq!(state(&alice, &request).await["state"], "waiting", "a button decides nothing by itself");
    // It is hers: the identity provider says who opens it.
    let path = link.strip_prefix(&env.url).unwrap();
    let mut dave = Visitor::new(&env);
    dave.sign_in(path, "dave").await.is(403).says("sent to somebody else");
    let mut carol = Visitor::new(&env);
    let page = carol.sign_in(path, "carol").await.is(200);
    let form = page.hidden("form").unwrap();
    carol.post(path, &[("form", &form), ("answer", "approve")]).await.is(303);
    assert_eq!(state(&alice, &request).await["approvals"][0]["via"], "web");

    // The message loses its buttons, and the thread says how it went.
    let update = eventually("the message is closed", || slack.calls("chat.update").pop()).await;
    assert_eq!(update["channel"], "C0REQUESTS");
    assert!(!update["blocks"].to_string().contains("approve\""), "{update}");
    assert!(update["blocks"].to_string().contains("carol@example.com approved"), "{update}");
    let last = eventually("the thread says so", || {
        slack.calls("chat.postMessage").into_iter().find(|message| message["thread_ts"].is_string())
    })
    .await;
    assert_eq!(last["thread_ts"], update["ts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_signatures_that_are_forged_old_or_replayed_are_refused() {
    let slack = Slack::start(&["carol"]).await;
    let env = environment(&slack, "decide = \"slack\"").await;
    env.signed_in("carol").await;
    let alice = env.signed_in("alice").await.api();
    let request = asked(&alice, "INC-4").await;
    let press = |id: &str| slack.press("U-carol", "approve", &request, id);
    let good = signed(&press("1"), now(), SIGNING_SECRET);
    let mut other_body = good.clone();
    other_body.0 = signed(&press("2"), now(), SIGNING_SECRET).0;
    let unsigned = (good.0.clone(), good.1.clone(), String::new());
    let later = (good.0.clone(), (now() + 1).to_string(), good.2.clone());
    for forged in [
        signed(&press("3"), now(), "another secret"),
        signed(&press("4"), now() - 400, SIGNING_SECRET),
        signed(&press("5"), now() + 400, SIGNING_SECRET),
        other_body,
        unsigned,
        later,
    ] {
        assert_eq!(post_signed(&env, &forged).await, 403);
    }
    assert_eq!(state(&alice, &request).await["state"], "waiting");
    let nonsense = signed(&json!({"type": "block_actions"}), now(), SIGNING_SECRET);
    assert_eq!(post_signed(&env, &nonsense).await, 400);
    let large = signed(&json!({"type": "x".repeat(100_000)}), now(), SIGNING_SECRET);
    assert_eq!(post_signed(&env, &large).await, 413);

    // Clocks may be minutes apart: four are heard, to either side.
    for (id, off) in [("7", -240), ("8", 240)] {
        let other = asked(&alice, "INC-6").await;
        let off = signed(&slack.press("U-carol", "approve", &other, id), now() + off, SIGNING_SECRET);
        assert_eq!(post_signed(&env, &off).await, 200);
        assert!(slack.answer(id).await.starts_with("Approved"));
    }
    assert_eq!(post_signed(&env, &good).await, 200);
    assert!(slack.answer("1").await.starts_with("Approved"));
    let other = asked(&alice, "INC-5").await;
    assert_eq!(post_signed(&env, &good).await, 403, "the same again");
    // Also after a restart.
    let replayed = signed(&slack.press("U-carol", "approve", &other, "6"), now(), SIGNING_SECRET);
    assert_eq!(post_signed(&env, &replayed).await, 200);
    slack.answer("6").await;
    let mut env = env;
    env.kill_server();
    env.start_server().await;
    assert_eq!(post_signed(&env, &replayed).await, 403);
    // G8
    let (log, ledger) = (env.server_log(), env.ledger_text());
    for secret in [SIGNING_SECRET, "xoxb-token-of-the-bot"] {
        assert!(!log.contains(secret) && !ledger.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_where_slacks_word_decides_the_persons_own_roles_count_and_the_record_says_slack() {
    let slack = Slack::start(&["alice", "bob", "carol", "dave", "stranger"]).await;
    slack.account("U-bot", json!({"is_bot": true, "profile": {"email": "carol@example.com"}}));
    slack.account("U-left", json!({"deleted": true, "profile": {"email": "carol@example.com"}}));
    slack
        .account("U-claims", json!({"is_email_confirmed": false, "profile": {"email": "carol@example.com"}}));
    slack.account("U-elsewhere", json!({"is_stranger": true, "profile": {"email": "carol@example.com"}}));
    // Their own administrators gave it that e-mail.
    slack.account("U-connect", json!({"team_id": "T2", "profile": {"email": "carol@example.com"}}));
    slack.account("U-guest", json!({"is_ultra_restricted": true, "profile": {"email": "carol@example.com"}}));
    slack.account("U-unsaid", json!({"is_email_confirmed": null, "profile": {"email": "carol@example.com"}}));
    slack.account("U-capitals", json!({"profile": {"email": "Carol@Example.com"}}));
    let env = environment(&slack, "decide = \"slack\"\nsigned_in_within = \"1h\"").await;
    for name in ["bob", "carol"] {
        env.signed_in(name).await;
    }
    let alice = env.signed_in("alice").await.api();
    let request = asked(&alice, "INC-6").await;
    let mut number = 0;
    let mut pressed = async |account: &str, action: &str, request: &str| {
        number += 1;
        let answer = format!("a{number}");
        assert_eq!(send(&env, &slack.press(account, action, request, &answer)).await, 200);
        slack.answer(&answer).await
    };
    let said = pressed("U-alice", "approve", &request).await;
    assert!(said.contains("is your own"), "{said}");
    for account in ["U-bot", "U-left", "U-claims", "U-elsewhere", "U-connect", "U-guest", "U-unsaid"] {
        let said = pressed(account, "approve", &request).await;
        assert!(said.contains("no full member of this Slack workspace"), "{account}: {said}");
    }
    let said = pressed("U-stranger", "approve", &request).await;
    assert!(said.contains("nobody here has your e-mail"), "{said}");
    // Somebody who never signed in is nobody here, whatever Slack knows of them.
    let said = pressed("U-dave", "approve", &request).await;
    assert!(said.contains("nobody here has your e-mail"), "{said}");
    assert_eq!(state(&alice, &request).await["state"], "waiting");
    let said = pressed("U-capitals", "approve", &request).await;
    assert!(said.starts_with("Approved"), "{said}");
    let approval = state(&alice, &request).await["approvals"][0].take();
    assert_eq!((&approval["via"], &approval["by"]["subject"]), (&"slack".into(), &"carol".into()));
    assert_eq!(slack.calls("auth.test").len(), 1, "whose workspace it is does not change");
    let said = pressed("U-carol", "approve", &request).await;
    assert!(said.contains("already granted"), "{said}");

    // A denial asks why, in a dialog.
    let request = asked(&alice, "INC-7").await;
    assert_eq!(send(&env, &slack.press("U-carol", "deny", &request, "d")).await, 200);
    let dialog = eventually("a dialog opens", || slack.calls("views.open").pop()).await;
    assert_eq!((&dialog["trigger_id"], &dialog["view"]["type"]), (&"trigger-d".into(), &"modal".into()));
    assert_eq!(state(&alice, &request).await["state"], "waiting");
    let submitted = json!({
        "type": "view_submission",
        "user": {"id": "U-carol", "team_id": "T1"},
        "view": {
            "callback_id": dialog["view"]["callback_id"],
            "private_metadata": dialog["view"]["private_metadata"],
            "state": {"values": {"reason": {"reason": {"type": "plain_text_input", "value": "not this week"}}}},
        },
    });
    assert_eq!(send(&env, &submitted).await, 200);
    assert_eq!(slack.answer("d").await, "Denied.");
    let closed = state(&alice, &request).await["closed"].take();
    assert_eq!((&closed["via"], &closed["reason"]), (&"slack".into(), &"not this week".into()));
    let denied = events(&env, "request.denied", 1, |_| true).await;
    assert_eq!(denied[0]["via"], "slack");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_signed_in_for_long_is_led_to_the_page_even_where_slack_decides() {
    let slack = Slack::start(&["carol"]).await;
    let env = environment(&slack, "decide = \"slack\"\nsigned_in_within = \"1s\"").await;
    env.signed_in("carol").await;
    let signed_in = now();
    let alice = env.signed_in("alice").await.api();
    let request = asked(&alice, "INC-8").await;
    eventually("a second has passed", || (now() > signed_in + 2).then_some(())).await;
    assert_eq!(send(&env, &slack.press("U-carol", "approve", &request, "1")).await, 200);
    assert!(link_in(&slack.answer("1").await).starts_with(&env.url));
    assert_eq!(state(&alice, &request).await["state"], "waiting");
}
