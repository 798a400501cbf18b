//! The metrics of privilege reduction: from real sessions on a real database to
//! the numbers, the ledger, Prometheus and the dashboard.

use crate::support::api::events;
use crate::support::env::{Setting, TestEnv};
use crate::support::tools;
use dbaccess::core::model::{ProbeAnswer, Secret};
use dbaccess::server::gateway::{Way, probe};
use dbaccess::server::metrics::Metrics;
use dbaccess::wire::postgres::scram::{DEFAULT_ITERATIONS, Keys};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// A whole with its Prometheus endpoint, which measures every second.
async fn measured() -> (TestEnv, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let extra = format!("[metrics]\nlisten = \"127.0.0.1:{port}\"\nrefresh = \"1s\"\n");
    (TestEnv::with(Setting { extra, ..Setting::default() }).await, port)
}

fn metric<'v>(view: &'v Value, id: &str) -> &'v Value {
    view["metrics"].as_array().unwrap().iter().find(|metric| metric["id"] == id).unwrap()
}

fn part(metric: &Value, name: &str) -> Value {
    metric["parts"].as_array().unwrap().iter().find(|part| part["name"] == name).unwrap()["value"].clone()
}

/// Waits until Prometheus is told that a gauge has a value that fits.
pub async fn gauge(port: u16, name: &str, fits: impl Fn(f64) -> bool) {
    let started = std::time::Instant::now();
    loop {
        let text =
            reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap().text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("dbaccess_{name} ")));
        let value: f64 = line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap();
        if fits(value) {
            return;
        }
        assert!(started.elapsed().as_secs() < 30, "{name} stays {value}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r10_3_r10_4_r10_6_a_session_that_was_granted_too_much_is_found_with_the_request_that_would_have_done()
 {
    let (env, port) = measured().await;
    let (alice, dave) = (env.signed_in("alice").await, env.signed_in("dave").await);
    let ask = ["request", "prod-orders", "--table", "orders", "--table", "customers", "--reason", "INC-1"];
    alice.run(&ask).ok();
    alice.run(&["exec", "prod-orders", "SELECT count(*) FROM orders"]).ok();
    let probed = events(&env, "credential.probed", 1, |_| true).await;
    assert_eq!(probed[0]["answer"]["refused"]["sqlstate"], "28P01", "{}", probed[0]);
    assert!(probed[0]["after_ms"].as_u64().unwrap() < 30_000, "{}", probed[0]);

    let view = dave.run(&["metrics", "-o", "json"]).exits(1).json();
    let excess = metric(&view, "R10.3");
    assert_eq!((&excess["value"], &excess["met"]), (&100.0.into(), &false.into()), "{excess}");
    let behind = &excess["behind"][0];
    assert_eq!(behind["person"], "alice@example.com");
    assert_eq!(behind["why"], "not used: public.customers");
    assert_eq!(behind["tighter"], "dbaccess request prod-orders --table public.orders");
    // What is proposed can be asked for, and would have done.
    let words: Vec<&str> = behind["tighter"].as_str().unwrap().split(' ').skip(1).collect();
    alice.run(&[&words[..], &["--reason", "INC-1"]].concat()).ok();

    let access = metric(&view, "R10.4");
    let seconds = access["value"].as_f64().unwrap();
    assert!(seconds > 0.0 && seconds < 300.0, "{access}");
    let machine = part(access, "machine, p50").as_f64().unwrap();
    assert!(machine > 0.0 && machine <= seconds, "{access}");
    assert_eq!(part(access, "people, p50"), Value::Null);
    let revoked = metric(&view, "R10.6");
    assert!(revoked["value"].as_f64().unwrap() < 30.0, "{revoked}");
    assert_eq!(part(revoked, "dead credentials refused"), 1.0);
    assert_eq!(metric(&view, "R10.2")["met"], true);
    assert_eq!(metric(&view, "R10.5")["value"], 0.0);

    gauge(port, "over_privileged_sessions_ratio", |value| value == 1.0).await;
    let page = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap().text().await.unwrap();
    promtool(&["check", "metrics"], &classic(&page));
    gauge(port, "dead_credentials_refused", |value| value == 1.0).await;
    gauge(port, "revocation_latency_p99_seconds", |value| value > 0.0 && value < 30.0).await;

    // For people: it fits a laptop's terminal and a telephone's.
    for columns in ["80", "40"] {
        for args in [&["metrics"][..], &["metrics", "--metric", "r10.3"]] {
            let mut command = dave.command(args);
            let output = command.env("COLUMNS", columns).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(text.contains("over-privileged") && text.contains("MISSED"), "{text}");
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns.parse().unwrap(), "{columns}: {text}");
        }
    }
    let csv = dave.run(&["metrics", "--metric", "R10.3", "-o", "csv"]).exits(1);
    assert!(csv.out.starts_with("id,person,target,at,why,tighter\r\n"), "{}", csv.out);
    let unknown = dave.run(&["metrics", "--metric", "R10.7"]).exits(2);
    assert!(unknown.err.contains("there is no metric R10.7"), "{}", unknown.err);
    let refused = alice.run(&["metrics"]).exits(5);
    assert!(refused.err.contains("for security and auditors"), "{}", refused.err);
    dave.run(&["metrics", "--since", "2000d"]).exits(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_5_r10_1_a_scan_finds_a_login_that_people_could_use() {
    let (env, port) = measured().await;
    let admin = env.pg.admin("shop").await;
    admin
        .batch_execute(
            "CREATE ROLE shop_app LOGIN PASSWORD 'x';
             CREATE ROLE analysts NOLOGIN; GRANT pg_read_all_data TO analysts; GRANT shop_owner TO analysts;
             CREATE ROLE \"Rogue.ann\" LOGIN CREATEROLE PASSWORD 'y' VALID UNTIL '2020-01-01 00:00:00+00';
             COMMENT ON ROLE \"Rogue.ann\" IS 'for the audit of 2019';
             GRANT analysts TO \"Rogue.ann\"",
        )
        .await
        .unwrap();
    let (alice, dave) = (env.signed_in("alice").await, env.signed_in("dave").await);
    let granted =
        alice.run(&["request", "prod-orders", "--table", "orders", "--reason", "INC-1", "-o", "json"]).ok();
    let open = serde_json::json!({"grant": granted.json()["grant"]["id"], "detached": true});
    alice.api().post("/v1/sessions", open).await.is(200);
    assert_eq!(env.session_roles().await.len(), 1);
    let scan = |person: &crate::support::env::TestPerson<'_>| {
        person.run(&["scan", "prod-orders", "-o", "json"]).exits(1).json()
    };
    let found = scan(&dave);
    let names: Vec<&str> =
        found["standing"].as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    let superuser: String = admin.query_one("SELECT current_user::text", &[]).await.unwrap().get(0);
    assert_eq!(BTreeSet::from_iter(names.clone()), BTreeSet::from(["Rogue.ann", &superuser]), "{found:#}");
    assert_eq!(found["declared"], serde_json::json!(["shop_app"]));
    assert_eq!(found["missing"], serde_json::json!([]));
    let rogue =
        found["standing"].as_array().unwrap().iter().find(|role| role["name"] == "Rogue.ann").unwrap();
    assert_eq!(
        (&rogue["superuser"], &rogue["createrole"], &rogue["valid_until"]),
        (&false.into(), &true.into(), &"2020-01-01T00:00:00Z".into())
    );
    assert_eq!(rogue["member_of"], serde_json::json!(["analysts"]));
    assert_eq!(rogue["through"], serde_json::json!(["pg_read_all_data", "shop_owner"]));
    let powers = rogue["powers"].as_array().unwrap();
    for power in
        ["may create roles", "reads every table (pg_read_all_data)", "owns 4 tables of shop (shop_owner)"]
    {
        assert!(powers.contains(&power.into()), "{rogue:#}");
    }
    assert_eq!(rogue["comment"], "for the audit of 2019");
    // The server's login may not read passwords, and says so.
    assert_eq!(rogue["password"], "unread");
    let unread = found["unread"].to_string();
    assert!(unread.contains("pg_authid") && unread.contains("last login"), "{unread}");

    // With more rights it says more.
    admin.batch_execute("GRANT SELECT ON pg_authid TO dbaccess").await.unwrap();
    let found = scan(&env.signed_in("carol").await);
    let rogue =
        found["standing"].as_array().unwrap().iter().find(|role| role["name"] == "Rogue.ann").unwrap();
    assert_eq!(rogue["password"], "scram-sha-256");

    let recorded = events(&env, "target.scanned", 2, |_| true).await;
    assert_eq!(recorded[0]["scan"]["standing"], 2);
    assert_eq!(recorded[0]["by"]["person"]["email"], "dave@example.com");
    assert_eq!(recorded[0]["scan"]["managed"], 2, "the session's role and the server's own: {}", recorded[0]);
    let view = dave.run(&["metrics", "-o", "json"]).exits(1).json();
    let standing = metric(&view, "R10.1");
    assert_eq!((&standing["value"], &standing["met"]), (&2.0.into(), &false.into()));
    assert!(standing["behind"].to_string().contains("Rogue.ann"), "{standing}");
    gauge(port, "standing_credentials", |value| value == 2.0).await;

    let refused = alice.run(&["scan", "prod-orders"]).exits(5);
    assert!(refused.err.contains("leads of the teams that own it"), "{}", refused.err);
}

#[tokio::test]
async fn r10_6_a_probe_tells_a_credential_that_lives_from_one_that_is_dead() {
    let pg =
        crate::support::pg_server::PgServer::start(&crate::support::pg_server::installed_bin(), &[]).await;
    let admin = pg.admin("postgres").await;
    let secret = Secret::from_random(dbaccess::os::random());
    let keys = Keys::derive(secret.expose(), b"sixteen bytes...", DEFAULT_ITERATIONS).unwrap();
    let verifier = keys.verifier().to_postgres().to_string();
    admin.batch_execute(&format!("CREATE ROLE ghost LOGIN PASSWORD '{verifier}'")).await.unwrap();
    let way = Way::new(pg.upstream("postgres", "unused", "unused")).unwrap();
    let refused = |sqlstate: &str| ProbeAnswer::Refused { sqlstate: sqlstate.to_owned() };
    assert_eq!(probe(&way, "ghost", &keys).await, ProbeAnswer::LetIn);
    admin.batch_execute("ALTER ROLE ghost NOLOGIN").await.unwrap();
    assert_eq!(probe(&way, "ghost", &keys).await, refused("28000"));
    admin.batch_execute("DROP ROLE ghost").await.unwrap();
    assert_eq!(probe(&way, "ghost", &keys).await, refused("28P01"));
    let nowhere = Way::new(dbaccess::server::config::Upstream { port: 1, ..way.to }).unwrap();
    assert!(matches!(probe(&nowhere, "ghost", &keys).await, ProbeAnswer::Unknown { .. }));
}

/// The names of all metrics, with the endings that their kinds have.
fn served() -> BTreeSet<String> {
    let metrics = Metrics::default();
    // One of a family is served with its first.
    metrics.requested("auto");
    metrics.retention_waits("siem", 0);
    let text = metrics.text();
    let mut names = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let endings: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        names.extend(endings.iter().map(|ending| format!("{name}{ending}")));
    }
    names
}

