//! R7: an export is a file that only its maker can read, and the record holds
//! the hash of what left.

use crate::support::api::ledger;
use crate::support::env::{TestEnv, TestPerson};
use crate::support::held::audit;
use sha2::Digest as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Alice, with a grant to take orders out: on production by two approvals.
async fn exporter(env: &TestEnv) -> TestPerson<'_> {
    let (alice, bob, carol) =
        (env.signed_in("alice").await, env.signed_in("bob").await, env.signed_in("carol").await);
    let asked =
        ["request", "prod-orders", "--table", "orders", "--export", "--reason", "a file", "-o", "json"];
    let view = alice.run(&asked).exits(4).json();
    let id = view["request"]["id"].as_str().unwrap().to_owned();
    for approver in [bob, carol] {
        approver.run(&["approve", &id, "--yes"]).ok();
    }
    alice
}

fn sha256(bytes: &[u8]) -> String {
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_an_export_is_a_private_file_with_its_hash_on_record() {
    let env = TestEnv::start().await;
    let alice = exporter(&env).await;
    let home = alice.home.clone();
    let file = home.join("orders.csv");
    let path = file.display().to_string();
    let query = "SELECT id, status FROM orders ORDER BY id -- all of them";
    let ran = alice.run(&["exec", "prod-orders", query, "--export", &path]).ok();
    let written = std::fs::read(&file).unwrap();
    assert_eq!(ran.out.trim(), path);
    assert!(written.starts_with(b"id,status\n1,"), "{}", String::from_utf8_lossy(&written[..20]));
    assert_eq!(written.iter().filter(|byte| **byte == b'\n').count(), 1001);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let hash = sha256(&written);
    assert!(ran.err.contains(&format!("1000 rows, {} bytes, SHA-256 {hash}", written.len())), "{}", ran.err);
    let row = audit(&alice).last().unwrap().clone();
    // What passed is the file and the header of each of its lines' frames.
    assert_eq!(row["bytes"], written.len() + 5 * 1001);
    let export = row["export"].clone();
    let expected = serde_json::json!({ "sha256": hash, "bytes": written.len(), "rows": 1000 });
    assert_eq!(export, expected);
    let outcomes = ledger(&env).into_iter().filter(|record| record["body"]["export"] == expected).count();
    assert_eq!(outcomes, 1);

    // Not over another file, unless it is said; and a failure leaves nothing.
    let again = ["exec", "prod-orders", "SELECT 1", "--export", &path, "--format", "text"];
    assert!(alice.run(&again).exits(2).err.contains("--force"));
    assert_eq!(std::fs::read(&file).unwrap(), written);
    alice.run(&[&again[..], &["--force"]].concat()).ok();
    assert_eq!(std::fs::read(&file).unwrap(), b"1\n");
    let before = std::fs::read_dir(&home).unwrap().count();
    let broken = home.join("broken.csv").display().to_string();
    let ran = alice.run(&["exec", "prod-orders", "SELECT 1 / (id - 500) FROM orders", "--export", &broken]);
    assert!(ran.exits(1).err.contains("22012"));
    alice.run(&["exec", "prod-orders", "SELECT 1; SELECT 2", "--export", &broken]).exits(1);
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn r7_without_export_there_is_no_file() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    alice.granted(&["--table", "orders"]);
    let path = alice.home.join("orders.csv").display().to_string();
    let ran = alice.run(&["exec", "prod-orders", "SELECT * FROM orders", "--export", &path]);
    assert_ne!(ran.code, 0);
    assert!(ran.err.contains("--export"), "{}", ran.err);
    assert!(!PathBuf::from(path).exists());
}
