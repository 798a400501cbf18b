//! Taking lines out of a closed segment: what it is afterwards.

use super::checkpoint::Checkpoint;
use super::gap::{Entry, Gap};
use super::line::{Hash, NotALine};
use sha2::{Digest as _, Sha256};

/// Feed it the lines of one closed segment, in their order, of which a
/// [`Verifier`](super::Verifier) says that they are whole.
///
/// A checkpoint right behind lines that go goes with them, unless it is the
/// segment's last line: that one signs all before it, the gaps too.
pub struct Pruner<'g> {
    /// The numbers of the lines that go, in order.
    gone: &'g [u64],
    /// What has gone right before this line.
    run: Option<Gap>,
    /// A checkpoint behind it, until another line shows that it is not the last.
    checkpoint: Option<(Gap, Vec<u8>)>,
    digest: Sha256,
    pruned: Pruned,
}

/// What has gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    pub lines: u64,
    /// Hashes of the records beside the chain that they named.
    pub blobs: Vec<String>,
    /// SHA-256, in hex, of the segment's gaps.
    pub gaps: String,
}

impl<'g> Pruner<'g> {
    pub fn new(gone: &'g [u64]) -> Self {
        Self { gone, run: None, checkpoint: None, digest: Sha256::new(), pruned: Pruned::default() }
    }

    /// The next line with its newline; what stays is added to `out`.
    pub fn line(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), NotALine> {
        let bytes = raw.strip_suffix(b"\n").ok_or(NotALine("it is cut off"))?;
        if let Some((gap, _)) = self.checkpoint.take() {
            self.extend(gap);
        }
        match Entry::parse(bytes)? {
            Entry::Gap(gap) => self.extend(gap),
            Entry::Line(line) => {
                let gap = Gap { from: line.seq, to: line.seq, prev: line.prev, hash: Hash::of(bytes) };
                if self.gone.binary_search(&line.seq).is_ok() {
                    self.pruned.lines += 1;
                    self.pruned.blobs.extend(line.blob().map(|blob| blob.sha256));
                    self.extend(gap);
                } else if self.run.is_some() && Checkpoint::is(line.body) {
                    self.checkpoint = Some((gap, raw.to_vec()));
                } else {
                    self.close(out);
                    out.extend_from_slice(raw);
                }
            }
        }
        Ok(())
    }

