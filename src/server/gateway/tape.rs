//! A connection's end of its session's recording (R8.4): the bytes of both
//! directions as the client says and sees them, and marks where statements
//! begin and end. Nothing is looked into. Without a recording nothing is done.

use super::book::Ended;
use super::connection::Connection;
use super::refusal::Refusal;
use crate::core::model::StatementResult;
use crate::core::recording::{Connected, Kind, Outcome, Statement};
use crate::server::journal::Position;
use crate::server::recording::{NotRecorded, Recorder};
use serde::Serialize;
use std::sync::Arc;

/// How much of a text stands in the recording, in bytes; the ledger has all of it.
const LONGEST_TEXT: usize = 64 << 10;

/// Where a connection's part of the recording goes.
pub struct Tape {
    recorder: Arc<Recorder>,
    connection: u16,
}

impl Tape {
    pub fn new(recorder: &Arc<Recorder>) -> Self {
        Self { connection: recorder.connection(), recorder: Arc::clone(recorder) }
    }

    async fn mark(&self, kind: Kind, mark: &impl Serialize) -> Result<(), NotRecorded> {
        // Texts and numbers: it cannot fail.
        let mark = serde_json::to_vec(mark).unwrap_or_default();
        self.recorder.entry(kind, self.connection, &mark).await
    }
}

impl Connection {
    pub(super) async fn begin_tape(&self) -> Result<(), Refusal> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let connected = Connected { connection: self.id.clone() };
        tape.mark(Kind::Connected, &connected).await.map_err(|error| stopped(&error))
    }

    pub(super) async fn end_tape(&self) {
        let Some(tape) = &self.tape else { return };
        drop(tape.recorder.entry(Kind::Disconnected, tape.connection, &[]).await);
    }

    /// Bytes that the client has sent.
    pub(super) async fn said(&self, bytes: &[u8]) -> Result<(), Refusal> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let taken = tape.recorder.bytes(Kind::Client, tape.connection, bytes).await;
        taken.map_err(|error| stopped(&error))
    }

    /// Bytes that the client is going to be sent.
    pub(super) async fn heard(&self, bytes: &[u8]) -> Result<(), Refusal> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let taken = tape.recorder.bytes(Kind::Server, tape.connection, bytes).await;
        taken.map_err(|error| stopped(&error))
    }

    /// A statement's intent is on record. If the recording cannot be written it
    /// does not run, and its record says so.
    pub(super) async fn tape_statement(&self, intent: Position, text: &str) -> Result<(), Refusal> {
        let Some(tape) = &self.tape else { return Ok(()) };
        let shown = text.floor_char_boundary(LONGEST_TEXT);
        let statement = Statement {
            intent: intent.0,
            text: text.get(..shown).unwrap_or_default().to_owned(),
            cut: shown < text.len(),
        };
        let Err(error) = tape.mark(Kind::Statement, &statement).await else { return Ok(()) };
        let refusal = stopped(&error);
        let (sqlstate, message) = (refusal.sqlstate.to_owned(), refusal.message.clone());
        self.append_outcome(&Ended::unrun(intent, StatementResult::Refused { sqlstate, message })).await?;
        Err(refusal)
    }

    /// A statement has ended. That it cannot be recorded stops the next one, and
    /// must not keep this one's outcome from the ledger.
    pub(super) async fn tape_outcome(&self, ended: &Ended) {
        let (Some(tape), Some(intent)) = (&self.tape, ended.running.intent) else { return };
        let Ended { result, rows, ends_at, .. } = ended;
        let outcome = Outcome { intent: intent.0, result: result.clone(), rows: *rows, ends_at: *ends_at };
        if let Err(error) = tape.mark(Kind::Outcome, &outcome).await {
            tracing::debug!(connection = %self.id, %error, "an outcome is missing in a recording");
        }
    }
}

/// A recording that cannot be written stops statements, as the ledger does (G1).
fn stopped(error: &NotRecorded) -> Refusal {
    tracing::error!(%error, "a statement was stopped");
    Refusal::new("58030", "dbaccess cannot record this session at the moment, so it lets no statement pass")
        .hint("tell the people who run dbaccess; connect again once recordings can be written")
}
