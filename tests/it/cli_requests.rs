//! Asking and deciding, as a person or a script does it.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::{get, post};
use dbaccess::core::model::{
    AccessRequest, AskedScope, Catalog, Classification, Closed, Decision, ErrorKind, Limits,
    Path as AccessPath, PersonRef, RequestId, RequestState, Role, RuleRef, Slot, Tier,
};
use dbaccess::os;
use dbaccess::proto::{Approve, ErrorBody, NewRequest, RequestView};
use jiff::Timestamp;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Default)]
struct World {
    asked: Mutex<Vec<NewRequest>>,
    approved: Mutex<Vec<(String, Approve)>>,
    polls: AtomicUsize,
}

const ID: &str = "req-7k2m9pabcdef";

fn view(state: RequestState, reason: &str) -> RequestView {
    let catalog = Catalog { taken_at: os::now(), ..Catalog::default() };
    let closed = |text: &str| Closed::by_nobody(os::now(), Some(text.into()));
    let request = AccessRequest {
        id: RequestId::from_stored(ID),
        person: PersonRef { subject: "1".into(), email: "ana@example.com".into() },
        target: "prod-orders".into(),
        scope: AskedScope::default().resolve(&catalog, &Classification::default()).unwrap(),
        path: AccessPath::ReadOnly,
        reason: reason.into(),
        migration: None,
        window: Duration::from_secs(3600),
        created_at: os::now(),
        expires_at: Timestamp::from_second(os::now().as_second() + 3600).unwrap(),
        state,
        decision: Decision {
            tier: Tier::Single,
            rules: vec![RuleRef { id: "r4-2".into(), title: "personal data".into() }],
            why: "payments.email is pii".into(),
            slots: vec![Slot { any_of: vec![Role::new("lead"), Role::new("security")] }],
            longest: Duration::from_secs(7200),
            limits: Limits::default(),
            policy: "00".into(),
            facts: None,
        },
        approvals: vec![],
        closed: (state == RequestState::Denied).then(|| closed("use staging")),
        grant: None,
        incident: None,
    };
    RequestView {
        request,
        teams: std::collections::BTreeSet::new(),
        risk: None,
        sensitive: vec![],
        masked: vec![],
        you_fill: vec![Role::new("lead")],
        on_behalf_of: None,
        history: None,
        grant: None,
        break_glass: None,
    }
}

struct Server {
    world: Arc<World>,
    url: String,
    home: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    fn start() -> Self {
        let world = Arc::new(World::default());
        let ask = async |State(world): State<Arc<World>>, Json(asked): Json<NewRequest>| {
            let state = match asked.reason.as_str() {
                "granted" => RequestState::Granted,
                "denied" => RequestState::Denied,
                "lapsed" => RequestState::Expired,
                _ => RequestState::Waiting,
            };
            let answer = view(state, &asked.reason);
            world.asked.lock().unwrap().push(asked);
            Json(answer)
        };
        // The third look sees the approval.
        let show = async |State(world): State<Arc<World>>| {
            let polled = world.polls.fetch_add(1, Ordering::SeqCst);
            Json(view(if polled < 2 { RequestState::Waiting } else { RequestState::Granted }, "a\x1b[31mb"))
        };
        let approve =
            async |State(world): State<Arc<World>>, Path(id): Path<String>, Json(body): Json<Approve>| {
                if world.polls.load(Ordering::SeqCst) > 2 {
                    let message = "request was already granted by bob@example.com".into();
                    let refusal = ErrorBody { kind: ErrorKind::Conflict, message, hint: None };
                    return Err((StatusCode::CONFLICT, Json(refusal)));
                }
                world.approved.lock().unwrap().push((id, body));
                Ok(Json(view(RequestState::Granted, "why")))
            };
        let routes = Router::new()
            .route("/v1/requests", post(ask))
            .route("/v1/requests/{id}", get(show))
            .route("/v1/requests/{id}/approve", post(approve))
            .with_state(Arc::clone(&world));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { world, url, home: tempfile::tempdir().unwrap(), _runtime: runtime }
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_dbaccess"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("DBACCESS_SERVER", &self.url)
            .env("DBACCESS_TOKEN", "token")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }
}

