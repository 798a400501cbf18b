//! The end of a session, whatever its cause, until its role is proven gone.
//!
//! ```text
//! exit, expiry, revocation, suspension, client gone, server stopping
//!     └► Ended (clients are cut) ─┬► Closing, on record
//!                                 └► the role removed ──► Dead, on record ──► the credential tried
//! ```
//!
//! The role does not wait for the record: a slow disk must not lengthen access.

use super::holding::abandoned;
use super::probe::Dead;
use super::{Access, AccessError, Caller};
use crate::core::model::{Actor, EndReason, Event, Session, SessionId, SessionState, Totals};
use crate::proto::{AuditQuery, SessionSummary};
use crate::server::gateway::{End, Life, Live};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long a session outlives the client that held it: long enough to change a
/// network, short enough that a killed client's session is soon gone.
const GRACE: Duration = Duration::from_secs(10);
/// How long the wall clock may jump unnoticed before an expiry is seen.
const LONGEST_NAP: Duration = Duration::from_secs(5);
/// How long a client that ends its session waits for the proof.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the last outcomes may take to be counted, once the role is gone.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Pause after a failed removal of a role: doubled each time, up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A session on its way out.
struct Burial {
    session: SessionId,
    role: String,
    target: String,
    end: End,
    /// `None`: of an earlier process, so nothing of it runs any more.
    live: Option<Arc<Live>>,
    /// When the role was proven gone; what is left then is the record.
    dead_at: Option<Timestamp>,
}

impl Burial {
    /// What is left to be proven once it is over.
    fn dead(&self) -> Dead<'_> {
        let Self { session, role, target, end, live, .. } = self;
        Dead { session, role, target, ended: end.at, live: live.as_deref() }
    }
}

impl Access {
    /// Watches over one live session until it is dead.
    pub(super) async fn keep(self: Arc<Self>, live: Arc<Live>, held: watch::Receiver<u32>, detached: bool) {
        let at = |reason, at| End::new(reason, Actor::System, at);
        tokio::select! {
            _ = live.wait_end() => {}
            until = window_over(&live) => live.finish(at(EndReason::Expired, until)),
            () = abandoned(held, GRACE), if !detached => {
                live.finish(at(EndReason::Lost, crate::os::now()));
            }
        }
        let burial = Burial {
            session: live.permit.session.clone(),
            role: live.role.clone(),
            target: live.permit.target.clone(),
            end: live.wait_end().await,
            live: Some(Arc::clone(&live)),
            dead_at: None,
        };
        let burial = self.bury(burial).await;
        live.end_recording();
        self.registry.remove(&live.role);
        self.holders.forget(&live.permit.session);
        self.probe(burial.dead()).await;
    }

