//! SCRAM-SHA-256 (RFC 5802, RFC 7677; PostgreSQL manual 55.3): the server's
//! side for clients of the gateway, the client's side for the target.
//!
//! One derivation ([`Keys::derive`], the only costly step) serves everything
//! about a session's password: the [`Verifier`] that PostgreSQL stores, and
//! every later login upstream, which takes six hashes in place of thousands.
//! Nonces and salts come in from outside.
//!
//! ```
//! use dbaccess::wire::postgres::scram::{Binding, Client, Keys, Server, SCRAM_SHA_256};
//! let keys = Keys::derive("opensesame", b"sixteen bytes...", 4096)?;
//!
//! let (client, first) = Client::start(&keys, "client-nonce", None);
//! let server = Server::new(keys.verifier(), "server-nonce", Binding::Unavailable);
//! let (server, challenge) = server.transition(SCRAM_SHA_256, first.as_bytes())?;
//! let (client, proof) = client.transition(challenge.as_bytes())?;
//! let signature = server.transition(proof.as_bytes())?;
//! client.transition(signature.as_bytes())?;
//! # Ok::<(), dbaccess::wire::postgres::WireError>(())
//! ```

mod client;
mod server;
#[cfg(test)]
mod tests;

pub use client::{Client, ClientProved};
pub use server::{Binding, Server, ServerChallenged};

use super::WireError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

pub const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
pub const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";
/// What PostgreSQL takes by default (`scram_iterations`).
pub const DEFAULT_ITERATIONS: u32 = 4096;
/// Length of the salts that PostgreSQL draws.
pub const SALT_BYTES: usize = 16;

type Hash = [u8; 32];

fn hmac(key: &[u8], parts: &[&[u8]]) -> Hash {
    mac(key).map_or_else(
        // Unreachable: HMAC takes a key of any length. A zero hash matches nothing.
        || [0; 32],
        |mut mac| {
            parts.iter().for_each(|part| mac.update(part));
            mac.finalize().into_bytes().into()
        },
    )
}

fn mac(key: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::<Sha256>::new_from_slice(key).ok()
}

fn digest(key: &Hash) -> Hash {
    Sha256::digest(key).into()
}

fn xor(mut left: Hash, right: &Hash) -> Hash {
    left.iter_mut().zip(right).for_each(|(left, right)| *left ^= right);
    left
}

fn malformed(why: &'static str) -> WireError {
    WireError::Malformed { message: "SCRAM message", why }
}

/// What is needed to log in with a password, in its place: the client key and
/// the server key for one salt and iteration count.
#[derive(Clone)]
pub struct Keys {
    iterations: u32,
    salt: Vec<u8>,
    client_key: Zeroizing<Hash>,
    server_key: Zeroizing<Hash>,
}

impl Keys {
    /// PBKDF2 over the password: milliseconds of work at 4096 iterations.
    ///
    /// # Errors
    /// A password that is not ASCII. Others would have to be normalised
    /// (SASLprep), and the passwords that are made here never need it.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Result<Self, WireError> {
        if !password.is_ascii() {
            return Err(malformed("only ASCII passwords are derived here"));
        }
        if iterations == 0 {
            return Err(malformed("the iteration count is 0"));
        }
        let salted = Zeroizing::new(salted_password(password.as_bytes(), salt, iterations));
        Ok(Self {
            iterations,
            salt: salt.to_vec(),
            client_key: hmac(&*salted, &[b"Client Key"]).into(),
            server_key: hmac(&*salted, &[b"Server Key"]).into(),
        })
    }

    pub fn verifier(&self) -> Verifier {
        Verifier {
            iterations: self.iterations,
            salt: self.salt.clone(),
            stored_key: digest(&self.client_key).into(),
            server_key: self.server_key.clone(),
            mock: false,
        }
    }
}

/// Hi() of RFC 5802: PBKDF2 with HMAC-SHA-256 and one block of output.
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Hash {
    let Some(keyed) = mac(password) else { return [0; 32] };
    let round = |parts: &[&[u8]]| -> Hash {
        let mut mac = keyed.clone();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    };
    let mut last = round(&[salt, &1_u32.to_be_bytes()]);
    let mut sum = last;
    for _ in 1..iterations {
        last = round(&[&last]);
        sum = xor(sum, &last);
    }
    sum
}

/// What a server stores in place of a password. It does not let anybody log
/// in, but whoever holds it can guess at the password or play the server.
#[derive(Clone)]
pub struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: Zeroizing<Hash>,
    server_key: Zeroizing<Hash>,
    /// Belongs to nobody: no proof is right.
    mock: bool,
}

impl Verifier {
    /// For a user that does not exist: the same exchange, with a salt that is
    /// always the same for the same name (as PostgreSQL's `mock_authentication_nonce`
    /// makes it), and a refusal at its end.
    pub fn mock(server_secret: &[u8], user: &str, iterations: u32) -> Self {
        let mut salt = hmac(server_secret, &[b"mock salt", user.as_bytes()]).to_vec();
        salt.truncate(SALT_BYTES);
        Self {
            iterations,
            salt,
            stored_key: hmac(server_secret, &[b"mock key", user.as_bytes()]).into(),
            server_key: hmac(server_secret, &[b"mock server", user.as_bytes()]).into(),
            mock: true,
        }
    }

    /// Reads what [`Verifier::to_postgres`] writes (`pg_authid.rolpassword`).
    pub fn parse(text: &str) -> Result<Self, WireError> {
        let parts = || {
            let (iterations, rest) = text.strip_prefix("SCRAM-SHA-256$")?.split_once(':')?;
            let (salt, keys) = rest.split_once('$')?;
            let (stored, server) = keys.split_once(':')?;
            Some(Self {
                iterations: iterations.parse().ok().filter(|&count| count > 0)?,
                salt: STANDARD.decode(salt).ok()?,
                stored_key: decode_hash(stored)?.into(),
                server_key: decode_hash(server)?.into(),
                mock: false,
            })
        };
        parts()
            .ok_or(WireError::Malformed { message: "SCRAM verifier", why: "it is not of PostgreSQL's form" })
    }

    /// The form `CREATE ROLE … PASSWORD` takes, so that no log of the server
    /// ever holds the password.
    pub fn to_postgres(&self) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "SCRAM-SHA-256${}:{}${}:{}",
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(*self.stored_key),
            STANDARD.encode(*self.server_key)
        ))
    }
}

fn decode_hash(text: &str) -> Option<Hash> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(<secret>)")
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(<secret>)")
    }
}

/// Takes `name=value` off the front of a message.
fn attribute<'a>(rest: &mut &'a str, name: char) -> Option<&'a str> {
    let value = rest.strip_prefix(name)?.strip_prefix('=')?;
    let (value, after) = value.split_once(',').unwrap_or((value, ""));
    *rest = after;
    Some(value)
}

fn text(message: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))
}

/// A nonce is of printable ASCII without the comma (RFC 5802, section 7).
fn is_nonce(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}
