//! A notice as Slack shows it (Block Kit). Everything that people wrote is
//! escaped, so that it cannot mention, link or pretend.

use super::{APPROVE, DENY};
use crate::core::model::{Notice, Urgency};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Block Kit's own bounds, in characters and fields.
const LONGEST_HEADER: usize = 150;
const LONGEST_FIELD: usize = 2000;
const MOST_FIELDS: usize = 10;
const LONGEST_CONTEXT: usize = 1000;

/// What can be pressed.
#[derive(Clone, Copy)]
pub(super) struct Buttons<'l> {
    pub link: &'l str,
    /// Whether Slack can tell us of a press.
    pub decide: bool,
}

/// The message where blocks are not shown: notifications, searches.
pub(super) fn plain(notice: &Notice) -> String {
    escape(&notice.title)
}

/// What `&`, `<` and `>` start in Slack's markup: entities, links, mentions.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn of(notice: &Notice, at: Timestamp, buttons: Option<Buttons<'_>>) -> Value {
    let mark = if notice.urgency == Urgency::High { ":rotating_light: " } else { "" };
    let title = short(&notice.title, LONGEST_HEADER - mark.len());
    let mut blocks = vec![json!({
        "type": "header",
        "text": {"type": "plain_text", "text": format!("{mark}{title}"), "emoji": true},
    })];
    for facts in notice.facts.chunks(MOST_FIELDS) {
        let fields: Vec<Value> = facts.iter().map(|(name, value)| field(name, value)).collect();
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    let people: Vec<&str> = notice.to.iter().map(|person| person.email.as_str()).collect();
    let mut context = format!("<!date^{}^{{date_short_pretty}} {{time}}|{at}>", at.as_second());
    if !people.is_empty() {
        context = format!("{context} · for {}", escape(&short(&people.join(", "), LONGEST_CONTEXT)));
    }
    if let Some(request) = &notice.request {
        context = format!("{context} · `dbaccess show {request}`");
    }
    blocks.push(json!({"type": "context", "elements": [{"type": "mrkdwn", "text": context}]}));
    if let (Some(buttons), Some(request)) = (buttons, &notice.request) {
        blocks.push(actions(buttons, request.as_str()));
    }
    Value::Array(blocks)
}

/// What became of a request, below what asked for it.
pub(super) fn outcome(title: &str) -> Value {
    let text = format!("*{}*", escape(&short(title, LONGEST_CONTEXT)));
    json!({"type": "context", "elements": [{"type": "mrkdwn", "text": text}]})
}

fn field(name: &str, value: &str) -> Value {
    let value = if value.is_empty() { "–" } else { value };
    let text = format!("*{}*\n{}", escape(name), escape(value));
    json!({"type": "mrkdwn", "text": short(&text, LONGEST_FIELD), "verbatim": true})
}

fn actions(buttons: Buttons<'_>, request: &str) -> Value {
    let text = |words: &str| json!({"type": "plain_text", "text": words});
    let button = |action: &str, words: &str, style: &str| json!({"type": "button", "action_id": action, "value": request, "style": style, "text": text(words)});
    let mut elements = Vec::new();
    if buttons.decide {
        elements.push(button(APPROVE, "Approve", "primary"));
        elements.push(button(DENY, "Deny", "danger"));
    }
    elements.push(json!({
        "type": "button", "action_id": "open", "url": buttons.link, "text": text("Look at it"),
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
    use crate::core::model::{NoticeKind, RequestId};

    #[test]
    fn what_people_wrote_stays_text_and_fits() {
        let notice = Notice {
            kind: NoticeKind::RequestWaiting,
            urgency: Urgency::High,
            title: "x".repeat(400),
            facts: (0..23)
                .map(|n| (format!("f{n}"), "<!channel> <https://evil.example|click> & co".to_owned()))
                .chain([("long".to_owned(), "y".repeat(5000)), ("none".to_owned(), String::new())])
                .collect(),
            request: Some(RequestId::from_random([0; 8])),
            to: Vec::new(),
            thread: None,
        };
        let buttons = Buttons { link: "https://dbaccess.example.com/decide/x", decide: true };
        let blocks = of(&notice, Timestamp::UNIX_EPOCH, Some(buttons));
        let all = blocks.as_array().unwrap();
        assert!(all[0]["text"]["text"].as_str().unwrap().chars().count() <= LONGEST_HEADER);
        let sections: Vec<_> = all.iter().filter(|block| block["type"] == "section").collect();
        assert_eq!(sections.len(), 3);
        for field in sections.iter().flat_map(|section| section["fields"].as_array().unwrap()) {
            let text = field["text"].as_str().unwrap();
            assert!(text.chars().count() <= LONGEST_FIELD && !text.contains('<'), "{text}");
        }
        let text = sections[0]["fields"][0]["text"].as_str().unwrap();
        assert_eq!(text, "*f0*\n&lt;!channel&gt; &lt;https://evil.example|click&gt; &amp; co");
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
