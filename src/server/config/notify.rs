//! `[notify.slack]`, `[notify.mail]` and `[notify.pagerduty]`: where people are
//! told of what waits for them and of what should worry them.

use super::budgets::is_safe;
use super::reader::Section;
use super::secret::secret;
use super::sections::length;
use super::{Mail, MailTls, Notify, Outside, PagerDuty, Slack, SlackDecides, Takes};
use crate::core::model::{NoticeKind, Urgency};
use lettre::Address;
use lettre::message::Mailbox;
use std::time::Duration;

const SAFE_URL: &str = "an https URL, or an http one of this machine";
const DAY: Duration = Duration::from_secs(86_400);

pub(super) fn notify(section: Option<Section<'_>>, outside: &Outside<'_>) -> Notify {
    let Some(section) = section else { return Notify::default() };
    let notify = Notify {
        slack: section.section("slack").and_then(|section| slack(section, outside)),
        mail: section.section("mail").and_then(|section| mail(section, outside)),
        pagerduty: section.section("pagerduty").and_then(|section| pagerduty(section, outside)),
    };
    section.finish();
    notify
}

fn slack(section: Section<'_>, outside: &Outside<'_>) -> Option<Slack> {
    let takes = takes(&section, Urgency::Normal);
    let url = url(&section, "https://slack.com/api");
    let token = required_secret(&section, "token", "the bot's token, xoxb-…", outside);
    let channel = section.required("channel", "a channel's id such as C0123456789");
    let urgent_channel = section.text("urgent_channel", "a channel's id").map(|f| f.value.to_owned());
    let signing_secret = secret(&section, "signing_secret", outside);
    let within = length(&section, "signed_in_within", DAY);
    let decide = section.parsed("decide", "link or slack", |text| match text {
        "link" => Some(SlackDecides::Link),
        "slack" => Some(SlackDecides::Slack { signed_in_within: within }),
        _ => None,
    });
    let decide = decide.unwrap_or(SlackDecides::Link);
    if matches!(decide, SlackDecides::Slack { .. }) && signing_secret.is_none() {
        section
            .say("decide = \"slack\" needs signing_secret_file or signing_secret_env: it proves who posts");
    }
    if section.has("signed_in_within") && decide == SlackDecides::Link {
        section.say("signed_in_within is of use only with decide = \"slack\"");
    }
    let ca = section.text("ca", "a PEM file").map(|found| outside.path(found.value));
    section.finish();
    let channel = channel?.value.to_owned();
    Some(Slack { takes, url, token: token?, channel, urgent_channel, signing_secret, decide, ca })
}

fn mail(section: Section<'_>, outside: &Outside<'_>) -> Option<Mail> {
    let takes = takes(&section, Urgency::Normal);
    let host = section.required("host", "the mail server's name").map(|found| found.value.to_owned());
    let tls = section.parsed("tls", "starttls, implicit or off", |text| match text {
        "starttls" => Some(MailTls::StartTls),
        "implicit" => Some(MailTls::Implicit),
        "off" => Some(MailTls::Off),
        _ => None,
    });
    let tls = tls.unwrap_or(MailTls::StartTls);
    let local = |host: &str| matches!(host, "localhost" | "127.0.0.1" | "::1");
    if tls == MailTls::Off && host.as_deref().is_some_and(|host| !local(host)) {
        section
            .say("tls = \"off\" is for a mail server of this machine: what is mailed is not for the network");
    }
    let usual = match tls {
        MailTls::StartTls => 587,
        MailTls::Implicit => 465,
        MailTls::Off => 25,
    };
    let port = section.number("port", u64::from(u16::MAX), usual);
    let user = section.text("user", "a login of the mail server").map(|found| found.value.to_owned());
    let password = secret(&section, "password", outside);
    let login = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => {
            section.say("user and password go together: password_file or password_env");
            None
        }
    };
    let from = section.required_parsed("from", "a sender such as dbaccess <dbaccess@example.com>", |text| {
        text.parse::<Mailbox>().ok()
    });
    let to = section.texts("to", "a list of addresses").unwrap_or_default();
    let to = to
        .iter()
        .filter_map(|found| {
            let address = found.value.parse::<Address>();
            if address.is_err() {
                found.say(format!(
                    "expected an address such as security@example.com, found `{}`",
                    found.value
                ));
            }
            address.ok()
        })
        .collect();
    let ca = section.text("ca", "a PEM file").map(|found| outside.path(found.value));
    section.finish();
    let port = u16::try_from(port).unwrap_or(u16::MAX);
    Some(Mail { takes, host: host?, port, tls, login, from: from?, to, ca })
}

fn pagerduty(section: Section<'_>, outside: &Outside<'_>) -> Option<PagerDuty> {
    let takes = takes(&section, Urgency::High);
    let url = url(&section, "https://events.pagerduty.com");
    let routing_key =
        required_secret(&section, "routing_key", "an integration key of the Events API v2", outside);
    let ca = section.text("ca", "a PEM file").map(|found| outside.path(found.value));
    section.finish();
    Some(PagerDuty { takes, url, routing_key: routing_key?, ca })
}

/// Which notices a channel takes: of these kinds, and at least so urgent.
fn takes(section: &Section<'_>, usual: Urgency) -> Takes {
    let urgency = section.parsed("urgency", "normal or high", |text| match text {
        "normal" => Some(Urgency::Normal),
        "high" => Some(Urgency::High),
        _ => None,
    });
    let kinds = section.texts("kinds", "a list of kinds such as [\"request.waiting\"]").map(|list| {
        let kind = |found: &super::reader::Found<'_, &str>| {
            let kind = NoticeKind::from_name(found.value);
            if kind.is_none() {
                found.say(format!("`{}` is no kind of notice: docs/operating.md lists them", found.value));
            }
            kind
        };
        list.iter().filter_map(kind).collect()
    });
    Takes { kinds, urgency: urgency.unwrap_or(usual) }
}

/// Where the vendor's API is: another place only for a proxy of one's own.
fn url(section: &Section<'_>, usual: &str) -> String {
    let given = section
        .parsed("api_url", SAFE_URL, |text| is_safe(text).then(|| text.trim_end_matches('/').to_owned()));
    given.unwrap_or_else(|| usual.to_owned())
}

fn required_secret(
    section: &Section<'_>,
    name: &str,
    what: &str,
    outside: &Outside<'_>,
) -> Option<crate::core::model::Secret> {
    let given = [format!("{name}_file"), format!("{name}_env"), name.to_owned()];
    if !given.iter().any(|key| section.has(key)) {
        section.say(format!("{name}_file or {name}_env is missing: {what}"));
    }
    secret(section, name, outside)
}
