//! Notices on their way to their channels, and what Slack was told already.

use super::Tx;
use super::rows::{Result, time};
use crate::core::model::{Event, Notice};
use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

/// Notices that may wait for one channel; beyond, one is given up for each that comes.
const MOST_NOTICES: u32 = 10_000;
/// Messages in Slack that are remembered; beyond, the oldest is forgotten, and keeps its buttons.
const MOST_MESSAGES: u32 = 10_000;

/// A notice on its way to one channel.
pub struct NoticeRow {
    pub id: i64,
    pub at: Timestamp,
    /// The event, as JSON.
    pub event: String,
    pub notice: Notice,
    /// Whose copy it is, in a channel that has one for each.
    pub recipient: Option<Recipient>,
    /// Failed ones.
    pub attempts: i64,
    /// Of these, how often it was refused for what it is.
    pub refusals: i64,
    pub next_at: Timestamp,
}

/// Somebody that a copy is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    pub address: String,
    /// Who they are here, where it is a person and no list.
    pub subject: Option<String>,
}

/// A message that Slack has taken.
pub struct SlackMessage {
    pub channel: String,
    /// Its name there.
    pub ts: String,
    pub thread: String,
    pub at: Timestamp,
    pub notice: Notice,
    /// Whether it has buttons.
    pub open: bool,
}

impl Tx<'_> {
    /// Writes a notice down for one channel, in this transaction (G7). `first`:
    /// it goes before those that are not. One of too many is given up: the oldest
    /// of those that are not first, as long as there is one. The ledger says so.
    pub fn save_notice(
        &self,
        at: Timestamp,
        channel: &str,
        (recipient, first): (Option<&Recipient>, bool),
        event: &Event,
        notice: &Notice,
    ) -> Result<()> {
        let (event, notice) = (serde_json::to_string(event)?, serde_json::to_string(notice)?);
        let recipient = recipient.map(serde_json::to_string).transpose()?;
        self.run(
            "INSERT INTO notice (channel, at, event, notice, recipient, next_at, first)
                VALUES (?1, ?2, ?3, ?4, ?5, ?2, ?6)",
            params![channel, at.as_microsecond(), event, notice, recipient, first],
        )?;
        let mut statement = self.0.prepare_cached(
            "DELETE FROM notice WHERE id =
                (SELECT id FROM notice WHERE channel = ?1 ORDER BY first, id LIMIT 1)
                AND (SELECT count(*) FROM notice WHERE channel = ?1) > ?2
                RETURNING notice, recipient",
        )?;
        let surplus = statement.query_row(params![channel, MOST_NOTICES], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?))
        });
        let Some((lost, recipient)) = surplus.optional()? else { return Ok(()) };
        let Notice { kind, title, .. } = serde_json::from_str(&lost)?;
        let recipient: Option<Recipient> = recipient.map(|text| serde_json::from_str(&text)).transpose()?;
        tracing::error!(channel, ?kind, "a notice is given up: too many wait for this channel");
        let given_up = Event::NoticeGivenUp {
            channel: channel.to_owned(),
            notice: kind,
            title,
            to: recipient.map(|to| to.address),
            why: format!("more than {MOST_NOTICES} notices wait for this channel"),
        };
        self.record(at, &given_up)
    }

    /// A channel's notices, those that go first before the others, oldest first,
    /// due or not; of those that were refused only what is due, because the others
    /// need not wait for it.
    pub fn queued_notices(&self, channel: &str, now: Timestamp, limit: u32) -> Result<Vec<NoticeRow>> {
        let mut statement = self.0.prepare_cached(
            "SELECT id, at, event, notice, recipient, attempts, refusals, next_at FROM notice
                WHERE channel = ?1 AND (refusals = 0 OR next_at <= ?2) ORDER BY first DESC, id LIMIT ?3",
        )?;
        let mut rows = statement.query(params![channel, now.as_microsecond(), limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (notice, recipient): (String, Option<String>) = (row.get(3)?, row.get(4)?);
            found.push(NoticeRow {
                id: row.get(0)?,
                at: time(row.get(1)?),
                event: row.get(2)?,
                notice: serde_json::from_str(&notice)?,
                recipient: recipient.map(|text| serde_json::from_str(&text)).transpose()?,
                attempts: row.get(5)?,
                refusals: row.get(6)?,
                next_at: time(row.get(7)?),
            });
        }
        Ok(found)
    }

    pub fn notice_sent(&self, id: i64) -> Result<()> {
        self.run("DELETE FROM notice WHERE id = ?1", [id]).map(drop)
    }

    /// Another attempt is due at `next`; `refused` says that it was for what the notice is.
    pub fn notice_failed(&self, id: i64, next: Timestamp, refused: bool) -> Result<()> {
        self.run(
            "UPDATE notice SET attempts = attempts + 1, refusals = refusals + ?3, next_at = ?2 WHERE id = ?1",
            params![id, next.as_microsecond(), refused],
        )
        .map(drop)
    }

    pub fn save_slack_message(&self, message: &SlackMessage) -> Result<()> {
        let notice = serde_json::to_string(&message.notice)?;
        self.run(
            "INSERT OR REPLACE INTO slack_message (channel, ts, thread, at, notice, open)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                message.channel,
                message.ts,
                message.thread,
                message.at.as_microsecond(),
                notice,
                message.open
            ],
        )?;
        self.run(
            "DELETE FROM slack_message WHERE rowid IN
                (SELECT rowid FROM slack_message ORDER BY at DESC LIMIT -1 OFFSET ?1)",
            [MOST_MESSAGES],
        )
        .map(drop)
    }

    /// The first message of a thread in a channel, by its name there.
    pub fn slack_thread(&self, channel: &str, thread: &str) -> Result<Option<String>> {
        let mut statement = self.0.prepare_cached(
            "SELECT ts FROM slack_message WHERE channel = ?1 AND thread = ?2 ORDER BY at, rowid LIMIT 1",
        )?;
        Ok(statement.query_row(params![channel, thread], |row| row.get(0)).optional()?)
    }

    /// A thread's messages that have buttons.
    pub fn open_slack_messages(&self, thread: &str) -> Result<Vec<SlackMessage>> {
        let mut statement = self.0.prepare_cached(
            "SELECT channel, ts, at, notice FROM slack_message WHERE thread = ?1 AND open ORDER BY at, rowid",
        )?;
        let mut rows = statement.query([thread])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let notice: String = row.get(3)?;
            found.push(SlackMessage {
                channel: row.get(0)?,
                ts: row.get(1)?,
                thread: thread.to_owned(),
                at: time(row.get(2)?),
                notice: serde_json::from_str(&notice)?,
                open: true,
            });
        }
        Ok(found)
    }

    pub fn close_slack_message(&self, channel: &str, ts: &str) -> Result<()> {
        self.run("UPDATE slack_message SET open = 0 WHERE channel = ?1 AND ts = ?2", params![channel, ts])
            .map(drop)
    }
}
