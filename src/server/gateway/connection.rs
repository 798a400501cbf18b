//! One client connection and its server connection, from the first statement
//! to the last byte.
//!
//! ```text
//! client ─► scan ─► judge ─► intent on record ─► upstream        (forward)
//! client ◄── relay ◄─ intent written? ◄─ outcome on record ◄─ scan ◄─ upstream   (back)
//! ```
//!
//! Both directions run in one task and share the [`Book`]. Bytes are relayed as
//! they came; of a result only frame headers are looked at.

use super::book::{Book, Ended, Running, Seen};
use super::intercept::{Fault, Step};
use super::live::Connections;
use super::refusal::Refusal;
use super::{Gateway, upstream};
use crate::core::model::{ConnectionId, ErrorKind, StatementRecord, StatementResult};
use crate::server::journal::{JournalError, NotAppended, Position};
use crate::wire::postgres::frame::{Limits, Scanner, What};
use crate::wire::postgres::frontend;
use bytes::{Buf as _, BytesMut};
use std::borrow::Cow;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;

/// Read buffers begin so small and grow with what comes at once, in bytes.
const SMALL: usize = 4 * 1024;
const LARGE: usize = 64 * 1024;

pub struct Connection {
    pub(super) id: ConnectionId,
    pub(super) gateway: Arc<Gateway>,
    pub(super) live: Connections,
    pub(super) book: Mutex<Book>,
    /// Replies have come: who waits for room or for a name looks again.
    replies: Notify,
}

impl Connection {
    pub fn new(gateway: Arc<Gateway>, live: Connections) -> Self {
        Self {
            id: ConnectionId::from_random(crate::os::random()),
            gateway,
            live,
            book: Mutex::default(),
            replies: Notify::new(),
        }
    }

