//! One line: its bytes, its hash, and reading it back.

use crate::core::hex::{from_hex, hex};
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::io::Write as _;

/// SHA-256 of a line's bytes, without its newline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first line of a ledger names as its predecessor.
    pub const ZERO: Self = Self([0; 32]);

    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A hash that was made elsewhere.
    pub(in crate::core) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(in crate::core) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 lower-case hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Appends one line, newline included, and returns its hash. `body` is one
/// serialised JSON object without a newline; it is written as it is.
pub fn push_line(out: &mut Vec<u8>, seq: u64, at: Timestamp, prev: &Hash, body: &str) -> Hash {
    let start = out.len();
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{{\"seq\":{seq},\"at\":\"{at}\",\"prev\":\"");
    out.extend_from_slice(hex(&prev.0).as_bytes());
    out.extend_from_slice(b"\",\"body\":");
    out.extend_from_slice(body.as_bytes());
    out.push(b'}');
    let hash = Hash::of(out.get(start..).unwrap_or_default());
    out.push(b'\n');
    hash
}

/// A line as read: everything but its body is parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    pub seq: u64,
    pub at: Timestamp,
    pub prev: Hash,
    /// The body's own bytes: a JSON object.
    pub body: &'a str,
}

/// The bytes are not a line of a ledger in its one canonical form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a ledger line: {0}")]
pub struct NotALine(pub &'static str);

impl<'a> Line<'a> {
    /// Reads a line, without its newline. Only the form that [`push_line`]
    /// writes is a line: another spelling of the same JSON is not.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, NotALine> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotALine("it is not UTF-8"))?;
        let rest = text.strip_prefix("{\"seq\":").ok_or(NotALine("it does not start with {\"seq\":"))?;
        let (digits, rest) = rest.split_once(",\"at\":\"").ok_or(NotALine("`at` is missing"))?;
        let (at, rest) = rest.split_once("\",\"prev\":\"").ok_or(NotALine("`prev` is missing"))?;
        let (prev, rest) = rest.split_once("\",\"body\":").ok_or(NotALine("`body` is missing"))?;
        let body = rest.strip_suffix('}').ok_or(NotALine("it does not end with }"))?;
        let line = Self {
            seq: digits.parse().map_err(|_| NotALine("`seq` is not a number"))?,
            at: at.parse().map_err(|_| NotALine("`at` is not a time"))?,
            prev: Hash::from_hex(prev).ok_or(NotALine("`prev` is not a hash"))?,
            body,
        };
        let canonical = line.seq.to_string() == digits && line.at.to_string() == at;
        let object = body.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok();
        match (canonical, object) {
            (false, _) => Err(NotALine("`seq` or `at` is not in its canonical form")),
            (_, false) => Err(NotALine("`body` is not a JSON object")),
            _ => Ok(line),
        }
    }

    /// What the body stands for, when it was too large for the chain.
    pub fn blob(&self) -> Option<BlobRef> {
        BlobRef::from_body(self.body)
    }
}

/// The `kind` of a body, for bodies that have one.
pub fn body_kind(body: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Kinded {
        kind: String,
    }
    serde_json::from_str::<Kinded>(body).ok().map(|body| body.kind)
}

/// The body of a line whose record is stored beside the chain, under its hash.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct BlobRef {
    /// The `kind` of the record itself.
    pub of_kind: Option<String>,
    /// SHA-256 of the record, in hex: also the file's name.
    pub sha256: String,
    pub bytes: u64,
}

impl BlobRef {
    pub fn to(record: &str) -> Self {
        Self {
            of_kind: body_kind(record),
            sha256: Hash::of(record.as_bytes()).to_string(),
            bytes: record.len() as u64,
        }
    }

    pub fn to_body(&self) -> String {
        let of_kind = serde_json::Value::from(self.of_kind.clone());
        format!(r#"{{"kind":"blob","of_kind":{of_kind},"sha256":"{}","bytes":{}}}"#, self.sha256, self.bytes)
    }

    /// Whether these are the record's bytes.
    pub fn matches(&self, record: &[u8]) -> bool {
        record.len() as u64 == self.bytes && Hash::of(record).to_string() == self.sha256
    }

    fn from_body(body: &str) -> Option<Self> {
        let found: Self =
            body.starts_with("{\"kind\":\"blob\",").then(|| serde_json::from_str(body).ok())??;
        // The name becomes a path: nothing but a hash may pass.
        Hash::from_hex(&found.sha256).map(|_| found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_exactly_these_bytes_and_reads_back() {
        let mut out = Vec::new();
        let at: Timestamp = "2026-11-23T09:00:00.5Z".parse().unwrap();
        let hash = push_line(&mut out, 1, at, &Hash::ZERO, r#"{"kind":"a","t":"\",\"body\":é"}"#);
        let expected = format!(
            "{{\"seq\":1,\"at\":\"2026-11-23T09:00:00.5Z\",\"prev\":\"{}\",\"body\":{{\"kind\":\"a\",\"t\":\"\\\",\\\"body\\\":é\"}}}}\n",
            "0".repeat(64)
        );
        assert_eq!(String::from_utf8(out.clone()).unwrap(), expected);
        let bytes = out.strip_suffix(b"\n").unwrap();
        assert_eq!(hash, Hash::of(bytes));
        let line = Line::parse(bytes).unwrap();
        assert_eq!((line.seq, line.at, line.prev), (1, at, Hash::ZERO));
        assert_eq!(body_kind(line.body).as_deref(), Some("a"));
        // FIPS 180-4, the hash of "abc".
        assert_eq!(
            Hash::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn another_spelling_is_not_a_line() {
        let zeros = "0".repeat(64);
        let line = |seq: &str, at: &str, prev: &str, body: &str| {
            format!(r#"{{"seq":{seq},"at":"{at}","prev":"{prev}","body":{body}}}"#)
        };
        let at = "2026-11-23T09:00:00Z";
        assert!(Line::parse(line("1", at, &zeros, "{}").as_bytes()).is_ok());
        for bad in [
            line("01", at, &zeros, "{}"),
            line("+1", at, &zeros, "{}"),
            line("-1", at, &zeros, "{}"),
            line("1", "2026-11-23T10:00:00+01:00", &zeros, "{}"),
            line("1", "yesterday", &zeros, "{}"),
            line("1", at, &"0".repeat(63), "{}"),
            line("1", at, &"A".repeat(64), "{}"),
            line("1", at, &zeros, "7"),
            line("1", at, &zeros, "{},\"more\":{}"),
            line("1", at, &zeros, "{"),
            format!(" {}", line("1", at, &zeros, "{}")),
            String::new(),
            "\0\0\0".to_owned(),
        ] {
            assert!(Line::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Line::parse(&[0xff, 0xfe]).is_err());
    }

    #[test]
    fn a_blob_reference_reads_back_and_is_never_a_path() {
        let record = r#"{"kind":"statement.intent","text":"…"}"#;
        let blob = BlobRef::to(record);
        assert_eq!(blob.of_kind.as_deref(), Some("statement.intent"));
        assert_eq!(BlobRef::from_body(&blob.to_body()), Some(blob.clone()));
        assert!(blob.matches(record.as_bytes()) && !blob.matches(b"{}"));
        let evil = BlobRef { sha256: "../../etc/passwd".into(), ..blob };
        assert_eq!(BlobRef::from_body(&evil.to_body()), None);
    }
}
