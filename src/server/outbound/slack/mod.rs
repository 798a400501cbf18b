//! Slack, as a bot in a channel: a message for each notice, those of a thread
//! below its first, and without buttons once the request is decided.

mod api;
mod blocks;

pub use api::{Account, Api};

use super::{Links, OutboundError};
use crate::core::model::{Notice, NoticeKind, Urgency};
use crate::server::config;
use crate::server::store::{NoticeRow, SlackMessage};
use crate::tls::TlsError;
use blocks::Buttons;
use serde_json::{Value, json};

pub(super) const NAME: &str = "slack";
/// The button's own names, as Slack sends them back.
pub const APPROVE: &str = "approve";
pub const DENY: &str = "deny";

pub(super) struct Slack {
    config: config::Slack,
    api: Api,
    links: Links,
}

impl Slack {
    pub fn new(config: config::Slack, links: Links) -> Result<Self, TlsError> {
        let api = Api::new(&config)?;
        Ok(Self { config, api, links })
    }

    pub async fn send(&self, row: &NoticeRow) -> Result<(), OutboundError> {
        let notice = &row.notice;
        if notice.kind == NoticeKind::RequestDecided {
            self.close(notice).await?;
        }
        let urgent = self.config.urgent_channel.as_ref().filter(|_| notice.urgency == Urgency::High);
        let channel = urgent.unwrap_or(&self.config.channel).clone();
        let link = self.links.of(notice, None).await?;
        let buttons =
            link.as_deref().map(|link| Buttons { link, decide: self.config.signing_secret.is_some() });
        let mut message = json!({
            "channel": channel,
            "text": blocks::plain(notice),
            "blocks": blocks::of(notice, row.at, buttons),
            "unfurl_links": false,
            "unfurl_media": false,
        });
        let first = match thread(notice) {
            Some(thread) => {
                let channel = channel.clone();
                self.links.store.read(move |tx| tx.slack_thread(&channel, &thread)).await?
            }
            None => None,
        };
        if let Some(first) = first {
            set(&mut message, "thread_ts", Value::from(first));
        }
        let posted = self.api.call("chat.postMessage", &message).await?;
        let text = |name: &str| posted.get(name).and_then(Value::as_str).map(str::to_owned);
        // A message without a thread is never looked for again.
        let (Some(thread), Some(ts)) = (thread(notice), text("ts")) else { return Ok(()) };
        let message = SlackMessage {
            channel: text("channel").unwrap_or(channel),
            ts,
            thread,
            at: row.at,
            notice: notice.clone(),
            open: link.is_some(),
        };
        Ok(self.links.store.write(move |tx| tx.save_slack_message(&message)).await?)
    }

    /// Takes the buttons off what asked for this decision.
    async fn close(&self, decided: &Notice) -> Result<(), OutboundError> {
        let Some(thread) = thread(decided) else { return Ok(()) };
        let open = self.links.store.read(move |tx| tx.open_slack_messages(&thread)).await?;
        for SlackMessage { channel, ts, notice, at, .. } in open {
            let mut blocks = blocks::of(&notice, at, None);
            if let Some(blocks) = blocks.as_array_mut() {
                blocks.push(blocks::outcome(&decided.title));
            }
            let text = format!("{} ({})", blocks::plain(&notice), blocks::plain(decided));
            let update = json!({"channel": channel, "ts": ts, "text": text, "blocks": blocks});
            match self.api.call("chat.update", &update).await {
                Ok(_) => {}
                // Somebody removed it, or it is too old to change: its buttons lead to the outcome.
                Err(OutboundError::Refused(why)) => {
                    tracing::info!(%why, "a message in Slack keeps its buttons");
                }
                Err(error) => return Err(error),
            }
            self.links.store.write(move |tx| tx.close_slack_message(&channel, &ts)).await?;
        }
        Ok(())
    }
}

/// What a notice's messages have in common.
fn thread(notice: &Notice) -> Option<String> {
    notice.thread.clone().or_else(|| notice.request.as_ref().map(ToString::to_string))
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}
