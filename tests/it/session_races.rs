//! What may come between: a network that is away, an end before the beginning,
//! many at once.

use crate::support::env::{TestEnv, TestPerson};
use crate::support::session::{ENDLESS, Running};
use crate::support::wire::Wire;
use rustix::process::Signal;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn connect_over(wire: &Wire, person: &TestPerson<'_>, more: &[&str]) -> Running {
    let mut args = vec!["connect", "prod-orders"];
    args.extend(more);
    let mut command = person.command(&args);
    command.env("DBACCESS_SERVER", format!("https://localhost:{}", wire.port));
    Running::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_survives_a_short_loss_of_network_and_not_a_long_one() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    alice.granted(&["--table", "orders"]);
    let wire = Wire::to(env.port).await;
    alice.login_at(&format!("https://localhost:{}", wire.port)).await;
    let running = connect_over(&wire, &alice, &["--listen"]);
    env.eventually("the session", || running.err().contains("holding the session").then_some(())).await;
    let role = env.session_roles().await;
    wire.cut();
    env.eventually("it is noticed", || {
        running.err().contains("trying again, or the session ends").then_some(())
    })
    .await;
    wire.mend();
    env.eventually("it is held again", || {
        running.err().contains("connected to the server again").then_some(())
    })
    .await;
    assert_eq!(env.session_roles().await, role, "the same session");
    let port = running.out().lines().find_map(|line| line.strip_prefix("port")).unwrap().trim().to_owned();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port.parse::<u16>().unwrap())).is_ok());

    let away = Instant::now();
    wire.cut();
    env.until("the server ends it", async || env.session_roles().await.is_empty()).await;
    assert!((8..15).contains(&away.elapsed().as_secs()), "after the grace: {:?}", away.elapsed());
    wire.mend();
    let ran = running.ended().await.exits(7);
    assert!(ran.err.contains("ended (lost)"), "{}", ran.err);
    assert!(alice.session_files().is_empty());
    env.assert_clean().await;
}

/// The target keeps the opening waiting, and the end comes first.
#[tokio::test(flavor = "multi_thread")]
async fn g5_a_session_that_is_ended_while_it_opens_never_opens() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    alice.granted(&["--table", "orders"]);
    alice.connect(&["--", "true"]).ended().await.exits(0);
    let mut admin = env.pg.admin("postgres").await;
    // A transaction of its own each time: within one, pg_stat_activity stands still.
    let observer = env.pg.admin("postgres").await;
    let lock = "LOCK TABLE pg_authid IN SHARE MODE";
    let opening = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbaccess control' AND wait_event_type = 'Lock'";

    // Revoked.
    let transaction = admin.transaction().await.unwrap();
    transaction.batch_execute(lock).await.unwrap();
    let running = alice.connect(&["--", "echo", "was let in"]);
    env.until("it waits", async || observer.query_one(opening, &[]).await.unwrap().get::<_, i64>(0) > 0)
        .await;
    let session = alice.run(&["sessions", "--mine", "--output", "json"]).ok().json()[0]["session"].clone();
    assert_eq!(session["state"], "opening");
    alice.run(&["revoke", session["id"].as_str().unwrap()]).ok();
    transaction.rollback().await.unwrap();
    let ran = running.ended().await.exits(6);
    assert!(ran.err.contains("revoked the access") && !ran.out.contains("let in"), "{ran:?}");
    env.until("its role is gone", async || env.session_roles().await.is_empty()).await;
    env.eventually("it is dead", || (alice.last_session()["session"]["state"] == "dead").then_some(())).await;
    assert_eq!(alice.last_session()["session"]["end"], "revoked");

    // Its client is killed.
    let transaction = admin.transaction().await.unwrap();
    transaction.batch_execute(lock).await.unwrap();
    let mut running = alice.connect(&["--", "true"]);
    env.until("it waits", async || observer.query_one(opening, &[]).await.unwrap().get::<_, i64>(0) > 0)
        .await;
    running.child.kill().unwrap();
    running.child.wait().unwrap();
    transaction.rollback().await.unwrap();
    env.eventually("it is dead", || {
        let session = alice.last_session()["session"].clone();
        (session["state"] == "dead" && session["end"] == "lost").then_some(())
    })
    .await;
    env.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_revoking_a_grant_ends_all_that_is_or_will_be_under_it() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    for round in 0..4_u64 {
        let grant = alice.granted(&["--table", "orders"]);
        let running: Vec<Running> =
            (0..5).map(|_| alice.connect(&["--grant", &grant, "--", "psql", "-Xc", ENDLESS])).collect();
        tokio::time::sleep(Duration::from_millis(60 * round)).await;
        alice.run(&["revoke", &grant]).ok();
        for connect in running {
            let ran = connect.ended().await;
            // Too late for a grant, or cut.
            assert!(ran.code == 6 || (ran.code == 1 && ran.err.contains("no live grant")), "{ran:?}");
        }
        env.until("all roles are gone", async || env.session_roles().await.is_empty()).await;
        env.eventually("all are dead", || {
            let open = alice.run(&["sessions", "--mine", "--output", "json"]).ok().json();
            open.as_array().unwrap().is_empty().then_some(())
        })
        .await;
        env.assert_clean().await;
    }
    assert!(alice.session_files().is_empty());
}

