//! R8.4, B3: a session is played again: in the terminal, as a page, as a cast;
//! what was in it drives none of them.

use crate::recordings::rule;
use crate::support::api::events;
use crate::support::env::{BINARY, Ran, Setting, TestEnv, UNLIMITED};
use crate::support::film::{Film, Returns};
use crate::support::held::writer;
use crate::support::pty::Terminal;
use crate::support::tools;
use serde_json::{Value, json};
use std::process::Command;
use tempfile::TempDir;

/// What would like to be more than words, wherever it is shown.
const HOSTILE: &str = "</script><script>window.pwned=1</script><img src=x onerror=\"window.pwned=1\">\x1b]0;pwned\x07\x1b[2J\x1b[31m\u{202e}<!--";

/// A session on disk: `dbaccess replay FILE --ledger DIR` needs no server.
struct Shot {
    dir: TempDir,
    file: String,
    ledger: String,
}

impl Shot {
    fn of(film: Film) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (file, ledger) = film.write(dir.path());
        Self { file: file.display().to_string(), ledger: ledger.display().to_string(), dir }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(["replay", &self.file, "--ledger", &self.ledger]).args(args).env_clear();
        command.env("HOME", self.dir.path()).env("TERM", "xterm-256color").stdin(std::process::Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }
}

/// Three statements, with a pause of a minute before the second.
fn short() -> Shot {
    let mut film = Film::begin();
    film.wait(200);
    let rows = vec![vec![Some("1"), Some("ana")], vec![Some("20"), None]];
    film.statement(
        "SELECT id, name\nFROM customers",
        300,
        &Returns::Rows { columns: &[("id", 23), ("name", 25)], rows },
    );
    film.wait(60_000);
    film.statement("UPDATE customers SET name = 'needle'", 20, &Returns::Tag("UPDATE 2"));
    film.wait(500);
    let error = Returns::Error { sqlstate: "42P01", message: "relation \"nowhere\" does not exist" };
    film.statement("SELECT * FROM nowhere", 2, &error);
    Shot::of(film)
}

fn hostile() -> Shot {
    let mut film = Film::begin();
    let rows = vec![vec![Some(HOSTILE), None]];
    let text = format!("SELECT '{HOSTILE}' AS \"{}\"", HOSTILE.replace('"', ""));
    film.statement(&text, 10, &Returns::Rows { columns: &[(HOSTILE, 25), ("b", 25)], rows });
    film.statement("SELECT 2", 10, &Returns::Error { sqlstate: "22000", message: HOSTILE });
    Shot::of(film)
}

