//! The sections of a configuration, one function each. A function reads all
//! its keys before it gives up, so that all problems are reported together.

use super::MetricsEndpoint;
use super::approvals::approvals;
use super::break_glass::{auditor_key, break_glass, redacts};
use super::budgets::{alerts, budgets};
use super::forward::forward;
use super::incidents::incidents;
use super::notify::notify;
use super::reader::{Found, Section};
use super::retention::retention;
use super::reviews::reviews;
use super::secret::secret;
use super::target::targets;
use super::{
    BrowserClient, Config, Directory, IdentityProvider, Limits, Outside, PolicyFiles, Server, Unusable,
};
use crate::core::model::{Role, format_duration, parse_duration};
use crate::core::policy::{BusinessHours, Policy};
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const LENGTH: &str = "a length of time such as 90s, 45m or 1h30m";
const ADDRESS: &str = "an address with a port such as 0.0.0.0:7443 or [::1]:7443";

pub(super) fn config(root: Section<'_>, outside: &Outside<'_>) -> Option<Config> {
    let server = root.required_section("server", "a table [server]").map(|s| server(s, outside));
    let identity = root.required_section("identity", "a table [identity]").map(|s| identity(s, outside));
    let directory = directory(&root);
    let hours = root.required_section("business_hours", "a table [business_hours]").map(business_hours);
    let rules = match root.section("policy") {
        Some(section) => policy(section, &directory, outside),
        None => {
            let files = PolicyFiles::default();
            let policy = loaded(&root, &files, &[], &directory);
            policy.map(|policy| Rules { policy, files, request_expiry: DAY, default_window: HOUR })
        }
    };
    let known = directory.teams.keys().map(String::as_str).collect();
    let targets = root
        .required_section("targets", "at least one table [targets.NAME]")
        .map(|section| targets(section, &known, outside));
    let limits = limits(root.section("limits"));
    let budgets = budgets(root.section("budgets"));
    let alerts = alerts(root.section("alerts"), outside);
    let notify = notify(root.section("notify"), outside);
    let forward = root.section("forward").map(|section| forward(section, outside)).unwrap_or_default();
    let approvals = approvals(root.section("approvals"), &directory);
    let break_glass = break_glass(root.section("break_glass"));
    let reviews = reviews(root.section("reviews"));
    let incidents = incidents(root.section("incidents"), outside);
    let auditor_key = root.section("recording").and_then(auditor_key);
    let retention = retention(root.section("retention"));
    let redacts = redacts(root.section("audit"), auditor_key.is_some());
    let metrics = root.section("metrics").and_then(|section| {
        let listen = address(&section, "listen", true);
        let refresh = length(&section, "refresh", FIVE_MINUTES);
        let scan = length(&section, "scan", DAY);
        section.finish();
        Some(MetricsEndpoint { listen: listen?, refresh, scan })
    });
    root.finish();
    let rules = rules?;
    Some(Config {
        server: server??,
        identity: identity??,
        directory,
        business_hours: hours??,
        policy: Arc::new(rules.policy),
        policy_files: rules.files,
        request_expiry: rules.request_expiry,
        default_window: rules.default_window,
        targets: targets?,
        limits,
        budgets,
        alerts,
        notify,
        forward,
        approvals,
        break_glass,
        reviews,
        incidents,
        auditor_key,
        retention,
        redacts,
        metrics,
    })
}

fn server(section: Section<'_>, outside: &Outside<'_>) -> Option<Server> {
    let listen = address(&section, "listen", true);
    let native_listen = address(&section, "native_listen", false);
    let public_url = https(&section, "public_url");
    let path = |name, expected| section.required(name, expected).map(|found| outside.path(found.value));
    let data_dir = path("data_dir", "a directory that is the server's own");
    let tls_certificate = path("tls_certificate", "a PEM file with the certificate and its chain");
    let tls_key = path("tls_key", "a PEM file with the private key");
    section.finish();
    Some(Server {
        listen: listen?,
        native_listen,
        public_url: public_url?,
        data_dir: data_dir?,
        tls_certificate: tls_certificate?,
        tls_key: tls_key?,
    })
}

