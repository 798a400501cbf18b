//! Where a timeline comes from: the ledger's statements, and of a session that
//! was recorded what they returned.

use super::filling::Filling;
use super::room::{Room, of_columns, shortened};
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::recorded::{Recorded, each_line, is_no_id, read_key, record_of, session_of};
use crate::core::model::{ErrorKind, Event, PrunedBy, ResultShape, SessionId, StatementRecord};
use crate::core::recording::AuditorSecret;
use crate::core::timeline::{Mark, MarkKind, Statement, Timeline};
use crate::proto::{AuditQuery, AuditRow};
use std::collections::BTreeMap;
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

/// What can be played.
pub struct Loaded {
    pub timeline: Timeline,
    /// The recording is not what was written: the timeline has what stands before that.
    pub broken: Option<CliError>,
}

/// So many statements are asked for at once: a text may have 16 MiB.
const PAGE: u32 = 100;

/// Says on stderr what the timeline's notes say.
pub async fn load(
    asked: &Asked<'_>,
    client: impl FnOnce() -> Result<Arc<Client>, CliError>,
) -> Result<Loaded, CliError> {
    let secret = asked.key.map(read_key).transpose()?;
    let path = Path::new(asked.what);
    let mut room = Room::default();
    let (mut timeline, recorded) = if path.is_file() {
        let session = session_of(path)?;
        let timeline = match asked.ledger {
            Some(dir) => {
                let copy = of_ledger(dir, session.as_str(), &mut room)?;
                let mut timeline = copy.timeline.unwrap_or_else(|| Timeline::new(session));
                timeline.notes.extend(copy.pruned);
                timeline
            }
            None => Timeline::new(session),
        };
        (timeline, Some(Recorded::of_file(path, asked.ledger)?))
    } else if let Some(dir) = asked.ledger {
        let Copied { timeline, pruned } = of_ledger(dir, asked.what, &mut room)?;
        let Some(mut timeline) = timeline else {
            let missing = pruned.unwrap_or_else(|| format!("no statement of {} is there", asked.what));
            return Err(CliError::new(ErrorKind::NotFound, missing));
        };
        timeline.notes.extend(pruned);
        (timeline, None)
    } else if is_no_id(asked.what) {
        return Err(CliError::usage(format!("there is no file {}", path.display()))
            .hint("name a recording's file, or a session by its id: dbaccess sessions --all lists them"));
    } else {
        of_server(client()?.as_ref(), asked.what, &mut room).await?
    };
    let broken = match recorded {
        Some(recorded) => with_rows(&mut timeline, recorded, secret.as_ref(), &mut room).await?,
        None => None,
    };
    if room.is_full() {
        timeline.notes.push(format!(
            "{} statements are played: there are more, and `dbaccess audit --session {}` lists them",
            timeline.statements.len(),
            timeline.session
        ));
    }
    timeline.statements.sort_by_key(|statement| (statement.at, statement.intent));
    timeline.notes.iter().for_each(|line| output::note(line));
    Ok(Loaded { timeline, broken })
}

/// Adds what the recording has. Gives what is wrong with it.
async fn with_rows(
    timeline: &mut Timeline,
    recorded: Recorded,
    secret: Option<&AuditorSecret>,
    room: &mut Room,
) -> Result<Option<CliError>, CliError> {
    let shown = recorded.show(secret, &mut Filling::new(timeline, room)).await;
    let played = match shown {
        // It is sealed: the statements are the ledger's all the same.
        Err(error) if is_denied(&error) && secret.is_none() && !timeline.statements.is_empty() => {
            timeline.recorded = false;
            timeline.notes.push(without_rows(&error));
            return Ok(None);
        }
        played => played?,
    };
    timeline.notes.extend(played.said);
    let Some(broken) = played.broken else { return Ok(None) };
    let said = format!("{broken}; what was recorded after that is not played");
    let at = played.at.unwrap_or_else(|| timeline.begins_at());
    timeline.notes.push(said.clone());
    timeline.marks.push(Mark { at, connection: String::new(), what: MarkKind::Told(said) });
    Ok(Some(broken.hint(
        "what was played of it before that is as it was written; keep the recording as it is: it is evidence",
    )))
}

fn is_denied(error: &CliError) -> bool {
    error.kind() == ErrorKind::Denied
}

fn without_rows(error: &CliError) -> String {
    format!("without the rows: {error}")
}

