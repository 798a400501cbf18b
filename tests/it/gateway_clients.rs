//! Real client programs through `dbaccess connect`, under a grant that writes
//! and under one that reads.

use crate::support::env::{Setting, TestEnv, TestPerson};
use crate::support::held::{exporter, settled_audit};
use crate::support::tools;
use std::process::Command;

const SCHEMA: &str = include_str!("../clients/schema.sql");

const PROGRAMS: &[&str] = &["psycopg", "node", "jdbc", "psql"];

async fn clients(extra: &str) -> TestEnv {
    let databases = vec![("clients", SCHEMA)];
    TestEnv::with(Setting { databases, extra: extra.to_owned(), ..Setting::default() }).await
}

/// Runs programs; gives what they printed.
fn run(person: &TestPerson<'_>, programs: &[&str], environment: &[(&str, &str)]) -> String {
    drop([tools::node(), tools::python(), tools::java(), tools::jdbc_driver()]);
    let script = tools::repository().join("tests/clients/run.sh").display().to_string();
    let mut command: Command = person.command(&["connect", "clients", "--", &script]);
    command.args(programs);
    let output =
        command.envs(tools::environment()).envs(environment.iter().copied()).output().expect("it starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.matches("== ").count(), programs.len(), "{out}");
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_program_works_under_a_write_grant() {
    let env = clients("").await;
    let alice = exporter(&env, "clients").await;
    // What channels carry may be rows of any table, unmasked.
    let out = run(&alice, PROGRAMS, &[("DBACCESS_TEST_WRITE", "1"), ("DBACCESS_TEST_REFUSED", "listen")]);
    assert!(out.matches("refused ").count() == out.matches("refused listen").count(), "{out}");
    let rows = settled_audit(&alice).await;
    assert!(rows.iter().all(|row| row["result"] != "unknown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_program_reads_and_is_refused_to_write_under_a_read_grant() {
    let env = clients("").await;
    let alice = env.signed_in("alice").await;
    alice.run(&["request", "clients", "--schema", "public", "--reason", "tests"]).ok();
    // COPY takes rows out.
    let out =
        run(&alice, PROGRAMS, &[("DBACCESS_TEST_WRITE", "0"), ("DBACCESS_TEST_REFUSED", "listen copy_out")]);
    assert!(out.contains("refused changes"), "{out}");
}

/// What a view shows here is what its table does, so nothing may be different
/// for a program, under whichever name it asks. (psql lists the view instead of
/// the table, as it hides it.)
#[tokio::test(flavor = "multi_thread")]
async fn r3_6_client_programs_read_masked_tables_by_their_own_names() {
    let masked = "[targets.clients.classified]\n\"public.customers.profile\" = { mask = \"json\", keep = [\"level\"] }";
    let env = clients(masked).await;
    let alice = env.signed_in("alice").await;
    alice.run(&["request", "clients", "--schema", "public", "--reason", "tests"]).ok();
    let programs = &["psycopg", "node", "jdbc"];
    let out =
        run(&alice, programs, &[("DBACCESS_TEST_WRITE", "0"), ("DBACCESS_TEST_REFUSED", "listen copy_out")]);
    assert!(out.contains("refused changes"), "{out}");
    let asked = "SELECT public.customers.name, profile FROM public.customers WHERE public.customers.id = 7";
    let found = alice.run(&["exec", "clients", asked, "--output", "json"]).ok().json();
    assert_eq!(found[0]["name"], "Customer 7", "{found}");
}
