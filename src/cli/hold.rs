//! Holding a session: the server ends a session whose client is gone, so the
//! client keeps a stream open, and opens it again when the network drops it.

use super::client::Client;
use super::error::CliError;
use super::output::note;
use crate::core::model::{EndReason, ErrorKind};
use crate::os;
use crate::proto::{SessionEvent, SessionSummary};
use futures_util::StreamExt;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Ticks come every few seconds: silence for this long is a dead connection.
/// Shorter than the server's patience with a client that vanished.
const SILENCE: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// When the person is warned, before the end.
const WARNINGS: [Duration; 2] = [Duration::from_secs(300), Duration::from_secs(60)];
/// The server says when the window has ended, and knows why sooner than this.
const SLACK: Duration = Duration::from_secs(2);
/// How long a session is believed in before the server has said when it ends.
const UNKNOWN: Duration = Duration::from_secs(60);
/// The longest line that is kept while its end has not come.
const LINE: usize = 64 * 1024;

/// Why a session ended without the person's doing.
#[derive(Clone, Debug)]
pub struct Ended {
    pub reason: EndReason,
    pub message: String,
    /// What the server said of it, when it already has.
    pub summary: Option<SessionSummary>,
}

/// A held session. Dropping it lets go.
pub struct Hold {
    ended: mpsc::Receiver<Ended>,
    task: JoinHandle<()>,
}

impl Hold {
    /// Holds `session`, warning on stderr before its window ends; `extend` is
    /// what the warning says of going on after that.
    pub fn start(client: Arc<Client>, session: String, until: Timestamp, extend: String) -> Self {
        let (sender, ended) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let (end, known, warned) = (Instant::now(), 0, None);
            let mut holder = Holder { client, session, until, end, known, warned, extend };
            holder.set_end(os::now(), until);
            holder.known = due(holder.left());
            // The server's first tick says how long it is. Until then a clock
            // that runs ahead must not end what has just begun.
            holder.end = holder.end.max(Instant::now() + UNKNOWN);
            let ended = holder.run().await;
            // Nobody waits any more when the session was ended from here.
            drop(sender.send(ended).await);
        });
        Self { ended, task }
    }

    /// Waits for the end of the session. Cancel-safe.
    pub async fn ended(&mut self) -> Ended {
        match self.ended.recv().await {
            Some(ended) => ended,
            None => Ended {
                reason: EndReason::Lost,
                message: "the session is not held any more".into(),
                summary: None,
            },
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Holder {
    client: Arc<Client>,
    session: String,
    until: Timestamp,
    /// `until` by this machine's steady clock, so that a wrong wall clock does no harm.
    end: Instant,
    /// How many warnings the greeting's time left was past already.
    known: usize,
    /// How many warnings are past. `None`: the server has not said yet when it ends.
    warned: Option<usize>,
    extend: String,
}

impl Holder {
    async fn run(&mut self) -> Ended {
        let (mut retry, mut lost) = (FIRST_RETRY, false);
        loop {
            match self.client.session_events(&self.session).await {
                Ok(response) => {
                    if lost {
                        note("connected to the server again");
                    }
                    (retry, lost) = (FIRST_RETRY, false);
                    if let Some(ended) = self.listen(response).await {
                        return ended;
                    }
                }
                // The server knows no such session any more: it ended while we were away.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Expired) => {
                    // Why, it says when the session is closed.
                    return Ended { reason: EndReason::Lost, message: error.what, summary: None };
                }
                Err(error) if !lost => {
                    lost = true;
                    self.say_lost(&error);
                }
                Err(_) => {}
            }
            if self.is_over() {
                return self.window_ended();
            }
            tokio::time::sleep_until((Instant::now() + retry).min(self.end + SLACK)).await;
            retry = (retry * 2).min(LONGEST_RETRY);
        }
    }

    fn say_lost(&self, error: &CliError) {
        note(&format!("{error}; trying again, or the session ends"));
    }

    /// Reads one stream to its end; `None` when it broke off.
    async fn listen(&mut self, response: reqwest::Response) -> Option<Ended> {
        let mut chunks = response.bytes_stream();
        let mut pending = Vec::new();
        let mut heard = Instant::now();
        loop {
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk,
                () = tokio::time::sleep_until(self.next_moment(heard)) => {
                    self.warn();
                    if self.is_over() {
                        return Some(self.window_ended());
                    }
                    if heard.elapsed() >= SILENCE {
                        return None;
                    }
                    continue;
                }
            };
            let Some(Ok(chunk)) = chunk else { return None };
            heard = Instant::now();
            pending.extend_from_slice(&chunk);
            while let Some(at) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=at).collect();
                match serde_json::from_slice(&line) {
                    Ok(SessionEvent::Tick { now, until }) => {
                        let moved = self.warned.is_some() && until > self.until;
                        self.set_end(now, until);
                        if moved {
                            // The warnings come again before the new end.
                            self.warned = Some(due(self.left()));
                            note(&format!("this session goes on until {until:.0}"));
                        }
                        // Those that were past when it began would say nothing new.
                        self.warned.get_or_insert(due(self.left()).min(self.known));
                    }
                    // Told at once: clients are cut before the role is gone.
                    Ok(SessionEvent::Ending { reason, message }) => {
                        return Some(Ended { reason, message, summary: None });
                    }
                    Ok(SessionEvent::Dead(summary)) => {
                        let message = String::new();
                        return Some(Ended { reason: summary.reason, message, summary: Some(summary) });
                    }
                    // A newer server may say more than this client knows.
                    Err(_) => {}
                }
            }
            if pending.len() > LINE {
                return None;
            }
            self.warn();
        }
    }

    fn set_end(&mut self, now: Timestamp, until: Timestamp) {
        let left = u64::try_from(until.duration_since(now).as_millis()).unwrap_or(0);
        self.until = until;
        self.end = Instant::now() + Duration::from_millis(left);
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    fn is_over(&self) -> bool {
        self.end + SLACK <= Instant::now()
    }

    /// When to look up from the stream: silence, the next warning, or the end.
    fn next_moment(&self, heard: Instant) -> Instant {
        let next = self.warned.and_then(|warned| WARNINGS.get(warned));
        let warning = next.and_then(|before| self.end.checked_sub(*before));
        warning.unwrap_or(self.end + SLACK).min(heard + SILENCE)
    }

    fn warn(&mut self) {
        let (left, Some(warned)) = (self.left(), self.warned) else { return };
        let due = due(left);
        if due > warned && !left.is_zero() {
            let minutes = left.as_secs().div_ceil(60);
            let unit = if minutes == 1 { "minute" } else { "minutes" };
            note(&format!("this session ends in {minutes} {unit}; {}", self.extend));
        }
        self.warned = Some(warned.max(due));
    }

    fn window_ended(&self) -> Ended {
        let message = format!("the window ended at {}", self.until);
        Ended { reason: EndReason::Expired, message, summary: None }
    }
}

/// How many of the warnings come no later than with so much left.
fn due(left: Duration) -> usize {
    WARNINGS.iter().take_while(|before| left <= **before).count()
}
