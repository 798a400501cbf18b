//! What a reviewer is shown: the access, its sessions, what ran and what it
//! touched; all of it from the ledger, whatever the state has forgotten.

use super::visible::Loaded;
use super::{Access, AccessError, Caller};
use crate::core::model::{Grant, RecordingRecord, Review, Session, SessionId, StatementResult};
use crate::proto::{
    AuditQuery, AuditRow, LedgerEvent, ReviewDetail, ReviewSummary, ReviewedRecording, ReviewedSession,
};
use crate::server::journal::EventQuery;
use std::collections::BTreeSet;

/// Statements that one answer holds.
const MOST_STATEMENTS: usize = 2000;
/// Records of each kind that are looked through for the grant's history.
const MOST_EVENTS: u32 = 1000;
const PAGE: u32 = 1000;

impl Access {
    /// One review, with all that it is about.
    pub async fn review(&self, caller: &Caller, id: String) -> Result<ReviewDetail, AccessError> {
        let (loaded, review) = self.find_review(caller, &id).await?;
        let own = review.person.subject == caller.person.subject;
        let reviewer = self.review_view(caller, review.clone(), &loaded).you_review_as.is_some();
        if !own && !reviewer && !caller.sees_all() {
            return Err(AccessError::denied(
                "what was done is for its reviewers, security and auditors to see",
            ));
        }
        let grant_id = review.grant.clone();
        let (grant, sessions) = self
            .store
            .read(move |tx| {
                let grant = tx.grant(grant_id.as_str())?;
                let sessions = tx.sessions_ever_of(&grant_id)?;
                Ok::<_, AccessError>((grant, sessions))
            })
            .await?;
        let newest = self.journal.last_queued();
        self.journal.written(newest).await?;
        self.index.catch_up(newest).await?;
        let history = self.events_of(&grant).await?;
        let mut summary = ReviewSummary { unmasked: unmasked(&grant), ..ReviewSummary::default() };
        let (mut statements, mut reviewed) = (Vec::new(), Vec::new());
        for session in sessions {
            let mut of_session = self.statements_of(&session.id, &mut summary).await?;
            statements.append(&mut of_session);
            let recording = self.recording_of(&session).await?;
            reviewed.push(ReviewedSession { session, recording });
        }
        statements.sort_by_key(|row: &AuditRow| row.seq);
        statements.truncate(MOST_STATEMENTS);
        let request = &loaded.request;
        Ok(ReviewDetail {
            rules: request.decision.rules.clone(),
            why: request.decision.why.clone(),
            approvals: request.approvals.clone(),
            view: self.review_view(caller, review, &loaded),
            grant,
            history,
            sessions: reviewed,
            statements,
            summary,
        })
    }

    /// Events that name the grant, oldest first.
    async fn events_of(&self, grant: &Grant) -> Result<Vec<LedgerEvent>, AccessError> {
        let mut history = Vec::new();
        for kind in ["grant.", "break_glass."] {
            let kind = Some(kind.to_owned());
            let query = EventQuery { kind, since: Some(grant.from), limit: Some(MOST_EVENTS), before: None };
            for row in self.index.events(&query).await? {
                if !row.body.contains(grant.id.as_str()) {
                    continue;
                }
                let body = serde_json::from_str(&row.body)
                    .map_err(|error| AccessError::internal(format!("ledger line {}: {error}", row.seq)))?;
                history.push(LedgerEvent { seq: row.seq, at: row.at, kind: row.kind, body });
            }
        }
        history.sort_by_key(|event| event.seq);
        Ok(history)
    }

    /// A session's statements, all of them counted, the oldest kept.
    async fn statements_of(
        &self,
        session: &SessionId,
        summary: &mut ReviewSummary,
    ) -> Result<Vec<AuditRow>, AccessError> {
        let (mut kept, mut before) = (Vec::new(), None);
        loop {
            let session = Some(session.to_string());
            let query = AuditQuery { session, before, limit: Some(PAGE), ..AuditQuery::default() };
            let page = self.index.statements(&query).await?;
            let Some(last) = page.last() else { return Ok(kept) };
            before = Some(last.seq);
            page.iter().for_each(|row| count(summary, row));
            kept.extend(page);
            // They come newest first.
            let surplus = kept.len().saturating_sub(MOST_STATEMENTS);
            kept.drain(..surplus);
        }
    }

    async fn recording_of(&self, session: &Session) -> Result<Option<ReviewedRecording>, AccessError> {
        if !session.recorded {
            return Ok(None);
        }
        let open = "open".to_owned();
        let mut recording =
            ReviewedRecording { state: open, sealed_to: None, chunks: 0, bytes: 0, sha256: None };
        let mut after = 0;
        loop {
            let page = self.index.recording(session.id.as_str(), after).await?;
            let Some(last) = page.last() else { return Ok(Some(recording)) };
            after = last.seq;
            for record in page.iter().filter_map(|row| serde_json::from_str(&row.body).ok()) {
                match record {
                    RecordingRecord::Started { sealed_to, bytes, .. } => {
                        recording.sealed_to = sealed_to;
                        recording.bytes += bytes;
                    }
                    RecordingRecord::Chunk { bytes, .. } => {
                        recording.chunks += 1;
                        recording.bytes += bytes;
                    }
                    RecordingRecord::Ended { bytes, sha256, recovered, .. } => {
                        let state = if recovered.is_some() { "recovered" } else { "ended" };
                        recording.state = state.to_owned();
                        recording.bytes = bytes;
                        recording.sha256 = Some(sha256);
                    }
                }
            }
        }
    }

    /// The one review that an id's beginning means to the caller.
    pub(super) async fn find_review(
        &self,
        caller: &Caller,
        id: &str,
    ) -> Result<(Loaded, Review), AccessError> {
        let asked = id.to_owned();
        let found = self
            .store
            .read(move |tx| {
                let with_request = |review: Review| {
                    let request = tx.request(review.request.as_str())?;
                    Ok::<_, AccessError>((Loaded::of(tx, request)?, review))
                };
                tx.reviews_named(&asked)?.into_iter().map(with_request).collect::<Result<Vec<_>, _>>()
            })
            .await?;
        self.one_visible(caller, "review", id, found, |(loaded, _)| loaded)
    }
}

/// Classified columns that the grant shows as they are.
fn unmasked(grant: &Grant) -> Vec<String> {
    let all = grant.scope.unmask.iter();
    all.flat_map(|(table, columns)| columns.iter().map(|column| table.column(column))).collect()
}

fn count(summary: &mut ReviewSummary, row: &AuditRow) {
    summary.statements += 1;
    summary.rows += row.rows;
    let failed = matches!(
        row.result,
        Some(StatementResult::Error { .. } | StatementResult::Refused { .. } | StatementResult::Cut { .. })
    );
    summary.failed += u64::from(failed);
    let names = |key: &str| -> BTreeSet<String> {
        let list = row.facts.as_ref().and_then(|facts| facts.get(key)?.as_array()).into_iter().flatten();
        list.filter_map(|name| name.as_str().map(str::to_owned)).collect()
    };
    summary.reads.append(&mut names("reads"));
    summary.writes.append(&mut names("writes"));
}
