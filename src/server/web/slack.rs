//! What Slack tells us of its buttons and of the dialog that asks for a reason.
//! Slack wants its answer within three seconds: it gets it at once, and the
//! person who pressed is answered afterwards.

use crate::core::model::{ErrorKind, RequestState};
use crate::server::access::{Access, AccessError, Press, Pressed};
use crate::server::outbound::slack::{APPROVE, DENY};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use openidconnect::url::form_urlencoded;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;

/// Presses that are looked at at once; more are told to try again (G9).
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(32)));
/// The name of the dialog that asks why, and of its one field.
const DIALOG: &str = "deny";
const REASON: &str = "reason";

/// What Slack sends when something was pressed (`block_actions`) or a dialog was sent (`view_submission`).
#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "type")]
    kind: String,
    user: User,
    #[serde(default)]
    actions: Vec<Action>,
    response_url: Option<String>,
    trigger_id: Option<String>,
    view: Option<View>,
}

#[derive(Deserialize)]
struct User {
    id: String,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct View {
    callback_id: String,
    /// Ours: the request, and where to answer.
    private_metadata: String,
    state: Value,
}

/// What a dialog keeps for us; Slack shows it to nobody.
#[derive(serde::Serialize, Deserialize)]
struct Kept {
    request: String,
    response_url: String,
}

pub(super) async fn interactive(
    State(access): State<Arc<Access>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let said = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (timestamp, signature) = (said("x-slack-request-timestamp"), said("x-slack-signature"));
    if let Err(error) = access.from_slack(timestamp, signature, &body).await {
        if error.kind == ErrorKind::Denied {
            tracing::warn!(%error, "something was posted to /slack/interactive");
        }
        return status(&error).into_response();
    }
    let payload = form_urlencoded::parse(&body).find(|(name, _)| name == "payload");
    let payload = payload.and_then(|(_, text)| serde_json::from_str::<Payload>(&text).ok());
    let Some(payload) = payload else { return StatusCode::BAD_REQUEST.into_response() };
    let Ok(place) = Arc::clone(&PLACES).try_acquire_owned() else {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    };
    tokio::spawn(async move {
        handle(&access, payload).await;
        drop(place);
    });
    StatusCode::OK.into_response()
}

fn status(error: &AccessError) -> StatusCode {
    StatusCode::from_u16(error.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn handle(access: &Arc<Access>, payload: Payload) {
    let Payload { kind, user, actions, response_url, trigger_id, view } = payload;
    match (kind.as_str(), actions.into_iter().next(), response_url, view) {
        ("block_actions", Some(Action { action_id, value: Some(request) }), Some(url), _) => {
            match action_id.as_str() {
                APPROVE => answer(access, &user.id, &request, Press::Approve, &url).await,
                DENY if access.slack_decides() => {
                    ask_why(access, &trigger_id.unwrap_or_default(), request, url).await;
                }
                DENY => answer(access, &user.id, &request, Press::Deny(None), &url).await,
                _ => {}
            }
        }
        ("view_submission", _, _, Some(view)) if view.callback_id == DIALOG => {
            let reason = view.state.pointer(&format!("/values/{REASON}/{REASON}/value"));
            let reason = reason.and_then(Value::as_str).map(str::to_owned);
            let Ok(Kept { request, response_url }) = serde_json::from_str(&view.private_metadata) else {
                return;
            };
            answer(access, &user.id, &request, Press::Deny(reason), &response_url).await;
        }
        // The button that is a link, and what a workspace makes of other things.
        _ => {}
    }
}

/// Says to whoever pressed, and to nobody else, what came of it.
async fn answer(access: &Arc<Access>, account: &str, request: &str, press: Press, url: &str) {
    let denies = matches!(press, Press::Deny(_));
    let text = match access.pressed(account, request, press).await {
        Ok(Pressed::Link(link)) => {
            let what = if denies { "deny it, with a reason" } else { "approve it" };
            format!("<{link}|Look at the request, and {what}>. You sign in first; the link is yours alone.")
        }
        Ok(Pressed::Decided(view)) => match view.request.state {
            RequestState::Granted => "Approved: access is granted.".to_owned(),
            RequestState::Denied => "Denied.".to_owned(),
            _ => {
                let needed: Vec<String> =
                    view.request.open_slots().map(|(_, slot)| slot.to_string()).collect();
                format!("Approved by you. Still needed: {}.", needed.join(" and "))
            }
        },
        Err(AccessError { kind: ErrorKind::Internal | ErrorKind::Unreachable, message, .. }) => {
            tracing::error!(%message, "a button in Slack failed");
            "dbaccess could not do this just now: try `dbaccess approve` in a terminal.".to_owned()
        }
        Err(error) => {
            let hint = error.hint.map(|hint| format!("\n{hint}")).unwrap_or_default();
            let escaped = format!("{}{hint}", error.message);
            escaped.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
        }
    };
    let body = json!({"response_type": "ephemeral", "replace_original": false, "text": text});
    let responded = match access.slack() {
        Ok(slack) => slack.respond(url, &body).await,
        Err(_) => return,
    };
    if let Err(error) = responded {
        tracing::warn!(%error, "somebody who pressed a button in Slack was not answered");
    }
}

/// A denial needs a reason: a dialog asks for it.
async fn ask_why(access: &Arc<Access>, trigger: &str, request: String, response_url: String) {
    let Ok(kept) = serde_json::to_string(&Kept { request, response_url }) else { return };
    let text = |words: &str| json!({"type": "plain_text", "text": words});
    let body = json!({
        "trigger_id": trigger,
        "view": {
            "type": "modal",
            "callback_id": DIALOG,
            "private_metadata": kept,
            "title": text("Deny the request"),
            "submit": text("Deny"),
            "close": text("Leave it"),
            "blocks": [{
                "type": "input",
                "block_id": REASON,
                "label": text("Why: whoever asked reads it"),
                "element": {"type": "plain_text_input", "action_id": REASON, "multiline": true, "max_length": 2000},
            }],
        },
    });
    let opened = match access.slack() {
        Ok(slack) => slack.call("views.open", &body).await,
        Err(_) => return,
    };
    if let Err(error) = opened {
        tracing::warn!(%error, "the dialog for a denial did not open in Slack");
    }
}
