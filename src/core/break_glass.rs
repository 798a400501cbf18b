//! The emergency path: whether an incident stands for a person's access, and
//! what becomes of that access while the incident goes on (R8).
//!
//! ```text
//! the system says: open, yours, of this service ─► the window moves on, when little is left
//!                  closed, another's ────────────► the end, at once
//!                  no such incident ─────────────► nothing: the window runs out
//! it says nothing ────────────────────────────────► policy decides; if it goes on, two people must confirm
//! ```
//!
//! Every decision is made inside the transaction that read the grant, so that a
//! revocation goes before a renewal. Only our own clock counts.

#[cfg(test)]
mod tests;

use super::model::{
    Approval, BreakGlass, BreakGlassEnd, BreakGlassEndReason, Confirmation, ErrorKind, Event, Grant,
    Incident, IncidentRef, IncidentState, Narrowing, Person, PersonRef, RequestId, Role, Slot, Verdict, Via,
    format_duration,
};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::time::Duration;

/// What the incident system answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Found(Incident),
    /// It has no such incident.
    Missing,
    /// It answered, but would not say: too many questions, or an id that it
    /// cannot read. Whoever asks can bring that about, so it opens and renews nothing.
    Refused(String),
    /// It could not be asked, and why.
    Unknown(String),
}

/// Why an incident does not stand for a person's access to a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the incident is closed")]
    Closed,
    #[error("the incident is assigned to {0}, not to you")]
    NotYours(String),
    #[error("the incident belongs to another service ({0})")]
    OtherService(String),
}

impl Mismatch {
    fn end(&self) -> BreakGlassEndReason {
        match self {
            Self::Closed => BreakGlassEndReason::Closed,
            Self::NotYours(_) => BreakGlassEndReason::Reassigned,
            Self::OtherService(_) => BreakGlassEndReason::OtherService,
        }
    }
}

/// Whether an incident is open, assigned to whoever has this e-mail address,
/// and of one of these services of its system. `email` is a verified one.
pub fn check(incident: &Incident, email: &str, services: &BTreeSet<String>) -> Result<(), Mismatch> {
    if incident.state != IncidentState::Open {
        return Err(Mismatch::Closed);
    }
    if incident.services.is_disjoint(services) {
        return Err(Mismatch::OtherService(listed(&incident.services)));
    }
    if !incident.assignees.iter().any(|assignee| assignee.eq_ignore_ascii_case(email)) {
        return Err(Mismatch::NotYours(listed(&incident.assignees)));
    }
    Ok(())
}

