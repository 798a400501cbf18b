//! A result that goes over a budget, from the row that does to the client's
//! error.
//!
//! ```text
//!  row out of bounds ─► the rest of the batch is dropped ─► the client gets one error
//!                 └───► a cancel goes to the server
//! ```
//!
//! After the error both ends must agree that the statement failed. Mostly the
//! server says so itself, cancelled. Where it was faster, and has finished what
//! the client does not get, it is made to fail by a text that can only fail;
//! outside a transaction there is nothing to fail any more, and the error tells
//! what was done.
//!
//! A cancel hits whatever runs when it arrives. So none is sent when another
//! batch is on its way already, and nothing goes upstream before it has been
//! answered.

use super::book::{Book, Fate, Running, running};
use super::refusal::Refusal;
use crate::wire::postgres::WireError;
use crate::wire::postgres::backend::TransactionStatus;
use crate::wire::postgres::frontend;
use crate::wire::postgres::tracker::Sent;
use bytes::BytesMut;

/// What the client must still be told.
#[derive(Debug)]
pub struct Cut {
    refusal: Refusal,
    /// What the server finished after the cut, as its command tags.
    done: Vec<String>,
    wants: Wants,
}

/// What the pump does for the cut, so that the server fails as the client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// Nothing, or not yet.
    Nothing,
    /// A text that fails; and behind it a Sync, where the batch has had its own.
    Failure { sync: bool },
    /// The end of the COPY data that the server waits for, and the client will not send.
    CopyFail,
    /// It was sent.
    Sent,
}

impl Cut {
    pub fn new(refusal: Refusal) -> Self {
        Self { refusal, done: Vec::new(), wants: Wants::Nothing }
    }

    /// A statement of the batch was finished, unseen by the client.
    pub fn finished(&mut self, tag: &str) {
        self.done.push(tag.to_owned());
    }

    /// The client's error. `undone`: what was finished behind the cut is rolled back with it.
    fn error(self, undone: bool) -> BytesMut {
        let reads = ["SELECT", "FETCH", "COPY", "SHOW", "EXPLAIN", "MOVE"];
        let lasts = |tag: &&String| !reads.contains(&tag.split(' ').next().unwrap_or_default());
        let done: Vec<&str> = self.done.iter().filter(lasts).map(String::as_str).collect();
        let committed = done.contains(&"COMMIT");
        let refusal = match done.is_empty() || (undone && !committed) {
            true => self.refusal,
            false => self.refusal.detail(format!("All the same this was carried out: {}.", done.join(", "))),
        };
        let mut out = BytesMut::new();
        refusal.error(&mut out);
        out
    }
}

impl Book {
    /// Whether the client is owed the error of a cut.
    pub fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// Nothing more of the statement being answered is for the client.
    pub fn cut(&mut self, refusal: Refusal) {
        if let Some(running) = self.tracker.current() {
            running.cut = Some(refusal.clone());
        }
        self.cut = Some(Cut::new(refusal));
    }

    /// Whether a cancel would hit what was cut and nothing else; if so it is on its way.
    pub fn begin_cancel(&mut self) -> bool {
        let runs = self.tracker.current().is_some_and(|running| running.cut.is_some());
        let now = runs && !self.cancelled && !self.deciding && self.tracker.is_last_batch();
        self.cancelling |= now;
        self.cancelled |= now;
        now
    }

    /// The server has failed: what it says is not for the client, the cut's error is.
    pub fn cut_failed(&mut self) -> Option<Fate> {
        self.cut.take().map(|cut| Fate::Replace(cut.error(true)))
    }

    /// The connection is over, and the client was not told.
    pub fn cut_unheard(&mut self) -> Option<BytesMut> {
        self.cut.take().map(|cut| cut.error(false))
    }

    /// The batch ends.
    pub fn cut_ready(&mut self, status: TransactionStatus) -> Fate {
        let alone = self.tracker.is_quiet() && !self.deciding;
        match &mut self.cut {
            Some(cut) if status == TransactionStatus::Open && alone && cut.wants != Wants::Sent => {
                cut.wants = Wants::Failure { sync: true };
                Fate::Drop
            }
            Some(_) => {
                self.cancelled = false;
                let undone = status == TransactionStatus::Failed;
                self.cut.take().map_or(Fate::Pass, |cut| Fate::Before(cut.error(undone)))
            }
            None => {
                self.cancelled = false;
                Fate::Pass
            }
        }
    }

    /// A reply of a batch that was cut; it is not for the client.
    pub fn cut_goes_on(&mut self, copy_in: bool) {
        let quiet = self.tracker.is_quiet();
        if let Some(cut) = self.cut.as_mut().filter(|cut| cut.wants == Wants::Nothing) {
            if copy_in {
                cut.wants = Wants::CopyFail;
            } else if quiet {
                cut.wants = Wants::Failure { sync: false };
            }
        }
    }

    pub fn wants_words(&self) -> bool {
        self.cut.as_ref().is_some_and(|cut| !matches!(cut.wants, Wants::Nothing | Wants::Sent))
    }

    /// What must go upstream for the cut, told to the tracker. `failing` is a
    /// text that fails.
    pub fn words(&mut self, failing: &str) -> Result<Option<BytesMut>, WireError> {
        let Some(cut) = &mut self.cut else { return Ok(None) };
        let wants = std::mem::replace(&mut cut.wants, Wants::Sent);
        let mut out = BytesMut::new();
        match wants {
            Wants::Nothing | Wants::Sent => {
                cut.wants = wants;
                return Ok(None);
            }
            Wants::CopyFail => {
                // Other statements of the batch may be cut short by it, too.
                cut.wants = Wants::Nothing;
                frontend::copy_fail(&mut out, failing);
                self.tracker.send(Sent::CopyEnd)?;
            }
            // More of the batch has gone upstream meanwhile: that fails, or ends it.
            Wants::Failure { sync: false } if !self.tracker.is_quiet() => {
                cut.wants = Wants::Nothing;
                return Ok(None);
            }
            Wants::Failure { sync } => {
                let refusal = cut.refusal.clone();
                frontend::parse(&mut out, b"dbaccess", failing, []);
                self.refuse(Running { refusal: Some(refusal), ..running(None, false) })?;
                if sync {
                    frontend::sync(&mut out);
                    self.sync()?;
                }
            }
        }
        Ok(Some(out))
    }
}
