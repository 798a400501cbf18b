//! One session's recorder: where the gateway's bytes wait, and the task that
//! carries them to disk.

use super::file::Recording;
use super::{Failing, Place, RecordingsError};
use crate::core::recording::{Entry, Kind, push_entry};
use crate::server::journal::JournalError;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

/// A chunk is closed when it has grown to about so many bytes of entries, …
const CHUNK: usize = 1 << 20;
/// … or when its first byte is so old.
const EVERY: Duration = Duration::from_secs(1);
/// Closed chunks that may wait; beyond, who records waits. As much again may be
/// in the writer's hands.
const WAITING: usize = 4;
/// No entry has more bytes of a stream.
const LARGEST_ENTRY: usize = 256 << 10;
/// Pause after a write that failed.
const RETRY: Duration = Duration::from_secs(1);

/// The recording cannot be written, so nothing more may happen that it would miss.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session's recording cannot be written: {0}")]
pub struct NotRecorded(String);

/// Takes what is to be recorded.
#[derive(Default)]
pub struct Recorder {
    state: Mutex<State>,
    /// There is something to write.
    work: Notify,
    /// There is room again, or no hope of any.
    room: Notify,
    connections: AtomicU16,
}

#[derive(Default)]
struct State {
    /// The chunk that is growing; empty while nothing happens.
    growing: Vec<u8>,
    closed: VecDeque<Vec<u8>>,
    failed: Option<Failure>,
    /// Nothing more comes.
    ended: bool,
}

/// Counted among those that fail for as long as it is here, whoever drops it.
struct Failure {
    why: NotRecorded,
    _counted: Failing,
}

impl Recorder {
    /// A number for one more connection of the session.
    pub fn connection(&self) -> u16 {
        self.connections.fetch_add(1, Ordering::Relaxed)
    }

    /// Records bytes of a stream, in entries of a bounded size. They are copied
    /// once, and waited for only while the writer has enough to do.
    /// Cancel-safe but for bytes above 256 KiB, of which the first may stay.
    pub async fn bytes(&self, kind: Kind, connection: u16, bytes: &[u8]) -> Result<(), NotRecorded> {
        for bytes in bytes.chunks(LARGEST_ENTRY) {
            self.entry(kind, connection, bytes).await?;
        }
        Ok(())
    }

    /// Records one entry. Cancel-safe.
    ///
    /// # Errors
    /// While the recording cannot be written.
    pub async fn entry(&self, kind: Kind, connection: u16, bytes: &[u8]) -> Result<(), NotRecorded> {
        loop {
            // Made before looking, so that no word is missed.
            let room = self.room.notified();
            if self.try_entry(kind, connection, bytes)? {
                return Ok(());
            }
            room.await;
        }
    }

    fn try_entry(&self, kind: Kind, connection: u16, bytes: &[u8]) -> Result<bool, NotRecorded> {
        let mut state = self.state();
        if let Some(failed) = &state.failed {
            return Err(failed.why.clone());
        }
        if state.ended {
            return Err(NotRecorded("the session has ended".to_owned()));
        }
        if state.closed.len() >= WAITING {
            return Ok(false);
        }
        let first = state.growing.is_empty();
        push_entry(&mut state.growing, &Entry { kind, connection, at: crate::os::now(), bytes });
        let full = state.growing.len() >= CHUNK;
        if full {
            let chunk = std::mem::take(&mut state.growing);
            state.closed.push_back(chunk);
        }
        drop(state);
        if first || full {
            self.work.notify_one();
        }
        Ok(true)
    }

    /// Nothing more comes: the file is finished, by its own task.
    pub fn finish(&self) {
        self.state().ended = true;
        self.work.notify_one();
        self.room.notify_waiters();
    }

    /// Waits until a chunk is due, and takes all there is. False at the end.
    async fn due(&self) -> (Vec<Vec<u8>>, bool) {
        self.work.notified().await;
        let due = Instant::now() + EVERY;
        while !self.state().is_pressing() && timeout_at(due, self.work.notified()).await.is_ok() {}
        let mut state = self.state();
        let mut chunks: Vec<Vec<u8>> = state.closed.drain(..).collect();
        chunks.extend(Some(std::mem::take(&mut state.growing)).filter(|chunk| !chunk.is_empty()));
        let ended = state.ended;
        drop(state);
        self.room.notify_waiters();
        (chunks, ended)
    }

