//! What became of a script, from the ledger's records of sessions: which of its
//! statements took effect, and what else did (R5.2). The same answer says where
//! an interrupted migration goes on.
//!
//! A statement took effect when it succeeded outside of a transaction block, or
//! when the block's COMMIT was answered with the tag `COMMIT`. A block whose
//! connection ended before that was rolled back by PostgreSQL; where the answer
//! to the COMMIT itself is missing, nobody can tell from here, and it is said.

use crate::core::guard;
use crate::core::model::{
    Compared, ErrorKind, Migration, OtherStatement, Run, RunState, ScriptComparison, SessionId,
    StatementResult,
};
use crate::core::sql::{self, Class, Statement, TxEffect};
use jiff::Timestamp;
use std::collections::HashMap;

/// A statement of a session, from the ledger.
#[derive(Clone, Debug)]
pub struct Ran {
    pub seq: u64,
    pub at: Timestamp,
    pub session: SessionId,
    pub connection: String,
    pub text: String,
    /// The text is without its values.
    pub redacted: bool,
    pub result: Option<StatementResult>,
    pub duration_us: Option<u64>,
    /// The session is over: what it left open was rolled back.
    pub over: bool,
}

/// Compares. `records` are in the order of the ledger. A redacted statement is
/// compared with what the script's would be without its values.
pub fn compare(script: &Migration, records: Vec<Ran>) -> ScriptComparison {
    let facts: Vec<Option<Statement>> = records.iter().map(single).collect();
    let states = fates(&records, &facts);
    let texts: Vec<&str> = script.statements.iter().map(|statement| script.text_of(statement)).collect();
    let mut places: HashMap<(bool, Vec<String>), Vec<usize>> = HashMap::new();
    for (index, text) in texts.iter().enumerate() {
        places.entry((false, words(text))).or_default().push(index);
        if records.iter().any(|record| record.redacted) {
            places.entry((true, words(&sql::redact(text)))).or_default().push(index);
        }
    }
    let mut statements: Vec<Compared> = script
        .statements
        .iter()
        .zip(&texts)
        .zip(1..)
        .map(|((statement, text), number)| Compared {
            number,
            line: statement.line,
            text: (*text).to_owned(),
            state: RunState::NotRun,
            out_of_order: false,
            runs: Vec::new(),
        })
        .collect();
    let mut others = Vec::new();
    let mut sessions: Vec<SessionId> = Vec::new();
    let (mut furthest, mut without_values) = (None, 0);
    for ((record, facts), state) in records.into_iter().zip(facts).zip(states) {
        if !sessions.contains(&record.session) {
            sessions.push(record.session.clone());
        }
        let run = Run {
            session: record.session,
            seq: record.seq,
            at: record.at,
            state,
            message: words_of(record.result.as_ref()),
        };
        // Of equal statements the first that has not taken effect yet.
        let candidates =
            places.get(&(record.redacted, words(&record.text))).map(Vec::as_slice).unwrap_or_default();
        let is_free = |index: &&usize| statements.get(**index).is_some_and(|one| took_effect(one) == 0);
        let place = candidates.iter().find(is_free).or(candidates.last()).copied();
        match place.and_then(|index| statements.get_mut(index).map(|one| (index, one))) {
            Some((index, statement)) => {
                without_values += usize::from(record.redacted);
                if state == RunState::Ran {
                    statement.out_of_order |= furthest.is_some_and(|furthest| index < furthest);
                    furthest = furthest.max(Some(index));
                }
                statement.runs.push(run);
            }
            None if facts.as_ref().is_some_and(is_frame) => {}
            None => {
                let effect = !matches!(
                    state,
                    RunState::Failed | RunState::Refused | RunState::NotRun | RunState::RolledBack
                );
                let differs = effect && !facts.as_ref().is_some_and(only_reads);
                others.push(OtherStatement { text: record.text, run, differs });
            }
        }
    }
    for statement in &mut statements {
        statement.state = match took_effect(statement) {
            0 => statement.runs.last().map_or(RunState::NotRun, |run| run.state),
            1 => RunState::Ran,
            _ => RunState::RanTwice,
        };
    }
    let done = |one: &Compared| one.state == RunState::Ran && !one.out_of_order;
    let alike = statements.iter().all(done) && !others.iter().any(|other| other.differs);
    let same = alike && without_values == 0;
    ScriptComparison { script: script.to_ref(), sessions, statements, others, same, without_values }
}