/// Two clients close one session, and it is held twice; nothing counts double.
#[tokio::test(flavor = "multi_thread")]
async fn two_ends_at_once_are_one_end() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let grant = alice.granted(&["--table", "orders"]);
    let running = alice.connect_endless(&["--grant", &grant]).await;
    let session = running.session().await;
    let revokes: Vec<_> = (0..4).map(|_| Running::of(alice.spawn(&["revoke", &session]))).collect();
    running.signal(Signal::TERM);
    for revoke in revokes {
        revoke.ended().await.exits(0);
    }
    running.ended().await;
    env.until("it is gone", async || env.session_roles().await.is_empty()).await;
    let records = || {
        let of = |line: &&serde_json::Value| line["body"]["session"] == session.as_str();
        let kinds: Vec<_> = env.ledger().iter().filter(of).map(|line| line["body"]["kind"].clone()).collect();
        let count = |kind: &str| kinds.iter().filter(|known| *known == kind).count();
        (count("session.ending"), count("session.dead"))
    };
    env.eventually("its death is on record", || (records().1 > 0).then_some(())).await;
    assert_eq!(records(), (1, 1));
}

/// What a session owns outlives it, under the owner of the data.
#[tokio::test(flavor = "multi_thread")]
async fn g5_what_a_session_owned_is_given_away() {
    let env = TestEnv::start().await;
    let (alice, bob, carol) =
        (env.signed_in("alice").await, env.signed_in("bob").await, env.signed_in("carol").await);
    let grant = alice.granted_write(&bob, &carol);
    let script = "psql -Xc 'CREATE TEMP TABLE scratch AS SELECT * FROM orders' -c 'SELECT count(*) FROM scratch'; echo ready; exec sleep 600";
    let running = alice.connect(&["--grant", &grant, "--", "sh", "-c", script]);
    env.eventually("the session is in use", || running.out().contains("ready").then_some(())).await;
    let roles = env.session_roles().await;
    let shop = env.pg.admin("shop").await;
    let other = env.pg.admin("postgres").await;
    for (admin, name) in [(&shop, "left_here"), (&other, "left_there")] {
        admin
            .batch_execute(&format!("CREATE TABLE {name} (); ALTER TABLE {name} OWNER TO {}", roles[0]))
            .await
            .unwrap();
    }
    running.signal(Signal::TERM);
    running.ended().await;
    env.assert_clean().await;
    let owner = "SELECT tableowner::text FROM pg_tables WHERE tablename LIKE 'left_%'";
    for admin in [&shop, &other] {
        assert_eq!(admin.query_one(owner, &[]).await.unwrap().get::<_, String>(0), "shop_owner");
    }
    let temporary = "SELECT count(*) FROM pg_class WHERE relname = 'scratch'";
    assert_eq!(shop.query_one(temporary, &[]).await.unwrap().get::<_, i64>(0), 0);
}

/// Somebody's lock on what one session owned does not lengthen another's access.
#[tokio::test(flavor = "multi_thread")]
async fn g5_a_role_that_is_hard_to_remove_holds_up_no_other_end() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let grant = alice.granted(&["--table", "orders"]);
    let stuck = alice.connect(&["--listen", "--grant", &grant]);
    let session = stuck.session().await;
    let (mut admin, observer) = (env.pg.admin("shop").await, env.pg.admin("shop").await);
    let role = env.session_roles().await.remove(0);
    let owned = format!("CREATE TABLE held (); ALTER TABLE held OWNER TO {role}");
    admin.batch_execute(&owned).await.unwrap();
    let transaction = admin.transaction().await.unwrap();
    transaction.batch_execute("LOCK TABLE held IN ACCESS EXCLUSIVE MODE").await.unwrap();
    alice.run(&["revoke", &session]).ok();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbaccess control' AND wait_event_type = 'Lock'";
    env.until("its removal waits", async || {
        observer.query_one(waits, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
    let may_log_in = "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1";
    assert!(!observer.query_one(may_log_in, &[&role]).await.unwrap().get::<_, bool>(0), "it is locked out");

    let other = alice.connect_endless(&["--grant", &grant]).await;
    let id = other.session().await;
    let started = Instant::now();
    alice.run(&["revoke", &id]).ok();
    env.until("its statement is cut", async || env.active().await == 0).await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    transaction.rollback().await.unwrap();
    stuck.ended().await.exits(6);
    other.ended().await.exits(6);
    env.until("both roles are gone", async || env.session_roles().await.is_empty()).await;
    env.assert_clean().await;
}
