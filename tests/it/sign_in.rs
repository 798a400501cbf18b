//! Sign-in from end to end: the command line's device flow and the server's
//! checks, against the development identity provider, over TLS. Time is moved,
//! not waited for: the client's waits advance the provider's clock.

use crate::support::port::Port;
use dbaccess::cli::device_login::{Prompt, SignInError, Tokens, Ui, sign_in};
use dbaccess::core::model::{ErrorKind, Identity, Secret};
use dbaccess::demo::identity::{Algorithm, Answer, DevIdp, DevPerson, Options, answer_without_browser};
use dbaccess::demo::pki::Pki;
use dbaccess::oidc::OidcError;
use dbaccess::proto::LoginConfig;
use dbaccess::server::identity::{IdentityConfig, IdentityError, Provider, Rejected, Revoked};
use jiff::SignedDuration;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpListener;

/// A provider with alice and bob, and what is needed to trust it.
struct Idp {
    idp: DevIdp,
    ca: PathBuf,
    _dir: tempfile::TempDir,
}

impl Idp {
    async fn start(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::new(dir.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let people = vec![DevPerson::new("alice", &["payments", "leads"]), DevPerson::new("bob", &[])];
        let tls = pki.server_config(&[b"http/1.1"]).unwrap();
        let idp = DevIdp::start(listener, tls, people, options).unwrap();
        Self { idp, ca: pki.ca, _dir: dir }
    }

    fn login(&self) -> LoginConfig {
        LoginConfig {
            issuer: self.idp.issuer().to_owned(),
            client_id: "dbaccess".to_owned(),
            scopes: ["openid", "email", "groups", "offline_access"].map(str::to_owned).to_vec(),
        }
    }

    fn server(&self) -> Provider {
        let config = IdentityConfig::new(self.idp.issuer(), "dbaccess");
        Provider::new(IdentityConfig { ca: Some(self.ca.clone()), ..config }).unwrap()
    }

    /// Signs in, with this answer given in the browser after `polls` questions.
    async fn sign_in(&self, answer: Option<Answer<'_>>, polls: usize) -> (Result<Tokens, SignInError>, Seen) {
        let mut ui = Scripted { idp: self, answer, after: polls, seen: Seen::default() };
        let tokens = sign_in(&self.login(), Some(&self.ca), &mut ui).await;
        (tokens, ui.seen)
    }

    async fn alice(&self) -> Tokens {
        self.sign_in(Some(Answer::ApproveAs("alice")), 0).await.0.unwrap()
    }
}

#[derive(Default)]
struct Seen {
    prompt: Option<Prompt>,
    waits: Vec<u64>,
    troubles: Vec<String>,
}

/// A person who answers in the browser after some waits; each wait moves the provider's clock.
struct Scripted<'a> {
    idp: &'a Idp,
    answer: Option<Answer<'a>>,
    after: usize,
    seen: Seen,
}

impl Ui for Scripted<'_> {
    fn show(&mut self, prompt: &Prompt) {
        self.seen.prompt = Some(prompt.clone());
    }

    fn trouble(&mut self, text: &str) {
        self.seen.troubles.push(text.to_owned());
    }

    async fn wait(&mut self, length: Duration) {
        if self.seen.waits.len() == self.after
            && let Some(answer) = self.answer
        {
            let link = self.seen.prompt.as_ref().unwrap().complete_address.clone().unwrap();
            answer_without_browser(&self.idp.ca, &link, answer).await.unwrap();
        }
        self.seen.waits.push(length.as_secs());
        self.idp.idp.advance(length);
    }
}

/// The server's view of tokens, with the ID token signed out of the way of `Debug`.
async fn verify(server: &Provider, idp: &Idp, tokens: &Tokens) -> Result<Identity, IdentityError> {
    server.verify(tokens.id_token.expose(), Some(&tokens.access_token), idp.idp.now()).await
}

#[tokio::test]
async fn a_person_signs_in_and_the_server_knows_who() {
    let idp = Idp::start(Options::default()).await;
    let (tokens, seen) = idp.sign_in(Some(Answer::ApproveAs("alice")), 2).await;
    let tokens = tokens.unwrap();
    assert_eq!(seen.waits, [1, 1, 1], "two questions too early, one after the answer");
    let prompt = seen.prompt.unwrap();
    assert!(prompt.complete_address.unwrap().ends_with(&prompt.user_code));
    assert!(tokens.refresh_token.is_some());

    let server = idp.server();
    let alice = verify(&server, &idp, &tokens).await.unwrap();
    assert_eq!(alice.subject, "alice");
    assert_eq!(alice.email, "alice@example.com");
    assert_eq!(alice.groups, ["payments", "leads"].map(str::to_owned).into());
    assert!(!format!("{tokens:?}").contains(tokens.id_token.expose()), "g8");
}

