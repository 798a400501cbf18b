//! Which of the client's messages a reply of the server answers.
//!
//! A server answers in order, but not one reply to one message: a Query may
//! hold several statements, an error makes the server skip messages up to the
//! next Sync, and a Sync during COPY FROM STDIN is swallowed. [`Tracker`] is the
//! queue of what is still to be answered. The caller tells it each message that
//! goes upstream, with a token for everything that executes, and each frame that
//! comes back; it says which token has completed, failed or been skipped.
//!
//! What cannot be attributed is an error, and then the connection must end: a
//! statement's outcome must never be recorded for another one.
//!
//! ```
//! use dbaccess::wire::postgres::tracker::{Event, Sent, Tracker};
//! let mut tracker = Tracker::new(4096);
//! tracker.query(["insert", "select"])?;
//! assert!(matches!(
//!     tracker.receive(b'C', b"INSERT 0 1\0")?,
//!     Event::Completed { token: "insert", tag } if tag.rows() == Some(1)
//! ));
//! assert_eq!(tracker.rows(b'D')?, &mut "select");
//! assert!(matches!(
//!     tracker.receive(b'E', b"C22012\0\0")?,
//!     Event::Failed { token: Some("select"), refused: false, .. }
//! ));
//! assert!(matches!(tracker.receive(b'Z', b"I")?, Event::Ready { .. }));
//! # Ok::<(), dbaccess::wire::postgres::WireError>(())
//! ```

#[cfg(test)]
mod tests;

use super::backend::{CommandTag, TransactionStatus, tag};
use super::{Tag, WireError};
use std::collections::VecDeque;

/// The least bound of a [`Tracker`]. A server holds replies back in a buffer of
/// 8 KiB until Sync or Flush, and the shortest has 5 bytes: with a bound below
/// 8192 / 5, a caller that stops reading the client would wait for ever.
pub const MIN_PENDING: usize = 2048;

/// A message that goes upstream. Flush, CopyData and Terminate have no reply
/// and are not told; a Query is told with [`Tracker::query`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent<T> {
    Parse,
    Bind,
    DescribeStatement,
    DescribePortal,
    Execute(T),
    Close,
    Sync,
    FunctionCall(T),
    /// CopyDone or CopyFail.
    CopyEnd,
    /// In place of a refused message of the extended protocol (Parse, Bind,
    /// Execute, …), one that can only fail.
    Refused(T),
    /// In place of a refused Query or FunctionCall, a Query that can only fail.
    RefusedQuery(T),
}

/// What a frame of the server means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'b, T> {
    /// Said at any time and no answer: a notice, a notification, a parameter.
    Aside,
    /// Part of an answer, or the answer to a message without a token.
    Progress,
    /// The end of the answer to a Describe: RowDescription, or NoData.
    Described,
    /// The server waits for the client's COPY data. So many of the Syncs that are
    /// on their way it ignores.
    CopyIn {
        swallowed: usize,
    },
    Completed {
        token: T,
        tag: CommandTag<'b>,
    },
    /// There was no statement in the text. A Query of it may have had no token.
    Empty {
        token: Option<T>,
    },
    /// The row limit of Execute was reached; a later Execute goes on.
    Suspended {
        token: T,
    },
    /// A function called by FunctionCall has returned.
    Returned {
        token: T,
    },
    Failed {
        /// What failed, if it executes: not for Parse, Bind, Describe, Close,
        /// for the commit that Sync does, or when nothing was asked.
        token: Option<T>,
        /// It is of the extended protocol: the server skips to the next Sync.
        extended: bool,
        /// This error answers the replacement of a refused message: the client
        /// must get the refusal in its place.
        refused: bool,
        /// What the server does not run because of it: the rest of the Query,
        /// or what is sent already before the next Sync.
        skipped: Vec<T>,
    },
    Ready {
        status: TransactionStatus,
        /// It ends nothing that is still awaited: it answers a Sync that a COPY might
        /// have swallowed.
        spare: bool,
    },
}

