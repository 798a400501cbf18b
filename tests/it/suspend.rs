//! Deploys where no event trigger makes way for them: `target suspend` and
//! `target resume`. And new keys for tokens.

use crate::support::api::events;
use crate::support::env::{Setting, TestEnv, TestPerson, eventually};
use serde_json::{Value, json};
use std::process::Stdio;

const WITHOUT_TRIGGERS: &str =
    "ALTER EVENT TRIGGER dbaccess_before_ddl DISABLE; ALTER EVENT TRIGGER dbaccess_after_ddl DISABLE";
const SEE_CARDS: &str = "SELECT id, card_number FROM payments WHERE id = 7";

/// What an application's deploy runs; its SQLSTATE where it fails.
async fn deploy(env: &TestEnv, ddl: &str) -> Option<String> {
    let client = env.pg.admin("shop").await;
    client.batch_execute("SET ROLE shop_owner; SET lock_timeout = '1s'").await.unwrap();
    let failed = client.batch_execute(ddl).await.err()?;
    Some(failed.code().expect("the database says why").code().to_owned())
}

async fn views(env: &TestEnv) -> i64 {
    let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname LIKE 'dbaccess\\_v\\_%' AND c.relkind = 'v'";
    env.pg.admin("shop").await.query_one(sql, &[]).await.unwrap().get(0)
}

fn exec(person: &TestPerson<'_>, grant: &str, sql: &str) -> crate::support::env::Ran {
    person.run(&["exec", "prod-orders", "--grant", grant, sql, "--output", "json"])
}

fn listed(person: &TestPerson<'_>) -> Value {
    person.run(&["targets", "--output", "json"]).ok().json()[0]["suspended"].clone()
}

