use super::Context;
use super::connect::{End, finish};
use super::export::ExportArgs;
use super::grants::pick;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, OutputArgs, note};
use crate::cli::session::{Live, Way, of_script};
use crate::cli::session_files::sweep;
use crate::core::model::ErrorKind;
use crate::os;
use comfy_table::{Cell, Color};
use futures_util::{StreamExt, TryStreamExt, stream};
use std::pin::pin;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, NoTls, SimpleQueryMessage, SimpleQueryRow};

/// Run SQL in a session of its own and print the result.
///
/// Several statements, separated by semicolons, run as one transaction unless
/// they say otherwise. Values are printed as PostgreSQL writes them. With --output
/// json a query is an array of its rows, and what changes rows the number of them,
/// as rows_affected. With
/// --export one query's rows go to a file, and its hash goes on the record: that
/// takes a grant that has `export`.
#[derive(Clone, Debug, clap::Args)]
pub struct ExecArgs {
    /// The database
    target: String,
    /// The statement or statements
    sql: String,
    /// The grant to use, by id or unique prefix, where several fit
    #[arg(long, value_name = "ID")]
    grant: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    export: ExportArgs,
}

impl ExecArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        sweep(os::now())?;
        let (client, endpoint) = (context.client()?, context.endpoint()?);
        let grant = pick(&client, &self.target, self.grant.as_deref(), |target, id| {
            format!("dbaccess exec {target} --grant {id} 'SQL'")
        })
        .await?;
        if let Some(line) = of_script(&grant) {
            note(&line);
        }
        let mut live = Live::open(client, &endpoint, &grant, Way::Tunnel { port: None }).await?;
        let end = self.execute(&mut live).await;
        finish(live, end).await
    }

    async fn execute(&self, live: &mut Live) -> Result<End, CliError> {
        let (client, driving) = connect(live, "dbaccess exec").await?;
        let cancel = client.cancel_token();
        let session = live.id.to_string();
        let work = async {
            match &self.export.export {
                Some(path) => self.export.write(&live.client, &session, &client, &self.sql, path).await,
                None => print_results(&client, &self.sql, self.output.output).await,
            }
        };
        let mut query = pin!(work);
        let mut cancelled = false;
        let end = loop {
            tokio::select! {
                done = &mut query => break done.map(|()| End::Signalled { code: 0 }),
                ended = live.hold.ended() => break Ok(End::Cut(ended)),
                _ = live.signals.terminate.recv() => break Ok(End::Signalled { code: 128 + 15 }),
                _ = live.signals.hang_up.recv() => break Ok(End::Signalled { code: 128 + 1 }),
                _ = live.signals.interrupt.recv() => {
                    if cancelled {
                        break Ok(End::Signalled { code: 130 });
                    }
                    // The first Ctrl-C stops the statement, as psql's does; a second one stops us.
                    cancelled = true;
                    note("cancelling the statement");
                    drop(cancel.cancel_query(NoTls).await);
                }
            }
        };
        driving.abort();
        match end {
            Err(_) if cancelled => Ok(End::Signalled { code: 130 }),
            other => other,
        }
    }
}

/// A connection through the session's tunnel, and the task that drives it.
pub(super) async fn connect(
    live: &Live,
    application: &str,
) -> Result<(tokio_postgres::Client, JoinHandle<()>), CliError> {
    let connection = &live.connection;
    let mut config = tokio_postgres::Config::new();
    config
        .host(&connection.host)
        .port(connection.port)
        .user(&connection.user)
        .dbname(&connection.database)
        .password(live.password.expose())
        .application_name(application)
        .connect_timeout(std::time::Duration::from_secs(30));
    let (client, mut driver) = config.connect(NoTls).await.map_err(|error| query_failed(&error))?;
    let driving = tokio::spawn(async move {
        let mut messages = stream::poll_fn(|context| driver.poll_message(context));
        // Its errors reach the query, which has words for them.
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notice(notice) = message {
                note(&format!("{}: {}", notice.severity(), notice.message()));
            }
        }
    });
    Ok((client, driving))
}

/// One result set while it comes in. Rows go out as they come; a table is
/// printed in parts of so many rows, each with its header.
struct Results {
    format: Format,
    header: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    printed: u64,
}

const PART: usize = 1000;

