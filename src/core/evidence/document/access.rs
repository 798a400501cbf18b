//! Accesses one by one: those of a sample, and those with an exception. The
//! data have all of them.

use super::{Block, Cell, Table, Tone, grouped, length, time};
use crate::core::evidence::access::{Access, Session};
use crate::core::evidence::campaign::ReviewedAccess;
use crate::core::evidence::controls::Control;
use crate::core::evidence::report::{Finding, Report};
use std::collections::{BTreeMap, BTreeSet};

/// The report's accesses, sessions and access reviews by their ids.
pub(super) struct Named<'r> {
    accesses: BTreeMap<&'r str, &'r Access>,
    sessions: BTreeMap<&'r str, &'r Session>,
    campaigns: BTreeMap<&'r str, &'r ReviewedAccess>,
}

impl<'r> Named<'r> {
    pub fn of(report: &'r Report) -> Self {
        Self {
            accesses: report.accesses.iter().map(|access| (access.grant.as_str(), access)).collect(),
            sessions: report.sessions.iter().map(|session| (session.session.as_str(), session)).collect(),
            campaigns: report.campaigns.iter().map(|told| (told.campaign.as_str(), told)).collect(),
        }
    }

    /// Where an id is told of, if it is.
    pub fn anchor(&self, id: &str) -> Option<String> {
        let campaign = self.campaign(id).map(|told| told.campaign.clone());
        campaign.or_else(|| self.access(id).map(|access| access.grant.clone()))
    }

    pub fn campaign(&self, id: &str) -> Option<&'r ReviewedAccess> {
        self.campaigns.get(id).copied()
    }

    /// The access that an id means: a grant's, or a session's grant.
    fn access(&self, id: &str) -> Option<&'r Access> {
        let grant = self.sessions.get(id).map_or(id, |session| session.grant.as_str());
        self.accesses.get(grant).copied()
    }
}

/// A control's sample, with what that control looks at.
pub(super) fn sample(named: &Named<'_>, finding: &Finding) -> Table {
    let bad: BTreeSet<&str> = finding.exceptions.iter().map(|one| one.about.as_str()).collect();
    let verdict = |id: &str| {
        if bad.contains(id) { Cell::new("exception", Tone::Bad) } else { Cell::new("none", Tone::Good) }
    };
    let sessions = || finding.sample.iter().filter_map(|id| named.sessions.get(id.as_str()).copied());
    let accesses = || finding.sample.iter().filter_map(|id| named.accesses.get(id.as_str()).copied());
    let grant = |id: &str, grant: &str| Cell::link(id, grant);
    match finding.control {
        Control::Approved => {
            let mut table = Table::new(&[
                ("grant", 1.8, false),
                ("who and where", 2.6, false),
                ("tier", 0.8, false),
                ("approved by", 2.4, false),
                ("granted", 1.8, false),
                ("exception", 1.1, false),
            ]);
            for access in accesses() {
                let tier = access.request.as_ref().map_or("", |request| request.tier);
                let approvers: Vec<String> = access
                    .approvals
                    .iter()
                    .filter(|one| !one.void)
                    .map(|one| format!("{} as {}", one.by.email, one.role))
                    .collect();
                let approvers = match (tier, approvers.is_empty()) {
                    ("auto", true) => Cell::soft("policy alone"),
                    ("break-glass", true) => Cell::soft("an incident, reviewed after"),
                    (_, true) => Cell::new("nobody", Tone::Bad),
                    _ => Cell::plain(&approvers.join(", ")),
                };
                table.row([
                    grant(&access.grant, &access.grant),
                    Cell::plain(&format!("{}, {} ({})", access.person.email, access.target, access.path)),
                    Cell::plain(tier),
                    approvers,
                    Cell::soft(&time(access.granted.at)),
                    verdict(&access.grant),
                ]);
            }
            table
        }
        Control::Limited => {
            let mut table = Table::new(&[
                ("session", 1.8, false),
                ("who and where", 2.5, false),
                ("opened", 1.8, false),
                ("ended", 2.0, false),
                ("gone after", 1.1, true),
                ("exception", 1.1, false),
            ]);
            for session in sessions() {
                table.row([
                    grant(&session.session, &session.grant),
                    Cell::plain(&format!("{}, {}", session.person.email, session.target)),
                    Cell::soft(&time(session.opening.at)),
                    ended(session),
                    gone(session),
                    verdict(&session.session),
                ]);
            }
            table
        }
        Control::Logged => {
            let mut table = Table::new(&[
                ("session", 1.8, false),
                ("person", 2.4, false),
                ("statements", 1.2, true),
                ("outcomes", 1.1, true),
                ("refused", 1.0, true),
                ("rows", 1.0, true),
                ("exports", 1.0, true),
                ("exception", 1.2, false),
            ]);
            for session in sessions() {
                table.row([
                    grant(&session.session, &session.grant),
                    Cell::plain(&session.person.email),
                    Cell::number(session.statements),
                    Cell::number(session.outcomes),
                    Cell::number(session.refused),
                    Cell::number(session.rows),
                    Cell::number(session.exports),
                    verdict(&session.session),
                ]);
            }
            table
        }
        Control::Reviewed => {
            let mut table = Table::new(&[
                ("grant", 1.8, false),
                ("who and where", 2.5, false),
                ("incident", 1.2, false),
                ("review", 3.2, false),
                ("exception", 1.1, false),
            ]);
            for access in accesses() {
                table.row([
                    grant(&access.grant, &access.grant),
                    Cell::plain(&format!("{}, {}", access.person.email, access.target)),
                    Cell::plain(access.incident.as_deref().unwrap_or("")),
                    Cell::plain(&review(access)),
                    verdict(&access.grant),
                ]);
            }
            table
        }
        Control::Periodic => super::campaign::sample(named, finding),
        Control::Recorded => {
            let mut table = Table::new(&[
                ("session", 1.8, false),
                ("who and where", 2.5, false),
                ("path", 1.3, false),
                ("recording", 3.0, false),
                ("exception", 1.1, false),
            ]);
            for session in sessions() {
                table.row([
                    grant(&session.session, &session.grant),
                    Cell::plain(&format!("{}, {}", session.person.email, session.target)),
                    Cell::plain(session.path.unwrap_or("")),
                    recording(session),
                    verdict(&session.session),
                ]);
            }
            table
        }
    }
}

