//! The page that a notice's link leads to, without scripts and with a browser's
//! cookies: it shows, it asks who somebody is, and it decides as the API does.

use crate::requests::id;
use crate::support::api::{Api, events};
use crate::support::env::{TestEnv, eventually};
use crate::support::visitor::{Page, Visitor};
use dbaccess::core::link::Link;
use dbaccess::core::model::RequestId;
use dbaccess::core::seal::SealKey;
use serde_json::{Value, json};

/// Longer than any test.
const LATER: &str = "2100-01-01T00:00:00Z";

/// What waits for a lead or security: card numbers as they are.
async fn asked(api: &Api, reason: &str) -> String {
    let scope = json!({"tables": ["payments"], "unmask": ["card_number"]});
    let asked = json!({"target": "prod-orders", "reason": reason, "scope": scope, "window_seconds": 3600});
    id(&api.post("/v1/requests", asked).await.is(200))
}

/// What waits for a peer, and for a manager or security.
async fn asked_to_write(api: &Api) -> String {
    let scope = json!({"tables": ["orders"], "write": true});
    let asked = json!({"target": "prod-orders", "reason": "INC-2", "scope": scope});
    id(&api.post("/v1/requests", asked).await.is(200))
}

async fn state(api: &Api, request: &str) -> Value {
    api.get(&format!("/v1/requests/{request}")).await.is(200)["request"].take()
}

