//! PagerDuty and Opsgenie as their documentation describes them, as far as they
//! are asked: real HTTP servers whose incidents a test changes, and whose moods.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

pub const TOKEN: &str = "y_NbAkKc66ryYTWUXYEu";

/// How a system feels.
#[derive(Clone, Debug, PartialEq)]
pub enum Mood {
    Well,
    /// It answers everything with this.
    Status(u16),
    /// So many answers are 429, each to be tried again after so many seconds.
    Busy(u32, u64),
    /// It takes the question and never answers.
    Silent,
    Huge,
    Garbled,
    /// It sends whoever asks to somebody else, with the token.
    Elsewhere(String),
}

#[derive(Clone)]
pub struct Incident {
    pub status: &'static str,
    pub service: &'static str,
    /// Ids of users.
    pub assignees: Vec<&'static str>,
    /// Opsgenie: alerts that call people, with who has taken each.
    pub alerts: Vec<(&'static str, &'static str)>,
}

impl Incident {
    pub fn of(service: &'static str, assignees: &[&'static str]) -> Self {
        Self { status: "triggered", service, assignees: assignees.to_vec(), alerts: Vec::new() }
    }
}

pub struct World {
    pub mood: Mood,
    pub incidents: BTreeMap<String, Incident>,
    /// The e-mail addresses of users, by id.
    pub users: BTreeMap<&'static str, &'static str>,
    /// Who is on call: user, escalation policy or schedule, level.
    pub on_call: Vec<(&'static str, &'static str, u32)>,
    pub asked: Vec<String>,
}

/// One system.
#[derive(Clone)]
pub struct Vendor {
    pub port: u16,
    world: Arc<Mutex<World>>,
}

impl Vendor {
    pub async fn pagerduty() -> Self {
        Self::start(|world, headers, uri| {
            match headers.get("authorization").and_then(|value| value.to_str().ok()) {
                Some(value) if value == format!("Token token={TOKEN}") => pagerduty(world, uri),
                _ => refuse(StatusCode::UNAUTHORIZED, "Invalid token"),
            }
        })
        .await
    }

    pub async fn opsgenie() -> Self {
        Self::start(|world, headers, uri| {
            match headers.get("authorization").and_then(|value| value.to_str().ok()) {
                Some(value) if value == format!("GenieKey {TOKEN}") => opsgenie(world, uri),
                _ => refuse(StatusCode::UNAUTHORIZED, "Could not authenticate"),
            }
        })
        .await
    }

    async fn start(answer: fn(&World, &HeaderMap, &Uri) -> Response) -> Self {
        let users = BTreeMap::from([
            ("PALICE", "Alice@example.com"),
            ("PBOB", "bob@example.com"),
            ("PERIN", "erin@example.com"),
        ]);
        let world = World {
            mood: Mood::Well,
            incidents: BTreeMap::from([("Q1".to_owned(), Incident::of("PSVC1", &["PALICE"]))]),
            users,
            on_call: Vec::new(),
            asked: Vec::new(),
        };
        let world = Arc::new(Mutex::new(world));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let handle = move |State(world): State<Arc<Mutex<World>>>, request: Request| async move {
            let (mood, said) = {
                let mut world = world.lock().unwrap();
                world.asked.push(request.uri().to_string());
                let mood = world.mood.clone();
                if let Mood::Busy(left, after) = mood {
                    world.mood = if left > 1 { Mood::Busy(left - 1, after) } else { Mood::Well };
                }
                (mood, answer(&world, request.headers(), request.uri()))
            };
            match mood {
                Mood::Well => said,
                Mood::Status(status) => {
                    refuse(StatusCode::from_u16(status).unwrap(), "Internal Server Error")
                }
                Mood::Busy(_, after) => {
                    let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, "Rate Limit Exceeded");
                    response.headers_mut().insert("retry-after", after.to_string().parse().unwrap());
                    response
                }
                Mood::Silent => std::future::pending().await,
                Mood::Huge => Body::from(vec![b' '; 8 << 20]).into_response(),
                Mood::Garbled => "<html>It works!</html>".into_response(),
                Mood::Elsewhere(url) => (StatusCode::FOUND, [("location", url)]).into_response(),
            }
        };
        let router = Router::new().fallback(handle).with_state(Arc::clone(&world));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, world }
    }

    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
    }

    pub fn feels(&self, mood: Mood) {
        self.change(|world| world.mood = mood);
    }

    /// Changes the incident that is there from the beginning.
    pub fn q1(&self, change: impl FnOnce(&mut Incident)) {
        self.change(|world| change(world.incidents.get_mut("Q1").unwrap()));
    }

    pub fn asked(&self) -> Vec<String> {
        self.world.lock().unwrap().asked.clone()
    }
}

