//! The ends of a session: by whom and how it may come, everything of it is
//! gone within a second, and one line says so.

use crate::support::env::{Ran, Setting, TestEnv};
use crate::support::session::{ENDLESS, Running};
use rustix::process::Signal;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;

/// How many milliseconds the role took to die, by the line that a session leaves.
fn dead_after(ran: &Ran) -> u64 {
    let at = ran.err.find("role dead after ").unwrap_or_else(|| panic!("{}", ran.err)) + 16;
    ran.err[at..].split(' ').next().unwrap().parse().unwrap()
}

/// What must hold once a session is over, however it ended.
async fn assert_over(env: &TestEnv, person: &crate::support::env::TestPerson<'_>, reason: &str) -> Value {
    env.assert_clean().await;
    assert_eq!(person.session_files(), Vec::<std::path::PathBuf>::new(), "G8: files are wiped");
    let session = person.last_session();
    assert_eq!(session["session"]["end"], reason, "{session}");
    assert_eq!(session["session"]["state"], "dead", "{session}");
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_g8_every_end_by_the_client_leaves_nothing() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let grant = alice.granted(&["--table", "orders"]);

    // The program ends: its code is ours (B9).
    let ran = alice.connect(&["--", "sh", "-c", "psql -XAtc 'SELECT 1' && exit 7"]).ended().await.exits(7);
    assert!(ran.err.contains("ended (exit): 1 statement, 1 row; role dead after"), "{}", ran.err);
    assert_over(&env, &alice, "exit").await;
    alice.connect(&["--", "true"]).ended().await.exits(0);
    alice.connect(&["--", "sh", "-c", "kill -9 $$"]).ended().await.exits(137);
    assert_over(&env, &alice, "exit").await;
    let missing = alice.connect(&["--", "no-such-program"]).ended().await.exits(2);
    assert!(missing.err.contains("no-such-program cannot be run"), "{}", missing.err);
    assert_over(&env, &alice, "exit").await;

    // The files, while it lives (G8).
    let running = alice.connect_endless(&[]).await;
    let files = alice.session_files();
    let [directory] = files.as_slice() else { panic!("{files:?}") };
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory), 0o700);
    assert_eq!(mode(&directory.join("pgpass")), 0o600);
    let arguments = std::fs::read(format!("/proc/{}/cmdline", running.child.id())).unwrap();
    let password = std::fs::read_to_string(directory.join("pgpass")).unwrap();
    let password = password.trim().rsplit(':').next().unwrap();
    assert!(!String::from_utf8_lossy(&arguments).contains(password));

    // Signals to connect, with a statement running.
    running.signal(Signal::TERM);
    let ran = running.ended().await.exits(143);
    assert!(dead_after(&ran) < 1000, "{}", ran.err);
    assert_over(&env, &alice, "exit").await;
    let running = alice.connect_endless(&[]).await;
    running.signal(Signal::HUP);
    running.ended().await.exits(129);
    assert_over(&env, &alice, "exit").await;

    // Ctrl-C is the program's: it cancels the statement, not the session.
    let running = alice.connect(&[
        "--",
        "sh",
        "-c",
        "sleep 600 & trap \"echo interrupted; kill $!\" INT; echo ready; wait; psql -XAtc 'SELECT 5'",
    ]);
    env.eventually("the program runs", || running.out().contains("ready").then_some(())).await;
    running.signal(Signal::INT);
    let child = child_of(running.child.id());
    rustix::process::kill_process(rustix::process::Pid::from_raw(child).unwrap(), Signal::INT).unwrap();
    let ran = running.ended().await.exits(0);
    assert_eq!(ran.out, "ready\ninterrupted\n5\n");

    // A GUI's port.
    let running = alice.connect(&["--listen", "--grant", &grant]);
    env.eventually("the place to connect", || running.out().contains("JDBC URL").then_some(())).await;
    let out = running.out();
    let field = |name: &str| {
        let line = out.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{out}"));
        line[name.len()..].trim().to_owned()
    };
    assert_eq!(field("host"), "127.0.0.1");
    let url =
        format!("jdbc:postgresql://127.0.0.1:{}/shop?user={}&sslmode=disable", field("port"), field("user"));
    assert_eq!(field("JDBC URL"), url);
    let by_gui = psql(&[
        ("PGHOST", &field("host")),
        ("PGPORT", &field("port")),
        ("PGUSER", &field("user")),
        ("PGDATABASE", &field("database")),
        ("PGPASSFILE", &field("password file")),
    ]);
    assert_eq!(by_gui, "1000\n");
    running.signal(Signal::INT);
    let ran = running.ended().await.exits(0);
    assert!(ran.err.contains("1 statement, 1 row"), "{}", ran.err);
    let session = assert_over(&env, &alice, "exit").await;

    // The credential is dead at the gateway and at the database.
    assert!(!session["session"]["role"].as_str().unwrap().is_empty());
    let role = session["session"]["role"].as_str().unwrap();
    assert!(env.pg.connect("shop", role, "anything").await.is_err());
}

