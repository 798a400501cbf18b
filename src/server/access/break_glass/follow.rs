//! Following incidents: their systems are asked while access goes on because of
//! them, and what they say moves the window or ends it (R8.3).
//!
//! ```text
//! every poll, and when little is left ─► ask ─► core::break_glass::next ─► one transaction ─► sessions
//! ```
//!
//! The transaction reads the grant again and decides again: a revocation that
//! came while the system was asked goes before a renewal.

use super::{Access, AccessError, Pending, told};
use crate::core::break_glass::{self, Answer, Step};
use crate::core::model::{
    Actor, BreakGlass, BreakGlassEndReason, Decision, EndReason, Grant, GrantId, IncidentFact, Tier,
};
use crate::server::gateway::{End, Live};
use crate::server::store::Tx;
use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Incidents that are asked for at a time.
const AT_ONCE: usize = 8;
/// Between two looks, however often something happens.
const PAUSE: Duration = Duration::from_millis(100);
/// After a failure of our own.
const RETRY: Duration = Duration::from_secs(5);
/// The longest sleep: the wall clock may jump.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// When the system of each live use was asked last, and will be next.
#[derive(Default)]
struct Asked(HashMap<GrantId, (Timestamp, Timestamp)>);

/// What a transaction made of one.
enum Done {
    Nothing,
    Moved(Box<Grant>),
    Ended(BreakGlassEndReason),
}

impl Access {
    /// Runs for ever.
    pub async fn follow_incidents(self: Arc<Self>) {
        let (noticed, mut asked, mut said) = (self.noticed(), Asked::default(), String::new());
        loop {
            let happened = noticed.notified();
            tokio::pin!(happened);
            // What happens from here on is not missed.
            happened.as_mut().enable();
            let nap = match self.tend_break_glass(&mut asked).await {
                Ok(next) => {
                    said.clear();
                    let left = next.map(|next| Duration::try_from(next.duration_since(crate::os::now())));
                    left.map_or(LONGEST_NAP, Result::unwrap_or_default).min(LONGEST_NAP)
                }
                Err(error) => {
                    let message = error.to_string();
                    if message != said {
                        tracing::warn!(error = %message, "incidents are not followed; trying again");
                        said = message;
                    }
                    RETRY
                }
            };
            tokio::time::sleep(PAUSE).await;
            drop(tokio::time::timeout(nap, happened).await);
        }
    }

    /// Does what is due, and says when something is due next.
    async fn tend_break_glass(self: &Arc<Self>, asked: &mut Asked) -> Result<Option<Timestamp>, AccessError> {
        let pending = self.store.read(|tx| Pending::all(tx).map_err(AccessError::from)).await?;
        asked.0.retain(|grant, _| pending.iter().any(|one| one.glass.grant == *grant));
        let (now, rules) = (crate::os::now(), self.config.break_glass.rules);
        if pending.iter().any(|one| one.is_overdue(now)) {
            self.tell_overdue().await?;
        }
        let (mut due, mut next) = (Vec::new(), None::<Timestamp>);
        for one in pending {
            let Pending { glass, grant } = &one;
            let moments = break_glass::moments(glass, grant, &rules);
            if glass.ended.is_some() {
                // Only its confirmation is waited for.
                next = moments.into_iter().filter(|at| *at > now).chain(next).min();
                continue;
            }
            self.move_windows(grant).await;
            let (last, then) =
                *asked.0.entry(grant.id.clone()).or_insert_with(|| self.first_asked(glass, now));
            let passed = |at: &Timestamp| last < *at && *at <= now;
            let ask = then <= now || moments.iter().any(passed);
            let then = if ask { after(now, self.jittered()) } else { then };
            asked.0.insert(grant.id.clone(), (if ask { now } else { last }, then));
            next = moments.into_iter().chain([then]).filter(|at| *at > now).chain(next).min();
            if ask || grant.revoked.is_some() {
                due.push(one);
            }
        }
        let work = due.into_iter().map(|one| {
            let access = Arc::clone(self);
            async move { access.follow(one).await }
        });
        let done: Vec<Result<(), AccessError>> =
            futures_util::stream::iter(work).buffer_unordered(AT_ONCE).collect().await;
        done.into_iter().collect::<Result<(), _>>()?;
        Ok(next)
    }