fn form_of(page: &Page) -> String {
    page.hidden("form").unwrap_or_else(|| panic!("no form: {}", page.html))
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_2_b7_an_approver_signs_in_at_the_page_and_approves_for_a_shorter_time() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let request = asked(&alice, "INC-3: <script>alert('card')</script>").await;
    let link = env.link(&request, Some("carol"), LATER);
    let mut carol = Visitor::new(&env);
    // Nothing of the request is shown to whoever only holds the link.
    let page = carol.get(&link).await.is(200).says("Sign in").says(&request).lacks("alice").lacks("INC-3");
    let policy = page.headers["content-security-policy"].to_str().unwrap().to_owned();
    for part in ["default-src 'none'", "style-src 'nonce-", "form-action 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert_eq!(page.headers["x-frame-options"], "DENY");
    assert_eq!(page.headers["cache-control"], "no-store");
    let nonce = policy.split_once("'nonce-").unwrap().1.split_once('\'').unwrap().0.to_owned();
    assert!(page.html.contains(&format!("<style nonce=\"{nonce}\">")));

    let page = carol.sign_in(&link, "carol").await.is(200);
    let page = page.says("alice@example.com asks for access to prod-orders").says("carol@example.com");
    let page = page.says("card_number").says("Approve as lead").says("1h").says("Still needs");
    let page = page.says("&lt;script&gt;alert('card')&lt;/script&gt;").lacks("<script");
    assert_eq!(state(&alice, &request).await["state"], "waiting", "looking decides nothing");

    let form = form_of(&page);
    let fields = [
        ("form", form.as_str()),
        ("answer", "approve"),
        ("window", "900"),
        ("masked", "yes"),
        ("reason", "as agreed"),
    ];
    let decided = carol.post(&link, &fields).await.is(303);
    let page =
        carol.get(&decided.location()).await.is(200).says("Granted: alice@example.com has access until");
    page.says("by way of web")
        .says("for 15m only")
        .says("every mask kept on")
        .says("as agreed")
        .lacks("Approve as");
    let now = state(&alice, &request).await;
    let approval = &now["approvals"][0];
    assert_eq!((&now["state"], &approval["via"]), (&"granted".into(), &"web".into()));
    assert_eq!(
        (&approval["by"]["subject"], &approval["narrowing"]["window"]),
        (&"carol".into(), &900.into())
    );
    assert_eq!(approval["narrowing"]["masked"], true);
    let approved = events(&env, "request.approved", 1, |_| true).await;
    assert_eq!(approved[0]["approval"]["via"], "web");

    // Once more: it was decided already.
    carol.post(&link, &fields).await.is(409).says("already granted by carol@example.com");
    assert_eq!(events(&env, "grant.issued", 1, |_| true).await.len(), 1);
    // From the terminal it says so, too.
    let other = asked(&alice, "INC-4").await;
    env.signed_in("dave").await.run(&["deny", &other, "--reason", "no"]).ok();
    assert_eq!(state(&alice, &other).await["closed"]["via"], "cli");
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_3_two_people_approve_by_one_shared_link_and_a_denial_needs_a_reason() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let request = asked_to_write(&alice).await;
    let link = env.link(&request, None, LATER);
    let (mut bob, mut dave) = (Visitor::new(&env), Visitor::new(&env));
    let page = bob.sign_in(&link, "bob").await.is(200).says("Approve as peer");
    let form = form_of(&page);
    let page = bob.post(&link, &[("form", &form), ("answer", "approve")]).await.is(303);
    bob.get(&page.location()).await.is(200).says("You approved this as peer").lacks("Approve as");
    assert_eq!(state(&alice, &request).await["state"], "waiting");
    let form = form_of(&dave.sign_in(&link, "dave").await.is(200).says("bob@example.com as peer"));
    dave.post(&link, &[("form", &form), ("answer", "deny"), ("reason", "  ")])
        .await
        .is(400)
        .says("needs a reason");
    assert_eq!(state(&alice, &request).await["state"], "waiting");
    dave.post(&link, &[("form", &form), ("answer", "approve")]).await.is(303);
    assert_eq!(state(&alice, &request).await["state"], "granted");

    let request = asked_to_write(&alice).await;
    let link = env.link(&request, Some("dave"), LATER);
    // Signed in once, for every link.
    let form = form_of(&dave.get(&link).await.is(200));
    let page =
        dave.post(&link, &[("form", &form), ("answer", "deny"), ("reason", "not at noon")]).await.is(303);
    dave.get(&page.location()).await.says("Denied by dave@example.com").says("not at noon");
    let closed = state(&alice, &request).await["closed"].take();
    assert_eq!((&closed["via"], &closed["reason"]), (&"web".into(), &"not at noon".into()));
    let denied = events(&env, "request.denied", 1, |_| true).await;
    assert_eq!(denied[0]["via"], "web");
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_2_the_page_shows_a_script_and_approves_no_other() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let script = |text: &str| json!({"name": "V7__note.sql", "text": text});
    let first = script("ALTER TABLE public.orders\n  ADD COLUMN note text DEFAULT '</code><b>';");
    let ask = json!({"target": "prod-orders", "reason": "CHG-7", "scope": {}, "migration": first});
    let request = id(&alice.post("/v1/requests", ask).await.is(200));
    let link = env.link(&request, Some("bob"), LATER);
    let mut bob = Visitor::new(&env);
    let page = bob.sign_in(&link, "bob").await.is(200).says("V7__note.sql").says("revision 1");
    let page = page.says("  2    ADD COLUMN note text").says("&lt;/code&gt;&lt;b&gt;").lacks("</code><b>");
    let seen = page.hidden("sha256").expect("the script that is shown");
    let form = form_of(&page);

    let amended = json!({"migration": script("ALTER TABLE public.orders DROP COLUMN status;")});
    alice.post(&format!("/v1/requests/{request}/amend"), amended).await.is(200);
    let fields =
        [("form", form.as_str()), ("answer", "approve"), ("sha256", seen.as_str()), ("revision", "1")];
    bob.post(&link, &fields).await.is(409);
    bob.post(&link, &fields[..2]).await.lacks("You approved");
    assert_eq!(state(&alice, &request).await["approvals"], json!([]));

    let page = bob.get(&link).await.is(200).says("revision 2").says("DROP COLUMN status").says("danger");
    let (form, seen) = (form_of(&page), page.hidden("sha256").unwrap());
    let shown = [("form", form.as_str()), ("answer", "approve"), ("sha256", &seen)];
    bob.post(&link, &shown).await.lacks("You approved");
    let revision = page.hidden("revision").unwrap();
    bob.post(&link, &[&shown[..], &[("revision", &revision)]].concat()).await.is(303);
    let approvals = state(&alice, &request).await["approvals"].take();
    assert_eq!((&approvals[0]["by"]["subject"], &approvals[0]["script"]), (&"bob".into(), &seen.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn g6_nobody_decides_about_their_own_request_at_the_page_and_roles_count_there_as_anywhere() {
    let env = TestEnv::start().await;
    let carol = env.signed_in("carol").await.api();
    let request = asked(&carol, "INC-5").await;
    let link = env.link(&request, None, LATER);
    let mut own = Visitor::new(&env);
    let page = own.sign_in(&link, "carol").await.is(200).says("your own request").lacks("name=\"form\"");
    drop(page);
    // With a form that was shown for another request of somebody else's.
    let alice = env.signed_in("alice").await.api();
    let other = asked(&alice, "INC-6").await;
    let elsewhere = env.link(&other, None, LATER);
    let form = form_of(&own.get(&elsewhere).await.is(200));
    own.post(&link, &[("form", &form), ("answer", "approve")])
        .await
        .is(403)
        .says("not shown to this browser");
    // With her own form's token, made with the server's key: the rules say no, whatever a page says.
    let mut erin = Visitor::new(&env);
    erin.sign_in(&link, "erin").await.is(403).says("not yours to see or to decide").lacks("INC-5");
    // Erin's roles are nobody's here; bob sees, and may not decide.
    let mut bob = Visitor::new(&env);
    let page = bob.sign_in(&link, "bob").await;
    assert!(matches!(page.status, 200 | 403) && !page.html.contains("name=\"form\""), "{page:?}");
    assert_eq!(state(&carol, &request).await["state"], "waiting");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_are_forged_expired_foreign_or_replayed_decide_nothing() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let request = asked(&alice, "INC-7").await;
    let good = env.link(&request, Some("carol"), LATER);
    let mut carol = Visitor::new(&env);
    let form = form_of(&carol.sign_in(&good, "carol").await.is(200));
    let decide = [("form", form.as_str()), ("answer", "approve")];

    let made_up =
        Link { request: RequestId::from_stored(&request), recipient: None, until: LATER.parse().unwrap() };
    let made_up = made_up.seal(&SealKey::new([0; 32])).unwrap();
    let shortened = &good[..good.len() - 1];
    let swapped = good.replacen('.', "..", 1);
    for forged in
        [&format!("/decide/{made_up}"), shortened, &swapped, "/decide/x", "/decide/%FF", "/decide/%00"]
    {
        carol.get(forged).await.is(404).says("not made by this server").lacks("alice");
        carol.get(&format!("{forged}/sign-in")).await.is(404);
        carol.post(forged, &decide).await.is(404);
    }
    let expired = env.link(&request, Some("carol"), "2026-01-01T00:00:00Z");
    carol.get(&expired).await.is(410).says("This link was good until").lacks("alice");
    carol.post(&expired, &decide).await.is(410);
    let foreign = env.link(&request, Some("dave"), LATER);
    carol.get(&foreign).await.is(403).says("sent to somebody else").lacks("alice");
    carol.post(&foreign, &decide).await.is(403);

    // The form is of this browser, of this link, and of a page of ours.
    let mut stranger = Visitor::new(&env);
    stranger.post(&good, &decide).await.is(200).says("Sign in").lacks("alice");
    let mut again = Visitor::new(&env);
    again.sign_in(&good, "carol").await.is(200);
    again.post(&good, &decide).await.is(403).says("not shown to this browser");
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", env.url.as_str()), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
    ] {
        carol.post_from(&good, &decide, headers).await.is(403).says("from another site");
    }
    for nonsense in [&[("answer", "approve")][..], &[("form", ""), ("answer", "approve")], &[]] {
        let page = carol.post(&good, nonsense).await;
        assert!(matches!(page.status, 400 | 403), "{page:?}");
    }
    carol.post(&good, &[("form", &form), ("answer", "perhaps")]).await.is(400);
    carol.post(&good, &[("form", &form), ("answer", "approve"), ("window", "-1")]).await.is(400);
    carol.post(&good, &[("form", &form), ("answer", "deny"), ("reason", &"x".repeat(3000))]).await.is(400);
    let large = "x".repeat(100_000);
    let page = carol.post(&good, &[("form", &form), ("answer", "deny"), ("reason", &large)]).await;
    assert!(matches!(page.status, 400 | 413), "{page:?}");
    // Scanners follow links.
    for _ in 0..3 {
        carol.get(&good).await.is(200);
    }
    assert_eq!(state(&alice, &request).await["state"], "waiting");
    alice.post(&format!("/v1/requests/{request}/cancel"), json!({})).await.is(200);
    carol.get(&good).await.is(200).says("Withdrawn by alice@example.com").lacks("name=\"form\"");
    carol.post(&good, &decide).await.is(409).says("already cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_at_the_page_ends_where_it_began_and_once() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let request = asked(&alice, "INC-8").await;
    let link = env.link(&request, None, LATER);
    let mut carol = Visitor::new(&env);
    let back = carol.visit_provider(&link, "carol").await;
    // In another browser, which began none: an attacker's link to a sign-in of theirs.
    Visitor::new(&env).get(&back).await.is(401).says("begun no sign-in");
    // With the state of another sign-in.
    let mut other = Visitor::new(&env);
    other.visit_provider(&link, "carol").await;
    other.get(&back).await.is(401).says("another sign-in");
    for nonsense in ["/oidc/callback", "/oidc/callback?code=x", "/oidc/callback?code=%FF&state=%FF"] {
        let page = carol.get(nonsense).await;
        assert!(matches!(page.status, 400 | 401), "{page:?}");
    }
    carol.get("/oidc/callback?error=access_denied").await.is(401).says("did not sign you in");
    carol.get(&back.replace("iss=https", "iss=http")).await.is(401).says("Another identity provider");
    let kept = carol.cookies.clone();
    carol.get(&back).await.is(303);
    // The code, the state and the cookie once more.
    carol.cookies = kept;
    let again = carol.get(&back).await;
    assert!(matches!(again.status, 401 | 503), "{again:?}");

    // A token that answers another question is not believed.
    env.idp.change(|options| options.forge.nonce = Some("another".to_owned()));
    let mut forged = Visitor::new(&env);
    let back = forged.visit_provider(&link, "carol").await;
    forged.get(&back).await.is(401).says("answers another sign-in");
    env.idp.change(|options| options.forge.nonce = None);

    // A page's session is none of the API, and the other way round.
    let mut carol = Visitor::new(&env);
    carol.sign_in(&link, "carol").await.is(200).says("Approve as lead");
    let session = carol.cookies["__Host-dbaccess"].clone();
    Api::anyone(&env).with_token(&json!(session)).get("/v1/me").await.is(401);
    let at_api = env.signed_in("carol").await.api().token().unwrap();
    carol.cookies.insert("__Host-dbaccess".to_owned(), at_api);
    carol.get(&link).await.is(200).says("Sign in").lacks("Approve as");
    assert_eq!(state(&alice, &request).await["state"], "waiting");

    // G8: what would let somebody in is in no log and no record.
    let log = env.server_log();
    let ledger = eventually("the sign-ins are on the ledger", || {
        let text = env.ledger_text();
        (text.matches("person.signed_in").count() >= 3).then_some(text)
    })
    .await;
    for secret in [&session, link.rsplit('/').next().unwrap()] {
        assert!(!log.contains(secret) && !ledger.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_signs_in_at_pages_a_link_says_what_to_type() {
    let mut env = TestEnv::start().await;
    env.kill_server();
    let path = env.dir.path().join("server.toml");
    let config = std::fs::read_to_string(&path).unwrap().replace("web_sign_in = true", "");
    std::fs::write(&path, config).unwrap();
    env.start_server().await;
    let alice = env.signed_in("alice").await.api();
    let request = asked(&alice, "INC-9").await;
    let link = env.link(&request, None, LATER);
    let mut carol = Visitor::new(&env);
    carol
        .get(&link)
        .await
        .is(200)
        .says(&format!("dbaccess approve {request}"))
        .lacks("/sign-in")
        .lacks("alice");
    carol.get(&format!("{link}/sign-in")).await.is(404).says("web_sign_in");
}
