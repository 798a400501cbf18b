//! The manifest of a bundle: every file with its hash, what was asked, and
//! which part of the ledger it was answered from. Signed, it signs all of that.

use super::Period;
use super::reading::Proven;
use crate::core::ledger::Hash;
use crate::core::model::Framework;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const MANIFEST: &str = "manifest.json";
pub const SIGNATURE: &str = "manifest.sig";
/// Where the ledger's files are in a bundle.
pub const LEDGER: &str = "ledger/";
pub const BLOBS: &str = "ledger/blobs/";
pub const PUBLIC_KEY: &str = "ledger/signing.pub";

/// The one form of bundles that there is.
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The dbaccess that made it.
    pub version: String,
    pub framework: Framework,
    pub period: Period,
    pub ledger: Part,
    /// Every other file but the signature, by its name in the bundle.
    pub files: BTreeMap<String, FileFacts>,
}

/// The part of the ledger that is in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub first: u64,
    /// The hash of the line before the first.
    pub prev: String,
    pub last: u64,
    /// The hash of the last line.
    pub hash: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    pub bytes: u64,
    pub sha256: String,
}

impl Manifest {
    pub fn new(
        version: &str,
        framework: Framework,
        period: Period,
        proven: &Proven,
        files: BTreeMap<String, FileFacts>,
    ) -> Self {
        let Proven { first, prev, last, hash, .. } = proven;
        let ledger = Part { first: *first, prev: prev.clone(), last: *last, hash: hash.clone() };
        Self { format: FORMAT, version: version.to_owned(), framework, period, ledger, files }
    }

    /// Its file.
    pub fn to_json(&self) -> String {
        // Only foreign types and keys that are no text could fail.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads its file, in the one form that is written.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(file: &[u8]) -> Result<Self, String> {
        let manifest: Self = serde_json::from_slice(file).map_err(|error| error.to_string())?;
        if manifest.format != FORMAT {
            return Err(format!("it is of form {}, and this version reads form {FORMAT}", manifest.format));
        }
        if manifest.to_json().as_bytes() != file {
            return Err("it is not in the one form that is written".to_owned());
        }
        Ok(manifest)
    }

    /// The segments, in their order.
    pub fn segments(&self) -> Vec<&str> {
        let names = self.files.keys().filter_map(|name| name.strip_prefix(LEDGER));
        crate::core::ledger::order_segments(names)
    }
}

impl Part {
    pub fn prev(&self) -> Option<Hash> {
        Hash::from_hex(&self.prev)
    }
}
