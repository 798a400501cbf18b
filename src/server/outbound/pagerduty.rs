//! PagerDuty's Events API v2: what is urgent opens an alert, what ends it
//! resolves the same one.

use super::{OutboundError, http};
use crate::core::hex::hex;
use crate::core::model::{Notice, NoticeKind, Urgency};
use crate::server::config;
use crate::server::store::NoticeRow;
use crate::tls::TlsError;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

pub(super) const NAME: &str = "pagerduty";
/// The API's own bounds, in characters.
const LONGEST_SUMMARY: usize = 1024;
const LONGEST_KEY: usize = 255;

pub(super) struct PagerDuty {
    config: config::PagerDuty,
    public_url: String,
    http: reqwest::Client,
}

/// Whether a notice ends what an earlier one of its thread began.
fn closes(notice: &Notice) -> bool {
    let over = matches!(notice.kind, NoticeKind::BreakGlassEnded | NoticeKind::RequestDecided);
    over && notice.thread.is_some()
}

impl PagerDuty {
    pub fn new(config: config::PagerDuty, public_url: String) -> Result<Self, TlsError> {
        let http = http::client(config.ca.as_deref())?;
        Ok(Self { config, public_url, http })
    }

    pub async fn send(&self, row: &NoticeRow) -> Result<(), OutboundError> {
        let mut body = event(row, &self.public_url);
        body.insert("routing_key".to_owned(), Value::from(self.config.routing_key.expose()));
        http::send(self.http.post(format!("{}/v2/enqueue", self.config.url)).json(&body)).await.map(drop)
    }
}

/// The event without the key that says whose it is.
fn event(row: &NoticeRow, source: &str) -> Map<String, Value> {
    let notice = &row.notice;
    let mut event = Map::new();
    let mut set = |name: &str, value: Value| event.insert(name.to_owned(), value);
    set("dedup_key", Value::from(dedup_key(row)));
    if closes(notice) {
        set("event_action", Value::from("resolve"));
        return event;
    }
    let facts: Map<String, Value> =
        notice.facts.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    set("event_action", Value::from("trigger"));
    set("client", Value::from("dbaccess"));
    set(
        "payload",
        json!({
            "summary": notice.title.chars().take(LONGEST_SUMMARY).collect::<String>(),
            "source": source,
            "severity": match notice.urgency { Urgency::High => "critical", Urgency::Normal => "warning" },
            "timestamp": row.at.to_string(),
            "class": notice.kind,
            "custom_details": facts,
        }),
    );
    event
}

/// The same for all notices of a thread, so that they are one alert.
fn dedup_key(row: &NoticeRow) -> String {
    let key = match &row.notice.thread {
        Some(thread) => format!("dbaccess {thread}"),
        None => format!("dbaccess notice {}", row.id),
    };
    if key.chars().count() <= LONGEST_KEY {
        return key;
    }
    format!("dbaccess {}", hex(&Sha256::digest(key.as_bytes())))
}
