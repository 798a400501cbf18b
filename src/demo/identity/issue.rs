//! What the provider remembers and decides: device codes, the answers people
//! gave, and the tokens that came of them.

use super::code::{Asked, Granted};
use super::{DevPerson, Options, mint::Key};
use crate::core::model::Secret;
use crate::os;
use anyhow::Result;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// No more sign-ins than this wait at once; the oldest goes first.
const MOST_CODES: usize = 256;

#[derive(Debug)]
pub(super) struct State {
    pub(super) options: Options,
    pub(super) key: Key,
    /// How far this provider's time was moved by [`super::DevIdp::advance`].
    pub(super) ahead: SignedDuration,
    pub(super) keys_served: u64,
    pub(super) polls: u64,
    codes: Vec<Code>,
    /// At the authorization endpoint: questions that await an answer, and codes.
    pub(super) asked: Vec<Asked>,
    pub(super) granted: Vec<Granted>,
    access: HashMap<String, Access>,
    refresh: HashMap<String, Refresh>,
    families: u64,
}

/// One device authorization (RFC 8628 section 3.2).
#[derive(Clone, Debug)]
pub(super) struct Code {
    pub(super) device_code: String,
    pub(super) user_code: String,
    /// Sent with the page and demanded back with its form, so that no other site can answer it.
    pub(super) form_token: String,
    pub(super) expires_at: Timestamp,
    pub(super) answer: Option<Answered>,
    /// Seconds between polls that the client was told of, `slow_down` included.
    told: u64,
    /// Seconds between polls that are demanded at least.
    demanded: u64,
    polled_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(super) enum Answered {
    Approved(DevPerson),
    Denied,
}

#[derive(Debug)]
struct Access {
    person: DevPerson,
    family: u64,
    expires_at: Timestamp,
}

/// A refresh token; all that descend from one sign-in are a family, which dies
/// whole when a token that was used up comes back (RFC 9700 section 4.14.2).
#[derive(Debug)]
struct Refresh {
    person: DevPerson,
    family: u64,
    used: bool,
}

impl State {
    pub(super) fn new(options: Options) -> Result<Self> {
        Ok(Self {
            options,
            key: Key::generate()?,
            ahead: SignedDuration::ZERO,
            keys_served: 0,
            polls: 0,
            codes: Vec::new(),
            asked: Vec::new(),
            granted: Vec::new(),
            access: HashMap::new(),
            refresh: HashMap::new(),
            families: 0,
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        os::now().saturating_add(self.ahead).unwrap_or(Timestamp::MAX)
    }

    pub(super) fn new_code(&mut self) -> Code {
        let now = self.now();
        self.codes.retain(|code| now < code.expires_at);
        if self.codes.len() >= MOST_CODES {
            self.codes.remove(0);
        }
        let told = self.options.interval.unwrap_or(5);
        let code = Code {
            device_code: random(),
            user_code: user_code(os::random()),
            form_token: random(),
            expires_at: after(now, self.options.code_lifetime),
            answer: None,
            told,
            demanded: self.options.enforced_interval.unwrap_or(told),
            polled_at: None,
        };
        self.codes.push(code.clone());
        code
    }

    /// The code that a person typed, however they wrote it, if it still awaits an answer.
    pub(super) fn awaiting(&mut self, user_code: &str) -> Option<&mut Code> {
        let plain = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
        };
        let (now, wanted) = (self.now(), plain(user_code));
        self.codes
            .iter_mut()
            .find(|code| plain(&code.user_code) == wanted && now < code.expires_at && code.answer.is_none())
    }

    /// One poll of the token endpoint: tokens, or an error code of RFC 8628 section 3.5.
    pub(super) fn poll(&mut self, issuer: &str, device_code: &str) -> Result<Value, &'static str> {
        let now = self.now();
        let index =
            self.codes.iter().position(|code| code.device_code == device_code).ok_or("invalid_grant")?;
        let code = self.codes.get_mut(index).ok_or("invalid_grant")?;
        if now >= code.expires_at {
            return Err("expired_token");
        }
        let demanded = Duration::from_secs(code.told.max(code.demanded));
        let too_soon = code.polled_at.is_some_and(|at| now < after(at, demanded));
        code.polled_at = Some(now);
        match code.answer.clone() {
            Some(Answered::Denied) => {
                self.codes.remove(index);
                Err("access_denied")
            }
            Some(Answered::Approved(person)) => {
                self.codes.remove(index);
                let family = self.new_family();
                self.issue(issuer, person, family, true, None)
            }
            None if too_soon => {
                code.told += 5;
                Err("slow_down")
            }
            None => Err("authorization_pending"),
        }
    }

