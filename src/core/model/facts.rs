//! What policy saw of a request: kept with the decision, so that the same
//! question can be put to another policy long after the hour, the person's
//! teams and the tables have changed.

use super::request::seconds;
use super::{Environment, Level, Permission, Role, Sensitivity, TableName};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Everything that rules can see of a request, as plain values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub subject: String,
    pub teams: BTreeSet<String>,
    pub roles: BTreeSet<Role>,
    pub target: String,
    pub environment: Environment,
    pub service: Option<String>,
    pub owners: BTreeSet<String>,
    pub permissions: BTreeSet<Permission>,
    pub level: Level,
    /// The objects in words.
    pub objects: String,
    /// Every table that the scope covers, whatever it was called by.
    pub tables: BTreeSet<TableName>,
    /// Those that the scope reaches into.
    pub schemas: BTreeSet<String>,
    /// The classified columns that are raw, as `schema.table.column`.
    pub columns: BTreeMap<String, Sensitivity>,
    /// Of the classified columns that are raw.
    pub sensitivities: BTreeSet<Sensitivity>,
    /// Whether a classified column is asked for raw, by name.
    pub unmask: bool,
    /// How many classified columns stay masked.
    pub masked: usize,
    #[serde(with = "seconds")]
    pub window: Duration,
    pub business_hours: bool,
    pub on_call: bool,
    pub incident: IncidentFact,
}

impl Facts {
    /// The owning teams that the person belongs to.
    pub fn shared_teams(&self) -> Vec<&str> {
        self.teams.intersection(&self.owners).map(String::as_str).collect()
    }
}

/// What is known of the incident that a request names (R8.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentFact {
    /// None was named, or what was named gives no right to anything.
    #[default]
    None,
    /// It is open, this person's, and of the target's service.
    Confirmed,
    /// The incident system could not be reached.
    Unconfirmed,
}

impl IncidentFact {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}
