//! From a recording into a timeline: what each statement returned, as far as a
//! player can use it. `dbaccess recording show` shows all of it.

use super::room::{EACH, Room, of_columns, of_text, of_values, shortened};
use crate::cli::error::CliError;
use crate::cli::recorded::{Screen, Shown};
use crate::core::model::ResultColumn;
use crate::core::timeline::{Arrival, Copied, Mark, MarkKind, Statement, Timeline};
use crate::wire::postgres::backend::ColumnDescription;
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;

/// Of one statement's results; a whole session's have their room.
const MOST_ROWS: usize = 1000;
const MOST_NOTICES: usize = 100;
const MOST_BYTES: usize = 1 << 20;
/// Rows that come closer together are played together.
const TOGETHER: SignedDuration = SignedDuration::from_millis(40);

pub struct Filling<'t> {
    timeline: &'t mut Timeline,
    room: &'t mut Room,
    places: HashMap<u64, usize>,
    /// By connection, whose answer comes.
    current: HashMap<String, usize>,
    /// Bytes kept, by statement.
    of: HashMap<usize, usize>,
    /// Marks that there was no room for.
    untold: u64,
}

impl<'t> Filling<'t> {
    pub fn new(timeline: &'t mut Timeline, room: &'t mut Room) -> Self {
        timeline.recorded = true;
        let places = timeline.statements.iter().enumerate();
        let places = places.map(|(place, statement)| (statement.intent, place)).collect();
        Self { timeline, room, places, current: HashMap::new(), of: HashMap::new(), untold: 0 }
    }

    fn statement(&mut self, connection: &str) -> Option<&mut Statement> {
        self.timeline.statements.get_mut(*self.current.get(connection)?)
    }

    fn begin(&mut self, connection: &str, begun: Statement) {
        let (intent, next) = (begun.intent, self.timeline.statements.len());
        let place = match self.places.get(&intent) {
            Some(place) => *place,
            // It would come after others that were left out.
            None if self.room.is_full() || !self.room.takes_statement(&begun) => {
                self.current.remove(connection);
                return;
            }
            None => {
                self.timeline.statements.push(begun);
                self.places.insert(intent, next);
                next
            }
        };
        self.current.insert(connection.to_owned(), place);
    }

    /// Whether there is room for so much more of a statement; it counts then.
    fn takes(&mut self, connection: &str, bytes: usize) -> bool {
        let Some(place) = self.current.get(connection) else { return false };
        let of = self.of.entry(*place).or_default();
        let fits = *of + bytes <= MOST_BYTES && self.room.takes(bytes);
        if fits {
            *of += bytes;
        }
        fits
    }

    fn columns(&mut self, connection: &str, columns: &[ColumnDescription]) {
        if self.statement(connection).is_none_or(|one| !one.grid.is_empty()) {
            return;
        }
        let columns =
            columns.iter().map(|one| ResultColumn::new(&one.name, one.type_oid)).collect::<Vec<_>>();
        let fits = self.takes(connection, of_columns(&columns));
        let Some(statement) = self.statement(connection) else { return };
        if !fits {
            statement.left_out += 1;
            return;
        }
        statement.columns = columns;
        statement.more_columns = 0;
    }