async fn of_server(
    client: &Client,
    session: &str,
    room: &mut Room,
) -> Result<(Timeline, Option<Recorded>), CliError> {
    let mut timeline = Timeline::new(SessionId::from_stored(session));
    let (mut before, mut was_recorded) = (None, None);
    loop {
        let query = AuditQuery {
            session: Some(session.to_owned()),
            before,
            limit: Some(PAGE),
            ..AuditQuery::default()
        };
        let page = client.audit(&query).await?;
        if let Some(pruned) = page.recording_pruned.filter(|_| before.is_none()) {
            timeline.notes.push(format!("without the rows: {}", pruned.said("they")));
        }
        was_recorded = page.statements.first().map(|row| row.recorded).or(was_recorded);
        before = page.next;
        if !keep(page.statements, &mut timeline, room) || before.is_none() {
            break;
        }
    }
    let recorded = match was_recorded {
        Some(false) => None,
        Some(true) => match Recorded::of_server(client, session).await {
            // Whoever may not see the rows may see the statements.
            Err(error) if is_denied(&error) => {
                timeline.notes.push(without_rows(&error));
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
    Ok((timeline, recorded))
}

/// Keeps statements that come newest first. Whether there is room for more.
fn keep(page: Vec<AuditRow>, timeline: &mut Timeline, room: &mut Room) -> bool {
    for row in page {
        if timeline.person.is_none() {
            timeline.session = row.session.clone();
            timeline.person = Some(row.person.clone());
            timeline.target = Some(row.target.clone());
        }
        let statement = from_row(row);
        if !room.takes_statement(&statement) {
            return false;
        }
        timeline.statements.push(statement);
    }
    true
}

fn from_row(row: AuditRow) -> Statement {
    let shape = row.shape.unwrap_or_default();
    shortened(Statement {
        parameters: row.parameters,
        duration_us: row.duration_us,
        rows: row.rows,
        bytes: row.result.is_some().then_some(row.bytes),
        result: row.result,
        more_columns: shape.left_out,
        columns: shape.columns,
        ..Statement::begun(row.seq, row.at, &row.connection, row.text)
    })
}

/// What a copy of the ledger has of a session.
struct Copied {
    timeline: Option<Timeline>,
    /// That its statements were pruned, when and by which rule.
    pruned: Option<String>,
}

/// What a copy of the ledger says of the one session whose id begins so: of its
/// statements the newest for which there is room.
fn of_ledger(dir: &Path, prefix: &str, room: &mut Room) -> Result<Copied, CliError> {
    let mut timeline: Option<Timeline> = None;
    let mut statements: BTreeMap<u64, Statement> = BTreeMap::new();
    let (mut other, mut pruned) = (None, None);
    let lacking = each_line(dir, |line| {
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
                let statement = shortened(Statement {
                    parameters: parameters.into_owned(),
                    ..Statement::begun(line.seq, line.at, connection.as_str(), text.into_owned())
                });
                while !room.takes_statement(&statement) {
                    let Some((_, oldest)) = statements.pop_first() else { return Ok(()) };
                    room.gives_back(&oldest);
                }
                statements.insert(line.seq, statement);
            }
            Ok(StatementRecord::Outcome { intent, result, rows, bytes, duration_us, shape, .. }) => {
                if let Some(statement) = statements.get_mut(&intent) {
                    statement.result = Some(room.result(result));
                    (statement.rows, statement.bytes) = (rows, Some(bytes));
                    statement.duration_us = Some(duration_us);
                    if let Some(shape) = shape.filter(|shape| room.takes(of_columns(&shape.columns))) {
                        let ResultShape { columns, left_out } = shape.into_owned();
                        (statement.columns, statement.more_columns) = (columns, left_out);
                    }
                }
            }
            Ok(_) => {}
            Err(_) => {
                if let Ok(Event::StatementsPruned { session, rule, .. }) = serde_json::from_str(&record)
                    && session.as_str().starts_with(prefix)
                {
                    let by = PrunedBy { at: line.at, rule };
                    pruned = Some(by.said(&format!("the statements of {session}")));
                }
            }
        }
        Ok(())
    })?;
    if let (Some(one), Some(other)) = (&timeline, other) {
        return Err(CliError::usage(format!("more than one session begins with {prefix}"))
            .why(format!("{} and {other}, for example", one.session))
            .hint("give more of its id"));
    }
    let gaps = if lacking.is_empty() { "no gap" } else { "no gap but what was pruned" };
    let timeline = timeline.map(|mut timeline| {
        timeline.statements = statements.into_values().collect();
        timeline.notes.push(format!(
            "the copy of the ledger has {gaps} and no edited line; whose signature it bears: `dbaccess ledger verify`"
        ));
        timeline
    });
    Ok(Copied { timeline, pruned })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ledger::{Hash, push_line, segment_name};
    use crate::core::model::{ConnectionId, GrantId, PersonRef, StatementResult};
    use jiff::Timestamp;
    use std::borrow::Cow;

    fn person() -> PersonRef {
        PersonRef { subject: "alice".to_owned(), email: "alice@example.com".to_owned() }
    }

    fn row(seq: u64, text: String) -> AuditRow {
        AuditRow {
            seq,
            at: Timestamp::UNIX_EPOCH,
            person: person(),
            target: "prod".to_owned(),
            session: SessionId::from_stored("ses-1"),
            grant: GrantId::from_stored("grt-1"),
            connection: "con-1".to_owned(),
            text,
            parameters: Vec::new(),
            facts: None,
            sensitivity: Vec::new(),
            result: None,
            rows: 0,
            bytes: 0,
            duration_us: None,
            shape: None,
            export: None,
            text_sealed: false,
            message_sealed: false,
            recorded: false,
        }
    }

    fn kept(timeline: &Timeline) -> Vec<u64> {
        timeline.statements.iter().map(|one| one.intent).collect()
    }

    #[test]
    fn g9_what_the_server_sends_is_shortened_page_by_page() {
        let mut timeline = Timeline::new(SessionId::from_stored("ses"));
        let mut room = Room::of(10, 100_000);
        let page = |newest: u64| (0..2).map(|n| row(newest - n, "x".repeat(1 << 20))).collect();
        assert!(!keep(page(9), &mut timeline, &mut room), "the second has no room");
        assert_eq!((kept(&timeline), timeline.session.as_str(), room.is_full()), (vec![9], "ses-1", true));
        let one = &timeline.statements[0];
        assert_eq!((one.text.len(), one.text.capacity(), one.cut), (65_536, 65_536, true));
    }

    #[test]
    fn g9_of_a_copy_of_the_ledger_the_newest_statements_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (mut bytes, mut last) = (Vec::new(), Hash::ZERO);
        for number in 0..50 {
            let intent = StatementRecord::Intent {
                session: Cow::Owned(SessionId::from_stored("ses-1")),
                grant: Cow::Owned(GrantId::from_stored("grt-1")),
                connection: Cow::Owned(ConnectionId::from_stored("con-1")),
                person: Cow::Owned(person()),
                target: Cow::Borrowed("prod"),
                text: Cow::Borrowed("SELECT 1"),
                parameters: Cow::Borrowed(&[]),
                parameters_sha256: None,
                sealed: None,
                class: Cow::Borrowed("select"),
                facts: None,
            };
            let outcome = StatementRecord::Outcome {
                intent: 2 * number + 1,
                session: Cow::Owned(SessionId::from_stored("ses-1")),
                result: StatementResult::Ok { tag: "SELECT 1".to_owned() },
                rows: number,
                bytes: 1,
                duration_us: 1,
                shape: None,
                export: None,
                sealed: None,
            };
            for record in [&intent, &outcome] {
                let body = serde_json::to_string(record).unwrap();
                let seq = bytes.split(|byte| *byte == b'\n').count() as u64;
                last = push_line(&mut bytes, seq, Timestamp::UNIX_EPOCH, &last, &body);
            }
        }
        std::fs::write(dir.path().join(segment_name(1)), bytes).unwrap();
        let mut room = Room::of(3, 1 << 20);
        let timeline = of_ledger(dir.path(), "ses", &mut room).unwrap().timeline.unwrap();
        assert_eq!((kept(&timeline), room.is_full()), (vec![95, 97, 99], true));
        assert_eq!(timeline.statements[2].rows, 49);
        assert!(timeline.notes[0].contains("ledger verify"), "{:?}", timeline.notes);
        let mut room = Room::default();
        let all = of_ledger(dir.path(), "ses", &mut room).unwrap().timeline.unwrap();
        assert_eq!((all.statements.len(), room.is_full()), (50, false));
        let mut narrow = Room::of(100, 2_000);
        let few = of_ledger(dir.path(), "ses", &mut narrow).unwrap().timeline.unwrap();
        assert!(few.statements.len() < 10 && few.statements.last().unwrap().intent == 99, "{few:?}");
    }
}
