//! What is printed and where: results on stdout, everything else on stderr.
//! Text that came from elsewhere is made harmless to the terminal first.

use super::error::CliError;
pub use crate::core::csv::csv_line;
use crate::core::model::{ErrorKind, format_duration};
use crate::core::text::is_misleading;
use comfy_table::{
    Attribute, Cell, Color, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle,
};
use jiff::Timestamp;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

/// How a list is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people; fits the terminal.
    #[default]
    Table,
    /// For programs; the keys are stable.
    Json,
    /// For spreadsheets (RFC 4180).
    Csv,
}

/// The flag that every list has.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct OutputArgs {
    /// How to print the result.
    #[arg(long, short = 'o', value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Format,
}

/// Rows as people see them, beside the values as programs see them.
pub struct Listing {
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    /// Said on stderr in place of an empty table.
    pub empty: &'static str,
}

impl Listing {
    pub fn new<const N: usize>(header: [&'static str; N], empty: &'static str) -> Self {
        Self { header: header.to_vec(), rows: Vec::new(), empty }
    }

    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// For people: a column in which nothing is said only takes room.
    fn without_empty_columns(&self) -> Self {
        let said =
            |column: usize| self.rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()));
        let kept: Vec<usize> = (0..self.header.len()).filter(|column| said(*column)).collect();
        let of = |row: &Vec<String>| kept.iter().filter_map(|column| row.get(*column).cloned()).collect();
        Self {
            header: kept.iter().filter_map(|column| self.header.get(*column).copied()).collect(),
            rows: self.rows.iter().map(of).collect(),
            empty: self.empty,
        }
    }
}

/// Prints a list: `values` for JSON, `listing` for the rest.
pub fn print_list<T: Serialize>(format: Format, listing: &Listing, values: &T) -> Result<(), CliError> {
    match format {
        Format::Json => json(values),
        Format::Csv => {
            let header = listing.header.iter().map(|name| Some(*name));
            result(&csv_line(header))?;
            for row in &listing.rows {
                result(&csv_line(row.iter().map(|cell| Some(cell.as_str()))))?;
            }
            Ok(())
        }
        Format::Table if listing.rows.is_empty() => {
            note(listing.empty);
            Ok(())
        }
        Format::Table if width_of_stdout().is_some_and(|width| width < NARROW) => {
            result(&records(listing, width_of_stdout()))
        }
        Format::Table => {
            let listing = &listing.without_empty_columns();
            let rows = listing.rows.iter().map(|row| row.iter().map(|cell| Cell::new(clean(cell))).collect());
            let header = listing.header.iter().map(|name| name.to_uppercase()).collect();
            let width = width_of_stdout();
            let table = table(header, rows.collect(), width, colour_on_stdout());
            // Two lines are the header's. Beyond two a row, columns are of syllables.
            let readable = width.is_none() || table.lines().count() <= 2 + 2 * listing.rows.len();
            result(&if readable { table } else { records(listing, width) })
        }
    }
}

/// Below this many columns a list is a record a row: columns of three letters tell nothing.
pub const NARROW: u16 = 72;

/// A list as records: the first cell, and below it the others by name.
fn records(listing: &Listing, width: Option<u16>) -> String {
    let label = listing.header.iter().skip(1).map(|name| name.len()).max().unwrap_or(0) + 2;
    let mut text = String::new();
    for (index, row) in listing.rows.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let mut cells = listing.header.iter().zip(row);
        if let Some((name, first)) = cells.next() {
            let number = first.bytes().all(|byte| byte.is_ascii_digit());
            let name = if number { format!("{name} ") } else { String::new() };
            text.push_str(&format!("{name}{}\n", clean(first)));
        }
        for (name, cell) in cells.filter(|(_, cell)| !cell.is_empty()) {
            text.push_str(&field(name, &clean(cell), label, width));
        }
    }
    text
}

/// `  name  text`, the text wrapped at spaces where it is wider than `width`
/// columns, its further lines below its first.
pub fn field(name: &str, text: &str, label: usize, width: Option<u16>) -> String {
    let room = width.map_or(usize::MAX, |width| usize::from(width).saturating_sub(label + 2).max(12));
    let mut shown = String::new();
    let mut name = name;
    if name.chars().count() >= label {
        shown.push_str(&format!("  {name}\n"));
        name = "";
    }
    for line in text.lines().flat_map(|line| wrapped(line, room)) {
        shown.push_str(format!("  {name:<label$}{line}").trim_end());
        shown.push('\n');
        name = "";
    }
    shown
}

