//! The HTTP API without the command line tool, and the ledger without the server.

use super::env::{TestEnv, TestPerson};
use dbaccess::cli::device_login::{Prompt, Tokens, Ui, sign_in};
use dbaccess::cli::tokens::{Keyring, TokenStore};
use dbaccess::demo::identity::{Answer, answer_without_browser};
use dbaccess::proto::LoginConfig;
use serde_json::Value;
use std::time::Duration;

/// Somebody who speaks HTTP, or nobody.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answered {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Value,
}

impl Answered {
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

impl Api {
    pub fn anyone(env: &TestEnv) -> Self {
        let http = dbaccess::tls::http_client(Some(&env.ca)).unwrap();
        Self { http, base: env.url.clone(), token: None }
    }

    pub fn token(&self) -> Option<String> {
        self.token.clone()
    }

    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answered {
        let body = body.map(|body| serde_json::to_vec(body).unwrap());
        self.send(method, path, body).await
    }

    /// The same, as whoever this token is of.
    pub fn with_token(&self, token: &Value) -> Self {
        Self { token: token.as_str().map(str::to_owned), ..self.clone() }
    }

    /// With a body of any bytes, said to be JSON.
    pub async fn send(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Answered {
        let method = method.parse::<reqwest::Method>().unwrap();
        let mut request =
            self.http.request(method, format!("{}{path}", self.base)).timeout(Duration::from_secs(30));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        // A server that refuses a body before all of it has come may close the
        // connection before its answer is read (RFC 9112, section 9.6).
        let mut tries = 0;
        let response = loop {
            match request.try_clone().unwrap().send().await {
                Ok(response) => break response,
                Err(error) => assert!(tries < 5, "{error}"),
            }
            tries += 1;
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.unwrap();
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        Answered { status, headers, body: serde_json::from_slice(&body).unwrap_or_else(|_| text()) }
    }

    pub async fn get(&self, path: &str) -> Answered {
        self.call("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answered {
        self.call("POST", path, Some(&body)).await
    }
}

impl TestPerson<'_> {
    /// The API as this person, with the token that the login left.
    pub fn api(&self) -> Api {
        let dir = self.home.join("state/dbaccess/tokens");
        let store = TokenStore::new(&self.env.url, dir, Keyring::Off, None).unwrap();
        let stored = store.load().unwrap().expect("somebody is signed in");
        Api { token: Some(stored.token.expose().to_owned()), ..Api::anyone(self.env) }
    }
}

/// Answers in the browser as soon as the code is shown.
struct AtOnce<'e> {
    env: &'e TestEnv,
    name: &'static str,
    link: Option<String>,
}

impl Ui for AtOnce<'_> {
    fn show(&mut self, prompt: &Prompt) {
        self.link.clone_from(&prompt.complete_address);
    }

    fn trouble(&mut self, text: &str) {
        panic!("{text}");
    }

    async fn wait(&mut self, length: Duration) {
        if let Some(link) = self.link.take() {
            answer_without_browser(&self.env.ca, &link, Answer::ApproveAs(self.name)).await.unwrap();
        }
        self.env.idp.advance(length);
    }
}

/// What the identity provider gives a person, before the server has seen it.
pub async fn provider_tokens(env: &TestEnv, name: &'static str) -> Tokens {
    let login = LoginConfig {
        issuer: env.idp.issuer().to_owned(),
        client_id: "dbaccess".to_owned(),
        scopes: ["openid", "email", "groups", "offline_access"].map(str::to_owned).to_vec(),
    };
    sign_in(&login, Some(&env.ca), &mut AtOnce { env, name, link: None }).await.unwrap()
}

/// Every record of the ledger, oldest first: whole lines as JSON.
pub fn ledger(env: &TestEnv) -> Vec<Value> {
    let mut records = Vec::new();
    for file in std::fs::read_dir(env.ledger_dir()).unwrap() {
        let Ok(text) = std::fs::read_to_string(file.unwrap().path()) else { continue };
        let lines = text.lines().filter(|line| line.starts_with("{\"seq\":"));
        // The last line may be in the making.
        records.extend(lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()));
    }
    records.sort_by_key(|record| record["seq"].as_u64());
    records
}

/// The bodies of the records of one kind that `keep` keeps, once there are
/// `least`: the ledger is told right after the answer.
pub async fn events(env: &TestEnv, kind: &str, least: usize, keep: impl Fn(&Value) -> bool) -> Vec<Value> {
    let find = || {
        let bodies = ledger(env).into_iter().map(|mut record| record["body"].take());
        let found: Vec<Value> = bodies.filter(|body| body["kind"] == kind && keep(body)).collect();
        (found.len() >= least).then_some(found)
    };
    env.eventually(&format!("{least} {kind} on the ledger"), find).await
}
