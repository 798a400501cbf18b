//! R8: the emergency path, from the command to the database and back, with
//! incident systems that change their minds.

use crate::support::api::events;
use crate::support::env::{Ran, Setting, TestEnv, TestPerson};
use crate::support::held::Held;
use crate::support::incidents::{Incident, Mood, Vendor, section};
use axum::Router;
use axum::routing::post;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

pub struct Emergency {
    pub env: TestEnv,
    pub pagerduty: Vendor,
    /// What the webhook was told.
    told: Arc<Mutex<Vec<Value>>>,
    metrics: u16,
    _secrets: tempfile::TempDir,
}

impl Emergency {
    /// `rules` are keys of `[break_glass]`.
    pub async fn with(rules: &str) -> Self {
        let (pagerduty, secrets) = (Vendor::pagerduty().await, tempfile::tempdir().unwrap());
        let told: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (into, listener) = (Arc::clone(&told), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let hook = listener.local_addr().unwrap().port();
        let take = move |body: String| async move {
            into.lock().unwrap().push(serde_json::from_str(&body).unwrap());
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/hook", post(take))).await });
        let metrics = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let extra = format!(
            "[break_glass]\n{rules}\n[alerts]\nwebhook = \"http://127.0.0.1:{hook}/hook\"\n\
             [metrics]\nlisten = \"127.0.0.1:{metrics}\"\n{}",
            section(secrets.path(), "pagerduty", pagerduty.port)
        );
        let databases = vec![("crowd", "CREATE TABLE people (i int)")];
        let env = TestEnv::with(Setting { extra, databases, ..Setting::default() }).await;
        Self { env, pagerduty, told, metrics, _secrets: secrets }
    }

    /// Waits for a notice of one kind.
    pub async fn notice(&self, kind: &str) -> Value {
        self.env
            .eventually(&format!("the webhook is told of {kind}"), || {
                self.told.lock().unwrap().iter().find(|told| told["kind"] == kind).cloned()
            })
            .await
    }

    async fn ended(&self, why: &str) -> Value {
        events(&self.env, "break_glass.ended", 1, |event| event["why"] == why).await.remove(0)
    }
}

pub const USUAL: &str = "poll = \"1s\"";
/// Renewed when 4 s are left, without the incident system when 1.3 s are.
pub const SHORT: &str = "window = \"12s\"\npoll = \"1s\"";

pub fn break_glass(person: &TestPerson<'_>, more: &[&str]) -> Ran {
    let asking = ["break-glass", "prod-orders", "--incident", "PD-Q1", "--reason", "orders are stuck"];
    person.run(&[&asking, more].concat())
}

pub fn opened(person: &TestPerson<'_>) -> Value {
    break_glass(person, &["--output", "json"]).ok().json()
}

pub fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("no time: {value}")).parse().unwrap()
}

