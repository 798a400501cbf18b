//! The provider's key (ES256) and the tokens it signs.

use super::Algorithm;
use anyhow::{Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

#[derive(Debug)]
pub(super) struct Key {
    pair: EcdsaKeyPair,
    id: String,
}

impl Key {
    pub(super) fn generate() -> Result<Self> {
        let random = SystemRandom::new();
        let failed = |_| anyhow!("cannot make a signing key");
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).map_err(failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random)
            .map_err(|error| anyhow!("cannot use a signing key: {error}"))?;
        let mut id = URL_SAFE_NO_PAD.encode(Sha256::digest(pair.public_key().as_ref()));
        id.truncate(12);
        Ok(Self { pair, id })
    }

    /// The public half (RFC 7517).
    pub(super) fn to_jwk(&self) -> Value {
        // An uncompressed point: 4, x, y (SEC 1 section 2.3.3).
        let (x, y) = self.pair.public_key().as_ref().split_at_checked(33).unwrap_or_default();
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.id,
            "x": URL_SAFE_NO_PAD.encode(x.get(1..).unwrap_or_default()), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    /// Signs claims into a compact JWT (RFC 7515 section 7.1).
    pub(super) fn sign(&self, claims: &Value, algorithm: Algorithm) -> Result<String> {
        let name = match algorithm {
            Algorithm::Es256 => "ES256",
            Algorithm::None => "none",
            Algorithm::Hs256 => "HS256",
        };
        let header = json!({ "alg": name, "kid": self.id, "typ": "JWT" });
        let text = format!("{}.{}", encode(&header), encode(claims));
        let signature = match algorithm {
            Algorithm::Es256 => {
                let random = SystemRandom::new();
                let signature = self.pair.sign(&random, text.as_bytes());
                signature.map_err(|_| anyhow!("cannot sign"))?.as_ref().to_vec()
            }
            Algorithm::None => Vec::new(),
            Algorithm::Hs256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(self.pair.public_key().as_ref())?;
                mac.update(text.as_bytes());
                mac.finalize().into_bytes().to_vec()
            }
        };
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