fn finding(person: &TestPerson<'_>, check: &str) -> Option<Value> {
    let found = person.run(&["doctor", "prod-orders", "--output", "json"]).json();
    found.as_array().unwrap().iter().find(|finding| finding["check"] == check).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_goes_through_between_suspend_and_resume() {
    let mut env = TestEnv::start().await;
    env.pg.admin("shop").await.batch_execute(WITHOUT_TRIGGERS).await.unwrap();
    let (masked, plain);
    {
        let (alice, carol) = (env.signed_in("alice").await, env.signed_in("carol").await);
        masked = alice.granted(&["--table", "payments"]);
        plain = alice.granted(&["--table", "orders"]);
        let with_views = alice.connect_endless(&["--grant", &masked]).await;
        let without = alice.connect_endless(&["--grant", &plain]).await;
        let drop_column = "ALTER TABLE payments DROP COLUMN amount";
        assert_eq!(deploy(&env, drop_column).await.as_deref(), Some("2BP01"), "a view is in the way");

        let hindered = finding(&alice, "prod-orders: deploys").expect("doctor says so");
        assert_eq!(hindered["level"], "warning");
        assert!(hindered["remedy"].as_str().unwrap().contains("dbaccess target suspend"), "{hindered}");
        assert_eq!(finding(&alice, "prod-orders: missing_views").unwrap()["level"], "ok");

        let args = ["target", "suspend", "prod-orders", "--for", "10m", "--output", "json"];
        let suspended = carol.run(&args).ok().json();
        assert_eq!(suspended["sessions"].as_array().unwrap().len(), 1, "{suspended}");
        assert_eq!(suspended["left"], json!([]), "{suspended}");
        let until = suspended["suspension"]["until"].as_str().unwrap().to_owned();
        let to_the_second = until.split('.').next().unwrap();

        // Whoever was in learns by whom, why and until when; others go on.
        let ran = with_views.ended().await.exits(6);
        for word in ["suspended for a deploy until", to_the_second, "carol@example.com"] {
            assert!(ran.err.contains(word), "{word}: {}", ran.err);
        }
        assert_eq!(env.active().await, 1, "a session without views goes on");
        assert_eq!(views(&env).await, 0);
        assert_eq!(deploy(&env, drop_column).await, None);

        let refused = exec(&alice, &masked, SEE_CARDS).exits(1);
        for word in [
            "prod-orders is suspended for a deploy until",
            to_the_second,
            "carol@example.com",
            "target resume",
        ] {
            assert!(refused.err.contains(word), "{word}: {}", refused.err);
        }
        exec(&alice, &plain, "SELECT count(*) FROM orders").ok();
        assert_eq!(listed(&alice)["by"]["email"], "carol@example.com");
        let table = alice.run(&["targets", "prod-orders"]).ok();
        assert!(table.err.contains("is suspended for a deploy, by carol@example.com"), "{}", table.err);
        let told = finding(&alice, "prod-orders: suspended").expect("doctor says so");
        assert_eq!(told["level"], "warning");
        assert!(told["remedy"].as_str().unwrap().contains("dbaccess target resume prod-orders"), "{told}");
        drop(without);
    }

    // A server that crashed and came back holds to it.
    env.kill_server();
    env.start_server().await;
    let (alice, carol) = (env.person("alice"), env.person("carol"));
    let refused = exec(&alice, &masked, SEE_CARDS).exits(1);
    assert!(refused.err.contains("suspended for a deploy"), "{}", refused.err);
    assert_eq!(views(&env).await, 0);
    assert_eq!(deploy(&env, "ALTER TABLE payments ALTER COLUMN card_number TYPE varchar(40)").await, None);

    let resumed = carol.run(&["target", "resume", "prod-orders"]).ok();
    assert!(resumed.err.contains("carol@example.com had suspended it"), "{}", resumed.err);
    let again = carol.run(&["target", "resume", "prod-orders"]).ok();
    assert!(again.err.contains("was not suspended"), "{}", again.err);
    let shown = exec(&alice, &masked, SEE_CARDS).ok().json();
    assert_eq!(shown, json!([{"id": "7", "card_number": null}]), "masked as before");
    assert_eq!(listed(&alice), Value::Null);
    assert_eq!(finding(&alice, "prod-orders: suspended"), None);

    let suspended = events(&env, "target.suspended", 1, |_| true).await;
    let resumed = events(&env, "target.resumed", 1, |_| true).await;
    assert_eq!((suspended.len(), resumed.len()), (1, 1), "{suspended:?} {resumed:?}");
    assert_eq!(suspended[0]["target"], "prod-orders");
    assert_eq!(suspended[0]["by"]["email"], "carol@example.com");
    assert!(suspended[0]["until"].is_string(), "{suspended:?}");
    assert_eq!(resumed[0]["by"]["person"]["email"], "carol@example.com", "{resumed:?}");
    let ended = events(&env, "session.ending", 1, |body| body["reason"] == "suspended").await;
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0]["by"]["person"]["email"], "carol@example.com", "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_ends_by_itself_and_views_go_as_soon_as_they_can() {
    let mut env = TestEnv::start().await;
    let masked = {
        let (alice, dave) = (env.signed_in("alice").await, env.signed_in("dave").await);
        let masked = alice.granted(&["--table", "payments"]);
        exec(&alice, &masked, SEE_CARDS).ok();
        assert_eq!(views(&env).await, 1, "an idle profile");
        dave.run(&["target", "suspend", "prod-orders", "--for", "2s"]).ok();
        assert_eq!(views(&env).await, 0, "at once");
        exec(&alice, &masked, SEE_CARDS).exits(1);
        eventually("it is over", || (exec(&alice, &masked, SEE_CARDS).code == 0).then_some(())).await;
        let resumed = events(&env, "target.resumed", 1, |_| true).await;
        assert_eq!(resumed[0]["by"], "system", "{resumed:?}");
        assert_eq!(resumed.len(), 1);

        assert_eq!(views(&env).await, 1);
        masked
    };
    // No way to the target: what is still there is said, and the sweeper goes on.
    env.pg.crash();
    {
        let dave = env.person("dave");
        let ran = dave.run(&["target", "suspend", "prod-orders"]).exits(1);
        assert!(ran.err.contains("views are still there"), "{}", ran.err);
        let until = listed(&dave)["until"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let minutes = until.duration_since(dbaccess::os::now()).as_mins();
        assert!((25..=30).contains(&minutes), "half an hour unless said: {minutes}");
    }
    env.pg.restart().await;
    env.kill_server();
    env.start_server().await;
    env.until("the sweeper has dropped the views", async || views(&env).await == 0).await;
    exec(&env.person("alice"), &masked, SEE_CARDS).exits(1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_open_while_a_target_is_suspended_leave_no_view() {
    let env = TestEnv::start().await;
    let (alice, dave) = (env.signed_in("alice").await, env.signed_in("dave").await);
    let masked = alice.granted(&["--table", "payments"]);
    let suspend = || {
        let ran = dave.run(&["target", "suspend", "prod-orders", "--output", "json"]).ok();
        assert_eq!(ran.json()["left"], json!([]));
    };
    for round in 0..3 {
        let opening: Vec<_> = (0..5)
            .map(|_| {
                let mut command = alice.command(&["exec", "prod-orders", "--grant", &masked, SEE_CARDS]);
                command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        if round > 0 {
            env.until("one of them has come far", async || views(&env).await > 0).await;
        }
        suspend();
        assert_eq!(views(&env).await, 0, "round {round}");
        for child in opening {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            let code = output.status.code();
            // It was through, was not let open, or was cut.
            let told = matches!(code, Some(1 | 6)) && said.contains("suspended");
            assert!(code == Some(0) || told, "{code:?} {said}");
        }
        assert_eq!(views(&env).await, 0, "round {round}");
        env.until("the sessions are gone", async || env.session_roles().await.is_empty()).await;
        // On record too: one that ended while it was opened is not open again.
        let alive = || alice.run(&["sessions", "--mine", "--output", "json"]).ok().json();
        eventually("every session is dead", || (alive() == json!([])).then_some(())).await;
        dave.run(&["target", "resume", "prod-orders"]).ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn security_admins_and_the_owners_leads_suspend_a_target() {
    let extra = "[roles.admin]\ngroups = [\"eng-other\"]\n[targets.elsewhere]\nhost = \"127.0.0.1\"\nport = 1\n\
                 database = \"x\"\nuser = \"x\"\npassword_env = \"TEST_GATEWAY_PASSWORD\"\ntls = \"off\"\n\
                 environment = \"staging\"\nowners = [\"other\"]\n";
    let env = TestEnv::with(Setting { extra: extra.to_owned(), ..Setting::default() }).await;
    for name in ["alice", "carol", "dave", "erin"] {
        env.signed_in(name).await;
    }
    for (name, target, suspends, rotates) in [
        ("alice", "prod-orders", false, false),
        ("carol", "prod-orders", true, false),
        ("dave", "prod-orders", true, true),
        ("erin", "prod-orders", true, true),
        // A lead, and of another team.
        ("carol", "elsewhere", false, false),
    ] {
        let may = |yes: bool| if yes { 0 } else { 5 };
        let person = env.person(name);
        person.run(&["target", "suspend", target]).exits(may(suspends));
        person.run(&["target", "resume", target]).exits(may(suspends));
        person.run(&["target", "rotate-tokens", target]).exits(may(rotates));
    }
    let dave = env.person("dave");
    for args in [
        ["target", "suspend", "prod-order"],
        ["target", "resume", "prod-order"],
        ["target", "rotate-tokens", "prod-order"],
    ] {
        let ran = dave.run(&args).exits(1);
        assert!(ran.err.contains("did you mean prod-orders?"), "{}", ran.err);
    }
    dave.run(&["target", "suspend", "prod-orders", "--for", "4h"]).ok();
    let ran = dave.run(&["target", "suspend", "prod-orders", "--for", "241m"]).exits(2);
    assert!(ran.err.contains("a second to 4h"), "{}", ran.err);
    dave.api().post("/v1/targets/prod-orders/suspend", json!({"for_seconds": 0})).await.is(400);
    dave.run(&["target", "rotate-tokens", "elsewhere"]).exits(7);
    // What was refused or failed has left nothing on record.
    let by = |email: &'static str| move |body: &Value| body["by"]["email"] == email;
    assert_eq!(events(&env, "target.suspended", 2, by("dave@example.com")).await.len(), 2);
    assert_eq!(events(&env, "target.suspended", 0, by("alice@example.com")).await.len(), 0);
    assert_eq!(events(&env, "target.tokens_rotated", 1, by("dave@example.com")).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_were_seen_lead_nowhere_once_their_keys_are_new() {
    let sql = "CREATE TABLE cards (id int PRIMARY KEY, number text, mail text);
               INSERT INTO cards VALUES (1, '4929', 'a@example.com')";
    let extra = "[targets.wallet.classified]\n\
                 \"public.cards.number\" = { mask = \"token\", domain = \"card\", sensitivity = \"pii\" }\n\
                 \"public.cards.mail\" = { mask = \"token\", domain = \"mail\", sensitivity = \"pii\" }\n";
    let setting = Setting { databases: vec![("wallet", sql)], extra: extra.to_owned(), ..Setting::default() };
    let env = TestEnv::with(setting).await;
    let (alice, dave) = (env.signed_in("alice").await, env.signed_in("dave").await);
    alice.run(&["request", "wallet", "--table", "cards", "--reason", "tests"]).ok();
    let tokens = || {
        let row =
            alice.run(&["exec", "wallet", "SELECT number, mail FROM cards", "--output", "json"]).ok().json();
        let token = |name: &str| row[0][name].as_str().unwrap().to_owned();
        (token("number"), token("mail"))
    };
    let (number, mail) = tokens();
    assert!(number.starts_with("tok_") && mail.starts_with("tok_"), "{number} {mail}");
    assert_eq!(tokens(), (number.clone(), mail.clone()));
    let ran = dave.run(&["target", "rotate-tokens", "wallet", "--domain", "card"]).ok();
    assert!(ran.err.contains("wallet has a new key for card"), "{}", ran.err);
    let (new_number, same_mail) = tokens();
    assert_ne!(new_number, number);
    assert_eq!(same_mail, mail);
    let ran = dave.run(&["target", "rotate-tokens", "wallet", "--output", "json"]).ok();
    let keys = ran.json()["keys"].as_u64().unwrap();
    assert!(keys >= 2, "{ran:?}");
    let (newest, new_mail) = tokens();
    assert!(newest != new_number && new_mail != mail);
    let ran = dave.run(&["target", "rotate-tokens", "wallet", "--domain", "cord"]).exits(1);
    assert!(ran.err.contains("no token of domain cord"), "{}", ran.err);

    let rotated = events(&env, "target.tokens_rotated", 2, |_| true).await;
    assert_eq!(rotated.len(), 2, "{rotated:?}");
    assert_eq!(rotated[0]["by"]["email"], "dave@example.com");
    assert_eq!(
        (&rotated[0]["target"], &rotated[0]["domain"], &rotated[0]["keys"]),
        (&json!("wallet"), &json!("card"), &json!(1))
    );
    assert_eq!((&rotated[1]["domain"], &rotated[1]["keys"]), (&Value::Null, &json!(keys)));
}
