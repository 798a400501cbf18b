//! Taking lines out of closed segments. What goes is somebody else's decision;
//! here it is done so that a crash between any two steps leaves a ledger that
//! verifies, and that the same call brings to its end:
//!
//! ```text
//! checked and written anew beside ─► records that go with it noted ─► told on the ledger, synced
//!     ─► renamed into place ─► those records removed ─► the note removed
//! ```
//!
//! A segment that is not whole is left as it is: written anew it would be signed
//! by the server, whoever has changed it. Newer segments go first, so that of a
//! statement its intent, by which it is found, goes last.
//!
//! A record beside the chain is named by the lines of one session alone, because
//! its own text names the session or the statement; so it goes with its line.

use super::disk::sync_dir;
use super::recover::{segments, start};
use super::{Journal, JournalError, blob};
use crate::core::ledger::{Hash, Line, Pruned, Pruner, Pruning, PublicKey, Verifier, first_seq};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Where a segment is written anew.
const NEW: &str = "pruned.new";
/// The hashes of the records that go with its lines. While there is [`NEW`] beside
/// it, the segment still names them.
const NOTE: &str = "pruned.blobs";

impl Journal {
    /// The last line of the closed segments: only those are pruned. Blocks.
    pub fn closed(&self) -> Result<u64, JournalError> {
        let open = segments(self.dir())?.last().and_then(|name| first_seq(name)).unwrap_or(1);
        Ok(open.saturating_sub(1))
    }

    /// Takes these lines, in order, out of the closed segments; `rule` says why.
    /// Those that are gone already are no error, nor those that are not closed
    /// yet: they stay. Returns how many went.
    ///
    /// One call at a time: the caller sees to it. Not cancel-safe, but what is
    /// broken off is brought to its end by the next call.
    ///
    /// # Errors
    /// Where a segment is not as the server has written it: it is left so then.
    pub async fn prune(&self, gone: Vec<u64>, rule: &str) -> Result<u64, JournalError> {
        let dir = self.dir().to_owned();
        spawn(move || finish(&dir)).await?;
        let names = segments(self.dir())?;
        let mut lines = 0;
        for (segment, gone) in by_segment(names.clone(), &gone) {
            let (dir, names, name) = (self.dir().to_owned(), names.clone(), segment.clone());
            let key = self.public_key();
            let pruned = spawn(move || write_anew(&dir, &names, &name, &gone, key)).await?;
            if pruned.lines == 0 {
                continue;
            }
            lines += pruned.lines;
            let told = Pruning::sign(&segment, &pruned, rule, &self.shared().key);
            let told = self.append(crate::os::now(), told.to_body()).await?;
            self.synced(told).await?;
            let dir = self.dir().to_owned();
            spawn(move || {
                let placed = fs::rename(dir.join(NEW), dir.join(&segment)).and_then(|()| sync_dir(&dir));
                placed.map_err(JournalError::io("pruning", &dir))?;
                finish(&dir)
            })
            .await?;
        }
        Ok(lines)
    }
}

async fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| JournalError::Closed)?
}

