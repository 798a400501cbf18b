//! `--parquet FILE`: all that fits as a file for a warehouse, page after page,
//! with no more in memory than one row group.

use super::PAGE;
use super::columns::Table;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::new_file::{NewFile, cannot_write};
use crate::cli::output::{note, result, spinner};
use crate::proto::{AuditQuery, AuditRow};
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

/// A row group is written at so many statements, or so many bytes of their texts.
const GROUP_ROWS: usize = 50_000;
const GROUP_BYTES: usize = 32 << 20;

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
    let mut table = Table::begin(file.file()).map_err(cannot)?;
    let (mut group, mut bytes, mut written) = (Vec::<AuditRow>::new(), 0, 0);
    let progress = spinner("exporting".to_owned());
    query.limit = Some(PAGE);
    loop {
        let page = client.audit(&query).await?;
        bytes += page.statements.iter().map(size).sum::<usize>();
        group.extend(page.statements);
        query.before = page.next;
        let last = page.next.is_none();
        if !group.is_empty() && (last || group.len() >= GROUP_ROWS || bytes >= GROUP_BYTES) {
            table.write(&group).map_err(cannot)?;
            written += group.len();
            group.clear();
            bytes = 0;
        }
        progress.set_message(format!("exporting: {} statements", written + group.len()));
        if last {
            break;
        }
    }
    table.finish().map_err(cannot)?;
    progress.finish_and_clear();
    Ok(written)
}

/// What of a row may be long.
fn size(row: &AuditRow) -> usize {
    let names = row.facts.as_ref().map_or(0, |facts| facts.to_string().len());
    row.text.len() + names + row.parameters.iter().flatten().map(String::len).sum::<usize>()
}
