//! Records too large for a line: a file each, named by its hash, whole and on
//! disk before the line that names it is written.

use super::disk::sync_dir;
use crate::core::ledger::{BlobRef, Line};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

const FOLDER: &str = "blobs";

pub(super) fn store(dir: &Path, record: &str) -> io::Result<BlobRef> {
    let blob = BlobRef::to(record);
    let folder = dir.join(FOLDER);
    if !folder.is_dir() {
        DirBuilder::new().mode(0o700).recursive(true).create(&folder)?;
        sync_dir(dir)?;
    }
    // Written anew even when the name exists: a damaged file heals so. There
    // is one writer, so one name for what is not finished is enough.
    let new = folder.join("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(record.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, folder.join(&blob.sha256))?;
    sync_dir(&folder)?;
    Ok(blob)
}

/// The record that a line of the ledger in `dir` holds, wherever it is stored.
///
/// # Errors
/// When a record beside the chain is missing or is not what the chain says.
pub fn read_record(dir: &Path, line: &Line<'_>) -> io::Result<String> {
    let Some(blob) = line.blob() else { return Ok(line.body.to_owned()) };
    let mut text = String::new();
    let file = File::open(dir.join(FOLDER).join(&blob.sha256))?;
    file.take(blob.bytes.saturating_add(1)).read_to_string(&mut text)?;
    if blob.matches(text.as_bytes()) {
        Ok(text)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "it is not the record that the chain names"))
    }
}

/// Removes records that no line names any more. What is gone already is gone.
pub(super) fn remove(dir: &Path, hashes: &[String]) -> io::Result<()> {
    if hashes.is_empty() {
        return Ok(());
    }
    let folder = dir.join(FOLDER);
    for sha256 in hashes {
        match fs::remove_file(folder.join(sha256)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    sync_dir(&folder)
}
