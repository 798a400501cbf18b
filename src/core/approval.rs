//! The life of a request: asked, approved step by step, granted or ended.
//!
//! Pure transitions `(request, act) → (request, grant, events)`. The store
//! calls them inside the transaction that holds the row, so of two acts at once
//! the second sees what the first did and is refused with its words. Who fills
//! which role is policy's answer, in whose name [`super::delegation`]'s: both
//! come in as authorities. That nobody approves their own request, and nobody
//! stands behind two approvals of one, is enforced here too (G6).
//!
//! ```text
//! submit ─► granted                 (auto)
//!        ─► denied                  (policy allows nothing)
//!        ─► waiting ─► granted      (every slot filled by another person)
//!                   ─► denied | cancelled | expired
//! ```

mod amend;
#[cfg(test)]
pub(super) mod tests;

pub use amend::{Amendment, amend, check_seen};

use super::delegation::{self, Authority};
use super::model::{
    AccessRequest, Actor, Approval, Closed, Decision, ErrorKind, Event, Grant, GrantId, IncidentRef,
    Migration, Narrowing, Objects, Path, Person, PersonRef, RequestId, RequestState, Revoked, Role, Scope,
    ScopeError, Tier, Via, format_duration, name_part,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Why a transition was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    #[error("a request needs a reason: say what the access is for")]
    NoReason,
    #[error("request {0} is your own: somebody else must {1} it")]
    Own(RequestId, &'static str),
    #[error("request {id} needs approval by {needed}: you are not one for this request")]
    NotAnApprover { id: RequestId, needed: String },
    #[error("you approved request {id} already, as {role}: the other approval must be another person's")]
    ApprovedAlready { id: RequestId, role: Role },
    #[error("{by} approved request {id} already, in your name: the other approval must be another person's")]
    InYourName { id: RequestId, by: String },
    #[error(
        "{whose}, who lent you the role, stands behind another approval of request {id}: the other approval must \
         be another person's"
    )]
    SameAuthority { id: RequestId, whose: String },
    #[error("a denial needs a reason: {0} reads it")]
    DeniedWithoutReason(String),
    #[error("only {0}, who asked, can cancel this request: `deny` it instead")]
    NotYours(String),
    #[error("only {0}, an approver, security or an admin can revoke this grant")]
    MayNotRevoke(String),
    /// Says who did what, and when.
    #[error("{0}")]
    Finished(String),
    #[error("request {id} expired at {at}: ask again")]
    Lapsed { id: RequestId, at: Timestamp },
    #[error("request {id} is good until {until}")]
    NotDue { id: RequestId, until: Timestamp },
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error("{0} is longer than the {1} asked for: approval can only narrow")]
    LongerWindow(String, String),
    #[error("only {0}, who asked, can amend this request: `deny` it, and say what to change")]
    NotYoursToAmend(String),
    #[error("request {0} has no script")]
    NoScript(RequestId),
    #[error("request {0} has this very script already: nothing was changed, and its approvals stand")]
    SameScript(RequestId),
    #[error(
        "request {0} is to run a script: an approval says which, by SHA-256 and revision of the one that was shown"
    )]
    UnseenScript(RequestId),
    #[error(
        "the script of request {id} was changed since you saw it (it is revision {revision} now): nothing was approved"
    )]
    AnotherScript { id: RequestId, revision: u32 },
    #[error("request {0} has {1} revisions of its script already, and no request has more")]
    TooManyRevisions(RequestId, u32),
    #[error("a window must last at least a second")]
    NoWindow,
    #[error("nothing would be left: another approver narrowed this request to {0}")]
    NothingLeft(String),
}

impl ApprovalError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoReason
            | Self::DeniedWithoutReason(_)
            | Self::LongerWindow(..)
            | Self::NoWindow
            | Self::NoScript(_)
            | Self::UnseenScript(_)
            | Self::NothingLeft(_) => ErrorKind::Usage,
            Self::Own(..)
            | Self::NotAnApprover { .. }
            | Self::NotYours(_)
            | Self::NotYoursToAmend(_)
            | Self::MayNotRevoke(_) => ErrorKind::Denied,
            Self::ApprovedAlready { .. }
            | Self::SameScript(_)
            | Self::AnotherScript { .. }
            | Self::InYourName { .. }
            | Self::SameAuthority { .. }
            | Self::Finished(_)
            | Self::NotDue { .. } => ErrorKind::Conflict,
            Self::TooManyRevisions(..) => ErrorKind::TooMany,
            Self::Lapsed { .. } => ErrorKind::Expired,
            Self::Scope(error) => error.kind(),
        }
    }
}