    /// Takes an ended session to its grave: each step is idempotent, and a step
    /// that fails is tried again for ever (G5).
    async fn bury(&self, mut burial: Burial) -> Burial {
        let mut pause = RETRY.0;
        let mut said = String::new();
        let latency = loop {
            match self.try_bury(&mut burial).await {
                Ok(latency) => break latency,
                Err(error) => {
                    self.metrics.revocation_failed();
                    let message = error.to_string();
                    if message != said {
                        let gone = burial.dead_at.is_some();
                        tracing::warn!(
                            session = %burial.session, role = %burial.role, target = %burial.target,
                            role_gone = gone, error = %message, "a session's end is not complete; trying until it is"
                        );
                        said = message;
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        };
        if !said.is_empty() {
            tracing::info!(session = %burial.session, role = %burial.role, ?latency, "the session's role is gone now");
        }
        if let Some(live) = &burial.live {
            live.bury(latency);
        }
        self.metrics.session_dead(latency);
        burial
    }

    async fn try_bury(&self, burial: &mut Burial) -> Result<Duration, AccessError> {
        let Burial { session, role, target, end, live, dead_at } = burial;
        let (closing, gone) =
            tokio::join!(self.write_closing(session, end), self.remove_role(target, role, dead_at));
        let dead_at = gone?;
        closing?;
        let totals = match live {
            Some(live) => {
                // Its backends are gone, so its connections end by themselves.
                drop(timeout(LAST_WORDS, live.wait_idle()).await);
                live.counters.totals()
            }
            None => self.totals_on_record(session).await?,
        };
        let latency = Duration::try_from(dead_at.duration_since(end.at)).unwrap_or_default();
        let id = session.clone();
        self.store
            .write(move |tx| {
                let mut session = tx.session(id.as_str())?;
                if session.state == SessionState::Dead {
                    return Ok(());
                }
                session.state = SessionState::Dead;
                session.dead_at = Some(dead_at);
                session.totals = totals;
                tx.save_session(&session)?;
                let event = Event::SessionDead {
                    session: id,
                    role: session.role,
                    latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
                    totals,
                };
                tx.record(dead_at, &event)?;
                Ok::<_, AccessError>(())
            })
            .await?;
        self.wake();
        Ok(latency)
    }

    async fn remove_role(
        &self,
        target: &str,
        role: &str,
        dead_at: &mut Option<Timestamp>,
    ) -> Result<Timestamp, AccessError> {
        if let Some(dead_at) = *dead_at {
            return Ok(dead_at);
        }
        self.target(target)?.database.close_session(role).await?;
        Ok(*dead_at.insert(crate::os::now()))
    }

    async fn write_closing(&self, session: &SessionId, end: &End) -> Result<(), AccessError> {
        let (id, end) = (session.clone(), end.clone());
        self.store
            .write(move |tx| {
                let mut session = tx.session(id.as_str())?;
                if session.state < SessionState::Closing {
                    session.state = SessionState::Closing;
                    session.end = Some(end.reason);
                    session.ended_at = Some(end.at);
                    tx.save_session(&session)?;
                    tx.record(end.at, &Event::SessionEnding { session: id, reason: end.reason, by: end.by })?;
                }
                Ok::<_, AccessError>(())
            })
            .await?;
        self.wake();
        Ok(())
    }

    /// What the ledger says that a session of an earlier process did.
    async fn totals_on_record(&self, session: &SessionId) -> Result<Totals, AccessError> {
        self.index.catch_up(self.journal.last_written()).await?;
        let mut totals = Totals::default();
        let mut before = None;
        loop {
            let session = Some(session.to_string());
            let query = AuditQuery { session, before, limit: Some(1000), ..AuditQuery::default() };
            let page = self.index.statements(&query).await?;
            for row in &page {
                totals.statements += 1;
                totals.rows += row.rows;
                totals.bytes += row.bytes;
            }
            match page.last() {
                Some(row) => before = Some(row.seq),
                None => return Ok(totals),
            }
        }
    }

    /// Buries what an earlier process left: its sessions cannot be used any
    /// more, because their passwords went with it.
    pub async fn bury_leftovers(self: &Arc<Self>) -> Result<usize, AccessError> {
        let now = crate::os::now();
        let left: Vec<(Session, End)> = self
            .store
            .read(move |tx| {
                let with_end = |session: Session| {
                    let end = cause(&session, &tx.grant(session.grant.as_str())?, now);
                    Ok::<_, AccessError>((session, end))
                };
                tx.sessions(None, false, u32::MAX)?.into_iter().map(with_end).collect()
            })
            .await?;
        let count = left.len();
        for (session, end) in left {
            self.metrics.session_begun();
            let Session { id, role, target, .. } = session;
            let burial = Burial { session: id, role, target, end, live: None, dead_at: None };
            let access = Arc::clone(self);
            tokio::spawn(async move {
                let burial = access.bury(burial).await;
                access.probe(burial.dead()).await;
            });
        }
        Ok(count)
    }

    /// Ends a session of the caller's own and waits for the proof.
    pub async fn close_session(&self, caller: &Caller, id: String) -> Result<SessionSummary, AccessError> {
        let session = self.own_session(caller, &id).await?;
        let Some(live) = self.registry.find(&session.role) else {
            // It died before we looked, perhaps after its row was read.
            return Ok(summary(&self.own_session(caller, session.id.as_str()).await?));
        };
        let by = Actor::Person(caller.person.to_ref());
        live.finish(End::new(EndReason::Exit, by, crate::os::now()));
        let mut life = live.life();
        drop(timeout(PATIENCE, life.wait_for(|life| matches!(life, Life::Dead(..)))).await);
        let dead_after = match &*life.borrow() {
            Life::Dead(_, latency) => Some(*latency),
            Life::Open | Life::Ended(_) => None,
        };
        Ok(summary_of(&live, &live.wait_end().await, dead_after))
    }

    /// Lets no new session begin, ends every one and waits, within reason,
    /// until all are dead.
    pub async fn end_all(&self, patience: Duration) {
        self.stopping.store(true, Ordering::SeqCst);
        let all = self.registry.all();
        for live in &all {
            live.finish(End::new(EndReason::ServerStopped, Actor::System, crate::os::now()));
        }
        if timeout(patience, dead(&all)).await.is_err() {
            tracing::warn!("stopping before every session's role is gone; the next start removes the rest");
        }
    }
}

/// Resolves once the roles of all of them are gone. Cancel-safe.
pub(super) async fn dead(sessions: &[Arc<Live>]) {
    for live in sessions {
        drop(live.life().wait_for(|life| matches!(life, Life::Dead(..))).await);
    }
}

/// Why a session that an earlier process left is over.
fn cause(session: &Session, grant: &crate::core::model::Grant, now: Timestamp) -> End {
    if let (Some(reason), Some(at)) = (session.end, session.ended_at) {
        return End::new(reason, Actor::System, at);
    }
    match &grant.revoked {
        Some(revoked) => End::new(EndReason::Revoked, Actor::Person(revoked.by.clone()), revoked.at),
        None if session.until <= now => End::new(EndReason::Expired, Actor::System, session.until),
        None => End::new(EndReason::ServerStopped, Actor::System, now),
    }
}

/// An end, as a sentence for the person whose session it was.
pub(in crate::server) fn why(end: &End) -> String {
    let until = end.until.map(|until| format!(" until {until:.0}")).unwrap_or_default();
    match (end.reason, &end.by) {
        (EndReason::Exit, _) => "you ended the session".to_owned(),
        (EndReason::Expired, _) => "the grant's window has ended".to_owned(),
        (EndReason::Revoked, Actor::Person(person)) => format!("{} revoked the access", person.email),
        (EndReason::Revoked, Actor::System) => "the access was revoked".to_owned(),
        (EndReason::Lost, _) => "the client that held the session is gone".to_owned(),
        (EndReason::ServerStopped, _) => "the dbaccess server stopped".to_owned(),
        (EndReason::Suspended, Actor::Person(person)) => {
            format!("the target is suspended for a deploy{until}, by {}", person.email)
        }
        (EndReason::Suspended, Actor::System) => format!("the target is suspended for a deploy{until}"),
        (EndReason::Failed, _) => "the session could not be opened".to_owned(),
        (EndReason::IncidentOver, _) => "the incident does not stand for the access any more".to_owned(),
    }
}

fn summary(session: &Session) -> SessionSummary {
    let latency = session.dead_at.zip(session.ended_at).map(|(dead, ended)| dead.duration_since(ended));
    SessionSummary {
        session: session.id.clone(),
        reason: session.end.unwrap_or(EndReason::Exit),
        totals: session.totals,
        dead_after_ms: latency.and_then(|latency| u64::try_from(latency.as_millis()).ok()),
    }
}

pub(super) fn summary_of(live: &Live, end: &End, dead_after: Option<Duration>) -> SessionSummary {
    SessionSummary {
        session: live.permit.session.clone(),
        reason: end.reason,
        totals: live.counters.totals(),
        dead_after_ms: dead_after.and_then(|latency| u64::try_from(latency.as_millis()).ok()),
    }
}

/// Resolves with the end of the window, once it is there: it may move meanwhile.
async fn window_over(live: &Live) -> Timestamp {
    let mut window = live.window();
    loop {
        let until = *window.borrow_and_update();
        tokio::select! {
            // A move that came at the last moment counts.
            biased;
            changed = window.changed() => if changed.is_err() { return until },
            () = passed(until) => return until,
        }
    }
}

/// Resolves once the wall clock has reached `when`, however it was set meanwhile.
async fn passed(when: Timestamp) {
    loop {
        let left = when.duration_since(crate::os::now());
        if left <= SignedDuration::ZERO {
            return;
        }
        sleep(Duration::try_from(left).unwrap_or_default().min(LONGEST_NAP)).await;
    }
}
