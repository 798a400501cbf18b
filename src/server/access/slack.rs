//! Buttons in Slack. That a message is Slack's is proved by its signature; who
//! pressed is Slack's word. By default that word opens a page where the
//! identity provider is asked; it decides only where the configuration says so.

use super::{Access, AccessError, Caller};
use crate::core::model::{AccessRequest, ErrorKind, Identity, Path, Secret, Via};
use crate::proto::{Approve, Reason, RequestView};
use crate::server::config::{self, SlackDecides};
use crate::server::outbound::OutboundError;
use crate::server::outbound::slack::Api;
use crate::tls::TlsError;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;

/// How old a message of Slack's may be, and how far ahead its clock.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// Our Slack app, where it can tell us of buttons.
pub(super) struct Workspace {
    api: Api,
    signing_secret: Secret,
    decide: SlackDecides,
}

impl Workspace {
    /// `None` where Slack has no way to prove that it is Slack.
    pub fn of(config: &config::Slack) -> Option<Result<Self, AccessError>> {
        let signing_secret = config.signing_secret.clone()?;
        let api = Api::new(config).map_err(|error: TlsError| AccessError::internal(error.to_string()));
        Some(api.map(|api| Self { api, signing_secret, decide: config.decide.clone() }))
    }
}

/// What a press comes to.
pub enum Pressed {
    /// The person's own link to the page.
    Link(String),
    Decided(Box<RequestView>),
}

/// What was pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Press {
    Approve,
    /// With the reason, where it was asked for.
    Deny(Option<String>),
}

impl From<OutboundError> for AccessError {
    fn from(error: OutboundError) -> Self {
        Self::new(ErrorKind::Unreachable, format!("Slack: {error}"))
    }
}

impl Access {
    /// Whether a body is Slack's, new and seen for the first time.
    pub async fn from_slack(&self, timestamp: &str, signature: &str, body: &[u8]) -> Result<(), AccessError> {
        let workspace = self.workspace()?;
        let now = crate::os::now();
        check(&workspace.signing_secret, timestamp, signature, body, now)?;
        let hash: [u8; 32] = Sha256::digest(format!("slack {signature}")).into();
        let until = now + FRESH + FRESH;
        // Kept with the other things that are good once, until it is too old anyway.
        let first =
            self.store.write(move |tx| tx.spend_id_token(&hash, until).map_err(AccessError::from)).await?;
        if first { Ok(()) } else { Err(not_slack("it was received before")) }
    }

    /// The connection to Slack, to answer by.
    pub fn slack(&self) -> Result<&Api, AccessError> {
        Ok(&self.workspace()?.api)
    }

    /// Whether a button decides by itself.
    pub fn slack_decides(&self) -> bool {
        let decide = self.slack.as_ref().map(|workspace| &workspace.decide);
        matches!(decide, Some(SlackDecides::Slack { .. }))
    }

    /// How long ago somebody may have signed in here for Slack's word to be enough: not at all by default.
    pub(super) fn slack_trusts_for(&self) -> Duration {
        match self.slack.as_ref().map(|workspace| &workspace.decide) {
            Some(SlackDecides::Slack { signed_in_within }) => *signed_in_within,
            Some(SlackDecides::Link) | None => Duration::ZERO,
        }
    }

    /// Somebody pressed a button.
    pub async fn pressed(
        self: &Arc<Self>,
        account: &str,
        request: &str,
        press: Press,
    ) -> Result<Pressed, AccessError> {
        let (identity, seen) = self.person_in_slack(account).await?;
        let caller = Caller {
            person: self.config.directory.person(&identity),
            token_expires_at: crate::os::now(),
            via: Via::Slack,
        };
        // Also the one that may see it: others learn nothing of it.
        let AccessRequest { id: request, path, migration, .. } =
            self.find_request(&caller, request).await?.request;
        let within = SignedDuration::try_from(self.slack_trusts_for()).unwrap_or(SignedDuration::ZERO);
        let unseen = migration.is_some() && press == Press::Approve;
        // In an emergency, above all, it is the identity provider that says who somebody is;
        // and nobody approves a script without having seen it.
        if path == Path::BreakGlass || unseen || crate::os::now().duration_since(seen) >= within {
            return Ok(Pressed::Link(self.links.to(&request, Some(&identity.subject)).await?));
        }
        let id = request.to_string();
        let view = match press {
            Press::Approve => self.approve(&caller, id, Approve::default()).await?,
            Press::Deny(reason) => self.deny(&caller, id, Reason { reason }).await?,
        };
        Ok(Pressed::Decided(Box::new(view)))
    }

