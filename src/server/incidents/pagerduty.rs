//! PagerDuty's REST API, version 2: `GET /incidents/{id}`, `/users/{id}`,
//! `/users`, `/services/{id}` and `/oncalls`, all of which a read-only key may call.

use super::http::{Http, Trouble};
use crate::core::model::{Incident, IncidentId, IncidentState};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;

pub(super) const SCHEME: &str = "Token token=";
const ACCEPT: &str = "application/vnd.pagerduty+json;version=2";
/// Assignees that are looked up: an incident has few.
const MOST_ASSIGNEES: usize = 20;
const PAGE: usize = 100;
/// Pages of a list that are read.
const MOST_PAGES: usize = 10;

#[derive(Deserialize)]
struct OneIncident {
    incident: Raw,
}

#[derive(Deserialize)]
struct Raw {
    id: String,
    #[serde(default)]
    title: Option<String>,
    status: String,
    #[serde(default)]
    service: Option<Reference>,
    #[serde(default)]
    assignments: Vec<Assignment>,
    #[serde(default)]
    html_url: Option<String>,
}

#[derive(Deserialize)]
struct Assignment {
    assignee: Reference,
}

#[derive(Deserialize)]
struct Reference {
    id: String,
}

#[derive(Deserialize)]
struct OneUser {
    user: User,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    email: Option<String>,
}

#[derive(Deserialize)]
struct OneService {
    service: Service,
}

#[derive(Deserialize)]
struct Service {
    name: String,
    #[serde(default)]
    escalation_policy: Option<Reference>,
}

#[derive(Deserialize)]
struct OnCall {
    user: Reference,
    #[serde(default)]
    escalation_level: u32,
}

pub(super) async fn incident(http: &Http, id: &IncidentId) -> Result<Option<Incident>, Trouble> {
    let Some(OneIncident { incident }) = get(http, &format!("/incidents/{}", id.bare())).await? else {
        return Ok(None);
    };
    let state = match incident.status.as_str() {
        "triggered" | "acknowledged" => IncidentState::Open,
        "resolved" => IncidentState::Closed,
        other => return Err(Trouble::Odd(format!("its incident has the unknown status `{other}`"))),
    };
    let mut assignees = BTreeSet::new();
    if state == IncidentState::Open {
        for Assignment { assignee } in incident.assignments.iter().take(MOST_ASSIGNEES) {
            let user: Option<OneUser> = get(http, &path("/users/", &assignee.id)?).await?;
            assignees.extend(user.and_then(|one| one.user.email));
        }
    }
    Ok(Some(Incident {
        // Its own spelling, so that an incident has one name here.
        id: IncidentId::parse(&format!("PD-{}", incident.id), &[])
            .map_err(|error| Trouble::Odd(error.to_string()))?,
        title: incident.title.unwrap_or_default(),
        state,
        services: incident.service.into_iter().map(|service| service.id).collect(),
        assignees,
        url: incident.html_url,
    }))
}

/// Whether somebody is on call at the first level of the escalation policy of
/// one of these services.
pub(super) async fn on_call(http: &Http, email: &str, services: &BTreeSet<String>) -> Result<bool, Trouble> {
    let same = |user: &User| user.email.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(email));
    let users: Vec<User> = list(http, "/users", "users", &[("query", email)]).await?;
    let Some(user) = users.into_iter().find(same) else { return Ok(false) };
    for service in services {
        let found: Option<OneService> = get(http, &path("/services/", service)?).await?;
        let Some(policy) = found.and_then(|one| one.service.escalation_policy) else { continue };
        let query = [("user_ids[]", user.id.as_str()), ("escalation_policy_ids[]", policy.id.as_str())];
        let duties: Vec<OnCall> = list(http, "/oncalls", "oncalls", &query).await?;
        if duties.iter().any(|duty| duty.user.id == user.id && duty.escalation_level == 1) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) async fn service_name(http: &Http, id: &str) -> Result<Option<String>, Trouble> {
    let found: Option<OneService> = get(http, &path("/services/", id)?).await?;
    Ok(found.map(|one| one.service.name))
}

async fn get<T: DeserializeOwned>(http: &Http, path: &str) -> Result<Option<T>, Trouble> {
    http.get(path, &[], ACCEPT).await
}

/// What the system calls its things is letters and digits; anything else in a
/// path would ask for something else.
fn path(before: &str, id: &str) -> Result<String, Trouble> {
    match id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        true => Ok(format!("{before}{id}")),
        false => Err(Trouble::Odd("it names an id that is none".to_owned())),
    }
}

/// All items of a list, page by page (`limit`, `offset`, `more`).
async fn list<T: DeserializeOwned>(
    http: &Http,
    path: &str,
    key: &str,
    query: &[(&str, &str)],
) -> Result<Vec<T>, Trouble> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        more: bool,
        #[serde(flatten)]
        rest: serde_json::Map<String, serde_json::Value>,
    }
    let (mut items, limit) = (Vec::new(), PAGE.to_string());
    for _ in 0..MOST_PAGES {
        let offset = items.len().to_string();
        let paged = [query, &[("limit", limit.as_str()), ("offset", offset.as_str())]].concat();
        let Some(Page { more, mut rest }) = http.get(path, &paged, ACCEPT).await? else { break };
        let found = rest.remove(key).unwrap_or_default();
        let found: Vec<T> = serde_json::from_value(found)
            .map_err(|error| Trouble::Odd(format!("its list of {key} cannot be read: {error}")))?;
        items.extend(found);
        if !more {
            return Ok(items);
        }
    }
    Ok(items)
}
