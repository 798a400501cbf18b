use super::Context;
use super::connect::{End, finish};
use super::exec::{self, query_failed};
use super::request::length;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::hold::Ended;
use crate::cli::output::{self, Format, OutputArgs, note, spinner};
use crate::cli::script::{hazards, in_pieces, revision, told};
use crate::cli::session::{Live, Way, greeting, shell_quoted};
use crate::cli::session_files::sweep;
use crate::core::guard::INVALID_INDEXES;
use crate::core::migration::{Piece, pieces, remaining};
use crate::core::model::{
    AccessRequest, Compared, ErrorKind, Grant, Hazard, Migration, RequestState, RunState, ScriptComparison,
    ScriptStatement, TableName, needed,
};
use crate::os;
use crate::proto::{Compare, RequestView};
use serde_json::json;
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// Run the reviewed script of a request, exactly as it was approved.
///
/// Runs as the owner of what it changes: in one transaction where PostgreSQL
/// allows, else in the fewest pieces, which are said before anything starts. Stops
/// at the first error, and says what was done, what was rolled back and what was
/// not run. Run again after that, it goes on behind what was committed; nothing is
/// tried twice by itself. Ctrl-C cancels the statement that runs and rolls its
/// piece back. With --output json each step is a line of JSON on stdout.
#[derive(Clone, Debug, clap::Args)]
pub struct MigrateArgs {
    /// The request's id, or a unique prefix of it
    id: String,
    /// How long a statement waits for a lock, while others wait behind it
    #[arg(long, value_name = "TIME", value_parser = length, default_value = "5s")]
    lock_timeout: Duration,
    /// How long a statement may run; the server's usual limit when left out
    #[arg(long, value_name = "TIME", value_parser = length)]
    statement_timeout: Option<Duration>,
    /// Where nobody can tell how far an earlier run came: go on at this statement,
    /// after you have looked at the database
    #[arg(long, value_name = "NUMBER")]
    from: Option<usize>,
    /// Say in which pieces it would run and what may go wrong, and run nothing; also
    /// before it is approved, for who decides about it
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl MigrateArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        if self.output.output == Format::Csv {
            return Err(CliError::usage("a migration is no list: its steps are lines for people, or JSON")
                .hint("--output json"));
        }
        sweep(os::now())?;
        let (client, endpoint) = (context.client()?, context.endpoint()?);
        let view = client.request_by_id(&self.id).await?;
        let request = &view.request;
        let Some(script) = &request.migration else { return Err(no_script(request)) };
        if self.dry_run {
            let waits = view.grant.is_none();
            let from = if waits { 0 } else { self.begin(&client, request).await? };
            return self.say_plan(script, from).map(|()| 0);
        }
        let grant = granted(&view)?;
        let from = self.begin(&client, request).await?;
        self.say_plan(script, from)?;
        let mut live = Live::open(client, &endpoint, &grant, Way::Tunnel { port: None }).await?;
        note(&greeting(&live, &grant));
        let end = self.migrate(&mut live, request, script, from).await;
        finish(live, end).await
    }

    /// Where it seems to go on, before there is a session: one that still runs it
    /// is for the server to keep or to end.
    async fn begin(&self, client: &Client, request: &AccessRequest) -> Result<usize, CliError> {
        let comparison = client.compare(request.id.as_str(), &Compare::default()).await?;
        if comparison.statements.iter().any(|one| one.state == RunState::Open) {
            let ran = |one: &&Compared| one.state == RunState::Ran;
            return Ok(comparison.statements.iter().take_while(ran).count());
        }
        self.next(&comparison, request)
    }

    /// The index of the first statement to run, by the ledger.
    fn next(&self, comparison: &ScriptComparison, request: &AccessRequest) -> Result<usize, CliError> {
        match (remaining(comparison), self.from) {
            (Ok(None), _) => Err(CliError::new(ErrorKind::Conflict, "the script was applied already, all of it")
                .hint(format!("dbaccess audit compare {} shows when", request.id))),
            (Ok(Some(next)), None) => Ok(next),
            (Ok(Some(next)), Some(_)) => Err(CliError::usage(format!(
                "--from is for when nobody can tell how far it came: this script goes on at statement {}",
                next + 1
            ))),
            (Err(_), Some(from)) if (1..=comparison.statements.len()).contains(&from) => Ok(from - 1),
            (Err(_), Some(_)) => {
                Err(CliError::usage(format!("--from takes 1 to {}", comparison.statements.len())))
            }
            (Err((kind, why)), None) => Err(CliError::new(kind, "it cannot be told where this script goes on")
                .why(why)
                .hint(format!(
                    "look at the database, then say: dbaccess migrate {} --from NUMBER\ndbaccess audit compare {} \
                     shows what was run",
                    request.id, request.id
                ))),
        }
    }

    fn say_plan(&self, script: &Migration, from: usize) -> Result<(), CliError> {
        let pieces = pieces(&script.statements, from);
        if self.output.output == Format::Json {
            let piece = |piece: &Piece| json!({"statements": numbers(piece.statements.clone()), "in_transaction": piece.in_transaction});
            let pieces: Vec<_> = pieces.iter().map(piece).collect();
            let of = |(index, statement): (usize, &ScriptStatement)| {
                let one = |hazard: &Hazard| json!({"statement": index + 1, "hazard": hazard});
                statement.hazards.iter().map(one).collect::<Vec<_>>()
            };
            let hazards: Vec<_> = script.statements.iter().enumerate().skip(from).flat_map(of).collect();
            return self.event(&json!({
                "event": "plan", "script": script.name, "sha256": script.sha256, "revision": script.revision,
                "from": from + 1, "pieces": pieces, "hazards": hazards,
            }));
        }
        let mut lines = vec![format!("{} ({}): {}", script.name, revision(script), in_pieces(script, from))];
        if from > 0 {
            lines.push(format!("  {} committed by an earlier run", range(0..from)));
        }
        for piece in &pieces {
            let how = if piece.in_transaction {
                "in one transaction"
            } else {
                "by itself, outside of a transaction"
            };
            lines.push(format!("  {} {how}", range(piece.statements.clone())));
            for statement in script.statements.get(piece.statements.clone()).unwrap_or_default() {
                lines.push(format!("      {}", told(statement)));
                if self.dry_run {
                    lines.extend(hazards(statement, 8, output::width_of_stdout()).lines().map(str::to_owned));
                }
            }
        }
        if self.dry_run {
            let text = lines.iter().map(|line| format!("{}\n", output::clean(line))).collect::<String>();
            return output::result(&text);
        }
        note(&lines.join("\n"));
        Ok(())
    }

    fn event(&self, event: &serde_json::Value) -> Result<(), CliError> {
        if self.output.output == Format::Json { output::result(&format!("{event}\n")) } else { Ok(()) }
    }

    async fn migrate(
        &self,
        live: &mut Live,
        request: &AccessRequest,
        script: &Migration,
        planned: usize,
    ) -> Result<End, CliError> {
        // An earlier session may have committed more before this one took its place.
        let comparison = live.client.compare(request.id.as_str(), &Compare::default()).await?;
        let from = self.next(&comparison, request)?;
        if from != planned {
            self.say_plan(script, from)?;
        }
        let (client, driving) = exec::connect(live, "dbaccess migrate").await?;
        let mut run =
            Run { args: self, script, client, live, stopped_by: None, committed: from, piece: from..from };
        let halted = run.all(&pieces(&script.statements, from)).await;
        let end = match halted {
            Ok(()) => {
                self.event(&json!({"event": "done", "statements": script.statements.len()}))?;
                note(&format!("done: {} committed", range(0..script.statements.len())));
                Ok(End::Signalled { code: 0 })
            }
            Err(halt) => run.account(halt, request).await,
        };
        driving.abort();
        end
    }
}

