//! The verification pages: plain forms that work without scripts, with a
//! keyboard, and with a screen reader.

use super::DevPerson;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use std::fmt::Write as _;

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;\
color:#1a1a1a;background:#fff}h1{font-size:1.5rem}input,button{font:inherit;padding:.5rem .8rem}\
input[type=text]{width:12rem;letter-spacing:.1em}fieldset{border:1px solid #767676;margin:1rem 0;padding:1rem}\
label{display:block;padding:.3rem 0}.code{font:bold 1.6rem ui-monospace,monospace;letter-spacing:.1em}\
.note{border-left:.3rem solid #b45309;padding-left:.8rem}button{margin-right:.6rem}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}a{color:#9cf}}";

/// Asks for the code; `problem` says what was wrong with the last one.
pub(super) fn ask_code(problem: Option<&str>) -> Response {
    let problem = problem.map_or_else(String::new, |text| format!("<p role=\"alert\">{}</p>", escape(text)));
    let status = if problem.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    let body = format!(
        "{problem}<form method=\"get\" action=\"/device\"><label for=\"user_code\">\
         The code that your terminal shows</label>\
         <input type=\"text\" id=\"user_code\" name=\"user_code\" required autofocus autocomplete=\"off\" \
         autocapitalize=\"characters\" spellcheck=\"false\" placeholder=\"BCDF-GHJK\"> \
         <button>Continue</button></form>"
    );
    page(status, "Sign in to dbaccess", &body)
}

/// Shows the code again, offers the people, asks for an answer.
pub(super) fn confirm(user_code: &str, form_token: &str, people: &[DevPerson]) -> Response {
    let body = format!(
        "<p>Your terminal must show this code:</p><p class=\"code\">{code}</p>\
         <p>If it does not, somebody else wants to sign in as you: deny.</p>\
         <form method=\"post\" action=\"/device\">\
         <input type=\"hidden\" name=\"user_code\" value=\"{code}\">{rest}</form>",
        code = escape(user_code),
        rest = who(form_token, people),
    );
    page(StatusCode::OK, "Sign in to dbaccess", &body)
}

/// The same for a browser, which goes back to where it came from.
pub(super) fn choose(form_token: &str, people: &[DevPerson], back: &str) -> Response {
    let body = format!("<form method=\"post\" action=\"/authorize\">{}</form>", who(form_token, people));
    let back = openidconnect::url::Url::parse(back).map(|url| url.origin().ascii_serialization());
    page_leading_to(StatusCode::OK, "Sign in to dbaccess", &body, &back.unwrap_or_default())
}

/// The people to choose from, and the two answers.
fn who(form_token: &str, people: &[DevPerson]) -> String {
    let mut choices = String::new();
    for (index, person) in people.iter().enumerate() {
        let checked = if index == 0 { " checked" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(
            choices,
            "<label><input type=\"radio\" name=\"person\" value=\"{}\" required{checked}> {} \
             &lt;{}&gt;, {}</label>",
            escape(&person.subject),
            escape(&person.name),
            escape(&person.email),
            escape(&person.groups.join(", ")),
        );
    }
    format!(
        "<input type=\"hidden\" name=\"form_token\" value=\"{token}\">\
         <fieldset><legend>Who are you?</legend>{choices}</fieldset>\
         <button name=\"answer\" value=\"approve\">Approve</button>\
         <button name=\"answer\" value=\"deny\">Deny</button>",
        token = escape(form_token),
    )
}

/// The last page.
pub(super) fn done(approved: bool) -> Response {
    let (title, text) = if approved {
        ("You are signed in", "Go back to your terminal; you can close this page.")
    } else {
        ("Sign-in denied", "Nobody was signed in. You can close this page.")
    };
    page(StatusCode::OK, title, &format!("<p role=\"status\">{text}</p>"))
}

/// A page that only says something.
pub(super) fn say(status: StatusCode, title: &str, text: &str) -> Response {
    page(status, title, &format!("<p>{}</p>", escape(text)))
}

pub(in crate::demo) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    page_leading_to(status, title, body, "")
}

/// A form's answer may lead to `origin`: browsers ask the policy about redirects, too.
fn page_leading_to(status: StatusCode, title: &str, body: &str, origin: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}\
         <p class=\"note\">This is a part of dbaccess's demo, for development. \
         It asks for no password and must never guard anything real.</p></main></body></html>",
        title = escape(title),
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' {origin}; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(in crate::demo) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
