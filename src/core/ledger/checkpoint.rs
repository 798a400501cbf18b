//! Checkpoints: a signature over a line and, by the chain, over all before it.

use super::line::Hash;
use crate::core::hex::{from_hex, hex};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::Deserialize;
use std::fmt;

/// The Ed25519 key (RFC 8032) that a ledger's checkpoints are checked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    pub fn of(key: &SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }

    /// Reads 64 lower-case hexadecimal digits, as in the public key file.
    pub fn from_hex(text: &str) -> Option<Self> {
        from_hex(text.trim()).map(Self)
    }
}

impl PublicKey {
    /// Whether the key has signed the text; the signature is in hex.
    pub(super) fn has_signed(&self, text: &str, signature: &str) -> Option<bool> {
        let signature = Signature::from_bytes(&from_hex(signature)?);
        let key = VerifyingKey::from_bytes(&self.0);
        Some(key.and_then(|key| key.verify_strict(text.as_bytes(), &signature)).is_ok())
    }
}

/// An Ed25519 signature in hex.
pub(super) fn signature(text: &str, key: &SigningKey) -> String {
    hex(&key.sign(text.as_bytes()).to_bytes())
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A checkpoint as its line's body states it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Checkpoint {
    /// The number of the line before it.
    pub of: u64,
    /// That line's hash, in hex.
    pub hash: String,
    pub key: String,
    pub signature: String,
}

/// Why a checkpoint proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointFault {
    /// Not the one canonical form, or not about the line before it.
    Malformed,
    /// Signed by another key than the ledger's.
    OtherKey,
    /// The signature does not fit.
    BadSignature,
}

/// What is signed. The first line keeps the signature from meaning anything
/// in another place where the same key might sign.
fn text(of: u64, hash: &Hash) -> String {
    format!("dbaccess ledger checkpoint v1\n{of}\n{hash}\n")
}

impl Checkpoint {
    /// Signs line `of`, whose hash is `hash`.
    pub fn sign(of: u64, hash: &Hash, key: &SigningKey) -> Self {
        let signature = signature(&text(of, hash), key);
        Self { of, hash: hash.to_string(), key: PublicKey::of(key).to_string(), signature }
    }

    /// The body of its line.
    pub fn to_body(&self) -> String {
        let Self { of, hash, key, signature } = self;
        format!(
            r#"{{"kind":"checkpoint","of":{of},"hash":"{hash}","key":"{key}","signature":"{signature}"}}"#
        )
    }

    /// Whether a body claims to be a checkpoint.
    pub fn is(body: &str) -> bool {
        body.starts_with("{\"kind\":\"checkpoint\"")
    }

    /// Checks the body of the line that follows line `of`. Without a key to
    /// expect, the key that the checkpoint itself names is taken; returns the key used.
    pub fn verify(
        body: &str,
        of: u64,
        hash: &Hash,
        expected: Option<PublicKey>,
    ) -> Result<PublicKey, CheckpointFault> {
        let stated: Self = serde_json::from_str(body).map_err(|_| CheckpointFault::Malformed)?;
        if stated.to_body() != body || stated.of != of || stated.hash != hash.to_string() {
            return Err(CheckpointFault::Malformed);
        }
        let named = PublicKey::from_hex(&stated.key).ok_or(CheckpointFault::Malformed)?;
        if expected.is_some_and(|key| key != named) {
            return Err(CheckpointFault::OtherKey);
        }
        match named.has_signed(&text(of, hash), &stated.signature) {
            Some(true) => Ok(named),
            Some(false) => Err(CheckpointFault::BadSignature),
            None => Err(CheckpointFault::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_holds_for_its_line_and_key_alone() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let other = PublicKey::of(&SigningKey::from_bytes(&[8; 32]));
        let hash = Hash::of(b"line");
        let body = Checkpoint::sign(41, &hash, &key).to_body();
        assert!(Checkpoint::is(&body));
        let own = PublicKey::of(&key);
        assert_eq!(PublicKey::from_hex(&format!("{own}\n")), Some(own));
        let forged = Checkpoint { key: other.to_string(), ..Checkpoint::sign(41, &hash, &key) }.to_body();
        let table = [
            (body.as_str(), 41, hash, None, Ok(own)),
            (&body, 41, hash, Some(own), Ok(own)),
            (&body, 41, hash, Some(other), Err(CheckpointFault::OtherKey)),
            (&body, 40, hash, None, Err(CheckpointFault::Malformed)),
            (&body, 41, Hash::ZERO, None, Err(CheckpointFault::Malformed)),
            (&forged, 41, hash, None, Err(CheckpointFault::BadSignature)),
            ("{}", 41, hash, None, Err(CheckpointFault::Malformed)),
        ];
        for (body, of, hash, expected, outcome) in table {
            assert_eq!(Checkpoint::verify(body, of, &hash, expected), outcome, "{body}");
        }
    }
}
