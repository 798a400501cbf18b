//! Holding a session: its client keeps a stream open, and lets go of the
//! session with it.

use super::{Access, AccessError, Caller, why};
use crate::core::model::{ErrorKind, SessionId};
use crate::proto::SessionEvent;
use crate::server::gateway::{Life, Live};
use futures_util::Stream;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How often a held session is told that all is well. A client that hears
/// nothing for several of these connects again.
const TICK: Duration = Duration::from_secs(3);

/// How many clients hold each live session. An entry lives as long as the
/// session is in the registry, so there are as many as live sessions.
#[derive(Default)]
pub(super) struct Holders(Mutex<HashMap<SessionId, watch::Sender<u32>>>);

/// A client's hold on a session, for as long as this lives.
struct Holder(watch::Sender<u32>);

impl Holder {
    fn new(held: watch::Sender<u32>) -> Self {
        held.send_modify(|held| *held += 1);
        Self(held)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

impl Holders {
    /// A new session that nobody holds yet.
    pub(super) fn expect(&self, session: &SessionId) -> watch::Receiver<u32> {
        let held = watch::Sender::new(0);
        let seen = held.subscribe();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(session.clone(), held);
        seen
    }

    fn hold(&self, session: &SessionId) -> Option<Holder> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(session).cloned();
        held.map(Holder::new)
    }

    /// Whether some client holds a live session.
    pub(super) fn is_held(&self, session: &SessionId) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(session).is_some_and(|held| *held.borrow() > 0)
    }

    pub(super) fn forget(&self, session: &SessionId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(session);
    }
}

/// Resolves once nobody has held the session for the whole grace. Cancel-safe.
pub(super) async fn abandoned(mut held: watch::Receiver<u32>, grace: Duration) {
    loop {
        if held.wait_for(|n| *n == 0).await.is_err() {
            return;
        }
        if tokio::time::timeout(grace, held.wait_for(|n| *n > 0)).await.is_err() {
            return;
        }
    }
}

impl Access {
    /// The stream of a session's events; while it is held, so is the session.
    /// Several clients may hold one session: the last one to let go counts.
    pub async fn hold(
        &self,
        caller: &Caller,
        id: String,
    ) -> Result<impl Stream<Item = SessionEvent> + Send + 'static, AccessError> {
        let session = self.own_session(caller, &id).await?;
        let held = self.registry.find(&session.role).zip(self.holders.hold(&session.id));
        let (live, holder) = held.ok_or_else(|| {
            AccessError::new(ErrorKind::Expired, format!("{} has ended", session.id))
                .hint("`dbaccess connect` opens a new one while the grant lasts")
        })?;
        let (life, window) = (live.life(), live.window());
        let next_tick = Instant::now();
        let watching = Watching { live, life, window, said_ending: false, next_tick, _holder: holder };
        Ok(futures_util::stream::unfold(
            Some(watching),
            |watching| async move { Watching::next(watching?).await },
        ))
    }
}

/// One holder's view of a session.
struct Watching {
    live: Arc<Live>,
    life: watch::Receiver<Life>,
    window: watch::Receiver<Timestamp>,
    said_ending: bool,
    next_tick: Instant,
    _holder: Holder,
}

impl Watching {
    async fn next(mut self) -> Option<(SessionEvent, Option<Self>)> {
        loop {
            let life = self.life.borrow_and_update().clone();
            match life {
                Life::Open => {}
                Life::Ended(end) if !self.said_ending => {
                    self.said_ending = true;
                    let event = SessionEvent::Ending { reason: end.reason, message: why(&end) };
                    return Some((event, Some(self)));
                }
                Life::Ended(_) => {}
                Life::Dead(end, latency) => {
                    return Some((
                        SessionEvent::Dead(super::ending::summary_of(&self.live, &end, Some(latency))),
                        None,
                    ));
                }
            }
            tokio::select! {
                changed = self.life.changed() => {
                    changed.ok()?;
                    continue;
                }
                // A new end is told at once.
                changed = self.window.changed() => changed.ok()?,
                () = tokio::time::sleep_until(self.next_tick) => {}
            }
            self.next_tick = Instant::now() + TICK;
            let event = SessionEvent::Tick { now: crate::os::now(), until: self.live.until() };
            return Some((event, Some(self)));
        }
    }
}
