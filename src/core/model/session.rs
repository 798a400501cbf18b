//! Sessions: one run of `dbaccess connect`, one ephemeral role.

use super::{GrantId, PersonRef, PrunedBy, SessionId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a session is in its life. It only moves down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionState {
    /// Written down before the role is made, so that a crash leaves a trace to sweep.
    Opening,
    Open,
    /// No statement gets through any more; the role is being removed, retried for ever.
    Closing,
    /// The role is proven gone.
    Dead,
}

impl SessionState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Dead => "dead",
        }
    }
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The person ended it.
    Exit,
    /// The window ended.
    Expired,
    /// Somebody revoked the session or its grant.
    Revoked,
    /// The client vanished without a word.
    Lost,
    /// The server stopped or crashed while it was open.
    ServerStopped,
    /// It could not be opened.
    Failed,
    /// It had views, and the target was suspended for a deploy.
    Suspended,
    /// The incident that it was opened for does not stand for it any more.
    IncidentOver,
}

impl EndReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Lost => "lost",
            Self::ServerStopped => "server_stopped",
            Self::Failed => "failed",
            Self::Suspended => "suspended",
            Self::IncidentOver => "incident_over",
        }
    }
}

/// What a session did, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub statements: u64,
    pub rows: u64,
    /// Bytes of result rows and COPY data sent to the client.
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub id: SessionId,
    pub grant: GrantId,
    pub person: PersonRef,
    pub target: String,
    /// The ephemeral LOGIN role in the target.
    pub role: String,
    /// The access role whose member it is.
    pub profile: String,
    pub state: SessionState,
    pub opened_at: Timestamp,
    /// The end of the grant's window.
    pub until: Timestamp,
    pub end: Option<EndReason>,
    /// When the end was decided: revocation latency counts from here.
    pub ended_at: Option<Timestamp>,
    /// When the role was proven gone.
    pub dead_at: Option<Timestamp>,
    pub totals: Totals,
    /// Whether there is a recording of it, with the rows that it saw.
    #[serde(default)]
    pub recorded: bool,
    /// What retention has taken out, or is about to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statements_pruned: Option<PrunedBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_pruned: Option<PrunedBy>,
}
