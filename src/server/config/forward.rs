//! `[forward.NAME]`: where the ledger is sent to, line by line.

use super::budgets::is_safe;
use super::reader::Section;
use super::secret::secret;
use super::{Outside, Webhook};
use crate::core::model::Secret;
use std::path::PathBuf;

/// One destination. Its name is also that of the file with its place.
#[derive(Clone, Debug)]
pub struct Forward {
    pub name: String,
    pub to: ForwardTo,
}

#[derive(Clone, Debug)]
pub enum ForwardTo {
    /// JSON Lines; `-` is standard output.
    File(PathBuf),
    Syslog(SyslogTo),
    Webhook(Webhook),
    Otlp(OtlpTo),
}

/// A receiver of syslog over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogTo {
    pub host: String,
    pub port: u16,
    /// A certificate authority beside the system's.
    pub ca: Option<PathBuf>,
}

/// A collector of OpenTelemetry logs.
#[derive(Clone, Debug)]
pub struct OtlpTo {
    /// As in `https://collector.example.com:4318/v1/logs`.
    pub url: String,
    /// Sent as a bearer token.
    pub token: Option<Secret>,
    /// A certificate authority beside the system's.
    pub ca: Option<PathBuf>,
}

const SAFE_URL: &str = "an https URL, or an http one of this machine";

pub(super) fn forward(section: Section<'_>, outside: &Outside<'_>) -> Vec<Forward> {
    let mut all = Vec::new();
    for (name, entry) in section.sections() {
        if !name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'-' | b'_')) {
            entry.say("its name may have small letters, digits, - and _: it is a file's, too");
        }
        let to = match entry.required("to", TO).map(|found| (found.value, found)) {
            Some(("file", _)) => file(&entry, outside),
            Some(("syslog", _)) => syslog(&entry, outside),
            Some(("webhook", _)) => webhook(&entry, outside),
            Some(("otlp", _)) => otlp(&entry, outside),
            Some((other, found)) => {
                found.say(format!("expected {TO}, found `{other}`"));
                None
            }
            None => None,
        };
        entry.finish();
        all.extend(to.map(|to| Forward { name, to }));
    }
    section.finish();
    all
}

const TO: &str = "file, syslog, webhook or otlp";

fn file(section: &Section<'_>, outside: &Outside<'_>) -> Option<ForwardTo> {
    let found = section.required("path", "a file, or - for standard output")?;
    Some(ForwardTo::File(if found.value == "-" { PathBuf::from("-") } else { outside.path(found.value) }))
}

fn syslog(section: &Section<'_>, outside: &Outside<'_>) -> Option<ForwardTo> {
    let address = section.required_parsed("address", "host:port, as in siem.example.com:6514", |text| {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| Some((host.to_owned(), port.parse().ok()?)))?
    });
    let ca = ca(section, outside);
    let (host, port) = address?;
    Some(ForwardTo::Syslog(SyslogTo { host, port, ca }))
}

fn webhook(section: &Section<'_>, outside: &Outside<'_>) -> Option<ForwardTo> {
    let url = url(section);
    let secret = secret(section, "secret", outside);
    let ca = ca(section, outside);
    Some(ForwardTo::Webhook(Webhook { url: url?, secret, ca }))
}

fn otlp(section: &Section<'_>, outside: &Outside<'_>) -> Option<ForwardTo> {
    let url = url(section);
    let token = secret(section, "token", outside);
    let ca = ca(section, outside);
    Some(ForwardTo::Otlp(OtlpTo { url: url?, token, ca }))
}

fn url(section: &Section<'_>) -> Option<String> {
    section.required_parsed("url", SAFE_URL, |text| is_safe(text).then(|| text.to_owned()))
}

fn ca(section: &Section<'_>, outside: &Outside<'_>) -> Option<PathBuf> {
    section.text("ca", "a PEM file").map(|found| outside.path(found.value))
}
