//! A copy of the ledger, read without a server, and verified while it is read:
//! nothing is taken from a copy that is not whole. Whose signature it bears,
//! `dbaccess ledger verify` says.

use crate::cli::error::CliError;
use crate::core::ledger::{Line, PrunedSegment, Verifier, order_segments};
use crate::core::model::ErrorKind;
use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

/// Longer than any line the server writes: what is larger stands beside the chain.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

/// Every line of the ledger in `dir`, oldest first. An error if it is not whole:
/// what was gathered from it is worth nothing then. Gives what it lacks because
/// it was pruned.
pub fn each_line(
    dir: &Path,
    mut each: impl FnMut(&Line<'_>) -> Result<(), CliError>,
) -> Result<Vec<PrunedSegment>, CliError> {
    let cannot = |error| CliError::local(format!("cannot read {}", dir.display()), error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(cannot)? {
        names.extend(entry.map_err(cannot)?.file_name().into_string());
    }
    let mut verifier = Verifier::new(None);
    for name in order_segments(names) {
        verifier.segment(&name);
        let mut file = BufReader::new(File::open(dir.join(name)).map_err(cannot)?);
        let mut line = Vec::new();
        while file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(cannot)? > 0 {
            verifier.line(&line);
            let bytes = line.strip_suffix(b"\n").unwrap_or(&line);
            if let Ok(line) = Line::parse(bytes) {
                each(&line)?;
            }
            line.clear();
        }
    }
    let report = verifier.finish();
    match report.broken {
        Some(broken) => {
            let what = format!("the copy of the ledger in {} is broken", dir.display());
            Err(CliError::new(ErrorKind::Internal, what).why(broken.to_string()).hint(
                "take another copy, and keep this one as it is: it is evidence; `dbaccess ledger verify` checks \
                 all of it",
            ))
        }
        None => Ok(report.pruned),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ledger::{Hash, push_line, segment_name};
    use jiff::Timestamp;

    #[test]
    fn r8_4_a_copy_that_is_not_whole_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut whole = Vec::new();
        let mut last = Hash::ZERO;
        for seq in 1..=3 {
            last = push_line(&mut whole, seq, Timestamp::UNIX_EPOCH, &last, r#"{"kind":"x"}"#);
        }
        let read = |bytes: &[u8]| {
            fs::write(dir.path().join(segment_name(1)), bytes).unwrap();
            let mut lines = 0;
            let ended = each_line(dir.path(), |_| {
                lines += 1;
                Ok(())
            });
            ended.map(|_| lines).map_err(|error| error.why.unwrap_or_default())
        };
        assert_eq!(read(&whole), Ok(3));
        let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
        for (copy, says) in [
            ([lines[0], b"{}\n", lines[2]].concat(), "not a ledger line"),
            ([lines[0], lines[2]].concat(), "line 2 is missing"),
            (String::from_utf8_lossy(&whole).replacen("\"x\"", "\"y\"", 1).into_bytes(), "line 1 was edited"),
            (whole[..whole.len() - 5].to_vec(), "ends within a line"),
        ] {
            let why = read(&copy).unwrap_err();
            assert!(why.contains(says), "{says}: {why}");
        }
    }
}
