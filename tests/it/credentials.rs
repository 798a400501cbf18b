//! What a session's credential is: one person's, one grant's, for this long.

use crate::requests::says;
use crate::support::env::{Ran, TestEnv, eventually};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

#[tokio::test(flavor = "multi_thread")]
async fn r1_1_r1_2_r1_4_g4_each_session_has_its_own_role_that_says_whose_it_is() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let (asked, _) = alice.ask(&["-t", "orders"]);
    let grant = asked["grant"]["id"].as_str().unwrap().to_owned();
    let api = alice.api();
    let mut opened = Vec::new();
    for _ in 0..2 {
        opened.push(api.post("/v1/sessions", json!({"grant": grant, "detached": true})).await.is(200));
    }
    for key in ["session", "user", "password"] {
        assert_ne!(opened[0][key], opened[1][key], "R1.1: {key}");
    }
    let admin = env.pg.admin("shop").await;
    for one in &opened {
        let (user, password) = (one["user"].as_str().unwrap(), one["password"].as_str().unwrap());
        let row = admin
            .query_one(
                "SELECT shobj_description(oid, 'pg_authid'), rolvaliduntil::text, rolcanlogin, rolsuper,
                        has_table_privilege(oid, 'orders', 'SELECT'), has_table_privilege(oid, 'orders', 'UPDATE'),
                        has_table_privilege(oid, 'payments', 'SELECT')
                 FROM pg_roles WHERE rolname = $1",
                &[&user],
            )
            .await
            .unwrap();
        let comment: String = row.get(0);
        for word in ["alice@example.com", one["session"].as_str().unwrap(), &grant] {
            assert!(comment.contains(word), "R1.4: {comment}");
        }
        assert!(row.get::<_, Option<String>>(1).is_some(), "R1.3: the database itself ends it");
        let privileges: Vec<bool> = (2..7).map(|column| row.get(column)).collect();
        assert_eq!(privileges, [true, false, true, false, false], "R1.2");
        // G4: what the client has opens the gateway, and not the database.
        let direct = format!("host=127.0.0.1 port={} dbname=shop user={user}", env.pg.port());
        let mut config: tokio_postgres::Config = direct.parse().unwrap();
        config.password(password);
        let refused = config.connect(tokio_postgres::NoTls).await.err().expect("no way round the gateway");
        assert_eq!(refused.code(), Some(&tokio_postgres::error::SqlState::INVALID_PASSWORD));
    }
    let mut running =
        alice.spawn(&["connect", "prod-orders", "--", "psql", "-Xc", "SELECT pg_sleep(60) FROM orders"]);
    let sql = "SELECT application_name FROM pg_stat_activity WHERE usename LIKE 'dbaccess\\_s\\_%' AND query LIKE '%pg_sleep%'";
    let name: String = loop {
        if let Some(row) = admin.query_opt(sql, &[]).await.unwrap() {
            break row.get(0);
        }
        assert!(running.try_wait().unwrap().is_none(), "it ended before it ran");
    };
    assert!(name.contains("alice@example.com") && name.contains("ses-"), "R1.4: {name}");
    alice.run(&["revoke", &grant]).ok();
    says(&Ran::from(running.wait_with_output().unwrap()).exits(6), &["alice@example.com revoked the access"]);
    let none = async || env.session_roles().await.is_empty();
    while !none().await {}
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_3_a_session_ends_with_its_window() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    assert_eq!(alice.ask(&["-t", "orders", "--for", "4s"]).1, 0);
    let ran = alice.run(&[
        "connect",
        "prod-orders",
        "--",
        "psql",
        "-Xc",
        "SELECT pg_sleep(60) FROM orders LIMIT 1",
    ]);
    // By the gateway to psql; the tool says it too, where it hears of it before psql is gone.
    says(&ran.exits(6), &["the grant's window has ended", "ended (expired)"]);
    assert!(env.session_roles().await.is_empty());
    let again = alice.run(&["connect", "prod-orders", "--", "true"]);
    says(&again.exits(5), &["you hold no grant on prod-orders"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_1_r3_5_reading_is_granted_at_once_and_is_only_reading() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let (view, code) = alice.ask(&["-t", "orders"]);
    assert_eq!((code, &view["request"]["path"]), (0, &"read-only".into()));
    let refused = alice.run(&["exec", "prod-orders", "UPDATE orders SET total = 0"]);
    assert_ne!(refused.code, 0, "{}", refused.out);
    let total = "SELECT count(*) FROM orders WHERE total = 0";
    assert!(alice.run(&["exec", "prod-orders", total, "-o", "csv"]).ok().out.contains("\n0\r"));
}

#[tokio::test(flavor = "multi_thread")]
async fn b6_two_sessions_of_one_person_with_different_scopes() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let grant = |table| alice.ask(&["-t", table]).0["grant"]["id"].as_str().unwrap().to_owned();
    let mut shells: Vec<_> = [("orders", "stock.items"), ("stock.items", "orders")]
        .into_iter()
        .map(|(own, other)| {
            let args = ["connect", "prod-orders", "--grant", &grant(own), "--", "sh"];
            let child = alice
                .command(&args)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            (child.unwrap(), own, other)
        })
        .collect();
    // Both are in before either asks.
    let both = || (alice.run(&["sessions", "-o", "json"]).json().as_array()?.len() == 2).then_some(());
    eventually("both sessions are open", both).await;
    let sessions = alice.run(&["sessions", "-o", "json"]).json();
    let roles: Vec<&Value> = sessions.as_array().unwrap().iter().map(|one| &one["session"]["role"]).collect();
    assert_ne!(roles[0], roles[1]);
    for (shell, own, other) in &mut shells {
        let input = shell.stdin.as_mut().unwrap();
        writeln!(input, "psql -XAtc 'SELECT count(*) > 0 FROM {own}'").unwrap();
        writeln!(input, "psql -XAtc 'SELECT count(*) FROM {other}' 2>/dev/null || echo refused").unwrap();
        let mut lines = BufReader::new(shell.stdout.as_mut().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "t", "{own}");
        assert_eq!(lines.next().unwrap().unwrap(), "refused", "{other}");
    }
    for (mut shell, ..) in shells {
        drop(shell.stdin.take());
        Ran::from(shell.wait_with_output().unwrap()).ok();
    }
    assert!(env.session_roles().await.is_empty());
}