#[derive(Debug)]
enum Entry<T> {
    /// One of the statements of a Query; behind the last stands `QueryEnd`.
    Statement(T),
    FunctionCall(T),
    RefusedQuery(T),
    QueryEnd,
    Parse,
    Bind,
    /// `parameters`: ParameterDescription is still to come.
    Describe {
        parameters: bool,
    },
    Execute(T),
    Close,
    Refused(T),
    Sync,
    CopyEnd,
}

/// What the client's messages meet after an error in the extended protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    No,
    /// The server drops all up to the next Sync, and none is on its way.
    ToSync,
    /// As `ToSync`, unless it has honoured a Sync that was sent during a COPY.
    Unsure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copy {
    No,
    /// `open`: the client has not ended its data. `swallowed`: Syncs that it
    /// sent before that, which a server that reads COPY data ignores
    /// (PostgreSQL manual 55.2.6).
    In {
        open: bool,
        swallowed: usize,
    },
    Out,
}

/// The queue of expected replies of one connection, from its first ReadyForQuery on.
#[derive(Debug)]
pub struct Tracker<T> {
    pending: VecDeque<Entry<T>>,
    max: usize,
    status: TransactionStatus,
    skip: Skip,
    copy: Copy,
    /// ReadyForQuery that may come besides those in the queue: after a COPY has
    /// failed it cannot be known whether the Syncs sent before its end were
    /// swallowed, or were read after the failure and are answered.
    spare_ready: usize,
}

impl<T> Tracker<T> {
    /// At most `max` replies are awaited, but never fewer than [`MIN_PENDING`].
    pub fn new(max: usize) -> Self {
        Self {
            pending: VecDeque::new(),
            max: max.max(MIN_PENDING),
            status: TransactionStatus::Idle,
            skip: Skip::No,
            copy: Copy::No,
            spare_ready: 0,
        }
    }

    /// As of the last ReadyForQuery.
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// Whether all that was asked has been answered.
    pub fn is_idle(&self) -> bool {
        self.pending.iter().all(|entry| matches!(entry, Entry::CopyEnd)) && self.skip == Skip::No
    }

    /// Whether the server has been asked nothing that it has not answered. Unlike
    /// [`is_idle`](Self::is_idle), also while it skips to a Sync that has not been sent.
    pub fn is_quiet(&self) -> bool {
        self.pending.iter().all(|entry| matches!(entry, Entry::CopyEnd))
    }

    /// Whether nothing that takes its time is on its way: replies may be, of a
    /// server that holds them back until a Sync or Flush.
    pub fn executes_nothing(&self) -> bool {
        let executes = |entry: &Entry<T>| {
            matches!(entry, Entry::Statement(_) | Entry::Execute(_) | Entry::FunctionCall(_))
        };
        !self.pending.iter().any(executes)
    }

    /// Whether nothing is on its way behind the ReadyForQuery that comes next.
    pub fn is_last_batch(&self) -> bool {
        let rest = self.pending.iter().skip_while(|entry| !matches!(entry, Entry::Sync | Entry::QueryEnd));
        rest.skip(1).all(|entry| matches!(entry, Entry::CopyEnd))
    }

    /// How many replies can still be awaited. A message takes one; a Query takes
    /// one for each statement and one more, FunctionCall and a refused Query two.
    /// Without room, stop reading the client until replies have come.
    pub fn room(&self) -> usize {
        self.max.saturating_sub(self.pending.len())
    }

    /// Whether the server drops what is sent now, until a Sync. Ask before a
    /// statement's intent is recorded; what is dropped need not be sent.
    pub fn is_skipping(&self) -> bool {
        self.skip != Skip::No
    }

    /// Whether the server waits for COPY data that the client has not ended.
    pub fn is_copy_in(&self) -> bool {
        matches!(self.copy, Copy::In { open: true, .. })
    }

    /// What is being answered now, if it executes.
    pub fn current(&mut self) -> Option<&mut T> {
        match self.pending.front_mut()? {
            Entry::Statement(token) | Entry::Execute(token) | Entry::FunctionCall(token) => Some(token),
            _ => None,
        }
    }

