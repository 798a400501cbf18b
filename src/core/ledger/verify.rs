//! Whether a ledger is whole: fed line by line, it names the first line that is
//! not as it was written, and what was done to it. It remembers no line; only of
//! segments that were pruned it keeps a few numbers, until a later line of the
//! ledger says that their gaps are what retention has left.
//!
//! What no ledger can show by itself is a tail cut off behind its last
//! checkpoint together with that checkpoint: compare the last line's number
//! with one noted elsewhere.

use super::checkpoint::{Checkpoint, CheckpointFault, PublicKey};
use super::gap::{Entry, Gap, Pruning};
use super::line::{BlobRef, Hash, Line, push_line};
use super::segment::first_seq;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Checks the lines of a ledger in their order.
///
/// [`segment`](Self::segment) before a file's lines, [`line`](Self::line) for
/// each, [`finish`](Self::finish) at the end. It goes on after a fault, because
/// a gap may turn out to be a line that stands elsewhere.
#[derive(Debug)]
pub struct Verifier {
    key: Option<PublicKey>,
    /// The line that must come next, and the hash that it must carry.
    next: u64,
    prev: Hash,
    segment: String,
    number: u64,
    /// Whether the last line was a good checkpoint.
    closed: bool,
    /// The last line's hash if nothing of it was changed but the hash that it carries.
    mended: Option<Hash>,
    /// The gaps of the segment that is being read.
    gaps: Option<Gaps>,
    /// Those of the segments before it.
    pruned: Vec<Gaps>,
    report: Report,
}

/// What a segment lacks.
#[derive(Debug)]
struct Gaps {
    segment: String,
    /// Where the first of them stands in the file.
    number: u64,
    from: u64,
    to: u64,
    lines: u64,
    digest: Sha256,
    told: Option<ToldOf>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub lines: u64,
    pub segments: u64,
    pub checkpoints: u64,
    pub first_at: Option<Timestamp>,
    pub last_at: Option<Timestamp>,
    /// The last line's number.
    pub last: Option<u64>,
    /// The key that signed, to be compared with the one that the server published.
    pub key: Option<PublicKey>,
    /// Lines after the last checkpoint: chained, but not signed. More than a
    /// minute's worth on a server that is not running is a reason to ask.
    pub unsigned: u64,
    /// Segments that lack lines, because those were pruned.
    pub pruned: Vec<PrunedSegment>,
    /// The first thing that is wrong. `None`: the ledger is whole.
    pub broken: Option<Broken>,
}

/// A segment of which lines were pruned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrunedSegment {
    pub segment: String,
    /// The first and the last line that are gone, and how many between them.
    pub from: u64,
    pub to: u64,
    pub lines: u64,
    /// `None`: nothing on the ledger says so.
    pub told: Option<ToldOf>,
}

/// The line that says what was pruned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ToldOf {
    pub seq: u64,
    pub at: Timestamp,
    pub rule: String,
}

/// Where a ledger is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub segment: String,
    /// The line in that file, from 1.
    pub number: u64,
    pub fault: Fault,
}

/// What was done. Numbers are `seq`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not a line at all, or not in its one form.
    NotALine(&'static str),
    /// The file ends within a line.
    CutOff,
    /// The next line carries another hash: this line was changed, or replaced, after it was written.
    Edited {
        seq: u64,
    },
    /// These lines are not there.
    Deleted {
        from: u64,
        to: u64,
    },
    /// The number was already taken.
    Inserted {
        seq: u64,
    },
    /// The line stands in another place than where it was written.
    Reordered {
        seq: u64,
    },
    /// A file with these lines is not there.
    SegmentMissing {
        from: u64,
        to: u64,
    },
    /// Lines at the end of the segment before this one are not there: it has no closing checkpoint.
    SegmentNotClosed {
        segment: String,
    },
    Checkpoint {
        seq: u64,
        fault: CheckpointFault,
    },
    /// The segment lacks lines as if they had been pruned, but no line of the
    /// ledger says that these were.
    NotPruned {
        from: u64,
        to: u64,
    },
}

impl Verifier {
    /// With the key that the checkpoints must be signed by; without one, the
    /// first checkpoint's key is taken, and it is for a person to compare.
    pub fn new(key: Option<PublicKey>) -> Self {
        Self::resume(1, Hash::ZERO, key)
    }

    /// For a part of a ledger: `next` is its first line's number, `prev` the hash of the line before.
    pub fn resume(next: u64, prev: Hash, key: Option<PublicKey>) -> Self {
        Self {
            key,
            next,
            prev,
            segment: String::new(),
            number: 0,
            closed: true,
            mended: None,
            gaps: None,
            pruned: Vec::new(),
            report: Report { key, ..Report::default() },
        }
    }

