//! What a session costs and how soon it comes and goes: memory, the way to the
//! first row, and the time from revocation to a role that is gone.

use super::Plan;
use super::place::{Place, Way};
use super::raw::Raw;
use super::support::env::eventually;
use super::table::{self, median, quantile};
use super::world::{TARGET, World};
use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

pub async fn run(world: &World, plan: &Plan) {
    if plan.wants("idle") {
        idle(world, plan).await;
    }
    if plan.wants("first row") {
        first_row(world, plan);
    }
    if plan.wants("revocation") {
        revocation(world, plan).await;
    }
}

async fn idle(world: &World, plan: &Plan) {
    table::heading("Memory of an idle connection", &["process", "connections", "kB each"]);
    // What one `dbaccess connect` carries at most is less than 500.
    let tunnel = plan.idle.min(100);
    for (way, count) in [
        (Way::Pgbouncer, plan.idle),
        (Way::PgbouncerTls, plan.idle),
        (Way::Native, plan.idle),
        (Way::Tunnel, tunnel),
    ] {
        eprintln!("{count} idle connections: {}", way.name());
        let pid = world.pid(way).expect("a process");
        // Warm: what the first connections make for all is not theirs.
        drop(open(world.reads(way), 20).await);
        let before = resident(pid);
        let clients = open(world.reads(way), count).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let grown = resident(pid).saturating_sub(before);
        drop(clients);
        let name = match way {
            Way::Native => "dbaccess server",
            Way::Tunnel => "dbaccess connect",
            way => way.name(),
        };
        table::row(&[name.to_owned(), count.to_string(), format!("{:.1}", grown as f64 / count as f64)]);
    }
}

/// Connections that have each run a statement.
async fn open(place: &Place, count: usize) -> Vec<Raw> {
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = Raw::connect(place).await;
        assert_eq!(client.rows("SELECT 1").await, 1);
        clients.push(client);
    }
    clients
}

/// Resident memory, in kB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("its memory")
}

/// From the first key to the first row: `dbaccess request`, granted at once by
/// policy, then `dbaccess connect TARGET -- psql`, all processes counted.
fn first_row(world: &World, plan: &Plan) {
    eprintln!("request to first row, {} times", plan.first_rows);
    // Somebody without another grant, so that none has to be chosen.
    let bob = world.env.person("bob");
    let (mut asked, mut total, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.first_rows {
        let started = Instant::now();
        let request = bob
            .run(&["request", TARGET, "--table", "orders", "--reason", "benchmark", "--output", "json"])
            .ok();
        asked.push(started.elapsed().as_secs_f64() * 1e3);
        let words = ["connect", TARGET, "--", "psql", "-XAtc", "SELECT id FROM orders LIMIT 1"];
        let mut child =
            bob.command(&words).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut row = [0];
        child.stdout.take().expect("its output").read_exact(&mut row).expect("a row");
        total.push(started.elapsed().as_secs_f64() * 1e3);
        assert!(child.wait().expect("it ends").success());
        ended.push(started.elapsed().as_secs_f64() * 1e3);
        let id = request.json()["request"]["id"].as_str().expect("an id").to_owned();
        bob.run(&["revoke", &id]).ok();
    }
    table::heading("From request to first row, ms", &["", "median", "p90"]);
    for (name, values) in [
        ("`dbaccess request` has answered", &asked),
        ("first row of `dbaccess connect -- psql`", &total),
        ("session wiped, command ended", &ended),
    ] {
        table::row(&[
            name.to_owned(),
            format!("{:.0}", median(values)),
            format!("{:.0}", quantile(values, 0.9)),
        ]);
    }
}

/// A session with a statement running is revoked by somebody else's command.
async fn revocation(world: &World, plan: &Plan) {
    eprintln!("revocation with a statement running, {} times", plan.revocations);
    let (bob, carol) = (world.env.person("bob"), world.env.person("carol"));
    bob.run(&["request", TARGET, "--table", "orders", "--reason", "benchmark"]).ok();
    let admin = world.env.pg.admin("shop").await;
    let mut outside = Vec::new();
    let mut sessions = BTreeSet::new();
    for _ in 0..plan.revocations {
        let words = ["connect", TARGET, "--", "psql", "-XAtc", "SELECT pg_sleep(600)"];
        let mut child =
            bob.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
        let (role, session) = running(&admin, &mut child).await;
        let started = Instant::now();
        let mut revoke = carol
            .command(&["revoke", &session])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        while exists(&admin, &role).await {
            assert!(started.elapsed() < Duration::from_secs(60), "{role} lives on");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        outside.push(started.elapsed().as_secs_f64() * 1e3);
        assert!(revoke.wait().expect("it ends").success());
        child.wait().expect("it ends");
        sessions.insert(session);
    }
    let recorded = eventually("every death is on record", || {
        let latencies = recorded(world, &sessions);
        (latencies.len() == sessions.len()).then_some(latencies)
    })
    .await;
    table::heading(
        "From revocation to a role that is gone, a statement running, ms",
        &["", "sessions", "median", "p99", "longest"],
    );
    for (name, values) in [
        ("by the ledger, from the decision", &recorded),
        ("seen from outside, from the start of `dbaccess revoke`", &outside),
    ] {
        table::row(&[
            name.to_owned(),
            values.len().to_string(),
            format!("{:.0}", median(values)),
            format!("{:.0}", quantile(values, 0.99)),
            format!("{:.0}", quantile(values, 1.0)),
        ]);
    }
}

/// The role and the session of the one statement that sleeps.
async fn running(admin: &tokio_postgres::Client, child: &mut Child) -> (String, String) {
    const SLEEPING: &str = "SELECT usename::text, split_part(application_name, ' ', 2) FROM pg_stat_activity
         WHERE state = 'active' AND wait_event = 'PgSleep' AND usename LIKE 'dbaccess\\_s\\_%'";
    let started = Instant::now();
    loop {
        if let Some(row) = admin.query_opt(SLEEPING, &[]).await.expect("the catalog") {
            return (row.get(0), row.get(1));
        }
        assert!(child.try_wait().expect("a child").is_none(), "the session ended by itself");
        assert!(started.elapsed() < Duration::from_secs(30), "no statement runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn exists(admin: &tokio_postgres::Client, role: &str) -> bool {
    const EXISTS: &str = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)";
    admin.query_one(EXISTS, &[&role]).await.expect("the catalog").get(0)
}

/// Latencies of these sessions' deaths, as the ledger has them, in ms.
fn recorded(world: &World, sessions: &BTreeSet<String>) -> Vec<f64> {
    let files = world.env.ledger_dir().read_dir().expect("the ledger").flatten();
    let segments = files.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "jsonl"));
    let mut latencies = Vec::new();
    for segment in segments {
        let text = std::fs::read_to_string(segment.path()).expect("a segment");
        for line in text.lines().filter(|line| line.contains("\"session.dead\"")) {
            let line: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
            let Some(event) = find(&line, "latency_ms") else { continue };
            if event["session"].as_str().is_some_and(|session| sessions.contains(session)) {
                latencies.extend(event["latency_ms"].as_f64());
            }
        }
    }
    latencies
}

/// The object, however deep, that holds a key.
fn find<'v>(value: &'v serde_json::Value, key: &str) -> Option<&'v serde_json::Value> {
    let object = value.as_object()?;
    if object.contains_key(key) { Some(value) } else { object.values().find_map(|inner| find(inner, key)) }
}
