//! Signing in at a page of ours: the authorization code flow (OpenID Connect
//! Core 1.0, section 3.1) with PKCE (RFC 7636), a state and a nonce.

use super::{IdentityError, Provider};
use crate::core::model::{Identity, Secret};
use crate::oidc::{self, Credentials, OidcError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The client that our pages are at the provider.
#[derive(Clone, Debug)]
pub struct BrowserConfig {
    pub client_id: String,
    pub client_secret: Option<Secret>,
    /// Where the provider sends people back to, as it knows it.
    pub redirect_uri: String,
}

/// What must come back as it was sent; each is random and used once.
#[derive(Clone, Serialize, Deserialize)]
pub struct Departure {
    pub state: String,
    pub nonce: String,
    /// Proves to the provider that whoever redeems the code asked for it.
    pub verifier: String,
}

impl Departure {
    pub fn from_random(state: [u8; 32], nonce: [u8; 32], verifier: [u8; 32]) -> Self {
        let text = |random: [u8; 32]| URL_SAFE_NO_PAD.encode(random);
        Self { state: text(state), nonce: text(nonce), verifier: text(verifier) }
    }
}

impl Provider {
    pub fn browser(&self) -> Option<&BrowserConfig> {
        self.config.browser.as_ref()
    }

    /// Where a browser goes to sign in. Cancel-safe.
    pub async fn departure(
        &self,
        browser: &BrowserConfig,
        departure: &Departure,
        now: Timestamp,
    ) -> Result<String, IdentityError> {
        let metadata = self.metadata(now).await?;
        let mut url = metadata.authorization_endpoint().url().clone();
        // A page needs no refresh token: it asks again.
        let scopes: Vec<&str> = self
            .config
            .scopes
            .iter()
            .map(String::as_str)
            .filter(|scope| *scope != "offline_access")
            .collect();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &browser.client_id)
            .append_pair("redirect_uri", &browser.redirect_uri)
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", &departure.state)
            .append_pair("nonce", &departure.nonce)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(Sha256::digest(&departure.verifier)))
            .append_pair("code_challenge_method", "S256");
        Ok(url.into())
    }

    /// Redeems the code that a browser came back with, and recognises the person.
    /// The ID token comes with them: it is good once.
    ///
    /// Not cancel-safe: the provider takes a code once.
    pub async fn arrival(
        &self,
        browser: &BrowserConfig,
        departure: &Departure,
        code: &Secret,
        now: Timestamp,
    ) -> Result<(Identity, Secret), IdentityError> {
        let metadata = self.metadata(now).await?;
        let credentials =
            Credentials { client_id: &browser.client_id, secret: browser.client_secret.as_ref() };
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", &browser.redirect_uri),
            ("code_verifier", &departure.verifier),
        ];
        let answer = oidc::request_tokens(&self.http, &metadata, credentials, &form)
            .await
            .map_err(IdentityError::Provider)?;
        let id_token = answer
            .id_token
            .ok_or_else(|| IdentityError::Provider(OidcError::Unusable("it sent no ID token".to_owned())))?;
        let claims = self.claims(id_token.expose(), &browser.client_id, Some(&departure.nonce), now).await?;
        let identity = self.complete(claims, Some(&answer.access_token), now).await?;
        Ok((identity, id_token))
    }
}
