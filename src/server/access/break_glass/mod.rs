//! The emergency path: opened at once when an incident stands for it, followed
//! while the incident goes on, confirmed by people where nobody else could (R8).

mod follow;
mod told;

use super::incidents::fact;
use super::request::{Found, few_and_short, reasoned, resolve, room_for_a_grant, short_enough};
use super::targets::{Survey, TargetState};
use super::visible::Loaded;
use super::{Access, AccessError, Caller};
use crate::core::approval::{self, Submission};
use crate::core::break_glass::{self, ConfirmError, Earlier};
use crate::core::model::{
    AccessRequest, AskedScope, BreakGlass, Decision, ErrorKind, Event, Grant, GrantId, IncidentFact, Person,
    Role, Scope, Tier,
};
use crate::core::policy::{Question, Touched};
use crate::core::review;
use crate::proto::{Confirm, NewBreakGlass, RequestView};
use crate::server::store::{StoreError, Tx};
use jiff::Timestamp;
use std::sync::Arc;

/// So much of what was typed is kept of a refusal, in characters.
const LONGEST_TYPED: usize = 200;

impl From<ConfirmError> for AccessError {
    fn from(error: ConfirmError) -> Self {
        let refusal = Self::new(error.kind(), error.to_string());
        match error {
            ConfirmError::TooFew => refusal
                .hint("whoever writes the policy can name them: @approvers(\"peer|lead, manager|security\")"),
            _ => refusal,
        }
    }
}

impl Access {
    /// Opens the whole database of a target's service for writing, at once, to
    /// whoever has an open incident of it. Policy may say no.
    pub async fn break_glass(
        self: &Arc<Self>,
        caller: &Caller,
        asked: NewBreakGlass,
    ) -> Result<RequestView, AccessError> {
        let typed = |text: &str| -> String { text.chars().take(LONGEST_TYPED).collect() };
        let (target, incident) = (typed(&asked.target), typed(&asked.incident));
        let refused = match self.try_break_glass(caller, asked).await {
            Ok(request) => return self.view(caller, request).await,
            Err(error) => error,
        };
        // Who tried is evidence, too (R8.4); what policy says no to is on record as a request.
        let person = caller.person.to_ref();
        let event = Event::BreakGlassRefused { person, target, incident, why: typed(&refused.message) };
        self.store.write(move |tx| tx.record(crate::os::now(), &event).map_err(AccessError::from)).await?;
        self.wake();
        Err(refused)
    }

    async fn try_break_glass(
        self: &Arc<Self>,
        caller: &Caller,
        asked: NewBreakGlass,
    ) -> Result<AccessRequest, AccessError> {
        reasoned("breaking the glass", &asked.reason)?;
        let scope = AskedScope { unmask: asked.unmask, write: true, ..AskedScope::default() };
        few_and_short(&scope)?;
        let state = self.target(&asked.target)?;
        if state.is_standby() {
            return Err(self.read_only(state));
        }
        let incident = self.incident_for(&caller.person, state, &asked.incident).await?;
        let (scope, survey) = resolve(state, &scope).await?;
        let on_call = self.on_call(&caller.person, state).await;
        let decision =
            self.emergency(&caller.person, state, &scope, &survey, (on_call, fact(Some(&incident))));
        let decision = self.after_reviews(&caller.person, &state.target.name, &scope, decision).await?;
        let (window, found) =
            (self.config.break_glass.rules.window, Found { state, scope, survey, migration: None });
        let submission = self.submission(caller, found, asked.reason, window, decision, Some(incident));
        let submission = Submission { break_glass: true, ..submission };
        let access = Arc::clone(self);
        let request = self.store.write(move |tx| access.open_break_glass(tx, submission)).await?.request;
        self.metrics.requested(request.decision.tier.as_str());
        if request.decision.tier == Tier::BreakGlass {
            self.metrics.broke_glass();
            let (access, person) = (Arc::clone(self), caller.person.clone());
            // Nobody waits for a count in an incident.
            tokio::spawn(async move {
                if let Err(error) = access.break_glass_often(&person.to_ref(), &person.teams).await {
                    tracing::warn!(%error, "how often the glass is broken was not counted");
                }
            });
        }
        self.wake();
        Ok(request)
    }

    /// What policy says of the emergency path. Asked at each renewal, too.
    fn emergency(
        &self,
        person: &Person,
        state: &TargetState,
        scope: &Scope,
        survey: &Survey,
        (on_call, incident): (bool, IncidentFact),
    ) -> Decision {
        self.policy().decide_break_glass(&Question {
            person,
            target: &state.target,
            scope,
            touched: Touched::of(scope, &survey.classification, &survey.catalog),
            window: self.config.break_glass.rules.window,
            business_hours: self.business_hours().contains(crate::os::now()),
            on_call,
            incident,
        })
    }

