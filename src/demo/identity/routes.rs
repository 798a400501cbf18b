//! The provider's HTTP: requests decoded, answers encoded.

use super::code::NotAsked;
use super::issue::Answered;
use super::{Shared, pages};
use crate::core::model::Secret;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use openidconnect::url::form_urlencoded;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

type Idp = State<Arc<Shared>>;
type Fields = HashMap<String, String>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(async || pages::ask_code(None)))
        .route("/.well-known/openid-configuration", get(configuration))
        .route("/jwks", get(keys))
        .route("/authorize", get(authorize).post(authorize_answer))
        .route("/device_authorization", post(device_authorization))
        .route("/device", get(device_page).post(device_answer))
        .route("/token", post(token))
        .route("/userinfo", get(userinfo).post(userinfo))
        .route("/revoke", post(revoke))
        .with_state(shared)
}

/// OpenID Connect Discovery 1.0, section 3.
async fn configuration(State(idp): Idp) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", idp.issuer);
    let mut document = json!({
        "issuer": idp.issuer,
        "authorization_endpoint": at("/authorize"),
        "device_authorization_endpoint": at("/device_authorization"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "grant_types_supported": [
            "authorization_code",
            "urn:ietf:params:oauth:grant-type:device_code",
            "refresh_token",
        ],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["openid", "email", "profile", "groups", "offline_access"],
        "claims_supported": ["sub", "email", "email_verified", "name", "groups"],
    });
    if idp.lock().options.revocation
        && let Some(document) = document.as_object_mut()
    {
        document.insert("revocation_endpoint".to_owned(), json!(at("/revoke")));
    }
    Json(document)
}

async fn keys(State(idp): Idp) -> Json<Value> {
    let mut state = idp.lock();
    state.keys_served += 1;
    Json(json!({ "keys": [state.key.to_jwk()] }))
}

/// RFC 6749 section 4.1.1.
async fn authorize(State(idp): Idp, Query(query): Query<Fields>) -> Response {
    let asked = idp.lock().ask(&query);
    match asked {
        Ok(asked) => pages::choose(&asked.form_token, &idp.people, &asked.redirect_uri),
        Err(why) => {
            let text = match why {
                NotAsked::Client => "This application is not registered here.",
                NotAsked::Redirect => "This application may not send people back to where it wants to.",
                NotAsked::Request => "The application must ask for a code with PKCE (S256), and for openid.",
            };
            pages::say(StatusCode::BAD_REQUEST, "Not signed in", text)
        }
    }
}

async fn authorize_answer(State(idp): Idp, body: Bytes) -> Response {
    let form = fields(&body);
    let person = idp.people.iter().find(|person| person.subject == field(&form, "person")).cloned();
    let person = person.filter(|_| field(&form, "answer") == "approve");
    let location = idp.lock().answer(&idp.issuer, field(&form, "form_token"), person);
    match location.and_then(|url| HeaderValue::from_str(&url).ok()) {
        Some(url) => no_store((StatusCode::SEE_OTHER, [(header::LOCATION, url)]).into_response()),
        None => {
            let text = "Somebody answered already, or it took too long. Begin again where you came from.";
            pages::say(StatusCode::BAD_REQUEST, "Too late", text)
        }
    }
}

/// RFC 8628 section 3.1.
async fn device_authorization(State(idp): Idp, body: Bytes) -> Response {
    let form = fields(&body);
    let mut state = idp.lock();
    if field(&form, "client_id") != state.options.client_id {
        return refuse(&state.options, "invalid_client");
    }
    let code = state.new_code();
    let mut answer = json!({
        "device_code": code.device_code,
        "user_code": code.user_code,
        "verification_uri": format!("{}/device", idp.issuer),
        "verification_uri_complete": format!("{}/device?user_code={}", idp.issuer, code.user_code),
        "expires_in": state.options.code_lifetime.as_secs(),
    });
    if let (Some(interval), Some(answer)) = (state.options.interval, answer.as_object_mut()) {
        answer.insert("interval".to_owned(), json!(interval));
    }
    no_store(Json(answer).into_response())
}

