//! Scripts of migrations (R2.2): read when they are asked for, amended while they
//! wait, compared with what sessions did.

use super::request::{Found, room_for_a_grant};
use super::targets::Survey;
use super::visible::Loaded;
use super::{Access, AccessError, Caller};
use crate::core::approval::{self, Amendment};
use crate::core::guard::{self, Vocabulary};
use crate::core::migration::{self, Ran, Script, ScriptError};
use crate::core::model::{
    Approval, AskedScope, Catalog, Classification, ErrorKind, Grant, GrantId, Migration, Objects, Permission,
    Scope, ScriptComparison, Session, SessionState,
};
use crate::proto::{Amend, AuditQuery, Compare, NewScript, RequestView};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Sessions and statements that are compared with a script: bounds on what one
/// question reads.
const MOST_SESSIONS: usize = 200;
const MOST_STATEMENTS: usize = 50_000;
const PAGE: u32 = 1000;

impl From<ScriptError> for AccessError {
    fn from(error: ScriptError) -> Self {
        let refusal = Self::new(error.kind(), error.to_string());
        match error.hint() {
            Some(hint) => refusal.hint(hint),
            None => refusal,
        }
    }
}

/// What was sent, read.
pub(super) fn read(sent: &NewScript) -> Result<Script, AccessError> {
    Ok(Script::parse(&sent.name, &sent.text)?)
}

/// What is asked for with a script: the schemas that it changes, unless they are named.
pub(super) fn scope(asked: &AskedScope, script: &Script) -> Result<AskedScope, AccessError> {
    let AskedScope { schemas, ddl, write, .. } = asked;
    let expected = AskedScope { schemas: schemas.clone(), ddl: *ddl, write: *write, ..AskedScope::default() };
    if *asked != expected {
        return Err(AccessError::usage("a script says itself what it changes")
            .hint("leave tables, rows, columns and export out; --schema may name its schemas"));
    }
    let schemas = match schemas.as_slice() {
        [] => script.schemas().into_keys().collect(),
        named => named.to_vec(),
    };
    if schemas.is_empty() {
        // What no migration may do is in no schema either.
        let nowhere = Objects::Only { schemas: BTreeSet::new(), tables: BTreeSet::new() };
        let nothing = Scope::new(nowhere, BTreeSet::from([Permission::Write, Permission::Ddl]));
        check(script, &nothing, &Vocabulary::default())?;
        return Err(AccessError::usage(format!("{} changes nothing", script.name()))
            .hint("to read, ask for the tables: `dbaccess request TARGET --table TABLE`"));
    }
    Ok(AskedScope { schemas, ddl: true, ..AskedScope::default() })
}

/// A refusal of the scope, with the lines that it comes from.
pub(super) fn with_lines(error: AccessError, script: &Script) -> AccessError {
    const SHOWN: usize = 5;
    let of = |(schema, lines): (String, Vec<usize>)| {
        let shown: Vec<String> = lines.iter().take(SHOWN).map(ToString::to_string).collect();
        let more = if lines.len() > SHOWN { ", …" } else { "" };
        format!("schema {schema}: line {}{more}", shown.join(", "))
    };
    let schemas: Vec<String> = script.schemas().into_iter().map(of).collect();
    let message = format!("{} ({}, {})", error.message, script.name(), schemas.join("; "));
    AccessError { message, ..error }
}

/// The script as reviewers get it, once each of its statements may run.
pub(super) fn review(script: &Script, scope: &Scope, survey: &Survey) -> Result<Migration, AccessError> {
    check(script, scope, &survey.vocabulary)?;
    Ok(script.review(&survey.catalog, &survey.classification, 1))
}

fn check(script: &Script, scope: &Scope, vocabulary: &Vocabulary) -> Result<(), AccessError> {
    for (line, statement) in script.statements() {
        if let Err((what, hint)) = guard::check_script(statement, scope, vocabulary) {
            let message = format!("{}, line {line}: {what}", script.name());
            return Err(AccessError::denied(message).hint(hint));
        }
    }
    Ok(())
}

