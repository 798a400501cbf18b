//! The ledger in a bundle: its chain, and that it is the part that was signed.

use super::Problem;
use super::files::{Bundle, SMALL};
use crate::core::evidence::{BLOBS, LEDGER, Manifest, PUBLIC_KEY, Read, Reading};
use crate::core::ledger::{BlobRef, Fault, Hash, Line, PublicKey, first_seq};
use std::io::{self, BufRead, BufReader, Read as _};

/// Longer than any line the server writes: what is larger stands beside the chain.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// Reads all segments and says what is wrong with them.
///
/// `records` is the same bundle: a record beside the chain is read amid a segment.
pub(super) fn read(
    bundle: &mut Bundle,
    records: &mut Bundle,
    manifest: &Manifest,
    key: Option<PublicKey>,
    problems: &mut Vec<Problem>,
) -> io::Result<Read> {
    if let Some(key) = key {
        let published = bundle.read(PUBLIC_KEY, SMALL).ok().map(|content| content.bytes);
        if published.is_some_and(|bytes| bytes != format!("{key}\n").into_bytes()) {
            problems.push(Problem::new(PUBLIC_KEY, Some(1), format!("it is not the key that signed: {key}")));
        }
    }
    let segments: Vec<String> = manifest.segments().into_iter().map(str::to_owned).collect();
    let prev = manifest.ledger.prev().unwrap_or(Hash::ZERO);
    let mut reading = Reading::start(manifest.ledger.first, prev, key);
    let mut unreadable = None;
    for segment in &segments {
        reading.segment(segment);
        let name = format!("{LEDGER}{segment}");
        let mut beside = |blob: &BlobRef, seq: u64| {
            let name = format!("{BLOBS}{}", blob.sha256);
            let record = records.read(&name, blob.bytes).ok().map(|content| content.bytes);
            if !record.as_ref().is_some_and(|bytes| blob.matches(bytes)) {
                let what = format!("it is not the record that line {seq} of the ledger names");
                problems.push(Problem::new(&name, None, what));
            }
            record
        };
        let ended = bundle.stream(&name, |file| {
            let mut file = BufReader::new(file);
            let (mut raw, mut number) = (Vec::new(), 0u64);
            loop {
                raw.clear();
                number += 1;
                match file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut raw) {
                    Ok(0) => return None,
                    Ok(_) => {
                        let line = raw.strip_suffix(b"\n").unwrap_or(&raw);
                        let seq = Line::parse(line).map_or(0, |line| line.seq);
                        reading.line(&raw, |blob| beside(blob, seq));
                    }
                    Err(error) => return Some((number, error.to_string())),
                }
            }
        });
        if let (None, Ok(Some(broken))) = (&unreadable, ended) {
            unreadable = Some((name, broken));
        }
    }
    let read = reading.finish();
    let whole = problems.len();
    if let Some(broken) = &read.broken {
        let (file, line) = match &broken.fault {
            Fault::Edited { seq } => place(&segments, *seq),
            _ => (broken.segment.clone(), broken.number.max(1)),
        };
        problems.push(Problem::new(&format!("{LEDGER}{file}"), Some(line), broken.fault.to_string()));
    } else if read.proven.last != manifest.ledger.last || read.proven.hash != manifest.ledger.hash {
        // Nothing follows that would hold another hash of it, but the manifest does.
        let (file, line) = place(&segments, read.proven.last.max(manifest.ledger.first));
        let what = format!(
            "line {} is not the last one that was signed: the manifest says line {}, and another hash",
            read.proven.last, manifest.ledger.last
        );
        problems.push(Problem::new(&format!("{LEDGER}{file}"), Some(line), what));
    }
    if let (Some((name, (line, why))), true) = (unreadable, problems.len() == whole) {
        problems.push(Problem::new(&name, Some(line), format!("it cannot be read from here on: {why}")));
    }
    Ok(read)
}

/// In which segment a line is, and where in it.
fn place(segments: &[String], seq: u64) -> (String, u64) {
    let begins = |name: &String| first_seq(name).filter(|first| *first <= seq);
    let found = segments.iter().rev().find_map(|name| Some((name, begins(name)?)));
    found.map_or((String::new(), 1), |(name, first)| (name.clone(), seq - first + 1))
}
