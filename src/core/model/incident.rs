//! Incidents, as the company's incident system tells of them. Its times are not
//! here: its clock is not ours, so nothing is ever decided by them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Where incidents are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IncidentSystem {
    PagerDuty,
    Opsgenie,
}

impl IncidentSystem {
    pub fn name(self) -> &'static str {
        match self {
            Self::PagerDuty => "PagerDuty",
            Self::Opsgenie => "Opsgenie",
        }
    }

    /// What an incident's id begins with here.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::PagerDuty => "PD",
            Self::Opsgenie => "OG",
        }
    }
}

/// `PD-Q1ABC`: the system, and the incident's own id there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentId {
    pub system: IncidentSystem,
    /// Letters, digits and dashes, so that it can stand in a URL as it is.
    id: String,
}

/// A text that names no incident.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIncident {
    #[error("`{0}` is not an incident's id: expected letters, digits and dashes, as in PD-Q1ABC2DEF")]
    Shape(String),
    #[error("`{0}` does not say whose incident it is: write PD-{0} for PagerDuty, OG-{0} for Opsgenie")]
    System(String),
}

/// No incident system has longer ones.
const LONGEST: usize = 100;

impl IncidentId {
    /// The id as its own system has it.
    pub fn bare(&self) -> &str {
        &self.id
    }

    /// What a person typed. The system may be left out where there is only one.
    pub fn parse(text: &str, systems: &[IncidentSystem]) -> Result<Self, BadIncident> {
        let text = text.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if text.is_empty() || text.len() > LONGEST || !text.chars().all(plain) {
            return Err(BadIncident::Shape(text.chars().take(LONGEST).collect()));
        }
        let (system, id) = match (prefixed(text), systems) {
            (Some((system, id)), _) => (system, id),
            (None, [only]) => (*only, text),
            (None, _) => return Err(BadIncident::System(text.to_owned())),
        };
        if id.is_empty() {
            return Err(BadIncident::Shape(text.to_owned()));
        }
        Ok(Self { system, id: id.to_owned() })
    }
}

fn prefixed(text: &str) -> Option<(IncidentSystem, &str)> {
    let (prefix, id) = text.split_once('-')?;
    let systems = [IncidentSystem::PagerDuty, IncidentSystem::Opsgenie];
    let system = systems.into_iter().find(|system| prefix.eq_ignore_ascii_case(system.prefix()))?;
    Some((system, id))
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.system.prefix(), self.id)
    }
}

impl FromStr for IncidentId {
    type Err = BadIncident;

    fn from_str(text: &str) -> Result<Self, BadIncident> {
        Self::parse(text, &[])
    }
}

impl TryFrom<String> for IncidentId {
    type Error = BadIncident;

    fn try_from(text: String) -> Result<Self, BadIncident> {
        text.parse()
    }
}

impl From<IncidentId> for String {
    fn from(id: IncidentId) -> Self {
        id.to_string()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentState {
    /// Triggered or acknowledged: somebody has to do something.
    Open,
    /// Resolved or closed.
    Closed,
}

/// One incident, as its system has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    pub id: IncidentId,
    pub title: String,
    pub state: IncidentState,
    /// The system's ids of the services that it belongs to.
    pub services: BTreeSet<String>,
    /// The e-mail addresses of those whom it is assigned to.
    pub assignees: BTreeSet<String>,
    pub url: Option<String>,
}

/// An incident as a request names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentRef {
    pub id: IncidentId,
    /// As the system had them when it was asked; `None` when it could not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether the system said that it is open, this person's and of this service.
    pub confirmed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_1_an_incident_is_named_with_its_system_unless_there_is_one_alone() {
        use IncidentSystem::{Opsgenie, PagerDuty};
        let parse = |text: &str, systems: &[IncidentSystem]| {
            IncidentId::parse(text, systems).map(|id| id.to_string()).map_err(|error| error.to_string())
        };
        let table: [(&str, &[IncidentSystem], Option<&str>); 10] = [
            ("PD-Q1ABC", &[PagerDuty, Opsgenie], Some("PD-Q1ABC")),
            (" pd-Q1ABC ", &[Opsgenie], Some("PD-Q1ABC")),
            ("OG-70413a06-38d6-4c85", &[PagerDuty], Some("OG-70413a06-38d6-4c85")),
            ("70413a06-38d6-4c85", &[Opsgenie], Some("OG-70413a06-38d6-4c85")),
            ("Q1ABC", &[PagerDuty], Some("PD-Q1ABC")),
            ("Q1ABC", &[PagerDuty, Opsgenie], None),
            ("Q1ABC", &[], None),
            ("PD-", &[PagerDuty], None),
            ("PD-../users", &[PagerDuty], None),
            ("", &[PagerDuty], None),
        ];
        for (text, systems, expected) in table {
            assert_eq!(parse(text, systems).ok().as_deref(), expected, "{text} {systems:?}");
        }
        assert!(parse("Q1ABC", &[]).unwrap_err().contains("write PD-Q1ABC"), "says what to write");
        assert!(parse(&"x".repeat(101), &[PagerDuty]).is_err());
        let id: IncidentId = serde_json::from_str("\"OG-7\"").unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"OG-7\"");
    }
}
