//! The client's messages, one by one: judged, put on record, told to the book.
//!
//! Nothing is sent here. The answer says what the pump does with the bytes, and
//! for how much of the record it waits first (G1).

use super::book::{Book, Ended, Running, Then, running};
use super::connection::Connection;
use super::names::{Meaning, Portal, Prepared};
use super::refusal::Refusal;
use super::sealing::Words;
use super::shape::Foreseen;
use super::values::{Held, Values, shown};
use crate::core::guard::{self, Durability, Message, TxStatus, Verdict};
use crate::core::model::{StatementFacts, StatementRecord, StatementResult};
use crate::core::sql::{SqlError, Statement};
use crate::server::journal::Position;
use crate::wire::postgres::frontend::{self, Bind, Execute, FunctionCall, Kind, Named, Parse, Query, tag};
use crate::wire::postgres::tracker::Sent;
use crate::wire::postgres::{Tag, WireError};
use bytes::BytesMut;
use std::borrow::Cow;
use std::sync::{Arc, MutexGuard};

/// What the database gets in place of a refused statement: it fails in the
/// grammar, so it fails in every state of a transaction, and it tells whoever
/// reads the database's log why it is there.
pub(super) const POISON: &str = "dbaccess refused this statement; see its ledger";
/// Prepared statements and portals that one connection may keep, and the bytes
/// of their texts.
const MOST_NAMES: usize = 10_000;
const MOST_TEXTS: usize = 64 << 20;
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
    /// Do not send it; more of it comes.
    Drop,
    /// Send this in its place.
    Replace(BytesMut),
    /// Send this in its place, once its record is safe on disk.
    ReplaceAfter(BytesMut, Position),
    /// Send it; it is the client's last.
    Goodbye,
}

impl Step {
    /// The same with other bytes than those that came.
    fn sending(self, instead: Option<BytesMut>) -> Self {
        match (self, instead) {
            (Self::Relay, Some(out)) => Self::Replace(out),
            (Self::RelayAfter(position), Some(out)) => Self::ReplaceAfter(out, position),
            (step, _) => step,
        }
    }
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
    facts: StatementFacts,
    durability: Durability,
    then: Then,
}

impl Connection {
    /// Whether a message must wait until the replies so far have come: because
    /// of the bound on replies, or because a name in it is in doubt.
    pub fn must_wait(&self, message: u8, body: &[u8]) -> Result<bool, Fault> {
        let book = self.book();
        if message == tag::TERMINATE {
            return Ok(false);
        }
        // A cancel must not hit this one, nor may the error of a cut be mistaken for its.
        if book.tracker.room() < ROOM || book.is_cut() || book.cancelling {
            return Ok(true);
        }
        // While the server waits for COPY data it answers nothing: it is for the
        // server to refuse what comes instead.
        if book.is_settled() || book.tracker.is_copy_in() {
            return Ok(false);
        }
        Ok(match message {
            // What is used must be certain; what is made is made in order.
            tag::BIND | tag::EXECUTE if book.unsettled => true,
            tag::BIND => matches!(book.names.statement(Bind::names(body)?.1), Meaning::InDoubt),
            tag::EXECUTE => matches!(book.names.portal(Execute::decode(body)?.portal), Meaning::InDoubt),
            _ => false,
        })
    }