/// A section of the server's configuration, and the token's file in `dir`.
pub fn section(dir: &Path, system: &str, port: u16) -> String {
    let (key, file) = (if system == "pagerduty" { "token" } else { "key" }, dir.join(system));
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!(
        "[incidents.{system}]\nurl = \"http://127.0.0.1:{port}\"\n{key}_file = \"{}\"\n\
         [incidents.{system}.services]\norders = \"PSVC1\"\n",
        file.display()
    )
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, axum::Json(json!({"error": {"message": message, "code": 2000}}))).into_response()
}

fn found(value: Option<Value>) -> Response {
    match value {
        Some(value) => axum::Json(value).into_response(),
        None => refuse(StatusCode::NOT_FOUND, "Not Found"),
    }
}

/// The parts of a path, and a query's value.
fn parts(uri: &Uri) -> (Vec<&str>, impl Fn(&str) -> String) {
    let query = uri.query().unwrap_or_default().to_owned();
    let value = move |name: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let decoded = |text: &str| text.replace("%40", "@").replace("%5B%5D", "[]");
        pairs
            .filter(|(key, _)| decoded(key) == name)
            .map(|(_, value)| decoded(value))
            .next()
            .unwrap_or_default()
    };
    (uri.path().split('/').skip(1).collect(), value)
}

/// One page of a list, of two items at most, as a system with long lists gives.
fn page(items: &[Value], offset: &str) -> (Vec<Value>, bool) {
    let from = offset.parse::<usize>().unwrap_or(0).min(items.len());
    let to = (from + 2).min(items.len());
    (items[from..to].to_vec(), to < items.len())
}

fn pagerduty(world: &World, uri: &Uri) -> Response {
    let (path, query) = parts(uri);
    let user = |id: &str, email: &str| json!({"id": id, "type": "user", "summary": id, "name": id, "email": email, "role": "user"});
    let list = |key: &str, all: &[Value]| {
        let (items, more) = page(all, &query("offset"));
        json!({key: items, "limit": 2, "offset": 0, "more": more, "total": null})
    };
    match path.as_slice() {
        ["incidents", id] => found(world.incidents.get(*id).map(|incident| {
            let assigned = |id: &&str| json!({"at": "2015-11-10T00:31:52Z", "assignee": {"id": id, "type": "user_reference"}});
            let open = incident.status != "resolved";
            json!({"incident": {
                "id": id, "type": "incident", "summary": "[#1234] The server is on fire.",
                "html_url": format!("https://acme.pagerduty.com/incidents/{id}"),
                "incident_number": 1234, "title": "The server is on fire.",
                // Their clock is minutes off, and so what.
                "created_at": "2099-10-06T21:30:42Z", "status": incident.status,
                "service": {"id": incident.service, "type": "service_reference"},
                "assignments": if open { incident.assignees.iter().map(assigned).collect() } else { Vec::new() },
                "urgency": "high",
            }})
        })),
        ["users", id] => found(world.users.get(*id).map(|email| json!({"user": user(id, email)}))),
        ["users"] => {
            let mut all: Vec<Value> =
                (0..5).map(|n| user(&format!("PX{n}"), &format!("x{n}-{}", query("query")))).collect();
            all.extend(world.users.iter().map(|(id, email)| user(id, email)));
            found(Some(list("users", &all)))
        }
        ["services", "PSVC1"] => found(Some(json!({"service": {
            "id": "PSVC1", "type": "service", "name": "Orders API", "status": "active",
            "escalation_policy": {"id": "PESC1", "type": "escalation_policy_reference"},
        }}))),
        ["oncalls"] => {
            let (user, policy) = (query("user_ids[]"), query("escalation_policy_ids[]"));
            let duty = |(who, of, level): &(&str, &str, u32)| {
                json!({"user": {"id": who, "type": "user_reference"}, "escalation_level": level,
                    "escalation_policy": {"id": of}, "schedule": null, "start": null, "end": null})
            };
            let all: Vec<Value> = world
                .on_call
                .iter()
                .filter(|(who, of, _)| *who == user && *of == policy)
                .map(duty)
                .collect();
            found(Some(list("oncalls", &all)))
        }
        _ => found(None),
    }
}

