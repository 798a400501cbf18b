//! An incident system for DEVELOPMENT, in the place of PagerDuty: its REST API
//! as far as the server asks it ([`rest`], which the tests use, too), its Events
//! API, which takes the pages, and a page of its own where people without
//! PagerDuty resolve the incident, open it again, or let the system fail. In plain
//! HTTP, on loopback only. It knows one incident, of one service.

pub mod rest;

use super::identity::{escape, page};
use crate::core::model::Secret;
use anyhow::{Result, bail};
use axum::extract::{Form, Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rest::{ESCALATION, Incident, Known, SERVICE};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const INCIDENT: &str = "Q7";

/// What can become of the incident, and of the system.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    IsResolved,
    IsTriggered,
    /// It answers every question with an error.
    Fails,
    Recovers,
}

/// Somebody is called, by the Events API.
#[derive(Clone, Debug)]
pub struct Page {
    key: String,
    summary: String,
    open: bool,
}

impl Page {
    pub fn is(&self, summary: &str, open: bool) -> bool {
        self.summary == summary && self.open == open
    }
}

/// A running system; it stops when this is dropped.
#[derive(Debug)]
pub struct DevIncidents {
    url: String,
    state: Shared,
    task: JoinHandle<()>,
}

type Shared = Arc<Mutex<Inside>>;

#[derive(Debug)]
struct Inside {
    token: Secret,
    known: Known,
    fails: bool,
    pages: Vec<Page>,
}

impl DevIncidents {
    /// Serves on `listener`, with an open incident of `on_call`'s, to whoever has the token.
    pub fn start(listener: TcpListener, token: Secret, on_call: &'static str) -> Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            bail!("the development incident system lets anybody resolve incidents: it stays on loopback");
        }
        let url = format!("http://{address}");
        let incident =
            Incident { title: "Orders hang in packed and never ship", ..Incident::of(SERVICE, &["PONCALL"]) };
        let known = Known {
            site: format!("{url}/site"),
            incidents: BTreeMap::from([(INCIDENT.to_owned(), incident)]),
            users: BTreeMap::from([("PONCALL", on_call)]),
            on_call: vec![("PONCALL", ESCALATION, 1)],
        };
        let state = Arc::new(Mutex::new(Inside { token, known, fails: false, pages: Vec::new() }));
        let router = Router::new()
            .route("/site/{id}", get(look).post(press))
            .route("/v2/enqueue", post(enqueue))
            .fallback(get(ask))
            .with_state(Arc::clone(&state));
        let serve = async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(%error, "the development incident system cannot serve");
            }
        };
        Ok(Self { url, state, task: tokio::spawn(serve) })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where people look at the incident.
    pub fn site(&self) -> String {
        format!("{}/site/{INCIDENT}", self.url)
    }

    pub fn happens(&self, happening: Happening) {
        lock(&self.state).happens(happening);
    }

    pub fn pages(&self) -> Vec<Page> {
        lock(&self.state).pages.clone()
    }
}

impl Drop for DevIncidents {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Inside {
    fn happens(&mut self, happening: Happening) {
        let mut becomes = |status| {
            for incident in self.known.incidents.values_mut() {
                incident.status = status;
            }
        };
        match happening {
            Happening::IsResolved => becomes("resolved"),
            Happening::IsTriggered => becomes("triggered"),
            Happening::Fails => self.fails = true,
            Happening::Recovers => self.fails = false,
        }
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, Inside> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The REST API.
async fn ask(State(state): State<Shared>, headers: HeaderMap, uri: Uri) -> Response {
    let inside = lock(&state);
    let expected = format!("Token token={}", inside.token.expose());
    if inside.fails {
        return rest::refuse(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    }
    match headers.get(AUTHORIZATION) {
        Some(given) if given.as_bytes() == expected.as_bytes() => rest::answer(&inside.known, &uri),
        _ => rest::refuse(StatusCode::UNAUTHORIZED, "Invalid token"),
    }
}

/// Of an event what is shown of it.
#[derive(Deserialize)]
struct Event {
    event_action: String,
    dedup_key: String,
    payload: Option<Payload>,
}

#[derive(Deserialize)]
struct Payload {
    summary: String,
}

/// The Events API v2, which calls people.
async fn enqueue(State(state): State<Shared>, Json(event): Json<Event>) -> Response {
    let mut inside = lock(&state);
    let known = inside.pages.iter_mut().rev().find(|page| page.key == event.dedup_key && page.open);
    match (known, event.payload) {
        (Some(page), _) => page.open = event.event_action != "resolve",
        (None, Some(Payload { summary })) => {
            inside.pages.push(Page { key: event.dedup_key.clone(), summary, open: true });
        }
        // It resolves what is not there.
        (None, None) => {}
    }
    let body = json!({"status": "success", "message": "Event processed", "dedup_key": event.dedup_key});
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// What people see of the incident, and the pages.
async fn look(State(state): State<Shared>, Path(id): Path<String>) -> Response {
    let inside = lock(&state);
    let Some(incident) = inside.known.incidents.get(&id) else {
        return page(StatusCode::NOT_FOUND, "No such incident", "");
    };
    let answers = if inside.fails { "answers with errors" } else { "answers" };
    let mut body = format!(
        "<p>PD-{id} is <strong>{}</strong>; the incident system {answers}.</p><form method=\"post\">",
        incident.status
    );
    // Writing to a String cannot fail.
    for (value, name) in [
        ("is-resolved", "Resolve it"),
        ("is-triggered", "Open it again"),
        ("fails", "Let the system fail"),
        ("recovers", "Let it recover"),
    ] {
        let _ = write!(body, "<button name=\"it\" value=\"{value}\">{name}</button>");
    }
    body.push_str("</form><h2>Pages</h2><ul>");
    for page in inside.pages.iter().rev() {
        let state = if page.open { "open" } else { "resolved" };
        let _ = write!(body, "<li>{state}: {}</li>", escape(&page.summary));
    }
    body.push_str("</ul>");
    page(StatusCode::OK, incident.title, &body)
}

#[derive(Deserialize)]
struct Pressed {
    it: Happening,
}

async fn press(State(state): State<Shared>, uri: Uri, Form(pressed): Form<Pressed>) -> Redirect {
    lock(&state).happens(pressed.it);
    Redirect::to(uri.path())
}
