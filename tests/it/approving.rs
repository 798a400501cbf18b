//! Approving, where people are: what an approver sees, who is told, who stands
//! in for whom, and what a role that was lost is worth.

use crate::alerts::{Posted, sink};
use crate::requests::{id, says};
use crate::support::api::{Answered, Api, events, ledger};
use crate::support::env::{Setting, TestEnv, eventually};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What waits for a lead or security.
fn cards() -> Value {
    let scope = json!({"tables": ["payments"], "unmask": ["card_number"]});
    json!({"target": "prod-orders", "reason": "INC-3", "scope": scope})
}

/// What waits for a peer, and a lead, manager or security.
fn writing(tables: &[&str]) -> Value {
    let scope = json!({"tables": tables, "write": true});
    json!({"target": "prod-orders", "reason": "INC-4", "scope": scope})
}

async fn ask(who: &Api, what: Value) -> String {
    id(&who.post("/v1/requests", what).await.is(200))
}

async fn approve(who: &Api, request: &str, body: Value) -> Answered {
    who.post(&format!("/v1/requests/{request}/approve"), body).await
}

fn tomorrow() -> Timestamp {
    dbaccess::os::now() + SignedDuration::from_hours(24)
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_2_r4_5_a_delegate_approves_in_anothers_name_until_it_ends() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let (carol, erin, bob) =
        (env.signed_in("carol").await, env.signed_in("erin").await, env.signed_in("bob").await);
    let dave = env.signed_in("dave").await;
    let request = ask(&alice, cards()).await;
    says(&erin.run(&["show", &request]).exits(1), &["no request begins with", "dbaccess whoami"]);

    let lend = ["delegate", "erin@example.com", "--role", "lead", "--until", "2d", "--reason", "holiday"];
    says(&carol.run(&lend).ok(), &["erin@example.com can approve for you as lead until", "--end dlg-"]);
    says(
        &erin.run(&["show", &request]).ok(),
        &["alice@example.com (shop)", "can approve as lead, for carol@example.com"],
    );
    let approved = erin.run(&["approve", &request, "--yes"]).ok();
    says(&approved, &["erin@example.com as lead for carol@example.com", "alice@example.com now has access"]);
    let approved = events(&env, "request.approved", 1, |body| body["request"] == request).await;
    assert_eq!(approved[0]["approval"]["on_behalf_of"]["email"], "carol@example.com", "R4.5");
    // It stays on erin's list, because she decided it.
    says(&erin.run(&["show", &request]).ok(), &["granted"]);

    says(&carol.run(&["whoami"]).ok(), &["lent erin@example.com approves for you as lead, ends in"]);
    says(&erin.run(&["whoami"]).ok(), &["roles none", "lent you approve for carol@example.com as lead"]);
    assert_eq!(dave.run(&["whoami", "-o", "json"]).ok().json()["delegations"], json!([]), "not everybody's");

    // On record, and seen by those whom it concerns.
    let given = events(&env, "delegation.given", 1, |_| true).await;
    let lent = given[0]["delegation"]["id"].as_str().unwrap().to_owned();
    assert_eq!(given[0]["delegation"]["reason"], "holiday");
    for (person, sees) in [(&dave, 1), (&carol, 1), (&erin, 1), (&bob, 0)] {
        let listed = person.run(&["delegate", "--list", "-o", "json"]).ok().json();
        assert_eq!(listed.as_array().unwrap().len(), sees, "{}", person.name);
    }
    says(&bob.run(&["delegate", "--end", &lent]).exits(1), &["no delegation begins with"]);

    // What is not one's own is not lent, nor for ever, nor to oneself.
    for (arguments, code, words) in [
        (
            &["erin@example.com", "--role", "security", "--until", "2d"][..],
            5,
            "you do not hold the role security",
        ),
        (&["erin@example.com", "--until", "31d"], 2, "at most 30 days"),
        (&["carol@example.com", "--until", "2d"], 2, "you cannot delegate to yourself"),
        (&["nobody@example.com", "--until", "2d"], 1, "nobody called nobody@example.com has signed in"),
        (&["erin@example.com", "--role", "peer", "--until", "2d"], 2, "peer cannot be delegated"),
        (&["erin@example.com", "--until", "2d", "--target", "prod-order"], 1, "prod-order"),
    ] {
        let words_given = [&["delegate", "--reason", "x"], arguments].concat();
        says(&carol.run(&words_given).exits(code), &[words]);
    }

    let next = ask(&alice, cards()).await;
    carol.run(&["delegate", "--end", &lent[..9]]).ok();
    assert_eq!(
        events(&env, "delegation.ended", 1, |body| body["delegation"] == lent.as_str()).await.len(),
        1
    );
    erin.run(&["approve", &next, "--yes"]).exits(1);
    says(&dave.run(&["delegate", "--list", "--all"]).ok(), &["erin@example.com", "by carol@example.com"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_against_the_end_of_a_delegation_has_one_order() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let (carol, erin) = (env.signed_in("carol").await.api(), env.signed_in("erin").await.api());
    for round in 0..20 {
        let request = ask(&alice, cards()).await;
        let lend = json!({"to": "erin@example.com", "until": tomorrow(), "reason": "x"});
        let lent = carol.post("/v1/delegations", lend).await.is(200)["id"].as_str().unwrap().to_owned();
        let end = format!("/v1/delegations/{lent}/end");
        let (approved, ended) = if round % 2 == 0 {
            tokio::join!(approve(&erin, &request, json!({})), carol.post(&end, json!({})))
        } else {
            let (ended, approved) =
                tokio::join!(carol.post(&end, json!({})), approve(&erin, &request, json!({})));
            (approved, ended)
        };
        ended.is(200);
        // Whichever came first on the ledger is what was true.
        let both = eventually("both are on the ledger", || {
            let records = ledger(&env);
            let place = |kind: &str, key: &str, value: &str| {
                records.iter().position(|one| one["body"]["kind"] == kind && one["body"][key] == value)
            };
            let ended = place("delegation.ended", "delegation", &lent)?;
            let approval = place("request.approved", "request", &request);
            (approved.status != 200 || approval.is_some()).then_some((ended, approval))
        })
        .await;
        match (approved.status, both) {
            (200, (ended, Some(approval))) => assert!(approval < ended, "{both:?}"),
            (403 | 404, (_, None)) => {}
            _ => panic!("{approved:?} {both:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_two_who_narrow_at_once_leave_what_both_keep() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let (bob, carol) = (env.signed_in("bob").await.api(), env.signed_in("carol").await.api());
    for _ in 0..10 {
        let request = ask(&alice, writing(&["orders", "payments", "customers"])).await;
        let one = json!({"tables": ["orders", "payments"], "window_seconds": 900});
        let other = json!({"tables": ["payments", "customers"], "window_seconds": 1200});
        let (one, other) = tokio::join!(approve(&bob, &request, one), approve(&carol, &request, other));
        assert_eq!((one.status, other.status), (200, 200), "{one:?} {other:?}");
        let view = alice.get(&format!("/v1/requests/{request}")).await.is(200);
        let scope = &view["grant"]["scope"]["objects"]["only"]["tables"];
        assert_eq!(scope, &json!(["public.payments"]), "{view}");
        let time = |key: &str| view["grant"][key].as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(time("until").duration_since(time("from")).as_secs(), 900);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b7_an_approver_keeps_masks_on_and_a_denial_says_why() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let carol = env.signed_in("carol").await;
    let request = ask(&alice.api(), cards()).await;
    let approved = carol.run(&["approve", &request, "--masked", "--yes", "-o", "json"]).ok().json();
    assert_eq!(approved["grant"]["scope"].get("unmask"), None, "{approved}");
    assert!(approved["request"]["scope"]["unmask"].is_object(), "what was asked stays on record");
    says(&alice.run(&["show", &request]).ok(), &["every mask kept on"]);
    let seen =
        alice.run(&["exec", "prod-orders", "SELECT card_number FROM payments LIMIT 1", "-o", "csv"]).ok();
    let raw = env.pg.admin("shop").await;
    let card: String = raw.query_one("SELECT card_number FROM payments LIMIT 1", &[]).await.unwrap().get(0);
    assert!(!seen.out.contains(&card), "{}", seen.out);

    let request = ask(&alice.api(), cards()).await;
    let silent = carol.api().post(&format!("/v1/requests/{request}/deny"), json!({"reason": " "})).await;
    assert_eq!(silent.message(), "a denial needs a reason: alice@example.com reads it");
    assert_eq!(silent.is(400)["kind"], "usage");
    says(&carol.run(&["deny", &request]).exits(2), &["--reason"]);
    let denied = carol.run(&["deny", &request, "--reason", "use the replica", "-o", "json"]).ok();
    assert_eq!(denied.json()["request"]["state"], "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_sees_all_they_need_on_a_telephone() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let (carol, bob) = (env.signed_in("carol").await, env.signed_in("bob").await);
    alice.run(&["request", "--table", "orders", "--reason", "INC-1"]).ok();
    alice.run(&["exec", "prod-orders", "SELECT id FROM orders LIMIT 3"]).ok();
    let no = ask(&alice.api(), cards()).await;
    carol.run(&["deny", &no, "--reason", "not without a ticket"]).ok();
    let request = ask(&alice.api(), writing(&["orders"])).await;

    let mut show = carol.command(&["show", &request]);
    let shown: crate::support::env::Ran = show.env("COLUMNS", "40").output().unwrap().into();
    let shown = shown.ok();
    for line in shown.out.lines() {
        assert!(line.chars().count() <= 40, "{line}");
    }
    says(
        &shown,
        &[
            "alice@example.com (shop)",
            "reason INC-4",
            "risk high: writes on production",
            "needs peer",
            "other requests here in 90 days: 1 granted, 1 denied",
            "sessions: 1, statements: 1, rows: 3",
            "not without a ticket",
            "counted as lead",
        ],
    );
    let view = carol.run(&["show", &request, "-o", "json"]).ok().json();
    assert_eq!(view["risk"]["level"], "high");
    assert_eq!(view["history"]["denials"][0]["by"]["email"], "carol@example.com");
    assert_eq!((&view["on_behalf_of"], &view["teams"]), (&Value::Null, &json!(["shop"])));
    // Who has decided has no need of it any more; lists do not carry it.
    bob.run(&["approve", &request, "--yes"]).ok();
    assert_eq!(bob.run(&["show", &request, "-o", "json"]).ok().json()["history"], Value::Null);
    let listed = carol.run(&["requests", "-o", "json"]).ok().json();
    assert_eq!(listed[0]["history"], Value::Null);
}

/// What the webhook was told of one kind, with whom it was for.
fn told(posted: &Posted, kind: &str) -> Vec<(Value, BTreeSet<String>)> {
    let posted = posted.lock().unwrap().clone();
    let bodies = posted.iter().map(|(_, body)| serde_json::from_str(body).unwrap());
    let notices = bodies.map(|body: Value| body["notice"].clone()).filter(|notice| notice["kind"] == kind);
    notices
        .map(|notice| {
            let to = notice["to"].as_array().unwrap().iter();
            let to = to.map(|person| person["subject"].as_str().unwrap().to_owned()).collect();
            (notice, to)
        })
        .collect()
}

async fn with_channel(approvals: &str) -> (TestEnv, Posted) {
    let (port, posted) = sink(Vec::new()).await;
    let extra = format!("[alerts]\nwebhook = \"http://127.0.0.1:{port}/hook\"\n[approvals]\n{approvals}\n");
    (TestEnv::with(Setting { extra, ..Setting::default() }).await, posted)
}

fn people<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_could_decide_are_told_and_whoever_asked_of_the_answer() {
    let (env, posted) = with_channel("").await;
    let alice = env.signed_in("alice").await.api();
    let carol = env.signed_in("carol").await;
    let (bob, _dave, _erin) =
        (env.signed_in("bob").await, env.signed_in("dave").await, env.signed_in("erin").await);
    let waiting = async |count: usize| {
        eventually("they are told", || {
            let all = told(&posted, "request.waiting");
            (all.len() >= count).then(|| all[count - 1].clone())
        })
        .await
    };
    let request = ask(&alice, cards()).await;
    let (notice, to) = waiting(1).await;
    assert_eq!(to, people(["carol", "dave"]));
    assert_eq!((&notice["request"], &notice["thread"]), (&json!(request), &json!(request)));
    let facts = notice["facts"].to_string();
    for part in ["medium: shows pii data raw", "INC-3", "lead or security", "raw card_number"] {
        assert!(facts.contains(part), "{part} in {facts}");
    }
    // Somebody who is away is not told; who stands in for them is.
    says(
        &carol.run(&["away", "--until", "3d", "--to", "bob@example.com"]).ok(),
        &["away until", "bob@example.com can approve for you as lead or manager until"],
    );
    let second = ask(&alice, cards()).await;
    assert_eq!(waiting(2).await.1, people(["bob", "dave"]));
    carol.run(&["away", "--back"]).ok();
    says(&carol.run(&["away", "--back"]).ok(), &["you were not away"]);
    events(&env, "delegation.ended", 1, |body| body["by"]["subject"] == "carol").await;
    bob.run(&["approve", &second, "--yes"]).exits(1);
    let third = ask(&alice, cards()).await;
    assert_eq!(waiting(3).await.1, people(["carol", "dave"]));

    let carol = carol.api();
    let narrowed = json!({"masked": true, "window_seconds": 600, "comment": "masked will do"});
    approve(&carol, &request, narrowed).await.is(200);
    carol.post(&format!("/v1/requests/{third}/deny"), json!({"reason": "ask again"})).await.is(200);
    alice.post(&format!("/v1/requests/{second}/cancel"), json!({})).await.is(200);
    // In business hours, masked: nobody needs to be told of what is granted at once.
    let auto = json!({"target": "prod-orders", "reason": "x", "scope": {"tables": ["orders"]}});
    alice.post("/v1/requests", auto).await.is(200);
    let fourth = ask(&alice, cards()).await;
    carol.post(&format!("/v1/requests/{fourth}/deny"), json!({"reason": "enough"})).await.is(200);
    let answers = eventually("alice is told", || {
        let all = told(&posted, "request.decided");
        all.iter().any(|(notice, _)| notice["thread"] == fourth.as_str()).then_some(all)
    })
    .await;
    assert!(answers.iter().all(|(notice, to)| *to == people(["alice"]) && notice["request"].is_null()));
    let threads: Vec<&Value> = answers.iter().map(|(notice, _)| &notice["thread"]).collect();
    assert_eq!(threads, [&json!(request), &json!(third), &json!(fourth)]);
    let words = answers[0].0.to_string();
    for part in
        ["carol@example.com approved your request, narrowed", "masked will do", "read public.payments"]
    {
        assert!(words.contains(part), "{part} in {words}");
    }
    assert!(answers[1].0.to_string().contains("ask again"), "{:?}", answers[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_told_again_once_and_once_to_others_and_what_is_decided_is_not() {
    let settings =
        "remind_after = \"1s\"\nreminders = 1\nescalate_after = \"1s\"\nescalate_to = [\"security\"]";
    let (mut env, posted) = with_channel(settings).await;
    let (alice, carol) = {
        let (alice, carol) = (env.signed_in("alice").await.api(), env.signed_in("carol").await.api());
        env.signed_in("dave").await;
        (alice, carol)
    };
    let decided = ask(&alice, cards()).await;
    approve(&carol, &decided, json!({})).await.is(200);
    let request = ask(&alice, cards()).await;
    let escalated = async |env: &TestEnv, request: &str| {
        let found = events(env, "request.escalated", 1, |body| body["request"] == request).await;
        found[0].clone()
    };
    assert_eq!(
        escalated(&env, &request).await["to"],
        json!([{"subject": "dave", "email": "dave@example.com"}])
    );
    env.kill_server();
    env.start_server().await;
    // Another one that is told of proves that it was looked at after the crash.
    let later = ask(&alice, cards()).await;
    escalated(&env, &later).await;
    for kind in ["request.reminded", "request.escalated"] {
        let all = events(&env, kind, 2, |_| true).await;
        let mut of: Vec<&str> = all.iter().map(|body| body["request"].as_str().unwrap()).collect();
        of.sort_unstable();
        let mut expected = [request.as_str(), later.as_str()];
        expected.sort_unstable();
        assert_eq!(of, expected, "{kind}");
    }
    let reminded = eventually("the channel has it", || {
        let all = told(&posted, "request.reminder");
        (all.len() >= 2).then_some(all)
    })
    .await;
    assert!(reminded.iter().all(|(_, to)| *to == people(["carol", "dave"])), "{reminded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_was_lost_between_asking_and_deciding_is_worth_nothing() {
    let extra = "[approvals]\nfresh = \"2s\"\n".to_owned();
    let env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    let alice = env.signed_in("alice").await.api();
    let (bob, carol) = (env.signed_in("bob").await.api(), env.signed_in("carol").await);
    let request = ask(&alice, writing(&["orders"])).await;
    approve(&bob, &request, json!({})).await.is(200);
    says(&carol.run(&["show", &request]).ok(), &["can approve as lead"]);

    let take_away = |options: &mut dbaccess::demo::identity::Options| {
        options.moved.insert("carol".to_owned(), vec!["eng-shop".to_owned()]);
    };
    env.idp.change(take_away);
    // What the provider said is too old by now; without a renewal that is the end of it.
    let api = carol.api();
    let stale = eventually_refused(&api, &request).await;
    assert_eq!(stale.status, 401, "{stale:?}");
    assert!(stale.message().contains("a decision needs them to be no older than 2s"), "{stale:?}");
    // The command line renews, and the provider says what is true now.
    let refused = carol.run(&["approve", &request, "--yes"]).exits(5);
    says(&refused, &["needs approval by lead or manager or security", "you are not one", "dbaccess whoami"]);
    says(&carol.run(&["whoami"]).ok(), &["roles none"]);
    let view = alice.get(&format!("/v1/requests/{request}")).await.is(200);
    assert_eq!(view["request"]["state"], "waiting");
}

/// Denies nothing and approves nothing, for as long as it is let.
async fn eventually_refused(who: &Api, request: &str) -> Answered {
    loop {
        // Wider than what was asked: no approval, whoever asks.
        let answered = approve(who, request, json!({"window_seconds": 86_400})).await;
        if answered.status != 400 {
            return answered;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_role_with_an_expired_login_is_refused_and_lends_nothing() {
    let env = TestEnv::with(Setting { token_lifetime: "3s", ..Setting::default() }).await;
    let carol = env.signed_in("carol").await;
    let erin = env.signed_in("erin").await;
    carol.run(&["delegate", "erin@example.com", "--until", "1d", "--reason", "x"]).ok();
    let alice = env.signed_in("alice").await;
    let request = ask(&alice.api(), cards()).await;
    says(&erin.run(&["show", &request]).ok(), &["can approve as lead, for carol@example.com"]);
    env.idp.change(|options| {
        options.moved.insert("carol".to_owned(), vec!["eng-shop".to_owned()]);
    });
    let api = carol.api();
    let expired = eventually_refused(&api, &request).await;
    assert_eq!((expired.status, expired.message()), (401, "the token has expired"));
    // With her next renewal what she lent is worth nothing either.
    carol.run(&["whoami"]).ok();
    says(&erin.run(&["approve", &request, "--yes"]).exits(1), &["no request begins with"]);
    says(
        &carol.run(&["approve", &request, "--yes"]).exits(1),
        &["no request begins with", "dbaccess whoami"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn on_call_is_a_role_like_others() {
    let dir = tempfile::tempdir().unwrap();
    let rules = dir.path().join("on-call.cedar");
    std::fs::write(
        &rules,
        r#"
@id("read-pii-on-call")
@title("Whoever is on call lets read personal data")
@approvers("on-call|security")
@longest("1h")
permit (principal, action == Action::"single", resource)
when { context.permissions == [Permission::"read"] && context.sensitivities == [Sensitivity::"pii"] };
"#,
    )
    .unwrap();
    let extra =
        format!("[roles.on-call]\ngroups = [\"eng-other\"]\n[policy]\nextra = [\"{}\"]\n", rules.display());
    let env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    let alice = env.signed_in("alice").await.api();
    let (erin, carol) = (env.signed_in("erin").await, env.signed_in("carol").await);
    let request = ask(&alice, cards()).await;
    carol.run(&["approve", &request, "--yes"]).exits(5);
    says(&erin.run(&["approve", &request, "--yes"]).ok(), &["erin@example.com as on-call"]);
}
