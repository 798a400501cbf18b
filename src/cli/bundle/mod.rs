//! Checking a bundle of evidence, with nothing but the bundle: whether it is
//! what was signed, whether the ledger in it is whole, and whether the same
//! lines lead to the same report. It goes on after a fault, so that the line
//! that was changed is named, not just the file.

mod compare;
mod files;
mod ledger;

use crate::core::evidence::{
    Document, FileFacts, MANIFEST, Manifest, PUBLIC_KEY, Read, Report, SIGNATURE, data, html, pdf,
};
use crate::core::ledger::{Detached, NotSigned, PublicKey};
use compare::first_difference;
use files::{Bundle, Content, LARGEST, LARGEST_MANIFEST, SMALL};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// What was found.
pub struct Checked {
    pub manifest: Option<Manifest>,
    /// The key that signed, to be compared with the one that was published.
    pub key: Option<PublicKey>,
    pub lines: u64,
    pub exceptions: u64,
    pub problems: Vec<Problem>,
    /// What could not be compared, and why.
    pub notes: Vec<String>,
}

/// Something that is not as it was made.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file in the bundle.
    pub file: String,
    /// The line in that file, from 1.
    pub line: Option<u64>,
    pub what: String,
}

impl Problem {
    fn new(file: &str, line: Option<u64>, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// Checks a bundle; `key` is the one that must have signed it.
///
/// # Errors
/// When the file cannot be read, or is no ZIP file at all.
pub fn check(path: &Path, key: Option<PublicKey>) -> io::Result<Checked> {
    let mut bundle = Bundle::open(path)?;
    let mut checked = Checked {
        manifest: None,
        key: None,
        lines: 0,
        exceptions: 0,
        problems: bundle.oddities(),
        notes: Vec::new(),
    };
    let manifest_bytes = checked.text_of(&mut bundle, MANIFEST, LARGEST_MANIFEST);
    let signature = checked.text_of(&mut bundle, SIGNATURE, SMALL);
    let published = bundle.read(PUBLIC_KEY, SMALL).ok().and_then(Content::whole);
    let published = published.and_then(|bytes| PublicKey::from_hex(std::str::from_utf8(&bytes).ok()?));
    let (Some(manifest_bytes), Some(signature)) = (manifest_bytes, signature) else { return Ok(checked) };
    match Detached::verify(&manifest_bytes, &signature, key) {
        Ok(signer) => checked.key = Some(signer),
        Err(not @ (NotSigned::Malformed | NotSigned::OtherKey)) => {
            checked.problem(SIGNATURE, None, not.to_string());
        }
        Err(not @ NotSigned::BadSignature) => {
            let what = format!("{not}: this file or {SIGNATURE} was changed after it was signed");
            checked.problem(MANIFEST, None, what);
        }
    }
    let manifest = match Manifest::parse(&manifest_bytes) {
        Ok(manifest) => manifest,
        Err(why) => {
            checked.problem(MANIFEST, None, why);
            return Ok(checked);
        }
    };
    let changed = checked.hashes(&mut bundle, &manifest);
    // The key that must have signed the ledger's checkpoints.
    let signer = key.or(checked.key).or(published);
    let read = ledger::read(&mut bundle, &mut Bundle::open(path)?, &manifest, signer, &mut checked.problems)?;
    checked.lines = read.proven.lines;
    checked.again(&mut bundle, &manifest, &read, &changed)?;
    checked.manifest = Some(manifest);
    // A file is named once for its hash only where nothing more exact is known.
    for file in changed {
        if !checked.problems.iter().any(|problem| problem.file == file) {
            checked.problem(&file, None, "it is not the file that was signed: its SHA-256 is another");
        }
    }
    Ok(checked)
}

impl Checked {
    fn problem(&mut self, file: &str, line: Option<u64>, what: impl Into<String>) {
        self.problems.push(Problem::new(file, line, what));
    }

    /// A file that every bundle has.
    fn text_of(&mut self, bundle: &mut Bundle, name: &str, most: u64) -> Option<Vec<u8>> {
        match bundle.read(name, most) {
            Ok(Content { bytes, broken: None }) => Some(bytes),
            Ok(Content { broken: Some(why), .. }) => {
                self.problem(name, None, format!("it cannot be read whole: {why}"));
                None
            }
            Err(why) => {
                self.problem(name, None, why);
                None
            }
        }
    }

    /// Compares every file with the manifest; the names of those that differ.
    fn hashes(&mut self, bundle: &mut Bundle, manifest: &Manifest) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        let own = [MANIFEST, SIGNATURE];
        for name in bundle.names() {
            if !own.contains(&name.as_str()) && !manifest.files.contains_key(&name) {
                self.problem(&name, None, "it was added: the manifest does not name it");
            }
        }
        for (name, facts) in &manifest.files {
            if !bundle.has(name) {
                self.problem(name, None, "it is missing");
            } else if bundle.facts(name, facts.bytes).as_ref() != Some(facts) {
                changed.insert(name.clone());
            }
        }
        changed
    }

    /// Makes the report again from the bundle's own lines, and compares.
    fn again(
        &mut self,
        bundle: &mut Bundle,
        manifest: &Manifest,
        read: &Read,
        changed: &BTreeSet<String>,
    ) -> io::Result<()> {
        let report = Report::of(read, manifest.framework, manifest.period);
        self.exceptions = report.totals.exceptions;
        // Where the lines themselves were changed, another report follows from them.
        let from_whole_lines = self.problems.iter().all(|problem| !problem.file.starts_with("ledger/"));
        let document = Document::of(&report);
        let print = pdf(&document).ok_or_else(|| io::Error::other("the report cannot be set in print"))?;
        let mut made: BTreeMap<&str, Vec<u8>> =
            data(&report).into_iter().map(|file| (file.name, file.text.into_bytes())).collect();
        made.insert("report.html", html(&document).into_bytes());
        made.insert("report.pdf", print);
        let same_version = manifest.version == env!("CARGO_PKG_VERSION");
        let mut differ = Vec::new();
        for (name, expected) in made {
            let Ok(Content { bytes, .. }) = bundle.read(name, LARGEST) else { continue };
            let Some(difference) = first_difference(name, &expected, &bytes) else { continue };
            let signed = !changed.contains(name);
            if (signed || !from_whole_lines) && !same_version {
                differ.push(name);
            } else if signed && from_whole_lines {
                let what = format!("it does not follow from the ledger: {}", difference.what);
                self.problem(name, difference.line, what);
            } else if !signed {
                self.problem(name, difference.line, difference.what);
            }
        }
        if !differ.is_empty() {
            self.notes.push(format!(
                "{} as version {} made them; this is {}, which words some things in another way: their hashes are \
                 signed, and dbaccess {0} compares them word for word",
                differ.join(", "), manifest.version, env!("CARGO_PKG_VERSION")
            ));
        }
        Ok(())
    }
}

/// What a file is, for the manifest's comparison.
fn facts(bytes: u64, sha256: String) -> FileFacts {
    FileFacts { bytes, sha256 }
}