    /// The one person whose verified e-mail the account has, and when they were last seen here.
    async fn person_in_slack(&self, account: &str) -> Result<(Identity, Timestamp), AccessError> {
        let unknown = |why: &str| {
            AccessError::denied(why).hint("`dbaccess login` once makes you known here, by the same e-mail")
        };
        let account = self.workspace()?.api.account(account).await?;
        let email = account
            .ok_or_else(|| {
                AccessError::denied(
                    "you are no full member of this Slack workspace with a confirmed e-mail address",
                )
                .hint("\"Look at it\" leads to the page, where you sign in; or decide in a terminal")
            })?
            .email;
        let found =
            self.store.read(move |tx| tx.people_with_email(&email).map_err(AccessError::from)).await?;
        match <[_; 1]>::try_from(found) {
            Ok([one]) => Ok(one),
            Err(found) if found.is_empty() => Err(unknown("nobody here has your e-mail address of Slack")),
            Err(_) => Err(unknown("several people here have your e-mail address of Slack")),
        }
    }

    fn workspace(&self) -> Result<&Workspace, AccessError> {
        self.slack.as_ref().ok_or_else(|| AccessError::not_found("no Slack app is configured here"))
    }
}

fn not_slack(why: &str) -> AccessError {
    AccessError::new(ErrorKind::Denied, format!("this is not from Slack: {why}"))
}

/// Slack's signature, version 0: HMAC-SHA256 of `v0:TIME:BODY`.
fn check(
    secret: &Secret,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), AccessError> {
    let wrong = || not_slack("its signature is wrong");
    let hex = signature.strip_prefix("v0=").ok_or_else(wrong)?;
    let given = bytes(hex).ok_or_else(wrong)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).map_err(|_| wrong())?;
    mac.update(format!("v0:{timestamp}:").as_bytes());
    mac.update(body);
    mac.verify_slice(&given).map_err(|_| wrong())?;
    let at =
        timestamp.parse().ok().and_then(|second| Timestamp::from_second(second).ok()).ok_or_else(wrong)?;
    if now.duration_since(at).abs() > FRESH { Err(not_slack("it is too old")) } else { Ok(()) }
}

/// Lower-case hexadecimal.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    hex.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::hex::hex;

    #[test]
    fn only_slacks_own_words_are_heard_and_only_while_they_are_new() {
        let secret = Secret::new("8f742231b10e8888abcd99yyyzzz85a5");
        let now = Timestamp::from_second(1_531_420_618).unwrap();
        let body = b"payload=%7B%7D";
        let sign = |time: &str, body: &[u8]| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).unwrap();
            mac.update(format!("v0:{time}:").as_bytes());
            mac.update(body);
            format!("v0={}", hex(&mac.finalize().into_bytes()))
        };
        let good = sign("1531420618", body);
        let verdict = |time: &str, signature: &str, body: &[u8], now| {
            check(&secret, time, signature, body, now).map_err(|error| error.message)
        };
        assert_eq!(verdict("1531420618", &good, body, now), Ok(()));
        let wrong = Err("this is not from Slack: its signature is wrong".to_owned());
        assert_eq!(verdict("1531420618", &good, b"payload=%7B%7d", now), wrong);
        assert_eq!(verdict("1531420619", &good, body, now), wrong);
        for forged in ["", "v0=", "v1=00", &good[3..], &good.to_uppercase(), &good[..good.len() - 2], "v0=zz"]
        {
            assert_eq!(verdict("1531420618", forged, body, now), wrong, "{forged}");
        }
        assert_eq!(verdict("soon", &sign("soon", body), body, now), wrong);
        let old = Err("this is not from Slack: it is too old".to_owned());
        let minutes = |n| now + SignedDuration::from_mins(n);
        assert_eq!(verdict("1531420618", &good, body, minutes(5)), Ok(()));
        assert_eq!(verdict("1531420618", &good, body, minutes(6)), old);
        assert_eq!(verdict("1531420618", &good, body, minutes(-6)), old);
    }
}