/// Each access of a sample or with an exception, whole.
pub(super) fn blocks(report: &Report, named: &Named<'_>, blocks: &mut Vec<Block>) {
    let ids = report.controls.iter().flat_map(|finding| {
        finding
            .sample
            .iter()
            .map(String::as_str)
            .chain(finding.exceptions.iter().map(|one| one.about.as_str()))
    });
    let shown: BTreeSet<&str> =
        ids.filter_map(|id| named.access(id)).map(|access| access.grant.as_str()).collect();
    if shown.is_empty() {
        return;
    }
    blocks.push(Block::heading(1, "Accesses", Some("accesses")));
    let all = report.accesses.len();
    let order = "in the order of their grants";
    blocks.push(Block::Text(if shown.len() == all {
        format!("All of them, {order}.")
    } else {
        format!(
            "{} of {}, {order}: those of the samples, and every one with an exception. The bundle's data have all.",
            grouped(shown.len() as u64),
            grouped(all as u64)
        )
    }));
    let mut chosen: Vec<&Access> = shown.iter().filter_map(|id| named.accesses.get(id).copied()).collect();
    chosen.sort_by_key(|access| access.granted.seq);
    for access in chosen {
        whole(report, named, access, blocks);
    }
}

fn whole(report: &Report, named: &Named<'_>, access: &Access, blocks: &mut Vec<Block>) {
    let title = format!("{}: {} in {}, {}", access.grant, access.person.email, access.target, access.path);
    blocks.push(Block::heading(3, &title, Some(&access.grant)));
    let mut facts: Vec<(String, Cell)> = Vec::new();
    let mut fact = |name: &str, cell: Cell| facts.push((name.to_owned(), cell));
    fact("scope", Cell::plain(&access.scope));
    match &access.request {
        Some(request) => {
            fact("reason", Cell::plain(&request.reason));
            fact(
                "asked",
                Cell::plain(&format!(
                    "{}, line {}, {}",
                    time(request.asked.at),
                    request.asked.seq,
                    request.id
                )),
            );
            let demanded = if request.demanded.is_empty() {
                "no approval".to_owned()
            } else {
                request.demanded.join(" and ")
            };
            let rules = request.rules.join(", ");
            let rules = if rules.is_empty() { String::new() } else { format!(" by {rules}") };
            fact("policy", Cell::plain(&format!("tier {}{rules}: {demanded} demanded", request.tier)));
        }
        None => fact("asked", Cell::new("no record", Tone::Bad)),
    }
    for one in &access.approvals {
        let whose =
            one.on_behalf_of.as_ref().map(|whose| format!(" for {}", whose.email)).unwrap_or_default();
        let comment = one.comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
        let void = if one.void { " (void: amended since)" } else { "" };
        let (by, role, at, seq) = (&one.by.email, &one.role, time(one.mark.at), one.mark.seq);
        fact("approved", Cell::plain(&format!("{by} as {role}{whose}, {at}, line {seq}{void}{comment}")));
    }
    if let Some(incident) = &access.incident {
        fact("incident", Cell::plain(incident));
    }
    let renewed =
        if access.renewals > 0 { format!(", renewed {} times", access.renewals) } else { String::new() };
    fact(
        "window",
        Cell::plain(&format!(
            "{} to {}{renewed}, line {}",
            time(access.from),
            time(access.until),
            access.granted.seq
        )),
    );
    if let Some(revoked) = &access.revoked {
        let reason = revoked.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        fact(
            "revoked",
            Cell::plain(&format!(
                "{}, {}, line {}{reason}",
                revoked.by.email,
                time(revoked.mark.at),
                revoked.mark.seq
            )),
        );
    }
    if access.review.is_some() || access.path == "break-glass" {
        fact("review", Cell::plain(&review(access)));
    }
    let own = |id: &str| id == access.grant || access.sessions.iter().any(|session| session == id);
    for one in report.controls.iter().flat_map(|finding| &finding.exceptions).filter(|one| own(&one.about)) {
        fact(
            "exception",
            Cell::new(&format!("{} {} ({}): {}", one.control, one.rule, one.about, one.what), Tone::Bad),
        );
    }
    blocks.push(Block::Facts(facts));
    let sessions: Vec<&Session> =
        access.sessions.iter().filter_map(|id| named.sessions.get(id.as_str()).copied()).collect();
    if sessions.is_empty() {
        blocks.push(Block::Text("It was not used: no session was opened.".to_owned()));
        return;
    }
    let mut table = Table::new(&[
        ("session and role", 3.0, false),
        ("opened", 1.5, false),
        ("ended", 2.6, false),
        ("role gone", 1.5, false),
        ("after", 1.1, true),
        ("statements", 1.4, true),
        ("rows", 0.9, true),
        ("recording", 1.6, false),
    ]);
    for session in sessions {
        let dead = session
            .dead
            .map_or_else(|| Cell::new("not proven", Tone::Bad), |dead| Cell::plain(&time(dead.at)));
        table.row([
            Cell::plain(&format!("{}\n{}", session.session, session.role)),
            Cell::plain(&time(session.opening.at)),
            ended(session),
            dead,
            gone(session),
            Cell::number(session.statements),
            Cell::number(session.rows),
            recording(session),
        ]);
    }
    blocks.push(Block::Table(table));
}