/// At most `room` characters a line, broken at spaces where there are any.
pub fn wrapped(line: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in line.split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > room {
            lines.push(String::new());
            used = 0;
        }
        for c in (used > 0).then_some(' ').into_iter().chain(word.chars()) {
            if used == room {
                lines.push(String::new());
                used = 0;
            }
            if let Some(last) = lines.last_mut() {
                last.push(c);
                used += 1;
            }
        }
    }
    lines
}

/// A line below the header and nothing else: easy to read, easy to cut.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none())
    .header_separator(LineStyle::none().fill('─'))
    .content_lines(ContentLineStyle::none());

/// A table that fits `width` columns, or is as wide as it likes without one.
pub fn table(header: Vec<String>, rows: Vec<Vec<Cell>>, width: Option<u16>, colour: bool) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    } else {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(header.into_iter().map(|name| {
        let cell = Cell::new(clean(&name));
        if colour { cell.add_attribute(Attribute::Bold) } else { cell }
    }));
    for row in rows {
        table.add_row(row);
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    format!("{}\n", lines.join("\n"))
}

/// A cell that draws the eye where there is colour.
pub fn coloured(text: &str, colour: Option<Color>) -> Cell {
    let cell = Cell::new(clean(text));
    match colour {
        Some(colour) => cell.fg(colour),
        None => cell,
    }
}

/// Pretty JSON and a line end, on stdout.
pub fn json<T: Serialize>(value: &T) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| CliError::local("the result cannot be written as JSON", error))?;
    result(&format!("{text}\n"))
}

/// JSON on a line of its own, on stdout: one of several that come one after the other.
pub fn json_line<T: Serialize>(value: &T) -> Result<(), CliError> {
    let text = serde_json::to_string(value)
        .map_err(|error| CliError::local("the result cannot be written as JSON", error))?;
    result(&format!("{text}\n"))
}

/// Writes a result to stdout.
///
/// # Errors
/// When stdout cannot be written; a reader that went away (`| head`) is
/// [`ErrorKind::Internal`] with an empty text, which `main` prints nothing for.
pub fn result(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            Err(CliError::new(ErrorKind::Internal, ""))
        }
        Err(error) => Err(CliError::local("the result cannot be written", error)),
    }
}

/// Says a line to the person, on stderr. A stderr that is gone is no reason to stop.
pub fn note(text: &str) {
    let lines: Vec<String> = text.lines().map(clean).collect();
    drop(std::io::stderr().lock().write_all(format!("{}\n", lines.join("\n")).as_bytes()));
}

/// Whether a person is there to be asked: prompts are drawn on stderr.
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// A spinner on stderr, or nothing where stderr is not a terminal.
pub fn spinner(text: String) -> indicatif::ProgressBar {
    if !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let spinner = indicatif::ProgressBar::new_spinner().with_message(text);
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

pub fn colour_on_stderr() -> bool {
    std::io::stderr().is_terminal() && colour_wanted()
}

pub fn colour_on_stdout() -> bool {
    std::io::stdout().is_terminal() && colour_wanted()
}

/// <https://no-color.org>: set and not empty means no colour.
fn colour_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The width to fit, when stdout is a terminal; elsewhere when whoever shows
/// what we print says so by exporting COLUMNS (POSIX, "Environment Variables").
pub fn width_of_stdout() -> Option<u16> {
    columns(std::io::stdout())
}

/// The same for stderr.
pub fn width_of_stderr() -> Option<u16> {
    columns(std::io::stderr())
}

fn columns(stream: impl AsFd + IsTerminal) -> Option<u16> {
    let columns = if stream.is_terminal() {
        rustix::termios::tcgetwinsize(stream).ok()?.ws_col
    } else {
        std::env::var("COLUMNS").ok()?.parse().ok()?
    };
    (columns > 0).then(|| columns.max(20))
}

/// Control characters as `\u{…}`, so that a reason or a table name cannot move
/// the cursor, recolour the screen or forge a prompt. Marks that turn the
/// direction of text, or are not seen, too.
pub fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_misleading(c) && c != '\n' && c != '\t' {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// `lead, security`: all of these.
pub fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().collect::<Vec<_>>().join(", ")
}

/// `5m ago`, `in 1h 30m`, `now`.
pub fn relative(at: Timestamp, now: Timestamp) -> String {
    let seconds = at.as_second() - now.as_second();
    let length = rounded(Duration::from_secs(seconds.unsigned_abs()));
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("in {length}"),
        _ => format!("{length} ago"),
    }
}

