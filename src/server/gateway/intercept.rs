//! The client's messages, one by one: judged, put on record, told to the book.
//!
//! Nothing is sent here. The answer says what the pump does with the bytes, and
//! for how much of the record it waits first (G1).

use super::book::{Book, Portal, Running, Then};
use super::connection::Connection;
use super::names::{Meaning, Prepared};
use super::refusal::Refusal;
use crate::core::guard::{self, Durability, TxStatus, Verdict};
use crate::core::model::{StatementRecord, StatementResult};
use crate::core::sql::{Facts, SqlError, Statement};
use crate::server::journal::Position;
use crate::wire::postgres::frontend::{
    self, Bind, Execute, Format, FunctionCall, Kind, Named, Parse, Query, tag,
};
use crate::wire::postgres::tracker::Sent;
use crate::wire::postgres::{Tag, WireError};
use bytes::BytesMut;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

/// What the database gets in place of a refused statement: it fails in the
/// grammar, so it fails in every state of a transaction, and it tells whoever
/// reads the database's log why it is there.
const POISON: &str = "dbaccess refused this statement; see its ledger";
/// Values of parameters are put on record up to this many bytes a statement;
/// beyond, their hash is.
const PARAMETERS: usize = 64 * 1024;
/// Prepared statements and portals that one connection may keep.
const MOST_NAMES: usize = 10_000;
/// Statements in one Query message.
const MOST_STATEMENTS: usize = 4_000;
/// Replies that must be free before a message is taken.
pub const ROOM: usize = MOST_STATEMENTS + 8;

/// What the pump does with a message.
pub enum Step {
    /// Send it as it came.
    Relay,
    /// Send it once its record is safe on disk.
    RelayAfter(Position),
    /// Send this in its place.
    Replace(BytesMut),
    /// Send it; it is the client's last.
    Goodbye,
}

/// Why the connection cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
}

impl From<WireError> for Fault {
    fn from(error: WireError) -> Self {
        Self::Refused(error.into())
    }
}

/// A statement judged, and ready for its intent.
struct Judged<'a> {
    text: &'a str,
    class: &'static str,
    durability: Durability,
    then: Then,
}

impl Connection {
    /// Whether a message must wait until the replies so far have come: because
    /// of the bound on replies, or because a name in it is in doubt.
    pub fn must_wait(&self, message: u8, body: &[u8]) -> Result<bool, Fault> {
        let book = self.book();
        if book.tracker.room() < ROOM {
            return Ok(true);
        }
        let in_doubt = |name: &[u8]| {
            !book.is_settled() && (book.unsettled || matches!(book.names.find(name), Meaning::InDoubt))
        };
        Ok(match message {
            tag::PARSE => in_doubt(Parse::decode(body)?.name),
            tag::BIND => in_doubt(Bind::names(body)?.1),
            tag::CLOSE => match Named::decode("Close", body)? {
                Named { kind: Kind::Statement, name } => in_doubt(name),
                Named { kind: Kind::Portal, .. } => false,
            },
            // Whether a PREPARE or DEALLOCATE may be believed depends on the order.
            tag::QUERY => book.unsettled && !book.is_settled(),
            _ => false,
        })
    }

    /// One complete message of the client, or the head of a long Bind.
    pub async fn message(&self, message: u8, body: &[u8], whole: bool) -> Result<Step, Fault> {
        match message {
            tag::QUERY => self.query(body).await,
            tag::PARSE => self.parse(body).await,
            tag::BIND => self.bind(body, whole),
            tag::EXECUTE => self.execute(body).await,
            tag::FUNCTION_CALL => self.function_call(body, whole).await,
            tag::DESCRIBE => {
                let sent = match Named::decode("Describe", body)?.kind {
                    Kind::Statement => Sent::DescribeStatement,
                    Kind::Portal => Sent::DescribePortal,
                };
                self.book().tracker.send(sent)?;
                Ok(Step::Relay)
            }
            tag::CLOSE => {
                let Named { kind, name } = Named::decode("Close", body)?;
                let mut book = self.book();
                let skipping = book.tracker.is_skipping();
                book.tracker.send(Sent::Close)?;
                match kind {
                    Kind::Statement if !skipping => book.names.close(Some(name.to_vec())),
                    Kind::Portal if !skipping => {
                        book.portals.remove(name);
                        book.names.close(None);
                    }
                    _ => {}
                }
                Ok(Step::Relay)
            }
            tag::SYNC => {
                let mut book = self.book();
                if !book.tracker.is_copy_in() {
                    book.names.batch();
                }
                book.tracker.send(Sent::Sync)?;
                Ok(Step::Relay)
            }
            tag::COPY_DONE | tag::COPY_FAIL => {
                let mut book = self.book();
                if !book.tracker.is_copy_in() && !book.tracker.is_skipping() && !book.tracker.is_idle() {
                    book.names.copy_end();
                }
                book.tracker.send(Sent::CopyEnd)?;
                Ok(Step::Relay)
            }
            tag::FLUSH => Ok(Step::Relay),
            tag::TERMINATE => Ok(Step::Goodbye),
            other => {
                Err(WireError::Unexpected { expected: "a message of an open session", got: Tag(other) }
                    .into())
            }
        }
    }

