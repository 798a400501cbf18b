//! One client connection and its server connection, from the first statement
//! to the last byte.
//!
//! ```text
//! client ─► scan ─► judge ─► intent on record, written ─► upstream   (forward)
//! client ◄── relay ◄─ outcome on record ◄─ scan ◄─────────── upstream   (back)
//! ```
//!
//! Both directions run in one task and share the [`Book`]. Bytes are relayed as
//! they came; of a result only frame headers are looked at.

use super::book::{Book, Ended, Fate, Running};
use super::intercept::{Fault, POISON, Step};
use super::live::Connections;
use super::long::Long;
use super::refusal::Refusal;
use super::tape::Tape;
use super::{Gateway, upstream};
use crate::core::model::{ConnectionId, StatementRecord, StatementResult, format_duration};
use crate::server::journal::{JournalError, NotAppended, Position};
use crate::wire::postgres::frame::{Limits, Scanner, What};
use crate::wire::postgres::frontend;
use bytes::{Buf as _, BytesMut};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;

/// Read buffers begin so small and grow with what comes at once, in bytes.
const SMALL: usize = 4 * 1024;
const LARGE: usize = 64 * 1024;
/// For answers to a client that has said all, and for the last word to one.
const GRACE: Duration = Duration::from_secs(1);
/// How much later than the database the gateway ends an idle transaction.
const IDLE_GRACE: Duration = Duration::from_secs(2);
/// For the server to answer what was cancelled.
const SETTLE: Duration = Duration::from_secs(3);

pub struct Connection {
    pub(super) id: ConnectionId,
    pub(super) gateway: Arc<Gateway>,
    pub(super) live: Connections,
    pub(super) book: Mutex<Book>,
    /// Replies have come: who waits for room or for a name looks again.
    replies: Notify,
    /// The book has words of ours for the server.
    words: Notify,
    /// A cancel is wanted.
    cancel: Notify,
    /// The ledger's position of the last intent: nothing goes upstream before it is written.
    pub(super) intended: AtomicU64,
    /// Bytes of prepared texts, and of values in portals.
    pub(super) texts: Arc<AtomicUsize>,
    pub(super) values: Arc<AtomicUsize>,
    /// Where it is recorded, if it is.
    pub(super) tape: Option<Tape>,
}

impl Connection {
    pub fn new(gateway: Arc<Gateway>, live: Connections) -> Self {
        Self {
            id: ConnectionId::from_random(crate::os::random()),
            gateway,
            book: Mutex::new(Book::new(Arc::clone(&live))),
            tape: live.recording.as_ref().map(Tape::new),
            live,
            replies: Notify::new(),
            words: Notify::new(),
            cancel: Notify::new(),
            intended: AtomicU64::new(0),
            texts: Arc::default(),
            values: Arc::default(),
        }
    }

