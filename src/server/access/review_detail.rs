//! What a reviewer is shown: the access, its sessions, what ran and what it
//! touched; all of it from the ledger, whatever the state has forgotten.

use super::visible::{Loaded, Loading};
use super::{Access, AccessError, Caller};
use crate::core::guard;
use crate::core::model::{Grant, RecordingRecord, Review, Session, SessionId, StatementResult};
use crate::proto::{
    AuditQuery, AuditRow, LedgerEvent, ReviewDetail, ReviewSummary, ReviewedRecording, ReviewedSession,
};
use crate::server::journal::EventQuery;
use std::cmp::Reverse;

/// Statements that one answer holds; all are looked through, and counted.
const MOST_STATEMENTS: usize = 2000;
/// Sessions that it names.
const MOST_SESSIONS: usize = 200;
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
        self.caught_up().await?;
        let history = self.events_of(&grant).await?;
        let mut summary = ReviewSummary { unmasked: unmasked(&grant), ..ReviewSummary::default() };
        let (mut shown, mut reviewed) = (Shown::default(), Vec::new());
        for session in sessions {
            summary.sessions += 1;
            self.statements_of(&session.id, &mut summary, &mut shown).await?;
            if reviewed.len() < MOST_SESSIONS {
                let recording = self.recording_of(&session).await?;
                reviewed.push(ReviewedSession { session, recording });
            }
        }
        summary.writing_left_out = summary.writing - shown.writing();
        let request = &loaded.request;
        Ok(ReviewDetail {
            rules: request.decision.rules.clone(),
            why: request.decision.why.clone(),
            approvals: request.approvals.clone(),
            view: self.review_view(caller, review, &loaded),
            grant,
            history,
            sessions: reviewed,
            statements: shown.rows(),
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

    /// A session's statements, all of them counted, and shown as far as there is room.
    async fn statements_of(
        &self,
        session: &SessionId,
        summary: &mut ReviewSummary,
        shown: &mut Shown,
    ) -> Result<(), AccessError> {
        let mut before = None;
        loop {
            let session = Some(session.to_string());
            let query = AuditQuery { session, before, limit: Some(PAGE), ..AuditQuery::default() };
            let page = self.index.statements(&query).await?;
            let Some(last) = page.last() else { return Ok(()) };
            before = Some(last.seq);
            page.iter().for_each(|row| count(summary, row));
            shown.add(page);
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
                let reviews = tx.reviews_named(&asked)?;
                Loading::new(tx).of_reviews(reviews).map_err(AccessError::from)
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
    summary.failed += u64::from(row.failed());
    summary.writing += u64::from(writes(row));
    summary.reads.extend(row.names("reads").map(str::to_owned));
    summary.writes.extend(row.names("writes").map(str::to_owned));
}

/// Whether it may have changed something: by what it says, where that could be
/// read, and unless the database never saw it.
fn writes(row: &AuditRow) -> bool {
    let refused = matches!(row.result, Some(StatementResult::Refused { .. } | StatementResult::Skipped));
    let changes = || guard::may_have_changed(row.names("verbs"), row.names("writes"), row.names("functions"));
    !refused && (row.facts.is_none() || changes())
}

/// The statements that an answer shows. Harmless ones give way to those that a
/// reviewer must not miss, and those of few rows to those of many, so that nobody
/// hides a write behind many reads, or behind many writes of nothing.
#[derive(Default)]
struct Shown(Vec<AuditRow>);

impl Shown {
    fn add(&mut self, rows: Vec<AuditRow>) {
        self.0.extend(rows);
        let rank = |row: &AuditRow| (!writes(row), !row.failed(), Reverse(row.rows), row.seq);
        self.0.sort_by_key(rank);
        self.0.truncate(MOST_STATEMENTS);
    }

    fn writing(&self) -> u64 {
        self.0.iter().filter(|row| writes(row)).count() as u64
    }

    /// Oldest first.
    fn rows(mut self) -> Vec<AuditRow> {
        self.0.sort_by_key(|row| row.seq);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(seq: u64, writes: &[&str], result: serde_json::Value) -> AuditRow {
        let body = json!({
            "seq": seq, "at": "2026-01-01T00:00:00Z", "person": {"subject": "a", "email": "a@example.com"},
            "target": "orders", "session": "ses-1", "grant": "grt-1", "connection": "con-1", "text": "",
            "parameters": [], "facts": {"writes": writes}, "result": result, "rows": 0, "bytes": 0,
            "duration_us": null,
        });
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn r8_5_no_number_of_harmless_statements_hides_a_harmful_one() {
        let most = MOST_STATEMENTS as u64;
        let fine = json!({"ok": {"tag": "SELECT 1"}});
        let failed = json!({"error": {"sqlstate": "42P01", "message": "x"}});
        let refused = json!({"refused": {"sqlstate": "42501", "message": "x"}});
        let mut shown = Shown::default();
        // The ledger's pages come newest first, session by session.
        shown.add((1..=most).map(|seq| row(seq, &[], fine.clone())).collect());
        shown.add(vec![row(most + 3, &["t"], fine.clone()), row(most + 2, &["t"], refused)]);
        shown.add((most + 4..2 * most).map(|seq| row(seq, &[], fine.clone())).collect());
        let mut summary = ReviewSummary::default();
        let rows = shown.rows();
        rows.iter().for_each(|row| count(&mut summary, row));
        let seqs: Vec<u64> = rows.iter().map(|row| row.seq).collect();
        assert_eq!(
            (seqs.len() as u64, seqs[0], &seqs[seqs.len() - 2..]),
            (most, 1, &[most + 2, most + 3][..])
        );
        assert_eq!((summary.writing, summary.failed), (1, 1));
        // Nor do failures hide what was written.
        let mut shown = Shown::default();
        shown.add((1..=most).map(|seq| row(seq, &[], failed.clone())).collect());
        shown.add(vec![row(most + 1, &["t"], fine.clone())]);
        assert_eq!(shown.writing(), 1);
        assert_eq!(shown.rows().last().unwrap().seq, most + 1);
        // Nor do writes of nothing hide one of much.
        let mut shown = Shown::default();
        shown.add((1..=most).map(|seq| row(seq, &["t"], fine.clone())).collect());
        shown.add(vec![AuditRow { rows: 9, ..row(most + 1, &["t"], fine) }]);
        assert_eq!(shown.rows().last().unwrap().seq, most + 1);
    }
}
