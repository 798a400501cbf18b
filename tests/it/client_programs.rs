//! The client programs hold their checks against a plain PostgreSQL, so that
//! what fails through the gateway is the gateway's.

use crate::support::tools;
use std::process::Command;

#[test]
fn the_client_programs_are_right_about_postgresql() {
    prove(&[("DBACCESS_TEST_WRITE", "1")]);
}

#[test]
fn the_client_programs_see_that_writing_is_refused() {
    prove(&[("DBACCESS_TEST_WRITE", "0")]);
}

fn prove(environment: &[(&str, &str)]) {
    // Asked for here, so that a missing one says how to get it.
    drop([tools::node(), tools::python(), tools::java(), tools::jdbc_driver(), tools::postgres("initdb")]);
    let mut command = Command::new(tools::repository().join("tests/clients/prove.sh"));
    let output = command.envs(tools::environment()).envs(environment.iter().copied()).output().unwrap();
    let (checks, trouble) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{checks}\n{trouble}");
    assert_eq!(checks.matches("== ").count(), 4, "{checks}");
}
