//! PagerDuty and Opsgenie as their documentation describes them, as far as they
//! are asked: real HTTP servers whose incidents a test changes, and whose moods.
//! PagerDuty's answers are those of the demo.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use dbaccess::demo::incidents::rest::{self, Known, SERVICE, found, page, query, refuse};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

pub use dbaccess::demo::incidents::rest::Incident;

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

pub struct World {
    pub mood: Mood,
    pub known: Known,
    /// Opsgenie: alerts that call people about its incidents, with who has taken each.
    pub alerts: Vec<(&'static str, &'static str)>,
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
                Some(value) if value == format!("Token token={TOKEN}") => rest::answer(&world.known, uri),
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
        let known = Known {
            site: "https://acme.pagerduty.com/incidents".to_owned(),
            incidents: BTreeMap::from([("Q1".to_owned(), Incident::of(SERVICE, &["PALICE"]))]),
            users: BTreeMap::from([
                ("PALICE", "Alice@example.com"),
                ("PBOB", "bob@example.com"),
                ("PERIN", "erin@example.com"),
                // Others whom a search for one of them finds, too.
                ("PX0", "not-alice@example.com"),
                ("PX1", "alice@example.community"),
                ("PX2", "bob@example.community"),
                ("PX3", "not-bob@example.com"),
                ("PX4", "not-erin@example.com"),
            ]),
            on_call: Vec::new(),
        };
        let world = World { mood: Mood::Well, known, alerts: Vec::new(), asked: Vec::new() };
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
        self.change(|world| change(world.known.incidents.get_mut("Q1").unwrap()));
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
         [incidents.{system}.services]\norders = \"{SERVICE}\"\n",
        file.display()
    )
}

fn opsgenie(world: &World, uri: &Uri) -> Response {
    let path: Vec<&str> = uri.path().split('/').skip(1).collect();
    let known = &world.known;
    let data = |value: Value| json!({"data": value, "took": 0.1, "requestId": "9ae63dd7-ed00-4c81-86f0-c4ffd33142c9"});
    let responders = |incident: &Incident| {
        let user = |id: &&str| json!({"type": "user", "id": id});
        let team = json!({"type": "team", "id": "TEAM1"});
        incident.assignees.iter().map(user).chain([team]).collect::<Vec<Value>>()
    };
    match path.as_slice() {
        ["v1", "incidents", id] => found(known.incidents.get(*id).filter(|one| !one.service.is_empty()).map(|incident| {
            data(json!({
                "id": id, "tinyId": "7", "message": "The server is on fire.", "tags": [], "priority": "P1",
                "status": incident.status, "createdAt": "2099-10-06T21:30:42Z", "ownerTeam": "TEAM1",
                "impactedServices": [incident.service, "PSVC9"], "responders": responders(incident),
                "links": {"web": format!("https://acme.app.opsgenie.com/incident/detail/{id}"), "api": "…"},
            }))
        })),
        ["v1", "incidents", id, "responder-alert-ids"] => found(known.incidents.get(*id).map(|_| {
            let all: Vec<Value> = world.alerts.iter().map(|(id, _)| json!(id)).collect();
            let (items, more) = page(&all, &query(uri, "offset"));
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
            let of_incident = world.alerts.iter().find(|(name, _)| name == id);
            let itself = known.incidents.get(*id).filter(|one| one.service.is_empty());
            found(match (of_incident, itself) {
                (Some((_, owner)), _) => Some(alert("open", owner, Vec::new())),
                (None, Some(one)) => Some(alert(one.status, "alice@example.com", responders(one))),
                (None, None) => None,
            })
        }
        ["v2", "users", id] => {
            found(known.users.get(*id).map(|email| data(json!({"id": id, "username": email, "fullName": id}))))
        }
        ["v1", "services", "PSVC1"] => found(Some(data(json!({"id": "PSVC1", "name": "Orders API", "teamId": "TEAM1"})))),
        ["v2", "teams", "TEAM1"] => found(Some(data(json!({"id": "TEAM1", "name": "Orders"})))),
        ["v2", "schedules", schedule, "on-calls"] => {
            let people: Vec<&str> = known
                .on_call
                .iter()
                .filter(|(_, of, _)| of == schedule)
                .filter_map(|(who, ..)| known.users.get(who).copied())
                .collect();
            found(Some(data(json!({"_parent": {"id": schedule, "enabled": true}, "onCallRecipients": people}))))
        }
        _ => found(None),
    }
}