    async fn query(&self, body: &[u8]) -> Result<Step, Fault> {
        let raw = Query::decode(body)?.text;
        let text = match utf8(raw) {
            Ok(text) => text,
            Err(refusal) => return self.refuse_query("", refusal, &[]).await,
        };
        let facts = match self.gateway.facts.analyse(text) {
            Ok(facts) => facts,
            Err(error) => return self.refuse_query(text, unreadable(&error), &[]).await,
        };
        if facts.statements.len() > MOST_STATEMENTS {
            let refusal =
                Refusal::new("54000", format!("more than {MOST_STATEMENTS} statements in one message"))
                    .hint("send them in several");
            return self.refuse_query(text, refusal, &[]).await;
        }
        let mut status = self.book().tx_status();
        let mut judged = Vec::with_capacity(facts.statements.len());
        for statement in &facts.statements {
            match self.judge(statement, text, status) {
                Ok((one, after)) => {
                    status = after;
                    judged.push(one);
                }
                Err(refusal) => return self.refuse_query(text, refusal, &facts.statements).await,
            }
        }
        let durability = judged.iter().map(|one| one.durability).max();
        let mut tokens = Vec::with_capacity(judged.len());
        let mut last = None;
        for one in judged {
            let intent = self.intend(one.text, &[], None, one.class).await?;
            last = Some(intent);
            tokens.push(Running { then: one.then, ..running(Some(intent), true) });
        }
        let skipped = {
            let mut book = self.book();
            book.unsettled |= tokens.iter().any(|token| token.then.changes_names());
            book.names.batch();
            book.tracker.query(tokens)?
        };
        self.skip(skipped).await?;
        Ok(after(durability, last))
    }

    /// In place of the whole text goes one that fails: nothing of it runs.
    async fn refuse_query(&self, text: &str, refusal: Refusal, others: &[Statement]) -> Result<Step, Fault> {
        tracing::info!(session = %self.live.permit.session, sqlstate = refusal.sqlstate, "refused a statement");
        self.gateway.metrics.refused.inc();
        let intent = self.intend(text, &[], None, class_of(others.first())).await?;
        let token = Running { refusal: Some(refusal), ..running(Some(intent), true) };
        let skipped = {
            let mut book = self.book();
            book.names.batch();
            book.tracker.send(Sent::RefusedQuery(token))?
        };
        self.skip(skipped).await?;
        let mut out = BytesMut::new();
        frontend::query(&mut out, POISON);
        Ok(Step::Replace(out))
    }

    async fn parse(&self, body: &[u8]) -> Result<Step, Fault> {
        let Parse { name, text: raw, .. } = Parse::decode(body)?;
        let text = match utf8(raw) {
            Ok(text) => text,
            Err(refusal) => return self.refuse_parse(name, "", refusal).await,
        };
        let facts = match self.gateway.facts.analyse(text) {
            Ok(facts) => facts,
            Err(error) => return self.refuse_parse(name, text, unreadable(&error)).await,
        };
        for statement in &facts.statements {
            if let Err(refusal) = self.judge(statement, text, TxStatus::Idle) {
                return self.refuse_parse(name, text, refusal).await;
            }
        }
        if self.book().names.len() >= MOST_NAMES {
            let refusal = Refusal::new("54000", format!("more than {MOST_NAMES} prepared statements"))
                .hint("close those that are not used any more");
            return self.refuse_parse(name, text, refusal).await;
        }
        let prepared = Arc::new(Prepared { text: text.to_owned(), facts });
        let mut book = self.book();
        if !book.tracker.is_skipping() {
            book.names.parse(name.to_vec(), prepared);
        }
        book.tracker.send(Sent::Parse)?;
        Ok(Step::Relay)
    }

