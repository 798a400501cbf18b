//! Which prepared statement a name stands for, exactly.
//!
//! The record of an Execute names a text, so a client must not be able to make
//! the gateway believe in another text than the server does: by preparing a
//! name that the server has already, by a Parse that fails or is skipped, or by
//! SQL's PREPARE and DEALLOCATE, which share the names. So a change counts when
//! the server has confirmed it; within the batch that made it, it is believed
//! in advance, because if it fails the server skips the rest of the batch. A
//! name that an earlier, unanswered batch changes is in doubt, and the caller
//! waits for the answer.

use crate::core::sql::Facts;
use crate::wire::postgres::{Tag, WireError, backend};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A text that was parsed, with what is known of it.
#[derive(Debug)]
pub struct Prepared {
    pub text: String,
    pub facts: Arc<Facts>,
}

enum Change {
    Parse {
        name: Vec<u8>,
        prepared: Arc<Prepared>,
    },
    Close {
        name: Option<Vec<u8>>,
    },
    /// A Sync or a Query: one ReadyForQuery.
    Batch,
    /// CopyDone or CopyFail.
    CopyEnd,
}

#[derive(Default)]
pub struct Names {
    confirmed: HashMap<Vec<u8>, Arc<Prepared>>,
    pending: VecDeque<Change>,
}

/// What a name stands for at this place in the client's stream.
pub enum Meaning {
    Known(Arc<Prepared>),
    /// The server has no such statement, as far as we can know.
    Nothing,
    /// An earlier batch that is not answered yet changes it.
    InDoubt,
}

impl Names {
    pub fn find(&self, name: &[u8]) -> Meaning {
        let mut this_batch = true;
        for change in self.pending.iter().rev() {
            let found = match change {
                Change::Batch => {
                    this_batch = false;
                    continue;
                }
                Change::Parse { name: changed, prepared } if changed == name => Some(prepared),
                Change::Close { name: Some(changed) } if changed == name => None,
                Change::Parse { .. } | Change::Close { .. } | Change::CopyEnd => continue,
            };
            return match found {
                _ if !this_batch => Meaning::InDoubt,
                Some(prepared) => Meaning::Known(Arc::clone(prepared)),
                None => Meaning::Nothing,
            };
        }
        self.confirmed.get(name).map_or(Meaning::Nothing, |prepared| Meaning::Known(Arc::clone(prepared)))
    }

    /// How many statements the client keeps.
    pub fn len(&self) -> usize {
        self.confirmed.len()
    }

    pub fn parse(&mut self, name: Vec<u8>, prepared: Arc<Prepared>) {
        self.pending.push_back(Change::Parse { name, prepared });
    }

    /// A Close message; `None` is a portal's, which only keeps the order.
    pub fn close(&mut self, name: Option<Vec<u8>>) {
        self.pending.push_back(Change::Close { name });
    }

    /// A Sync or Query was sent.
    pub fn batch(&mut self) {
        self.pending.push_back(Change::Batch);
    }

    /// ParseComplete.
    pub fn parsed(&mut self) -> Result<(), WireError> {
        match self.answered() {
            Some(Change::Parse { name, prepared }) => {
                self.confirmed.insert(name, prepared);
                Ok(())
            }
            _ => Err(lost(backend::tag::PARSE_COMPLETE)),
        }
    }

    /// CloseComplete.
    pub fn closed(&mut self) -> Result<(), WireError> {
        match self.answered() {
            Some(Change::Close { name }) => {
                if let Some(name) = name {
                    self.confirmed.remove(&name);
                }
                Ok(())
            }
            _ => Err(lost(backend::tag::CLOSE_COMPLETE)),
        }
    }

    fn answered(&mut self) -> Option<Change> {
        while matches!(self.pending.front(), Some(Change::CopyEnd)) {
            self.pending.pop_front();
        }
        self.pending.pop_front()
    }

    /// An error: what is left of the batch is skipped.
    pub fn failed(&mut self) {
        while self.pending.front().is_some_and(|change| !matches!(change, Change::Batch)) {
            self.pending.pop_front();
        }
    }

    /// ReadyForQuery ends the batch.
    pub fn ready(&mut self) {
        self.failed();
        self.pending.pop_front();
    }

    /// CopyDone or CopyFail was sent.
    pub fn copy_end(&mut self) {
        self.pending.push_back(Change::CopyEnd);
    }

    /// The server reads COPY data for an Execute: Syncs sent before its end
    /// are swallowed (PostgreSQL manual 55.2.6).
    pub fn copy_in(&mut self) {
        while matches!(self.pending.front(), Some(Change::Batch)) {
            self.pending.pop_front();
        }
    }

    /// SQL's PREPARE.
    pub fn set(&mut self, name: Vec<u8>, prepared: Arc<Prepared>) {
        self.confirmed.insert(name, prepared);
    }

    /// SQL's DEALLOCATE or DISCARD ALL. The unnamed statement stays.
    pub fn forget(&mut self, name: Option<&[u8]>) {
        match name {
            Some(name) => drop(self.confirmed.remove(name)),
            None => self.confirmed.retain(|name, _| name.is_empty()),
        }
    }
}

fn lost(got: u8) -> WireError {
    WireError::Unexpected { expected: "an answer to what was asked", got: Tag(got) }
}
