//! Sessions: opened under a grant, and listed. Their hold is `holding`'s, their
//! end `ending`'s.
//!
//! ```text
//! open ── Live in the registry ─► Opening on record ─► role made ─► Open on record ─► the password
//! ```
//!
//! Whoever ends access at any point of this finds the session, in the state or
//! in the registry; what was made of it by then is removed.

use super::suspend::{refused, suspended};
use super::visible::{Loaded, Loading};
use super::{Access, AccessError, Caller, why};
use crate::core::guard::{Approved, Permit, Vocabulary};
use crate::core::model::{
    AccessRequest, Actor, Budget, Compared, EndReason, ErrorKind, Event, Grant, GrantId, RunState, Secret,
    Session, SessionId, SessionState, Totals,
};
use crate::core::profile::{Profile, session_role};
use crate::proto::{OpenSession, SessionOpened, SessionView, SessionsQuery};
use crate::server::gateway::{End, Keeping, Life, Live};
use crate::server::provision::{OpenSession as NewRole, SessionSettings};
use crate::server::recording::Recorder;
use crate::server::store::Tx;
use crate::wire::postgres::scram::{DEFAULT_ITERATIONS, Keys, SALT_BYTES, Verifier};
use jiff::Timestamp;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long the ledger may take to know of a session before it is given up.
const ON_RECORD: Duration = Duration::from_secs(10);

/// A session as it is going to be.
struct Plan {
    grant: Grant,
    session: Session,
    profile: Profile,
    vocabulary: Arc<Vocabulary>,
    budget: Budget,
    script: Option<Arc<Approved>>,
}

impl Access {
    /// Opens a session under one of the caller's live grants.
    ///
    /// Cancel-safety: the opening goes on by itself, so that a client that
    /// hangs up midway leaves no role that nobody watches over; the session
    /// then ends.
    pub async fn open_session(
        self: &Arc<Self>,
        caller: &Caller,
        open: OpenSession,
    ) -> Result<SessionOpened, AccessError> {
        let (answer, answered) = oneshot::channel();
        let (access, subject) = (Arc::clone(self), caller.person.subject.clone());
        tokio::spawn(async move {
            let opened = access.open(subject, open).await;
            if let Err(Ok(unheard)) = answer.send(opened)
                && let Some(live) = access.registry.find(&unheard.user)
            {
                live.finish(ended(EndReason::Lost));
            }
        });
        answered.await.map_err(|_| AccessError::internal("opening a session broke off"))?
    }

    async fn open(
        self: &Arc<Self>,
        subject: String,
        open: OpenSession,
    ) -> Result<SessionOpened, AccessError> {
        let now = crate::os::now();
        self.journal.health().map_err(|_| self.ledger_stuck())?;
        let plan = self.plan(&subject, &open, now).await?;
        let Plan { grant, session, profile, vocabulary, budget, script } = &plan;
        let password = Secret::from_random(crate::os::random());
        let keys = scram_keys(&Secret::from_random(crate::os::random()))?;
        let verifier = keys.verifier();
        let target = self.target(&grant.target)?;
        let recording = if session.recorded { Some(self.begin_recording(&session.id).await?) } else { None };
        let live = Arc::new(Live::new(
            Permit {
                session: session.id.clone(),
                grant: grant.id.clone(),
                person: grant.person.clone(),
                target: grant.target.clone(),
                scope: grant.scope.clone(),
                path: grant.path,
                until: grant.until,
                views: Arc::clone(profile.views()),
                vocabulary: Arc::clone(vocabulary),
                budget: *budget,
                script: script.clone(),
            },
            session.role.clone(),
            scram_keys(&password)?.verifier(),
            keys,
            Arc::clone(&target.way),
            u32::try_from(self.config.limits.connections_per_session).unwrap_or(u32::MAX),
            Keeping { recording, texts: self.text_sealer(&session.id)? },
        ));
        // Before it is on record: whoever reads of it there, to end it, finds it here.
        self.registry.insert(Arc::clone(&live));
        if let Err(error) = self.write_opening(&subject, &plan, now).await {
            self.registry.remove(&live.role);
            live.finish(ended(EndReason::Failed));
            live.bury(Duration::ZERO);
            live.end_recording();
            return Err(error);
        }
        self.metrics.session_begun();
        let held = self.holders.expect(&session.id);
        let made = self.make_role(grant, session, profile, &verifier).await;
        if made.is_err() {
            live.finish(ended(EndReason::Failed));
        }
        // An end that came meanwhile is seen at once, now that there is a role to remove.
        tokio::spawn(Arc::clone(self).keep(Arc::clone(&live), held, open.detached));
        made?;
        if let Err(error) = self.write_open(session).await {
            live.finish(ended(EndReason::Failed));
            return Err(error);
        }
        if !live.is_open() {
            let end = live.wait_end().await;
            let kind = match end.reason {
                EndReason::ServerStopped => ErrorKind::Unreachable,
                EndReason::Suspended => ErrorKind::Conflict,
                _ => ErrorKind::Expired,
            };
            return Err(AccessError::new(
                kind,
                format!("the session ended while it was opened: {}", why(&end)),
            ));
        }
        self.metrics.session_opened(crate::os::now().duration_since(now));
        let Plan { grant, session, .. } = plan;
        Ok(SessionOpened {
            session: session.id,
            grant: grant.id,
            target: grant.target,
            user: session.role,
            password: password.expose().to_owned(),
            database: target.way.to.database.clone(),
            until: grant.until,
            permissions: grant.scope.permissions,
            native: self.native_address(),
        })
    }