    /// Whose rows (`D`) or COPY data (`d`) the server sends now.
    pub fn rows(&mut self, tag: u8) -> Result<&mut T, WireError> {
        let copy_out = tag == tag::COPY_DATA;
        let error = self.unexpected(tag);
        match self.pending.front_mut() {
            Some(Entry::Statement(token) | Entry::Execute(token))
                if (self.copy == Copy::Out) == copy_out && (copy_out || tag == tag::DATA_ROW) =>
            {
                Ok(token)
            }
            _ => Err(error),
        }
    }

    /// The connection is over: what was never answered, so that nobody knows
    /// whether it ran.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.pending.drain(..).filter_map(Entry::token)
    }

    /// A Query with a token for each statement in its text, none if it is empty.
    /// Returns the tokens that the server will skip: all or none.
    pub fn query<I>(&mut self, tokens: I) -> Result<Vec<T>, WireError>
    where
        I: IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    {
        let tokens = tokens.into_iter();
        if self.is_dropped(tokens.len().saturating_add(1))? {
            return Ok(tokens.collect());
        }
        self.pending.extend(tokens.map(Entry::Statement));
        self.pending.push_back(Entry::QueryEnd);
        Ok(Vec::new())
    }

    /// Any other message. Returns its token if the server will skip it.
    ///
    /// # Errors
    /// [`WireError::TooManyPending`] without [`room`](Self::room), and
    /// [`WireError::Ambiguous`]: the token is gone then, and the message must
    /// not be sent.
    pub fn send(&mut self, message: Sent<T>) -> Result<Option<T>, WireError> {
        match (&message, &mut self.copy) {
            (Sent::Sync, Copy::In { open: true, swallowed }) => {
                *swallowed = swallowed.saturating_add(1);
                return Ok(None);
            }
            (Sent::CopyEnd, Copy::In { open: open @ true, .. }) => {
                *open = false;
                return Ok(None);
            }
            // The server ignores what is left of a COPY that has failed.
            (Sent::CopyEnd, _) if self.skip != Skip::No || self.pending.is_empty() => return Ok(None),
            (Sent::Sync, _) => {
                self.take_room(1)?;
                self.skip = Skip::No;
                self.pending.push_back(Entry::Sync);
                return Ok(None);
            }
            _ => {}
        }
        let (entry, query) = match message {
            Sent::Parse => (Entry::Parse, false),
            Sent::Bind => (Entry::Bind, false),
            Sent::DescribeStatement => (Entry::Describe { parameters: true }, false),
            Sent::DescribePortal => (Entry::Describe { parameters: false }, false),
            Sent::Execute(token) => (Entry::Execute(token), false),
            Sent::Close => (Entry::Close, false),
            Sent::Sync => (Entry::Sync, false),
            Sent::CopyEnd => (Entry::CopyEnd, false),
            Sent::Refused(token) => (Entry::Refused(token), false),
            Sent::FunctionCall(token) => (Entry::FunctionCall(token), true),
            Sent::RefusedQuery(token) => (Entry::RefusedQuery(token), true),
        };
        if self.is_dropped(1 + usize::from(query))? {
            return Ok(entry.token());
        }
        self.pending.push_back(entry);
        if query {
            self.pending.push_back(Entry::QueryEnd);
        }
        Ok(None)
    }

    /// A frame of the server. Rows and COPY data are asked about with
    /// [`rows`](Self::rows) instead; frames of the startup phase have no place here.
    pub fn receive<'b>(&mut self, tag: u8, body: &'b [u8]) -> Result<Event<'b, T>, WireError> {
        if matches!(tag, tag::NOTICE | tag::NOTIFICATION | tag::PARAMETER_STATUS) {
            return Ok(Event::Aside);
        }
        while self.pending.front().is_some_and(|entry| matches!(entry, Entry::CopyEnd)) {
            self.pending.pop_front();
        }
        match tag {
            tag::ERROR => self.failed(),
            tag::READY => self.ready(TransactionStatus::decode(body)?),
            _ => self.answered(tag, body),
        }
    }

    fn answered<'b>(&mut self, tag: u8, body: &'b [u8]) -> Result<Event<'b, T>, WireError> {
        let error = self.unexpected(tag);
        let Some(front) = self.pending.pop_front() else { return Err(error) };
        let event = match (tag, front) {
            (tag::PARSE_COMPLETE, Entry::Parse)
            | (tag::BIND_COMPLETE, Entry::Bind)
            | (tag::CLOSE_COMPLETE, Entry::Close) => Event::Progress,
            (tag::ROW_DESCRIPTION | tag::NO_DATA, Entry::Describe { parameters: false }) => Event::Described,
            (tag::PARAMETER_DESCRIPTION, Entry::Describe { parameters: true }) => {
                self.pending.push_front(Entry::Describe { parameters: false });
                Event::Progress
            }
            (tag::ROW_DESCRIPTION, front @ Entry::Statement(_)) => {
                self.pending.push_front(front);
                Event::Progress
            }
            (
                tag::COPY_IN | tag::COPY_OUT | tag::COPY_DONE,
                front @ (Entry::Statement(_) | Entry::Execute(_)),
            ) => {
                self.pending.push_front(front);
                return self.copies(tag, error);
            }
            (tag::COMMAND_COMPLETE, Entry::Statement(token) | Entry::Execute(token)) => {
                self.copy = Copy::No;
                Event::Completed { token, tag: CommandTag::decode(body)? }
            }
            (tag::EMPTY_QUERY, Entry::Statement(token) | Entry::Execute(token)) => {
                Event::Empty { token: Some(token) }
            }
            (tag::EMPTY_QUERY, Entry::QueryEnd) => {
                self.pending.push_front(Entry::QueryEnd);
                Event::Empty { token: None }
            }
            (tag::PORTAL_SUSPENDED, Entry::Execute(token)) => Event::Suspended { token },
            (tag::FUNCTION_RESULT, Entry::FunctionCall(token)) => Event::Returned { token },
            (_, front) => {
                self.pending.push_front(front);
                return Err(error);
            }
        };
        self.spare_ready = 0;
        Ok(event)
    }

    /// CopyInResponse, CopyOutResponse and the server's CopyDone. CopyBoth is of
    /// the replication protocol, which is not tracked.
    fn copies<'b>(&mut self, tag: u8, error: WireError) -> Result<Event<'b, T>, WireError> {
        match (tag, self.copy) {
            (tag::COPY_OUT, Copy::No) => self.copy = Copy::Out,
            (tag::COPY_DONE, Copy::Out) => {}
            (tag::COPY_IN, Copy::No) => {
                self.copy = self.copy_in();
                self.spare_ready = 0;
                let swallowed = match self.copy {
                    Copy::In { swallowed, .. } => swallowed,
                    Copy::No | Copy::Out => 0,
                };
                return Ok(Event::CopyIn { swallowed });
            }
            _ => return Err(error),
        }
        self.spare_ready = 0;
        Ok(Event::Progress)
    }

    /// The server reads COPY data now: of what the client has sent behind the
    /// message, Syncs up to CopyDone are swallowed, CopyDone ends the data.
    fn copy_in(&mut self) -> Copy {
        let simple = matches!(self.pending.front(), Some(Entry::Statement(_)));
        let end = self.pending.iter().position(|entry| matches!(entry, Entry::QueryEnd)).filter(|_| simple);
        let next = end.unwrap_or(0) + 1;
        let mut swallowed = 0;
        loop {
            match self.pending.get(next) {
                Some(Entry::Sync) => swallowed += 1,
                Some(Entry::CopyEnd) => {
                    self.pending.remove(next);
                    return Copy::In { open: false, swallowed };
                }
                // Any other message makes the server end the connection.
                Some(_) | None => return Copy::In { open: true, swallowed },
            }
            self.pending.remove(next);
        }
    }

    fn failed<'b>(&mut self) -> Result<Event<'b, T>, WireError> {
        let swallowed = match self.copy {
            Copy::In { swallowed, .. } => swallowed,
            Copy::No | Copy::Out => 0,
        };
        let extended = match self.pending.front() {
            // Nothing was asked (the server shuts down), the commit of Sync has
            // failed, or the text of a Query has no statements or too late an error.
            None | Some(Entry::Sync | Entry::QueryEnd) => {
                let skipped = Vec::new();
                return Ok(Event::Failed { token: None, extended: false, refused: false, skipped });
            }
            Some(Entry::Statement(_) | Entry::FunctionCall(_) | Entry::RefusedQuery(_)) => false,
            Some(_) => true,
        };
        if extended && swallowed > 0 && self.asks_before_sync() {
            return Err(WireError::Ambiguous);
        }
        self.copy = Copy::No;
        self.spare_ready += swallowed;
        let front = self.pending.pop_front();
        let refused = matches!(front, Some(Entry::Refused(_) | Entry::RefusedQuery(_)));
        let token = front.and_then(Entry::token);
        let mut skipped = Vec::new();
        let is_end = |entry: &Entry<T>| match entry {
            Entry::Sync => true,
            Entry::QueryEnd => !extended,
            _ => false,
        };
        while self.pending.front().is_some_and(|entry| !is_end(entry)) {
            skipped.extend(self.pending.pop_front().and_then(Entry::token));
        }
        if extended && self.pending.is_empty() {
            self.skip = if swallowed > 0 { Skip::Unsure } else { Skip::ToSync };
        }
        Ok(Event::Failed { token, extended, refused, skipped })
    }

    /// Whether messages with a reply stand between the front and the next Sync.
    fn asks_before_sync(&self) -> bool {
        self.pending
            .iter()
            .skip(1)
            .take_while(|entry| !matches!(entry, Entry::Sync))
            .any(|entry| !matches!(entry, Entry::CopyEnd))
    }

    fn ready<'b>(&mut self, status: TransactionStatus) -> Result<Event<'b, T>, WireError> {
        let awaited = matches!(self.pending.front(), Some(Entry::Sync | Entry::QueryEnd));
        match awaited {
            true => drop(self.pending.pop_front()),
            false if self.spare_ready > 0 => {
                self.spare_ready -= 1;
                self.skip = Skip::No;
            }
            false => return Err(self.unexpected(tag::READY)),
        }
        self.status = status;
        Ok(Event::Ready { status, spare: !awaited })
    }

    /// Whether the server skips what is sent now; if not, takes room for it.
    fn is_dropped(&self, replies: usize) -> Result<bool, WireError> {
        match self.skip {
            Skip::ToSync => Ok(true),
            Skip::Unsure => Err(WireError::Ambiguous),
            Skip::No => self.take_room(replies).map(|()| false),
        }
    }

    fn take_room(&self, replies: usize) -> Result<(), WireError> {
        if replies <= self.room() { Ok(()) } else { Err(WireError::TooManyPending { max: self.max }) }
    }

    fn unexpected(&self, got: u8) -> WireError {
        let expected = match self.pending.front() {
            None => "nothing, for nothing was asked",
            Some(Entry::Statement(_)) => "the result of a statement",
            Some(Entry::FunctionCall(_)) => "FunctionCallResponse",
            Some(Entry::Refused(_) | Entry::RefusedQuery(_)) => "the error of a refused statement",
            Some(Entry::QueryEnd | Entry::Sync | Entry::CopyEnd) => "ReadyForQuery",
            Some(Entry::Parse) => "ParseComplete",
            Some(Entry::Bind) => "BindComplete",
            Some(Entry::Describe { parameters: true }) => "ParameterDescription",
            Some(Entry::Describe { parameters: false }) => "RowDescription or NoData",
            Some(Entry::Execute(_)) => "the result of Execute",
            Some(Entry::Close) => "CloseComplete",
        };
        WireError::Unexpected { expected, got: Tag(got) }
    }
}

impl<T> Entry<T> {
    fn token(self) -> Option<T> {
        match self {
            Self::Statement(token)
            | Self::FunctionCall(token)
            | Self::RefusedQuery(token)
            | Self::Execute(token)
            | Self::Refused(token) => Some(token),
            _ => None,
        }
    }
}