async fn print_results(client: &tokio_postgres::Client, sql: &str, format: Format) -> Result<(), CliError> {
    let messages = client.simple_query_raw(sql).await.map_err(|error| query_failed(&error))?;
    let mut messages = pin!(messages);
    let mut current: Option<Results> = None;
    while let Some(message) = messages.try_next().await.map_err(|error| query_failed(&error))? {
        match message {
            SimpleQueryMessage::RowDescription(columns) => {
                let header = distinct(columns.iter().map(|column| column.name()));
                current = Some(Results::begin(format, header)?);
            }
            SimpleQueryMessage::Row(row) => {
                if let Some(results) = &mut current {
                    results.row(&row)?;
                }
            }
            SimpleQueryMessage::CommandComplete(count) => {
                let is_result = current.is_some();
                match current.take() {
                    Some(results) => results.end()?,
                    None if format == Format::Json => {
                        output::json_line(&serde_json::json!({ "rows_affected": count }))?;
                    }
                    None => {}
                }
                note(&match count {
                    0 if !is_result => "done".to_owned(),
                    1 => "1 row".to_owned(),
                    count => format!("{count} rows"),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

impl Results {
    fn begin(format: Format, header: Vec<String>) -> Result<Self, CliError> {
        match format {
            Format::Csv => output::result(&output::csv_line(header.iter().map(|name| Some(name.as_str()))))?,
            Format::Json => output::result("[")?,
            Format::Table => {}
        }
        Ok(Self { format, header, rows: Vec::new(), printed: 0 })
    }

    fn row(&mut self, row: &SimpleQueryRow) -> Result<(), CliError> {
        let values = (0..row.len()).map(|index| row.get(index));
        match self.format {
            Format::Csv => output::result(&output::csv_line(values))?,
            Format::Json => {
                let comma = if self.printed == 0 { "" } else { "," };
                output::result(&format!("{comma}\n  {}", json_object(&self.header, values)))?;
            }
            Format::Table => {
                self.rows.push(values.map(|value| value.map(str::to_owned)).collect());
                if self.rows.len() >= PART {
                    self.print_part()?;
                }
            }
        }
        self.printed += 1;
        Ok(())
    }

    fn end(mut self) -> Result<(), CliError> {
        match self.format {
            Format::Csv => Ok(()),
            Format::Json if self.printed == 0 => output::result("]\n"),
            Format::Json => output::result("\n]\n"),
            // A result without rows still shows its columns.
            Format::Table if self.rows.is_empty() && self.printed > 0 => Ok(()),
            Format::Table => self.print_part(),
        }
    }

    fn print_part(&mut self) -> Result<(), CliError> {
        let colour = output::colour_on_stdout();
        let cells = |row: Vec<Option<String>>| row.into_iter().map(|value| cell(value, colour)).collect();
        let rows = std::mem::take(&mut self.rows).into_iter().map(cells).collect();
        output::result(&output::table(self.header.clone(), rows, output::width_of_stdout(), colour))
    }
}

/// One row as a JSON object, its keys in the order of the columns.
fn json_object<'a>(header: &[String], values: impl Iterator<Item = Option<&'a str>>) -> String {
    let pairs: Vec<String> = header
        .iter()
        .zip(values)
        .map(|(name, value)| {
            format!("{}: {}", serde_json::Value::from(name.as_str()), serde_json::Value::from(value))
        })
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

fn cell(value: Option<String>, colour: bool) -> Cell {
    match value {
        Some(text) => Cell::new(output::clean(&text)),
        None => output::coloured("NULL", colour.then_some(Color::DarkGrey)),
    }
}

/// Column names, told apart where a result has the same one twice: JSON keys must differ.
fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    for name in names {
        let mut candidate = name.to_owned();
        let mut count = 2;
        while seen.contains(&candidate) {
            candidate = format!("{name}_{count}");
            count += 1;
        }
        seen.push(candidate);
    }
    seen
}

/// What the database or the gateway said, with the exit code that fits.
pub(super) fn query_failed(error: &tokio_postgres::Error) -> CliError {
    let Some(database) = error.as_db_error() else {
        let cause = std::error::Error::source(error).map(|cause| cause.to_string());
        if error.to_string().contains("unexpected message") {
            return CliError::usage("exec shows results; it cannot carry COPY's data")
                .hint("dbaccess exec TARGET 'SELECT …' --export FILE");
        }
        let failed = CliError::new(ErrorKind::Unreachable, "the connection through the tunnel failed");
        return failed.why(cause.unwrap_or_else(|| error.to_string()));
    };
    let kind = match database.code().code() {
        "42501" => ErrorKind::Denied,
        "57P01" => ErrorKind::Expired,
        "28000" | "28P01" => ErrorKind::NotSignedIn,
        _ => ErrorKind::Internal,
    };
    let mut failed = CliError::new(kind, format!("{} ({})", database.message(), database.code().code()));
    failed.why = database.detail().map(str::to_owned);
    failed.hint = database.hint().map(str::to_owned);
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_one_name_are_told_apart() {
        assert_eq!(
            distinct(["id", "n", "id", "id_2", "id"].into_iter()),
            ["id", "n", "id_2", "id_2_2", "id_3"]
        );
    }

    #[test]
    fn null_is_null_in_json() {
        let header = ["b\"".to_owned(), "a".to_owned()];
        let object = json_object(&header, [Some("1\n"), None].into_iter());
        assert_eq!(object, r#"{"b\"": "1\n", "a": null}"#);
    }
}
