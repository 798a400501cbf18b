//! A signature by the ledger's key over a file that goes with a copy of the
//! ledger: three lines of text beside it.

use super::checkpoint::{PublicKey, signature};
use super::line::Hash;
use ed25519_dalek::SigningKey;

/// What the signature's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    pub key: PublicKey,
    /// In hex.
    signature: String,
}

/// Why a signature proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSigned {
    #[error("it is not a signature of dbaccess")]
    Malformed,
    #[error("it is signed by another key")]
    OtherKey,
    #[error("the signature does not fit")]
    BadSignature,
}

/// The first line of both the file and the signed text: it keeps the signature
/// from meaning anything in another place where the same key signs.
const TITLE: &str = "dbaccess evidence manifest v1";

fn text(of: &[u8]) -> String {
    format!("{TITLE}\n{}\n", Hash::of(of))
}

impl Detached {
    pub fn sign(of: &[u8], key: &SigningKey) -> Self {
        Self { key: PublicKey::of(key), signature: signature(&text(of), key) }
    }

    pub fn to_text(&self) -> String {
        format!("{TITLE}\nkey {}\nsignature {}\n", self.key, self.signature)
    }

    /// Checks the signature's file. Without a key to expect, the one that the
    /// file names is taken; returns the key used.
    pub fn verify(of: &[u8], file: &[u8], expected: Option<PublicKey>) -> Result<PublicKey, NotSigned> {
        let stated = Self::parse(file).ok_or(NotSigned::Malformed)?;
        if expected.is_some_and(|key| key != stated.key) {
            return Err(NotSigned::OtherKey);
        }
        match stated.key.has_signed(&text(of), &stated.signature) {
            Some(true) => Ok(stated.key),
            Some(false) => Err(NotSigned::BadSignature),
            None => Err(NotSigned::Malformed),
        }
    }

    fn parse(file: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(file).ok()?.strip_suffix('\n')?.split('\n');
        let title = lines.next()? == TITLE;
        let key = PublicKey::from_hex(lines.next()?.strip_prefix("key ")?)?;
        let signature = lines.next()?.strip_prefix("signature ")?.to_owned();
        (title && lines.next().is_none()).then_some(Self { key, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b4_a_signature_holds_for_its_file_and_key_alone() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let (own, other) = (PublicKey::of(&key), PublicKey::of(&SigningKey::from_bytes(&[8; 32])));
        let file = Detached::sign(b"manifest", &key).to_text();
        let forged = file.replace(&own.to_string(), &other.to_string());
        type Case<'a> = (&'a [u8], &'a str, Option<PublicKey>, Result<PublicKey, NotSigned>);
        let table: [Case<'_>; 7] = [
            (b"manifest", &file, None, Ok(own)),
            (b"manifest", &file, Some(own), Ok(own)),
            (b"manifest", &file, Some(other), Err(NotSigned::OtherKey)),
            (b"Manifest", &file, None, Err(NotSigned::BadSignature)),
            (b"manifest", &forged, None, Err(NotSigned::BadSignature)),
            (b"manifest", &file[..file.len() - 2], None, Err(NotSigned::Malformed)),
            (b"manifest", "", None, Err(NotSigned::Malformed)),
        ];
        for (of, file, expected, outcome) in table {
            assert_eq!(Detached::verify(of, file.as_bytes(), expected), outcome, "{file}");
        }
    }
}
