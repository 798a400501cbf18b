//! The guard: whether one statement may pass under a session's permit.

use super::model::{GrantId, Path, PersonRef, Scope, SessionId};
use jiff::Timestamp;

/// What the gateway needs to know of a session: everything, so that it never
/// asks the control plane again. A revocation reaches it from outside.
#[derive(Clone, Debug)]
pub struct Permit {
    pub session: SessionId,
    pub grant: GrantId,
    pub person: PersonRef,
    pub target: String,
    pub scope: Scope,
    pub path: Path,
    pub until: Timestamp,
}
