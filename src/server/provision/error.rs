//! What can go wrong with a target, said so that a person knows the next step.

use crate::core::model::ErrorKind;
use crate::tls::TlsError;
use tokio_postgres::error::SqlState;

#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// No connection, or it was lost before an answer came.
    #[error("cannot reach the target at {address}: {why}")]
    Unreachable { address: String, why: String },
    #[error(
        "the target at {address} does not let `{user}` in: {why}; check `user` and `password` of the target"
    )]
    Refused { address: String, user: String, why: String },
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// The functions of the setup are not there, not ours to call, or of another version.
    #[error(
        "database {database} is not set up for this version of dbaccess ({why}): run `dbaccess target setup`"
    )]
    Setup { database: String, why: String },
    /// A table of the scope was there when the catalog was read, and is not now.
    #[error("the target has changed: {0}; ask for the tables that are there now")]
    Vanished(String),
    /// What was made on the primary does not arrive.
    #[error(
        "the standby at {address} lags: after {seconds} s it does not have what was written on its primary; \
         try again when it has caught up, or ask for the primary (`dbaccess doctor` says how far behind it is)"
    )]
    Lagging { address: String, seconds: u64 },
    /// Configured as a standby, and is none.
    #[error(
        "{address} is configured as a standby (`primary_host`) and is not in recovery: was it promoted? \
         The target's configuration must name a standby, or no primary_host"
    )]
    Promoted { address: String },
    /// Somebody holds a lock that provisioning needs.
    #[error("the target is busy: {0}; a migration may be running, try again when it is done")]
    Busy(String),
    #[error("role {role} still has connections ({connections}) although they were terminated")]
    StillConnected { role: String, connections: i32 },
    #[error("{objects} of role {role} are in databases that cannot be cleaned: {why}")]
    Elsewhere { role: String, objects: &'static str, why: String },
    #[error("the target refused: {0}")]
    Database(String),
}

impl ProvisionError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } => ErrorKind::Unreachable,
            Self::Vanished(_) | Self::Busy(_) | Self::Lagging { .. } | Self::StillConnected { .. } => {
                ErrorKind::Conflict
            }
            Self::Refused { .. }
            | Self::Tls(_)
            | Self::Setup { .. }
            | Self::Promoted { .. }
            | Self::Elsewhere { .. }
            | Self::Database(_) => ErrorKind::Internal,
        }
    }
}

/// What a failed call means for the one who made it.
pub(super) enum Failure {
    /// The connection is gone; whether the call took effect is not known.
    Lost(String),
    /// Two of us touched one catalog row: the same call again will pass.
    Collided(String),
    Sql(SqlState, String),
}

impl Failure {
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            return Self::Lost(chain(error));
        };
        let message = match (db.detail(), db.hint()) {
            (None, None) => db.message().to_owned(),
            (Some(more), None) | (None, Some(more)) => format!("{} ({more})", db.message()),
            (Some(detail), Some(hint)) => format!("{} ({detail}; {hint})", db.message()),
        };
        let code = db.code();
        if [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::TOO_MANY_CONNECTIONS,
        ]
        .contains(code)
        {
            return Self::Lost(message);
        }
        let ours = || ["s", "p", "o"].iter().any(|kind| message.contains(&format!("\"dbaccess_{kind}_")));
        // Collisions on catalog rows have no code of their own: "tuple
        // concurrently updated", "could not find tuple for role 16508". A role
        // of ours that vanished under a call was dropped by another one.
        let collided = *code == SqlState::INTERNAL_ERROR
            || *code == SqlState::T_R_DEADLOCK_DETECTED
            || *code == SqlState::T_R_SERIALIZATION_FAILURE
            || *code == SqlState::UNDEFINED_OBJECT && ours();
        if collided { Self::Collided(message) } else { Self::Sql(code.clone(), message) }
    }

    pub(super) fn into_error(self, address: &str, database: &str) -> ProvisionError {
        let (code, message) = match self {
            Self::Lost(why) => return ProvisionError::Unreachable { address: address.to_owned(), why },
            Self::Collided(why) => return ProvisionError::Busy(why),
            Self::Sql(code, message) => (code, message),
        };
        let missing = message.contains("dbaccess.") && code == SqlState::UNDEFINED_FUNCTION
            || message.contains("schema \"dbaccess\"")
            || message.contains("for function ") && code == SqlState::INSUFFICIENT_PRIVILEGE;
        if missing {
            ProvisionError::Setup { database: database.to_owned(), why: message }
        } else if [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::INVALID_SCHEMA_NAME]
            .contains(&code)
        {
            ProvisionError::Vanished(message)
        } else if code == SqlState::LOCK_NOT_AVAILABLE || code == SqlState::QUERY_CANCELED {
            ProvisionError::Busy(message)
        } else {
            ProvisionError::Database(message)
        }
    }
}

/// An error with its causes: tokio-postgres keeps the interesting part below.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}
