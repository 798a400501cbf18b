//! The pages themselves. Every text goes through the template's own escaping;
//! nothing is loaded from anywhere, and there are no scripts to allow.

use crate::core::model::{
    AccessRequest, Approval, Migration, Person, RequestId, RequestState, ScriptStatement, Tier, Via,
    format_duration,
};
use crate::core::text::shown;
use crate::proto::{Denial, History, RequestView};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");
/// Columns of a list that are shown; the terminal shows all.
const MOST_COLUMNS: usize = 12;
/// What a window can be shortened to, in minutes.
const SHORTER: [u64; 7] = [15, 30, 60, 120, 240, 480, 1440];

/// Where a form goes, and what proves that it was shown.
pub(super) struct Place<'p> {
    pub token: &'p str,
    pub form: &'p str,
}

/// Something that went wrong, and what to do about it.
pub(super) fn problem(status: StatusCode, message: &str, hint: Option<&str>) -> Response {
    let body = html! {
        section class="card outcome problem" role="alert" {
            h1 { (sentence(message)) }
            @if let Some(hint) = hint { p { (sentence(hint)) } }
        }
    };
    respond(status, "Not possible", None, &body)
}

/// What anybody sees who holds a link: nothing of the request.
pub(super) fn sign_in(request: &RequestId, token: &str, here: bool) -> Response {
    let body = html! {
        section class="card" {
            h1 { "A request for database access waits for a decision" }
            @if here {
                p { "Sign in to see it. Opening this page has decided nothing." }
                a class="button go" href={ "/decide/" (token) "/sign-in" } rel="nofollow" { "Sign in" }
                p class="soft" { "Or in a terminal:" }
            } @else {
                p { "Decisions are made in a terminal here:" }
            }
            pre { code { "dbaccess show " (request) "\ndbaccess approve " (request) "\ndbaccess deny " (request) } }
        }
    };
    respond(StatusCode::OK, "Sign in", None, &body)
}

/// The request, and the forms to decide with, as far as this person may.
pub(super) fn request(view: &RequestView, you: &Person, place: &Place<'_>, now: Timestamp) -> Response {
    let request = &view.request;
    let own = request.person.subject == you.subject;
    let title = format!("{} asks for {}", request.person.email, request.target);
    let body = html! {
        (outcome(view, you, now))
        section class="card" {
            h1 { (shown(&request.person.email)) " asks for access to " (shown(&request.target)) }
            dl { (facts(view)) }
            @if let Some(history) = &view.history { (before(history)) }
        }
        @if let Some(script) = &request.migration { (migration(script)) }
        @if request.state == RequestState::Waiting && !own && !view.you_fill.is_empty() {
            (forms(view, place))
        }
        p class="soft" { "In a terminal: " code { "dbaccess show " (request.id) } }
    };
    respond(StatusCode::OK, &title, Some(you), &body)
}

fn facts(view: &RequestView) -> Markup {
    let request = &view.request;
    let decision = &request.decision;
    html! {
        (fact("Reason", &request.reason))
        @if !view.teams.is_empty() { (fact("Teams", &joined(view.teams.iter()))) }
        (fact("What", &request.scope.to_string()))
        @if !view.sensitive.is_empty() {
            dt { "Shown as it is" }
            dd { span class="raw" { (shown(&view.sensitive.join("\n"))) } }
        }
        @if !view.masked.is_empty() { (fact("Masked", &some_of(&view.masked))) }
        (fact("For", &format_duration(request.window)))
        (fact("Kind", request.path.as_str()))
        @if let Some(risk) = &view.risk { (fact("Risk", &risk.to_string())) }
        (fact("Policy", tier_words(decision.tier)))
        (fact("Why so", &decision.why))
        @for rule in &decision.rules { (fact("Rule", &format!("{} ({})", rule.title, rule.id))) }
        @for approval in &request.approvals { (fact("Approved", &approved(approval))) }
        @if request.state == RequestState::Waiting {
            @for (_, slot) in request.open_slots() { (fact("Still needs", &slot.to_string())) }
            (fact("Lapses", &time(request.expires_at)))
        }
        (fact("Asked", &time(request.created_at)))
    }
}

