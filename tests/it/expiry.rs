//! The end of a window: warned of, and kept to.

use crate::support::env::TestEnv;
use crate::support::session::ENDLESS;
use jiff::Timestamp;

#[tokio::test(flavor = "multi_thread")]
async fn g5_r1_3_a_window_ends_on_time_whatever_runs() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let grant = alice.granted(&["--table", "orders", "--for", "4s"]);
    let running = alice.connect(&["--", "psql", "-Xc", ENDLESS]);
    let ran = running.ended().await.exits(6);
    assert!(ran.err.contains("the grant's window has ended"), "{}", ran.err);
    assert!(ran.err.contains("ended (expired): 1 statement, 0 rows; role dead after"), "{}", ran.err);
    env.assert_clean().await;
    assert!(alice.session_files().is_empty());
    let session = alice.last_session()["session"].clone();
    let time = |name: &str| session[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(time("ended_at"), time("until"), "the latency counts from the window's end");
    let late = time("dead_at").duration_since(time("until")).as_millis();
    assert!((0..1000).contains(&late), "{late} ms");

    // An expired grant opens nothing, and says what to do.
    let again = alice.connect(&["--grant", &grant, "--", "true"]).ended().await.exits(1);
    assert!(again.err.contains("no live grant"), "{}", again.err);
    let again = alice.connect(&["--", "true"]).ended().await.exits(5);
    assert!(again.err.contains("dbaccess request"), "{}", again.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_warned_and_told_how_to_go_on() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    alice.granted(&["--table", "orders", "--for", "63s"]);
    let running = alice.connect(&["--listen"]);
    let expected = "this session ends in 1 minute; to go on after that: \
                    dbaccess request prod-orders --table public.orders --reason";
    env.eventually("the warning", || running.err().contains(expected).then_some(())).await;

    // More time is a request away, while the first session runs.
    let more = alice.granted(&["--table", "orders", "--for", "10m"]);
    alice.connect(&["--grant", &more, "--", "true"]).ended().await.exits(0);
    running.signal(rustix::process::Signal::INT);
    running.ended().await.exits(0);
    env.assert_clean().await;
}
