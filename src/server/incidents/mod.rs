//! Incident systems: PagerDuty and Opsgenie, asked for one incident, and for
//! who is on call. They say what there is; whether that stands for access is
//! `core::break_glass`'s. Called by `access`.
//!
//! Nothing here may hold up a person for long, so every answer has its time,
//! its size and its number of pages. A system that says to slow down is not
//! asked again before the time it names.

mod http;
mod opsgenie;
mod pagerduty;

use crate::core::break_glass::Answer;
use crate::core::model::{IncidentId, IncidentSystem};
use crate::server::config;
use crate::tls::TlsError;
use http::{Http, Trouble};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long the questions about one incident may take together.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a request waits to learn who is on call; nobody is, when it takes longer.
const ON_CALL_PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer about that is good.
const ON_CALL_FRESH: Duration = Duration::from_secs(60);
/// Answers that are kept.
const ON_CALL_KEPT: usize = 1000;

/// The systems that are configured.
pub struct Incidents {
    pagerduty: Option<System>,
    opsgenie: Option<System>,
    on_call: Mutex<HashMap<(String, String), (Instant, bool)>>,
}

/// One system: how it is asked, and what our services are called there.
struct System {
    http: Http,
    services: BTreeMap<String, BTreeSet<String>>,
    schedules: BTreeMap<String, BTreeSet<String>>,
}

impl System {
    fn new(config: &config::IncidentApi, scheme: &str) -> Result<Self, TlsError> {
        let config::IncidentApi { services, schedules, .. } = config.clone();
        Ok(Self { http: Http::new(config, scheme)?, services, schedules })
    }
}

/// How a system does, for the people who run dbaccess.
pub struct Health {
    pub system: IncidentSystem,
    pub url: String,
    /// What our services are there, or what is wrong.
    pub answer: Result<String, String>,
}

impl Incidents {
    /// Asks nothing yet: a system that is down is no error here.
    pub fn new(config: &config::Incidents) -> Result<Self, TlsError> {
        let system = |api: &Option<config::IncidentApi>, scheme| {
            api.as_ref().map(|api| System::new(api, scheme)).transpose()
        };
        Ok(Self {
            pagerduty: system(&config.pagerduty, pagerduty::SCHEME)?,
            opsgenie: system(&config.opsgenie, opsgenie::SCHEME)?,
            on_call: Mutex::default(),
        })
    }

    pub fn systems(&self) -> Vec<IncidentSystem> {
        let pagerduty = self.pagerduty.iter().map(|_| IncidentSystem::PagerDuty);
        pagerduty.chain(self.opsgenie.iter().map(|_| IncidentSystem::Opsgenie)).collect()
    }

    fn system(&self, system: IncidentSystem) -> Option<&System> {
        match system {
            IncidentSystem::PagerDuty => self.pagerduty.as_ref(),
            IncidentSystem::Opsgenie => self.opsgenie.as_ref(),
        }
    }

    /// What a service of ours is called in a system; `None` where nobody has said it.
    pub fn services(&self, system: IncidentSystem, service: &str) -> Option<&BTreeSet<String>> {
        self.system(system)?.services.get(service)
    }

    /// Asks for one incident. Cancel-safe: it only reads.
    pub async fn ask(&self, id: &IncidentId) -> Answer {
        let Some(system) = self.system(id.system) else {
            return Answer::Unknown(format!("{} is not configured", id.system.name()));
        };
        let asked = async {
            match id.system {
                IncidentSystem::PagerDuty => pagerduty::incident(&system.http, id).await,
                IncidentSystem::Opsgenie => opsgenie::incident(&system.http, id).await,
            }
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(Some(incident))) => Answer::Found(incident),
            Ok(Ok(None)) => Answer::Missing,
            Ok(Err(trouble @ (Trouble::Slow(_) | Trouble::Status(400..=499)))) => {
                Answer::Refused(trouble.to_string())
            }
            Ok(Err(trouble)) => unknown(id.system, &trouble.to_string()),
            Err(_) => unknown(id.system, &format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    /// Whether somebody is on call for a service of ours. A system that does not
    /// answer says no.
    pub async fn is_on_call(&self, email: &str, service: &str) -> bool {
        let key = (email.to_ascii_lowercase(), service.to_owned());
        if let Some((at, answer)) = self.known().get(&key)
            && at.elapsed() < ON_CALL_FRESH
        {
            return *answer;
        }
        let asked = tokio::time::timeout(ON_CALL_PATIENCE, self.ask_on_call(email, service));
        let answer = asked.await.unwrap_or_else(|_| {
            tracing::warn!(service, "nobody is on call: no incident system answered in time");
            false
        });
        let mut known = self.known();
        if known.len() >= ON_CALL_KEPT {
            known.clear();
        }
        known.insert(key, (Instant::now(), answer));
        answer
    }

    async fn ask_on_call(&self, email: &str, service: &str) -> bool {
        if let Some(system) = &self.pagerduty
            && let Some(ids) = system.services.get(service)
            && said(pagerduty::on_call(&system.http, email, ids).await, IncidentSystem::PagerDuty)
        {
            return true;
        }
        match &self.opsgenie {
            Some(system) => match system.schedules.get(service) {
                Some(ids) => {
                    said(opsgenie::on_call(&system.http, email, ids).await, IncidentSystem::Opsgenie)
                }
                None => false,
            },
            None => false,
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<(String, String), (Instant, bool)>> {
        self.on_call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks every system for every service that is mapped: whether the token is
    /// good, and the ids are right.
    pub async fn health(&self) -> Vec<Health> {
        let mut all = Vec::new();
        for kind in self.systems() {
            let Some(system) = self.system(kind) else { continue };
            let asked = tokio::time::timeout(PATIENCE, names(kind, system));
            let answer = match asked.await {
                Ok(Ok(names)) => Ok(names),
                Ok(Err(trouble)) => Err(trouble.to_string()),
                Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            all.push(Health { system: kind, url: system.http.url().to_owned(), answer });
        }
        all
    }
}

async fn names(kind: IncidentSystem, system: &System) -> Result<String, Trouble> {
    let mut found = Vec::new();
    for (service, ids) in &system.services {
        for id in ids {
            let name = match kind {
                IncidentSystem::PagerDuty => pagerduty::service_name(&system.http, id).await?,
                IncidentSystem::Opsgenie => opsgenie::service_name(&system.http, id).await?,
            };
            let name = name.ok_or_else(|| Trouble::Odd(format!("service {service}: it has no {id}")))?;
            found.push(format!("{service} is {name}"));
        }
    }
    match found.is_empty() {
        true => {
            Err(Trouble::Odd("no service is mapped to one of its own: no incident fits any target".into()))
        }
        false => Ok(found.join(", ")),
    }
}

fn unknown(system: IncidentSystem, why: &str) -> Answer {
    tracing::warn!(system = system.name(), why, "an incident system could not be asked");
    Answer::Unknown(why.to_owned())
}

fn said(answer: Result<bool, Trouble>, system: IncidentSystem) -> bool {
    answer.unwrap_or_else(|trouble| {
        tracing::warn!(system = system.name(), %trouble, "who is on call could not be asked");
        false
    })
}
