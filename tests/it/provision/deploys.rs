//! Deploys go on while masked sessions come and go, and those go on after them.

use super::*;
use dbaccess::core::model::{Classified, Mask, Rule, Selector, Sensitivity, TableName};
use dbaccess::proto::FindingLevel;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

on_every_version! {
    a_deploy_changes_masked_tables_and_open_sessions_go_on
    a_renamed_and_replaced_table_is_followed
    a_view_that_cannot_be_built_again_is_gone_and_the_deploy_is_not
    a_deploy_succeeds_while_masked_sessions_come_and_go
    only_who_may_change_a_table_makes_its_views_go
}

const STAFF: &str = "
    CREATE ROLE DEPLOYER LOGIN PASSWORD 'deploy';
    GRANT CREATE, USAGE ON SCHEMA public TO DEPLOYER;
    CREATE TABLE staff (id bigint PRIMARY KEY, email text, salary numeric, nick varchar(40), note text);
    INSERT INTO staff SELECT i, 'p' || i || '@example.com', i * 100, 'nick' || i, 'note' FROM generate_series(1, 100) i;
    ALTER TABLE staff OWNER TO DEPLOYER;
    ALTER TABLE orders OWNER TO DEPLOYER";

async fn masked(shop: &Shop) -> Profile {
    let mut catalog = shop.target.catalog().await.expect("the catalog is readable");
    let staff = TableName::new("public", "staff");
    for relation in catalog.relations.iter_mut().filter(|relation| relation.name == staff) {
        relation.primary_key = vec!["id".to_owned()];
    }
    let rule = |column: &str, mask: Mask| Rule {
        selector: Selector::Column { table: staff.clone(), column: column.to_owned() },
        classified: Classified { sensitivity: Sensitivity::Pii, mask },
    };
    let rules = [rule("email", Mask::Null), rule("salary", Mask::Aggregate { min_group: 10 })];
    let scope = tables(&["staff"]).resolve(&catalog, &Classification::default()).expect("it exists");
    shop.target.profile(&scope, &catalog, &Classification::of(&rules, &catalog))
}

/// The shop with masked sessions on `staff`, and the login that deploys.
async fn deploying(shop: &Shop) -> (Client, Client) {
    let deployer = format!("deployer_{}", shop.database);
    run(&shop.admin, &STAFF.replace("DEPLOYER", &deployer)).await;
    let session = shop.session_with(&masked(shop).await, true).await.expect("the session opens");
    let deploy =
        shop.server.connect(&shop.database, &deployer, "deploy").await.expect("the deployer logs in");
    run(&deploy, "SET lock_timeout = '1s'").await;
    (shop.connect(&session).await, deploy)
}

async fn a_deploy_changes_masked_tables_and_open_sessions_go_on(shop: &mut Shop) {
    let (client, deploy) = deploying(shop).await;
    let everything = "SELECT * FROM staff";
    run(&client, "PREPARE mine AS SELECT count(*), max(email) FROM staff").await;
    for (ddl, then) in [
        ("ALTER TABLE staff ALTER COLUMN nick TYPE text", "SELECT nick FROM staff WHERE nick = 'nick7'"),
        ("ALTER TABLE staff ALTER COLUMN id TYPE int", "SELECT sum(salary) FROM staff"),
        ("ALTER TABLE staff ALTER COLUMN salary TYPE bigint", "SELECT sum(salary) FROM staff"),
        ("alter table\n STAFF drop column nick", everything),
        (
            "BEGIN; ALTER TABLE staff ADD COLUMN extra int; ALTER TABLE staff DROP COLUMN note; COMMIT",
            everything,
        ),
        ("DO $$ BEGIN EXECUTE 'ALTER TABLE sta' || 'ff DROP COLUMN extra'; END $$", everything),
        ("/* staff */ ALTER TABLE public.\"staff\" RENAME COLUMN salary TO pay", "SELECT id FROM staff"),
        ("ALTER TABLE staff RENAME COLUMN pay TO salary", "SELECT count(salary) FROM staff"),
        ("ALTER TABLE staff DROP COLUMN salary", everything),
        ("ALTER TABLE orders ADD COLUMN x int", everything),
    ] {
        run(&deploy, ddl).await;
        assert_eq!(sqlstate(&client, then).await, None, "{then} after {ddl}");
        run(&client, "EXECUTE mine").await;
        assert_eq!(value(&client, "SELECT max(email) FROM staff").await, None, "still masked after {ddl}");
    }
    assert_eq!(sqlstate(&client, "SELECT nick FROM staff").await.as_deref(), Some("42703"));
    assert_eq!(sqlstate(&client, "SELECT email FROM public.staff").await.as_deref(), Some("42501"));
    run(&deploy, "DROP TABLE staff").await;
    assert_eq!(sqlstate(&client, "SELECT id FROM staff").await.as_deref(), Some("42P01"));
}

