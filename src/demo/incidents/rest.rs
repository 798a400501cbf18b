//! What PagerDuty's REST API, version 2, answers to what is asked of it: the
//! shapes of its documentation, lists in pages as it gives long ones.

use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Items of a list that a page holds, so that readers have to turn one.
const PAGE: usize = 2;
pub const SERVICE: &str = "PSVC1";
/// Who is called for it, first.
pub const ESCALATION: &str = "PESC1";

#[derive(Clone, Debug)]
pub struct Incident {
    pub title: &'static str,
    pub status: &'static str,
    pub service: &'static str,
    /// Ids of users.
    pub assignees: Vec<&'static str>,
}

impl Incident {
    pub fn of(service: &'static str, assignees: &[&'static str]) -> Self {
        let title = "The server is on fire.";
        Self { title, status: "triggered", service, assignees: assignees.to_vec() }
    }
}

/// What the system knows.
#[derive(Clone, Debug)]
pub struct Known {
    /// Where people look at incidents.
    pub site: String,
    pub incidents: BTreeMap<String, Incident>,
    /// The e-mail addresses of users, by id.
    pub users: BTreeMap<&'static str, &'static str>,
    /// Who is on call: user, escalation policy or schedule, level.
    pub on_call: Vec<(&'static str, &'static str, u32)>,
}

/// The answer to a GET, whoever may ask.
pub fn answer(known: &Known, uri: &Uri) -> Response {
    let path: Vec<&str> = uri.path().split('/').skip(1).collect();
    let query = |name: &str| query(uri, name);
    let user = |id: &str, email: &str| json!({"id": id, "type": "user", "summary": id, "name": id, "email": email, "role": "user"});
    let list = |key: &str, all: &[Value]| {
        let (items, more) = page(all, &query("offset"));
        json!({key: items, "limit": PAGE, "offset": 0, "more": more, "total": null})
    };
    match path.as_slice() {
        ["incidents", id] => found(known.incidents.get(*id).map(|one| incident(known, id, one))),
        ["users", id] => found(known.users.get(*id).map(|email| json!({"user": user(id, email)}))),
        ["users"] => {
            let all: Vec<Value> = known.users.iter().map(|(id, email)| user(id, email)).collect();
            found(Some(list("users", &all)))
        }
        ["services", SERVICE] => found(Some(json!({"service": {
            "id": SERVICE, "type": "service", "name": "Orders API", "status": "active",
            "escalation_policy": {"id": ESCALATION, "type": "escalation_policy_reference"},
        }}))),
        ["oncalls"] => {
            let (user, policy) = (query("user_ids[]"), query("escalation_policy_ids[]"));
            let asked = known.on_call.iter().filter(|(who, of, _)| *who == user && *of == policy);
            let duty = |(who, of, level): &(&str, &str, u32)| {
                json!({"user": {"id": who, "type": "user_reference"}, "escalation_level": level,
                    "escalation_policy": {"id": of}, "schedule": null, "start": null, "end": null})
            };
            found(Some(list("oncalls", &asked.map(duty).collect::<Vec<Value>>())))
        }
        _ => found(None),
    }
}

fn incident(known: &Known, id: &str, incident: &Incident) -> Value {
    let assigned =
        |id: &&str| json!({"at": "2015-11-10T00:31:52Z", "assignee": {"id": id, "type": "user_reference"}});
    // Whoever was assigned is not any more when it is over.
    let open = incident.status != "resolved";
    json!({"incident": {
        "id": id, "type": "incident", "summary": format!("[#1234] {}", incident.title),
        "html_url": format!("{}/{id}", known.site),
        "incident_number": 1234, "title": incident.title,
        // Its clock may be minutes off, or years.
        "created_at": "2099-10-06T21:30:42Z", "status": incident.status,
        "service": {"id": incident.service, "type": "service_reference"},
        "assignments": if open { incident.assignees.iter().map(assigned).collect() } else { Vec::new() },
        "urgency": "high",
    }})
}

pub fn refuse(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({"error": {"message": message, "code": 2000}}))).into_response()
}

pub fn found(value: Option<Value>) -> Response {
    match value {
        Some(value) => axum::Json(value).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// A value of the query, or nothing.
pub fn query(uri: &Uri, name: &str) -> String {
    let pairs = openidconnect::url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.into_owned().find(|(key, _)| key == name).map(|(_, value)| value).unwrap_or_default()
}

/// A page of a list, and whether there are more.
pub fn page(items: &[Value], offset: &str) -> (Vec<Value>, bool) {
    let from = offset.parse().unwrap_or(0);
    let rest = items.get(from..).unwrap_or_default();
    (rest.iter().take(PAGE).cloned().collect(), rest.len() > PAGE)
}
