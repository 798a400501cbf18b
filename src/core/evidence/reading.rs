//! Reading a ledger, or the part of one that evidence needs: each line is
//! checked as an auditor would, and told to the [`History`].

use super::exceptions::Fault;
use super::history::{History, Mark};
use crate::core::ledger::{BlobRef, Broken, Hash, Line, PrunedSegment, PublicKey, Verifier};
use serde::Serialize;

/// Feed it segments and lines in their order.
#[derive(Debug)]
pub struct Reading {
    verifier: Verifier,
    history: History,
    faults: Vec<Fault>,
    first: u64,
    prev: Hash,
}

/// The part of the ledger that was read, and whether it is whole.
#[derive(Clone, Debug, Serialize)]
pub struct Proven {
    /// The first line's number, and the hash of the line before it.
    pub first: u64,
    pub prev: String,
    /// The last line's number, and its hash.
    pub last: u64,
    pub hash: String,
    pub lines: u64,
    pub segments: u64,
    pub checkpoints: u64,
    /// Lines after the last checkpoint.
    pub unsigned: u64,
    /// The key that signed.
    pub key: Option<String>,
    /// What retention has taken out of these segments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pruned: Vec<PrunedSegment>,
    /// Where the chain is broken, if it is.
    pub broken: Option<String>,
}

/// What reading came to.
#[derive(Clone, Debug)]
pub struct Read {
    pub history: History,
    pub proven: Proven,
    pub broken: Option<Broken>,
    pub faults: Vec<Fault>,
}

impl Reading {
    /// Of a ledger whose first line here is `first`, and `prev` the hash of the line before.
    pub fn start(first: u64, prev: Hash, key: Option<PublicKey>) -> Self {
        let (verifier, history) = (Verifier::resume(first, prev, key), History::default());
        Self { verifier, history, faults: Vec::new(), first, prev }
    }

    pub fn segment(&mut self, name: &str) {
        self.verifier.segment(name);
    }

    /// The next line, newline included. `beside` gets what is stored beside the
    /// chain under a hash, if it is there.
    pub fn line(&mut self, raw: &[u8], beside: impl FnOnce(&BlobRef) -> Option<Vec<u8>>) {
        let blob = self.verifier.line(raw);
        let Ok(line) = Line::parse(raw.strip_suffix(b"\n").unwrap_or(raw)) else { return };
        let mark = Mark { seq: line.seq, at: line.at };
        let Some(blob) = blob else { return self.history.record(mark, line.body) };
        let record = beside(&blob).filter(|bytes| blob.matches(bytes));
        match record.as_deref().map(std::str::from_utf8) {
            Some(Ok(record)) => self.history.record(mark, record),
            _ => {
                let what = "the record beside the chain is missing, or not as it was written".to_owned();
                self.faults.push(Fault { mark, about: blob.sha256, what });
            }
        }
    }

    pub fn finish(mut self) -> Read {
        let (next, hash) = self.verifier.next();
        let report = self.verifier.finish();
        if let Some(broken) = &report.broken {
            let at = self.history.last.or(self.history.first);
            let mark = at.unwrap_or(Mark { seq: self.first, at: jiff::Timestamp::UNIX_EPOCH });
            self.faults.push(Fault { mark, about: broken.segment.clone(), what: broken.to_string() });
        }
        let proven = Proven {
            first: self.first,
            prev: self.prev.to_string(),
            last: next.saturating_sub(1),
            hash: hash.to_string(),
            lines: report.lines,
            segments: report.segments,
            checkpoints: report.checkpoints,
            unsigned: report.unsigned,
            key: report.key.map(|key| key.to_string()),
            pruned: report.pruned,
            broken: report.broken.as_ref().map(ToString::to_string),
        };
        Read { history: self.history, proven, broken: report.broken, faults: self.faults }
    }
}