/// A length of time in a table: to the minute from five minutes on.
pub fn rounded(length: Duration) -> String {
    let seconds = length.as_secs();
    let kept = match seconds {
        0..300 => seconds,
        300..86_400 => seconds / 60 * 60,
        _ => seconds / 3600 * 3600,
    };
    format_duration(Duration::from_secs(kept))
}

/// The shortest prefixes, of at least six random characters, that tell `ids` apart.
pub fn short_ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> impl Fn(&str) -> String {
    let mut sorted: Vec<&str> = ids.into_iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let shared = |a: &str, b: &str| a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let needed = sorted.windows(2).map(|pair| match pair {
        [a, b] => shared(a, b) + 1,
        _ => 0,
    });
    // Three letters of the kind, the dash, six of the id.
    let length = needed.max().unwrap_or(0).max(10);
    move |id| id.chars().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(width: u16) -> String {
        let rows = [
            ["req-7k2m9p", "ana@example.com", "prod-orders", "read public.orders, public.payments", "in 55m"],
            ["req-x1", "bo@example.com", "staging", "write the whole database", "waiting"],
        ];
        let rows = rows.map(|row| row.iter().map(Cell::new).collect()).to_vec();
        let header = ["ID", "PERSON", "TARGET", "SCOPE", "UNTIL"].map(str::to_owned).to_vec();
        table(header, rows, Some(width), false)
    }

    #[test]
    fn a_table_fits_40_and_80_columns() {
        for width in [40, 80] {
            let shown = sample(width);
            for line in shown.lines() {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
            }
            assert!(!shown.contains('\x1b'), "no colour was asked for");
        }
        let expected = [
            " ID          PERSON           TARGET       SCOPE                     UNTIL",
            "─────────────────────────────────────────────────────────────────────────────",
            " req-7k2m9p  ana@example.com  prod-orders  read public.orders,       in 55m",
            "                                           public.payments",
            " req-x1      bo@example.com   staging      write the whole database  waiting",
            "",
        ];
        assert_eq!(sample(80), expected.join("\n"));
    }

    #[test]
    fn a_list_on_a_telephone_is_a_record_a_row() {
        let mut listing = Listing::new(["id", "state", "scope", "problem"], "");
        let scope = "read public.orders, public.payments, public.averyveryverylongnamethatfillsmore";
        listing.row(["req-7k2m9p", "waiting for lead (you)", scope, ""].map(str::to_owned));
        listing.row(["req-x1", "granted", "read public.orders", ""].map(str::to_owned));
        let expected = [
            "req-7k2m9p",
            "  state    waiting for lead (you)",
            "  scope    read public.orders,",
            "           public.payments,",
            "           public.averyveryverylongnamet",
            "           hatfillsmore",
            "",
            "req-x1",
            "  state    granted",
            "  scope    read public.orders",
            "",
        ];
        assert_eq!(records(&listing, Some(40)), expected.join("\n"));
    }

    #[test]
    fn ids_shorten_to_what_tells_them_apart() {
        let ids = ["req-abcdef111111", "req-abcdef122222", "ses-zzzzzzzzzzzz"];
        let short = short_ids(ids);
        assert_eq!(ids.map(&short), ["req-abcdef11", "req-abcdef12", "ses-zzzzzzzz"].map(str::to_owned));
        let short = short_ids(["req-abcdef111111"]);
        assert_eq!(short("req-abcdef111111"), "req-abcdef");
        assert_eq!(short_ids([])("x"), "x");
    }

    #[test]
    fn times_are_relative() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        for (offset, text) in [
            (0, "now"),
            (59, "in 59s"),
            (-301, "5m ago"),
            (3600, "in 1h"),
            (-90_061, "1d 1h ago"),
            (5399, "in 1h 29m"),
        ] {
            assert_eq!(relative(Timestamp::from_second(1_000_000 + offset).unwrap(), now), text);
        }
    }

    #[test]
    fn text_from_elsewhere_is_harmless() {
        assert_eq!(clean("a\x1b]0;x\x07\u{202e}b\tc\nd"), "a\\u{1b}]0;x\\u{7}\\u{202e}b\tc\nd");
    }
}
