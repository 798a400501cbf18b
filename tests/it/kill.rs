//! Deaths without a word: of the client, of the server, at any moment. What
//! ran is on record, what was given is taken back.

use crate::support::env::TestEnv;
use crate::support::session::ENDLESS;
use rustix::process::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Every event is on the ledger, once: their numbers have no gap and no double.
fn assert_events_once(ledger: &[Value]) {
    let ids: Vec<i64> = ledger.iter().filter_map(|line| line["body"]["event"].as_i64()).collect();
    let expected: Vec<i64> = (1..=i64::try_from(ids.len()).unwrap()).collect();
    assert_eq!(ids, expected, "an event was lost, doubled or out of order");
}

/// The newest state of each session, by the ledger alone.
fn sessions_on_record(ledger: &[Value]) -> BTreeMap<String, String> {
    let kind = |line: &Value| line["body"]["kind"].as_str().unwrap_or_default().to_owned();
    let of_sessions = ledger.iter().filter(|line| kind(line).starts_with("session."));
    of_sessions.map(|line| (line["body"]["session"].as_str().unwrap().to_owned(), kind(line))).collect()
}

async fn all_dead(env: &TestEnv) {
    env.until("every role is gone", async || env.session_roles().await.is_empty()).await;
    let alice = env.person("alice");
    env.eventually("every session is dead", || {
        let open = alice.run(&["sessions", "--output", "json"]).ok().json();
        open.as_array().unwrap().is_empty().then_some(())
    })
    .await;
    env.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g8_a_killed_clients_session_ends_and_the_next_run_wipes_its_files() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    alice.granted(&["--table", "orders"]);
    let mut running = alice.connect_endless(&[]).await;
    let started = Instant::now();
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    env.until("the statement is cancelled", async || env.active().await == 0).await;
    env.until("the role is gone", async || env.session_roles().await.is_empty()).await;
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    env.eventually("the session is dead", || {
        (alice.last_session()["session"]["state"] == "dead").then_some(())
    })
    .await;
    assert_eq!(alice.last_session()["session"]["end"], "lost");
    env.assert_clean().await;
    assert_eq!(alice.session_files().len(), 1, "nobody was there to wipe them");
    alice.connect(&["--", "true"]).ended().await.exits(0);
    assert!(alice.session_files().is_empty());
}

