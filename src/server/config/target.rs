//! `[targets.NAME]`: what decisions need to know of a database, and how to reach it.

use super::reader::{Section, nearest};
use super::secret::secret;
use super::{Address, ConfiguredTarget, Outside, Upstream, UpstreamTls, classified};
use crate::core::model::{Environment, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub(super) fn targets(
    section: Section<'_>,
    teams: &BTreeSet<&str>,
    outside: &Outside<'_>,
) -> BTreeMap<String, ConfiguredTarget> {
    let sections = section.sections();
    if sections.is_empty() {
        section.say("expected at least one table [targets.NAME]");
    }
    let read = |(name, section)| Some((String::clone(&name), target(name, section, teams, outside)?));
    sections.into_iter().filter_map(read).collect()
}

fn target(
    name: String,
    section: Section<'_>,
    teams: &BTreeSet<&str>,
    outside: &Outside<'_>,
) -> Option<ConfiguredTarget> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 63 || !name.chars().all(plain) || name.starts_with('-') {
        section.say("expected a name of at most 63 letters, digits, dashes, dots and underscores");
    }
    let environment =
        section.required_parsed("environment", "production, staging or development", |text| match text {
            "production" => Some(Environment::Production),
            "staging" => Some(Environment::Staging),
            "development" => Some(Environment::Development),
            _ => None,
        });
    let service = section.text("service", "the name of a service").map(|found| found.value.to_owned());
    let owners = section.texts("owners", "a list of teams").unwrap_or_default();
    for owner in owners.iter().filter(|owner| !teams.contains(owner.value)) {
        let near = nearest(owner.value, teams.iter().copied());
        let hint = near.map(|near| format!(": did you mean {near}?")).unwrap_or_default();
        owner.say(format!("there is no table [teams.{}]{hint}", owner.value));
    }
    let owners = owners.iter().map(|owner| owner.value.to_owned()).collect();
    let classified = section.section("classified").map(classified::rules).unwrap_or_default();
    let functions = functions(&section);
    let service_roles = section.texts("service_roles", "a list of roles").unwrap_or_default();
    let service_roles = service_roles.iter().map(|found| found.value.to_owned()).collect();
    let upstream = upstream(&section, outside);
    section.finish();
    let target = Target { name, environment: environment?, service, owners, classified };
    Some(ConfiguredTarget { target, upstream: upstream?, functions, service_roles })
}

/// `functions = ["schema.name", "schema.*"]`, the names as the database has them.
fn functions(section: &Section<'_>) -> Vec<String> {
    let listed = section.texts("functions", "a list of functions").unwrap_or_default();
    for function in &listed {
        let parts: Vec<&str> = function.value.split('.').collect();
        if parts.len() != 2 || parts.iter().any(|part| part.is_empty() || part.contains('(')) {
            function.say(format!(
                "expected \"schema.name\", or \"schema.*\" for all of a schema, without arguments; found `{}`",
                function.value
            ));
        }
    }
    listed.iter().map(|function| function.value.to_owned()).collect()
}

fn upstream(section: &Section<'_>, outside: &Outside<'_>) -> Option<Upstream> {
    let required = |name, expected| section.required(name, expected).map(|found| found.value.to_owned());
    let host = required("host", "a host name or address");
    let database = required("database", "the database's name");
    let user = required("user", "the login that dbaccess uses");
    let port = u16::try_from(section.number("port", 65_535, 5432)).unwrap_or(5432);
    let password = secret(section, "password", outside);
    let object_owner = section.text("object_owner", "the name of a role").map(|found| found.value.to_owned());
    let ddl_owners = section.texts("ddl_owners", "a list of roles").unwrap_or_default();
    let ddl_owners = ddl_owners.iter().map(|found| found.value.to_owned()).collect();
    let primary = primary(section, host.as_deref(), port);
    let hosts: Vec<&str> =
        host.iter().chain(primary.as_ref().map(|primary| &primary.host)).map(String::as_str).collect();
    let tls = tls(section, &hosts, outside);
    Some(Upstream {
        host: host?,
        port,
        database: database?,
        user: user?,
        password,
        tls: tls?,
        object_owner,
        ddl_owners,
        primary,
    })
}

/// `primary_host`, `primary_port`: what makes the target a standby.
fn primary(section: &Section<'_>, host: Option<&str>, port: u16) -> Option<Address> {
    let found = section.text("primary_host", "the host name or address of the standby's primary");
    let Some(found) = found else {
        section.refuse("primary_port", "there is no primary_host that it could belong to");
        return None;
    };
    let primary_port = u16::try_from(section.number("primary_port", 65_535, 5432)).unwrap_or(5432);
    if host == Some(found.value) && port == primary_port {
        found.say("expected the server that this standby follows, found the target itself");
    }
    Some(Address { host: found.value.to_owned(), port: primary_port })
}

fn tls(section: &Section<'_>, hosts: &[&str], outside: &Outside<'_>) -> Option<UpstreamTls> {
    let allow_plaintext = section.boolean("allow_plaintext");
    let ca = section.text("ca", "a PEM file").map(|found| (outside.path(found.value), found));
    let Some(found) = section.text("tls", "\"verify\" or \"off\"") else {
        return Some(UpstreamTls::Verify { ca: ca.map(|(path, _)| path) });
    };
    match found.value {
        "verify" => Some(UpstreamTls::Verify { ca: ca.map(|(path, _)| path) }),
        "off" if ca.is_some() => {
            found.say("expected \"verify\": there is a ca, which off would not use");
            None
        }
        "off" if allow_plaintext || hosts.iter().all(|host| is_local(host)) => Some(UpstreamTls::Off),
        "off" => {
            found.say(
                "passwords and rows would cross the network in plain text: expected \"verify\", or \
                 allow_plaintext = true where the network itself is encrypted",
            );
            None
        }
        other => {
            found.say(format!("expected \"verify\" or \"off\", found `{other}`"));
            None
        }
    }
}

/// This machine: a loopback address or a Unix socket's directory.
fn is_local(host: &str) -> bool {
    host == "localhost" || host.starts_with('/') || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
