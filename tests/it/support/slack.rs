//! Slack, as far as a bot sees it: the documented shapes of its Web API, and
//! signed presses of buttons.

use super::env::TestEnv;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// The workspace that the bot's token is of.
const TEAM: &str = "T1";
const TOKEN: &str = "xoxb-token-of-the-bot";
pub const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

pub struct Slack {
    pub url: String,
    dir: tempfile::TempDir,
    workspace: Arc<Workspace>,
}

#[derive(Default)]
struct Workspace {
    calls: Mutex<Vec<(String, Value)>>,
    accounts: Mutex<HashMap<String, Value>>,
}

impl Slack {
    /// A workspace with accounts `U-NAME` for `NAME@example.com`.
    pub async fn start(names: &[&str]) -> Self {
        let workspace = Arc::new(Workspace::default());
        let router = Router::new()
            .route("/api/users.info", get(account))
            .route("/api/{method}", post(call))
            .route("/actions/{id}", post(respond))
            .with_state(Arc::clone(&workspace));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let slack = Self { url, dir: tempfile::tempdir().unwrap(), workspace };
        for name in names {
            slack.account(&format!("U-{name}"), json!({"profile": {"email": format!("{name}@example.com")}}));
        }
        slack
    }

    /// An account of this workspace with a confirmed e-mail, but for what is said of it.
    pub fn account(&self, id: &str, more: Value) {
        let mut account = json!({"team_id": TEAM, "is_email_confirmed": true});
        account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.workspace.accounts.lock().unwrap().insert(id.to_owned(), account);
    }

    /// The section of the configuration, with `more` in it.
    pub fn config(&self, more: &str) -> String {
        let secret = |name: &str, text: &str| {
            use std::os::unix::fs::PermissionsExt as _;
            let path = self.dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            path.display().to_string()
        };
        format!(
            "\n[notify.slack]\napi_url = \"{}/api\"\ntoken_file = \"{}\"\nsigning_secret_file = \"{}\"\n\
             channel = \"C0REQUESTS\"\nurgent_channel = \"C0SECURITY\"\n{more}\n",
            self.url,
            secret("token", TOKEN),
            secret("signing", SIGNING_SECRET),
        )
    }

    /// What was asked of a method so far (`respond` for answers to presses).
    pub fn calls(&self, method: &str) -> Vec<Value> {
        let calls = self.workspace.calls.lock().unwrap();
        calls.iter().filter(|(name, _)| name == method).map(|(_, body)| body.clone()).collect()
    }

    /// Waits for the answer to the press that asked to be answered at `id`.
    pub async fn answer(&self, id: &str) -> String {
        let name = format!("respond {id}");
        let said = super::env::eventually("whoever pressed is answered", || self.calls(&name).pop()).await;
        assert_eq!((&said["response_type"], &said["replace_original"]), (&"ephemeral".into(), &false.into()));
        said["text"].as_str().unwrap().to_owned()
    }

    /// What Slack posts when a button is pressed; answered at `id`.
    pub fn press(&self, account: &str, action: &str, request: &str, id: &str) -> Value {
        json!({
            "type": "block_actions",
            "user": {"id": account, "username": account, "team_id": "T1"},
            "trigger_id": format!("trigger-{id}"),
            "team": {"id": "T1", "domain": "example"},
            "channel": {"id": "C0REQUESTS", "name": "requests"},
            "response_url": format!("{}/actions/{id}", self.url),
            "actions": [{"action_id": action, "block_id": "b", "type": "button", "value": request, "action_ts": "1.2"}],
        })
    }
}

/// A body as Slack sends it, and its two headers.
pub fn signed(payload: &Value, second: i64, secret: &str) -> (String, String, String) {
    let body = openidconnect::url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &payload.to_string())
        .finish();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("v0:{second}:{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    (body, second.to_string(), format!("v0={hex}"))
}

/// Posts it to the server; the status that it answers.
pub async fn post_signed(env: &TestEnv, (body, time, signature): &(String, String, String)) -> u16 {
    let http = dbaccess::tls::http_client(Some(&env.ca)).unwrap();
    let post = http.post(format!("{}/slack/interactive", env.url)).body(body.clone());
    let post = post.header("content-type", "application/x-www-form-urlencoded");
    let post = post.header("x-slack-request-timestamp", time).header("x-slack-signature", signature);
    post.send().await.unwrap().status().as_u16()
}

fn is_bot(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| value.to_str().unwrap() == format!("Bearer {TOKEN}"))
}

fn said(answer: &Value) -> Response {
    ([("content-type", "application/json")], answer.to_string()).into_response()
}

async fn call(
    State(workspace): State<Arc<Workspace>>,
    Path(method): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    if !is_bot(&headers) {
        return said(&json!({"ok": false, "error": "invalid_auth"}));
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    let channel = body["channel"].clone();
    let mut calls = workspace.calls.lock().unwrap();
    calls.push((method, body));
    said(
        &json!({"ok": true, "team_id": TEAM, "channel": channel, "ts": format!("1700000000.{:06}", calls.len())}),
    )
}

async fn account(
    State(workspace): State<Arc<Workspace>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if !is_bot(&headers) {
        return said(&json!({"ok": false, "error": "invalid_auth"}));
    }
    match workspace.accounts.lock().unwrap().get(&query["user"]) {
        Some(user) => said(&json!({"ok": true, "user": user})),
        None => said(&json!({"ok": false, "error": "user_not_found"})),
    }
}

async fn respond(
    State(workspace): State<Arc<Workspace>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: String,
) -> &'static str {
    assert!(!is_bot(&headers), "the bot's token is for the Web API alone");
    let body = serde_json::from_str(&body).unwrap();
    workspace.calls.lock().unwrap().push((format!("respond {id}"), body));
    "ok"
}