fn address(section: &Section<'_>, name: &str, required: bool) -> Option<SocketAddr> {
    let parse = |text: &str| text.parse().ok();
    if required {
        section.required_parsed(name, ADDRESS, parse)
    } else {
        section.parsed(name, ADDRESS, parse)
    }
}

/// An `https` URL without a slash at its end.
fn https(section: &Section<'_>, name: &str) -> Option<String> {
    let expected = "an https URL such as https://dbaccess.example.com";
    section.required_parsed(name, expected, |text| {
        let url: hyper::Uri = text.parse().ok()?;
        let fine = url.scheme_str() == Some("https") && url.host().is_some_and(|host| !host.is_empty());
        (fine && url.query().is_none()).then(|| text.trim_end_matches('/').to_owned())
    })
}

pub(super) fn length(section: &Section<'_>, name: &str, default: Duration) -> Duration {
    section.parsed(name, LENGTH, |text| parse_duration(text).ok()).unwrap_or(default)
}

fn identity(section: Section<'_>, outside: &Outside<'_>) -> Option<IdentityProvider> {
    // The issuer must be kept letter by letter: tokens name it so (OpenID Connect Core 1.0, 3.1.3.7).
    let issuer =
        https(&section, "issuer").and_then(|_| section.text("issuer", "")).map(|f| f.value.to_owned());
    let client_id =
        section.required("client_id", "the client's id at the provider").map(|f| f.value.to_owned());
    let client_secret = secret(&section, "client_secret", outside);
    let browser = browser(&section, outside);
    let scopes = section.texts("scopes", "a list of scopes").map(|list| {
        let scopes: Vec<String> = list.iter().map(|found| found.value.to_owned()).collect();
        if !scopes.iter().any(|scope| scope == "openid") {
            section.say("scopes lacks openid: without it there is no ID token");
        }
        scopes
    });
    let groups_claim = section.text("groups_claim", "the name of a claim").map(|f| f.value.to_owned());
    let ca = section.text("ca", "a PEM file").map(|found| outside.path(found.value));
    let leeway = length(&section, "leeway", Duration::from_secs(60));
    let token_lifetime = length(&section, "token_lifetime", HOUR);
    section.finish();
    let usual = ["openid", "email", "profile", "groups", "offline_access"];
    Some(IdentityProvider {
        issuer: issuer?,
        client_id: client_id?,
        client_secret,
        browser,
        scopes: scopes.unwrap_or_else(|| usual.map(str::to_owned).to_vec()),
        groups_claim: groups_claim.unwrap_or_else(|| "groups".to_owned()),
        ca,
        leeway,
        token_lifetime,
    })
}

/// Signing in at the page that links lead to: with the same client unless another is named.
fn browser(section: &Section<'_>, outside: &Outside<'_>) -> Option<BrowserClient> {
    let wanted = section.boolean("web_sign_in");
    let client_id =
        section.text("web_client_id", "a client's id at the provider").map(|f| f.value.to_owned());
    let client_secret = secret(section, "web_client_secret", outside);
    if client_id.is_none() && client_secret.is_some() {
        section.say("web_client_secret is of use only with a web_client_id");
    }
    let own = client_id.map(|id| (id, client_secret));
    if own.is_some() && !wanted {
        section.say("web_client_id is of use only with web_sign_in = true");
    }
    wanted.then_some(BrowserClient { own })
}

/// `[teams.NAME]` and `[roles.NAME]`.
fn directory(root: &Section<'_>) -> Directory {
    let teams = root.section("teams").map(grouped).unwrap_or_default();
    let mut roles = BTreeMap::new();
    if let Some(section) = root.section("roles") {
        if section.names().iter().any(|name| name == "peer") {
            section.say("peer is not a role to give: policy says who is a peer of whom");
        }
        roles = grouped(section).into_iter().map(|(name, groups)| (Role(name), groups)).collect();
    }
    Directory { teams, roles }
}

fn grouped(section: Section<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for (name, entry) in section.sections() {
        let groups = entry.required_texts("groups", "a list of the identity provider's groups");
        // Known even when its groups are wrong, so that one mistake is told once.
        found.insert(name, groups.iter().map(|group| group.value.to_owned()).collect());
        entry.finish();
    }
    found
}

