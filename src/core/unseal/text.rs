//! Sealing what redacted records leave out: it takes the auditor's private key
//! and the server's share to read it, neither alone.
//!
//! For each session: an ephemeral X25519 key (RFC 7748) and the secret that it
//! shares with the auditor's public key. For each text: a number, the server's
//! share for it, and from both secrets, by HKDF-SHA256 (RFC 5869), a key of
//! AES-256-GCM that seals this text alone.
//!
//! ```text
//! share = HMAC-SHA256(server's key, "dbaccess share 1", ephemeral public key, number)
//! salt  = ephemeral public key, auditor's public key
//! info  = "dbaccess text 1", number, session id
//! key   = HKDF(salt, X25519(secret of one, public of the other) and share), 32 bytes
//! nonce = 12 zero bytes: no key is used twice
//! text  = base 64 (URL-safe) of
//!         1(u8)  first 8 bytes of the auditor's public key
//!         ephemeral public key (32)  number(u64)  ciphertext and tag
//! ```
//!
//! What is sealed is JSON, padded with spaces to a multiple of 64 bytes, so that
//! its length says little. Numbers are big-endian.

use super::UnsealError;
use crate::core::hex::{from_hex, hex};
use crate::core::model::SessionId;
use crate::core::recording::{AuditorKey, AuditorSecret};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use zeroize::Zeroizing;

const SHARE: &[u8] = b"dbaccess share 1";
const MARK_OF_KEY: &[u8] = b"dbaccess unseal key 1";
const INFO: &[u8] = b"dbaccess text 1";
const VERSION: u8 = 1;
/// Bytes of the auditor's public key that tell which one it is.
const MARK: usize = 8;
const BLOCK: usize = 64;

/// What a record leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Original<'a> {
    /// Of a statement, as it was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub parameters: Cow<'a, [Option<String>]>,
    /// SHA-256 in hex of parameters too large to hold, in place of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters_sha256: Option<Cow<'a, str>>,
    /// Of an error that the statement ended in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Cow<'a, str>>,
}

/// The server's half. Without it nothing that was sealed is ever read again.
#[derive(Clone)]
pub struct UnsealKey(Zeroizing<[u8; 32]>);

impl UnsealKey {
    pub fn new(key: [u8; 32]) -> Self {
        Self(Zeroizing::new(key))
    }

    /// What tells this key from others, in hex, and says nothing else of it.
    pub fn mark(&self) -> String {
        let mac = self.mac(&[MARK_OF_KEY]);
        let (mark, _) = mac.split_at(MARK);
        hex(mark)
    }

    /// The server's share in one text's key, in hex.
    pub fn share(&self, sealed: &str) -> Result<String, UnsealError> {
        let parts = Parts::read(sealed)?;
        Ok(hex(&*self.of(&parts.ephemeral, parts.number)))
    }

    fn of(&self, ephemeral: &[u8; 32], number: u64) -> Zeroizing<[u8; 32]> {
        self.mac(&[SHARE, ephemeral, &number.to_be_bytes()])
    }

    fn mac(&self, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        // RFC 2104 takes keys of any length.
        #[expect(clippy::expect_used, reason = "an HMAC key of 32 bytes is never refused")]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("RFC 2104");
        parts.iter().for_each(|part| mac.update(part));
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

/// Seals the texts of one session.
pub struct TextSealer {
    server: UnsealKey,
    auditor: AuditorKey,
    session: SessionId,
    ephemeral: [u8; 32],
    shared: Zeroizing<[u8; 32]>,
    next: AtomicU64,
}

impl TextSealer {
    /// From 32 random bytes. None where the auditor's key is too weak to seal to.
    pub fn new(
        server: &UnsealKey,
        auditor: AuditorKey,
        session: &SessionId,
        random: [u8; 32],
    ) -> Option<Self> {
        let (ephemeral, shared) = auditor.agree(random)?;
        let (server, session, next) = (server.clone(), session.clone(), AtomicU64::new(0));
        Some(Self { server, auditor, session, ephemeral, shared, next })
    }

    pub fn seal(&self, original: &Original<'_>) -> Result<String, UnsealError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let share = self.server.of(&self.ephemeral, number);
        let mut plain = serde_json::to_vec(original).map_err(|_| UnsealError::Unsealable)?;
        plain.resize(plain.len().next_multiple_of(BLOCK), b' ');
        let secrets = (&*self.shared, &*share);
        let key = key(secrets, &self.ephemeral, self.auditor.bytes(), number, &self.session);
        let sealed = key.ok_or(UnsealError::Unsealable)?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key([0; 12]),
            Aad::empty(),
            &mut plain,
        );
        sealed.map_err(|_| UnsealError::Unsealable)?;
        let (mark, _) = self.auditor.bytes().split_at(MARK);
        let bytes = [&[VERSION], mark, &self.ephemeral, &number.to_be_bytes(), plain.as_slice()].concat();
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Opens what was sealed, with both halves: `share` as the server gave it.
pub fn open(
    sealed: &str,
    share: &str,
    session: &SessionId,
    secret: &AuditorSecret,
) -> Result<Original<'static>, UnsealError> {
    let mut parts = Parts::read(sealed)?;
    let public = secret.public();
    if parts.mark != public.bytes()[..MARK] {
        return Err(UnsealError::OtherKey(hex(&parts.mark)));
    }
    let share = Zeroizing::new(from_hex(share).ok_or(UnsealError::NoShare)?);
    let shared = secret.agreed(&parts.ephemeral).ok_or(UnsealError::NotSealed)?;
    let key = key((&shared, &share), &parts.ephemeral, public.bytes(), parts.number, session);
    let plain = key
        .ok_or(UnsealError::NotSealed)?
        .open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut parts.ciphertext)
        .map_err(|_| UnsealError::NotSealed)?;
    serde_json::from_slice(plain).map_err(|_| UnsealError::NotSealed)
}

struct Parts {
    mark: [u8; MARK],
    ephemeral: [u8; 32],
    number: u64,
    ciphertext: Vec<u8>,
}

impl Parts {
    fn read(sealed: &str) -> Result<Self, UnsealError> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).map_err(|_| UnsealError::NotSealed)?;
        let parts = || {
            let (&[VERSION], rest) = bytes.split_first_chunk::<1>()? else { return None };
            let (mark, rest) = rest.split_first_chunk::<MARK>()?;
            let (ephemeral, rest) = rest.split_first_chunk::<32>()?;
            let (number, rest) = rest.split_first_chunk::<8>()?;
            let number = u64::from_be_bytes(*number);
            Some(Self { mark: *mark, ephemeral: *ephemeral, number, ciphertext: rest.to_vec() })
        };
        parts().ok_or(UnsealError::NotSealed)
    }
}

