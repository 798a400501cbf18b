//! Who sees what. What a person may not see does not exist for them: an id
//! that fits only such things is answered like one that fits nothing.

use super::authority::Loans;
use super::{Access, AccessError, Caller};
use crate::core::model::{
    AccessRequest, BreakGlass, Grant, GrantId, Identity, Path, RequestId, RequestState, Review, Role,
    Session, SessionId,
};
use crate::server::store::{StoreError, Tx, only_seen};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A request with what is needed to judge who may see it.
pub(super) struct Loaded {
    pub request: AccessRequest,
    pub requester: Option<Identity>,
    pub grant: Option<Grant>,
    /// What became of it, where it is one.
    pub break_glass: Option<BreakGlass>,
    /// While it waits: who was lent what.
    pub loans: Arc<Loans>,
}

/// Loads requests as of one moment: what is the same for all of them is read once.
pub(super) struct Loading<'t, 'c> {
    tx: &'t Tx<'c>,
    loans: Option<Arc<Loans>>,
}

impl<'t, 'c> Loading<'t, 'c> {
    pub fn new(tx: &'t Tx<'c>) -> Self {
        Self { tx, loans: None }
    }

    pub fn of(&mut self, request: AccessRequest) -> Result<Loaded, StoreError> {
        let tx = self.tx;
        let requester = tx.person(&request.person.subject)?;
        let grant = request.grant.as_ref().map(|id| tx.grant(id.as_str())).transpose()?;
        let break_glass = grant.as_ref().filter(|grant| grant.path == Path::BreakGlass);
        let break_glass = break_glass.map(|grant| tx.break_glass(&grant.id)).transpose()?.flatten();
        let waits = request.state == RequestState::Waiting;
        let loans = if waits { self.loans()? } else { Arc::default() };
        Ok(Loaded { request, requester, grant, break_glass, loans })
    }

    /// Reviews, each with the request that it is about.
    pub fn of_reviews(&mut self, reviews: Vec<Review>) -> Result<Vec<(Loaded, Review)>, StoreError> {
        let tx = self.tx;
        let with_request = |review: Review| {
            let request = tx.request(review.request.as_str())?;
            Ok((self.of(request)?, review))
        };
        reviews.into_iter().map(with_request).collect()
    }

    fn loans(&mut self) -> Result<Arc<Loans>, StoreError> {
        let loans = match &self.loans {
            Some(loans) => Arc::clone(loans),
            None => Arc::new(Loans::of(self.tx, crate::os::now())?),
        };
        self.loans = Some(Arc::clone(&loans));
        Ok(loans)
    }
}

impl Loaded {
    /// One request; of a list, [`Loading`].
    pub fn of(tx: &Tx<'_>, request: AccessRequest) -> Result<Self, StoreError> {
        Loading::new(tx).of(request)
    }
}

impl Access {
    /// Whether a request, its grant and its sessions concern the caller: the
    /// requester, whoever decided or could, by themselves or for another, whoever
    /// is answerable for this person and target (a lead for the team's automatic
    /// grants, too), security, auditors and admins.
    pub(super) fn concerns(&self, caller: &Caller, loaded: &Loaded) -> bool {
        let Loaded { request, requester, loans, .. } = loaded;
        if request.person.subject == caller.person.subject || caller.sees_all() || caller.has_role("admin") {
            return true;
        }
        if request.approvals.iter().any(|given| given.by.subject == caller.person.subject) {
            return true;
        }
        let judging = self.judging(request, requester.as_ref());
        let could_approve = || {
            let authorities = judging.authorities(&caller.person, loans, crate::os::now());
            authorities.iter().flat_map(|authority| &authority.fills).any(|roles| !roles.is_empty())
        };
        let could_confirm = || {
            let due = loaded.break_glass.as_ref().and_then(|glass| glass.confirmation.as_ref());
            let mut slots = due.iter().flat_map(|due| &due.slots);
            slots.any(|slot| !judging.roles(&caller.person, &slot.any_of).is_empty())
        };
        let answerable = || {
            let roles: Vec<Role> =
                self.policy().roles().into_iter().filter(|role| role.0 != "peer").collect();
            !judging.roles(&caller.person, &roles).is_empty()
        };
        could_approve() || could_confirm() || answerable()
    }

    /// The one request that an id's beginning means to the caller. The id of a
    /// grant or a session leads to what was asked for it.
    pub(super) async fn find_request(&self, caller: &Caller, id: &str) -> Result<Loaded, AccessError> {
        let found = named(id, &[RequestId::PREFIX]);
        let found = self.store.read(found).await?;
        self.one_visible(caller, "request", id, found, |(loaded, _)| loaded).map(|(loaded, _)| loaded)
    }

