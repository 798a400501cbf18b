//! `exec --export FILE`: one query's rows as a file, with the hash that the
//! server has put on record of what it let out.

use super::exec::query_failed;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::new_file::{NewFile, cannot_write};
use crate::cli::output::{note, result, spinner};
use crate::core::hex::hex;
use crate::core::model::{ErrorKind, Export};
use crate::proto::AuditQuery;
use futures_util::TryStreamExt;
use sha2::{Digest as _, Sha256};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::pin::pin;

#[derive(Clone, Debug, clap::Args)]
pub struct ExportArgs {
    /// Write the rows of one query to a new file that only you can read
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "output")]
    pub export: Option<PathBuf>,
    /// How the file is written: csv with a header, or PostgreSQL's own text
    #[arg(long, value_name = "FORMAT", default_value = "csv", requires = "export")]
    format: FileFormat,
    /// Replace the file if there is one
    #[arg(long, requires = "export")]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FileFormat {
    Csv,
    Text,
}

impl ExportArgs {
    /// Runs the query, writes the file, and compares its hash with the server's.
    /// Whatever fails, no part of a file is left.
    pub(super) async fn write(
        &self,
        api: &Client,
        session: &str,
        database: &tokio_postgres::Client,
        sql: &str,
        path: &Path,
    ) -> Result<(), CliError> {
        let file = NewFile::begin(path, self.force)?;
        let written = self.copy(database, sql, file.file()).await.map_err(|failed| match failed {
            Failed::Query(error) => query_failed(&error),
            Failed::File(error) => cannot_write(path, error),
        })?;
        let Export { sha256, bytes, rows } = recorded(api, session).await?;
        if sha256 != written.sha256 || bytes != written.bytes {
            return Err(CliError::new(
                ErrorKind::Internal,
                "the file is not what the server let out, and was removed",
            )
            .why(format!(
                "the server's record says {bytes} bytes, SHA-256 {sha256}; here arrived {} bytes, SHA-256 {}",
                written.bytes, written.sha256
            ))
            .hint("try again; if it happens again, tell the people who run dbaccess"));
        }
        file.place()?;
        result(&format!("{}\n", path.display()))?;
        note(&format!("{rows} rows, {bytes} bytes, SHA-256 {sha256} (on record)"));
        Ok(())
    }

    async fn copy(
        &self,
        database: &tokio_postgres::Client,
        sql: &str,
        file: &std::fs::File,
    ) -> Result<Written, Failed> {
        let how = match self.format {
            FileFormat::Csv => "FORMAT csv, HEADER",
            FileFormat::Text => "FORMAT text",
        };
        // On a line of its own, so that a comment at its end ends there.
        let query = sql.trim().trim_end_matches(';');
        let copy = format!("COPY (\n{query}\n) TO STDOUT WITH ({how})");
        let progress = spinner("exporting".to_owned());
        let data = database.copy_out(copy.as_str()).await?;
        let mut data = pin!(data);
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let (mut sha256, mut bytes, mut told) = (Sha256::new(), 0_u64, 0);
        while let Some(chunk) = data.try_next().await? {
            sha256.update(&chunk);
            file.write_all(&chunk)?;
            bytes += chunk.len() as u64;
            if bytes >> 20 > told {
                told = bytes >> 20;
                progress.set_message(format!("exporting: {told} MiB"));
            }
        }
        file.flush()?;
        progress.finish_and_clear();
        Ok(Written { sha256: hex(&sha256.finalize()), bytes })
    }
}

/// What arrived here.
struct Written {
    sha256: String,
    bytes: u64,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Query(#[from] tokio_postgres::Error),
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// What the server has on record of the session's one export.
async fn recorded(api: &Client, session: &str) -> Result<Export, CliError> {
    let query = AuditQuery { session: Some(session.to_owned()), ..AuditQuery::default() };
    let page = api.audit(&query).await?;
    page.statements.into_iter().find_map(|row| row.export).ok_or_else(|| {
        CliError::new(ErrorKind::Internal, "the server has no export on record, so the file was removed")
            .hint("the grant must have export: dbaccess request TARGET … --export")
    })
}