    /// One that was just opened has been asked for; one of an earlier process has not.
    fn first_asked(&self, glass: &BreakGlass, now: Timestamp) -> (Timestamp, Timestamp) {
        let fresh = now.duration_since(glass.opened_at) < SignedDuration::from_secs(1);
        (glass.opened_at, if fresh { after(glass.opened_at, self.jittered()) } else { now })
    }

    /// The time between two questions, off by up to a tenth, so that a restart
    /// does not have them all asked at once for ever.
    fn jittered(&self) -> Duration {
        let [byte] = crate::os::random::<1>();
        self.config.break_glass.poll.mul_f64(0.9 + 0.2 * f64::from(byte) / 255.0)
    }

    /// Asks, decides, writes it down, and does it.
    async fn follow(self: &Arc<Self>, one: Pending) -> Result<(), AccessError> {
        let Pending { glass, grant } = one;
        let services = self.services_of(&glass);
        let over = grant.revoked.is_some() || grant.until <= crate::os::now();
        let answer = if over { None } else { Some(self.incidents.ask(&glass.incident.id).await) };
        let (now, rules) = (crate::os::now(), self.config.break_glass.rules);
        let decision = match break_glass::next(&glass, &grant, answer.as_ref(), &services, now, &rules) {
            Step::Keep => return Ok(()),
            Step::Renew { confirmed, .. } => self.renewal(&glass, &grant, confirmed).await?,
            Step::End(_) => None,
        };
        let (access, id) = (Arc::clone(self), grant.id.clone());
        let done = self
            .store
            .write(move |tx| access.take_step(tx, &id, answer.as_ref(), &services, decision.as_ref()))
            .await?;
        match done {
            Done::Nothing => {}
            Done::Moved(grant) => {
                self.wake();
                self.move_windows(&grant).await;
            }
            Done::Ended(why) => {
                self.wake();
                let reason = match why {
                    BreakGlassEndReason::Revoked => EndReason::Revoked,
                    BreakGlassEndReason::WindowEnded => EndReason::Expired,
                    _ => EndReason::IncidentOver,
                };
                for live in self.live_under(&grant.id) {
                    live.finish(End::new(reason, Actor::System, crate::os::now()));
                }
            }
        }
        Ok(())
    }

    /// One step, in the transaction that holds the grant.
    fn take_step(
        &self,
        tx: &Tx<'_>,
        id: &GrantId,
        answer: Option<&Answer>,
        services: &BTreeSet<String>,
        decision: Option<&Decision>,
    ) -> Result<Done, AccessError> {
        let (now, rules) = (crate::os::now(), self.config.break_glass.rules);
        let Some(mut glass) = tx.break_glass(id)?.filter(|glass| glass.ended.is_none()) else {
            return Ok(Done::Nothing);
        };
        let mut grant = tx.grant(id.as_str())?;
        match break_glass::next(&glass, &grant, answer, services, now, &rules) {
            Step::Keep => Ok(Done::Nothing),
            Step::Renew { until, confirmed } => {
                let Some(decision) = decision else { return Ok(Done::Nothing) };
                break_glass::renew(&mut glass, &mut grant, (until, confirmed), &decision.slots, now, &rules)?;
                tx.save_grant(&grant)?;
                tx.save_break_glass(&glass)?;
                for mut session in tx.sessions_of(id)? {
                    session.until = until;
                    tx.save_session(&session)?;
                }
                let (event, notice) = told::renewed(&glass, &grant, confirmed, decision.policy.clone());
                self.notices.tell(tx, now, &event, &notice)?;
                Ok(Done::Moved(Box::new(grant)))
            }
            Step::End(why) => {
                break_glass::end(&mut glass, &mut grant, why, now);
                tx.save_grant(&grant)?;
                tx.save_break_glass(&glass)?;
                let (event, notice) = told::ended(&glass, why);
                self.notices.tell(tx, now, &event, &notice)?;
                self.open_review(tx, &grant, now)?;
                Ok(Done::Ended(why))
            }
        }
    }