    /// Carries the connection to its end: the client's goodbye, an error, or
    /// the session's end. What was running then is on record as unknown.
    pub async fn carry<C>(&self, client: C, server: upstream::Stream, process_id: u32, key: &[u8])
    where
        C: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (mut from_client, mut to_client) = tokio::io::split(client);
        let (mut from_server, mut to_server) = tokio::io::split(server);
        let mut at_boundary = true;
        let fault = tokio::select! {
            biased;
            end = self.live.wait_end() => {
                Some(Fault::Refused(self.gateway.ended(&self.live, &end)))
            }
            result = self.forward(&mut from_client, &mut to_server) => result.err(),
            result = self.back(&mut from_server, &mut to_client, &mut at_boundary) => result.err(),
        };
        match fault {
            // Only between frames can the client read a message of ours.
            Some(Fault::Refused(refusal)) if at_boundary => {
                let mut out = BytesMut::new();
                refusal.fatal(&mut out);
                let said = async {
                    to_client.write_all(&out).await?;
                    to_client.shutdown().await
                };
                drop(tokio::time::timeout(std::time::Duration::from_secs(1), said).await);
            }
            Some(Fault::Refused(refusal)) => {
                tracing::debug!(connection = %self.id, reason = %refusal, "cut in the middle of a message");
            }
            Some(Fault::Io(error)) => tracing::debug!(connection = %self.id, %error, "a connection broke"),
            None => {}
        }
        let left: Vec<Running> = self.book().tracker.drain().collect();
        if !left.is_empty() {
            // What nobody waits for any more should not run on.
            if let Err(error) = upstream::cancel(&self.live.upstream, process_id, key).await {
                tracing::debug!(connection = %self.id, %error, "cannot cancel what was running");
            }
        }
        for token in left {
            if let Err(error) = self.outcome(token, StatementResult::Unknown, 0).await {
                tracing::warn!(connection = %self.id, error = %error, "an outcome is not on record");
                break;
            }
        }
    }

    /// Client to server, until the client says goodbye.
    async fn forward<R, W>(&self, client: &mut R, server: &mut W) -> Result<(), Fault>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let limits = Limits { whole: self.gateway.statement_bytes, ..Limits::default() };
        let mut scanner = Scanner::frontend(limits);
        let mut buffer = Buffer::new();
        loop {
            // Bytes at the front that go upstream as they are.
            let mut pass = 0;
            while let Some(piece) = scanner.next(buffer.bytes.get(pass..).unwrap_or_default())? {
                let length = piece.bytes.len();
                let step = match piece.what {
                    What::Bulk { .. } | What::Rest { .. } => Step::Relay,
                    What::Frame { tag, body } | What::Head { tag, body } => {
                        if self.must_wait(tag, body)? {
                            server.write_all(buffer.bytes.get(..pass).unwrap_or_default()).await?;
                            self.wait_for_replies(server, tag, body).await?;
                            let step =
                                self.message(tag, body, matches!(piece.what, What::Frame { .. })).await?;
                            buffer.bytes.advance(pass);
                            pass = 0;
                            step
                        } else {
                            self.message(tag, body, matches!(piece.what, What::Frame { .. })).await?
                        }
                    }
                };
                match step {
                    Step::Relay => pass += length,
                    Step::RelayAfter(position) => {
                        server.write_all(buffer.bytes.get(..pass).unwrap_or_default()).await?;
                        server.flush().await?;
                        buffer.bytes.advance(pass);
                        pass = length;
                        self.gateway.journal.synced(position).await.map_err(|error| ledger(&error))?;
                    }
                    Step::Replace(out) => {
                        server.write_all(buffer.bytes.get(..pass).unwrap_or_default()).await?;
                        server.write_all(&out).await?;
                        buffer.bytes.advance(pass + length);
                        pass = 0;
                    }
                    Step::Goodbye => {
                        server.write_all(buffer.bytes.get(..pass + length).unwrap_or_default()).await?;
                        server.shutdown().await?;
                        return Ok(());
                    }
                }
            }
            if pass > 0 {
                server.write_all(buffer.bytes.get(..pass).unwrap_or_default()).await?;
                server.flush().await?;
                buffer.bytes.advance(pass);
            }
            if buffer.read(client).await? == 0 {
                return Ok(());
            }
        }
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
            if !self.must_wait(tag, body)? {
                let mut book = self.book();
                if book.is_settled() {
                    book.unsettled = false;
                }
                return Ok(());
            }
            replies.await;
        }
    }

    /// Server to client. `at_boundary` says at every await whether the client
    /// has seen whole frames only.
    async fn back<R, W>(&self, server: &mut R, client: &mut W, at_boundary: &mut bool) -> Result<(), Fault>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        // Whatever the server sends passes, however long; what the gateway
        // wants to read of it fits the head.
        let limits = Limits { frame: u32::MAX, whole: 1 << 20, head: 64 << 10 };
        let mut scanner = Scanner::backend(limits);
        let mut buffer = Buffer::new();
        loop {
            // Bytes at the front that go to the client as they are, and the
            // length of a frame behind them that another one replaces.
            let (mut pass, mut replaced) = (0, 0);
            let mut seen = Seen::default();
            {
                let mut book = self.book();
                while let Some(piece) = scanner.next(buffer.bytes.get(pass..).unwrap_or_default())? {
                    let length = piece.bytes.len();
                    book.see(&piece.what, length, &mut seen)?;
                    if seen.replace.is_some() {
                        replaced = length;
                        break;
                    }
                    pass += length;
                }
            }
            if let Some(position) = seen.results_of {
                self.gateway.journal.written(position).await.map_err(|error| ledger(&error))?;
            }
            for Ended { running, result, rows } in seen.ended {
                self.outcome(running, result, rows).await?;
            }
            if pass + replaced > 0 {
                *at_boundary = false;
                client.write_all(buffer.bytes.get(..pass).unwrap_or_default()).await?;
                if let Some(out) = &seen.replace {
                    client.write_all(out).await?;
                }
                client.flush().await?;
                *at_boundary = scanner.at_boundary();
                buffer.bytes.advance(pass + replaced);
                self.replies.notify_waiters();
            }
            if replaced == 0 && buffer.read(server).await? == 0 {
                return Ok(());
            }
        }
    }

    /// Puts an outcome on record.
    pub(super) async fn outcome(
        &self,
        running: Running,
        result: StatementResult,
        rows: u64,
    ) -> Result<(), Refusal> {
        let counters = &self.live.counters;
        counters.rows.fetch_add(rows, Ordering::Relaxed);
        counters.bytes.fetch_add(running.bytes, Ordering::Relaxed);
        let Some(intent) = running.intent else { return Ok(()) };
        let record = StatementRecord::Outcome {
            intent: intent.0,
            session: Cow::Borrowed(&self.live.permit.session),
            result,
            rows,
            bytes: running.bytes,
            duration_us: u64::try_from(running.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        self.append(&record).await.map(drop)
    }

    pub(super) async fn append(&self, record: &StatementRecord<'_>) -> Result<Position, Refusal> {
        let body = serde_json::to_string(record).map_err(|error| Refusal::new("XX000", error.to_string()))?;
        let now = crate::os::now();
        let appended = match record {
            // Before an intent is written nothing goes on (G1); an outcome holds nobody up.
            StatementRecord::Intent { .. } => self.gateway.journal.try_append(now, body),
            StatementRecord::Outcome { .. } => self.gateway.journal.try_append_soon(now, body),
        };
        match appended {
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
    Refusal::new(
        ErrorKind::Internal.sqlstate(),
        "dbaccess cannot record statements at the moment, so it lets none pass",
    )
    .hint("tell the people who run dbaccess; connect again once its ledger can be written")
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
