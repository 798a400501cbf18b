//! The report as tables for spreadsheets. Text that people wrote cannot pass
//! for a formula there; `report.json` has it as it is.

use super::access::{Access, Session};
use super::campaign::{LineDecided, ReviewedAccess};
use super::history::Mark;
use super::report::Report;
use crate::core::csv::{csv_line, no_formula};
use jiff::Timestamp;

/// One file of the data.
pub struct DataFile {
    pub name: &'static str,
    pub text: String,
}

/// All of them, in the order of their names.
pub fn data(report: &Report) -> Vec<DataFile> {
    let file = |name, text| DataFile { name, text };
    vec![
        file("data/accesses.csv", accesses(report)),
        file("data/approvals.csv", approvals(report)),
        file("data/campaigns.csv", campaigns(report)),
        file("data/controls.csv", controls(report)),
        file("data/decisions.csv", decisions(report)),
        file("data/exceptions.csv", exceptions(report)),
        file("data/report.json", report.to_json()),
        file("data/sessions.csv", sessions(report)),
    ]
}

/// A cell: nothing where there is nothing to say.
type Cell = Option<String>;

fn table<T, const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = T>,
    cells: impl Fn(T) -> [Cell; N],
) -> String {
    let mut text = csv_line(header.iter().map(|name| Some(*name)));
    for row in rows {
        text.push_str(&csv_line(cells(row).iter().map(Option::as_deref)));
    }
    text
}

fn controls(report: &Report) -> String {
    let header = ["control", "title", "references", "population", "count", "sample", "exceptions"];
    table(header, &report.controls, |finding| {
        [
            own(finding.control.id()),
            own(finding.title),
            own(&finding.references),
            own(finding.population),
            number(finding.count),
            number(finding.sample.len() as u64),
            number(finding.exceptions.len() as u64),
        ]
    })
}

fn exceptions(report: &Report) -> String {
    let header = ["control", "rule", "about", "seq", "at", "what"];
    let all = report.controls.iter().flat_map(|finding| &finding.exceptions);
    table(header, all, |one| {
        [
            own(one.control),
            own(one.rule),
            text(&one.about),
            number(one.mark.seq),
            time(one.mark.at),
            text(&one.what),
        ]
    })
}

fn accesses(report: &Report) -> String {
    let header = [
        "grant",
        "person",
        "subject",
        "target",
        "path",
        "scope",
        "request",
        "asked_at",
        "reason",
        "tier",
        "rules",
        "policy",
        "demanded",
        "approved_by",
        "granted_seq",
        "granted_at",
        "from",
        "until",
        "renewals",
        "revoked_at",
        "revoked_by",
        "incident",
        "review",
        "verdict",
        "sessions",
    ];
    table(header, &report.accesses, |access: &Access| {
        let request = access.request.as_ref();
        let of =
            |part: fn(&super::access::Request) -> String| request.map(|request| no_formula(&part(request)));
        let approved = access.approvals.iter().filter(|one| !one.void).map(|one| one.by.email.clone());
        let revoked = access.revoked.as_ref();
        let review = access.review.as_ref();
        [
            own(&access.grant),
            text(&access.person.email),
            text(&access.person.subject),
            text(&access.target),
            own(access.path),
            text(&access.scope),
            of(|request| request.id.clone()),
            request.and_then(|request| time(request.asked.at)),
            of(|request| request.reason.clone()),
            of(|request| request.tier.to_owned()),
            of(|request| request.rules.join(" ")),
            of(|request| request.policy.clone()),
            of(|request| request.demanded.join("; ")),
            text(&approved.collect::<Vec<_>>().join(" ")),
            number(access.granted.seq),
            time(access.granted.at),
            time(access.from),
            time(access.until),
            number(access.renewals.into()),
            revoked.and_then(|revoked| time(revoked.mark.at)),
            revoked.and_then(|revoked| text(&revoked.by.email)),
            access.incident.as_deref().and_then(text),
            review.and_then(|review| own(&review.id)),
            review.and_then(|review| review.findings.last()).and_then(|finding| own(finding.verdict)),
            own(&access.sessions.join(" ")),
        ]
    })
}

fn approvals(report: &Report) -> String {
    let header =
        ["grant", "request", "seq", "at", "by", "subject", "on_behalf_of", "role", "via", "void", "comment"];
    let all = report.accesses.iter().flat_map(|access| access.approvals.iter().map(move |one| (access, one)));
    table(header, all, |(access, one)| {
        [
            own(&access.grant),
            access.request.as_ref().and_then(|request| own(&request.id)),
            number(one.mark.seq),
            time(one.mark.at),
            text(&one.by.email),
            text(&one.by.subject),
            one.on_behalf_of.as_ref().and_then(|whose| text(&whose.email)),
            text(&one.role),
            one.via.and_then(own),
            own(if one.void { "yes" } else { "no" }),
            one.comment.as_deref().and_then(text),
        ]
    })
}

