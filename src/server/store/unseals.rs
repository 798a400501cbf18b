//! Requests for the originals of redacted statements, and which of the server's
//! keys they take.

use super::{StoreError, Tx};
use crate::core::model::{Unseal, UnsealId};
use jiff::Timestamp;
use rusqlite::params;

type Result<T> = std::result::Result<T, StoreError>;

impl Tx<'_> {
    pub fn save_unseal(&self, unseal: &Unseal) -> Result<()> {
        let body = serde_json::to_string(unseal)?;
        self.run(
            "INSERT INTO unseal (id, subject, asked_at, live_until, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET live_until = ?4, body = ?5",
            params![
                unseal.id.as_str(),
                unseal.by.subject,
                unseal.asked_at.as_microsecond(),
                unseal.live_until().as_microsecond(),
                body
            ],
        )
        .map(drop)
    }

    /// The newest first: all, or those with which something can be done.
    pub fn unseals(&self, all: bool, now: Timestamp, limit: u32) -> Result<Vec<Unseal>> {
        self.many(
            "SELECT body FROM unseal WHERE ?1 OR live_until > ?2 ORDER BY asked_at DESC, id LIMIT ?3",
            params![all, now.as_microsecond(), limit],
        )
    }

    /// How many of a person's can still be decided or opened.
    pub fn live_unseals_of(&self, subject: &str, now: Timestamp) -> Result<usize> {
        let sql = "SELECT count(*) FROM unseal WHERE subject = ?1 AND live_until > ?2";
        let count: i64 = self
            .0
            .prepare_cached(sql)?
            .query_row(params![subject, now.as_microsecond()], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Those that the beginning of an id may mean.
    pub fn unseals_named(&self, prefix: &str) -> Result<Vec<Unseal>> {
        self.beginning("unseal", UnsealId::PREFIX, prefix)
    }

    /// The marks of keys that texts were sealed with.
    pub fn unseal_keys(&self) -> Result<Vec<String>> {
        let mut statement = self.0.prepare_cached("SELECT mark FROM unseal_key ORDER BY mark")?;
        let marks = statement.query_map([], |row| row.get(0))?;
        Ok(marks.collect::<rusqlite::Result<_>>()?)
    }

    pub fn save_unseal_key(&self, mark: &str) -> Result<()> {
        self.run("INSERT OR IGNORE INTO unseal_key (mark) VALUES (?1)", [mark]).map(drop)
    }
}