#[tokio::test]
async fn the_interval_is_five_seconds_when_none_is_sent() {
    let idp = Idp::start(Options { interval: None, ..Options::default() }).await;
    let (tokens, seen) = idp.sign_in(Some(Answer::ApproveAs("bob")), 1).await;
    tokens.unwrap();
    assert_eq!(seen.waits, [5, 5]);
}

#[tokio::test]
async fn slow_down_adds_five_seconds_each_time_and_for_good() {
    // Told 5, held to 13: two questions come too soon.
    let options = Options { interval: Some(5), enforced_interval: Some(13), ..Options::default() };
    let idp = Idp::start(options).await;
    let (tokens, seen) = idp.sign_in(Some(Answer::ApproveAs("alice")), 5).await;
    tokens.unwrap();
    assert_eq!(seen.waits, [5, 5, 10, 15, 15, 15]);
}

#[tokio::test]
async fn a_denied_sign_in_says_so() {
    let idp = Idp::start(Options::default()).await;
    let error = idp.sign_in(Some(Answer::Deny), 1).await.0.unwrap_err();
    assert!(matches!(error, SignInError::Denied), "{error}");
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_code_that_nobody_confirms_expires() {
    let options = Options { code_lifetime: Duration::from_secs(3), ..Options::default() };
    let idp = Idp::start(options).await;
    let (tokens, seen) = idp.sign_in(None, 0).await;
    assert!(matches!(tokens, Err(SignInError::Expired)));
    assert_eq!(seen.waits.len(), 3);

    // The provider may end it sooner than it said.
    let idp = Idp::start(Options::default()).await;
    let mut ui = Scripted { idp: &idp, answer: None, after: 0, seen: Seen::default() };
    idp.idp.change(|options| options.code_lifetime = Duration::from_secs(600));
    let hurry = async {
        while idp.idp.polls() == 0 {
            tokio::task::yield_now().await;
        }
        idp.idp.advance(Duration::from_secs(3600));
        std::future::pending::<()>().await;
    };
    let login = idp.login();
    let result = tokio::select! {
        result = sign_in(&login, Some(&idp.ca), &mut ui) => result,
        () = hurry => unreachable!(),
    };
    assert!(matches!(result, Err(SignInError::Expired)));
}

#[tokio::test]
async fn a_provider_that_stumbles_is_asked_again() {
    let idp = Idp::start(Options { failures: 2, ..Options::default() }).await;
    let (tokens, seen) = idp.sign_in(Some(Answer::ApproveAs("alice")), 0).await;
    tokens.unwrap();
    assert_eq!(seen.waits, [1, 2, 4], "twice as long each time");
    assert_eq!(seen.troubles.len(), 2);
    assert!(seen.troubles[0].contains("503"), "{:?}", seen.troubles);
}

#[tokio::test]
async fn refusals_without_a_body_and_unknown_clients_are_explained() {
    let idp = Idp::start(Options::default()).await;
    let login = LoginConfig { client_id: "somebody".to_owned(), ..idp.login() };
    for (empty, says) in [(false, "invalid_client"), (true, "client id")] {
        idp.idp.change(|options| options.empty_errors = empty);
        let mut ui = Scripted { idp: &idp, answer: None, after: 0, seen: Seen::default() };
        let error = sign_in(&login, Some(&idp.ca), &mut ui).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.kind(), ErrorKind::NotSignedIn);
    }
}

