//! A policy's texts, as they travel and as they are kept.

use serde::{Deserialize, Serialize};

/// One text of a policy with its name. A policy is one or more, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySource {
    pub file: String,
    pub text: String,
}