/// What people do in a long session, a thousand times.
fn long() -> Shot {
    let mut film = Film::begin();
    let orders: Vec<Vec<String>> = (1..=400)
        .map(|order| {
            let state = ["paid", "sent", "open"][order % 3].to_owned();
            let note = if order % 7 == 0 {
                "left with the neighbour on the second floor, who was not amused"
            } else {
                ""
            };
            vec![
                (4000 + order).to_string(),
                format!("customer{}@example.com", order * 37 % 211),
                format!("{}.{:02}", order * 13 % 900, order % 100),
                state,
                format!("2026-11-{:02} 09:{:02}:11+00", order % 28 + 1, order % 60),
                note.to_owned(),
            ]
        })
        .collect();
    let columns =
        [("id", 20), ("email", 25), ("total", 1700), ("state", 25), ("created_at", 1184), ("note", 25)];
    for number in 1..=1000_usize {
        film.wait(if number % 50 == 0 { 45_000 } else { 300 + (number as i64 * 7919) % 4000 });
        let some = (number * 31) % 120 + if number % 97 == 0 { 280 } else { 0 };
        let rows = || -> Vec<Vec<Option<&str>>> {
            let some = orders.iter().take(some);
            some.map(|row| {
                row.iter().map(|cell| Some(cell.as_str()).filter(|cell| !cell.is_empty())).collect()
            })
            .collect()
        };
        match number % 10 {
            3 => film.statement(
                &format!("UPDATE orders SET state = 'sent', sent_at = now() WHERE id = {};", 4000 + number),
                4 + number as i64 % 9,
                &Returns::Tag("UPDATE 1"),
            ),
            6 => film.statement(
                &format!("-- who waits the longest?\nSELECT o.id, c.email, o.total, o.state, o.created_at, o.note\nFROM orders o\nJOIN customers c ON c.id = o.customer_id\nWHERE o.state = 'open'\n  AND o.created_at < now() - interval '{} days'\nORDER BY o.created_at\nLIMIT 400", number % 30 + 1),
                180 + (number as i64 * 37) % 2400,
                &Returns::Rows { columns: &columns, rows: rows() },
            ),
            9 if number % 30 == 9 => film.statement(
                "DELETE FROM orders WHERE total > '12 apples'",
                3,
                &Returns::Error { sqlstate: "22P02", message: "invalid input syntax for type numeric: \"12 apples\"" },
            ),
            _ => film.statement(
                &format!("SELECT * FROM orders WHERE customer_id = {} ORDER BY id DESC", number * 37 % 211),
                1 + (number as i64 * 17) % 60,
                &Returns::Rows { columns: &columns, rows: rows() },
            ),
        }
    }
    Shot::of(film)
}

