//! Targets: the databases that a person can be let into.

use super::Rule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where a target stands; policy weighs writes and reads by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    Production,
    Staging,
    Development,
}

impl Environment {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Development => "development",
        }
    }
}

/// Why a column is classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    Pii,
    Financial,
    Health,
    Secret,
}

impl Sensitivity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pii => "pii",
            Self::Financial => "financial",
            Self::Health => "health",
            Self::Secret => "secret",
        }
    }
}

/// What decisions need to know of a target. How to reach it is the server's
/// configuration, not part of this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: String,
    pub environment: Environment,
    /// The service that this database belongs to.
    pub service: Option<String>,
    /// Teams whose members are at home here.
    pub owners: BTreeSet<String>,
    /// Which columns are sensitive, as configured.
    pub classified: Vec<Rule>,
}
