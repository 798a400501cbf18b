//! Another script in place of the one that was asked for (R2.2): what was
//! approved is not what would run, so every approval is void and policy decides
//! anew.

use super::{ApprovalError, Outcome, check_open, issue};
use crate::core::model::{
    AccessRequest, Actor, Closed, Decision, Event, GrantId, Migration, PersonRef, RequestState, Scope, Tier,
};
use jiff::Timestamp;

/// Each revision is on the ledger whole, and told to everybody who could approve.
const MOST_REVISIONS: u32 = 50;

/// What takes the place of the first script, with policy's answer to it.
#[derive(Clone, Debug)]
pub struct Amendment {
    /// Its revision is counted here.
    pub migration: Migration,
    pub scope: Scope,
    pub decision: Decision,
}

/// The requester amends a request that waits.
pub fn amend(
    mut request: AccessRequest,
    by: &PersonRef,
    to: Amendment,
    now: Timestamp,
    grant: GrantId,
) -> Result<Outcome, ApprovalError> {
    if by.subject != request.person.subject {
        return Err(ApprovalError::NotYoursToAmend(request.person.email));
    }
    check_open(&request, now)?;
    let Some(was) = request.migration.take() else { return Err(ApprovalError::NoScript(request.id)) };
    if was.sha256 == to.migration.sha256 {
        return Err(ApprovalError::SameScript(request.id));
    }
    if was.revision >= MOST_REVISIONS {
        return Err(ApprovalError::TooManyRevisions(request.id, MOST_REVISIONS));
    }
    let voided = std::mem::take(&mut request.approvals).len();
    request.migration = Some(Migration { revision: was.revision + 1, ..to.migration });
    request.scope = to.scope;
    request.decision = to.decision;
    let amended = |request: &AccessRequest| Event::RequestAmended {
        request: Box::new(request.clone()),
        was: was.sha256.clone(),
        voided,
    };
    match request.decision.tier {
        Tier::Deny => {
            let why = Some(request.decision.why.clone());
            request.state = RequestState::Denied;
            request.closed = Some(Closed::by_nobody(now, why.clone()));
            let denied = Event::RequestDenied {
                request: request.id.clone(),
                by: Actor::System,
                on_behalf_of: None,
                reason: why,
                via: None,
            };
            Ok(Outcome { events: vec![amended(&request), denied], request, grant: None })
        }
        Tier::Auto | Tier::BreakGlass => {
            let grant = issue(&mut request, grant, now);
            let issued = Event::GrantIssued { grant: Box::new(grant.clone()) };
            Ok(Outcome { events: vec![amended(&request), issued], request, grant: Some(grant) })
        }
        Tier::Single | Tier::Dual => Ok(Outcome { events: vec![amended(&request)], request, grant: None }),
    }
}

/// Whoever approves a script says which: the one they were shown, by its hash and
/// its revision. A script that was changed and changed back is another revision:
/// what was said of it in between was not shown. Called in the transaction of the
/// approval, so that no amendment comes between.
pub fn check_seen(
    request: &AccessRequest,
    sha256: Option<&str>,
    revision: Option<u32>,
) -> Result<(), ApprovalError> {
    let id = || request.id.clone();
    match (&request.migration, sha256, revision) {
        (None, None, None) => Ok(()),
        (None, ..) => Err(ApprovalError::NoScript(id())),
        (Some(script), Some(sha256), Some(revision)) => {
            let seen = script.sha256 == sha256 && script.revision == revision;
            if seen {
                Ok(())
            } else {
                Err(ApprovalError::AnotherScript { id: id(), revision: script.revision })
            }
        }
        (Some(_), ..) => Err(ApprovalError::UnseenScript(id())),
    }
}