    /// After the last line.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Pruned {
        self.close(out);
        if let Some((_, raw)) = self.checkpoint {
            out.extend_from_slice(&raw);
        }
        Pruned { gaps: Hash::from_bytes(self.digest.finalize().into()).to_string(), ..self.pruned }
    }

    fn extend(&mut self, by: Gap) {
        self.run = Some(match self.run {
            Some(run) => Gap { to: by.to, hash: by.hash, ..run },
            None => by,
        });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(gap) = self.run.take() else { return };
        let start = out.len();
        gap.push(out);
        self.digest.update(out.get(start..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        BlobRef, Broken, CheckpointFault, Fault, Pruning, PublicKey, Report, Verifier, push_line,
        segment_name,
    };
    use super::*;
    use ed25519_dalek::SigningKey;
    use jiff::Timestamp;

    const SEED: [u8; 32] = [1; 32];

    /// Segments of lines; each ends with a checkpoint but the last.
    #[derive(Clone)]
    struct Ledger {
        segments: Vec<(u64, Vec<Vec<u8>>)>,
        next: u64,
        prev: Hash,
    }

    impl Ledger {
        /// Lines 1 to 3, checkpoint 4, 5, 6, checkpoint 7; 8 to 10, checkpoint 11; 12.
        fn whole() -> Self {
            let mut ledger = Self { segments: Vec::new(), next: 1, prev: Hash::ZERO };
            for parts in [&[3, 2][..], &[3], &[]] {
                ledger.segments.push((ledger.next, Vec::new()));
                for lines in parts {
                    for _ in 0..*lines {
                        ledger.push(&format!(r#"{{"kind":"test","n":{}}}"#, ledger.next));
                    }
                    let signed =
                        Checkpoint::sign(ledger.next - 1, &ledger.prev, &SigningKey::from_bytes(&SEED));
                    ledger.push(&signed.to_body());
                }
            }
            ledger.push(r#"{"kind":"test"}"#);
            ledger
        }

        fn push(&mut self, body: &str) {
            let mut bytes = Vec::new();
            self.prev = push_line(&mut bytes, self.next, Timestamp::UNIX_EPOCH, &self.prev, body);
            self.segments.last_mut().unwrap().1.push(bytes);
            self.next += 1;
        }

        /// Takes lines out of a segment, and tells.
        fn prune(&mut self, segment: usize, gone: &[u64]) -> Pruned {
            let pruned = self.take_out(segment, gone);
            let name = segment_name(self.segments[segment].0);
            self.tell(&name, &pruned, &SEED);
            pruned
        }

        fn tell(&mut self, segment: &str, pruned: &Pruned, key: &[u8; 32]) {
            let told = Pruning::sign(segment, pruned, "statements = 1d", &SigningKey::from_bytes(key));
            self.push(&told.to_body());
        }

        fn take_out(&mut self, segment: usize, gone: &[u64]) -> Pruned {
            let (mut pruner, mut out) = (Pruner::new(gone), Vec::new());
            for raw in &self.segments[segment].1 {
                pruner.line(raw, &mut out).unwrap();
            }
            let pruned = pruner.finish(&mut out);
            self.segments[segment].1 =
                out.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            pruned
        }

        fn verify(&self) -> Report {
            let mut verifier = Verifier::new(Some(PublicKey::of(&SigningKey::from_bytes(&SEED))));
            for (first, lines) in &self.segments {
                verifier.segment(&segment_name(*first));
                for line in lines {
                    verifier.line(line);
                }
            }
            verifier.finish()
        }

        /// The lines that stand in a segment: numbers, or the two ends of a gap.
        fn shape(&self, segment: usize) -> Vec<(u64, u64)> {
            let lines = self.segments[segment].1.iter();
            let ends = lines.map(|raw| match Entry::parse(raw.strip_suffix(b"\n").unwrap()).unwrap() {
                Entry::Line(line) => (line.seq, line.seq),
                Entry::Gap(gap) => (gap.from, gap.to),
            });
            ends.collect()
        }
    }

    #[test]
    fn b4_what_is_pruned_leaves_its_hashes_and_the_chain_verifies() {
        let mut ledger = Ledger::whole();
        assert_eq!(ledger.prune(0, &[2, 3, 6]).lines, 3);
        assert_eq!(ledger.shape(0), [(1, 1), (2, 4), (5, 5), (6, 6), (7, 7)]);
        let report = ledger.verify();
        assert_eq!(report.broken, None);
        assert_eq!((report.lines, report.unsigned, report.last), (9, 2, Some(13)));
        let pruned = &report.pruned[0];
        assert_eq!((pruned.from, pruned.to, pruned.lines), (2, 6, 4));
        let told = pruned.told.as_ref().unwrap();
        assert_eq!((told.seq, told.rule.as_str()), (13, "statements = 1d"));

        // More of it goes: gaps that meet are one, and the new ones are told of.
        assert_eq!(ledger.prune(0, &[1, 2, 3, 5, 6]).lines, 2);
        assert_eq!(ledger.shape(0), [(1, 6), (7, 7)]);
        assert_eq!(ledger.prune(1, &[8, 9, 10]).lines, 3);
        assert_eq!(ledger.shape(1), [(8, 10), (11, 11)]);
        let report = ledger.verify();
        assert_eq!((report.broken, report.pruned.len()), (None, 2));
        // What is gone is not gone twice.
        let before = ledger.segments[0].1.clone();
        assert_eq!(ledger.take_out(0, &[1, 2, 3]).lines, 0);
        assert_eq!(ledger.segments[0].1, before);
    }

    #[test]
    fn an_original_that_comes_back_is_no_fault() {
        let whole = Ledger::whole();
        let mut ledger = whole.clone();
        ledger.prune(0, &[2]);
        ledger.segments[0] = whole.segments[0].clone();
        let report = ledger.verify();
        assert_eq!((report.broken, report.pruned.len()), (None, 0));
    }

    #[test]
    fn records_beside_the_chain_are_named() {
        let mut ledger = Ledger { segments: vec![(1, Vec::new())], next: 1, prev: Hash::ZERO };
        let blob = BlobRef::to(r#"{"kind":"statement.intent"}"#);
        ledger.push(&blob.to_body());
        ledger.push("{}");
        assert_eq!(ledger.take_out(0, &[1]).blobs, [blob.sha256]);
        assert!(ledger.take_out(0, &[2]).blobs.is_empty());
    }

    #[test]
    fn b4_every_forgery_around_a_gap_is_named() {
        fn edit(line: &mut Vec<u8>, from: &str, to: &str) {
            let text = String::from_utf8(line.clone()).unwrap();
            assert!(text.contains(from), "{text}");
            *line = text.replacen(from, to, 1).into_bytes();
        }
        /// One hexadecimal digit of what follows.
        fn turn(line: &mut [u8], after: &str) {
            let at =
                line.windows(after.len()).position(|part| part == after.as_bytes()).unwrap() + after.len();
            line[at] = if line[at] == b'0' { b'1' } else { b'0' };
        }
        type Forge = fn(&mut Ledger);
        // Segment 0 is line 1, the gap 2 to 4, line 5, the gap 6, checkpoint 7.
        let table: [(&str, Forge, Fault); 12] = [
            (
                "the gap's last hash",
                |l| turn(&mut l.segments[0].1[1], "\"hash\":\""),
                Fault::Edited { seq: 4 },
            ),
            (
                "the gap's first hash",
                |l| turn(&mut l.segments[0].1[1], "\"prev\":\""),
                Fault::Edited { seq: 1 },
            ),
            (
                "the line before it",
                |l| edit(&mut l.segments[0].1[0], "\"n\":1", "\"n\":9"),
                Fault::Edited { seq: 1 },
            ),
            (
                "the line after it",
                |l| edit(&mut l.segments[0].1[2], "\"n\":5", "\"n\":9"),
                Fault::Edited { seq: 5 },
            ),
            (
                "the line before it, and the hash that the gap has of it",
                |l| {
                    edit(&mut l.segments[0].1[2], "\"n\":5", "\"n\":9");
                    let hash = Hash::of(l.segments[0].1[2].strip_suffix(b"\n").unwrap());
                    let gap = match Entry::parse(l.segments[0].1[3].strip_suffix(b"\n").unwrap()).unwrap() {
                        Entry::Gap(gap) => Gap { prev: hash, ..gap },
                        Entry::Line(line) => panic!("{line:?}"),
                    };
                    l.segments[0].1[3].clear();
                    gap.push(&mut l.segments[0].1[3]);
                },
                Fault::NotPruned { from: 2, to: 6 },
            ),
            (
                "another line taken out in the same way",
                |l| drop(l.take_out(0, &[1])),
                Fault::NotPruned { from: 1, to: 6 },
            ),
            (
                "a segment that nobody pruned",
                |l| drop(l.take_out(1, &[9])),
                Fault::NotPruned { from: 9, to: 9 },
            ),
            (
                "a segment that nobody with the key pruned, and a line that says so",
                |l| {
                    let pruned = l.take_out(1, &[9]);
                    l.tell(&segment_name(8), &pruned, &[2; 32]);
                },
                Fault::NotPruned { from: 9, to: 9 },
            ),
            (
                "more of a segment than was pruned, and the line that said so again",
                |l| {
                    let earlier = l.segments[2].1.last().unwrap().clone();
                    let told = String::from_utf8(earlier).unwrap();
                    let body = told.split_once("\"body\":").unwrap().1;
                    let body = body.strip_suffix("}\n").unwrap();
                    let told = Pruning::from_body(body).unwrap();
                    let pruned = l.take_out(0, &[1]);
                    l.push(&Pruning { gaps: pruned.gaps, ..told }.to_body());
                },
                Fault::NotPruned { from: 1, to: 6 },
            ),
            (
                "a shorter gap",
                |l| edit(&mut l.segments[0].1[1], "\"to\":4", "\"to\":3"),
                Fault::Deleted { from: 4, to: 4 },
            ),
            (
                "a pruned segment that is missing",
                |l| drop(l.segments.remove(0)),
                Fault::SegmentMissing { from: 1, to: 7 },
            ),
            (
                "the closing checkpoint",
                |l| turn(&mut l.segments[0].1[4], "\"signature\":\""),
                Fault::Checkpoint { seq: 7, fault: CheckpointFault::BadSignature },
            ),
        ];
        for (name, forge, fault) in table {
            let mut ledger = Ledger::whole();
            ledger.prune(0, &[2, 3, 6]);
            assert_eq!(ledger.shape(0), [(1, 1), (2, 4), (5, 5), (6, 6), (7, 7)]);
            forge(&mut ledger);
            let Broken { fault: found, .. } =
                ledger.verify().broken.unwrap_or_else(|| panic!("{name} went unseen"));
            assert_eq!(found, fault, "{name}");
        }
    }
}
