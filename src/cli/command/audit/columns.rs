//! Statements as a table of Parquet: which columns there are, and how they are
//! written. Everything may be null; what the JSON nests is flat here.

use crate::core::model::{ResultColumn, StatementResult};
use crate::proto::AuditRow;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

/// What stands in a column, out of one statement.
#[derive(Clone, Copy)]
enum Column {
    /// Microseconds since 1970, in UTC.
    Time(fn(&AuditRow) -> Option<i64>),
    Number(fn(&AuditRow) -> Option<i64>),
    Flag(fn(&AuditRow) -> Option<bool>),
    Text(fn(&AuditRow) -> Option<&str>),
    /// A list of texts, each of which may be null.
    Texts(fn(&AuditRow) -> Option<Vec<Option<&str>>>),
}

/// Their order and names are what people's queries rest on: add at the end.
const COLUMNS: [(&str, Column); 32] = [
    ("seq", Column::Number(|row| natural(row.seq))),
    ("time", Column::Time(|row| Some(row.at.as_microsecond()))),
    ("person", Column::Text(|row| Some(&row.person.email))),
    ("subject", Column::Text(|row| Some(&row.person.subject))),
    ("target", Column::Text(|row| Some(&row.target))),
    ("session", Column::Text(|row| Some(row.session.as_str()))),
    ("grant", Column::Text(|row| Some(row.grant.as_str()))),
    ("connection", Column::Text(|row| Some(&row.connection))),
    ("text", Column::Text(|row| Some(&row.text))),
    ("parameters", Column::Texts(|row| Some(row.parameters.iter().map(Option::as_deref).collect()))),
    ("verbs", Column::Texts(|row| names(row, "verbs"))),
    ("reads", Column::Texts(|row| names(row, "reads"))),
    ("writes", Column::Texts(|row| names(row, "writes"))),
    ("columns", Column::Texts(|row| names(row, "columns"))),
    ("functions", Column::Texts(|row| names(row, "functions"))),
    ("names_cut", Column::Flag(|row| row.facts.as_ref().map(|facts| facts.get("cut").is_some()))),
    (
        "sensitivity",
        Column::Texts(|row| Some(row.sensitivity.iter().map(|kind| Some(kind.as_str())).collect())),
    ),
    ("result", Column::Text(|row| row.result.as_ref().map(kind))),
    (
        "tag",
        Column::Text(|row| match &row.result {
            Some(StatementResult::Ok { tag }) => Some(tag),
            _ => None,
        }),
    ),
    ("sqlstate", Column::Text(|row| problem(row).map(|(sqlstate, _)| sqlstate))),
    ("message", Column::Text(|row| problem(row).map(|(_, message)| message))),
    ("rows", Column::Number(|row| natural(row.rows))),
    ("bytes", Column::Number(|row| natural(row.bytes))),
    ("duration_us", Column::Number(|row| row.duration_us.and_then(natural))),
    ("export_sha256", Column::Text(|row| row.export.as_ref().map(|export| export.sha256.as_str()))),
    ("export_bytes", Column::Number(|row| row.export.as_ref().and_then(|export| natural(export.bytes)))),
    ("export_rows", Column::Number(|row| row.export.as_ref().and_then(|export| natural(export.rows)))),
    ("recorded", Column::Flag(|row| Some(row.recorded))),
    ("text_sealed", Column::Flag(|row| Some(row.text_sealed))),
    ("message_sealed", Column::Flag(|row| Some(row.message_sealed))),
    ("result_columns", Column::Texts(|row| of_result(row, |column| &column.name))),
    ("result_types", Column::Texts(|row| of_result(row, |column| &column.type_name))),
];

/// No count of ours comes near the difference.
fn natural(number: u64) -> Option<i64> {
    i64::try_from(number).ok()
}

fn names<'r>(row: &'r AuditRow, list: &str) -> Option<Vec<Option<&'r str>>> {
    row.facts.as_ref().map(|_| row.names(list).map(Some).collect())
}

fn of_result(row: &AuditRow, of: fn(&ResultColumn) -> &str) -> Option<Vec<Option<&str>>> {
    row.shape.as_ref().map(|shape| shape.columns.iter().map(|column| Some(of(column))).collect())
}

