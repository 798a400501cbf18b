//! Sessions: opened under a grant, held by a client, ended once, buried for certain.
//!
//! ```text
//! open ── Opening on record ─► role made ─► Open ─► Live in the registry
//!                                                     │ exit, expiry, revocation, client gone
//!                                                     ▼
//!                     connections cut ─► Closing ─► role removed, retried for ever ─► Dead
//! ```

use super::visible::Loaded;
use super::{Access, AccessError, Caller};
use crate::core::guard::Permit;
use crate::core::model::{
    Actor, EndReason, ErrorKind, Event, Grant, GrantId, Secret, Session, SessionId, SessionState, Totals,
};
use crate::core::profile::session_role;
use crate::proto::{OpenSession, SessionEvent, SessionOpened, SessionSummary, SessionView, SessionsQuery};
use crate::server::gateway::{End, Life, Live};
use crate::server::provision::{OpenSession as NewRole, SessionSettings};
use crate::server::store::StoreError;
use crate::wire::postgres::scram::{DEFAULT_ITERATIONS, Keys, SALT_BYTES, Verifier};
use futures_util::Stream;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// How long a session outlives the client that held it: long enough to change a
/// network, short enough that a killed client's session is soon gone.
const GRACE: Duration = Duration::from_secs(10);
/// How often a held session is told that all is well.
const TICK: Duration = Duration::from_secs(3);
/// How long the wall clock may jump unnoticed before an expiry is seen.
const LONGEST_NAP: Duration = Duration::from_secs(5);
/// How long a client that ends its session waits for the proof.
const PATIENCE: Duration = Duration::from_secs(15);
/// Pause after a failed removal of a role: doubled each time, up to the last.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(15));

/// Who holds the open sessions.
#[derive(Default)]
pub(super) struct Holders(Mutex<HashMap<SessionId, watch::Sender<u32>>>);

/// A client's hold on a session, for as long as this lives.
pub struct Holder(watch::Sender<u32>);

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

impl Holders {
    fn of(&self, session: &SessionId) -> watch::Sender<u32> {
        let mut holders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        holders.entry(session.clone()).or_insert_with(|| watch::Sender::new(0)).clone()
    }

    fn forget(&self, session: &SessionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }
}

impl Access {
    /// Opens a session under one of the caller's live grants.
    pub async fn open_session(
        self: &Arc<Self>,
        caller: &Caller,
        open: OpenSession,
    ) -> Result<SessionOpened, AccessError> {
        let now = crate::os::now();
        let (grant, session) = self.write_opening(caller, &open, now).await?;
        let password = Secret::from_random(crate::os::random());
        let keys = scram_keys(&Secret::from_random(crate::os::random()))?;
        if let Err(error) = self.make_role(&grant, &session, &keys.verifier()).await {
            self.give_up(session).await;
            return Err(error);
        }
        let target = self.target(&grant.target)?;
        let live = Arc::new(Live::new(
            Permit {
                session: session.id.clone(),
                grant: grant.id.clone(),
                person: grant.person.clone(),
                target: grant.target.clone(),
                scope: grant.scope.clone(),
                path: grant.path,
                until: grant.until,
            },
            session.role.clone(),
            scram_keys(&password)?.verifier(),
            keys,
            Arc::clone(&target.upstream),
            u32::try_from(self.config.limits.connections_per_session).unwrap_or(u32::MAX),
        ));
        self.registry.insert(Arc::clone(&live));
        tokio::spawn(Arc::clone(self).keep(Arc::clone(&live), open.detached));
        // Only now: whoever revokes the grant before this transaction is seen by
        // it, and whoever revokes it afterwards finds the live session.
        if let Err(error) = self.write_open(&session).await {
            live.finish(End { reason: EndReason::Failed, by: Actor::System, at: crate::os::now() });
            return Err(error);
        }
        self.metrics.session_opened(crate::os::now().duration_since(now));
        Ok(SessionOpened {
            session: session.id,
            grant: grant.id,
            target: grant.target,
            user: session.role,
            password: password.expose().to_owned(),
            database: target.upstream.database.clone(),
            until: grant.until,
            permissions: grant.scope.permissions,
            native: self.native_address(),
        })
    }

