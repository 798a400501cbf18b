//! Rows to values and back.

use super::{StoreError, Tx};
use crate::core::model::{
    AccessRequest, Event, Grant, GrantId, Identity, PolicySource, RequestId, RequestState, Review, ReviewId,
    Session, SessionId, SessionState, Suspension,
};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Params, params};
use serde::de::DeserializeOwned;

/// A token of ours, known only by its hash.
#[derive(Clone, Debug)]
pub struct TokenRow {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    pub subject: String,
    pub expires_at: Timestamp,
    pub renewable_until: Timestamp,
}

/// An event on its way to the ledger.
pub struct OutboxRow {
    pub id: i64,
    pub at: Timestamp,
    pub body: String,
}

pub(super) type Result<T> = std::result::Result<T, StoreError>;

/// The most rows that the beginning of an id is compared with: one that fits so
/// many names none.
const MOST_NAMED: u32 = 64;

/// Where a walk through requests is: the last one that was seen.
pub type RequestsPlace = Option<(Timestamp, RequestId)>;

pub(super) fn time(microseconds: i64) -> Timestamp {
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// The one thing that the beginning of an id means.
pub fn only<T>(kind: &'static str, asked: &str, found: impl IntoIterator<Item = T>) -> Result<T> {
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(StoreError::NoSuch { kind, prefix: asked.to_owned() }),
        _ => Err(StoreError::Ambiguous { kind, prefix: asked.to_owned() }),
    }
}

/// The same among those that may be seen, of what [`Tx`] found by the beginning
/// of an id.
pub fn only_seen<T>(
    kind: &'static str,
    asked: &str,
    found: Vec<T>,
    sees: impl FnMut(&T) -> bool,
) -> Result<T> {
    only(kind, asked, all_named(kind, asked, found)?.into_iter().filter(sees))
}

/// What [`Tx`] found by the beginning of an id, if that is all. Where there may
/// be more than were read, nobody can tell which one is meant.
pub fn all_named<T>(kind: &'static str, asked: &str, found: Vec<T>) -> Result<Vec<T>> {
    if u32::try_from(found.len()).unwrap_or(u32::MAX) >= MOST_NAMED {
        return Err(StoreError::Ambiguous { kind, prefix: asked.to_owned() });
    }
    Ok(found)
}