fn ended(session: &Session) -> Cell {
    match &session.ended {
        Some(ended) => {
            let by = ended.by.as_ref().map(|by| format!(" by {}", by.email)).unwrap_or_default();
            Cell::plain(&format!("{}, {}{by}", time(ended.mark.at), ended.reason.replace('_', " ")))
        }
        None => Cell::soft("still open"),
    }
}

/// How long after its end the role was proven gone.
fn gone(session: &Session) -> Cell {
    let late = crate::core::evidence::TOLERANCE.unsigned_abs().as_millis();
    match session.latency_ms {
        Some(ms) if u128::from(ms) > late => Cell::new(&length(ms), Tone::Bad),
        Some(ms) => Cell::new(&length(ms), Tone::Good),
        None => Cell::soft(if session.ended.is_some() { "not proven" } else { "" }),
    }
}

fn recording(session: &Session) -> Cell {
    match &session.recording {
        Some(recording) => {
            let sealed = if recording.sealed { ", sealed" } else { "" };
            let end = if recording.ended.is_some() { "" } else { ", no end yet" };
            let lost = if recording.lost > 0 { format!(", {} lost", recording.lost) } else { String::new() };
            let tone = if recording.lost > 0 { Tone::Bad } else { Tone::Plain };
            Cell::new(&format!("{} chunks{sealed}{end}{lost}", recording.chunks), tone)
        }
        None if session.recorded => Cell::new("missing", Tone::Bad),
        None => Cell::soft("not demanded"),
    }
}

fn review(access: &Access) -> String {
    let Some(review) = &access.review else { return "none yet".to_owned() };
    match review.findings.last() {
        Some(found) => format!(
            "{} by {}, {}, due {}: {}",
            found.verdict,
            found.by.email,
            time(found.mark.at),
            time(review.due),
            found.finding
        ),
        None => format!("not written, due {}", time(review.due)),
    }
}
