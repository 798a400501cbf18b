//! The end of a session (G5): in order, whole, repeatable, and fast.

use super::*;
use dbaccess::server::provision::Step;
use std::time::{Duration, Instant};

on_every_version! {
    g5_a_running_query_an_open_cursor_and_an_idle_connection_end_with_the_session
    g5_what_a_session_leaves_in_two_databases_finds_an_owner
    g5_code_that_a_session_leaves_gains_no_rights
    g5_each_step_can_be_repeated
    g5_a_target_that_dies_meanwhile_is_cleaned_when_it_is_back
    g5_valid_until_is_the_backstop
    g5_r8_3_the_backstop_moves_for_a_session_that_may_log_in_and_never_far
    g5_fifty_sessions_open_and_close_at_once
}

/// Waits for a condition, not for a time.
async fn eventually(client: &Client, sql: &str) {
    let started = Instant::now();
    while value(client, sql).await.as_deref() != Some("t") {
        assert!(started.elapsed() < Duration::from_secs(30), "never true: {sql}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn g5_a_running_query_an_open_cursor_and_an_idle_connection_end_with_the_session(shop: &mut Shop) {
    let alice = shop.session(&tables(&["orders"])).await;
    let other = shop.session(&tables(&["orders"])).await;
    let (busy, cursor, idle) =
        (shop.connect(&alice).await, shop.connect(&alice).await, shop.connect(&alice).await);
    let bystander = shop.connect(&other).await;
    let running = tokio::spawn(async move { busy.batch_execute("SELECT pg_sleep(600)").await });
    run(&cursor, "BEGIN; DECLARE c CURSOR FOR SELECT * FROM orders; FETCH 1 FROM c").await;
    let role = &alice.role;
    let sleeping = format!(
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE usename = '{role}' AND query ~ 'pg_sleep' AND state = 'active'"
    );
    eventually(&shop.admin, &sleeping).await;
    assert_eq!(
        shop.target.managed_roles().await.unwrap().iter().find(|r| r.name == *role).unwrap().connections,
        3
    );

    let closed = shop.target.close_session(role).await.expect("it ends");
    assert!(closed.existed && closed.terminated == 3 && closed.cleaned.is_empty(), "{closed:?}");
    let steps: Vec<Step> = closed.steps.iter().map(|step| step.step).collect();
    assert_eq!(steps, [Step::Lock, Step::End, Step::Drop]);
    assert!(closed.took() < Duration::from_secs(1), "{closed:?}");
    let error = running.await.unwrap().expect_err("the query was cut");
    assert!(error.is_closed() || error.code().is_some_and(|code| code.code() == "57P01"), "{error:?}");
    assert!(cursor.simple_query("FETCH 1 FROM c").await.is_err());
    assert!(idle.simple_query("SELECT 1").await.is_err());
    assert!(shop.target.is_role_gone(role).await.unwrap());
    assert!(shop.server.connect(&shop.database, role, &alice.password).await.is_err());
    // The other session of the same profile noticed nothing.
    assert_eq!(sqlstate(&bystander, "SELECT * FROM orders").await, None);
}

/// Rights that a session should not have, but that a database may give to PUBLIC.
const LAX: &str = "GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC";

async fn g5_what_a_session_leaves_in_two_databases_finds_an_owner(shop: &mut Shop) {
    let other = format!("{}_other", shop.database);
    run(&shop.admin, &format!("CREATE DATABASE {other}")).await;
    let elsewhere = shop.server.admin(&other).await;
    let heir = format!("owner_of_{}", shop.database);
    run(&shop.admin, &format!("CREATE ROLE {heir}; {LAX}")).await;
    run(&elsewhere, LAX).await;
    let admin = shop.server.admin_upstream(&shop.database);
    apply_setup(&admin, &params(Some(&heir))).await.expect("the setup applies again");

    let alice = shop.session(&writing(tables(&["orders"]))).await;
    let here = shop.connect(&alice).await;
    run(&here, "CREATE TABLE left_here (id serial PRIMARY KEY); INSERT INTO left_here VALUES (7)").await;
    run(
        &here,
        "CREATE SEQUENCE left_sequence; CREATE TYPE left_type AS (a int); CREATE TEMP TABLE t (a int)",
    )
    .await;
    run(&here, "SELECT lo_create(0); PREPARE p AS SELECT 1; LISTEN somewhere").await;
    run(&here, "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC").await;
    let there = shop.connect_to(&other, &alice).await;
    run(
        &there,
        "CREATE TABLE left_there (a int); CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    )
    .await;

    let closed = shop.target.close_session(&alice.role).await.expect("it ends");
    assert_eq!(closed.cleaned, [other.as_str()]);
    assert!(shop.target.is_role_gone(&alice.role).await.unwrap());
    let owner = "SELECT string_agg(relname || ' ' || relowner::regrole, ', ' ORDER BY relname) FROM pg_class WHERE relname ~ '^left_'";
    let expected = format!(
        "left_here {heir}, left_here_id_seq {heir}, left_here_pkey {heir}, left_sequence {heir}, left_type dbaccess_objects"
    );
    assert_eq!(value(&shop.admin, owner).await, Some(expected));
    assert_eq!(value(&elsewhere, owner).await, Some(format!("left_there {heir}")));
    assert_eq!(value(&shop.admin, "SELECT id FROM left_here").await.as_deref(), Some("7"));
}

/// A view or function runs with its owner's rights: handed to the application's
/// owner, it would read what its author could not.
async fn g5_code_that_a_session_leaves_gains_no_rights(shop: &mut Shop) {
    let heir = format!("owner_of_{}", shop.database);
    run(&shop.admin, &format!("CREATE ROLE {heir}; {LAX}; ALTER TABLE payments OWNER TO {heir}")).await;
    let admin = shop.server.admin_upstream(&shop.database);
    apply_setup(&admin, &params(Some(&heir))).await.expect("the setup applies again");
    let mallory = shop.session(&writing(tables(&["orders"]))).await;
    let client = shop.connect(&mallory).await;
    run(&client, "
        CREATE VIEW peek AS SELECT * FROM payments;
        GRANT SELECT ON peek TO PUBLIC;
        CREATE FUNCTION peek() RETURNS SETOF payments LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN QUERY SELECT * FROM payments; END';
        CREATE FUNCTION evil(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN (SELECT count(*) FROM payments); END';
        CREATE TABLE trap (id int);
        CREATE INDEX ON trap (evil(id));
        CREATE TABLE rule_trap (id int);
        CREATE RULE r AS ON INSERT TO rule_trap DO ALSO SELECT * FROM payments").await;
    drop(client);
    shop.target.close_session(&mallory.role).await.expect("it ends");
    let powerful = "SELECT count(*) FROM pg_class WHERE relname ~ 'peek|trap' AND relowner <> 'dbaccess_objects'::regrole";
    assert_eq!(value(&shop.admin, powerful).await.as_deref(), Some("0"));

    let again = shop.session(&tables(&["orders"])).await;
    let client = shop.connect(&again).await;
    for sql in ["SELECT * FROM peek", "SELECT * FROM peek()"] {
        assert_eq!(sqlstate(&client, sql).await.as_deref(), Some("42501"), "{sql}");
    }
}

async fn g5_each_step_can_be_repeated(shop: &mut Shop) {
    let gateway = shop.server.connect(&shop.database, GATEWAY, GATEWAY_PASSWORD).await.unwrap();
    let steps = ["lock_session", "end_connections", "dispose_owned", "close_session"];
    // However far an earlier attempt came, the next one finishes.
    for reached in 0..=steps.len() {
        let alice = shop.session(&tables(&["orders"])).await;
        let client = shop.connect(&alice).await;
        for step in steps.iter().take(reached) {
            let call = format!("SELECT dbaccess.{step}('{}')", alice.role);
            let busy = format!("SELECT count(*) = 0 FROM pg_stat_activity WHERE usename = '{}'", alice.role);
            if *step == "close_session" {
                eventually(&shop.admin, &busy).await;
            }
            run(&gateway, &call).await;
            run(&gateway, &call).await;
        }
        let closed = shop.target.close_session(&alice.role).await.expect("it ends");
        assert_eq!(closed.existed, reached < steps.len());
        let again = shop.target.close_session(&alice.role).await.expect("gone is a success");
        assert!(!again.existed);
        assert!(shop.target.is_role_gone(&alice.role).await.unwrap());
        drop(client);
    }
    // Out of order it is refused, and two at once are one.
    let alice = shop.session(&tables(&["orders"])).await;
    let early = format!("SELECT dbaccess.close_session('{}')", alice.role);
    assert_eq!(sqlstate(&gateway, &early).await.as_deref(), Some("55006"));
    let twin = Target::new(shop.target.upstream().clone()).unwrap();
    twin.managed_roles().await.expect("connected");
    shop.target.close_session(&alice.role).await.expect("it ends");
    for _ in 0..20 {
        let bob = shop.session(&tables(&["orders"])).await;
        let (one, two) = tokio::join!(shop.target.close_session(&bob.role), twin.close_session(&bob.role));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
        assert!(shop.target.is_role_gone(&bob.role).await.unwrap());
    }
}

async fn g5_a_target_that_dies_meanwhile_is_cleaned_when_it_is_back(shop: &mut Shop) {
    let profile = shop.profile(&tables(&["orders"])).await;
    let alice = shop.session_with(&profile, true).await.expect("it opens");
    let gateway = shop.server.connect(&shop.database, GATEWAY, GATEWAY_PASSWORD).await.unwrap();
    run(&gateway, &format!("SELECT dbaccess.lock_session('{}')", alice.role)).await;
    shop.server.crash();
    let error = shop.target.close_session(&alice.role).await.expect_err("the target is down");
    assert!(matches!(error, ProvisionError::Unreachable { .. }), "{error}");
    let error = shop.session_with(&profile, true).await.err().expect("the target is down");
    assert!(matches!(error, ProvisionError::Unreachable { .. }), "{error}");
    shop.server.restart().await;
    shop.admin = shop.server.admin(&shop.database).await;
    let closed = shop.target.close_session(&alice.role).await.expect("it ends");
    assert!(closed.existed);
    assert!(!role_exists(&shop.admin, &alice.role).await);
    assert!(shop.target.managed_roles().await.unwrap().is_empty(), "the failed opening left nothing");
    // A connection that died while nobody looked is replaced unnoticed.
    shop.session_with(&profile, true).await.expect("it opens");
    run(
        &shop.admin,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dbaccess control'",
    )
    .await;
    shop.session_with(&profile, true).await.expect("it opens");
}

async fn g5_valid_until_is_the_backstop(shop: &mut Shop) {
    shop.until = os::now() + SignedDuration::from_secs(3);
    let alice = shop.session(&tables(&["orders"])).await;
    drop(shop.connect(&alice).await);
    eventually(&shop.admin, &format!("SELECT clock_timestamp() >= '{}'", shop.until)).await;
    let error = shop.server.connect(&shop.database, &alice.role, &alice.password).await.expect_err("expired");
    assert_eq!(error.code().map(|code| code.code()), Some("28P01"));
    let found = shop.target.managed_roles().await.unwrap();
    let role = found.iter().find(|role| role.name == alice.role).expect("still to be swept");
    assert_eq!(role.until, Some(shop.until));
    assert!(
        shop.target
            .managed_profiles()
            .await
            .unwrap()
            .iter()
            .any(|p| Some(&p.name) == role.profile.as_ref() && p.members == 1)
    );
}

async fn g5_r8_3_the_backstop_moves_for_a_session_that_may_log_in_and_never_far(shop: &mut Shop) {
    shop.until = os::now() + SignedDuration::from_secs(3);
    let alice = shop.session(&tables(&["orders"])).await;
    let later = os::now() + SignedDuration::from_mins(30);
    assert!(shop.target.extend_session(&alice.role, later).await.expect("it moves"));
    eventually(&shop.admin, &format!("SELECT clock_timestamp() >= '{}'", shop.until)).await;
    drop(shop.connect(&alice).await);
    for far in [os::now() + SignedDuration::from_hours(9), os::now() - SignedDuration::from_secs(1)] {
        let error = shop.target.extend_session(&alice.role, far).await.expect_err("refused");
        assert!(error.to_string().contains("is not within the next 8 hours"), "{error}");
    }
    // One that is being ended gets nothing back.
    let gateway = shop.server.connect(&shop.database, GATEWAY, GATEWAY_PASSWORD).await.unwrap();
    run(&gateway, &format!("SELECT dbaccess.lock_session('{}')", alice.role)).await;
    assert!(!shop.target.extend_session(&alice.role, later).await.unwrap());
    let login = format!("SELECT rolcanlogin FROM pg_roles WHERE rolname = '{}'", alice.role);
    assert_eq!(value(&shop.admin, &login).await.as_deref(), Some("f"));
    shop.target.close_session(&alice.role).await.expect("it ends");
    assert!(!shop.target.extend_session(&alice.role, later).await.unwrap(), "there is none any more");
}

async fn g5_fifty_sessions_open_and_close_at_once(shop: &mut Shop) {
    // A second server process of ours provisions at the same time.
    let twin = Target::new(shop.target.upstream().clone()).unwrap();
    let scopes = [tables(&["orders"]), writing(tables(&["orders"])), tables(&["hr.people", "orders"])];
    let mut profiles = Vec::new();
    for asked in &scopes {
        profiles.push(shop.profile(asked).await);
    }
    let shop = &*shop;
    for _ in 0..2 {
        let openings = (0..50).map(|n| {
            let profile = &profiles[n % profiles.len()];
            async move { shop.session_with(profile, true).await.expect("it opens") }
        });
        let people = futures_util::future::join_all(openings).await;
        let endings = people.iter().enumerate().map(|(n, person)| {
            let target = if n % 2 == 0 { &shop.target } else { &twin };
            async move { target.close_session(&person.role).await.expect("it ends") }
        });
        futures_util::future::join_all(endings).await;
        assert!(shop.target.managed_roles().await.unwrap().is_empty());
    }
    for profile in shop.target.managed_profiles().await.unwrap() {
        assert_eq!(profile.members, 0);
        let (one, two) =
            tokio::join!(shop.target.drop_profile(&profile.name), twin.drop_profile(&profile.name));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    }
    assert!(shop.target.managed_profiles().await.unwrap().is_empty());
}
