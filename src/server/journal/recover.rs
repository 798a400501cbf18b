//! Opening what is there: the lock, the last segment's chain, and what a crash
//! left of the last line.

use super::disk::sync_dir;
use super::{JournalError, writer};
use crate::core::ledger::{Entry, Hash, Line, PublicKey, Verifier, first_seq, order_segments};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

/// The place where writing goes on.
pub(super) struct Tail {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    pub(super) next: u64,
    pub(super) prev: Hash,
    /// When its first line was written.
    pub(super) begun: Option<Timestamp>,
    pub(super) unsigned: bool,
    pub(super) recovered: Option<Recovered>,
}

/// A torn tail that was cut off and kept beside the ledger.
#[derive(Clone, Debug)]
pub struct Recovered {
    pub segment: String,
    /// The line number that was the last whole one.
    pub after: u64,
    pub bytes: u64,
    /// SHA-256 of what was cut off, in hex.
    pub sha256: String,
    /// The file in the ledger's directory that holds it.
    pub saved_as: String,
}

impl Recovered {
    pub(super) fn to_body(&self) -> String {
        let Self { segment, after, bytes, sha256, saved_as } = self;
        format!(
            r#"{{"kind":"ledger.recovered","segment":"{segment}","after":{after},"bytes":{bytes},"sha256":"{sha256}","saved_as":"{saved_as}"}}"#
        )
    }
}

/// Makes the directory and takes it for this process alone. The lock ends with
/// the process, however it ends (flock(2)).
pub(super) fn lock(dir: &Path) -> Result<File, JournalError> {
    let made = DirBuilder::new().mode(0o700).recursive(true).create(dir);
    made.map_err(JournalError::io("making", dir))?;
    let path = dir.join("lock");
    let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = opened.map_err(JournalError::io("opening", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::InUse(dir.to_owned())),
        Err(error) => Err(JournalError::io("locking", &path)(error.into())),
    }
}

/// The names of the segments in a ledger's directory, in their order.
pub(super) fn segments(dir: &Path) -> Result<Vec<String>, JournalError> {
    let failed = JournalError::io("listing", dir);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(&failed)? {
        names.extend(entry.map_err(&failed)?.file_name().into_string());
    }
    Ok(order_segments(names))
}

/// Checks the last segment and makes its end a place where writing can go on.
pub(super) fn open_tail(dir: &Path, key: PublicKey) -> Result<Tail, JournalError> {
    let names = segments(dir)?;
    let Some(name) = names.last() else {
        let file = writer::create_segment(dir, 1).map_err(JournalError::io("starting a segment in", dir))?;
        let file = Arc::new(file);
        return Ok(Tail {
            file,
            offset: 0,
            next: 1,
            prev: Hash::ZERO,
            begun: None,
            unsigned: false,
            recovered: None,
        });
    };
    let path = dir.join(name);
    let failed = JournalError::io("reading", &path);
    let broken = |at: String| JournalError::Broken { dir: dir.to_owned(), at };
    let (first, prev) = start(dir, &names, name).map_err(broken)?;
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(&failed)?;
    let mut verifier = Verifier::resume(first, prev, Some(key));
    verifier.segment(name);
    let mut reader = BufReader::with_capacity(1 << 18, &file);
    let (mut offset, mut raw) = (0, Vec::new());
    let torn = loop {
        raw.clear();
        let length = reader.read_until(b'\n', &mut raw).map_err(&failed)?;
        // A crash leaves part of a line, or, where the disk had not all of it,
        // zeros. Any other fault was not made by a crash.
        let torn = length > 0 && (raw.last() != Some(&b'\n') || raw.contains(&0));
        if length == 0 || torn {
            break torn;
        }
        verifier.line(&raw);
        if let Some(fault) = verifier.broken_at() {
            return Err(broken(fault.to_string()));
        }
        offset += length as u64;
    };
    let (next, prev) = verifier.next();
    let report = verifier.finish();
    // Nothing is pruned before its segment is closed: a gap in this one is not the server's.
    if let Some(fault) = &report.broken {
        return Err(broken(fault.to_string()));
    }
    let recovered = match torn {
        true => Some(cut(dir, name, &file, offset, next - 1).map_err(JournalError::io("recovering", &path))?),
        false => None,
    };
    // From here on everything that is there counts as synced.
    file.sync_all().map_err(JournalError::io("syncing", &path))?;
    let (begun, unsigned) = (report.first_at, report.unsigned > 0);
    Ok(Tail { file: Arc::new(file), offset, next, prev, begun, unsigned, recovered })
}

/// The number of a segment's first line, and the hash that it must carry.
pub(super) fn start(dir: &Path, names: &[String], name: &str) -> Result<(u64, Hash), String> {
    let first = first_seq(name).unwrap_or(1);
    let before = names.iter().rev().find(|other| first_seq(other).is_some_and(|other| other < first));
    let prev = match before {
        Some(before) => last_hash(&dir.join(before), first)?,
        None if first == 1 => Hash::ZERO,
        // Older segments are kept elsewhere: the first line says what it follows.
        None => first_prev(&dir.join(name))?,
    };
    Ok((first, prev))
}

/// Moves what is behind `offset` into a file of its own.
fn cut(dir: &Path, segment: &str, file: &File, offset: u64, after: u64) -> io::Result<Recovered> {
    let mut torn = Vec::new();
    let mut source = file;
    source.seek(SeekFrom::Start(offset))?;
    source.read_to_end(&mut torn)?;
    let saved_as = format!("torn-{segment}-{offset}");
    let mut save =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(dir.join(&saved_as))?;
    save.write_all(&torn)?;
    save.sync_all()?;
    sync_dir(dir)?;
    file.set_len(offset)?;
    Ok(Recovered {
        segment: segment.to_owned(),
        after,
        bytes: torn.len() as u64,
        sha256: Hash::of(&torn).to_string(),
        saved_as,
    })
}

/// The hash of a closed segment's last line, which must be the one before `next`.
fn last_hash(path: &Path, next: u64) -> Result<Hash, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = last_line(path).map_err(|error| format!("{name}: {error}"))?;
    let line = Line::parse(&bytes).map_err(|error| format!("the end of {name}: {error}"))?;
    if line.seq.checked_add(1) == Some(next) {
        Ok(Hash::of(&bytes))
    } else {
        Err(format!(
            "the end of {name}: its last line is {}, but the next segment starts with {next}",
            line.seq
        ))
    }
}

/// The last line without its newline, read backwards in growing steps.
fn last_line(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut window = 1 << 12;
    loop {
        let start = length.saturating_sub(window);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        if bytes.pop() != Some(b'\n') {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends within a line"));
        }
        if let Some(newline) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(bytes.split_off(newline + 1));
        }
        if start == 0 {
            return Ok(bytes);
        }
        window *= 4;
    }
}

fn first_prev(path: &Path) -> Result<Hash, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut raw = Vec::new();
    let file = File::open(path).map_err(|error| format!("{name}: {error}"))?;
    BufReader::new(file).read_until(b'\n', &mut raw).map_err(|error| format!("{name}: {error}"))?;
    let bytes = raw.strip_suffix(b"\n").unwrap_or(&raw);
    Entry::parse(bytes).map(|entry| entry.prev()).map_err(|error| format!("{name}:1: {error}"))
}
