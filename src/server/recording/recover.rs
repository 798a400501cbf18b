//! Recordings that a crash has left: cut to what is whole, compared with the
//! ledger, ended.

use super::file::{self, chunk_record, ended_record, read_header};
use super::{Recordings, RecordingsError};
use crate::core::hex::hex;
use crate::core::model::{RecordingRecord, Recovered, SessionId};
use crate::core::recording::Chunks;
use crate::server::journal::{Index, JournalError};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

const PIECE: usize = 256 << 10;

/// What a file holds that is whole.
struct Whole {
    length: u64,
    sha256: String,
    chunks: u32,
    /// The hashes of those that the ledger was not told of.
    untold: Vec<String>,
    recovered: Recovered,
}

impl Recordings {
    /// The sessions whose recording was not ended. Ask before any begins.
    pub fn left(&self) -> Result<Vec<SessionId>, RecordingsError> {
        file::sessions(&self.0.dir, ".part").map_err(RecordingsError::io(&self.0.dir))
    }

    /// Ends one of them. The ledger says how much was lost, so that what is
    /// found later is compared with that.
    pub async fn recover(&self, session: &SessionId, index: &Index) -> Result<(), RecordingsError> {
        let journal = &self.0.journal;
        index.catch_up(journal.last_written()).await?;
        let (mut told, mut ended) = (BTreeSet::new(), false);
        for record in on_ledger(index, session).await? {
            match record {
                RecordingRecord::Chunk { index, .. } => drop(told.insert(index)),
                RecordingRecord::Ended { .. } => ended = true,
                RecordingRecord::Started { .. } => {}
            }
        }
        let (dir, id) = (self.0.dir.clone(), session.clone());
        if !ended {
            let path = file::part(&dir, session);
            let found = tokio::task::spawn_blocking(move || {
                whole(&path, &id, &told).map_err(RecordingsError::io(&path))
            });
            let whole = found.await.map_err(|_| RecordingsError::BrokenOff)??;
            let Recovered { untold, lost, torn_bytes } = whole.recovered;
            tracing::warn!(%session, untold, lost, torn_bytes, "ended a recording that a crash has left");
            let end =
                ended_record(session, whole.chunks, (whole.length, whole.sha256), Some(whole.recovered));
            let lines: Vec<String> = whole.untold.into_iter().chain([end]).collect();
            for line in lines {
                journal.append(crate::os::now(), line).await?;
            }
        }
        file::rename(&dir, session).map_err(RecordingsError::io(&dir))
    }
}

/// Everything that the ledger says of a session's recording, oldest first.
pub(super) async fn on_ledger(
    index: &Index,
    session: &SessionId,
) -> Result<Vec<RecordingRecord>, JournalError> {
    let (mut records, mut after) = (Vec::new(), 0);
    loop {
        let page = index.recording(session.as_str(), after).await?;
        let Some(last) = page.last() else { return Ok(records) };
        after = last.seq;
        records.extend(page.iter().filter_map(|row| serde_json::from_str(&row.body).ok()));
    }
}

/// Reads the file to the end of its last whole chunk, and cuts off what a crash
/// has torn.
fn whole(path: &Path, session: &SessionId, told: &BTreeSet<u32>) -> io::Result<Whole> {
    let mut file = File::open(path)?;
    let mut whole = Whole {
        length: 0,
        sha256: String::new(),
        chunks: 0,
        untold: Vec::new(),
        recovered: Recovered::default(),
    };
    let mut hash = Sha256::new();
    if let Some((_, header, read)) = read_header(&mut file)? {
        let (header, mut piece) =
            (read.get(..header).unwrap_or_default(), read.get(header..).unwrap_or_default());
        hash.update(header);
        whole.length = header.len() as u64;
        let (mut chunks, mut buffer) = (Chunks::default(), vec![0; PIECE]);
        'file: loop {
            chunks.feed(piece);
            loop {
                let chunk = match chunks.next_chunk() {
                    Ok(Some(chunk)) => chunk,
                    Ok(None) => break,
                    // What is wrong ends it, as what is missing does.
                    Err(_) => break 'file,
                };
                let bytes = chunk.bytes().len() as u64;
                hash.update(chunk.bytes());
                whole.length += bytes;
                whole.chunks += 1;
                if !told.contains(&chunk.index) {
                    whole.untold.push(chunk_record(session, chunk.index, &chunk.digest, bytes));
                }
            }
            let n = file.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            piece = buffer.get(..n).unwrap_or_default();
        }
    }
    whole.recovered = Recovered {
        untold: u32::try_from(whole.untold.len()).unwrap_or(u32::MAX),
        lost: u32::try_from(told.range(whole.chunks..).count()).unwrap_or(u32::MAX),
        torn_bytes: file.metadata()?.len().saturating_sub(whole.length),
    };
    whole.sha256 = hex(&hash.finalize());
    // What the ledger knows more of was not torn by a crash: it stays, as evidence.
    if whole.recovered.torn_bytes > 0 && whole.recovered.lost == 0 {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(whole.length)?;
        file.sync_all()?;
    }
    Ok(whole)
}
