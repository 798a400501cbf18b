//! Live sessions: what `access` opens and the gateway serves.
//!
//! A [`Live`] value is the proof that a session was granted and provisioned;
//! the gateway opens nothing without one.

use super::budget::Taken;
use super::upstream::Way;
use crate::core::guard::{self, Permit, Refusal};
use crate::core::model::{Actor, EndReason, Totals};
use crate::core::profile::Views;
use crate::core::sql::{Facts, Rewrite, Rewrites, SqlError, search_path};
use crate::core::unseal::TextSealer;
use crate::server::recording::Recorder;
use crate::wire::postgres::scram::{Keys, Verifier};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

/// One open session, shared by its connections.
pub struct Live {
    pub permit: Permit,
    /// The ephemeral role, which is also the user name that clients say.
    pub role: String,
    /// What the client's password is checked against (G4).
    pub verifier: Verifier,
    /// What proves the role to the database; it never leaves the server (G4).
    pub keys: Keys,
    pub way: Arc<Way>,
    pub counters: Counters,
    /// Where what its clients say and see is recorded, if it is.
    pub recording: Option<Arc<Recorder>>,
    /// Seals what its records leave out, where texts are redacted.
    pub texts: Option<TextSealer>,
    /// What was changed in the names of texts that may come again.
    rewrites: Rewrites,
    /// What was read against the budget, by all connections.
    taken: Mutex<Taken>,
    /// How far a reviewed script was sent (R2.2).
    script_at: AtomicUsize,
    life: watch::Sender<Life>,
    /// The end of the window, which may move.
    until: watch::Sender<Timestamp>,
    /// The role's own end in the database, which follows it.
    backstop: Mutex<Timestamp>,
    connections: watch::Sender<u32>,
    max_connections: u32,
}

/// What is kept of what a session says, and how.
#[derive(Default)]
pub struct Keeping {
    pub recording: Option<Arc<Recorder>>,
    pub texts: Option<TextSealer>,
}

/// Where a live session is in its life. It only moves down this list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    Open,
    /// Nothing gets through any more.
    Ended(End),
    /// The role is proven gone, this long after the end was decided.
    Dead(End, Duration),
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub reason: EndReason,
    pub by: Actor,
    /// When it was decided; for an expiry, the end of the window.
    pub at: Timestamp,
    /// How long there is no other session like it: the end of a suspension.
    pub until: Option<Timestamp>,
}

impl End {
    pub fn new(reason: EndReason, by: Actor, at: Timestamp) -> Self {
        Self { reason, by, at, until: None }
    }
}

/// What the session did so far.
#[derive(Default)]
pub struct Counters {
    pub statements: AtomicU64,
    pub rows: AtomicU64,
    pub bytes: AtomicU64,
    /// Questions about sealed columns.
    pub aggregates: AtomicU64,
}

impl Counters {
    pub fn totals(&self) -> Totals {
        Totals {
            statements: self.statements.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

impl Live {
    pub fn new(
        permit: Permit,
        role: String,
        verifier: Verifier,
        keys: Keys,
        way: Arc<Way>,
        max_connections: u32,
        Keeping { recording, texts }: Keeping,
    ) -> Self {
        let applied = permit.script.as_ref().map_or(0, |script| script.applied);
        Self {
            script_at: AtomicUsize::new(applied),
            until: watch::Sender::new(permit.until),
            backstop: Mutex::new(permit.until),
            permit,
            role,
            verifier,
            keys,
            way,
            counters: Counters::default(),
            recording,
            texts,
            rewrites: Rewrites::default(),
            taken: Mutex::default(),
            life: watch::Sender::new(Life::Open),
            connections: watch::Sender::new(0),
            max_connections,
        }
    }

    /// What must change in a text before the database gets it, so that a
    /// person's own names lead to the views of the session.
    pub fn rewrite(&self, text: &str, facts: &Arc<Facts>) -> Result<Option<Arc<Rewrite>>, SqlError> {
        match self.views() {
            Some(views) => self.rewrites.of(text, facts, views),
            None => Ok(None),
        }
    }

    /// Takes a statement of a reviewed script, whichever connection sends it:
    /// each passes once, in the script's order.
    pub fn advance(&self, text: &str, facts: &Facts) -> Result<(), Refusal> {
        let next = |at| guard::next_in_script(&self.permit, at, text, facts);
        match self.script_at.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |at| next(at).ok()) {
            Ok(_) => Ok(()),
            Err(at) => next(at).map(drop),
        }
    }

    /// A search path of the client's, with the views' schemas.
    pub fn search_path<'p>(&self, path: &'p str) -> Cow<'p, str> {
        self.views().map_or(Cow::Borrowed(path), |views| search_path(path, views))
    }