    /// Says whether it can be written. Returns whether that is news.
    fn set_failed(&self, failed: Option<Failure>) -> bool {
        let news = {
            let mut state = self.state();
            let news = state.failed.is_some() != failed.is_some();
            state.failed = failed;
            news
        };
        self.room.notify_waiters();
        news
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_pressing(&self) -> bool {
        self.ended || !self.closed.is_empty()
    }
}

/// Carries one recording to its end. What cannot be written is tried again for
/// ever, and meanwhile the session gets nothing through.
///
/// `place` is dropped last: where nothing is open any more, nothing fails either.
pub(super) async fn write(place: Place, recorder: Arc<Recorder>, mut recording: Recording) {
    let session = recording.session().clone();
    loop {
        let (chunks, ended) = recorder.due().await;
        let encoded = blocking(recording, move |recording| Ok(recording.encode(chunks)?)).await;
        let Some((kept, told)) = carry(&recorder, &place, encoded).await else { break };
        recording = kept;
        if !tell(&recorder, &place, told).await {
            break;
        }
        if ended {
            if tell(&recorder, &place, vec![recording.end()]).await
                && let Err(error) = recording.rename()
            {
                tracing::warn!(%session, %error, "an ended recording keeps its first name until the next start");
            }
            break;
        }
    }
}

/// Writes what was encoded, for as long as it takes. `None`: it can never be.
async fn carry(
    recorder: &Recorder,
    place: &Place,
    encoded: Result<(Recording, Result<(), RecordingsError>), RecordingsError>,
) -> Option<(Recording, Vec<String>)> {
    let mut recording = match encoded {
        Ok((recording, Ok(()))) => recording,
        Ok((_, Err(error))) | Err(error) => {
            failed(recorder, place, Some(error.to_string()));
            return None;
        }
    };
    loop {
        let written = blocking(recording, |recording| {
            recording.write().map_err(|source: io::Error| RecordingsError::Io {
                path: recording.session().as_str().into(),
                source,
            })
        });
        match written.await {
            Ok((kept, Ok(told))) => {
                failed(recorder, place, None);
                return Some((kept, told));
            }
            Ok((kept, Err(error))) => {
                failed(recorder, place, Some(error.to_string()));
                recording = kept;
                sleep(RETRY).await;
            }
            Err(error) => {
                failed(recorder, place, Some(error.to_string()));
                return None;
            }
        }
    }
}

/// Puts lines on the ledger. False when that will never be possible.
async fn tell(recorder: &Recorder, place: &Place, lines: Vec<String>) -> bool {
    for line in lines {
        // The ledger tries again by itself; its failure stops statements already.
        while let Err(error) = place.0.journal.append(crate::os::now(), line.clone()).await {
            failed(recorder, place, Some(error.to_string()));
            if matches!(error, JournalError::Closed) {
                return false;
            }
            sleep(RETRY).await;
        }
        failed(recorder, place, None);
    }
    true
}

/// Says that it cannot be written, and why, or that it can again.
fn failed(recorder: &Recorder, place: &Place, why: Option<String>) {
    let failure =
        why.as_ref().map(|why| Failure { why: NotRecorded(why.clone()), _counted: Failing::of(&place.0) });
    if recorder.set_failed(failure) {
        match why {
            Some(why) => tracing::error!(%why, "a session is stopped: its recording cannot be written"),
            None => tracing::info!("a session's recording is written again"),
        }
    } else if let Some(why) = why {
        tracing::debug!(%why, "a recording is not written");
    }
}

/// Does what may block on a thread that may.
async fn blocking<T: Send + 'static>(
    mut recording: Recording,
    work: impl FnOnce(&mut Recording) -> Result<T, RecordingsError> + Send + 'static,
) -> Result<(Recording, Result<T, RecordingsError>), RecordingsError> {
    let done = tokio::task::spawn_blocking(move || {
        let result = work(&mut recording);
        (recording, result)
    });
    done.await.map_err(|_| RecordingsError::BrokenOff)
}

#[cfg(test)]
mod tests {
    use super::super::Recordings;
    use super::*;
    use crate::core::model::SessionId;
    use crate::server::journal::{Journal, Options};

    struct Bench {
        journal: Journal,
        recordings: Recordings,
        _dir: tempfile::TempDir,
    }

    fn bench() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(&dir.path().join("ledger"), Options::default()).unwrap();
        let recordings = Recordings::open(&dir.path().join("recordings"), None, journal.clone()).unwrap();
        Bench { journal, recordings, _dir: dir }
    }

    /// Until it says no.
    async fn refused(recorder: &Recorder) -> NotRecorded {
        let refused = async {
            loop {
                if let Err(refused) = recorder.entry(Kind::Statement, 0, b"{}").await {
                    return refused;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout_at(Instant::now() + Duration::from_secs(20), refused).await.expect("it must not go on")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn g1_where_the_ledger_takes_nothing_more_a_recorded_session_gets_no_further() {
        let Bench { journal, recordings, _dir } = bench();
        let recorder = recordings.begin(&SessionId::from_stored("ses-1")).await.unwrap();
        recorder.entry(Kind::Statement, 0, b"{}").await.unwrap();
        journal.close().await.unwrap();
        refused(&recorder).await;
        recordings.settled(Duration::from_secs(20)).await;
        assert!(recorder.entry(Kind::Statement, 0, b"{}").await.is_err(), "for good");
        assert_eq!(recordings.failing(), 1);
        drop(recorder);
        assert_eq!(recordings.failing(), 0, "what is over fails no more");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_that_can_never_be_written_is_counted_until_its_session_is_over() {
        let Bench { recordings, _dir, .. } = bench();
        let place = Place(Arc::clone(&recordings.0));
        recordings.0.open.send_modify(|open| *open += 1);
        let recorder = Recorder::default();
        assert!(carry(&recorder, &place, Err(RecordingsError::BrokenOff)).await.is_none());
        assert!(recorder.entry(Kind::Statement, 0, b"{}").await.is_err());
        assert_eq!(recordings.failing(), 1);
        failed(&recorder, &place, Some("again".to_owned()));
        assert_eq!(recordings.failing(), 1, "once");
        failed(&recorder, &place, None);
        assert_eq!(recordings.failing(), 0);
    }
}