async fn a_renamed_and_replaced_table_is_followed(shop: &mut Shop) {
    let (client, deploy) = deploying(shop).await;
    run(
        &deploy,
        "CREATE TABLE staff_new (id bigint PRIMARY KEY, email text, salary numeric, nick varchar(40), note text, more text);
         INSERT INTO staff_new SELECT i, 'new@example.com', i, 'new', 'new', 'new' FROM generate_series(1, 50) i;
         BEGIN; ALTER TABLE staff RENAME TO staff_old; ALTER TABLE staff_new RENAME TO staff; COMMIT",
    )
    .await;
    assert_eq!(value(&client, "SELECT min(nick) || count(*) FROM staff").await.as_deref(), Some("new50"));
    assert_eq!(value(&client, "SELECT count(salary) FROM staff").await.as_deref(), Some("50"));
    assert_eq!(value(&client, "SELECT max(email) FROM staff").await, None);
    run(&deploy, "DROP TABLE staff_old").await;
    // Without the event triggers the view is the old table's until the next session asks.
    run(
        &shop.admin,
        "ALTER EVENT TRIGGER dbaccess_before_ddl DISABLE; ALTER EVENT TRIGGER dbaccess_after_ddl DISABLE",
    )
    .await;
    run(
        &deploy,
        "CREATE TABLE staff_3 (LIKE staff INCLUDING ALL); INSERT INTO staff_3 (id, nick) VALUES (1, 'third');
         BEGIN; ALTER TABLE staff RENAME TO staff_2; ALTER TABLE staff_3 RENAME TO staff; COMMIT",
    )
    .await;
    assert_eq!(value(&client, "SELECT min(nick) FROM staff").await.as_deref(), Some("new"));
    let next = shop.session_with(&masked(shop).await, true).await.expect("the session opens");
    let next = shop.connect(&next).await;
    assert_eq!(value(&next, "SELECT min(nick) FROM staff").await.as_deref(), Some("third"));
}

async fn a_view_that_cannot_be_built_again_is_gone_and_the_deploy_is_not(shop: &mut Shop) {
    let (client, deploy) = deploying(shop).await;
    // What stands in the way of the view here is of no matter.
    run(&shop.admin, "ALTER FUNCTION dbaccess.mask_expression(jsonb, text, oid, integer) RENAME TO hidden")
        .await;
    run(&deploy, "ALTER TABLE staff DROP COLUMN nick").await;
    run(&shop.admin, "ALTER FUNCTION dbaccess.hidden(jsonb, text, oid, integer) RENAME TO mask_expression")
        .await;
    let missing = async || {
        let all =
            shop.target.escapes(&[], &shop.target.catalog().await.unwrap(), &Classification::default()).await;
        let found = all.unwrap().into_iter().find(|finding| finding.check == "missing_views").unwrap();
        (found.level, found.message)
    };
    let (level, message) = missing().await;
    assert_eq!(level, FindingLevel::Warning);
    assert!(message.ends_with(": public.staff"), "{message}");
    // The table itself comes next on the path, and is not theirs.
    assert_eq!(sqlstate(&client, "SELECT id FROM staff").await.as_deref(), Some("42501"));
    // The next session has its own; those that are open have theirs again after the next deploy.
    shop.session_with(&masked(shop).await, true).await.expect("the session opens");
    assert_eq!(missing().await.0, FindingLevel::Warning);
    run(&deploy, "ALTER TABLE staff ADD COLUMN later int").await;
    assert_eq!(missing().await.0, FindingLevel::Ok);
    run(&client, "SELECT id FROM staff").await;
}

