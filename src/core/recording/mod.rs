//! Recordings: what a session's client said and what it was answered, as bytes
//! of the protocol, with marks that lead to the ledger. One file a session.
//!
//! It decides the file's form, byte for byte, and whether a file is what the
//! ledger says. It reads no file, and knows nothing of what the bytes mean:
//! `server::recording` writes, `cli::recorded` shows.
//!
//! ```text
//! file    = header chunk*
//! header  = "dbaccess-rec-1\n" sealed(u8: 0 or 1)
//!           [ephemeral public key (32)  auditor's public key (32)]   when sealed
//!           length(u16) session id
//! chunk   = index(u32) length(u32) SHA-256(32) payload(length)
//!           the hash is of index, length and payload, and is on the ledger
//! payload = a Zstandard frame of entries; when sealed, AES-256-GCM of one
//! entry   = kind(u8) connection(u16) time(i64) length(u32) bytes(length)
//! ```
//!
//! Numbers are big-endian, times are microseconds since 1970. A chunk is read
//! without those before it, so that a player can seek.

mod chunk;
mod entry;
mod header;
mod proof;
mod seal;

pub use chunk::{Chunk, Chunks, LARGEST_CHUNK, encode_chunk};
pub use entry::{Connected, Entries, Entry, HEAD, Kind, Outcome, Statement, push_entry};
pub use header::Header;
pub use proof::{Mismatch, Proof};
pub use seal::{AuditorKey, AuditorSecret, Opener, Sealer};

/// What is wrong with a recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    #[error("it is not a recording of dbaccess")]
    NotARecording,
    #[error("it ends within its header")]
    NoHeader,
    /// What a crash leaves, or a cut.
    #[error("it ends within chunk {index}: {bytes} bytes of it are there")]
    Torn { index: u32, bytes: usize },
    #[error("chunk {index} says that it has {bytes} bytes, which none has")]
    TooLarge { index: u32, bytes: u64 },
    #[error("chunk {found} stands where chunk {expected} belongs")]
    Misplaced { expected: u32, found: u32 },
    #[error("chunk {index} is not as it was written")]
    Damaged { index: u32 },
    #[error("it is sealed to the auditor's key {0}: that key's file must be named with --key")]
    Sealed(AuditorKey),
    #[error("it is sealed to another key, {0}")]
    OtherKey(AuditorKey),
    #[error("chunk {index} cannot be read: {why}")]
    Unreadable { index: u32, why: String },
    #[error("{0} is no key to seal to: it is a point of small order")]
    WeakKey(AuditorKey),
}
