//! Statement records: the two lines that the ledger holds for each statement.

use super::{ConnectionId, GrantId, PersonRef, ResultShape, SessionId, StatementResult};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;

/// The body of a statement's ledger record. The intent is written before the
/// statement goes upstream (G1); the outcome names it by its ledger position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum StatementRecord<'a> {
    #[serde(rename = "statement.intent")]
    Intent {
        session: Cow<'a, SessionId>,
        grant: Cow<'a, GrantId>,
        connection: Cow<'a, ConnectionId>,
        person: Cow<'a, PersonRef>,
        target: Cow<'a, str>,
        text: Cow<'a, str>,
        /// Bound values (extended protocol): text as sent, binary as `\x` and hex.
        #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
        parameters: Cow<'a, [Option<String>]>,
        /// SHA-256 in hex of parameters too large to hold, in place of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parameters_sha256: Option<Cow<'a, str>>,
        /// The original, where `text` has placeholders for its values and the
        /// bound ones are left out: what `core::unseal` seals.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sealed: Option<Cow<'a, str>>,
        /// The statement's class, as the gateway's grammar sees it: `select`, `update`, …
        class: Cow<'a, str>,
        /// What the grammar found in it; none where the text could not be read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        facts: Option<Cow<'a, StatementFacts>>,
    },
    #[serde(rename = "statement.outcome")]
    Outcome {
        /// Ledger position of the intent.
        intent: u64,
        session: Cow<'a, SessionId>,
        result: StatementResult,
        rows: u64,
        bytes: u64,
        duration_us: u64,
        /// Of the result; none where it has no rows, or nobody was told of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shape: Option<Cow<'a, ResultShape>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        export: Option<Export>,
        /// The error's message, where `result` leaves it out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sealed: Option<Cow<'a, str>>,
    },
}

/// What left the database as COPY data: of the file that a client made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Of the data, in hex.
    pub sha256: String,
    pub bytes: u64,
    pub rows: u64,
}

/// What the grammar found in a statement: a JSON object with the keys `verbs`,
/// `reads`, `writes`, `columns`, `functions` and `export`, the lists sorted, and
/// `cut` where one of them was too long to keep whole. It is kept as the text
/// that goes into the ledger, made once for every record of the statement.
#[derive(Clone, Debug)]
pub struct StatementFacts(Arc<RawValue>);

impl StatementFacts {
    /// Keeps what `value` is in JSON.
    pub fn of(value: &impl Serialize) -> Self {
        // Only foreign types and keys that are no text could fail.
        serde_json::value::to_raw_value(value).map_or_else(|_| Self::default(), |raw| Self(raw.into()))
    }

    /// Bytes of its text.
    #[expect(clippy::len_without_is_empty, reason = "a JSON text is never empty")]
    pub fn len(&self) -> usize {
        self.0.get().len()
    }

    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl Default for StatementFacts {
    fn default() -> Self {
        Self(RawValue::NULL.to_owned().into())
    }
}

impl PartialEq for StatementFacts {
    fn eq(&self, other: &Self) -> bool {
        self.as_json() == other.as_json()
    }
}

impl Eq for StatementFacts {}

impl Serialize for StatementFacts {
    fn serialize<S: serde::Serializer>(&self, ser: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(ser)
    }
}

impl<'de> Deserialize<'de> for StatementFacts {
    fn deserialize<D: serde::Deserializer<'de>>(de: D) -> Result<Self, D::Error> {
        // Not as raw text: a record is read by its kind, which takes it apart first.
        serde_json::Value::deserialize(de).map(|value| Self::of(&value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_from_a_record() {
        let text = r#"{"kind":"statement.intent","session":"s","grant":"g","connection":"c","person":{"subject":"a","email":"b"},"target":"t","text":"x","class":"SELECT","facts":{"verbs":["SELECT"]}}"#;
        let record: StatementRecord<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
        let older = text.replace(r#","facts":{"verbs":["SELECT"]}"#, "");
        let record: StatementRecord<'_> = serde_json::from_str(&older).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), older);
    }
}