    /// The lines that follow are those of the segment file with this name.
    pub fn segment(&mut self, name: &str) {
        let before = std::mem::replace(&mut self.segment, name.to_owned());
        self.number = 0;
        self.pruned.extend(self.gaps.take());
        self.report.segments += 1;
        if !self.closed {
            self.broken(Fault::SegmentNotClosed { segment: before });
        }
        if let Some(first) = first_seq(name).filter(|first| *first > self.next) {
            self.broken(Fault::SegmentMissing { from: self.next, to: first - 1 });
        }
    }

    /// The next line with its newline, as read from the file. Returns the
    /// record that is stored beside the chain, when there is one to check.
    pub fn line(&mut self, raw: &[u8]) -> Option<BlobRef> {
        self.number += 1;
        self.closed = false;
        let Some(bytes) = raw.strip_suffix(b"\n") else {
            self.broken(Fault::CutOff);
            return None;
        };
        let line = match Entry::parse(bytes) {
            Ok(Entry::Line(line)) => line,
            Ok(Entry::Gap(gap)) => {
                self.gap(&gap, raw);
                return None;
            }
            Err(not) => {
                self.broken(Fault::NotALine(not.0));
                return None;
            }
        };
        self.place(line.seq, &line.prev, |prev| {
            push_line(&mut Vec::new(), line.seq, line.at, prev, line.body)
        });
        if Checkpoint::is(line.body) {
            self.checkpoint(&line);
        } else {
            self.report.unsigned += 1;
        }
        if let Some(pruning) = Pruning::from_body(line.body) {
            self.told(&line, pruning);
        }
        self.report.lines += 1;
        self.report.first_at.get_or_insert(line.at);
        self.report.last_at = Some(line.at);
        self.report.last = Some(line.seq);
        self.prev = Hash::of(bytes);
        self.next = line.seq.saturating_add(1);
        line.blob()
    }

    /// The number of the next line, and the hash that it must carry.
    pub fn next(&self) -> (u64, Hash) {
        (self.next, self.prev)
    }

    /// SHA-256, in hex, of the gaps of the segment that is being read, if it has any.
    pub fn gaps(&self) -> Option<String> {
        self.gaps.as_ref().map(Gaps::digest)
    }

    /// What is wrong so far.
    pub fn broken_at(&self) -> Option<&Broken> {
        self.report.broken.as_ref()
    }

    pub fn finish(mut self) -> Report {
        self.pruned.extend(self.gaps.take());
        for Gaps { segment, number, from, to, lines, told, .. } in self.pruned {
            if told.is_none() {
                let fault = Fault::NotPruned { from, to };
                self.report.broken.get_or_insert(Broken { segment: segment.clone(), number, fault });
            }
            self.report.pruned.push(PrunedSegment { segment, from, to, lines, told });
        }
        self.report
    }

    /// Lines that are not there, and the hash that the next one must carry.
    fn gap(&mut self, gap: &Gap, raw: &[u8]) {
        self.place(gap.from, &gap.prev, |_| gap.hash);
        let gaps = self.gaps.get_or_insert_with(|| Gaps {
            segment: self.segment.clone(),
            number: self.number,
            from: gap.from,
            to: gap.to,
            lines: 0,
            digest: Sha256::new(),
            told: None,
        });
        gaps.digest.update(raw);
        gaps.to = gap.to;
        gaps.lines = gaps.lines.saturating_add(gap.lines());
        self.report.unsigned = self.report.unsigned.saturating_add(gap.lines());
        self.report.last = Some(gap.to);
        self.prev = gap.hash;
        self.next = gap.to.saturating_add(1);
    }

    /// Whether this is the record of what an earlier segment lacks. The key is
    /// known by then: a segment that is pruned ends with a checkpoint.
    fn told(&mut self, line: &Line<'_>, pruning: Pruning) {
        let Some(key) = self.key else { return };
        let mut pruned = self.pruned.iter_mut();
        if let Some(gaps) = pruned.find(|gaps| pruning.tells(&gaps.segment, &gaps.digest(), &key)) {
            gaps.told = Some(ToldOf { seq: line.seq, at: line.at, rule: pruning.rule });
        }
    }

