//! `[incidents]`: the systems that say whether there is an incident, and whose (R8.1).

use super::Outside;
use super::budgets::is_safe;
use super::reader::Section;
use super::secret::secret;
use crate::core::model::Secret;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// The incident systems that are asked.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    pub pagerduty: Option<IncidentApi>,
    pub opsgenie: Option<IncidentApi>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct IncidentApi {
    /// Without a slash at the end.
    pub url: String,
    pub token: Secret,
    /// A certificate authority beside the system's.
    pub ca: Option<PathBuf>,
    /// What a target's service is called there: ids, by our own name of it.
    pub services: BTreeMap<String, BTreeSet<String>>,
    /// Opsgenie's schedules that say who is on call for a service.
    pub schedules: BTreeMap<String, BTreeSet<String>>,
}

const PAGERDUTY: &str = "https://api.pagerduty.com";
const OPSGENIE: &str = "https://api.opsgenie.com";
const OPSGENIE_EU: &str = "https://api.eu.opsgenie.com";

pub(super) fn incidents(section: Option<Section<'_>>, outside: &Outside<'_>) -> Incidents {
    let Some(section) = section else { return Incidents::default() };
    let pagerduty = section.section("pagerduty").and_then(|section| {
        section.refuse("schedules", "PagerDuty's services name their escalation policy themselves");
        api(section, "token", PAGERDUTY, outside)
    });
    let opsgenie = section.section("opsgenie").and_then(|section| {
        let region = section.parsed("region", "\"us\" or \"eu\"", |text| match text {
            "us" => Some(OPSGENIE),
            "eu" => Some(OPSGENIE_EU),
            _ => None,
        });
        api(section, "key", region.unwrap_or(OPSGENIE), outside)
    });
    section.finish();
    Incidents { pagerduty, opsgenie }
}

fn api(section: Section<'_>, key: &str, vendors: &str, outside: &Outside<'_>) -> Option<IncidentApi> {
    let expected = "an https URL, or an http one of this machine";
    let url = section.parsed("url", expected, |text| is_safe(text).then(|| text.to_owned()));
    let given = section.has(&format!("{key}_file")) || section.has(&format!("{key}_env"));
    let token = secret(&section, key, outside);
    if !given {
        section.say(format!("expected {key}_file or {key}_env: without it nothing can be asked"));
    }
    let ca = section.text("ca", "a PEM file").map(|found| outside.path(found.value));
    let services = names(section.section("services"));
    let schedules = names(section.section("schedules"));
    section.finish();
    let url = url.unwrap_or_else(|| vendors.to_owned()).trim_end_matches('/').to_owned();
    Some(IncidentApi { url, token: token?, ca, services, schedules })
}

/// `orders = "ID"`, or a list of ids.
fn names(section: Option<Section<'_>>) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    let Some(section) = section else { return found };
    for name in section.names() {
        let ids: Vec<String> = match section.holds_list(&name) {
            true => {
                section.required_texts(&name, "a list of ids").iter().map(|id| id.value.to_owned()).collect()
            }
            false => section
                .text(&name, "an id, or a list of ids")
                .map(|id| id.value.to_owned())
                .into_iter()
                .collect(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if ids.iter().any(|id| id.is_empty() || !id.chars().all(plain)) {
            section.say(format!("{name}: an id has letters, digits and dashes: see the end of its URL"));
        }
        found.insert(name, ids.into_iter().collect());
    }
    section.finish();
    found
}
