//! Who sees recordings: security and auditors, and of their own sessions nobody.
//! That somebody has is on the ledger before they get a byte.

use super::{Access, AccessError, Caller};
use crate::core::model::{Event, RecordingRecord, Session};
use crate::proto::{OnLedger, RecordingPage};
use crate::server::recording::RecordingsError;
use std::fs::File;

impl From<RecordingsError> for AccessError {
    fn from(error: RecordingsError) -> Self {
        Self::internal(error.to_string())
    }
}

impl Access {
    /// What the ledger says of a session's recording, behind a place on it, a
    /// page at a time.
    pub async fn recording(
        &self,
        caller: &Caller,
        id: &str,
        after: Option<u64>,
    ) -> Result<RecordingPage, AccessError> {
        let session = self.playable(caller, id).await?;
        self.caught_up().await?;
        let rows = self.index.recording(session.id.as_str(), after.unwrap_or(0)).await?;
        let records = rows
            .into_iter()
            .map(|row| {
                let record: RecordingRecord = serde_json::from_str(&row.body)
                    .map_err(|error| AccessError::internal(format!("ledger line {}: {error}", row.seq)))?;
                Ok(OnLedger { seq: row.seq, at: row.at, record })
            })
            .collect::<Result<_, AccessError>>()?;
        Ok(RecordingPage { session, records })
    }

    /// The file of a session's recording as far as it has come, and its length.
    pub async fn recording_file(&self, caller: &Caller, id: &str) -> Result<(File, u64), AccessError> {
        let session = self.playable(caller, id).await?;
        if let Some(pruned) = &session.recording_pruned {
            let what = format!("the rows that {} has seen", session.id);
            return Err(AccessError::not_found(pruned.said(&what)).hint(
                "the hashes of its recording are on the ledger: a copy of the file can be compared with them",
            ));
        }
        let Some(found) = self.recordings.read(&session.id).await? else {
            return Err(AccessError::not_found(format!(
                "the recording of {} is not here any more",
                session.id
            ))
            .hint("look for it where old recordings are kept: `dbaccess recording show FILE` reads it"));
        };
        let by = caller.person.to_ref();
        let event = Event::RecordingRead { session: session.id, by };
        let record = move |tx: &crate::server::store::Tx<'_>| {
            tx.record(crate::os::now(), &event).map_err(AccessError::from)
        };
        self.store.write(record).await?;
        self.flush().await?;
        Ok(found)
    }

    async fn playable(&self, caller: &Caller, id: &str) -> Result<Session, AccessError> {
        let session = self.find_session(caller, id).await?;
        if session.person.subject == caller.person.subject {
            return Err(AccessError::denied(format!("{} is your own session", session.id))
                .hint("its recording is for security and auditors other than you"));
        }
        if !caller.sees_all() {
            return Err(AccessError::denied("recordings are for security and auditors")
                .hint(format!("`dbaccess audit --session {}` shows its statements", session.id)));
        }
        if !session.recorded {
            return Err(AccessError::not_found(format!("{} was not recorded", session.id))
                .hint(format!("`dbaccess audit --session {}` shows its statements", session.id)));
        }
        Ok(session)
    }
}