fn business_hours(section: Section<'_>) -> Option<BusinessHours> {
    let zone = section.required_parsed("timezone", "a time zone such as Europe/Berlin or UTC", |text| {
        TimeZone::get(text).ok()
    });
    let weekdays =
        vec![Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];
    let expected = "a list of days such as [\"mon\", \"tue\"]";
    let days = section.texts("days", expected).map_or(weekdays, |list| {
        let day = |found: &Found<'_, &str>| {
            let day = weekday(found.value);
            if day.is_none() {
                found.say(format!("expected {expected}, found `{}`", found.value));
            }
            day
        };
        list.iter().filter_map(day).collect()
    });
    let clock = "a time of day such as 09:00";
    let from = section.required_parsed("from", clock, time);
    let to = section.required_parsed("to", clock, time);
    section.finish();
    Some(BusinessHours { zone: zone?, days, from: from?, to: to? })
}

fn weekday(text: &str) -> Option<Weekday> {
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let text = text.to_lowercase();
    let place = days.iter().position(|day| text == *day || (text.len() == 3 && day.starts_with(&text)))?;
    Weekday::from_monday_zero_offset(i8::try_from(place).ok()?).ok()
}

/// `24:00` is the midnight that ends the day.
fn time(text: &str) -> Option<Time> {
    let text = if text == "24:00" { "00:00" } else { text };
    Time::strptime("%H:%M", text).ok()
}

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

struct Rules {
    policy: Policy,
    files: PolicyFiles,
    request_expiry: Duration,
    default_window: Duration,
}

fn policy(section: Section<'_>, directory: &Directory, outside: &Outside<'_>) -> Option<Rules> {
    let mut named = Vec::new();
    let mut list = |name: &str| -> Option<Vec<PathBuf>> {
        let paths = section.texts(name, "a list of Cedar files")?.into_iter().map(|found| {
            let path = outside.path(found.value);
            named.push((path.clone(), found));
            path
        });
        Some(paths.collect())
    };
    let files = PolicyFiles { extra: list("extra").unwrap_or_default(), files: list("files") };
    let request_expiry = length(&section, "request_expiry", DAY);
    let default_window = length(&section, "default_window", HOUR);
    let policy = loaded(&section, &files, &named, directory);
    section.finish();
    Some(Rules { policy: policy?, files, request_expiry, default_window })
}

/// What the files are now; what is wrong with them is said where they are named.
fn loaded(
    section: &Section<'_>,
    files: &PolicyFiles,
    named: &[(PathBuf, Found<'_, &str>)],
    directory: &Directory,
) -> Option<Policy> {
    let problems = match files.load(directory) {
        Ok(policy) => return Some(policy),
        Err(problems) => problems,
    };
    for problem in problems {
        match &problem {
            Unusable::Unreadable { path, .. } => {
                for (_, found) in named.iter().filter(|(known, _)| known == path) {
                    found.say(problem.to_string());
                }
            }
            Unusable::NobodyApproves { .. } => section.reader.say(0, "roles", problem.to_string()),
            Unusable::Wrong(_) | Unusable::Schema(_) => section.say(problem.to_string()),
        }
    }
    None
}

fn limits(section: Option<Section<'_>>) -> Limits {
    let number = |name: &str, most: u64, default: u64| {
        let n = section.as_ref().map_or(default, |section| section.number(name, most, default));
        usize::try_from(n).unwrap_or(usize::MAX)
    };
    let time = |name: &str, most: Duration, default: Duration| {
        let fits = |length: &Duration| *length <= most;
        let expected = format!("a length of time such as 30s, at most {}", format_duration(most));
        let section = section.as_ref();
        let given = section.and_then(|section| {
            section.parsed(name, &expected, |text| parse_duration(text).ok().filter(fits))
        });
        given.unwrap_or(default)
    };
    let limits = Limits {
        statement_timeout: time("statement_timeout", HOUR, Duration::from_secs(30)),
        idle_in_transaction: time("idle_in_transaction", HOUR, Duration::from_secs(60)),
        statement_bytes: number("statement_bytes", 1 << 30, 16 << 20),
        sessions_per_person: number("sessions_per_person", 1000, 10),
        connections_per_session: number("connections_per_session", 10_000, 100),
        waiting_requests_per_person: number("waiting_requests_per_person", 1000, 20),
    };
    if let Some(section) = section {
        section.finish();
    }
    limits
}