/// A request as it comes in, with policy's answer to it.
#[derive(Clone, Debug)]
pub struct Submission {
    pub id: RequestId,
    pub person: PersonRef,
    pub target: String,
    pub scope: Scope,
    pub reason: String,
    /// The script to be run, where it is for one.
    pub migration: Option<Migration>,
    /// The window asked for.
    pub window: Duration,
    /// How long the request may wait for approval.
    pub expiry: Duration,
    pub decision: Decision,
    /// The incident that it is asked for in.
    pub incident: Option<IncidentRef>,
    /// Whether it was policy's emergency path that was asked.
    pub break_glass: bool,
}

/// What a transition made: to be stored together (G7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub request: AccessRequest,
    /// The grant, when this transition issued it.
    pub grant: Option<Grant>,
    pub events: Vec<Event>,
}

impl Outcome {
    /// Says by which way the decision of this transition came, in state and record.
    pub fn through(mut self, way: Via) -> Self {
        for event in &mut self.events {
            match event {
                Event::RequestApproved { approval, .. } => {
                    approval.via = Some(way);
                    if let Some(last) = self.request.approvals.last_mut() {
                        last.via = Some(way);
                    }
                }
                Event::RequestDenied { via, by: Actor::Person(_), .. } => *via = Some(way),
                _ => {}
            }
        }
        if let Some(closed) = self.request.closed.as_mut().filter(|closed| closed.by.is_some()) {
            closed.via = Some(way);
        }
        self
    }
}

/// Takes a request in. The tier auto grants at once, deny ends it at once;
/// else it waits. `grant` is the id of the grant if there is to be one.
pub fn submit(asked: Submission, now: Timestamp, grant: GrantId) -> Result<Outcome, ApprovalError> {
    let reason = asked.reason.trim().to_owned();
    if reason.is_empty() {
        return Err(ApprovalError::NoReason);
    }
    if asked.window.as_secs() == 0 {
        return Err(ApprovalError::NoWindow);
    }
    let path = match &asked.scope {
        _ if asked.break_glass => Path::BreakGlass,
        scope if scope.changes_schema() => Path::Migration,
        scope if scope.writes() => Path::Write,
        _ => Path::ReadOnly,
    };
    let mut request = AccessRequest {
        id: asked.id,
        person: asked.person,
        target: asked.target,
        scope: asked.scope,
        path,
        reason,
        migration: asked.migration,
        window: asked.window,
        created_at: now,
        expires_at: after(now, asked.expiry),
        state: RequestState::Waiting,
        decision: asked.decision,
        approvals: Vec::new(),
        closed: None,
        grant: None,
        incident: asked.incident,
    };
    match request.decision.tier {
        Tier::Deny => {
            let why = Some(request.decision.why.clone());
            request.state = RequestState::Denied;
            request.closed = Some(Closed::by_nobody(now, why.clone()));
            let events = vec![
                created(&request),
                Event::RequestDenied {
                    request: request.id.clone(),
                    by: Actor::System,
                    on_behalf_of: None,
                    reason: why,
                    via: None,
                },
            ];
            Ok(Outcome { request, grant: None, events })
        }
        Tier::Auto | Tier::BreakGlass => {
            let grant = issue(&mut request, grant, now);
            let events = vec![created(&request), Event::GrantIssued { grant: Box::new(grant.clone()) }];
            Ok(Outcome { request, grant: Some(grant), events })
        }
        Tier::Single | Tier::Dual => {
            let events = vec![created(&request)];
            Ok(Outcome { request, grant: None, events })
        }
    }
}

