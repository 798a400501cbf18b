//! Closing a session (G5): the order that leaves no way back in.
//!
//! NOLOGIN → terminate → wait until gone → give objects away and drop
//! privileges, in every database → DROP ROLE. A mere REVOKE leaves open cursors
//! running, and DROP ROLE alone succeeds under a live session.
//!
//! Sessions on a standby end before anything is dropped on the primary: their
//! transactions would hold up the replay of that. And a standby that has not
//! replayed NOLOGIN would let the role in again, so until it has, the role
//! stays, locked, and nobody is told that it is gone.

use super::control::Control;
use super::{ProvisionError, Target};
use std::time::{Duration, Instant};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

/// How long terminated backends may take to go. One that is deep in an
/// uninterruptible call takes longer: the caller tries again.
const PATIENCE: Duration = Duration::from_secs(5);
/// Rounds of disposing of objects and dropping the role: each starts over when
/// something new turned up.
const ROUNDS: usize = 4;

/// The steps of a session's end, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// No new connection.
    Lock,
    /// No connection left; running statements cancelled. From here on the
    /// credential is dead.
    End,
    /// Objects given away in the other databases.
    Dispose,
    /// The role dropped.
    Drop,
}

impl Step {
    /// As the record names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::End => "end",
            Self::Dispose => "dispose",
            Self::Drop => "drop",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct StepTime {
    pub step: Step,
    pub took: Duration,
}

/// How a session's role went.
#[derive(Clone, Debug)]
pub struct Closed {
    /// False: there was no such role, from an earlier attempt or ever.
    pub existed: bool,
    /// Connections that had to be terminated.
    pub terminated: i32,
    /// Other databases where it had left something.
    pub cleaned: Vec<String>,
    pub steps: Vec<StepTime>,
}

impl Closed {
    /// From the call until the role was proven gone.
    pub fn took(&self) -> Duration {
        self.steps.iter().map(|step| step.took).sum()
    }
}

impl Target {
    /// Ends a session for good. Every step is idempotent: call it again after
    /// any error, from any process. A role that is gone is a success.
    ///
    /// Cancel-safety: safe; what was reached stays reached.
    pub async fn close_session(&self, role: &str) -> Result<Closed, ProvisionError> {
        let mut closed = Closed { existed: true, terminated: 0, cleaned: Vec::new(), steps: Vec::new() };
        let parameters = [(&role as _, Type::TEXT)];

        let started = Instant::now();
        let rows = self.ending.call("SELECT dbaccess.lock_session($1)", &parameters).await?;
        closed.existed = rows.first().is_some_and(|row| row.get(0));
        closed.timed(Step::Lock, started);
        if !closed.existed {
            return Ok(closed);
        }

        for _ in 0..ROUNDS {
            let started = Instant::now();
            closed.terminated = closed.terminated.max(self.end_everywhere(role).await?);
            closed.timed(Step::End, started);

            let started = Instant::now();
            let answer = self.closing.call_once("SELECT dbaccess.close_session($1)", &parameters).await?;
            let elsewhere: Vec<String> = match answer {
                Ok(rows) => rows.first().map(|row| row.get(0)).unwrap_or_default(),
                // Slipped in before the lock was seen, or lost with the connection: once more.
                Err(super::error::Failure::Sql(code, _)) if code == SqlState::OBJECT_IN_USE => continue,
                Err(super::error::Failure::Lost(_)) => continue,
                Err(failure) => return Err(self.closing.error(failure)),
            };
            closed.timed(Step::Drop, started);
            if elsewhere.is_empty() {
                return Ok(closed);
            }

            let started = Instant::now();
            for database in elsewhere {
                self.dispose_owned(&database, role).await?;
                closed.cleaned.push(database);
            }
            closed.timed(Step::Dispose, started);
        }
        Err(ProvisionError::StillConnected { role: role.to_owned(), connections: closed.terminated })
    }

    /// On the standby too, if the target is one. What fails there does not keep
    /// connections on the primary alive.
    async fn end_everywhere(&self, role: &str) -> Result<i32, ProvisionError> {
        let Some(standby) = &self.standby else {
            return self.end_connections(role).await;
        };
        let (there, here) = tokio::join!(standby.end(role), self.end_connections(role));
        Ok(here? + there?)
    }

    /// Terminates until nothing is left. Returns how many there were at first.
    async fn end_connections(&self, role: &str) -> Result<i32, ProvisionError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        let mut first = None;
        loop {
            let rows =
                self.ending.call("SELECT dbaccess.end_connections($1)", &[(&role, Type::TEXT)]).await?;
            let left: i32 = rows.first().map_or(0, |row| row.get(0));
            let terminated = *first.get_or_insert(left);
            if left == 0 {
                return Ok(terminated);
            }
            if started.elapsed() > PATIENCE {
                return Err(ProvisionError::StillConnected { role: role.to_owned(), connections: left });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Cleans up in a database other than the target's own.
    pub(super) async fn dispose_owned(&self, database: &str, role: &str) -> Result<(), ProvisionError> {
        let control = Control::new(&self.writable, database)?;
        control.call("SELECT dbaccess.dispose_owned($1)", &[(&role, Type::TEXT)]).await.map(drop)
    }
}

impl Closed {
    fn timed(&mut self, step: Step, started: Instant) {
        self.steps.push(StepTime { step, took: started.elapsed() });
    }
}
