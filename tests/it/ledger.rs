//! The ledger on real files: restarts, crashes, many writers, tampering.

use dbaccess::core::ledger::{Fault, Line, PublicKey, Report, Verifier, order_segments};
use dbaccess::server::journal::{Journal, JournalError, Options, Position, read_record};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

fn body(n: u64) -> String {
    format!(r#"{{"kind":"test","n":{n}}}"#)
}

pub fn segments(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    order_segments(names)
}

/// As an auditor does it: with the published key and the files alone.
pub fn verify(dir: &Path) -> Report {
    let key = PublicKey::from_hex(&fs::read_to_string(dir.join("signing.pub")).unwrap()).unwrap();
    let mut verifier = Verifier::new(Some(key));
    for name in segments(dir) {
        verifier.segment(&name);
        let mut reader = BufReader::new(fs::File::open(dir.join(name)).unwrap());
        let mut raw = Vec::new();
        while reader.read_until(b'\n', &mut raw).unwrap() > 0 {
            if let Some(blob) = verifier.line(&raw) {
                assert!(blob.matches(&fs::read(dir.join("blobs").join(&blob.sha256)).unwrap()));
            }
            raw.clear();
        }
    }
    verifier.finish()
}

fn records(dir: &Path) -> Vec<(u64, String)> {
    let mut records = Vec::new();
    for name in segments(dir) {
        for line in fs::read(dir.join(name)).unwrap().split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
            let line = Line::parse(line).unwrap();
            records.push((line.seq, read_record(dir, &line).unwrap()));
        }
    }
    records
}

#[tokio::test]
async fn the_chain_runs_on_over_segments_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 4000, ..Options::default() };
    for run in 0..3 {
        let (journal, opened) = Journal::open(dir.path(), options.clone()).unwrap();
        assert_eq!(opened.last.is_some(), run > 0);
        assert!(opened.recovered.is_none());
        for n in 0..50 {
            let position = journal.append(dbaccess::os::now(), body(n)).await.unwrap();
            journal.synced(position).await.unwrap();
        }
        assert!(matches!(Journal::open(dir.path(), options.clone()), Err(JournalError::InUse(_))));
        journal.close().await.unwrap();
    }
    let report = verify(dir.path());
    assert_eq!((&report.broken, report.unsigned), (&None, 0));
    assert!(report.segments > 3, "{report:?}");
    assert_eq!(report.lines, 150 + report.checkpoints);
    let mode = |name: &str| fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("signing.key"), 0o600);
    assert_eq!(fs::read(dir.path().join("signing.key")).unwrap().len(), 32);
}

#[tokio::test]
async fn a_record_is_never_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
    let large = format!(r#"{{"kind":"statement.intent","text":"{}"}}"#, "x".repeat(3 << 20));
    let position = journal.append(dbaccess::os::now(), large.clone()).await.unwrap();
    journal.written(position).await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(records(dir.path())[0], (1, large));
    assert_eq!(verify(dir.path()).broken, None);
    let line = fs::read_to_string(dir.path().join(&segments(dir.path())[0])).unwrap();
    assert!(line.contains(r#""body":{"kind":"blob","of_kind":"statement.intent","sha256":""#), "{line}");
}

#[tokio::test]
async fn g1_a_torn_last_line_is_cut_off_kept_and_told() {
    let dir = tempfile::tempdir().unwrap();
    for torn in [&b"{\"seq\":9,\"at\":\"20"[..], b"\0\0\0\0", b"{\"se\0\0\0\0\0\0\n\0\0"] {
        let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
        journal.append(dbaccess::os::now(), body(1)).await.unwrap();
        journal.close().await.unwrap();
        let name = segments(dir.path()).pop().unwrap();
        let mut file = fs::OpenOptions::new().append(true).open(dir.path().join(name)).unwrap();
        file.write_all(torn).unwrap();
        let (journal, opened) = Journal::open(dir.path(), Options::default()).unwrap();
        let recovered = opened.recovered.unwrap();
        assert_eq!(Position(recovered.after), opened.last.unwrap());
        assert_eq!(fs::read(dir.path().join(&recovered.saved_as)).unwrap(), torn);
        journal.close().await.unwrap();
        let report = verify(dir.path());
        assert_eq!((report.broken, report.unsigned), (None, 0));
        let (_, told) = records(dir.path()).into_iter().find(|(seq, _)| *seq == recovered.after + 1).unwrap();
        assert!(told.contains("ledger.recovered") && told.contains(&recovered.sha256), "{told}");
    }
}

#[tokio::test]
async fn a_ledger_that_was_tampered_with_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 1000, ..Options::default() };
    let (journal, _) = Journal::open(dir.path(), options.clone()).unwrap();
    for n in 0..40 {
        let position = journal.append(dbaccess::os::now(), body(n)).await.unwrap();
        journal.synced(position).await.unwrap();
    }
    journal.close().await.unwrap();
    let last = dir.path().join(segments(dir.path()).pop().unwrap());
    let whole = fs::read_to_string(&last).unwrap();
    fs::write(&last, whole.replacen("\"test\"", "\"tset\"", 1)).unwrap();
    let error = Journal::open(dir.path(), options.clone()).err().unwrap();
    assert!(error.to_string().contains("was edited"), "{error}");
    assert!(matches!(verify(dir.path()).broken.unwrap().fault, Fault::Edited { .. }));

    fs::write(&last, &whole).unwrap();
    let names = segments(dir.path());
    fs::rename(dir.path().join(&names[names.len() - 2]), dir.path().join("aside")).unwrap();
    assert!(matches!(Journal::open(dir.path(), options.clone()), Err(JournalError::Broken { .. })));
    assert!(matches!(verify(dir.path()).broken.unwrap().fault, Fault::SegmentMissing { .. }));
    fs::rename(dir.path().join("aside"), dir.path().join(&names[names.len() - 2])).unwrap();

    let key = dir.path().join("signing.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(Journal::open(dir.path(), options.clone()), Err(JournalError::Key { .. })));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let seed = fs::read(&key).unwrap();
    fs::write(&key, [7; 32]).unwrap();
    let error = Journal::open(dir.path(), options.clone()).err().unwrap();
    assert!(error.to_string().contains("another key"), "{error}");
    fs::remove_file(&key).unwrap();
    assert!(matches!(Journal::open(dir.path(), options.clone()), Err(JournalError::Key { .. })));
    fs::write(&key, seed).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    journal.close().await.unwrap();
    assert_eq!(verify(dir.path()).broken, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writers_at_once_get_each_their_own_lines() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 100_000, queue_lines: 16, ..Options::default() };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for n in 0..100 {
                    let body = body(task * 1000 + n);
                    let position = journal.append(dbaccess::os::now(), body.clone()).await.unwrap();
                    if n % 10 == 0 {
                        journal.synced(position).await.unwrap();
                    } else {
                        journal.written(position).await.unwrap();
                    }
                    mine.push((position.0, body));
                }
                mine
            })
        })
        .collect();
    let mut expected = Vec::new();
    for task in tasks {
        expected.extend(task.await.unwrap());
    }
    journal.close().await.unwrap();
    expected.sort();
    let mut found = records(dir.path());
    found.retain(|(_, body)| body.contains("\"test\""));
    assert_eq!(found, expected);
    let report = verify(dir.path());
    assert_eq!((report.broken, report.unsigned), (None, 0));
}

