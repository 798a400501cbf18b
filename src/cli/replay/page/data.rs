//! What the page's script reads: the timeline in a form that is short and needs
//! no reckoning there. Times are microseconds from the session's first moment.

use super::super::Manner;
use super::super::roll::length;
use crate::cli::recorded::outcome;
use crate::core::model::StatementResult;
use crate::core::sql::Shade;
use crate::core::timeline::{Mark, MarkKind, Pace, Statement, Timeline, What, moments};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Data<'t> {
    session: &'t str,
    recorded: bool,
    /// In milliseconds since 1970.
    begins: i64,
    speed: f64,
    /// Stops of the pace: session's time, played time.
    pace: &'t [(u64, u64)],
    /// When, how many statements had begun before, and what is said.
    marks: Vec<(u64, usize, String)>,
    statements: Vec<Row<'t>>,
}

#[derive(Serialize)]
struct Row<'t> {
    intent: u64,
    at: u64,
    /// None while it runs.
    end: Option<u64>,
    connection: &'t str,
    text: &'t str,
    /// Lengths in UTF-16 units, as the script counts, and what each part is.
    parts: Vec<(usize, char)>,
    cut: bool,
    parameters: &'t [Option<String>],
    failed: bool,
    said: String,
    took: Option<String>,
    took_us: u64,
    rows: u64,
    bytes: Option<u64>,
    /// Name, type, whether it is a number.
    columns: Vec<(&'t str, &'t str, bool)>,
    /// So many more, whose names are not on record.
    more_columns: u64,
    grid: &'t [Vec<Option<String>>],
    arrived: Vec<(u64, usize)>,
    /// Whether it went out, and the text.
    copied: Vec<(bool, &'t str)>,
    notices: &'t [String],
    left_out: u64,
}

/// JSON that can stand in a script element: without any `<`, `>` or `&`.
pub fn json(timeline: &Timeline, manner: Manner) -> String {
    let begins = timeline.begins_at();
    let since =
        |at: Timestamp| u64::try_from(at.as_microsecond() - begins.as_microsecond()).unwrap_or_default();
    let moments = moments(timeline);
    let pace = Pace::new(&moments, manner.idle);
    let (mut begun, mut marks) = (0, Vec::new());
    for moment in &moments {
        match moment.what {
            What::Begin(_) => begun += 1,
            What::Mark(index) => {
                marks.extend(timeline.marks.get(index).map(|mark| (moment.at, begun, told(mark))))
            }
            What::Rows { .. } | What::End(_) => {}
        }
    }
    let data = Data {
        session: timeline.session.as_str(),
        recorded: timeline.recorded,
        begins: begins.as_millisecond(),
        speed: manner.speed,
        pace: pace.stops(),
        marks,
        statements: timeline.statements.iter().map(|statement| row(statement, since)).collect(),
    };
    // Texts and numbers: it cannot fail.
    let json = serde_json::to_string(&data).unwrap_or_default();
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn told(mark: &Mark) -> String {
    let what = match &mark.what {
        MarkKind::Connected => "connected",
        MarkKind::Disconnected => "disconnected",
        MarkKind::Told(text) => text,
    };
    format!("{} {what}", mark.connection).trim_start().to_owned()
}

fn row(statement: &Statement, since: impl Fn(Timestamp) -> u64) -> Row<'_> {
    let parts = statement.shaded().into_iter();
    let columns = statement.columns.iter();
    Row {
        intent: statement.intent,
        at: since(statement.at),
        end: statement.ends_at().map(&since),
        connection: &statement.connection,
        text: &statement.text,
        parts: parts.map(|(text, shade)| (text.encode_utf16().count(), letter(shade))).collect(),
        cut: statement.cut,
        parameters: &statement.parameters,
        failed: statement.error().is_some(),
        said: statement
            .result
            .as_ref()
            .map_or_else(|| "running".to_owned(), |result| said(result, statement)),
        took: statement.duration_us.map(length),
        took_us: statement.duration_us.unwrap_or(0),
        rows: statement.rows,
        bytes: statement.bytes,
        columns: columns.map(|one| (one.name.as_str(), one.type_name.as_ref(), one.is_number())).collect(),
        more_columns: statement.more_columns,
        grid: &statement.grid,
        arrived: statement.arrived.iter().map(|arrival| (since(arrival.at), arrival.rows)).collect(),
        copied: statement.copied.iter().map(|copied| (copied.out, copied.text.as_str())).collect(),
        notices: &statement.notices,
        left_out: statement.left_out,
    }
}

fn said(result: &StatementResult, statement: &Statement) -> String {
    outcome(result, statement.rows)
}

fn letter(shade: Shade) -> char {
    match shade {
        Shade::Plain => ' ',
        Shade::Keyword => 'k',
        Shade::Text => 's',
        Shade::Number => 'n',
        Shade::Comment => 'c',
        Shade::Parameter => 'p',
    }
}
