//! The token store against a real secret service (gnome-keyring), without one,
//! and with a locked one. The keyring is found by environment, so each case
//! is this test binary once more, in a D-Bus session made by tests/tools/keyring.sh.

use dbaccess::cli::tokens::{Keyring, Saved, Stored, TokenStore};
use dbaccess::core::model::Secret;
use std::process::Command;

fn inside(prefix: &[&str], case: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools/keyring.sh");
    let output = Command::new(script)
        .args(prefix)
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", &format!("keyring::{case}")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{errors}");
}

#[test]
fn b9_a_real_secret_service_keeps_the_sign_in() {
    inside(&[], "case_unlocked");
}

#[test]
fn b9_a_keyring_that_nobody_can_unlock_gives_way_to_the_file() {
    inside(&["--locked"], "case_no_keyring");
}

#[test]
fn b9_without_a_bus_the_file_is_used() {
    inside(&["env", "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent"], "case_no_keyring");
}

fn stored(token: &str) -> Stored {
    let expires_at = Some("2026-11-23T10:00:00Z".parse().unwrap());
    Stored { token: Secret::new(token), expires_at, refresh_token: Some(Secret::new("refresh")) }
}

fn store(dir: &tempfile::TempDir, url: &str, keyring: Keyring) -> TokenStore {
    TokenStore::new(url, dir.path().join("tokens"), keyring, None).unwrap()
}

#[test]
#[ignore = "run by b9_a_real_secret_service_keeps_the_sign_in, in a D-Bus session"]
fn case_unlocked() {
    let dir = tempfile::tempdir().unwrap();
    let store = |url| store(&dir, url, Keyring::System);
    let (one, two) = (store("https://one.example.com"), store("https://two.example.com"));
    assert_eq!(one.load().unwrap(), None);
    let saved = one.save(&stored("first")).unwrap();
    assert_eq!((&saved, saved.notice()), (&Saved::Keyring, None));
    assert!(!one.file().exists());
    assert_eq!(one.load().unwrap(), Some(stored("first")));
    assert_eq!(two.load().unwrap(), None, "one secret for each server");

    // What does not fit goes to the file, and is what is read from then on.
    let large = stored(&"x".repeat(3000));
    assert!(matches!(one.save(&large).unwrap(), Saved::File { first: true, .. }));
    assert_eq!(one.load().unwrap(), Some(large));
    assert_eq!(one.save(&stored("second")).unwrap(), Saved::Keyring);
    assert!(!one.file().exists());
    assert_eq!(one.load().unwrap(), Some(stored("second")));

    one.clear().unwrap();
    one.clear().unwrap();
    assert_eq!(one.load().unwrap(), None);
}

#[test]
#[ignore = "run by the b9 tests above, where there is no usable keyring"]
fn case_no_keyring() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir, "https://one.example.com", Keyring::System);
    assert_eq!(store.load().unwrap(), None);
    let notice = store.save(&stored("first")).unwrap().notice().unwrap();
    assert!(notice.contains("no usable keyring") && notice.lines().count() == 1, "{notice}");
    println!("{notice}");
    assert_eq!(store.load().unwrap(), Some(stored("first")));
    store.clear().unwrap();
    assert_eq!(store.load().unwrap(), None);
}