/// A program that dies, and one that its session is taken from.
#[tokio::test(flavor = "multi_thread")]
async fn g5_a_stopping_server_ends_every_session_first() {
    let mut env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    alice.granted(&["--table", "orders"]);
    let endless = alice.connect_endless(&[]).await;
    let listening = alice.connect(&["--listen"]);
    listening.session().await;
    let profiles = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'dbaccess\\_p\\_%'";
    let admin = env.pg.admin("postgres").await;
    assert_eq!(admin.query_one(profiles, &[]).await.unwrap().get::<_, i64>(0), 1);

    let mut server = env.server.take().unwrap();
    let stopped = tokio::task::spawn_blocking(move || server.stop()).await.unwrap();
    assert!(stopped.success(), "{stopped}");
    env.assert_clean().await;
    assert_eq!(admin.query_one(profiles, &[]).await.unwrap().get::<_, i64>(0), 0, "unused profiles go too");
    for running in [endless, listening] {
        let ran = running.ended().await.exits(7);
        assert!(ran.err.contains("the dbaccess server stopped"), "{}", ran.err);
    }
    assert!(env.person("alice").session_files().is_empty());

    let ledger = env.ledger();
    assert_events_once(&ledger);
    assert!(sessions_on_record(&ledger).values().all(|kind| kind == "session.dead"));
    env.start_server().await;
    env.person("alice").connect(&["--", "true"]).ended().await.exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_g5_g7_a_killed_server_loses_no_statement_and_leaves_no_role() {
    const EACH: usize = 20_000;
    let mut env = TestEnv::start().await;
    let admin = env.pg.admin("postgres").await;
    admin.batch_execute("ALTER SYSTEM SET log_statement = 'all'").await.unwrap();
    admin.batch_execute("ALTER SYSTEM SET log_line_prefix = '%u~'").await.unwrap();
    admin.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    let alice = env.signed_in("alice").await;
    alice.granted(&["--table", "orders"]);

    // Three that run short statements as fast as they can, one that runs a long one.
    let mut running = vec![alice.connect_endless(&[]).await];
    for worker in 0..3 {
        let script = env.dir.path().join(format!("{worker}.sql"));
        let lines: String = (0..EACH).map(|n| format!("SELECT {n} AS w{worker};\n")).collect();
        std::fs::write(&script, lines).unwrap();
        running.push(alice.connect(&["--", "psql", "-Xqf", &script.display().to_string()]));
    }
    env.eventually("they are well under way", || {
        (env.pg.log().matches(" AS w").count() > 1000).then_some(())
    })
    .await;
    env.kill_server();
    let again = Instant::now();
    env.start_server().await;
    for running in running {
        let ran = running.ended().await;
        assert!(matches!(ran.code, 6 | 7), "{ran:?}");
    }
    all_dead(&env).await;
    assert!(again.elapsed() < Duration::from_secs(20), "{:?}", again.elapsed());

    // What the database ran, by its own log, is on the ledger.
    let ledger = env.ledger();
    let texts: BTreeSet<&str> = ledger.iter().filter_map(|line| line["body"]["text"].as_str()).collect();
    let log = env.pg.log();
    let ran: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("dbaccess_s_"))
        .filter_map(|line| line.split_once("statement: ").map(|(_, text)| text.trim_end_matches(';')))
        .collect();
    assert!(ran.len() > 1000 && ran.len() < 3 * EACH, "{}", ran.len());
    for text in &ran {
        assert!(texts.iter().any(|known| known.trim_end_matches(';') == *text), "not on record: {text}");
    }
    assert_events_once(&ledger);
    assert!(sessions_on_record(&ledger).values().all(|kind| kind == "session.dead"));
    let alice = env.person("alice");
    let views = alice.run(&["sessions", "--mine", "--all", "--output", "json"]).ok().json();
    let statements: i64 = views
        .as_array()
        .unwrap()
        .iter()
        .map(|view| view["session"]["totals"]["statements"].as_i64().unwrap())
        .sum();
    assert!(statements >= i64::try_from(ran.len()).unwrap(), "{statements} counted, {} ran", ran.len());
    alice.connect(&["--", "true"]).ended().await.exits(0);
}

/// Killed at any point between the grant and the first statement.
#[tokio::test(flavor = "multi_thread")]
async fn g5_g7_a_server_killed_at_awkward_moments_recovers() {
    let mut env = TestEnv::start().await;
    env.signed_in("alice").await;
    env.person("alice").granted(&["--table", "orders", "--for", "2h"]);
    for round in 0..8_u64 {
        let seed = u64::from_le_bytes(dbaccess::os::random());
        let moment = Duration::from_micros(20_000 + seed % 500_000);
        let alice = env.person("alice");
        let running: Vec<_> = (0..3).map(|_| alice.connect(&["--", "psql", "-Xc", ENDLESS])).collect();
        tokio::time::sleep(moment).await;
        env.kill_server();
        env.start_server().await;
        for connect in &running {
            // Whoever got no session yet may get one from the new server: let it go.
            rustix::process::kill_process(rustix::process::Pid::from_child(&connect.child), Signal::TERM)
                .ok();
        }
        for connect in running {
            connect.ended().await;
        }
        all_dead(&env).await;
        let ledger = env.ledger();
        assert_events_once(&ledger);
        let left = sessions_on_record(&ledger);
        assert!(
            left.values().all(|kind| kind == "session.dead"),
            "round {round}, after {moment:?}: {left:?}"
        );
    }
    env.person("alice").connect(&["--", "true"]).ended().await.exits(0);
    assert!(env.person("alice").session_files().is_empty());
}
