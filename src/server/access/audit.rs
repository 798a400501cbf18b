//! Who ran what: the search over the ledger's index.

use super::{Access, AccessError, Caller};
use crate::proto::{AuditCounts, AuditPage, AuditQuery};

/// Bytes of a text that statements are searched for.
const LONGEST_TEXT: usize = 200;

impl Access {
    /// Statements, newest first. Whoever is not security or auditor sees their own.
    pub async fn audit(&self, caller: &Caller, query: AuditQuery) -> Result<AuditPage, AccessError> {
        if query.by.is_some() {
            return Err(AccessError::usage("`by` is for counts: GET /v1/audit/counts"));
        }
        if query.before.is_some() && query.after.is_some() {
            return Err(AccessError::usage("either `before` or `after`: pages go one way"));
        }
        let (query, only) = self.searchable(caller, query).await?;
        let page = self.index.search(query.clone(), only).await?;
        let nothing = page.statements.is_empty()
            && (query.after.is_some() || page.next.is_none() && query.before.is_none());
        self.not_misspelt(&query, nothing)?;
        match &query.session {
            Some(session) => self.as_pruned(session.clone(), page, nothing).await,
            None => Ok(page),
        }
    }

    /// A session's statements that retention has taken out must not look like none.
    async fn as_pruned(
        &self,
        session: String,
        mut page: AuditPage,
        nothing: bool,
    ) -> Result<AuditPage, AccessError> {
        let session = self.store.read(move |tx| tx.session(&session).map_err(AccessError::from)).await?;
        if let (Some(pruned), true) = (&session.statements_pruned, nothing) {
            let what = format!("the statements of {}", session.id);
            return Err(AccessError::not_found(pruned.said(&what))
                .hint("their hashes are on the ledger: a copy of it from before proves what they were"));
        }
        if session.recording_pruned.is_some() {
            page.statements.iter_mut().for_each(|row| row.recorded = false);
        }
        page.recording_pruned = session.recording_pruned;
        Ok(page)
    }

    /// How many there are of what.
    pub async fn audit_counts(&self, caller: &Caller, query: AuditQuery) -> Result<AuditCounts, AccessError> {
        let Some(by) = query.by else {
            return Err(AccessError::usage("`by` says what to count by, such as by=person"));
        };
        if query.after.is_some() {
            return Err(AccessError::usage("`after` is for following: GET /v1/audit"));
        }
        let (query, only) = self.searchable(caller, query).await?;
        let counts = self.index.counts(query.clone(), by, only).await.map_err(|error| {
            AccessError::from(error).hint("count less: `--since`, `--target` or `--person` narrow it")
        })?;
        self.not_misspelt(&query, counts.counts.is_empty()).map(|()| counts)
    }

    /// What may be searched for, and of whom alone; everything that was answered
    /// before this call is found by it.
    async fn searchable(
        &self,
        caller: &Caller,
        mut query: AuditQuery,
    ) -> Result<(AuditQuery, Option<String>), AccessError> {
        let only = (!caller.sees_all()).then(|| caller.person.subject.clone());
        if only.is_some()
            && query.person.take().is_some_and(|person| {
                !person.eq_ignore_ascii_case(&caller.person.email) && person != caller.person.subject
            })
        {
            return Err(AccessError::denied("other people's statements are for security and auditors")
                .hint("leave `--person` out to see your own"));
        }
        // SQLite compares a long pattern with a long text for minutes, and cannot be
        // broken off meanwhile.
        if query.text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT) {
            return Err(AccessError::usage(format!("a text to search for has at most {LONGEST_TEXT} bytes"))
                .hint("give a part of it"));
        }
        if let Some(session) = &mut query.session {
            *session = self.find_session(caller, session).await?.id.to_string();
        }
        self.caught_up().await?;
        Ok((query, only))
    }

    /// A misspelt target must not look like a clean record; one that is not
    /// configured any more keeps its own.
    fn not_misspelt(&self, query: &AuditQuery, nothing: bool) -> Result<(), AccessError> {
        match &query.target {
            Some(target) if nothing => self.target(target).map(drop),
            _ => Ok(()),
        }
    }
}
