//! Bound values as the record has them, and the bound on what is kept of them.

use crate::core::hex::hex;
use crate::wire::postgres::WireError;
use crate::wire::postgres::frontend::{Bind, Format};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A value is put on record up to this many bytes; of a longer one, its hash is.
const LONGEST_VALUE: usize = 16 * 1024;
/// All that one connection's portals keep of values, in bytes.
const MOST_VALUES: usize = 4 << 20;

/// Bytes that a connection keeps; given back on drop (G9).
#[derive(Debug, Default)]
pub struct Held(Option<(Arc<AtomicUsize>, usize)>);

impl Held {
    /// Takes note of so many bytes, or not if that would be more than `most`.
    pub fn take(all: &Arc<AtomicUsize>, bytes: usize, most: usize) -> Option<Self> {
        let enough = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= most);
        all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough).ok()?;
        Some(Self(Some((Arc::clone(all), bytes))))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Self(Some((all, bytes))) = self {
            all.fetch_sub(*bytes, Ordering::Relaxed);
        }
    }
}

/// The values of a Bind for the record: themselves, those that are long by their hash.
#[derive(Debug, Default)]
pub struct Values {
    pub shown: Vec<Option<String>>,
    /// Of the whole Bind message's body, in hex.
    pub sha256: Option<String>,
    pub held: Held,
}

impl Values {
    /// Of a Bind that is here as a whole; `None` where the connection's portals
    /// keep as much already as they may.
    pub fn of(body: &[u8], all: &Arc<AtomicUsize>) -> Result<Option<Self>, WireError> {
        let bind = Bind::decode(body)?;
        Ok(Held::take(all, body.len(), MOST_VALUES).map(|held| {
            let shown = bind.parameters().map(|value| shown(value.format, value.value)).collect();
            Self { shown, sha256: None, held }
        }))
    }

    /// Of a Bind that went by in pieces.
    pub fn hashed(sha256: String) -> Self {
        Self { sha256: Some(sha256), ..Self::default() }
    }
}

/// Text as it was sent, anything else as `\x` and hex; of a long value its hash.
pub fn shown(format: Format, value: Option<&[u8]>) -> Option<String> {
    let value = value?;
    if value.len() > LONGEST_VALUE {
        return Some(format!("{} bytes, SHA-256 {}", value.len(), hex(&Sha256::digest(value))));
    }
    match (format, std::str::from_utf8(value)) {
        (Format::Text, Ok(text)) => Some(text.to_owned()),
        _ => Some(format!("\\x{}", hex(value))),
    }
}