    /// Carries the connection to its end: the client's goodbye, an error, or
    /// the session's end. What the server has not answered by then is cancelled,
    /// and on record with its outcome, or as unknown.
    pub async fn carry<C>(&self, client: C, server: upstream::Stream, process_id: u32, key: &[u8])
    where
        C: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_server, mut to_server) = tokio::io::split(server);
        let mut relay = Relay::new();
        let fault = {
            let back = self.back(&mut from_server, &mut to_client, &mut relay);
            tokio::pin!(back);
            let beside = self.beside(process_id, key);
            tokio::pin!(beside);
            tokio::select! {
                biased;
                end = self.live.wait_end() => Some(Fault::Refused(self.gateway.ended(&self.live, &end))),
                refusal = &mut beside => Some(Fault::Refused(refusal)),
                result = self.forward(&mut from_client, &mut to_server) => match result {
                    // The client has said all; what it asked may still be answered,
                    // and the server ends by itself.
                    Ok(()) => tokio::select! {
                        biased;
                        end = self.live.wait_end() => Some(Fault::Refused(self.gateway.ended(&self.live, &end))),
                        refusal = &mut beside => Some(Fault::Refused(refusal)),
                        result = &mut back => result.err(),
                        () = tokio::time::sleep(GRACE) => None,
                    },
                    Err(fault) => Some(fault),
                },
                result = &mut back => result.err(),
            }
        };
        match fault {
            // Only between frames can the client read a message of ours.
            Some(Fault::Refused(refusal)) if relay.at_boundary => {
                let mut out = BytesMut::new();
                refusal.fatal(&mut out);
                // A recorder that hangs must not keep the client from hearing of it.
                drop(tokio::time::timeout(GRACE, self.heard(&out)).await);
                drop(tokio::time::timeout(GRACE, to_client.write_all(&out)).await);
            }
            Some(Fault::Refused(refusal)) => {
                tracing::debug!(connection = %self.id, reason = %refusal, "cut in the middle of a message");
            }
            Some(Fault::Io(error)) => tracing::debug!(connection = %self.id, %error, "a connection broke"),
            None => {}
        }
        if !self.book().tracker.is_idle() {
            // What nobody waits for any more should not run on.
            let cancelled = upstream::cancel(&self.live.way, process_id, key);
            match tokio::time::timeout(SETTLE, cancelled).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::debug!(connection = %self.id, %error, "cannot cancel what was running");
                }
                Err(_) => tracing::debug!(connection = %self.id, "cannot cancel what was running in time"),
            }
        }
        // The rest of the answers is for the record alone.
        relay.heard = false;
        let settled = async {
            to_server.shutdown().await?;
            self.back(&mut from_server, &mut tokio::io::sink(), &mut relay).await
        };
        if let Ok(Err(Fault::Refused(error))) = tokio::time::timeout(SETTLE, settled).await {
            tracing::warn!(connection = %self.id, %error, "what was answered last is not on record");
        }
        let left: Vec<Running> = self.book().tracker.drain().collect();
        relay.ended.extend(left.into_iter().map(Running::unanswered));
        if let Err(error) = self.outcomes(&mut relay.ended).await {
            tracing::warn!(connection = %self.id, %error, "an outcome is not on record");
        }
        drop(tokio::time::timeout(GRACE, self.end_tape()).await);
        drop(tokio::time::timeout(GRACE, to_client.shutdown()).await);
    }

    /// Client to server, until the client says goodbye or is gone.
    async fn forward<R, W>(&self, client: &mut R, server: &mut W) -> Result<(), Fault>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let limits = Limits { whole: self.gateway.statement_bytes, ..Limits::default() };
        let mut scanner = Scanner::frontend(limits);
        let mut buffer = Buffer::new();
        let mut long: Option<Long> = None;
        self.begin_tape().await?;
        loop {
            // The front of the buffer: what has gone upstream, and what may go.
            let (mut sent, mut pass) = (0, 0);
            while let Some(piece) = scanner.next(buffer.bytes.get(pass..).unwrap_or_default())? {
                let next = pass + piece.bytes.len();
                self.said(piece.bytes).await?;
                let step = match piece.what {
                    What::Bulk { .. } => {
                        self.book().copied(piece.bytes.len() as u64);
                        Step::Relay
                    }
                    What::Frame { tag, body } | What::Head { tag, body } => {
                        if self.must_wait(tag, body)? {
                            self.pass_on(server, buffer.bytes.get(sent..pass)).await?;
                            sent = pass;
                            self.wait_for_replies(server, tag, body).await?;
                        }
                        self.book().decide(tag);
                        let step = if matches!(piece.what, What::Frame { .. }) {
                            self.message(tag, body).await?
                        } else {
                            let begun = long.insert(self.begin_long(tag, body)?);
                            if begun.passes { Step::Relay } else { Step::Drop }
                        };
                        self.book().deciding = long.is_some();
                        step
                    }
                    What::Rest { last, .. } => {
                        let passes = long.as_ref().is_none_or(|long| long.passes);
                        if let Some(long) = &mut long {
                            long.add(piece.bytes);
                        }
                        match long.take_if(|_| last) {
                            Some(long) => {
                                let step = self.end_long(long).await?;
                                self.book().deciding = false;
                                if passes
                                    && matches!(step, Step::Drop | Step::Replace(_) | Step::ReplaceAfter(..))
                                {
                                    // Anything put behind pieces that have gone would be read as their rest.
                                    return Err(Fault::Refused(Refusal::new(
                                        "08P01",
                                        "a long message was refused at its end, too late to take it back",
                                    )));
                                }
                                step
                            }
                            None if passes => Step::Relay,
                            None => Step::Drop,
                        }
                    }
                };
                match step {
                    Step::Relay => {}
                    Step::RelayAfter(position) => {
                        self.pass_on(server, buffer.bytes.get(sent..pass)).await?;
                        server.flush().await?;
                        sent = pass;
                        self.gateway.journal.synced(position).await.map_err(|error| ledger(&error))?;
                    }
                    Step::Drop => {
                        self.pass_on(server, buffer.bytes.get(sent..pass)).await?;
                        sent = next;
                    }
                    Step::Replace(out) => {
                        self.pass_on(server, buffer.bytes.get(sent..pass)).await?;
                        server.write_all(&out).await?;
                        sent = next;
                    }
                    Step::ReplaceAfter(out, position) => {
                        self.pass_on(server, buffer.bytes.get(sent..pass)).await?;
                        server.flush().await?;
                        self.gateway.journal.synced(position).await.map_err(|error| ledger(&error))?;
                        server.write_all(&out).await?;
                        sent = next;
                    }
                    Step::Goodbye => {
                        self.pass_on(server, buffer.bytes.get(sent..next)).await?;
                        server.shutdown().await?;
                        return Ok(());
                    }
                }
                pass = next;
            }
            if pass > 0 {
                self.pass_on(server, buffer.bytes.get(sent..pass)).await?;
                server.flush().await?;
                buffer.bytes.advance(pass);
            }
            let read = loop {
                tokio::select! {
                    biased;
                    // Not within a message of the client's.
                    () = self.words.notified(), if scanner.at_boundary() => self.say_words(server).await?,
                    read = buffer.read(client) => break read?,
                }
            };
            if read == 0 {
                // As on a direct connection: what was sent whole still runs, but
                // a COPY without its end fails.
                server.shutdown().await?;
                return Ok(());
            }
        }
    }

    /// Sends what the client said, once every intent of it is written (G1). One
    /// wait serves all the statements that came at once.
    async fn pass_on<W>(&self, server: &mut W, bytes: Option<&[u8]>) -> Result<(), Fault>
    where
        W: AsyncWrite + Unpin,
    {
        let intended = Position(self.intended.load(Ordering::Relaxed));
        self.gateway.journal.written_here(intended).await.map_err(|error| ledger(&error))?;
        Ok(server.write_all(bytes.unwrap_or_default()).await?)
    }

    /// Sends what the book wants said to the server.
    async fn say_words<W>(&self, server: &mut W) -> Result<(), Fault>
    where
        W: AsyncWrite + Unpin,
    {
        let words = self.book().words(POISON)?;
        if let Some(words) = words {
            server.write_all(&words).await?;
            server.flush().await?;
        }
        Ok(())
    }

    /// Waits until a message may be judged: asks the server to send what it
    /// holds back (Flush has no effect but that), and looks again at each reply.
    async fn wait_for_replies<W>(&self, server: &mut W, tag: u8, body: &[u8]) -> Result<(), Fault>
    where
        W: AsyncWrite + Unpin,
    {
        let mut out = BytesMut::new();
        frontend::flush(&mut out);
        server.write_all(&out).await?;
        server.flush().await?;
        loop {
            let replies = self.replies.notified();
            self.say_words(server).await?;
            if !self.must_wait(tag, body)? {
                let mut book = self.book();
                book.unsettled &= !book.is_settled();
                return Ok(());
            }
            replies.await;
        }
    }

    /// Server to client, until the server ends. After it was dropped it can be
    /// called again with the same `relay`, for another client: nothing of the
    /// server's answers is lost to the record.
    async fn back<R, W>(&self, server: &mut R, client: &mut W, relay: &mut Relay) -> Result<(), Fault>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let Relay { scanner, buffer, covered, ended, at_boundary, heard, place } = relay;
        buffer.bytes.advance(std::mem::take(covered));
        self.outcomes(ended).await?;
        loop {
            // Bytes at the front that go to the client as they are, and behind
            // them perhaps a frame that does not.
            let mut pass = 0;
            let mut fate = Fate::Pass;
            let scanned = {
                let mut book = self.book();
                loop {
                    let piece = match book.next(scanner, buffer.bytes.get(pass..).unwrap_or_default()) {
                        Ok(Some(piece)) => piece,
                        Ok(None) => break Ok(()),
                        Err(error) => break Err(error),
                    };
                    *covered = pass + piece.bytes.len();
                    let before = ended.len();
                    let seen = book.see(&piece, ended);
                    if let Ok(fate) = &seen {
                        let ends = *place + fate.length(pass, *covered) as u64;
                        ended.range_mut(before..).for_each(|one| one.ends_at = heard.then_some(ends));
                    }
                    match seen {
                        Ok(Fate::Pass) => pass = *covered,
                        Ok(other) => {
                            fate = other;
                            break Ok(());
                        }
                        Err(error) => break Err(error),
                    }
                }
            };
            scanned?;
            self.outcomes(ended).await?;
            let all = matches!(fate, Fate::Pass);
            if *covered > 0 {
                *at_boundary = false;
                let write = buffer.bytes.get(..pass).unwrap_or_default();
                if *heard {
                    let length = fate.length(pass, *covered) as u64;
                    self.heard(write).await?;
                    match &fate {
                        Fate::Pass | Fate::Drop => {}
                        Fate::Replace(out) => self.heard(out).await?,
                        Fate::Before(out) => {
                            self.heard(out).await?;
                            self.heard(buffer.bytes.get(pass..*covered).unwrap_or_default()).await?;
                        }
                    }
                    *place += length;
                }
                if !write.is_empty() {
                    client.write_all(write).await?;
                }
                match fate {
                    Fate::Pass => *at_boundary = scanner.at_boundary(),
                    Fate::Drop => *at_boundary = true,
                    Fate::Replace(out) => {
                        client.write_all(&out).await?;
                        *at_boundary = true;
                    }
                    Fate::Before(out) => {
                        client.write_all(&out).await?;
                        client.write_all(buffer.bytes.get(pass..*covered).unwrap_or_default()).await?;
                        *at_boundary = scanner.at_boundary();
                    }
                }
                client.flush().await?;
                buffer.bytes.advance(std::mem::take(covered));
                self.replies.notify_waiters();
            }
            if all {
                self.pause();
                if buffer.read(server).await? == 0 {
                    let unheard = self.book().cut_unheard();
                    if let Some(out) = unheard.filter(|_| *at_boundary) {
                        drop(self.heard(&out).await);
                        client.write_all(&out).await?;
                        client.flush().await?;
                    }
                    return Ok(());
                }
            }
        }
    }

    /// The server has been heard so far, and is silent for a moment.
    fn pause(&self) {
        let mut book = self.book();
        book.note_quiet(Instant::now);
        if book.begin_cancel() {
            self.cancel.notify_one();
        }
        if book.wants_words() {
            self.words.notify_one();
        }
    }

    /// What is done beside the two directions: cancels, and a look at the clock.
    /// Returns why the connection must end.
    async fn beside(&self, process_id: u32, key: &[u8]) -> Refusal {
        tokio::select! {
            refusal = self.cancels(process_id, key) => refusal,
            refusal = self.idle_in_transaction() => refusal,
        }
    }

    /// Cancels what was cut; each cancel is answered before it counts as done.
    async fn cancels(&self, process_id: u32, key: &[u8]) -> Refusal {
        loop {
            self.cancel.notified().await;
            let cancelled = upstream::cancel(&self.live.way, process_id, key);
            match tokio::time::timeout(SETTLE, cancelled).await {
                Ok(Ok(())) => {}
                // It was not sent: what was cut runs to its end, unseen.
                Ok(Err(error)) => {
                    tracing::warn!(connection = %self.id, %error, "cannot cancel what is over its budget");
                }
                Err(_) => {
                    // It may still hit something: then there must be nothing to hit.
                    return Refusal::new("57P01", "the database does not answer a cancel request")
                        .hint("connect again");
                }
            }
            self.book().cancelling = false;
            self.replies.notify_waiters();
        }
    }

    /// Waits until the client has kept a transaction open and idle for too long.
    /// The database has the same limit, but a session may lift it there, and it
    /// does not count a batch without its Sync. The locks that such a transaction
    /// holds make an application's migration wait, and all behind that.
    async fn idle_in_transaction(&self) -> Refusal {
        // The database's own limit comes first, where it is as it was.
        let limit = self.gateway.idle_in_transaction + IDLE_GRACE;
        let mut look_at = Instant::now() + limit;
        loop {
            tokio::time::sleep_until(look_at.into()).await;
            let now = Instant::now();
            let quiet = {
                let mut book = self.book();
                // Of a server that holds back what it has to say nothing was heard.
                book.note_quiet(|| now);
                book.quiet_since()
            };
            match quiet.map(|since| since + limit) {
                Some(end) if end <= now => break,
                Some(end) => look_at = end,
                // One that begins to be idle now is not too long so before then.
                None => look_at = now + limit,
            }
        }
        let length = format_duration(self.gateway.idle_in_transaction);
        tracing::info!(session = %self.live.permit.session, "ended a connection with an idle transaction");
        Refusal::new("25P03", format!("a transaction was open and idle for more than {length}"))
            .hint("it holds locks that others wait for; connect again, and commit or roll back sooner")
    }

    /// Puts outcomes on record, each of them taken off when it is. Cancel-safe.
    async fn outcomes(&self, ended: &mut VecDeque<Ended>) -> Result<(), Refusal> {
        while let Some(one) = ended.front() {
            self.outcome(one).await?;
            // The ledger does not wait for the recording, and is told once.
            if let Some(one) = ended.pop_front() {
                self.tape_outcome(&one).await;
            }
        }
        Ok(())
    }

    pub(super) async fn outcome(&self, ended: &Ended) -> Result<(), Refusal> {
        self.append_outcome(ended).await?;
        let Ended { running, rows, .. } = ended;
        self.watch(running);
        let counters = &self.live.counters;
        counters.rows.fetch_add(*rows, Ordering::Relaxed);
        counters.bytes.fetch_add(running.bytes, Ordering::Relaxed);
        Ok(())
    }

    pub(super) async fn append_outcome(&self, ended: &Ended) -> Result<(), Refusal> {
        let Ended { running, result, rows, .. } = ended;
        if let Some(intent) = running.intent {
            let ran = !matches!(result, StatementResult::Skipped);
            let (result, sealed) = self.told(result)?;
            let record = StatementRecord::Outcome {
                intent: intent.0,
                session: Cow::Borrowed(&self.live.permit.session),
                result,
                rows: *rows,
                bytes: running.bytes,
                duration_us: u64::try_from(running.started.elapsed().as_micros()).unwrap_or(u64::MAX),
                shape: running.shape().filter(|_| ran).map(Cow::Borrowed),
                export: running.fingerprint.as_ref().filter(|_| ran).map(|print| print.finish(*rows)),
                sealed: sealed.map(Cow::Owned),
            };
            self.append(&record).await?;
        }
        Ok(())
    }

    pub(super) async fn append(&self, record: &StatementRecord<'_>) -> Result<Position, Refusal> {
        let body = serde_json::to_string(record).map_err(|error| Refusal::new("XX000", error.to_string()))?;
        let now = crate::os::now();
        // Whoever waits for it writes it, or the writer does in some milliseconds.
        match self.gateway.journal.try_append_soon(now, body) {
            Ok(position) => Ok(position),
            Err(NotAppended::Full(body)) => {
                self.gateway.journal.append(now, body).await.map_err(|error| ledger(&error))
            }
            Err(NotAppended::Failed(error)) => Err(ledger(&error)),
        }
    }
}