impl Access {
    /// Another script in place of the one that waits; every approval is void.
    pub async fn amend(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        body: Amend,
    ) -> Result<RequestView, AccessError> {
        let request = self.find_request(caller, &id).await?.request;
        let asked = AskedScope { schemas: body.schemas, ..AskedScope::default() };
        let found = self.find(Some(&request.target), &asked, Some(&body.migration)).await?;
        let on_call = self.on_call(&caller.person, found.state).await;
        // It may be over by now.
        let incident = match &request.incident {
            Some(named) => Some(self.incident_for(&caller.person, found.state, &named.id.to_string()).await?),
            None => None,
        };
        let (window, incident) = (request.window, incident.as_ref());
        let decision = self.decision(&caller.person, &found, window, on_call, incident, crate::os::now());
        let decision = self.after_reviews(&caller.person, &request.target, &found.scope, decision).await?;
        let Found { scope, migration, .. } = found;
        let Some(migration) = migration else {
            return Err(AccessError::internal("the script is lost"));
        };
        let mut amended = request.clone();
        amended.approvals.clear();
        (amended.scope, amended.decision) = (scope.clone(), decision.clone());
        let to = self.approvers(&amended).await?.into_iter().map(|approver| approver.person).collect();
        let amendment = Amendment { migration, scope, decision };
        let (by, grant) = (caller.person.to_ref(), GrantId::from_random(crate::os::random()));
        self.transition(caller, request.id, to, move |_, tx, request, now| {
            let outcome = approval::amend(request, &by, amendment, now, grant)?;
            if outcome.grant.is_some() {
                room_for_a_grant(tx, &by.subject, now)?;
            }
            Ok(outcome)
        })
        .await
    }

    /// Whether a session, or all sessions of a request together, ran a script.
    /// For whose sessions they are, who approved their script, security and auditors.
    pub async fn compare(
        &self,
        caller: &Caller,
        id: String,
        body: Compare,
    ) -> Result<ScriptComparison, AccessError> {
        let (Loaded { request, grant, .. }, session) = self.find_any(caller, &id).await?;
        // Whoever approved a script may see that it, and nothing else, was run.
        let approved = |given: &Approval| given.by.subject == caller.person.subject;
        let approved = request.migration.is_some() && request.approvals.iter().any(approved);
        if request.person.subject != caller.person.subject && !approved && !caller.sees_all() {
            return Err(AccessError::denied(
                "what other people ran is for them, for who approved its script, security and auditors to see",
            ));
        }
        let script = match (body.script, request.migration) {
            (Some(sent), _) => read(&sent)?.review(&Catalog::default(), &Classification::default(), 1),
            (None, Some(script)) => script,
            (None, None) => {
                return Err(AccessError::usage(format!("request {} came without a script", request.id))
                    .hint("say which: --script FILE"));
            }
        };
        let sessions = match (session, grant) {
            (Some(session), _) => vec![session],
            (None, Some(grant)) => self.sessions_under(&grant.id).await?,
            (None, None) => Vec::new(),
        };
        Ok(migration::compare(&script, self.records(&sessions).await?))
    }

    /// Of a grant for a script, the comparison; the ledger is read as far as it
    /// was written when this was called.
    pub(super) async fn progress(
        &self,
        grant: &Grant,
        script: &Migration,
    ) -> Result<ScriptComparison, AccessError> {
        let sessions = self.sessions_under(&grant.id).await?;
        Ok(migration::compare(script, self.records(&sessions).await?))
    }

    async fn sessions_under(&self, grant: &GrantId) -> Result<Vec<Session>, AccessError> {
        let grant = grant.clone();
        let sessions =
            self.store.read(move |tx| tx.all_sessions_of(&grant).map_err(AccessError::from)).await?;
        if sessions.len() > MOST_SESSIONS {
            return Err(too_many(format!("{MOST_SESSIONS} sessions")));
        }
        Ok(sessions)
    }

    /// What sessions ran, in the order of the ledger.
    async fn records(&self, sessions: &[Session]) -> Result<Vec<Ran>, AccessError> {
        self.caught_up().await?;
        let mut records = Vec::new();
        for session in sessions {
            // Not compared with what is not there any more: that would look like another script.
            if let Some(pruned) = &session.statements_pruned {
                return Err(AccessError::not_found(
                    pruned.said(&format!("the statements of {}", session.id)),
                ));
            }
            let mut before = None;
            loop {
                let of = Some(session.id.to_string());
                let query = AuditQuery { session: of, before, limit: Some(PAGE), ..AuditQuery::default() };
                let page = self.index.statements(&query).await?;
                let Some(last) = page.last() else { break };
                before = Some(last.seq);
                records.extend(page.into_iter().map(|row| Ran {
                    seq: row.seq,
                    at: row.at,
                    session: row.session,
                    connection: row.connection,
                    text: row.text,
                    redacted: row.text_sealed,
                    result: row.result,
                    duration_us: row.duration_us,
                    over: session.state == SessionState::Dead,
                }));
                if records.len() > MOST_STATEMENTS {
                    return Err(too_many(format!("{MOST_STATEMENTS} statements")));
                }
            }
        }
        records.sort_by_key(|record| record.seq);
        Ok(records)
    }
}

fn too_many(what: String) -> AccessError {
    AccessError::new(ErrorKind::TooMany, format!("there are more than {what} to compare"))
        .hint("compare single sessions: `dbaccess audit compare SESSION`")
}