#[tokio::test]
async fn a_provider_that_is_down_is_unreachable_for_both_and_the_server_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(dir.path()).unwrap();
    let port = Port::reserve();
    let address = port.address();
    let issuer = format!("https://localhost:{}", address.port());
    let config = IdentityConfig { ca: Some(pki.ca.clone()), ..IdentityConfig::new(&issuer, "dbaccess") };
    let server = Provider::new(config).unwrap();
    let now = dbaccess::os::now();
    let error = server.discover(now).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains(&issuer), "{error}");

    let listener = port.listen();
    let tls = pki.server_config(&[b"http/1.1"]).unwrap();
    let people = vec![DevPerson::new("alice", &[])];
    let idp = DevIdp::start(listener, tls, people, Options::default()).unwrap();
    server.discover(now).await.unwrap();
    let idp = Idp { idp, ca: pki.ca, _dir: dir };
    let tokens = idp.alice().await;
    verify(&server, &idp, &tokens).await.unwrap();

    let (login, ca, issuer) = (idp.login(), idp.ca.clone(), idp.idp.issuer().to_owned());
    let other = Idp::start(Options::default()).await;
    idp.idp.stop();
    let mut ui = Scripted { idp: &other, answer: None, after: 0, seen: Seen::default() };
    let error = sign_in(&login, Some(&ca), &mut ui).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains(&issuer), "{error}");
}

#[tokio::test]
async fn a_provider_of_another_authority_is_not_believed() {
    let idp = Idp::start(Options::default()).await;
    let stranger = Idp::start(Options::default()).await;
    let mut ui = Scripted { idp: &idp, answer: None, after: 0, seen: Seen::default() };
    let error = sign_in(&idp.login(), Some(&stranger.ca), &mut ui).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains("certificate"), "{error}");
    // Plain text is not even tried.
    let login = LoginConfig { issuer: idp.idp.issuer().replace("https", "http"), ..idp.login() };
    let error = sign_in(&login, Some(&idp.ca), &mut ui).await.unwrap_err();
    assert!(error.to_string().contains("https"), "{error}");
    // By another of its names, the provider is another issuer.
    let login = LoginConfig { issuer: idp.idp.issuer().replace("localhost", "127.0.0.1"), ..idp.login() };
    let error = sign_in(&login, Some(&idp.ca), &mut ui).await.unwrap_err();
    assert!(error.to_string().contains("calls itself otherwise"), "{error}");
}

#[tokio::test]
async fn forged_tokens_are_refused_over_the_wire_too() {
    let idp = Idp::start(Options::default()).await;
    let server = idp.server();
    type Change = fn(&mut Options);
    let cases: [(&str, Change); 8] = [
        ("issuer", |o| o.forge.issuer = Some("https://evil.example.com".to_owned())),
        ("application", |o| o.forge.audience = Some(vec!["other".to_owned()])),
        ("application", |o| o.forge.audience = Some(vec!["dbaccess".to_owned(), "other".to_owned()])),
        ("application", |o| o.forge.authorized_party = Some("other".to_owned())),
        ("nonce", |o| o.forge.nonce = Some("n".to_owned())),
        ("`none`", |o| o.forge.algorithm = Algorithm::None),
        ("`HS256`", |o| o.forge.algorithm = Algorithm::Hs256),
        ("clocks", |o| o.token_clock = SignedDuration::from_secs(120)),
    ];
    for (says, change) in cases {
        idp.idp.change(change);
        let tokens = idp.alice().await;
        idp.idp.change(|options| *options = Options::default());
        let error = verify(&server, &idp, &tokens).await.unwrap_err();
        assert!(matches!(error, IdentityError::Rejected(_)), "{says}: {error}");
        assert_eq!(error.kind(), ErrorKind::NotSignedIn);
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert!(!error.to_string().contains(tokens.id_token.expose()), "g8");
    }
    // Expired by the provider's clock: 300 s of life, 60 s of leeway.
    let tokens = idp.alice().await;
    idp.idp.advance(Duration::from_secs(350));
    verify(&server, &idp, &tokens).await.unwrap();
    idp.idp.advance(Duration::from_secs(20));
    let error = verify(&server, &idp, &tokens).await.unwrap_err();
    assert!(matches!(error, IdentityError::Rejected(Rejected::Expired { .. })), "{error}");
}

