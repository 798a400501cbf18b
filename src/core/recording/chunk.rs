//! Chunks: so much of a recording as is written, sealed and put on the ledger
//! at once.

use super::{Opener, RecordingError, Sealer};
use crate::core::ledger::Hash;
use sha2::{Digest as _, Sha256};

/// Bytes before a chunk's payload: index, length, SHA-256.
const HEAD: usize = 4 + 4 + 32;
/// No chunk has more bytes, as it stands in the file or opened.
pub const LARGEST_CHUNK: usize = 32 << 20;
/// What is fast costs a database's results the least.
const LEVEL: i32 = 1;

/// A chunk's bytes in the file, and the hash that the ledger gets.
pub fn encode_chunk(
    index: u32,
    entries: &[u8],
    sealer: Option<&Sealer>,
) -> Result<(Vec<u8>, Hash), RecordingError> {
    let unreadable = |why: String| RecordingError::Unreadable { index, why };
    let mut payload = zstd::bulk::compress(entries, LEVEL).map_err(|error| unreadable(error.to_string()))?;
    if let Some(sealer) = sealer {
        sealer.seal(index, &mut payload)?;
    }
    let length = u32::try_from(payload.len()).map_err(|_| unreadable("it is too large".to_owned()))?;
    let digest = digest(index, length, &payload);
    let mut bytes = Vec::with_capacity(HEAD + payload.len());
    bytes.extend_from_slice(&index.to_be_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(digest.bytes());
    bytes.append(&mut payload);
    Ok((bytes, digest))
}

fn digest(index: u32, length: u32, payload: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update(index.to_be_bytes());
    hash.update(length.to_be_bytes());
    hash.update(payload);
    Hash::from_bytes(hash.finalize().into())
}

/// A chunk that is whole and as it was written.
#[derive(Debug)]
pub struct Chunk {
    pub index: u32,
    /// To be compared with the ledger's.
    pub digest: Hash,
    bytes: Vec<u8>,
}

impl Chunk {
    /// As it stands in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its entries, for [`super::Entries`].
    pub fn open(mut self, opener: Option<&Opener>) -> Result<Vec<u8>, RecordingError> {
        let index = self.index;
        let payload = self.bytes.get_mut(HEAD..).unwrap_or_default();
        let frame = match opener {
            Some(opener) => opener.open(index, payload)?,
            None => payload,
        };
        zstd::bulk::decompress(frame, LARGEST_CHUNK)
            .map_err(|error| RecordingError::Unreadable { index, why: error.to_string() })
    }
}

/// Takes the bytes of a file behind its header, in pieces of any size, and
/// gives its chunks. It holds one chunk at most, and what was read ahead.
#[derive(Debug, Default)]
pub struct Chunks {
    buffer: Vec<u8>,
    /// Bytes at the buffer's front that were given already.
    taken: usize,
    next: u32,
}

impl Chunks {
    /// The next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..std::mem::take(&mut self.taken));
        self.buffer.extend_from_slice(bytes);
    }

    /// The next chunk, or `None` while it is incomplete.
    ///
    /// # Errors
    /// When it is not the one that follows, or not what its hash says. There is
    /// nothing to go on with then.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk>, RecordingError> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((index, tail)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let index = u32::from_be_bytes(*index);
        if index != self.next {
            return Err(RecordingError::Misplaced { expected: self.next, found: index });
        }
        let Some((length, tail)) = tail.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        if length as usize > LARGEST_CHUNK {
            return Err(RecordingError::TooLarge { index, bytes: length.into() });
        }
        let Some((said, tail)) = tail.split_first_chunk::<32>() else { return Ok(None) };
        let Some((payload, _)) = tail.split_at_checked(length as usize) else { return Ok(None) };
        let found = digest(index, length, payload);
        if found.bytes() != said {
            return Err(RecordingError::Damaged { index });
        }
        let bytes = rest.get(..HEAD + payload.len()).unwrap_or_default().to_vec();
        self.taken += bytes.len();
        self.next = self.next.saturating_add(1);
        Ok(Some(Chunk { index, digest: found, bytes }))
    }

    /// The file has ended: whether a chunk has begun that is not whole.
    pub fn finish(&self) -> Result<(), RecordingError> {
        match self.buffer.len() - self.taken {
            0 => Ok(()),
            bytes => Err(RecordingError::Torn { index: self.next, bytes }),
        }
    }

    /// The index of the chunk that comes next.
    pub fn next_index(&self) -> u32 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AuditorKey, AuditorSecret, Connected, Entries, Entry, Header, Kind, push_entry};
    use super::*;
    use crate::core::model::{ConnectionId, SessionId};
    use jiff::Timestamp;

    fn entries(texts: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        for text in texts {
            let at = Timestamp::from_microsecond(1_700_000_000_123_456).unwrap();
            push_entry(&mut out, &Entry { kind: Kind::Server, connection: 7, at, bytes: text.as_bytes() });
        }
        out
    }

    fn session() -> SessionId {
        SessionId::from_stored("ses-0123456789ab")
    }

    /// Three chunks behind each other.
    fn file(sealer: Option<&Sealer>) -> Vec<Vec<u8>> {
        let texts = [["first", "row"], ["second", ""], ["third", "x"]];
        let chunks = (0u32..).zip(texts);
        chunks.map(|(index, texts)| encode_chunk(index, &entries(&texts), sealer).unwrap().0).collect()
    }

    /// What comes out of a file that arrives in pieces of `step` bytes.
    fn read(bytes: &[u8], step: usize, opener: Option<&Opener>) -> Result<Vec<String>, RecordingError> {
        let (mut chunks, mut texts) = (Chunks::default(), Vec::new());
        for piece in bytes.chunks(step) {
            chunks.feed(piece);
            while let Some(chunk) = chunks.next_chunk()? {
                let index = chunk.index;
                for entry in Entries::new(index, &chunk.open(opener)?) {
                    texts.push(String::from_utf8(entry?.bytes.to_vec()).unwrap());
                }
            }
        }
        chunks.finish().map(|()| texts)
    }

    const TEXTS: [&str; 6] = ["first", "row", "second", "", "third", "x"];

    #[test]
    fn r8_4_what_was_written_comes_back_in_pieces_of_any_size() {
        let file = file(None).concat();
        for step in [1, 3, 40, 41, file.len()] {
            assert_eq!(read(&file, step, None).unwrap(), TEXTS, "{step}");
        }
    }

    #[test]
    fn r8_4_a_recording_that_was_tampered_with_says_where() {
        let chunks = file(None);
        let [a, b, c] = chunks.as_slice() else { panic!() };
        let edited = |at: usize| {
            let mut b = b.clone();
            b[at] ^= 1;
            [a.clone(), b, c.clone()].concat()
        };
        let torn = [a.clone(), b[..b.len() - 1].to_vec()].concat();
        for (name, bytes, error) in [
            ("a changed payload", edited(b.len() - 1), RecordingError::Damaged { index: 1 }),
            ("a changed hash", edited(9), RecordingError::Damaged { index: 1 }),
            ("a changed index", edited(3), RecordingError::Misplaced { expected: 1, found: 0 }),
            (
                "chunks in another order",
                [a.as_slice(), c, b].concat(),
                RecordingError::Misplaced { expected: 1, found: 2 },
            ),
            (
                "a chunk removed",
                [a.as_slice(), c].concat(),
                RecordingError::Misplaced { expected: 1, found: 2 },
            ),
            ("a torn tail", torn, RecordingError::Torn { index: 1, bytes: b.len() - 1 }),
        ] {
            assert_eq!(read(&bytes, 64, None).unwrap_err(), error, "{name}");
        }
        let mut huge = a.clone();
        huge[4] = 0xff;
        assert!(matches!(read(&huge, 9, None), Err(RecordingError::TooLarge { index: 0, .. })));
    }

    #[test]
    fn g8_a_sealed_recording_opens_with_the_auditors_key_alone() {
        let secret = AuditorSecret::from_random([3; 32]);
        let (sealer, header) = Sealer::new(&session(), secret.public(), [9; 32]).unwrap();
        let chunks = file(Some(&sealer));
        let bytes = chunks.concat();
        assert!(!bytes.windows(6).any(|part| part == b"second"));
        let opener = Opener::of(&header, Some(&secret)).unwrap();
        assert_eq!(read(&bytes, 17, opener.as_ref()).unwrap(), TEXTS);

        assert_eq!(Opener::of(&header, None).err(), Some(RecordingError::Sealed(secret.public())));
        let other = AuditorSecret::from_random([4; 32]);
        assert_eq!(Opener::of(&header, Some(&other)).err(), Some(RecordingError::OtherKey(secret.public())));
        // Of another file, though to the same auditor.
        let (_, other_file) = Sealer::new(&session(), secret.public(), [8; 32]).unwrap();
        let opener = Opener::of(&other_file, Some(&secret)).unwrap();
        assert!(matches!(
            read(&bytes, 17, opener.as_ref()),
            Err(RecordingError::Unreadable { index: 0, .. })
        ));
        // A header that names another session opens nothing.
        let renamed = Header { session: SessionId::from_stored("ses-other"), ..header };
        let opener = Opener::of(&renamed, Some(&secret)).unwrap();
        assert!(matches!(
            read(&bytes, 17, opener.as_ref()),
            Err(RecordingError::Unreadable { index: 0, .. })
        ));
    }

    #[test]
    fn g8_keys_are_not_mistaken_for_each_other() {
        let secret = AuditorSecret::from_random([3; 32]);
        let (public, text) = (secret.public().to_string(), secret.to_text());
        assert_eq!(AuditorKey::parse(&public), Some(secret.public()));
        assert_eq!(AuditorSecret::parse(&text).unwrap().public(), secret.public());
        assert!(AuditorKey::parse(&text).is_none() && AuditorSecret::parse(&public).is_none());
        assert_eq!(format!("{secret:?}"), "<secret>");
        assert!(AuditorKey::parse(&format!("dbaccess-auditor-public-{}", "0".repeat(64))).is_none());
        let zero = AuditorKey::from_bytes([0; 32]);
        assert_eq!(Sealer::new(&session(), zero, [9; 32]).err(), Some(RecordingError::WeakKey(zero)));
    }

    #[test]
    fn a_header_says_whose_it_is_in_pieces_too() {
        let secret = AuditorSecret::from_random([3; 32]);
        let (_, sealed) = Sealer::new(&session(), secret.public(), [9; 32]).unwrap();
        for header in [Header { session: session(), sealed: None }, sealed] {
            let bytes = header.encode();
            for length in 0..bytes.len() {
                assert_eq!(Header::decode(&bytes[..length]), Ok(None));
            }
            let more = [bytes.as_slice(), b"chunks"].concat();
            assert_eq!(Header::decode(&more), Ok(Some((header, bytes.len()))));
        }
        assert_eq!(Header::decode(b"not"), Err(RecordingError::NotARecording));
    }

    #[test]
    fn nonsense_is_an_error_and_no_panic() {
        let connected = Connected { connection: ConnectionId::from_random([0; 8]) };
        let mut bytes = Vec::new();
        let body = serde_json::to_vec(&connected).unwrap();
        let at = Timestamp::UNIX_EPOCH;
        push_entry(&mut bytes, &Entry { kind: Kind::Connected, connection: 0, at, bytes: &body });
        for length in 1..bytes.len() {
            let read: Result<Vec<_>, _> = Entries::new(0, &bytes[..length]).collect();
            assert!(read.is_err(), "{length}");
        }
        bytes[0] = b'?';
        assert!(Entries::new(0, &bytes).next().unwrap().is_err());
    }
}
