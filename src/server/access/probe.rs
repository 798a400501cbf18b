//! The proof after the proof: a session's credential is tried once more when its
//! role is gone (R10.6). It comes after the end and delays nobody's.

use super::{Access, AccessError};
use crate::core::model::{Event, Notice, NoticeKind, ProbeAnswer, SessionId, Urgency};
use crate::server::gateway::{Live, probe};
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::sleep;

/// At most so many at a time: a thousand sessions that end together are no
/// thousand logins.
pub(super) const AT_ONCE: usize = 4;
/// How often a credential is tried that was let in or could not be tried.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);

/// Whose credential it was.
pub(super) struct Dead<'a> {
    pub session: &'a SessionId,
    pub role: &'a str,
    pub target: &'a str,
    /// When its end was decided.
    pub ended: Timestamp,
    /// `None`: of an earlier process, whose passwords went with it.
    pub live: Option<&'a Live>,
}

impl Access {
    /// Tries it, and puts the answer on record. What cannot be recorded is told in the log.
    pub(super) async fn probe(&self, dead: Dead<'_>) {
        // Only a semaphore that was closed gives none.
        let Ok(_turn) = self.probes.acquire().await else { return };
        if let Err(error) = self.try_probe(&dead).await {
            tracing::warn!(session = %dead.session, %error, "a dead credential was not tried");
        }
    }

    async fn try_probe(&self, dead: &Dead<'_>) -> Result<(), AccessError> {
        let state = self.target(dead.target)?;
        let Some(Live { keys, .. }) = dead.live else {
            // Any password would be refused, and would prove nothing.
            let why = "its password was gone with an earlier process".to_owned();
            return self.record_probe(dead, ProbeAnswer::Unknown { why }).await;
        };
        let mut answer = probe(&state.way, dead.role, keys).await;
        for _ in 1..ATTEMPTS {
            match &answer {
                ProbeAnswer::Refused { .. } => break,
                ProbeAnswer::LetIn => {
                    tracing::error!(session = %dead.session, role = dead.role, target = dead.target, "a dead credential was let in; its role is removed again");
                    self.record_probe(dead, answer.clone()).await?;
                    state.database.close_session(dead.role).await?;
                }
                ProbeAnswer::Unknown { .. } => sleep(PAUSE).await,
            }
            answer = probe(&state.way, dead.role, keys).await;
        }
        self.record_probe(dead, answer).await
    }

    async fn record_probe(&self, dead: &Dead<'_>, answer: ProbeAnswer) -> Result<(), AccessError> {
        let now = crate::os::now();
        let after = now.duration_since(dead.ended);
        let after_ms = u64::try_from(after.as_millis()).unwrap_or_default();
        let told = (answer == ProbeAnswer::LetIn).then(|| alert(dead));
        let event = Event::CredentialProbed { session: dead.session.clone(), answer, after_ms };
        let notices = self.notices.clone();
        self.store
            .write(move |tx| {
                match told {
                    Some(notice) => notices.tell(tx, now, &event, &notice)?,
                    None => tx.record(now, &event)?,
                }
                Ok::<_, AccessError>(())
            })
            .await?;
        self.wake();
        Ok(())
    }
}

fn alert(dead: &Dead<'_>) -> Notice {
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Notice {
        kind: NoticeKind::CredentialAlive,
        urgency: Urgency::High,
        title: format!("a session's credential still works in {} after its end", dead.target),
        facts: vec![
            fact("session", dead.session.as_str()),
            fact("role", dead.role),
            fact("target", dead.target),
            fact("done", "the role is being removed again"),
        ],
        request: None,
        to: Vec::new(),
        thread: Some(dead.session.to_string()),
    }
}
