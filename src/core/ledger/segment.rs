//! Segment files: a name carries the number of its first line, so that the
//! order of names is the order of lines.

/// The file name of the segment that starts with line `first`.
pub fn segment_name(first: u64) -> String {
    format!("ledger-{first:020}.jsonl")
}

/// The number of a segment's first line; `None` for a name that is no segment's.
pub fn first_seq(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("ledger-")?.strip_suffix(".jsonl")?;
    let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// The segments among the names of a directory, in the order of their lines.
pub fn order_segments<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Vec<S> {
    let mut segments: Vec<(u64, S)> =
        names.into_iter().filter_map(|name| first_seq(name.as_ref()).map(|first| (first, name))).collect();
    segments.sort_by_key(|(first, _)| *first);
    segments.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_order_as_their_lines_and_other_files_are_left_out() {
        let (a, b, c) = (segment_name(1), segment_name(90), segment_name(1000));
        assert_eq!(a, "ledger-00000000000000000001.jsonl");
        let names =
            [c.as_str(), "lock", &a, "ledger-7.jsonl", "torn-1", &b, "ledger-+0000000000000000001.jsonl"];
        assert_eq!(order_segments(names), [a.as_str(), &b, &c]);
        assert_eq!(first_seq(&segment_name(u64::MAX)), Some(u64::MAX));
    }
}
