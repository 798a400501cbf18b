//! R8.4: a recorded session is kept as it was said and seen, and what was done
//! to its recording is seen later.

use crate::support::api::{events, ledger};
use crate::support::env::{Setting, TestEnv, TestPerson, UNLIMITED, eventually};
use crate::support::held::{Held, audit};
use crate::support::raw_pg::RawPg;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

pub const SQL: &str = "CREATE TABLE t (i bigint, name text); INSERT INTO t VALUES (1, 'one'), (2, NULL)";

/// Whoever is of the owning team gets in at once, and is recorded.
const RULE: &str = r#"
@id("recorded")
@title("Recorded")
@longest("8h")
@recording("on")
permit (principal, action == Action::"auto", resource)
when { principal in resource.owners && context.sensitivities.isEmpty() };
"#;

struct Filmed {
    env: TestEnv,
    dir: TempDir,
}

/// The configuration that has sessions recorded, and the directory of its policy.
pub fn rule() -> (String, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let rule = dir.path().join("recorded.cedar");
    std::fs::write(&rule, RULE).unwrap();
    (format!("[policy]\nextra = [\"{}\"]\n", rule.display()), dir)
}

async fn filmed(extra: &str) -> Filmed {
    let (policy, dir) = rule();
    let extra = format!("{UNLIMITED}\n{policy}{extra}");
    let setting = Setting { databases: vec![("filmed", SQL)], extra, ..Setting::default() };
    Filmed { env: TestEnv::with(setting).await, dir }
}

impl Filmed {
    async fn alice(&self) -> TestPerson<'_> {
        let alice = self.env.signed_in("alice").await;
        let ask = ["request", "filmed", "--schema", "public", "--write", "--reason", "INC-7"];
        alice.run(&ask).ok();
        alice
    }

    fn files(&self) -> PathBuf {
        self.env.dir.path().join("data/recordings")
    }

    /// The file of a session that has ended.
    async fn ended(&self, session: &str) -> PathBuf {
        let path = self.files().join(format!("{session}.rec"));
        eventually("the recording has ended", || path.exists().then_some(())).await;
        path
    }
}

/// The lines that `recording show` prints for programs.
fn shown(person: &TestPerson<'_>, args: &[&str]) -> Vec<Value> {
    let all = [&["recording", "show", "--output", "json"], args].concat();
    let ended = person.run(&all).ok();
    ended.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What stands between a statement of this text and its outcome, as `kind:what`.
fn of<'v>(lines: &'v [Value], text: &str) -> Vec<&'v Value> {
    let begins = |line: &&Value| line["event"] == "statement" && line["text"].as_str() == Some(text);
    let intent = &lines.iter().find(begins).unwrap_or_else(|| panic!("{text} is not shown"))["intent"];
    let connection = &lines.iter().find(begins).unwrap()["connection"];
    let rest = lines.iter().skip_while(|line| !(line["event"] == "statement" && line["intent"] == *intent));
    let mut found = Vec::new();
    for line in rest.skip(1).filter(|line| line["connection"] == *connection) {
        found.push(line);
        if line["event"] == "outcome" {
            assert_eq!(line["intent"], *intent, "{text}");
            break;
        }
    }
    found
}

fn rows(lines: &[Value], text: &str) -> Vec<Value> {
    of(lines, text)
        .into_iter()
        .filter(|line| line["event"] == "row")
        .map(|row| row["values"].clone())
        .collect()
}