fn listed(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match (shown.is_empty(), names.len().saturating_sub(SHOWN)) {
        (true, _) => "nobody it names".to_owned(),
        (_, 0) => shown.join(", "),
        (_, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// How long things last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The window, and how far a renewal moves it.
    pub window: Duration,
    /// How long access may go on without the incident system, in all.
    pub unconfirmed_for: Duration,
    /// How long people have to confirm what the system could not.
    pub confirm_within: Duration,
}

impl Rules {
    /// So much of a window is left when it is renewed.
    pub fn early(&self) -> Duration {
        (self.window / 3).min(Duration::from_secs(300))
    }

    /// So much is left when it is renewed without the incident system: it has
    /// been asked again and again by then.
    pub fn late(&self) -> Duration {
        self.early() / 3
    }
}

/// What is to be done about one use of the emergency path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Keep,
    /// The window may move to there, if policy still allows it.
    Renew {
        until: Timestamp,
        confirmed: bool,
    },
    End(BreakGlassEndReason),
}

/// What follows from what is known now. `answer` is `None` where the system
/// was not asked, `services` those of the target in the incident's system.
pub fn next(
    glass: &BreakGlass,
    grant: &Grant,
    answer: Option<&Answer>,
    services: &BTreeSet<String>,
    now: Timestamp,
    rules: &Rules,
) -> Step {
    if grant.revoked.is_some() {
        return Step::End(BreakGlassEndReason::Revoked);
    }
    if grant.until <= now {
        return Step::End(BreakGlassEndReason::WindowEnded);
    }
    let overdue = |confirmation: &Confirmation| !confirmation.is_complete() && confirmation.due <= now;
    if glass.confirmation.as_ref().is_some_and(overdue) {
        return Step::End(BreakGlassEndReason::Unconfirmed);
    }
    let left = grant.until.duration_since(now);
    let little = |margin: Duration| SignedDuration::try_from(margin).is_ok_and(|margin| left <= margin);
    match answer {
        Some(Answer::Found(incident)) => match check(incident, &glass.person.email, services) {
            Err(mismatch) => Step::End(mismatch.end()),
            Ok(()) if little(rules.early()) => {
                Step::Renew { until: after(now, rules.window), confirmed: true }
            }
            Ok(()) => Step::Keep,
        },
        Some(Answer::Unknown(_)) if little(rules.late()) => {
            let since = glass.confirmation.as_ref().map_or(now, |confirmation| confirmation.since);
            let until = after(now, rules.window).min(after(since, rules.unconfirmed_for));
            if until > grant.until { Step::Renew { until, confirmed: false } } else { Step::Keep }
        }
        Some(Answer::Unknown(_) | Answer::Refused(_) | Answer::Missing) | None => Step::Keep,
    }
}

/// When the next step may be due, if nothing happens meanwhile: the moments at
/// which little is left, the window's end and that of the time to confirm.
pub fn moments(glass: &BreakGlass, grant: &Grant, rules: &Rules) -> [Timestamp; 4] {
    let confirm = glass.confirmation.as_ref().filter(|confirmation| !confirmation.is_complete());
    [
        before(grant.until, rules.early()),
        before(grant.until, rules.late()),
        grant.until,
        confirm.map_or(grant.until, |confirmation| confirmation.due),
    ]
}

/// A grant that was just issued, as a use of the emergency path. `slots` are
/// those of the rule that allowed it: needed where the incident is unconfirmed.
///
/// # Errors
/// [`ConfirmError::TooFew`]
pub fn open(
    grant: &Grant,
    incident: IncidentRef,
    slots: &[Slot],
    now: Timestamp,
    rules: &Rules,
) -> Result<BreakGlass, ConfirmError> {
    let confirmation = match incident.confirmed {
        true => None,
        false => Some(due(slots, now, rules)?),
    };
    Ok(BreakGlass {
        grant: grant.id.clone(),
        request: grant.request.clone(),
        person: grant.person.clone(),
        target: grant.target.clone(),
        incident,
        opened_at: now,
        renewals: 0,
        confirmation,
        ended: None,
    })
}

/// Moves the window. A later renewal with the system's word changes nothing
/// about a confirmation that is due: for a while nobody had given any.
///
/// # Errors
/// [`ConfirmError::TooFew`]; nothing has changed then.
pub fn renew(
    glass: &mut BreakGlass,
    grant: &mut Grant,
    (until, confirmed): (Timestamp, bool),
    slots: &[Slot],
    now: Timestamp,
    rules: &Rules,
) -> Result<(), ConfirmError> {
    if !confirmed && glass.confirmation.is_none() {
        glass.confirmation = Some(due(slots, now, rules)?);
    }
    glass.renewals = glass.renewals.saturating_add(1);
    grant.until = until;
    Ok(())
}

/// Ends it; the grant's window ends with it.
pub fn end(glass: &mut BreakGlass, grant: &mut Grant, why: BreakGlassEndReason, now: Timestamp) {
    grant.until = grant.until.min(now);
    glass.ended = Some(BreakGlassEnd { at: now, why });
}

fn due(slots: &[Slot], now: Timestamp, rules: &Rules) -> Result<Confirmation, ConfirmError> {
    if slots.len() < 2 {
        return Err(ConfirmError::TooFew);
    }
    Ok(Confirmation {
        since: now,
        due: after(now, rules.confirm_within),
        slots: slots.to_vec(),
        given: Vec::new(),
        overdue: false,
    })
}

/// Why a confirmation is not taken, or none could be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    #[error("the rule that allows access without the incident system names fewer than two approvers")]
    TooFew,
    #[error("{0} needs no confirmation: the incident system knows its incident")]
    NotNeeded(RequestId),
    #[error("this break-glass is your own: two others must confirm it")]
    Own,
    #[error("you confirmed it already, as {0}: the other confirmation must be another person's")]
    Already(Role),
    #[error("{0} is confirmed already")]
    Complete(RequestId),
    #[error("it needs confirmation by {0}: you are not one for this person and target")]
    NotOne(String),
}

