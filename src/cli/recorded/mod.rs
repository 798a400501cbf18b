//! Recordings as people and programs read them: the bytes of a session, checked
//! against the ledger, and shown as statements with what they returned.
//!
//! ```text
//! file ─► core::recording: chunks, entries ─► Playback: which rows are whose ─► Screen
//!              └► Proof: is it what the ledger says?
//! ```
//!
//! It reads forward and keeps one chunk, and of a result a screenful.

mod connection;
mod frames;
mod ledger_copy;
mod lines;
mod playback;
mod source;
mod text;
mod value;

pub use ledger_copy::{each_line, record_of};
pub use lines::JsonLines;
pub use source::{Recorded, is_no_id, read_key, session_of};
pub use text::{Text, cell, outcome};

use super::error::CliError;
use crate::core::model::StatementResult;
use connection::Columns;
use jiff::Timestamp;
use playback::Playback;

/// What is shown of a session, in the order in which it happened.
#[derive(Debug)]
pub enum Shown<'a> {
    Connected,
    Disconnected,
    /// A statement's answer begins, or its end if it has none.
    Statement {
        intent: u64,
        since: Timestamp,
        text: &'a str,
        /// The ledger has more of the text.
        cut: bool,
    },
    Columns(&'a Columns),
    Row(&'a [Option<String>]),
    /// A row too long to be shown, in bytes.
    LongRow(u64),
    /// COPY data, to the client or from it.
    Copied {
        out: bool,
        data: &'a [u8],
    },
    Error {
        sqlstate: &'a str,
        message: &'a str,
    },
    Notice(&'a str),
    /// The session was over: what its client was told, between statements.
    Ended(&'a str),
    Outcome {
        intent: u64,
        result: &'a StatementResult,
        rows: u64,
    },
}

/// Where it is shown.
pub trait Screen {
    fn show(&mut self, at: Timestamp, connection: &str, shown: Shown<'_>) -> Result<(), CliError>;

    /// Nothing follows.
    fn finish(&mut self) -> Result<(), CliError>;
}