impl Tx<'_> {
    pub(super) fn one<T: DeserializeOwned>(&self, sql: &str, bound: impl Params) -> Result<Option<T>> {
        let body: Option<String> =
            self.0.prepare_cached(sql)?.query_row(bound, |row| row.get(0)).optional()?;
        body.map(|body| serde_json::from_str(&body).map_err(StoreError::from)).transpose()
    }

    pub(super) fn many<T: DeserializeOwned>(&self, sql: &str, bound: impl Params) -> Result<Vec<T>> {
        let mut statement = self.0.prepare_cached(sql)?;
        let bodies = statement.query_map(bound, |row| row.get::<_, String>(0))?;
        bodies.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
    }

    pub(super) fn run(&self, sql: &str, bound: impl Params) -> Result<usize> {
        Ok(self.0.prepare_cached(sql)?.execute(bound)?)
    }

    /// The one row whose id begins with `prefix`.
    fn by_prefix<T: DeserializeOwned>(
        &self,
        table: &str,
        kind: &'static str,
        id_prefix: &str,
        asked: &str,
    ) -> Result<T> {
        only(kind, asked, self.beginning(table, id_prefix, asked)?)
    }

    /// The rows whose id begins so, at most [`MOST_NAMED`]; the kind's own
    /// prefix and dash may be left out, and capitals do not count.
    pub(super) fn beginning<T: DeserializeOwned>(
        &self,
        table: &str,
        id_prefix: &str,
        asked: &str,
    ) -> Result<Vec<T>> {
        let asked = asked.trim().to_ascii_lowercase();
        let random = asked.strip_prefix(id_prefix).and_then(|rest| rest.strip_prefix('-')).unwrap_or(&asked);
        if random.is_empty() {
            return Ok(Vec::new());
        }
        // '~' sorts after every character of an id.
        let sql = format!("SELECT body FROM {table} WHERE id >= ?1 AND id < ?1 || '~' LIMIT ?2");
        self.many(&sql, params![format!("{id_prefix}-{random}"), MOST_NAMED])
    }

    /// Writes an event down for the ledger, in this transaction (G7).
    pub fn record(&self, at: Timestamp, event: &Event) -> Result<()> {
        let body = serde_json::to_string(event)?;
        self.run("INSERT INTO outbox (at, body) VALUES (?1, ?2)", params![at.as_microsecond(), body])?;
        Ok(())
    }

    /// The oldest events that the ledger was not told yet.
    pub fn outbox(&self, limit: u32) -> Result<Vec<OutboxRow>> {
        let mut statement = self.0.prepare_cached("SELECT id, at, body FROM outbox ORDER BY id LIMIT ?1")?;
        let rows = statement.query_map([limit], |row| {
            Ok(OutboxRow { id: row.get(0)?, at: time(row.get(1)?), body: row.get(2)? })
        })?;
        Ok(rows.collect::<std::result::Result<_, _>>()?)
    }

    pub fn outbox_sent(&self, up_to: i64) -> Result<()> {
        self.run("DELETE FROM outbox WHERE id <= ?1", [up_to])?;
        Ok(())
    }

    /// Suspends a target, in place of an earlier suspension.
    pub fn save_suspension(&self, suspension: &Suspension) -> Result<()> {
        let body = serde_json::to_string(suspension)?;
        self.run(
            "INSERT INTO suspension (target, body) VALUES (?1, ?2) ON CONFLICT (target) DO UPDATE SET body = ?2",
            params![suspension.target, body],
        )?;
        Ok(())
    }

    pub fn remove_suspension(&self, target: &str) -> Result<()> {
        self.run("DELETE FROM suspension WHERE target = ?1", [target])?;
        Ok(())
    }

    /// All of them, those whose time has passed too: at most one a target.
    pub fn suspensions(&self) -> Result<Vec<Suspension>> {
        self.many("SELECT body FROM suspension ORDER BY target", [])
    }

    /// Who somebody is, as the identity provider said at `seen`.
    pub fn save_person(&self, person: &Identity, seen: Timestamp) -> Result<()> {
        let body = serde_json::to_string(person)?;
        self.run(
            "INSERT INTO person (subject, body, seen_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (subject) DO UPDATE SET body = ?2, seen_at = ?3",
            params![person.subject, body, seen.as_microsecond()],
        )?;
        Ok(())
    }

    pub fn person(&self, subject: &str) -> Result<Option<Identity>> {
        self.one("SELECT body FROM person WHERE subject = ?1", [subject])
    }

    /// The people with an e-mail address, whatever its capitals, and when each was last seen.
    pub fn people_with_email(&self, email: &str) -> Result<Vec<(Identity, Timestamp)>> {
        let mut statement = self.0.prepare_cached(
            "SELECT body, seen_at FROM person WHERE lower(json_extract(body, '$.email')) = lower(?1) LIMIT 2",
        )?;
        let rows = statement.query_map([email], |row| Ok((row.get::<_, String>(0)?, time(row.get(1)?))))?;
        let decoded = |row: rusqlite::Result<(String, Timestamp)>| {
            let (body, seen) = row?;
            Ok((serde_json::from_str(&body)?, seen))
        };
        rows.map(decoded).collect()
    }

    pub fn save_token(&self, token: &TokenRow) -> Result<()> {
        self.run(
            "INSERT INTO token (hash, subject, expires_at, renewable_until) VALUES (?1, ?2, ?3, ?4)",
            params![
                token.hash,
                token.subject,
                token.expires_at.as_microsecond(),
                token.renewable_until.as_microsecond()
            ],
        )?;
        Ok(())
    }

    pub fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRow>> {
        let mut statement = self
            .0
            .prepare_cached("SELECT hash, subject, expires_at, renewable_until FROM token WHERE hash = ?1")?;
        let row = statement.query_row([hash], |row| {
            Ok(TokenRow {
                hash: row.get(0)?,
                subject: row.get(1)?,
                expires_at: time(row.get(2)?),
                renewable_until: time(row.get(3)?),
            })
        });
        Ok(row.optional()?)
    }

    pub fn drop_token(&self, hash: &[u8; 32]) -> Result<bool> {
        Ok(self.run("DELETE FROM token WHERE hash = ?1", [hash])? > 0)
    }

    /// Remembers that an ID token was exchanged. False when it was before.
    pub fn spend_id_token(&self, hash: &[u8; 32], until: Timestamp) -> Result<bool> {
        let until = until.as_microsecond();
        Ok(self.run(
            "INSERT OR IGNORE INTO spent_id_token (hash, until) VALUES (?1, ?2)",
            params![hash, until],
        )? > 0)
    }

    /// Forgets tokens that nobody can renew any more, and spent ones that have expired.
    pub fn drop_stale_tokens(&self, now: Timestamp) -> Result<usize> {
        self.run("DELETE FROM spent_id_token WHERE until <= ?1", [now.as_microsecond()])?;
        self.run("DELETE FROM token WHERE renewable_until <= ?1", [now.as_microsecond()])
    }

    pub fn save_request(&self, request: &AccessRequest) -> Result<()> {
        let body = serde_json::to_string(request)?;
        self.run(
            "INSERT INTO request (id, subject, state, created_at, expires_at, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (id) DO UPDATE SET state = ?3, body = ?6",
            params![
                request.id.as_str(),
                request.person.subject,
                request.state.as_str(),
                request.created_at.as_microsecond(),
                request.expires_at.as_microsecond(),
                body
            ],
        )?;
        Ok(())
    }

    /// Keeps a policy's texts under their hash; once is enough.
    pub fn save_policy(&self, hash: &str, at: Timestamp, sources: &[PolicySource]) -> Result<()> {
        let body = serde_json::to_string(sources)?;
        self.run(
            "INSERT OR IGNORE INTO policy (hash, first_at, body) VALUES (?1, ?2, ?3)",
            params![hash, at.as_microsecond(), body],
        )?;
        Ok(())
    }

    /// The texts that decisions name by this hash, if they were ever in force here.
    pub fn policy(&self, hash: &str) -> Result<Option<Vec<PolicySource>>> {
        self.one("SELECT body FROM policy WHERE hash = ?1", [hash])
    }

    /// Requests since a time, oldest first: the next of them after `after`.
    pub fn requests_since(
        &self,
        since: Timestamp,
        after: &RequestsPlace,
        limit: u32,
    ) -> Result<Vec<AccessRequest>> {
        let (at, id) = after.as_ref().map_or((i64::MIN, ""), |(at, id)| (at.as_microsecond(), id.as_str()));
        self.many(
            "SELECT body FROM request WHERE created_at >= ?1 AND (created_at, id) > (?2, ?3)
             ORDER BY created_at, id LIMIT ?4",
            params![since.as_microsecond(), at, id, limit],
        )
    }

    /// A request by the beginning of its id.
    pub fn request(&self, prefix: &str) -> Result<AccessRequest> {
        self.by_prefix("request", "request", RequestId::PREFIX, prefix)
    }

    /// The requests that the beginning of an id may mean, at most [`MOST_NAMED`].
    pub fn requests_named(&self, prefix: &str) -> Result<Vec<AccessRequest>> {
        self.beginning("request", RequestId::PREFIX, prefix)
    }

    /// Requests, newest first; of one person, or only waiting ones, where asked.
    pub fn requests(&self, subject: Option<&str>, all: bool, limit: u32) -> Result<Vec<AccessRequest>> {
        self.many(
            "SELECT body FROM request WHERE (?1 IS NULL OR subject = ?1) AND (?2 OR state = ?3)
             ORDER BY created_at DESC, id LIMIT ?4",
            params![subject, all, RequestState::Waiting.as_str(), limit],
        )
    }

    /// Requests since a time that broke the glass, oldest first.
    pub fn break_glass_since(&self, since: Timestamp) -> Result<Vec<AccessRequest>> {
        self.many(
            "SELECT body FROM request WHERE created_at >= ?1 AND state = 'granted'
             AND json_extract(body, '$.path') = 'break-glass' ORDER BY created_at, id LIMIT 1000",
            [since.as_microsecond()],
        )
    }

    /// Waiting requests whose time has passed.
    pub fn lapsed_requests(&self, now: Timestamp) -> Result<Vec<AccessRequest>> {
        self.many(
            "SELECT body FROM request WHERE state = 'waiting' AND expires_at <= ?1",
            [now.as_microsecond()],
        )
    }

    pub fn save_grant(&self, grant: &Grant) -> Result<()> {
        let body = serde_json::to_string(grant)?;
        self.run(
            "INSERT INTO access_grant (id, request, subject, until, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET until = ?4, body = ?5",
            params![
                grant.id.as_str(),
                grant.request.as_str(),
                grant.person.subject,
                grant.until.as_microsecond(),
                body
            ],
        )?;
        Ok(())
    }

    /// A grant by the beginning of its id.
    pub fn grant(&self, prefix: &str) -> Result<Grant> {
        self.by_prefix("access_grant", "grant", GrantId::PREFIX, prefix)
    }

    /// The grants that the beginning of an id may mean, at most [`MOST_NAMED`].
    pub fn grants_named(&self, prefix: &str) -> Result<Vec<Grant>> {
        self.beginning("access_grant", GrantId::PREFIX, prefix)
    }

    /// One person's grants whose window has not ended, revoked ones left out.
    pub fn live_grants(&self, subject: &str, now: Timestamp) -> Result<Vec<Grant>> {
        let grants: Vec<Grant> = self.many(
            "SELECT body FROM access_grant WHERE subject = ?1 AND until > ?2 ORDER BY until",
            params![subject, now.as_microsecond()],
        )?;
        Ok(grants.into_iter().filter(|grant| grant.is_live(now)).collect())
    }

    pub fn save_session(&self, session: &Session) -> Result<()> {
        let body = serde_json::to_string(session)?;
        self.run(
            "INSERT INTO session (id, grant_id, subject, state, opened_at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET state = ?4, body = ?6",
            params![
                session.id.as_str(),
                session.grant.as_str(),
                session.person.subject,
                session.state.as_str(),
                session.opened_at.as_microsecond(),
                body
            ],
        )?;
        Ok(())
    }

    /// A session by the beginning of its id.
    pub fn session(&self, prefix: &str) -> Result<Session> {
        self.by_prefix("session", "session", SessionId::PREFIX, prefix)
    }

    /// The sessions that the beginning of an id may mean, at most [`MOST_NAMED`].
    pub fn sessions_named(&self, prefix: &str) -> Result<Vec<Session>> {
        self.beginning("session", SessionId::PREFIX, prefix)
    }

    /// Sessions, newest first; of one person, or only those not dead, where asked.
    pub fn sessions(&self, subject: Option<&str>, all: bool, limit: u32) -> Result<Vec<Session>> {
        self.many(
            "SELECT body FROM session WHERE (?1 IS NULL OR subject = ?1) AND (?2 OR state <> ?3)
             ORDER BY opened_at DESC, id LIMIT ?4",
            params![subject, all, SessionState::Dead.as_str(), limit],
        )
    }

    /// Every session of a grant, dead ones too, oldest first.
    pub fn all_sessions_of(&self, grant: &GrantId) -> Result<Vec<Session>> {
        self.many(
            "SELECT body FROM session WHERE grant_id = ?1 ORDER BY opened_at LIMIT 1000",
            [grant.as_str()],
        )
    }

    /// The sessions of a grant that are not dead.
    pub fn sessions_of(&self, grant: &GrantId) -> Result<Vec<Session>> {
        self.many("SELECT body FROM session WHERE grant_id = ?1 AND state <> 'dead'", [grant.as_str()])
    }

    /// All sessions that a grant had, the first first.
    pub fn sessions_ever_of(&self, grant: &GrantId) -> Result<Vec<Session>> {
        self.many("SELECT body FROM session WHERE grant_id = ?1 ORDER BY opened_at, id", [grant.as_str()])
    }

    /// Reviews, the first due first; only those that nobody has written, unless all are asked for.
    pub fn reviews(&self, all: bool, limit: u32) -> Result<Vec<Review>> {
        self.many(
            "SELECT body FROM review WHERE ?1 OR written = 0 ORDER BY written, due_at, id LIMIT ?2",
            params![all, limit],
        )
    }

    pub fn save_review(&self, review: &Review) -> Result<()> {
        let body = serde_json::to_string(review)?;
        self.run(
            "INSERT INTO review (id, grant_id, subject, due_at, written, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO UPDATE SET written = ?5, body = ?6",
            params![
                review.id.as_str(),
                review.grant.as_str(),
                review.person.subject,
                review.due_at.as_microsecond(),
                review.is_written(),
                body
            ],
        )?;
        Ok(())
    }

    /// The review of a grant, once it has ended.
    pub fn review_of(&self, grant: &GrantId) -> Result<Option<Review>> {
        self.one("SELECT body FROM review WHERE grant_id = ?1", [grant.as_str()])
    }

    /// The reviews that the beginning of an id may mean, at most [`MOST_NAMED`].
    pub fn reviews_named(&self, prefix: &str) -> Result<Vec<Review>> {
        self.beginning("review", ReviewId::PREFIX, prefix)
    }

    /// Reviews that nobody has written, of one person where asked, the first due first.
    pub fn waiting_reviews(&self, subject: Option<&str>) -> Result<Vec<Review>> {
        self.many(
            "SELECT body FROM review WHERE written = 0 AND (?1 IS NULL OR subject = ?1) ORDER BY due_at, id",
            params![subject],
        )
    }

    /// Break-glass grants that have no review: those that live, and those that have just ended.
    pub fn unreviewed_break_glass(&self) -> Result<Vec<Grant>> {
        self.many(
            "SELECT body FROM access_grant WHERE body ->> '$.path' = 'break-glass'
             AND NOT EXISTS (SELECT 1 FROM review WHERE grant_id = access_grant.id)",
            [],
        )
    }
}
