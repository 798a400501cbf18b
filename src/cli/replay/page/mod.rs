//! A session as one page: it loads nothing, and what was recorded is data in it,
//! never markup. The page's policy names its one script and its one style by
//! their hashes, so that nothing else could run or be fetched.

mod data;

use super::Manner;
use super::roll::length;
use crate::core::timeline::Timeline;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Of a timeline that was made harmless.
pub fn page(timeline: &Timeline, manner: Manner) -> String {
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    );
    let who = timeline.person.as_ref().map_or("somebody", |person| person.email.as_str());
    let target = timeline.target.as_deref().unwrap_or("a database");
    let statements = timeline.statements.len();
    let failed = timeline.statements.iter().filter(|statement| statement.error().is_some()).count();
    let rows: u64 = timeline.statements.iter().map(|statement| statement.rows).sum();
    let busy: u64 = timeline.statements.iter().filter_map(|statement| statement.duration_us).sum();
    let what = if timeline.recorded {
        "with the rows as they were seen"
    } else {
        "statements only, without their rows"
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { (who) " on " (target) " · " (timeline.session) }
                style { (PreEscaped(STYLE)) }
            }
            body data-view="list" {
                header class="top" {
                    div class="who" {
                        h1 { (who) span { " on " } (target) }
                        p {
                            time datetime=(timeline.begins_at()) {
                                (timeline.begins_at().strftime("%-d %B %Y, %H:%M:%S UTC"))
                            }
                            " · " code { (timeline.session) } " · " (what)
                        }
                        @for note in &timeline.notes { p { (note) } }
                    }
                    dl class="sums" {
                        div { dt { "statements" } dd { (grouped(statements)) } }
                        div class=[(failed > 0).then_some("bad")] { dt { "failed" } dd { (grouped(failed)) } }
                        div { dt { "rows" } dd { (grouped(rows)) } }
                        div { dt { "in the database" } dd { (length(busy)) } }
                    }
                    button id="theme" type="button" aria-label="Light or dark" title="Light or dark (t)" { (icon("M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 1.5v11a5.5 5.5 0 0 1 0-11z", "")) }
                }
                noscript { p class="plain" { "This page plays with its own script, which the browser does not run." } }
                main {
                    section class="list" aria-label="Statements" {
                        div class="find" {
                            input id="find" type="search" placeholder="Find" aria-label="Find in statements, errors and rows" autocomplete="off" spellcheck="false";
                            label { input id="bad" type="checkbox"; "failed only" }
                            output id="found" {}
                        }
                        div id="scroll" role="listbox" tabindex="0" aria-label="Statements" { div id="space" { div id="rows" {} } }
                        p id="none" hidden { "Nothing fits." }
                    }
                    section class="detail" id="detail" aria-label="Statement" {}
                }
                footer {
                    div class="track" {
                        canvas id="strip" aria-hidden="true" {}
                        input id="seek" type="range" min="0" value="0" step="1" aria-label="Where in the session";
                    }
                    div class="controls" {
                        div class="keys" {
                            button id="previous" type="button" aria-label="Statement before" title="Statement before (p)" { (icon("M3 2h2v12H3zM13.5 2v12L5.5 8z", "")) }
                            button id="play" type="button" aria-label="Play" title="Play or pause (space)" {
                                (icon("M4 2l10 6-10 6z", "go"))
                                (icon("M4 2h3v12H4zM9 2h3v12H9z", "halt"))
                            }
                            button id="next" type="button" aria-label="Next statement" title="Next statement (n)" { (icon("M11 2h2v12h-2zM2.5 2v12l8-6z", "")) }
                        }
                        output id="clock" {}
                        output id="told" {}
                        div class="how" {
                            label title="Slower and faster (- and +)" {
                                span { "Speed" }
                                select id="speed" {
                                    @for speed in ["0.25", "0.5", "1", "2", "4", "8", "16", "32", "64"] {
                                        option value=(speed) selected[speed == "1"] { (speed) "×" }
                                    }
                                }
                            }
                            @if manner.idle.is_some() {
                                label title="Long pauses are played short" { input id="idle" type="checkbox" checked; span { "Shorten pauses" } }
                            }
                            button id="help" type="button" aria-label="Keys" title="Keys (?)" { "?" }
                        }
                    }
                }
                dialog id="keys" aria-label="Keys" {
                    h2 { "Keys" }
                    dl {
                        @for (key, does) in KEYS { dt { kbd { (key) } } dd { (does) } }
                    }
                    form method="dialog" { button { "Close" } }
                }
                script type="application/json" id="data" { (PreEscaped(data::json(timeline, manner))) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

const KEYS: [(&str, &str); 9] = [
    ("space", "play or pause"),
    ("← →", "five seconds back or on"),
    ("n ↓", "the next statement"),
    ("p ↑", "the statement before"),
    ("+ −", "faster or slower"),
    ("home end", "to the beginning or the end"),
    ("/", "find"),
    ("t", "light or dark"),
    ("?", "these keys"),
];

fn icon(path: &str, class: &str) -> Markup {
    html! { svg viewBox="0 0 16 16" aria-hidden="true" class=(class) { path d=(path) fill-rule="evenodd" {} } }
}

fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// `12 345`: with thin spaces, which no language reads as a point.
fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push('\u{2009}');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::SessionId;
    use crate::core::timeline::Statement;

    #[test]
    fn what_was_recorded_is_never_markup() {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-<x>"));
        timeline.target = Some("<img src=x onerror=alert(1)>".to_owned());
        timeline.notes.push("<img> is not compared".to_owned());
        let text = "SELECT '</script><script>alert(1)</script><!-- &amp;'";
        timeline.statements.push(Statement::begun(1, jiff::Timestamp::UNIX_EPOCH, "con-a", text.to_owned()));
        let page = page(&timeline, Manner { speed: 1.0, idle: None });
        assert_eq!(page.matches("<script").count(), 2, "the data, and the page's own");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("<p>&lt;img&gt; is not compared</p>"), "how sure it is, in its head");
        assert!(!page.contains("<img") && !page.contains("<!--"));
        assert!(
            !STYLE.contains('<') && !SCRIPT.contains("</") && !SCRIPT.contains("<!--"),
            "as they are inlined"
        );
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(123), "123");
        assert_eq!(grouped(1_234_567), "1\u{2009}234\u{2009}567");
    }
}