fn promtool(args: &[&str], input: &str) {
    let mut command = Command::new(tools::promtool());
    command.args(args).current_dir(tools::repository().join("docs/prometheus"));
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let ran = child.wait_with_output().unwrap();
    let said = [ran.stdout, ran.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(ran.status.success(), "promtool {args:?}: {said}");
}

/// OpenMetrics as promtool reads it: in the older format a counter's help has the
/// ending of its samples, too.
fn classic(page: &str) -> String {
    let counters: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    assert!(!counters.is_empty());
    let line = |line: &str| match line.splitn(4, ' ').collect::<Vec<_>>()[..] {
        ["#", what, name, rest] if counters.contains(name) => format!("# {what} {name}_total {rest}\n"),
        _ => format!("{line}\n"),
    };
    page.lines().map(line).collect()
}

#[test]
fn r10_prometheus_own_tool_takes_the_alerts_and_sees_them_fire() {
    promtool(&["check", "rules", "alerts.yaml"], "");
    promtool(&["test", "rules", "alerts_test.yaml"], "");
}

/// The metrics that a query names.
fn named(query: &str) -> Vec<&str> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("dbaccess_")).collect()
}

fn doc(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(path)).unwrap()
}

#[test]
fn r10_the_dashboard_and_the_alerts_ask_for_metrics_that_are_there() {
    let served = served();
    assert!(served.contains("dbaccess_standing_credentials"), "{served:?}");
    let dashboard: Value = serde_json::from_str(&doc("grafana/dashboard.json")).unwrap();
    assert!(
        dashboard["schemaVersion"].is_u64() && dashboard["uid"].is_string() && dashboard["title"].is_string()
    );
    let mut asked = BTreeSet::new();
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels of one id: {panel}");
        assert!(["stat", "timeseries"].contains(&panel["type"].as_str().unwrap()), "{panel}");
        let place = &panel["gridPos"];
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| place[key].as_u64().unwrap());
        assert!(x + w <= 24, "{panel}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(places.insert(cell), "panels lie on each other: {panel}");
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            let names = named(target["expr"].as_str().unwrap());
            assert!(!names.is_empty() && target["refId"].is_string(), "{target}");
            asked.extend(names.into_iter().map(str::to_owned));
        }
    }
    let alerts = doc("prometheus/alerts.yaml");
    let rules: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert_eq!(rules.len(), alerts.matches("- alert: ").count());
    for rule in rules {
        let names = named(rule);
        assert!(!names.is_empty(), "{rule}");
        asked.extend(names.into_iter().map(str::to_owned));
    }
    let missing: Vec<&String> = asked.difference(&served).collect();
    assert!(missing.is_empty(), "nobody serves {missing:?}");
    // The other way: each of the six is on the dashboard.
    for gauge in [
        "standing_credentials",
        "access_duration_mean_seconds",
        "over_privileged_sessions_ratio",
        "time_to_access_p50_seconds",
        "break_glass_month",
        "revocation_latency_p99_seconds",
    ] {
        assert!(asked.contains(&format!("dbaccess_{gauge}")), "{gauge}");
    }
}
