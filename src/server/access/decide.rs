//! Deciding about a request, and taking access back.

use super::authority::Loans;
use super::request::short_enough;
use super::visible::Loaded;
use super::{Access, AccessError, Caller};
use crate::core::approval::{self, ApprovalError, Outcome};
use crate::core::delegation::Authority;
use crate::core::model::{
    AccessRequest, Actor, AskedScope, Catalog, EndReason, ErrorKind, Event, Grant, GrantId, Narrowing,
    PersonRef, RequestId, Role, SessionId, TableName,
};
use crate::proto::{Approve, Reason, RequestView, RevokedView};
use crate::server::gateway::End;
use crate::server::store::Tx;
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

impl From<ApprovalError> for AccessError {
    fn from(error: ApprovalError) -> Self {
        let refusal = Self::new(error.kind(), error.to_string());
        match error {
            ApprovalError::Lapsed { .. } => refusal.hint("ask again: `dbaccess request`"),
            ApprovalError::NotAnApprover { id, .. } => refusal
                .hint(format!("`dbaccess show {id}` says who can decide, `dbaccess whoami` who you are now")),
            ApprovalError::AnotherScript { id, .. } => refusal.hint(format!(
                "look at it again, on the page or with `dbaccess show {id}`, then approve what you see"
            )),
            ApprovalError::UnseenScript(id) => refusal.hint(format!(
                "`dbaccess approve {id}` and the page show the script, and say which it was; \
                 another client sends its `sha256` and `revision`"
            )),
            ApprovalError::TooManyRevisions(id, _) => {
                refusal.hint(format!("`dbaccess cancel {id}`, and ask anew when the script is settled"))
            }
            ApprovalError::DeniedWithoutReason(_) => refusal.hint("say it with --reason 'TEXT'"),
            _ => refusal,
        }
    }
}

impl Access {
    pub async fn approve(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        body: Approve,
    ) -> Result<RequestView, AccessError> {
        short_enough("comment", body.comment.as_deref())?;
        let request = self.find_request(caller, &id).await?.request;
        let tables = match &body.tables {
            Some(tables) => Some(self.narrowed_tables(&request, tables).await?),
            None => None,
        };
        let schemas = match &body.schemas {
            Some(schemas) => Some(self.narrowed_schemas(&request, schemas).await?),
            None => None,
        };
        let window = body.window_seconds.map(Duration::from_secs);
        let narrowing = Narrowing { tables, schemas, window, masked: body.masked };
        let (by, grant) = (caller.clone(), GrantId::from_random(crate::os::random()));
        self.transition(caller, request.id, Vec::new(), move |access, tx, request, now| {
            approval::check_seen(&request, body.sha256.as_deref(), body.revision)?;
            let (approver, authorities) = access.authorities_now(tx, &by, &request, now)?;
            Ok(approval::approve(request, &approver, &authorities, narrowing, body.comment, now, grant)?)
        })
        .await
    }

    pub async fn deny(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        body: Reason,
    ) -> Result<RequestView, AccessError> {
        short_enough("reason", body.reason.as_deref())?;
        let request = self.find_request(caller, &id).await?.request;
        let by = caller.clone();
        self.transition(caller, request.id, Vec::new(), move |access, tx, request, now| {
            let (approver, authorities) = access.authorities_now(tx, &by, &request, now)?;
            Ok(approval::deny(request, &approver, &authorities, body.reason, now)?)
        })
        .await
    }

    /// What a caller may decide with, all of it as of the decision's transaction:
    /// their own roles and what is lent to them.
    fn authorities_now(
        &self,
        tx: &Tx<'_>,
        caller: &Caller,
        request: &AccessRequest,
        now: Timestamp,
    ) -> Result<(PersonRef, Vec<Authority>), AccessError> {
        let person = self.decider(tx, caller, now)?;
        let requester = tx.person(&request.person.subject)?;
        let authorities =
            self.judging(request, requester.as_ref()).authorities(&person, &Loans::of(tx, now)?, now);
        Ok((person.to_ref(), authorities))
    }

    pub async fn cancel(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        body: Reason,
    ) -> Result<RequestView, AccessError> {
        short_enough("reason", body.reason.as_deref())?;
        let request = self.find_request(caller, &id).await?.request;
        let person = caller.person.to_ref();
        self.transition(caller, request.id, Vec::new(), move |_, _, request, now| {
            Ok(approval::cancel(request, &person, body.reason, now)?)
        })
        .await
    }

