//! Signing in: an ID token for a token of ours, renewed and given back.

use super::{Access, AccessError, Caller};
use crate::core::model::{ErrorKind, Event, Identity, PersonRef, Secret};
use crate::proto::{About, Login, LoginConfig, Logout, Renew, TokenIssued};
use crate::server::store::TokenRow;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

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
        let event = Event::SignedIn {
            person: to_ref(&identity),
            issuer: self.config.identity.issuer.clone(),
            groups: identity.groups.iter().cloned().collect(),
        };
        self.issue(identity, Some(event), None, login.refresh_token, now).await
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
        self.issue(renewed.identity, None, Some(old), refresh.or(Some(renew.refresh_token)), now).await
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
        self.outbox.wake();
        if let Some(refresh) = logout.refresh_token {
            self.provider.revoke(&Secret::new(refresh), now).await?;
        }
        Ok(())
    }

    /// Who a token belongs to.
    pub async fn authenticate(&self, token: &str) -> Result<Caller, AccessError> {
        let now = crate::os::now();
        let hash = hash(token);
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
        Ok(Caller { person: self.config.directory.person(&identity), token_expires_at: row.expires_at })
    }

    async fn issue(
        &self,
        identity: Identity,
        event: Option<Event>,
        replaces: Option<[u8; 32]>,
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
        self.store
            .write(move |tx| {
                if let Some(old) = replaces
                    && !tx.drop_token(&old)?
                {
                    // Renewed or signed out meanwhile: a token is renewed once.
                    return Err(AccessError::new(ErrorKind::NotSignedIn, "this sign-in has ended"));
                }
                tx.save_person(&identity)?;
                tx.save_token(&row)?;
                match event {
                    Some(event) => Ok(tx.record(now, &event)?),
                    None => Ok(()),
                }
            })
            .await?;
        self.outbox.wake();
        Ok(TokenIssued { token: token.expose().to_owned(), expires_at, refresh_token, person })
    }
}
