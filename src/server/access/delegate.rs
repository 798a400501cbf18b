//! Lending one's approver roles to somebody, and being away.

use super::request::short_enough;
use super::{Access, AccessError, Caller};
use crate::core::delegation::{self, DelegationError, MOST_DELEGATIONS};
use crate::core::model::{
    Absence, Delegation, DelegationId, Ended, ErrorKind, Event, Person, PersonRef, Role,
};
use crate::proto::{AbsenceView, Away, BackView, DelegationsQuery, NewDelegation};
use crate::server::store::{StoreError, Tx, only_seen};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Names in one delegation: there are not so many roles or databases.
const MOST_NAMES: usize = 100;

impl From<DelegationError> for AccessError {
    fn from(error: DelegationError) -> Self {
        let message = error.to_string();
        match error {
            DelegationError::NotHeld(_) | DelegationError::NotAnApprover(_) | DelegationError::NoRole => {
                Self::new(ErrorKind::Denied, message).hint("`dbaccess whoami` shows your roles")
            }
            DelegationError::TooLong => {
                Self::usage(message).hint("whoever is away for longer has the roles given to somebody else")
            }
            _ => Self::usage(message),
        }
    }
}

/// What is lent, before it is.
struct Asked {
    to: String,
    roles: BTreeSet<Role>,
    targets: BTreeSet<String>,
    until: Timestamp,
    reason: String,
}

impl Access {
    /// Lends the caller's approver roles, those named or all, until then.
    pub async fn delegate(
        self: &Arc<Self>,
        caller: &Caller,
        body: NewDelegation,
    ) -> Result<Delegation, AccessError> {
        short_enough("reason", Some(&body.reason))?;
        if body.roles.len().max(body.targets.len()) > MOST_NAMES {
            return Err(AccessError::usage(format!(
                "a delegation names at most {MOST_NAMES} roles or targets"
            )));
        }
        for target in &body.targets {
            self.target(target)?;
        }
        if body.reason.trim().is_empty() {
            return Err(DelegationError::NoReason.into());
        }
        let asked = Asked {
            to: body.to,
            roles: body.roles.into_iter().map(Role).collect(),
            targets: body.targets.into_iter().collect(),
            until: body.until,
            reason: body.reason.trim().to_owned(),
        };
        let (access, caller) = (Arc::clone(self), caller.clone());
        let given = self
            .store
            .write(move |tx| {
                let now = crate::os::now();
                let giver = access.decider(tx, &caller, now)?;
                access.lend(tx, &giver, asked, now)
            })
            .await?;
        self.wake();
        Ok(given)
    }

    fn lend(
        &self,
        tx: &Tx<'_>,
        giver: &Person,
        asked: Asked,
        now: Timestamp,
    ) -> Result<Delegation, AccessError> {
        delegation::check_until(asked.until, now)?;
        let to = known(tx, &asked.to)?;
        if to.subject == giver.subject {
            return Err(DelegationError::Oneself.into());
        }
        let roles = delegation::lendable(giver, asked.roles, &self.policy().roles())?;
        let live = tx.live_delegations(now)?;
        if live.iter().filter(|one| one.from.subject == giver.subject).count() >= MOST_DELEGATIONS {
            let message =
                format!("you have given {MOST_DELEGATIONS} delegations already, which is the limit");
            return Err(AccessError::new(ErrorKind::TooMany, message)
                .hint("`dbaccess delegate --list` lists them, `dbaccess delegate --end ID` ends one"));
        }
        let id = DelegationId::from_random(crate::os::random());
        let Asked { targets, until, reason, .. } = asked;
        let given =
            Delegation { id, from: giver.to_ref(), to, roles, targets, reason, at: now, until, ended: None };
        tx.save_delegation(&given)?;
        tx.record(now, &Event::DelegationGiven { delegation: Box::new(given.clone()) })?;
        Ok(given)
    }

    /// The delegations by and to the caller; everybody's for security, auditors and admins.
    pub async fn delegations(
        &self,
        caller: &Caller,
        query: DelegationsQuery,
    ) -> Result<Vec<Delegation>, AccessError> {
        let now = crate::os::now();
        let mut found = self
            .store
            .read(move |tx| {
                let found = if query.all { tx.delegations() } else { tx.live_delegations(now) };
                found.map_err(AccessError::from)
            })
            .await?;
        found.retain(|delegation| sees(caller, delegation));
        Ok(found)
    }

    /// Ends a delegation before its time: its giver, its delegate, security and admins.
    pub async fn end_delegation(&self, caller: &Caller, id: String) -> Result<Delegation, AccessError> {
        let caller = caller.clone();
        let ended = self
            .store
            .write(move |tx| {
                let now = crate::os::now();
                let found = tx.delegations_named(&id)?;
                let mut delegation = one_of(&caller, found, &id)?;
                if !delegation.is_live(now) {
                    let message = format!("delegation {} has ended already", delegation.id);
                    return Err(AccessError::new(ErrorKind::Conflict, message));
                }
                let party = [&delegation.from, &delegation.to].map(|one| &one.subject);
                if !party.contains(&&caller.person.subject)
                    && !caller.has_role("security")
                    && !caller.has_role("admin")
                {
                    return Err(AccessError::denied(
                        "a delegation is ended by who gave it, by its delegate, security and admins",
                    ));
                }
                end(tx, &mut delegation, caller.person.to_ref(), now)?;
                Ok(delegation)
            })
            .await?;
        self.wake();
        Ok(ended)
    }

