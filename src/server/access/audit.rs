//! Who ran what: the search over the ledger's index.

use super::{Access, AccessError, Caller};
use crate::proto::{AuditQuery, AuditRow};

/// The most rows one answer holds.
const PAGE: u32 = 1000;

impl Access {
    /// Statements, newest first. Whoever is not security or auditor sees their own.
    pub async fn audit(&self, caller: &Caller, mut query: AuditQuery) -> Result<Vec<AuditRow>, AccessError> {
        if !caller.sees_all() {
            let asked_for_another = query
                .person
                .as_ref()
                .is_some_and(|person| *person != caller.person.email && *person != caller.person.subject);
            if asked_for_another {
                return Err(AccessError::denied("other people's statements are for security and auditors")
                    .hint("leave `--person` out to see your own"));
            }
            query.person = Some(caller.person.subject.clone());
        }
        if let Some(session) = &mut query.session {
            *session = self.find_session(caller, session).await?.id.to_string();
        }
        query.limit = Some(query.limit.unwrap_or(100).min(PAGE));
        // Everything that was answered before this call is found by it.
        let newest = self.journal.last_queued();
        self.journal.written(newest).await?;
        self.index.catch_up(newest).await?;
        let mut found = self.index.statements(&query).await?;
        if !caller.sees_all() {
            // The search takes an e-mail address, too, and somebody's subject may read like another's.
            found.retain(|row| row.person.subject == caller.person.subject);
        }
        // A misspelt target must not look like a clean record; one that is not
        // configured any more keeps its own.
        match &query.target {
            Some(target) if found.is_empty() && query.before.is_none() => self.target(target).map(|_| found),
            _ => Ok(found),
        }
    }
}
