//! The main job, from sign-in to a wiped session.

use crate::support::env::TestEnv;

#[tokio::test(flavor = "multi_thread")]
async fn r1_r4_1_from_sign_in_to_a_wiped_session() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let asked = alice
        .run(&["request", "prod-orders", "--table", "orders", "--reason", "INC-1", "--output", "json"])
        .ok();
    assert_eq!(asked.json()["request"]["decision"]["tier"], "auto", "{}", asked.out);

    let ran = alice
        .run(&["connect", "prod-orders", "--", "psql", "-XAtc", "SELECT count(*), current_user FROM orders"])
        .ok();
    let (count, role) = ran.out.trim().split_once('|').unwrap();
    assert_eq!(count, "1000");
    assert!(role.starts_with("dbaccess_s_"), "{role}");
    assert!(ran.err.contains("role dead"), "{}", ran.err);
    assert!(env.session_roles().await.is_empty());

    let audit = alice.run(&["audit", "--output", "json"]).ok().json();
    let row = &audit[0];
    assert_eq!(row["text"], "SELECT count(*), current_user FROM orders");
    assert_eq!(row["rows"], 1);
    assert_eq!(row["person"]["email"].as_str().unwrap().split('@').next(), Some("alice"));
}
