//! Which prepared statement and which portal a name stands for, exactly.
//!
//! The record of an Execute names a text, so a client must not be able to make
//! the gateway believe in another text than the server does: by preparing a
//! name that the server has already, by a Parse or Bind that fails or is
//! skipped, or by SQL's PREPARE, DECLARE and kin, which share the names. So a
//! change counts when the server has confirmed it; within the batch that made
//! it, it is believed in advance, because if it fails the server skips the rest
//! of the batch. A name that an earlier, unanswered batch changes is in doubt,
//! and the caller waits for the answer.

use super::shape::{Foreseen, is_fixed};
use super::values::Held;
use crate::core::model::ResultShape;
use crate::core::sql::{Facts, Rewrite};
use crate::wire::postgres::frontend::Kind;
use crate::wire::postgres::{Tag, WireError, backend};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// The server tells names apart by so many bytes (NAMEDATALEN - 1), and by no more.
const NAME: usize = 63;

/// A text that was parsed, with what is known of it.
#[derive(Debug)]
pub struct Prepared {
    /// The person's own.
    pub text: String,
    pub facts: Arc<Facts>,
    /// How the text differs that the server has.
    pub rewrite: Option<Arc<Rewrite>>,
    /// It was prepared by SQL's PREPARE, which is its text.
    pub by_sql: bool,
    pub result: Foreseen,
    pub _held: Held,
}

/// What Execute will run.
#[derive(Debug)]
pub struct Portal {
    pub prepared: Arc<Prepared>,
    pub parameters: Vec<Option<String>>,
    pub parameters_sha256: Option<String>,
    pub result: Foreseen,
    pub _held: Held,
}

impl Portal {
    /// What is known of its result.
    pub fn foreseen(&self) -> &Foreseen {
        if is_fixed(&self.prepared.facts) { &self.prepared.result } else { &self.result }
    }
}

/// What a Describe is about.
enum Described {
    Statement(Arc<Prepared>),
    Portal(Arc<Portal>),
    /// What this is no name of: a cursor of SQL's, or nothing.
    Other,
}

impl Described {
    fn foreseen(&self) -> Option<&Foreseen> {
        match self {
            Self::Statement(prepared) => is_fixed(&prepared.facts).then_some(&prepared.result),
            Self::Portal(portal) => Some(portal.foreseen()),
            Self::Other => None,
        }
    }
}

enum Change {
    Parse {
        name: Vec<u8>,
        prepared: Arc<Prepared>,
    },
    Bind {
        name: Vec<u8>,
        portal: Arc<Portal>,
    },
    CloseStatement {
        name: Vec<u8>,
    },
    ClosePortal {
        name: Vec<u8>,
    },
    /// A question, which changes nothing.
    Describe {
        of: Described,
        /// The gateway asks, on behalf of the Execute behind it.
        ours: bool,
    },
    /// One ReadyForQuery: of a Sync, or of a Query or FunctionCall.
    Batch {
        sync: bool,
    },
}

#[derive(Default)]
pub struct Names {
    statements: HashMap<Vec<u8>, Arc<Prepared>>,
    portals: HashMap<Vec<u8>, Arc<Portal>>,
    pending: VecDeque<Change>,
    /// Batches that were sent whole.
    batches: u64,
    /// Bytes that are kept of shapes.
    shapes: Arc<AtomicUsize>,
}

/// What an error without a token is about.
#[derive(Default)]
pub struct Failing {
    /// Its Parse or Bind.
    pub prepared: Option<Arc<Prepared>>,
    /// A question of the gateway's: the Execute behind it has failed.
    pub next: bool,
}

/// What a name stands for at this place in the client's stream.
pub enum Meaning<T> {
    Known(Arc<T>),
    /// The server has none of this name, as far as we can know.
    Nothing,
    /// An earlier batch that is not answered yet changes it.
    InDoubt,
}

impl Names {
    pub fn statement(&self, name: &[u8]) -> Meaning<Prepared> {
        let name = key(name);
        self.look(self.statements.get(name), |change| match change {
            Change::Parse { name: changed, prepared } if changed == name => Some(Some(prepared)),
            Change::CloseStatement { name: changed } if changed == name => Some(None),
            _ => None,
        })
    }

    pub fn portal(&self, name: &[u8]) -> Meaning<Portal> {
        let name = key(name);
        self.look(self.portals.get(name), |change| match change {
            Change::Bind { name: changed, portal } if changed == name => Some(Some(portal)),
            Change::ClosePortal { name: changed } if changed == name => Some(None),
            _ => None,
        })
    }

