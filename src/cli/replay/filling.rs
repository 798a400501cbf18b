//! From a recording into a timeline: what each statement returned, as far as a
//! player can use it. `dbaccess recording show` shows all of it.

use crate::cli::error::CliError;
use crate::cli::recorded::{Screen, Shown};
use crate::core::timeline::{Arrival, Column, Copied, Mark, MarkKind, Statement, Timeline};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// A text is kept as long as a recording keeps it, in bytes.
const LONGEST_TEXT: usize = 64 << 10;
/// Of one statement.
const MOST_ROWS: usize = 1000;
const MOST_NOTICES: usize = 100;
const MOST_BYTES: usize = 1 << 20;
/// Of a whole session.
const MOST_OF_ALL: usize = 64 << 20;
/// Rows that come closer together are played together.
const TOGETHER: SignedDuration = SignedDuration::from_millis(40);

pub struct Filling<'t> {
    timeline: &'t mut Timeline,
    places: HashMap<u64, usize>,
    /// By connection, whose answer comes.
    current: HashMap<String, usize>,
    /// Bytes kept: of all, and by statement.
    kept: usize,
    of: HashMap<usize, usize>,
}

impl<'t> Filling<'t> {
    pub fn new(timeline: &'t mut Timeline) -> Self {
        timeline.recorded = true;
        let places = timeline.statements.iter().enumerate();
        let places = places.map(|(place, statement)| (statement.intent, place)).collect();
        Self { timeline, places, current: HashMap::new(), kept: 0, of: HashMap::new() }
    }

    fn statement(&mut self, connection: &str) -> Option<&mut Statement> {
        self.timeline.statements.get_mut(*self.current.get(connection)?)
    }

    fn begin(&mut self, connection: &str, begun: Statement) {
        let statements = &mut self.timeline.statements;
        let place = *self.places.entry(begun.intent).or_insert_with(|| {
            statements.push(begun);
            statements.len() - 1
        });
        self.current.insert(connection.to_owned(), place);
    }

    /// Whether there is room for so much more of a statement; it counts then.
    fn takes(&mut self, connection: &str, bytes: usize) -> bool {
        let Some(place) = self.current.get(connection) else { return false };
        let of = self.of.entry(*place).or_default();
        let fits = *of + bytes <= MOST_BYTES && self.kept + bytes <= MOST_OF_ALL;
        if fits {
            *of += bytes;
            self.kept += bytes;
        }
        fits
    }

    fn row(&mut self, at: Timestamp, connection: &str, values: &[Option<String>]) {
        let bytes = values.iter().flatten().map(String::len).sum::<usize>() + values.len();
        let fits = self.takes(connection, bytes);
        let Some(statement) = self.statement(connection) else { return };
        if !fits || statement.grid.len() >= MOST_ROWS {
            statement.left_out += 1;
            return;
        }
        statement.grid.push(values.to_vec());
        let rows = statement.grid.len();
        match statement.arrived.last_mut() {
            Some(last) if at.duration_since(last.at) < TOGETHER => last.rows = rows,
            _ => statement.arrived.push(Arrival { at, rows }),
        }
    }

    fn copied(&mut self, connection: &str, out: bool, data: &[u8]) {
        let fits = self.takes(connection, data.len());
        let Some(statement) = self.statement(connection) else { return };
        if !fits {
            statement.left_out += 1;
            return;
        }
        let text = String::from_utf8_lossy(data);
        match statement.copied.last_mut() {
            Some(last) if last.out == out => last.text.push_str(&text),
            _ => statement.copied.push(Copied { out, text: text.into_owned() }),
        }
    }

    fn mark(&mut self, at: Timestamp, connection: &str, what: MarkKind) {
        self.timeline.marks.push(Mark { at, connection: connection.to_owned(), what });
    }
}