    /// What policy says to a renewal; `None` where it says no. The person's
    /// teams and roles are those of today.
    async fn renewal(
        &self,
        glass: &BreakGlass,
        grant: &Grant,
        confirmed: bool,
    ) -> Result<Option<Decision>, AccessError> {
        let subject = glass.person.subject.clone();
        let identity = self.store.read(move |tx| tx.person(&subject).map_err(AccessError::from)).await?;
        let Some(identity) = identity else { return Ok(None) };
        let person = self.config.directory.person(&identity);
        let state = self.target(&glass.target)?;
        let survey = match state.cached() {
            Some(survey) => survey,
            None => state.survey().await?,
        };
        let incident = if confirmed { IncidentFact::Confirmed } else { IncidentFact::Unconfirmed };
        let on_call = self.on_call(&person, state).await;
        let decision = self.emergency(&person, state, &grant.scope, &survey, (on_call, incident));
        // What was unmasked cannot be masked under a running session.
        let unmasked = decision.limits.masked && !grant.scope.unmask.is_empty();
        if decision.tier != Tier::BreakGlass || unmasked {
            tracing::warn!(grant = %grant.id, why = %decision.why, unmasked, "policy does not renew a break-glass");
            return Ok(None);
        }
        Ok(Some(decision))
    }

    fn services_of(&self, glass: &BreakGlass) -> BTreeSet<String> {
        let service = self.target(&glass.target).ok().and_then(|state| state.target.service.clone());
        let found = service.and_then(|service| self.incidents.services(glass.incident.id.system, &service));
        found.cloned().unwrap_or_default()
    }

    fn live_under(&self, grant: &GrantId) -> Vec<Arc<Live>> {
        let all = self.registry.all().into_iter();
        all.filter(|live| live.permit.grant == *grant && live.is_open()).collect()
    }

    /// Has the sessions of a grant end with it, however it was moved, and their
    /// roles after them. What fails is tried again with the next look.
    async fn move_windows(&self, grant: &Grant) {
        if grant.revoked.is_some() {
            return;
        }
        for live in self.live_under(&grant.id) {
            live.extend(grant.until);
            if live.backstop() >= grant.until {
                continue;
            }
            let Ok(state) = self.target(&grant.target) else { continue };
            match state.database.extend_session(&live.role, grant.until).await {
                // Without the role there is nothing to move: it is being made, or removed.
                Ok(moved) if moved => live.set_backstop(grant.until),
                Ok(_) => {}
                Err(error) => {
                    let role = &live.role;
                    tracing::warn!(%role, %error, "a renewed session's role keeps its old end for now");
                }
            }
        }
    }

    /// Says, once for each, that nobody has confirmed it in time.
    async fn tell_overdue(self: &Arc<Self>) -> Result<(), AccessError> {
        let access = Arc::clone(self);
        self.store
            .write(move |tx| {
                let now = crate::os::now();
                for Pending { mut glass, .. } in
                    Pending::all(tx)?.into_iter().filter(|one| one.is_overdue(now))
                {
                    if let Some(due) = &mut glass.confirmation {
                        due.overdue = true;
                    }
                    tx.save_break_glass(&glass)?;
                    if let Some((event, notice)) = told::overdue(&glass) {
                        access.notices.tell(tx, now, &event, &notice)?;
                    }
                }
                Ok::<_, AccessError>(())
            })
            .await?;
        self.wake();
        Ok(())
    }
}

fn after(at: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}