    /// The newest change of a name, or what is confirmed.
    fn look<'a, T>(
        &'a self,
        confirmed: Option<&'a Arc<T>>,
        changes: impl Fn(&'a Change) -> Option<Option<&'a Arc<T>>>,
    ) -> Meaning<T> {
        for change in self.pending.iter().rev().take_while(|change| !matches!(change, Change::Batch { .. })) {
            match changes(change) {
                Some(Some(found)) => return Meaning::Known(Arc::clone(found)),
                Some(None) => return Meaning::Nothing,
                None => {}
            }
        }
        // What was looked at above is of this batch, and is not this name's.
        if self.pending.iter().any(|change| changes(change).is_some()) {
            return Meaning::InDoubt;
        }
        confirmed.map_or(Meaning::Nothing, |found| Meaning::Known(Arc::clone(found)))
    }

    /// What SQL may reach by a name that the protocol gave: every text, and every
    /// portal's text with its values, that the name stands for now or after the
    /// answers that are still to come.
    pub fn may_mean(&self, name: &[u8]) -> Vec<String> {
        let name = key(name);
        let text = |prepared: &Prepared| (!prepared.by_sql).then(|| prepared.text.clone());
        let portal_text = |portal: &Portal| {
            let text = text(&portal.prepared)?;
            let values = serde_json::to_string(&portal.parameters).unwrap_or_default();
            let hash = portal.parameters_sha256.as_deref().unwrap_or_default();
            Some(format!("{text} -- {values} {hash}"))
        };
        let statements = self.statements.get(name).into_iter().filter_map(|prepared| text(prepared));
        let portals = self.portals.get(name).into_iter().filter_map(|portal| portal_text(portal));
        let pending = self.pending.iter().filter_map(|change| match change {
            Change::Parse { name: changed, prepared } if changed == name => text(prepared),
            Change::Bind { name: changed, portal } if changed == name => portal_text(portal),
            _ => None,
        });
        statements.chain(portals).chain(pending).collect()
    }

    /// How many statements and portals the client keeps, if all that is on its way succeeds.
    pub fn len(&self) -> usize {
        let coming = |change: &&Change| matches!(change, Change::Parse { .. } | Change::Bind { .. });
        self.statements.len() + self.portals.len() + self.pending.iter().filter(coming).count()
    }

    pub fn parse(&mut self, name: &[u8], prepared: Arc<Prepared>) {
        self.pending.push_back(Change::Parse { name: key(name).to_vec(), prepared });
    }

    pub fn bind(&mut self, name: &[u8], portal: Arc<Portal>) {
        self.pending.push_back(Change::Bind { name: key(name).to_vec(), portal });
    }

    pub fn close_statement(&mut self, name: &[u8]) {
        self.pending.push_back(Change::CloseStatement { name: key(name).to_vec() });
    }

    pub fn close_portal(&mut self, name: &[u8]) {
        self.pending.push_back(Change::ClosePortal { name: key(name).to_vec() });
    }

    /// The client asks what a result will be like. `certain`: no SQL on its way
    /// changes what the name stands for.
    pub fn describe(&mut self, kind: Kind, name: &[u8], certain: bool) {
        let of = match kind {
            _ if !certain => None,
            Kind::Statement => known(self.statement(name)).map(Described::Statement),
            Kind::Portal => known(self.portal(name)).map(Described::Portal),
        };
        self.ask(of.unwrap_or(Described::Other), false);
    }

    /// A portal is executed; none is one of SQL's. Whether the gateway is to ask
    /// first what its result is like.
    pub fn execute(&mut self, portal: Option<&Arc<Portal>>) -> bool {
        let of = portal.map_or(Described::Other, |portal| Described::Portal(Arc::clone(portal)));
        let is_known =
            of.foreseen().is_some_and(|result| result.is_known_in(self.batch_number(), &self.shapes));
        if !is_known {
            self.ask(of, true);
        }
        !is_known
    }

    fn ask(&mut self, of: Described, ours: bool) {
        if let Some(result) = of.foreseen() {
            result.ask(self.batch_number());
        }
        self.pending.push_back(Change::Describe { of, ours });
    }

    /// Of the batch that is being sent, from 1.
    fn batch_number(&self) -> u64 {
        self.batches + 1
    }