fn child_of(pid: u32) -> i32 {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let of_threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        tasks
            .flatten()
            .map(|task| std::fs::read_to_string(task.path().join("children")).unwrap())
            .collect::<String>()
    };
    let children = if children.is_empty() { of_threads() } else { children };
    children.split_whitespace().next().expect("a child").parse().unwrap()
}

/// Counts the orders, with only these variables to find the database by.
fn psql(variables: &[(&str, &str)]) -> String {
    let output = std::process::Command::new("psql")
        .args(["-XAtc", "SELECT count(*) FROM orders"])
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn g5_b7_revocation_cuts_a_running_statement_within_a_second() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let dave = env.signed_in("dave").await;
    let erin = env.signed_in("erin").await;

    // By the requester, of the grant; by security, of the session.
    for by_security in [false, true] {
        let grant = alice.granted(&["--table", "orders"]);
        let running = alice.connect_endless(&["--grant", &grant]).await;
        let session = running.session().await;
        // What does not concern her does not exist for her.
        erin.run(&["revoke", &session]).exits(1);
        let (who, id) = if by_security { (&dave, &session) } else { (&alice, &grant) };
        who.run(&["revoke", id, "--reason", "enough"]).ok();
        let ran = running.ended().await.exits(6);
        let expected = format!("FATAL:  session {session} under {grant} has ended: {}", who.name);
        assert!(ran.err.contains(&expected) && ran.err.contains("revoked the access"), "{}", ran.err);
        assert!(ran.err.contains("ended (revoked): 1 statement, 0 rows; role dead after"), "{}", ran.err);
        assert!(dead_after(&ran) < 1000, "{}", ran.err);
        assert_over(&env, &alice, "revoked").await;
        // A revoked session leaves the grant; a revoked grant does not.
        let again = alice.connect(&["--grant", &grant, "--", "true"]).ended().await;
        assert_eq!(again.code, if by_security { 0 } else { 1 }, "{}", again.err);
    }

    // By an approver, of a write session with things of its own.
    let (bob, carol) = (env.signed_in("bob").await, env.signed_in("carol").await);
    let grant = alice.granted_write(&bob, &carol);
    let running = alice.connect(&[
        "--grant",
        &grant,
        "--",
        "psql",
        "-X",
        "-c",
        "UPDATE orders SET status = 'mine' WHERE id = 1",
        "-c",
        "BEGIN",
        "-c",
        "UPDATE orders SET status = 'mine' WHERE id = 2",
        "-c",
        ENDLESS,
    ]);
    env.until("the statement runs", async || env.active().await == 1).await;
    carol.run(&["revoke", &grant]).ok();
    let ran = running.ended().await.exits(6);
    assert!(dead_after(&ran) < 1000, "{}", ran.err);
    assert!(ran.err.contains("4 statements"), "{}", ran.err);
    assert_over(&env, &alice, "revoked").await;
    let shop = env.pg.admin("shop").await;
    let mine = "SELECT array_agg(id) FROM orders WHERE status = 'mine'";
    let kept: Vec<i64> = shop.query_one(mine, &[]).await.unwrap().get(0);
    assert_eq!(kept, [1], "what was committed stays, what was not is rolled back");

    let kinds: Vec<Value> = env.ledger().into_iter().map(|line| line["body"]["kind"].clone()).collect();
    assert!(kinds.contains(&"grant.revoked".into()) && kinds.contains(&"session.dead".into()), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_sessions_of_one_person_are_apart() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    // No grant: the command that helps. Waiting: said so.
    let none = alice.connect(&[]).ended().await.exits(5);
    assert!(none.err.contains("dbaccess request prod-orders --table TABLE"), "{}", none.err);
    let raw = ["request", "prod-orders", "--table", "payments", "--unmask", "card_number", "--reason", "x"];
    alice.run(&raw).exits(4);
    let waiting = alice.connect(&[]).ended().await.exits(4);
    assert!(waiting.err.contains("still waiting for approval"), "{}", waiting.err);

    let orders = alice.granted(&["--table", "orders"]);
    let running = alice.connect_endless(&[]).await;
    let items = alice.granted(&["--table", "stock.items"]);
    let several = alice.connect(&["--", "true"]).ended().await.exits(2);
    assert!(several.err.contains(&format!("--grant {}", &orders[..6])), "{}", several.err);
    let psql = |grant: &str, table: &str| {
        let sql = format!("SELECT count(*) FROM {table}");
        alice.run(&["connect", "prod-orders", "--grant", grant, "--", "psql", "-XAtc", &sql])
    };
    assert_eq!(psql(&items, "stock.items").ok().out, "50\n");
    assert!(psql(&items, "orders").exits(1).err.contains("permission denied"));
    assert!(psql(&orders, "stock.items").exits(1).err.contains("permission denied"));
    assert_eq!(env.active().await, 1, "the other session was not disturbed");
    let listed = alice.run(&["sessions", "--mine", "--output", "json"]).ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    running.signal(Signal::TERM);
    running.ended().await.exits(143);
    env.assert_clean().await;

    // The limit.
    let open: Vec<Running> = {
        let mut open = Vec::new();
        for _ in 0..20 {
            let listening = alice.connect(&["--listen", "--grant", &orders]);
            let said = env
                .eventually("the session or a refusal", || {
                    let err = listening.err();
                    (err.contains("holding the session") || err.contains("the limit")).then_some(err)
                })
                .await;
            if said.contains("the limit") {
                listening.ended().await.exits(1);
                break;
            }
            open.push(listening);
        }
        open
    };
    assert!(open.len() >= 2 && open.len() < 20, "{}", open.len());
    for listening in open {
        listening.signal(Signal::INT);
        listening.ended().await.exits(0);
    }
    env.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_ways_in_print_env_and_native() {
    let env = TestEnv::with(Setting { native: true, ..Setting::default() }).await;
    let alice = env.signed_in("alice").await;
    alice.granted(&["--table", "orders"]);

    // eval "$(…)"
    let script = format!(
        "eval \"$({} connect prod-orders --print-env)\" && psql -XAtc 'SELECT count(*) FROM orders'; \
         echo $DBACCESS_SESSION",
        crate::support::env::BINARY
    );
    let ran: Ran = std::process::Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .envs(alice.environment())
        .output()
        .unwrap()
        .into();
    let ran = ran.ok();
    let (count, session) = ran.out.trim().split_once('\n').unwrap_or_else(|| panic!("{ran:?}"));
    assert_eq!(count, "1000");
    assert_eq!(env.session_roles().await.len(), 1, "it is held in the background");
    alice.run(&["revoke", session]).ok();
    env.until("it is over", async || env.session_roles().await.is_empty()).await;
    env.eventually("the holder has wiped its files", || alice.session_files().is_empty().then_some(())).await;
    assert_over(&env, &alice, "revoked").await;

    // The server's own endpoint, with the program as its client.
    let ran = alice
        .run(&[
            "connect",
            "prod-orders",
            "--native",
            "--",
            "psql",
            "-XAtc",
            "SELECT count(*), inet_server_port() IS NOT NULL FROM orders",
        ])
        .ok();
    assert_eq!(ran.out, "1000|t\n");
    assert_over(&env, &alice, "exit").await;

    // Detached: nobody holds it, and it lasts.
    let ran = alice.run(&["connect", "prod-orders", "--native", "--detach"]).ok();
    assert!(ran.out.contains(&format!("port           {}", env.native_port)), "{}", ran.out);
    let field = |name: &str| {
        let line = ran.out.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].trim().to_owned()
    };
    let ca = env.ca.display().to_string();
    let (host, port, user, file) = (field("host"), field("port"), field("user"), field("password file"));
    let variables = [
        ("PGHOST", host.as_str()),
        ("PGPORT", &port),
        ("PGUSER", &user),
        ("PGDATABASE", "shop"),
        ("PGPASSFILE", &file),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", &ca),
    ];
    assert_eq!(psql(&variables), "1000\n");
    let session = alice.last_session()["session"]["id"].as_str().unwrap().to_owned();
    alice.run(&["revoke", &session]).ok();
    env.until("it is over", async || env.session_roles().await.is_empty()).await;
}