/// The grant that lets the script run, or why there is none.
fn granted(view: &RequestView) -> Result<Grant, CliError> {
    let request = &view.request;
    let error = |kind, what: &str| Err(CliError::new(kind, format!("request {} {what}", request.id)));
    match (request.state, &view.grant) {
        (RequestState::Granted, Some(grant)) if grant.is_live(os::now()) => Ok(grant.clone()),
        (RequestState::Granted, Some(grant)) if grant.revoked.is_some() => {
            error(ErrorKind::Expired, "was revoked")
        }
        (RequestState::Granted, _) => error(ErrorKind::Expired, "was granted, and its window has ended"),
        (RequestState::Waiting, _) => {
            Err(CliError::new(ErrorKind::Waiting, format!("request {} waits for approval", request.id))
                .why(format!("it needs {}", needed(request.open_slots())))
                .hint(format!("an approver runs: dbaccess approve {}", request.id)))
        }
        (RequestState::Denied, _) => error(ErrorKind::Denied, "was denied"),
        (RequestState::Cancelled, _) => error(ErrorKind::Expired, "was cancelled"),
        (RequestState::Expired, _) => error(ErrorKind::Expired, "lapsed before it was approved"),
    }
}

fn no_script(request: &AccessRequest) -> CliError {
    CliError::usage(format!("request {} came without a script", request.id)).hint(
        "ask with one: dbaccess request TARGET --migrate FILE; or work by hand: dbaccess connect TARGET",
    )
}

