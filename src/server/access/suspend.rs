//! Suspending a target for a deploy: views on tables hinder changing those, so
//! sessions with views end, their views go, and none opens until it is over.
//! Sessions without views stand in nobody's way.
//!
//! ```text
//! suspended, on record ─► sessions with views end ─► their profiles are dropped
//! ```
//!
//! Whoever opens a session meanwhile either reads of the suspension in the
//! transaction that puts the session on record, or is found in the registry.

use super::ending::dead;
use super::targets::TargetState;
use super::{Access, AccessError, Caller};
use crate::core::model::{
    Actor, EndReason, ErrorKind, Event, LONGEST_SUSPENSION, PersonRef, Suspension, USUAL_SUSPENSION,
    format_duration,
};
use crate::proto::{ResumedView, Suspend, SuspendedView};
use crate::server::gateway::{End, Live};
use crate::server::store::{StoreError, Tx};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};

/// How long the answer waits for sessions and views to be gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between attempts to drop what is still used.
const PAUSE: Duration = Duration::from_millis(100);

impl Access {
    /// Ends the sessions with views and lets none open, for `length` from now.
    /// A target that is suspended already is from now on suspended for that long.
    ///
    /// Cancel-safety: once begun it goes on by itself.
    pub async fn suspend(
        self: &Arc<Self>,
        caller: &Caller,
        target: String,
        body: Suspend,
    ) -> Result<SuspendedView, AccessError> {
        self.may_suspend(caller, &target)?;
        let length = body.for_seconds.map_or(USUAL_SUSPENSION, Duration::from_secs);
        if length.is_zero() || length > LONGEST_SUSPENSION {
            let most = format_duration(LONGEST_SUSPENSION);
            return Err(AccessError::usage(format!("a target is suspended for a second to {most}"))
                .hint("suspend it again where a deploy takes longer"));
        }
        let (access, by) = (Arc::clone(self), caller.person.to_ref());
        let suspending = tokio::spawn(async move { access.suspend_for(target, by, length).await });
        suspending.await.map_err(|_| AccessError::internal("suspending the target broke off"))?
    }

    async fn suspend_for(
        &self,
        target: String,
        by: PersonRef,
        length: Duration,
    ) -> Result<SuspendedView, AccessError> {
        let give_up = Instant::now() + PATIENCE;
        let suspension = self
            .store
            .write(move |tx| {
                let at = crate::os::now();
                let suspension = Suspension { target, by, at, until: at + length };
                tx.save_suspension(&suspension)?;
                let Suspension { target, by, until, .. } = suspension.clone();
                tx.record(at, &Event::TargetSuspended { target, by, until })?;
                Ok::<_, AccessError>(suspension)
            })
            .await?;
        self.wake();
        let has_views =
            |live: &Arc<Live>| live.permit.target == suspension.target && !live.permit.views.is_empty();
        let ended: Vec<Arc<Live>> = self.registry.all().into_iter().filter(has_views).collect();
        for live in &ended {
            let by = Actor::Person(suspension.by.clone());
            live.finish(End {
                until: Some(suspension.until),
                ..End::new(EndReason::Suspended, by, suspension.at)
            });
        }
        drop(timeout_at(give_up, dead(&ended)).await);
        let left = loop {
            let left = match timeout_at(give_up, self.drop_views(&suspension.target)).await {
                Ok(Ok(left)) => left,
                // The sweeper goes on where it cannot be reached.
                Ok(Err(error)) => break vec![error.to_string()],
                Err(_) => vec!["the target does not answer in time".to_owned()],
            };
            if left.is_empty() || Instant::now() + PAUSE > give_up {
                break left;
            }
            sleep(PAUSE).await;
        };
        let sessions = ended.iter().map(|live| live.permit.session.clone()).collect();
        Ok(SuspendedView { suspension, sessions, left })
    }

    /// Drops the profiles with views that no session uses; says of the others why they stay.
    pub(super) async fn drop_views(&self, target: &str) -> Result<Vec<String>, AccessError> {
        let database = &self.target(target)?.database;
        let mut left = Vec::new();
        for profile in database.managed_profiles().await?.into_iter().filter(|profile| profile.has_views) {
            if let Err(error) = database.drop_profile(&profile.name).await {
                left.push(format!("{}: {error}", profile.name));
            }
        }
        Ok(left)
    }

    /// Lets sessions with views open again. One that is not suspended stays so.
    pub async fn resume(&self, caller: &Caller, target: String) -> Result<ResumedView, AccessError> {
        self.may_suspend(caller, &target)?;
        let by = caller.person.to_ref();
        let resumed = self
            .store
            .write(move |tx| {
                let now = crate::os::now();
                let was = suspended(tx, &target)?;
                if was.is_some() {
                    end(tx, &target, Actor::Person(by), now)?;
                }
                Ok::<_, AccessError>(ResumedView { target, was })
            })
            .await?;
        self.wake();
        Ok(resumed)
    }

    /// Puts on record which suspensions have ended by themselves.
    pub async fn lapse_suspensions(&self) -> Result<(), AccessError> {
        let now = crate::os::now();
        let lapsed = self
            .store
            .write(move |tx| {
                let all = tx.suspensions()?.into_iter();
                let lapsed: Vec<Suspension> = all.filter(|suspension| !suspension.is_on(now)).collect();
                for Suspension { target, until, .. } in &lapsed {
                    end(tx, target, Actor::System, *until)?;
                }
                Ok::<_, AccessError>(lapsed.len())
            })
            .await?;
        if lapsed > 0 {
            self.wake();
        }
        Ok(())
    }

    /// The suspensions that last.
    pub(super) async fn suspensions(&self) -> Result<Vec<Suspension>, AccessError> {
        let now = crate::os::now();
        let mut all = self.store.read(|tx| tx.suspensions().map_err(AccessError::from)).await?;
        all.retain(|suspension| suspension.is_on(now));
        Ok(all)
    }

    fn may_suspend(&self, caller: &Caller, target: &str) -> Result<(), AccessError> {
        let state = self.target(target)?;
        if caller.has_role("security") || caller.has_role("admin") || leads(caller, state) {
            return Ok(());
        }
        Err(AccessError::denied(format!(
            "{target} is suspended and resumed by security, admins and leads of the teams that own it"
        )))
    }
}

fn leads(caller: &Caller, state: &TargetState) -> bool {
    caller.has_role("lead") && !state.target.owners.is_disjoint(&caller.person.teams)
}

fn end(tx: &Tx<'_>, target: &str, by: Actor, at: Timestamp) -> Result<(), StoreError> {
    tx.remove_suspension(target)?;
    tx.record(at, &Event::TargetResumed { target: target.to_owned(), by })
}

/// The suspension of a target, while it lasts.
pub(super) fn suspended(tx: &Tx<'_>, target: &str) -> Result<Option<Suspension>, StoreError> {
    let now = crate::os::now();
    Ok(tx.suspensions()?.into_iter().find(|found| found.target == target && found.is_on(now)))
}

/// Why a session with views does not open.
pub(super) fn refused(suspension: &Suspension) -> AccessError {
    let Suspension { target, by, until, .. } = suspension;
    AccessError::new(
        ErrorKind::Conflict,
        format!(
            "{target} is suspended for a deploy until {until:.0}, by {}: no session opens that sees masked or filtered tables",
            by.email
        ),
    )
    .hint(format!("try again then; `dbaccess target resume {target}` ends it before"))
}