    /// Whether the line is the one that was written here. `whole` is its hash if
    /// it carried another of the line before.
    fn place(&mut self, seq: u64, prev: &Hash, whole: impl FnOnce(&Hash) -> Hash) {
        let mended = self.mended.take();
        if seq > self.next {
            self.broken(Fault::Deleted { from: self.next, to: seq - 1 });
        } else if seq < self.next {
            // A line that was missing before has only been moved.
            match self.report.broken.as_mut() {
                Some(Broken { fault, .. }) if fault.lacks(seq) => {
                    *fault = Fault::Reordered { seq };
                }
                _ => self.broken(Fault::Inserted { seq }),
            }
        } else if *prev != self.prev {
            // The first line names no other line, so it is itself at fault.
            let seq = if self.report.last.is_none() { seq } else { seq - 1 };
            if mended.is_some_and(|hash| hash == *prev)
                && let Some(Broken { fault: Fault::Edited { seq: named }, .. }) = &mut self.report.broken
                && *named + 1 == seq
            {
                // Not the line before it: that one is as it was.
                *named = seq;
            }
            self.broken(Fault::Edited { seq });
            self.mended = Some(whole(&self.prev));
        }
    }

    fn checkpoint(&mut self, line: &Line<'_>) {
        match Checkpoint::verify(line.body, line.seq.saturating_sub(1), &self.prev, self.key) {
            Ok(key) => {
                self.key = Some(key);
                self.report.key = Some(key);
                self.report.checkpoints += 1;
                self.report.unsigned = 0;
                self.closed = true;
            }
            Err(fault) => {
                self.report.unsigned += 1;
                self.broken(Fault::Checkpoint { seq: line.seq, fault });
            }
        }
    }

    /// Only the first fault counts: what follows is mostly its echo.
    fn broken(&mut self, fault: Fault) {
        let (segment, number) = (self.segment.clone(), self.number);
        self.report.broken.get_or_insert(Broken { segment, number, fault });
    }
}

impl Gaps {
    /// In hex.
    fn digest(&self) -> String {
        Hash::from_bytes(self.digest.clone().finalize().into()).to_string()
    }
}

impl Fault {
    fn lacks(&self, seq: u64) -> bool {
        matches!(self, Self::Deleted { from, to } | Self::SegmentMissing { from, to } if (*from..=*to).contains(&seq))
    }
}

