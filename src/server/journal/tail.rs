//! Reading segments while they grow: from a place that was reached before up
//! to a line that is known to be written.

use super::{blob, recover};
use crate::core::ledger::{Entry, Hash, Line, first_seq, segment_name};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::Path;

/// How far a reader has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The segment, by its first line, and the offset of the next line in it.
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) next: u64,
    /// The last line's hash; `None` at the start.
    pub(super) prev: Option<Hash>,
}

impl Cursor {
    /// The first line that is there: older segments may be kept elsewhere.
    pub(super) fn start(dir: &Path) -> io::Result<Self> {
        let names = recover::segments(dir).map_err(io::Error::other)?;
        let first = names.first().and_then(|name| first_seq(name)).unwrap_or(1);
        Ok(Self { segment: first, offset: 0, next: first, prev: None })
    }

    /// Hands over records until line `upto` or until about `bytes` are read,
    /// and moves on. A record beside the chain that is lost is handed over as
    /// the reference to it; lines that were pruned are passed over.
    ///
    /// # Errors
    /// When the segments are not those that the cursor has come from.
    pub(super) fn read(
        &mut self,
        dir: &Path,
        upto: u64,
        bytes: u64,
        mut each: impl FnMut(&Line<'_>, &str) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.next > upto {
            return Ok(());
        }
        let stale = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut file = File::open(dir.join(segment_name(self.segment)))?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut reader = BufReader::with_capacity(1 << 17, file);
        let (mut raw, mut read) = (Vec::new(), 0);
        while self.next <= upto && read < bytes {
            raw.clear();
            let length = reader.read_until(b'\n', &mut raw)? as u64;
            if length == 0 {
                if self.offset == 0 {
                    return Err(stale(format!("{} is empty", segment_name(self.segment))));
                }
                (self.segment, self.offset) = (self.next, 0);
                reader = BufReader::with_capacity(1 << 17, File::open(dir.join(segment_name(self.next)))?);
                continue;
            }
            let bytes = raw.strip_suffix(b"\n").unwrap_or(&raw);
            let entry = Entry::parse(bytes).map_err(|not| stale(format!("line {}: {not}", self.next)))?;
            let (seq, prev, last, hash) = match &entry {
                Entry::Line(line) => (line.seq, line.prev, line.seq, Hash::of(bytes)),
                Entry::Gap(gap) => (gap.from, gap.prev, gap.to, gap.hash),
            };
            if seq != self.next || self.prev.is_some_and(|known| known != prev) {
                return Err(stale(format!("line {} is not the one that followed", self.next)));
            }
            if let Entry::Line(line) = entry {
                match blob::read_record(dir, &line) {
                    Ok(record) => each(&line, &record)?,
                    Err(error) => {
                        tracing::warn!(line = seq, %error, "a record beside the ledger cannot be read");
                        each(&line, line.body)?;
                    }
                }
            }
            self.prev = Some(hash);
            self.next = last.saturating_add(1);
            self.offset += length;
            read += length;
        }
        Ok(())
    }
}
