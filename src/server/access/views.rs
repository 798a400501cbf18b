//! What people are shown of requests.

use super::visible::{Loaded, Loading};
use super::{Access, AccessError, Caller};
use crate::core::approval;
use crate::core::delegation::{self, Chosen};
use crate::core::model::{AccessRequest, PersonRef, RequestState, Risk, Role, Sensitivity};
use crate::core::policy::{masked, sensitivities};
use crate::core::risk;
use crate::proto::{BreakGlassView, Denial, History, RequestView, RequestsQuery};
use jiff::SignedDuration;
use std::collections::BTreeSet;

const MOST_REQUESTS: u32 = 500;
/// How far back an approver sees what somebody did.
const HISTORY_DAYS: u32 = 90;
const MOST_DENIALS: usize = 3;

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
                if !query.all {
                    // Granted, and yet somebody has to say something.
                    for glass in tx.pending_break_glass()? {
                        let due = glass.confirmation.as_ref().is_some_and(|due| !due.is_complete());
                        if due && (!query.mine || glass.person.subject == subject) {
                            requests.push(tx.request(glass.request.as_str())?);
                        }
                    }
                }
                let mut loading = Loading::new(tx);
                requests.into_iter().map(|request| Ok::<_, AccessError>(loading.of(request)?)).collect()
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
        let mut view = self.build(caller, loaded);
        let own = view.request.person.subject == caller.person.subject;
        if own || !view.you_fill.is_empty() || caller.sees_all() {
            view.history = Some(self.history(&view.request).await?);
        }
        Ok(view)
    }

    /// What whoever asks did on this target before, this request aside.
    async fn history(&self, request: &AccessRequest) -> Result<History, AccessError> {
        let AccessRequest { id, person, target, .. } = request.clone();
        let since = crate::os::now() - SignedDuration::from_hours(24 * i64::from(HISTORY_DAYS));
        let (requests, sessions) = self
            .store
            .read(move |tx| {
                let requests = tx.past_requests(&person.subject, &target, since)?;
                Ok::<_, AccessError>((requests, tx.past_sessions(&person.subject, &target, since)?))
            })
            .await?;
        let mut history = History { days: HISTORY_DAYS, ..History::default() };
        for past in requests.into_iter().filter(|past| past.id != id) {
            let count = match past.state {
                RequestState::Granted => &mut history.granted,
                RequestState::Denied => &mut history.denied,
                RequestState::Cancelled => &mut history.cancelled,
                RequestState::Expired => &mut history.expired,
                RequestState::Waiting => &mut history.waiting,
            };
            *count += 1;
            if let (RequestState::Denied, Some(closed)) = (past.state, past.closed)
                && history.denials.len() < MOST_DENIALS
            {
                history.denials.push(Denial { at: closed.at, by: closed.by, reason: closed.reason });
            }
        }
        history.last = sessions.first().map(|session| session.opened_at);
        for session in sessions {
            history.sessions += 1;
            history.statements += session.totals.statements;
            history.rows += session.totals.rows;
        }
        Ok(history)
    }

    /// How much could go wrong; `None` where the target is not configured any more.
    pub(super) fn risk(&self, request: &AccessRequest) -> Option<Risk> {
        let state = self.target(&request.target).ok()?;
        // Of what would be granted: limits and approvers may have taken something away.
        let (scope, _) = approval::narrowed(request);
        let raw = state.cached().map(|survey| {
            let raw = sensitivities(&scope, &survey.classification, &survey.catalog);
            raw.into_keys().collect::<BTreeSet<_>>()
        });
        Some(risk::risk(state.target.environment, &scope, raw.as_ref()))
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
        let (you_fill, on_behalf_of) = self.you_fill(caller, &loaded);
        let break_glass = self.break_glass_view(caller, &loaded);
        let Loaded { mut request, requester, grant, .. } = loaded;
        let teams = requester.map(|one| self.config.directory.person(&one).teams).unwrap_or_default();
        // They can be as long as the target has tables: `policy explain` tells of them.
        request.decision.facts = None;
        let risk = self.risk(&request);
        let history = None;
        RequestView {
            request,
            teams,
            risk,
            sensitive,
            masked,
            you_fill,
            on_behalf_of,
            history,
            grant,
            break_glass,
        }
    }

    fn break_glass_view(&self, caller: &Caller, loaded: &Loaded) -> Option<BreakGlassView> {
        let Loaded { request, requester, break_glass, .. } = loaded;
        let break_glass = break_glass.clone()?;
        let judging = self.judging(request, requester.as_ref());
        let due = break_glass.confirmation.iter();
        let unsaid =
            due.filter(|due| !due.given.iter().any(|given| given.by.subject == caller.person.subject));
        let open = unsaid.flat_map(|due| due.open_slots());
        let roles: BTreeSet<Role> =
            open.flat_map(|(_, slot)| judging.roles(&caller.person, &slot.any_of)).collect();
        Some(BreakGlassView { you_confirm: roles.into_iter().collect(), break_glass })
    }

    /// The roles in which the caller could approve now, by themselves or for
    /// another; the one that an approval would be counted as comes first, with
    /// the person in whose name it would be.
    fn you_fill(&self, caller: &Caller, loaded: &Loaded) -> (Vec<Role>, Option<PersonRef>) {
        let request = &loaded.request;
        if request.state != RequestState::Waiting {
            return Default::default();
        }
        let judging = self.judging(request, loaded.requester.as_ref());
        let authorities = judging.authorities(&caller.person, &loaded.loans, crate::os::now());
        let Some(Chosen { role: first, on_behalf_of, .. }) =
            delegation::choose(request, &caller.person.to_ref(), &authorities)
        else {
            return Default::default();
        };
        let fills = |index: usize| authorities.iter().filter_map(move |one| one.fills.get(index)).flatten();
        let open: BTreeSet<&Role> = request.open_slots().flat_map(|(index, _)| fills(index)).collect();
        let others = open.into_iter().filter(|role| **role != first).cloned().collect::<Vec<_>>();
        (std::iter::once(first).chain(others).collect(), on_behalf_of)
    }
}
