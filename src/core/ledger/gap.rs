//! What stays of lines that retention has taken out of a segment: a line for
//! each run of them, with the hash of its last one. So the chain runs on, and
//! a copy of the lines that is kept elsewhere can still be proven against it.
//!
//! ```text
//! {"seq":7,"to":90,"prev":"<SHA-256 of line 6>","hash":"<SHA-256 of line 90>"}
//! ```
//!
//! The lines between are not there to be checked, so a gap proves nothing by
//! itself: a later line of the chain, of the kind `ledger.pruned`, holds the
//! SHA-256 of all gaps of the segment, signed by the ledger's key, since anybody
//! can append a line. A gap without it was made by somebody else.

use super::checkpoint::{PublicKey, signature};
use super::line::{Hash, Line, NotALine};
use super::prune::Pruned;
use crate::core::hex::hex;
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use std::io::Write as _;

/// A line of a segment as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    Line(Line<'a>),
    Gap(Gap),
}

/// Lines `from` to `to` are pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    pub from: u64,
    pub to: u64,
    /// Of the line before the first.
    pub prev: Hash,
    /// Of the last.
    pub hash: Hash,
}

impl<'a> Entry<'a> {
    /// Reads a line, without its newline, in the one form of either kind.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotALine> {
        Gap::parse(bytes).map_or_else(|| Line::parse(bytes).map(Self::Line), |gap| Ok(Self::Gap(gap)))
    }

    /// The hash of what stands before it.
    pub fn prev(&self) -> Hash {
        match self {
            Self::Line(line) => line.prev,
            Self::Gap(gap) => gap.prev,
        }
    }
}

impl Gap {
    /// Appends its line, newline included.
    pub fn push(&self, out: &mut Vec<u8>) {
        let Self { from, to, prev, hash } = self;
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{{\"seq\":{from},\"to\":{to},\"prev\":\"");
        out.extend_from_slice(hex(prev.bytes()).as_bytes());
        out.extend_from_slice(b"\",\"hash\":\"");
        out.extend_from_slice(hex(hash.bytes()).as_bytes());
        out.extend_from_slice(b"\"}\n");
    }

    pub fn lines(&self) -> u64 {
        (self.to - self.from).saturating_add(1)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = std::str::from_utf8(bytes).ok()?.strip_prefix("{\"seq\":")?;
        let (from, rest) = rest.split_once(",\"to\":")?;
        let (to, rest) = rest.split_once(",\"prev\":\"")?;
        let (prev, hash) = rest.split_once("\",\"hash\":\"")?;
        let gap = Self {
            from: from.parse().ok()?,
            to: to.parse().ok()?,
            prev: Hash::from_hex(prev)?,
            hash: Hash::from_hex(hash.strip_suffix("\"}")?)?,
        };
        let canonical = gap.from.to_string() == from && gap.to.to_string() == to;
        (canonical && gap.from <= gap.to).then_some(gap)
    }
}

/// The record that lines of a segment were pruned: from then on its gaps are these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename = "ledger.pruned")]
pub struct Pruning {
    /// The segment's file.
    pub segment: String,
    /// How many lines went this time.
    pub lines: u64,
    /// SHA-256, in hex, of the segment's gaps as they stand in it, newlines included.
    pub gaps: String,
    /// By which rule, in words.
    pub rule: String,
    /// Of the ledger's key, in hex, over the segment's name and its gaps.
    pub(super) signature: String,
}

/// What is signed; of its first line, see the checkpoints'.
fn text(segment: &str, gaps: &str) -> String {
    format!("dbaccess ledger pruned v1\n{segment}\n{gaps}\n")
}

impl Pruning {
    pub fn sign(segment: &str, pruned: &Pruned, rule: &str, key: &SigningKey) -> Self {
        Self {
            segment: segment.to_owned(),
            lines: pruned.lines,
            gaps: pruned.gaps.clone(),
            rule: rule.to_owned(),
            signature: signature(&text(segment, &pruned.gaps), key),
        }
    }

    /// Whether the key's owner says that these are the gaps of this segment.
    pub fn tells(&self, segment: &str, gaps: &str, key: &PublicKey) -> bool {
        self.segment == segment
            && self.gaps == gaps
            && key.has_signed(&text(segment, gaps), &self.signature) == Some(true)
    }

    /// The body of its line.
    pub fn to_body(&self) -> String {
        // Texts and a number: it cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn from_body(body: &str) -> Option<Self> {
        body.starts_with("{\"kind\":\"ledger.pruned\"").then(|| serde_json::from_str(body).ok())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_exactly_these_bytes_and_reads_back() {
        let gap = Gap { from: 7, to: 90, prev: Hash::ZERO, hash: Hash::of(b"abc") };
        let mut bytes = Vec::new();
        gap.push(&mut bytes);
        let expected = format!(
            "{{\"seq\":7,\"to\":90,\"prev\":\"{}\",\"hash\":\"{}\"}}\n",
            "0".repeat(64),
            Hash::of(b"abc")
        );
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
        assert_eq!(Entry::parse(expected.trim_end().as_bytes()), Ok(Entry::Gap(gap)));
        assert_eq!(gap.lines(), 84);
        for other in [
            expected.replacen("\"seq\":7", "\"seq\":91", 1),
            expected.replacen("\"seq\":7", "\"seq\":07", 1),
            expected.replacen("\"to\":90", "\"to\":+90", 1),
            expected.replacen("\"prev\":\"0", "\"prev\":\"", 1),
            expected.replacen("\"}", "\",\"more\":1}", 1),
        ] {
            assert!(Entry::parse(other.trim_end().as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn b4_the_record_of_it_reads_back_and_is_of_its_segment_gaps_and_key_alone() {
        let signing = SigningKey::from_bytes(&[7; 32]);
        let (own, other) = (PublicKey::of(&signing), PublicKey::of(&SigningKey::from_bytes(&[8; 32])));
        let pruned = Pruned { lines: 3, gaps: "ab".into(), ..Pruned::default() };
        let record = Pruning::sign("ledger-1", &pruned, "statements = 400d", &signing);
        let body = record.to_body();
        let signature = &record.signature;
        assert_eq!(
            body,
            format!(
                r#"{{"kind":"ledger.pruned","segment":"ledger-1","lines":3,"gaps":"ab","rule":"statements = 400d","signature":"{signature}"}}"#
            )
        );
        assert_eq!(Pruning::from_body(&body).as_ref(), Some(&record));
        assert_eq!(Pruning::from_body(r#"{"kind":"other"}"#), None);
        assert!(record.tells("ledger-1", "ab", &own));
        assert!(!record.tells("ledger-1", "ab", &other));
        for (segment, gaps) in [("ledger-2", "ab"), ("ledger-1", "cd")] {
            assert!(!record.tells(segment, gaps, &own), "{segment} {gaps}");
            let said = Pruning { segment: segment.into(), gaps: gaps.into(), ..record.clone() };
            assert!(!said.tells(segment, gaps, &own), "{segment} {gaps}");
        }
    }
}
