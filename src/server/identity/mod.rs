//! Who somebody is: checks the ID tokens of one OpenID Connect provider and
//! renews them. It never decides what a person may do (`core::policy`), and
//! keeps nothing: tokens of our own are `access`'s to issue and the store's to keep.
//!
//! ```text
//!  login:  ID token ── check (pure: signature, issuer, audience, times) ──► Identity
//!                        └ unknown key: keys fetched again, at most twice a minute
//!  renew:  refresh token ── provider ──► ID token, else userinfo; same subject ──► Identity
//! ```
//!
//! The provider is asked for nothing until somebody signs in, so that the
//! server starts while the provider is down.

mod browser;
mod check;

use crate::core::model::{ErrorKind, Identity, Secret};
use crate::oidc::{self, Credentials, Http, Metadata, OidcError};
use crate::proto::LoginConfig;
use crate::tls::TlsError;
pub use browser::{BrowserConfig, Departure};
pub use check::{Claims, Rejected, Rules, check};
use jiff::{SignedDuration, Timestamp};
use openidconnect::core::CoreGenderClaim;
use openidconnect::{
    AccessToken, ClientId, IssuerUrl, SubjectIdentifier, UserInfoClaims, UserInfoError, UserInfoRequest,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Keys and endpoints are fetched again when they are older than this, so that
/// a key which the provider withdrew is not trusted for ever.
const FRESH_FOR: SignedDuration = SignedDuration::from_hours(1);
/// An unknown key makes us ask the provider at most this often: whoever sends
/// made-up tokens must not make us a burden to it.
const REFETCH_EVERY: SignedDuration = SignedDuration::from_secs(30);

/// The provider that this server trusts.
#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// Exactly as the provider writes it in its tokens: `https://…`.
    pub issuer: String,
    pub client_id: String,
    /// For providers that demand one even of the device flow.
    pub client_secret: Option<Secret>,
    /// The client of our own pages, where people may sign in there.
    pub browser: Option<BrowserConfig>,
    /// What the command line asks for, beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that lists groups; usually `groups`.
    pub groups_claim: String,
    /// The claim that holds the e-mail address; usually `email`.
    pub email_claim: String,
    /// A CA to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// How far the provider's clock and ours may differ.
    pub leeway: Duration,
}

impl IdentityConfig {
    /// The usual claims, scopes and 60 seconds of leeway.
    pub fn new(issuer: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            client_id: client_id.into(),
            client_secret: None,
            browser: None,
            scopes: ["openid", "email", "profile", "groups", "offline_access"].map(str::to_owned).to_vec(),
            groups_claim: "groups".to_owned(),
            email_claim: "email".to_owned(),
            ca: None,
            leeway: Duration::from_secs(60),
        }
    }

    /// What the command line must know to sign somebody in.
    pub fn login(&self) -> LoginConfig {
        LoginConfig {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            scopes: self.scopes.clone(),
        }
    }
}

/// Why nobody could be recognised. Never contains a token.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("cannot prepare to talk to the identity provider: {0}")]
    Tls(#[from] TlsError),
    #[error("{0}; try again, and if it lasts tell whoever runs this server")]
    Provider(OidcError),
    #[error("the sign-in is not accepted: {0}")]
    Rejected(#[from] Rejected),
    #[error("the identity provider no longer renews this sign-in (`{0}`): run `dbaccess login`")]
    NotRenewed(String),
    #[error("the identity provider renewed the sign-in for somebody else: run `dbaccess login`")]
    OtherSubject,
    #[error(
        "the identity provider gives no verified e-mail address for `{subject}`: \
         it must send the claim `{claim}`, and not say that it is unverified"
    )]
    NoEmail { subject: String, claim: String },
    #[error("the identity provider did not take the token back ({0}): it stays valid there until it expires")]
    NotRevoked(OidcError),
}

impl IdentityError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Tls(_) => ErrorKind::Internal,
            Self::Provider(_) | Self::NotRevoked(_) => ErrorKind::Unreachable,
            Self::Rejected(_) | Self::NotRenewed(_) | Self::OtherSubject | Self::NoEmail { .. } => {
                ErrorKind::NotSignedIn
            }
        }
    }
}

/// A renewed sign-in.
#[derive(Clone, Debug)]
pub struct Renewed {
    pub identity: Identity,
    /// The refresh token to keep from now on; `None`: the one that was used.
    pub refresh_token: Option<Secret>,
}

/// What became of a token that was to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The provider says that it is dead.
    Yes,
    /// The provider has no revocation endpoint: the token lives until it expires.
    NotOffered,
}