    /// One complete message of the client.
    pub async fn message(&self, message: u8, body: &[u8]) -> Result<Step, Fault> {
        match message {
            tag::QUERY => self.query(body).await,
            tag::PARSE => self.parse(body).await,
            tag::BIND => match Values::of(body, &self.values)? {
                Some(values) => self.bind(body, values).await,
                None => {
                    let (portal, statement) = Bind::names(body)?;
                    self.refuse_bind(portal, statement).await
                }
            },
            tag::EXECUTE => self.execute(body).await,
            tag::FUNCTION_CALL => {
                let call = FunctionCall::decode(body)?;
                let values: Vec<_> =
                    call.arguments().map(|argument| shown(argument.format, argument.value)).collect();
                self.function_call(call.oid, Values { shown: values, ..Values::default() }).await
            }
            tag::DESCRIBE => {
                let Named { kind, name } = Named::decode("Describe", body)?;
                self.book().describe(kind, name)?;
                Ok(Step::Relay)
            }
            tag::CLOSE => {
                let Named { kind, name } = Named::decode("Close", body)?;
                let mut book = self.book();
                book.forget(kind, name);
                book.tracker.send(Sent::Close)?;
                Ok(Step::Relay)
            }
            tag::SYNC => {
                self.book().sync()?;
                Ok(Step::Relay)
            }
            tag::COPY_DONE | tag::COPY_FAIL => {
                self.book().tracker.send(Sent::CopyEnd)?;
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
            Err(refusal) => {
                let words = self.live.unread_words(String::from_utf8_lossy(raw));
                return self.refuse_query(words, refusal, &[]).await;
            }
        };
        let facts = match self.gateway.facts.analyse(text) {
            Ok(facts) => facts,
            Err(error) => {
                return self.refuse_query(self.live.unread_words(text), unreadable(&error), &[]).await;
            }
        };
        let read = || self.live.read_words(text);
        if facts.statements.len() > MOST_STATEMENTS {
            let refusal =
                Refusal::new("54000", format!("more than {MOST_STATEMENTS} statements in one message"))
                    .hint("send them in several");
            return self.refuse_query(read(), refusal, &[]).await;
        }
        if let Err(refusal) = guard::check_message(&self.live.permit, Message::Query(text, &facts)) {
            return self.refuse_query(read(), refusal.into(), &facts.statements).await;
        }
        if let Err(refusal) = self.live.advance(text, &facts) {
            return self.refuse_query(read(), refusal.into(), &facts.statements).await;
        }
        let rewrite = match self.live.rewrite(text, &facts) {
            Ok(rewrite) => rewrite,
            Err(error) => return self.refuse_query(read(), unreadable(&error), &facts.statements).await,
        };
        let mut status = self.book().tx_status();
        let mut judged = Vec::with_capacity(facts.statements.len());
        for statement in &facts.statements {
            match self.judge(statement, text, status).and_then(|one| self.admit(statement).map(|()| one)) {
                Ok((one, after)) => {
                    status = after;
                    judged.push(one);
                }
                Err(refusal) => return self.refuse_query(read(), refusal, &facts.statements).await,
            }
        }
        let durability = judged.iter().map(|one| one.durability).max();
        let mut tokens = Vec::with_capacity(judged.len());
        let mut last = None;
        for (index, (one, statement)) in judged.into_iter().zip(&facts.statements).enumerate() {
            let words = self.words(text, statement);
            let intent = self.intend(&words, &Values::default(), one.class, Some(&one.facts)).await?;
            last = Some(intent);
            let token = self.reads(running(Some(intent), true), &facts, index);
            tokens.push(Running { then: one.then, rewrite: rewrite.clone(), ..token });
        }
        let skipped = {
            let mut book = self.book();
            book.unsettled |= tokens.iter().any(|token| token.then.changes_names());
            book.batch();
            book.tracker.query(tokens)?
        };
        self.skip(skipped).await?;
        let step = durability.zip(last).map_or(Step::Relay, |(durability, last)| after(durability, last));
        Ok(step.sending(rewrite.map(|rewrite| {
            let mut out = BytesMut::new();
            frontend::query(&mut out, rewrite.apply(text));
            out
        })))
    }

    /// In place of the whole text goes one that fails: nothing of it runs.
    pub(super) async fn refuse_query(
        &self,
        words: Words<'_>,
        refusal: Refusal,
        others: &[Statement],
    ) -> Result<Step, Fault> {
        tracing::info!(session = %self.live.permit.session, sqlstate = refusal.sqlstate, "refused a statement");
        self.gateway.metrics.refused.inc();
        let facts = if let [only] = others { Some(self.facts(&words.whole(), only)) } else { None };
        let intent =
            self.intend(&words, &Values::default(), class_of(others.first()), facts.as_ref()).await?;
        let token = Running { refusal: Some(refusal), ..running(Some(intent), true) };
        let skipped = {
            let mut book = self.book();
            book.batch();
            book.tracker.send(Sent::RefusedQuery(token))?
        };
        self.skip(skipped).await?;
        let mut out = BytesMut::new();
        frontend::query(&mut out, POISON);
        Ok(Step::Replace(out))
    }

    async fn parse(&self, body: &[u8]) -> Result<Step, Fault> {
        let message = Parse::decode(body)?;
        let Parse { name, text: raw, .. } = message;
        let text = match utf8(raw) {
            Ok(text) => text,
            Err(refusal) => {
                let words = self.live.unread_words(String::from_utf8_lossy(raw));
                return self.refuse_parse(name, words, refusal).await;
            }
        };
        if let Err(refusal) = guard::check_message(&self.live.permit, Message::Parse) {
            return self.refuse_parse(name, self.live.unread_words(text), refusal.into()).await;
        }
        let facts = match self.gateway.facts.analyse(text) {
            Ok(facts) => facts,
            Err(error) => {
                return self.refuse_parse(name, self.live.unread_words(text), unreadable(&error)).await;
            }
        };
        let read = || self.live.read_words(text);
        for statement in &facts.statements {
            if let Err(refusal) = self.judge(statement, text, TxStatus::Idle) {
                return self.refuse_parse(name, read(), refusal).await;
            }
        }
        let rewrite = match self.live.rewrite(text, &facts) {
            Ok(rewrite) => rewrite,
            Err(error) => return self.refuse_parse(name, read(), unreadable(&error)).await,
        };
        let instead = rewrite.as_ref().map(|rewrite| {
            let mut out = BytesMut::new();
            frontend::parse(&mut out, name, rewrite.apply(text), message.parameter_oids());
            out
        });
        let held = Held::take(&self.texts, text.len(), MOST_TEXTS);
        let (Some(held), true) = (held, self.book().names.len() < MOST_NAMES) else {
            return self.refuse_parse(name, read(), too_many_names()).await;
        };
        let prepared = Arc::new(Prepared {
            text: text.to_owned(),
            facts,
            rewrite,
            by_sql: false,
            result: Foreseen::default(),
            _held: held,
        });
        let mut book = self.book();
        if !book.tracker.is_skipping() {
            book.names.parse(name, prepared);
        }
        book.tracker.send(Sent::Parse)?;
        Ok(Step::Relay.sending(instead))
    }

    pub(super) async fn refuse_parse(
        &self,
        name: &[u8],
        words: Words<'_>,
        refusal: Refusal,
    ) -> Result<Step, Fault> {
        let mut out = BytesMut::new();
        frontend::parse(&mut out, name, POISON, []);
        // For what follows in this batch: it is not what the name stood for.
        self.book().forget(Kind::Statement, name);
        self.refuse_extended(words, refusal, out).await
    }

    async fn refuse_extended(
        &self,
        words: Words<'_>,
        refusal: Refusal,
        poison: BytesMut,
    ) -> Result<Step, Fault> {
        tracing::info!(session = %self.live.permit.session, sqlstate = refusal.sqlstate, "refused a statement");
        self.gateway.metrics.refused.inc();
        let intent = self.intend(&words, &Values::default(), class_of(None), None).await?;
        let token = Running { refusal: Some(refusal), ..running(Some(intent), false) };
        let skipped = self.book().refuse(token)?;
        self.skip(skipped).await?;
        Ok(Step::Replace(poison))
    }

    /// Whether a Bind of this statement can pass: the server has the statement
    /// and its text is known, or the server drops the Bind.
    pub(super) fn is_bindable(&self, statement: &[u8]) -> bool {
        let book = self.book();
        book.tracker.is_skipping()
            || book.doomed
            || (book.names.len() < MOST_NAMES && matches!(book.names.statement(statement), Meaning::Known(_)))
    }

    /// `body` is the Bind, or as much of it as has its names.
    pub(super) async fn bind(&self, body: &[u8], values: Values) -> Result<Step, Fault> {
        let (name, statement) = Bind::names(body)?;
        if !self.is_bindable(statement) {
            return self.refuse_bind(name, statement).await;
        }
        let mut book = self.book();
        if !book.tracker.is_skipping() {
            match book.names.statement(statement) {
                Meaning::Known(prepared) => {
                    let Values { shown: parameters, sha256: parameters_sha256, held } = values;
                    let portal = Portal {
                        prepared,
                        parameters,
                        parameters_sha256,
                        result: Foreseen::default(),
                        _held: held,
                    };
                    book.names.bind(name, Arc::new(portal));
                }
                Meaning::Nothing | Meaning::InDoubt => book.names.close_portal(name),
            }
        }
        book.tracker.send(Sent::Bind)?;
        Ok(Step::Relay)
    }

    /// In its place goes what can only fail: what it would run has no text here,
    /// so it could not be put on record.
    pub(super) async fn refuse_bind(&self, portal: &[u8], statement: &[u8]) -> Result<Step, Fault> {
        let shown = String::from_utf8_lossy(statement);
        let refusal = match self.book().names.statement(statement) {
            Meaning::Known(_) => too_many_names(),
            _ if statement.is_empty() => Refusal::new("26000", "unnamed prepared statement does not exist"),
            _ => Refusal::new("26000", format!("prepared statement \"{shown}\" does not exist")),
        };
        self.book().forget(Kind::Portal, portal);
        let mut out = BytesMut::new();
        // A text, not a name: a client could have prepared a statement of any name.
        frontend::parse(&mut out, b"dbaccess", POISON, []);
        self.refuse_extended(self.live.read_words(format!("BIND \"{shown}\"")), refusal, out).await
    }

    async fn execute(&self, body: &[u8]) -> Result<Step, Fault> {
        let message = Execute::decode(body)?;
        let name = message.portal;
        let (portal, status, doomed) = {
            let book = self.book();
            (book.names.portal(name), book.tx_status(), book.doomed)
        };
        let Meaning::Known(portal) = portal else {
            if doomed {
                // The refusal is on record already, and the server would drop this.
                return self.sent_execute(message, running(None, false), Step::Drop).await;
            }
            // A cursor of SQL's DECLARE, or nothing: the server knows.
            let text = format!("EXECUTE PORTAL \"{}\"", String::from_utf8_lossy(name));
            let words = self.live.read_words(text);
            let intent = self.intend(&words, &Values::default(), "execute portal", None).await?;
            let token = Running { portal: Some(name.to_vec()), ..running(Some(intent), false) };
            return self.sent_execute(message, token, after(Durability::Synced, intent)).await;
        };
        let Some(statement) = portal.prepared.facts.statements.first() else {
            return self.sent_execute(message, running(None, false), Step::Relay).await;
        };
        let judged = self.judge(statement, &portal.prepared.text, status).map_err(Fault::Refused)?.0;
        if let Err(refusal) = self.admit(statement) {
            let mut poison = BytesMut::new();
            frontend::parse(&mut poison, b"dbaccess", POISON, []);
            return self.refuse_extended(self.live.read_words(judged.text), refusal, poison).await;
        }
        let words = self.words(&portal.prepared.text, statement);
        let sha256 = portal.parameters_sha256.as_deref();
        let facts = Some(&judged.facts);
        let intent = self.intend_with(&words, &portal.parameters, sha256, judged.class, facts).await?;
        // What SQL has prepared already is not prepared once more.
        let then = if portal.prepared.by_sql { Then::Nothing } else { judged.then };
        let token = self.reads(running(Some(intent), false), &portal.prepared.facts, 0);
        let token = Running { then, runs: Some(Arc::clone(&portal)), portal: Some(name.to_vec()), ..token };
        self.sent_execute(message, token, after(judged.durability, intent)).await
    }

    async fn sent_execute(&self, message: Execute<'_>, token: Running, step: Step) -> Result<Step, Fault> {
        let (asks, skipped) = {
            let mut book = self.book();
            (book.asks(&token)?, book.execute(token)?)
        };
        self.skip(skipped).await?;
        Ok(step.sending(asks.then(|| {
            let mut out = BytesMut::new();
            frontend::describe_portal(&mut out, message.portal);
            frontend::execute(&mut out, message.portal, message.max_rows);
            out
        })))
    }

    pub(super) async fn function_call(&self, oid: u32, values: Values) -> Result<Step, Fault> {
        let status = self.book().tx_status();
        match guard::check_function_call(&self.live.permit, oid, status) {
            Ok((name, allowed)) => {
                let words = self.live.read_words(name);
                let intent = self.intend(&words, &values, "function call", None).await?;
                let skipped = {
                    let mut book = self.book();
                    book.batch();
                    book.tracker.send(Sent::FunctionCall(running(Some(intent), true)))?
                };
                self.skip(skipped).await?;
                Ok(after(allowed.durability, intent))
            }
            Err(refusal) => {
                let words = self.live.read_words(format!("function call {oid}"));
                self.refuse_query(words, refusal.into(), &[]).await
            }
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
                    let facts = Arc::new(statement.alone());
                    let (text, held) = (text.to_owned(), Held::default());
                    Arc::new(Prepared {
                        text,
                        facts,
                        rewrite: None,
                        by_sql: true,
                        result: Foreseen::default(),
                        _held: held,
                    })
                });
                let judged = Judged {
                    text,
                    class: statement.class.verb(),
                    facts: self.facts(whole, statement),
                    durability: allowed.durability,
                    then,
                };
                Ok((judged, status.after(allowed.effect)))
            }
        }
    }

    /// Puts an intent on record; it is queued when this returns, not yet written.
    async fn intend(
        &self,
        words: &Words<'_>,
        values: &Values,
        class: &str,
        facts: Option<&StatementFacts>,
    ) -> Result<Position, Refusal> {
        self.intend_with(words, &values.shown, values.sha256.as_deref(), class, facts).await
    }

    async fn intend_with(
        &self,
        words: &Words<'_>,
        parameters: &[Option<String>],
        parameters_sha256: Option<&str>,
        class: &str,
        facts: Option<&StatementFacts>,
    ) -> Result<Position, Refusal> {
        let permit = &self.live.permit;
        let written = self.written(words, parameters, parameters_sha256)?;
        let record = StatementRecord::Intent {
            session: Cow::Borrowed(&permit.session),
            grant: Cow::Borrowed(&permit.grant),
            connection: Cow::Borrowed(&self.id),
            person: Cow::Borrowed(&permit.person),
            target: Cow::Borrowed(&permit.target),
            text: written.text,
            parameters: Cow::Borrowed(written.parameters),
            parameters_sha256: written.parameters_sha256.map(Cow::Borrowed),
            sealed: written.sealed.map(Cow::Owned),
            class: Cow::Borrowed(class),
            facts: facts.map(Cow::Borrowed),
        };
        let position = self.append(&record).await?;
        self.tape_statement(position, &words.whole()).await?;
        self.intended.store(position.0, std::sync::atomic::Ordering::Relaxed);
        self.live.counters.statements.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.gateway.metrics.statements.inc();
        Ok(position)
    }

    /// Statements that the server will drop because of an earlier error.
    async fn skip(&self, tokens: impl IntoIterator<Item = Running>) -> Result<(), Refusal> {
        for token in tokens {
            let skipped = Ended { running: token, result: StatementResult::Skipped, rows: 0, ends_at: None };
            self.outcome(&skipped).await?;
        }
        Ok(())
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn after(durability: Durability, intent: Position) -> Step {
    match durability {
        Durability::Synced => Step::RelayAfter(intent),
        Durability::Written => Step::Relay,
    }
}

pub(super) fn too_many_names() -> Refusal {
    Refusal::new("54000", format!("more than {MOST_NAMES} prepared statements and portals, or too long ones"))
        .hint("close those that are not used any more")
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
