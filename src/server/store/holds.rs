//! Legal holds, and the sessions that they are asked about.

use super::rows::Result;
use super::{StoreError, Tx};
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

    /// Hands over every session that ever was, one by one.
    pub fn each_session<E: From<StoreError>>(
        &self,
        mut each: impl FnMut(Session) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let sqlite = |error| E::from(StoreError::Sqlite(error));
        let mut statement = self.0.prepare_cached("SELECT body FROM session").map_err(sqlite)?;
        let mut rows = statement.query([]).map_err(sqlite)?;
        while let Some(row) = rows.next().map_err(sqlite)? {
            let body: String = row.get(0).map_err(sqlite)?;
            each(serde_json::from_str(&body).map_err(StoreError::from)?)?;
        }
        Ok(())
    }
}
