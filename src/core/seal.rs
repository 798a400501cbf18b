//! Texts that come back as they were given out: signed, readable, not secret.
//!
//! A sealed text is `1.PAYLOAD.MAC` in URL-safe base 64: the payload is JSON, the
//! MAC is HMAC-SHA256 over the purpose and the payload, so that what was sealed
//! for one purpose opens for no other. Whether an opened text still holds (its
//! time, its person) is its own type's business.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// A longer text is not looked at (G9).
const LONGEST: usize = 4096;
const VERSION: &str = "1";

/// The server's own key for what it gives out and takes back.
#[derive(Clone)]
pub struct SealKey(Zeroizing<[u8; 32]>);

/// What a text was sealed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Leads to the decision about a request.
    Link,
    /// A sign-in in a browser that is under way.
    SignIn,
    /// Proves that a form was shown to the browser that sends it.
    Form,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Link => b"dbaccess link",
            Self::SignIn => b"dbaccess sign-in",
            Self::Form => b"dbaccess form",
        }
    }
}

/// The text was not sealed here for this purpose, or was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this was not written by this server, or was changed on the way")]
pub struct Forged;

impl SealKey {
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    pub fn seal<T: Serialize>(&self, purpose: Purpose, value: &T) -> Result<String, serde_json::Error> {
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(value)?);
        let mac = URL_SAFE_NO_PAD.encode(self.mac(purpose, &payload).finalize().into_bytes());
        Ok(format!("{VERSION}.{payload}.{mac}"))
    }

    /// Compares in constant time, and reads the payload only afterwards.
    pub fn open<T: DeserializeOwned>(&self, purpose: Purpose, text: &str) -> Result<T, Forged> {
        if text.len() > LONGEST {
            return Err(Forged);
        }
        let (version, rest) = text.split_once('.').ok_or(Forged)?;
        let (payload, mac) = rest.split_once('.').ok_or(Forged)?;
        let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| Forged)?;
        self.mac(purpose, payload).verify_slice(&mac).map_err(|_| Forged)?;
        if version != VERSION {
            return Err(Forged);
        }
        let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Forged)?;
        serde_json::from_slice(&payload).map_err(|_| Forged)
    }

    fn mac(&self, purpose: Purpose, payload: &str) -> Hmac<Sha256> {
        // RFC 2104 takes keys of any length.
        #[expect(clippy::expect_used, reason = "an HMAC key of 32 bytes is never refused")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("a key of any length");
        mac.update(purpose.label());
        mac.update(b"\n");
        mac.update(VERSION.as_bytes());
        mac.update(b".");
        mac.update(payload.as_bytes());
        mac
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SealKey {
        SealKey::new([7; 32])
    }

    #[test]
    fn what_was_sealed_opens_for_its_purpose_alone() {
        let text = key().seal(Purpose::Link, &("req-1", 7)).unwrap();
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_')), "{text}");
        assert_eq!(key().open::<(String, u32)>(Purpose::Link, &text), Ok(("req-1".to_owned(), 7)));
        assert_eq!(key().open::<(String, u32)>(Purpose::Form, &text), Err(Forged));
        assert_eq!(SealKey::new([8; 32]).open::<(String, u32)>(Purpose::Link, &text), Err(Forged));
        assert_eq!(format!("{:?}", key()), "<secret>");
    }

    #[test]
    fn a_text_with_any_bit_changed_is_forged() {
        let text = key().seal(Purpose::Link, &"req-1").unwrap();
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert_eq!(key().open::<String>(Purpose::Link, &changed), Err(Forged), "{changed}");
            }
        }
        for nonsense in ["", ".", "..", "1..", "1.e30.", "1.e30", "💥.💥.💥", &"a".repeat(LONGEST + 1)]
        {
            assert_eq!(key().open::<String>(Purpose::Link, nonsense), Err(Forged), "{nonsense}");
        }
    }
}
