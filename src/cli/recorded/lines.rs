//! For programs: a JSON object a line. The keys are stable.

use super::{Screen, Shown};
use crate::cli::error::CliError;
use crate::cli::output;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

pub struct JsonLines;

impl Screen for JsonLines {
    fn show(&mut self, at: Timestamp, connection: &str, shown: Shown<'_>) -> Result<(), CliError> {
        let mut line = match shown {
            Shown::Connected => json!({"event": "connected"}),
            Shown::Disconnected => json!({"event": "disconnected"}),
            Shown::Statement { intent, text, cut, .. } => {
                json!({"event": "statement", "intent": intent, "text": text, "cut": cut})
            }
            Shown::Columns(columns) => {
                let one = |column: &crate::wire::postgres::backend::ColumnDescription| json!({"name": column.name, "type_oid": column.type_oid});
                json!({"event": "columns", "columns": columns.iter().map(one).collect::<Vec<Value>>()})
            }
            Shown::Row(values) => json!({"event": "row", "values": values}),
            Shown::LongRow(bytes) => json!({"event": "long_row", "bytes": bytes}),
            Shown::Copied { out, data } => {
                let (direction, data) = (if out { "out" } else { "in" }, data);
                match std::str::from_utf8(data) {
                    Ok(text) => json!({"event": "copy", "direction": direction, "text": text}),
                    Err(_) => {
                        json!({"event": "copy", "direction": direction, "base64": STANDARD.encode(data)})
                    }
                }
            }
            Shown::Error { sqlstate, message } => {
                json!({"event": "error", "sqlstate": sqlstate, "message": message})
            }
            Shown::Ended(message) => json!({"event": "ended", "message": message}),
            Shown::Notice(message) => json!({"event": "notice", "message": message}),
            Shown::Outcome { intent, result, rows } => {
                json!({"event": "outcome", "intent": intent, "result": result, "rows": rows})
            }
        };
        if let Some(line) = line.as_object_mut() {
            line.insert("at".to_owned(), at.to_string().into());
            line.insert("connection".to_owned(), connection.into());
        }
        output::result(&format!("{line}\n"))
    }

    fn finish(&mut self) -> Result<(), CliError> {
        Ok(())
    }
}
