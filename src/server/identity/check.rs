//! Whether an ID token is to be believed: a pure function of the token, the
//! provider's keys, our rules and the time (OpenID Connect Core 1.0, section
//! 3.1.3.7). The crate checks signature, issuer, audience and expiry; the
//! algorithm, `azp`, `iat`, `nbf`, `nonce` and the leeway are ours.

use jiff::{SignedDuration, Timestamp};
use openidconnect::core::{
    CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AdditionalClaims, ClaimsVerificationError, ClientId, EndUserEmail, EndUserName, EndUserUsername, IdToken,
    IdTokenClaims, IdTokenVerifier, IssuerUrl, JsonWebKeySet, LocalizedClaim, Nonce,
    SignatureVerificationError, SubjectIdentifier, UserInfoClaims,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// Algorithms that only the holder of a private key can sign with. Pinned here
/// and not taken from discovery, so that `none` and `HS256` are never options.
/// ES512 is missing because the crate cannot verify it.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// A longer token is not read at all.
const LONGEST_TOKEN: usize = 64 * 1024;

/// What a token is held against.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub issuer: &'a str,
    pub client_id: &'a str,
    pub groups_claim: &'a str,
    pub email_claim: &'a str,
    /// How far the provider's clock and ours may differ.
    pub leeway: Duration,
}

/// What the token says of its person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub subject: String,
    /// Absent as well when the provider says that it is not verified.
    pub email: Option<String>,
    pub name: Option<String>,
    /// `None` when the claim is absent: userinfo may have it.
    pub groups: Option<BTreeSet<String>>,
}

/// Why an ID token is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("this is not an ID token")]
    Malformed,
    #[error("the ID token is signed with `{0}`, which is not accepted here")]
    Algorithm(String),
    #[error("the identity provider has no key of the name that the ID token was signed with")]
    UnknownKey,
    #[error("the ID token's signature is wrong")]
    Signature,
    #[error("the ID token is from another issuer; this server trusts {trusted}")]
    Issuer { trusted: String },
    #[error("the ID token is for another application; here it must be for `{expected}`")]
    Audience { expected: String },
    #[error("the ID token expired at {at}, and now is {now}: sign in again, and check both clocks")]
    Expired { at: Timestamp, now: Timestamp },
    #[error("the ID token is valid from {at}, and now is {now}: check the clocks of both machines")]
    NotYetValid { at: Timestamp, now: Timestamp },
    #[error("the ID token answers another sign-in (it has a nonce)")]
    Nonce,
}

/// Checks one ID token. `now` is the server's clock.
pub fn check(
    id_token: &str,
    keys: &JsonWebKeySet<CoreJsonWebKey>,
    rules: &Rules<'_>,
    now: Timestamp,
) -> Result<Claims, Rejected> {
    if id_token.len() > LONGEST_TOKEN {
        return Err(Rejected::Malformed);
    }
    let token = Token::from_str(id_token).map_err(|_| Rejected::Malformed)?;
    let algorithm = token.signing_alg().map_err(|_| Rejected::Algorithm("none".to_owned()))?;
    if !ALGORITHMS.contains(algorithm) {
        return Err(Rejected::Algorithm(algorithm_name(algorithm)));
    }
    let leeway = SignedDuration::try_from(rules.leeway).unwrap_or(SignedDuration::ZERO);
    let claims = token
        .claims(&verifier(keys, rules, now, leeway)?, |nonce: Option<&Nonce>| match nonce {
            // The device flow has no nonce to send (RFC 8628), so nobody gets one back.
            None => Ok(()),
            Some(_) => Err(String::new()),
        })
        .map_err(|error| rejection(&error, &token, rules, now))?;
    authorized_party(claims, rules)?;
    not_yet_valid(claims, now, leeway)?;
    let said = Said {
        subject: claims.subject(),
        email: claims.email(),
        email_verified: claims.email_verified(),
        username: claims.preferred_username(),
        name: claims.name(),
        more: claims.additional_claims(),
    };
    said.read(rules.groups_claim, rules.email_claim).ok_or(Rejected::Malformed)
}

impl Claims {
    /// What the userinfo endpoint says; its subject is checked by who asked.
    pub(super) fn from_userinfo(
        answer: &UserInfoClaims<MoreClaims, CoreGenderClaim>,
        groups_claim: &str,
        email_claim: &str,
    ) -> Option<Self> {
        let said = Said {
            subject: answer.subject(),
            email: answer.email(),
            email_verified: answer.email_verified(),
            username: answer.preferred_username(),
            name: answer.name(),
            more: answer.additional_claims(),
        };
        said.read(groups_claim, email_claim)
    }

    /// Takes what is missing here from `more`; what the ID token said stands.
    pub(super) fn fill_from(&mut self, more: Self) {
        self.email = self.email.take().or(more.email);
        self.name = self.name.take().or(more.name);
        self.groups = self.groups.take().or(more.groups);
    }
}

/// All the claims that the standard does not name, `nbf` and groups among them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MoreClaims {
    #[serde(flatten)]
    all: serde_json::Map<String, serde_json::Value>,
}
impl AdditionalClaims for MoreClaims {}

type Token = IdToken<MoreClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;

/// What an ID token or userinfo said, which the crate keeps in two types.
struct Said<'a> {
    subject: &'a SubjectIdentifier,
    email: Option<&'a EndUserEmail>,
    email_verified: Option<bool>,
    username: Option<&'a EndUserUsername>,
    name: Option<&'a LocalizedClaim<EndUserName>>,
    more: &'a MoreClaims,
}

