//! Evidence of a server that runs: real accesses, asked for and checked with the
//! commands that auditors type.

use super::bundle::files_of;
use crate::support::api::events;
use crate::support::env::TestEnv;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn r9_1_r9_2_r9_3_an_auditor_gets_evidence_of_what_people_really_did() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let (bob, carol, dave) =
        (env.signed_in("bob").await, env.signed_in("carol").await, env.signed_in("dave").await);
    let read = alice.granted(&["--table", "orders"]);
    alice.run(&["exec", "prod-orders", "SELECT count(*) FROM orders"]).ok();
    let write = alice.granted_write(&bob, &carol);
    dave.run(&["revoke", &write, "--reason", "enough"]).ok();
    events(&env, "session.dead", 1, |_| true).await;

    let file = env.dir.path().join("evidence.zip");
    let path = file.to_str().unwrap();
    let ask = ["report", "evidence", "--framework", "soc2", "--between", "1h", "now", "--file", path];
    let refused = alice.run(&ask).exits(5);
    assert!(refused.err.contains("evidence is for security and auditors"), "{}", refused.err);
    let made = dave.run(&ask).ok();
    assert_eq!(made.out.trim(), path);
    assert!(made.err.contains("no exceptions found"), "{}", made.err);
    let again = dave.run(&ask).exits(2);
    assert!(again.err.contains("is there already"), "{}", again.err);

    // On record, by the hash that the bundle's own manifest has.
    let files = files_of(&file);
    let told = events(&env, "report.made", 1, |_| true).await;
    let manifest = dbaccess::core::ledger::Hash::of(&files["manifest.json"]).to_string();
    assert_eq!((&told[0]["manifest"], &told[0]["by"]["subject"]), (&manifest.into(), &"dave".into()));

    let report: Value = serde_json::from_slice(&files["data/report.json"]).unwrap();
    let access = |grant: &str| {
        let all = report["accesses"].as_array().unwrap();
        all.iter().find(|access| access["grant"] == grant).unwrap().clone()
    };
    let (read, write) = (access(&read), access(&write));
    assert_eq!((&read["request"]["tier"], &read["request"]["reason"]), (&"auto".into(), &"INC-1".into()));
    let by: Vec<&Value> =
        write["approvals"].as_array().unwrap().iter().map(|one| &one["by"]["subject"]).collect();
    assert_eq!(by, ["bob", "carol"]);
    assert_eq!(write["revoked"]["reason"], "enough");
    let session = report["sessions"].as_array().unwrap().iter();
    let session = session.into_iter().find(|session| session["grant"] == read["grant"]).unwrap();
    assert_eq!((&session["statements"], &session["outcomes"]), (&1.into(), &1.into()), "{session}");
    assert!(session["latency_ms"].as_u64().unwrap() < 30_000 && session["dead"]["seq"].is_u64(), "{session}");

    // Nothing of the server is needed to check it, and its own key fits.
    let key = env.ledger_dir().join("signing.pub");
    let verify = ["report", "verify", path, "--key", key.to_str().unwrap(), "-o", "json"];
    let nobody = env.person("erin");
    let checked = nobody.run(&verify).ok().json();
    assert_eq!((&checked["as_made"], &checked["exceptions"]), (&true.into(), &0.into()), "{checked}");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 4;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let broken = nobody.run(&["report", "verify", path]).exits(1);
    assert!(broken.err.contains("the bundle is not as it was made"), "{}", broken.err);

    for (from, to, why) in [("2020-01-01", "2019-01-01", "before it begins"), ("soon", "now", "not a time")] {
        let wrong = dave.run(&["report", "evidence", "--between", from, to, "--file", "x.zip"]).exits(2);
        assert!(wrong.err.contains(why), "{}", wrong.err);
    }
}
