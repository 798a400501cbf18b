//! Mail and the pager: who is told of what, over which connections, and that
//! one channel's trouble is no other's.

use crate::requests::id;
use crate::support::api::{Api, events};
use crate::support::env::{Setting, TestEnv, UNLIMITED, eventually};
use crate::support::held::writer;
use crate::support::smtp::{Mail, MailServer, Security};
use crate::support::visitor::Visitor;
use axum::Router;
use axum::http::StatusCode;
use axum::routing;
use dbaccess::demo::pki::Pki;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::net::TcpListener;

struct Post {
    server: MailServer,
    dir: TempDir,
}

impl Post {
    async fn office(security: Security) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::new(dir.path()).unwrap();
        let server = MailServer::start(security, pki.server_config(&[]).unwrap()).await;
        Self { server, dir }
    }

    fn config(&self, more: &str) -> String {
        format!(
            "\n[notify.mail]\nhost = \"localhost\"\nport = {}\nfrom = \"dbaccess <dbaccess@example.com>\"\n\
             to = [\"security@example.com\"]\n{more}\n",
            self.server.port
        )
    }

    fn secured(&self, tls: &str, password: &str) -> String {
        let path = self.dir.path().join("password");
        std::fs::write(&path, password).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let ca = self.dir.path().join("ca.pem");
        assert!(ca.exists());
        self.config(&format!(
            "tls = \"{tls}\"\nca = \"{}\"\nuser = \"dbaccess\"\npassword_file = \"{}\"",
            ca.display(),
            path.display()
        ))
    }

    async fn mails(&self, least: usize) -> Vec<Mail> {
        eventually("the mails are there", || {
            let mails = self.server.mails();
            (mails.len() >= least).then_some(mails)
        })
        .await
    }
}

async fn asked(api: &Api, reason: &str) -> String {
    let scope = json!({"tables": ["payments"], "unmask": ["card_number"]});
    let asked = json!({"target": "prod-orders", "reason": reason, "scope": scope});
    id(&api.post("/v1/requests", asked).await.is(200))
}

