//! The few methods of Slack's Web API that are used, and what its refusals mean.

use super::super::{OutboundError, http};
use crate::core::model::Secret;
use crate::server::config;
use crate::tls::TlsError;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Slack's Web API as our bot.
pub struct Api {
    url: String,
    token: Secret,
    http: reqwest::Client,
    /// The workspace that the token is of, once it was asked for.
    team: OnceCell<String>,
}

/// Who a Slack account says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub email: String,
}

/// An account as `users.info` shows it.
#[derive(Deserialize)]
struct User {
    /// The workspace that it is a member of; of another one's in a shared channel, theirs.
    team_id: Option<String>,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    is_bot: bool,
    #[serde(default)]
    is_stranger: bool,
    #[serde(default)]
    is_restricted: bool,
    #[serde(default)]
    is_ultra_restricted: bool,
    is_email_confirmed: Option<bool>,
    #[serde(default)]
    profile: Profile,
}

#[derive(Default, Deserialize)]
struct Profile {
    email: Option<String>,
}

impl User {
    /// What the account says of a full member of this workspace. Another
    /// workspace's administrators may give any e-mail to their people, and call
    /// it confirmed. What Slack leaves out is not taken for a yes.
    fn member_of(self, team: &str) -> Option<Account> {
        let person = !self.deleted && !self.is_bot;
        let guest = self.is_stranger || self.is_restricted || self.is_ultra_restricted;
        let ours = self.team_id.as_deref() == Some(team) && !team.is_empty();
        let sure = person && ours && !guest && self.is_email_confirmed == Some(true);
        self.profile.email.filter(|email| sure && !email.is_empty()).map(|email| Account { email })
    }
}

impl Api {
    pub fn new(config: &config::Slack) -> Result<Self, TlsError> {
        let http = http::client(config.ca.as_deref())?;
        Ok(Self { url: config.url.clone(), token: config.token.clone(), http, team: OnceCell::new() })
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

    /// The account with this id, if it is a person's, who is a full member of our workspace, in
    /// use, with a confirmed e-mail.
    pub async fn account(&self, id: &str) -> Result<Option<Account>, OutboundError> {
        #[derive(Deserialize)]
        struct Answer {
            user: User,
        }
        let team = self.team.get_or_try_init(|| self.ask_team()).await?;
        let mut url =
            reqwest::Url::parse(&format!("{}/users.info", self.url)).map_err(|_| OutboundError::Answer)?;
        url.query_pairs_mut().append_pair("user", id);
        let get = self.http.get(url).bearer_auth(self.token.expose());
        let answer = answer(&http::send(get).await?)?;
        let Answer { user } = serde_json::from_value(answer).map_err(|_| OutboundError::Answer)?;
        Ok(user.member_of(team))
    }

    /// The workspace that our token is of.
    async fn ask_team(&self) -> Result<String, OutboundError> {
        let said = self.call("auth.test", &json!({})).await?;
        let team = said.get("team_id").and_then(Value::as_str).filter(|team| !team.is_empty());
        team.map(str::to_owned).ok_or(OutboundError::Answer)
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
    fn only_a_full_member_of_this_workspace_with_a_confirmed_email_is_somebody() {
        let good =
            json!({"team_id": "T1", "is_email_confirmed": true, "profile": {"email": "c@example.com"}});
        let with = |more: Value| {
            let mut user = good.clone();
            let (user_map, more) = (user.as_object_mut().unwrap(), more.as_object().unwrap().clone());
            user_map.extend(more);
            serde_json::from_value::<User>(user).unwrap()
        };
        assert_eq!(with(json!({})).member_of("T1"), Some(Account { email: "c@example.com".to_owned() }));
        for bad in [
            json!({"team_id": "T2"}),
            json!({"team_id": null}),
            json!({"team_id": ""}),
            json!({"deleted": true}),
            json!({"is_bot": true}),
            json!({"is_stranger": true}),
            json!({"is_restricted": true}),
            json!({"is_ultra_restricted": true}),
            json!({"is_email_confirmed": false}),
            json!({"is_email_confirmed": null}),
            json!({"profile": {}}),
            json!({"profile": {"email": ""}}),
        ] {
            assert_eq!(with(bad.clone()).member_of("T1"), None, "{bad}");
        }
        assert_eq!(with(json!({"team_id": ""})).member_of(""), None);
    }

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