    /// The session is on record before its role exists: a crash between the
    /// two leaves a row that the next start sweeps.
    async fn write_opening(
        &self,
        caller: &Caller,
        open: &OpenSession,
        now: Timestamp,
    ) -> Result<(Grant, Session), AccessError> {
        let asked = open.grant.to_string();
        let subject = caller.person.subject.clone();
        let limit = self.config.limits.sessions_per_person;
        let found = self.store.read(move |tx| tx.grants_named(&asked).map_err(AccessError::from)).await?;
        let grant = own(found, &subject, &open.grant)?;
        let target = self.target(&grant.target)?;
        let catalog = target.fresh_catalog().await?;
        let profile = target.database.profile(&grant.scope, &catalog);
        let session = Session {
            id: SessionId::from_random(crate::os::random()),
            grant: grant.id.clone(),
            person: grant.person.clone(),
            target: grant.target.clone(),
            role: session_role(crate::os::random()),
            profile: profile.name().to_owned(),
            state: SessionState::Opening,
            opened_at: now,
            until: grant.until,
            end: None,
            ended_at: None,
            dead_at: None,
            totals: Totals::default(),
        };
        let written = session.clone();
        let grant = self
            .store
            .write(move |tx| {
                // Read again inside the transaction: a revocation may have come first.
                let grant = tx.grant(grant.id.as_str())?;
                usable(&grant, now)?;
                let open = tx.sessions(Some(&subject), false, u32::MAX)?.len();
                if open >= limit {
                    return Err(AccessError::new(
                        ErrorKind::TooMany,
                        format!("you have {limit} open sessions, which is the limit"),
                    )
                    .hint("`dbaccess sessions --mine` lists them, `dbaccess revoke ID` ends one"));
                }
                tx.save_session(&written)?;
                let event = Event::SessionOpening {
                    session: written.id.clone(),
                    grant: grant.id.clone(),
                    person: grant.person.clone(),
                    target: grant.target.clone(),
                    role: written.role.clone(),
                    profile: written.profile.clone(),
                };
                tx.record(now, &event)?;
                Ok(grant)
            })
            .await?;
        self.outbox.wake();
        Ok((grant, session))
    }

    async fn make_role(
        &self,
        grant: &Grant,
        session: &Session,
        verifier: &Verifier,
    ) -> Result<(), AccessError> {
        let target = self.target(&grant.target)?;
        let catalog = target.fresh_catalog().await?;
        let profile = target.database.profile(&grant.scope, &catalog);
        let open = NewRole {
            role: &session.role,
            verifier: &Secret::new(verifier.to_postgres().as_str()),
            until: grant.until,
            profile: &profile,
            comment: &format!("dbaccess {} of {} under {}", session.id, grant.person.email, grant.id),
            settings: SessionSettings::careful(
                format!("{} {}", grant.person.email, session.id),
                !grant.scope.writes(),
            ),
            connection_limit: u16::try_from(self.config.limits.connections_per_session).unwrap_or(u16::MAX),
        };
        target.database.open_session(&open).await?;
        Ok(())
    }

    async fn write_open(&self, session: &Session) -> Result<(), AccessError> {
        let now = crate::os::now();
        let id = session.id.clone();
        self.store
            .write(move |tx| {
                let mut session = tx.session(id.as_str())?;
                // A revocation of the grant while the role was being made.
                usable(&tx.grant(session.grant.as_str())?, now)?;
                session.state = SessionState::Open;
                tx.save_session(&session)?;
                tx.record(now, &Event::SessionOpened { session: id })?;
                Ok::<_, AccessError>(())
            })
            .await?;
        // The ledger knows the session before its first statement.
        self.outbox.flushed().await
    }

    /// A session that could not be opened: whatever was made of it is removed.
    async fn give_up(self: &Arc<Self>, session: Session) {
        let end = End { reason: EndReason::Failed, by: Actor::System, at: crate::os::now() };
        tokio::spawn(Arc::clone(self).bury(session.id, end, None));
    }

    /// Watches over one live session until it is dead.
    async fn keep(self: Arc<Self>, live: Arc<Live>, detached: bool) {
        let holders = self.holders.of(&live.permit.session);
        let at = |reason, at| End { reason, by: Actor::System, at };
        tokio::select! {
            _ = live.wait_end() => {}
            () = passed(live.permit.until) => live.finish(at(EndReason::Expired, live.permit.until)),
            () = abandoned(holders, GRACE), if !detached => {
                live.finish(at(EndReason::Lost, crate::os::now()));
            }
        }
        let end = live.wait_end().await;
        let session = live.permit.session.clone();
        Arc::clone(&self).bury(session.clone(), end, Some(&live)).await;
        self.registry.remove(&live.role);
        self.holders.forget(&session);
    }

