//! A copy of the ledger, read without a server. `dbaccess ledger verify` says
//! whether it is whole; here it is only read.

use crate::cli::error::CliError;
use crate::core::ledger::{Line, order_segments};
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

/// Longer than any line the server writes: what is larger stands beside the chain.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// Every line of the ledger in `dir`, oldest first.
pub fn each_line(
    dir: &Path,
    mut each: impl FnMut(&Line<'_>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let cannot = |error| CliError::local(format!("cannot read {}", dir.display()), error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(cannot)? {
        names.extend(entry.map_err(cannot)?.file_name().into_string());
    }
    for name in order_segments(names) {
        let mut file = BufReader::new(File::open(dir.join(name)).map_err(cannot)?);
        let mut line = Vec::new();
        while file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(cannot)? > 0 {
            let bytes = line.strip_suffix(b"\n").unwrap_or(&line);
            if let Ok(line) = Line::parse(bytes) {
                each(&line)?;
            }
            line.clear();
        }
    }
    Ok(())
}

/// A line's record, which stands beside the chain where it is large.
pub fn record_of<'l>(dir: &Path, line: &Line<'l>) -> Result<Cow<'l, str>, CliError> {
    let Some(blob) = line.blob() else { return Ok(Cow::Borrowed(line.body)) };
    let path = dir.join("blobs").join(&blob.sha256);
    let text = fs::read_to_string(&path).map_err(|error| {
        CliError::local(format!("cannot read {}", path.display()), error)
            .hint("a copy of the ledger has its directory blobs, too")
    })?;
    if blob.matches(text.as_bytes()) {
        Ok(Cow::Owned(text))
    } else {
        Err(CliError::local(format!("{} is not what was written", path.display()), "its hash is another")
            .hint("`dbaccess ledger verify` checks all of the copy"))
    }
}