/// The index of the first statement that has not taken effect; `None` when all
/// have.
///
/// # Errors
/// When it cannot be told where to go on, with why.
pub fn remaining(comparison: &ScriptComparison) -> Result<Option<usize>, (ErrorKind, String)> {
    for one in &comparison.statements {
        let why = match one.state {
            RunState::Unknown => {
                "the connection broke before the database had answered, so nobody knows whether it took effect"
            }
            RunState::Open => "a session is running it now",
            RunState::RanTwice => "it took effect twice",
            _ if one.out_of_order => "it took effect after one that comes later",
            _ => continue,
        };
        return Err((ErrorKind::Conflict, format!("statement {} (line {}): {why}", one.number, one.line)));
    }
    let next = comparison.statements.iter().position(|one| one.state != RunState::Ran);
    let gap =
        comparison.statements.iter().skip(next.unwrap_or(usize::MAX)).find(|one| one.state == RunState::Ran);
    match gap {
        Some(one) => {
            let why = format!(
                "statement {} (line {}) took effect before those in front of it",
                one.number, one.line
            );
            Err((ErrorKind::Conflict, why))
        }
        None => Ok(next),
    }
}

fn took_effect(statement: &Compared) -> usize {
    statement.runs.iter().filter(|run| run.state == RunState::Ran).count()
}

fn words_of(result: Option<&StatementResult>) -> Option<String> {
    match result? {
        StatementResult::Error { sqlstate, message }
        | StatementResult::Refused { sqlstate, message }
        | StatementResult::Cut { sqlstate, message } => Some(format!("{message} ({sqlstate})")),
        _ => None,
    }
}

/// A connection's transaction, while the records are gone through.
#[derive(Default)]
struct Block {
    open: bool,
    /// Those that succeeded in it, by their place in the records.
    pending: Vec<usize>,
    savepoints: Vec<(String, usize)>,
    /// Outside of a block: those that may be of one message, and when the last of them was answered.
    message: Vec<usize>,
    answered_us: i64,
}

fn fates(records: &[Ran], facts: &[Option<Statement>]) -> Vec<RunState> {
    let mut states = vec![RunState::NotRun; records.len()];
    let mut blocks: HashMap<(&SessionId, &str), Block> = HashMap::new();
    for (index, (record, facts)) in records.iter().zip(facts).enumerate() {
        let block = blocks.entry((&record.session, &record.connection)).or_default();
        let effect = facts.as_ref().map(|facts| facts.effect).unwrap_or_default();
        let subject = facts.as_ref().and_then(|facts| facts.subject.as_deref());
        let state = block.next(index, record, effect, subject, &mut states);
        if let Some(slot) = states.get_mut(index) {
            *slot = state;
        }
    }
    for (record, block) in records.iter().filter_map(|record| {
        blocks.remove(&(&record.session, record.connection.as_str())).map(|block| (record, block))
    }) {
        let left = if record.over { RunState::RolledBack } else { RunState::Open };
        set(&mut states, &block.pending, left);
    }
    states
}

