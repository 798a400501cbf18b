//! A request as a person reads it.

use super::output::{clean, field, list, relative};
use super::script::in_pieces;
use crate::core::model::{
    IncidentRef, Limits, Migration, Narrowing, Path, RequestState, Scope, Standing, Tier, either,
    format_duration, needed,
};
use crate::proto::{BreakGlassView, History, RequestView};
use jiff::Timestamp;

/// The lines of one request: who, what, why, what policy said, what is missing.
/// They fit `width` columns, where it is given. Text from elsewhere is made harmless.
pub fn describe(view: &RequestView, now: Timestamp, width: Option<u16>) -> String {
    let request = &view.request;
    let granted = if request.state == RequestState::Granted { "granted, " } else { "" };
    let mut lines = format!("{}  {granted}{}\n", request.id, standing(view, now));
    let mut line = |name: &str, text: String| lines.push_str(&field(name, &clean(&text), LABEL, width));
    let teams = list(view.teams.iter().map(String::as_str));
    let teams = if teams.is_empty() { String::new() } else { format!(" ({teams})") };
    line("who", format!("{}{teams}", request.person.email));
    line("target", request.target.clone());
    line("scope", request.scope.to_string());
    if let Some(risk) = &view.risk {
        line("risk", risk.to_string());
    }
    if !view.sensitive.is_empty() {
        line("raw", view.sensitive.join("\n"));
    }
    if !view.masked.is_empty() {
        line("masked", shortened(&view.masked));
    }
    if let Some(script) = &request.migration {
        let Migration { name, sha256, revision, .. } = script;
        line("script", format!("{name}, revision {revision}: {}", in_pieces(script, 0)));
        line("sha256", sha256.clone());
    }
    if let Some(incident) = &request.incident {
        line("incident", incident_words(incident));
    }
    line("reason", request.reason.clone());
    line("window", format_duration(request.window));
    line("asked", relative(request.created_at, now));
    let decision = &request.decision;
    let rules: Vec<String> =
        decision.rules.iter().map(|rule| format!("{} ({})", rule.title, rule.id)).collect();
    line("tier", tier_words(decision.tier).to_owned());
    if !rules.is_empty() {
        line("rule", rules.join("; "));
    }
    line("why", decision.why.clone());
    if !decision.limits.is_none() {
        line("limits", limits(decision.limits));
    }
    for approval in &request.approvals {
        let whose = approval.on_behalf_of.as_ref().map(|whose| format!(" for {}", whose.email));
        let (by, role, whose) = (&approval.by.email, &approval.role, whose.unwrap_or_default());
        let mut text = format!("{by} as {role}{whose}, {}", relative(approval.at, now));
        if let Some(schemas) = &approval.narrowing.schemas {
            let schemas: Vec<&str> = schemas.iter().map(String::as_str).collect();
            text.push_str(&format!(", narrowed to schema {}", schemas.join(", ")));
        }
        if let Some(tables) = &approval.narrowing.tables {
            let tables: Vec<String> = tables.iter().map(ToString::to_string).collect();
            text.push_str(&format!(", narrowed to {}", tables.join(", ")));
        }
        if let Some(window) = approval.narrowing.window {
            text.push_str(&format!(", narrowed to {}", format_duration(window)));
        }
        if approval.narrowing.masked {
            text.push_str(", every mask kept on");
        }
        if let Some(comment) = &approval.comment {
            text.push_str(&format!(": {comment}"));
        }
        line("approved", text);
    }
    if request.state == RequestState::Waiting {
        for (_, slot) in request.open_slots() {
            line("needs", slot.to_string());
        }
        line("lapses", relative(request.expires_at, now));
    }
    if let Some(closed) = &request.closed {
        let whose = closed.on_behalf_of.as_ref().map(|whose| format!(" for {}", whose.email));
        let by = match (&closed.by, request.state) {
            (Some(by), _) => by.email.as_str(),
            (None, RequestState::Expired) => "time",
            (None, _) => "policy",
        };
        let reason = closed.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        line("closed", format!("by {by}{}, {}{reason}", whose.unwrap_or_default(), relative(closed.at, now)));
    }
    if let Some(grant) = &view.grant {
        line("grant", format!("{}, until {} ({})", grant.id, grant.until, relative(grant.until, now)));
        if grant.scope != request.scope {
            line("granted", grant.scope.to_string());
        }
        if let Some(revoked) = &grant.revoked {
            let reason = revoked.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            line("revoked", format!("by {}, {}{reason}", revoked.by.email, relative(revoked.at, now)));
        }
    }
    if let Some(BreakGlassView { break_glass, you_confirm }) = &view.break_glass {
        if break_glass.renewals > 0 {
            line("renewed", times(break_glass.renewals));
        }
        for given in break_glass.confirmation.iter().flat_map(|due| &due.given) {
            let comment = given.comment.as_ref().map(|comment| format!(": {comment}")).unwrap_or_default();
            let (who, when) = (&given.by.email, relative(given.at, now));
            line("confirmed", format!("{who} as {}, {when}{comment}", given.role));
        }
        for due in break_glass.confirmation.iter().filter(|due| !due.is_complete()) {
            let missing = needed(due.open_slots());
            line("needs", format!("confirmation by {missing}, due {}", relative(due.due, now)));
        }
        if let Some(end) = &break_glass.ended {
            line("ended", format!("{}: {}", relative(end.at, now), end.why.words()));
        }
        if !you_confirm.is_empty() {
            line("you", format!("can confirm as {}: dbaccess confirm {}", either(you_confirm), request.id));
        }
    }
    if let Some(history) = &view.history {
        line("before", before(history, now));
    }
    if let [counted, others @ ..] = view.you_fill.as_slice() {
        let mut text = format!("can approve as {}", either(&view.you_fill));
        if !others.is_empty() {
            text.push_str(&format!("; counted as {counted}"));
        }
        if let Some(whose) = &view.on_behalf_of {
            text.push_str(&format!(", for {}", whose.email));
        }
        line("you", text);
    }
    lines
}

