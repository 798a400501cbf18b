//! One connection's book: which reply answers what, which name stands for
//! which text, and what each statement has done so far. Pure state; the pump
//! holds it under a lock that is never kept over I/O.

use super::budget::Taken;
use super::cut::Cut;
use super::fingerprint::Fingerprint;
use super::live::Live;
use super::names::{Failing, Names, Portal, Prepared, key};
use super::refusal::Refusal;
use super::shape::shape;
use crate::core::guard::{self, TxStatus};
use crate::core::model::{ResultShape, StatementResult};
use crate::core::sql::{Class, Facts, Rewrite, Statement};
use crate::server::journal::Position;
use crate::wire::postgres::WireError;
use crate::wire::postgres::backend::{self, Fields, TransactionStatus};
use crate::wire::postgres::frame::{Header, Piece, Scanner, What};
use crate::wire::postgres::frontend::{Kind, tag};
use crate::wire::postgres::tracker::{Event, Sent, Tracker};
use bytes::BytesMut;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// Replies that one connection may wait for.
const MOST_PENDING: usize = 8192;
/// An error that tells what is wrong and no more, in bytes.
const SHORT: usize = 512;
/// Portals and cursors of which it is kept what they have returned.
const MOST_PORTALS: usize = 1000;

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
    pub runs: Option<Arc<Portal>>,
    /// Of its result, where the server has told it of this one statement.
    pub shape: Option<Arc<ResultShape>>,
    /// How the text differs that the server has, of a Query message.
    pub rewrite: Option<Arc<Rewrite>>,
    /// What the names mean once it has succeeded.
    pub then: Then,
    /// It was refused: the database gets a text that can only fail.
    pub refusal: Option<Refusal>,
    /// The text that it stands in, and its place there.
    pub facts: Option<(Arc<Facts>, usize)>,
    /// The portal or cursor that its rows are a piece of.
    pub portal: Option<Vec<u8>>,
    /// What was returned, earlier pieces included; known from its first row on.
    pub taken: Option<Taken>,
    /// It went over a budget: what the client is told.
    pub cut: Option<Refusal>,
    /// Of the data of an export.
    pub fingerprint: Option<Box<Fingerprint>>,
}

pub fn running(intent: Option<Position>, simple: bool) -> Running {
    Running {
        intent,
        started: Instant::now(),
        rows: 0,
        bytes: 0,
        simple,
        runs: None,
        shape: None,
        rewrite: None,
        then: Then::Nothing,
        refusal: None,
        facts: None,
        portal: None,
        taken: None,
        cut: None,
        fingerprint: None,
    }
}

impl Running {
    /// How it ended where the server's own word is not what counts.
    fn was_cut(&mut self) -> Option<StatementResult> {
        let Refusal { sqlstate, message, .. } = self.cut.take()?;
        Some(StatementResult::Cut { sqlstate: sqlstate.to_owned(), message })
    }

    /// Of its result; none where it has no rows.
    pub fn shape(&self) -> Option<&ResultShape> {
        self.shape.as_ref().or_else(|| self.runs.as_ref()?.foreseen().shape()).map(Arc::as_ref)
    }

    /// Nobody will ever know how it ended.
    pub fn unanswered(mut self) -> Ended {
        let result = self.was_cut().unwrap_or(StatementResult::Unknown);
        let rows = self.rows;
        Ended { running: self, result, rows, ends_at: None }
    }
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
    /// The place in the bytes that the client is sent at which its answer ends,
    /// where it gets one.
    pub ends_at: Option<u64>,
}

impl Ended {
    /// A statement that nothing was done of.
    pub fn unrun(intent: Position, result: StatementResult) -> Self {
        Self { running: running(Some(intent), true), result, rows: 0, ends_at: None }
    }
}

/// What the pump does with a piece of the server's stream.
#[derive(Debug, Default)]
pub enum Fate {
    #[default]
    Pass,
    Drop,
    /// These bytes go in its place.
    Replace(BytesMut),
    /// These bytes go first.
    Before(BytesMut),
}

