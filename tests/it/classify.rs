//! `target classify` and `target check` against a real database: what is found
//! in it, what is written into the configuration, and what escapes.

use crate::support::env::BINARY;
use crate::support::pg_server::PgServer;
use dbaccess::server::classify::Proposed;
use dbaccess::server::config::{Config, Upstream};
use dbaccess::server::provision::apply_setup;
use dbaccess::server::setup;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// The red team's schema, without what only psql understands.
fn schema() -> String {
    let lines = include_str!("../redteam/schema.sql").lines();
    lines.filter(|line| !line.starts_with('\\')).collect::<Vec<_>>().join("\n")
}

/// A server with the red team's database, and a configuration that names it.
struct World {
    server: PgServer,
    dir: TempDir,
}

impl World {
    /// With the setup.
    async fn new() -> Self {
        let world = Self::bare().await;
        let config = Config::load(&world.config()).unwrap();
        let params = setup::params(&config.targets["prod-orders"].upstream).unwrap();
        apply_setup(&world.admin(), &params).await.unwrap();
        world
    }

    /// Nobody has set the target up.
    async fn bare() -> Self {
        let server = PgServer::newest().await;
        server.admin("postgres").await.batch_execute("CREATE DATABASE shop").await.unwrap();
        let admin = server.admin("shop").await;
        admin.batch_execute(&schema()).await.unwrap_or_else(|error| panic!("{error:?}"));
        admin.batch_execute("CREATE ROLE gateway LOGIN PASSWORD 'gw'").await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("password"), "gw").unwrap();
        let password = dir.path().join("password");
        std::fs::set_permissions(password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let example = include_str!("../../docs/server.example.toml");
        let (before, rest) = example.split_once("[targets.prod-orders.classified]").unwrap();
        let (_, after) = rest.split_once("\n[limits]").unwrap();
        let text = format!(
            "{before}[targets.prod-orders.classified]\n# Ours.\n\"public.users.email\" = \"null\" # so\n\n[limits]{after}"
        );
        let text = text
            .replace("orders-db.internal", "127.0.0.1")
            .replace("port = 5432", &format!("port = {}", server.port()))
            .replace("database = \"orders\"", "database = \"shop\"")
            .replace("user = \"dbaccess\"", "user = \"gateway\"\npassword_file = \"password\"")
            .replace("tls = \"verify\"", "tls = \"off\"")
            .replace("orders_owner", "app_owner");
        let world = Self { server, dir };
        std::fs::write(world.config(), text).unwrap();
        std::fs::set_permissions(world.config(), std::fs::Permissions::from_mode(0o640)).unwrap();
        world
    }