    /// The one session that an id's beginning means to the caller.
    pub(super) async fn find_session(&self, caller: &Caller, id: &str) -> Result<Session, AccessError> {
        let asked = id.to_owned();
        let found = self.store.read(move |tx| named_sessions(tx, &asked)).await?;
        self.one_visible(caller, "session", id, found, |(loaded, _)| loaded).map(|(_, session)| session)
    }

    /// What an id means to the caller that may be any's: a session, or without one
    /// a request, by itself or by its grant.
    pub(super) async fn find_any(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<(Loaded, Option<Session>), AccessError> {
        let found = named(id, &[SessionId::PREFIX, GrantId::PREFIX, RequestId::PREFIX]);
        let found = self.store.read(found).await?;
        self.one_visible(caller, "grant, session or request", id, found, |(loaded, _)| loaded)
    }

    pub(super) fn one_visible<T>(
        &self,
        caller: &Caller,
        kind: &'static str,
        id: &str,
        found: Vec<T>,
        loaded: impl Fn(&T) -> &Loaded,
    ) -> Result<T, AccessError> {
        Ok(only_seen(kind, id.trim(), found, |one| self.concerns(caller, loaded(one)))?)
    }
}

/// What the beginning of an id may mean, by its own kind; where it does not say
/// which, one of these.
fn named(
    id: &str,
    unsaid: &'static [&'static str],
) -> impl FnOnce(&Tx<'_>) -> Result<Vec<(Loaded, Option<Session>)>, AccessError> + Send + 'static {
    let asked = id.to_owned();
    move |tx: &Tx<'_>| {
        let kind = asked.split_once('-').map(|(kind, _)| kind.trim().to_ascii_lowercase());
        let wanted = |prefix: &'static str| match &kind {
            Some(kind) => kind == prefix,
            None => unsaid.contains(&prefix),
        };
        let mut found = Vec::new();
        if wanted(SessionId::PREFIX) {
            let sessions = named_sessions(tx, &asked)?;
            found.extend(sessions.into_iter().map(|(loaded, session)| (loaded, Some(session))));
        }
        let mut requests = BTreeSet::new();
        if wanted(GrantId::PREFIX) {
            requests.extend(tx.grants_named(&asked)?.into_iter().map(|grant| grant.request));
        }
        if wanted(RequestId::PREFIX) {
            requests.extend(tx.requests_named(&asked)?.into_iter().map(|request| request.id));
        }
        let mut loading = Loading::new(tx);
        for id in requests {
            found.push((loading.of(tx.request(id.as_str())?)?, None));
        }
        Ok(found)
    }
}

fn named_sessions(tx: &Tx<'_>, prefix: &str) -> Result<Vec<(Loaded, Session)>, AccessError> {
    let mut loading = Loading::new(tx);
    let with_request = |session: Session| {
        let grant = tx.grant(session.grant.as_str())?;
        Ok((loading.of(tx.request(grant.request.as_str())?)?, session))
    };
    tx.sessions_named(prefix)?.into_iter().map(with_request).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::Store;
    use serde_json::{Value, json};

    fn waiting(id: &str) -> AccessRequest {
        let scope: Value = json!({"objects": "database", "permissions": ["read"]});
        let decision = json!({
            "tier": "single", "rules": [], "why": "", "slots": [{"any_of": ["lead"]}], "longest": 60, "policy": "",
        });
        let body = json!({
            "id": id, "person": {"subject": "alice", "email": "alice@example.com"}, "target": "orders",
            "scope": scope, "path": "read-only", "reason": "x", "window": 60, "created_at": "2026-01-01T00:00:00Z",
            "expires_at": "2026-01-02T00:00:00Z", "state": "waiting", "decision": decision, "approvals": [],
            "closed": null, "grant": null,
        });
        serde_json::from_value(body).unwrap()
    }

    #[tokio::test]
    async fn who_lent_what_is_read_once_for_a_list() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.db")).unwrap();
        store
            .read(|tx| {
                let mut loading = Loading::new(tx);
                let (one, other) = (loading.of(waiting("req-1"))?, loading.of(waiting("req-2"))?);
                assert!(Arc::ptr_eq(&one.loans, &other.loans));
                Ok::<_, StoreError>(())
            })
            .await
            .unwrap();
    }
}
