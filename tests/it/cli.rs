//! The command line tool as a person runs it, against a server that says what
//! the test wants it to say.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{delete, get, post};
use axum::{Router, body::Body};
use dbaccess::core::model::{
    AskedScope, Catalog, Classification, EndReason, Grant, GrantId, Limits, Path as AccessPath, Permission,
    PersonRef, RequestId, SessionId, Totals,
};
use dbaccess::os;
use dbaccess::proto::{SessionEvent, SessionOpened, SessionSummary};
use futures_util::StreamExt;
use jiff::Timestamp;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// What the server holds and has seen.
struct World {
    grants: Mutex<Vec<Grant>>,
    /// What the session's stream says, as it comes; `None` cuts the connection.
    said: watch::Sender<Vec<Option<SessionEvent>>>,
    streams: AtomicUsize,
    closed: AtomicUsize,
}

struct Server {
    world: Arc<World>,
    url: String,
    home: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(os::now().as_second() + seconds).unwrap()
}

fn grant(id: &str, seconds: i64) -> Grant {
    let catalog = Catalog { taken_at: os::now(), ..Catalog::default() };
    Grant {
        id: GrantId::from_stored(id),
        request: RequestId::from_stored("req-1"),
        person: PersonRef { subject: "1".into(), email: "ana@example.com".into() },
        target: "prod-orders".into(),
        scope: AskedScope::default().resolve(&catalog, &Classification::default()).unwrap(),
        path: AccessPath::ReadOnly,
        limits: Limits::default(),
        script: None,
        from: os::now(),
        until: in_seconds(seconds),
        revoked: None,
    }
}

fn summary(reason: EndReason) -> SessionSummary {
    SessionSummary {
        session: SessionId::from_stored("ses-test"),
        reason,
        totals: Totals { statements: 12, rows: 340, bytes: 1 },
        dead_after_ms: Some(23),
    }
}

/// Says everything since the last cut, then waits for more.
async fn events(State(world): State<Arc<World>>) -> Response {
    world.streams.fetch_add(1, Ordering::SeqCst);
    let said = world.said.subscribe();
    let start = said.borrow().iter().rposition(Option::is_none).map_or(0, |cut| cut + 1);
    let lines = futures_util::stream::unfold((said, start), async |(mut said, next)| {
        let event = said.wait_for(|said| said.len() > next).await.ok()?.get(next).cloned()?;
        let line = match event {
            Some(event) => Ok(format!("{}\n", serde_json::to_string(&event).unwrap())),
            None => Err(std::io::Error::other("cut")),
        };
        Some((line, (said, next + 1)))
    });
    Body::from_stream(lines.boxed()).into_response()
}

