//! What bad circumstances get on the server's side: a clear error, nothing
//! lost, nothing left behind.

use crate::support::env::{BINARY, Ran, TestEnv};
use std::process::Command;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_down_opens_no_session_and_leaves_nothing() {
    let mut env = TestEnv::start().await;
    env.signed_in("alice").await;
    env.person("alice").granted(&["--table", "orders"]);
    // Once with a catalog that is fresh and a warm connection, once without.
    env.person("alice").connect(&["--", "true"]).ended().await.exits(0);
    env.pg.crash();
    for _ in 0..2 {
        let alice = env.person("alice");
        let ran = alice.connect(&["--", "true"]).ended().await.exits(7);
        assert!(ran.err.contains("cannot reach"), "{}", ran.err);
        assert!(alice.session_files().is_empty());
    }
    env.pg.restart().await;
    env.until("nothing is left", async || env.session_roles().await.is_empty()).await;
    let alice = env.person("alice");
    env.eventually("no session is left", || {
        let open = alice.run(&["sessions", "--mine", "--output", "json"]).ok().json();
        open.as_array().unwrap().is_empty().then_some(())
    })
    .await;
    alice.connect(&["--", "true"]).ended().await.exits(0);
    env.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_a_revocation_outlasts_a_target_that_is_down() {
    let mut env = TestEnv::start().await;
    env.signed_in("alice").await;
    env.person("alice").granted(&["--table", "orders"]);
    let listening = env.person("alice").connect(&["--listen"]);
    let session = listening.session().await;
    let roles = env.session_roles().await;
    assert_eq!(roles.len(), 1);
    env.pg.crash();
    let alice = env.person("alice");
    alice.run(&["revoke", &session]).ok();
    let ran = listening.ended().await.exits(6);
    assert!(ran.err.contains("its role is still being removed, retried until it is gone"), "{}", ran.err);
    assert!(alice.session_files().is_empty(), "the client's end does not wait for the target");
    let shown = alice.run(&["doctor", "prod-orders"]).exits(1);
    assert!(shown.out.contains(&roles[0]) && shown.out.contains("still being removed"), "{}", shown.out);
    assert!(env.server_log().contains("a session's end is not complete"), "{}", env.server_log());

    env.pg.restart().await;
    env.until("the role is gone", async || env.session_roles().await.is_empty()).await;
    let alice = env.person("alice");
    let session = env
        .eventually("the session is dead", || {
            let session = alice.last_session()["session"].clone();
            (session["state"] == "dead").then_some(session)
        })
        .await;
    assert_eq!(session["end"], "revoked");
    assert_ne!(session["dead_at"], session["ended_at"]);
    assert!(env.server_log().contains("the session's role is gone now"), "{}", env.server_log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_restarts_costs_connections_and_not_the_session() {
    let mut env = TestEnv::start().await;
    env.signed_in("alice").await;
    env.person("alice").granted(&["--table", "orders"]);
    let script = "psql -XAtc 'SELECT 1'; touch $HOME/before; \
                  psql -Xc 'SELECT pg_sleep(600)'; touch $HOME/cut; \
                  until [ -e $HOME/after ]; do sleep 0.05; done; psql -XAtc 'SELECT 2'";
    let running = env.person("alice").connect(&["--", "sh", "-c", script]);
    env.until("the statement runs", async || env.active().await == 1).await;
    let home = env.person("alice").home;
    env.pg.crash();
    env.eventually("it is cut", || home.join("cut").exists().then_some(())).await;
    env.pg.restart().await;
    std::fs::write(home.join("after"), "").unwrap();
    let ran = running.ended().await.exits(0);
    assert_eq!(ran.out, "1\n2\n", "{}", ran.err);
    assert!(ran.err.contains("ended (exit): 3 statements"), "{}", ran.err);
    env.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b5_roles_that_belong_to_no_session_are_swept() {
    let mut env = TestEnv::start().await;
    env.signed_in("alice").await;
    env.person("alice").granted(&["--table", "orders"]);
    let mut server = env.server.take().unwrap();
    assert!(tokio::task::spawn_blocking(move || server.stop()).await.unwrap().success());
    let orphan = "dbaccess_s_0123456789abcdef01234567";
    let admin = env.pg.admin("shop").await;
    let sql = format!(
        "CREATE ROLE {orphan} LOGIN PASSWORD 'x' VALID UNTIL '2099-01-01'; GRANT dbaccess_sessions TO {orphan};
         CREATE SCHEMA {orphan} AUTHORIZATION {orphan}; CREATE TABLE {orphan}.kept AS SELECT 1 AS one;
         ALTER TABLE {orphan}.kept OWNER TO {orphan}"
    );
    admin.batch_execute(&sql).await.unwrap();
    let inside = env.pg.connect("shop", orphan, "x").await.expect("the orphan can log in");
    env.start_server().await;
    // Sessions come and go meanwhile, and none of them is mistaken for an orphan.
    for _ in 0..5 {
        env.person("alice").connect(&["--", "psql", "-XAtc", "SELECT 1"]).ended().await.exits(0);
    }
    env.until("the orphan is swept", async || env.session_roles().await.is_empty()).await;
    assert!(inside.query("SELECT 1", &[]).await.is_err(), "its connections are cut");
    let owner = "SELECT tableowner::text FROM pg_tables WHERE tablename = 'kept'";
    assert_eq!(
        admin.query_one(owner, &[]).await.unwrap().get::<_, String>(0),
        "shop_owner",
        "objects are kept"
    );
    let swept = env
        .eventually("it is on record", || {
            let found = env.ledger().into_iter().filter(|line| line["body"]["kind"] == "role.swept");
            let found: Vec<_> = found.collect();
            (!found.is_empty()).then_some(found)
        })
        .await;
    assert_eq!(swept.len(), 1, "{swept:?}");
    assert_eq!(swept[0]["body"]["role"], orphan);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_data_directory_are_refused() {
    let env = TestEnv::start().await;
    let config = std::fs::read_to_string(env.dir.path().join("server.toml")).unwrap();
    let other = env.dir.path().join("other.toml");
    std::fs::write(&other, config.replace(&format!("127.0.0.1:{}\"", env.port), "127.0.0.1:0\"")).unwrap();
    let ran: Ran = Command::new(BINARY)
        .args(["server", "--config"])
        .arg(&other)
        .env("TEST_GATEWAY_PASSWORD", "gateway-login-for-tests")
        .output()
        .unwrap()
        .into();
    assert!(ran.exits(1).err.contains("in use by another process: stop that server first"));
    assert!(
        env.signed_in("alice").await.run(&["whoami"]).ok().out.contains("alice"),
        "the first one goes on"
    );
}

/// Revocation to dead, with a statement running: the distribution.
#[tokio::test(flavor = "multi_thread")]
async fn g5_revocation_latency_stays_under_a_second() {
    const SESSIONS: usize = 50;
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let grant = alice.granted(&["--table", "orders", "--for", "2h"]);
    let (mut dead, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..SESSIONS {
        let running = alice.connect_endless(&["--grant", &grant]).await;
        let session = running.session().await;
        let started = Instant::now();
        alice.run(&["revoke", &session]).ok();
        let ran = running.ended().await.exits(6);
        whole.push(started.elapsed());
        let at = ran.err.find("role dead after ").unwrap() + 16;
        dead.push(ran.err[at..].split(' ').next().unwrap().parse::<u64>().unwrap());
    }
    env.assert_clean().await;
    dead.sort_unstable();
    whole.sort_unstable();
    eprintln!(
        "revocation to dead role, {SESSIONS} sessions: p50 {} ms, p99 {} ms, worst {} ms; \
         from `revoke` typed to `connect` ended: p50 {:?}, worst {:?}",
        dead[SESSIONS / 2],
        dead[(SESSIONS * 99).div_ceil(100) - 1],
        dead[SESSIONS - 1],
        whole[SESSIONS / 2],
        whole[SESSIONS - 1],
    );
    assert!(dead[(SESSIONS * 99).div_ceil(100) - 1] < 1000, "{dead:?}");
    assert!(whole[SESSIONS / 2] < Duration::from_secs(5), "{whole:?}");
}