    async fn refuse_parse(&self, name: &[u8], text: &str, refusal: Refusal) -> Result<Step, Fault> {
        tracing::info!(session = %self.live.permit.session, sqlstate = refusal.sqlstate, "refused a statement");
        self.gateway.metrics.refused.inc();
        let intent = self.intend(text, &[], None, class_of(None)).await?;
        let token = Running { refusal: Some(refusal), ..running(Some(intent), false) };
        let skipped = self.book().tracker.send(Sent::Refused(token))?;
        self.skip(skipped).await?;
        let mut out = BytesMut::new();
        frontend::parse(&mut out, name, POISON, []);
        Ok(Step::Replace(out))
    }

    fn bind(&self, body: &[u8], whole: bool) -> Result<Step, Fault> {
        let (portal, statement) = Bind::names(body)?;
        let mut book = self.book();
        let prepared = match book.names.find(statement) {
            Meaning::Known(prepared) => Some(prepared),
            Meaning::Nothing | Meaning::InDoubt => None,
        };
        if book.portals.len() >= MOST_NAMES {
            return Err(Refusal::new("54000", format!("more than {MOST_NAMES} portals are open")).into());
        }
        match prepared {
            Some(prepared) => {
                let (parameters, parameters_sha256) = parameters(body, whole)?;
                book.portals.insert(portal.to_vec(), Portal { prepared, parameters, parameters_sha256 });
            }
            None => drop(book.portals.remove(portal)),
        }
        book.tracker.send(Sent::Bind)?;
        Ok(Step::Relay)
    }

    async fn execute(&self, body: &[u8]) -> Result<Step, Fault> {
        let name = Execute::decode(body)?.portal;
        let (portal, status) = {
            let book = self.book();
            (book.portals.get(name).cloned(), book.tx_status())
        };
        let Some(portal) = portal else {
            // A cursor of SQL's DECLARE, or nothing: the server knows.
            let text = format!("EXECUTE PORTAL \"{}\"", String::from_utf8_lossy(name));
            let intent = self.intend(&text, &[], None, "execute portal").await?;
            return self
                .sent_execute(running(Some(intent), false), Some(Durability::Synced), Some(intent))
                .await;
        };
        let Some(statement) = portal.prepared.facts.statements.first() else {
            return self.sent_execute(running(None, false), None, None).await;
        };
        let judged = self.judge(statement, &portal.prepared.text, status).map_err(Fault::Refused)?.0;
        let hash = portal.parameters_sha256.as_deref();
        let intent = self.intend(judged.text, &portal.parameters, hash, judged.class).await?;
        let token = Running { then: judged.then, ..running(Some(intent), false) };
        self.sent_execute(token, Some(judged.durability), Some(intent)).await
    }

    async fn sent_execute(
        &self,
        token: Running,
        durability: Option<Durability>,
        intent: Option<Position>,
    ) -> Result<Step, Fault> {
        let skipped = {
            let mut book = self.book();
            book.unsettled |= token.then.changes_names();
            book.tracker.send(Sent::Execute(token))?
        };
        self.skip(skipped).await?;
        Ok(after(durability, intent))
    }

    async fn function_call(&self, body: &[u8], whole: bool) -> Result<Step, Fault> {
        let oid = match body {
            [a, b, c, d, ..] => u32::from_be_bytes([*a, *b, *c, *d]),
            _ => FunctionCall::decode(body)?.oid,
        };
        let status = self.book().tx_status();
        let arguments: Vec<Option<String>> = if whole {
            FunctionCall::decode(body)?
                .arguments()
                .map(|argument| shown(argument.format, argument.value))
                .collect()
        } else {
            Vec::new()
        };
        match guard::check_function_call(&self.live.permit, oid, status) {
            Ok((name, allowed)) => {
                let intent = self.intend(name, &arguments, None, "function call").await?;
                let skipped = {
                    let mut book = self.book();
                    book.names.batch();
                    book.tracker.send(Sent::FunctionCall(running(Some(intent), true)))?
                };
                self.skip(skipped).await?;
                Ok(after(Some(allowed.durability), Some(intent)))
            }
            Err(refusal) => self.refuse_query(&format!("function call {oid}"), refusal.into(), &[]).await,
        }
    }

