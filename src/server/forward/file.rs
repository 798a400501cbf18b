//! JSON Lines: the ledger's own, at the end of a file or on standard output.

use super::ForwardError;
use crate::server::journal::LedgerLine;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tokio::io::AsyncWriteExt as _;

pub(super) struct File {
    /// `-` is standard output.
    path: PathBuf,
}

impl File {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub async fn send(&self, lines: &[LedgerLine]) -> Result<(), ForwardError> {
        let mut text = String::new();
        for line in lines {
            text.push_str(&line.text);
            text.push('\n');
        }
        if self.path == Path::new("-") {
            let mut out = tokio::io::stdout();
            out.write_all(text.as_bytes()).await?;
            return Ok(out.flush().await?);
        }
        let path = self.path.clone();
        let append = move || append(&path, &text);
        Ok(tokio::task::spawn_blocking(append).await.map_err(io::Error::other)??)
    }
}

/// The file is opened each time, so that it may be moved away in between.
fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.seek(SeekFrom::Start(length - 1))?;
        file.read_exact(&mut last)?;
    }
    // What a crash cut off is a line of its own, and comes again whole.
    if last != [b'\n'] {
        file.write_all(b"\n")?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_data()
}