#[tokio::test]
async fn keys_are_fetched_again_when_one_is_unknown_but_not_for_every_made_up_token() {
    let idp = Idp::start(Options::default()).await;
    let server = idp.server();
    let old = idp.alice().await;
    verify(&server, &idp, &old).await.unwrap();
    let served = idp.idp.keys_served();

    idp.idp.rotate_key().unwrap();
    let new = idp.alice().await;
    let asked_by_client = idp.idp.keys_served() - served;
    verify(&server, &idp, &new).await.unwrap();
    assert_eq!(idp.idp.keys_served(), served + asked_by_client + 1);

    // The old key is gone, so its token is too; asking again at once is not allowed.
    for _ in 0..5 {
        let error = verify(&server, &idp, &old).await.unwrap_err();
        assert!(matches!(error, IdentityError::Rejected(Rejected::UnknownKey)), "{error}");
    }
    assert_eq!(idp.idp.keys_served(), served + asked_by_client + 1);
    verify(&server, &idp, &new).await.unwrap();
    idp.idp.advance(Duration::from_secs(31));
    verify(&server, &idp, &old).await.unwrap_err();
    assert_eq!(idp.idp.keys_served(), served + asked_by_client + 2);

    // A key that the provider withdrew is trusted for an hour at most.
    idp.idp.change(|options| options.token_lifetime = Duration::from_secs(86_400));
    let stolen = idp.alice().await;
    idp.idp.rotate_key().unwrap();
    verify(&server, &idp, &stolen).await.unwrap();
    idp.idp.advance(Duration::from_secs(3601));
    let error = verify(&server, &idp, &stolen).await.unwrap_err();
    assert!(matches!(error, IdentityError::Rejected(Rejected::UnknownKey)), "{error}");
}

#[tokio::test]
async fn what_the_id_token_lacks_comes_from_userinfo() {
    let idp = Idp::start(Options { lean_id_token: true, ..Options::default() }).await;
    let server = idp.server();
    let tokens = idp.alice().await;
    let alice = verify(&server, &idp, &tokens).await.unwrap();
    assert_eq!((alice.email.as_str(), alice.groups.len()), ("alice@example.com", 2));

    let error = server.verify(tokens.id_token.expose(), None, idp.idp.now()).await.unwrap_err();
    assert!(matches!(error, IdentityError::NoEmail { .. }), "{error}");
    // Somebody else's access token does not lend its e-mail.
    let bob = idp.sign_in(Some(Answer::ApproveAs("bob")), 0).await.0.unwrap();
    let now = idp.idp.now();
    let error = server.verify(tokens.id_token.expose(), Some(&bob.access_token), now).await.unwrap_err();
    assert!(matches!(error, IdentityError::OtherSubject), "{error}");
    let odd = Secret::new("not a token\n");
    assert!(server.verify(tokens.id_token.expose(), Some(&odd), now).await.is_err());
}

#[tokio::test]
async fn a_sign_in_is_renewed_with_and_without_an_id_token() {
    for with in [true, false] {
        let idp = Idp::start(Options { id_token_on_refresh: with, ..Options::default() }).await;
        let server = idp.server();
        let first = idp.alice().await.refresh_token.unwrap();
        idp.idp.advance(Duration::from_secs(7200));
        let renewed = server.renew(&first, "alice", idp.idp.now()).await.unwrap();
        assert_eq!(renewed.identity.subject, "alice");
        assert_eq!(renewed.identity.groups.len(), 2, "groups are read again");
        let second = renewed.refresh_token.expect("this provider rotates");

        // Reuse of the first ends the whole family.
        server.renew(&second, "alice", idp.idp.now()).await.unwrap();
        let error = server.renew(&first, "alice", idp.idp.now()).await.unwrap_err();
        assert!(matches!(&error, IdentityError::NotRenewed(code) if code == "invalid_grant"), "{error}");
        assert_eq!(error.kind(), ErrorKind::NotSignedIn);
        assert!(!error.to_string().contains(first.expose()), "g8");
    }
}

#[tokio::test]
async fn a_renewal_for_another_subject_is_refused() {
    for with in [true, false] {
        let idp = Idp::start(Options { id_token_on_refresh: with, ..Options::default() }).await;
        let server = idp.server();
        let token = idp.alice().await.refresh_token.unwrap();
        idp.idp.change(|options| options.forge.subject_on_refresh = Some("root".to_owned()));
        let error = server.renew(&token, "alice", idp.idp.now()).await.unwrap_err();
        assert!(matches!(error, IdentityError::OtherSubject), "{error}");
        // And alice's token does not renew bob.
        idp.idp.change(|options| options.forge.subject_on_refresh = None);
        let token = idp.alice().await.refresh_token.unwrap();
        let error = server.renew(&token, "bob", idp.idp.now()).await.unwrap_err();
        assert!(matches!(error, IdentityError::OtherSubject), "{error}");
    }
}