/// One person's yes, by their own authority or by one that was lent to them
/// ([`delegation::authorities`]). Fills one open slot; when it was the last, the
/// grant is issued and its window starts now.
pub fn approve(
    mut request: AccessRequest,
    approver: &PersonRef,
    authorities: &[Authority],
    narrowing: Narrowing,
    comment: Option<String>,
    now: Timestamp,
    grant: GrantId,
) -> Result<Outcome, ApprovalError> {
    check_open(&request, now)?;
    if approver.subject == request.person.subject {
        return Err(ApprovalError::Own(request.id, "approve"));
    }
    let Some(chosen) = delegation::choose(&request, approver, authorities) else {
        return Err(no_slot(request, approver, authorities));
    };
    check_narrowing(&request, &narrowing)?;
    let delegation::Chosen { slot, role, on_behalf_of } = chosen;
    let by = approver.clone();
    let script = request.migration.as_ref().map(|script| script.sha256.clone());
    let approval = Approval { by, on_behalf_of, role, slot, at: now, narrowing, comment, script, via: None };
    request.approvals.push(approval.clone());
    let mut events = vec![Event::RequestApproved { request: request.id.clone(), approval }];
    let complete = request.open_slots().next().is_none();
    let grant = complete.then(|| issue(&mut request, grant, now));
    events.extend(grant.iter().map(|grant| Event::GrantIssued { grant: Box::new(grant.clone()) }));
    Ok(Outcome { request, grant, events })
}

/// One approver's no ends the request. Whoever could approve may deny, also
/// after having approved.
pub fn deny(
    mut request: AccessRequest,
    by: &PersonRef,
    authorities: &[Authority],
    reason: Option<String>,
    now: Timestamp,
) -> Result<Outcome, ApprovalError> {
    check_open(&request, now)?;
    if by.subject == request.person.subject {
        return Err(ApprovalError::Own(request.id, "deny"));
    }
    // Their own authority comes first, before those that were lent to them.
    let held = |authority: &&Authority| authority.fills.iter().any(|roles| !roles.is_empty());
    let Some(authority) = authorities.iter().find(held) else {
        return Err(ApprovalError::NotAnApprover { needed: needed(&request), id: request.id });
    };
    let on_behalf_of = Some(authority.of.clone()).filter(|whose| whose.subject != by.subject);
    let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.is_none() {
        return Err(ApprovalError::DeniedWithoutReason(request.person.email));
    }
    request.state = RequestState::Denied;
    request.closed = Some(Closed {
        by: Some(by.clone()),
        on_behalf_of: on_behalf_of.clone(),
        at: now,
        reason: reason.clone(),
        via: None,
    });
    let event = Event::RequestDenied {
        request: request.id.clone(),
        by: Actor::Person(by.clone()),
        on_behalf_of,
        reason,
        via: None,
    };
    Ok(Outcome { request, grant: None, events: vec![event] })
}

/// The requester withdraws.
pub fn cancel(
    mut request: AccessRequest,
    by: &PersonRef,
    reason: Option<String>,
    now: Timestamp,
) -> Result<Outcome, ApprovalError> {
    if by.subject != request.person.subject {
        return Err(ApprovalError::NotYours(request.person.email));
    }
    check_open(&request, now)?;
    request.state = RequestState::Cancelled;
    request.closed = Some(Closed { by: Some(by.clone()), on_behalf_of: None, at: now, reason, via: None });
    let event = Event::RequestCancelled { request: request.id.clone(), by: by.clone() };
    Ok(Outcome { request, grant: None, events: vec![event] })
}

/// Time ends a request that nobody answered.
///
/// # Errors
/// [`ApprovalError::NotDue`] before its time, [`ApprovalError::Finished`] after its end.
pub fn expire(mut request: AccessRequest, now: Timestamp) -> Result<Outcome, ApprovalError> {
    if request.state != RequestState::Waiting {
        return Err(ApprovalError::Finished(ended(&request)));
    }
    if now < request.expires_at {
        return Err(ApprovalError::NotDue { id: request.id, until: request.expires_at });
    }
    request.state = RequestState::Expired;
    request.closed = Some(Closed::by_nobody(now, None));
    let event = Event::RequestExpired { request: request.id.clone() };
    Ok(Outcome { request, grant: None, events: vec![event] })
}

