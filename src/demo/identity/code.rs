//! The authorization code flow (RFC 6749 section 4.1) with PKCE (RFC 7636):
//! for browsers. S256 alone, redirects to exactly what is registered, and a code
//! that is good once, for a minute.

use super::DevPerson;
use super::issue::{State, after, random};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::time::Duration;

const MOST: usize = 256;
const CODE: Duration = Duration::from_secs(60);

/// What a client asked for at the authorization endpoint.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub redirect_uri: String,
    state: Option<String>,
    nonce: Option<String>,
    challenge: String,
    /// Sent with the page and demanded back with its form.
    pub form_token: String,
    expires_at: Timestamp,
}

/// A code that was given out.
#[derive(Debug)]
pub(super) struct Granted {
    code: String,
    person: DevPerson,
    asked: Asked,
    expires_at: Timestamp,
    /// The tokens that it was redeemed for.
    family: Option<u64>,
}

/// Why nobody is asked: said on a page, because the redirect cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAsked {
    Client,
    Redirect,
    /// The rest is the client's fault; it would learn of it by a redirect, but a person is there too.
    Request,
}

impl State {
    /// Checks a client's question, and remembers it until it is answered.
    pub(super) fn ask(&mut self, query: &HashMap<String, String>) -> Result<Asked, NotAsked> {
        let given = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
        if given("client_id") != self.options.client_id {
            return Err(NotAsked::Client);
        }
        if !self.options.redirect_uris.iter().any(|uri| uri == given("redirect_uri")) {
            return Err(NotAsked::Redirect);
        }
        let openid = given("scope").split(' ').any(|scope| scope == "openid");
        let challenged = given("code_challenge_method") == "S256" && given("code_challenge").len() == 43;
        if given("response_type") != "code" || !openid || !challenged {
            return Err(NotAsked::Request);
        }
        let now = self.now();
        self.asked.retain(|asked| now < asked.expires_at);
        if self.asked.len() >= MOST {
            self.asked.remove(0);
        }
        let asked = Asked {
            redirect_uri: given("redirect_uri").to_owned(),
            state: query.get("state").cloned(),
            nonce: query.get("nonce").cloned(),
            challenge: given("code_challenge").to_owned(),
            form_token: random(),
            expires_at: after(now, self.options.code_lifetime),
        };
        self.asked.push(asked.clone());
        Ok(asked)
    }

    /// Somebody chose who to be, or not to be anybody: where the browser goes then.
    pub(super) fn answer(
        &mut self,
        issuer: &str,
        form_token: &str,
        person: Option<DevPerson>,
    ) -> Option<String> {
        let now = self.now();
        let index = self.asked.iter().position(|asked| asked.form_token == form_token)?;
        let asked = self.asked.remove(index);
        if asked.expires_at <= now {
            return None;
        }
        let mut url = openidconnect::url::Url::parse(&asked.redirect_uri).ok()?;
        match person {
            Some(person) => {
                let code = random();
                url.query_pairs_mut().append_pair("code", &code);
                self.granted.retain(|granted| now < granted.expires_at);
                if self.granted.len() >= MOST {
                    self.granted.remove(0);
                }
                let expires_at = after(now, CODE);
                self.granted.push(Granted { code, person, asked: asked.clone(), expires_at, family: None });
            }
            None => {
                url.query_pairs_mut().append_pair("error", "access_denied");
            }
        }
        if let Some(state) = &asked.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        url.query_pairs_mut().append_pair("iss", issuer);
        Some(url.into())
    }

    /// Redeems a code. One that comes again ends what it was redeemed for.
    pub(super) fn redeem(
        &mut self,
        issuer: &str,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Value, &'static str> {
        let now = self.now();
        let family = self.new_family();
        let granted = self.granted.iter_mut().find(|granted| granted.code == code).ok_or("invalid_grant")?;
        if let Some(family) = granted.family {
            self.end_family(family);
            return Err("invalid_grant");
        }
        granted.family = Some(family);
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let good = now < granted.expires_at
            && granted.asked.redirect_uri == redirect_uri
            && granted.asked.challenge == challenge;
        let (person, nonce) = (granted.person.clone(), granted.asked.nonce.clone());
        if good { self.issue(issuer, person, family, true, nonce.as_deref()) } else { Err("invalid_grant") }
    }
}
