//! `install.sh` into a prefix of the test's own, with the binary that is there.

use crate::support::tools::repository;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

/// In a home of its own, with a `PATH` that has psql or not as this machine has it.
fn install(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(repository().join("install.sh"));
    command.args(arguments).env("HOME", home).env("DBACCESS_BINARY", env!("CARGO_BIN_EXE_dbaccess"));
    command.stdin(std::process::Stdio::null()).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Every file below a directory, relative to it.
fn files(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            if entry.file_type().unwrap().is_dir() {
                directories.push(entry.path());
            } else {
                found.insert(entry.path().strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found
}

#[test]
fn what_is_installed_runs_and_goes_again_and_nothing_else_does() {
    let home = TempDir::with_prefix("dbaccess install ").unwrap();
    let prefix = home.path().join(".local");
    let own = prefix.join("share/man/man1/own.1");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(&own, "mine").unwrap();
    // Twice: an update leaves what an installation does.
    for _ in 0..2 {
        let output = install(home.path(), &[]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("is not on your PATH"), "{}", said(&output));
    }
    let installed = files(&prefix);
    for file in [
        "bin/dbaccess",
        "share/man/man1/dbaccess.1",
        "share/man/man1/dbaccess-request.1",
        "share/bash-completion/completions/dbaccess",
        "share/zsh/site-functions/_dbaccess",
        "share/fish/vendor_completions.d/dbaccess.fish",
    ] {
        assert!(installed.contains(file), "{file} is missing in {installed:#?}");
    }
    let version = Command::new(prefix.join("bin/dbaccess")).arg("--version").output().unwrap();
    assert!(said(&version).starts_with("dbaccess "), "{version:?}");

    let output = install(home.path(), &["--uninstall"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(files(&prefix), BTreeSet::from(["share/man/man1/own.1".to_owned()]));
    assert!(!prefix.join("bin").exists() && !prefix.join("share/zsh").exists());
    let again = install(home.path(), &["--uninstall"]);
    assert!(again.status.success() && said(&again).contains("Nothing of dbaccess"), "{}", said(&again));
}

#[test]
fn another_prefix_and_bad_arguments() {
    let home = TempDir::with_prefix("dbaccess-install-").unwrap();
    let prefix = home.path().join("else where");
    let output = install(home.path(), &["--yes", "--prefix", prefix.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(prefix.join("bin/dbaccess").exists() && !home.path().join(".local").exists());
    for (arguments, says) in
        [(&["--prefix"][..], "needs a directory"), (&["--frobnicate"], "unknown option: --frobnicate")]
    {
        let output = install(home.path(), arguments);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(says) && said(&output).contains("Usage:"), "{}", said(&output));
    }
    assert!(install(home.path(), &["--help"]).status.success());
}
