//! What kind of failure an error is. The one table from a kind to an exit
//! code, an HTTP status and a SQLSTATE.

use serde::{Deserialize, Serialize};

/// Why something could not be done, as far as a program needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The words of the request are wrong.
    Usage,
    /// Nobody is signed in, or the token is not accepted.
    NotSignedIn,
    /// Approval is still awaited.
    Waiting,
    /// Refused by policy or by a person, or not this person's to do.
    Denied,
    /// No such thing.
    NotFound,
    /// The state of the thing does not allow it any more.
    Conflict,
    /// The window has passed or access was revoked.
    Expired,
    /// The server, the target or the identity provider cannot be reached.
    Unreachable,
    /// Too many or too much.
    TooMany,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// The documented exit code of the command line tool.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::NotFound | Self::Conflict | Self::TooMany | Self::Internal => 1,
            Self::Usage => 2,
            Self::NotSignedIn => 3,
            Self::Waiting => 4,
            Self::Denied => 5,
            Self::Expired => 6,
            Self::Unreachable => 7,
        }
    }

    /// HTTP status (RFC 9110 section 15).
    pub fn http_status(self) -> u16 {
        match self {
            Self::Usage => 400,
            Self::NotSignedIn => 401,
            Self::Waiting | Self::Conflict => 409,
            Self::Denied => 403,
            Self::NotFound => 404,
            Self::Expired => 410,
            Self::TooMany => 429,
            Self::Unreachable => 503,
            Self::Internal => 500,
        }
    }

    /// SQLSTATE (PostgreSQL manual, appendix A).
    pub fn sqlstate(self) -> &'static str {
        match self {
            Self::Usage => "42601",
            Self::NotSignedIn => "28000",
            Self::Waiting | Self::Denied => "42501",
            Self::NotFound => "3D000",
            Self::Conflict => "55000",
            Self::Expired => "57P01",
            Self::TooMany => "53300",
            Self::Unreachable => "08001",
            Self::Internal => "XX000",
        }
    }
}