fn columns(lines: &[Value], text: &str) -> Vec<String> {
    let of = of(lines, text);
    let columns = of.iter().find(|line| line["event"] == "columns").unwrap()["columns"].as_array().unwrap();
    columns.iter().map(|column| column["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_statements_are_shown_with_the_rows_that_they_returned() {
    let filmed = filmed("").await;
    let alice = filmed.alice().await;
    let held = Held::open(&alice, "filmed");
    let session = held.session.clone();
    let mut raw = held.raw().await;
    raw.query("SELECT i, name FROM t ORDER BY i; SELECT 1/0; SELECT 3");
    assert_eq!(raw.replies(1).await, "T D*2 C(SELECT 2) E(22012) Z(I)");
    raw.query("SELECT * FROM nowhere");
    raw.replies(1).await;
    raw.query("VACUUM");
    raw.replies(1).await;
    // A cursor, read in pieces.
    raw.query("BEGIN; DECLARE c CURSOR FOR SELECT generate_series(1, 4) AS n");
    raw.replies(1).await;
    raw.query("FETCH 3 FROM c");
    raw.query("FETCH 3 FROM c");
    raw.query("COMMIT");
    raw.replies(3).await;
    // A portal, too; described once, and its name used for two texts at once.
    raw.parse("p", "SELECT i AS described_once FROM t ORDER BY i").describe('S', "p").sync();
    raw.replies(1).await;
    raw.bind("", "p", &[]).execute("", 1).execute("", 5).sync();
    raw.parse("", "SELECT 'other' AS of_another").bind("", "", &[]).describe('P', "").execute("", 0).sync();
    raw.replies(2).await;
    // Binary values, as drivers ask for them.
    let client = held.client().await;
    let typed = "SELECT $1::int8 AS big, 1.50::numeric AS exact, true AS yes, NULL::text AS nothing, 'x'::text AS word";
    client.query(typed, &[&41_i64]).await.unwrap();
    // COPY, both ways.
    raw.query("COPY t FROM STDIN");
    raw.copy_data(b"3\tthree\n").copy_done();
    raw.replies(1).await;
    raw.query("INSERT INTO t VALUES (4, 'four')");
    raw.replies(1).await;
    drop((client, raw, held));
    filmed.ended(&session).await;

    let dave = filmed.env.signed_in("dave").await;
    let lines = shown(&dave, &[&session]);
    assert_eq!(
        rows(&lines, "SELECT i, name FROM t ORDER BY i"),
        [serde_json::json!(["1", "one"]), serde_json::json!(["2", null])]
    );
    assert_eq!(columns(&lines, "SELECT i, name FROM t ORDER BY i"), ["i", "name"]);
    let failed = of(&lines, "SELECT 1/0");
    assert!(failed.iter().any(|line| line["event"] == "error" && line["sqlstate"] == "22012"), "{failed:?}");
    assert_eq!(of(&lines, "SELECT 3").last().unwrap()["result"], "skipped");
    let missing = of(&lines, "SELECT * FROM nowhere");
    assert!(missing.last().unwrap()["result"]["error"].is_object(), "{missing:?}");
    let refused = of(&lines, "VACUUM");
    assert!(refused.iter().any(|line| line["event"] == "error"), "{refused:?}");
    assert!(refused.last().unwrap()["result"]["refused"].is_object(), "{refused:?}");
    let fetched: Vec<&Value> = lines.iter().filter(|line| line["text"] == "FETCH 3 FROM c").collect();
    assert_eq!(fetched.len(), 2);
    assert_eq!(rows(&lines, "FETCH 3 FROM c").len(), 3);
    assert_eq!(columns(&lines, "SELECT i AS described_once FROM t ORDER BY i"), ["described_once"]);
    let pieces: Vec<&Value> = lines
        .iter()
        .filter(|line| line["text"].as_str().is_some_and(|text| text.contains("described_once")))
        .collect();
    assert_eq!(pieces.len(), 2, "{pieces:?}");
    assert_eq!(columns(&lines, "SELECT 'other' AS of_another"), ["of_another"]);
    assert_eq!(rows(&lines, typed), [serde_json::json!(["41", "1.50", "t", null, "x"])]);
    let copied = of(&lines, "COPY t FROM STDIN");
    assert!(copied.iter().any(|line| line["event"] == "copy" && line["text"] == "3\tthree\n"), "{copied:?}");
    let inserted = of(&lines, "INSERT INTO t VALUES (4, 'four')");
    assert_eq!(inserted.last().unwrap()["result"]["ok"]["tag"], "INSERT 0 1");

    // Every statement of the record is there, with its outcome.
    let told = audit(&dave);
    let of_session = told.iter().filter(|row| row["session"] == session.as_str());
    for row in of_session {
        assert_eq!(row["recorded"], true);
        let outcomes = lines.iter().filter(|line| line["event"] == "outcome" && line["intent"] == row["seq"]);
        let results: Vec<&Value> = outcomes.map(|line| &line["result"]).collect();
        assert_eq!(results, [&row["result"]], "{row}");
    }

    // For people.
    let text = dave.run(&["recording", "show", &session]).ok();
    assert!(
        text.out.contains("  i │ name\n  ──┼─────\n  1 │ one\n  2 │ NULL\n→ SELECT 2, 2 rows\n"),
        "{}",
        text.out
    );
    assert!(text.err.contains("chunks are as on the ledger, to the end"), "{}", text.err);
    let sessions = dave.run(&["sessions", "--all"]).ok();
    assert!(sessions.out.contains("RECORDED"), "{}", sessions.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_who_has_looked_is_on_record_and_nobody_sees_their_own() {
    let filmed = filmed("").await;
    let alice = filmed.alice().await;
    alice.run(&["exec", "filmed", "SELECT 'seen'"]).ok();
    let session = alice.last_session()["session"]["id"].as_str().unwrap().to_owned();
    filmed.ended(&session).await;
    let own = alice.run(&["recording", "show", &session]).exits(5);
    assert!(own.err.contains("your own session"), "{}", own.err);
    let carol = filmed.env.signed_in("carol").await;
    let lead = carol.run(&["recording", "show", &session]).exits(5);
    assert!(lead.err.contains("for security and auditors"), "{}", lead.err);
    let erin = filmed.env.signed_in("erin").await;
    let stranger = erin.run(&["recording", "show", &session]).exits(1);
    assert!(stranger.err.contains("no session begins with"), "{}", stranger.err);

    let dave = filmed.env.signed_in("dave").await;
    let read = shown(&dave, &[&session]);
    assert_eq!(rows(&read, "SELECT 'seen'"), [serde_json::json!(["seen"])]);
    let looked = events(&filmed.env, "recording.read", 1, |_| true).await;
    assert_eq!(looked.len(), 1, "the refused are none");
    assert_eq!(
        (&looked[0]["by"]["email"], &looked[0]["session"]),
        (&"dave@example.com".into(), &session.into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_the_end_of_a_session_is_no_error_in_its_recording() {
    let filmed = filmed("").await;
    let alice = filmed.alice().await;
    let held = Held::open(&alice, "filmed");
    let session = held.session.clone();
    let mut raw = held.raw().await;
    raw.query("SELECT 1");
    raw.replies(1).await;
    alice.run(&["revoke", &session]).ok();
    let told = raw.until(b'E').await;
    assert!(told.contains("57P01"), "{told}");
    drop((raw, held));
    filmed.ended(&session).await;
    let dave = filmed.env.signed_in("dave").await;
    let lines = shown(&dave, &[&session]);
    let count = |event: &str| lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!((count("ended"), count("error")), (1, 0), "{lines:?}");
    let text = dave.run(&["recording", "show", &session]).ok().out;
    assert!(text.contains("  the session ended: ") && !text.contains("ERROR"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_a_recording_shows_what_the_person_saw_masks_included() {
    let filmed = filmed("").await;
    let alice = filmed.env.signed_in("alice").await;
    alice.run(&["request", "prod-orders", "--table", "customers", "--reason", "x"]).ok();
    alice.run(&["exec", "prod-orders", "SELECT * FROM customers"]).ok();
    let session = alice.last_session()["session"]["id"].as_str().unwrap().to_owned();
    let bytes = std::fs::read(filmed.ended(&session).await).unwrap();
    assert!(!bytes.is_empty());
    let lines = shown(&filmed.env.signed_in("dave").await, &[&session]);
    let (columns, rows) =
        (columns(&lines, "SELECT * FROM customers"), rows(&lines, "SELECT * FROM customers"));
    let email = columns.iter().position(|name| name == "email").unwrap();
    assert!(!rows.is_empty());
    assert!(rows.iter().all(|row| row[email].is_null()), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_g1_a_killed_server_leaves_a_recording_that_is_whole_and_verified() {
    let mut filmed = filmed("").await;
    let session = {
        let alice = filmed.alice().await;
        let held = Held::open(&alice, "filmed");
        let mut raw = held.raw().await;
        raw.query("SELECT 'early'");
        raw.replies(1).await;
        // Written within a second, whatever follows.
        let session = held.session.clone();
        let first = |record: &Value| record["session"] == session.as_str();
        events(&filmed.env, "recording.chunk", 1, first).await;
        raw.query("SELECT 'late'");
        raw.replies(1).await;
        let pid = rustix::process::Pid::from_child(&filmed.env.server.as_ref().unwrap().child);
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        session
    };
    filmed.env.kill_server();
    // A chunk that the crash has torn: its beginning.
    let part = filmed.files().join(format!("{session}.part"));
    let mut bytes = std::fs::read(&part).unwrap();
    bytes.extend_from_slice(&[0, 0, 0, 9, 0, 0]);
    std::fs::write(&part, bytes).unwrap();
    filmed.env.start_server().await;
    filmed.ended(&session).await;
    let ended =
        events(&filmed.env, "recording.ended", 1, |record| record["session"] == session.as_str()).await;
    assert_eq!(ended[0]["recovered"]["torn_bytes"], 6, "{ended:?}");
    assert_eq!(ended[0]["recovered"]["lost"], 0);
    let dave = filmed.env.signed_in("dave").await;
    let lines = shown(&dave, &[&session]);
    assert_eq!(rows(&lines, "SELECT 'early'"), [serde_json::json!(["early"])]);
    let said = dave.run(&["recording", "show", &session]).ok().err;
    assert!(said.contains("its server was killed") && said.contains("(6 bytes"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_every_tampering_with_a_recording_is_named() {
    let filmed = filmed("").await;
    let alice = filmed.alice().await;
    let held = Held::open(&alice, "filmed");
    let session = held.session.clone();
    let mut raw = held.raw().await;
    for round in 1..=3 {
        raw.query(format!("SELECT {round}"));
        raw.replies(1).await;
        // A chunk each: they come at the latest after a second.
        events(&filmed.env, "recording.chunk", round, |record| record["session"] == session.as_str()).await;
    }
    drop((raw, held));
    let path = filmed.ended(&session).await;
    let whole = std::fs::read(&path).unwrap();
    let lengths: Vec<usize> = ledger(&filmed.env)
        .iter()
        .map(|line| &line["body"])
        .filter(|body| body["session"] == session.as_str())
        .filter(|body| body["kind"] == "recording.started" || body["kind"] == "recording.chunk")
        .map(|body| usize::try_from(body["bytes"].as_u64().unwrap()).unwrap())
        .collect();
    assert_eq!(lengths.iter().sum::<usize>(), whole.len(), "the ledger knows every byte");
    let mut parts = Vec::new();
    let mut rest = whole.as_slice();
    for length in &lengths {
        let (part, tail) = rest.split_at(*length);
        parts.push(part.to_vec());
        rest = tail;
    }
    let dave = filmed.env.signed_in("dave").await;
    let checks = |bytes: Vec<u8>, says: &str| {
        std::fs::write(&path, bytes).unwrap();
        let ended = dave.run(&["recording", "show", &session]).exits(1);
        assert!(ended.err.contains(says), "{says}: {}", ended.err);
        // The same of a copy, far from the server.
        let (copy, ledger) = (path.display().to_string(), filmed.env.ledger_dir().display().to_string());
        let ended = dave.run(&["recording", "show", &copy, "--ledger", &ledger]).exits(1);
        assert!(ended.err.contains(says), "{says}: {}", ended.err);
    };
    let mut flipped = whole.clone();
    let at = lengths[0] + lengths[1] + 45;
    flipped[at] ^= 1;
    checks(flipped, "chunk 1 is not as it was written");
    checks(whole[..whole.len() - 1].to_vec(), "chunks");
    let last = parts.len() - 2;
    let without = parts[..parts.len() - 1].concat();
    checks(without, &format!("its end is missing: chunks {last} to {last} are not there"));
    let mut moved = parts.clone();
    moved.swap(1, 2);
    checks(moved.concat(), "chunk 1 stands where chunk 0 belongs");
    checks([parts[0].clone(), parts[2].clone()].concat(), "chunk 1 stands where chunk 0 belongs");
    // A chunk of somebody's own, with a hash that fits it.
    let (forged, _) = dbaccess::core::recording::encode_chunk(0, b"", None).unwrap();
    checks(
        [vec![parts[0].clone(), forged], parts[2..].to_vec()].concat().concat(),
        "the ledger has another hash of it",
    );
    std::fs::write(&path, &whole).unwrap();
    dave.run(&["recording", "show", &session]).ok();
    let ledger = filmed.env.ledger_dir().display().to_string();
    let apart = dave.run(&["recording", "show", &path.display().to_string(), "--ledger", &ledger]).ok();
    assert!(apart.err.contains("as on the ledger, to the end"), "{}", apart.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_g8_a_sealed_recording_is_the_auditors_alone() {
    let keys = tempfile::tempdir().unwrap();
    let file = keys.path().join("auditor.key").display().to_string();
    let made =
        Command::new(crate::support::env::BINARY).args(["recording", "keygen", &file]).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let public = String::from_utf8(made.stdout).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again =
        Command::new(crate::support::env::BINARY).args(["recording", "keygen", &file]).output().unwrap();
    assert!(!again.status.success(), "a key is never overwritten");

    let filmed = filmed(&format!("[recording]\nauditor_key = \"{}\"\n", public.trim())).await;
    let alice = filmed.alice().await;
    alice.run(&["exec", "filmed", "SELECT 'plain' || 'text'"]).ok();
    let session = alice.last_session()["session"]["id"].as_str().unwrap().to_owned();
    let path = filmed.ended(&session).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let dave = filmed.env.signed_in("dave").await;
    let without = dave.run(&["recording", "show", &session]).exits(5);
    assert!(without.err.contains("must be named with --key"), "{}", without.err);
    let lines = shown(&dave, &["--key", &file, &session]);
    assert_eq!(rows(&lines, "SELECT 'plain' || 'text'"), [serde_json::json!(["plaintext"])]);
    // The rows are nowhere in what the server keeps: neither as they are, nor
    // as anybody without the key could unpack them.
    let mut looked = 0;
    for file in std::fs::read_dir(filmed.files()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(9).any(|part| part == b"plaintext"));
        let zstd = [0x28, 0xb5, 0x2f, 0xfd];
        assert!(!bytes.windows(4).any(|part| part == zstd), "a frame stands in it unsealed");
        looked += 1;
    }
    assert!(looked > 0 && !filmed.env.ledger_text().contains("plaintext"));
    // A key that others can read, and one that is none.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let open = dave.run(&["recording", "show", "--key", &file, &session]).exits(2);
    assert!(open.err.contains("others can read"), "{}", open.err);
    drop(filmed.dir);
}

/// Bounds how large the server's files may become, which is how a disk that is
/// full looks to it; `None` is no bound.
fn bound_files(env: &TestEnv, bytes: Option<u64>) {
    let pid = env.server.as_ref().unwrap().child.id();
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let arguments = [format!("--pid={pid}"), format!("--fsize={limit}:unlimited")];
    assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
}

async fn told(raw: &mut RawPg, sql: &str) -> Option<String> {
    raw.query(sql).send().await;
    raw.next().await.filter(|frame| frame.tag == b'E').map(|frame| frame.message())
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn r8_4_g1_what_cannot_be_put_into_the_recording_does_not_run() {
    let filmed = filmed("").await;
    let alice = filmed.alice().await;
    let held = Held::open(&alice, "filmed");
    let mut raw = held.raw().await;
    assert_eq!(raw.column("SELECT count(*) FROM t").await, ["2"]);
    // The ledger has room; a recording of several mebibytes has not.
    bound_files(&filmed.env, Some(2 << 20));
    let random = "SELECT string_agg(md5(random()::text || i), '') FROM generate_series(1, 400000) i";
    raw.query(random).send().await;
    // It is cut, or was on its way already when the disk said no.
    while raw.next().await.is_some_and(|reply| reply.tag != b'Z') {}
    let log = || filmed.env.server_log().contains("its recording cannot be written").then_some(());
    filmed.env.eventually("the server says so", log).await;
    if let Ok(client) = held.try_client().await {
        assert!(client.batch_execute("INSERT INTO t VALUES (-1, 'unseen')").await.is_err());
    }
    let dave = filmed.env.signed_in("dave").await;
    let finding = dave.run(&["doctor"]).out;
    assert!(finding.contains("recordings"), "{finding}");
    bound_files(&filmed.env, None);
    let log = || filmed.env.server_log().contains("is written again").then_some(());
    filmed.env.eventually("it goes on", log).await;
    let mut raw = held.raw().await;
    assert_eq!(
        raw.column("SELECT count(*) FROM t WHERE i < 0").await,
        ["0"],
        "what was not recorded has not run"
    );
    assert_eq!(told(&mut raw, "SELECT 1/0").await.as_deref(), Some("division by zero"));
    let session = held.session.clone();
    drop((raw, held));
    filmed.ended(&session).await;
    let lines = shown(&dave, &[&session]);
    assert_eq!(rows(&lines, "SELECT count(*) FROM t WHERE i < 0"), [serde_json::json!(["0"])]);
}

fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn r8_4_g9_a_million_rows_are_recorded_within_bounded_memory() {
    let filmed = filmed("").await;
    let alice = filmed.alice().await;
    let pid = filmed.env.server.as_ref().unwrap().child.id();
    let before = memory(pid);
    let held = Held::open(&alice, "filmed");
    let session = held.session.clone();
    let mut raw = held.raw().await;
    let million =
        "SELECT i, md5(i::text) AS digest, md5((-i)::text) AS other FROM generate_series(1, 1000000) i";
    raw.query(million);
    assert_eq!(raw.replies(1).await, "T D*1000000 C(SELECT 1000000) Z(I)");
    drop((raw, held));
    let path = filmed.ended(&session).await;
    let grown = memory(pid).saturating_sub(before);
    assert!(grown < 100, "the server grew by {grown} MiB");
    assert!(std::fs::metadata(path).unwrap().len() > 20 << 20);
    let dave = filmed.env.signed_in("dave").await;
    let lines = shown(&dave, &[&session]);
    let rows = rows(&lines, million);
    assert_eq!(rows.len(), 1_000_000);
    let last = rows.last().unwrap();
    assert_eq!(last, &serde_json::json!(["1000000", "8155bc545f84d9652f1012ef2bdfb6eb", last[2]]));
}
