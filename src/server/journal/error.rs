use crate::core::model::ErrorKind;
use std::io;
use std::path::{Path, PathBuf};

/// Why the ledger cannot be opened or written. Clonable: every waiter gets one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the ledger at {0} is in use by another process: stop that server first")]
    InUse(PathBuf),
    #[error("the ledger cannot be used: {doing} {path}: {reason}")]
    Io { doing: &'static str, path: PathBuf, reason: String },
    #[error(
        "the ledger is broken at {at}: move {dir} away as evidence (`dbaccess ledger verify` tells more) and start \
         with a new one"
    )]
    Broken { dir: PathBuf, at: String },
    #[error(
        "retention takes nothing out of {segment}, because it is not as it was written: {why}: keep the ledger as \
         evidence (`dbaccess ledger verify` tells more) and put the segment back from a copy that verifies"
    )]
    NotWhole { segment: String, why: String },
    #[error("the ledger's signing key {path}: {problem}")]
    Key { path: PathBuf, problem: &'static str },
    #[error("a ledger record must be one JSON object on one line")]
    NotARecord,
    #[error("the ledger is closed: the server is stopping")]
    Closed,
    #[error("the search took longer than {0} seconds and was broken off")]
    TooLong(u64),
}

impl JournalError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Closed | Self::Io { .. } => ErrorKind::Unreachable,
            Self::TooLong(_) => ErrorKind::TooMany,
            Self::InUse(_) => ErrorKind::Conflict,
            Self::Broken { .. } | Self::NotWhole { .. } | Self::Key { .. } | Self::NotARecord => {
                ErrorKind::Internal
            }
        }
    }

    /// An I/O error, with what was being done to which file.
    pub(super) fn io<'a>(doing: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Self + 'a {
        move |error| Self::Io { doing, path: path.to_owned(), reason: error.to_string() }
    }
}

/// Why a record was not queued at once.
#[derive(Debug)]
pub enum NotAppended {
    /// The queue is full: here is the record back.
    Full(String),
    Failed(JournalError),
}

impl NotAppended {
    pub(super) fn into_error(self) -> JournalError {
        match self {
            Self::Full(_) => JournalError::Closed,
            Self::Failed(error) => error,
        }
    }
}
