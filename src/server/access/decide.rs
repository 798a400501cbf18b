//! Deciding about a request, and taking access back.

use super::{Access, AccessError, Caller};
use crate::core::approval::{self, ApprovalError, Outcome};
use crate::core::model::{
    AccessRequest, Actor, AskedScope, EndReason, ErrorKind, Grant, GrantId, Identity, Narrowing, Objects,
    Role, SessionId,
};
use crate::proto::{Approve, Reason, RequestView, RevokedView};
use crate::server::gateway::End;
use crate::server::store::{StoreError, Tx};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::time::Duration;

impl From<ApprovalError> for AccessError {
    fn from(error: ApprovalError) -> Self {
        let refusal = Self::new(error.kind(), error.to_string());
        match error {
            ApprovalError::Lapsed { .. } => refusal.hint("ask again: `dbaccess request`"),
            ApprovalError::NotAnApprover { id, .. } => {
                refusal.hint(format!("`dbaccess show {id}` says who can decide"))
            }
            _ => refusal,
        }
    }
}

/// Writes what a transition made: state and record in one transaction (G7).
pub(super) fn save(tx: &Tx<'_>, now: Timestamp, outcome: &Outcome) -> Result<(), StoreError> {
    tx.save_request(&outcome.request)?;
    if let Some(grant) = &outcome.grant {
        tx.save_grant(grant)?;
    }
    outcome.events.iter().try_for_each(|event| tx.record(now, event))
}

impl Access {
    /// The roles in which a person may approve, for each slot of a request.
    /// `requester` is who asked, as last seen: their teams make peers.
    pub(super) fn fills(
        &self,
        person: &crate::core::model::Person,
        request: &AccessRequest,
        requester: Option<&Identity>,
    ) -> Vec<Vec<Role>> {
        let teams =
            requester.map(|identity| self.config.directory.person(identity).teams).unwrap_or_default();
        let Ok(state) = self.target(&request.target) else { return Vec::new() };
        let roles = |slot: &crate::core::model::Slot| {
            self.config.policy.fills(person, &request.person, &teams, &state.target, &slot.any_of)
        };
        request.decision.slots.iter().map(roles).collect()
    }

    pub async fn approve(
        self: &std::sync::Arc<Self>,
        caller: &Caller,
        id: String,
        body: Approve,
    ) -> Result<RequestView, AccessError> {
        let asked = id.clone();
        let request = self.store.read(move |tx| tx.request(&asked).map_err(AccessError::from)).await?;
        let tables = match &body.tables {
            Some(tables) => Some(self.narrowed_tables(&request, tables).await?),
            None => None,
        };
        let narrowing = Narrowing { tables, window: body.window_seconds.map(Duration::from_secs) };
        let (person, grant) = (caller.person.clone(), GrantId::from_random(crate::os::random()));
        self.transition(caller, request.id.to_string(), move |access, tx, request, now| {
            let requester = tx.person(&request.person.subject)?;
            let fills = access.fills(&person, &request, requester.as_ref());
            Ok(approval::approve(request, &person, &fills, narrowing, body.comment, now, grant)?)
        })
        .await
    }

    pub async fn deny(
        self: &std::sync::Arc<Self>,
        caller: &Caller,
        id: String,
        body: Reason,
    ) -> Result<RequestView, AccessError> {
        let person = caller.person.clone();
        self.transition(caller, id, move |access, tx, request, now| {
            let requester = tx.person(&request.person.subject)?;
            let fills = access.fills(&person, &request, requester.as_ref());
            Ok(approval::deny(request, &person, &fills, body.reason, now)?)
        })
        .await
    }

    pub async fn cancel(
        self: &std::sync::Arc<Self>,
        caller: &Caller,
        id: String,
        body: Reason,
    ) -> Result<RequestView, AccessError> {
        let person = caller.person.to_ref();
        self.transition(caller, id, move |_, _, request, now| {
            Ok(approval::cancel(request, &person, body.reason, now)?)
        })
        .await
    }