/// The script as it would run, with what a reviewer should know of each statement.
fn migration(script: &Migration) -> Markup {
    let hazards = |line: usize| {
        let ends_here = move |statement: &&ScriptStatement| statement.last_line == line;
        script.statements.iter().filter(ends_here).flat_map(|statement| &statement.hazards)
    };
    html! {
        section class="card" {
            h2 { (shown(&script.name)) ", revision " (script.revision) }
            pre {
                code {
                    @for (number, line) in (1..).zip(script.text.lines()) {
                        (format!("{number:>3}  ")) (shown(line.trim_end_matches('\r'))) "\n"
                        @for hazard in hazards(number) {
                            span class="raw" { (format!("   ^ {}: {}", hazard.severity.as_str(), shown(&hazard.why))) }
                            "\n"
                        }
                    }
                }
            }
            p class="soft" { "SHA-256 " code { (script.sha256) } }
        }
    }
}

fn forms(view: &RequestView, place: &Place<'_>) -> Markup {
    let roles: Vec<&str> = view.you_fill.iter().map(|role| role.0.as_str()).collect();
    let role = roles.first().copied().unwrap_or_default();
    let asked = view.request.window;
    let shorter = SHORTER.iter().map(|minutes| std::time::Duration::from_secs(minutes * 60));
    let shorter: Vec<_> = shorter.filter(|length| *length < asked).collect();
    let action = format!("/decide/{}", place.token);
    html! {
        form class="card" method="post" action=(action) {
            input type="hidden" name="form" value=(place.form);
            // What is approved is the script on this page, not one that came meanwhile.
            @if let Some(script) = &view.request.migration {
                input type="hidden" name="sha256" value=(script.sha256);
                input type="hidden" name="revision" value=(script.revision);
            }
            h2 {
                "Approve as " (shown(role))
                @if let Some(whose) = &view.on_behalf_of { ", for " (shown(&whose.email)) }
            }
            label for="window" { "For how long" }
            select id="window" name="window" {
                option value="" { "as asked: " (format_duration(asked)) }
                @for length in shorter {
                    option value=(length.as_secs()) { "only " (format_duration(length)) }
                }
            }
            @if !view.request.scope.unmask.is_empty() {
                label class="check" {
                    input type="checkbox" name="masked" value="yes";
                    " Keep every mask on, whatever was asked to be seen"
                }
            }
            label for="comment" { "A word for the record (if you like)" }
            input id="comment" name="reason" maxlength="2000" autocomplete="off";
            button class="go" name="answer" value="approve" { "Approve" }
        }
        form class="card" method="post" action=(action) {
            input type="hidden" name="form" value=(place.form);
            h2 { "Deny" }
            label for="reason" { "Why: whoever asked reads it" }
            textarea id="reason" name="reason" required maxlength="2000" {}
            button class="stop" name="answer" value="deny" { "Deny" }
        }
    }
}

/// What became of it, or why there is nothing to press.
fn outcome(view: &RequestView, you: &Person, now: Timestamp) -> Markup {
    let request = &view.request;
    let yours = request.approvals.iter().find(|given| given.by.subject == you.subject);
    let (class, text) = match request.state {
        RequestState::Granted => ("granted", granted(view, now)),
        RequestState::Denied => ("denied", closed(request, "Denied")),
        RequestState::Cancelled => ("", closed(request, "Withdrawn")),
        RequestState::Expired => ("", "Nobody decided in time: this request has lapsed.".to_owned()),
        RequestState::Waiting if request.person.subject == you.subject => {
            ("", "This is your own request: somebody else must decide about it.".to_owned())
        }
        RequestState::Waiting => match yours {
            Some(given) => {
                let needed: Vec<String> = request.open_slots().map(|(_, slot)| slot.to_string()).collect();
                let needed = needed.join(" and ");
                ("granted", format!("You approved this as {}. Still needed: {needed}.", given.role))
            }
            None if view.you_fill.is_empty() => {
                ("", "You can see this request; deciding about it is for others.".to_owned())
            }
            None => return html! {},
        },
    };
    html! { section class={ "card outcome " (class) } role="status" { p { (shown(&text)) } } }
}

fn granted(view: &RequestView, now: Timestamp) -> String {
    let Some(grant) = &view.grant else { return "Granted.".to_owned() };
    match &grant.revoked {
        Some(revoked) => format!("Granted, and taken back by {} at {}.", revoked.by.email, time(revoked.at)),
        None if grant.until <= now => format!("Granted; the access ended at {}.", time(grant.until)),
        None => format!("Granted: {} has access until {}.", grant.person.email, time(grant.until)),
    }
}