    async fn plan(&self, subject: &str, open: &OpenSession, now: Timestamp) -> Result<Plan, AccessError> {
        let asked = open.grant.to_string();
        let found = self.store.read(move |tx| tx.grants_named(&asked).map_err(AccessError::from)).await?;
        let grant = own(found, subject, &open.grant)?;
        usable(&grant, now)?;
        let request = grant.request.clone();
        let read = move |tx: &Tx<'_>| tx.request(request.as_str()).map_err(AccessError::from);
        let request = self.store.read(read).await?;
        let tier = request.decision.tier;
        let script = self.script_of(&grant, &request, open.detached).await?;
        let budget = self.config.budgets.of(tier, &grant.scope).with_rows(grant.limits.rows);
        let target = self.target(&grant.target)?;
        // Scripts change the very catalog, one after the other.
        let survey = match &script {
            Some(_) => target.refresh().await?,
            None => target.fresh_survey().await?,
        };
        let profile = target.database.profile(&grant.scope, &survey.catalog, &survey.classification);
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
            recorded: grant.is_recorded(),
            statements_pruned: None,
            recording_pruned: None,
        };
        Ok(Plan { grant, session, profile, vocabulary: Arc::clone(&survey.vocabulary), budget, script })
    }

    /// The script that a grant is for, unless there is nothing left of it to run.
    /// One session at a time runs it, so that the ledger tells where the next
    /// goes on; one whose client is gone makes room.
    async fn script_of(
        &self,
        grant: &Grant,
        request: &AccessRequest,
        detached: bool,
    ) -> Result<Option<Arc<Approved>>, AccessError> {
        let Some(of_grant) = &grant.script else { return Ok(None) };
        if detached {
            return Err(AccessError::usage(format!(
                "{} is for a script, which no session outlives",
                grant.id
            ))
            .hint(format!("run it: `dbaccess migrate {}`", request.id)));
        }
        let migration = request.migration.as_ref().filter(|script| script.sha256 == of_grant.sha256);
        let Some(migration) = migration else {
            return Err(AccessError::internal(format!(
                "{} is for a script that is not its request's",
                grant.id
            )));
        };
        self.make_room(grant).await?;
        let progress = self.progress(grant, migration).await?;
        let applied = |one: &Compared| matches!(one.state, RunState::Ran | RunState::RanTwice);
        if progress.statements.iter().all(applied) {
            let message = format!("the script {} was applied already, all of it", migration.name);
            return Err(AccessError::new(ErrorKind::Conflict, message).hint(format!(
                "`dbaccess audit compare {}` shows when; to change more, ask again",
                request.id
            )));
        }
        let behind = progress.statements.iter().take_while(|one| applied(one)).count();
        Ok(Some(Arc::new(Approved::of(migration, &request.id, behind))))
    }

    async fn make_room(&self, grant: &Grant) -> Result<(), AccessError> {
        let id = grant.id.clone();
        let others = self.store.read(move |tx| tx.sessions_of(&id).map_err(AccessError::from)).await?;
        for other in others {
            let Some(live) = self.registry.find(&other.role) else { continue };
            if live.is_open() && self.holders.is_held(&other.id) {
                return Err(busy(&other.id));
            }
            live.finish(ended(EndReason::Lost));
            let mut life = live.life();
            let gone = life.wait_for(|life| matches!(life, Life::Dead(..)));
            if timeout(ON_RECORD, gone).await.is_err() {
                return Err(busy(&other.id));
            }
        }
        Ok(())
    }

    /// The session is on record before its role exists: a crash between the
    /// two leaves a row that the next start sweeps.
    async fn write_opening(&self, subject: &str, plan: &Plan, now: Timestamp) -> Result<(), AccessError> {
        let Plan { session, profile, .. } = plan;
        if self.stopping.load(Ordering::SeqCst) {
            return Err(AccessError::new(ErrorKind::Unreachable, "the server is stopping"));
        }
        let (subject, session) = (subject.to_owned(), session.clone());
        let has_views = !profile.views().is_empty();
        let one_at_a_time = plan.script.is_some();
        let limit = self.config.limits.sessions_per_person;
        self.store
            .write(move |tx| {
                // Read again inside the transaction: a revocation may have come first.
                usable(&tx.grant(session.grant.as_str())?, now)?;
                // So may a suspension; one that comes later finds the session in the registry.
                if has_views && let Some(suspension) = suspended(tx, &session.target)? {
                    return Err(refused(&suspension));
                }
                if one_at_a_time && let Some(other) = tx.sessions_of(&session.grant)?.first() {
                    return Err(busy(&other.id));
                }
                // Those that a dead target keeps from ending do not count.
                let alive = |session: &&Session| session.state < SessionState::Closing;
                let open = tx.sessions(Some(&subject), false, u32::MAX)?.iter().filter(alive).count();
                if open >= limit {
                    return Err(AccessError::new(
                        ErrorKind::TooMany,
                        format!("you have {limit} open sessions, which is the limit"),
                    )
                    .hint("`dbaccess sessions --mine` lists them, `dbaccess revoke ID` ends one"));
                }
                tx.save_session(&session)?;
                let event = Event::SessionOpening {
                    session: session.id,
                    grant: session.grant,
                    person: session.person,
                    target: session.target,
                    role: session.role,
                    profile: session.profile,
                };
                tx.record(now, &event)?;
                Ok(())
            })
            .await?;
        self.wake();
        Ok(())
    }

    async fn make_role(
        &self,
        grant: &Grant,
        session: &Session,
        profile: &Profile,
        verifier: &Verifier,
    ) -> Result<(), AccessError> {
        let open = NewRole {
            role: &session.role,
            verifier: &Secret::new(verifier.to_postgres().as_str()),
            until: grant.until,
            profile,
            comment: &self.mark.comment(session),
            settings: SessionSettings {
                idle_in_transaction_timeout: self.config.limits.idle_in_transaction,
                ..SessionSettings::careful(
                    format!("{} {}", grant.person.email, session.id),
                    !grant.scope.writes() && !grant.scope.changes_schema(),
                    self.config.limits.statement_timeout,
                )
            },
            connection_limit: u16::try_from(self.config.limits.connections_per_session).unwrap_or(u16::MAX),
        };
        self.target(&grant.target)?.database.open_session(&open).await?;
        Ok(())
    }

    async fn write_open(&self, session: &Session) -> Result<(), AccessError> {
        let now = crate::os::now();
        let id = session.id.clone();
        self.store
            .write(move |tx| {
                let mut session = tx.session(id.as_str())?;
                // A revocation of the grant while the role was being made, or a renewal.
                let grant = tx.grant(session.grant.as_str())?;
                usable(&grant, now)?;
                session.until = grant.until;
                // One that has ended meanwhile stays ended.
                if session.state == SessionState::Opening {
                    session.state = SessionState::Open;
                    tx.save_session(&session)?;
                    tx.record(now, &Event::SessionOpened { session: id })?;
                }
                Ok::<_, AccessError>(())
            })
            .await?;
        // The ledger knows the session before its first statement.
        match timeout(ON_RECORD, self.outbox.flushed()).await {
            Ok(flushed) => Ok(flushed?),
            Err(_) => Err(self.ledger_stuck()),
        }
    }

    /// What must be recorded does not begin without its recording.
    async fn begin_recording(&self, session: &SessionId) -> Result<Arc<Recorder>, AccessError> {
        self.recordings.begin(session).await.map_err(|error| {
            tracing::error!(%session, %error, "no session can be opened: its recording cannot be written");
            AccessError::new(
                ErrorKind::Unreachable,
                "the server cannot write this session's recording at the moment, so it does not open it",
            )
            .hint("`dbaccess doctor` says more; tell the people who run dbaccess")
        })
    }

    /// No statement would get through, so no session is opened.
    fn ledger_stuck(&self) -> AccessError {
        let why =
            self.journal.health().err().map_or_else(|| "it is slow".to_owned(), |error| error.to_string());
        tracing::error!(%why, "no session can be opened: the ledger is not being written");
        AccessError::new(
            ErrorKind::Unreachable,
            "the server cannot record sessions at the moment, so it opens none",
        )
        .hint("`dbaccess doctor` says more; tell the people who run dbaccess")
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
                let mut loading = Loading::new(tx);
                tx.sessions(subject.as_deref(), query.all, 500)?
                    .into_iter()
                    .map(|session| {
                        let grant = tx.grant(session.grant.as_str())?;
                        let loaded = loading.of(tx.request(grant.request.as_str())?)?;
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
                path: grant.path,
                scope: grant.scope.to_string(),
                reason: loaded.request.reason,
                session,
            }
        };
        Ok(rows.into_iter().map(view).collect())
    }

    pub(super) async fn own_session(&self, caller: &Caller, id: &str) -> Result<Session, AccessError> {
        let session = self.find_session(caller, id).await?;
        if session.person.subject != caller.person.subject {
            return Err(AccessError::not_found(format!("no session of yours begins with {id}")));
        }
        Ok(session)
    }
}

fn busy(session: &SessionId) -> AccessError {
    let message = format!("{session} is running this script: one session at a time does");
    AccessError::new(ErrorKind::Conflict, message)
        .hint(format!("wait for its end, or end it: `dbaccess revoke {session}`"))
}

fn ended(reason: EndReason) -> End {
    End::new(reason, Actor::System, crate::os::now())
}

/// The passwords are 256 random bits, so more rounds would only cost time.
pub(super) fn scram_keys(password: &Secret) -> Result<Keys, AccessError> {
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
