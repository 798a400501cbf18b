//! The files in a bundle. A damaged one is read as far as it goes: what is
//! readable of it shows where it was damaged.

use super::{Problem, facts};
use crate::core::evidence::FileFacts;
use crate::core::hex::hex;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use zip::ZipArchive;
use zip::result::ZipError;

/// No file but a segment is larger, and segments are streamed.
pub(super) const LARGEST: u64 = 1 << 30;
/// A manifest names some files of some hundred bytes each.
pub(super) const LARGEST_MANIFEST: u64 = 64 << 20;
/// A key or a signature is a line or two.
pub(super) const SMALL: u64 = 4 << 10;

pub(super) struct Bundle(ZipArchive<BufReader<File>>);

/// What could be read of a file.
pub(super) struct Content {
    pub bytes: Vec<u8>,
    /// Why it ended before its end.
    pub broken: Option<String>,
}

impl Content {
    pub fn whole(self) -> Option<Vec<u8>> {
        self.broken.is_none().then_some(self.bytes)
    }
}

impl Bundle {
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        match ZipArchive::new(BufReader::with_capacity(1 << 17, file)) {
            Ok(zip) => Ok(Self(zip)),
            Err(ZipError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
        }
    }

    pub fn names(&self) -> Vec<String> {
        let names =
            (0..self.0.len()).filter_map(|index| Some(self.0.name_for_index(index)?.ok()?.into_owned()));
        names.collect()
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.index_for_name(name).is_some()
    }

    /// What no bundle is made with: names that cannot be read, and bytes between
    /// the files, where another file of one of their names may hide.
    pub fn oddities(&mut self) -> Vec<Problem> {
        let mut odd = Vec::new();
        let mut places = Vec::new();
        for index in 0..self.0.len() {
            let Ok(file) = self.0.by_index_raw(index) else { continue };
            places
                .push((file.header_start(), file.data_start().unwrap_or_default() + file.compressed_size()));
            if file.name().is_err() {
                odd.push(Problem::new("(unnamed)", None, "the bundle has a file whose name cannot be read"));
            }
        }
        places.push((self.0.central_directory_start(), u64::MAX));
        places.sort_unstable();
        let ends = std::iter::once(0).chain(places.iter().map(|(_, end)| *end));
        if ends.zip(&places).any(|(end, (start, _))| end != *start) {
            odd.push(Problem::new(
                "(unnamed)",
                None,
                "the bundle has bytes between its files that belong to none",
            ));
        }
        odd
    }

    /// Runs `each` over a file's bytes as far as they can be read.
    pub fn stream<T>(&mut self, name: &str, each: impl FnOnce(&mut dyn Read) -> T) -> Result<T, String> {
        let mut file = self.0.by_name(name).map_err(|error| match error {
            ZipError::FileNotFound => "it is missing".to_owned(),
            error => format!("it cannot be read: {error}"),
        })?;
        Ok(each(&mut file))
    }

    /// A file's bytes; one of more than `most` is broken there.
    pub fn read(&mut self, name: &str, most: u64) -> Result<Content, String> {
        self.stream(name, |file| {
            let mut bytes = Vec::new();
            let read = file.take(most.saturating_add(1)).read_to_end(&mut bytes);
            let mut broken = read.err().map(|error| error.to_string());
            if bytes.len() as u64 > most {
                bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
                broken = Some(format!("it is longer than the {most} bytes that such a file has at most"));
            }
            Content { bytes, broken }
        })
    }

    /// Its length and hash; `None` where it cannot be read to its end, or is longer than expected.
    pub fn facts(&mut self, name: &str, expected: u64) -> Option<FileFacts> {
        let hashed = self.stream(name, |file| {
            let mut file = file.take(expected.saturating_add(1));
            let (mut hash, mut length, mut piece) = (Sha256::new(), 0, vec![0; 1 << 17]);
            loop {
                match file.read(&mut piece) {
                    Ok(0) => break,
                    Ok(n) => {
                        hash.update(piece.get(..n).unwrap_or_default());
                        length += n as u64;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(_) => return None,
                }
            }
            Some(facts(length, hex(&hash.finalize())))
        });
        hashed.ok().flatten()
    }
}