impl Fate {
    /// How many bytes the client is sent, where `pass` go as they are and the
    /// frame behind them ends at `covered`.
    pub fn length(&self, pass: usize, covered: usize) -> usize {
        match self {
            Self::Pass => covered,
            Self::Drop => pass,
            Self::Replace(out) => pass + out.len(),
            Self::Before(out) => covered + out.len(),
        }
    }
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
    live: Arc<Live>,
    /// A statement went over a budget, and the client was not told.
    pub cut: Option<Cut>,
    /// A cancel for it is on its way: nothing that it could hit may go upstream.
    pub cancelling: bool,
    /// One was sent for this batch.
    pub cancelled: bool,
    /// A message was let through and is being judged: the tracker will know of it.
    pub deciding: bool,
    /// Messages of the extended protocol went upstream since the last ReadyForQuery.
    unsynced: bool,
    /// Since when a transaction is open and nothing is asked.
    quiet: Option<Instant>,
    /// The rest of a long frame goes where its head went.
    dropping: bool,
    /// What portals and cursors have returned that were not read to their end.
    pieces: HashMap<Vec<u8>, Taken>,
}

impl Book {
    pub fn new(live: Arc<Live>) -> Self {
        Self {
            tracker: Tracker::new(MOST_PENDING),
            names: Names::default(),
            unsettled: false,
            moved: false,
            doomed: false,
            early: 0,
            live,
            cut: None,
            cancelling: false,
            cancelled: false,
            deciding: false,
            unsynced: false,
            quiet: None,
            dropping: false,
            pieces: HashMap::new(),
        }
    }

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

    /// A name is closed, if the server will not skip that.
    pub fn forget(&mut self, kind: Kind, name: &[u8]) {
        match kind {
            _ if self.tracker.is_skipping() => {}
            Kind::Statement => self.names.close_statement(name),
            Kind::Portal => self.names.close_portal(name),
        }
    }

    /// A Describe of the client's goes upstream.
    pub fn describe(&mut self, kind: Kind, name: &[u8]) -> Result<(), WireError> {
        if !self.tracker.is_skipping() {
            let certain = !self.unsettled || self.is_settled();
            self.names.describe(kind, name, certain);
        }
        let sent = match kind {
            Kind::Statement => Sent::DescribeStatement,
            Kind::Portal => Sent::DescribePortal,
        };
        self.tracker.send(sent).map(drop)
    }

