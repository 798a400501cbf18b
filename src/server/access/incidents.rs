//! What incident systems say of a person and a target: facts for policy.

use super::targets::TargetState;
use super::{Access, AccessError};
use crate::core::break_glass::{Answer, Mismatch, check};
use crate::core::model::{BadIncident, ErrorKind, IncidentFact, IncidentId, IncidentRef, Person, Role};

impl From<BadIncident> for AccessError {
    fn from(error: BadIncident) -> Self {
        Self::usage(error.to_string())
    }
}

impl Access {
    /// Whether somebody is on call for a target's service: by their groups, or
    /// by the incident system's schedules.
    pub(super) async fn on_call(&self, person: &Person, state: &TargetState) -> bool {
        if person.roles.contains(&Role::new("on-call")) {
            return true;
        }
        match &state.target.service {
            Some(service) => self.incidents.is_on_call(&person.email, service).await,
            None => false,
        }
    }

    /// The incident that a person names, if it stands for their access to a
    /// target, or if its system cannot say.
    pub(super) async fn incident_for(
        &self,
        person: &Person,
        state: &TargetState,
        named: &str,
    ) -> Result<IncidentRef, AccessError> {
        let systems = self.incidents.systems();
        if systems.is_empty() {
            return Err(AccessError::denied(
                "this server knows no incident system, so no incident can be looked up",
            )
            .hint("whoever runs dbaccess can configure one: [incidents.pagerduty] or [incidents.opsgenie]"));
        }
        let id = IncidentId::parse(named, &systems)?;
        let system = id.system.name();
        if !systems.contains(&id.system) {
            return Err(AccessError::usage(format!(
                "{id} is an incident of {system}, which this server does not ask"
            ))
            .hint(format!(
                "it asks {}",
                systems.iter().map(|one| one.name()).collect::<Vec<_>>().join(" and ")
            )));
        }
        let target = &state.target.name;
        let Some(service) = &state.target.service else {
            return Err(AccessError::denied(format!(
                "{target} belongs to no service, so no incident is about it"
            ))
            .hint(format!("whoever runs dbaccess can say which: service = \"…\" under [targets.{target}]")));
        };
        let Some(services) = self.incidents.services(id.system, service) else {
            let section = id.system.name().to_ascii_lowercase();
            return Err(AccessError::denied(format!(
                "nobody has said which service of {system} is {service}, the service of {target}"
            ))
            .hint(format!(
                "whoever runs dbaccess can: {service} = \"ID\" under [incidents.{section}.services]"
            )));
        };
        let incident = match self.incidents.ask(&id).await {
            Answer::Found(incident) => incident,
            Answer::Missing => {
                return Err(AccessError::not_found(format!("{system} has no incident {}", id.bare()))
                    .hint("its id is at the end of its URL"));
            }
            Answer::Refused(why) => {
                let message = format!("{system} says nothing about {}: {why}", id.bare());
                return Err(AccessError::new(ErrorKind::Unreachable, message)
                    .hint("check the id, and try again in a minute"));
            }
            Answer::Unknown(_) => return Ok(IncidentRef { id, title: None, url: None, confirmed: false }),
        };
        if let Err(mismatch) = check(&incident, &person.email, services) {
            let hint = match &mismatch {
                Mismatch::Closed => format!(
                    "if it is not over, open it again in {system}; else ask the ordinary way: `dbaccess request {target} …`"
                ),
                Mismatch::NotYours(_) => {
                    format!("take it on in {system} (as {}), and run this again", person.email)
                }
                Mismatch::OtherService(_) => format!(
                    "{service}, the service of {target}, is {} in {system}: an incident of that service opens it",
                    services.iter().map(String::as_str).collect::<Vec<_>>().join(" or ")
                ),
            };
            return Err(AccessError::new(ErrorKind::Denied, format!("{id}: {mismatch}")).hint(hint));
        }
        let shown = |text: String| Some(text.chars().take(LONGEST_TITLE).collect());
        Ok(IncidentRef {
            id: incident.id,
            title: shown(incident.title),
            url: incident
                .url
                .filter(|url| url.starts_with("https://") || url.starts_with("http://"))
                .and_then(shown),
            confirmed: true,
        })
    }
}

/// What is kept of an incident's title and address, in characters.
const LONGEST_TITLE: usize = 300;

/// What policy is told of it.
pub(super) fn fact(incident: Option<&IncidentRef>) -> IncidentFact {
    match incident {
        None => IncidentFact::None,
        Some(IncidentRef { confirmed: true, .. }) => IncidentFact::Confirmed,
        Some(IncidentRef { confirmed: false, .. }) => IncidentFact::Unconfirmed,
    }
}
