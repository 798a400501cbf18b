//! What a recording is made of: bytes of the two directions as the client saw
//! them, and marks between them that say which statement they belong to.

use super::RecordingError;
use crate::core::model::{ConnectionId, StatementResult};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Bytes before an entry's own.
pub const HEAD: usize = 1 + 2 + 8 + 4;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client connected: [`Connected`] as JSON.
    Connected,
    /// It is gone.
    Disconnected,
    /// Bytes that the client sent after its login, as it sent them.
    Client,
    /// Bytes that it was sent: masked, cut and refused as it saw them.
    Server,
    /// A statement begins: [`Statement`] as JSON.
    Statement,
    /// A statement has ended: [`Outcome`] as JSON.
    Outcome,
}

const KINDS: [(Kind, u8); 6] = [
    (Kind::Connected, b'['),
    (Kind::Disconnected, b']'),
    (Kind::Client, b'>'),
    (Kind::Server, b'<'),
    (Kind::Statement, b'S'),
    (Kind::Outcome, b'O'),
];

/// A connection of the session. Entries name it by its number in this recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    pub connection: ConnectionId,
}

/// A statement, as its intent on the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The intent's place on the ledger.
    pub intent: u64,
    pub text: String,
    /// The text is longer than it stands here; the ledger has all of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub intent: u64,
    pub result: StatementResult,
    pub rows: u64,
    /// The place in the bytes that the client was sent on this connection, at
    /// which its answer ends; it may still be to come. None where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<u64>,
}

/// One entry as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub kind: Kind,
    /// The connection's number.
    pub connection: u16,
    pub at: Timestamp,
    pub bytes: &'a [u8],
}

/// Appends one entry. `bytes` must be fewer than 4 GiB, and are: a chunk is smaller.
pub fn push_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    let kind = KINDS.iter().find(|(kind, _)| *kind == entry.kind).map_or(b'?', |(_, byte)| *byte);
    out.push(kind);
    out.extend_from_slice(&entry.connection.to_be_bytes());
    out.extend_from_slice(&entry.at.as_microsecond().to_be_bytes());
    out.extend_from_slice(&u32::try_from(entry.bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(entry.bytes);
}

/// The entries of an opened chunk.
pub struct Entries<'a> {
    rest: &'a [u8],
    index: u32,
}

impl<'a> Entries<'a> {
    /// Of the chunk `index`, which errors name.
    pub fn new(index: u32, payload: &'a [u8]) -> Self {
        Self { rest: payload, index }
    }

    fn read(&mut self) -> Option<Entry<'a>> {
        let (&[kind], rest) = self.rest.split_first_chunk::<1>()?;
        let (connection, rest) = rest.split_first_chunk::<2>()?;
        let (at, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (bytes, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        self.rest = rest;
        Some(Entry {
            kind: KINDS.iter().find(|(_, byte)| *byte == kind)?.0,
            connection: u16::from_be_bytes(*connection),
            at: Timestamp::from_microsecond(i64::from_be_bytes(*at)).ok()?,
            bytes,
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, RecordingError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = self.read().ok_or_else(|| {
            self.rest = &[];
            RecordingError::Unreadable { index: self.index, why: "its entries do not fit it".to_owned() }
        });
        Some(entry)
    }
}