    /// Takes an ended session to its grave: each step is idempotent, and a step
    /// that fails is tried again for ever (G5).
    pub async fn bury(self: Arc<Self>, session: SessionId, end: End, live: Option<&Live>) {
        let mut pause = RETRY.0;
        loop {
            match self.try_bury(&session, &end, live).await {
                Ok(latency) => {
                    if let Some(live) = live {
                        live.bury(latency);
                    }
                    self.metrics.session_dead(latency);
                    return;
                }
                Err(error) => {
                    self.metrics.revocation_failed();
                    tracing::warn!(%session, %error, retry_in = ?pause, "a session's role is not gone yet");
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY.1);
                }
            }
        }
    }

    async fn try_bury(
        &self,
        session: &SessionId,
        end: &End,
        live: Option<&Live>,
    ) -> Result<Duration, AccessError> {
        let closing = self.write_closing(session, end).await;
        // The role must go even if the state cannot be written just now.
        let (role, target) = match (&closing, live) {
            (Ok(session), _) => (session.role.clone(), session.target.clone()),
            (Err(_), Some(live)) => (live.role.clone(), live.permit.target.clone()),
            (Err(error), None) => return Err(AccessError::new(error.kind, error.message.clone())),
        };
        self.target(&target)?.database.close_session(&role).await?;
        let dead_at = crate::os::now();
        closing?;
        if let Some(live) = live {
            // Its backends are gone, so its connections end by themselves.
            drop(tokio::time::timeout(Duration::from_secs(5), live.wait_idle()).await);
        }
        let latency = Duration::try_from(dead_at.duration_since(end.at)).unwrap_or_default();
        let totals = live.map(|live| live.counters.totals());
        let id = session.clone();
        self.store
            .write(move |tx| {
                let mut session = tx.session(id.as_str())?;
                session.state = SessionState::Dead;
                session.dead_at = Some(dead_at);
                session.totals = totals.unwrap_or(session.totals);
                tx.save_session(&session)?;
                let event = Event::SessionDead {
                    session: id,
                    role: session.role,
                    latency_ms: u64::try_from(latency.as_millis()).unwrap_or(u64::MAX),
                    totals: session.totals,
                };
                tx.record(dead_at, &event)
            })
            .await
            .map_err(|error: StoreError| AccessError::from(error))?;
        self.outbox.wake();
        Ok(latency)
    }

    async fn write_closing(&self, session: &SessionId, end: &End) -> Result<Session, AccessError> {
        let (id, end) = (session.clone(), end.clone());
        let session = self
            .store
            .write(move |tx| {
                let mut session = tx.session(id.as_str())?;
                if session.state < SessionState::Closing {
                    session.state = SessionState::Closing;
                    session.end = Some(end.reason);
                    session.ended_at = Some(end.at);
                    tx.save_session(&session)?;
                    tx.record(end.at, &Event::SessionEnding { session: id, reason: end.reason, by: end.by })?;
                }
                Ok::<_, AccessError>(session)
            })
            .await?;
        self.outbox.wake();
        Ok(session)
    }

    /// Buries what an earlier process left: its sessions cannot be used any
    /// more, because their passwords went with it.
    pub async fn bury_leftovers(self: &Arc<Self>) -> Result<usize, AccessError> {
        let left =
            self.store.read(|tx| tx.sessions(None, false, u32::MAX).map_err(AccessError::from)).await?;
        let count = left.len();
        for session in left {
            let end = End {
                reason: session.end.unwrap_or(EndReason::ServerStopped),
                by: Actor::System,
                at: session.ended_at.unwrap_or_else(crate::os::now),
            };
            tokio::spawn(Arc::clone(self).bury(session.id, end, None));
        }
        Ok(count)
    }

    /// Ends a session of the caller's own and waits for the proof.
    pub async fn close_session(&self, caller: &Caller, id: String) -> Result<SessionSummary, AccessError> {
        let session = self.own_session(caller, &id).await?;
        let Some(live) = self.registry.find(&session.role) else { return Ok(summary(&session)) };
        live.finish(End {
            reason: EndReason::Exit,
            by: Actor::Person(caller.person.to_ref()),
            at: crate::os::now(),
        });
        let mut life = live.life();
        let dead = life.wait_for(|life| matches!(life, Life::Dead(..)));
        let end = live.wait_end().await;
        let dead_after = match tokio::time::timeout(PATIENCE, dead).await {
            Ok(Ok(life)) => match &*life {
                Life::Dead(_, latency) => Some(*latency),
                Life::Open | Life::Ended(_) => None,
            },
            _ => None,
        };
        Ok(summary_of(&live, &end, dead_after))
    }

    /// The stream of a session's events; while it is held, so is the session.
    pub async fn hold(
        &self,
        caller: &Caller,
        id: String,
    ) -> Result<impl Stream<Item = SessionEvent> + Send + 'static, AccessError> {
        let session = self.own_session(caller, &id).await?;
        let live = self.registry.find(&session.role).ok_or_else(|| {
            AccessError::new(ErrorKind::Expired, format!("{} has ended", session.id))
                .hint("`dbaccess connect` opens a new one while the grant lasts")
        })?;
        let held = self.holders.of(&session.id);
        held.send_modify(|held| *held += 1);
        let life = live.life();
        Ok(futures_util::stream::unfold(
            Some(Watching {
                live,
                life,
                said_ending: false,
                next_tick: Instant::now(),
                _holder: Holder(held),
            }),
            |watching| async move { Watching::next(watching?).await },
        ))
    }

    pub async fn sessions(
        &self,
        caller: &Caller,
        query: SessionsQuery,
    ) -> Result<Vec<SessionView>, AccessError> {
        let subject = query.mine.then(|| caller.person.subject.clone());
        let mut rows = self
            .store
            .read(move |tx| {
                tx.sessions(subject.as_deref(), query.all, 500)?
                    .into_iter()
                    .map(|session| {
                        let grant = tx.grant(session.grant.as_str())?;
                        let loaded = Loaded::of(tx, tx.request(grant.request.as_str())?)?;
                        Ok::<_, AccessError>((session, grant, loaded))
                    })
                    .collect::<Result<Vec<_>, _>>()
            })
            .await?;
        rows.retain(|(_, _, loaded)| self.concerns(caller, loaded));
        let view = |(mut session, grant, loaded): (Session, Grant, Loaded)| {
            let live = self.registry.find(&session.role);
            if let Some(live) = &live {
                session.totals = live.counters.totals();
            }
            SessionView {
                connections: live.map_or(0, |live| live.connections()),
                scope: grant.scope.to_string(),
                reason: loaded.request.reason,
                session,
            }
        };
        Ok(rows.into_iter().map(view).collect())
    }

    async fn own_session(&self, caller: &Caller, id: &str) -> Result<Session, AccessError> {
        let session = self.find_session(caller, id).await?;
        if session.person.subject != caller.person.subject {
            return Err(AccessError::not_found(format!("no session of yours begins with {id}")));
        }
        Ok(session)
    }

    /// Removes session roles that this server knows nothing of: made by a
    /// process that died between the two, or restored from a backup.
    pub async fn sweep(&self, target: &str) -> Result<(), AccessError> {
        let database = &self.target(target)?.database;
        // Read before the catalog is asked: a session opened in between is on record first.
        let known: Vec<Session> =
            self.store.read(|tx| tx.sessions(None, false, u32::MAX).map_err(AccessError::from)).await?;
        let mut in_use: Vec<String> = known.iter().map(|session| session.profile.clone()).collect();
        for role in database.managed_roles().await? {
            let name = role.name.clone();
            let now_known = self
                .store
                .read(move |tx| tx.sessions(None, false, u32::MAX).map_err(AccessError::from))
                .await?;
            in_use.extend(now_known.iter().map(|session| session.profile.clone()));
            if now_known.iter().any(|session| session.role == name) {
                continue;
            }
            database.close_session(&role.name).await?;
            tracing::warn!(target = %target, role = %role.name, "swept a role that belonged to no session");
            let event = Event::RoleSwept { target: target.to_owned(), role: role.name };
            self.store
                .write(move |tx| tx.record(crate::os::now(), &event).map_err(AccessError::from))
                .await?;
            self.outbox.wake();
        }
        for profile in database.managed_profiles().await? {
            if profile.members == 0 && !in_use.contains(&profile.name) {
                database.drop_profile(&profile.name).await?;
            }
        }
        Ok(())
    }

    /// Ends every session and waits, within reason, until all are dead.
    pub async fn end_all(&self, patience: Duration) {
        let all = self.registry.all();
        for live in &all {
            live.finish(End { reason: EndReason::ServerStopped, by: Actor::System, at: crate::os::now() });
        }
        let dead = async {
            for live in &all {
                drop(live.life().wait_for(|life| matches!(life, Life::Dead(..))).await);
            }
        };
        if tokio::time::timeout(patience, dead).await.is_err() {
            tracing::warn!("stopping before every session's role is gone; the next start removes the rest");
        }
    }
}