/// Removes the records of lines that are gone, where that was broken off.
pub(super) fn finish(dir: &Path) -> Result<(), JournalError> {
    let finished = || {
        let note = match fs::read_to_string(dir.join(NOTE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read?,
        };
        // With the segment that was written anew not in its place, they stay.
        if !dir.join(NEW).try_exists()? {
            let hashes: Vec<String> =
                note.lines().filter_map(Hash::from_hex).map(|hash| hash.to_string()).collect();
            blob::remove(dir, &hashes)?;
        }
        fs::remove_file(dir.join(NOTE))?;
        sync_dir(dir)
    };
    finished().map_err(JournalError::io("finishing what was pruned in", dir))
}

/// Which of the lines are in which of the closed segments, the newest first.
fn by_segment(mut names: Vec<String>, gone: &[u64]) -> Vec<(String, Vec<u64>)> {
    // The last one grows.
    let mut end = names.pop().and_then(|name| first_seq(&name)).unwrap_or(0);
    let mut found = Vec::new();
    for name in names.into_iter().rev() {
        let first = first_seq(&name).unwrap_or(0);
        let at = |seq| gone.partition_point(|line| *line < seq);
        match gone.get(at(first)..at(end)) {
            Some([]) | None => {}
            Some(lines) => found.push((name, lines.to_vec())),
        }
        end = first;
    }
    found
}

/// Writes a segment without these lines to [`NEW`]; it is whole as it stands.
fn write_anew(
    dir: &Path,
    names: &[String],
    segment: &str,
    gone: &[u64],
    key: PublicKey,
) -> Result<Pruned, JournalError> {
    let failed = JournalError::io("pruning", dir);
    let refused = |why: String| JournalError::NotWhole { segment: segment.to_owned(), why };
    let (first, prev) = start(dir, names, segment).map_err(refused)?;
    let mut verifier = Verifier::resume(first, prev, Some(key));
    verifier.segment(segment);
    let mut old = BufReader::with_capacity(1 << 17, File::open(dir.join(segment)).map_err(&failed)?);
    let new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(dir.join(NEW));
    let mut new = BufWriter::with_capacity(1 << 17, new.map_err(&failed)?);
    let (mut pruner, mut raw, mut out) = (Pruner::new(gone), Vec::new(), Vec::new());
    while old.read_until(b'\n', &mut raw).map_err(&failed)? > 0 {
        verifier.line(&raw);
        if let Some(broken) = verifier.broken_at() {
            return Err(refused(broken.to_string()));
        }
        pruner.line(&raw, &mut out).map_err(|not| refused(not.to_string()))?;
        new.write_all(&out).map_err(&failed)?;
        raw.clear();
        out.clear();
    }
    if let Some(gaps) = verifier.gaps()
        && !is_told(dir, names, segment, &gaps, key).map_err(&failed)?
    {
        return Err(refused(
            "it lacks lines, and nothing on the ledger says that they were pruned".to_owned(),
        ));
    }
    if verifier.finish().unsigned > 0 {
        return Err(refused("it does not end with a checkpoint".to_owned()));
    }
    let pruned = pruner.finish(&mut out);
    let written = || {
        new.write_all(&out)?;
        new.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        // On disk before the note is: without it the note says that it is in its place.
        sync_dir(dir)?;
        if pruned.lines > 0 && !pruned.blobs.is_empty() {
            let mut note = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(dir.join(NOTE))?;
            note.write_all(pruned.blobs.join("\n").as_bytes())?;
            note.sync_all()?;
            sync_dir(dir)?;
        }
        Ok(())
    };
    written().map_err(failed)?;
    Ok(pruned)
}

/// Whether a later line says, signed, that these are the segment's gaps.
fn is_told(dir: &Path, names: &[String], segment: &str, gaps: &str, key: PublicKey) -> io::Result<bool> {
    // It was told of last, as a rule, in one of the newest.
    for name in names.iter().rev().take_while(|name| *name != segment) {
        let mut lines = BufReader::with_capacity(1 << 17, File::open(dir.join(name))?);
        let mut raw = Vec::new();
        while lines.read_until(b'\n', &mut raw)? > 0 {
            let line = Line::parse(raw.strip_suffix(b"\n").unwrap_or(&raw)).ok();
            let told = line.and_then(|line| Pruning::from_body(line.body));
            if told.is_some_and(|told| told.tells(segment, gaps, &key)) {
                return Ok(true);
            }
            raw.clear();
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ledger::segment_name;

    #[test]
    fn lines_of_the_segment_that_grows_stay() {
        let names = || [1, 5, 9].map(segment_name).to_vec();
        let all: Vec<u64> = (1..=12).collect();
        let found = by_segment(names(), &all);
        assert_eq!(found, [(segment_name(5), vec![5, 6, 7, 8]), (segment_name(1), vec![1, 2, 3, 4])]);
        assert_eq!(by_segment(names(), &[6]), [(segment_name(5), vec![6])]);
        assert_eq!(by_segment(names(), &[9, 10]), []);
        assert_eq!(by_segment(Vec::new(), &all), []);
    }
}
