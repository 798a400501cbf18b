//! Where a timeline comes from: the ledger's statements, and of a session that
//! was recorded what they returned.

use super::filling::{Filling, shortened};
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::recorded::{Recorded, each_line, is_no_id, read_key, record_of, session_of};
use crate::core::model::{ErrorKind, SessionId, StatementRecord};
use crate::core::timeline::{Statement, Timeline};
use crate::proto::{AuditQuery, AuditRow};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// What is to be played.
pub struct Asked<'a> {
    /// A session, or a recording's file.
    pub what: &'a str,
    pub key: Option<&'a Path>,
    /// A copy of the ledger, in place of a server's.
    pub ledger: Option<&'a Path>,
}

/// The server's longest page.
const PAGE: u32 = 1000;
/// Of a longer session the newest are played.
const MOST_STATEMENTS: usize = 100_000;

pub async fn load(
    asked: &Asked<'_>,
    client: impl FnOnce() -> Result<Arc<Client>, CliError>,
) -> Result<Timeline, CliError> {
    let secret = asked.key.map(read_key).transpose()?;
    let path = Path::new(asked.what);
    let (mut timeline, recorded) = if path.is_file() {
        let session = session_of(path)?;
        let timeline = match asked.ledger {
            Some(dir) => of_ledger(dir, session.as_str())?.unwrap_or_else(|| Timeline::new(session)),
            None => Timeline::new(session),
        };
        (timeline, Some(Recorded::of_file(path, asked.ledger)?))
    } else if let Some(dir) = asked.ledger {
        let found = of_ledger(dir, asked.what)?;
        let missing =
            || CliError::new(ErrorKind::NotFound, format!("no statement of {} is there", asked.what));
        (found.ok_or_else(missing)?, None)
    } else if is_no_id(asked.what) {
        return Err(CliError::usage(format!("there is no file {}", path.display()))
            .hint("name a recording's file, or a session by its id: dbaccess sessions --all lists them"));
    } else {
        of_server(client()?.as_ref(), asked.what).await?
    };
    if let Some(recorded) = recorded {
        recorded.show(secret.as_ref(), &mut Filling::new(&mut timeline)).await?;
    }
    timeline.statements.sort_by_key(|statement| (statement.at, statement.intent));
    Ok(timeline)
}

async fn of_server(client: &Client, session: &str) -> Result<(Timeline, Option<Recorded>), CliError> {
    let mut rows: Vec<AuditRow> = Vec::new();
    let mut before = None;
    while rows.len() < MOST_STATEMENTS {
        let query = AuditQuery {
            session: Some(session.to_owned()),
            before,
            limit: Some(PAGE),
            ..AuditQuery::default()
        };
        let page = client.audit(&query).await?;
        rows.extend(page.statements);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    if rows.len() >= MOST_STATEMENTS {
        output::note(&format!("the newest {} statements are played: there are more", rows.len()));
    }
    let recorded = match rows.first() {
        Some(row) if !row.recorded => None,
        Some(_) => match Recorded::of_server(client, session).await {
            // Whoever may not see the rows may see the statements.
            Err(error) if error.kind() == ErrorKind::Denied => {
                output::note(&format!("without the rows: {error}"));
                None
            }
            recorded => Some(recorded?),
        },
        // Whether it was recorded, the server says.
        None => Some(Recorded::of_server(client, session).await.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                CliError::new(ErrorKind::NotFound, format!("no statement was run in {session}"))
            }
            _ => error,
        })?),
    };
    let id = rows.first().map_or_else(|| SessionId::from_stored(session), |row| row.session.clone());
    let mut timeline = Timeline::new(id);
    if let Some(row) = rows.first() {
        timeline.person = Some(row.person.clone());
        timeline.target = Some(row.target.clone());
    }
    timeline.statements = rows.into_iter().map(from_row).collect();
    Ok((timeline, recorded))
}

fn from_row(row: AuditRow) -> Statement {
    let (text, cut) = shortened(row.text);
    Statement {
        cut,
        parameters: row.parameters,
        duration_us: row.duration_us,
        rows: row.rows,
        bytes: row.result.is_some().then_some(row.bytes),
        result: row.result,
        ..Statement::begun(row.seq, row.at, &row.connection, text)
    }
}

/// What a copy of the ledger says of the one session whose id begins so.
fn of_ledger(dir: &Path, prefix: &str) -> Result<Option<Timeline>, CliError> {
    let mut timeline: Option<Timeline> = None;
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut other = None;
    each_line(dir, |line| {
        let record = record_of(dir, line)?;
        match serde_json::from_str(&record) {
            Ok(StatementRecord::Intent { session, connection, person, target, text, parameters, .. })
                if session.as_str().starts_with(prefix) =>
            {
                let timeline = timeline.get_or_insert_with(|| Timeline::new(session.as_ref().clone()));
                if timeline.session != *session {
                    other = Some(session.to_string());
                    return Ok(());
                }
                timeline.person = Some(person.into_owned());
                timeline.target = Some(target.into_owned());
                let (text, cut) = shortened(text.into_owned());
                places.insert(line.seq, timeline.statements.len());
                timeline.statements.push(Statement {
                    cut,
                    parameters: parameters.into_owned(),
                    ..Statement::begun(line.seq, line.at, connection.as_str(), text)
                });
            }
            Ok(StatementRecord::Outcome { intent, result, rows, bytes, duration_us, .. }) => {
                let of = places.get(&intent).zip(timeline.as_mut());
                let of = of.and_then(|(place, timeline)| timeline.statements.get_mut(*place));
                if let Some(statement) = of {
                    statement.result = Some(result);
                    (statement.rows, statement.bytes) = (rows, Some(bytes));
                    statement.duration_us = Some(duration_us);
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    match (&timeline, other) {
        (Some(one), Some(other)) => {
            Err(CliError::usage(format!("more than one session begins with {prefix}"))
                .why(format!("{} and {other}, for example", one.session))
                .hint("give more of its id"))
        }
        _ => Ok(timeline),
    }
}
