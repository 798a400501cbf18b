//! The two cookies: a session, and a sign-in that is under way. Both are for
//! this host alone, over TLS, out of reach of scripts; `Lax`, because a browser
//! that comes from the identity provider or a mail must bring them along.

use crate::core::model::Secret;
use crate::server::access::BrowserSession;
use axum::http::{HeaderMap, HeaderValue, header};

const SESSION: &str = "__Host-dbaccess";
const UNDER_WAY: &str = "__Host-dbaccess-sign-in";
/// As long as what they hold is good.
const SESSION_SECONDS: u32 = 15 * 60;
const UNDER_WAY_SECONDS: u32 = 10 * 60;

pub(super) fn session(headers: &HeaderMap) -> Option<BrowserSession> {
    find(headers, SESSION).map(|value| BrowserSession(Secret::new(value)))
}

pub(super) fn under_way(headers: &HeaderMap) -> Option<String> {
    find(headers, UNDER_WAY)
}

pub(super) fn keep_session(headers: &mut HeaderMap, session: &BrowserSession) {
    set(headers, SESSION, session.0.expose(), SESSION_SECONDS);
    set(headers, UNDER_WAY, "", 0);
}

pub(super) fn keep_under_way(headers: &mut HeaderMap, sealed: &str) {
    set(headers, UNDER_WAY, sealed, UNDER_WAY_SECONDS);
}

fn set(headers: &mut HeaderMap, name: &str, value: &str, seconds: u32) {
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; Secure; HttpOnly; SameSite=Lax");
    // Values are tokens of ours: letters, digits and dots.
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(header::SET_COOKIE, value);
    }
}

fn find(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}
