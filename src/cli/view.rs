//! A request as a person reads it.

use super::output::{clean, field, relative};
use super::script::in_pieces;
use crate::core::model::{Limits, Migration, RequestState, Scope, Tier, format_duration};
use crate::proto::RequestView;
use jiff::Timestamp;

/// The lines of one request: who, what, why, what policy said, what is missing.
/// They fit `width` columns, where it is given. Text from elsewhere is made harmless.
pub fn describe(view: &RequestView, now: Timestamp, width: Option<u16>) -> String {
    let request = &view.request;
    let revoked = view.grant.as_ref().is_some_and(|grant| grant.revoked.is_some());
    let state = if revoked { "granted, then revoked" } else { request.state.as_str() };
    let mut lines = format!("{}  {state}\n", request.id);
    let mut line = |name: &str, text: String| lines.push_str(&field(name, &clean(&text), LABEL, width));
    line("who", request.person.email.clone());
    line("target", request.target.clone());
    line("scope", request.scope.to_string());
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
        let mut text = format!("{} as {}, {}", approval.by.email, approval.role, relative(approval.at, now));
        if let Some(tables) = &approval.narrowing.tables {
            let tables: Vec<String> = tables.iter().map(ToString::to_string).collect();
            text.push_str(&format!(", narrowed to {}", tables.join(", ")));
        }
        if let Some(window) = approval.narrowing.window {
            text.push_str(&format!(", narrowed to {}", format_duration(window)));
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
        let by = match (&closed.by, request.state) {
            (Some(by), _) => by.email.as_str(),
            (None, RequestState::Expired) => "time",
            (None, _) => "policy",
        };
        let reason = closed.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        line("closed", format!("by {by}, {}{reason}", relative(closed.at, now)));
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
    if !view.you_fill.is_empty() {
        let roles: Vec<&str> = view.you_fill.iter().map(|role| role.0.as_str()).collect();
        line("you", format!("can approve as {}", roles.join(" or ")));
    }
    lines
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
fn limits(limits: Limits) -> String {
    let rows = limits.rows.map(|rows| format!("a session reads at most {rows} rows"));
    let recording = limits.recording.then(|| "the rows that it reads are recorded".to_owned());
    let masked = limits.masked.then(|| "every classified column stays masked".to_owned());
    rows.into_iter().chain(recording).chain(masked).collect::<Vec<_>>().join("; ")
}

/// A scope in a table's cell.
pub fn short_scope(scope: &Scope) -> String {
    let text = scope.to_string();
    if text.chars().count() <= 60 {
        text
    } else {
        format!("{}…", text.chars().take(59).collect::<String>())
    }
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
