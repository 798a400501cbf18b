//! Sealing recordings to an auditor: the server can write what only the
//! auditor's key reads.
//!
//! For each file: an ephemeral X25519 key (RFC 7748), the shared secret with
//! the auditor's public key, and from both, by HKDF-SHA256 (RFC 5869), a key of
//! AES-256-GCM. Its nonce is the chunk's index, its additional data the chunk's
//! index as it stands in the file; no key is used for two files.
//!
//! ```text
//! salt = ephemeral public key, auditor's public key
//! info = "dbaccess recording 1", header of the file
//! key  = HKDF(salt, X25519(secret of one, public of the other), info), 32 bytes
//! nonce = 8 zero bytes, index(u32);  additional data = index(u32)
//! ```

use super::{Header, RecordingError};
use crate::core::hex::{from_hex, hex};
use curve25519_dalek::MontgomeryPoint;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize as _, Zeroizing};

const PUBLIC: &str = "dbaccess-auditor-public-";
const SECRET: &str = "dbaccess-auditor-secret-";
const INFO: &[u8] = b"dbaccess recording 1";

/// Whom recordings are sealed to: an X25519 public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuditorKey([u8; 32]);

impl AuditorKey {
    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(in crate::core) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads `dbaccess-auditor-public-` and 64 lower-case hexadecimal digits,
    /// unless sealing to it would hide nothing.
    pub fn parse(text: &str) -> Option<Self> {
        let key = from_hex(text.trim().strip_prefix(PUBLIC)?)?;
        shared(key, [1; 32]).map(|_| Self(key))
    }

    /// Agrees on a secret with the owner of the key, from 32 random bytes: what
    /// they must be told for it, and the secret. None where the key gives it away.
    pub(in crate::core) fn agree(&self, mut random: [u8; 32]) -> Option<([u8; 32], Zeroizing<[u8; 32]>)> {
        let ephemeral = MontgomeryPoint::mul_base_clamped(random).to_bytes();
        let shared = shared(self.0, random);
        random.zeroize();
        Some((ephemeral, shared?))
    }
}

impl fmt::Display for AuditorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PUBLIC)?;
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for AuditorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What opens them. It is never on the server.
pub struct AuditorSecret(Zeroizing<[u8; 32]>);

impl AuditorSecret {
    /// A new one from 32 random bytes.
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text.trim().strip_prefix(SECRET)?).map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// The text of its key file.
    pub fn to_text(&self) -> Zeroizing<String> {
        let digits = Zeroizing::new(hex(&*self.0));
        Zeroizing::new([SECRET, &digits, "\n"].concat())
    }

    pub fn public(&self) -> AuditorKey {
        AuditorKey(MontgomeryPoint::mul_base_clamped(*self.0).to_bytes())
    }

    /// The secret that was agreed on with this key's public half.
    pub(in crate::core) fn agreed(&self, ephemeral: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        shared(*ephemeral, *self.0)
    }
}

impl fmt::Debug for AuditorSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Seals the chunks of one file.
pub struct Sealer(LessSafeKey);

impl Sealer {
    /// For a new file, from 32 random bytes; also what its header says of it.
    pub fn new(
        session: &crate::core::model::SessionId,
        auditor: AuditorKey,
        random: [u8; 32],
    ) -> Result<(Self, Header), RecordingError> {
        let weak = || RecordingError::WeakKey(auditor);
        let (ephemeral, shared) = auditor.agree(random).ok_or_else(weak)?;
        let header = Header { session: session.clone(), sealed: Some((ephemeral, auditor)) };
        let key = derive(shared, &ephemeral, &auditor, &header).ok_or_else(weak)?;
        Ok((Self(key), header))
    }

    /// Seals in place. None but the memory of a whole chunk could be too much for it.
    pub(super) fn seal(&self, index: u32, payload: &mut Vec<u8>) -> Result<(), RecordingError> {
        let sealed = self.0.seal_in_place_append_tag(nonce(index), Aad::from(index.to_be_bytes()), payload);
        sealed.map_err(|_| RecordingError::Unreadable { index, why: "it cannot be sealed".to_owned() })
    }
}

/// Opens the chunks of one file.
pub struct Opener(LessSafeKey);

impl Opener {
    /// `None` for a file that is not sealed.
    pub fn of(header: &Header, secret: Option<&AuditorSecret>) -> Result<Option<Self>, RecordingError> {
        let Some((ephemeral, auditor)) = &header.sealed else { return Ok(None) };
        let secret = secret.ok_or(RecordingError::Sealed(*auditor))?;
        if secret.public() != *auditor {
            return Err(RecordingError::OtherKey(*auditor));
        }
        let key = secret
            .agreed(ephemeral)
            .and_then(|shared| derive(shared, ephemeral, auditor, header))
            .ok_or(RecordingError::NotARecording)?;
        Ok(Some(Self(key)))
    }

    pub(super) fn open<'p>(&self, index: u32, payload: &'p mut [u8]) -> Result<&'p [u8], RecordingError> {
        let opened = self.0.open_in_place(nonce(index), Aad::from(index.to_be_bytes()), payload);
        opened.map(|plain| &*plain).map_err(|_| RecordingError::Unreadable {
            index,
            why: "it was not sealed with this file's key at this place".to_owned(),
        })
    }
}

/// None where the public key gives away the secret (RFC 7748, section 6.1).
fn shared(public: [u8; 32], mut secret: [u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
    let shared = Zeroizing::new(MontgomeryPoint(public).mul_clamped(secret).to_bytes());
    secret.zeroize();
    let weak: bool = shared.ct_eq(&[0; 32]).into();
    (!weak).then_some(shared)
}

fn derive(
    shared: Zeroizing<[u8; 32]>,
    ephemeral: &[u8; 32],
    auditor: &AuditorKey,
    header: &Header,
) -> Option<LessSafeKey> {
    let salt = [ephemeral.as_slice(), &auditor.0].concat();
    let extracted = Salt::new(HKDF_SHA256, &salt).extract(shared.as_slice());
    let header = header.encode();
    let info = [INFO, &header];
    let expanded = extracted.expand(&info, &AES_256_GCM).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(expanded)))
}

fn nonce(index: u32) -> Nonce {
    let [a, b, c, d] = index.to_be_bytes();
    Nonce::assume_unique_for_key([0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d])
}