    /// Load, decide, save and record in one transaction, so that of two people
    /// who act at once the second sees what the first did.
    async fn transition(
        self: &std::sync::Arc<Self>,
        caller: &Caller,
        id: String,
        decide: impl FnOnce(&Self, &Tx<'_>, AccessRequest, Timestamp) -> Result<Outcome, AccessError>
        + Send
        + 'static,
    ) -> Result<RequestView, AccessError> {
        let access = std::sync::Arc::clone(self);
        let now = crate::os::now();
        let outcome = self
            .store
            .write(move |tx| {
                let request = tx.request(&id)?;
                let outcome = decide(&access, tx, request, now)?;
                save(tx, now, &outcome)?;
                Ok::<_, AccessError>(outcome)
            })
            .await?;
        self.outbox.wake();
        self.view(caller, outcome.request).await
    }

    async fn narrowed_tables(
        &self,
        request: &AccessRequest,
        tables: &[String],
    ) -> Result<BTreeSet<crate::core::model::TableName>, AccessError> {
        let catalog = self.target(&request.target)?.catalog().await?;
        let asked = AskedScope { tables: tables.to_vec(), ..AskedScope::default() };
        match asked.resolve(&catalog)?.objects {
            Objects::Only { tables, .. } => Ok(tables),
            Objects::Database => Err(AccessError::usage("narrow to at least one table")),
        }
    }

    /// Takes access back: of a grant (with its sessions) or of one session.
    pub async fn revoke(
        self: &std::sync::Arc<Self>,
        caller: &Caller,
        id: String,
        body: Reason,
    ) -> Result<RevokedView, AccessError> {
        let now = crate::os::now();
        let person = caller.person.clone();
        let access = std::sync::Arc::clone(self);
        let (grant, sessions) = self
            .store
            .write(move |tx| {
                let named = Named::find(tx, &id)?;
                let grant = tx.grant(named.grant().as_str())?;
                let request = tx.request(grant.request.as_str())?;
                let requester = tx.person(&grant.person.subject)?;
                let teams = requester
                    .map(|identity| access.config.directory.person(&identity).teams)
                    .unwrap_or_default();
                let roles: Vec<Role> = access.config.policy.roles().into_iter().collect();
                let fills = match access.target(&request.target) {
                    Ok(state) => {
                        access.config.policy.fills(&person, &grant.person, &teams, &state.target, &roles)
                    }
                    Err(_) => Vec::new(),
                };
                match named {
                    Named::Grant(_) => {
                        let (grant, event) = approval::revoke(grant, &person, &fills, body.reason, now)?;
                        tx.save_grant(&grant)?;
                        tx.record(now, &event)?;
                        let sessions =
                            tx.sessions_of(&grant.id)?.into_iter().map(|s| (s.id, s.role)).collect();
                        Ok::<_, AccessError>((Some(grant.id), sessions))
                    }
                    Named::Session { id, role, .. } => {
                        // The same people may end one session; the grant goes on.
                        approval::may_revoke(&grant, &person, &fills)?;
                        Ok((None, vec![(id, role)]))
                    }
                }
            })
            .await?;
        self.outbox.wake();
        let sessions: Vec<(SessionId, String)> = sessions;
        for (_, role) in &sessions {
            // A session that is not live is being opened, and will see the
            // revocation, or is being buried already.
            if let Some(live) = self.registry.find(role) {
                live.finish(End {
                    reason: EndReason::Revoked,
                    by: Actor::Person(caller.person.to_ref()),
                    at: now,
                });
            }
        }
        Ok(RevokedView { grant, sessions: sessions.into_iter().map(|(id, _)| id).collect() })
    }

    pub(super) async fn live_grants(&self, caller: &Caller) -> Result<Vec<Grant>, AccessError> {
        let (subject, now) = (caller.person.subject.clone(), crate::os::now());
        self.store.read(move |tx| tx.live_grants(&subject, now).map_err(AccessError::from)).await
    }

    pub async fn grants(&self, caller: &Caller, target: Option<String>) -> Result<Vec<Grant>, AccessError> {
        if let Some(name) = &target {
            self.target(name)?;
        }
        let mut grants = self.live_grants(caller).await?;
        grants.retain(|grant| target.as_ref().is_none_or(|name| grant.target == *name));
        Ok(grants)
    }

    /// Ends the requests that nobody answered in time.
    pub async fn lapse_requests(&self) -> Result<(), AccessError> {
        let now = crate::os::now();
        let lapsed = self
            .store
            .write(move |tx| {
                let lapsed = tx.lapsed_requests(now)?;
                let count = lapsed.len();
                for request in lapsed {
                    save(tx, now, &approval::expire(request, now)?)?;
                }
                Ok::<_, AccessError>(count)
            })
            .await?;
        if lapsed > 0 {
            self.outbox.wake();
        }
        Ok(())
    }
}

/// What an id given to `revoke` names.
enum Named {
    Grant(GrantId),
    Session { id: SessionId, role: String, grant: GrantId },
}

impl Named {
    /// By the id's own kind; without one, whatever it fits.
    fn find(tx: &Tx<'_>, id: &str) -> Result<Self, AccessError> {
        let of_grant = |tx: &Tx<'_>| tx.grant(id).map(|grant| Self::Grant(grant.id));
        let of_session =
            |tx: &Tx<'_>| tx.session(id).map(|s| Self::Session { id: s.id, role: s.role, grant: s.grant });
        let of_request = |tx: &Tx<'_>| -> Result<Self, AccessError> {
            let request = tx.request(id)?;
            request.grant.map(Self::Grant).ok_or_else(|| {
                AccessError::new(ErrorKind::Conflict, format!("{} was never granted", request.id))
                    .hint(format!("`dbaccess cancel {}` withdraws your own waiting request", request.id))
            })
        };
        match id.split_once('-').map(|(kind, _)| kind) {
            Some(GrantId::PREFIX) => Ok(of_grant(tx)?),
            Some(SessionId::PREFIX) => Ok(of_session(tx)?),
            Some(crate::core::model::RequestId::PREFIX) => of_request(tx),
            _ => match (of_grant(tx), of_session(tx)) {
                (Ok(grant), Err(StoreError::NoSuch { .. })) => Ok(grant),
                (Err(StoreError::NoSuch { .. }), Ok(session)) => Ok(session),
                (Ok(_), _) | (_, Ok(_)) => {
                    Err(AccessError::usage(format!("{id} fits a grant and a session: write its kind too")))
                }
                (Err(_), Err(_)) => of_request(tx).map_err(|_| {
                    AccessError::not_found(format!("no grant, session or request begins with {id}"))
                        .hint("`dbaccess sessions` and `dbaccess requests --all` list them")
                }),
            },
        }
    }

    fn grant(&self) -> &GrantId {
        match self {
            Self::Grant(id) | Self::Session { grant: id, .. } => id,
        }
    }
}