impl Server {
    fn start(grants: Vec<Grant>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let world = Arc::new(World {
            grants: Mutex::new(grants),
            said: watch::Sender::new(Vec::new()),
            streams: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
        });
        let routes = Router::new()
            .route(
                "/v1/grants",
                get(async |State(world): State<Arc<World>>| Json(world.grants.lock().unwrap().clone())),
            )
            .route("/v1/targets", get(async || Json(serde_json::json!([]))))
            .route("/v1/requests", get(async || Json(serde_json::json!([]))))
            .route(
                "/v1/sessions",
                post(async || {
                    Json(SessionOpened {
                        session: SessionId::from_stored("ses-test"),
                        grant: GrantId::from_stored("grt-1"),
                        target: "prod-orders".into(),
                        user: "dba_ana".into(),
                        password: "s3cret:pass".into(),
                        database: "orders".into(),
                        until: in_seconds(3600),
                        permissions: [Permission::Read].into(),
                        native: None,
                    })
                }),
            )
            .route("/v1/sessions/{id}/events", get(events))
            .route(
                "/v1/sessions/{id}",
                delete(async |State(world): State<Arc<World>>, Path(id): Path<String>| {
                    assert_eq!(id, "ses-test");
                    world.closed.fetch_add(1, Ordering::SeqCst);
                    Json(summary(EndReason::Exit))
                }),
            )
            .with_state(Arc::clone(&world));
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { world, url, home: tempfile::tempdir().unwrap(), runtime }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dbaccess"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.home.path())
            .env("DBACCESS_SERVER", &self.url)
            .env("DBACCESS_TOKEN", "token")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn say(&self, event: SessionEvent) {
        self.world.said.send_modify(|said| said.push(Some(event)));
    }

    /// Directories of sessions that are still on this machine.
    fn session_directories(&self) -> usize {
        let sessions = self.home.path().join("dbaccess/sessions");
        let Ok(entries) = std::fs::read_dir(sessions) else { return 0 };
        entries.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
    }

    fn closed(&self) -> usize {
        self.world.closed.load(Ordering::SeqCst)
    }
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let started = std::time::Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn connect_leads_the_command_into_the_session_and_leaves_nothing() {
    let server = Server::start(vec![grant("grt-1", 3600)]);
    let script = "env | grep ^PG | sort; ls -l $PGPASSFILE | cut -c1-10; cat $PGPASSFILE; exit 3";
    let mut command = server.command(&["connect", "prod-orders", "--", "sh", "-c", script]);
    let output = command.env("PGHOSTADDR", "10.0.0.1").env("PGSERVICE", "elsewhere").output().unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "the command's own code: {err}");
    for line in [
        "PGHOST=127.0.0.1",
        "PGUSER=dba_ana",
        "PGDATABASE=orders",
        "PGSSLMODE=disable",
        "PGPASSWORD=s3cret:pass",
        "-rw-------",
    ] {
        assert!(out.lines().any(|shown| shown == line), "{line} in {out}");
    }
    assert!(!out.contains("PGHOSTADDR") && !out.contains("PGSERVICE"), "{out}");
    let port = out.lines().find_map(|line| line.strip_prefix("PGPORT=")).unwrap();
    assert!(out.contains(&format!("127.0.0.1:{port}:orders:dba_ana:s3cret\\:pass")), "{out}");
    assert!(
        err.contains("session ses-test ended (exit): 12 statements, 340 rows; role dead after 23 ms"),
        "{err}"
    );
    assert!(!err.contains("s3cret"), "G8: {err}");
    assert_eq!((server.session_directories(), server.closed()), (0, 1));
}

#[test]
fn g5_a_revoked_session_takes_its_command_with_it() {
    let server = Server::start(vec![grant("grt-1", 3600)]);
    server.say(SessionEvent::Tick { now: os::now(), until: in_seconds(240) });
    // It ignores the polite signal, as an interactive shell does.
    let script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let child = server
        .command(&["connect", "prod-orders", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the session is held", || server.world.streams.load(Ordering::SeqCst) == 1);
    server.say(SessionEvent::Ending {
        reason: EndReason::Revoked,
        message: "revoked by bo@example.com: wrong table".into(),
    });
    let output = child.wait_with_output().unwrap();
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{err}");
    assert!(err.contains("this session ends in 4 minutes"), "{err}");
    assert!(err.contains("revoked by bo@example.com: wrong table"), "{err}");
    assert_eq!((server.session_directories(), server.closed()), (0, 1));
}

#[test]
fn g5_a_window_ends_here_even_when_the_server_says_nothing() {
    let server = Server::start(vec![grant("grt-1", 3600)]);
    server.say(SessionEvent::Tick { now: os::now(), until: in_seconds(1) });
    let output = server.run(&["connect", "prod-orders", "--", "sleep", "60"]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{err}");
    assert!(err.contains("the window ended at"), "{err}");
}

#[test]
fn a_broken_stream_is_taken_up_again() {
    let server = Server::start(vec![grant("grt-1", 3600)]);
    let child = server
        .command(&["connect", "prod-orders", "--", "cat"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the session is held", || server.world.streams.load(Ordering::SeqCst) == 1);
    server.world.said.send_modify(|said| said.push(None));
    eventually("the session is held again", || server.world.streams.load(Ordering::SeqCst) == 2);
    // Closes its stdin, and so ends it.
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(server.closed(), 1);
}

#[test]
fn sigterm_ends_the_session_and_kill_9_is_cleaned_up_by_the_next_run() {
    let server = Server::start(vec![grant("grt-1", 3600)]);
    let listen = |server: &Server| {
        let child = server
            .command(&["connect", "prod-orders", "--listen"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let streams = server.world.streams.load(Ordering::SeqCst);
        eventually("the session is held", || server.world.streams.load(Ordering::SeqCst) > streams);
        child
    };
    let signal = |child: &std::process::Child, signal| {
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    };
    let polite = listen(&server);
    signal(&polite, rustix::process::Signal::TERM);
    let output = polite.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("JDBC URL       jdbc:postgresql://127.0.0.1:"));
    assert_eq!((server.session_directories(), server.closed()), (0, 1));

    let interrupted = listen(&server);
    signal(&interrupted, rustix::process::Signal::INT);
    assert_eq!(interrupted.wait_with_output().unwrap().status.code(), Some(0));

    let killed = listen(&server);
    signal(&killed, rustix::process::Signal::KILL);
    killed.wait_with_output().unwrap();
    assert_eq!(server.session_directories(), 1, "nobody was left to wipe it");
    server.run(&["connect", "prod-orders", "--", "true"]);
    assert_eq!(server.session_directories(), 0, "G8");
}

#[test]
fn print_env_returns_while_a_process_holds_the_session() {
    let server = Server::start(vec![grant("grt-1", 3600)]);
    let output = server.run(&["connect", "prod-orders", "--print-env"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert!(
        out.contains("export PGUSER=dba_ana\n") && out.contains("export DBACCESS_SESSION=ses-test\n"),
        "{out}"
    );
    assert!(!out.contains("s3cret") && !out.contains("ready"), "{out}");
    assert_eq!((server.session_directories(), server.closed()), (1, 0), "it is held");
    server.say(SessionEvent::Ending { reason: EndReason::Revoked, message: String::new() });
    eventually("the holder wipes", || server.session_directories() == 0);
    eventually("the holder says goodbye", || server.closed() == 1);
}

#[test]
fn two_grants_that_fit_are_listed_with_the_command_for_each() {
    let server = Server::start(vec![grant("grt-aaaaaaaaaa", 3600), grant("grt-bbbbbbbbbb", 7200)]);
    let output = server.run(&["connect", "prod-orders", "--", "true"]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("hint: dbaccess connect prod-orders --grant grt-bbbbbb\n"), "{err}");
    let err = text(&server.run(&["exec", "prod-orders", "SELECT 1"]).stderr);
    assert!(err.contains("hint: dbaccess exec prod-orders --grant grt-bbbbbb 'SQL'\n"), "{err}");
    let named = server.run(&["connect", "prod-orders", "--grant", "grt-a", "--", "true"]);
    assert!(named.status.success(), "{}", text(&named.stderr));
}

#[test]
fn b9_exit_codes_are_as_documented() {
    let server = Server::start(vec![]);
    let code = |arguments: &[&str]| server.run(arguments).status.code();
    assert_eq!(code(&["connect"]), Some(2));
    assert_eq!(code(&["connect", "nowhere", "--", "true"]), Some(1));
    assert_eq!(code(&["request", "--table", "payments", "--reason"]), Some(2), "nobody to ask");
    let without = |name: &str, value: &str, arguments: &[&str]| {
        let output = server.command(arguments).env(name, value).output().unwrap();
        (output.status.code(), text(&output.stderr))
    };
    let (status, err) = without("DBACCESS_TOKEN", "", &["whoami"]);
    assert_eq!(status, Some(3), "{err}");
    assert!(err.contains("hint: dbaccess login"), "{err}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (status, err) = without("DBACCESS_SERVER", &format!("http://{free}"), &["whoami"]);
    assert_eq!(status, Some(7), "{err}");
    drop(server.runtime);
}

#[test]
fn config_is_kept_in_the_xdg_directory() {
    let server = Server::start(vec![]);
    let run = |arguments: &[&str]| {
        let mut command = server.command(arguments);
        command.env_remove("DBACCESS_SERVER").output().unwrap()
    };
    assert_eq!(run(&["config", "set", "server", "http://db.example"]).status.code(), Some(2));
    assert!(run(&["config", "set", "server", "db.example:8443"]).status.success());
    assert_eq!(text(&run(&["config", "get", "server"]).stdout), "https://db.example:8443\n");
    let path = text(&run(&["config", "path"]).stdout);
    assert_eq!(path.trim(), server.home.path().join(".config/dbaccess/client.toml").to_str().unwrap());
    assert_eq!(run(&["whoami"]).status.code(), Some(7), "the configured server is asked");
}