    /// Redeems a refresh token and rotates it.
    pub(super) fn refresh(&mut self, issuer: &str, token: &str) -> Result<Value, &'static str> {
        let refresh = self.refresh.get_mut(token).ok_or("invalid_grant")?;
        let family = refresh.family;
        if refresh.used {
            self.end_family(family);
            return Err("invalid_grant");
        }
        refresh.used = true;
        let mut person = refresh.person.clone();
        if let Some(other) = self.options.forge.subject_on_refresh.clone() {
            person.subject = other;
        }
        self.issue(issuer, person, family, self.options.id_token_on_refresh, None)
    }

    /// Revokes a token of either kind, with its family (RFC 7009 section 2.1).
    pub(super) fn revoke(&mut self, token: &str) {
        let refresh = self.refresh.get(token).map(|refresh| refresh.family);
        let family = refresh.or_else(|| self.access.get(token).map(|access| access.family));
        if let Some(family) = family {
            self.end_family(family);
        }
    }

    pub(super) fn userinfo(&self, access_token: &str) -> Option<Value> {
        let access = self.access.get(access_token)?;
        (self.now() < access.expires_at).then(|| Value::Object(self.person_claims(&access.person, false)))
    }

    pub(super) fn new_family(&mut self) -> u64 {
        self.families += 1;
        self.families
    }

    pub(super) fn end_family(&mut self, family: u64) {
        self.refresh.retain(|_, refresh| refresh.family != family);
        self.access.retain(|_, access| access.family != family);
    }

    pub(super) fn issue(
        &mut self,
        issuer: &str,
        person: DevPerson,
        family: u64,
        with_id_token: bool,
        nonce: Option<&str>,
    ) -> Result<Value, &'static str> {
        let now = self.now();
        self.access.retain(|_, access| now < access.expires_at);
        let expires_at = after(now, self.options.token_lifetime);
        let (access_token, refresh_token) = (random(), random());
        let mut answer = json!({
            "access_token": access_token, "token_type": "Bearer",
            "expires_in": self.options.token_lifetime.as_secs(), "refresh_token": refresh_token,
        });
        if with_id_token && let Some(answer) = answer.as_object_mut() {
            let claims = self.id_claims(issuer, &person, nonce, now);
            let token = self.key.sign(&claims, self.options.forge.algorithm).map_err(|_| "server_error")?;
            answer.insert("id_token".to_owned(), Value::String(token));
        }
        self.access.insert(access_token, Access { person: person.clone(), family, expires_at });
        self.refresh.insert(refresh_token, Refresh { person, family, used: false });
        Ok(answer)
    }

    fn id_claims(&self, issuer: &str, person: &DevPerson, nonce: Option<&str>, now: Timestamp) -> Value {
        let Options { forge, client_id, token_clock, token_lifetime, lean_id_token, .. } = &self.options;
        let issued = now.saturating_add(*token_clock).unwrap_or(now);
        let mut claims = self.person_claims(person, *lean_id_token);
        let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        set("iss", json!(forge.issuer.as_deref().unwrap_or(issuer)));
        set("aud", forge.audience.as_ref().map_or_else(|| json!(client_id), |audience| json!(audience)));
        set("iat", json!(issued.as_second()));
        set("exp", json!(after(issued, *token_lifetime).as_second()));
        if let Some(party) = &forge.authorized_party {
            set("azp", json!(party));
        }
        if let Some(nonce) = forge.nonce.as_deref().or(nonce) {
            set("nonce", json!(nonce));
        }
        Value::Object(claims)
    }

    fn person_claims(&self, person: &DevPerson, lean: bool) -> Map<String, Value> {
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), json!(person.subject));
        if !lean {
            claims.insert("email".to_owned(), json!(person.email));
            claims.insert("email_verified".to_owned(), json!(true));
            claims.insert("name".to_owned(), json!(person.name));
            let groups = self.options.moved.get(&person.subject).unwrap_or(&person.groups);
            claims.insert("groups".to_owned(), json!(groups));
        }
        claims
    }
}

pub(super) fn random() -> String {
    Secret::from_random(os::random()).expose().to_owned()
}

pub(super) fn after(time: Timestamp, length: Duration) -> Timestamp {
    time.saturating_add(SignedDuration::try_from(length).unwrap_or_default()).unwrap_or(Timestamp::MAX)
}

/// Eight consonants in two groups: easy to type, hard to make a word of (RFC 8628 section 6.1).
fn user_code(random: [u8; 8]) -> String {
    const LETTERS: &[u8] = b"BCDFGHJKLMNPQRSTVWXZ";
    let letter = |byte: &u8| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied().map_or('B', char::from);
    let (left, right) = random.split_at(4);
    left.iter().map(letter).chain(std::iter::once('-')).chain(right.iter().map(letter)).collect()
}