/// A program of `tests/providers`, and what it has seen.
async fn seen(program: &str, args: &[&str]) -> Value {
    let mut command = tokio::process::Command::new(tools::node());
    command.arg(tools::repository().join("tests/providers").join(program)).args(args);
    // For whoever wants to look at the pages: a directory to put pictures into.
    command.args(std::env::var_os("DBACCESS_TEST_SCREENSHOTS"));
    let output = command.envs(tools::environment()).kill_on_drop(true).output().await.unwrap();
    assert!(output.status.success(), "{program} failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Neither a control character nor a mark that turns the direction of text.
#[track_caller]
fn harmless(text: &str) {
    let forges = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(forges), "{text:?}");
}

#[test]
fn r8_4_without_a_terminal_the_whole_session_is_printed() {
    let shot = short();
    let ran = shot.run(&[]).ok();
    let told = [
        "SELECT id, name\nFROM customers\n  id │ name\n  ───┼─────\n   1 │ ana\n  20 │ NULL\n→ SELECT 2, 2 rows  300 ms\n",
        "UPDATE customers SET name = 'needle'\n→ UPDATE 2  20.0 ms\n",
        "→ failed: 42P01 relation \"nowhere\" does not exist  2.0 ms\n",
    ];
    for part in told {
        assert!(ran.out.contains(part), "{part}: {}", ran.out);
    }
    assert!(ran.err.contains("chunks are as on the ledger, to the end"), "{}", ran.err);

    // From the ledger alone there are the statements, by the session's id or its beginning.
    let alone = Command::new(BINARY).args(["replay", "ses-film", "--ledger", &shot.ledger]).output().unwrap();
    let alone = Ran::from(alone).ok();
    assert!(alone.out.contains("FROM customers\n→ SELECT 2, 2 rows  300 ms\n"), "{}", alone.out);
    let other =
        Command::new(BINARY).args(["replay", "ses-other", "--ledger", &shot.ledger]).output().unwrap();
    let other = Ran::from(other).exits(1);
    assert!(other.err.contains("no statement of ses-other is there"), "{}", other.err);

    let model = shot.run(&["-o", "json"]).ok().json();
    let read = &model["statements"][0];
    assert_eq!((&model["person"]["email"], &model["recorded"]), (&"alice@example.com".into(), &true.into()));
    assert_eq!(read["columns"], json!([{"name": "id", "type": "integer"}, {"name": "name", "type": "text"}]));
    assert_eq!(read["grid"], json!([["1", "ana"], ["20", null]]));
    assert_eq!((&read["duration_us"], &read["rows"]), (&300_000.into(), &2.into()));
    assert_eq!(model["statements"][2]["result"]["error"]["sqlstate"], "42P01");

    let csv = shot.run(&["-o", "csv"]).exits(2);
    assert!(csv.err.contains("no table"), "{}", csv.err);
    // Without the ledger it plays too, and says so.
    let bare = Command::new(BINARY).args(["replay", &shot.file, "-o", "json"]).output().unwrap();
    let bare = Ran::from(bare).ok();
    assert!(bare.err.contains("not compared with a ledger"), "{}", bare.err);
    assert_eq!(bare.json()["statements"][0]["duration_us"], 300_000);
}

#[test]
fn r8_4_a_sealed_recording_without_its_key_leaves_the_statements() {
    let mut film = Film::begin();
    let key = film.seal();
    let rows = vec![vec![Some("ana")]];
    film.statement("SELECT name FROM t", 30, &Returns::Rows { columns: &[("name", 25)], rows });
    let shot = Shot::of(film);
    let without = shot.run(&[]).ok();
    assert!(without.out.contains("SELECT name FROM t\n→ SELECT 1, 1 row  30.0 ms\n"), "{}", without.out);
    assert!(without.err.contains("without the rows: ") && without.err.contains("--key"), "{}", without.err);
    let model = shot.run(&["-o", "json"]).ok().json();
    assert_eq!((&model["recorded"], &model["statements"][0]["grid"]), (&false.into(), &json!([])));
    let file = shot.dir.path().join("auditor.key");
    std::fs::write(&file, key).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let key = file.display().to_string();
    let model = shot.run(&["--key", &key, "-o", "json"]).ok().json();
    assert_eq!((&model["recorded"], &model["statements"][0]["grid"]), (&true.into(), &json!([["ana"]])));
    // Nothing is there without a ledger.
    let bare = Command::new(BINARY).args(["replay", &shot.file]).output().unwrap();
    let bare = Ran::from(bare).exits(5);
    assert!(bare.err.contains("must be named with --key"), "{}", bare.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_of_a_broken_recording_the_part_before_is_played_and_it_is_an_error() {
    let mut film = Film::begin();
    for word in ["early", "late"] {
        let rows = vec![vec![Some(word)]];
        film.statement(&format!("SELECT {word}"), 10, &Returns::Rows { columns: &[("w", 25)], rows });
        film.cut();
    }
    let shot = Shot::of(film);
    let mut bytes = std::fs::read(&shot.file).unwrap();
    let header = bytes.windows(16).position(|part| part == b"ses-film00000000").unwrap() + 16;
    let first = u32::from_be_bytes(bytes[header + 4..header + 8].try_into().unwrap());
    // In the payload of the second chunk.
    let at = header + 40 + usize::try_from(first).unwrap() + 45;
    bytes[at] ^= 1;
    std::fs::write(&shot.file, &bytes).unwrap();
    let ran = shot.run(&[]).exits(1);
    assert!(ran.out.contains("  early\n→ SELECT 1, 1 row") && !ran.out.contains("  late\n"), "{}", ran.out);
    assert!(ran.out.contains("SELECT late\n→ SELECT 1, 1 row"), "the ledger has it: {}", ran.out);
    let mark = "  the recording is broken: chunk 1 is not as it was written; what was recorded after that is not played\n";
    let (early, late) = (ran.out.find("SELECT early").unwrap(), ran.out.find("SELECT late").unwrap());
    let told = ran.out.find(mark).unwrap_or_else(|| panic!("{}", ran.out));
    assert!(early < told && told < late + 100, "{}", ran.out);
    assert!(ran.err.contains("it is evidence") && !ran.err.contains("stands above"), "{}", ran.err);
    let html = shot.dir.path().join("page.html").display().to_string();
    shot.run(&["--html", &html]).exits(1);
    assert!(std::fs::read_to_string(&html).unwrap().contains("<p>the recording is broken: chunk 1"));
    let page = seen("replay.mjs", &["broken", &html]).await;
    assert_eq!(page["problems"], json!([]), "{page}");
}

#[test]
fn r8_4_a_copy_of_the_ledger_that_is_not_whole_is_not_played() {
    let shot = short();
    let segment = std::fs::read_dir(&shot.ledger).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read_to_string(&segment).unwrap();
    let edited = whole.replacen("UPDATE customers", "UPDATE suppliers", 1);
    let dropped = whole.lines().skip(1).map(|line| format!("{line}\n")).collect();
    for (copy, says) in
        [(edited, "was edited"), (dropped, "is missing"), (format!("{whole}?\n"), "not a ledger line")]
    {
        std::fs::write(&segment, copy).unwrap();
        for what in [shot.file.as_str(), "ses-film"] {
            let ran = Command::new(BINARY).args(["replay", what, "--ledger", &shot.ledger]).output().unwrap();
            let ran = Ran::from(ran).exits(1);
            assert!(ran.err.contains(says) && ran.out.is_empty(), "{says}: {} {}", ran.err, ran.out);
        }
    }
}

#[test]
fn r8_4_how_sure_a_replay_is_goes_with_it() {
    let shot = short();
    let [html, cast] = ["page.html", "a.cast"].map(|name| shot.dir.path().join(name).display().to_string());
    let bare = |args: &[&str]| -> Ran {
        Command::new(BINARY).args(["replay", &shot.file]).args(args).output().unwrap().into()
    };
    bare(&["--html", &html, "--cast", &cast]).ok();
    let note = "not compared with a ledger";
    assert!(std::fs::read_to_string(&html).unwrap().contains(&format!("<p>{note}")));
    let cast = std::fs::read_to_string(&cast).unwrap();
    let first: Value = serde_json::from_str(cast.lines().nth(1).unwrap()).unwrap();
    assert!(first[0] == 0.0 && first[2].as_str().unwrap().contains(note), "{first}");
    let model = bare(&["-o", "json"]).ok().json();
    assert!(model["notes"][0].as_str().unwrap().contains(note), "{model}");
    let compared = shot.run(&["-o", "json"]).ok().json();
    let notes = compared["notes"].to_string();
    assert!(notes.contains("as on the ledger, to the end") && notes.contains("ledger verify"), "{notes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_b3_a_terminal_plays_steps_seeks_and_searches() {
    let shot = short();
    let mut terminal = Terminal::run(shot.command(&["--speed", "0.1"]), 24, 110);
    // It plays by itself, slowly: the beginning is there, the end is not.
    terminal.shows("con-film00000000 connected").await;
    terminal.shows("FROM customers").await;
    terminal.press(" ");
    let paused = terminal.shows("⏸ 0.1×").await;
    assert!(!paused.contains("UPDATE"), "{paused}");
    terminal.press("n");
    terminal.shows("→ SELECT 2, 2 rows").await;
    terminal.press("n");
    let second = terminal.shows("→ UPDATE 2").await;
    // A minute was played as two seconds.
    assert!(second.contains("2 of 3") && second.contains("0:02 / 0:03"), "{second}");
    assert!(!second.contains("nowhere"), "{second}");
    terminal.press("p");
    let first = terminal.shows("1 of 3").await;
    assert!(!first.contains("needle"), "{first}");
    terminal.press("/NoWhere\r");
    terminal.shows("failed: 42P01").await;
    terminal.press("/nothing like it\r");
    terminal.shows("nothing like it is nowhere in it").await;
    terminal.press("\x1b[H");
    let start = terminal.shows("0:00 / 0:03  0 of 3").await;
    assert!(!start.contains("SELECT"), "{start}");
    terminal.press("\x1b[C");
    terminal.shows("0:03 / 0:03  3 of 3").await;
    // At speed it comes to the end by itself.
    terminal.press("\x1b[H++++++ ");
    terminal.shows("⏸ 6.4×  0:03 / 0:03  3 of 3").await;
    terminal.press("q");
    assert_eq!(terminal.ended().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_the_terminal_is_given_back_on_every_way_out() {
    let shot = short();
    let mut terminal = Terminal::run(shot.command(&[]), 10, 40);
    let small = terminal.shows("UPDATE").await;
    assert!(small.lines().count() <= 10, "{small}");
    terminal.press("\x03");
    assert_eq!(terminal.ended().await, 0);

    use rustix::process::Signal;
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::INT, 130)] {
        let mut terminal = Terminal::run(shot.command(&[]), 10, 40);
        terminal.shows("of 3").await;
        rustix::process::kill_process(rustix::process::Pid::from_child(&terminal.child), signal).unwrap();
        assert_eq!(terminal.ended().await, code, "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_what_was_recorded_drives_no_terminal() {
    let shot = hostile();
    let ran = shot.run(&[]).ok();
    harmless(&ran.out);
    assert!(ran.out.contains("\\u{1b}[2J") && ran.out.contains("</script>"), "{}", ran.out);
    let mut terminal = Terminal::run(shot.command(&["--speed", "100"]), 30, 120);
    let shown = terminal.shows("2 of 2").await;
    assert!(shown.contains("\\u{1b}]0;pwned"), "{shown}");
    terminal.press("q");
    terminal.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_b3_asciinemas_own_player_plays_the_cast() {
    for (shot, says) in [(short(), "UPDATE 2"), (hostile(), "\\u{1b}[2J")] {
        let cast = shot.dir.path().join("a.cast").display().to_string();
        let ran = shot.run(&["--cast", &cast]).ok();
        assert!(ran.err.contains("a.cast"), "{}", ran.err);
        let lines: Vec<Value> = std::fs::read_to_string(&cast)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!((&lines[0]["version"], &lines[0]["idle_time_limit"]), (&2.into(), &2.0.into()));
        let markers = lines.iter().filter(|line| line[1] == "m").count();
        let output: String =
            lines.iter().filter(|line| line[1] == "o").map(|line| line[2].as_str().unwrap()).collect();
        // Its colours are its own; nothing else begins with an escape.
        let mut own = output.split('\x1b').skip(1);
        assert!(
            own.all(|rest| rest.starts_with('[') && rest.find('m').is_some_and(|at| at < 6)),
            "{output:?}"
        );
        let played = seen("cast.mjs", &[&cast]).await;
        assert!(played["text"].as_str().unwrap().contains(says), "{played}");
        assert_eq!(
            (&played["title"], &played["markers"]),
            (&"dbaccess ses-film00000000".into(), &markers.into())
        );
        assert_eq!(played["problems"], json!([]), "{played}");
        if says == "UPDATE 2" {
            // A minute is played as two seconds.
            let duration = played["duration"].as_f64().unwrap();
            assert!((2.5..4.0).contains(&duration), "{played}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_b3_a_page_plays_a_thousand_statements_in_a_browser() {
    let shot = long();
    let html = shot.dir.path().join("page.html").display().to_string();
    shot.run(&["--html", &html]).ok();
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&html).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "it holds what a person saw");
    let page = seen("replay.mjs", &["long", &html]).await;
    assert_eq!((&page["requests"], &page["problems"]), (&json!([]), &json!([])), "{page}");
    assert!(page["ready_ms"].as_f64().unwrap() < 4000.0, "{page}");
    assert!(page["items"].as_u64().unwrap() < 80, "only what is seen is in the list: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_what_was_recorded_is_words_on_a_page() {
    let shot = hostile();
    let html = shot.dir.path().join("page.html").display().to_string();
    shot.run(&["--html", &html]).ok();
    harmless(&std::fs::read_to_string(&html).unwrap());
    let page = seen("replay.mjs", &["hostile", &html]).await;
    assert_eq!((&page["requests"], &page["problems"]), (&json!([]), &json!([])), "{page}");
    let text = page["text"].as_str().unwrap();
    assert!(text.contains("<img src=x onerror=") && text.contains("\\u{1b}[2J"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_a_session_of_the_server_is_played_with_its_rows_if_it_was_recorded() {
    let (policy, _dir) = rule();
    let extra = format!("{UNLIMITED}\n{policy}");
    let sql = "CREATE TABLE t (i bigint); INSERT INTO t VALUES (7)";
    let setting = Setting { databases: vec![("filmed", sql)], extra, ..Setting::default() };
    let env = TestEnv::with(setting).await;
    let alice = env.signed_in("alice").await;
    alice.run(&["request", "filmed", "--schema", "public", "--reason", "x"]).ok();
    alice.run(&["exec", "filmed", "SELECT i, 'seen' AS word FROM t"]).ok();
    let session = alice.last_session()["session"]["id"].as_str().unwrap().to_owned();
    let dave = env.signed_in("dave").await;
    let model = dave.run(&["replay", &session, "-o", "json"]).ok().json();
    let is_read = |one: &&Value| one["text"].as_str().is_some_and(|text| text.contains("'seen'"));
    let read = model["statements"].as_array().unwrap().iter().find(is_read).unwrap().clone();
    assert_eq!((&read["grid"], &model["target"]), (&json!([["7", "seen"]]), &"filmed".into()), "{model}");
    assert!(read["duration_us"].as_u64().unwrap() > 0 && read["bytes"].as_u64().unwrap() > 0, "{read}");
    let looked = events(&env, "recording.read", 1, |_| true).await;
    assert_eq!(looked[0]["by"]["email"], "dave@example.com");
    // Nobody sees their own recording; what they ran they know.
    let own = alice.run(&["replay", &session]).ok();
    assert!(own.out.contains("SELECT i, 'seen' AS word FROM t\n  i │ word"), "{}", own.out);
    assert!(own.out.contains("  the rows are not in here\n→ SELECT 1, 1 row"), "{}", own.out);
    assert!(!own.out.contains("  7 │"), "{}", own.out);
    assert!(own.err.contains("your own session"), "{}", own.err);
    // A lead sees neither.
    let carol = env.signed_in("carol").await;
    let lead = carol.run(&["replay", &session]).exits(5);
    assert!(lead.err.contains("for security and auditors"), "{}", lead.err);
    let missing = dave.run(&["replay", "ses-nothing"]).exits(1);
    assert!(missing.err.contains("no session begins with"), "{}", missing.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_a_session_that_was_not_recorded_is_played_from_its_record() {
    let sql = "CREATE TABLE t (i bigint); INSERT INTO t VALUES (7)";
    let env = TestEnv::with(Setting { databases: vec![("plain", sql)], ..Setting::default() }).await;
    let alice = writer(&env, "plain").await;
    alice.run(&["exec", "plain", "SELECT i FROM t"]).ok();
    let session = alice.last_session()["session"]["id"].as_str().unwrap().to_owned();
    let dave = env.signed_in("dave").await;
    let model = dave.run(&["replay", &session[..9], "-o", "json"]).ok().json();
    assert_eq!((&model["recorded"], &model["session"]), (&false.into(), &session.into()));
    let read =
        &model["statements"].as_array().unwrap().iter().find(|one| one["text"] == "SELECT i FROM t").unwrap();
    assert_eq!(
        (&read["rows"], &read["grid"], &read["result"]["ok"]["tag"]),
        (&1.into(), &json!([]), &"SELECT 1".into())
    );
    assert!(read["duration_us"].as_u64().unwrap() > 0, "{read}");
    assert!(!env.ledger_text().contains("recording.read"), "nobody has seen a row");
}