/// What became of a request, and of what it granted: `revoked 5m ago`.
pub fn standing(view: &RequestView, now: Timestamp) -> String {
    let request = &view.request;
    let closed = |word: &str| match &request.closed {
        Some(closed) => format!("{word} {}", relative(closed.at, now)),
        None => word.to_owned(),
    };
    let Some(grant) = &view.grant else {
        return match request.state {
            RequestState::Waiting => request.state.as_str().to_owned(),
            // Its grants expire; of the request that would mean something else.
            RequestState::Expired => closed("lapsed"),
            other => closed(other.as_str()),
        };
    };
    let word = grant.standing(now).as_str();
    let ended = view.break_glass.as_ref().and_then(|glass| glass.break_glass.ended.as_ref());
    let state = match (&grant.revoked, ended) {
        (Some(revoked), _) => format!("{word} {}", relative(revoked.at, now)),
        (None, Some(end)) => format!("ended {}", relative(end.at, now)),
        (None, None) if grant.standing(now) == Standing::Active => {
            format!("{word}, ends {}", relative(grant.until, now))
        }
        (None, None) => format!("{word} {}", relative(grant.until, now)),
    };
    let narrowed = request.approvals.iter().any(|approval| approval.narrowing != Narrowing::default());
    if narrowed { format!("{state}, narrowed") } else { state }
}

/// What is known of an incident, and whether its system said it.
fn incident_words(incident: &IncidentRef) -> String {
    let IncidentRef { id, title, url, confirmed } = incident;
    let parts = [Some(id.to_string()), title.clone(), url.clone()];
    let known = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let system = id.system.name();
    if *confirmed { known } else { format!("{known} (not confirmed: {system} could not be asked)") }
}

fn times(n: u32) -> String {
    if n == 1 { "once".to_owned() } else { format!("{n} times") }
}

/// A scope with the path, where that is not what the scope says already.
pub fn scope_on(path: Path, scope: &str) -> String {
    if path == Path::BreakGlass { format!("BREAK-GLASS {scope}") } else { scope.to_owned() }
}

/// What the requester did on this target before, in three lines at most and a
/// line a denial.
fn before(history: &History, now: Timestamp) -> String {
    let counts = [
        (history.granted, "granted"),
        (history.denied, "denied"),
        (history.cancelled, "cancelled"),
        (history.expired, "lapsed"),
        (history.waiting, "waiting"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    let days = history.days;
    let mut lines = vec![match counts.as_slice() {
        [] => format!("no other request here in {days} days"),
        counts => format!("other requests here in {days} days: {}", counts.join(", ")),
    }];
    if let Some(last) = history.last {
        let History { sessions, statements, rows, .. } = history;
        let last = relative(last, now);
        lines.push(format!("sessions: {sessions}, statements: {statements}, rows: {rows}; the last {last}"));
    }
    for denial in &history.denials {
        let by = denial.by.as_ref().map_or("policy", |by| by.email.as_str());
        let reason = denial.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        lines.push(format!("denied by {by}, {}{reason}", relative(denial.at, now)));
    }
    lines.join("\n")
}

/// The width of the names before the lines.
const LABEL: usize = 10;

/// A line each, as many as a person reads.
fn shortened(columns: &[String]) -> String {
    const SHOWN: usize = 12;
    let mut lines: Vec<String> = columns.iter().take(SHOWN).cloned().collect();
    match columns.len().saturating_sub(SHOWN) {
        0 => {}
        more => lines.push(format!("and {more} more: dbaccess targets describe shows each")),
    }
    lines.join("\n")
}

/// What a rule bounds beside the window.
pub fn limits(limits: Limits) -> String {
    let rows = limits.rows.map(|rows| format!("a session reads at most {rows} rows"));
    let recording = limits.recording.then(|| "the rows that it reads are recorded".to_owned());
    let masked = limits.masked.then(|| "every classified column stays masked".to_owned());
    rows.into_iter().chain(recording).chain(masked).collect::<Vec<_>>().join("; ")
}

/// A scope in a table's cell, or in a question.
pub fn short_scope(scope: &Scope) -> String {
    scope.in_short(CELL)
}

/// So many characters of a text are read in a table.
const CELL: usize = 60;

/// As many words of a text as a table's cell holds.
pub fn short_text(text: &str) -> String {
    if text.chars().count() <= CELL {
        return text.to_owned();
    }
    let cut: String = text.chars().take(CELL - 1).collect();
    let words = cut.rsplit_once(' ').map_or(cut.as_str(), |(words, _)| words);
    format!("{}…", words.trim_end_matches([',', ';']))
}

fn tier_words(tier: Tier) -> &'static str {
    match tier {
        Tier::Auto => "auto: no approval needed",
        Tier::Single => "single: one approval needed",
        Tier::Dual => "dual: two approvals needed",
        Tier::BreakGlass => "break-glass: nobody is waited for, people look at it afterwards",
        Tier::Deny => "deny: not allowed",
    }
}