    /// Whether a Describe of the gateway's goes upstream before this Execute: the
    /// shape of its result would not be known.
    pub fn asks(&mut self, token: &Running) -> Result<bool, WireError> {
        let dropped = self.doomed || self.tracker.is_skipping() || self.tracker.is_copy_in();
        let asks = token.intent.is_some() && !dropped && self.names.execute(token.runs.as_ref());
        if asks {
            self.tracker.send(Sent::DescribePortal)?;
        }
        Ok(asks)
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

    /// A message of the client is going to be judged and told to the tracker.
    pub fn decide(&mut self, message: u8) {
        self.deciding = true;
        // A Flush asks for nothing, and neither does the end of a COPY outside one.
        let asks = !matches!(message, tag::FLUSH | tag::COPY_DONE | tag::COPY_FAIL);
        if asks || self.tracker.is_copy_in() {
            self.quiet = None;
        }
        self.unsynced |=
            matches!(message, tag::PARSE | tag::BIND | tag::DESCRIBE | tag::EXECUTE | tag::CLOSE);
    }

    /// Since when the client keeps a transaction open and asks nothing. Asked
    /// at each pause of the server; `now` is taken only where there is one.
    pub fn note_quiet(&mut self, now: impl FnOnce() -> Instant) {
        if self.in_transaction() && self.tracker.executes_nothing() {
            self.quiet.get_or_insert_with(now);
        }
    }

    pub fn quiet_since(&self) -> Option<Instant> {
        self.quiet.filter(|_| self.in_transaction() && self.tracker.executes_nothing())
    }

    fn in_transaction(&self) -> bool {
        self.tracker.status() != TransactionStatus::Idle || self.unsynced
    }

    /// The next piece of what the server sends: of rows no more than the budget
    /// has room for. The row behind the last is cut, and what follows is not
    /// for the client.
    pub fn next<'b>(
        &mut self,
        scanner: &mut Scanner,
        bytes: &'b [u8],
    ) -> Result<Option<Piece<'b>>, WireError> {
        let rows = matches!(bytes.first(), Some(&(backend::tag::DATA_ROW | backend::tag::COPY_DATA)));
        if self.is_cut() || !(rows || scanner.left() > 0) {
            return scanner.next(bytes);
        }
        let live = Arc::clone(&self.live);
        let mut session = live.taken();
        let mut statement = self.statement_taken();
        let left = scanner.left();
        let piece = scanner.next_within(bytes, live.room(&statement, &session))?;
        if let Some(Piece { bytes, what: What::Bulk { frames, .. } }) = piece {
            // Whole rows count where they begin.
            let bytes = (bytes.len() + scanner.left()).saturating_sub(left) as u64;
            session.add(frames, bytes);
            statement.add(frames, bytes);
            if let Some(running) = self.tracker.current() {
                running.taken = Some(statement);
            }
        } else if piece.is_none() && scanner.held_back(bytes).is_some() {
            self.cut(live.over(&statement, &session, true));
            return scanner.next(bytes);
        }
        Ok(piece)
    }

    /// What the statement being answered has returned, earlier pieces of its portal included.
    fn statement_taken(&mut self) -> Taken {
        let Some(running) = self.tracker.current() else { return Taken::default() };
        let earlier = || {
            let name = running.portal.as_deref().filter(|_| !self.pieces.is_empty())?;
            self.pieces.get(key(name)).copied()
        };
        running.taken.or_else(earlier).unwrap_or_default()
    }

    /// Whether a message of another kind than rows, which holds data all the
    /// same, has room in the budget; it counts then.
    fn has_room(&mut self, tag: u8, length: usize) -> bool {
        if !matches!(tag, backend::tag::ERROR | backend::tag::NOTICE | backend::tag::FUNCTION_RESULT) {
            return true;
        }
        let rows = u64::from(tag == backend::tag::FUNCTION_RESULT);
        let live = Arc::clone(&self.live);
        let mut session = live.taken();
        let mut statement = self.statement_taken();
        let room = live.room(&statement, &session);
        // A short error is told even of a statement that has used all up: without
        // it nobody would know what is wrong. Not to a session that has: its errors
        // would go on telling what is in the database.
        let spent = live.room(&Taken::default(), &session).is_none();
        let short = length <= SHORT && tag == backend::tag::ERROR && !spent;
        if !short && (rows > room.frames || length as u64 > room.bytes) {
            // A notice between statements has nobody to fail.
            if tag != backend::tag::NOTICE || self.tracker.current().is_some() {
                self.cut(live.over(&statement, &session, rows > 0));
            }
            return false;
        }
        session.add(rows, length as u64);
        statement.add(rows, length as u64);
        if let Some(running) = self.tracker.current() {
            running.taken = Some(statement);
        }
        true
    }

    /// One piece of what the server sends. The rest of a long frame means nothing new.
    pub fn see(&mut self, piece: &Piece<'_>, ended: &mut VecDeque<Ended>) -> Result<Fate, WireError> {
        match piece.what {
            What::Bulk { tag, frames } => {
                let cut = self.cut.is_some();
                let running = self.tracker.rows(tag)?;
                if cut {
                    return Ok(Fate::Drop);
                }
                running.rows += frames;
                running.bytes += piece.bytes.len() as u64;
                if let Some(fingerprint) = &mut running.fingerprint {
                    fingerprint.add(piece.bytes);
                }
                Ok(Fate::Pass)
            }
            What::Rest { .. } => Ok(if self.dropping { Fate::Drop } else { Fate::Pass }),
            What::Frame { tag, body } | What::Head { tag, body } => {
                // The length that the server says, which may not be all here.
                let length = Header::peek(piece.bytes).map_or(0, Header::frame_len);
                let whole = matches!(piece.what, What::Frame { .. });
                let fate = self.message(tag, body, length, whole, ended)?;
                self.dropping = matches!(fate, Fate::Drop | Fate::Replace(_));
                Ok(fate)
            }
        }
    }

    fn message(
        &mut self,
        tag: u8,
        body: &[u8],
        length: usize,
        whole: bool,
        ended: &mut VecDeque<Ended>,
    ) -> Result<Fate, WireError> {
        let room = self.is_cut() || self.has_room(tag, length);
        let fatal = tag == backend::tag::ERROR && Fields::new(body).is_fatal();
        let mut fate = Fate::Pass;
        let mut copies_in = false;
        match self.tracker.receive(tag, body)? {
            // Said at any time; but a notice is a way out for data.
            Event::Aside => {
                let drop = tag == backend::tag::NOTICE && (self.is_cut() || !room);
                if self.is_cut() && self.tracker.is_copy_in() {
                    self.cut_goes_on(true);
                }
                return Ok(if drop { Fate::Drop } else { Fate::Pass });
            }
            Event::Progress => {
                if let backend::tag::PARSE_COMPLETE
                | backend::tag::BIND_COMPLETE
                | backend::tag::CLOSE_COMPLETE = tag
                {
                    let portal = self.names.confirmed(tag)?;
                    self.forget_pieces(portal.as_deref());
                } else if tag == backend::tag::ROW_DESCRIPTION {
                    let shape = shape(body, self.live.texts.is_some());
                    if let Some(running) = self.tracker.current() {
                        running.shape = Some(Arc::new(shape));
                    }
                }
            }
            Event::Described => {
                let redacted = self.live.texts.is_some();
                let has_rows = tag == backend::tag::ROW_DESCRIPTION;
                let read = || has_rows.then(|| Arc::new(shape(body, redacted)));
                let (ours, shape) = self.names.described(read)?;
                if ours {
                    fate = Fate::Drop;
                    // The Execute that it was asked for is answered next.
                    if let Some(running) = self.tracker.current() {
                        running.shape = shape;
                    }
                }
            }
            Event::CopyIn { swallowed } => {
                copies_in = true;
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
                    Then::Cursor(name) => {
                        self.names.forget_portal(name.as_deref());
                        match name {
                            Some(name) => self.forget_pieces(Some(&name)),
                            None => self.pieces.clear(),
                        }
                    }
                    Then::Discard => {
                        self.names.forget(None);
                        self.names.forget_portal(None);
                        self.pieces.clear();
                    }
                }
                // Another FETCH may come of the same cursor.
                if tag.0.starts_with("FETCH") {
                    self.keep_pieces(&token);
                }
                if let Some(cut) = &mut self.cut {
                    cut.finished(tag.0);
                }
                let rows = tag.rows().unwrap_or(token.rows);
                end(ended, token, StatementResult::Ok { tag: tag.0.to_owned() }, rows);
            }
            Event::Empty { token } => {
                if let Some(token) = token {
                    end(ended, token, StatementResult::Ok { tag: String::new() }, 0);
                }
            }
            Event::Suspended { token } => {
                self.keep_pieces(&token);
                let rows = token.rows;
                end(ended, token, StatementResult::Suspended, rows);
            }
            Event::Returned { token } => {
                end(ended, token, StatementResult::Ok { tag: "FUNCTION".to_owned() }, 0);
            }
            Event::Failed { token, extended, refused, skipped } => {
                let failing = self.names.failed(extended);
                let runs = token.as_ref().and_then(|token| Some(&token.runs.as_ref()?.prepared));
                let about = runs.or(failing.prepared.as_ref());
                let rewrite = about.and_then(|prepared| prepared.rewrite.clone());
                let rewrite = rewrite.or_else(|| token.as_ref()?.rewrite.clone());
                fate = failed(body, token, refused, skipped, failing, ended);
                if let (Fate::Pass, true) = (&fate, whole) {
                    fate = self.told(body, rewrite.as_deref());
                }
                if fatal {
                    // The connection ends, and the database says why.
                    self.cut = None;
                } else if let Some(error) = self.cut_failed() {
                    fate = error;
                }
                return Ok(fate);
            }
            Event::Ready { status, spare } => {
                self.names.ready(status == TransactionStatus::Idle, spare);
                self.early = 0;
                if self.tracker.is_idle() {
                    (self.unsettled, self.moved, self.unsynced) = (false, false, false);
                }
                return Ok(self.cut_ready(status));
            }
        }
        if self.is_cut() {
            self.cut_goes_on(copies_in);
            fate = Fate::Drop;
        }
        Ok(fate)
    }

    /// An error of the database's, where more can be said: about a rewritten
    /// text, where in the person's own it is; and what a grant has to do with it.
    fn told(&self, body: &[u8], rewrite: Option<&Rewrite>) -> Fate {
        let fields = Fields::new(body);
        let at = || fields.field(b'P')?.parse().ok();
        let position = rewrite.and_then(|rewrite| at().map(|position| rewrite.position(position)));
        let message = fields.message().unwrap_or_default();
        let hint = guard::hint(&self.live.permit, &fields.sqlstate().unwrap_or_default(), &message);
        if position.is_none() && hint.is_none() {
            return Fate::Pass;
        }
        let mut out = BytesMut::new();
        backend::error_with(&mut out, fields, position, hint.as_deref());
        Fate::Replace(out)
    }

    fn keep_pieces(&mut self, token: &Running) {
        let Some((name, taken)) = token.portal.as_deref().zip(token.taken) else { return };
        if self.pieces.len() >= MOST_PORTALS {
            // The session's own budget still holds.
            self.pieces.clear();
        }
        self.pieces.insert(key(name).to_vec(), taken);
    }

    /// The name stands for another portal now, or for none.
    fn forget_pieces(&mut self, name: Option<&[u8]>) {
        if let Some(name) = name.filter(|_| !self.pieces.is_empty()) {
            self.pieces.remove(key(name));
        }
    }
}