pub fn grant_of(view: &Value) -> String {
    view["grant"]["id"].as_str().unwrap_or_else(|| panic!("no grant: {view}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_3_r4_4_r8_1_r8_2_an_incident_opens_the_services_database_at_once() {
    let emergency = Emergency::with(USUAL).await;
    let (env, alice) = (&emergency.env, emergency.env.signed_in("alice").await);
    let sql = "UPDATE orders SET total = total; SELECT count(*) FROM customers; SELECT email FROM customers LIMIT 1";
    let ran = break_glass(&alice, &["--", "psql", "-XAtc", sql]).ok();
    assert!(ran.out.contains("UPDATE"), "{}", ran.out);
    assert!(!ran.out.contains('@'), "masks stay on: {}", ran.out);
    for words in [
        "PD-Q1 The server is on fire. https://acme.pagerduty.com/incidents/Q1",
        "break-glass: nobody is waited for",
        "the glass is broken until",
        "when you are done: dbaccess revoke grt-",
        "BREAK-GLASS read+write",
    ] {
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
    }
    // R8.4, R4.4: security is called at once, and the ledger has it with its policy.
    let told = emergency.notice("break_glass.opened").await;
    assert_eq!(told["notice"]["urgency"], "high");
    assert_eq!(told["notice"]["thread"], "PD-Q1");
    assert!(told["notice"]["facts"].to_string().contains("orders are stuck"), "{told}");
    let event = events(env, "break_glass.opened", 1, |_| true).await.remove(0);
    assert_eq!(event["break_glass"]["incident"]["confirmed"], true);
    let until = time(&event["until"]).duration_since(time(&event["break_glass"]["opened_at"]));
    assert_eq!(until, SignedDuration::from_mins(30), "R8.3");

    let lists = |args: &[&str]| alice.run(args).ok().out;
    assert!(lists(&["requests", "--all"]).contains("BREAK-GLASS"));
    assert!(lists(&["targets"]).contains("BREAK-GLASS"));
    let session = &alice.run(&["sessions", "--all", "--output", "json"]).ok().json()[0];
    assert_eq!(session["path"], "break-glass");
    // R10.5
    let metrics = reqwest::get(format!("http://127.0.0.1:{}/metrics", emergency.metrics)).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("dbaccess_break_glass_opened_total 1"), "{metrics}");

    // Once is enough; ending it by hand is an end like any other.
    let again = break_glass(&alice, &[]).exits(1);
    assert!(
        again.err.contains("is open already") && again.err.contains("dbaccess connect prod-orders --grant")
    );
    alice.run(&["revoke", event["break_glass"]["grant"].as_str().unwrap()]).ok();
    emergency.ended("revoked").await;
    emergency.notice("break_glass.ended").await;
    opened(&alice);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_1_each_refusal_says_what_the_incident_lacks() {
    let emergency = Emergency::with(USUAL).await;
    let alice = emergency.env.signed_in("alice").await;
    emergency.pagerduty.change(|world| {
        let closed = Incident { status: "resolved", ..Incident::of("PSVC1", &["PALICE"]) };
        world.known.incidents.insert("CLOSED".into(), closed);
        world.known.incidents.insert("BOBS".into(), Incident::of("PSVC1", &["PBOB"]));
        world.known.incidents.insert("OTHER".into(), Incident::of("PSVC2", &["PALICE"]));
    });
    let ask = |target: &str, incident: &str| {
        alice.run(&["break-glass", target, "--incident", incident, "--reason", "x"])
    };
    let table = [
        ("prod-orders", "PD-CLOSED", 5, "the incident is closed", "open it again in PagerDuty"),
        (
            "prod-orders",
            "PD-BOBS",
            5,
            "assigned to bob@example.com, not to you",
            "take it on in PagerDuty (as alice@example.com)",
        ),
        ("prod-orders", "pd-OTHER", 5, "belongs to another service (PSVC2)", "is PSVC1 in PagerDuty"),
        ("prod-orders", "NONE", 1, "PagerDuty has no incident NONE", "at the end of its URL"),
        ("prod-orders", "OG-1", 2, "which this server does not ask", "it asks PagerDuty"),
        ("prod-orders", "PD-../users", 2, "is not an incident's id", ""),
        ("crowd", "PD-Q1", 5, "crowd belongs to no service", "under [targets.crowd]"),
        ("nowhere", "PD-Q1", 1, "nowhere", ""),
    ];
    for (target, incident, code, what, hint) in table {
        let ran = ask(target, incident).exits(code);
        assert!(ran.err.contains(what) && ran.err.contains(hint), "{target} {incident}: {}", ran.err);
    }
    // Who tried is on the ledger, with what they were told.
    for (target, incident, _, what, _) in [table[0], table[1], table[6], table[7]] {
        let mine = |event: &Value| event["target"] == target && event["incident"] == incident;
        let refused = events(&emergency.env, "break_glass.refused", 1, mine).await.remove(0);
        assert_eq!(refused["person"]["subject"], "alice");
        assert!(refused["why"].as_str().unwrap().contains(what), "{refused}");
    }
    // No incident, no path: the ordinary tiers never lead there, and a wrong one stops a request too.
    let named = ["request", "prod-orders", "--table", "orders", "--reason", "x", "--incident"];
    let ran = alice.run(&[&named[..], &["PD-BOBS"]].concat()).exits(5);
    assert!(ran.err.contains("not to you"), "{}", ran.err);
    let asked = alice.run(&[&named[..], &["PD-Q1", "--output", "json"]].concat()).ok().json();
    assert_eq!(
        (&asked["request"]["path"], &asked["request"]["incident"]["id"]),
        (&"read-only".into(), &"PD-Q1".into())
    );
    let erin = emergency.env.signed_in("erin").await;
    assert!(break_glass(&erin, &[]).exits(5).err.contains("not to you"));
    let doctor = alice.run(&["doctor", "prod-orders"]);
    assert!(doctor.out.contains("orders is Orders API"), "{}", doctor.out);
    emergency.pagerduty.feels(Mood::Status(401));
    let doctor = alice.run(&["doctor", "prod-orders"]).exits(1);
    assert!(doctor.out.contains("does not accept the token"), "{}", doctor.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_3_a_session_outlives_its_window_while_the_incident_is_open_and_ends_with_it() {
    let emergency = Emergency::with(SHORT).await;
    let (env, alice) = (&emergency.env, emergency.env.signed_in("alice").await);
    let grant = grant_of(&opened(&alice));
    let (held, running) = (Held::open(&alice, "prod-orders"), alice.connect_endless(&[]).await);
    let admin = env.pg.admin("postgres").await;
    let valid_until = async || {
        let sql = "SELECT extract(epoch FROM min(rolvaliduntil))::bigint FROM pg_roles WHERE rolname LIKE 'dbaccess\\_s\\_%'";
        admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    let first = valid_until().await;
    let renewed = events(env, "break_glass.renewed", 1, |event| event["grant"] == grant.as_str()).await;
    assert_eq!((&renewed[0]["confirmed"], &renewed[0]["renewals"]), (&true.into(), &1.into()));
    assert_eq!(emergency.notice("break_glass.renewed").await["notice"]["thread"], "PD-Q1");
    env.until("the roles' own end has moved", async || valid_until().await > first).await;
    env.eventually("the client knows", || running.err().contains("this session goes on until").then_some(()))
        .await;
    // Past the window that it was opened with, everything goes on: a login, too.
    env.eventually("the first window is over", || (dbaccess::os::now().as_second() > first).then_some(()))
        .await;
    held.client().await.batch_execute("UPDATE orders SET total = total").await.unwrap();
    assert_eq!(env.active().await, 1);
    let session = &alice.run(&["sessions", "--mine", "--output", "json"]).ok().json()[0];
    assert!(time(&session["session"]["until"]).as_second() > first, "{session}");

    emergency.pagerduty.q1(|one| one.status = "resolved");
    let ran = running.ended().await.exits(6);
    assert!(ran.err.contains("ended (incident over)"), "{}", ran.err);
    emergency.ended("closed").await;
    drop(held);
    env.until("nothing is left", async || env.session_roles().await.is_empty()).await;
    env.assert_clean().await;
    let told = emergency.notice("break_glass.ended").await;
    assert!(told["notice"]["title"].as_str().unwrap().ends_with("the incident is closed"), "{told}");
    // R8.5 begins.
    events(env, "review.opened", 1, |event| event["review"]["grant"] == grant.as_str()).await;

    // Opened again, it opens nothing by itself.
    emergency.pagerduty.q1(|one| one.status = "triggered");
    alice.run(&["connect", "prod-orders", "--grant", &grant, "--", "true"]).exits(1);
    assert_ne!(grant_of(&opened(&alice)), grant);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_3_an_incident_that_is_anothers_or_gone_renews_nothing() {
    let emergency = Emergency::with(SHORT).await;
    let alice = emergency.env.signed_in("alice").await;
    opened(&alice);
    let running = alice.connect_endless(&[]).await;
    emergency.pagerduty.q1(|one| one.assignees = vec!["PBOB"]);
    running.ended().await.exits(6);
    emergency.ended("reassigned").await;

    // One that vanishes may be a slip of the system's: the window it has is its last.
    emergency.pagerduty.q1(|one| one.assignees = vec!["PALICE"]);
    let until = time(&opened(&alice)["grant"]["until"]);
    let running = alice.connect_endless(&[]).await;
    emergency.pagerduty.change(|world| world.known.incidents.clear());
    let ran = running.ended().await.exits(6);
    assert!(ran.err.contains("ended (expired)") && dbaccess::os::now() >= until, "{}", ran.err);
    emergency.ended("window_ended").await;
    let none = events(&emergency.env, "break_glass.renewed", 0, |_| true).await;
    assert_eq!(none, Vec::<Value>::new());
    emergency.env.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_3_incidents_are_followed_across_a_restart() {
    let mut emergency = Emergency::with(USUAL).await;
    let grant = {
        let alice = emergency.env.signed_in("alice").await;
        grant_of(&opened(&alice))
    };
    emergency.env.kill_server();
    emergency.pagerduty.q1(|one| one.status = "resolved");
    emergency.env.start_server().await;
    assert_eq!(emergency.ended("closed").await["grant"], grant.as_str());
    let alice = emergency.env.person("alice");
    alice.run(&["connect", "prod-orders", "--grant", &grant, "--", "true"]).exits(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_1_r8_4_without_the_incident_system_two_people_confirm_or_it_ends() {
    let emergency = Emergency::with("poll = \"1s\"\nconfirm_within = \"6s\"").await;
    let env = &emergency.env;
    let (alice, bob, dave) =
        (env.signed_in("alice").await, env.signed_in("bob").await, env.signed_in("dave").await);
    let erin = env.signed_in("erin").await;
    emergency.pagerduty.feels(Mood::Status(500));
    assert!(break_glass(&erin, &[]).exits(5).err.contains("denied by policy"), "policy decides");
    let ran = break_glass(&alice, &[]).ok();
    assert!(ran.err.contains("must confirm it"), "{}", ran.err);
    let told = emergency.notice("break_glass.opened").await;
    assert!(told["notice"]["facts"].to_string().contains("dbaccess confirm req-"), "{told}");
    let id = told["break_glass"]["request"].as_str().unwrap().to_owned();
    let running = alice.connect_endless(&[]).await;

    let ran = alice.run(&["confirm", &id, "--yes"]).exits(5);
    assert!(ran.err.contains("your own"), "{}", ran.err);
    let erins = erin.run(&["confirm", &id, "--yes"]).exits(1);
    assert!(erins.err.contains("no request begins with"), "{}", erins.err);
    let listed = bob.run(&["requests"]).ok();
    assert!(
        listed.out.contains("to be confirmed by") && listed.err.contains("1 for you to confirm"),
        "{listed:?}"
    );
    let ran = bob.run(&["confirm", &id, "--yes", "--comment", "I saw it"]).ok();
    assert!(ran.err.contains("still needed: manager or security"), "{}", ran.err);
    assert!(bob.run(&["confirm", &id, "--yes"]).exits(1).err.contains("confirmed it already"));

    // One of two is not enough: it ends, and so does the trust.
    running.ended().await.exits(6);
    emergency.ended("unconfirmed").await;
    emergency.notice("break_glass.unconfirmed").await;
    let next = break_glass(&alice, &[]).exits(5);
    assert!(next.err.contains("should have been confirmed by two people"), "{}", next.err);
    let ran = dave.run(&["confirm", &id, "--yes", "--output", "json"]).ok();
    assert_eq!(
        ran.json()["break_glass"]["break_glass"]["confirmation"]["given"].as_array().unwrap().len(),
        2
    );
    break_glass(&alice, &[]).ok();
    events(env, "break_glass.confirmed", 2, |event| event["incident"] == "PD-Q1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_1_r8_3_a_system_that_is_back_and_says_otherwise_ends_it() {
    let emergency = Emergency::with(SHORT).await;
    let env = &emergency.env;
    let alice = env.signed_in("alice").await;
    // Away at the renewal: it goes on, and must be confirmed from then on.
    let grant = grant_of(&opened(&alice));
    emergency.pagerduty.feels(Mood::Status(503));
    let renewed = events(env, "break_glass.renewed", 1, |event| event["grant"] == grant.as_str()).await;
    assert_eq!(renewed[0]["confirmed"], false);
    let shown = alice.run(&["requests", "--mine", "--output", "json"]).ok().json();
    assert!(shown[0]["break_glass"]["break_glass"]["confirmation"]["due"].is_string(), "{shown}");
    emergency.pagerduty.q1(|one| one.service = "PSVC2");
    emergency.pagerduty.feels(Mood::Well);
    assert_eq!(emergency.ended("other_service").await["grant"], grant.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_1_r8_5_what_was_not_confirmed_or_taken_back_keeps_its_person_out_until_it_is_found_justified() {
    let emergency = Emergency::with(USUAL).await;
    let env = &emergency.env;
    let (alice, bob) = (env.signed_in("alice").await, env.signed_in("bob").await);
    let (carol, dave) = (env.signed_in("carol").await, env.signed_in("dave").await);
    let review_of = async |grant: &str| -> String {
        let opened = events(env, "review.opened", 1, |event| event["review"]["grant"] == grant).await;
        opened[0]["review"]["id"].as_str().unwrap().to_owned()
    };
    let ended = async |grant: String| {
        drop(events(env, "break_glass.ended", 1, |event| event["grant"] == grant.as_str()).await);
    };
    let write = |person: &TestPerson<'_>, review: &str, verdict: &str| {
        person.run(&["review", "write", review, "--verdict", verdict, "--finding", "looked at"]).ok();
    };
    let refused = |words: &str| {
        let next = break_glass(&alice, &[]).exits(5);
        assert!(next.err.contains(words), "{words}: {}", next.err);
    };
    emergency.pagerduty.feels(Mood::Status(500));
    let view = opened(&alice);
    let (grant, id) = (grant_of(&view), view["request"]["id"].as_str().unwrap().to_owned());
    alice.run(&["revoke", &grant]).ok();
    ended(grant.clone()).await;
    // Else the time to confirm would begin again with each opening.
    refused("still waits to be confirmed");
    bob.run(&["confirm", &id, "--yes"]).ok();
    let confirmed = events(env, "break_glass.confirmed", 1, |_| true).await.remove(0);
    assert_eq!(confirmed["confirmation"]["via"], "cli");
    // He was asked whether there was an incident; what was done is not his to see.
    let review = review_of(&grant).await;
    let bobs = bob.run(&["review", "show", &review]).exits(5);
    assert!(bobs.err.contains("for its reviewers, security and auditors"), "{}", bobs.err);

    let waits = || carol.run(&["requests"]).ok().out.contains("to be confirmed by");
    assert!(waits());
    write(&dave, &review, "unjustified");
    assert!(!waits(), "what is reviewed waits for nobody");
    refused("its review found it unjustified");
    write(&carol, &review, "justified");
    refused("its review found it unjustified");
    write(&dave, &review, "justified");
    let grant = grant_of(&opened(&alice));

    // What somebody else took back is looked at first, also where the incident stands.
    emergency.pagerduty.feels(Mood::Well);
    dave.run(&["revoke", &grant, "--reason", "enough"]).ok();
    ended(grant.clone()).await;
    refused("was taken back from you: its review comes first");
    write(&dave, &review_of(&grant).await, "justified");
    opened(&alice);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_confirms_or_reviews_needs_roles_that_were_confirmed_lately() {
    let emergency = Emergency::with("poll = \"1s\"\n[approvals]\nfresh = \"2s\"").await;
    let env = &emergency.env;
    let alice = env.signed_in("alice").await;
    emergency.pagerduty.feels(Mood::Status(500));
    let view = opened(&alice);
    let (grant, id) = (grant_of(&view), view["request"]["id"].as_str().unwrap().to_owned());
    alice.run(&["revoke", &grant]).ok();
    let review = events(env, "review.opened", 1, |_| true).await[0]["review"]["id"].clone();
    let review = review.as_str().unwrap();
    let dave = env.signed_in("dave").await;
    let (api, signed_in) = (dave.api(), dbaccess::os::now().as_second());
    env.eventually("the roles are old", || (dbaccess::os::now().as_second() > signed_in + 3).then_some(()))
        .await;
    let finding = json!({"verdict": "justified", "finding": "looked at"});
    for (path, body) in
        [(format!("/v1/requests/{id}/confirm"), json!({})), (format!("/v1/reviews/{review}"), finding)]
    {
        let stale = api.post(&path, body).await;
        assert!(
            stale.message().contains("a decision needs them to be no older than 2s"),
            "{path}: {stale:?}"
        );
        stale.is(401);
    }
    // The command line has them confirmed anew.
    dave.run(&["confirm", &id, "--yes"]).ok();
    dave.run(&["review", "write", review, "--verdict", "justified", "--finding", "looked at"]).ok();
}
