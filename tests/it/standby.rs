//! Targets that are standbys, with real streaming ones: roles come from the
//! primary, sessions end on the standby, and a standby that lags is told.

use crate::provision::{GATEWAY, GATEWAY_PASSWORD, params, run, sqlstate, value};
use crate::support::env::{GATEWAY_PASSWORD as ENV_PASSWORD, TestEnv, eventually};
use crate::support::masked::{Role, open_profile, partial, rule};
use crate::support::pg_server::{PgServer, bin_of, installed_bin};
use dbaccess::core::model::{Classification, Objects, PartialKind, Permission, Scope, TableName};
use dbaccess::core::profile::Profile;
use dbaccess::proto::{Finding, FindingLevel};
use dbaccess::server::provision::{ProvisionError, Target, apply_setup};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_postgres::Client;

/// A standby never gives up waiting for whoever holds up its replay.
const PATIENT: &str = "max_standby_streaming_delay=-1";
const ROLES: &str = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'dbaccess\\_s\\_%'";
const BACKENDS: &str = "SELECT count(*) FROM pg_stat_activity a WHERE backend_type = 'client backend'
    AND (usename LIKE 'dbaccess\\_s\\_%' OR usename IS NULL)";

/// A primary with people in it, its standby, and the target that is there.
struct Pair {
    primary: PgServer,
    standby: PgServer,
    target: Target,
    /// The superuser, in either.
    on_primary: Client,
    on_standby: Client,
}

impl Pair {
    /// The setup is made by the superuser or, as on a managed service, by somebody less.
    async fn start(bin: &Path, is_managed: bool) -> Self {
        let mut primary = PgServer::start(bin, &[PATIENT]).await;
        let admin = primary.admin("postgres").await;
        run(&admin, "CREATE ROLE dba LOGIN CREATEROLE PASSWORD 'dba'").await;
        run(&admin, "CREATE DATABASE shop OWNER dba").await;
        run(&admin, "GRANT CREATE ON DATABASE postgres, template1 TO dba").await;
        run(&primary.admin("shop").await, "ALTER SCHEMA public OWNER TO dba").await;
        let dba = primary.connect("shop", "dba", "dba").await.unwrap();
        run(
            &dba,
            "CREATE TABLE people (id int PRIMARY KEY, email text);
             INSERT INTO people SELECT n, 'person' || n || '@example.com' FROM generate_series(1, 100) n",
        )
        .await;
        let administrator =
            if is_managed { primary.upstream("shop", "dba", "dba") } else { primary.admin_upstream("shop") };
        drop((admin, dba));
        let standby = primary.standby(&[PATIENT]).await;
        // As `dbaccess target setup` of a standby does: on its primary.
        let at_standby = dbaccess::server::config::Upstream {
            host: "127.0.0.1".to_owned(),
            port: standby.port(),
            primary: standby.standby_upstream(&primary, "shop", "x", "x").primary,
            ..administrator
        };
        apply_setup(&at_standby.writable(), &params(None)).await.expect("the setup applies");
        let target =
            Target::new(standby.standby_upstream(&primary, "shop", GATEWAY, GATEWAY_PASSWORD)).unwrap();
        let (on_primary, on_standby) = (primary.admin("shop").await, standby.admin("shop").await);
        let pair = Self { primary, standby, target, on_primary, on_standby };
        pair.caught_up(Duration::from_secs(30)).await;
        pair
    }

    async fn profile(&self) -> Profile {
        let catalog = self.target.catalog().await.expect("the catalog is readable");
        let rules = [rule("people", "email", partial(PartialKind::Email))];
        let tables = BTreeSet::from([TableName::new("public", "people")]);
        let objects = Objects::Only { schemas: BTreeSet::new(), tables };
        let scope = Scope::new(objects, BTreeSet::from([Permission::Read]));
        self.target.profile(&scope, &catalog, &Classification::of(&rules, &catalog))
    }

    async fn open(&self) -> Result<Role, ProvisionError> {
        open_profile(&self.target, &self.profile().await, true).await
    }

    async fn connect(&self, role: &Role) -> Client {
        self.standby.connect("shop", &role.name, &role.password).await.expect("the role is on the standby")
    }

    async fn pause(&self) {
        run(&self.on_standby, "SELECT pg_wal_replay_pause()").await;
    }

    async fn resume(&self) {
        run(&self.on_standby, "SELECT pg_wal_replay_resume()").await;
    }