/// Ends a grant before its time: its requester, whoever could approve for this
/// person and target (`fills`: [`super::policy::Policy::fills`] for the policy's
/// roles), security and admins. Ending is the safe direction, so it is wide.
pub fn revoke(
    mut grant: Grant,
    by: &Person,
    fills: &[Role],
    reason: Option<String>,
    now: Timestamp,
) -> Result<(Grant, Event), ApprovalError> {
    may_revoke(&grant, by, fills)?;
    if let Some(Revoked { by, at, .. }) = &grant.revoked {
        let by = &by.email;
        return Err(ApprovalError::Finished(format!(
            "grant {} was already revoked by {by} at {at}",
            grant.id
        )));
    }
    if grant.until <= now {
        return Err(ApprovalError::Finished(format!("grant {} already ended at {}", grant.id, grant.until)));
    }
    grant.revoked = Some(Revoked { by: by.to_ref(), at: now, reason: reason.clone() });
    let event = Event::GrantRevoked { grant: grant.id.clone(), by: by.to_ref(), reason };
    Ok((grant, event))
}

/// Who may end a grant may end one session of it, too.
///
/// # Errors
/// [`ApprovalError::MayNotRevoke`].
pub fn may_revoke(grant: &Grant, by: &Person, fills: &[Role]) -> Result<(), ApprovalError> {
    let own = by.subject == grant.person.subject;
    let guardian = by.roles.iter().any(|role| matches!(role.0.as_str(), "security" | "admin"));
    if own || guardian || !fills.is_empty() {
        Ok(())
    } else {
        Err(ApprovalError::MayNotRevoke(grant.person.email.clone()))
    }
}

/// Why an approver has no slot to fill.
fn no_slot(request: AccessRequest, approver: &PersonRef, authorities: &[Authority]) -> ApprovalError {
    let id = request.id.clone();
    for given in &request.approvals {
        if given.by.subject == approver.subject {
            return ApprovalError::ApprovedAlready { id, role: given.role.clone() };
        }
        if given.on_behalf_of.as_ref().is_some_and(|whose| whose.subject == approver.subject) {
            return ApprovalError::InYourName { id, by: given.by.email.clone() };
        }
    }
    let behind = delegation::behind(&request);
    let fits = |authority: &&Authority| {
        request
            .open_slots()
            .any(|(index, _)| authority.fills.get(index).is_some_and(|roles| !roles.is_empty()))
    };
    match authorities.iter().filter(fits).find(|authority| behind.contains(authority.of.subject.as_str())) {
        Some(authority) => ApprovalError::SameAuthority { id, whose: authority.of.email.clone() },
        None => ApprovalError::NotAnApprover { needed: needed(&request), id },
    }
}

/// The scope and window that policy's limits and the approvals so far leave of
/// what was asked.
pub fn narrowed(request: &AccessRequest) -> (Scope, Duration) {
    let window = request
        .approvals
        .iter()
        .filter_map(|given| given.narrowing.window)
        .fold(request.window, Duration::min);
    // Each narrowing was checked to be inside the scope when it was given.
    let nothing = |_| {
        let nothing = Objects::Only { schemas: BTreeSet::new(), tables: BTreeSet::new() };
        Scope::new(nothing, BTreeSet::new())
    };
    let scope = match objects_left(request) {
        Some(Objects::Only { schemas, tables }) => {
            request.scope.narrowed_to(schemas, tables).unwrap_or_else(nothing)
        }
        Some(Objects::Database) | None => request.scope.clone(),
    };
    let by_approvers = request.approvals.iter().any(|given| given.narrowing.masked);
    let masked = by_approvers || request.decision.limits.masked;
    // What is left may have nothing raw in it any more.
    let scope = if masked { Scope { unmask: BTreeMap::new(), ..scope } } else { scope };
    (scope, window)
}

/// What all narrowing approvals have in common; `None` when none narrowed.
fn objects_left(request: &AccessRequest) -> Option<Objects> {
    let narrowings = request.approvals.iter().filter_map(|given| objects(&given.narrowing));
    narrowings.reduce(|left, next| left.common(&next))
}