/// As the JSON spells it; null while it runs.
fn kind(result: &StatementResult) -> &'static str {
    match result {
        StatementResult::Ok { .. } => "ok",
        StatementResult::Suspended => "suspended",
        StatementResult::Error { .. } => "error",
        StatementResult::Refused { .. } => "refused",
        StatementResult::Cut { .. } => "cut",
        StatementResult::Skipped => "skipped",
        StatementResult::Unknown => "unknown",
    }
}

fn problem(row: &AuditRow) -> Option<(&str, &str)> {
    match row.result.as_ref()? {
        StatementResult::Error { sqlstate, message }
        | StatementResult::Refused { sqlstate, message }
        | StatementResult::Cut { sqlstate, message } => Some((sqlstate, message)),
        _ => None,
    }
}

/// A file that is being written, a row group at a time.
pub(super) struct Table<'f>(SerializedFileWriter<BufWriter<&'f File>>);

impl<'f> Table<'f> {
    pub(super) fn begin(file: &'f File) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("dbaccess ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let schema = Arc::new(parse_message_type(&schema())?);
        SerializedFileWriter::new(BufWriter::new(file), schema, Arc::new(properties)).map(Self)
    }

    pub(super) fn write(&mut self, rows: &[AuditRow]) -> Result<()> {
        let mut group = self.0.next_row_group()?;
        for (_, column) in COLUMNS {
            let mut writer = group
                .next_column()?
                .ok_or_else(|| ParquetError::General("the schema lacks a column".into()))?;
            column.write(rows, &mut writer)?;
            writer.close()?;
        }
        group.close().map(drop)
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.0.finish()?;
        Ok(self.0.flush()?)
    }
}

/// In Parquet's own notation.
fn schema() -> String {
    let columns = COLUMNS.iter().map(|(name, column)| match column {
        Column::Time(_) => format!("optional int64 {name} (TIMESTAMP(MICROS,true));"),
        Column::Number(_) => format!("optional int64 {name};"),
        Column::Flag(_) => format!("optional boolean {name};"),
        Column::Text(_) => format!("optional binary {name} (STRING);"),
        Column::Texts(_) => format!(
            "optional group {name} (LIST) {{ repeated group list {{ optional binary element (STRING); }} }}"
        ),
    });
    format!("message statement {{\n{}\n}}", columns.collect::<Vec<_>>().join("\n"))
}

impl Column {
    fn write(self, rows: &[AuditRow], writer: &mut SerializedColumnWriter<'_>) -> Result<()> {
        match self {
            Self::Time(of) | Self::Number(of) => {
                let (values, levels) = present(rows, of);
                writer.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
            }
            Self::Flag(of) => {
                let (values, levels) = present(rows, of);
                writer.typed::<BoolType>().write_batch(&values, Some(&levels), None)?;
            }
            Self::Text(of) => {
                let (values, levels) = present(rows, |row| of(row).map(ByteArray::from));
                writer.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
            }
            Self::Texts(of) => {
                let Lists { values, levels, repeats } = lists(rows, of);
                writer.typed::<ByteArrayType>().write_batch(&values, Some(&levels), Some(&repeats))?;
            }
        }
        Ok(())
    }
}

/// The values that are there, and for each row whether it has one.
fn present<'r, T>(rows: &'r [AuditRow], of: impl Fn(&'r AuditRow) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let mut values = Vec::new();
    let levels = rows.iter().map(|row| of(row).map(|value| values.push(value)).map_or(0, |()| 1)).collect();
    (values, levels)
}

#[derive(Default)]
struct Lists {
    values: Vec<ByteArray>,
    /// 0: no list, 1: an empty one, 2: a null in one, 3: a text in one.
    levels: Vec<i16>,
    /// 0 where a row begins, 1 where its list goes on.
    repeats: Vec<i16>,
}

fn lists<'r>(rows: &'r [AuditRow], of: fn(&'r AuditRow) -> Option<Vec<Option<&'r str>>>) -> Lists {
    let mut lists = Lists::default();
    for row in rows {
        let texts = of(row);
        let mut level = |level, repeat| {
            lists.levels.push(level);
            lists.repeats.push(repeat);
        };
        match &texts {
            None => level(0, 0),
            Some(texts) if texts.is_empty() => level(1, 0),
            Some(texts) => {
                for (place, text) in texts.iter().enumerate() {
                    level(if text.is_some() { 3 } else { 2 }, i16::from(place > 0));
                }
            }
        }
        lists.values.extend(texts.iter().flatten().flatten().map(|text| ByteArray::from(*text)));
    }
    lists
}
