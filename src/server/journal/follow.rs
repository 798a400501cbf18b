//! Reading the ledger for somebody else, from a place that survives restarts.
//! The place moves only when the reader says that what it got is safe with the
//! other end: after a crash between the two the same lines come again.

use super::disk::sync_dir;
use super::tail::Cursor;
use super::{Journal, Position};
use crate::core::ledger::{Hash, body_kind, push_line};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Bytes of one batch, about.
const BATCH: u64 = 256 * 1024;

/// A line of the ledger as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    pub seq: u64,
    pub at: Timestamp,
    /// Of its record; empty where it has none.
    pub kind: String,
    /// The line itself, without its newline. A record beside the chain is named
    /// by its hash.
    pub text: String,
}

/// Lines that follow one another, at least one.
pub struct Batch {
    pub lines: Vec<LedgerLine>,
    end: Cursor,
}

/// One reader's place in the ledger.
pub struct Follower {
    dir: PathBuf,
    file: PathBuf,
    cursor: Cursor,
    /// The line at which it began again last.
    gone_at: Option<u64>,
}

/// The place as its file has it.
#[derive(Serialize, Deserialize)]
struct Place {
    segment: u64,
    offset: u64,
    next: u64,
    prev: Option<String>,
}

/// The next line that the reader whose place is in `file` will get, as the file
/// says; `None` where it has got none yet.
pub fn place(file: &Path) -> io::Result<Option<u64>> {
    match fs::read_to_string(file) {
        // One that cannot be read is begun again at the first line.
        Ok(text) => Ok(serde_json::from_str(&text).ok().map(|place: Place| place.next)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl Follower {
    /// Goes on at the place in `file`, or begins at the ledger's first line.
    pub fn open(journal: &Journal, file: &Path) -> io::Result<Self> {
        let place: Option<Place> = match fs::read_to_string(file) {
            // Nothing is lost with it: lines come again.
            Ok(text) => serde_json::from_str(&text)
                .inspect_err(|error| tracing::warn!(file = %file.display(), %error, "this is no place in the ledger: its first line is"))
                .ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let cursor = match place {
            Some(Place { segment, offset, next, prev }) => {
                Cursor { segment, offset, next, prev: prev.as_deref().and_then(Hash::from_hex) }
            }
            None => Cursor::start(journal.dir())?,
        };
        Ok(Self { dir: journal.dir().to_owned(), file: file.to_owned(), cursor, gone_at: None })
    }

    /// How many lines up to `newest` it has not got yet; `None` when its place is
    /// behind the ledger's end.
    pub fn behind(&self, newest: Position) -> Option<u64> {
        (newest.0 + 1).checked_sub(self.cursor.next)
    }

    /// The next lines up to `newest`, which must be written. Blocks.
    ///
    /// # Errors
    /// `NotFound` and `InvalidData` when the place is not in the ledger any more,
    /// which may be an older ledger that was put back.
    pub fn read(&self, newest: Position) -> io::Result<Option<Batch>> {
        let (mut end, mut lines) = (self.cursor.clone(), Vec::new());
        if end.next > newest.0 + 1 {
            let why = format!("the ledger ends at line {}, before line {}", newest.0, end.next);
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let read = end.read(&self.dir, newest.0, BATCH, |line, record| {
            let mut text = Vec::new();
            push_line(&mut text, line.seq, line.at, &line.prev, line.body);
            text.pop();
            let kind = body_kind(record).unwrap_or_default();
            let text = String::from_utf8(text).map_err(io::Error::other)?;
            lines.push(LedgerLine { seq: line.seq, at: line.at, kind, text });
            Ok(())
        });
        // What is whole before a line that is not goes out first.
        if lines.is_empty() {
            read?;
        }
        Ok((!lines.is_empty()).then_some(Batch { lines, end }))
    }

    /// What was read is safe with the other end. Blocks.
    pub fn taken(&mut self, batch: &Batch) -> io::Result<()> {
        self.cursor = batch.end.clone();
        self.save()
    }

    /// The place is gone: it begins again at the first line that is there, and
    /// returns its number. Blocks.
    ///
    /// # Errors
    /// When it has come to the same line and begun again before: then the ledger
    /// is damaged there, and sending the lines before it once more helps nobody.
    pub fn begin_again(&mut self) -> io::Result<u64> {
        let at = self.cursor.next;
        if self.gone_at.replace(at) == Some(at) {
            let why = format!("the ledger cannot be read at line {at}: `dbaccess ledger verify` says why");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.cursor = Cursor::start(&self.dir)?;
        self.save()?;
        Ok(self.cursor.next)
    }

    fn save(&self) -> io::Result<()> {
        let Cursor { segment, offset, next, prev } = &self.cursor;
        let prev = prev.map(|hash| hash.to_string());
        let place = Place { segment: *segment, offset: *offset, next: *next, prev };
        let folder = self.file.parent().unwrap_or(Path::new("."));
        if !folder.is_dir() {
            DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
        }
        let new = self.file.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(serde_json::to_string(&place)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.file)?;
        sync_dir(folder)
    }
}
