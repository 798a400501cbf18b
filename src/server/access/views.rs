//! What people are shown of requests, and who sees which.

use super::{Access, AccessError, Caller};
use crate::core::model::{AccessRequest, Grant, Identity, Role};
use crate::core::policy::sensitivities;
use crate::proto::{RequestView, RequestsQuery};
use crate::server::store::Tx;
use std::collections::BTreeSet;

const MOST_REQUESTS: u32 = 500;

/// A request with what is needed to judge who may see it.
struct Loaded {
    request: AccessRequest,
    requester: Option<Identity>,
    grant: Option<Grant>,
}

fn load(tx: &Tx<'_>, request: AccessRequest) -> Result<Loaded, AccessError> {
    let requester = tx.person(&request.person.subject)?;
    let grant = request.grant.as_ref().map(|id| tx.grant(id.as_str())).transpose()?;
    Ok(Loaded { request, requester, grant })
}

impl Access {
    /// The requests that concern the caller: their own, those they could
    /// decide, and for security and auditors all.
    pub async fn requests(
        &self,
        caller: &Caller,
        query: RequestsQuery,
    ) -> Result<Vec<RequestView>, AccessError> {
        let subject = query.mine.then(|| caller.person.subject.clone());
        let loaded = self
            .store
            .read(move |tx| {
                tx.requests(subject.as_deref(), query.all, MOST_REQUESTS)?
                    .into_iter()
                    .map(|request| load(tx, request))
                    .collect::<Result<Vec<_>, AccessError>>()
            })
            .await?;
        Ok(loaded.into_iter().filter_map(|loaded| self.seen_by(caller, loaded)).collect())
    }

    pub async fn show(&self, caller: &Caller, id: String) -> Result<RequestView, AccessError> {
        let asked = id.clone();
        let loaded = self.store.read(move |tx| load(tx, tx.request(&asked)?)).await?;
        self.seen_by(caller, loaded)
            .ok_or_else(|| AccessError::not_found(format!("no request that concerns you begins with {id}")))
    }

    /// A request right after the caller changed it.
    pub(super) async fn view(
        &self,
        caller: &Caller,
        request: AccessRequest,
    ) -> Result<RequestView, AccessError> {
        let loaded = self.store.read(move |tx| load(tx, request)).await?;
        Ok(self.build(caller, loaded).0)
    }

    fn seen_by(&self, caller: &Caller, loaded: Loaded) -> Option<RequestView> {
        let own = loaded.request.person.subject == caller.person.subject;
        let (view, could_decide) = self.build(caller, loaded);
        (own || could_decide || caller.sees_all()).then_some(view)
    }

    /// The view, and whether the caller fills any slot of the request, open or not.
    fn build(&self, caller: &Caller, loaded: Loaded) -> (RequestView, bool) {
        let Loaded { request, requester, grant } = loaded;
        let fills = self.fills(&caller.person, &request, requester.as_ref());
        let could_decide = fills.iter().any(|roles| !roles.is_empty());
        let open: BTreeSet<Role> =
            request.open_slots().filter_map(|(index, _)| fills.get(index)).flatten().cloned().collect();
        let waiting = request.state == crate::core::model::RequestState::Waiting;
        let acted = request.approvals.iter().any(|approval| approval.by.subject == caller.person.subject);
        let sensitive = self.target(&request.target).map_or_else(
            |_| Vec::new(),
            |state| {
                sensitivities(&request.scope, &state.target)
                    .into_iter()
                    .map(|(sensitivity, columns)| format!("{}: {}", sensitivity.as_str(), columns.join(", ")))
                    .collect()
            },
        );
        let you_fill = if waiting && !acted { open.into_iter().collect() } else { Vec::new() };
        (RequestView { request, sensitive, you_fill, grant }, could_decide)
    }
}