    fn judge<'a>(
        &self,
        statement: &Statement,
        whole: &'a str,
        status: TxStatus,
    ) -> Result<(Judged<'a>, TxStatus), Refusal> {
        match guard::check(&self.live.permit, statement, status) {
            Verdict::Refuse(refusal) => Err(refusal.into()),
            Verdict::Allow(allowed) => {
                let text = statement.text(whole);
                let then = Then::of(statement, || {
                    // A PREPARE that the database accepts is one statement again.
                    Arc::new(Prepared { text: text.to_owned(), facts: Arc::new(only(statement)) })
                });
                let judged =
                    Judged { text, class: statement.class.verb(), durability: allowed.durability, then };
                Ok((judged, status.after(allowed.effect)))
            }
        }
    }

    /// Puts an intent on record; it is queued when this returns, not yet written.
    async fn intend(
        &self,
        text: &str,
        parameters: &[Option<String>],
        parameters_sha256: Option<&str>,
        class: &str,
    ) -> Result<Position, Refusal> {
        let permit = &self.live.permit;
        let record = StatementRecord::Intent {
            session: Cow::Borrowed(&permit.session),
            grant: Cow::Borrowed(&permit.grant),
            connection: Cow::Borrowed(&self.id),
            person: Cow::Borrowed(&permit.person),
            target: Cow::Borrowed(&permit.target),
            text: Cow::Borrowed(text),
            parameters: Cow::Borrowed(parameters),
            parameters_sha256: parameters_sha256.map(Cow::Borrowed),
            class: Cow::Borrowed(class),
        };
        let position = self.append(&record).await?;
        self.live.counters.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.gateway.metrics.statements.inc();
        Ok(position)
    }

    /// Statements that the server will drop because of an earlier error.
    async fn skip(&self, tokens: impl IntoIterator<Item = Running>) -> Result<(), Refusal> {
        for token in tokens {
            self.outcome(token, StatementResult::Skipped, 0).await?;
        }
        Ok(())
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn after(durability: Option<Durability>, last: Option<Position>) -> Step {
    match (durability, last) {
        (Some(Durability::Synced), Some(position)) => Step::RelayAfter(position),
        _ => Step::Relay,
    }
}

fn running(intent: Option<Position>, simple: bool) -> Running {
    Running { intent, started: Instant::now(), rows: 0, bytes: 0, simple, then: Then::Nothing, refusal: None }
}

fn only(statement: &Statement) -> Facts {
    Facts { statements: vec![Statement { range: 0..statement.range.len(), ..statement.clone() }] }
}

fn class_of(statement: Option<&Statement>) -> &'static str {
    statement.map_or("unknown", |statement| statement.class.verb())
}

fn utf8(raw: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(raw).map_err(|_| {
        Refusal::new("22021", "the statement is not UTF-8").hint("set the client's encoding to UTF8")
    })
}

fn unreadable(error: &SqlError) -> Refusal {
    let refusal = Refusal::new(error.sqlstate(), error.to_string());
    match error {
        SqlError::Syntax { position: Some(position), .. } => refusal.at(*position),
        _ => refusal,
    }
}

/// The values of a Bind for the record: themselves while they are small.
type Values = (Arc<[Option<String>]>, Option<Arc<str>>);

fn parameters(body: &[u8], whole: bool) -> Result<Values, WireError> {
    if whole && body.len() <= PARAMETERS {
        let bind = Bind::decode(body)?;
        let values = bind.parameters().map(|parameter| shown(parameter.format, parameter.value)).collect();
        return Ok((values, None));
    }
    // Of a Bind longer than the pump holds, the beginning is what is known
    // before it goes upstream; the record says of how much.
    let mut hash = hex(&Sha256::digest(body));
    if !whole {
        hash = format!("{hash} of the first {} bytes", body.len());
    }
    Ok((Arc::new([]), Some(hash.into())))
}

fn shown(format: Format, value: Option<&[u8]>) -> Option<String> {
    let value = value?;
    match (format, std::str::from_utf8(value)) {
        (Format::Text, Ok(text)) => Some(text.to_owned()),
        _ => Some(format!("\\x{}", hex(value))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        drop(write!(text, "{byte:02x}"));
        text
    })
}
