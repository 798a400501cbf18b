//! State: requests, grants, sessions, tokens, in SQLite on one writer thread.
//!
//! Every change is a closure over a [`Tx`], run whole on that thread: load,
//! decide, save and record are one transaction (G7), so decisions race safely
//! without a lock of ours. The [`Tx`] never decides; use-cases in `access` do.
//! Called by `access` and `tasks`.

mod approving;
mod break_glass;
mod campaigns;
mod holds;
mod notices;
mod rows;
mod schema;
mod unseals;

pub use approving::Waiting;
pub use notices::{NoticeRow, Recipient, SlackMessage};
pub use rows::{OutboxRow, RequestsPlace, TokenRow, all_named, only, only_seen};

use crate::core::model::ErrorKind;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;
use tokio::sync::{mpsc, oneshot};

/// Calls that may wait for the writer thread before callers wait themselves.
const QUEUE: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the state database failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("a stored record cannot be read: {0}")]
    Corrupt(#[from] serde_json::Error),
    #[error(
        "the state database belongs to a newer version of dbaccess (schema {found}, this one knows {known})"
    )]
    Newer { found: i64, known: i64 },
    #[error("the state database is closed")]
    Closed,
    #[error("no {kind} begins with {prefix}")]
    NoSuch { kind: &'static str, prefix: String },
    #[error("{prefix} fits more than one {kind}")]
    Ambiguous { kind: &'static str, prefix: String },
}

impl StoreError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuch { .. } => ErrorKind::NotFound,
            Self::Ambiguous { .. } => ErrorKind::Usage,
            _ => ErrorKind::Internal,
        }
    }
}

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the state; cheap to clone.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
}

/// One transaction: what a use-case sees of the state.
pub struct Tx<'c>(Transaction<'c>);

impl Store {
    /// Opens or creates the database and brings its schema up to date.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A decision that was answered must survive the machine.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&mut connection)?;
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || {
                while let Some(job) = queue.blocking_recv() {
                    job(&mut connection);
                }
            })
            .map_err(|_| StoreError::Closed)?;
        Ok(Self { jobs })
    }

    /// Runs one transaction. An error from `work` rolls everything back.
    ///
    /// Cancel-safe in this sense: once the job is queued it runs whole, whether
    /// or not anybody still waits for the answer.
    pub async fn write<T, E>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.run(TransactionBehavior::Immediate, work).await
    }

    /// Looks at the state, all of it as of one moment.
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.run(TransactionBehavior::Deferred, work).await
    }

    async fn run<T, E>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = (|| {
                let tx = Tx(connection.transaction_with_behavior(behavior).map_err(StoreError::from)?);
                let value = work(&tx)?;
                tx.0.commit().map_err(StoreError::from)?;
                Ok(value)
            })();
            drop(answer.send(result));
        });
        self.jobs.send(job).await.map_err(|_| E::from(StoreError::Closed))?;
        answered.await.map_err(|_| E::from(StoreError::Closed))?
    }
}
