//! What people are shown of requests.

use super::visible::Loaded;
use super::{Access, AccessError, Caller};
use crate::core::approval;
use crate::core::model::{AccessRequest, RequestState, Role, Sensitivity};
use crate::core::policy::{masked, sensitivities};
use crate::proto::{RequestView, RequestsQuery};
use std::collections::BTreeSet;

const MOST_REQUESTS: u32 = 500;

impl Access {
    /// The requests that concern the caller, newest first.
    pub async fn requests(
        &self,
        caller: &Caller,
        query: RequestsQuery,
    ) -> Result<Vec<RequestView>, AccessError> {
        let subject = caller.person.subject.clone();
        let loaded: Vec<Loaded> = self
            .store
            .read(move |tx| {
                let mut requests = tx.requests(Some(&subject), query.all, MOST_REQUESTS)?;
                if !query.mine {
                    // Many of other people's must not push the caller's own out of the list.
                    let all = tx.requests(None, query.all, MOST_REQUESTS)?;
                    requests.extend(all.into_iter().filter(|request| request.person.subject != subject));
                    requests.sort_by_key(|request| std::cmp::Reverse(request.created_at));
                }
                requests.into_iter().map(|request| Ok::<_, AccessError>(Loaded::of(tx, request)?)).collect()
            })
            .await?;
        let seen = loaded.into_iter().filter(|loaded| self.concerns(caller, loaded));
        let without_script = |mut view: RequestView| {
            if let Some(script) = &mut view.request.migration {
                script.text.clear();
            }
            view
        };
        Ok(seen.map(|loaded| without_script(self.build(caller, loaded))).collect())
    }

    pub async fn show(&self, caller: &Caller, id: String) -> Result<RequestView, AccessError> {
        let loaded = self.find_request(caller, &id).await?;
        Ok(self.build(caller, loaded))
    }

    /// A request right after the caller changed it.
    pub(super) async fn view(
        &self,
        caller: &Caller,
        request: AccessRequest,
    ) -> Result<RequestView, AccessError> {
        let loaded = self.store.read(move |tx| Loaded::of(tx, request).map_err(AccessError::from)).await?;
        Ok(self.build(caller, loaded))
    }

    fn build(&self, caller: &Caller, loaded: Loaded) -> RequestView {
        let survey = self.target(&loaded.request.target).ok().and_then(|state| state.cached());
        let (sensitive, masked) = survey.map_or_else(Default::default, |survey| {
            // As it would be granted: policy's limits may keep masks that it asked to lift.
            let (scope, _) = approval::narrowed(&loaded.request);
            let raw = sensitivities(&scope, &survey.classification, &survey.catalog).into_iter();
            let told = |(sensitivity, columns): (Sensitivity, Vec<String>)| {
                format!("{}: {}", sensitivity.as_str(), columns.join(", "))
            };
            (raw.map(told).collect(), masked(&scope, &survey.classification, &survey.catalog))
        });
        let you_fill = self.you_fill(caller, &loaded);
        let Loaded { mut request, grant, .. } = loaded;
        // They can be as long as the target has tables: `policy explain` tells of them.
        request.decision.facts = None;
        RequestView { request, sensitive, masked, you_fill, grant }
    }

    /// The roles in which the caller could approve now; the one that an
    /// approval would be counted as comes first.
    fn you_fill(&self, caller: &Caller, loaded: &Loaded) -> Vec<Role> {
        let request = &loaded.request;
        let acted = request.approvals.iter().any(|approval| approval.by.subject == caller.person.subject);
        if request.state != RequestState::Waiting || acted {
            return Vec::new();
        }
        let fills = self.fills(&caller.person, request, loaded.requester.as_ref());
        let Some((_, first)) = approval::choose_slot(request, &fills) else { return Vec::new() };
        let open: BTreeSet<&Role> =
            request.open_slots().filter_map(|(index, _)| fills.get(index)).flatten().collect();
        let others = open.into_iter().filter(|role| **role != first).cloned().collect::<Vec<_>>();
        std::iter::once(first).chain(others).collect()
    }
}
