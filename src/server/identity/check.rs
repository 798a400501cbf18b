//! Whether an ID token is to be believed: a pure function of the token, the
//! provider's keys, our rules and the time (OpenID Connect Core 1.0, section
//! 3.1.3.7). The crate checks signature, issuer, audience and expiry; the
//! algorithm, `azp`, `iat`, `nbf`, `nonce` and the leeway are ours.

use crate::core::model::Secret;
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
    /// What was sent along with the question; the device flow has none to send (RFC 8628).
    pub nonce: Option<&'a str>,
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
    #[error("the ID token answers another sign-in (by its nonce)")]
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
        .claims(&verifier(keys, rules, now, leeway)?, |nonce: Option<&Nonce>| match (rules.nonce, nonce) {
            (None, None) => Ok(()),
            (Some(sent), Some(back)) if Secret::new(sent) == Secret::new(back.secret().as_str()) => Ok(()),
            // Nobody gets one back who sent none, or another than was sent.
            _ => Err(String::new()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use ed25519_dalek::{Signer as _, SigningKey};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use openidconnect::JsonWebKeyId;
    use openidconnect::core::CoreJsonCurveType;
    use serde_json::{Value, json};

    const NOW: i64 = 1_800_000_000;
    const RULES: Rules<'static> = Rules {
        issuer: "https://id.example.com",
        client_id: "dbaccess",
        nonce: None,
        groups_claim: "groups",
        email_claim: "email",
        leeway: Duration::from_secs(60),
    };

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn keys() -> JsonWebKeySet<CoreJsonWebKey> {
        let public = key().verifying_key().to_bytes().to_vec();
        let id = Some(JsonWebKeyId::new("k1".to_owned()));
        JsonWebKeySet::new(vec![CoreJsonWebKey::new_okp(public, CoreJsonCurveType::Ed25519, id)])
    }

    fn part(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    fn signed(header: &Value, claims: &Value) -> String {
        let text = format!("{}.{}", part(header), part(claims));
        let signature = key().sign(text.as_bytes()).to_bytes();
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header() -> Value {
        json!({ "alg": "EdDSA", "kid": "k1" })
    }

    fn claims() -> Value {
        json!({
            "iss": "https://id.example.com", "sub": "u-1", "aud": "dbaccess",
            "iat": NOW - 10, "exp": NOW + 300, "email": "a@example.com", "groups": ["dev", "lead"],
        })
    }

    /// The good claims with these put in; `null` takes one out.
    fn with(changes: Value) -> Value {
        let mut claims = claims();
        for (name, value) in changes.as_object().unwrap() {
            let claims = claims.as_object_mut().unwrap();
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        claims
    }

    fn verdict(token: &str) -> Result<Claims, Rejected> {
        check(token, &keys(), &RULES, Timestamp::from_second(NOW).unwrap())
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_good_token_names_its_person() {
        let claims = verdict(&signed(&header(), &with(json!({ "name": "Alice" })))).unwrap();
        assert_eq!(claims.subject, "u-1");
        assert_eq!(claims.email.as_deref(), Some("a@example.com"));
        assert_eq!(claims.name.as_deref(), Some("Alice"));
        assert_eq!(claims.groups, Some(["dev", "lead"].map(str::to_owned).into()));
    }

    #[test]
    fn what_a_token_must_be_for() {
        let audience = || Err(Rejected::Audience { expected: "dbaccess".to_owned() });
        let issuer = || Err(Rejected::Issuer { trusted: RULES.issuer.to_owned() });
        let cases = [
            (json!({ "aud": ["dbaccess"] }), Ok(())),
            (json!({ "azp": "dbaccess" }), Ok(())),
            (json!({ "aud": ["dbaccess", "api"], "azp": "dbaccess" }), Ok(())),
            (json!({ "aud": "other" }), audience()),
            (json!({ "aud": [] }), audience()),
            (json!({ "aud": null }), audience()),
            (json!({ "aud": ["dbaccess", "api"] }), audience()),
            (json!({ "aud": ["dbaccess", "api"], "azp": "api" }), audience()),
            (json!({ "azp": "api" }), audience()),
            (json!({ "iss": "https://id.example.com/" }), issuer()),
            (json!({ "iss": "https://evil.example.com" }), issuer()),
            (json!({ "iss": null }), Err(Rejected::Malformed)),
            (json!({ "sub": null }), Err(Rejected::Malformed)),
            (json!({ "sub": "" }), Err(Rejected::Malformed)),
            (json!({ "sub": "a\u{1b}[2J" }), Err(Rejected::Malformed)),
            (json!({ "nonce": "n" }), Err(Rejected::Nonce)),
        ];
        for (changes, expected) in cases {
            let token = signed(&header(), &with(changes.clone()));
            assert_eq!(verdict(&token).map(drop), expected, "{changes}");
        }
    }

    #[test]
    fn a_nonce_that_was_sent_must_come_back() {
        let verdict = |changes: Value| {
            let rules = Rules { nonce: Some("n-1"), ..RULES };
            check(&signed(&header(), &with(changes)), &keys(), &rules, at(NOW)).map(drop)
        };
        assert_eq!(verdict(json!({ "nonce": "n-1" })), Ok(()));
        assert_eq!(verdict(json!({ "nonce": "n-2" })), Err(Rejected::Nonce));
        assert_eq!(verdict(json!({})), Err(Rejected::Nonce));
    }

    #[test]
    fn times_are_held_to_the_leeway_and_not_a_second_more() {
        let expired = |at_: i64| Err(Rejected::Expired { at: at(at_), now: at(NOW) });
        let early = |at_: i64| Err(Rejected::NotYetValid { at: at(at_), now: at(NOW) });
        let cases = [
            (json!({ "exp": NOW + 1 }), Ok(())),
            (json!({ "exp": NOW - 59 }), Ok(())),
            // "The current time MUST be before the time represented by the exp Claim."
            (json!({ "exp": NOW - 60 }), expired(NOW - 60)),
            (json!({ "exp": NOW - 3600 }), expired(NOW - 3600)),
            (json!({ "iat": NOW + 60 }), Ok(())),
            (json!({ "iat": NOW + 61 }), early(NOW + 61)),
            (json!({ "nbf": NOW + 60 }), Ok(())),
            (json!({ "nbf": NOW + 61 }), early(NOW + 61)),
            (json!({ "nbf": NOW - 5 }), Ok(())),
            (json!({ "nbf": "soon" }), Err(Rejected::Malformed)),
            (json!({ "nbf": 1e300 }), Err(Rejected::Malformed)),
            (json!({ "exp": null }), Err(Rejected::Malformed)),
            (json!({ "iat": null }), Err(Rejected::Malformed)),
            (json!({ "exp": 1e300 }), Err(Rejected::Malformed)),
        ];
        for (changes, expected) in cases {
            let token = signed(&header(), &with(changes.clone()));
            assert_eq!(verdict(&token).map(drop), expected, "{changes}");
        }
    }

    #[test]
    fn no_number_or_shape_of_a_claim_makes_the_check_panic() {
        let odd = [
            json!(-1e300),
            json!(1e18),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(-1),
            json!(0.5),
            json!("x"),
            json!(""),
            json!([]),
            json!({}),
            json!(true),
        ];
        let names = ["exp", "iat", "nbf", "auth_time", "updated_at", "aud", "azp", "sub", "email", "address"];
        for name in names {
            for value in &odd {
                let mut changed = claims();
                changed[name] = value.clone();
                drop(verdict(&signed(&header(), &changed)));
            }
        }
    }

    #[test]
    fn only_a_private_key_of_the_provider_signs() {
        let algorithm = |name: &str| Err(Rejected::Algorithm(name.to_owned()));
        let good = signed(&header(), &claims());
        let (text, _) = good.rsplit_once('.').unwrap();

        let unsigned = format!("{}.{}.", part(&json!({ "alg": "none" })), part(&claims()));
        assert_eq!(verdict(&unsigned).map(drop), algorithm("none"));

        let confused = format!("{}.{}", part(&json!({ "alg": "HS256", "kid": "k1" })), part(&claims()));
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key().verifying_key().as_bytes()).unwrap();
        mac.update(confused.as_bytes());
        let confused = format!("{confused}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()));
        assert_eq!(verdict(&confused).map(drop), algorithm("HS256"));

        let odd = signed(&json!({ "alg": "XX9", "kid": "k1" }), &claims());
        assert!(verdict(&odd).is_err());
        let elsewhere = signed(&json!({ "alg": "EdDSA", "kid": "k2" }), &claims());
        assert_eq!(verdict(&elsewhere).map(drop), Err(Rejected::UnknownKey));
        let other_kind = signed(&json!({ "alg": "ES256", "kid": "k1" }), &claims());
        assert_eq!(verdict(&other_kind).map(drop), Err(Rejected::UnknownKey));
        // The one key there is serves a token that names none.
        assert!(verdict(&signed(&json!({ "alg": "EdDSA" }), &claims())).is_ok());

        let stranger = SigningKey::from_bytes(&[8; 32]).sign(text.as_bytes()).to_bytes();
        let forged = format!("{text}.{}", URL_SAFE_NO_PAD.encode(stranger));
        assert_eq!(verdict(&forged).map(drop), Err(Rejected::Signature));
        let (head, signature) = (part(&header()), good.rsplit('.').next().unwrap());
        let swapped = format!("{head}.{}.{signature}", part(&with(json!({ "sub": "root" }))));
        assert_eq!(verdict(&swapped).map(drop), Err(Rejected::Signature));
    }

    #[test]
    fn other_tokens_are_no_id_tokens() {
        // An access token (RFC 9068) or a logout token has the same key and audience.
        for kind in ["at+jwt", "logout+jwt", "dpop+jwt"] {
            let token = signed(&json!({ "alg": "EdDSA", "kid": "k1", "typ": kind }), &claims());
            assert!(verdict(&token).is_err(), "{kind}");
        }
        let token = signed(&json!({ "alg": "EdDSA", "kid": "k1", "crit": ["exp"] }), &claims());
        assert!(verdict(&token).is_err());
        for text in ["", ".", "..", "a.b.c", "e30.e30.", "e30.e30.e30", "\u{0}", "💥.💥.💥"] {
            assert_eq!(verdict(text).map(drop), Err(Rejected::Malformed), "{text}");
        }
        assert_eq!(verdict(&"a".repeat(LONGEST_TOKEN + 1)).map(drop), Err(Rejected::Malformed));
        assert!(verdict(&signed(&json!({ "alg": "EdDSA", "kid": "k1", "typ": "JWT" }), &claims())).is_ok());
    }

    #[test]
    fn claims_that_providers_write_in_their_own_ways() {
        let groups =
            |value: Value| verdict(&signed(&header(), &with(json!({ "groups": value })))).unwrap().groups;
        assert_eq!(groups(Value::Null), None);
        assert_eq!(groups(json!("dev")), Some(["dev".to_owned()].into()));
        assert_eq!(groups(json!(["dev", 7, null])), Some(["dev".to_owned()].into()));
        assert_eq!(groups(json!([])), Some(BTreeSet::new()));
        assert_eq!(groups(json!({ "dev": true })), None);
        let email = |changes: Value| verdict(&signed(&header(), &with(changes))).unwrap().email;
        assert_eq!(email(json!({ "email": null })), None);
        assert_eq!(email(json!({ "email_verified": false })), None);
        assert_eq!(email(json!({ "email_verified": "false" })), None);
        assert_eq!(email(json!({ "email_verified": "true" })).as_deref(), Some("a@example.com"));
        assert_eq!(email(json!({ "email": "a\u{1b}]0;x@example.com" })), None);
        assert_eq!(email(json!({ "updated_at": "2026-11-23T10:00:00Z" })).as_deref(), Some("a@example.com"));
        let rules = Rules { email_claim: "upn", ..RULES };
        let token = signed(&header(), &with(json!({ "upn": "alice@corp.example.com" })));
        let claims = check(&token, &keys(), &rules, at(NOW)).unwrap();
        assert_eq!(claims.email.as_deref(), Some("alice@corp.example.com"));
    }
}