async fn a_deploy_succeeds_while_masked_sessions_come_and_go(shop: &mut Shop) {
    let (_client, deploy) = deploying(shop).await;
    let (stop, opened) = (AtomicBool::new(false), AtomicU32::new(0));
    let coming_and_going = async {
        while !stop.load(Ordering::Relaxed) {
            let profile = masked(shop).await;
            // While the table is being changed a session may have to be asked for again.
            let Ok(person) = shop.session_with(&profile, true).await else { continue };
            let client = shop.connect(&person).await;
            for _ in 0..5 {
                let state = sqlstate(&client, "SELECT count(*), sum(salary), max(email) FROM staff").await;
                assert!(matches!(state.as_deref(), None | Some("42P01" | "42703")), "{state:?}");
            }
            drop(client);
            shop.target.close_session(&person.role).await.expect("it closes");
            opened.fetch_add(1, Ordering::Relaxed);
        }
    };
    let deploys = async {
        for turn in 0..15 {
            for ddl in [
                format!("ALTER TABLE staff ADD COLUMN c{turn} int"),
                format!("ALTER TABLE staff ALTER COLUMN c{turn} TYPE bigint"),
                format!("ALTER TABLE staff ALTER COLUMN nick TYPE varchar({})", 40 + turn),
                format!("ALTER TABLE staff DROP COLUMN c{turn}"),
                "BEGIN; ALTER TABLE staff RENAME TO staff_old; CREATE TABLE staff (LIKE staff_old INCLUDING ALL);
                 INSERT INTO staff SELECT * FROM staff_old; DROP TABLE staff_old; COMMIT"
                    .to_owned(),
            ] {
                run(&deploy, &ddl).await;
            }
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(coming_and_going, deploys);
    assert!(opened.load(Ordering::Relaxed) > 0);
}

async fn only_who_may_change_a_table_makes_its_views_go(shop: &mut Shop) {
    let (client, _deploy) = deploying(shop).await;
    let view = "SELECT c.oid::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname ~ '^dbaccess_v_' AND relname = 'staff'";
    let before = value(&shop.admin, view).await;
    assert!(before.is_some());
    let name = format!("stranger_{}", shop.database);
    run(
        &shop.admin,
        &format!("CREATE ROLE {name} LOGIN PASSWORD 'stranger'; CREATE SCHEMA stranger AUTHORIZATION {name}"),
    )
    .await;
    let stranger = shop.server.connect(&shop.database, &name, "stranger").await.expect("a login");
    run(
        &stranger,
        "CREATE TABLE stranger.t (a int, staff int); CREATE FUNCTION stranger.lower(text) RETURNS text LANGUAGE sql AS 'SELECT 1/0 || $1';
         SET search_path = stranger, pg_catalog; ALTER TABLE t DROP COLUMN staff; DO $$ BEGIN ALTER TABLE t ADD COLUMN staff int; END $$;
         CREATE TEMP TABLE staff (a int); DROP TABLE pg_temp.staff",
    )
    .await;
    assert_eq!(
        sqlstate(&stranger, "ALTER TABLE public.staff DROP COLUMN nick").await.as_deref(),
        Some("42501")
    );
    assert_eq!(value(&shop.admin, view).await, before);
    for sql in [
        "SET session_replication_role = replica",
        "TABLE dbaccess.profiles",
        "SELECT dbaccess.end_deploy()",
        "SELECT dbaccess.begin_deploy('staff', 'ALTER TABLE', '1s')",
        "ALTER EVENT TRIGGER dbaccess_before_ddl DISABLE",
    ] {
        assert_eq!(sqlstate(&stranger, sql).await.as_deref(), Some("42501"), "{sql}");
    }
    run(&client, "SELECT count(*) FROM staff").await;
}
