//! What happens on a disk that is full, slow or broken.
#![expect(clippy::await_holding_lock, reason = "a lock that is held is what makes the test's disk wait")]

use super::disk::Disk;
use super::*;
use crate::core::ledger::{Line, Report, Verifier, body_kind};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// A disk with so much room, whose syncs fail when told to; holding a lock makes it wait.
#[derive(Default)]
struct TestDisk {
    used: AtomicU64,
    room: AtomicU64,
    writes: AtomicU64,
    syncs: AtomicU64,
    sync_fails: AtomicBool,
    hold_writes: Mutex<()>,
    hold_syncs: Mutex<()>,
}

impl TestDisk {
    fn with_room(room: u64) -> Arc<Self> {
        Arc::new(Self { room: AtomicU64::new(room), ..Self::default() })
    }
}

impl Disk for TestDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let _held = self.hold_writes.lock();
        self.writes.fetch_add(1, SeqCst);
        let left = self.room.load(SeqCst).saturating_sub(self.used.load(SeqCst));
        let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if taken == 0 {
            return Err(rustix::io::Errno::NOSPC.into());
        }
        self.used.fetch_add(taken as u64, SeqCst);
        file.write_at(&bytes[..taken], offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let _held = self.hold_syncs.lock();
        self.syncs.fetch_add(1, SeqCst);
        if self.sync_fails.load(SeqCst) {
            return Err(rustix::io::Errno::IO.into());
        }
        file.sync_data()
    }
}

fn body(n: u64) -> String {
    format!(r#"{{"kind":"test","n":{n}}}"#)
}

/// Nothing happens but what is asked for.
fn quiet() -> Options {
    Options { flush_every: Duration::from_secs(3600), ..Options::default() }
}

async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not happen within ten seconds");
}

fn verify(dir: &Path) -> Report {
    let mut verifier = Verifier::new(None);
    for name in recover::segments(dir).unwrap() {
        verifier.segment(&name);
        for line in std::fs::read(dir.join(name)).unwrap().split_inclusive(|byte| *byte == b'\n') {
            verifier.line(line);
        }
    }
    verifier.finish()
}

#[tokio::test]
async fn g1_a_full_disk_stops_everything_and_loses_nothing_when_there_is_room_again() {
    full_disk(false).await;
    full_disk(true).await;
}

async fn full_disk(here: bool) {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::with_room(1000);
    let (journal, _) = Journal::open_on(dir.path(), quiet(), disk.clone()).unwrap();
    let now = crate::os::now();
    let mut last = 0;
    let error = loop {
        match journal.append(now, body(last)).await {
            Ok(position) => last = position.0,
            Err(error) => break error,
        }
        let last = Position(last);
        let _ = if here { journal.written_here(last).await } else { journal.written(last).await };
    };
    assert!(error.to_string().contains("No space left"), "{error}");
    assert_eq!(error.kind(), crate::core::model::ErrorKind::Unreachable);
    assert!(journal.health().is_err());
    assert!(journal.written(Position(last)).await.is_err());
    assert!(journal.synced(Position(last)).await.is_err());
    assert!(journal.last_written() < Position(last));
    // What is on the disk is whole all the while: no part of a line stays.
    assert_eq!(verify(dir.path()).broken, None);

    disk.room.store(u64::MAX, SeqCst);
    eventually("recovery", || journal.health().is_ok()).await;
    // The line that failed was kept, and is the next in the chain.
    journal.synced(Position(last)).await.unwrap();
    let after = journal.append(now, body(0)).await.unwrap();
    assert_eq!(after.0, last + 1);
    journal.close().await.unwrap();
    let report = verify(dir.path());
    assert_eq!((report.broken, report.last, report.unsigned), (None, Some(last + 2), 0));
}

/// Writers on many threads, the writer's own among them, with large records and
/// full segments between: nobody waits in vain, and the chain is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn g1_whoever_waits_writes_in_the_writers_place() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 64 << 10, blob_over: 4 << 10, ..Options::default() };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    let tasks = (0..16u64).map(|task| {
        let journal = journal.clone();
        tokio::spawn(async move {
            for n in 0..300 {
                let now = crate::os::now();
                let text = if n % 100 == task { "x".repeat(5 << 10) } else { String::new() };
                let record = format!(r#"{{"kind":"test","n":{n},"text":"{text}"}}"#);
                let position = journal.try_append_soon(now, record).expect("room");
                journal.written_here(position).await.unwrap();
                assert!(journal.last_written() >= position);
                if n % 50 == 0 {
                    journal.synced(position).await.unwrap();
                }
                // An outcome, which nobody waits for.
                journal.try_append_soon(now, body(n)).expect("room");
            }
        })
    });
    let all = futures_util::future::join_all(tasks);
    for task in tokio::time::timeout(Duration::from_secs(60), all).await.expect("nobody waits in vain") {
        task.unwrap();
    }
    eventually("what nobody waits for is written, too", || journal.last_written() == journal.last_queued())
        .await;
    journal.close().await.unwrap();
    let report = verify(dir.path());
    assert_eq!((report.broken, report.unsigned), (None, 0));
    assert!(report.lines >= 16 * 300 * 2 && report.segments > 1, "{} {}", report.lines, report.segments);
}

#[tokio::test]
async fn g1_closing_on_a_full_disk_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open_on(dir.path(), quiet(), TestDisk::with_room(0)).unwrap();
    let position = journal.append(crate::os::now(), body(1)).await.unwrap();
    assert!(journal.written(position).await.is_err());
    let error = journal.close().await.unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    let (journal, _) = Journal::open(dir.path(), quiet()).unwrap();
    journal.close().await.unwrap();
}

