//! The first packets of a connection, before frames have tags
//! (PostgreSQL manual 55.2.1, 55.2.10 to 55.2.12, 55.7).
//!
//! ```
//! use dbaccess::wire::postgres::startup::{First, read};
//! let Some((First::Ssl, 8)) = read(&[0, 0, 0, 8, 4, 210, 22, 47])? else { panic!() };
//! # Ok::<(), dbaccess::wire::postgres::WireError>(())
//! ```

use super::codec::{Reader, put_cstr, untagged};
use super::{Tag, WireError};
use bytes::{BufMut, BytesMut};
use subtle::ConstantTimeEq;

/// PostgreSQL's own limit (MAX_STARTUP_PACKET_LENGTH).
pub const MAX_PACKET: u32 = 10_000;
/// The newest minor version of protocol 3 that is spoken here: 3.2, of
/// PostgreSQL 18, with cancel keys of up to 256 bytes.
pub const NEWEST_MINOR: u16 = 2;

const SSL_REQUEST: u32 = 1234 << 16 | 5679;
const GSSENC_REQUEST: u32 = 1234 << 16 | 5680;
const CANCEL_REQUEST: u32 = 1234 << 16 | 5678;

/// What a connection begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First<'a> {
    /// A TLS handshake without an SSLRequest (libpq 17, `sslnegotiation=direct`).
    /// No byte of it is covered.
    Tls,
    /// Answered with one byte: `S` and a TLS handshake, or `N`.
    Ssl,
    /// Answered with one byte: `N` here.
    GssEnc,
    Cancel(Cancel<'a>),
    Startup(Startup),
}

/// Reads the packet at the front of `bytes` and says how many bytes it covers;
/// `None` while it is incomplete. Bytes behind an `Ssl` packet that came before
/// its answer must be refused (CVE-2021-23222), which is the caller's to do.
pub fn read(bytes: &[u8]) -> Result<Option<(First<'_>, usize)>, WireError> {
    /// The first byte of a TLS record that holds a handshake (RFC 8446, 5.1). A
    /// startup packet begins with 0, the high byte of its length.
    const TLS_HANDSHAKE: u8 = 0x16;
    if bytes.first() == Some(&TLS_HANDSHAKE) {
        return Ok(Some((First::Tls, 0)));
    }
    let Some((len, _)) = bytes.split_first_chunk() else { return Ok(None) };
    let len = u32::from_be_bytes(*len);
    if !(8..=MAX_PACKET).contains(&len) {
        return Err(WireError::Length { tag: Tag(0), len, max: MAX_PACKET });
    }
    let Some(body) = bytes.get(4..len as usize) else { return Ok(None) };
    Ok(Some((First::decode(body)?, len as usize)))
}

impl<'a> First<'a> {
    fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("startup packet", body);
        let code = reader.u32()?;
        Ok(match code {
            SSL_REQUEST => reader.end().map(|()| Self::Ssl)?,
            GSSENC_REQUEST => reader.end().map(|()| Self::GssEnc)?,
            CANCEL_REQUEST => {
                let (process_id, key) = (reader.u32()?, reader.rest());
                if !(4..=256).contains(&key.len()) {
                    return Err(reader.malformed("a cancel key has 4 to 256 bytes"));
                }
                Self::Cancel(Cancel { process_id, key })
            }
            version => Self::Startup(Startup::decode(version, reader)?),
        })
    }
}

/// A request on a connection of its own to stop what another one runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Cancel<'a> {
    pub process_id: u32,
    key: &'a [u8],
}

impl Cancel<'_> {
    /// Compares in constant time.
    pub fn has_key(&self, key: &[u8]) -> bool {
        self.key.ct_eq(key).into()
    }
}

impl std::fmt::Debug for Cancel<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cancel {{ process_id: {}, key: <secret> }}", self.process_id)
    }
}

/// What a client wants to be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// Of protocol 3; may be newer than [`NEWEST_MINOR`].
    pub minor: u16,
    /// In the order they came, without those of the protocol.
    pub parameters: Vec<(String, String)>,
    /// Names of protocol options (`_pq_.…`).
    pub protocol_options: Vec<String>,
}

impl Startup {
    fn decode(version: u32, mut reader: Reader<'_>) -> Result<Self, WireError> {
        let [major_high, major_low, minor_high, minor_low] = version.to_be_bytes();
        let major = u16::from_be_bytes([major_high, major_low]);
        let minor = u16::from_be_bytes([minor_high, minor_low]);
        if major != 3 {
            return Err(WireError::Version { major, minor });
        }
        let mut startup = Self { minor, parameters: Vec::new(), protocol_options: Vec::new() };
        loop {
            let name = reader.text()?;
            if name.is_empty() {
                break;
            }
            let value = reader.text()?;
            if name.starts_with("_pq_.") {
                startup.protocol_options.push(name.to_owned());
            } else {
                startup.parameters.push((name.to_owned(), value.to_owned()));
            }
        }
        reader.end()?;
        Ok(startup)
    }

    /// The value of a parameter; of several the last, as PostgreSQL takes it.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The minor version both sides speak.
    pub fn agreed_minor(&self) -> u16 {
        self.minor.min(NEWEST_MINOR)
    }

    /// Whether the client must be told, by
    /// [`negotiate_protocol_version`](super::backend::negotiate_protocol_version),
    /// what is not understood: a newer minor version, or any protocol option.
    pub fn must_negotiate(&self) -> bool {
        self.minor > NEWEST_MINOR || !self.protocol_options.is_empty()
    }
}

/// A StartupMessage of protocol 3. Empty names end the list, so they are left out.
pub fn startup<'a>(out: &mut BytesMut, minor: u16, parameters: impl IntoIterator<Item = (&'a str, &'a str)>) {
    untagged(out, |out| {
        out.put_u16(3);
        out.put_u16(minor);
        for (name, value) in parameters.into_iter().filter(|(name, _)| !name.is_empty()) {
            put_cstr(out, name);
            put_cstr(out, value);
        }
        out.put_u8(0);
    });
}

pub fn ssl_request(out: &mut BytesMut) {
    untagged(out, |out| out.put_u32(SSL_REQUEST));
}

pub fn cancel_request(out: &mut BytesMut, process_id: u32, key: &[u8]) {
    untagged(out, |out| {
        out.put_u32(CANCEL_REQUEST);
        out.put_u32(process_id);
        out.put_slice(key);
    });
}

#[cfg(test)]
mod tests;