/// One holder's view of a session.
struct Watching {
    live: Arc<Live>,
    life: watch::Receiver<Life>,
    said_ending: bool,
    next_tick: Instant,
    _holder: Holder,
}

impl Watching {
    async fn next(mut self) -> Option<(SessionEvent, Option<Self>)> {
        loop {
            let life = self.life.borrow_and_update().clone();
            match life {
                Life::Open => {}
                Life::Ended(end) if !self.said_ending => {
                    self.said_ending = true;
                    let event = SessionEvent::Ending { reason: end.reason, message: why(&end) };
                    return Some((event, Some(self)));
                }
                Life::Ended(_) => {}
                Life::Dead(end, latency) => {
                    return Some((SessionEvent::Dead(summary_of(&self.live, &end, Some(latency))), None));
                }
            }
            tokio::select! {
                changed = self.life.changed() => changed.ok()?,
                () = tokio::time::sleep_until(self.next_tick) => {
                    self.next_tick = Instant::now() + TICK;
                    let event = SessionEvent::Tick { now: crate::os::now(), until: self.live.permit.until };
                    return Some((event, Some(self)));
                }
            }
        }
    }
}

/// An end, as a sentence for the person whose session it was.
pub(in crate::server) fn why(end: &End) -> String {
    match (end.reason, &end.by) {
        (EndReason::Exit, _) => "you ended the session".to_owned(),
        (EndReason::Expired, _) => "the grant's window has ended".to_owned(),
        (EndReason::Revoked, Actor::Person(person)) => format!("{} revoked the access", person.email),
        (EndReason::Revoked, Actor::System) => "the access was revoked".to_owned(),
        (EndReason::Lost, _) => "the client that held the session is gone".to_owned(),
        (EndReason::ServerStopped, _) => "the dbaccess server stopped".to_owned(),
        (EndReason::Failed, _) => "the session could not be opened".to_owned(),
    }
}

