//! Lines that the ledger holds for a session's recording: enough to prove
//! later that the file is the one that was written, whole.

use super::SessionId;
use serde::{Deserialize, Serialize};

/// The body of a recording's ledger record. Like statements they do not pass
/// through the store: one comes every second of a busy session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum RecordingRecord {
    #[serde(rename = "recording.started")]
    Started {
        session: SessionId,
        /// Whom it is sealed to, where it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sealed_to: Option<String>,
        /// Of the file's header, in hex.
        sha256: String,
        bytes: u64,
    },
    /// A chunk is in the file, and synced.
    #[serde(rename = "recording.chunk")]
    Chunk {
        session: SessionId,
        index: u32,
        /// As it stands in the chunk, in hex.
        sha256: String,
        bytes: u64,
    },
    #[serde(rename = "recording.ended")]
    Ended {
        session: SessionId,
        chunks: u32,
        /// Of the whole file.
        bytes: u64,
        sha256: String,
        /// What a start of the server found of a recording that was not ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recovered: Option<Recovered>,
    },
}

impl RecordingRecord {
    pub fn session(&self) -> &SessionId {
        match self {
            Self::Started { session, .. } | Self::Chunk { session, .. } | Self::Ended { session, .. } => {
                session
            }
        }
    }
}

/// How much of a recording a crash has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovered {
    /// Chunks that were in the file and not on the ledger; they are now.
    pub untold: u32,
    /// Chunks that the ledger knows and the file does not hold.
    pub lost: u32,
    /// Bytes of a chunk that was not whole; they were cut off.
    pub torn_bytes: u64,
}
