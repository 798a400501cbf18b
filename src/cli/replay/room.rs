//! How much of a session is in memory while it is played (G9): what there is no
//! room for is counted, and said.

use crate::core::model::{ResultColumn, StatementResult};
use crate::core::timeline::Statement;

/// A text is kept as long as a recording keeps it, in bytes.
const LONGEST_TEXT: usize = 64 << 10;
/// PostgreSQL's own command tags and SQLSTATEs are no longer.
const LONGEST_TAG: usize = 64;
const MOST_STATEMENTS: usize = 100_000;
const MOST_BYTES: usize = 64 << 20;
/// What each value takes besides its own bytes.
pub const EACH: usize = size_of::<Option<String>>();
/// What a line takes where it is shown.
const LINE: usize = 128;

/// What is left for a session: one for all that is kept of it.
#[derive(Debug)]
pub struct Room {
    statements: usize,
    /// A little less than nothing where a result had to be told all the same.
    bytes: isize,
    full: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self::of(MOST_STATEMENTS, MOST_BYTES)
    }
}

impl Room {
    pub fn of(statements: usize, bytes: usize) -> Self {
        Self { statements, bytes: bytes.cast_signed(), full: false }
    }

    /// Whether there is room for so many bytes; they count then.
    pub fn takes(&mut self, bytes: usize) -> bool {
        let fits = bytes.cast_signed() <= self.bytes;
        if fits {
            self.bytes -= bytes.cast_signed();
        }
        fits
    }

    /// Whether there is room for one more statement, as it begins; it counts then.
    pub fn takes_statement(&mut self, statement: &Statement) -> bool {
        let fits = self.statements > 0 && self.takes(begun(statement));
        if fits {
            self.statements -= 1;
        }
        self.full |= !fits;
        fits
    }

    /// In place of a statement there is room again.
    pub fn gives_back(&mut self, statement: &Statement) {
        self.statements += 1;
        self.bytes += begun(statement).cast_signed();
    }

    /// A result with as much of what it says as there is room for.
    pub fn result(&mut self, result: StatementResult) -> StatementResult {
        let result = shortened_result(result, usize::try_from(self.bytes).unwrap_or(0));
        self.bytes -= of_result(&result).cast_signed();
        result
    }

    /// Whether a statement was left out.
    pub fn is_full(&self) -> bool {
        self.full
    }
}

pub fn of_text(text: &str) -> usize {
    EACH + text.len() + LINE * text.matches('\n').count()
}

pub fn of_values<'v>(values: impl IntoIterator<Item = Option<&'v str>>) -> usize {
    values.into_iter().map(|value| EACH + value.map_or(0, str::len)).sum()
}

pub fn of_columns(columns: &[ResultColumn]) -> usize {
    let of = |column: &ResultColumn| size_of_val(column) + column.name.len() + column.type_name.len();
    columns.iter().map(of).sum()
}

fn of_result(result: &StatementResult) -> usize {
    result.error().map_or(0, |(_, message)| of_text(message))
}

fn begun(statement: &Statement) -> usize {
    let values = of_values(statement.parameters.iter().map(Option::as_deref));
    size_of::<Statement>()
        + of_text(&statement.text)
        + values
        + of_columns(&statement.columns)
        + statement.result.as_ref().map_or(0, of_result)
}

/// As much of a statement as is played: its text, its parameters, how it ended.
pub fn shortened(mut statement: Statement) -> Statement {
    statement.cut |= cut(&mut statement.text, LONGEST_TEXT);
    let mut left = LONGEST_TEXT;
    let given = statement.parameters.len();
    statement.parameters.truncate(LONGEST_TEXT / EACH);
    statement.cut |= statement.parameters.len() < given;
    for value in statement.parameters.iter_mut().flatten() {
        statement.cut |= cut(value, left);
        left -= value.len();
    }
    statement.result = statement.result.map(|result| shortened_result(result, LONGEST_TEXT));
    statement
}

fn shortened_result(mut result: StatementResult, most: usize) -> StatementResult {
    match &mut result {
        StatementResult::Ok { tag } => {
            cut(tag, LONGEST_TAG);
        }
        StatementResult::Error { sqlstate, message }
        | StatementResult::Refused { sqlstate, message }
        | StatementResult::Cut { sqlstate, message } => {
            cut(sqlstate, LONGEST_TAG);
            if cut(message, most.min(LONGEST_TEXT)) {
                message.push('…');
            }
        }
        StatementResult::Suspended | StatementResult::Skipped | StatementResult::Unknown => {}
    }
    result
}

/// Shortens a text; whether that was needed.
fn cut(text: &mut String, most: usize) -> bool {
    let end = text.floor_char_boundary(most);
    let longer = end < text.len();
    if longer {
        // Its own memory is given back, too.
        *text = text.get(..end).unwrap_or_default().to_owned();
    }
    longer
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn statement(text: &str) -> Statement {
        Statement::begun(1, Timestamp::UNIX_EPOCH, "con-a", text.to_owned())
    }

    #[test]
    fn g9_of_a_statement_so_much_is_kept() {
        let mut long = statement(&"ü".repeat(1 << 20));
        long.parameters =
            vec![Some("x".repeat(40_000)), None, Some("y".repeat(40_000)), Some("z".to_owned())];
        let message = "m".repeat(1 << 20);
        long.result = Some(StatementResult::Error { sqlstate: "P0001".to_owned(), message });
        let short = shortened(long);
        let lengths: Vec<_> = short.parameters.iter().map(|value| value.as_deref().map(str::len)).collect();
        assert_eq!((short.text.len(), short.text.capacity(), short.cut), (65_536, 65_536, true));
        assert_eq!(lengths, [Some(40_000), None, Some(25_536), Some(0)]);
        let (_, said) = short.error().unwrap();
        assert_eq!((said.len(), said.ends_with('…')), (65_539, true));
        let mut many = statement("SELECT 1");
        many.parameters = vec![None; 65_535];
        let many = shortened(many);
        assert_eq!((many.parameters.len() < 3000, many.cut), (true, true));
        assert!(!shortened(statement("SELECT 1")).cut);
    }

    #[test]
    fn g9_statements_and_all_that_is_kept_of_them_have_one_bound() {
        let mut few = Room::of(2, 1 << 20);
        let one = statement("SELECT 1");
        assert!(few.takes_statement(&one) && few.takes_statement(&one) && !few.is_full());
        assert!(!few.takes_statement(&one) && few.is_full());
        few.gives_back(&one);
        assert!(few.takes_statement(&one));

        let mut small = Room::of(100, 10_000);
        assert!(!small.takes_statement(&statement(&"x".repeat(10_000))));
        assert!(!small.takes_statement(&statement(&"\n".repeat(100))), "lines cost where they are shown");
        let mut given = statement("SELECT $1");
        given.parameters = vec![Some("x".repeat(10_000))];
        assert!(!small.takes_statement(&given));
        assert!(small.takes(9000) && !small.takes(2000) && small.takes(900));
        let error = |message: &str| StatementResult::Error {
            sqlstate: "P0001".to_owned(),
            message: message.to_owned(),
        };
        assert_eq!(small.result(error(&"m".repeat(500))), error(&format!("{}…", "m".repeat(100))));
        assert_eq!(small.result(error("more")), error("…"));
    }
}