fn key(
    (shared, share): (&[u8; 32], &[u8; 32]),
    ephemeral: &[u8; 32],
    auditor: &[u8; 32],
    number: u64,
    session: &SessionId,
) -> Option<LessSafeKey> {
    let secrets = Zeroizing::new([shared.as_slice(), share].concat());
    let extracted = Salt::new(HKDF_SHA256, &[ephemeral.as_slice(), auditor].concat()).extract(&secrets);
    let number = number.to_be_bytes();
    let info = [INFO, &number, session.as_str().as_bytes()];
    let expanded = extracted.expand(&info, &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(expanded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(secret: &AuditorSecret, server: &UnsealKey) -> TextSealer {
        let session = SessionId::from_stored("ses-1");
        TextSealer::new(server, secret.public(), &session, [3; 32]).unwrap()
    }

    fn typed(text: &str) -> Original<'_> {
        Original { text: Some(text.into()), ..Original::default() }
    }

    #[test]
    fn r5_2_it_takes_both_halves_to_read_what_was_sealed() {
        let (secret, server) = (AuditorSecret::from_random([7; 32]), UnsealKey::new([9; 32]));
        let sealer = sealer(&secret, &server);
        let original =
            Original { parameters: vec![Some("x".to_owned()), None].into(), ..typed("SELECT 'a'") };
        let sealed = sealer.seal(&original).unwrap();
        let session = SessionId::from_stored("ses-1");
        let share = server.share(&sealed).unwrap();
        assert_eq!(open(&sealed, &share, &session, &secret), Ok(original));

        let other = AuditorSecret::from_random([8; 32]);
        assert!(matches!(open(&sealed, &share, &session, &other), Err(UnsealError::OtherKey(_))));
        let forged = UnsealKey::new([1; 32]).share(&sealed).unwrap();
        assert_eq!(open(&sealed, &forged, &session, &secret), Err(UnsealError::NotSealed));
        assert_eq!(open(&sealed, "", &session, &secret), Err(UnsealError::NoShare));
        assert_ne!(server.mark(), UnsealKey::new([1; 32]).mark());
        let elsewhere = SessionId::from_stored("ses-2");
        assert_eq!(open(&sealed, &share, &elsewhere, &secret), Err(UnsealError::NotSealed));
        for cut in [0, 1, 20, sealed.len() - 1] {
            let cut = sealed.get(..cut).unwrap();
            assert_eq!(open(cut, &share, &session, &secret), Err(UnsealError::NotSealed), "{cut}");
        }
    }

    #[test]
    fn r5_2_a_share_opens_one_text_and_no_other() {
        let (secret, server) = (AuditorSecret::from_random([7; 32]), UnsealKey::new([9; 32]));
        let sealer = sealer(&secret, &server);
        let session = SessionId::from_stored("ses-1");
        let (one, two) = (sealer.seal(&typed("a")).unwrap(), sealer.seal(&typed("a")).unwrap());
        assert_ne!(one, two);
        let share = server.share(&one).unwrap();
        assert_ne!(share, server.share(&two).unwrap());
        assert_eq!(open(&two, &share, &session, &secret), Err(UnsealError::NotSealed));
    }

    #[test]
    fn r5_2_the_length_says_little() {
        let (secret, server) = (AuditorSecret::from_random([7; 32]), UnsealKey::new([9; 32]));
        let sealer = sealer(&secret, &server);
        let length = |text: &str| sealer.seal(&typed(text)).unwrap().len();
        assert_eq!(length("SELECT 1"), length("SELECT '123-45-6789'"));
    }
}
