//! A session as it can be played: its statements with their times and ends,
//! and what of their results was kept.
//!
//! It decides what happens when ([`moments`]) and how long a pause is played
//! ([`Pace`]). It does not know where the statements come from: the ledger has
//! those of every session, a recording adds the rows. `cli::replay` makes and
//! shows it.
//!
//! ```text
//! ledger ────► statements ─┐
//!                          ├─► Timeline ─► moments ─► Pace
//! recording ─► results ────┘
//! ```

mod moments;
mod pace;

pub use moments::{Moment, What, moments};
pub use pace::Pace;

use super::model::{PersonRef, ResultColumn, SessionId, StatementResult};
use super::sql::Shade;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// A session's statements, oldest first.
#[derive(Clone, Debug, Serialize)]
pub struct Timeline {
    pub session: SessionId,
    /// Whose it was; none where a recording is read without a ledger.
    pub person: Option<PersonRef>,
    pub target: Option<String>,
    /// Whether the results are in it, as far as they were kept.
    pub recorded: bool,
    /// How sure all of it is, and what is not in it: a sentence each.
    pub notes: Vec<String>,
    pub marks: Vec<Mark>,
    pub statements: Vec<Statement>,
}

/// Something that happened beside the statements.
#[derive(Clone, Debug, Serialize)]
pub struct Mark {
    pub at: Timestamp,
    pub connection: String,
    pub what: MarkKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    Connected,
    Disconnected,
    /// What the client was told outside of any statement, or is to be known of the recording.
    Told(String),
}

#[derive(Clone, Debug, Serialize)]
pub struct Statement {
    /// Its intent's place on the ledger.
    pub intent: u64,
    pub at: Timestamp,
    pub connection: String,
    pub text: String,
    /// What the text's parts are, and their lengths in bytes: as it was run,
    /// before it was made harmless. What is behind them is plain.
    #[serde(skip)]
    pub parts: Vec<(usize, Shade)>,
    /// The ledger has more of the text, or of the parameters.
    pub cut: bool,
    pub parameters: Vec<Option<String>>,
    /// None while it runs, or where its end was not seen.
    pub result: Option<StatementResult>,
    pub duration_us: Option<u64>,
    /// That it returned or changed.
    pub rows: u64,
    /// None where only the recording is known.
    pub bytes: Option<u64>,
    pub columns: Vec<ResultColumn>,
    /// So many more columns it has, which are not on record.
    pub more_columns: u64,
    pub grid: Vec<Vec<Option<String>>>,
    /// When the rows of the grid came.
    pub arrived: Vec<Arrival>,
    /// COPY data, from the client or to it.
    pub copied: Vec<Copied>,
    pub notices: Vec<String>,
    /// Rows, lists of columns, notices and pieces of COPY data that were recorded and are not in
    /// here: too many or too long.
    pub left_out: u64,
}

/// From then on so many rows of the grid are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Arrival {
    pub at: Timestamp,
    pub rows: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Copied {
    pub out: bool,
    pub text: String,
}

impl Timeline {
    pub fn new(session: SessionId) -> Self {
        Self {
            session,
            person: None,
            target: None,
            recorded: false,
            notes: Vec::new(),
            marks: Vec::new(),
            statements: Vec::new(),
        }
    }

    /// When the first thing happened.
    pub fn begins_at(&self) -> Timestamp {
        let statements = self.statements.iter().map(|statement| statement.at);
        statements.chain(self.marks.iter().map(|mark| mark.at)).min().unwrap_or_default()
    }

    /// Every text in it that somebody else has written.
    pub fn texts_mut(&mut self, mut change: impl FnMut(&mut String)) {
        let mut change = |text: &mut String| change(text);
        let mut session = self.session.to_string();
        change(&mut session);
        self.session = SessionId::from_stored(session);
        if let Some(person) = &mut self.person {
            change(&mut person.subject);
            change(&mut person.email);
        }
        self.notes.iter_mut().for_each(&mut change);
        self.target.iter_mut().for_each(&mut change);
        for mark in &mut self.marks {
            change(&mut mark.connection);
            if let MarkKind::Told(text) = &mut mark.what {
                change(text);
            }
        }
        for statement in &mut self.statements {
            statement.texts_mut(&mut change);
        }
    }
}