/// `failing`: what this is about if no statement was executed.
fn failed(
    body: &[u8],
    token: Option<Running>,
    refused: bool,
    skipped: Vec<Running>,
    failing: Failing,
    ended: &mut VecDeque<Ended>,
) -> Fate {
    let mut fate = Fate::Pass;
    let fields = Fields::new(body);
    let error = || StatementResult::Error {
        sqlstate: fields.sqlstate().unwrap_or_default().into_owned(),
        message: fields.message().unwrap_or_default().into_owned(),
    };
    let before = token.is_none();
    if let Some(mut token) = token {
        // The replacement can only fail, but the server may end before it comes to that.
        let result = match token.refusal.take().filter(|_| refused && !fields.is_fatal()) {
            Some(refusal) => {
                let mut out = BytesMut::new();
                refusal.error(&mut out);
                fate = Fate::Replace(out);
                StatementResult::Refused { sqlstate: refusal.sqlstate.to_owned(), message: refusal.message }
            }
            None => error(),
        };
        let rows = token.rows;
        end(ended, token, result, rows);
    }
    for (index, token) in skipped.into_iter().enumerate() {
        // The Execute of what could not even be parsed or bound has failed with it.
        let of = token.runs.as_ref().zip(failing.prepared.as_ref());
        let is_of = of.is_some_and(|(runs, failing)| Arc::ptr_eq(&runs.prepared, failing));
        let has_failed = before && index == 0 && (is_of || failing.next);
        let result = if has_failed { error() } else { StatementResult::Skipped };
        end(ended, token, result, 0);
    }
    fate
}

/// What was cut has ended so, whatever the server made of it.
fn end(ended: &mut VecDeque<Ended>, mut running: Running, result: StatementResult, rows: u64) {
    let (result, rows) = match running.was_cut() {
        Some(cut) => (cut, running.rows),
        None => (result, rows),
    };
    ended.push_back(Ended { running, result, rows, ends_at: None });
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
            // The transaction's portals are gone, and a function may open others of their names.
            Class::Commit | Class::Rollback => Self::Cursor(None),
            // DISCARD ALL alone resets settings, too; the others leave names alone.
            Class::Discard if statement.settings.iter().any(|setting| setting.name == "*") => Self::Discard,
            _ => Self::Nothing,
        }
    }

    pub fn changes_names(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}
