//! What deciding needs to know beside requests: people, delegations, absences,
//! what was told of a request, what somebody did before.

use super::rows::{Result, time};
use super::{StoreError, Tx};
use crate::core::model::{Absence, AccessRequest, Delegation, DelegationId, Identity, RequestId, Session};
use crate::core::reminder::Reminded;
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};

/// The most people who are looked through for approvers: those seen last.
const MOST_PEOPLE: u32 = 1000;
/// Live delegations of everybody together; each person's own are few.
const MOST_DELEGATIONS: u32 = 1000;
/// Of one person's past.
const MOST_PAST: u32 = 500;

/// A waiting request of which something may have to be told.
pub struct Waiting {
    pub request: AccessRequest,
    pub reminded: Reminded,
}

impl Tx<'_> {
    /// The people who were here, the last seen first.
    pub fn people(&self) -> Result<Vec<Identity>> {
        self.many("SELECT body FROM person ORDER BY seen_at DESC, subject LIMIT ?1", [MOST_PEOPLE])
    }

    /// When the identity provider last said who this is.
    pub fn seen(&self, subject: &str) -> Result<Option<Timestamp>> {
        let mut statement = self.0.prepare_cached("SELECT seen_at FROM person WHERE subject = ?1")?;
        Ok(statement.query_row([subject], |row| row.get(0)).optional()?.map(time))
    }

    pub fn save_delegation(&self, delegation: &Delegation) -> Result<()> {
        let body = serde_json::to_string(delegation)?;
        self.run(
            "INSERT INTO delegation (id, until, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET body = ?3",
            params![delegation.id.as_str(), delegation.until.as_microsecond(), body],
        )
        .map(drop)
    }

    /// Those that lend something at `now`.
    pub fn live_delegations(&self, now: Timestamp) -> Result<Vec<Delegation>> {
        let found: Vec<Delegation> = self.many(
            "SELECT body FROM delegation WHERE until > ?1 AND body ->> 'ended' IS NULL ORDER BY until, id LIMIT ?2",
            params![now.as_microsecond(), MOST_DELEGATIONS],
        )?;
        Ok(found.into_iter().filter(|delegation| delegation.is_live(now)).collect())
    }

    /// All that ever were, the last to end first.
    pub fn delegations(&self) -> Result<Vec<Delegation>> {
        self.many("SELECT body FROM delegation ORDER BY until DESC, id LIMIT ?1", [MOST_DELEGATIONS])
    }

    /// The delegations that the beginning of an id may mean.
    pub fn delegations_named(&self, prefix: &str) -> Result<Vec<Delegation>> {
        self.beginning("delegation", DelegationId::PREFIX, prefix)
    }

    pub fn save_absence(&self, absence: &Absence) -> Result<()> {
        let body = serde_json::to_string(absence)?;
        self.run(
            "INSERT INTO absence (subject, until, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (subject) DO UPDATE SET until = ?2, body = ?3",
            params![absence.person.subject, absence.until.as_microsecond(), body],
        )
        .map(drop)
    }

    pub fn remove_absence(&self, subject: &str) -> Result<()> {
        self.run("DELETE FROM absence WHERE subject = ?1", [subject]).map(drop)
    }

    /// Whoever is away at `now`.
    pub fn absences(&self, now: Timestamp) -> Result<Vec<Absence>> {
        self.many(
            "SELECT body FROM absence WHERE until > ?1 ORDER BY until, subject LIMIT ?2",
            params![now.as_microsecond(), MOST_PEOPLE],
        )
    }

    /// Looks at a request again then; not again without a time.
    pub fn save_reminder(
        &self,
        request: &RequestId,
        reminded: Reminded,
        next: Option<Timestamp>,
    ) -> Result<()> {
        let Some(next) = next else {
            return self.run("DELETE FROM reminder WHERE request = ?1", [request.as_str()]).map(drop);
        };
        let body = serde_json::to_string(&reminded)?;
        self.run(
            "INSERT INTO reminder (request, next_at, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (request) DO UPDATE SET next_at = ?2, body = ?3",
            params![request.as_str(), next.as_microsecond(), body],
        )
        .map(drop)
    }

    /// What was told of a request, while there is something to tell.
    pub fn reminded(&self, request: &RequestId) -> Result<Option<Reminded>> {
        self.one("SELECT body FROM reminder WHERE request = ?1", [request.as_str()])
    }

    /// The waiting requests that are to be looked at again by now.
    pub fn waiting_since(&self, now: Timestamp, limit: u32) -> Result<Vec<Waiting>> {
        let mut statement = self.0.prepare_cached(
            "SELECT request.body, reminder.body FROM reminder JOIN request ON request.id = reminder.request
             WHERE next_at <= ?1 ORDER BY next_at LIMIT ?2",
        )?;
        let rows = statement.query_map(params![now.as_microsecond(), limit], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
        rows.map(|row| {
            let (request, reminded) = row?;
            let (request, reminded) = (serde_json::from_str(&request)?, serde_json::from_str(&reminded)?);
            Ok::<_, StoreError>(Waiting { request, reminded })
        })
        .collect()
    }

    /// One person's requests for a target since then, newest first.
    pub fn past_requests(&self, subject: &str, target: &str, since: Timestamp) -> Result<Vec<AccessRequest>> {
        self.many(
            "SELECT body FROM request WHERE subject = ?1 AND created_at >= ?2 AND body ->> 'target' = ?3
             ORDER BY created_at DESC, id LIMIT ?4",
            params![subject, since.as_microsecond(), target, MOST_PAST],
        )
    }

    /// One person's sessions on a target since then, newest first.
    pub fn past_sessions(&self, subject: &str, target: &str, since: Timestamp) -> Result<Vec<Session>> {
        self.many(
            "SELECT body FROM session WHERE subject = ?1 AND opened_at >= ?2 AND body ->> 'target' = ?3
             ORDER BY opened_at DESC, id LIMIT ?4",
            params![subject, since.as_microsecond(), target, MOST_PAST],
        )
    }
}