impl Statement {
    /// As it begins; the rest comes.
    pub fn begun(intent: u64, at: Timestamp, connection: &str, text: String) -> Self {
        Self {
            intent,
            at,
            connection: connection.to_owned(),
            text,
            parts: Vec::new(),
            cut: false,
            parameters: Vec::new(),
            result: None,
            duration_us: None,
            rows: 0,
            bytes: None,
            columns: Vec::new(),
            more_columns: 0,
            grid: Vec::new(),
            arrived: Vec::new(),
            copied: Vec::new(),
            notices: Vec::new(),
            left_out: 0,
        }
    }

    /// All of the text, part by part.
    pub fn shaded(&self) -> Vec<(&str, Shade)> {
        let mut rest = self.text.as_str();
        let mut parts = Vec::new();
        for (length, shade) in &self.parts {
            let (part, behind) = rest.split_at_checked(*length).unwrap_or((rest, ""));
            parts.push((part, *shade));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push((rest, Shade::Plain));
        }
        parts
    }

    /// None while it runs.
    pub fn ends_at(&self) -> Option<Timestamp> {
        let length = i64::try_from(self.duration_us?).ok()?;
        let end = self.at.checked_add(SignedDuration::from_micros(length)).ok()?;
        // The clocks of the ledger and of the recording are read one after the other.
        Some(self.arrived.last().map_or(end, |last| last.at.max(end)))
    }

    /// The SQLSTATE and message of a statement that did not succeed.
    pub fn error(&self) -> Option<(&str, &str)> {
        self.result.as_ref()?.error()
    }

    fn texts_mut(&mut self, change: &mut impl FnMut(&mut String)) {
        change(&mut self.connection);
        change(&mut self.text);
        self.parameters.iter_mut().flatten().for_each(&mut *change);
        match &mut self.result {
            Some(StatementResult::Ok { tag }) => change(tag),
            Some(
                StatementResult::Error { sqlstate, message }
                | StatementResult::Refused { sqlstate, message }
                | StatementResult::Cut { sqlstate, message },
            ) => {
                change(sqlstate);
                change(message);
            }
            Some(StatementResult::Suspended | StatementResult::Skipped | StatementResult::Unknown) | None => {
            }
        }
        for column in &mut self.columns {
            change(&mut column.name);
            change(column.type_name.to_mut());
        }
        self.grid.iter_mut().flatten().flatten().for_each(&mut *change);
        self.copied.iter_mut().for_each(|copied| change(&mut copied.text));
        self.notices.iter_mut().for_each(&mut *change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_found_whoever_wrote_it() {
        let bad = || "\x1b]0;x".to_owned();
        let mut timeline = Timeline::new(SessionId::from_stored(bad()));
        timeline.person = Some(PersonRef { subject: bad(), email: bad() });
        timeline.target = Some(bad());
        timeline.notes.push(bad());
        timeline.marks.push(Mark {
            at: Timestamp::UNIX_EPOCH,
            connection: bad(),
            what: MarkKind::Told(bad()),
        });
        let mut one = Statement::begun(1, Timestamp::UNIX_EPOCH, &bad(), bad());
        one.parameters = vec![Some(bad())];
        one.result = Some(StatementResult::Error { sqlstate: bad(), message: bad() });
        one.columns = vec![ResultColumn { name: bad(), type_name: bad().into() }];
        one.grid = vec![vec![Some(bad())]];
        one.copied = vec![Copied { out: true, text: bad() }];
        one.notices = vec![bad()];
        timeline.statements.push(one);
        let whole = serde_json::to_string(&timeline).unwrap();
        let mut changed = 0;
        timeline.texts_mut(|text| {
            changed += 1;
            *text = "harmless".to_owned();
        });
        assert_eq!((whole.matches("u001b").count(), changed), (17, 17));
        assert!(!serde_json::to_string(&timeline).unwrap().contains("u001b"));
    }
}
