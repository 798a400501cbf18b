//! Bundles of evidence: one ZIP file with the document, the data, the lines of
//! the ledger that they follow from, and a signed manifest. What they say,
//! `core::evidence` decides; here segments are read and the file is written.
//!
//! ```text
//!  scan: all segments, statements skipped ──► the line from which on everything is told
//!  write: from that line's segment on ──► ledger/… ──► Report ──► data/…, report.html, report.pdf
//!                                                          └──► manifest.json, manifest.sig
//! ```
//!
//! Lines stream through: in memory are the lives of requests, grants and
//! sessions, and of statements only their count. The same lines and the same
//! interval make the same bytes.

mod archive;
mod scan;

use crate::core::evidence::{
    BLOBS, Document, LEDGER, MANIFEST, Manifest, PUBLIC_KEY, Period, Reading, Report, SIGNATURE, data, html,
    pdf,
};
use crate::core::ledger::{BlobRef, Detached, Entry, Hash, PublicKey, first_seq};
use crate::core::model::Framework;
use archive::Archive;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub framework: Framework,
    pub period: Period,
    /// The ledger's last line that is told of.
    pub upto: u64,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Of the manifest, in hex: it names the bundle.
    pub sha256: String,
    /// The part of the ledger that is in it.
    pub first: u64,
    pub last: u64,
    pub exceptions: u64,
}

/// Why a bundle cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error("a bundle of evidence cannot be made: {0}")]
    Io(#[from] io::Error),
    #[error("a bundle of evidence cannot be written: {0}")]
    Zip(#[from] zip::result::ZipError),
    #[error("there is no ledger in that interval yet")]
    Nothing,
    #[error("the report cannot be set in print")]
    NoPrint,
}

/// Longer than any line the journal writes: what is larger stands beside the chain.
pub(super) const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// Writes the bundle of a ledger's directory to `out`. Blocks for as long as
/// reading the segments takes.
pub fn write(
    dir: &Path,
    key: PublicKey,
    wanted: Wanted,
    sign: impl FnOnce(&[u8]) -> Detached,
    out: &File,
) -> Result<Made, BundleError> {
    let segments = scan::needed(dir, wanted)?;
    let first_name = segments.first().ok_or(BundleError::Nothing)?;
    let first = first_seq(first_name).unwrap_or(1);
    let mut reading = Reading::start(first, hash_before(&dir.join(first_name))?, Some(key));
    let mut archive = Archive::new(out);
    let mut blobs = BTreeSet::new();
    for name in &segments {
        reading.segment(name);
        archive.start(&format!("{LEDGER}{name}"))?;
        each_line(&dir.join(name), wanted.upto, |raw| {
            reading.line(raw, |blob| {
                blobs.insert(blob.sha256.clone());
                beside(dir, blob)
            });
            archive.write(raw)
        })?;
    }
    for sha256 in blobs {
        // One that is missing is an exception in the report.
        let Ok(mut file) = File::open(dir.join("blobs").join(&sha256)) else { continue };
        archive.start(&format!("{BLOBS}{sha256}"))?;
        let mut piece = vec![0; 256 << 10];
        loop {
            let n = file.read(&mut piece)?;
            if n == 0 {
                break;
            }
            archive.write(piece.get(..n).unwrap_or_default())?;
        }
    }
    archive.file(PUBLIC_KEY, format!("{key}\n").as_bytes())?;
    let read = reading.finish();
    let report = Report::of(&read, wanted.framework, wanted.period);
    for file in data(&report) {
        archive.file(file.name, file.text.as_bytes())?;
    }
    let document = Document::of(&report);
    archive.file("report.html", html(&document).as_bytes())?;
    archive.file("report.pdf", &pdf(&document).ok_or(BundleError::NoPrint)?)?;
    let version = env!("CARGO_PKG_VERSION");
    let files = archive.files().clone();
    let manifest = Manifest::new(version, wanted.framework, wanted.period, &read.proven, files).to_json();
    archive.file(MANIFEST, manifest.as_bytes())?;
    archive.file(SIGNATURE, sign(manifest.as_bytes()).to_text().as_bytes())?;
    archive.finish()?;
    Ok(Made {
        sha256: Hash::of(manifest.as_bytes()).to_string(),
        first: read.proven.first,
        last: read.proven.last,
        exceptions: report.totals.exceptions,
    })
}

/// Reads a segment's lines up to line `upto`, newlines included.
fn each_line<E: From<io::Error>>(
    path: &Path,
    upto: u64,
    mut each: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut file = BufReader::with_capacity(1 << 17, File::open(path)?);
    let mut raw = Vec::new();
    loop {
        raw.clear();
        let length = file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut raw)?;
        if length == 0 || seq_of(&raw).is_some_and(|seq| seq > upto) {
            return Ok(());
        }
        each(&raw)?;
    }
}

/// A line's number, without reading the rest of it.
fn seq_of(raw: &[u8]) -> Option<u64> {
    let rest = raw.strip_prefix(b"{\"seq\":")?;
    let digits = rest.split(|byte| *byte == b',').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The hash that the first line of a segment carries of the line before it.
fn hash_before(segment: &Path) -> io::Result<Hash> {
    let mut raw = Vec::new();
    BufReader::new(File::open(segment)?).take(LONGEST_LINE).read_until(b'\n', &mut raw)?;
    let entry = Entry::parse(raw.strip_suffix(b"\n").unwrap_or(&raw));
    // What is no line is named when it is read.
    Ok(entry.map_or(Hash::ZERO, |entry| entry.prev()))
}

fn beside(dir: &Path, blob: &BlobRef) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(dir.join("blobs").join(&blob.sha256)).ok()?;
    file.take(blob.bytes.saturating_add(1)).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
