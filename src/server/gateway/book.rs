//! One connection's book: which reply answers what, which name stands for
//! which text, and what each statement has done so far. Pure state; the pump
//! holds it under a lock that is never kept over I/O.

use super::names::{Names, Prepared};
use super::refusal::Refusal;
use crate::core::guard::TxStatus;
use crate::core::model::StatementResult;
use crate::core::sql::{Class, Rewrite, Statement};
use crate::server::journal::Position;
use crate::wire::postgres::WireError;
use crate::wire::postgres::backend::{self, Fields, TransactionStatus};
use crate::wire::postgres::frame::What;
use crate::wire::postgres::tracker::{Event, Sent, Tracker};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Replies that one connection may wait for.
const MOST_PENDING: usize = 8192;

/// A statement on its way.
#[derive(Debug)]
pub struct Running {
    /// Its intent's place in the ledger; none for an empty text.
    pub intent: Option<Position>,
    pub started: Instant,
    pub rows: u64,
    pub bytes: u64,
    /// It came in a Query message.
    pub simple: bool,
    /// What it executes, in the extended protocol.
    pub prepared: Option<Arc<Prepared>>,
    /// How the text differs that the server has, of a Query message.
    pub rewrite: Option<Arc<Rewrite>>,
    /// What the names mean once it has succeeded.
    pub then: Then,
    /// It was refused: the database gets a text that can only fail.
    pub refusal: Option<Refusal>,
}

/// What a statement's success changes about names.
#[derive(Debug, Default)]
pub enum Then {
    #[default]
    Nothing,
    Prepare {
        name: Vec<u8>,
        prepared: Arc<Prepared>,
    },
    /// `None` forgets all.
    Deallocate(Option<Vec<u8>>),
    /// A cursor is declared or closed: the portal of that name is another one
    /// now, or none. `None` is all.
    Cursor(Option<Vec<u8>>),
    /// DISCARD ALL.
    Discard,
}

/// How a statement ended, for its record.
pub struct Ended {
    pub running: Running,
    pub result: StatementResult,
    pub rows: u64,
}

/// What a piece of the server's stream means for the pump.
#[derive(Default)]
pub struct Seen {
    pub ended: VecDeque<Ended>,
    /// Put these bytes in the place of the piece.
    pub replace: Option<BytesMut>,
}

pub struct Book {
    pub tracker: Tracker<Running>,
    pub names: Names,
    /// SQL on its way changes names: what follows waits for its answer.
    pub unsettled: bool,
    /// Something was executed since the last ReadyForQuery that was the last
    /// thing expected: where a transaction stands is not known then.
    moved: bool,
    /// Something of this batch was refused, so that the server will skip the rest.
    pub doomed: bool,
    /// Bytes of COPY data that came before the server asked for them.
    early: u64,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            tracker: Tracker::new(MOST_PENDING),
            names: Names::default(),
            unsettled: false,
            moved: false,
            doomed: false,
            early: 0,
        }
    }
}

impl Book {
    /// The transaction status for the next message: certain only when nothing is
    /// on its way and ReadyForQuery was the last that came.
    pub fn tx_status(&self) -> TxStatus {
        if self.moved || !self.tracker.is_idle() {
            return TxStatus::Idle;
        }
        match self.tracker.status() {
            TransactionStatus::Idle => TxStatus::Idle,
            TransactionStatus::Open => TxStatus::InBlock,
            TransactionStatus::Failed => TxStatus::Failed,
        }
    }

    /// Whether every reply that names depend on has come.
    pub fn is_settled(&self) -> bool {
        self.tracker.is_idle() || self.tracker.is_skipping()
    }

    /// An Execute goes upstream. Returns its token if the server will skip it.
    pub fn execute(&mut self, token: Running) -> Result<Option<Running>, WireError> {
        self.unsettled |= token.then.changes_names();
        self.moved = true;
        self.tracker.send(Sent::Execute(token))
    }

    /// In place of a refused message one that can only fail goes upstream.
    pub fn refuse(&mut self, token: Running) -> Result<Option<Running>, WireError> {
        self.doomed = true;
        self.tracker.send(Sent::Refused(token))
    }

    /// Sync.
    pub fn sync(&mut self) -> Result<(), WireError> {
        self.doomed = false;
        if !self.tracker.is_copy_in() {
            self.names.batch(true);
        }
        self.tracker.send(Sent::Sync).map(drop)
    }

    /// Another message that ends in a ReadyForQuery of its own, or is skipped.
    pub fn batch(&mut self) {
        if !self.tracker.is_skipping() {
            self.names.batch(false);
        }
    }

    /// COPY data of the client, in bytes on the wire.
    pub fn copied(&mut self, bytes: u64) {
        match self.tracker.is_copy_in().then(|| self.tracker.current()).flatten() {
            Some(running) => running.bytes += bytes,
            None => self.early += bytes,
        }
    }

    /// One piece of what the server sends. The rest of a long frame means nothing new.
    pub fn see(&mut self, what: &What<'_>, bytes: usize, seen: &mut Seen) -> Result<(), WireError> {
        match *what {
            What::Bulk { tag, frames } => {
                let running = self.tracker.rows(tag)?;
                running.rows += frames;
                running.bytes += bytes as u64;
                Ok(())
            }
            What::Rest { .. } => Ok(()),
            What::Frame { tag, body } => {
                let rewrite = self.message(tag, body, seen)?;
                seen.place(body, rewrite.as_deref());
                Ok(())
            }
            What::Head { tag, body } => self.message(tag, body, seen).map(drop),
        }
    }

