//! Which segments a report needs: from the one that holds the first line about
//! any access of its interval. The whole ledger is read for that, because a
//! grant may be old; statements are passed over.

use super::{BundleError, Wanted, beside, each_line};
use crate::core::evidence::{History, Mark, Population};
use crate::core::ledger::{Line, first_seq, order_segments};
use std::fs;
use std::io;
use std::path::Path;

/// Their names, in order.
pub(super) fn needed(dir: &Path, wanted: Wanted) -> Result<Vec<String>, BundleError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        // A name that is not UTF-8 is no segment's.
        names.extend(entry?.file_name().into_string());
    }
    let mut names = order_segments(names);
    names.retain(|name| first_seq(name).is_some_and(|first| first <= wanted.upto));
    let mut history = History::default();
    // The first line of the interval: what has gone wrong in it need not be about any access.
    let mut begin = None;
    for name in &names {
        each_line(&dir.join(name), wanted.upto, |raw| {
            if is_passed_over(raw) && begin.is_some() {
                return Ok(());
            }
            let Ok(line) = Line::parse(raw.strip_suffix(b"\n").unwrap_or(raw)) else { return Ok(()) };
            if line.at >= wanted.period.from {
                begin.get_or_insert(line.seq);
            }
            if is_passed_over(raw) {
                return Ok(());
            }
            let mark = Mark { seq: line.seq, at: line.at };
            match line.blob() {
                None => history.record(mark, line.body),
                Some(blob) => {
                    let record = beside(dir, &blob).and_then(|bytes| String::from_utf8(bytes).ok());
                    history.record(mark, record.as_deref().unwrap_or(line.body));
                }
            }
            Ok::<_, io::Error>(())
        })?;
    }
    let first = Population::of(&history, wanted.period).first_line(&history);
    let Some(from) = first.into_iter().chain(begin).min() else { return Err(BundleError::Nothing) };
    let later = names.iter().filter_map(|name| first_seq(name)).filter(|first| *first > from).count();
    let skip = names.len().saturating_sub(later + 1);
    Ok(names.split_off(skip))
}

/// Statements and chunks of recordings are most of the lines, and tell of no
/// access that another line does not tell of.
fn is_passed_over(raw: &[u8]) -> bool {
    // Number, time and hash come before the body, and have no more bytes than this.
    let head = raw.get(..raw.len().min(220)).unwrap_or_default();
    let kinds: [&[u8]; 4] = [
        b"\"body\":{\"kind\":\"statement.",
        b"\"body\":{\"kind\":\"recording.chunk\"",
        b"\"body\":{\"kind\":\"blob\",\"of_kind\":\"statement.",
        b"\"body\":{\"kind\":\"checkpoint\"",
    ];
    kinds.iter().any(|kind| head.windows(kind.len()).any(|window| window == *kind))
}
