//! Lines of a ledger, as an auditor gets them from somebody else.

use super::{Target, kind};
use dbaccess::core::ledger::{Entry, Gap, Hash, Verifier, push_line};

pub fn ledger_lines() -> Target {
    fn check(data: &[u8]) -> u64 {
        let mut verifier = Verifier::new(None);
        verifier.segment("ledger-00000000000000000000.jsonl");
        let mut faults = Vec::new();
        for raw in data.split_inclusive(|byte| *byte == b'\n') {
            let line = raw.strip_suffix(b"\n").unwrap_or(raw);
            match Entry::parse(line) {
                // A line has one form: written again it is the same bytes.
                Ok(Entry::Line(read)) => {
                    let mut again = Vec::new();
                    let hash = push_line(&mut again, read.seq, read.at, &read.prev, read.body);
                    assert_eq!(again.strip_suffix(b"\n"), Some(line));
                    assert_eq!(hash, Hash::of(line));
                }
                Ok(Entry::Gap(gap)) => {
                    let mut again = Vec::new();
                    gap.push(&mut again);
                    assert_eq!(again.strip_suffix(b"\n"), Some(line));
                    assert!(gap.from <= gap.to);
                }
                Err(fault) => faults.push(fault.0),
            }
            verifier.line(raw);
        }
        let report = verifier.finish();
        faults.truncate(3);
        let broken = report
            .broken
            .map(|broken| format!("{:?}", broken.fault).split([' ', '(']).next().map(str::to_owned));
        kind((faults, report.lines.min(4), report.checkpoints.min(2), broken))
    }
    Target { name: "ledger_lines", dictionary: WORDS, seeds, check }
}

/// A small whole ledger, without a checkpoint.
fn seeds() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut prev = Hash::ZERO;
    for (seq, body) in
        [r#"{"kind":"opened"}"#, r#"{"kind":"statement","text":"SELECT 1"}"#, "{}"].iter().enumerate()
    {
        prev = push_line(&mut out, seq as u64, jiff::Timestamp::UNIX_EPOCH, &prev, body);
    }
    let mut gapped = Vec::new();
    Gap { from: 1, to: 3, prev: Hash::ZERO, hash: prev }.push(&mut gapped);
    push_line(&mut gapped, 4, jiff::Timestamp::UNIX_EPOCH, &prev, r#"{"kind":"after"}"#);
    vec![out, gapped]
}

const WORDS: &[&[u8]] = &[
    b"{\"seq\":0,\"at\":\"1970-01-01T00:00:00Z\",\"prev\":\"",
    b"\",\"body\":{}}",
    b"\n",
    b"\"",
    b"{",
    b"}",
    b"\"kind\":\"checkpoint\"",
    b"18446744073709551615",
    b"-1",
    b"00",
    b"\\u0000",
    b"\r",
    b" ",
    b"\"hash\":",
    b"\"signature\":",
    b"\"key\":",
    b"\"of\":1",
    b",\"to\":1,",
    b"\"blob\":",
    b"\"sha256\":",
    b"\"bytes\":1",
];