    /// The caller is told of no request until then; `to` lends all their
    /// approver roles for as long. An earlier absence, with its delegation, ends.
    pub async fn away(self: &Arc<Self>, caller: &Caller, body: Away) -> Result<AbsenceView, AccessError> {
        short_enough("reason", body.reason.as_deref())?;
        let (access, caller) = (Arc::clone(self), caller.clone());
        let view = self
            .store
            .write(move |tx| {
                let now = crate::os::now();
                let person = access.decider(tx, &caller, now)?;
                delegation::check_until(body.until, now)?;
                come_back(tx, &person.to_ref(), now)?;
                let reason = body.reason.map(|reason| reason.trim().to_owned());
                let delegation = body.to.map(|to| {
                    let reason =
                        reason.filter(|reason| !reason.is_empty()).unwrap_or_else(|| "away".to_owned());
                    let (roles, targets) = Default::default();
                    access.lend(tx, &person, Asked { to, roles, targets, until: body.until, reason }, now)
                });
                let delegation = delegation.transpose()?;
                let absence = Absence {
                    person: person.to_ref(),
                    at: now,
                    until: body.until,
                    delegation: delegation.as_ref().map(|one| one.id.clone()),
                };
                tx.save_absence(&absence)?;
                tx.record(now, &Event::PersonAway { absence: Box::new(absence.clone()) })?;
                Ok::<_, AccessError>(AbsenceView { absence, delegation })
            })
            .await?;
        self.wake();
        Ok(view)
    }

    /// The caller is told of requests again. Whoever is not away stays so.
    pub async fn back(&self, caller: &Caller) -> Result<BackView, AccessError> {
        let person = caller.person.to_ref();
        let was = self
            .store
            .write(move |tx| {
                let now = crate::os::now();
                let was = come_back(tx, &person, now)?;
                if was.is_some() {
                    tx.record(now, &Event::PersonBack { person })?;
                }
                Ok::<_, AccessError>(was)
            })
            .await?;
        self.wake();
        Ok(BackView { was })
    }

    /// The caller's absence; everybody's for security, auditors and admins.
    pub async fn absences(&self, caller: &Caller) -> Result<Vec<Absence>, AccessError> {
        let now = crate::os::now();
        let mut found = self.store.read(move |tx| tx.absences(now).map_err(AccessError::from)).await?;
        let all = caller.sees_all() || caller.has_role("admin");
        found.retain(|absence| all || absence.person.subject == caller.person.subject);
        Ok(found)
    }
}

fn sees(caller: &Caller, delegation: &Delegation) -> bool {
    let subject = &caller.person.subject;
    let party = delegation.from.subject == *subject || delegation.to.subject == *subject;
    party || caller.sees_all() || caller.has_role("admin")
}

/// The one delegation that the beginning of an id means to the caller.
fn one_of(caller: &Caller, found: Vec<Delegation>, id: &str) -> Result<Delegation, AccessError> {
    Ok(only_seen("delegation", id.trim(), found, |one| sees(caller, one))?)
}

fn end(tx: &Tx<'_>, delegation: &mut Delegation, by: PersonRef, now: Timestamp) -> Result<(), StoreError> {
    delegation.ended = Some(Ended { by: by.clone(), at: now });
    tx.save_delegation(delegation)?;
    tx.record(now, &Event::DelegationEnded { delegation: delegation.id.clone(), by })
}

/// Ends an absence and the delegation that came with it.
fn come_back(tx: &Tx<'_>, person: &PersonRef, now: Timestamp) -> Result<Option<Absence>, StoreError> {
    let mut all = tx.absences(now)?.into_iter();
    let Some(was) = all.find(|absence| absence.person.subject == person.subject) else { return Ok(None) };
    tx.remove_absence(&person.subject)?;
    let live = tx.live_delegations(now)?.into_iter();
    for mut delegation in live.filter(|one| was.delegation.as_ref() == Some(&one.id)) {
        end(tx, &mut delegation, person.clone(), now)?;
    }
    Ok(Some(was))
}

/// Somebody who was here, by e-mail address or subject.
fn known(tx: &Tx<'_>, name: &str) -> Result<PersonRef, AccessError> {
    let name = name.trim();
    let fits = |email: &str, subject: &str| email.eq_ignore_ascii_case(name) || subject == name;
    let mut found = tx.people()?.into_iter().filter(|one| fits(&one.email, &one.subject));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(PersonRef { subject: one.subject, email: one.email }),
        (None, _) => Err(AccessError::not_found(format!("nobody called {name} has signed in here"))
            .hint("they run `dbaccess login` once; say their e-mail address as it is there")),
        _ => Err(AccessError::usage(format!("several people are called {name}: say the subject of one"))),
    }
}
