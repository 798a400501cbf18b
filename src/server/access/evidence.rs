//! Who gets evidence: security and auditors. That a bundle was made is on the
//! ledger, with its manifest's hash, before they get a byte.

use super::{Access, AccessError, Caller};
use crate::core::evidence::Period;
use crate::core::model::{ErrorKind, Event};
use crate::proto::MakeReport;
use crate::server::evidence::{self, BundleError, Wanted};
use std::fs::File;
use std::io::Seek as _;
use std::sync::Arc;

impl From<BundleError> for AccessError {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Nothing => Self::not_found(error.to_string()),
            error => Self::internal(error.to_string()),
        }
    }
}

impl Access {
    /// A bundle of evidence in a file of its own that has no name, and its length.
    pub async fn report(&self, caller: &Caller, asked: MakeReport) -> Result<(File, u64), AccessError> {
        if !caller.sees_all() {
            return Err(AccessError::denied("evidence is for security and auditors"));
        }
        let MakeReport { framework, from, until } = asked;
        if from >= until {
            return Err(AccessError::usage(format!("the interval ends at {until}, before it begins")));
        }
        let Ok(turn) = Arc::clone(&self.reporting).try_lock_owned() else {
            return Err(AccessError::new(
                ErrorKind::TooMany,
                "another report is being made, or retention is at work",
            )
            .hint("one is made at a time, because it reads the whole ledger: try again when it is done"));
        };
        // Everything that was committed before this call is in it.
        self.flush().await?;
        let newest = self.journal.last_queued();
        self.journal.written(newest).await?;
        let wanted = Wanted { framework, period: Period { from, until }, upto: newest.0 };
        let (journal, scratch) = (self.journal.clone(), self.config.server.data_dir.clone());
        let making = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let mut file = tempfile::tempfile_in(&scratch)?;
            let sign = |manifest: &[u8]| journal.sign(manifest);
            let made = evidence::write(journal.dir(), journal.public_key(), wanted, sign, &file)?;
            file.rewind()?;
            let length = file.metadata()?.len();
            Ok::<_, BundleError>((made, file, length))
        });
        let (made, file, length) =
            making.await.map_err(|_| AccessError::internal("making the report broke off"))??;
        let event = Event::ReportMade {
            by: caller.person.to_ref(),
            framework,
            from,
            until,
            first: made.first,
            last: made.last,
            exceptions: made.exceptions,
            manifest: made.sha256,
        };
        let record = move |tx: &crate::server::store::Tx<'_>| {
            tx.record(crate::os::now(), &event).map_err(AccessError::from)
        };
        self.store.write(record).await?;
        self.flush().await?;
        Ok((file, length))
    }
}