    /// The standby has all that is on the primary now.
    async fn caught_up(&self, within: Duration) {
        let written = value(&self.on_primary, "SELECT pg_current_wal_lsn()").await.unwrap();
        let reached = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        let started = Instant::now();
        while value(&self.on_standby, &reached).await.as_deref() != Some("t") {
            assert!(started.elapsed() < within, "the standby does not reach {written}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn assert_clean(&self) {
        self.caught_up(Duration::from_secs(30)).await;
        for (name, client) in [("primary", &self.on_primary), ("standby", &self.on_standby)] {
            assert_eq!(value(client, ROLES).await.as_deref(), Some("0"), "roles on the {name}");
            assert_eq!(value(client, BACKENDS).await.as_deref(), Some("0"), "backends on the {name}");
        }
    }

    /// What doctor says of the standby.
    async fn finding(&self) -> Finding {
        let findings = self.target.findings().await;
        let found = findings.iter().find(|finding| finding.check == "standby");
        found.unwrap_or_else(|| panic!("nothing of the standby in {findings:?}")).clone()
    }
}

/// A statement that goes on by itself, running by now.
async fn running(pair: &Pair, client: Client, sql: &'static str) -> tokio::task::JoinHandle<Option<String>> {
    let statement = tokio::spawn(async move { sqlstate(&client, sql).await });
    let active =
        "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'dbaccess\\_s\\_%' AND state = 'active'";
    let started = Instant::now();
    while value(&pair.on_standby, active).await.as_deref() != Some("1") {
        assert!(started.elapsed() < Duration::from_secs(30), "the statement does not run");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    statement
}

async fn a_session_opens_masked_and_ends_on_both(bin: &Path, is_managed: bool) {
    let pair = Pair::start(bin, is_managed).await;
    // Each is there as soon as it is open, the first one with its views.
    for _ in 0..5 {
        let role = pair.open().await.expect("the session opens");
        let client = pair.connect(&role).await;
        let email = value(&client, "SELECT email FROM people WHERE id = 7").await.unwrap();
        assert!(email.contains('*') && !email.contains("person7"), "{email}");
        assert_eq!(sqlstate(&client, "SELECT email FROM public.people").await.as_deref(), Some("42501"));
        assert_eq!(sqlstate(&client, "DELETE FROM people").await.as_deref(), Some("42501"));
        let closed = pair.target.close_session(&role.name).await.unwrap();
        assert!(closed.took() < Duration::from_secs(5), "{closed:?}");
    }

    let role = pair.open().await.unwrap();
    let idle = pair.connect(&role).await;
    run(&idle, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM people").await;
    let statement = running(&pair, pair.connect(&role).await, "SELECT pg_sleep(600)").await;
    // Somebody who goes round the gateway.
    let aside = pair.primary.connect("shop", &role.name, &role.password).await.unwrap();
    let closed = pair.target.close_session(&role.name).await.expect("the session ends");
    assert_eq!(closed.terminated, 3);
    assert!(closed.took() < Duration::from_secs(5), "{closed:?}");
    assert_eq!(statement.await.unwrap().as_deref(), Some("57P01"));
    for client in [&idle, &aside] {
        assert!(client.simple_query("SELECT 1").await.is_err(), "it is ended");
    }
    assert!(pair.target.is_role_gone(&role.name).await.unwrap());
    pair.assert_clean().await;
    assert!(!pair.target.close_session(&role.name).await.unwrap().existed);
    assert_eq!(pair.finding().await.level, FindingLevel::Ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_on_a_standby_opens_masked_and_ends_on_both() {
    a_session_opens_masked_and_ends_on_both(&installed_bin(), false).await;
}

/// The setup's functions are a superuser's no more, and a standby grants nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_of_a_standby_need_not_be_a_superuser() {
    for major in [14, 18] {
        a_session_opens_masked_and_ends_on_both(&bin_of(major), true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_lags_opens_nothing_and_hides_nothing() {
    let pair = Pair::start(&installed_bin(), false).await;
    let before = pair.open().await.unwrap();
    let client = pair.connect(&before).await;

    pair.pause().await;
    let error = pair.open().await.err().expect("the standby lags");
    assert!(matches!(error, ProvisionError::Lagging { .. }), "{error}");
    assert!(error.to_string().contains("try again when it has caught up, or ask for the primary"), "{error}");
    let left = value(&pair.on_primary, ROLES).await;
    assert_eq!(left.as_deref(), Some("1"), "only the session of before");
    let finding = pair.finding().await;
    assert_eq!(finding.level, FindingLevel::Problem);
    assert!(finding.message.contains("replay is paused"), "{finding:?}");
    assert!(finding.remedy.is_some());

    // G5: its connections end at once; but the standby would still let it in,
    // so it is not said to be gone.
    let statement = running(&pair, client, "SELECT pg_sleep(600)").await;
    let error = pair.target.close_session(&before.name).await.expect_err("the standby lags");
    assert!(matches!(error, ProvisionError::Lagging { .. }), "{error}");
    assert_eq!(statement.await.unwrap().as_deref(), Some("57P01"));
    assert!(pair.primary.connect("shop", &before.name, &before.password).await.is_err(), "locked");
    assert!(!pair.target.is_role_gone(&before.name).await.unwrap());

    pair.resume().await;
    pair.target.close_session(&before.name).await.expect("the standby has caught up");
    assert!(pair.target.is_role_gone(&before.name).await.unwrap());
    pair.assert_clean().await;
}

/// Dropping a view waits for its readers, and a standby replays nothing else
/// meanwhile: so its readers end first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn views_go_without_stalling_the_standby() {
    let pair = Pair::start(&installed_bin(), false).await;
    let role = pair.open().await.unwrap();
    let client = pair.connect(&role).await;
    run(&client, "BEGIN; SELECT * FROM people").await;
    let profile = pair.profile().await;
    let error = pair.target.drop_profile(profile.name()).await.expect_err("it has a session").to_string();
    assert!(error.contains("has sessions"), "{error}");
    pair.target.close_session(&role.name).await.unwrap();
    pair.target.drop_profile(profile.name()).await.unwrap();
    pair.caught_up(Duration::from_secs(5)).await;
    let views = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'dbaccess\\_v\\_%'";
    assert_eq!(value(&pair.on_standby, views).await.as_deref(), Some("0"));
    pair.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_away_or_none_any_more_is_told() {
    let mut pair = Pair::start(&installed_bin(), false).await;
    run(&pair.on_standby, "SELECT pg_promote()").await;
    let error = pair.open().await.err().expect("it is no standby");
    assert!(matches!(error, ProvisionError::Promoted { .. }), "{error}");
    let finding = pair.finding().await;
    assert_eq!(finding.level, FindingLevel::Problem);
    assert!(finding.message.contains("was it promoted?"), "{finding:?}");

    pair.standby.crash();
    let error = pair.open().await.err().expect("nobody is there");
    assert!(matches!(error, ProvisionError::Unreachable { .. }), "{error}");
    let finding = pair.finding().await;
    assert_eq!(finding.level, FindingLevel::Problem);
    assert!(finding.message.contains("cannot reach"), "{finding:?}");
    assert_eq!(value(&pair.on_primary, ROLES).await.as_deref(), Some("0"), "nothing was made");
}

/// All of it, as people meet it.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_reads_from_a_standby_and_is_sent_to_the_primary_to_write() {
    let mut env = TestEnv::start().await;
    assert!(env.server.take().expect("it runs").stop().success());
    let standby = env.pg.standby(&[PATIENT]).await;
    let upstream = standby.standby_upstream(&env.pg, "shop", "dbaccess", ENV_PASSWORD);
    let path = env.dir.path().join("server.toml");
    let config = format!(
        "{}\n[targets.replica]\nhost = \"{}\"\nport = {}\nprimary_host = \"127.0.0.1\"\nprimary_port = {}\n\
         database = \"shop\"\nuser = \"dbaccess\"\npassword_env = \"TEST_GATEWAY_PASSWORD\"\ntls = \"off\"\n\
         environment = \"production\"\nowners = [\"shop\"]\nobject_owner = \"shop_owner\"\n\
         classified = {{ \"public.customers.email\" = \"partial\" }}\n",
        std::fs::read_to_string(&path).unwrap(),
        upstream.host,
        upstream.port,
        env.pg.port(),
    );
    std::fs::write(&path, config).unwrap();
    env.start_server().await;
    let alice = env.signed_in("alice").await;

    for more in [["--write", "--reason"], ["--ddl", "--reason"]] {
        let mut args = vec!["request", "replica", "--schema", "public"];
        args.extend(more);
        args.push("INC-1");
        let refused = alice.run(&args).exits(2);
        assert!(refused.err.contains("replica is a standby"), "{refused:?}");
        assert!(refused.err.contains("dbaccess request prod-orders"), "{refused:?}");
    }
    alice.run(&["request", "replica", "--table", "customers", "--reason", "INC-1"]).ok();
    let read =
        alice.run(&["exec", "replica", "SELECT email, pg_is_in_recovery() FROM customers WHERE id = 7"]).ok();
    assert!(read.out.contains('*') && !read.out.contains("customer7@"), "{read:?}");
    assert!(read.out.trim_end().ends_with(" t"), "on the standby: {read:?}");

    let mut command = alice.command(&["exec", "replica", "SELECT pg_sleep(600)"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let running = crate::support::session::Running::of(command.spawn().unwrap());
    let admin = standby.admin("shop").await;
    let active = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'dbaccess\\_s\\_%' AND query LIKE '%pg_sleep%'";
    env.until("the statement runs", async || value(&admin, active).await.as_deref() == Some("1")).await;
    let grants = alice.run(&["targets", "replica", "--output", "json"]).ok().out;
    let at = grants.find("grt-").expect("a grant");
    alice.run(&["revoke", &grants[at..at + 16]]).ok();
    running.ended().await.exits(6);
    env.until("the role is gone from the standby", async || {
        value(&admin, ROLES).await.as_deref() == Some("0")
            && value(&admin, BACKENDS).await.as_deref() == Some("0")
    })
    .await;
    env.assert_clean().await;
    eventually("the end is on record", || env.ledger_text().contains("pg_sleep").then_some(())).await;
}