/// The link of a mail, by its path.
fn link(env: &TestEnv, mail: &Mail) -> String {
    let text = mail.decoded();
    let (_, rest) = text.split_once(&format!("{}/decide/", env.url)).unwrap_or_else(|| panic!("{text}"));
    let token: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')).collect();
    format!("/decide/{token}")
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_2_who_can_decide_is_mailed_a_link_of_their_own() {
    let post = Post::office(Security::StartTls).await;
    let extra = post.secured("starttls", "good");
    let env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    for name in ["carol", "dave"] {
        env.signed_in(name).await;
    }
    let alice = env.signed_in("alice").await.api();
    let request = asked(&alice, "INC-3\r\nBcc: evil@example.com\r\n\r\n<b>bold</b>").await;
    let mails = post.mails(2).await;
    let mut people: Vec<&str> = mails.iter().flat_map(|mail| &mail.to).map(String::as_str).collect();
    people.sort_unstable();
    assert_eq!(people, ["carol@example.com", "dave@example.com"], "a mail each");
    for mail in &mails {
        assert!(mail.tls && mail.from == "dbaccess@example.com");
        assert_eq!(mail.login.as_deref(), Some("dbaccess:good"));
        let subject = mail.header("Subject").unwrap();
        assert!(subject.contains("alice@example.com asks for access to prod-orders"), "{subject}");
        assert_eq!(
            (mail.header("Bcc"), mail.header("Auto-Submitted")),
            (None, Some("auto-generated".into()))
        );
        let text = mail.decoded();
        assert!(text.contains("text/plain") && text.contains("text/html"), "{text}");
        assert!(text.contains("&lt;b&gt;bold&lt;/b&gt;"), "{text}");
    }
    let of = |name: &str| mails.iter().find(|mail| mail.to[0].starts_with(name)).unwrap();
    let (carols, daves) = (link(&env, of("carol")), link(&env, of("dave")));
    assert_ne!(carols, daves);
    let mut carol = Visitor::new(&env);
    carol.sign_in(&daves, "carol").await.is(403).says("sent to somebody else");
    let page = carol.get(&carols).await.is(200).says("Approve as lead");
    let form = page.hidden("form").unwrap();
    carol.post(&carols, &[("form", &form), ("answer", "deny"), ("reason", "ask later")]).await.is(303);
    // Whoever asked learns of it.
    let answer = post.mails(3).await.pop().unwrap();
    assert_eq!(answer.to, ["alice@example.com"]);
    let text = answer.decoded();
    assert!(text.contains("denied") && text.contains("ask later") && !text.contains("/decide/"), "{text}");
    assert_eq!(mails[0].header("References"), answer.header("References"), "of one thread");
    let state = alice.get(&format!("/v1/requests/{request}")).await.is(200);
    assert_eq!(state["request"]["closed"]["via"], "web");
    assert!(!env.server_log().contains("good\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_without_tls_or_with_a_wrong_password_is_not_sent_and_one_bad_address_stops_nobody() {
    // A server that offers no TLS, where STARTTLS is demanded.
    let plain = Post::office(Security::Plain).await;
    let extra = plain.secured("starttls", "good");
    let env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    env.signed_in("carol").await;
    let alice = env.signed_in("alice").await.api();
    asked(&alice, "INC-4").await;
    eventually("it is tried", || env.server_log().contains("notices do not arrive").then_some(())).await;
    assert!(plain.server.mails().is_empty());
    drop(env);

    let post = Post::office(Security::Implicit).await;
    let extra = post.secured("implicit", "wrong");
    let mut env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    for name in ["carol", "dave"] {
        env.signed_in(name).await;
    }
    let alice = env.signed_in("alice").await.api();
    asked(&alice, "INC-5").await;
    eventually("it is tried", || env.server_log().contains("535").then_some(())).await;
    assert!(post.server.mails().is_empty() && !env.server_log().contains("wrong\""));
    // With the right one, and after a restart, all come but the one that the server will not have.
    env.kill_server();
    post.secured("implicit", "good");
    post.server.refuse("carol@example.com", "550 5.1.1 no such user");
    env.start_server().await;
    let mails = post.mails(1).await;
    assert_eq!((&mails[0].to[..], mails[0].tls), (&["dave@example.com".to_owned()][..], true));
    eventually("it is said", || env.server_log().contains("a notice is refused").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_3_what_is_urgent_reaches_the_pager_and_security_while_the_webhook_is_down() {
    let post = Post::office(Security::Plain).await;
    let paged: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (into, listener) = (Arc::clone(&paged), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = format!("http://{}", listener.local_addr().unwrap());
    let take = move |body: String| {
        into.lock().unwrap().push(serde_json::from_str(&body).unwrap());
        async { (StatusCode::ACCEPTED, r#"{"status":"success"}"#) }
    };
    let router = Router::new().route("/v2/enqueue", routing::post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("routing");
    std::fs::write(&key, "r0uting-key").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let extra = format!(
        "{UNLIMITED}\n[alerts]\nwebhook = \"http://{dead}/hook\"\nbulk_rows = 5000\nbulk_factor = 2\n{}\
         \n[notify.pagerduty]\napi_url = \"{url}\"\nrouting_key_file = \"{}\"\n",
        post.config("tls = \"off\""),
        key.display(),
    );
    let sql = "CREATE TABLE people (i int); INSERT INTO people SELECT generate_series(1, 20000)";
    let env = TestEnv::with(Setting { databases: vec![("crowd", sql)], extra, ..Setting::default() }).await;
    let alice = writer(&env, "crowd").await;
    alice.run(&["exec", "crowd", "SELECT * FROM people", "--output", "csv"]).ok();
    events(&env, "alert.bulk_read", 2, |_| true).await;
    let paged = eventually("the pager has both", || {
        let paged = paged.lock().unwrap().clone();
        (paged.len() >= 2).then_some(paged)
    })
    .await;
    assert_eq!(
        (&paged[0]["event_action"], &paged[0]["routing_key"]),
        (&"trigger".into(), &"r0uting-key".into())
    );
    assert_eq!(paged[0]["dedup_key"], paged[1]["dedup_key"], "one session, one alert");
    let urgent = |mail: &Mail| mail.to == ["security@example.com"];
    let mails = eventually("security has mail", || {
        let mails: Vec<Mail> = post.server.mails().into_iter().filter(urgent).collect();
        (mails.len() >= 2).then_some(mails)
    })
    .await;
    assert!(mails[0].decoded().contains("alice@example.com read"));
    assert!(env.server_log().contains("notices do not arrive"), "the webhook is down all the while");
    assert!(!env.server_log().contains("r0uting-key") && !env.ledger_text().contains("r0uting-key"));
}
