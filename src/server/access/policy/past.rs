//! Decisions of the past, explained, and put to another policy (B8). Each kept
//! the facts that its rules were told, so the answer is that of the hour.

use super::super::{Access, AccessError, Caller};
use crate::core::model::{AccessRequest, Decision, ErrorKind, Path};
use crate::core::policy::Policy;
use crate::proto::{Decided, Explained, Replay, Replayed, ReplayedChange};
use crate::server::store::{RequestsPlace, Tx};
use jiff::Timestamp;
use std::sync::Arc;

/// Requests that are read at a time.
const PAGE: u32 = 200;
/// The most requests that one question goes through; more are said to be left.
const MOST_REQUESTS: usize = 20_000;
/// The most changes that one answer lists.
const MOST_CHANGES: usize = 1_000;

impl Access {
    /// Why a request was decided as it was, rule by rule, by the policy of then.
    pub async fn explain(&self, caller: &Caller, id: String) -> Result<Explained, AccessError> {
        let request = self.find_request(caller, &id).await?.request;
        let Some(facts) = request.decision.facts.clone() else {
            return Err(AccessError::new(
                ErrorKind::NotFound,
                format!("{} was decided by an earlier version, which did not keep its facts", request.id),
            )
            .hint(format!("`dbaccess show {}` has the rule and the facts in words", request.id)));
        };
        let current = self.policy();
        let in_force = current.hash() == request.decision.policy;
        let policy = if in_force { current } else { Arc::new(self.policy_then(&request).await?) };
        let emergency = request.path == Path::BreakGlass;
        let explain = move || policy.explain(&facts, emergency);
        let explanation = tokio::task::spawn_blocking(explain).await;
        let explanation = explanation.map_err(|_| AccessError::internal("explaining broke off"))?;
        Ok(Explained { request: request.id, target: request.target, in_force, explanation })
    }

    async fn policy_then(&self, request: &AccessRequest) -> Result<Policy, AccessError> {
        let hash = request.decision.policy.clone();
        let kept = self.store.read(move |tx| tx.policy(&hash).map_err(AccessError::from)).await?;
        let Some(sources) = kept else {
            let short = request.decision.policy.get(..12).unwrap_or_default();
            let gone = format!("the policy {short} that decided {} was not kept", request.id);
            return Err(AccessError::new(ErrorKind::NotFound, gone));
        };
        // It was in force, so it compiled; a later version may not know it any more.
        Policy::of(&sources).map_err(|error| {
            AccessError::new(
                ErrorKind::NotFound,
                format!("this version cannot read the policy of then: {error}"),
            )
        })
    }

    /// What another policy would have said to every request since a time.
    pub async fn replay(&self, caller: &Caller, asked: Replay) -> Result<Replayed, AccessError> {
        caller.may_look_back()?;
        let policy = Arc::new(self.policy_of(asked.sources).await?);
        let mut replayed = Replayed {
            policy: policy.hash().to_owned(),
            permits_nothing: policy.permits_nothing(),
            ..Replayed::default()
        };
        let mut walk = Walk::since(asked.since);
        while let Some(page) = walk.next(self).await? {
            let policy = Arc::clone(&policy);
            let again = move || page.into_iter().map(|request| compared(&policy, request)).collect();
            let compared: Vec<Compared> = tokio::task::spawn_blocking(again)
                .await
                .map_err(|_| AccessError::internal("the replay broke off"))?;
            for one in compared {
                replayed.requests += 1;
                match one {
                    Compared::Same => replayed.same += 1,
                    Compared::NotReplayable => replayed.not_replayable += 1,
                    Compared::Changed(change) => {
                        replayed.changed += 1;
                        if replayed.changes.len() < MOST_CHANGES {
                            replayed.changes.push(*change);
                        }
                    }
                }
            }
        }
        replayed.more = walk.cut || replayed.changed > replayed.changes.len();
        Ok(replayed)
    }
}

enum Compared {
    Same,
    /// It kept no facts.
    NotReplayable,
    Changed(Box<ReplayedChange>),
}

fn compared(policy: &Policy, request: AccessRequest) -> Compared {
    let Some(facts) = &request.decision.facts else { return Compared::NotReplayable };
    let then = &request.decision;
    let now = policy.decide_again(facts, request.path == Path::BreakGlass);
    let same = (then.tier, &then.slots, then.limits) == (now.tier, &now.slots, now.limits)
        && fits(then, &request) == fits(&now, &request);
    if same {
        return Compared::Same;
    }
    Compared::Changed(Box::new(ReplayedChange {
        request: request.id.clone(),
        at: request.created_at,
        person: request.person.clone(),
        target: request.target.clone(),
        asked: request.scope.to_string(),
        was: decided(then),
        would_be: decided(&now),
        missing: then.rules.iter().map(|rule| rule.id.clone()).filter(|rule| !policy.has(rule)).collect(),
    }))
}

/// Whether the window that was asked for was within what the rule allows.
fn fits(decision: &Decision, request: &AccessRequest) -> bool {
    decision.longest >= request.window
}

fn decided(decision: &Decision) -> Decided {
    Decided {
        tier: decision.tier,
        rules: decision.rules.iter().map(|rule| rule.id.clone()).collect(),
        approvers: decision.slots.iter().map(ToString::to_string).collect(),
        limits: decision.limits,
        why: decision.why.clone(),
    }
}

/// A walk through the requests since a time, oldest first, page by page.
pub(super) struct Walk {
    since: Timestamp,
    place: RequestsPlace,
    seen: usize,
    over: bool,
    /// Whether there were more than one walk goes through.
    pub cut: bool,
}

impl Walk {
    pub fn since(since: Timestamp) -> Self {
        Self { since, place: None, seen: 0, over: false, cut: false }
    }

    pub async fn next(&mut self, access: &Access) -> Result<Option<Vec<AccessRequest>>, AccessError> {
        if self.over {
            return Ok(None);
        }
        let (since, place) = (self.since, self.place.clone());
        let read = move |tx: &Tx<'_>| tx.requests_since(since, &place, PAGE).map_err(AccessError::from);
        let page = access.store.read(read).await?;
        self.seen += page.len();
        let full = page.len() == usize::try_from(PAGE).unwrap_or(usize::MAX);
        self.cut = full && self.seen >= MOST_REQUESTS;
        self.over = !full || self.cut;
        self.place = page.last().map(|last| (last.created_at, last.id.clone()));
        Ok(Some(page))
    }
}
