//! One request, and the decision about it.

use super::sign_in::see_other;
use super::{cookies, failure::Failure, pages};
use crate::core::link::{Link, LinkError};
use crate::core::model::ErrorKind;
use crate::proto::{Approve, Reason};
use crate::server::access::{Access, AccessError, BrowserSession, Caller};
use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

/// Shows; a GET decides nothing, because mail scanners follow links.
pub(super) async fn show(
    State(access): State<Arc<Access>>,
    token: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let (token, link) = open(&access, token)?;
    let Some((session, caller)) = visitor(&access, &headers).await? else {
        return Ok(pages::sign_in(&link.request, &token, access.browsers_sign_in()));
    };
    link.is_for(&caller.person.subject)?;
    let view = access.show(&caller, link.request.to_string()).await.map_err(not_theirs)?;
    let form = access.form_token(&session, &token)?;
    Ok(pages::request(&view, &caller.person, &pages::Place { token: &token, form: &form }, crate::os::now()))
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Decision {
    form: String,
    answer: String,
    #[serde(default)]
    reason: String,
    /// Seconds, where the time is to be shorter than asked for.
    #[serde(default)]
    window: String,
    /// `yes` keeps every mask on.
    #[serde(default)]
    masked: String,
    /// Of the script that the page showed.
    sha256: Option<String>,
    revision: Option<u32>,
}

pub(super) async fn decide(
    State(access): State<Arc<Access>>,
    token: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    form: Result<Form<Decision>, FormRejection>,
) -> Result<Response, Failure> {
    let (token, link) = open(&access, token)?;
    from_our_page(&access, &headers)?;
    let Form(decision) = form.map_err(|_| AccessError::usage("this form is none of ours"))?;
    let Some((session, caller)) = visitor(&access, &headers).await? else {
        return Ok(pages::sign_in(&link.request, &token, access.browsers_sign_in()));
    };
    link.is_for(&caller.person.subject)?;
    access.check_form(&session, &token, &decision.form)?;
    let id = link.request.to_string();
    let said = Some(decision.reason.trim().to_owned()).filter(|text| !text.is_empty());
    let decided = match decision.answer.as_str() {
        "approve" => {
            let window_seconds = match decision.window.as_str() {
                "" => None,
                text => Some(text.parse().map_err(|_| AccessError::usage("the time is not a number"))?),
            };
            let approve = Approve {
                window_seconds,
                masked: decision.masked == "yes",
                comment: said,
                sha256: decision.sha256,
                revision: decision.revision,
                ..Approve::default()
            };
            access.approve(&caller, id, approve).await
        }
        "deny" if said.is_none() => {
            return Err(AccessError::usage(
                "nothing was decided: whoever asked needs a reason to go on from",
            )
            .hint("go back, and say in a sentence why")
            .into());
        }
        "deny" => access.deny(&caller, id, Reason { reason: said }).await,
        _ => return Err(AccessError::usage("this form is none of ours").into()),
    };
    match decided {
        Ok(_) => {}
        // The roles are known for too long: whoever signs in again brings fresh ones.
        Err(error) if error.kind == ErrorKind::NotSignedIn => {
            return Ok(pages::sign_in(&link.request, &token, access.browsers_sign_in()));
        }
        Err(error) => return Err(error.into()),
    }
    // Looking at it again, or reloading, sends nothing again.
    see_other(&format!("{}/decide/{token}", access.public_url()))
}

fn open(access: &Access, token: Result<Path<String>, PathRejection>) -> Result<(String, Link), Failure> {
    let Path(token) = token.map_err(|_| LinkError::Forged)?;
    let link = access.open_link(&token)?;
    Ok((token, link))
}

/// Who is signed in at this browser, if anybody still is.
async fn visitor(
    access: &Access,
    headers: &HeaderMap,
) -> Result<Option<(BrowserSession, Caller)>, AccessError> {
    let Some(session) = cookies::session(headers) else { return Ok(None) };
    match access.at_browser(&session).await {
        Ok(caller) => Ok(Some((session, caller))),
        Err(error) if error.kind == ErrorKind::NotSignedIn => Ok(None),
        Err(error) => Err(error),
    }
}

/// A second lock beside the form's token: browsers say which site a form is of.
fn from_our_page(access: &Access, headers: &HeaderMap) -> Result<(), AccessError> {
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let ours = said(header::ORIGIN.as_str()).is_none_or(|origin| is_origin_of(origin, access.public_url()));
    let same = said("sec-fetch-site").is_none_or(|site| site == "same-origin");
    if ours && same {
        return Ok(());
    }
    Err(AccessError::denied("this form came from another site: nothing was decided"))
}

fn is_origin_of(origin: &str, url: &str) -> bool {
    url.strip_prefix(origin)
        .is_some_and(|rest| !origin.is_empty() && (rest.is_empty() || rest.starts_with('/')))
}

/// What a person may not see does not exist for them; whoever holds a link knows that it does.
fn not_theirs(error: AccessError) -> AccessError {
    match error.kind {
        ErrorKind::NotFound => AccessError::denied("this request is not yours to see or to decide")
            .hint("who can decide is a matter of roles and teams: ask a lead or security"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::is_origin_of;

    #[test]
    fn an_origin_is_a_whole_one() {
        let url = "https://dbaccess.example.com";
        assert!(is_origin_of("https://dbaccess.example.com", url));
        assert!(is_origin_of("https://dbaccess.example.com", "https://dbaccess.example.com/access"));
        for other in [
            "",
            "null",
            "https://",
            "https://dbaccess.example",
            "https://evil.example",
            "http://dbaccess.example.com",
        ] {
            assert!(!is_origin_of(other, url), "{other}");
        }
        assert!(!is_origin_of("https://dbaccess.example.com", "https://dbaccess.example.com:7443"));
    }
}
