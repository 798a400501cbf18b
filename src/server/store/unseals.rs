//! Requests for the originals of redacted statements.

use super::{StoreError, Tx};
use crate::core::model::{Unseal, UnsealId};
use rusqlite::params;

type Result<T> = std::result::Result<T, StoreError>;

impl Tx<'_> {
    pub fn save_unseal(&self, unseal: &Unseal) -> Result<()> {
        let body = serde_json::to_string(unseal)?;
        self.run(
            "INSERT INTO unseal (id, asked_at, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET body = ?3",
            params![unseal.id.as_str(), unseal.asked_at.as_microsecond(), body],
        )
        .map(drop)
    }

    /// The newest first.
    pub fn unseals(&self, limit: u32) -> Result<Vec<Unseal>> {
        self.many("SELECT body FROM unseal ORDER BY asked_at DESC, id LIMIT ?1", [limit])
    }

    /// Those that the beginning of an id may mean.
    pub fn unseals_named(&self, prefix: &str) -> Result<Vec<Unseal>> {
        self.beginning("unseal", UnsealId::PREFIX, prefix)
    }
}
