//! A notice as Slack shows it (Block Kit). What people wrote is in elements
//! without markup, each on its own behind Slack's bar of a quotation: it cannot
//! mention, link, or pass for a line of ours.

use super::{APPROVE, DENY};
use crate::core::model::{Notice, Urgency};
use crate::core::text::is_misleading;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Block Kit's own bounds, in characters.
const LONGEST_HEADER: usize = 150;
const LONGEST_CONTEXT: usize = 1000;
/// Of what somebody wrote; the page has all of it.
const LONGEST_VALUE: usize = 2000;

/// What can be pressed.
#[derive(Clone, Copy)]
pub(super) struct Buttons<'l> {
    pub link: &'l str,
    /// Whether Slack can tell us of a press.
    pub decide: bool,
}

/// The message where blocks are not shown: notifications, searches.
pub(super) fn plain(notice: &Notice) -> String {
    escape(&one_line(&notice.title))
}

/// What `&`, `<` and `>` start in Slack's markup: entities, links, mentions.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn of(notice: &Notice, at: Timestamp, buttons: Option<Buttons<'_>>) -> Value {
    let mark = if notice.urgency == Urgency::High { "\u{1f6a8} " } else { "" };
    let title = short(&one_line(&notice.title), LONGEST_HEADER - mark.chars().count());
    let mut blocks = vec![json!({"type": "header", "text": words(&format!("{mark}{title}"))})];
    if !notice.facts.is_empty() {
        let facts: Vec<Value> = notice.facts.iter().flat_map(|(name, value)| fact(name, value)).collect();
        blocks.push(json!({"type": "rich_text", "elements": facts}));
    }
    let time = format!("<!date^{}^{{date_short_pretty}} {{time}}|{at}>", at.as_second());
    let mut context = vec![json!({"type": "mrkdwn", "text": time})];
    let people: Vec<&str> = notice.to.iter().map(|person| person.email.as_str()).collect();
    if !people.is_empty() {
        context.push(words(&short(&one_line(&format!("for {}", people.join(", "))), LONGEST_CONTEXT)));
    }
    if let Some(request) = &notice.request {
        context.push(words(&format!("dbaccess show {request}")));
    }
    blocks.push(json!({"type": "context", "elements": context}));
    if let (Some(buttons), Some(request)) = (buttons, &notice.request) {
        blocks.push(actions(buttons, request.as_str()));
    }
    Value::Array(blocks)
}

/// What became of a request, below what asked for it.
pub(super) fn outcome(title: &str) -> Value {
    json!({"type": "context", "elements": [words(&short(&one_line(title), LONGEST_CONTEXT))]})
}

/// A fact's name in a line of ours, its value behind a bar.
fn fact(name: &str, value: &str) -> [Value; 2] {
    let value = if value.is_empty() { "–".to_owned() } else { short(&lines(value), LONGEST_VALUE) };
    [
        json!({"type": "rich_text_section", "elements": [{"type": "text", "text": name, "style": {"bold": true}}]}),
        json!({"type": "rich_text_quote", "elements": [{"type": "text", "text": value}]}),
    ]
}

/// As it is: no markup, no emoji by name.
fn words(text: &str) -> Value {
    json!({"type": "plain_text", "text": text, "emoji": false})
}

/// A line break would make a line that passes for ours.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_misleading(c) { ' ' } else { c }).collect()
}

/// Lines as they were written, and nothing that reads differently than it is.
fn lines(text: &str) -> String {
    text.chars().map(|c| if is_misleading(c) && c != '\n' { ' ' } else { c }).collect()
}

fn actions(buttons: Buttons<'_>, request: &str) -> Value {
    let button = |action: &str, label: &str, style: &str| json!({"type": "button", "action_id": action, "value": request, "style": style, "text": words(label)});
    let mut elements = Vec::new();
    if buttons.decide {
        elements.push(button(APPROVE, "Approve", "primary"));
        elements.push(button(DENY, "Deny", "danger"));
    }
    elements.push(json!({
        "type": "button", "action_id": "open", "url": buttons.link, "text": words("Look at it"),
    }));
    json!({"type": "actions", "elements": elements})
}

fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{NoticeKind, PersonRef, RequestId};

    #[test]
    fn what_people_wrote_stays_text_and_fits() {
        let hostile = "x\n*asked by*\ncarol <!channel> <https://evil.example|click> & `co`";
        let notice = Notice {
            kind: NoticeKind::RequestWaiting,
            urgency: Urgency::High,
            title: format!("a\n*b* <!here> :ok: {}", "x".repeat(400)),
            facts: vec![
                ("reason".to_owned(), hostile.to_owned()),
                ("long".to_owned(), "y".repeat(5000)),
                ("none".to_owned(), String::new()),
            ],
            request: Some(RequestId::from_random([0; 8])),
            to: vec![PersonRef { subject: "c".to_owned(), email: "*c*\n@example.com".to_owned() }],
            thread: None,
        };
        let buttons = Buttons { link: "https://dbaccess.example.com/decide/x", decide: true };
        let blocks = of(&notice, Timestamp::UNIX_EPOCH, Some(buttons));
        let all = blocks.as_array().unwrap();
        let header = all[0]["text"]["text"].as_str().unwrap();
        assert!(header.chars().count() <= LONGEST_HEADER && !header.contains('\n'), "{header}");
        // Ours and theirs take turns; theirs is one element, as they wrote it.
        assert_eq!(all[1]["type"], "rich_text");
        let facts = all[1]["elements"].as_array().unwrap();
        let kinds: Vec<_> = facts.iter().map(|fact| fact["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["rich_text_section", "rich_text_quote"].repeat(3));
        assert_eq!(facts[1]["elements"], json!([{"type": "text", "text": hostile}]));
        assert_eq!(facts[3]["elements"][0]["text"].as_str().unwrap().chars().count(), LONGEST_VALUE);
        assert_eq!(facts[5]["elements"][0]["text"], "–");
        assert_eq!(fact("f", "a\u{202e}b\nc")[1]["elements"][0]["text"], "a b\nc");
        // Nothing but our time is markup.
        let outcome = outcome("denied:\n*approved*");
        for element in [&all[2], &outcome].iter().flat_map(|block| block["elements"].as_array().unwrap()) {
            let text = element["text"].as_str().unwrap();
            assert!(element["type"] == "plain_text" || text.starts_with("<!date^0^"), "{element}");
            assert!(!text.contains('\n'), "{element}");
        }
        assert_eq!(
            plain(&Notice { title: "a\n<!here> & b".to_owned(), ..notice.clone() }),
            "a &lt;!here&gt; &amp; b"
        );
        let pressed: Vec<_> = all.last().unwrap()["elements"].as_array().unwrap().iter().collect();
        assert_eq!(
            pressed.iter().map(|b| b["action_id"].as_str().unwrap()).collect::<Vec<_>>(),
            ["approve", "deny", "open"]
        );
        assert_eq!(pressed[0]["value"], "req-000000000000");
        let only_link = of(&notice, Timestamp::UNIX_EPOCH, Some(Buttons { decide: false, ..buttons }));
        assert_eq!(only_link.as_array().unwrap().last().unwrap()["elements"].as_array().unwrap().len(), 1);
    }
}