/// A ledger that cannot be written stops statements (G1).
fn ledger(error: &JournalError) -> Refusal {
    tracing::error!(%error, "a statement was stopped: the ledger cannot be written");
    Refusal::new("58030", "dbaccess cannot record statements at the moment, so it lets none pass")
        .hint("tell the people who run dbaccess; connect again once its ledger can be written")
}

/// The way back, between two calls of [`Connection::back`].
struct Relay {
    scanner: Scanner,
    buffer: Buffer,
    /// Bytes at the buffer's front that the book has seen.
    covered: usize,
    /// Statements that have ended, and whose outcome is not on record.
    ended: VecDeque<Ended>,
    /// At every await: whether the client has whole frames only.
    at_boundary: bool,
    /// The client gets what is relayed.
    heard: bool,
    /// How many bytes it was sent, those that are being sent included.
    place: u64,
}

impl Relay {
    fn new() -> Self {
        // Whatever the server sends passes, however long; what the gateway
        // wants to read of it fits the head.
        let limits = Limits { frame: u32::MAX, whole: 1 << 20, head: 64 << 10 };
        Self {
            scanner: Scanner::backend(limits),
            buffer: Buffer::new(),
            covered: 0,
            ended: VecDeque::new(),
            at_boundary: true,
            heard: true,
            place: 0,
        }
    }
}

/// A read buffer that is small while little comes.
struct Buffer {
    bytes: BytesMut,
    want: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: BytesMut::new(), want: SMALL }
    }

    /// Reads once; 0 is the end. Cancel-safe: nothing read is lost.
    async fn read<R: AsyncRead + Unpin>(&mut self, from: &mut R) -> io::Result<usize> {
        if self.bytes.is_empty() && self.want == SMALL && self.bytes.capacity() > SMALL {
            self.bytes = BytesMut::new();
        }
        self.bytes.reserve(self.want);
        let room = self.bytes.capacity() - self.bytes.len();
        let n = from.read_buf(&mut self.bytes).await?;
        self.want = if n >= room.min(self.want) {
            (self.want * 4).min(LARGE)
        } else if n < SMALL {
            SMALL
        } else {
            self.want
        };
        Ok(n)
    }
}
