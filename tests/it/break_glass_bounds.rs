//! R8: what bounds the emergency path. Too often is told, a review that is
//! overdue closes it, without a ledger it opens nothing, and what was revoked
//! stays so, whatever renews it in the same moment.

use crate::break_glass::{Emergency, SHORT, USUAL, break_glass, grant_of, opened, time};
use crate::support::api::{events, ledger};
use crate::support::env::{Ran, TestEnv, TestPerson};
use crate::support::held::{Held, settled_audit};
use crate::support::incidents::Incident;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::process::Command;

fn names(value: &Value, person: &str) -> bool {
    value["who"] == person
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_6_who_breaks_the_glass_often_is_told_of_with_rules_that_would_have_spared_it() {
    let emergency = Emergency::with("poll = \"1s\"\nwarn_after = 2").await;
    let env = &emergency.env;
    let (alice, dave) = (env.signed_in("alice").await, env.signed_in("dave").await);
    let once = || {
        let grant = grant_of(&opened(&alice));
        let update = ["--grant", &grant, "--", "psql", "-XAtc", "UPDATE orders SET total = total"];
        alice.run(&[&["connect", "prod-orders"][..], &update].concat()).ok();
        alice.run(&["revoke", &grant]).ok();
        grant
    };
    for _ in 0..2 {
        let grant = once();
        events(env, "break_glass.ended", 1, |event| event["grant"] == grant.as_str()).await;
    }
    let none = events(env, "break_glass.often", 0, |_| true).await;
    assert_eq!(none, Vec::<Value>::new(), "twice is not often");
    // What was done is known from the index.
    let rows = settled_audit(&alice).await;
    let updates = rows.iter().filter(|row| row["text"].as_str().unwrap().starts_with("UPDATE"));
    assert_eq!(updates.count(), 2, "{rows:?}");
    once();
    // The person, and the team that they are of.
    let told = events(env, "break_glass.often", 2, |_| true).await;
    let often = told.iter().find(|event| names(event, "alice@example.com")).unwrap();
    assert!(told.iter().any(|event| names(event, "team shop")), "{told:?}");
    assert_eq!((&often["times"], often["requests"].as_array().unwrap().len()), (&3.into(), 3));
    let notice = emergency.notice("break_glass.often").await;
    let to = |notice: &Value| -> Vec<String> {
        let to = notice["notice"]["to"].as_array().unwrap().iter();
        to.map(|one| one["email"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(to(&notice), ["dave@example.com"]);
    assert_eq!(to(&emergency.notice("review.opened").await), ["dave@example.com"]);
    let rules = often["suggestion"].as_str().unwrap().to_owned();
    assert!(notice["notice"]["title"].as_str().unwrap().contains("broke the glass 3 times in 30 days"));
    for words in
        ["principal in Team::\"shop\"", "Table::\"prod-orders/public.orders\"", "Permission::\"write\""]
    {
        assert!(rules.contains(words), "{words}: {rules}");
    }
    assert!(notice["notice"]["facts"].to_string().contains("Team::"), "{notice}");
    // They are rules: `policy suggest` has the same, and `policy check` takes them.
    let suggested = dave.run(&["policy", "suggest"]).ok().out;
    let rule =
        |text: &str| text.lines().filter(|line| !line.starts_with("//")).collect::<Vec<_>>().join("\n");
    assert_eq!(rule(&suggested).trim(), rule(&rules).trim());
    let file = env.dir.path().join("suggested.cedar");
    std::fs::write(&file, &rules).unwrap();
    dave.run(&["policy", "check", file.to_str().unwrap(), "--with-default"]).ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_5_an_overdue_review_keeps_its_person_from_the_next_break_glass() {
    let emergency = Emergency::with("poll = \"1s\"\nreview_within = \"2s\"").await;
    let env = &emergency.env;
    let (alice, carol) = (env.signed_in("alice").await, env.signed_in("carol").await);
    let grant = grant_of(&opened(&alice));
    alice.run(&["revoke", &grant]).ok();
    let overdue = events(env, "review.overdue", 1, |_| true).await;
    emergency.notice("review.overdue").await;
    let refused = break_glass(&alice, &[]).exits(5);
    let review = overdue[0]["review"].as_str().unwrap();
    for words in ["the review of your break-glass on prod-orders", "is overdue since", review] {
        assert!(refused.err.contains(words), "{words}: {}", refused.err);
    }
    let opened_so_far = events(env, "break_glass.opened", 1, |_| true).await;
    assert_eq!(opened_so_far.len(), 1, "nothing was opened");
    // Somebody else's glass is theirs.
    emergency.pagerduty.q1(|one| one.assignees = vec!["PALICE", "PBOB"]);
    let bob = env.signed_in("bob").await;
    break_glass(&bob, &[]).ok();
    // Once it is written, the path is open again.
    let write = ["review", "write", review, "--verdict", "justified", "--finding", "it was needed"];
    carol.run(&write).ok();
    break_glass(&alice, &[]).ok();
}

/// Bounds how large the server's files may become, which is how a disk that is
/// full looks to it; `None` is no bound.
fn bound_files(env: &TestEnv, bytes: Option<u64>) {
    let pid = env.server.as_ref().unwrap().child.id();
    let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    let arguments = [format!("--pid={pid}"), format!("--fsize={limit}:unlimited")];
    assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
}

fn break_for(person: &TestPerson<'_>, incident: &str) -> Ran {
    person.run(&["break-glass", "prod-orders", "--incident", incident, "--reason", "x", "--output", "json"])
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn r8_2_g1_without_a_ledger_no_glass_is_broken_and_statements_stop() {
    let emergency = Emergency::with(USUAL).await;
    let env = &emergency.env;
    emergency.pagerduty.change(|world| {
        world.known.incidents.insert("Q2".into(), Incident::of("PSVC1", &["PALICE"]));
    });
    let alice = env.signed_in("alice").await;
    opened(&alice);
    let held = Held::open(&alice, "prod-orders");
    let mut raw = held.raw().await;
    assert_eq!(raw.column("SELECT count(*) FROM orders WHERE total = -4711").await, ["0"]);
    bound_files(env, Some(1));
    raw.query("UPDATE orders SET total = -4711").send().await;
    let said = raw.next().await.unwrap();
    assert_eq!(said.tag, b'E', "{said:?}");
    let refused = break_for(&alice, "PD-Q2");
    assert!(refused.code != 0, "{refused:?}");
    bound_files(env, None);
    let admin = env.pg.admin("shop").await;
    let sql = "SELECT count(*) FROM orders WHERE total = -4711";
    assert_eq!(admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 0, "it has not run");
    let of_q2 = |event: &Value| event["break_glass"]["incident"]["id"] == "PD-Q2";
    assert_eq!(events(env, "break_glass.opened", 0, of_q2).await, Vec::<Value>::new());
    let mine = alice.run(&["requests", "--mine", "--all", "--output", "json"]).ok();
    assert!(!mine.out.contains("PD-Q2"), "{}", mine.out);
    // With room for the ledger it opens.
    env.until("it opens again", async || break_for(&alice, "PD-Q2").code == 0).await;
    assert_eq!(events(env, "break_glass.opened", 1, of_q2).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_3_g5_a_revocation_beside_a_renewal_is_the_end() {
    let emergency = Emergency::with(SHORT).await;
    let env = &emergency.env;
    let incidents = ["Q1", "Q2", "Q3", "Q4", "Q5"];
    emergency.pagerduty.change(|world| {
        for id in incidents {
            world.known.incidents.insert(id.into(), Incident::of("PSVC1", &["PALICE"]));
        }
    });
    let alice = env.signed_in("alice").await;
    let api = alice.api();
    // Renewed when four seconds are left: to either side of that moment.
    let around = [-120, -20, 0, 20, 120].map(SignedDuration::from_millis);
    let mut glasses: Vec<(Timestamp, String)> = Vec::new();
    for (incident, off) in incidents.into_iter().zip(around) {
        let view = break_for(&alice, &format!("PD-{incident}")).ok().json();
        let renewal = time(&view["grant"]["until"]) - SignedDuration::from_secs(4);
        glasses.push((renewal + off, grant_of(&view)));
    }
    for (when, grant) in &glasses {
        while dbaccess::os::now() < *when {
            std::hint::spin_loop();
        }
        let path = format!("/v1/revoke/{grant}");
        api.post(&path, json!({"reason": "done"})).await.is(200);
        alice.run(&["connect", "prod-orders", "--grant", grant, "--", "true"]).exits(1);
    }
    for (_, grant) in &glasses {
        let of_it = |event: &Value| event["grant"] == grant.as_str();
        let ended = events(env, "break_glass.ended", 1, of_it).await;
        assert_eq!((ended.len(), &ended[0]["why"]), (1, &"revoked".into()), "{ended:?}");
        // Renewed before it at most, and never after.
        let records: Vec<Value> = ledger(env).into_iter().map(|mut record| record["body"].take()).collect();
        let place = |kind: &str| records.iter().position(|body| body["kind"] == kind && of_it(body));
        let revoked = records.iter().position(|body| body["kind"] == "grant.revoked" && of_it(body)).unwrap();
        let renewed = records.iter().filter(|body| body["kind"] == "break_glass.renewed" && of_it(body));
        assert!(renewed.count() <= 1);
        assert!(place("break_glass.renewed").is_none_or(|renewed| renewed < revoked), "{grant}");
        let shown = alice.run(&["connect", "prod-orders", "--grant", grant, "--", "true"]);
        assert_eq!(shown.code, 1, "{shown:?}");
    }
    env.assert_clean().await;
}
