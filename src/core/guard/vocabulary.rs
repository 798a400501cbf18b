//! What a target has of its own to call: functions, operators and casts that
//! could do more than the session's role may.

use crate::core::model::Catalog;

/// The routines of one target, judged once for all its sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {}

impl Vocabulary {
    /// `allowed` are functions that configuration lets pass, as `schema.name`.
    pub fn of(_catalog: &Catalog, _allowed: &[String]) -> Self {
        Self {}
    }
}