/// The identity provider, as the server knows it. Shared by reference.
#[derive(Debug)]
pub struct Provider {
    config: IdentityConfig,
    http: Http,
    /// Held while fetching, so that many sign-ins cause one fetch.
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    metadata: Arc<Metadata>,
    at: Timestamp,
    /// When an unknown key last made us ask.
    forced_at: Option<Timestamp>,
}

/// Why the provider's description is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Fresh,
    /// What is known lacks the key of a token.
    OtherKeys,
}

impl Provider {
    /// Prepares; reads at most the CA file, and asks the provider nothing.
    pub fn new(config: IdentityConfig) -> Result<Self, IdentityError> {
        let http = Http::new(config.ca.as_deref())?;
        Ok(Self { config, http, known: Mutex::new(None) })
    }

    pub fn config(&self) -> &IdentityConfig {
        &self.config
    }

    /// Asks the provider who it is, whatever is known: for `doctor`. Cancel-safe.
    pub async fn answers(&self) -> Result<(), IdentityError> {
        let found = oidc::discover(&self.http, &self.config.issuer).await;
        found.map(drop).map_err(IdentityError::Provider)
    }

    /// Asks the provider who it is, unless that is known: for a first line in
    /// the log. Cancel-safe.
    pub async fn discover(&self, now: Timestamp) -> Result<(), IdentityError> {
        self.metadata(now).await.map(drop)
    }

