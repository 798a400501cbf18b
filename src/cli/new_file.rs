//! A file that is there whole or not at all, and is its owner's alone.

use super::error::CliError;
use std::fs::File;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Beside its place until it is whole, with mode 600; removed on drop.
pub struct NewFile {
    file: NamedTempFile,
    path: PathBuf,
    replaces: bool,
}

impl NewFile {
    /// Not over a file that is there, unless `force` says so.
    pub fn begin(path: &Path, force: bool) -> Result<Self, CliError> {
        if !force && path.symlink_metadata().is_ok() {
            return Err(CliError::usage(format!("{} is there already", path.display()))
                .hint("choose another name, or replace it with --force"));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let file = tempfile::Builder::new()
            .prefix(".dbaccess-export-")
            .tempfile_in(directory.unwrap_or(Path::new(".")))
            .map_err(|error| cannot_write(path, error))?;
        Ok(Self { file, path: path.to_owned(), replaces: force })
    }

    pub fn file(&self) -> &File {
        self.file.as_file()
    }

    /// It is whole: from here on it has its name.
    pub fn place(self) -> Result<(), CliError> {
        let Self { file, path, replaces } = self;
        file.as_file().sync_all().map_err(|error| cannot_write(&path, error))?;
        let placed = if replaces { file.persist(&path) } else { file.persist_noclobber(&path) };
        placed.map(drop).map_err(|error| cannot_write(&path, error.error))
    }
}

pub fn cannot_write(path: &Path, error: std::io::Error) -> CliError {
    CliError::local(format!("{} cannot be written", path.display()), error)
}
