//! `--parquet FILE`: all that fits as a file for a warehouse, page after page,
//! with no more in memory than one row group.

use super::PAGE;
use super::columns::Table;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::new_file::{NewFile, cannot_write};
use crate::cli::output::{note, result, spinner};
use crate::proto::{AuditQuery, AuditRow};
use parquet::errors::ParquetError;
use std::fs::File;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug, clap::Args)]
pub(super) struct ParquetArgs {
    /// Write all that fit to a new Parquet file that only you can read
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        conflicts_with_all = ["output", "limit", "count_by"]
    )]
    parquet: Option<PathBuf>,
    /// Replace the file if there is one
    #[arg(long, requires = "parquet")]
    force: bool,
}

/// When a row group is full.
#[derive(Clone, Copy)]
struct Bound {
    rows: usize,
    /// Of the statements' texts, names and values.
    bytes: usize,
}

const GROUP: Bound = Bound { rows: 50_000, bytes: 32 << 20 };

impl ParquetArgs {
    pub(super) fn path(&self) -> Option<&Path> {
        self.parquet.as_deref()
    }

    /// Whatever fails, and on Ctrl-C, no part of a file is left.
    pub(super) async fn write(
        &self,
        client: &Client,
        query: AuditQuery,
        path: &Path,
    ) -> Result<u8, CliError> {
        let file = NewFile::begin(path, self.force)?;
        let rows = tokio::select! {
            rows = fill(client, query, &file, path) => rows?,
            _ = tokio::signal::ctrl_c() => return Ok(128 + 2),
        };
        let bytes = file.file().metadata().map_err(|error| cannot_write(path, error))?.len();
        file.place()?;
        result(&format!("{}\n", path.display()))?;
        note(&format!("{rows} statements, {bytes} bytes"));
        Ok(0)
    }
}

async fn fill(
    client: &Client,
    mut query: AuditQuery,
    file: &NewFile,
    path: &Path,
) -> Result<usize, CliError> {
    let cannot = |error| cannot_write(path, std::io::Error::other(error));
    let mut groups = Groups::begin(file.file(), GROUP).map_err(cannot)?;
    let progress = spinner("exporting".to_owned());
    query.limit = Some(PAGE);
    loop {
        let page = client.audit(&query).await?;
        for row in page.statements {
            groups.add(row).map_err(cannot)?;
        }
        progress.set_message(format!("exporting: {} statements", groups.rows()));
        query.before = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let rows = groups.finish().map_err(cannot)?;
    progress.finish_and_clear();
    Ok(rows)
}

/// Statements on their way into a file, of which one row group is in memory.
struct Groups<'f> {
    table: Table<'f>,
    bound: Bound,
    group: Vec<AuditRow>,
    bytes: usize,
    written: usize,
}

impl<'f> Groups<'f> {
    fn begin(file: &'f File, bound: Bound) -> Result<Self, ParquetError> {
        Ok(Self { table: Table::begin(file)?, bound, group: Vec::new(), bytes: 0, written: 0 })
    }

    fn rows(&self) -> usize {
        self.written + self.group.len()
    }

    fn add(&mut self, row: AuditRow) -> Result<(), ParquetError> {
        self.bytes += size(&row);
        self.group.push(row);
        if self.group.len() < self.bound.rows && self.bytes < self.bound.bytes {
            return Ok(());
        }
        self.write()
    }

    fn write(&mut self) -> Result<(), ParquetError> {
        self.table.write(&self.group)?;
        self.written += self.group.len();
        self.group.clear();
        self.bytes = 0;
        Ok(())
    }

    /// How many rows the file has.
    fn finish(mut self) -> Result<usize, ParquetError> {
        if !self.group.is_empty() {
            self.write()?;
        }
        self.table.finish()?;
        Ok(self.written)
    }
}

/// What of a row may be long.
fn size(row: &AuditRow) -> usize {
    let names = row.facts.as_ref().map_or(0, |facts| facts.to_string().len());
    row.text.len() + names + row.parameters.iter().flatten().map(String::len).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;
    use serde_json::json;

    fn statement(seq: u64, text: &str, parameters: &[Option<String>]) -> AuditRow {
        let row = json!({
            "seq": seq, "at": "2026-03-01T10:00:00Z",
            "person": {"subject": "sub-alice", "email": "alice@example.com"},
            "target": "shop", "session": "ses-1", "grant": "grt-1", "connection": "con-1",
            "text": text, "parameters": parameters, "result": null, "rows": 0, "bytes": 0,
            "duration_us": null,
        });
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn row_groups_end_at_their_bound_and_all_rows_are_in_order() {
        let long = "x".repeat(100);
        for (bound, expected) in [
            (Bound { rows: 3, bytes: 1000 }, vec![3, 3, 1]),
            (Bound { rows: 7, bytes: 1000 }, vec![7]),
            // The third text alone is too much.
            (Bound { rows: 4, bytes: 100 }, vec![3, 4]),
            (Bound { rows: 1, bytes: 1000 }, vec![1; 7]),
        ] {
            let file = tempfile::tempfile().unwrap();
            let mut groups = Groups::begin(&file, bound).unwrap();
            // Lists of no, one, two… values, so that none is taken for its neighbour's.
            let texts = ["a", "b", &long, "d", "e", "f", "g"];
            let values =
                |place: usize| (0..place).map(move |value| (value != 1).then(|| format!("{place} {value}")));
            for (place, text) in texts.iter().enumerate() {
                groups.add(statement(place as u64, text, &values(place).collect::<Vec<_>>())).unwrap();
                assert_eq!(groups.rows(), place + 1);
            }
            assert_eq!(groups.finish().unwrap(), texts.len());

            let reader = SerializedFileReader::new(file).unwrap();
            let sizes: Vec<i64> =
                reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
            assert_eq!(sizes, expected);
            let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
            assert_eq!(rows.len(), texts.len());
            for (place, (row, text)) in rows.iter().zip(texts).enumerate() {
                assert_eq!(
                    (row.get_long(0).unwrap(), row.get_string(8).unwrap()),
                    (place as i64, &text.to_owned())
                );
                let list = row.get_list(9).unwrap().elements();
                let found: Vec<Option<String>> = list
                    .iter()
                    .map(|value| match value {
                        parquet::record::Field::Str(text) => Some(text.clone()),
                        _ => None,
                    })
                    .collect();
                assert_eq!(found, values(place).collect::<Vec<_>>());
            }
        }
    }
}