/// What a narrowing leaves; `None` where it leaves all.
fn objects(narrowing: &Narrowing) -> Option<Objects> {
    let Narrowing { tables, schemas, .. } = narrowing;
    (tables.is_some() || schemas.is_some()).then(|| Objects::Only {
        schemas: schemas.clone().unwrap_or_default(),
        tables: tables.clone().unwrap_or_default(),
    })
}

fn check_narrowing(request: &AccessRequest, narrowing: &Narrowing) -> Result<(), ApprovalError> {
    if let Some(window) = narrowing.window {
        if window.as_secs() == 0 {
            return Err(ApprovalError::NoWindow);
        }
        if window > request.window {
            return Err(ApprovalError::LongerWindow(
                format_duration(window),
                format_duration(request.window),
            ));
        }
    }
    if narrowing.masked {
        request.scope.with_masks()?;
    }
    if let Some(kept) = objects(narrowing) {
        if let Objects::Only { schemas, tables } = &kept {
            request.scope.narrowed_to(schemas.clone(), tables.clone())?;
        }
        let left = objects_left(request);
        if left.as_ref().map_or_else(|| kept.is_empty(), |left| left.common(&kept).is_empty()) {
            return Err(ApprovalError::NothingLeft(
                left.as_ref().map_or_else(|| "nothing".to_owned(), names),
            ));
        }
    }
    Ok(())
}

fn names(objects: &Objects) -> String {
    let Objects::Only { schemas, tables } = objects else { return "the whole database".to_owned() };
    let schemas = schemas.iter().map(|schema| format!("schema {}", name_part(schema)));
    schemas.chain(tables.iter().map(ToString::to_string)).collect::<Vec<_>>().join(", ")
}

fn issue(request: &mut AccessRequest, id: GrantId, now: Timestamp) -> Grant {
    let (scope, window) = narrowed(request);
    request.state = RequestState::Granted;
    request.grant = Some(id.clone());
    Grant {
        id,
        request: request.id.clone(),
        person: request.person.clone(),
        target: request.target.clone(),
        scope,
        path: request.path,
        limits: request.decision.limits,
        script: request.migration.as_ref().map(Migration::to_ref),
        from: now,
        until: after(now, window),
        revoked: None,
    }
}

fn created(request: &AccessRequest) -> Event {
    Event::RequestCreated { request: Box::new(request.clone()) }
}

fn check_open(request: &AccessRequest, now: Timestamp) -> Result<(), ApprovalError> {
    if request.state != RequestState::Waiting {
        return Err(ApprovalError::Finished(ended(request)));
    }
    if request.expires_at <= now {
        return Err(ApprovalError::Lapsed { id: request.id.clone(), at: request.expires_at });
    }
    Ok(())
}

/// `request req-… was already denied by bob@example.com at …`
fn ended(request: &AccessRequest) -> String {
    let (who, at) = match (&request.closed, request.approvals.as_slice()) {
        (Some(Closed { by: Some(by), at, .. }), _) => (format!(" by {}", by.email), *at),
        (Some(Closed { at, .. }), _) if request.state == RequestState::Denied => {
            (" by policy".to_owned(), *at)
        }
        (Some(Closed { at, .. }), _) => (String::new(), *at),
        (None, []) => (" by policy".to_owned(), request.created_at),
        (None, given @ [.., last]) => {
            let people: Vec<&str> = given.iter().map(|given| given.by.email.as_str()).collect();
            (format!(" by {}", people.join(" and ")), last.at)
        }
    };
    match request.state {
        RequestState::Expired => format!("request {} already expired at {at}: ask again", request.id),
        state => format!("request {} was already {}{who} at {at}", request.id, state.as_str()),
    }
}

/// The roles that are still missing, in words.
fn needed(request: &AccessRequest) -> String {
    request.open_slots().map(|(_, slot)| slot.to_string()).collect::<Vec<_>>().join(", and by ")
}

/// `at` plus a length; the end of time where that is beyond it.
fn after(at: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    at.saturating_add(length).unwrap_or(Timestamp::MAX)
}