impl ConfirmError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotNeeded(_) | Self::Already(_) | Self::Complete(_) => ErrorKind::Conflict,
            Self::TooFew | Self::Own | Self::NotOne(_) => ErrorKind::Denied,
        }
    }
}

/// One person says that there was such an incident, late if need be. `fills`
/// are the roles in which policy lets them approve, for each slot.
pub fn confirm(
    glass: &mut BreakGlass,
    by: &Person,
    fills: &[Vec<Role>],
    (comment, via): (Option<String>, Via),
    now: Timestamp,
) -> Result<Event, ConfirmError> {
    if by.subject == glass.person.subject {
        return Err(ConfirmError::Own);
    }
    let Some(confirmation) = &mut glass.confirmation else {
        return Err(ConfirmError::NotNeeded(glass.request.clone()));
    };
    if confirmation.is_complete() {
        return Err(ConfirmError::Complete(glass.request.clone()));
    }
    if let Some(given) = confirmation.given.iter().find(|given| given.by.subject == by.subject) {
        return Err(ConfirmError::Already(given.role.clone()));
    }
    let Some((slot, role)) = choose(confirmation, fills) else {
        let needed: Vec<String> = confirmation.open_slots().map(|(_, slot)| slot.to_string()).collect();
        return Err(ConfirmError::NotOne(needed.join(" and ")));
    };
    let given = Approval {
        by: by.to_ref(),
        on_behalf_of: None,
        role,
        slot,
        at: now,
        narrowing: Narrowing::default(),
        comment,
        via: Some(via),
        script: None,
    };
    confirmation.given.push(given.clone());
    Ok(Event::BreakGlassConfirmed {
        grant: glass.grant.clone(),
        incident: glass.incident.id.clone(),
        confirmation: given,
        complete: confirmation.is_complete(),
    })
}

/// The open slot that somebody is best used for: not the peer's, if there is
/// another, because colleagues are many; then the one with fewest roles.
fn choose(confirmation: &Confirmation, fills: &[Vec<Role>]) -> Option<(usize, Role)> {
    let open = confirmation.open_slots();
    let fits = open.filter_map(|(index, slot)| Some((index, slot, fills.get(index)?.first()?)));
    let best = fits.min_by_key(|(index, slot, role)| (role.0 == "peer", slot.any_of.len(), *index));
    best.map(|(index, _, role)| (index, role.clone()))
}

/// An earlier use of the emergency path, with what its review comes to.
#[derive(Clone, Debug)]
pub struct Earlier {
    pub glass: BreakGlass,
    /// [`super::review::verdict`]
    pub verdict: Option<Verdict>,
}

impl Earlier {
    /// The confirmation that people still owe. A review that finds the access
    /// justified says more than they would; one that does not lifts nothing.
    pub fn owes(&self) -> Option<&Confirmation> {
        let open = self.glass.confirmation.as_ref().filter(|due| !due.is_complete());
        open.filter(|_| self.verdict != Some(Verdict::Justified))
    }
}

/// Why a person's next use of the emergency path is refused: an earlier one
/// that nobody has confirmed in time, or that was found unjustified meanwhile.
pub fn blocked(earlier: &[Earlier], person: &PersonRef, now: Timestamp) -> Option<String> {
    let theirs = earlier.iter().filter(|one| one.glass.person.subject == person.subject);
    theirs.filter_map(|one| Some((one, one.owes()?.due))).find_map(|(one, due)| {
        let BreakGlass { request, incident, .. } = &one.glass;
        let which = format!("your break-glass {request} ({})", incident.id);
        if one.verdict == Some(Verdict::Unjustified) {
            return Some(format!("{which} was not confirmed, and its review found it unjustified"));
        }
        let late = Duration::try_from(now.duration_since(due)).ok().filter(|_| due <= now)?;
        Some(format!("{which} should have been confirmed by two people {} ago", format_duration(late)))
    })
}

fn after(at: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}

fn before(at: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    at.checked_sub(length).unwrap_or(Timestamp::MIN)
}