    /// Grants it, with everything that belongs to that, in one transaction.
    fn open_break_glass(
        &self,
        tx: &Tx<'_>,
        submission: Submission,
    ) -> Result<approval::Outcome, AccessError> {
        let now = crate::os::now();
        let subject = submission.person.subject.clone();
        if let Some(why) = self.break_glass_blocked(tx, &subject, now)? {
            return Err(AccessError::denied(why));
        }
        let earlier = with_verdicts(tx, tx.pending_break_glass_of(&subject)?)?;
        if let Some(why) = break_glass::blocked(&earlier, &submission.person, now) {
            return Err(AccessError::denied(why).hint(
                "two others confirm it (`dbaccess confirm ID`), or its review finds it justified; until then ask \
                 the ordinary way: `dbaccess request`",
            ));
        }
        let same = |glass: &&BreakGlass| {
            glass.ended.is_none()
                && glass.target == submission.target
                && submission.incident.as_ref().is_some_and(|incident| incident.id == glass.incident.id)
        };
        if let Some(open) = earlier.iter().map(|one| &one.glass).find(same) {
            return Err(AccessError::new(
                ErrorKind::Conflict,
                format!("your break-glass for {} on {} is open already", open.incident.id, open.target),
            )
            .hint(format!("`dbaccess connect {} --grant {}`", open.target, open.grant)));
        }
        let unsure = submission.incident.as_ref().is_some_and(|incident| !incident.confirmed);
        let owes = |one: &&Earlier| one.glass.target == submission.target && one.owes().is_some();
        // Else the time to confirm would begin again with each opening.
        if unsure && let Some(Earlier { glass: owed, .. }) = earlier.iter().find(owes) {
            return Err(AccessError::denied(format!(
                "your break-glass {} on {} still waits to be confirmed",
                owed.request, owed.target
            ))
            .hint(format!("two others confirm it: `dbaccess confirm {}`", owed.request)));
        }
        if let Some(grant) = tx.taken_back(&subject, &submission.target)? {
            return Err(AccessError::denied(format!(
                "break-glass {} on {} was taken back from you: its review comes first",
                grant.id, grant.target
            ))
            .hint("`dbaccess review list` shows who is asked; until then ask the ordinary way: `dbaccess request`"));
        }
        let outcome = approval::submit(submission, now, GrantId::from_random(crate::os::random()))?;
        self.save(tx, now, &outcome, &[])?;
        if let Some(grant) = &outcome.grant {
            room_for_a_grant(tx, &subject, now)?;
            let request = &outcome.request;
            let incident = request.incident.clone().ok_or_else(|| AccessError::internal("no incident"))?;
            let rules = &self.config.break_glass.rules;
            let glass = break_glass::open(grant, incident, &request.decision.slots, now, rules)?;
            tx.save_break_glass(&glass)?;
            let (event, notice) = told::opened(&glass, grant, request);
            self.notices.tell(tx, now, &event, &notice)?;
        }
        Ok(outcome)
    }

    /// One person's word that there was such an incident.
    pub async fn confirm(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        body: Confirm,
    ) -> Result<RequestView, AccessError> {
        short_enough("comment", body.comment.as_deref())?;
        let request = self.find_request(caller, &id).await?.request;
        let (access, caller_then) = (Arc::clone(self), caller.clone());
        let confirmed = self
            .store
            .write(move |tx| {
                let now = crate::os::now();
                let person = access.decider(tx, &caller_then, now)?;
                let Loaded { request, requester, break_glass, .. } =
                    Loaded::of(tx, tx.request(request.id.as_str())?)?;
                let Some(mut glass) = break_glass else {
                    let message = format!("{} is no break-glass: there is nothing to confirm", request.id);
                    return Err(AccessError::new(ErrorKind::Conflict, message)
                        .hint(format!("`dbaccess approve {}` approves a request that waits", request.id)));
                };
                let slots = glass.confirmation.iter().flat_map(|due| &due.slots);
                let judging = access.judging(&request, requester.as_ref());
                let fills: Vec<Vec<Role>> = slots.map(|slot| judging.roles(&person, &slot.any_of)).collect();
                let event =
                    break_glass::confirm(&mut glass, &person, &fills, (body.comment, caller_then.via), now)?;
                tx.save_break_glass(&glass)?;
                tx.record(now, &event)?;
                Ok::<_, AccessError>(request)
            })
            .await?;
        self.wake();
        self.view(caller, confirmed).await
    }
}

/// Each with what its review comes to.
fn with_verdicts(tx: &Tx<'_>, uses: Vec<BreakGlass>) -> Result<Vec<Earlier>, StoreError> {
    let with = |glass: BreakGlass| {
        let review = tx.review_of(&glass.grant)?;
        Ok(Earlier { verdict: review.as_ref().and_then(review::verdict), glass })
    };
    uses.into_iter().map(with).collect()
}

/// A use that has not ended, with its grant, as of one moment.
struct Pending {
    glass: BreakGlass,
    grant: Grant,
}

impl Pending {
    fn all(tx: &Tx<'_>) -> Result<Vec<Self>, StoreError> {
        let pending = tx.pending_break_glass()?.into_iter();
        pending.map(|glass| Ok(Self { grant: tx.grant(glass.grant.as_str())?, glass })).collect()
    }

    fn is_overdue(&self, now: Timestamp) -> bool {
        let due = self.glass.confirmation.as_ref();
        due.is_some_and(|due| !due.is_complete() && !due.overdue && due.due <= now)
    }
}