impl Block {
    /// What became of the next record of this connection, as far as it is known by then.
    fn next(
        &mut self,
        index: usize,
        record: &Ran,
        effect: TxEffect,
        subject: Option<&str>,
        states: &mut [RunState],
    ) -> RunState {
        let tag = match &record.result {
            Some(StatementResult::Refused { .. }) => return RunState::Refused,
            Some(StatementResult::Skipped) => return RunState::NotRun,
            Some(StatementResult::Error { .. }) => {
                if !self.open && self.overlaps(record) {
                    // One message is one transaction: its error undid what came before.
                    set(states, &self.message, RunState::RolledBack);
                }
                return RunState::Failed;
            }
            Some(StatementResult::Ok { tag }) => Some(tag.as_str()),
            Some(StatementResult::Suspended | StatementResult::Cut { .. }) => Some(""),
            Some(StatementResult::Unknown) | None => None,
        };
        let Some(tag) = tag else {
            if matches!(effect, TxEffect::Commit { .. }) && self.open {
                set(states, &std::mem::take(&mut self.pending), RunState::Unknown);
                self.open = false;
            } else if self.open {
                self.pending.push(index);
            }
            let running = record.result.is_none() && !record.over;
            return if running { RunState::Open } else { RunState::Unknown };
        };
        match effect {
            TxEffect::Begin => self.open = true,
            TxEffect::Commit { chain } | TxEffect::Rollback { chain } => {
                let end = if tag == "COMMIT" { RunState::Ran } else { RunState::RolledBack };
                set(states, &std::mem::take(&mut self.pending), end);
                self.savepoints.clear();
                self.open = self.open && chain;
            }
            TxEffect::Savepoint => {
                self.savepoints.push((subject.unwrap_or_default().to_owned(), self.pending.len()));
            }
            TxEffect::RollbackTo => self.roll_back_to(subject.unwrap_or_default(), states),
            TxEffect::Release => {}
            TxEffect::None if self.open => {
                self.pending.push(index);
                return RunState::Open;
            }
            TxEffect::None => {
                if !self.overlaps(record) {
                    self.message.clear();
                }
                self.message.push(index);
                let took = i64::try_from(record.duration_us.unwrap_or(0)).unwrap_or(i64::MAX);
                self.answered_us = record.at.as_microsecond().saturating_add(took);
            }
        }
        RunState::Ran
    }

    /// It was sent before the one in front of it was answered.
    fn overlaps(&self, record: &Ran) -> bool {
        record.at.as_microsecond() < self.answered_us
    }

    fn roll_back_to(&mut self, savepoint: &str, states: &mut [RunState]) {
        let Some(at) = self.savepoints.iter().rposition(|(name, _)| name == savepoint) else { return };
        self.savepoints.truncate(at + 1);
        let kept = self.savepoints.last().map_or(0, |(_, kept)| *kept);
        set(states, &self.pending.split_off(kept.min(self.pending.len())), RunState::RolledBack);
    }
}

fn set(states: &mut [RunState], indexes: &[usize], to: RunState) {
    for index in indexes {
        if let Some(state) = states.get_mut(*index) {
            *state = to;
        }
    }
}

/// The facts of a text that is one statement.
fn single(record: &Ran) -> Option<Statement> {
    let like = record.redacted.then(|| sql::likeness(&record.text));
    let mut statements = sql::analyse(like.as_deref().unwrap_or(&record.text)).ok()?.statements.into_iter();
    statements.next().filter(|_| statements.next().is_none())
}

/// What goes around the statements of any script.
fn is_frame(facts: &Statement) -> bool {
    let timeouts = || facts.settings.iter().all(|setting| guard::is_timeout(&setting.name));
    match facts.class {
        Class::Begin | Class::Commit | Class::Rollback | Class::Show => true,
        Class::Savepoint | Class::Release | Class::RollbackTo => true,
        Class::Set | Class::Reset => timeouts(),
        _ => false,
    }
}

/// Nothing can come of it.
fn only_reads(facts: &Statement) -> bool {
    let reads = |class| {
        matches!(
            class,
            Class::Select | Class::Values | Class::Show | Class::Explain { .. } | Class::Set | Class::Reset
        )
    };
    facts.classes().all(reads)
        && facts.writes.is_empty()
        && !facts.modifying_cte
        && facts.functions.iter().all(guard::is_steady)
}

/// A text without its comments and white space, and without the semicolon that
/// some clients send with it. The gateway compares to the byte; a client that is
/// not `dbaccess migrate` may send a statement without the comment before it.
fn words(text: &str) -> Vec<String> {
    let Ok(scanned) = pg_query::scan(text) else { return vec![text.trim().to_owned()] };
    let is_comment = |token: i32| {
        token == pg_query::protobuf::Token::SqlComment as i32
            || token == pg_query::protobuf::Token::CComment as i32
    };
    let word = |token: &pg_query::protobuf::ScanToken| {
        let range = usize::try_from(token.start).ok()?..usize::try_from(token.end).ok()?;
        text.get(range).map(str::to_owned)
    };
    let mut words: Vec<String> =
        scanned.tokens.iter().filter(|token| !is_comment(token.token)).filter_map(word).collect();
    while words.last().is_some_and(|word| word == ";") {
        words.pop();
    }
    words
}