#[tokio::test]
async fn a_renewal_tells_a_dead_token_from_a_provider_that_is_unwell() {
    let idp = Idp::start(Options::default()).await;
    let server = idp.server();
    let token = idp.alice().await.refresh_token.unwrap();
    idp.idp.change(|options| options.failures = 1);
    let error = server.renew(&token, "alice", idp.idp.now()).await.unwrap_err();
    assert!(matches!(error, IdentityError::Provider(OidcError::Unreachable(_))), "{error}");
    idp.idp.change(|options| options.empty_errors = true);
    let error = server.renew(&Secret::new("unknown"), "alice", idp.idp.now()).await.unwrap_err();
    assert!(matches!(error, IdentityError::NotRenewed(_)), "{error}");
    server.renew(&token, "alice", idp.idp.now()).await.unwrap();
}

#[tokio::test]
async fn logout_takes_the_refresh_token_back_or_says_that_it_could_not() {
    let idp = Idp::start(Options::default()).await;
    let server = idp.server();
    let token = idp.alice().await.refresh_token.unwrap();
    assert_eq!(server.revoke(&token, idp.idp.now()).await.unwrap(), Revoked::Yes);
    assert!(server.renew(&token, "alice", idp.idp.now()).await.is_err());

    idp.idp.change(|options| options.client_id = "moved".to_owned());
    let error = server.revoke(&token, idp.idp.now()).await.unwrap_err();
    assert!(matches!(error, IdentityError::NotRevoked(_)), "{error}");

    let idp = Idp::start(Options { revocation: false, ..Options::default() }).await;
    assert_eq!(idp.server().revoke(&token, idp.idp.now()).await.unwrap(), Revoked::NotOffered);
}

#[tokio::test]
async fn the_verification_page_takes_no_answer_from_elsewhere() {
    let idp = Idp::start(Options::default()).await;
    let http = dbaccess::tls::http_client(Some(&idp.ca)).unwrap();
    let device = format!("{}/device", idp.idp.issuer());
    let page = http.get(&device).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    let html = page.text().await.unwrap();
    assert!(html.contains("<label for=\"user_code\"") && !html.contains("<script"));
    let unknown = http.get(format!("{device}?user_code=%3Cb%3E")).send().await.unwrap();
    assert_eq!(unknown.status(), 400);
    assert!(!unknown.text().await.unwrap().contains("<b>"));

    let started: serde_json::Value = http
        .post(format!("{}/device_authorization", idp.idp.issuer()))
        .body("client_id=dbaccess")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let code = started["user_code"].as_str().unwrap();
    let forged = format!("user_code={code}&form_token=guess&person=alice&answer=approve");
    let answer = http.post(&device).body(forged).send().await.unwrap();
    assert_eq!(answer.status(), 403);
    // Typed by hand, in small letters and without the dash, the code is found.
    let typed = code.to_lowercase().replace('-', "");
    let page = http.get(format!("{device}?user_code={typed}")).send().await.unwrap();
    assert!(page.text().await.unwrap().contains(code));
}

#[tokio::test]
async fn the_development_provider_stays_on_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let tls = Pki::new(dir.path()).unwrap().server_config(&[]).unwrap();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let error = DevIdp::start(listener, tls, Vec::new(), Options::default()).unwrap_err();
    assert!(error.to_string().contains("loopback"), "{error}");
}

/// In a process of its own, since the signal reaches every test of this one.
#[test]
fn ctrl_c_ends_the_sign_in_at_once() {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "sign_in::case_ctrl_c"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "run by ctrl_c_ends_the_sign_in_at_once"]
async fn case_ctrl_c() {
    /// A person who gives up while the first wait, of an hour, goes on.
    struct GivesUp;
    impl Ui for GivesUp {
        fn show(&mut self, _: &Prompt) {}
        fn trouble(&mut self, _: &str) {}
        async fn wait(&mut self, length: Duration) {
            assert_eq!(length, Duration::from_secs(3600));
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
            tokio::time::sleep(length).await;
        }
    }
    let options =
        Options { interval: Some(3600), code_lifetime: Duration::from_secs(7200), ..Options::default() };
    let idp = Idp::start(options).await;
    let error = sign_in(&idp.login(), Some(&idp.ca), &mut GivesUp).await.unwrap_err();
    assert!(matches!(error, SignInError::Interrupted), "{error}");
}