async fn device_page(State(idp): Idp, Query(query): Query<Fields>) -> Response {
    let Some(user_code) = query.get("user_code") else { return pages::ask_code(None) };
    match idp.lock().awaiting(user_code) {
        Some(code) => pages::confirm(&code.user_code, &code.form_token, &idp.people),
        None => pages::ask_code(Some("This code is not known, or was used, or is too old. Please check it.")),
    }
}

async fn device_answer(State(idp): Idp, body: Bytes) -> Response {
    let form = fields(&body);
    let mut state = idp.lock();
    let Some(code) = state.awaiting(field(&form, "user_code")) else {
        return pages::ask_code(Some("This code is not known, or was used, or is too old."));
    };
    if Secret::new(field(&form, "form_token")) != Secret::new(code.form_token.as_str()) {
        return pages::say(StatusCode::FORBIDDEN, "Not from this page", "Open the link from your terminal.");
    }
    let person = idp.people.iter().find(|person| person.subject == field(&form, "person"));
    let answer = match (field(&form, "answer"), person) {
        ("approve", Some(person)) => Answered::Approved(person.clone()),
        ("deny", _) => Answered::Denied,
        _ => {
            return pages::say(
                StatusCode::BAD_REQUEST,
                "No answer",
                "Choose a person, then approve or deny.",
            );
        }
    };
    let approved = matches!(answer, Answered::Approved(_));
    code.answer = Some(answer);
    pages::done(approved)
}

/// RFC 6749 section 3.2.
async fn token(State(idp): Idp, body: Bytes) -> Response {
    let form = fields(&body);
    let mut state = idp.lock();
    state.polls += 1;
    if state.options.failures > 0 {
        state.options.failures -= 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if field(&form, "client_id") != state.options.client_id {
        return refuse(&state.options, "invalid_client");
    }
    let answer = match field(&form, "grant_type") {
        "urn:ietf:params:oauth:grant-type:device_code" => {
            state.poll(&idp.issuer, field(&form, "device_code"))
        }
        "authorization_code" => {
            let (code, redirect_uri) = (field(&form, "code"), field(&form, "redirect_uri"));
            state.redeem(&idp.issuer, code, redirect_uri, field(&form, "code_verifier"))
        }
        "refresh_token" => state.refresh(&idp.issuer, field(&form, "refresh_token")),
        _ => Err("unsupported_grant_type"),
    };
    match answer {
        Ok(tokens) => no_store(Json(tokens).into_response()),
        Err(code) => refuse(&state.options, code),
    }
}

/// OpenID Connect Core 1.0, section 5.3.
async fn userinfo(State(idp): Idp, headers: HeaderMap) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    match idp.lock().userinfo(token) {
        Some(claims) => no_store(Json(claims).into_response()),
        None => {
            let challenge = (header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"");
            (StatusCode::UNAUTHORIZED, [challenge]).into_response()
        }
    }
}

/// RFC 7009: an unknown token is revoked already.
async fn revoke(State(idp): Idp, body: Bytes) -> Response {
    let form = fields(&body);
    let mut state = idp.lock();
    if field(&form, "client_id") != state.options.client_id {
        return refuse(&state.options, "invalid_client");
    }
    state.revoke(field(&form, "token"));
    StatusCode::OK.into_response()
}

fn fields(body: &Bytes) -> Fields {
    form_urlencoded::parse(body).into_owned().collect()
}

fn field<'a>(form: &'a Fields, name: &str) -> &'a str {
    form.get(name).map_or("", String::as_str)
}

fn refuse(options: &super::Options, code: &str) -> Response {
    let status = if code == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    if options.empty_errors && !matches!(code, "authorization_pending" | "slow_down") {
        return status.into_response();
    }
    no_store((status, Json(json!({ "error": code }))).into_response())
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