    fn row(&mut self, at: Timestamp, connection: &str, values: &[Option<String>]) {
        let Some(statement) = self.statement(connection) else { return };
        let room = statement.grid.len() < MOST_ROWS;
        let fits = room && self.takes(connection, EACH + of_values(values.iter().map(Option::as_deref)));
        let Some(statement) = self.statement(connection) else { return };
        if !fits {
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
        let text = String::from_utf8_lossy(data);
        let fits = self.takes(connection, of_text(&text));
        let Some(statement) = self.statement(connection) else { return };
        if !fits {
            statement.left_out += 1;
            return;
        }
        match statement.copied.last_mut() {
            Some(last) if last.out == out => last.text.push_str(&text),
            _ => statement.copied.push(Copied { out, text: text.into_owned() }),
        }
    }

    fn notice(&mut self, at: Timestamp, connection: &str, message: &str) {
        let Some(statement) = self.statement(connection) else {
            self.mark(at, connection, MarkKind::Told(message.to_owned()));
            return;
        };
        let fits = statement.notices.len() < MOST_NOTICES && self.takes(connection, of_text(message));
        let Some(statement) = self.statement(connection) else { return };
        if fits {
            statement.notices.push(message.to_owned());
        } else {
            statement.left_out += 1;
        }
    }

    fn mark(&mut self, at: Timestamp, connection: &str, what: MarkKind) {
        let told = if let MarkKind::Told(text) = &what { of_text(text) } else { 0 };
        if !self.room.takes(size_of::<Mark>() + connection.len() + told) {
            self.untold += 1;
            return;
        }
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
                self.begin(connection, shortened(begun));
            }
            Shown::Columns(columns) => self.columns(connection, columns),
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
            Shown::Notice(message) => self.notice(at, connection, message),
            Shown::Outcome { result, rows, .. } => {
                if self.statement(connection).is_some_and(|one| one.result.is_none()) {
                    let result = self.room.result(result.clone());
                    let Some(statement) = self.statement(connection) else { return Ok(()) };
                    statement.result = Some(result);
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
        match std::mem::take(&mut self.untold) {
            0 => {}
            more => self.timeline.notes.push(format!(
                "{more} connections and messages between the statements are left out: there are too many"
            )),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{SessionId, StatementResult};
    use crate::wire::postgres::frontend::Format;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + ms).unwrap()
    }

    #[test]
    fn rows_go_to_the_statement_of_their_connection_up_to_a_bound() {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        timeline.statements.push(Statement::begun(7, at(0), "a", "SELECT 1".to_owned()));
        let mut room = Room::default();
        let mut filling = Filling::new(&mut timeline, &mut room);
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

    fn column(name: &str) -> ColumnDescription {
        ColumnDescription { name: name.to_owned(), type_oid: 25, format: Format::Text }
    }

    #[test]
    fn g9_columns_notices_copied_data_and_marks_count_as_rows_do() {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        timeline.statements.push(Statement::begun(7, at(0), "a", "SELECT 1".to_owned()));
        let mut room = Room::default();
        let mut filling = Filling::new(&mut timeline, &mut room);
        let mut show = |shown: Shown<'_>| filling.show(at(10), "a", shown).unwrap();
        show(Shown::Statement { intent: 7, since: at(5), text: "SELECT 1", cut: false });
        show(Shown::Columns(&vec![column(&"n".repeat(64)); 20_000]));
        show(Shown::Columns(&vec![column("name")]));
        for _ in 0..150 {
            show(Shown::Notice("a notice"));
        }
        show(Shown::Notice(&"n".repeat(2 << 20)));
        show(Shown::Copied { out: true, data: &b"\n".repeat(100_000) });
        show(Shown::Row(&vec![None; 100_000]));
        let one = &timeline.statements[0];
        assert_eq!((one.columns.len(), one.notices.len()), (1, 100));
        assert!(one.copied.is_empty() && one.grid.is_empty());
        // The first columns, fifty notices and the long one, the data, the row.
        assert_eq!(one.left_out, 1 + 51 + 1 + 1);
    }

    #[test]
    fn g9_what_there_is_no_room_for_is_said() {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        let mut room = Room::of(1, 10_000);
        let mut filling = Filling::new(&mut timeline, &mut room);
        let mut show = |shown: Shown<'_>| filling.show(at(10), "a", shown).unwrap();
        for intent in 1..=3 {
            show(Shown::Statement { intent, since: at(5), text: "SELECT 1", cut: false });
            show(Shown::Row(&[Some(intent.to_string())]));
        }
        show(Shown::Ended(&"e".repeat(10_000)));
        (0..1000).for_each(|_| show(Shown::Disconnected));
        filling.finish().unwrap();
        let kept: Vec<u64> = timeline.statements.iter().map(|one| one.intent).collect();
        assert_eq!((kept, timeline.statements[0].grid.len(), room.is_full()), (vec![1], 1, true));
        assert!(timeline.marks.len() < 200, "{}", timeline.marks.len());
        let untold = 1001 - timeline.marks.len();
        assert!(timeline.notes[0].starts_with(&format!("{untold} connections")), "{:?}", timeline.notes);
    }
}