    /// Gives the rewrite of the text that an error is about, where it has one.
    fn message(&mut self, tag: u8, body: &[u8], seen: &mut Seen) -> Result<Option<Arc<Rewrite>>, WireError> {
        match self.tracker.receive(tag, body)? {
            Event::Aside => {}
            Event::Progress => {
                if let backend::tag::PARSE_COMPLETE
                | backend::tag::BIND_COMPLETE
                | backend::tag::CLOSE_COMPLETE = tag
                {
                    self.names.confirmed(tag)?;
                }
            }
            Event::CopyIn { swallowed } => {
                let early = std::mem::take(&mut self.early);
                if let Some(running) = self.tracker.current() {
                    running.bytes += early;
                    self.names.copy_in(running.simple, swallowed);
                }
            }
            Event::Completed { mut token, tag } => {
                match std::mem::take(&mut token.then) {
                    Then::Nothing => {}
                    Then::Prepare { name, prepared } => self.names.set(&name, prepared),
                    Then::Deallocate(name) => self.names.forget(name.as_deref()),
                    Then::Cursor(name) => self.names.forget_portal(name.as_deref()),
                    Then::Discard => {
                        self.names.forget(None);
                        self.names.forget_portal(None);
                    }
                }
                let rows = tag.rows().unwrap_or(token.rows);
                seen.end(token, StatementResult::Ok { tag: tag.0.to_owned() }, rows);
            }
            Event::Empty { token } => {
                if let Some(token) = token {
                    seen.end(token, StatementResult::Ok { tag: String::new() }, 0);
                }
            }
            Event::Suspended { token } => {
                let rows = token.rows;
                seen.end(token, StatementResult::Suspended, rows);
            }
            Event::Returned { token } => {
                seen.end(token, StatementResult::Ok { tag: "FUNCTION".to_owned() }, 0);
            }
            Event::Failed { token, extended, refused, skipped } => {
                let failing = self.names.failed(extended);
                let about = token.as_ref().and_then(|token| token.prepared.as_ref()).or(failing.as_ref());
                let rewrite = about.and_then(|prepared| prepared.rewrite.clone());
                let rewrite = rewrite.or_else(|| token.as_ref()?.rewrite.clone());
                failed(body, token, refused, skipped, failing, seen);
                return Ok(rewrite);
            }
            Event::Ready(status) => {
                self.names.ready(status == TransactionStatus::Idle);
                self.early = 0;
                if self.tracker.is_idle() {
                    (self.unsettled, self.moved) = (false, false);
                }
            }
        }
        Ok(None)
    }
}

/// `failing`: the statement whose Parse or Bind this may be about.
fn failed(
    body: &[u8],
    token: Option<Running>,
    refused: bool,
    skipped: Vec<Running>,
    failing: Option<Arc<Prepared>>,
    seen: &mut Seen,
) {
    let fields = Fields::new(body);
    let error = || StatementResult::Error {
        sqlstate: fields.sqlstate().unwrap_or_default().into_owned(),
        message: fields.message().unwrap_or_default().into_owned(),
    };
    let failing = failing.filter(|_| token.is_none());
    if let Some(mut token) = token {
        // The replacement can only fail, but the server may end before it comes to that.
        let result = match token.refusal.take().filter(|_| refused && !fields.is_fatal()) {
            Some(refusal) => {
                let mut out = BytesMut::new();
                refusal.error(&mut out);
                seen.replace = Some(out);
                StatementResult::Refused { sqlstate: refusal.sqlstate.to_owned(), message: refusal.message }
            }
            None => error(),
        };
        let rows = token.rows;
        seen.end(token, result, rows);
    }
    for (index, token) in skipped.into_iter().enumerate() {
        // The Execute of what could not even be parsed or bound has failed with it.
        let of = token.prepared.as_ref().zip(failing.as_ref());
        let result = match of.filter(|(one, other)| index == 0 && Arc::ptr_eq(one, other)) {
            Some(_) => error(),
            None => StatementResult::Skipped,
        };
        seen.end(token, result, 0);
    }
}

impl Seen {
    /// An error about a rewritten text says where in the person's own it is.
    fn place(&mut self, body: &[u8], rewrite: Option<&Rewrite>) {
        let Some(rewrite) = rewrite.filter(|_| self.replace.is_none()) else { return };
        let position = Fields::new(body).field(b'P').and_then(|position| position.parse().ok());
        if let Some(position) = position {
            let mut out = BytesMut::new();
            backend::error_at(&mut out, Fields::new(body), rewrite.position(position));
            self.replace = Some(out);
        }
    }

    fn end(&mut self, running: Running, result: StatementResult, rows: u64) {
        self.ended.push_back(Ended { running, result, rows });
    }
}

impl Then {
    /// What a statement of a text means for names when it succeeds.
    pub fn of(statement: &Statement, prepared: impl FnOnce() -> Arc<Prepared>) -> Self {
        let subject = || statement.subject.as_ref().map(|name| name.as_bytes().to_vec());
        match statement.class {
            Class::Prepare => match subject() {
                Some(name) => Self::Prepare { name, prepared: prepared() },
                None => Self::Nothing,
            },
            Class::Deallocate => Self::Deallocate(subject()),
            Class::DeclareCursor | Class::Close => Self::Cursor(subject()),
            // DISCARD ALL alone resets settings, too; the others leave names alone.
            Class::Discard if statement.settings.iter().any(|setting| setting.name == "*") => Self::Discard,
            _ => Self::Nothing,
        }
    }

    pub fn changes_names(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}
