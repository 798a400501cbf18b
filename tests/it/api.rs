//! The HTTP API: every endpoint with a good call and with bad ones, and the
//! document that describes it against what is really answered.

mod schema;

use crate::requests::id;
use crate::support::api::{Answered, Api, events, provider_tokens};
use crate::support::env::{Setting, TestEnv};
use crate::support::incidents::{Mood, Vendor, section};
use dbaccess::core::recording::AuditorSecret;
use dbaccess::proto::{SessionEvent, SessionSummary};
use dbaccess::server::api::{Who, routes};
use schema::Document;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn endpoints() -> Vec<(&'static str, &'static str, Who)> {
    let all = routes(Arc::new(drop)).into_iter();
    all.map(|route| (route.method, route.path, route.who)).collect()
}

/// What a call needs: a body that is well-formed, if it has one.
fn body_of(method: &str, path: &str) -> Option<Value> {
    Some(match (method, path) {
        ("POST", "/v1/login") => json!({"id_token": "no.such.token"}),
        ("POST", "/v1/renew") => json!({"refresh_token": "none"}),
        ("POST", "/v1/logout") => json!({}),
        ("POST", "/v1/requests") => json!({"reason": "INC", "scope": {"tables": ["orders"]}}),
        ("POST", "/v1/requests/{id}/approve") => json!({"window_seconds": 60}),
        ("POST", "/v1/requests/{id}/deny" | "/v1/requests/{id}/cancel" | "/v1/revoke/{id}") => {
            json!({"reason": "x"})
        }
        ("POST", "/v1/targets/{name}/rotate-tokens") => json!({"domain": "mail"}),
        ("POST", "/v1/targets/{name}/suspend") => json!({"for_seconds": 60}),
        ("POST", "/v1/targets/{name}/resume" | "/v1/targets/{name}/scan") => json!({}),
        ("POST", "/v1/requests/{id}/amend") => {
            json!({"migration": {"name": "v.sql", "text": "DROP TABLE public.orders"}})
        }
        ("POST", "/v1/compare/{id}") => json!({"script": null}),
        ("POST", "/v1/requests/{id}/confirm") => json!({"comment": "x"}),
        ("POST", "/v1/break-glass") => {
            json!({"target": "prod-orders", "incident": "PD-Q1", "reason": "INC"})
        }
        ("POST", "/v1/sessions") => json!({"grant": "grt-000000000000"}),
        ("POST", "/v1/policy/reload") => json!({}),
        ("POST", "/v1/policy/replay") => json!({"sources": [], "since": "2026-01-01T00:00:00Z"}),
        ("POST", "/v1/reports") => {
            json!({"framework": "soc2", "from": "2026-01-01T00:00:00Z", "until": "2026-04-01T00:00:00Z"})
        }
        ("POST", "/v1/reviews/{id}") => json!({"verdict": "justified", "finding": "x"}),
        ("POST", "/v1/campaigns") => json!({"from": "2026-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}),
        ("POST", "/v1/campaigns/{id}/decide") => json!({"lines": [1], "verdict": "revoked", "comment": "x"}),
        ("POST", "/v1/campaigns/{id}/sign") => json!({}),
        ("POST", "/v1/unseals") => json!({"statements": [1], "reason": "x"}),
        ("POST", "/v1/unseals/{id}/decide") => json!({"approve": false}),
        ("POST", "/v1/unseals/{id}/open") => json!({}),
        ("POST", "/v1/bars/lift") => json!({"person": "x", "target": "prod-orders", "comment": "x"}),
        ("POST", "/v1/delegations") => {
            json!({"to": "bob@example.com", "until": "2100-01-01T00:00:00Z", "reason": "x"})
        }
        ("POST", "/v1/delegations/{id}/end" | "/v1/absences/end") => json!({}),
        ("POST", "/v1/holds" | "/v1/holds/{id}/release") => json!({"reason": "x"}),
        ("POST", "/v1/absences") => json!({"until": "2100-01-01T00:00:00Z"}),
        ("POST", path) => panic!("POST {path} is new: say here what it takes"),
        _ => return None,
    })
}

/// A query that the endpoint cannot read, if it reads any.
fn bad_query(method: &str, path: &str) -> Option<&'static str> {
    match (method, path) {
        (
            "GET",
            "/v1/requests" | "/v1/sessions" | "/v1/reviews" | "/v1/delegations" | "/v1/campaigns"
            | "/v1/holds" | "/v1/unseals",
        ) => Some("all=perhaps"),
        ("GET", "/v1/audit") => Some("since=yesterday"),
        ("GET", "/v1/metrics") => Some("since_seconds=0.5"),
        ("GET", "/v1/audit/counts") => Some("by=chance"),
        ("GET", "/v1/grants" | "/v1/doctor") => Some("target=no-such-target"),
        ("GET", "/healthz" | "/v1/openapi.json" | "/v1/about" | "/v1/me" | "/v1/targets" | "/v1/tunnel") => {
            None
        }
        ("GET", "/v1/policy/suggest") => Some("since=yesterday"),
        ("GET", "/v1/requests/{id}/policy") => None,
        ("GET", "/v1/recordings/{id}") => Some("after=the-last"),
        (
            "GET",
            "/v1/requests/{id}"
            | "/v1/sessions/{id}/events"
            | "/v1/absences"
            | "/v1/recordings/{id}/file"
            | "/v1/reviews/{id}"
            | "/v1/campaigns/{id}"
            | "/v1/bars"
            | "/v1/retention",
        ) => None,
        ("GET", path) => panic!("GET {path} is new: say here what it cannot read"),
        _ => None,
    }
}

fn refused(answered: &Answered, document: &Document, what: &str) {
    assert!(answered.body["message"].as_str().is_some_and(|text| !text.is_empty()), "{what}: {answered:?}");
    document.check("ErrorBody", &answered.body, what);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_refuses_strangers_and_nonsense() {
    let env = TestEnv::start().await;
    let document = Document::of(Api::anyone(&env).get("/v1/openapi.json").await.is(200));
    let alice = env.signed_in("alice").await.api();
    let erin = env.signed_in("erin").await.api();
    let waiting = id(&alice
        .post(
            "/v1/requests",
            json!({"target": "prod-orders", "reason": "x", "scope": {"tables": ["payments"], "unmask": ["card_number"]}}),
        )
        .await
        .is(200));
    let granted = alice
        .post(
            "/v1/requests",
            json!({"target": "prod-orders", "reason": "x", "scope": {"tables": ["orders"]}}),
        )
        .await
        .is(200);
    let grant = granted["grant"]["id"].as_str().unwrap().to_owned();
    let session = alice.post("/v1/sessions", json!({"grant": grant, "detached": true})).await.is(200);
    let session = session["session"].as_str().unwrap().to_owned();

    let nobody = Api::anyone(&env);
    let forger = nobody.with_token(&json!("made-up"));
    for (method, path, who) in endpoints() {
        let what = format!("{method} {path}");
        let body = body_of(method, path);
        let at = |id: &str| path.replace("{id}", id);
        if who == Who::SignedIn {
            for stranger in [&nobody, &forger] {
                let answered = stranger.call(method, &at(&waiting), body.as_ref()).await;
                assert_eq!(answered.status, 401, "{what}: {answered:?}");
                assert_eq!(answered.body["kind"], "not_signed_in", "{what}");
                assert_eq!(answered.headers["www-authenticate"], "Bearer", "{what}");
                refused(&answered, &document, &what);
            }
        }
        if path.contains("{id}") {
            // Somebody else's is answered like one that is not there.
            let of_session = path.starts_with("/v1/sessions") || path.starts_with("/v1/recordings");
            let theirs = if of_session { &session } else { &waiting };
            for named in [theirs, &theirs[..9], "zzzz", "%F0%9F%A6%80", "..%2F..%2Fme", "%00"] {
                let answered = erin.call(method, &at(named), body.as_ref()).await;
                assert_eq!(answered.status, 404, "{what} {named}: {answered:?}");
                assert!(!answered.body.to_string().contains("alice"), "{what}: {answered:?}");
                refused(&answered, &document, &what);
            }
            let mangled = erin.call(method, &at("%FF"), body.as_ref()).await;
            assert_eq!(mangled.status, 400, "{what}: {mangled:?}");
            refused(&mangled, &document, &what);
        }
        if body.is_some() {
            let sends =
                [&b"{"[..], b"[]", b"\"x\"", b"{\"grant\": 7, \"reason\": 7}", b"{\"unknown\": 1}", b"\xff"];
            for bytes in sends {
                let answered = alice.send(method, &at(&waiting), Some(bytes.to_vec())).await;
                assert_eq!(answered.status, 400, "{what}: {answered:?}");
                assert_eq!(answered.body["kind"], "usage");
                refused(&answered, &document, &what);
            }
            let large = alice.send(method, &at(&waiting), Some(vec![b' '; 300 * 1024])).await;
            assert_eq!(large.status, 400, "{what}: {large:?}");
            assert!(large.message().contains("larger than 262144 bytes"), "{what}: {large:?}");
        }
        if let Some(query) = bad_query(method, path) {
            let answered = alice.get(&format!("{path}?{query}")).await;
            assert!(matches!(answered.status, 400 | 404), "{what}: {answered:?}");
            refused(&answered, &document, &what);
        }
        let wrong = alice.call("PATCH", &at("x"), None).await;
        assert_eq!(wrong.status, 405, "{what}: {wrong:?}");
        refused(&wrong, &document, &what);
    }
    let foreign = erin.post("/v1/sessions", json!({"grant": grant})).await.is(404);
    assert_eq!(foreign["message"], format!("no grant of yours begins with {grant}"));
    alice.get("/v1/nothing").await.is(404);
    alice.call("DELETE", &format!("/v1/sessions/{session}"), None).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_describes_what_is_answered() {
    let (pagerduty, secrets) = (Vendor::pagerduty().await, tempfile::tempdir().unwrap());
    let incidents = section(secrets.path(), "pagerduty", pagerduty.port);
    let (rule, _rule) = crate::recordings::rule();
    let redacting = crate::redacted::redacting(&AuditorSecret::from_random([7; 32]));
    let extra = format!("{rule}\n{incidents}\n[retention]\nstatements = \"400d\"\n{redacting}");
    let env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    let document = Document::of(Api::anyone(&env).get("/v1/openapi.json").await.is(200));
    // The same endpoints, and who may call them.
    let served: BTreeMap<(String, String), bool> = endpoints()
        .into_iter()
        .map(|(method, path, who)| ((method.to_lowercase(), path.to_owned()), who == Who::Anyone))
        .collect();
    assert_eq!(document.operations(), served);

    let person = env.signed_in("alice").await;
    let (alice, carol) = (person.api(), env.signed_in("carol").await.api());
    let seen = async |api: &Api, method: &str, template: &str, path: &str, body: Option<Value>| {
        if let Some(body) = &body {
            document.check_request(method, template, body);
        }
        let value = api.call(method, path, body.as_ref()).await.is(200);
        document.check_response(method, template, &value);
        value
    };
    let plain = async |path: &str| seen(&alice, "GET", path, path, None).await;
    plain("/v1/about").await;
    plain("/v1/me").await;
    let ask = async |table: &str| {
        let unmask: &[&str] = if table == "payments" { &["card_number"] } else { &[] };
        let body = json!({"target": "prod-orders", "reason": "x", "window_seconds": 600,
                          "scope": {"tables": [table], "schemas": [], "unmask": unmask, "write": false,
                                    "rows": [format!("{table}: id = 1")], "follow": false}});
        seen(&alice, "POST", "/v1/requests", "/v1/requests", Some(body)).await
    };
    let decide = async |api: &Api, id: &str, verb: &str, body: Value| {
        let template = format!("/v1/requests/{{id}}/{verb}");
        seen(api, "POST", &template, &format!("/v1/requests/{id}/{verb}"), Some(body)).await
    };
    let narrowed = json!({"tables": ["payments"], "window_seconds": 300, "masked": true, "comment": "ok"});
    decide(&carol, &id(&ask("payments").await), "approve", narrowed).await;
    decide(&carol, &id(&ask("payments").await), "deny", json!({"reason": "no"})).await;
    decide(&alice, &id(&ask("payments").await), "cancel", json!({})).await;
    let script = |text: &str| json!({"name": "v1.sql", "text": text});
    let migrate = json!({"target": "prod-orders", "reason": "x", "scope": {}, "migration": script(
        "ALTER TABLE public.orders ADD COLUMN note text; CREATE INDEX CONCURRENTLY ON public.orders (note)"
    )});
    let migration = id(&seen(&alice, "POST", "/v1/requests", "/v1/requests", Some(migrate)).await);
    let amended =
        json!({"migration": script("ALTER TABLE public.orders ADD COLUMN note text"), "schemas": ["public"]});
    let amended = decide(&alice, &migration, "amend", amended).await;
    let second = &amended["request"]["migration"];
    let shown = json!({"sha256": second["sha256"], "revision": second["revision"]});
    decide(&carol, &migration, "approve", shown.clone()).await;
    let bob = env.signed_in("bob").await.api();
    decide(&bob, &migration, "approve", shown).await;
    person.run(&["migrate", &migration]).ok();
    let compare = format!("/v1/compare/{migration}");
    let other = json!({"script": script("DROP TABLE public.orders")});
    for body in [json!({}), other] {
        seen(&alice, "POST", "/v1/compare/{id}", &compare, Some(body)).await;
    }
    let granted = ask("orders").await;
    let grant = granted["grant"]["id"].as_str().unwrap();
    person.run(&["exec", "prod-orders", "--grant", grant, "SELECT count(*) FROM orders"]).ok();
    person.run(&["exec", "prod-orders", "--grant", grant, "SELECT nothing FROM orders"]);
    person.run(&["exec", "prod-orders", "--grant", grant, "SELECT 'x'::int"]);
    let open = json!({"grant": grant, "detached": true});
    let session = seen(&alice, "POST", "/v1/sessions", "/v1/sessions", Some(open)).await;
    let session = session["session"].as_str().unwrap();
    let page = plain("/v1/audit").await;
    assert!(!page["statements"].as_array().unwrap().is_empty(), "{page}");
    let counts = seen(&alice, "GET", "/v1/audit/counts", "/v1/audit/counts?by=verb", None).await;
    assert_eq!(counts["counts"][0]["key"], "SELECT", "{counts}");
    for list in ["/v1/targets", "/v1/requests", "/v1/grants", "/v1/sessions", "/v1/doctor"] {
        let value = plain(list).await;
        assert!(
            !value.as_array().unwrap().is_empty() || list == "/v1/requests",
            "{list} shows nothing to check"
        );
    }
    let all = seen(&alice, "GET", "/v1/requests", "/v1/requests?all=true&mine=true", None).await;
    assert_eq!(all.as_array().unwrap().len(), 5);
    seen(&alice, "GET", "/v1/requests/{id}", &format!("/v1/requests/{}", id(&granted)), None).await;
    let summary = seen(&alice, "DELETE", "/v1/sessions/{id}", &format!("/v1/sessions/{session}"), None).await;
    seen(&alice, "GET", "/v1/sessions", "/v1/sessions?all=true", None).await;
    crate::reviews::make_break_glass(&env, grant);
    let revoke = format!("/v1/revoke/{grant}");
    seen(&alice, "POST", "/v1/revoke/{id}", &revoke, Some(json!({"reason": "done"}))).await;
    seen(&alice, "GET", "/v1/requests/{id}", &format!("/v1/requests/{}", id(&granted)), None).await;
    let summary: SessionSummary = serde_json::from_value(summary).unwrap();
    let now = dbaccess::os::now();
    for event in [
        SessionEvent::Tick { now, until: now },
        SessionEvent::Ending { reason: summary.reason, message: "over".into() },
        SessionEvent::Dead(summary),
    ] {
        document.check("SessionEvent", &serde_json::to_value(event).unwrap(), "a session's stream");
    }
    document.check("Limits", &json!({"rows": 7, "recording": true, "masked": false}), "what a rule bounds");
    let asked =
        json!({"target": "prod-orders", "incident": "PD-Q1", "reason": "x", "unmask": ["card_number"]});
    let broken = seen(&alice, "POST", "/v1/break-glass", "/v1/break-glass", Some(asked.clone())).await;
    alice.post(&format!("/v1/revoke/{}", broken["grant"]["id"].as_str().unwrap()), json!({})).await.is(200);
    pagerduty.feels(Mood::Status(500));
    let asked = json!({"target": "prod-orders", "incident": "PD-Q2", "reason": "x"});
    let broken = seen(&alice, "POST", "/v1/break-glass", "/v1/break-glass", Some(asked)).await;
    decide(&carol, &id(&broken), "confirm", json!({"comment": "I saw it"})).await;
    seen(&alice, "GET", "/v1/sessions", "/v1/sessions?all=true", None).await;
    let dave = env.signed_in("dave").await.api();
    let recording = format!("/v1/recordings/{session}");
    let page = seen(&dave, "GET", "/v1/recordings/{id}", &recording, None).await;
    assert_eq!(page["records"][0]["record"]["kind"], "recording.started");
    let reviews = seen(&dave, "GET", "/v1/reviews", "/v1/reviews?all=true", None).await;
    let review = format!("/v1/reviews/{}", reviews[0]["review"]["id"].as_str().unwrap());
    let finding = json!({"verdict": "justified", "finding": "x", "actions": ["y"]});
    seen(&dave, "POST", "/v1/reviews/{id}", &review, Some(finding)).await;
    seen(&dave, "GET", "/v1/reviews/{id}", &review, None).await;
    let of_target = async |verb: &str, body: Value| {
        let template = format!("/v1/targets/{{name}}/{verb}");
        seen(&dave, "POST", &template, &format!("/v1/targets/prod-orders/{verb}"), Some(body)).await
    };
    of_target("rotate-tokens", json!({})).await;
    of_target("suspend", json!({"for_seconds": 60})).await;
    plain("/v1/targets").await;
    of_target("resume", json!({})).await;
    of_target("scan", json!({})).await;
    seen(&dave, "GET", "/v1/metrics", "/v1/metrics?since_seconds=3600", None).await;
    // Its answer is no JSON.
    document.check_request("POST", "/v1/reports", &body_of("POST", "/v1/reports").unwrap());
    let explained = format!("/v1/requests/{}/policy", id(&granted));
    seen(&alice, "GET", "/v1/requests/{id}/policy", &explained, None).await;
    let other = "@id(\"no\") @title(\"Nothing\") forbid (principal, action == Action::\"auto\", resource);";
    let replay = json!({"sources": [{"file": "new.cedar", "text": other}], "since": "2026-01-01T00:00:00Z"});
    let replayed = seen(&dave, "POST", "/v1/policy/replay", "/v1/policy/replay", Some(replay)).await;
    assert_eq!(replayed["changed"], 7, "break-glass too: {replayed}");
    seen(&dave, "POST", "/v1/policy/reload", "/v1/policy/reload", Some(json!({}))).await;
    let suggest = "/v1/policy/suggest?slow_seconds=0&at_least=1";
    seen(&dave, "GET", "/v1/policy/suggest", suggest, None).await;
    let until = dbaccess::os::now() + jiff::SignedDuration::from_hours(24);
    let lend = json!({"to": "alice@example.com", "roles": ["security"], "targets": ["prod-orders"], "until": until,
                      "reason": "holiday"});
    let lent = seen(&dave, "POST", "/v1/delegations", "/v1/delegations", Some(lend)).await;
    let end = format!("/v1/delegations/{}/end", lent["id"].as_str().unwrap());
    seen(&dave, "POST", "/v1/delegations/{id}/end", &end, Some(json!({}))).await;
    let lent = seen(&dave, "GET", "/v1/delegations", "/v1/delegations?all=true", None).await;
    assert_eq!(lent[0]["ended"]["by"]["email"], "dave@example.com");
    let away = json!({"until": until, "to": "alice@example.com", "reason": "ill"});
    seen(&dave, "POST", "/v1/absences", "/v1/absences", Some(away)).await;
    let waiting = id(&ask("payments").await);
    decide(&carol, &id(&ask("payments").await), "deny", json!({"reason": "again"})).await;
    seen(&carol, "GET", "/v1/requests/{id}", &format!("/v1/requests/{waiting}"), None).await;
    let held =
        json!({"covers": {"person": "alice@example.com", "target": "prod-orders"}, "reason": "a claim"});
    let held = seen(&dave, "POST", "/v1/holds", "/v1/holds", Some(held)).await;
    let release = format!("/v1/holds/{}/release", held["hold"]["id"].as_str().unwrap());
    seen(&dave, "POST", "/v1/holds/{id}/release", &release, Some(json!({"reason": "settled"}))).await;
    let held = seen(&dave, "GET", "/v1/holds", "/v1/holds?all=true", None).await;
    assert_eq!(held[0]["released"]["reason"], "settled");
    let retention = seen(&dave, "GET", "/v1/retention", "/v1/retention", None).await;
    assert_eq!(retention["statements"]["sessions"], 0);
    let absent = seen(&dave, "GET", "/v1/absences", "/v1/absences", None).await;
    assert_eq!(absent.as_array().unwrap().len(), 1);
    seen(&dave, "POST", "/v1/absences/end", "/v1/absences/end", Some(json!({}))).await;
    crate::redacted::unsealed((&alice, &dave, &carol), &seen).await;
    reviewed(&dave, &carol, &seen).await;
    // Signing in and out last: it takes the token away.
    let tokens = provider_tokens(&env, "bob").await;
    let login = json!({"id_token": tokens.id_token.expose(), "access_token": tokens.access_token.expose()});
    let issued = seen(&alice, "POST", "/v1/login", "/v1/login", Some(login)).await;
    let bob = alice.with_token(&issued["token"]);
    let refresh = tokens.refresh_token.unwrap();
    let renew = json!({"refresh_token": refresh.expose()});
    let renewed = seen(&bob, "POST", "/v1/renew", "/v1/renew", Some(renew)).await;
    let bob = bob.with_token(&renewed["token"]);
    seen(&bob, "POST", "/v1/logout", "/v1/logout", Some(json!({}))).await;
    assert_eq!(document.unchecked(), BTreeSet::new(), "described, and never compared with an answer");
}

/// An access review from its start to its signature.
async fn reviewed(
    dave: &Api,
    carol: &Api,
    seen: &impl AsyncFn(&Api, &str, &str, &str, Option<Value>) -> Value,
) {
    let start = json!({"from": "2026-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z",
                       "targets": ["prod-orders"], "due_seconds": 3600});
    let started = seen(dave, "POST", "/v1/campaigns", "/v1/campaigns", Some(start)).await;
    seen(dave, "GET", "/v1/campaigns", "/v1/campaigns?all=true", None).await;
    let path = format!("/v1/campaigns/{}", started["id"].as_str().unwrap());
    let detail = seen(dave, "GET", "/v1/campaigns/{id}", &path, None).await;
    let (mut alices, mut daves, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for line in detail["lines"].as_array().unwrap() {
        let whose = match line["person"]["email"].as_str().unwrap() {
            "alice@example.com" => &mut alices,
            "dave@example.com" => &mut daves,
            _ => &mut others,
        };
        whose.push(line["line"].clone());
    }
    let decide = async |by: &Api, lines: &[Value], verdict: &str, keeps: Value| {
        let body = json!({"lines": lines, "verdict": verdict, "keeps": keeps, "comment": "x"});
        let template = "/v1/campaigns/{id}/decide";
        seen(by, "POST", template, &format!("{path}/decide"), Some(body)).await;
    };
    let many = json!({"lines": (1..=501).collect::<Vec<u32>>(), "verdict": "certified", "comment": "x"});
    let refused = dave.post(&format!("{path}/decide"), many).await;
    assert_eq!((refused.status, refused.message()), (400, "at most 500 lines are decided at once"), "g9");
    decide(dave, &alices, "narrowed", json!(["read"])).await;
    decide(dave, &others, "certified", json!([])).await;
    decide(carol, &daves, "certified", json!([])).await;
    let bars = seen(dave, "GET", "/v1/bars", "/v1/bars", None).await;
    assert_eq!(bars[0]["person"]["email"], "alice@example.com");
    let lift = json!({"person": "alice@example.com", "target": "prod-orders", "comment": "x"});
    seen(dave, "POST", "/v1/bars/lift", "/v1/bars/lift", Some(lift)).await;
    seen(dave, "POST", "/v1/campaigns/{id}/sign", &format!("{path}/sign"), Some(json!({}))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_is_good_once_renewed_and_given_back() {
    let env = TestEnv::start().await;
    let nobody = Api::anyone(&env);
    let with = |issued: &Value| nobody.with_token(&issued["token"]);
    let tokens = provider_tokens(&env, "bob").await;
    let login = json!({"id_token": tokens.id_token.expose(), "access_token": tokens.access_token.expose()});
    let issued = nobody.post("/v1/login", login.clone()).await.is(200);
    let replayed = nobody.post("/v1/login", login.clone()).await;
    assert_eq!(replayed.message(), "this sign-in was used already");
    assert_eq!(replayed.is(401)["kind"], "not_signed_in");
    let bob = with(&issued);
    assert_eq!(bob.get("/v1/me").await.is(200)["person"]["email"], "bob@example.com");

    // Renewed once: the old token is dead, and two renewals at once make one.
    let renew = json!({"refresh_token": tokens.refresh_token.unwrap().expose()});
    let renewed = bob.post("/v1/renew", renew).await.is(200);
    bob.get("/v1/me").await.is(401);
    let newer = with(&renewed);
    newer.get("/v1/me").await.is(200);

    // Only hashes are kept.
    let token = renewed["token"].as_str().unwrap().as_bytes();
    for entry in ["state.db", "state.db-wal"] {
        let bytes = std::fs::read(env.dir.path().join("data").join(entry)).unwrap();
        assert!(!bytes.windows(token.len()).any(|window| window == token), "G8: the token is in {entry}");
    }
    assert!(!env.server_log().contains(renewed["token"].as_str().unwrap()), "G8: the token is in the log");

    // Logging out ends it here and at the provider.
    let refresh = renewed["refresh_token"].clone();
    newer.post("/v1/logout", json!({"refresh_token": refresh})).await.is(200);
    newer.get("/v1/me").await.is(401);
    let again = newer.post("/v1/renew", json!({"refresh_token": refresh})).await;
    assert_eq!(again.status, 401, "{again:?}");
    newer.post("/v1/logout", json!({})).await.is(401);
    assert_eq!(
        events(&env, "person.signed_in", 1, |_| true).await.len(),
        1,
        "a renewal with the same groups is no event"
    );
    assert_eq!(events(&env, "person.signed_out", 1, |_| true).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_an_expired_token_and_too_many_waiting_requests_are_refused() {
    let extra = "[limits]\nwaiting_requests_per_person = 3\n".to_owned();
    let env = TestEnv::with(Setting { extra, token_lifetime: "5s", ..Setting::default() }).await;
    let alice = env.signed_in("alice").await;
    let api = alice.api();
    let ask = json!({"target": "prod-orders", "reason": "x", "scope": {"tables": ["payments"], "unmask": ["card_number"]}});
    for _ in 0..3 {
        api.post("/v1/requests", ask.clone()).await.is(200);
    }
    let fourth = api.post("/v1/requests", ask.clone()).await;
    assert!(fourth.message().contains("3 requests waiting already"), "{fourth:?}");
    assert_eq!(fourth.is(429)["kind"], "too_many");
    let auto = json!({"target": "prod-orders", "reason": "x", "scope": {"tables": ["orders"]}});
    api.post("/v1/requests", auto).await.is(200);
    let oldest = id(&api.get("/v1/requests?mine=true").await.is(200)[0]);
    api.post(&format!("/v1/requests/{oldest}/cancel"), json!({})).await.is(200);
    api.post("/v1/requests", ask).await.is(200);

    let expired = loop {
        let answered = api.get("/v1/me").await;
        if answered.status != 200 {
            break answered;
        }
    };
    assert_eq!(expired.message(), "the token has expired");
    assert_eq!(expired.is(401)["kind"], "not_signed_in");
    // The command line tool renews by itself.
    let shown = alice.run(&["whoami"]).ok();
    assert!(shown.out.contains("alice@example.com"), "{}", shown.out);
}
