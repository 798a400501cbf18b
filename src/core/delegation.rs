//! Whose authority an approval rests on: one's own roles, or those that
//! somebody has lent. Pure: who could fill what by themselves is policy's
//! answer and comes in as an argument.
//!
//! ```text
//! own roles ──────────────────────────────┐
//! a live delegation ─► what its giver ────┴─► authorities ─► choose ─► slot, role, in whose name
//!                      could fill NOW
//! ```
//!
//! Three rules hold whatever was lent to whom:
//! - nobody decides about their own request, and nobody's authority does (G6);
//! - a person stands behind one approval of a request, be it that they gave it
//!   or that it was given in their name;
//! - what was lent is not lent on.

#[cfg(test)]
mod tests;

use super::model::{AccessRequest, Delegation, Person, PersonRef, Role, Slot};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

pub use super::model::{LONGEST_DELEGATION, MOST_DELEGATIONS};

/// What somebody could fill, and whose roles these are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The approver, or who lent them this.
    pub of: PersonRef,
    /// For each slot of the decision the roles in which they fill it.
    pub fills: Vec<Vec<Role>>,
}

/// The slot that an approval takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    pub slot: usize,
    pub role: Role,
    /// In whose name; nobody's but one's own where it is `None`.
    pub on_behalf_of: Option<PersonRef>,
}

/// A role that one cannot lend: a peer is who knows the work, whoever asks them to look.
pub fn is_personal(role: &Role) -> bool {
    role.0 == "peer"
}

/// Every authority that `approver` has over a request for `target`, their own first.
/// `fills_of` says what a person could fill by their own roles now, which is
/// why there are no chains: it does not look at delegations.
pub fn authorities(
    approver: &PersonRef,
    requester: &PersonRef,
    target: &str,
    delegations: &[Delegation],
    now: Timestamp,
    mut fills_of: impl FnMut(&PersonRef) -> Vec<Vec<Role>>,
) -> Vec<Authority> {
    if approver.subject == requester.subject {
        return Vec::new();
    }
    let mut found = vec![Authority { of: approver.clone(), fills: fills_of(approver) }];
    for delegation in delegations {
        let mine = delegation.to.subject == approver.subject && delegation.from.subject != approver.subject;
        let sound = delegation.from.subject != requester.subject;
        if !(mine && sound && delegation.is_live(now) && delegation.covers(target)) {
            continue;
        }
        let lent = |role: &Role| delegation.roles.contains(role) && !is_personal(role);
        let mut fills = fills_of(&delegation.from);
        fills.iter_mut().for_each(|roles| roles.retain(lent));
        found.push(Authority { of: delegation.from.clone(), fills });
    }
    found
}

/// The people who stand behind the approvals so far.
pub fn behind(request: &AccessRequest) -> BTreeSet<&str> {
    request
        .approvals
        .iter()
        .flat_map(|given| std::iter::once(&given.by).chain(&given.on_behalf_of))
        .map(|person| person.subject.as_str())
        .collect()
}

/// The slot that this person is best used for: of the open ones not the peer's,
/// if there is another, because colleagues are many and leads, managers and
/// security few; then the one with fewest roles; then by their own roles before
/// lent ones. Nobody who stands behind an approval already stands behind another.
pub fn choose(request: &AccessRequest, approver: &PersonRef, authorities: &[Authority]) -> Option<Chosen> {
    let behind = behind(request);
    if behind.contains(approver.subject.as_str()) {
        return None;
    }
    let fresh = authorities.iter().filter(|authority| !behind.contains(authority.of.subject.as_str()));
    let ways = fresh.flat_map(|authority| {
        let lent = authority.of.subject != approver.subject;
        let fits = move |(index, slot): (usize, &Slot)| {
            let role = authority.fills.get(index)?.first()?.clone();
            let on_behalf_of = lent.then(|| authority.of.clone());
            let rank = (is_personal(&role), slot.any_of.len(), lent, index);
            Some((rank, Chosen { slot: index, role, on_behalf_of }))
        };
        request.open_slots().filter_map(fits)
    });
    ways.min_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, chosen)| chosen)
}

/// Why nobody can be lent what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DelegationError {
    #[error("you cannot delegate to yourself")]
    Oneself,
    #[error("you hold no role that approves: there is nothing to delegate")]
    NoRole,
    #[error("peer cannot be delegated: a peer is a colleague who knows the work")]
    Personal,
    #[error("you do not hold the role {0}, so you cannot delegate it")]
    NotHeld(Role),
    #[error("nobody approves in the role {0}: it cannot be delegated")]
    NotAnApprover(Role),
    #[error("it must end after now")]
    Past,
    #[error("a delegation lasts at most 30 days")]
    TooLong,
    #[error("a delegation needs a reason: say why somebody else approves")]
    NoReason,
}

/// The roles that are lent where `asked` are asked for, or all where none are.
/// `approving` are those that policy asks approvals of.
///
/// # Errors
/// A role that is not the giver's to lend.
pub fn lendable(
    giver: &Person,
    asked: BTreeSet<Role>,
    approving: &BTreeSet<Role>,
) -> Result<BTreeSet<Role>, DelegationError> {
    if asked.is_empty() {
        let mine = giver.roles.intersection(approving).filter(|role| !is_personal(role));
        let mine: BTreeSet<Role> = mine.cloned().collect();
        return if mine.is_empty() { Err(DelegationError::NoRole) } else { Ok(mine) };
    }
    for role in &asked {
        if is_personal(role) {
            return Err(DelegationError::Personal);
        }
        if !giver.roles.contains(role) {
            return Err(DelegationError::NotHeld(role.clone()));
        }
        if !approving.contains(role) {
            return Err(DelegationError::NotAnApprover(role.clone()));
        }
    }
    Ok(asked)
}

/// Whether a delegation or an absence may last from now until then.
///
/// # Errors
/// [`DelegationError::Past`], [`DelegationError::TooLong`].
pub fn check_until(until: Timestamp, now: Timestamp) -> Result<(), DelegationError> {
    let length = Duration::try_from(until.duration_since(now)).map_err(|_| DelegationError::Past)?;
    if length.is_zero() {
        return Err(DelegationError::Past);
    }
    if length > LONGEST_DELEGATION { Err(DelegationError::TooLong) } else { Ok(()) }
}
