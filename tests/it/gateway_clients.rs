//! Real client programs through `dbaccess connect`, under a grant that writes
//! and under one that reads.

use crate::support::env::{Setting, TestEnv, TestPerson};
use crate::support::held::{settled_audit, writer};
use crate::support::tools;
use std::process::Command;

const SCHEMA: &str = include_str!("../clients/schema.sql");

async fn clients() -> TestEnv {
    TestEnv::with(Setting { databases: vec![("clients", SCHEMA)], ..Setting::default() }).await
}

/// Runs every program; gives what they printed.
fn run(person: &TestPerson<'_>, environment: &[(&str, &str)]) -> String {
    drop([tools::node(), tools::python(), tools::java(), tools::jdbc_driver()]);
    let script = tools::repository().join("tests/clients/run.sh").display().to_string();
    let command: Command = person.command(&["connect", "clients", "--", &script]);
    let mut command = command;
    let output =
        command.envs(tools::environment()).envs(environment.iter().copied()).output().expect("it starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert_eq!(out.matches("== ").count(), 4, "{out}");
    out.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_program_works_under_a_write_grant() {
    let env = clients().await;
    let alice = writer(&env, "clients").await;
    let out = run(&alice, &[("DBACCESS_TEST_WRITE", "1")]);
    assert!(!out.contains("refused "), "{out}");
    let rows = settled_audit(&alice).await;
    assert!(rows.iter().all(|row| row["result"] != "unknown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_program_reads_and_is_refused_to_write_under_a_read_grant() {
    let env = clients().await;
    let alice = env.signed_in("alice").await;
    alice.run(&["request", "clients", "--schema", "public", "--reason", "tests"]).ok();
    // NOTIFY is a write: others hear it.
    let out = run(&alice, &[("DBACCESS_TEST_WRITE", "0"), ("DBACCESS_TEST_REFUSED", "listen")]);
    assert!(out.contains("refused changes"), "{out}");
}
