//! Whether a recording is what the ledger says: the hashes of its header and of
//! each chunk, how many there are, and that it has not ended before its end.

use super::Chunk;
use crate::core::ledger::Hash;
use crate::core::model::{RecordingRecord, Recovered};

/// How a recording differs from what the ledger says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the ledger says nothing of this recording")]
    Unknown,
    #[error("its header is not the one that was written")]
    Header,
    #[error("chunk {index} is not the one that was written: the ledger has another hash of it")]
    Changed { index: u32 },
    #[error("chunk {index} was added: the ledger does not know it")]
    Added { index: u32 },
    #[error("its end is missing: chunks {from} to {to} are not there")]
    Missing { from: u32, to: u32 },
}

/// The ledger's word on one recording.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    header: Option<String>,
    /// Of the chunks, in their order.
    chunks: Vec<String>,
    /// How many it had at its end.
    ended: Option<u32>,
    recovered: Option<Recovered>,
}

impl Proof {
    /// The next of the ledger's records about it.
    pub fn add(&mut self, record: RecordingRecord) {
        match record {
            RecordingRecord::Started { sha256, .. } => self.header = Some(sha256),
            RecordingRecord::Chunk { index, sha256, .. } => {
                // They come in order; one that is told twice says the same.
                if index as usize == self.chunks.len() {
                    self.chunks.push(sha256);
                }
            }
            RecordingRecord::Ended { chunks, recovered, .. } => {
                (self.ended, self.recovered) = (Some(chunks), recovered);
            }
        }
    }

    pub fn header(&self, bytes: &[u8]) -> Result<(), Mismatch> {
        let known = self.header.as_ref().ok_or(Mismatch::Unknown)?;
        if *known == Hash::of(bytes).to_string() { Ok(()) } else { Err(Mismatch::Header) }
    }

    /// Of a recording that goes on, the last chunks may not be on the ledger yet.
    pub fn chunk(&self, chunk: &Chunk) -> Result<(), Mismatch> {
        let index = chunk.index;
        match self.chunks.get(index as usize) {
            Some(known) if *known == chunk.digest.to_string() => Ok(()),
            Some(_) => Err(Mismatch::Changed { index }),
            None if self.ended.is_none() => Ok(()),
            None => Err(Mismatch::Added { index }),
        }
    }

    /// The file has ended after so many chunks.
    pub fn end(&self, chunks: u32) -> Result<(), Mismatch> {
        let known = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        if chunks < known { Err(Mismatch::Missing { from: chunks, to: known - 1 }) } else { Ok(()) }
    }

    /// How many of so many chunks nobody can compare: the ledger was not told of
    /// them yet, because the recording goes on or its server was killed.
    pub fn untold(&self, chunks: u32) -> u32 {
        chunks.saturating_sub(u32::try_from(self.chunks.len()).unwrap_or(u32::MAX))
    }

    pub fn is_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// What a crash has left of it.
    pub fn recovered(&self) -> Option<Recovered> {
        self.recovered
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chunks, encode_chunk};
    use super::*;
    use crate::core::model::SessionId;

    fn session() -> SessionId {
        SessionId::from_stored("ses-0123456789ab")
    }

    fn chunks(texts: &[&str]) -> Vec<Chunk> {
        let mut chunks = Chunks::default();
        for (index, text) in (0..).zip(texts) {
            chunks.feed(&encode_chunk(index, text.as_bytes(), None).unwrap().0);
        }
        std::iter::from_fn(|| chunks.next_chunk().unwrap()).collect()
    }

    fn proof(of: &[Chunk], ended: bool) -> Proof {
        let mut proof = Proof::default();
        let sha256 = Hash::of(b"header").to_string();
        proof.add(RecordingRecord::Started { session: session(), sealed_to: None, sha256, bytes: 6 });
        for chunk in of {
            let (index, sha256) = (chunk.index, chunk.digest.to_string());
            proof.add(RecordingRecord::Chunk { session: session(), index, sha256, bytes: 0 });
        }
        if ended {
            let (chunks, sha256) = (u32::try_from(of.len()).unwrap(), String::new());
            proof.add(RecordingRecord::Ended {
                session: session(),
                chunks,
                bytes: 0,
                sha256,
                recovered: None,
            });
        }
        proof
    }

    #[test]
    fn r8_4_what_the_ledger_does_not_say_is_named() {
        let written = chunks(&["a", "b", "c"]);
        let whole = proof(&written, true);
        assert_eq!(whole.header(b"header"), Ok(()));
        assert_eq!(whole.header(b"other"), Err(Mismatch::Header));
        assert!(written.iter().all(|chunk| whole.chunk(chunk).is_ok()));
        assert_eq!(whole.end(3), Ok(()));
        assert_eq!(whole.end(1), Err(Mismatch::Missing { from: 1, to: 2 }));
        // Written anew, with hashes that fit: only the ledger tells.
        let forged = chunks(&["a", "x", "c", "d"]);
        let said: Vec<_> = forged.iter().map(|chunk| whole.chunk(chunk)).collect();
        let expected =
            [Ok(()), Err(Mismatch::Changed { index: 1 }), Ok(()), Err(Mismatch::Added { index: 3 })];
        assert_eq!(said, expected);
        assert_eq!(Proof::default().header(b"header"), Err(Mismatch::Unknown));
    }

    #[test]
    fn the_end_of_a_recording_that_goes_on_may_be_news_to_the_ledger() {
        let written = chunks(&["a", "b"]);
        let going_on = proof(&written[..1], false);
        assert!(written.iter().all(|chunk| going_on.chunk(chunk).is_ok()));
        assert_eq!((going_on.end(2), going_on.is_ended()), (Ok(()), false));
        assert_eq!((going_on.untold(2), going_on.untold(1)), (1, 0));
        assert_eq!(going_on.end(0), Err(Mismatch::Missing { from: 0, to: 0 }));
    }
}
