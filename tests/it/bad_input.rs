//! What bad input gets (design.md §7): a clear error, and nothing lost.

use crate::requests::says;
use crate::support::api::events;
use crate::support::env::{Setting, TestEnv, TestPerson};
use serde_json::json;

const SECOND_TARGET: &str = r#"
[targets.staging-orders]
host = "127.0.0.1"
port = 1
database = "shop"
user = "dbaccess"
password_env = "TEST_GATEWAY_PASSWORD"
tls = "off"
environment = "staging"
owners = ["shop"]
"#;

fn ask(person: &TestPerson<'_>, args: &[&str]) -> crate::support::env::Ran {
    person.run(&[&["request", "--reason", "INC-9"], args].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_not_there_get_the_nearest() {
    // A second target that is down does not stand in the way.
    let env = TestEnv::with(Setting { extra: SECOND_TARGET.to_owned(), ..Setting::default() }).await;
    let alice = env.signed_in("alice").await;
    says(
        &ask(&alice, &["prod-order", "-t", "orders"]).exits(1),
        &["no target prod-order", "did you mean prod-orders"],
    );
    says(
        &ask(&alice, &["prod-orders", "-t", "paymnts"]).exits(1),
        &["no table paymnts: did you mean payments?"],
    );
    says(&ask(&alice, &["prod-orders", "-t", "stock.item"]).exits(1), &["did you mean stock.items"]);
    says(
        &ask(&alice, &["prod-orders", "--schema", "stok"]).exits(1),
        &["no schema stok: did you mean stock?"],
    );
    says(&ask(&alice, &["prod-orders", "-t", "a..b"]).exits(2), &["`a..b` is not a name"]);
    says(&ask(&alice, &["prod-orders", "-t", ""]).exits(2), &["is not a name"]);
    says(&ask(&alice, &["staging-orders", "-t", "orders"]).exits(7), &["staging-orders"]);

    // Without a target, the one that has it.
    says(&ask(&alice, &["-t", "items"]).ok(), &["target prod-orders", "read stock.items"]);
    says(&ask(&alice, &["-t", "itmes"]).exits(1), &["no target has all of that", "did you mean items"]);
    says(&ask(&alice, &[]).exits(2), &["say what you need access to", "--database"]);
    says(&ask(&alice, &["--database"]).exits(2), &["say which target, or which tables"]);
    let shop = env.pg.admin("shop").await;
    shop.batch_execute("CREATE TABLE public.newest (id int); ALTER TABLE newest OWNER TO shop_owner")
        .await
        .unwrap();
    env.until_listed("public.newest", true, &alice).await;
    says(&ask(&alice, &["-t", "newest"]).ok(), &["read public.newest"]);

    // Two schemas have it and neither is public.
    shop.batch_execute(
        "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.twin (id int); CREATE TABLE b.twin (id int)",
    )
    .await
    .unwrap();
    env.until_listed("b.twin", true, &alice).await;
    says(&ask(&alice, &["prod-orders", "-t", "twin"]).exits(2), &["ambiguous: say which of a.twin, b.twin"]);
    says(&alice.run(&["show", "req-zz"]).exits(1), &["no request begins with req-zz"]);
    says(&alice.run(&["targets", "prod-oders"]).exits(1), &["did you mean prod-orders"]);
    says(&alice.run(&["audit", "--target", "prod-oders"]).exits(1), &["did you mean prod-orders"]);
    says(&alice.run(&["audit", "--session", "ses-zz"]).exits(1), &["no session begins with ses-zz"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_another_kind_leads_on_or_is_told() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let asked = ask(&alice, &["-t", "orders", "-o", "json"]).ok().json();
    let request = asked["request"]["id"].as_str().unwrap();
    let grant = asked["grant"]["id"].as_str().unwrap();
    alice.run(&["exec", "prod-orders", "SELECT 1 FROM orders"]).ok();
    let session = alice.run(&["sessions", "--all", "-o", "json"]).json()[0]["session"]["id"].take();
    let session = session.as_str().unwrap();
    for id in [request, grant, session, &grant[..9], &request[4..]] {
        says(&alice.run(&["show", id]).ok(), &[&format!("{request} granted, active, ends in")]);
    }
    for (args, code, words) in [
        (&["show", "req"][..], 2, ["`req` is how the id of every request begins", "dbaccess requests --all"]),
        (&["show", "grt-"], 2, ["`grt-` is how the id of every grant begins", "dbaccess requests --all"]),
        (&["show", "dlg-1"], 1, ["dlg-1 is the id of a delegation", "dbaccess requests --all"]),
        (
            &["audit", "compare", "nope"],
            1,
            ["no grant, session or request begins with nope", "sessions --all"],
        ),
        (&["audit", "--session", grant], 1, ["is the id of a grant", "dbaccess sessions --all"]),
        (&["delegate", "--end", "nope"], 1, ["no delegation begins with nope", "dbaccess delegate --list"]),
        (&["delegate", "--end", request], 1, ["is the id of a request", "dbaccess delegate --list"]),
        (
            &["recording", "show", "./nosuch.rec"],
            2,
            ["there is no file ./nosuch.rec", "dbaccess sessions --all"],
        ),
        (&["recording", "show", "/"], 2, ["/ is a directory", "dbaccess sessions --all"]),
        (&["recording", "show", "/etc/passwd"], 2, ["/etc/passwd is no recording", "recording show SESSION"]),
        (
            &["recording", "keygen", "/nonexist/x"],
            1,
            ["cannot write /nonexist/x", "make the directory first"],
        ),
        (&["recording", "keygen", "/etc/passwd"], 1, ["cannot write /etc/passwd", "is never overwritten"]),
    ] {
        says(&alice.run(args).exits(code), &words);
    }
    // Ids begin with one of 32 letters: of 33 requests two have the same.
    let api = alice.api();
    let mut begun = std::collections::BTreeSet::from([request[..5].to_owned()]);
    let ambiguous = loop {
        let scope = json!({"tables": ["orders"]});
        let body = json!({"target": "prod-orders", "scope": scope, "reason": "x"});
        let next =
            api.post("/v1/requests", body).await.is(200)["request"]["id"].as_str().unwrap()[..5].to_owned();
        if !begun.insert(next.clone()) {
            break next;
        }
    };
    says(
        &alice.run(&["show", &ambiguous]).exits(2),
        &[&format!("{ambiguous} fits more than one request"), "hint: write more of it; `dbaccess requests"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_and_windows_have_bounds() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let run = |args: &[&str]| alice.run(&[&["request", "prod-orders", "-t", "orders"], args].concat());
    says(&run(&[]).exits(2), &["Reason: nothing was given", "--reason"]);
    says(&run(&["--reason"]).exits(2), &["Reason: nothing was given"]);
    says(&run(&["--reason", "  "]).exits(2), &["Reason: nothing was given"]);
    says(&run(&["--reason", &"x".repeat(2001)]).exits(2), &["longer than 2000 characters"]);
    run(&["--reason", &"é".repeat(2000)]).ok();
    says(&run(&["--reason", "x", "--for", "9h"]).exits(5), &["ask for less: --for 8h"]);
    let denied = events(&env, "request.denied", 1, |_| true).await;
    assert_eq!(denied[0]["by"], "system", "R4.5: policy's no is evidence, too: {denied:?}");
    for wrong in ["0s", "1", "-1h", "soon", "99999999999999999999d"] {
        says(&run(&["--reason", "x", &format!("--for={wrong}")]).exits(2), &["is not a length of time"]);
    }
    // A reason cannot drive the terminal of whoever reads it.
    let hostile = run(&["--reason", "\u{1b}]0;owned\u{7}\u{202e}drop"]).ok();
    says(&hostile, &["\\u{1b}]0;owned\\u{7}\\u{202e}drop"]);
    assert!(!hostile.out.contains('\x1b'));

    // The same without the tool's own checks.
    let api = alice.api();
    let scope = json!({"tables": ["orders"]});
    let ask = async |reason: &str, window: u64| {
        let body =
            json!({"target": "prod-orders", "scope": scope, "reason": reason, "window_seconds": window});
        api.post("/v1/requests", body).await
    };
    assert_eq!(ask(" \n", 60).await.is(400)["kind"], "usage");
    assert_eq!(ask("x", 0).await.is(400)["kind"], "usage");
    assert_eq!(ask("x", u64::MAX).await.is(200)["request"]["state"], "denied");
    let many: Vec<String> = (0..501).map(|i| format!("t{i}")).collect();
    let body = json!({"target": "prod-orders", "scope": {"tables": many}, "reason": "x"});
    api.post("/v1/requests", body).await.is(400);
    let body = json!({"target": "prod-orders", "scope": {"tables": ["x".repeat(300)]}, "reason": "x"});
    let long = api.post("/v1/requests", body).await.is(400);
    assert!(long.to_string().len() < 300, "{long}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_3_hostile_names_are_names() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let long = "n".repeat(63);
    let names = [
        "We\"ird. Tabl\u{e9}".to_owned(),
        "CamelCase".to_owned(),
        "x'; DROP TABLE orders; --".to_owned(),
        "sel\u{2019}ect \u{1f980}".to_owned(),
        "order".to_owned(),
        "\u{442}".repeat(31),
        long.clone(),
    ];
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let shop = env.pg.admin("shop").await;
    for name in &names {
        let name = quoted(name);
        let sql =
            format!("CREATE TABLE {name} AS SELECT 42 AS answer; ALTER TABLE {name} OWNER TO shop_owner");
        shop.batch_execute(&sql).await.unwrap();
    }
    env.until_listed("public.order", true, &alice).await;
    for name in &names {
        let ran = ask(&alice, &["prod-orders", "-t", &quoted(name), "-o", "json"]).ok();
        let view = ran.json();
        let grant = view["grant"]["id"].as_str().unwrap();
        let sql = format!("SELECT answer FROM {}", quoted(name));
        let read = alice.run(&["exec", "prod-orders", "--grant", grant, &sql, "-o", "csv"]).ok();
        assert_eq!(read.out, "answer\r\n42\r\n", "{name}");
        let other = alice.run(&["exec", "prod-orders", "--grant", grant, "SELECT * FROM customers"]);
        assert_ne!(other.code, 0, "{name}: {}", other.out);
    }
    // Without quotes a name is taken as it stands.
    says(&ask(&alice, &["prod-orders", "-t", "CamelCase"]).ok(), &["public.\"CamelCase\""]);
    says(&ask(&alice, &["prod-orders", "-t", "\"open"]).exits(2), &["is not a name"]);
    says(&ask(&alice, &["prod-orders", "-t", &format!("{long}n")]).exits(1), &["did you mean"]);
    says(&alice.run(&["targets", "prod-orders"]).ok(), &["\"CamelCase\"", "\"We\"\"ird. Tabl\u{e9}\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn b9_one_real_command_for_each_exit_code() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let erin = env.signed_in("erin").await;
    let payments = ["request", "prod-orders", "-t", "payments", "--unmask", "card_number", "--reason", "x"];
    alice.run(&["whoami"]).exits(0);
    alice.run(&["show", "req-zz"]).exits(1);
    alice.run(&["request", "prod-orders"]).exits(2);
    env.person("bob").run(&["whoami"]).exits(3);
    alice.run(&payments).exits(4);
    erin.run(&["request", "prod-orders", "--database", "--reason", "x"]).exits(5);
    let waiting = erin.spawn(&[&payments[..], &["--wait"]].concat());
    let own = || {
        let views = erin.run(&["requests", "--mine", "-o", "json"]).json();
        views.as_array()?.first().map(crate::requests::id)
    };
    let asked = env.eventually("the request waits", own).await;
    erin.run(&["cancel", &asked]).ok();
    crate::support::env::Ran::from(waiting.wait_with_output().unwrap()).exits(6);
    let mut nowhere = alice.command(&["whoami"]);
    nowhere.env("DBACCESS_SERVER", "https://localhost:1").env("DBACCESS_TOKEN", "x");
    crate::support::env::Ran::from(nowhere.output().unwrap()).exits(7);
    // With a command, the command's own.
    alice.run(&["request", "prod-orders", "-t", "orders", "--reason", "x"]).ok();
    alice.run(&["connect", "prod-orders", "--", "sh", "-c", "exit 42"]).exits(42);
    alice.run(&["connect", "prod-orders", "--", "sh", "-c", "kill -9 $$"]).exits(128 + 9);
    // The same table is in the help.
    let help = alice.run(&["--help"]).ok().out;
    for line in [
        "0  done",
        "1  failed",
        "2  wrong usage",
        "3  not logged in",
        "4  waiting for approval",
        "5  denied",
        "6  expired, revoked, or ended for a deploy",
        "7  server unreachable",
    ] {
        assert!(help.contains(line), "{line} is not in: {help}");
    }
}