    /// Load, decide, save and record in one transaction, so that of two people
    /// who act at once the second sees what the first did. `to` is who is told,
    /// where others must act.
    pub(super) async fn transition(
        self: &Arc<Self>,
        caller: &Caller,
        id: RequestId,
        to: Vec<PersonRef>,
        decide: impl FnOnce(&Self, &Tx<'_>, AccessRequest, Timestamp) -> Result<Outcome, AccessError>
        + Send
        + 'static,
    ) -> Result<RequestView, AccessError> {
        let (access, via) = (Arc::clone(self), caller.via);
        let outcome = self
            .store
            .write(move |tx| {
                // The time of the decision, not of the question: it may have waited for its turn.
                let now = crate::os::now();
                let request = tx.request(id.as_str())?;
                let outcome = decide(&access, tx, request, now)?.through(via);
                access.save(tx, now, &outcome, &to)?;
                Ok::<_, AccessError>(outcome)
            })
            .await?;
        self.wake();
        self.view(caller, outcome.request).await
    }

    /// The tables that an approver names, sought among those asked for first:
    /// `orders` means the `orders` of the request, whatever else is called so.
    async fn narrowed_tables(
        &self,
        request: &AccessRequest,
        tables: &[String],
    ) -> Result<BTreeSet<TableName>, AccessError> {
        super::request::few_and_short(&AskedScope { tables: tables.to_vec(), ..AskedScope::default() })?;
        if tables.is_empty() {
            return Err(AccessError::usage("narrow to at least one table"));
        }
        let survey = self.target(&request.target)?.survey().await?;
        let catalog = &survey.catalog;
        let relations = request.scope.relations(catalog).cloned().collect();
        let inside = Catalog { relations, ..Catalog::default() };
        // One that is only elsewhere is refused as wider, by its full name.
        let find = |name: &String| inside.find_table(name).or_else(|_| catalog.find_table(name));
        Ok(tables.iter().map(find).collect::<Result<_, _>>()?)
    }

    /// The schemas that an approver names.
    async fn narrowed_schemas(
        &self,
        request: &AccessRequest,
        schemas: &[String],
    ) -> Result<BTreeSet<String>, AccessError> {
        super::request::few_and_short(&AskedScope { schemas: schemas.to_vec(), ..AskedScope::default() })?;
        if schemas.is_empty() {
            return Err(AccessError::usage("narrow to at least one schema"));
        }
        let survey = self.target(&request.target)?.survey().await?;
        Ok(schemas.iter().map(|name| survey.catalog.find_schema(name)).collect::<Result<_, _>>()?)
    }

    /// Takes access back: of a grant (with its sessions) or of one session.
    ///
    /// Cancel-safety: once decided it is done, whether or not anybody waits.
    pub async fn revoke(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        body: Reason,
    ) -> Result<RevokedView, AccessError> {
        short_enough("reason", body.reason.as_deref())?;
        let (Loaded { request, requester, grant, .. }, session) = self.find_any(caller, &id).await?;
        let Some(grant) = grant else {
            let hint = format!("`dbaccess cancel {}` withdraws your own waiting request", request.id);
            return Err(
                AccessError::new(ErrorKind::Conflict, format!("{} was never granted", request.id)).hint(hint)
            );
        };
        let person = caller.person.clone();
        let roles: Vec<Role> = self.policy().roles().into_iter().collect();
        let fills = self.judging(&request, requester.as_ref()).roles(&person, &roles);
        let (access, by) = (Arc::clone(self), Actor::Person(caller.person.to_ref()));
        let revoking = tokio::spawn(async move {
            let within = Arc::clone(&access);
            let (now, grant, sessions) = access
                .store
                .write(move |tx| {
                    let now = crate::os::now();
                    let grant = tx.grant(grant.id.as_str())?;
                    if let Some(session) = session {
                        // The same people may end one session; the grant goes on.
                        approval::may_revoke(&grant, &person, &fills)?;
                        return Ok((now, None, vec![(session.id, session.role)]));
                    }
                    let revoked = approval::revoke(grant, &person, &fills, body.reason, now)?;
                    let grant = revoked.0.id.clone();
                    Ok::<_, AccessError>((now, Some(grant), within.take_back(tx, revoked, now)?))
                })
                .await?;
            access.wake();
            access.cut(&sessions, &by, now);
            Ok(RevokedView { grant, sessions: sessions.into_iter().map(|(id, _)| id).collect() })
        });
        revoking.await.map_err(|_| AccessError::internal("revoking broke off"))?
    }

    /// Writes a revoked grant down. Its sessions, to [`Access::cut`] once that is committed.
    pub(super) fn take_back(
        &self,
        tx: &Tx<'_>,
        (grant, event): (Grant, Event),
        now: Timestamp,
    ) -> Result<Vec<(SessionId, String)>, AccessError> {
        tx.save_grant(&grant)?;
        tx.record(now, &event)?;
        self.open_review(tx, &grant, now)?;
        Ok(tx.sessions_of(&grant.id)?.into_iter().map(|session| (session.id, session.role)).collect())
    }

    pub(super) fn cut(&self, sessions: &[(SessionId, String)], by: &Actor, now: Timestamp) {
        for (_, role) in sessions {
            // A session that is not live is being opened, and will see the
            // revocation, or is being buried already.
            if let Some(live) = self.registry.find(role) {
                live.finish(End::new(EndReason::Revoked, by.clone(), now));
            }
        }
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
    pub async fn lapse_requests(self: &Arc<Self>) -> Result<(), AccessError> {
        let (access, now) = (Arc::clone(self), crate::os::now());
        let lapsed = self
            .store
            .write(move |tx| {
                let lapsed = tx.lapsed_requests(now)?;
                let count = lapsed.len();
                for request in lapsed {
                    access.save(tx, now, &approval::expire(request, now)?, &[])?;
                }
                Ok::<_, AccessError>(count)
            })
            .await?;
        if lapsed > 0 {
            self.wake();
        }
        Ok(())
    }
}