impl Said<'_> {
    /// `None` when the subject cannot be one.
    fn read(&self, groups_claim: &str, email_claim: &str) -> Option<Claims> {
        let printable = |text: &&str| is_printable(text);
        let subject = Some(self.subject.as_str()).filter(printable)?;
        let email = match email_claim {
            "email" if self.email_verified == Some(false) => None,
            "email" => self.email.map(|email| email.as_str()),
            "preferred_username" => self.username.map(|name| name.as_str()),
            other => self.more.all.get(other).and_then(serde_json::Value::as_str),
        };
        let name = self.name.and_then(|names| names.iter().next()).map(|(_, name)| name.as_str());
        Some(Claims {
            subject: subject.to_owned(),
            email: email.filter(printable).map(str::to_owned),
            name: name.filter(printable).map(str::to_owned),
            groups: groups(self.more, groups_claim),
        })
    }
}

fn verifier<'a>(
    keys: &JsonWebKeySet<CoreJsonWebKey>,
    rules: &Rules<'a>,
    now: Timestamp,
    leeway: SignedDuration,
) -> Result<IdTokenVerifier<'a, CoreJsonWebKey>, Rejected> {
    let issuer = IssuerUrl::new(rules.issuer.to_owned())
        .map_err(|_| Rejected::Issuer { trusted: rules.issuer.to_owned() })?;
    let verifier =
        IdTokenVerifier::new_public_client(ClientId::new(rules.client_id.to_owned()), issuer, keys.clone())
            .set_allowed_algs(ALGORITHMS)
            // Other audiences are allowed where `azp` says that the token is ours.
            .set_other_audience_verifier_fn(|_| true)
            .set_time_fn(move || SystemTime::from(now.saturating_sub(leeway).unwrap_or(now)).into());
    Ok(verifier)
}

/// `azp` must name us where it is present, and must be present where the token
/// has other audiences beside us.
fn authorized_party(
    claims: &IdTokenClaims<MoreClaims, CoreGenderClaim>,
    rules: &Rules<'_>,
) -> Result<(), Rejected> {
    let ours = match claims.authorized_party() {
        Some(party) => party.as_str() == rules.client_id,
        None => claims.audiences().len() == 1,
    };
    if ours { Ok(()) } else { Err(Rejected::Audience { expected: rules.client_id.to_owned() }) }
}

fn not_yet_valid(
    claims: &IdTokenClaims<MoreClaims, CoreGenderClaim>,
    now: Timestamp,
    leeway: SignedDuration,
) -> Result<(), Rejected> {
    let latest = now.saturating_add(leeway).unwrap_or(now);
    let issued = Timestamp::from_second(claims.issue_time().timestamp()).map_err(|_| Rejected::Malformed)?;
    let from = match claims.additional_claims().all.get("nbf") {
        None => issued,
        Some(value) => {
            let seconds = value.as_f64().ok_or(Rejected::Malformed)?;
            let nbf = SignedDuration::try_from_secs_f64(seconds).map_err(|_| Rejected::Malformed)?;
            Timestamp::from_duration(nbf).map_err(|_| Rejected::Malformed)?.max(issued)
        }
    };
    if from > latest { Err(Rejected::NotYetValid { at: from, now }) } else { Ok(()) }
}

fn rejection(error: &ClaimsVerificationError, token: &Token, rules: &Rules<'_>, now: Timestamp) -> Rejected {
    match error {
        ClaimsVerificationError::Expired(_) => Rejected::Expired { at: expiry(token).unwrap_or(now), now },
        ClaimsVerificationError::InvalidAudience(_) => {
            Rejected::Audience { expected: rules.client_id.to_owned() }
        }
        ClaimsVerificationError::InvalidIssuer(_) => Rejected::Issuer { trusted: rules.issuer.to_owned() },
        ClaimsVerificationError::InvalidNonce(_) => Rejected::Nonce,
        ClaimsVerificationError::SignatureVerification(error) => match error {
            // Several keys and no name: new keys may tell them apart.
            SignatureVerificationError::NoMatchingKey | SignatureVerificationError::AmbiguousKeyId(_) => {
                Rejected::UnknownKey
            }
            SignatureVerificationError::DisallowedAlg(_)
            | SignatureVerificationError::UnsupportedAlg(_)
            | SignatureVerificationError::NoSignature => {
                Rejected::Algorithm(token.signing_alg().map_or_else(|_| "none".to_owned(), algorithm_name))
            }
            _ => Rejected::Signature,
        },
        _ => Rejected::Malformed,
    }
}

/// When a token that was found to be expired says that it did, for the message.
fn expiry(token: &Token) -> Option<Timestamp> {
    use base64::Engine as _;
    #[derive(Deserialize)]
    struct Payload {
        exp: f64,
    }
    let text = token.to_string();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text.split('.').nth(1)?).ok()?;
    let seconds = serde_json::from_slice::<Payload>(&payload).ok()?.exp;
    Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

fn algorithm_name(algorithm: &CoreJwsSigningAlgorithm) -> String {
    serde_json::to_value(algorithm)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn groups(more: &MoreClaims, claim: &str) -> Option<BTreeSet<String>> {
    match more.all.get(claim)? {
        serde_json::Value::String(one) => Some(BTreeSet::from([one.clone()])),
        serde_json::Value::Array(several) => {
            Some(several.iter().filter_map(|group| group.as_str().map(str::to_owned)).collect())
        }
        _ => None,
    }
}

/// Names end up on terminals and in records: no control characters, no bulk.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.len() <= 320 && !text.chars().any(char::is_control)
}