    fn config(&self) -> PathBuf {
        self.dir.path().join("server.toml")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.config()).unwrap()
    }

    fn admin(&self) -> Upstream {
        self.server.admin_upstream("shop")
    }

    /// What sessions and their profiles left in the cluster.
    async fn left_behind(&self) -> Vec<String> {
        let sql = "SELECT rolname::text FROM pg_roles WHERE rolname ~ '^dbaccess_[sp]_'";
        let rows = self.server.admin("shop").await.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// Exit code, stdout, stderr.
    fn run(&self, args: &[&str]) -> (i32, String, String) {
        let output = Command::new(BINARY)
            .args(["target", args[0], "prod-orders", "--config"])
            .arg(self.config())
            .args(&args[1..])
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        for canary in ["qzx", "4929-7300-01", "PIIADDR", "PIIEVT", "203.0.113", "-55", "AUDITTOKEN", "50731"]
        {
            assert!(!out.contains(canary) && !err.contains(canary), "{canary} in {out}{err}");
        }
        (output.status.code().unwrap(), out, err)
    }

    fn classify(&self, more: &[&str]) -> (Value, String) {
        let (code, out, err) = self.run(&[&["classify", "--output", "json"], more].concat());
        assert_eq!(code, 0, "{err}");
        (serde_json::from_str(&out).unwrap(), err)
    }

    fn check(&self) -> (i32, BTreeMap<String, Value>) {
        let (code, out, err) = self.run(&["check", "--output", "json"]);
        let findings: Vec<Value> = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
        (
            code,
            findings.into_iter().map(|found| (found["check"].as_str().unwrap().to_owned(), found)).collect(),
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_sensitive_columns_are_found_and_written_with_everything_else_kept() {
    let world = World::new().await;
    let before = world.text();
    let (proposals, err) = world.classify(&[]);
    assert_eq!(world.text(), before, "a program that accepts nothing changes nothing: {err}");

    let masks: BTreeMap<String, String> = proposals
        .as_array()
        .unwrap()
        .iter()
        .map(|found| {
            let name = format!("{}.{}", found["table"].as_str().unwrap(), found["column"].as_str().unwrap());
            (name, format!("{} {}", found["mask"].as_str().unwrap(), found["confidence"].as_str().unwrap()))
        })
        .collect();
    for (column, expected) in [
        ("public.users.phone", "partial certain"),
        ("public.users.ssn", "null certain"),
        ("public.users.salary", "aggregate certain"),
        ("public.users.profile", "null likely"),
        ("public.payments.card_number", "token certain"),
        ("public.payments.amount", "aggregate unsure"),
        ("public.orders.card_number", "token certain"),
        ("public.events.ip", "null certain"),
        ("public.events.payload", "null likely"),
        ("public.people.full_name", "partial certain"),
        ("public.people.passport", "null certain"),
        ("public.people_vip.home_address", "null certain"),
        ("public.\"Weird \"\"Täble\"\" ☃\".e.mail", "partial certain"),
        ("public.a_table_name_that_is_exactly_sixty_three_bytes_long_0123456789a.secret", "null certain"),
        ("public.audit_secrets.token", "null likely"),
    ] {
        assert_eq!(masks.get(column).map(String::as_str), Some(expected), "{column} in {masks:#?}");
    }
    assert_eq!(masks.len(), 15, "nothing else looks sensitive: {masks:#?}");

    let (_, err) = world.classify(&["--yes"]);
    assert!(err.contains("+ \"public.users.phone\" = \"partial\""), "{err}");
    let after = world.text();
    let mut rest = after.lines();
    assert!(before.lines().all(|line| rest.any(|new| new == line)), "a line is gone:\n{after}");
    assert!(after.contains("# Ours.\n\"public.users.email\" = \"null\" # so\n"), "what was said stands");
    assert!(!after.contains("payments.amount"), "a weak hint is not written unasked");
    assert_eq!(std::fs::metadata(world.config()).unwrap().permissions().mode() & 0o777, 0o640);
    let rules = &Config::load(&world.config()).unwrap().targets["prod-orders"].target.classified;
    assert_eq!(rules.len(), 15, "{rules:?}");

    // What is classified is not proposed again.
    let (again, _) = world.classify(&["--yes"]);
    assert_eq!(again.as_array().unwrap().len(), 1, "{again}");
    assert_eq!(world.text(), after);
    world.classify(&["--yes", "--unsure"]);
    assert!(world.text().contains("\"public.payments.amount\" = { mask = \"aggregate\""));
    assert_eq!(world.left_behind().await, Vec::<String>::new());
}

/// The planner computes an index's condition, and with it calls the owner's
/// function, for whoever reads the table.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g1_sampling_lends_the_owner_of_a_table_no_rights() {
    let world = World::new().await;
    let trap = "
        CREATE TABLE public.trap (email text);
        INSERT INTO public.trap SELECT 'a' || n || '@example.com' FROM generate_series(1, 50) n;
        CREATE FUNCTION public.sprung(integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql
            AS 'BEGIN RETURN true; END';
        CREATE INDEX ON public.trap (email) WHERE public.sprung(1);
        CREATE OR REPLACE FUNCTION public.sprung(integer) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'sprung as % in a session of %, superuser: %, writes: %', current_user,
                    session_user, (SELECT rolsuper FROM pg_roles WHERE rolname = session_user),
                    current_setting('transaction_read_only') = 'off';
            END $$;";
    world.server.admin("shop").await.batch_execute(trap).await.unwrap();
    let (proposals, err) = world.classify(&[]);
    let told = err.lines().find(|line| line.contains("public.trap: only names were looked at")).unwrap();
    assert!(told.contains("sprung as dbaccess_s_"), "{told}");
    assert!(told.contains("in a session of dbaccess_s_"), "{told}");
    assert!(told.contains("superuser: f, writes: f"), "{told}");
    let found = proposals.as_array().unwrap();
    assert!(found.iter().any(|found| found["table"] == "public.trap"), "by its name: {found:#?}");
    assert_eq!(world.left_behind().await, Vec::<String>::new(), "the session ends whatever happens");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_looked_at_only_where_the_target_is_set_up() {
    let world = World::bare().await;
    let (code, out, err) = world.run(&["classify", "--output", "json"]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    for said in ["run `dbaccess target setup`", "--sample 0"] {
        assert!(err.contains(said), "{said} is not in {err}");
    }
    let before = world.text();
    let (proposals, err) = world.classify(&["--sample", "0"]);
    assert!(!proposals.as_array().unwrap().is_empty(), "{err}");
    // A program is not asked, and is told so.
    assert!(err.contains("nothing was written: --yes accepts"), "{err}");
    assert_eq!(world.text(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_changed_meanwhile_is_left_alone() {
    let world = World::bare().await;
    // Without a sample: by names alone.
    let proposed = Proposed::of(&world.config(), "prod-orders", 0).await.unwrap();
    assert!(proposed.proposals.iter().any(|found| found.column == "ssn"));
    assert!(!proposed.proposals.iter().any(|found| found.column == "profile"));
    let changed = format!("{}# more\n", world.text());
    std::fs::write(world.config(), &changed).unwrap();
    let error = proposed.write(&proposed.proposals).expect_err("it changed");
    assert!(error.to_string().contains("changed meanwhile"), "{error}");
    assert_eq!(world.text(), changed);
    let left = std::fs::read_dir(world.dir.path()).unwrap().count();
    assert_eq!(left, 2, "no temporary file stays");
    let error = Proposed::of(&world.config(), "prod-order", 0).await.err().expect("no such target");
    assert!(error.to_string().contains("it has prod-orders"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_what_escapes_the_classification_is_found_with_a_remedy() {
    let world = World::new().await;
    let admin = world.server.admin("shop").await;
    let escapes = "
        GRANT SELECT (email) ON public.users TO PUBLIC;
        CREATE TABLE public.copies (email text);
        CREATE FUNCTION public.copy() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN INSERT INTO public.copies VALUES (NEW.email); RETURN NEW; END';
        CREATE TRIGGER copy BEFORE INSERT ON public.users FOR EACH ROW EXECUTE FUNCTION public.copy();
        CREATE PUBLICATION everything FOR TABLE public.users;
        CREATE SCHEMA other AUTHORIZATION app_owner;";
    admin.batch_execute(escapes).await.unwrap();
    let (code, findings) = world.check();
    assert_eq!(code, 1);
    for (check, level, said) in [
        ("classified", "ok", ""),
        ("views", "warning", "public.active_users reads public.users.email, which is classified"),
        ("same_name", "warning", "public.copies.email (as in public.users)"),
        ("unclassified", "warning", "public.audit_secrets.token"),
        ("shared_owners", "warning", "other (owned by app_owner)"),
        ("public_select", "problem", "public.users.email"),
        ("statistics", "ok", "users_ext_stat"),
        ("indexes", "ok", "users_email_lower_idx"),
        ("triggers", "warning", "trigger copy calls"),
        ("publications", "warning", "everything (public.users)"),
        ("definers", "problem", "operator public.##(NONE,bigint)"),
        ("foreign_keys", "ok", ""),
        ("inheritance", "ok", ""),
    ] {
        let found = findings.get(check).unwrap_or_else(|| panic!("no {check} in {findings:#?}"));
        assert_eq!(found["level"], level, "{found:#}");
        assert!(found.to_string().contains(said), "{said} is not in {found:#}");
        assert!(level == "ok" || found["remedy"].is_string(), "{found:#}");
    }
    let definers = findings["definers"]["remedy"].as_str().unwrap();
    for function in ["get_user_email", "uid_to_text", "peek", "purge_user_note", "wipe_notes"] {
        assert!(definers.contains(function), "{function} is not in {definers}");
    }
    assert!(!definers.contains("with_key"), "it reads no classified table: {definers}");

    // The remedies work as they are told.
    admin.batch_execute(definers).await.unwrap();
    admin.batch_execute("REVOKE SELECT (email) ON public.users FROM PUBLIC").await.unwrap();
    let (code, findings) = world.check();
    assert_eq!(code, 0, "{findings:#?}");

    // A name that is not there protects nothing.
    let text = world.text().replace("public.users.email", "public.users.emial");
    std::fs::write(world.config(), text).unwrap();
    let (code, findings) = world.check();
    assert_eq!((code, &findings["classified"]["level"]), (1, &Value::from("problem")));
}