    /// The views that names lead to. A migration has the rights of the tables'
    /// owner, and its names lead to them.
    fn views(&self) -> Option<&Views> {
        Some(&*self.permit.views).filter(|views| views.become_role.is_none())
    }

    /// What the session has read. Keep it for no longer than it takes to count.
    pub fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the session; the first end stays. Returns at once: connections see
    /// it and cut themselves.
    pub fn finish(&self, end: End) {
        self.life.send_if_modified(|life| {
            let open = *life == Life::Open;
            if open {
                *life = Life::Ended(end);
            }
            open
        });
    }

    /// Nothing more is recorded: whatever ran is over.
    pub fn end_recording(&self) {
        if let Some(recording) = &self.recording {
            recording.finish();
        }
    }

    /// Says that the role is proven gone.
    pub fn bury(&self, latency: Duration) {
        self.life.send_if_modified(|life| match life {
            Life::Ended(end) => {
                *life = Life::Dead(end.clone(), latency);
                true
            }
            Life::Open | Life::Dead(..) => false,
        });
    }

    /// The end of the window, as it is now.
    pub fn until(&self) -> Timestamp {
        *self.until.borrow()
    }

    /// Follows the end of the window. Cancel-safe.
    pub fn window(&self) -> watch::Receiver<Timestamp> {
        self.until.subscribe()
    }

    /// Moves the end of the window.
    pub fn extend(&self, until: Timestamp) {
        self.until.send_if_modified(|end| std::mem::replace(end, until) != until);
    }

    /// How far the role's own end in the database was moved.
    pub fn backstop(&self) -> Timestamp {
        *self.backstop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_backstop(&self, until: Timestamp) {
        *self.backstop.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// Follows the session's life. Cancel-safe.
    pub fn life(&self) -> watch::Receiver<Life> {
        self.life.subscribe()
    }

    pub fn is_open(&self) -> bool {
        *self.life.borrow() == Life::Open
    }

    /// Resolves when the session ends. Cancel-safe.
    pub async fn wait_end(&self) -> End {
        let mut life = self.life.subscribe();
        let ended = life.wait_for(|life| *life != Life::Open).await;
        match ended.as_deref() {
            Ok(Life::Ended(end) | Life::Dead(end, _)) => end.clone(),
            // The sender is `self`, which is borrowed: it cannot be gone.
            Ok(Life::Open) | Err(_) => End::new(EndReason::ServerStopped, Actor::System, self.until()),
        }
    }

    pub fn connections(&self) -> u32 {
        *self.connections.borrow()
    }

    /// Resolves when no connection is left. Cancel-safe.
    pub async fn wait_idle(&self) {
        drop(self.connections.subscribe().wait_for(|n| *n == 0).await);
    }

    /// A place for one more connection, or `None` at the limit.
    pub fn connect(self: &Arc<Self>) -> Option<Connections> {
        let taken = self.connections.send_if_modified(|n| {
            let free = *n < self.max_connections;
            *n += u32::from(free);
            free
        });
        taken.then(|| Connections(Arc::clone(self)))
    }
}

/// One taken place among a session's connections; given back on drop.
pub struct Connections(Arc<Live>);

impl std::ops::Deref for Connections {
    type Target = Arc<Live>;
    fn deref(&self) -> &Arc<Live> {
        &self.0
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.0.connections.send_modify(|n| *n -= 1);
    }
}

/// The live sessions by role name.
#[derive(Default)]
pub struct Registry(RwLock<HashMap<String, Arc<Live>>>);

impl Registry {
    pub fn insert(&self, live: Arc<Live>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(live.role.clone(), live);
    }

    pub fn find(&self, role: &str) -> Option<Arc<Live>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(role).cloned()
    }

    pub fn remove(&self, role: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(role);
    }

    pub fn all(&self) -> Vec<Arc<Live>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