    /// Recognises the person of an ID token. With the access token that came
    /// with it, what the ID token lacks (e-mail, groups) is read from the
    /// userinfo endpoint. Cancel-safe.
    pub async fn verify(
        &self,
        id_token: &str,
        access_token: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Identity, IdentityError> {
        let claims = self.claims(id_token, &self.config.client_id, None, now).await?;
        self.complete(claims, access_token, now).await
    }

    /// Redeems a refresh token (RFC 6749 section 6) and demands that it still
    /// speaks for `subject`.
    ///
    /// Not cancel-safe: a provider that rotates has used the old token up.
    pub async fn renew(
        &self,
        refresh_token: &Secret,
        subject: &str,
        now: Timestamp,
    ) -> Result<Renewed, IdentityError> {
        let metadata = self.metadata(now).await?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())];
        let answer = oidc::request_tokens(&self.http, &metadata, self.credentials(), &form).await.map_err(
            |error| match error {
                OidcError::Refused(code)
                    if matches!(code.as_str(), "server_error" | "temporarily_unavailable") =>
                {
                    IdentityError::Provider(OidcError::Unreachable(format!("it answered `{code}`")))
                }
                OidcError::Refused(code) => IdentityError::NotRenewed(code),
                // glewlwyd says no with an empty body.
                OidcError::Unusable(why) => IdentityError::NotRenewed(why),
                down => IdentityError::Provider(down),
            },
        )?;
        let claims = match &answer.id_token {
            Some(id_token) => self.claims(id_token.expose(), &self.config.client_id, None, now).await?,
            None => match self.userinfo(&answer.access_token, subject, now).await {
                // The old refresh token may be used up already: one stumble must not end the sign-in.
                Err(IdentityError::Provider(OidcError::Unreachable(_))) => {
                    self.userinfo(&answer.access_token, subject, now).await?
                }
                answered => answered?,
            },
        };
        if claims.subject != subject {
            return Err(IdentityError::OtherSubject);
        }
        let identity = self.complete(claims, Some(&answer.access_token), now).await?;
        let rotated = answer.refresh_token.filter(|new| new != refresh_token);
        Ok(Renewed { identity, refresh_token: rotated })
    }

    /// Takes a refresh token back at the provider (RFC 7009).
    pub async fn revoke(&self, refresh_token: &Secret, now: Timestamp) -> Result<Revoked, IdentityError> {
        let metadata = self.metadata(now).await?;
        let Some(endpoint) = &metadata.additional_metadata().revocation_endpoint else {
            return Ok(Revoked::NotOffered);
        };
        let form = [("token", refresh_token.expose()), ("token_type_hint", "refresh_token")];
        oidc::post(&self.http, endpoint.url(), self.credentials(), &form)
            .await
            .map(|_| Revoked::Yes)
            .map_err(IdentityError::NotRevoked)
    }

    /// Checks an ID token; where its key is unknown, once more with fresh keys.
    async fn claims(
        &self,
        id_token: &str,
        client_id: &str,
        nonce: Option<&str>,
        now: Timestamp,
    ) -> Result<Claims, IdentityError> {
        let rules = Rules {
            issuer: &self.config.issuer,
            client_id,
            nonce,
            groups_claim: &self.config.groups_claim,
            email_claim: &self.config.email_claim,
            leeway: self.config.leeway,
        };
        let known = self.metadata(now).await?;
        match check(id_token, known.jwks(), &rules, now) {
            Err(Rejected::UnknownKey) => {
                let again = self.fetch(now, Want::OtherKeys).await?;
                Ok(check(id_token, again.jwks(), &rules, now)?)
            }
            checked => Ok(checked?),
        }
    }

    /// Fills in what the claims lack.
    async fn complete(
        &self,
        mut claims: Claims,
        access_token: Option<&Secret>,
        now: Timestamp,
    ) -> Result<Identity, IdentityError> {
        let lacking = claims.email.is_none() || claims.groups.is_none();
        if let (true, Some(access_token)) = (lacking, access_token) {
            let more = self.userinfo(access_token, &claims.subject, now).await;
            match more {
                Ok(more) => claims.fill_from(more),
                // Groups are optional; without an e-mail the error below is the clearer one,
                // unless the provider could not be asked.
                Err(IdentityError::Provider(OidcError::Unusable(_))) => {}
                Err(error) => return Err(error),
            }
        }
        let Some(email) = claims.email else {
            let claim = self.config.email_claim.clone();
            return Err(IdentityError::NoEmail { subject: claims.subject, claim });
        };
        let groups = claims.groups.unwrap_or_default();
        Ok(Identity { subject: claims.subject, email, name: claims.name, groups })
    }

    /// Asks the userinfo endpoint (OpenID Connect Core 1.0 section 5.3), which
    /// must answer for `subject`: an access token of somebody else is refused.
    async fn userinfo(
        &self,
        access_token: &Secret,
        subject: &str,
        now: Timestamp,
    ) -> Result<Claims, IdentityError> {
        let unusable = |why: &str| IdentityError::Provider(OidcError::Unusable(why.to_owned()));
        let metadata = self.metadata(now).await?;
        let endpoint = metadata.userinfo_endpoint().ok_or_else(|| unusable("it has no userinfo endpoint"))?;
        // A header cannot carry other bytes, and the crate below would panic.
        if !access_token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable("its access token is not one (RFC 6750 section 2.1)"));
        }
        let issuer = IssuerUrl::new(self.config.issuer.clone()).map_err(|_| unusable("its issuer"))?;
        let client = openidconnect::core::CoreClient::new(
            ClientId::new(self.config.client_id.clone()),
            issuer,
            metadata.jwks().clone(),
        )
        .set_user_info_url(endpoint.clone());
        let request: UserInfoRequest<'_, _, _> = client.user_info(
            AccessToken::new(access_token.expose().to_owned()),
            Some(SubjectIdentifier::new(subject.to_owned())),
        );
        let answer: UserInfoClaims<check::MoreClaims, CoreGenderClaim> =
            request.request_async(&self.http).await.map_err(|error| match error {
                UserInfoError::Request(error) => IdentityError::Provider(error),
                UserInfoError::ClaimsVerification(
                    openidconnect::ClaimsVerificationError::InvalidSubject(_),
                ) => IdentityError::OtherSubject,
                UserInfoError::Response(status, _, _) => unusable(&format!("userinfo said {status}")),
                _ => unusable("its userinfo endpoint does not speak OpenID Connect"),
            })?;
        Claims::from_userinfo(&answer, &self.config.groups_claim, &self.config.email_claim)
            .ok_or_else(|| unusable("its userinfo names nobody"))
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials { client_id: &self.config.client_id, secret: self.config.client_secret.as_ref() }
    }

    async fn metadata(&self, now: Timestamp) -> Result<Arc<Metadata>, IdentityError> {
        self.fetch(now, Want::Fresh).await
    }

    /// The provider's description: what is known if that will do, else asked for. Cancel-safe.
    async fn fetch(&self, now: Timestamp, want: Want) -> Result<Arc<Metadata>, IdentityError> {
        // A clock that was set back must not make old things fresh for long.
        let within = |since: Timestamp, length| now.duration_since(since).abs() < length;
        let mut known = self.known.lock().await;
        let mut forced_at = None;
        if let Some(known) = known.as_ref() {
            forced_at = known.forced_at;
            let enough = match want {
                Want::Fresh => within(known.at, FRESH_FOR),
                Want::OtherKeys => forced_at.is_some_and(|at| within(at, REFETCH_EVERY)),
            };
            if enough {
                return Ok(known.metadata.clone());
            }
        }
        if want == Want::OtherKeys {
            forced_at = Some(now);
        }
        let found = oidc::discover(&self.http, &self.config.issuer).await;
        let metadata = Arc::new(found.map_err(IdentityError::Provider)?);
        *known = Some(Known { metadata: metadata.clone(), at: now, forced_at });
        Ok(metadata)
    }
}
