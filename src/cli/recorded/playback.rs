//! From entries to what is shown: whose answer the bytes are that come now.
//!
//! A connection's statements are answered in the order in which they began; the
//! recording says at which byte each answer ends. So what comes belongs to the
//! first that has not ended.

use super::connection::{Conversation, Heard};
use super::{Screen, Shown};
use crate::cli::error::CliError;
use crate::core::recording::{Connected, Entry, Kind, Outcome, Statement};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, VecDeque};

/// Plays a recording to a screen.
#[derive(Default)]
pub struct Playback {
    connections: BTreeMap<u16, Connection>,
}

#[derive(Default)]
struct Connection {
    name: String,
    conversation: Conversation,
    statements: VecDeque<Running>,
}

struct Running {
    since: Timestamp,
    statement: Statement,
    begun: bool,
    outcome: Option<Outcome>,
}

impl Playback {
    /// One entry, in the order of the file.
    pub fn entry(&mut self, entry: &Entry<'_>, screen: &mut dyn Screen) -> Result<(), CliError> {
        let at = entry.at;
        let connection = self.connections.entry(entry.connection).or_default();
        match entry.kind {
            Kind::Connected => {
                connection.name = mark::<Connected>(entry)?.connection.to_string();
                screen.show(at, &connection.name, Shown::Connected)
            }
            Kind::Client => {
                let copied = connection.conversation.said(entry.bytes).map_err(unreadable)?;
                for data in copied {
                    connection.begin(at, screen)?;
                    screen.show(at, &connection.name, Shown::Copied { out: false, data: &data })?;
                }
                Ok(())
            }
            Kind::Server => {
                connection.conversation.feed(entry.bytes);
                while let Some(heard) = connection.conversation.heard().map_err(unreadable)? {
                    connection.heard(at, heard, screen)?;
                    connection.settle(at, screen)?;
                }
                Ok(())
            }
            Kind::Statement => {
                let statement = mark(entry)?;
                connection.statements.push_back(Running {
                    since: at,
                    statement,
                    begun: false,
                    outcome: None,
                });
                Ok(())
            }
            Kind::Outcome => {
                let outcome: Outcome = mark(entry)?;
                let ended =
                    connection.statements.iter_mut().find(|one| one.statement.intent == outcome.intent);
                if let Some(running) = ended {
                    running.outcome = Some(outcome);
                }
                connection.settle(at, screen)
            }
            Kind::Disconnected => {
                connection.drain(at, screen)?;
                screen.show(at, &connection.name, Shown::Disconnected)?;
                self.connections.remove(&entry.connection);
                Ok(())
            }
        }
    }

    /// The recording is over, whether or not every connection was.
    pub fn finish(&mut self, at: Timestamp, screen: &mut dyn Screen) -> Result<(), CliError> {
        for connection in self.connections.values_mut() {
            connection.drain(at, screen)?;
        }
        screen.finish()
    }
}

impl Connection {
    fn heard(&mut self, at: Timestamp, heard: Heard, screen: &mut dyn Screen) -> Result<(), CliError> {
        if matches!(heard, Heard::Other) {
            return Ok(());
        }
        self.begin(at, screen)?;
        let name = &self.name;
        match &heard {
            Heard::Columns(columns) => screen.show(at, name, Shown::Columns(columns)),
            Heard::Row(columns, values) => {
                if let Some(columns) = columns {
                    screen.show(at, name, Shown::Columns(columns))?;
                }
                screen.show(at, name, Shown::Row(values))
            }
            Heard::LongRow(bytes) => screen.show(at, name, Shown::LongRow(*bytes)),
            Heard::Copied(data) => screen.show(at, name, Shown::Copied { out: true, data }),
            // It cut nothing off: a session that was closed, or whose time was over.
            Heard::Error { sqlstate, message } if sqlstate == "57P01" && self.statements.is_empty() => {
                screen.show(at, name, Shown::Ended(message))
            }
            Heard::Error { sqlstate, message } => screen.show(at, name, Shown::Error { sqlstate, message }),
            Heard::Notice(message) => screen.show(at, name, Shown::Notice(message)),
            Heard::Other => Ok(()),
        }
    }

    /// Shows the statement whose answer comes, once.
    fn begin(&mut self, at: Timestamp, screen: &mut dyn Screen) -> Result<(), CliError> {
        match self.statements.front_mut() {
            Some(running) => running.begin(at, &self.name, screen),
            None => Ok(()),
        }
    }

    /// Ends the statements whose answer was shown.
    fn settle(&mut self, at: Timestamp, screen: &mut dyn Screen) -> Result<(), CliError> {
        let place = self.conversation.place();
        let is_over = |running: &mut Running| {
            let ended = running.outcome.as_ref();
            ended.is_some_and(|outcome| outcome.ends_at.is_none_or(|ends_at| ends_at <= place))
        };
        while let Some(mut running) = self.statements.pop_front_if(is_over) {
            running.begin(at, &self.name, screen)?;
            running.end(at, &self.name, screen)?;
        }
        Ok(())
    }

    /// Nothing more comes: whatever is known of the rest is shown.
    fn drain(&mut self, at: Timestamp, screen: &mut dyn Screen) -> Result<(), CliError> {
        while let Some(mut running) = self.statements.pop_front() {
            running.begin(at, &self.name, screen)?;
            running.end(at, &self.name, screen)?;
        }
        Ok(())
    }
}

impl Running {
    fn begin(&mut self, at: Timestamp, name: &str, screen: &mut dyn Screen) -> Result<(), CliError> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let Statement { intent, text, cut } = &self.statement;
        screen.show(at, name, Shown::Statement { intent: *intent, since: self.since, text, cut: *cut })
    }

    fn end(&self, at: Timestamp, name: &str, screen: &mut dyn Screen) -> Result<(), CliError> {
        match &self.outcome {
            Some(Outcome { intent, result, rows, .. }) => {
                screen.show(at, name, Shown::Outcome { intent: *intent, result, rows: *rows })
            }
            None => Ok(()),
        }
    }
}

fn mark<T: DeserializeOwned>(entry: &Entry<'_>) -> Result<T, CliError> {
    serde_json::from_slice(entry.bytes).map_err(unreadable)
}

fn unreadable(error: impl std::fmt::Display) -> CliError {
    CliError::local("the recording holds what this program cannot read", error)
        .hint("it may be of a newer version of dbaccess")
}