/// What it lacks, and why.
impl fmt::Display for PrunedSegment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segment, from, to, lines, told } = self;
        write!(f, "{segment}: {lines} of the lines {from} to {to} were pruned")?;
        match told {
            Some(ToldOf { seq, at, rule }) => {
                write!(f, " on {} by the rule {rule}, as line {seq} says", at.strftime("%Y-%m-%d"))
            }
            None => f.write_str(", and no line says so"),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            0 => write!(f, "{}: {}", self.segment, self.fault),
            number => write!(f, "{}:{number}: {}", self.segment, self.fault),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |from: u64, to: u64| match to - from {
            0 => format!("line {from} is missing"),
            _ => format!("lines {from} to {to} are missing"),
        };
        match self {
            Self::NotALine(why) => write!(f, "this is not a ledger line: {why}"),
            Self::CutOff => f.write_str("the file ends within a line"),
            Self::Edited { seq } => {
                write!(f, "line {seq} was edited or replaced: the chain holds another hash of it")
            }
            Self::Deleted { from, to } => f.write_str(&lines(*from, *to)),
            Self::Inserted { seq } => write!(f, "a line was inserted: number {seq} was already taken"),
            Self::Reordered { seq } => write!(f, "line {seq} was moved: it is not where it was written"),
            Self::SegmentMissing { from, to } => {
                write!(f, "a segment before this one is missing: {}", lines(*from, *to))
            }
            Self::SegmentNotClosed { segment } => {
                write!(
                    f,
                    "{segment} before this one does not end with a checkpoint: its last lines are missing"
                )
            }
            Self::Checkpoint { seq, fault } => match fault {
                CheckpointFault::Malformed => write!(f, "checkpoint {seq} is not about the line before it"),
                CheckpointFault::OtherKey => write!(f, "checkpoint {seq} is signed by another key"),
                CheckpointFault::BadSignature => write!(f, "the signature of checkpoint {seq} does not fit"),
            },
            Self::NotPruned { from, to } => write!(
                f,
                "lines between {from} and {to} were taken out, and no later line that the ledger's key has signed \
                 says that these were pruned"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{push_line, segment_name};
    use super::*;
    use ed25519_dalek::SigningKey;

    const KEY: [u8; 32] = [1; 32];

    /// A ledger of two segments: lines 1 to 4 and checkpoint 5; lines 6 to 9, checkpoint 10, line 11.
    struct Ledger {
        segments: Vec<(String, Vec<Vec<u8>>)>,
        next: u64,
        prev: Hash,
    }

    impl Ledger {
        fn whole() -> Self {
            let mut ledger = Self { segments: Vec::new(), next: 1, prev: Hash::ZERO };
            for lines in [4, 4] {
                ledger.segments.push((segment_name(ledger.next), Vec::new()));
                for _ in 0..lines {
                    ledger.push(&format!(r#"{{"kind":"test","n":{}}}"#, ledger.next));
                }
                ledger.checkpoint(&KEY);
            }
            ledger.push(r#"{"kind":"test","n":"unsigned"}"#);
            ledger
        }

        fn push(&mut self, body: &str) {
            let mut bytes = Vec::new();
            self.prev = push_line(&mut bytes, self.next, Timestamp::UNIX_EPOCH, &self.prev, body);
            self.segments.last_mut().unwrap().1.push(bytes);
            self.next += 1;
        }

        fn checkpoint(&mut self, seed: &[u8; 32]) {
            let signed = Checkpoint::sign(self.next - 1, &self.prev, &SigningKey::from_bytes(seed));
            self.push(&signed.to_body());
        }

        /// Writes the whole ledger anew with another body for one line, as one without the key could.
        fn rechained(&self, seq: u64, body: &str, seed: Option<&[u8; 32]>) -> Self {
            let mut forged = Self { segments: Vec::new(), next: 1, prev: Hash::ZERO };
            for (name, lines) in &self.segments {
                forged.segments.push((name.clone(), Vec::new()));
                for line in lines {
                    let line = Line::parse(line.strip_suffix(b"\n").unwrap()).unwrap();
                    match seed {
                        Some(seed) if Checkpoint::is(line.body) => forged.checkpoint(seed),
                        _ => forged.push(if line.seq == seq { body } else { line.body }),
                    }
                }
            }
            forged
        }

        fn verify(&self, key: Option<&[u8; 32]>) -> Report {
            let key = key.map(|seed| PublicKey::of(&SigningKey::from_bytes(seed)));
            let mut verifier = Verifier::new(key);
            for (name, lines) in &self.segments {
                verifier.segment(name);
                for line in lines {
                    verifier.line(line);
                }
            }
            verifier.finish()
        }
    }

    #[test]
    fn a_whole_ledger_is_counted() {
        let report = Ledger::whole().verify(Some(&KEY));
        assert_eq!(report.broken, None);
        assert_eq!((report.lines, report.segments, report.checkpoints, report.unsigned), (11, 2, 2, 1));
        assert_eq!(report.last, Some(11));
        assert_eq!(Verifier::new(None).finish(), Report::default());
    }

    #[test]
    fn every_tampering_is_named_with_its_line() {
        type Tamper = fn(&mut Ledger);
        let table: [(&str, Tamper, u64, Fault); 17] = [
            ("an edited line", |l| edit_line(l, 0, 1), 3, Fault::Edited { seq: 2 }),
            ("an edited first line", |l| edit_line(l, 0, 0), 2, Fault::Edited { seq: 1 }),
            ("an edited line before a checkpoint", |l| edit_line(l, 0, 3), 5, Fault::Edited { seq: 4 }),
            ("a deleted line", |l| drop(l.segments[0].1.remove(1)), 2, Fault::Deleted { from: 2, to: 2 }),
            ("deleted lines", |l| drop(l.segments[1].1.drain(1..3)), 2, Fault::Deleted { from: 7, to: 8 }),
            (
                "a deleted first line",
                |l| drop(l.segments[0].1.remove(0)),
                1,
                Fault::Deleted { from: 1, to: 1 },
            ),
            (
                "a deleted checkpoint",
                |l| drop(l.segments[1].1.remove(4)),
                5,
                Fault::Deleted { from: 10, to: 10 },
            ),
            (
                "an inserted copy",
                |l| {
                    let copy = l.segments[0].1[1].clone();
                    l.segments[0].1.insert(3, copy);
                },
                4,
                Fault::Inserted { seq: 2 },
            ),
            (
                "an inserted forgery that fits the line before it",
                |l| {
                    let before = Hash::of(l.segments[0].1[1].strip_suffix(b"\n").unwrap());
                    let mut forged = Vec::new();
                    push_line(&mut forged, 3, Timestamp::UNIX_EPOCH, &before, r#"{"kind":"forged"}"#);
                    l.segments[0].1.insert(2, forged);
                },
                4,
                Fault::Inserted { seq: 3 },
            ),
            ("neighbours swapped", |l| l.segments[0].1.swap(1, 2), 2, Fault::Reordered { seq: 2 }),
            (
                "a line moved down",
                |l| {
                    let line = l.segments[0].1.remove(0);
                    l.segments[0].1.insert(2, line);
                },
                1,
                Fault::Reordered { seq: 1 },
            ),
            (
                "a segment cut at its end",
                |l| l.segments[0].1.truncate(3),
                0,
                Fault::SegmentNotClosed { segment: segment_name(1) },
            ),
            (
                "a first segment missing",
                |l| drop(l.segments.remove(0)),
                0,
                Fault::SegmentMissing { from: 1, to: 5 },
            ),
            ("a torn last line", |l| l.segments[1].1[5].truncate(9), 6, Fault::CutOff),
            (
                "rubbish",
                |l| l.segments[0].1[1] = b"{}\n".to_vec(),
                2,
                Fault::NotALine("it does not start with {\"seq\":"),
            ),
            (
                "the chain written anew without the key",
                |l| *l = l.rechained(2, r#"{"kind":"forged"}"#, None),
                5,
                Fault::Checkpoint { seq: 5, fault: CheckpointFault::Malformed },
            ),
            (
                "the chain written anew with another key",
                |l| *l = l.rechained(2, r#"{"kind":"forged"}"#, Some(&[9; 32])),
                5,
                Fault::Checkpoint { seq: 5, fault: CheckpointFault::OtherKey },
            ),
        ];
        for (name, tamper, number, fault) in table {
            let mut ledger = Ledger::whole();
            tamper(&mut ledger);
            let broken = ledger.verify(Some(&KEY)).broken.unwrap_or_else(|| panic!("{name} went unseen"));
            assert_eq!((broken.number, &broken.fault), (number, &fault), "{name}: {broken}");
        }
    }

    #[test]
    fn a_line_whose_own_hash_of_the_one_before_was_changed_is_itself_named() {
        for (line, seq) in [(0, 1), (1, 2), (3, 4)] {
            let mut ledger = Ledger::whole();
            let text = String::from_utf8(ledger.segments[0].1[line].clone()).unwrap();
            let (before, prev) = text.split_once("\"prev\":\"").unwrap();
            let other = if prev.starts_with('0') { "1" } else { "0" };
            ledger.segments[0].1[line] = format!("{before}\"prev\":\"{other}{}", &prev[1..]).into_bytes();
            assert_eq!(ledger.verify(None).broken.unwrap().fault, Fault::Edited { seq }, "{line}");
        }
    }

    fn edit_line(ledger: &mut Ledger, segment: usize, line: usize) {
        let line = &mut ledger.segments[segment].1[line];
        let text = String::from_utf8(line.clone()).unwrap();
        *line = text.replace("\"test\"", "\"tset\"").into_bytes();
    }

    #[test]
    fn a_segment_missing_in_the_middle_is_named() {
        let mut ledger = Ledger::whole();
        ledger.checkpoint(&KEY);
        ledger.segments.push((segment_name(ledger.next), Vec::new()));
        ledger.push(r#"{"kind":"test"}"#);
        assert_eq!(ledger.verify(None).broken, None);
        ledger.segments.remove(1);
        let broken = ledger.verify(None).broken.unwrap();
        assert_eq!(broken.fault, Fault::SegmentMissing { from: 6, to: 12 });
        assert_eq!(broken.segment, segment_name(13));
    }

    #[test]
    fn a_signature_that_does_not_fit_and_a_change_of_keys_are_seen_without_a_key() {
        let mut ledger = Ledger::whole();
        let good = Checkpoint::sign(11, &ledger.prev, &SigningKey::from_bytes(&KEY));
        let wrong = Checkpoint { signature: "0".repeat(128), ..good };
        ledger.push(&wrong.to_body());
        let fault = ledger.verify(None).broken.unwrap().fault;
        assert_eq!(fault, Fault::Checkpoint { seq: 12, fault: CheckpointFault::BadSignature });

        let mut ledger = Ledger::whole();
        ledger.checkpoint(&[9; 32]);
        let fault = ledger.verify(None).broken.unwrap().fault;
        assert_eq!(fault, Fault::Checkpoint { seq: 12, fault: CheckpointFault::OtherKey });
    }

    #[test]
    fn a_tail_without_its_checkpoint_is_a_number_not_a_fault() {
        let mut ledger = Ledger::whole();
        ledger.segments[1].1.truncate(3);
        let report = ledger.verify(Some(&KEY));
        assert_eq!((report.broken, report.unsigned, report.last), (None, 3, Some(8)));
    }
}
