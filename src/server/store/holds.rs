//! Legal holds, and the sessions that they are asked about.

use super::Tx;
use super::rows::Result;
use crate::core::model::{Hold, HoldId, Session};
use rusqlite::params;

impl Tx<'_> {
    pub fn save_hold(&self, hold: &Hold) -> Result<()> {
        let body = serde_json::to_string(hold)?;
        self.run(
            "INSERT INTO hold (id, at, released, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (id) DO UPDATE SET released = ?3, body = ?4",
            params![hold.id.as_str(), hold.at.as_microsecond(), hold.released.is_some(), body],
        )
        .map(drop)
    }

    /// Those that last, or all that ever were, the newest first.
    pub fn holds(&self, all: bool) -> Result<Vec<Hold>> {
        self.many("SELECT body FROM hold WHERE ?1 OR released = 0 ORDER BY at DESC, id", [all])
    }

    /// The holds that the beginning of an id may mean.
    pub fn holds_named(&self, prefix: &str) -> Result<Vec<Hold>> {
        self.beginning("hold", HoldId::PREFIX, prefix)
    }

    /// Sessions that ever were, by their ids, behind `after`.
    pub fn sessions_behind(&self, after: &str, limit: u32) -> Result<Vec<Session>> {
        self.many("SELECT body FROM session WHERE id > ?1 ORDER BY id LIMIT ?2", params![after, limit])
    }
}