fn closed(request: &AccessRequest, word: &str) -> String {
    let Some(closed) = &request.closed else { return format!("{word}.") };
    let by = closed.by.as_ref().map_or("policy", |by| by.email.as_str());
    let reason = closed.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{word} by {by} at {}{reason}", time(closed.at))
}

fn approved(approval: &Approval) -> String {
    let whose = approval.on_behalf_of.as_ref().map(|whose| format!(" for {}", whose.email));
    let whose = whose.unwrap_or_default();
    let mut text = format!("by {} as {}{whose}, {}", approval.by.email, approval.role, time(approval.at));
    if let Some(window) = approval.narrowing.window {
        text.push_str(&format!(", for {} only", format_duration(window)));
    }
    if let Some(tables) = &approval.narrowing.tables {
        text.push_str(&format!(", only {}", joined(tables.iter())));
    }
    if let Some(schemas) = &approval.narrowing.schemas {
        text.push_str(&format!(", only schema {}", joined(schemas.iter())));
    }
    if approval.narrowing.masked {
        text.push_str(", every mask kept on");
    }
    if let Some(via) = approval.via.filter(|via| *via != Via::Cli) {
        text.push_str(&format!(", by way of {}", via.as_str()));
    }
    if let Some(comment) = &approval.comment {
        text.push_str(&format!(": {comment}"));
    }
    text
}

fn tier_words(tier: Tier) -> &'static str {
    match tier {
        Tier::Auto => "no approval needed",
        Tier::Single => "one approval needed",
        Tier::Dual => "two people must approve",
        Tier::BreakGlass => "an emergency: looked at afterwards",
        Tier::Deny => "not allowed",
    }
}

/// What the requester did on this target before.
fn before(history: &History) -> Markup {
    let counts = [
        (history.granted, "granted"),
        (history.denied, "denied"),
        (history.cancelled, "withdrawn"),
        (history.expired, "lapsed"),
        (history.waiting, "waiting"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    let counts = joined(counts);
    html! {
        h2 { "Before, here, in " (history.days) " days" }
        dl {
            (fact("Requests", if counts.is_empty() { "none" } else { &counts }))
            @if let Some(last) = history.last {
                (fact("Sessions", &format!("{}, the last at {}", history.sessions, time(last))))
                (fact("Statements", &format!("{}, {} rows", history.statements, history.rows)))
            }
            @for denial in &history.denials {
                (fact("Denied", &denied(denial)))
            }
        }
    }
}

fn denied(denial: &Denial) -> String {
    let by = denial.by.as_ref().map_or("policy", |by| by.email.as_str());
    let reason = denial.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("by {by} at {}{reason}", time(denial.at))
}

fn joined(words: impl Iterator<Item = impl ToString>) -> String {
    words.map(|word| word.to_string()).collect::<Vec<_>>().join(", ")
}

fn fact(name: &str, value: &str) -> Markup {
    html! { dt { (name) } dd { (shown(value)) } }
}

fn some_of(columns: &[String]) -> String {
    let mut lines: Vec<String> = columns.iter().take(MOST_COLUMNS).cloned().collect();
    match columns.len().saturating_sub(MOST_COLUMNS) {
        0 => {}
        more => lines.push(format!("and {more} more")),
    }
    lines.join("\n")
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// With a capital at its beginning and a stop at its end; what is between
/// backticks is to be typed.
fn sentence(text: &str) -> Markup {
    let text = shown(text);
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    let text = format!("{first}{}{stop}", letters.as_str());
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn respond(status: StatusCode, title: &str, you: Option<&Person>, body: &Markup) -> Response {
    let nonce = STANDARD.encode(crate::os::random::<16>());
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (shown(title)) " · dbaccess" }
                style nonce=(nonce) { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header class="brand" {
                        span { "dbaccess" }
                        @if let Some(you) = you { span { "signed in as " (shown(&you.email)) } }
                    }
                    (body)
                }
            }
        }
    };
    let mut response = (status, Html(page.into_string())).into_response();
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        // The address is the link: it is for no other site. Forms of ours say where they are from.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
