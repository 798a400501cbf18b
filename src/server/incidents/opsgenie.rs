//! Opsgenie's REST API: `GET /v1/incidents/{id}` with its responder alerts,
//! `/v2/alerts/{id}`, `/v2/users/{id}`, `/v1/services/{id}` and
//! `/v2/schedules/{id}/on-calls`, all of which a read-only key may call.
//!
//! Where a plan has no incidents, an alert stands for one; it belongs to no
//! service, so that its responders' teams stand for those.

use super::http::{Http, Trouble};
use crate::core::model::{Incident, IncidentId, IncidentState};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

pub(super) const SCHEME: &str = "GenieKey ";
const ACCEPT: &str = "application/json";
/// Users and alerts that are looked up for one incident.
const MOST_LOOKED_UP: usize = 20;
/// The largest page that Opsgenie gives of an incident's alerts.
const PAGE: usize = 25;
const MOST_PAGES: usize = 4;

/// Every answer has what was asked for in `data`.
#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<String>,
    #[serde(default)]
    paging: Paging,
}

#[derive(Default, Deserialize)]
struct Paging {
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    id: String,
    #[serde(default)]
    message: String,
    status: String,
    #[serde(default)]
    service_id: Option<String>,
    #[serde(default)]
    impacted_services: Vec<String>,
    #[serde(default)]
    responders: Vec<Responder>,
    /// Of an alert: whoever acknowledged it, or was given it.
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    links: Links,
}

#[derive(Default, Deserialize)]
struct Links {
    #[serde(default)]
    web: Option<String>,
}

#[derive(Deserialize)]
struct Responder {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Deserialize)]
struct Service {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OnCalls {
    #[serde(default)]
    on_call_recipients: Vec<String>,
}

pub(super) async fn incident(http: &Http, id: &IncidentId) -> Result<Option<Incident>, Trouble> {
    // Short numbers are how people call them.
    let tiny = id.bare().chars().all(|c| c.is_ascii_digit());
    let query = [("identifierType", if tiny { "tiny" } else { "id" })];
    if let Some(Data { data }) =
        http.get::<Data<Raw>>(&format!("/v1/incidents/{}", id.bare()), &query, ACCEPT).await?
    {
        let services = data.impacted_services.iter().chain(&data.service_id).cloned().collect();
        // Of one that is over it does not matter whose it was; asking could fail.
        let alerts =
            if data.status == "open" { responder_alerts(http, &data.id).await? } else { BTreeSet::new() };
        return Ok(Some(read(http, data, services, alerts).await?));
    }
    let alert: Option<Data<Raw>> = http.get(&format!("/v2/alerts/{}", id.bare()), &query, ACCEPT).await?;
    let Some(Data { data }) = alert else { return Ok(None) };
    let teams = data.responders.iter().filter(|responder| responder.kind == "team");
    let services = teams.map(|team| team.id.clone()).collect();
    Ok(Some(read(http, data, services, BTreeSet::new()).await?))
}

async fn read(
    http: &Http,
    raw: Raw,
    services: BTreeSet<String>,
    mut assignees: BTreeSet<String>,
) -> Result<Incident, Trouble> {
    let state = match raw.status.as_str() {
        "open" => IncidentState::Open,
        "resolved" | "closed" => IncidentState::Closed,
        other => return Err(Trouble::Odd(format!("its incident has the unknown status `{other}`"))),
    };
    assignees.extend(raw.owner.filter(|owner| !owner.is_empty()));
    let people = raw.responders.iter().filter(|responder| responder.kind == "user");
    let people = people.filter(|_| state == IncidentState::Open);
    for person in people.take(MOST_LOOKED_UP) {
        let user: Option<Data<User>> = get(http, &path("/v2/users/", &person.id, "")?).await?;
        assignees.extend(user.map(|user| user.data.username));
    }
    Ok(Incident {
        // Its own spelling, so that an incident has one name here.
        id: IncidentId::parse(&format!("OG-{}", raw.id), &[])
            .map_err(|error| Trouble::Odd(error.to_string()))?,
        title: raw.message,
        state,
        services,
        assignees,
        url: raw.links.web,
    })
}

/// Whoever has taken an alert that calls people to an incident: a team is
/// called, and one of it takes the incident on.
async fn responder_alerts(http: &Http, incident: &str) -> Result<BTreeSet<String>, Trouble> {
    let (list, limit) = (path("/v1/incidents/", incident, "/responder-alert-ids")?, PAGE.to_string());
    let mut alerts = Vec::new();
    for _ in 0..MOST_PAGES {
        let offset = alerts.len().to_string();
        let query = [("limit", limit.as_str()), ("offset", offset.as_str())];
        let Some(Page { data, paging }) = http.get(&list, &query, ACCEPT).await? else { break };
        alerts.extend(data);
        if paging.next.is_none() {
            break;
        }
    }
    let mut owners = BTreeSet::new();
    for alert in alerts.iter().take(MOST_LOOKED_UP) {
        let alert: Option<Data<Raw>> = get(http, &path("/v2/alerts/", alert, "")?).await?;
        owners.extend(alert.and_then(|alert| alert.data.owner).filter(|owner| !owner.is_empty()));
    }
    Ok(owners)
}

/// Whether one of these schedules has somebody on call.
pub(super) async fn on_call(http: &Http, email: &str, schedules: &BTreeSet<String>) -> Result<bool, Trouble> {
    for schedule in schedules {
        let asked = path("/v2/schedules/", schedule, "/on-calls")?;
        let found: Option<Data<OnCalls>> = http.get(&asked, &[("flat", "true")], ACCEPT).await?;
        let people = found.map(|found| found.data.on_call_recipients).unwrap_or_default();
        if people.iter().any(|person| person.eq_ignore_ascii_case(email)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A service's name, or, for plans without incidents, a team's.
pub(super) async fn service_name(http: &Http, id: &str) -> Result<Option<String>, Trouble> {
    let service: Option<Data<Service>> = get(http, &path("/v1/services/", id, "")?).await?;
    match service {
        Some(service) => Ok(Some(service.data.name)),
        None => {
            let team: Option<Data<Service>> = get(http, &path("/v2/teams/", id, "")?).await?;
            Ok(team.map(|team| team.data.name))
        }
    }
}

async fn get<T: DeserializeOwned>(http: &Http, path: &str) -> Result<Option<T>, Trouble> {
    http.get(path, &[], ACCEPT).await
}

/// Ids are letters, digits and dashes; anything else in a path would ask for something else.
fn path(before: &str, id: &str, after: &str) -> Result<String, Trouble> {
    match id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        true => Ok(format!("{before}{id}{after}")),
        false => Err(Trouble::Odd("it names an id that is none".to_owned())),
    }
}
