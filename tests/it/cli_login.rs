//! `login` and `logout` as a person runs them, with a browser elsewhere.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Json;
use axum::routing::{get, post};
use axum::{Router, http::StatusCode};
use dbaccess::core::model::Person;
use dbaccess::demo::identity::{Answer, DevIdp, DevPerson, Options, answer_without_browser};
use dbaccess::demo::pki::Pki;
use dbaccess::os;
use dbaccess::proto::{About, Login, LoginConfig, Logout, Me, TokenIssued};
use jiff::Timestamp;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

/// What the server was sent.
#[derive(Default)]
struct Seen {
    login: Mutex<Option<Login>>,
    logout: Mutex<Option<(String, Logout)>>,
}

fn ana() -> Person {
    Person {
        subject: "ana".into(),
        email: "ana@example.com".into(),
        name: None,
        teams: ["payments".to_owned()].into(),
        roles: [].into(),
    }
}

fn tomorrow() -> Timestamp {
    Timestamp::from_second(os::now().as_second() + 86_400).unwrap()
}

fn bearer(headers: &HeaderMap) -> String {
    headers.get("authorization").unwrap().to_str().unwrap().to_owned()
}

/// A server that trusts whatever ID token it is sent: the checking is the server's, and tested there.
async fn server(issuer: String, seen: Arc<Seen>) -> String {
    let about = About {
        version: "1".into(),
        now: os::now(),
        login: LoginConfig {
            issuer,
            client_id: "dbaccess".into(),
            scopes: vec!["openid".into(), "email".into()],
        },
        native: None,
    };
    let login = async |State(seen): State<Arc<Seen>>, Json(body): Json<Login>| {
        *seen.login.lock().unwrap() = Some(body);
        Json(TokenIssued { token: "ours".into(), expires_at: tomorrow(), refresh_token: None, person: ana() })
    };
    let me = async |headers: HeaderMap| {
        let known = bearer(&headers) == "Bearer ours";
        let me = Me { person: ana(), token_expires_at: tomorrow() };
        if known { Ok(Json(me)) } else { Err(StatusCode::UNAUTHORIZED) }
    };
    let logout = async |State(seen): State<Arc<Seen>>, headers: HeaderMap, Json(body): Json<Logout>| {
        *seen.logout.lock().unwrap() = Some((bearer(&headers), body));
        StatusCode::NO_CONTENT
    };
    let routes = Router::new()
        .route("/v1/about", get(async move || Json(about)))
        .route("/v1/login", post(login))
        .route("/v1/me", get(me))
        .route("/v1/delegations", get(async || Json([(); 0])))
        .route("/v1/absences", get(async || Json([(); 0])))
        .route("/v1/logout", post(logout))
        .with_state(seen);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

fn command(home: &Path, server: &str, ca: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dbaccess"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .env("DBACCESS_SERVER", server)
        .env("DBACCESS_CA", ca)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs `login`, answers in a browser of ours, and gives the exit code and all of stderr.
async fn log_in(home: &Path, server: &str, ca: &Path, answer: Answer<'_>) -> (Option<i32>, String) {
    let mut child = command(home, server, ca, &["login", "--no-browser"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    let link = loop {
        let mut line = String::new();
        assert!(stderr.read_line(&mut line).await.unwrap() > 0, "no address in: {said}");
        said.push_str(&line);
        if let Some(link) = line.strip_prefix("Sign in at: ") {
            break link.trim().to_owned();
        }
    };
    answer_without_browser(ca, &link, answer).await.unwrap();
    stderr.read_to_string(&mut said).await.unwrap();
    (child.wait().await.unwrap().code(), said)
}

#[tokio::test]
async fn a_person_logs_in_with_a_browser_elsewhere_and_out_again() {
    dbaccess::tls::install_provider();
    let room = tempfile::tempdir().unwrap();
    let pki = Pki::new(room.path()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let people = vec![DevPerson::new("ana", &["payments"])];
    let tls = pki.server_config(&[b"http/1.1"]).unwrap();
    let idp = DevIdp::start(listener, tls, people, Options::default()).unwrap();
    let seen = Arc::new(Seen::default());
    let url = server(idp.issuer().to_owned(), Arc::clone(&seen)).await;
    let home = room.path();

    let (code, said) = log_in(home, &url, &pki.ca, Answer::Deny).await;
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("denied in the browser"), "{said}");

    let (code, said) = log_in(home, &url, &pki.ca, Answer::ApproveAs("ana")).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("logged in as ana@example.com"), "{said}");
    let sent = seen.login.lock().unwrap().take().unwrap();
    assert_eq!(sent.id_token.split('.').count(), 3, "an ID token, for the server to check");
    assert!(!said.contains(&sent.id_token) && !said.contains("ours"), "G8: {said}");

    // B9: no keyring here, so a file that nobody else can read.
    let tokens = home.join(".local/state/dbaccess/tokens");
    let files = std::fs::read_dir(&tokens).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);

    let run = async |arguments: &[&str]| command(home, &url, &pki.ca, arguments).output().await.unwrap();
    let whoami = run(&["whoami", "-o", "json"]).await;
    let me: Me = serde_json::from_slice(&whoami.stdout).unwrap();
    assert_eq!(me.person, ana());

    assert!(run(&["logout"]).await.status.success());
    let (token, body) = seen.logout.lock().unwrap().take().unwrap();
    assert_eq!(token, "Bearer ours");
    assert!(body.refresh_token.is_some(), "the provider's refresh token goes too");
    assert!(!files[0].exists());
    assert_eq!(run(&["whoami"]).await.status.code(), Some(3));
}