    /// The end of the answer to a Describe, which is read where it tells something
    /// new; none is NoData. Whether it is the gateway's, and what was read.
    pub fn described(
        &mut self,
        read: impl FnOnce() -> Option<Arc<ResultShape>>,
    ) -> Result<(bool, Option<Arc<ResultShape>>), WireError> {
        let Some(Change::Describe { of, ours }) = self.pending.pop_front() else {
            return Err(unasked(backend::tag::ROW_DESCRIPTION));
        };
        let result = of.foreseen();
        if result.map_or(!ours, Foreseen::is_told) {
            return Ok((ours, None));
        }
        let shape = read();
        if let Some(result) = result {
            result.tell(shape.as_ref(), &self.shapes);
        }
        Ok((ours, shape))
    }

    /// What ends in a ReadyForQuery was sent: Sync, or another.
    pub fn batch(&mut self, sync: bool) {
        self.batches += 1;
        self.pending.push_back(Change::Batch { sync });
    }

    /// ParseComplete, BindComplete or CloseComplete: the change that it confirms
    /// is made. Gives the name that is another portal now, or none.
    pub fn confirmed(&mut self, tag: u8) -> Result<Option<Vec<u8>>, WireError> {
        match (tag, self.pending.pop_front()) {
            (backend::tag::PARSE_COMPLETE, Some(Change::Parse { name, prepared })) => {
                self.statements.insert(name, prepared);
            }
            (backend::tag::BIND_COMPLETE, Some(Change::Bind { name, portal })) => {
                self.portals.insert(name.clone(), portal);
                return Ok(Some(name));
            }
            (backend::tag::CLOSE_COMPLETE, Some(Change::CloseStatement { name })) => {
                self.statements.remove(&name);
            }
            (backend::tag::CLOSE_COMPLETE, Some(Change::ClosePortal { name })) => {
                self.portals.remove(&name);
                return Ok(Some(name));
            }
            _ => return Err(unasked(tag)),
        }
        Ok(None)
    }

    /// An error: what is left of the batch is skipped, and after one of the
    /// `extended` protocol what comes before the next Sync, Query too. Gives what
    /// was to be answered next, which the error may be about.
    pub fn failed(&mut self, extended: bool) -> Failing {
        let prepared = match self.pending.front() {
            Some(Change::Parse { prepared, .. }) => Some(Arc::clone(prepared)),
            Some(Change::Bind { portal, .. }) => Some(Arc::clone(&portal.prepared)),
            _ => None,
        };
        let next = matches!(self.pending.front(), Some(Change::Describe { ours: true, .. }));
        let ends = |change: &Change| matches!(change, Change::Batch { sync } if *sync || !extended);
        while self.pending.front().is_some_and(|change| !ends(change)) {
            self.pending.pop_front();
        }
        Failing { prepared, next }
    }

    /// ReadyForQuery ends the batch, unless it is a `spare` one, and outside a
    /// transaction all portals.
    pub fn ready(&mut self, idle: bool, spare: bool) {
        if !spare {
            self.failed(false);
            self.pending.pop_front();
        }
        if idle {
            self.portals.clear();
        }
    }

    /// The server reads COPY data, and ignores so many Syncs that were sent right
    /// behind (PostgreSQL manual 55.2.6). `simple`: behind a Query, which is the
    /// first batch itself.
    pub fn copy_in(&mut self, simple: bool, swallowed: usize) {
        let first = usize::from(simple);
        let end = first.saturating_add(swallowed).min(self.pending.len());
        self.pending.drain(first.min(end)..end);
    }

    /// SQL's PREPARE.
    pub fn set(&mut self, name: &[u8], prepared: Arc<Prepared>) {
        self.statements.insert(key(name).to_vec(), prepared);
    }

    /// SQL's DEALLOCATE or DISCARD ALL. The unnamed statement stays.
    pub fn forget(&mut self, name: Option<&[u8]>) {
        match name {
            Some(name) => drop(self.statements.remove(key(name))),
            None => self.statements.retain(|name, _| name.is_empty()),
        }
    }

    /// SQL's DECLARE, CLOSE or DISCARD ALL: the name is not (or not any more)
    /// a portal that Bind made.
    pub fn forget_portal(&mut self, name: Option<&[u8]>) {
        match name {
            Some(name) => drop(self.portals.remove(key(name))),
            None => self.portals.clear(),
        }
    }
}

fn known<T>(meaning: Meaning<T>) -> Option<Arc<T>> {
    match meaning {
        Meaning::Known(found) => Some(found),
        Meaning::Nothing | Meaning::InDoubt => None,
    }
}

fn unasked(tag: u8) -> WireError {
    WireError::Unexpected { expected: "an answer to what was asked", got: Tag(tag) }
}

pub(super) fn key(name: &[u8]) -> &[u8] {
    name.get(..NAME).unwrap_or(name)
}