#[test]
fn b9_a_request_says_what_policy_demands_and_exits_by_it() {
    let server = Server::start();
    for (reason, expected) in [("granted", 0), ("waiting", 4), ("denied", 5), ("lapsed", 6)] {
        let (code, out, err) =
            server.run(&["request", "prod-orders", "--table", "payments", "--reason", reason]);
        assert_eq!(code, Some(expected), "{reason}: {err}");
        for part in [ID, "personal data (r4-2)", "payments.email is pii", "single: one approval needed"] {
            assert!(out.contains(part), "R4.5: {part} in {out}");
        }
        match reason {
            "granted" => assert!(err.contains("dbaccess connect prod-orders"), "{err}"),
            "waiting" => {
                assert!(out.contains("needs     lead or security"), "{out}");
                assert!(err.contains(&format!("dbaccess approve {ID}")), "{err}");
            }
            "denied" => assert!(err.contains("use staging"), "{err}"),
            _ => assert!(err.contains("lapsed"), "{err}"),
        }
    }
    let args = [
        "request",
        "-t",
        "a",
        "-t",
        "b",
        "--schema",
        "s",
        "--row",
        "c: x = 1",
        "--row",
        "d: y = ':'",
        "--follow",
        "--unmask",
        "z",
        "--unmask",
        "c.w",
        "--write",
        "--ddl",
        "--export",
        "--for",
        "1h30m",
        "-r",
        "granted",
        "-o",
        "json",
    ];
    let (_, out, _) = server.run(&args);
    let printed: RequestView = serde_json::from_str(&out).unwrap();
    assert_eq!(printed.request.id.as_str(), ID);
    let asked = server.world.asked.lock().unwrap().pop().unwrap();
    assert_eq!((asked.target, asked.window_seconds), (None, Some(5400)));
    assert_eq!(
        (asked.scope.tables, asked.scope.schemas, asked.scope.write),
        (vec!["a".into(), "b".into()], vec!["s".into()], true)
    );
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    assert_eq!(asked.scope.rows, words(&["c: x = 1", "d: y = ':'"]));
    assert_eq!(asked.scope.unmask, words(&["z", "c.w"]));
    assert!(asked.scope.follow && asked.scope.ddl && asked.scope.export);
    assert_eq!(server.run(&["request", "x", "--database", "--row", "c: x = 1", "-r", "y"]).0, Some(2));
    assert_eq!(server.run(&["request", "x", "--for", "soon", "-r", "y"]).0, Some(2));
}

#[test]
fn waiting_ends_with_the_decision() {
    let server = Server::start();
    let (code, _, err) = server.run(&["request", "prod-orders", "-t", "payments", "-r", "because", "--wait"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(server.world.polls.load(Ordering::SeqCst), 3);
    // For programs: a line as it was asked, and one as it was decided.
    let server = Server::start();
    let args = ["request", "prod-orders", "-t", "payments", "-r", "because", "--wait", "-o", "json"];
    let (code, out, err) = server.run(&args);
    assert_eq!(code, Some(0), "{err}");
    let states = out.lines().map(|line| serde_json::from_str::<RequestView>(line).unwrap().request.state);
    assert_eq!(states.collect::<Vec<_>>(), [RequestState::Waiting, RequestState::Granted], "{out}");
}

#[test]
fn b7_an_approver_sees_confirms_and_may_narrow() {
    let server = Server::start();
    let (code, _, err) = server.run(&["approve", "req-7k"]);
    assert_eq!(code, Some(2), "nobody is there to confirm: {err}");
    assert!(err.contains("hint: confirm with --yes") && err.contains("Approve as lead"), "{err}");
    assert!(err.contains("a\\u{1b}[31mb"), "a reason cannot colour the approver's terminal: {err}");
    assert!(server.world.approved.lock().unwrap().is_empty());
    let (code, _, err) =
        server.run(&["approve", "req-7k", "--yes", "--for", "30m", "--table", "payments", "--comment", "ok"]);
    assert_eq!(code, Some(0), "{err}");
    let (id, body) = server.world.approved.lock().unwrap().pop().unwrap();
    assert_eq!(id, ID, "the whole id, as it was seen");
    assert_eq!((body.window_seconds, body.tables), (Some(1800), Some(vec!["payments".to_owned()])));
    let (code, _, err) = server.run(&["approve", ID, "--yes"]);
    assert_eq!(code, Some(1), "it is decided by now: {err}");
    assert!(err.contains("already granted by bob@example.com"), "{err}");
}
