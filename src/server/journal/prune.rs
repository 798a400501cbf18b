//! Taking lines out of closed segments. What goes is somebody else's decision;
//! here it is done so that a crash between any two steps leaves a ledger that
//! verifies, and that the same call brings to its end:
//!
//! ```text
//! written anew beside ─► told on the ledger, synced ─► records beside the chain removed ─► renamed into place
//! ```
//!
//! A record beside the chain is named by the lines of one session alone, because
//! its own text names the session or the statement; so it goes with its line.

use super::disk::sync_dir;
use super::recover::segments;
use super::{Journal, JournalError, blob};
use crate::core::ledger::{Pruned, Pruner, Pruning, first_seq};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Where a segment is written anew.
const NEW: &str = "pruned.new";

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
    pub async fn prune(&self, gone: Vec<u64>, rule: &str) -> Result<u64, JournalError> {
        let mut lines = 0;
        for (segment, gone) in by_segment(segments(self.dir())?, &gone) {
            let (dir, name) = (self.dir().to_owned(), segment.clone());
            let failed = JournalError::io("pruning", self.dir());
            let anew = spawn(move || write_anew(&dir, &name, &gone));
            let pruned = anew.await.map_err(&failed)?;
            if pruned.lines == 0 {
                continue;
            }
            lines += pruned.lines;
            let Pruned { lines, blobs, gaps } = pruned;
            let told = Pruning { segment: segment.clone(), lines, gaps, rule: rule.to_owned() };
            let told = self.append(crate::os::now(), told.to_body()).await?;
            self.synced(told).await?;
            let dir = self.dir().to_owned();
            let placed = spawn(move || {
                blob::remove(&dir, &blobs)?;
                fs::rename(dir.join(NEW), dir.join(&segment))?;
                sync_dir(&dir)
            });
            placed.await.map_err(failed)?;
        }
        Ok(lines)
    }
}

async fn spawn<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Which of the lines are in which of the closed segments.
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
    found.reverse();
    found
}

fn write_anew(dir: &Path, segment: &str, gone: &[u64]) -> io::Result<Pruned> {
    let mut old = BufReader::with_capacity(1 << 17, File::open(dir.join(segment))?);
    let new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(dir.join(NEW))?;
    let mut new = BufWriter::with_capacity(1 << 17, new);
    let (mut pruner, mut raw, mut out) = (Pruner::new(gone), Vec::new(), Vec::new());
    while old.read_until(b'\n', &mut raw)? > 0 {
        pruner.line(&raw, &mut out).map_err(io::Error::other)?;
        new.write_all(&out)?;
        raw.clear();
        out.clear();
    }
    let pruned = pruner.finish(&mut out);
    new.write_all(&out)?;
    new.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(pruned)
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
        assert_eq!(found, [(segment_name(1), vec![1, 2, 3, 4]), (segment_name(5), vec![5, 6, 7, 8])]);
        assert_eq!(by_segment(names(), &[6]), [(segment_name(5), vec![6])]);
        assert_eq!(by_segment(names(), &[9, 10]), []);
        assert_eq!(by_segment(Vec::new(), &all), []);
    }
}