/// A migration under way.
struct Run<'a> {
    args: &'a MigrateArgs,
    script: &'a Migration,
    client: tokio_postgres::Client,
    live: &'a mut Live,
    /// The exit code of the signal that asks us to stop.
    stopped_by: Option<u8>,
    /// So many statements are committed, earlier runs' included.
    committed: usize,
    /// The statements of the current piece that were sent: the last may have failed.
    piece: std::ops::Range<usize>,
}

/// Why it does not go on.
enum Halt {
    /// The database or the gateway said no.
    Refused {
        error: CliError,
        /// It may be otherwise in a while, with nothing changed.
        passes: bool,
    },
    /// The connection is gone; `committing`: while a COMMIT was under way.
    Broken { error: CliError, committing: bool },
    /// The session was ended.
    Cut(Ended),
    /// A signal.
    Stopped(u8),
}

impl Run<'_> {
    async fn all(&mut self, pieces: &[Piece]) -> Result<(), Halt> {
        let timeouts = [
            ("lock_timeout", Some(self.args.lock_timeout)),
            ("statement_timeout", self.args.statement_timeout),
        ];
        for (setting, length) in timeouts {
            if let Some(length) = length {
                self.say(&format!("SET {setting} = '{}ms'", length.as_millis()), false).await?;
            }
        }
        for piece in pieces {
            self.piece = piece.statements.start..piece.statements.start;
            if piece.in_transaction {
                self.say("BEGIN", false).await?;
            }
            for index in piece.statements.clone() {
                self.statement(index, !piece.in_transaction).await?;
            }
            if piece.in_transaction {
                self.say("COMMIT", true).await?;
            }
            self.committed = piece.statements.end;
            self.event(&json!({"event": "committed", "statements": numbers(piece.statements.clone())}));
            if let Some(code) = self.stopped_by {
                return Err(Halt::Stopped(code));
            }
        }
        Ok(())
    }

    async fn statement(&mut self, index: usize, alone: bool) -> Result<(), Halt> {
        let script = self.script;
        let Some(statement) = script.statements.get(index) else { return Ok(()) };
        self.piece.end = index + 1;
        let label = format!("{}/{}  {}", index + 1, script.statements.len(), told(statement));
        let (spinner, started) = (spinner(label.clone()), Instant::now());
        let done = self.say(script.text_of(statement), alone).await;
        spinner.finish_and_clear();
        done?;
        let took = started.elapsed();
        self.event(&json!({
            "event": "statement", "number": index + 1, "line": statement.line,
            "ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }));
        note(&format!("{label}  ({} ms)", took.as_millis()));
        match self.stopped_by {
            Some(code) if !alone => Err(Halt::Stopped(code)),
            _ => Ok(()),
        }
    }

    /// Says one thing to the database. `commits`: when it succeeds, something is
    /// committed, so a connection that breaks meanwhile leaves a doubt.
    async fn say(&mut self, sql: &str, commits: bool) -> Result<(), Halt> {
        let cancel = self.client.cancel_token();
        let mut query = pin!(self.client.simple_query(sql));
        let signals = &mut self.live.signals;
        loop {
            let code = tokio::select! {
                done = &mut query => return match done {
                    Ok(_) => Ok(()),
                    Err(_) if self.stopped_by.is_some() => Err(Halt::Stopped(self.stopped_by.unwrap_or(1))),
                    Err(error) if error.as_db_error().is_none() => {
                        Err(Halt::Broken { error: query_failed(&error), committing: commits })
                    }
                    Err(error) => Err(refused(&error)),
                },
                ended = self.live.hold.ended() => return Err(Halt::Cut(ended)),
                _ = signals.interrupt.recv() => 128 + 2,
                _ = signals.terminate.recv() => 128 + 15,
                _ = signals.hang_up.recv() => 128 + 1,
            };
            if self.stopped_by.is_some() {
                // Asked twice: the session's end rolls back what is open.
                return Err(Halt::Stopped(code));
            }
            self.stopped_by = Some(code);
            note("cancelling the statement");
            drop(cancel.cancel_query(NoTls).await);
        }
    }

    /// What was done, what was not, and how to go on.
    async fn account(&mut self, halt: Halt, request: &AccessRequest) -> Result<End, CliError> {
        let (sent, total) = (self.piece.clone(), self.script.statements.len());
        let in_transaction = !sent.is_empty()
            && self.script.statements.get(sent.start).is_some_and(|statement| !statement.alone);
        if in_transaction
            && matches!(halt, Halt::Refused { .. } | Halt::Stopped(_))
            && sent.end > self.committed
        {
            // What cannot be said any more the server rolls back by itself.
            drop(tokio::time::timeout(PATIENCE, self.client.simple_query("ROLLBACK")).await);
        }
        let failed = matches!(halt, Halt::Refused { .. }).then(|| sent.end.checked_sub(1)).flatten();
        let invalid = match (&halt, failed) {
            (Halt::Refused { .. } | Halt::Stopped(_), _) if !in_transaction => {
                self.invalid_indexes(sent.clone()).await
            }
            _ => Vec::new(),
        };
        let doubtful =
            matches!(halt, Halt::Broken { committing: true, .. } | Halt::Cut(_)) && !sent.is_empty();
        let open = self.committed.max(sent.start)..sent.end.max(self.committed);
        let undone = if in_transaction && !doubtful { open.clone() } else { open.end..open.end };
        let mut lines = Vec::new();
        let mut line = |what: &str, statements: std::ops::Range<usize>| {
            if !statements.is_empty() {
                lines.push(format!("{what}: {}", range(statements)));
            }
        };
        line("committed", 0..self.committed);
        line(
            if doubtful { "not known whether committed" } else { "rolled back" },
            if doubtful { open.clone() } else { undone.clone() },
        );
        line("not run", open.end..total);
        lines.extend(invalid.iter().map(|(index, drop)| {
            format!("an invalid index is left: {index}; it is removed, under a grant of its own, by: {drop}")
        }));
        self.event(&json!({
            "event": "stopped",
            "committed": numbers(0..self.committed),
            "rolled_back": numbers(undone),
            "not_known": if doubtful { numbers(open.clone()) } else { Vec::new() },
            "failed": failed.map(|index| index + 1),
            "not_run": numbers(open.end..total),
            "invalid_indexes": invalid.iter().map(|(index, _)| index).collect::<Vec<_>>(),
            "message": match &halt {
                Halt::Refused { error, .. } | Halt::Broken { error, .. } => error.what.clone(),
                Halt::Cut(ended) => format!("the session was ended: {}", ended.reason.as_str()),
                Halt::Stopped(_) => "stopped by a signal".to_owned(),
            },
        }));
        let again = format!("dbaccess migrate {} goes on behind what is committed", request.id);
        match halt {
            Halt::Refused { error, passes: false } => {
                let target = shell_quoted(&request.target);
                let other = format!(
                    "correct what is not committed, and ask with it: dbaccess request {target} --migrate FILE\nor \
                     change what stands in its way, and then: {again}"
                );
                Err(self.explained(error, failed, &lines, &other))
            }
            Halt::Refused { error, .. } | Halt::Broken { error, .. } => {
                Err(self.explained(error, failed, &lines, &again))
            }
            Halt::Cut(ended) => {
                note(&lines.join("\n"));
                Ok(End::Cut(ended))
            }
            Halt::Stopped(code) => {
                note(&format!("stopped\n{}\n{again}", lines.join("\n")));
                Ok(End::Signalled { code })
            }
        }
    }

    fn explained(&self, error: CliError, failed: Option<usize>, lines: &[String], again: &str) -> CliError {
        let at = failed.and_then(|index| self.script.statements.get(index).map(|one| (index + 1, one)));
        let what = match at {
            Some((number, statement)) => format!("statement {number}, {}: {}", told(statement), error.what),
            None => error.what,
        };
        let why: Vec<String> = error.why.into_iter().chain(lines.iter().cloned()).collect();
        let hint: Vec<String> = error.hint.into_iter().chain([again.to_owned()]).collect();
        CliError { kind: error.kind, what, why: Some(why.join("\n")), hint: Some(hint.join("\n")) }
    }

    /// Indexes of the failed statement's tables that PostgreSQL does not use, each
    /// with what removes it (manual, CREATE INDEX, "Building Indexes Concurrently").
    async fn invalid_indexes(&self, sent: std::ops::Range<usize>) -> Vec<(String, String)> {
        let Some(statement) = self.script.statements.get(sent.start) else { return Vec::new() };
        let asked = tokio::time::timeout(PATIENCE, self.client.simple_query(INVALID_INDEXES)).await;
        let Ok(Ok(messages)) = asked else { return Vec::new() };
        let of_it = |message: SimpleQueryMessage| {
            let SimpleQueryMessage::Row(row) = message else { return None };
            let (schema, index, table) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let changed =
                |name: &str| statement.changes.iter().any(|change| *change == format!("{schema}.{name}"));
            let index_name = TableName::new(schema, index);
            (changed(table) || changed(index))
                .then(|| (index_name.to_string(), format!("DROP INDEX CONCURRENTLY {index_name}")))
        };
        messages.into_iter().filter_map(of_it).collect()
    }

    fn event(&self, event: &serde_json::Value) {
        // Whoever reads it has gone: the migration goes on, the ledger has it all.
        drop(self.args.event(event));
    }
}

/// For the last words to a database that may be gone.
const PATIENCE: Duration = Duration::from_secs(5);

fn refused(error: &tokio_postgres::Error) -> Halt {
    let failed = query_failed(error);
    let code = error.code().map(|code| code.code()).unwrap_or_default();
    let error = match code {
        "55P03" => failed.hint(
            "another session holds the lock: try again when it is gone, or with a longer --lock-timeout",
        ),
        "57014" => failed.hint("give it longer, with --statement-timeout, or run it at a quieter time"),
        _ => failed,
    };
    // Locks and conflicts with others, cancelled, out of something, out of order
    // (PostgreSQL manual, appendix A).
    let passes = code == "55P03" || ["40", "53", "57", "58"].iter().any(|class| code.starts_with(class));
    Halt::Refused { error, passes }
}

fn numbers(indexes: std::ops::Range<usize>) -> Vec<usize> {
    indexes.map(|index| index + 1).collect()
}

/// `statement 2`, `statements 2 to 5`.
fn range(indexes: std::ops::Range<usize>) -> String {
    match indexes.len() {
        1 => format!("statement {}", indexes.end),
        _ => format!("statements {} to {}", indexes.start + 1, indexes.end),
    }
}