#[tokio::test]
async fn g1_after_a_failed_sync_nothing_is_ever_called_safe() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::with_room(u64::MAX);
    let (journal, _) = Journal::open_on(dir.path(), quiet(), disk.clone()).unwrap();
    let now = crate::os::now();
    disk.sync_fails.store(true, SeqCst);
    let position = journal.append(now, body(1)).await.unwrap();
    assert!(journal.synced(position).await.is_err());
    disk.sync_fails.store(false, SeqCst);
    assert!(journal.synced(position).await.is_err());
    assert!(journal.append(now, body(2)).await.is_err());
    assert!(journal.health().is_err());
    assert!(journal.close().await.is_err());
}

#[tokio::test]
async fn nothing_is_synced_unless_somebody_waits_or_time_passes() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::with_room(u64::MAX);
    let (journal, _) = Journal::open_on(dir.path(), quiet(), disk.clone()).unwrap();
    let now = crate::os::now();
    for n in 0..100 {
        let position = journal.append(now, body(n)).await.unwrap();
        journal.written(position).await.unwrap();
    }
    assert_eq!(disk.syncs.load(SeqCst), 0);
    journal.synced(Position(50)).await.unwrap();
    assert_eq!(disk.syncs.load(SeqCst), 1);
    journal.synced(Position(100)).await.unwrap();
    assert_eq!(disk.syncs.load(SeqCst), 1, "one sync is for all that is written");
    journal.close().await.unwrap();

    let options = Options { flush_every: Duration::from_millis(1), ..Options::default() };
    let (journal, opened) = Journal::open_on(dir.path(), options, disk).unwrap();
    assert_eq!(opened.last, Some(Position(101)), "closing signed");
    let position = journal.append(now, body(0)).await.unwrap();
    eventually("the flush", || journal.shared().synced.reached() >= position.0).await;
    journal.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_while_a_sync_runs_share_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::with_room(u64::MAX);
    let (journal, _) = Journal::open_on(dir.path(), quiet(), disk.clone()).unwrap();
    let held = disk.hold_syncs.lock().unwrap();
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let position = journal.append(crate::os::now(), body(n)).await.unwrap();
                // Writing goes on while the disk syncs.
                journal.written(position).await.unwrap();
                journal.synced(position).await.unwrap();
            })
        })
        .collect();
    eventually("all lines written", || journal.last_written() == Position(500)).await;
    eventually("all are waiting", || journal.shared().synced.waiting() == 500).await;
    drop(held);
    for task in tasks {
        task.await.unwrap();
    }
    assert!(disk.syncs.load(SeqCst) <= 2, "{} syncs", disk.syncs.load(SeqCst));
    journal.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_a_full_queue_makes_appenders_wait_and_a_batch_is_one_write() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::with_room(u64::MAX);
    let options = Options { queue_lines: 4, ..quiet() };
    let (journal, _) = Journal::open_on(dir.path(), options, disk.clone()).unwrap();
    let now = crate::os::now();
    let held = disk.hold_writes.lock().unwrap();
    let first = journal.append(now, body(0)).await.unwrap();
    // The writer has taken the first line and hangs on it.
    eventually("the queue is empty", || journal.shared().queue.is_empty()).await;
    for n in 1..5 {
        assert!(journal.try_append(now, body(n)).is_ok());
    }
    assert!(matches!(journal.try_append(now, body(5)), Err(NotAppended::Full(back)) if back == body(5)));
    let waiting = tokio::spawn({
        let journal = journal.clone();
        async move { journal.append_all(now, vec![body(6), body(7)]).await.unwrap() }
    });
    // One who gives up leaves nothing behind.
    let given_up = tokio::time::timeout(Duration::from_millis(10), journal.append(now, body(99))).await;
    assert!(given_up.is_err());
    let unwritten = tokio::time::timeout(Duration::from_millis(10), journal.written(first)).await;
    assert!(unwritten.is_err());
    assert_eq!(journal.shared().written.waiting(), 0, "a dropped waiter is forgotten");
    drop(held);
    let range = waiting.await.unwrap();
    assert_eq!(range, 6..8);
    journal.written(Position(7)).await.unwrap();
    assert_eq!(disk.writes.load(SeqCst), 3);
    journal.close().await.unwrap();
    assert!(matches!(journal.append(now, body(1)).await, Err(JournalError::Closed)));
    let text = std::fs::read_to_string(dir.path().join(crate::core::ledger::segment_name(1))).unwrap();
    assert!(!text.contains(&body(99)));
    let kinds: Vec<_> =
        text.lines().map(|line| body_kind(Line::parse(line.as_bytes()).unwrap().body).unwrap()).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "test").count(), 7);
    assert_eq!(kinds.last().unwrap(), "checkpoint");
}

#[tokio::test]
async fn a_record_is_one_object_on_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), quiet()).unwrap();
    for bad in ["", "7", "[]", "{\n}", "{}\n"] {
        let appended = journal.append(crate::os::now(), bad.to_owned()).await;
        assert!(matches!(appended, Err(JournalError::NotARecord)), "{bad:?}");
    }
    journal.close().await.unwrap();
    assert_eq!(verify(dir.path()).lines, 0);
}

#[tokio::test]
async fn a_checkpoint_comes_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { checkpoint_every: Duration::from_millis(1), ..quiet() };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    journal.append(crate::os::now(), body(1)).await.unwrap();
    eventually("the checkpoint", || journal.last_written() == Position(2)).await;
    let report = verify(dir.path());
    assert_eq!((report.broken, report.checkpoints, report.unsigned), (None, 1, 0));
    journal.close().await.unwrap();
    assert_eq!(verify(dir.path()).lines, 2, "nothing new, nothing to sign");
}
