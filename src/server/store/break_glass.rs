//! Uses of the emergency path.

use super::{StoreError, Tx};
use crate::core::model::{BreakGlass, Grant, GrantId};
use rusqlite::params;

type Result<T> = std::result::Result<T, StoreError>;

impl Tx<'_> {
    pub fn save_break_glass(&self, glass: &BreakGlass) -> Result<()> {
        let body = serde_json::to_string(glass)?;
        let unconfirmed = glass.confirmation.as_ref().is_some_and(|due| !due.is_complete());
        self.run(
            "INSERT INTO break_glass (grant_id, subject, opened_at, live, unconfirmed, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (grant_id) DO UPDATE SET live = ?4, unconfirmed = ?5, body = ?6",
            params![
                glass.grant.as_str(),
                glass.person.subject,
                glass.opened_at.as_microsecond(),
                glass.ended.is_none(),
                unconfirmed,
                body
            ],
        )?;
        Ok(())
    }

    /// That of a grant, if the grant is one of the emergency path.
    pub fn break_glass(&self, grant: &GrantId) -> Result<Option<BreakGlass>> {
        self.one("SELECT body FROM break_glass WHERE grant_id = ?1", [grant.as_str()])
    }

    /// Those that have not ended, and those whose confirmation is waited for,
    /// oldest first: once a review is written it says what there is to say.
    pub fn pending_break_glass(&self) -> Result<Vec<BreakGlass>> {
        self.many(
            "SELECT body FROM break_glass b WHERE (live OR unconfirmed) AND (live OR
                 NOT EXISTS (SELECT 1 FROM review r WHERE r.grant_id = b.grant_id AND r.written = 1))
             ORDER BY opened_at",
            [],
        )
    }

    /// Those of one person that have not ended, or that nobody has confirmed yet.
    pub fn pending_break_glass_of(&self, subject: &str) -> Result<Vec<BreakGlass>> {
        self.many(
            "SELECT body FROM break_glass WHERE subject = ?1 AND (live OR unconfirmed) ORDER BY opened_at",
            [subject],
        )
    }

    /// One on a target that somebody else took back from a person, and nobody has reviewed.
    pub fn taken_back(&self, subject: &str, target: &str) -> Result<Option<Grant>> {
        self.one(
            "SELECT g.body FROM break_glass b JOIN access_grant g ON g.id = b.grant_id
             WHERE b.subject = ?1 AND g.body ->> '$.target' = ?2
                 AND g.body ->> '$.revoked.by.subject' <> ?1
                 AND NOT EXISTS (SELECT 1 FROM review r WHERE r.grant_id = b.grant_id AND r.written = 1)
             ORDER BY b.opened_at DESC LIMIT 1",
            params![subject, target],
        )
    }
}