fn opsgenie(world: &World, uri: &Uri) -> Response {
    let (path, query) = parts(uri);
    let data = |value: Value| json!({"data": value, "took": 0.1, "requestId": "9ae63dd7-ed00-4c81-86f0-c4ffd33142c9"});
    let responders = |incident: &Incident| {
        let user = |id: &&str| json!({"type": "user", "id": id});
        let team = json!({"type": "team", "id": "TEAM1"});
        incident.assignees.iter().map(user).chain([team]).collect::<Vec<Value>>()
    };
    match path.as_slice() {
        ["v1", "incidents", id] => found(world.incidents.get(*id).filter(|one| !one.service.is_empty()).map(|incident| {
            data(json!({
                "id": id, "tinyId": "7", "message": "The server is on fire.", "tags": [], "priority": "P1",
                "status": incident.status, "createdAt": "2099-10-06T21:30:42Z", "ownerTeam": "TEAM1",
                "impactedServices": [incident.service, "PSVC9"], "responders": responders(incident),
                "links": {"web": format!("https://acme.app.opsgenie.com/incident/detail/{id}"), "api": "…"},
            }))
        })),
        ["v1", "incidents", id, "responder-alert-ids"] => found(world.incidents.get(*id).map(|incident| {
            let all: Vec<Value> = incident.alerts.iter().map(|(id, _)| json!(id)).collect();
            let (items, more) = page(&all, &query("offset"));
            let mut answer = data(json!(items));
            answer["paging"] = if more { json!({"next": "https://api.opsgenie.com/…", "first": "…"}) } else { json!({}) };
            answer
        })),
        ["v2", "alerts", id] => {
            let alert = |status: &str, owner: &str, responders: Vec<Value>| {
                data(json!({
                    "id": id, "tinyId": "1791", "alias": "event_573", "message": "The server is on fire.",
                    "status": status, "acknowledged": !owner.is_empty(), "owner": owner, "responders": responders,
                    "createdAt": "2099-10-06T21:30:42Z",
                }))
            };
            let of_incident = world.incidents.values().flat_map(|one| &one.alerts).find(|(name, _)| name == id);
            let itself = world.incidents.get(*id).filter(|one| one.service.is_empty());
            found(match (of_incident, itself) {
                (Some((_, owner)), _) => Some(alert("open", owner, Vec::new())),
                (None, Some(one)) => Some(alert(one.status, "alice@example.com", responders(one))),
                (None, None) => None,
            })
        }
        ["v2", "users", id] => {
            found(world.users.get(*id).map(|email| data(json!({"id": id, "username": email, "fullName": id}))))
        }
        ["v1", "services", "PSVC1"] => found(Some(data(json!({"id": "PSVC1", "name": "Orders API", "teamId": "TEAM1"})))),
        ["v2", "teams", "TEAM1"] => found(Some(data(json!({"id": "TEAM1", "name": "Orders"})))),
        ["v2", "schedules", schedule, "on-calls"] => {
            let people: Vec<&str> = world
                .on_call
                .iter()
                .filter(|(_, of, _)| of == schedule)
                .filter_map(|(who, ..)| world.users.get(who).copied())
                .collect();
            found(Some(data(json!({"_parent": {"id": schedule, "enabled": true}, "onCallRecipients": people}))))
        }
        _ => found(None),
    }
}
