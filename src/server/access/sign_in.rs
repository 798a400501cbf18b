//! Signing in: an ID token for a token of ours, renewed and given back.

use super::{Access, AccessError, Caller};
use crate::core::model::{Event, Identity, PersonRef, Secret, Via};
use crate::proto::{About, Login, LoginConfig, Logout, Renew, TokenIssued};
use crate::server::store::TokenRow;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// How long after its expiry a token still says who may redeem a refresh token.
const RENEWABLE: SignedDuration = SignedDuration::from_hours(14 * 24);

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

fn to_ref(identity: &Identity) -> PersonRef {
    PersonRef { subject: identity.subject.clone(), email: identity.email.clone() }
}

impl Access {
    pub fn about(&self) -> About {
        let identity = &self.config.identity;
        About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: crate::os::now(),
            login: LoginConfig {
                issuer: identity.issuer.clone(),
                client_id: identity.client_id.clone(),
                scopes: identity.scopes.clone(),
            },
            native: self.native_address(),
        }
    }

    /// Exchanges a verified ID token for a token of ours, of which only the hash is kept.
    pub async fn sign_in(&self, login: Login) -> Result<TokenIssued, AccessError> {
        let now = crate::os::now();
        let identity =
            self.provider.verify(&login.id_token, login.access_token.map(Secret::new).as_ref(), now).await?;
        let spent = IdTokenUse::of(&login.id_token, self.config.identity.leeway)?;
        self.issue(identity, Proof::IdToken(spent), login.refresh_token, now).await
    }

    /// Renews a token, expired or not, by the person's refresh token.
    pub async fn renew(&self, token: &str, renew: Renew) -> Result<TokenIssued, AccessError> {
        let now = crate::os::now();
        let old = hash(token);
        let row = self.store.read(move |tx| tx.token(&old).map_err(AccessError::from)).await?;
        let row = row
            .filter(|row| now < row.renewable_until)
            .ok_or_else(|| AccessError::not_signed_in("this sign-in has ended"))?;
        let renewed =
            self.provider.renew(&Secret::new(renew.refresh_token.clone()), &row.subject, now).await?;
        let refresh = renewed.refresh_token.map(|token| token.expose().to_owned());
        self.issue(renewed.identity, Proof::OldToken(old), refresh.or(Some(renew.refresh_token)), now).await
    }

    /// Ends the sign-in here and, as far as it can be reached, at the provider.
    pub async fn sign_out(&self, token: &str, logout: Logout) -> Result<(), AccessError> {
        let now = crate::os::now();
        let old = hash(token);
        self.store
            .write(move |tx| {
                let Some(row) = tx.token(&old)? else {
                    return Err(AccessError::not_signed_in("this sign-in has ended already"));
                };
                tx.drop_token(&old)?;
                if let Some(identity) = tx.person(&row.subject)? {
                    tx.record(now, &Event::SignedOut { person: to_ref(&identity) })?;
                }
                Ok(())
            })
            .await?;
        self.wake();
        if let Some(refresh) = logout.refresh_token {
            self.provider.revoke(&Secret::new(refresh), now).await?;
        }
        Ok(())
    }

    /// Who a token belongs to.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, AccessError> {
        self.caller(hash(token), Via::Cli).await
    }

    /// Who the token of this hash belongs to, and how they come.
    pub(super) async fn caller(&self, hash: [u8; 32], via: Via) -> Result<Caller, AccessError> {
        let now = crate::os::now();
        let found = self
            .store
            .read(move |tx| {
                let Some(row) = tx.token(&hash)? else { return Ok(None) };
                Ok::<_, AccessError>(tx.person(&row.subject)?.map(|identity| (row, identity)))
            })
            .await?;
        let Some((row, identity)) = found else {
            return Err(AccessError::not_signed_in("the token is not known here"));
        };
        if row.expires_at <= now {
            return Err(AccessError::not_signed_in("the token has expired"));
        }
        Ok(Caller { person: self.config.directory.person(&identity), token_expires_at: row.expires_at, via })
    }

    async fn issue(
        &self,
        identity: Identity,
        proof: Proof,
        refresh_token: Option<String>,
        now: Timestamp,
    ) -> Result<TokenIssued, AccessError> {
        let person = self.config.directory.person(&identity);
        let token = Secret::from_random(crate::os::random());
        let expires_at = now + self.config.identity.token_lifetime;
        let row = TokenRow {
            hash: hash(token.expose()),
            subject: identity.subject.clone(),
            expires_at,
            renewable_until: expires_at + RENEWABLE,
        };
        self.enter(identity, proof, row, now).await?;
        Ok(TokenIssued { token: token.expose().to_owned(), expires_at, refresh_token, person })
    }

    /// Takes a recognised person in: who they are, their token, and the record of it.
    pub(super) async fn enter(
        &self,
        identity: Identity,
        proof: Proof,
        row: TokenRow,
        now: Timestamp,
    ) -> Result<(), AccessError> {
        let event = Event::SignedIn {
            person: to_ref(&identity),
            issuer: self.config.identity.issuer.clone(),
            groups: identity.groups.iter().cloned().collect(),
        };
        self.store
            .write(move |tx| {
                let record = match proof {
                    Proof::IdToken(used) if !tx.spend_id_token(&used.hash, used.until)? => {
                        return Err(AccessError::not_signed_in("this sign-in was used already"));
                    }
                    Proof::IdToken(_) => true,
                    // Renewed or signed out meanwhile: a token is renewed once.
                    Proof::OldToken(old) if !tx.drop_token(&old)? => {
                        return Err(AccessError::not_signed_in("this sign-in has ended"));
                    }
                    // Other groups are other rights: who had which when is evidence.
                    Proof::OldToken(_) => tx.person(&identity.subject)?.as_ref() != Some(&identity),
                };
                tx.save_person(&identity, now)?;
                tx.save_token(&row)?;
                if record {
                    tx.record(now, &event)?;
                }
                Ok(())
            })
            .await?;
        self.wake();
        Ok(())
    }
}

/// What a new token is given for.
pub(super) enum Proof {
    IdToken(IdTokenUse),
    /// The hash of the token that it replaces.
    OldToken([u8; 32]),
}

/// An ID token is exchanged once, so that one found in a log or a proxy is worth nothing.
pub(super) struct IdTokenUse {
    /// Of what its signature covers: the signature itself can be written in several ways.
    hash: [u8; 32],
    /// When it expires, and no longer needs to be remembered.
    until: Timestamp,
}

impl IdTokenUse {
    /// Of a token that was verified already.
    pub fn of(id_token: &str, leeway: Duration) -> Result<Self, AccessError> {
        #[derive(serde::Deserialize)]
        struct Claims {
            exp: f64,
        }
        let unreadable = || AccessError::not_signed_in("the ID token does not say when it expires");
        let (signed, _) = id_token.rsplit_once('.').ok_or_else(unreadable)?;
        let (_, payload) = signed.split_once('.').ok_or_else(unreadable)?;
        let payload = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map_err(|_| unreadable())?;
        let Claims { exp } = serde_json::from_slice(&payload).map_err(|_| unreadable())?;
        let expiry = Duration::try_from_secs_f64(exp).map_err(|_| unreadable())?.saturating_add(leeway);
        let seconds = i64::try_from(expiry.as_secs()).unwrap_or(i64::MAX);
        let until = Timestamp::from_second(seconds.saturating_add(1)).unwrap_or(Timestamp::MAX);
        Ok(Self { hash: hash(signed), until })
    }
}
