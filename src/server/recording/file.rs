//! One recording's file: made, grown by chunks, ended.

use super::RecordingsError;
use crate::core::hex::hex;
use crate::core::ledger::Hash;
use crate::core::model::{RecordingRecord, Recovered, SessionId};
use crate::core::recording::{AuditorKey, Header, RecordingError, Sealer, encode_chunk};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Of a session that lives.
pub(super) fn part(dir: &Path, session: &SessionId) -> PathBuf {
    dir.join(format!("{session}.part"))
}

/// Of one that has ended.
pub(super) fn ended(dir: &Path, session: &SessionId) -> PathBuf {
    dir.join(format!("{session}.rec"))
}

/// A file that grows. It is handed to a thread that may block for each batch, and back.
pub(super) struct Recording {
    dir: PathBuf,
    session: SessionId,
    file: File,
    sealer: Option<Sealer>,
    /// Of everything that is written.
    hash: Sha256,
    length: u64,
    chunks: u32,
    /// Encoded, and not written yet.
    waiting: Vec<Encoded>,
}

struct Encoded {
    bytes: Vec<u8>,
    digest: Hash,
}

impl Recording {
    /// The file with its header, on disk; and what the ledger is told of it.
    pub fn create(
        dir: &Path,
        session: &SessionId,
        key: Option<AuditorKey>,
    ) -> Result<(Self, String), RecordingsError> {
        let (sealer, header) = match key {
            Some(key) => {
                let (sealer, header) = Sealer::new(session, key, crate::os::random())?;
                (Some(sealer), header)
            }
            None => (None, Header { session: session.clone(), sealed: None }),
        };
        let (bytes, path) = (header.encode(), part(dir, session));
        let create = || {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all_at(&bytes, 0)?;
            file.sync_all()?;
            sync_dir(dir)?;
            Ok(file)
        };
        let file = create().map_err(RecordingsError::io(&path))?;
        let started = RecordingRecord::Started {
            session: session.clone(),
            sealed_to: key.map(|key| key.to_string()),
            sha256: Hash::of(&bytes).to_string(),
            bytes: bytes.len() as u64,
        };
        let recording = Self {
            dir: dir.to_owned(),
            session: session.clone(),
            file,
            sealer,
            hash: Sha256::new_with_prefix(&bytes),
            length: bytes.len() as u64,
            chunks: 0,
            waiting: Vec::new(),
        };
        Ok((recording, record(&started)))
    }

    pub fn session(&self) -> &SessionId {
        &self.session
    }

    /// Makes chunks of entries, to be written next. Each gets its index here, once.
    pub fn encode(&mut self, batches: Vec<Vec<u8>>) -> Result<(), RecordingError> {
        for entries in batches {
            let index = self.chunks + u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
            let (bytes, digest) = encode_chunk(index, &entries, self.sealer.as_ref())?;
            self.waiting.push(Encoded { bytes, digest });
        }
        Ok(())
    }

    /// Writes what waits and syncs it. After an error it can be called again:
    /// the same bytes go to the same place. Returns what the ledger is told.
    pub fn write(&mut self) -> io::Result<Vec<String>> {
        let mut offset = self.length;
        for chunk in &self.waiting {
            self.file.write_all_at(&chunk.bytes, offset)?;
            offset += chunk.bytes.len() as u64;
        }
        self.file.sync_data()?;
        self.length = offset;
        let mut told = Vec::with_capacity(self.waiting.len());
        for Encoded { bytes, digest } in self.waiting.drain(..) {
            self.hash.update(&bytes);
            told.push(chunk_record(&self.session, self.chunks, &digest, bytes.len() as u64));
            self.chunks += 1;
        }
        Ok(told)
    }

    /// What the ledger is told at the end.
    pub fn end(&self) -> String {
        let sha256 = hex(&self.hash.clone().finalize());
        ended_record(&self.session, self.chunks, (self.length, sha256), None)
    }

    /// The name that an ended recording has.
    pub fn rename(&self) -> io::Result<()> {
        rename(&self.dir, &self.session)
    }
}

/// Gives an ended recording its last name.
pub(super) fn rename(dir: &Path, session: &SessionId) -> io::Result<()> {
    fs::rename(part(dir, session), ended(dir, session))?;
    sync_dir(dir)
}

/// The sessions that have a file whose name ends so.
pub(super) fn sessions(dir: &Path, ending: &str) -> io::Result<Vec<SessionId>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let session = name.to_str().and_then(|name| name.strip_suffix(ending));
        found.extend(session.map(SessionId::from_stored));
    }
    Ok(found)
}

/// Removes an ended recording, for good.
pub(super) fn remove(dir: &Path, session: &SessionId) -> io::Result<()> {
    match fs::remove_file(ended(dir, session)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_dir(dir),
    }
}

pub(super) fn chunk_record(session: &SessionId, index: u32, digest: &Hash, bytes: u64) -> String {
    let (session, sha256) = (session.clone(), digest.to_string());
    record(&RecordingRecord::Chunk { session, index, sha256, bytes })
}

pub(super) fn ended_record(
    session: &SessionId,
    chunks: u32,
    (bytes, sha256): (u64, String),
    recovered: Option<Recovered>,
) -> String {
    record(&RecordingRecord::Ended { session: session.clone(), chunks, bytes, sha256, recovered })
}

fn record(record: &RecordingRecord) -> String {
    // Texts and numbers: it cannot fail.
    serde_json::to_string(record).unwrap_or_default()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The header of a recording, and the bytes that were read with it.
pub(super) fn read_header(file: &mut File) -> io::Result<Option<(Header, usize, Vec<u8>)>> {
    let mut bytes = vec![0; 4096];
    let mut filled = 0;
    loop {
        let read = file.read(bytes.get_mut(filled..).unwrap_or_default())?;
        filled += read;
        let head = bytes.get(..filled).unwrap_or_default();
        match Header::decode(head) {
            Ok(Some((header, length))) => {
                bytes.truncate(filled);
                return Ok(Some((header, length, bytes)));
            }
            Ok(None) if read > 0 => {}
            Ok(None) | Err(_) => return Ok(None),
        }
    }
}
