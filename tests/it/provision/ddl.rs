//! Migrations: a session that works as the owner of its schemas (R3.5).

use super::masks::rows;
use super::*;
use dbaccess::core::model::{Objects, Permission, Scope};
use std::collections::BTreeSet;

on_every_version! {
    r3_5_a_migration_makes_objects_of_the_owner_and_reaches_nothing_else
    r3_5_only_owners_that_the_administrator_named_and_that_are_weak
}

fn migrating(schema: &str) -> Scope {
    let objects = Objects::Only { schemas: BTreeSet::from([schema.to_owned()]), tables: BTreeSet::new() };
    Scope::new(objects, BTreeSet::from([Permission::Read, Permission::Ddl]))
}

async fn setup_with(shop: &Shop, ddl_owners: &[&str]) -> Result<Vec<String>, ProvisionError> {
    let ddl_owners = ddl_owners.iter().map(ToString::to_string).collect();
    let params = SetupParams { ddl_owners, ..params(None) };
    apply_setup(&shop.server.admin_upstream(&shop.database), &params).await
}

async fn r3_5_a_migration_makes_objects_of_the_owner_and_reaches_nothing_else(shop: &mut Shop) {
    let owner = format!("owner_of_{}", shop.database);
    run(&shop.admin, &format!("CREATE ROLE {owner}; CREATE SCHEMA store AUTHORIZATION {owner}; SET ROLE {owner};
        CREATE TABLE store.stock (id serial PRIMARY KEY, qty int); RESET ROLE; REVOKE CREATE ON SCHEMA public FROM PUBLIC")).await;
    setup_with(shop, &[&owner]).await.expect("the setup applies");
    let profile = shop.scoped_profile(&migrating("store"), &[]).await;
    assert_eq!(profile.views().become_role.as_deref(), Some(owner.as_str()));
    let alice = shop.session_with(&profile, false).await.expect("it opens");
    // By itself the role has only its memberships; what it connects as, it says.
    let idle = shop.connect(&alice).await;
    assert_eq!(sqlstate(&idle, "CREATE TABLE store.early (a int)").await.as_deref(), Some("42501"));
    let client = shop.connect_as(&alice, &owner).await;
    run(&client, "CREATE TABLE store.fresh (id int PRIMARY KEY); ALTER TABLE store.stock ADD COLUMN note text; CREATE VIEW store.seen AS SELECT * FROM store.stock").await;
    run(&client, "RESET ROLE; CREATE INDEX ON store.stock (qty); CREATE FUNCTION store.f() RETURNS int LANGUAGE sql AS 'SELECT 1'").await;
    for sql in [
        "CREATE TABLE public.x (a int)",
        "SELECT * FROM orders",
        "SELECT * FROM hr.salaries",
        "ALTER TABLE orders ADD COLUMN x int",
        "CREATE ROLE mallory",
        "CREATE SCHEMA mine",
        "SET ROLE postgres",
        "SET ROLE dbaccess_objects",
        "CREATE EXTENSION dblink",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "COPY store.stock TO PROGRAM 'true'",
    ] {
        assert_eq!(sqlstate(&client, sql).await.as_deref(), Some("42501"), "{sql}");
    }
    let owners =
        "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'store'::regnamespace";
    assert_eq!(rows(&shop.admin, owners).await, [[Some(owner.clone())]]);
    run(&client, &format!("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {}", alice.role)).await;
    shop.target.close_session(&alice.role).await.expect("it ends");
    assert!(shop.target.is_role_gone(&alice.role).await.unwrap());
    assert_eq!(rows(&shop.admin, owners).await, [[Some(owner)]]);
    shop.target.drop_profile(profile.name()).await.expect("it goes");
}

async fn r3_5_only_owners_that_the_administrator_named_and_that_are_weak(shop: &mut Shop) {
    let name = |what: &str| format!("{what}_of_{}", shop.database);
    let (owner, strong, reader) = (name("owner"), name("strong"), name("reader"));
    run(&shop.admin, &format!("CREATE ROLE {owner}; CREATE ROLE {strong} CREATEROLE; CREATE ROLE {reader}; GRANT pg_read_all_data TO {reader};
        CREATE SCHEMA store AUTHORIZATION {owner}")).await;
    for (named, why) in [
        (&strong, "no session may work as"),
        (&reader, "pg_read_all_data"),
        (&name("nobody"), "does not exist"),
    ] {
        let error = setup_with(shop, &[named]).await.expect_err("it is refused").to_string();
        assert!(error.contains(why), "{error}");
    }
    let profile = shop.scoped_profile(&migrating("store"), &[]).await;
    let refused = async |why: &str| {
        let error = shop.session_with(&profile, false).await.err().expect("it is refused").to_string();
        assert!(error.contains(why), "{error}");
    };
    refused("no session may work as").await;
    setup_with(shop, &[&owner]).await.expect("the setup applies");
    let alice = shop.session_with(&profile, false).await.expect("it opens");
    shop.target.close_session(&alice.role).await.expect("it ends");
    // It became strong meanwhile.
    run(&shop.admin, &format!("GRANT {reader} TO {owner}")).await;
    refused("it has the rights of").await;
    run(&shop.admin, &format!("REVOKE {reader} FROM {owner}; ALTER ROLE {owner} BYPASSRLS")).await;
    refused("it has the rights of").await;
}