/// The form is simple enough for an auditor to trust a program of their own.
#[tokio::test]
async fn an_auditor_checks_the_chain_with_twenty_lines_of_python() {
    const SCRIPT: &str = r#"
import hashlib, json, pathlib, sys
seq, prev = 0, "0" * 64
for path in sorted(pathlib.Path(sys.argv[1]).glob("ledger-*.jsonl")):
    for raw in path.read_bytes().splitlines():
        line = json.loads(raw)
        assert list(line) == ["seq", "at", "prev", "body"], raw
        assert line["seq"] == seq + 1, f"line {seq + 1} is missing"
        assert line["prev"] == prev, f"line {seq} was changed"
        if line["body"]["kind"] == "checkpoint":
            assert (line["body"]["of"], line["body"]["hash"]) == (seq, prev)
        seq, prev = line["seq"], hashlib.sha256(raw).hexdigest()
print(seq)
"#;
    let dir = tempfile::tempdir().unwrap();
    let options = Options { segment_bytes: 1000, ..Options::default() };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    for n in 0..40 {
        let position = journal.append(dbaccess::os::now(), body(n)).await.unwrap();
        journal.synced(position).await.unwrap();
    }
    journal.close().await.unwrap();
    let output = Command::new("python3").args(["-c", SCRIPT]).arg(dir.path()).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.trim(), verify(dir.path()).last.unwrap().to_string());
}

/// The child of the test below: appends until it is killed, and says what was acknowledged.
async fn append_for_ever(dir: &Path) {
    let (journal, _) = Journal::open(dir, Options { segment_bytes: 50_000, ..Options::default() }).unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let position = journal.append(dbaccess::os::now(), body(n)).await.unwrap();
                    journal.written(position).await.unwrap();
                    println!("written {}", position.0);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_what_was_written_survives_a_kill() {
    const CHILD: &str = "DBACCESS_TEST_LEDGER_CHILD";
    if let Some(dir) = std::env::var_os(CHILD) {
        return append_for_ever(Path::new(&dir)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    for run in 1..=3u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "ledger::g1_what_was_written_survives_a_kill", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut acknowledged = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            // A line may be cut off by the kill.
            if let Some(position) = line.unwrap().strip_prefix("written ").and_then(|n| n.parse::<u64>().ok())
            {
                acknowledged.push(position);
            }
            if acknowledged.len() as u64 == 700 * run {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(acknowledged.len() as u64 >= 700 * run, "the child died by itself");
        let (journal, opened) = Journal::open(dir.path(), Options::default()).unwrap();
        let last = acknowledged.iter().max().unwrap();
        assert!(opened.last.unwrap() >= Position(*last), "{opened:?} but {last} was acknowledged");
        journal.close().await.unwrap();
        let report = verify(dir.path());
        assert_eq!((report.broken, report.unsigned), (None, 0));
    }
}