impl Screen for Filling<'_> {
    fn show(&mut self, at: Timestamp, connection: &str, shown: Shown<'_>) -> Result<(), CliError> {
        match shown {
            Shown::Connected => self.mark(at, connection, MarkKind::Connected),
            Shown::Disconnected => {
                self.current.remove(connection);
                self.mark(at, connection, MarkKind::Disconnected);
            }
            Shown::Statement { intent, since, text, cut } => {
                let begun = Statement { cut, ..Statement::begun(intent, since, connection, text.to_owned()) };
                self.begin(connection, begun);
            }
            Shown::Columns(columns) => {
                let columns = columns.iter();
                let columns = columns.map(|one| Column { name: one.name.clone(), type_oid: one.type_oid });
                if let Some(statement) = self.statement(connection).filter(|one| one.grid.is_empty()) {
                    statement.columns = columns.collect();
                }
            }
            Shown::Row(values) => self.row(at, connection, values),
            Shown::LongRow(_) => {
                if let Some(statement) = self.statement(connection) {
                    statement.left_out += 1;
                }
            }
            Shown::Copied { out, data } => self.copied(connection, out, data),
            // A statement's own error is how it ended.
            Shown::Error { sqlstate, message } if !self.current.contains_key(connection) => {
                self.mark(at, connection, MarkKind::Told(format!("{sqlstate}: {message}")));
            }
            Shown::Error { .. } => {}
            Shown::Ended(message) => {
                self.mark(at, connection, MarkKind::Told(format!("the session ended: {message}")));
            }
            Shown::Notice(message) => match self.statement(connection) {
                Some(statement) if statement.notices.len() < MOST_NOTICES => {
                    statement.notices.push(message.to_owned());
                }
                Some(_) => {}
                None => self.mark(at, connection, MarkKind::Told(message.to_owned())),
            },
            Shown::Outcome { result, rows, .. } => {
                if let Some(statement) = self.statement(connection).filter(|one| one.result.is_none()) {
                    statement.result = Some(result.clone());
                    statement.rows = rows;
                    let length = at.duration_since(statement.at).as_micros();
                    statement.duration_us = Some(u64::try_from(length).unwrap_or(0));
                }
                self.current.remove(connection);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), CliError> {
        Ok(())
    }
}

/// As much of a text as is played, and whether that is not all.
pub fn shortened(mut text: String) -> (String, bool) {
    let end = text.floor_char_boundary(LONGEST_TEXT);
    let cut = end < text.len();
    text.truncate(end);
    (text, cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{SessionId, StatementResult};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + ms).unwrap()
    }

    #[test]
    fn rows_go_to_the_statement_of_their_connection_up_to_a_bound() {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        timeline.statements.push(Statement::begun(7, at(0), "a", "SELECT 1".to_owned()));
        let mut filling = Filling::new(&mut timeline);
        let (row, long) = ([Some("x".to_owned()), None], [Some("y".repeat(2 << 20))]);
        let ok = StatementResult::Ok { tag: "SELECT 1".to_owned() };
        let mut show = |ms, connection, shown| filling.show(at(ms), connection, shown).unwrap();
        let began = |intent, text| Shown::Statement { intent, since: at(5), text, cut: false };
        show(0, "a", Shown::Error { sqlstate: "57P01", message: "of nothing" });
        show(10, "a", began(7, "SELECT 1"));
        show(10, "b", began(9, "SELECT 2"));
        for later in 0..1500 {
            show(10 + later, "a", Shown::Row(&row));
        }
        show(2000, "b", Shown::Row(&long));
        show(2005, "b", Shown::Outcome { intent: 9, result: &ok, rows: 1 });
        let (known, new) = (&timeline.statements[0], &timeline.statements[1]);
        assert_eq!((known.grid.len(), known.left_out), (1000, 500));
        assert_eq!(known.arrived.len(), 25, "those of 40 milliseconds are one");
        assert_eq!(known.arrived.last().unwrap().rows, 1000);
        assert_eq!((new.grid.len(), new.left_out, new.duration_us), (0, 1, Some(2_000_000)));
        assert_eq!(timeline.marks[0].what, MarkKind::Told("57P01: of nothing".to_owned()));
    }
}
