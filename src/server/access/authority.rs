//! Who may decide about a request, by whose authority, as of one moment: what
//! the identity provider last said, the policy in force, what is lent to whom.

use super::{Access, AccessError, Caller};
use crate::core::delegation::{self, Authority};
use crate::core::model::{
    Absence, AccessRequest, Delegation, ErrorKind, Identity, Person, PersonRef, Role, Target, Via,
    format_duration,
};
use crate::core::policy::Policy;
use crate::server::config::Directory;
use crate::server::store::{StoreError, Tx};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The live delegations, with who gave them as last seen.
#[derive(Default)]
pub(super) struct Loans {
    delegations: Vec<Delegation>,
    givers: BTreeMap<String, Identity>,
}

impl Loans {
    pub fn of(tx: &Tx<'_>, now: Timestamp) -> Result<Self, StoreError> {
        let delegations = tx.live_delegations(now)?;
        let mut givers = BTreeMap::new();
        for Delegation { from, .. } in &delegations {
            if let Some(giver) = tx.person(&from.subject)? {
                givers.insert(from.subject.clone(), giver);
            }
        }
        Ok(Self { delegations, givers })
    }
}

/// One request and what it is judged by, taken once: a policy that is replaced
/// meanwhile judges the next.
pub(super) struct Judging<'a> {
    request: &'a AccessRequest,
    /// Of the requester, as last seen: they make peers.
    teams: BTreeSet<String>,
    policy: Arc<Policy>,
    /// Nobody may decide where it is not configured any more.
    target: Option<&'a Target>,
    directory: &'a Directory,
}

impl Judging<'_> {
    /// The roles out of `roles` in which a person may decide by themselves.
    pub fn roles(&self, person: &Person, roles: &[Role]) -> Vec<Role> {
        let Some(target) = self.target else { return Vec::new() };
        self.policy.fills(person, &self.request.person, &self.teams, target, roles)
    }

    /// Those of a person's own in which they may approve, for each slot.
    fn fills(&self, person: &Person) -> Vec<Vec<Role>> {
        self.request.decision.slots.iter().map(|slot| self.roles(person, &slot.any_of)).collect()
    }

    /// A person's own authority, and what was lent to them.
    pub fn authorities(&self, person: &Person, loans: &Loans, now: Timestamp) -> Vec<Authority> {
        let fills_of = |someone: &PersonRef| {
            if someone.subject == person.subject {
                return self.fills(person);
            }
            // Somebody who is not known any more lends nothing.
            let giver = loans.givers.get(&someone.subject).map(|giver| self.directory.person(giver));
            giver.map_or_else(Vec::new, |giver| self.fills(&giver))
        };
        let request = self.request;
        let (who, whose, delegations) = (person.to_ref(), &request.person, &loans.delegations);
        delegation::authorities(&who, whose, &request.target, delegations, now, fills_of)
    }
}

/// Somebody who could fill an open slot now.
pub(super) struct Approver {
    pub person: PersonRef,
    /// Their roles, and those of whoever they could do it for.
    pub roles: BTreeSet<Role>,
}

/// Everybody who was here, for finding approvers among them.
pub(super) struct People {
    people: Vec<Identity>,
    absences: Vec<Absence>,
    loans: Loans,
    requester: Option<Identity>,
}

impl People {
    pub fn of(tx: &Tx<'_>, request: &AccessRequest, now: Timestamp) -> Result<Self, StoreError> {
        Ok(Self {
            people: tx.people()?,
            absences: tx.absences(now)?,
            loans: Loans::of(tx, now)?,
            requester: tx.person(&request.person.subject)?,
        })
    }
}

impl Access {
    /// What a request is judged by now. `requester` is who asked, as last seen.
    pub(super) fn judging<'a>(
        &'a self,
        request: &'a AccessRequest,
        requester: Option<&Identity>,
    ) -> Judging<'a> {
        let directory = &self.config.directory;
        Judging {
            request,
            teams: requester.map(|identity| directory.person(identity).teams).unwrap_or_default(),
            policy: self.policy(),
            target: self.target(&request.target).ok().map(|state| &state.target),
            directory,
        }
    }

    /// Who the caller is at the moment of a decision: the roles that the
    /// provider confirmed last, which must not be long ago.
    ///
    /// # Errors
    /// [`ErrorKind::NotSignedIn`] where it is too long ago: renewing the login asks the provider again.
    pub(super) fn decider(
        &self,
        tx: &Tx<'_>,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Person, AccessError> {
        let subject = &caller.person.subject;
        let unknown = || AccessError::not_signed_in("this sign-in has ended");
        let seen = tx.seen(subject)?.ok_or_else(unknown)?;
        let age = now.duration_since(seen).max(SignedDuration::ZERO).unsigned_abs();
        // Slack's buttons have an age of their own: who lets them decide has said so.
        let fresh = match caller.via {
            Via::Slack => self.slack_trusts_for(),
            Via::Cli | Via::Web => self.config.approvals.fresh,
        };
        if age > fresh {
            let message = format!(
                "the identity provider confirmed your roles {} ago, and a decision needs them to be no older \
                 than {}",
                format_duration(Duration::from_secs(age.as_secs())),
                format_duration(fresh)
            );
            return Err(AccessError::new(ErrorKind::NotSignedIn, message).hint("dbaccess login"));
        }
        let identity = tx.person(subject)?.ok_or_else(unknown)?;
        Ok(self.config.directory.person(&identity))
    }

    /// The people who could fill an open slot of a request now. Whoever is away
    /// is not among them; their delegates are, because they could.
    pub(super) async fn approvers(
        self: &Arc<Self>,
        request: &AccessRequest,
    ) -> Result<Vec<Approver>, AccessError> {
        let (access, request, now) = (Arc::clone(self), request.clone(), crate::os::now());
        let (people, request) = self
            .store
            .read(move |tx| Ok::<_, AccessError>((People::of(tx, &request, now)?, request)))
            .await?;
        // Policy is asked of everybody: not while others wait for the thread.
        let looking = tokio::task::spawn_blocking(move || access.approvers_among(&people, &request, now));
        looking.await.map_err(|_| AccessError::internal("looking for approvers broke off"))
    }

    fn approvers_among(&self, all: &People, request: &AccessRequest, now: Timestamp) -> Vec<Approver> {
        let judging = self.judging(request, all.requester.as_ref());
        let away: BTreeSet<&str> = all.absences.iter().map(|one| one.person.subject.as_str()).collect();
        let mut found = Vec::new();
        for identity in all.people.iter().filter(|one| !away.contains(one.subject.as_str())) {
            let person = self.config.directory.person(identity);
            let authorities = judging.authorities(&person, &all.loans, now);
            if delegation::choose(request, &person.to_ref(), &authorities).is_none() {
                continue;
            }
            let mut roles = BTreeSet::new();
            for Authority { of, fills } in &authorities {
                if fills.iter().all(Vec::is_empty) {
                    continue;
                }
                let giver = all.loans.givers.get(&of.subject).filter(|_| of.subject != person.subject);
                roles.extend(
                    giver.map_or_else(
                        || person.roles.clone(),
                        |giver| self.config.directory.person(giver).roles,
                    ),
                );
            }
            found.push(Approver { person: person.to_ref(), roles });
        }
        found
    }
}