fn sessions(report: &Report) -> String {
    let header = [
        "session",
        "grant",
        "person",
        "subject",
        "target",
        "path",
        "role",
        "opening_seq",
        "opening_at",
        "opened_at",
        "ended_at",
        "end",
        "ended_by",
        "dead_seq",
        "dead_at",
        "latency_ms",
        "statements",
        "outcomes",
        "refused",
        "failed",
        "rows",
        "bytes",
        "exports",
        "recorded",
        "chunks",
        "recording_ended_at",
    ];
    let at = |mark: Option<Mark>| mark.and_then(|mark| time(mark.at));
    table(header, &report.sessions, |session: &Session| {
        let ended = session.ended.as_ref();
        let recording = session.recording.as_ref();
        [
            own(&session.session),
            own(&session.grant),
            text(&session.person.email),
            text(&session.person.subject),
            text(&session.target),
            session.path.and_then(own),
            text(&session.role),
            number(session.opening.seq),
            time(session.opening.at),
            at(session.opened),
            at(ended.map(|ended| ended.mark)),
            ended.and_then(|ended| own(ended.reason)),
            ended.and_then(|ended| ended.by.as_ref()).and_then(|by| text(&by.email)),
            session.dead.and_then(|dead| number(dead.seq)),
            at(session.dead),
            session.latency_ms.and_then(number),
            number(session.statements),
            number(session.outcomes),
            number(session.refused),
            number(session.failed),
            number(session.rows),
            number(session.bytes),
            number(session.exports),
            own(if session.recorded { "yes" } else { "no" }),
            recording.and_then(|recording| number(recording.chunks.into())),
            at(recording.and_then(|recording| recording.ended)),
        ]
    })
}

fn campaigns(report: &Report) -> String {
    let header = [
        "campaign",
        "from",
        "to",
        "targets",
        "started_seq",
        "started_at",
        "started_by",
        "due_at",
        "people",
        "lines",
        "sha256",
        "decided",
        "certified",
        "narrowed",
        "revoked",
        "signed_seq",
        "signed_at",
        "signed_by",
        "signed_sha256",
    ];
    table(header, &report.campaigns, |told: &ReviewedAccess| {
        let signed = told.signed.as_ref();
        [
            own(&told.campaign),
            time(told.from),
            time(told.to),
            text(&told.targets.join(" ")),
            number(told.started.seq),
            time(told.started.at),
            text(told.starter()),
            time(told.due),
            number(told.people),
            number(told.lines),
            own(&told.sha256),
            number(told.decided),
            number(told.certified),
            number(told.narrowed),
            number(told.revoked),
            signed.and_then(|signed| number(signed.mark.seq)),
            signed.and_then(|signed| time(signed.mark.at)),
            signed.and_then(|signed| text(&signed.by.email)),
            signed.and_then(|signed| own(&signed.sha256)),
        ]
    })
}

fn decisions(report: &Report) -> String {
    let header = [
        "campaign",
        "line",
        "seq",
        "at",
        "person",
        "subject",
        "target",
        "verdict",
        "keeps",
        "by",
        "by_subject",
        "role",
        "counts",
        "comment",
    ];
    let all = report.campaigns.iter().flat_map(|told| told.decisions.iter().map(move |one| (told, one)));
    table(header, all, |(told, one): (&ReviewedAccess, &LineDecided)| {
        [
            own(&told.campaign),
            number(one.line.into()),
            number(one.mark.seq),
            time(one.mark.at),
            text(&one.person.email),
            text(&one.person.subject),
            text(&one.target),
            own(one.verdict),
            own(&one.keeps.join(" ")),
            text(&one.by.email),
            text(&one.by.subject),
            text(&one.role),
            own(if one.counts { "yes" } else { "no" }),
            text(&one.comment),
        ]
    })
}

/// Words of ours.
fn own(text: &str) -> Cell {
    Some(text.to_owned())
}

/// Words from elsewhere.
fn text(text: &str) -> Cell {
    Some(no_formula(text))
}

fn number(number: u64) -> Cell {
    Some(number.to_string())
}

fn time(at: Timestamp) -> Cell {
    Some(at.to_string())
}
