//! The few methods of Slack's Web API that are used, and what its refusals mean.

use super::super::{OutboundError, http};
use crate::core::model::Secret;
use crate::server::config;
use crate::tls::TlsError;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::Value;

/// Slack's Web API as our bot. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    url: String,
    token: Secret,
    http: reqwest::Client,
}

/// Who a Slack account says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub email: String,
}

impl Api {
    pub fn new(config: &config::Slack) -> Result<Self, TlsError> {
        let http = http::client(config.ca.as_deref())?;
        Ok(Self { url: config.url.clone(), token: config.token.clone(), http })
    }

    /// Calls a method that takes JSON.
    pub async fn call(&self, method: &str, body: &Value) -> Result<Value, OutboundError> {
        let post = self.http.post(format!("{}/{method}", self.url)).bearer_auth(self.token.expose());
        let post =
            post.header(CONTENT_TYPE, "application/json; charset=utf-8").body(serde_json::to_vec(body)?);
        answer(&http::send(post).await?)
    }

    /// Answers an interaction where Slack said: nowhere else, and without our token.
    pub async fn respond(&self, url: &str, body: &Value) -> Result<(), OutboundError> {
        if !self.is_slacks(url) {
            return Err(OutboundError::Answer);
        }
        let post = self.http.post(url).header(CONTENT_TYPE, "application/json; charset=utf-8");
        http::send(post.body(serde_json::to_vec(body)?)).await.map(drop)
    }

    fn is_slacks(&self, url: &str) -> bool {
        let Ok(asked) = reqwest::Url::parse(url) else { return false };
        let own = reqwest::Url::parse(&self.url).is_ok_and(|own| own.origin() == asked.origin());
        own || (asked.scheme() == "https" && asked.host_str() == Some("hooks.slack.com"))
    }

    /// The account with this id, if it is a person's, is in use, and its e-mail is confirmed.
    pub async fn account(&self, id: &str) -> Result<Option<Account>, OutboundError> {
        #[derive(Deserialize)]
        struct Answer {
            user: User,
        }
        #[derive(Deserialize)]
        struct User {
            #[serde(default)]
            deleted: bool,
            #[serde(default)]
            is_bot: bool,
            /// From another workspace, by a shared channel.
            #[serde(default)]
            is_stranger: bool,
            #[serde(default)]
            is_restricted: bool,
            is_email_confirmed: Option<bool>,
            #[serde(default)]
            profile: Profile,
        }
        #[derive(Default, Deserialize)]
        struct Profile {
            email: Option<String>,
        }
        let mut url =
            reqwest::Url::parse(&format!("{}/users.info", self.url)).map_err(|_| OutboundError::Answer)?;
        url.query_pairs_mut().append_pair("user", id);
        let get = self.http.get(url).bearer_auth(self.token.expose());
        let answer = answer(&http::send(get).await?)?;
        let Answer { user } = serde_json::from_value(answer).map_err(|_| OutboundError::Answer)?;
        let ours = !user.deleted && !user.is_bot && !user.is_stranger && !user.is_restricted;
        let confirmed = user.is_email_confirmed != Some(false);
        Ok(user.profile.email.filter(|_| ours && confirmed).map(|email| Account { email }))
    }
}

/// Slack says no with a status of 200 and a word.
fn answer(body: &[u8]) -> Result<Value, OutboundError> {
    #[derive(Deserialize)]
    struct Said {
        ok: bool,
        #[serde(default)]
        error: String,
    }
    let value: Value = serde_json::from_slice(body).map_err(|_| OutboundError::Answer)?;
    let Said { ok, error } = Said::deserialize(&value).map_err(|_| OutboundError::Answer)?;
    if ok { Ok(value) } else { Err(refusal(&error)) }
}

/// What one of Slack's words means for the messages that wait.
fn refusal(word: &str) -> OutboundError {
    match word {
        "ratelimited" | "rate_limited" => OutboundError::TooMany(None),
        "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org" => OutboundError::NotUs(word.to_owned()),
        // Until somebody puts the app or the configuration right.
        "invalid_auth"
        | "not_authed"
        | "account_inactive"
        | "token_revoked"
        | "token_expired"
        | "no_permission"
        | "missing_scope"
        | "ekm_access_denied"
        | "enterprise_is_restricted"
        | "access_denied"
        | "channel_not_found"
        | "not_in_channel"
        | "is_archived"
        | "restricted_action" => OutboundError::NotUs(word.to_owned()),
        _ => OutboundError::Refused(http::words(word.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slacks_words_are_told_apart() {
        let said = |text: &str| answer(text.as_bytes());
        assert!(said(r#"{"ok":true,"ts":"1.2"}"#).is_ok());
        let refused = |word: &str| said(&format!(r#"{{"ok":false,"error":"{word}"}}"#)).unwrap_err();
        assert!(matches!(refused("ratelimited"), OutboundError::TooMany(None)));
        assert!(matches!(refused("invalid_auth"), OutboundError::NotUs(_)));
        assert!(matches!(refused("channel_not_found"), OutboundError::NotUs(_)));
        assert!(matches!(refused("invalid_blocks"), OutboundError::Refused(_)));
        assert!(matches!(said("<html>").unwrap_err(), OutboundError::Answer));
    }
}