/// The passwords are 256 random bits, so more rounds would only cost time.
fn scram_keys(password: &Secret) -> Result<Keys, AccessError> {
    Keys::derive(password.expose(), &crate::os::random::<SALT_BYTES>(), DEFAULT_ITERATIONS)
        .map_err(|error| AccessError::internal(error.to_string()))
}

/// The one of a person's own grants that was named; other people's do not exist here.
fn own(found: Vec<Grant>, subject: &str, asked: &GrantId) -> Result<Grant, AccessError> {
    let mut own = found.into_iter().filter(|grant| grant.person.subject == subject);
    match (own.next(), own.next()) {
        (Some(grant), None) => Ok(grant),
        (None, _) => Err(AccessError::not_found(format!("no grant of yours begins with {asked}"))),
        (Some(_), Some(_)) => {
            Err(AccessError::usage(format!("{asked} fits several of your grants: write more of it")))
        }
    }
}

fn usable(grant: &Grant, now: Timestamp) -> Result<(), AccessError> {
    if let Some(revoked) = &grant.revoked {
        return Err(AccessError::new(
            ErrorKind::Expired,
            format!("{} was revoked by {} at {}", grant.id, revoked.by.email, revoked.at),
        )
        .hint("ask again: `dbaccess request`"));
    }
    if !grant.is_live(now) {
        return Err(AccessError::new(ErrorKind::Expired, format!("{} ended at {}", grant.id, grant.until))
            .hint("ask again: `dbaccess request`"));
    }
    Ok(())
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

fn summary_of(live: &Live, end: &End, dead_after: Option<Duration>) -> SessionSummary {
    SessionSummary {
        session: live.permit.session.clone(),
        reason: end.reason,
        totals: live.counters.totals(),
        dead_after_ms: dead_after.and_then(|latency| u64::try_from(latency.as_millis()).ok()),
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

/// Resolves once nobody has held the session for the whole grace.
async fn abandoned(holders: watch::Sender<u32>, grace: Duration) {
    let mut held = holders.subscribe();
    loop {
        drop(held.wait_for(|n| *n == 0).await);
        if tokio::time::timeout(grace, held.wait_for(|n| *n > 0)).await.is_err() {
            return;
        }
    }
}
