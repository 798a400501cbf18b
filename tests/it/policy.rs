//! The policy as people work with it: checked before it is used, loaded while
//! the server runs, explained, and put to the past.

use crate::requests::{id, says};
use crate::support::api::{Api, events};
use crate::support::env::{BINARY, Ran, Setting, TestEnv, TestPerson};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

const NEVER_AT_ONCE: &str = r#"
@id("never-at-once") @title("Nothing at once")
forbid (principal, action == Action::"auto", resource);
"#;
const NOTHING: &str = r#"
@id("quiet") @title("Nobody is called so")
forbid (principal == Person::"nobody", action == Action::"auto", resource);
"#;

/// A file of rules before the default policy, and a server that reads it.
async fn with_extra(rules: &str, more: &str) -> (TempDir, PathBuf, TestEnv) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("extra.cedar");
    std::fs::write(&file, rules).unwrap();
    let extra = format!("[policy]\nextra = [\"{}\"]\n{more}", file.display());
    let env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    (dir, file, env)
}

fn ask(reason: &str) -> Value {
    json!({"target": "prod-orders", "reason": reason, "scope": {"tables": ["orders"]}})
}

fn hash_of(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    texts.iter().for_each(|text| hash.update(text));
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hang_up(env: &TestEnv) {
    let pid = rustix::process::Pid::from_child(&env.server.as_ref().unwrap().child);
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
}

/// The tool by itself: no server, nobody signed in.
fn offline(args: &[&str]) -> Ran {
    let mut command = Command::new(BINARY);
    command.args(args).env_clear().env("PATH", std::env::var("PATH").unwrap()).stdin(Stdio::null());
    command.output().unwrap().into()
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_g6_a_broken_policy_keeps_the_old_one_and_says_what_is_wrong() {
    let (_dir, file, env) = with_extra(NOTHING, "").await;
    let alice = env.signed_in("alice").await;
    let dave = env.signed_in("dave").await;
    let tier = async |api: &Api| {
        let view = api.post("/v1/requests", ask("INC-1")).await.is(200);
        view["request"]["decision"].clone()
    };
    let first = tier(&alice.api()).await;
    assert_eq!(first["tier"], "auto");
    // The policy of the start is on the ledger with its texts, under the hash that decisions cite.
    let started = events(&env, "policy.loaded", 1, |_| true).await;
    assert_eq!(started[0]["policy"], first["policy"]);
    let texts: Vec<&str> =
        started[0]["sources"].as_array().unwrap().iter().map(|s| s["text"].as_str().unwrap()).collect();
    assert_eq!(texts[0], NOTHING);
    assert_eq!(first["policy"], hash_of(&texts));

    alice.run(&["policy", "reload"]).exits(5);
    std::fs::write(&file, "permit (principal, action, resource);\n@id(\"x\") permit (oops").unwrap();
    let refused = dave.run(&["policy", "reload"]).exits(2);
    assert!(refused.err.contains(&format!("{}:2: unexpected", file.display())), "{}", refused.err);
    std::fs::write(&file, "@id(\"x\")\n@title(\"X\")\n@longest(\"soon\")\npermit (principal, action == Action::\"auto\", resource)\nwhen { context.nothing };").unwrap();
    let refused = dave.run(&["policy", "reload"]).exits(2);
    for problem in [":5: ", "@longest of rule x: `soon` is not a length of time", "stays in force"] {
        assert!(refused.err.contains(problem), "{problem}: {}", refused.err);
    }
    // One that nobody could approve by is no better.
    let boss = "@id(\"x\") @title(\"X\") @longest(\"1h\") @approvers(\"boss\")\npermit (principal, action == Action::\"single\", resource);";
    std::fs::write(&file, boss).unwrap();
    let refused = dave.run(&["policy", "reload"]).exits(2);
    assert!(refused.err.contains("policy asks for approval by boss (x)"), "{}", refused.err);
    hang_up(&env);
    let told = events(&env, "policy.refused", 4, |event| event["policy"] == first["policy"]).await;
    assert_eq!(told[3]["by"], "system");
    assert_eq!(told[0]["by"]["person"]["email"], "dave@example.com");
    assert!(env.server_log().contains("the policy on disk cannot be used"), "{}", env.server_log());
    assert_eq!(tier(&alice.api()).await["policy"], first["policy"]);

    std::fs::write(&file, NEVER_AT_ONCE).unwrap();
    hang_up(&env);
    let loaded = events(&env, "policy.loaded", 2, |_| true).await;
    assert_eq!(loaded[1]["sources"][0]["text"], NEVER_AT_ONCE);
    env.until("the new policy decides", async || tier(&alice.api()).await["tier"] == "single").await;
    let same = dave.run(&["policy", "reload", "--output", "json"]).ok().json();
    assert_eq!((&same["changed"], &same["policy"]), (&json!(false), &loaded[1]["policy"]));
}

/// One decision, one policy: whatever is loaded meanwhile, its hash is on it.
#[tokio::test(flavor = "multi_thread")]
async fn b8_r4_5_every_decision_during_a_hundred_reloads_is_justified_by_its_hash() {
    let limits = "[limits]\nwaiting_requests_per_person = 1000\n";
    let (_dir, file, env) = with_extra(NOTHING, limits).await;
    let (alice, bob) = (env.signed_in("alice").await.api(), env.signed_in("bob").await.api());
    let dave = env.signed_in("dave").await.api();
    let default = dbaccess::core::policy::DEFAULT;
    let (auto, single) = (hash_of(&[NOTHING, default]), hash_of(&[NEVER_AT_ONCE, default]));
    let over = Arc::new(AtomicBool::new(false));
    let asking = [alice, bob].map(|api| {
        let (over, auto, single) = (Arc::clone(&over), auto.clone(), single.clone());
        tokio::spawn(async move {
            let mut seen = [0u32; 2];
            // What is granted is bounded, too.
            while !over.load(Ordering::SeqCst) && seen[0] < 95 {
                let view = api.post("/v1/requests", ask("race")).await.is(200);
                let decision = &view["request"]["decision"];
                let (hash, tier) = (decision["policy"].as_str().unwrap(), decision["tier"].as_str().unwrap());
                let rule = decision["rules"][0]["id"].as_str().unwrap();
                if hash == auto {
                    assert_eq!((tier, rule), ("auto", "auto-read"), "{decision}");
                    seen[0] += 1;
                } else {
                    assert_eq!((hash, tier, rule), (single.as_str(), "single", "single-read"), "{decision}");
                    seen[1] += 1;
                }
            }
            seen
        })
    });
    for round in 0..100 {
        // In one step: what a signal loads is the one or the other, and never half of it.
        let new = file.with_extension("new");
        std::fs::write(&new, if round % 2 == 0 { NEVER_AT_ONCE } else { NOTHING }).unwrap();
        std::fs::rename(&new, &file).unwrap();
        if round % 5 == 0 {
            // By a signal as well, in the same moment.
            hang_up(&env);
        }
        dave.post("/v1/policy/reload", json!({})).await.is(200);
    }
    over.store(true, Ordering::SeqCst);
    for asking in asking {
        let seen = asking.await.unwrap();
        assert!(seen[0] > 0 && seen[1] > 0, "both policies decided: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_explain_says_by_the_policy_of_then_what_decided_and_what_was_missing() {
    let (_dir, file, env) = with_extra(NEVER_AT_ONCE, "").await;
    let alice = env.signed_in("alice").await;
    let dave = env.signed_in("dave").await;
    let erin = env.signed_in("erin").await;
    let request = id(&alice.api().post("/v1/requests", ask("why?")).await.is(200));
    std::fs::write(&file, NOTHING).unwrap();
    dave.run(&["policy", "reload"]).ok();
    let said = alice.run(&["policy", "explain", &request]).ok().out;
    for line in [
        "tier      single",
        "no longer in force",
        "decided   single-read (single)",
        "applied   never-at-once (forbid)",
    ] {
        assert!(said.contains(line), "{line}:\n{said}");
    }
    assert!(said.contains("missed    single-read-pii (single)"), "{said}");
    assert!(said.contains("needs context.sensitivities == [Sensitivity::\"pii\"] (raw: none)"), "{said}");
    assert!(!said.contains("dual") && !said.contains("break-glass"), "nothing heavier is near: {said}");
    assert!(said.contains("more rules missed: --all shows them"), "{said}");
    assert!(alice.run(&["policy", "explain", &request, "--all"]).ok().out.contains("dual-export"));
    let all = dave.run(&["policy", "explain", &request, "--output", "json"]).ok().json();
    assert_eq!(all["in_force"], false);
    assert_eq!(all["decision"]["facts"]["tables"], json!(["public.orders"]));
    assert_eq!(all["decision"]["facts"]["business_hours"], true);
    // Whoever may not see the request may not see why.
    erin.run(&["policy", "explain", &request]).exits(1);
    // The lists stay short.
    let listed = alice.run(&["show", &request, "--output", "json"]).ok().json();
    assert!(listed["request"]["decision"].get("facts").is_none(), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn b8_replay_says_what_another_policy_would_have_done() {
    let env = TestEnv::start().await;
    let (alice, erin) = (env.signed_in("alice").await, env.signed_in("erin").await);
    let dave = env.signed_in("dave").await;
    let home = id(&alice.api().post("/v1/requests", ask("mine")).await.is(200));
    let guest = id(&erin.api().post("/v1/requests", ask("guest")).await.is(200));
    let new = write(env.dir.path(), "new.cedar", NEVER_AT_ONCE);
    alice.run(&["policy", "replay", &new, "--with-default"]).exits(5);
    let table = dave.run(&["policy", "replay", "--since", "90d", &new, "--with-default"]).ok();
    assert!(table.err.contains("2 requests: 1 would change, 1 would not"), "{}", table.err);
    assert!(
        table.out.contains("alice@example.com") && !table.out.contains("erin@example.com"),
        "{}",
        table.out
    );
    let replay = |args: &[&str]| -> Value {
        let mut all = vec!["policy", "replay", "--output", "json"];
        all.extend(args);
        dave.run(&all).ok().json()
    };
    let replayed = replay(&[&new, "--with-default"]);
    assert_eq!(replayed["changes"][0]["request"], home.as_str());
    assert_eq!(replayed["changes"][0]["was"]["tier"], "auto");
    assert_eq!(replayed["changes"][0]["would_be"]["tier"], "single");
    assert_eq!(replayed["changes"][0]["would_be"]["rules"], json!(["single-read"]));
    // The same policy changes nothing; nothing at all denies both.
    let same = write(env.dir.path(), "same.cedar", dbaccess::core::policy::DEFAULT);
    assert_eq!(replay(&[&same])["changed"], 0);
    let denied = replay(&[&new]);
    assert_eq!((&denied["changed"], &denied["changes"][1]["request"]), (&json!(2), &json!(guest)));
    // What forbids one tier is not why: no rule permits another.
    let change = &denied["changes"][1];
    assert_eq!((&denied["permits_nothing"], &change["missing"]), (&json!(true), &json!(["single-read"])));
    assert_eq!(change["would_be"]["rules"], json!([]));
    assert!(change["would_be"]["why"].as_str().unwrap().starts_with("no rule allows read"), "{change}");
    let table = dave.run(&["policy", "replay", &new]).ok();
    assert!(
        table.err.contains("These rules permit nothing") && table.err.contains("--with-default"),
        "{}",
        table.err
    );
    assert!(table.out.contains("none permits it: there is no single-read"), "{}", table.out);
    // A forbid is why where it took away what another rule would permit.
    let all = NEVER_AT_ONCE.replace("action == Action::\"auto\"", "action");
    let all = write(env.dir.path(), "all.cedar", &all);
    let forbidden = replay(&[&all, "--with-default"]);
    assert_eq!(forbidden["changes"][1]["would_be"]["rules"], json!(["never-at-once"]));
    assert_eq!(
        (&forbidden["permits_nothing"], forbidden["changes"][1].get("missing")),
        (&json!(false), None)
    );
    let broken = write(env.dir.path(), "broken.cedar", "permit (oops");
    let refused = dave.run(&["policy", "replay", &broken]).exits(2);
    assert!(refused.err.contains("broken.cedar:1: "), "{}", refused.err);
    // One from before facts were kept is counted, and not guessed at.
    env.server.as_ref().unwrap();
    let mut env = env;
    env.kill_server();
    let state = rusqlite::Connection::open(env.dir.path().join("data/state.db")).unwrap();
    let forget = "UPDATE request SET body = json_remove(body, '$.decision.facts') WHERE id = ?1";
    assert_eq!(state.execute(forget, [&home]).unwrap(), 1);
    drop(state);
    env.start_server().await;
    let (alice, dave) = (env.person("alice"), env.person("dave"));
    let ran = dave.run(&["policy", "replay", &new, "--with-default"]).ok();
    assert!(ran.err.contains("0 would change, 1 would not, 1 not replayable"), "{}", ran.err);
    let gone = alice.run(&["policy", "explain", &home]).exits(1);
    assert!(gone.err.contains("did not keep its facts"), "{}", gone.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_6_suggest_turns_slow_approvals_into_narrow_rules() {
    let env = TestEnv::start().await;
    let (alice, carol) = (env.signed_in("alice").await, env.signed_in("carol").await);
    let dave = env.signed_in("dave").await;
    let write_orders =
        json!({"target": "prod-orders", "reason": "x", "scope": {"tables": ["orders"], "write": true}});
    let raw = json!({"target": "prod-orders", "reason": "x", "scope": {"tables": ["payments"], "unmask": ["card_number"]}});
    for _ in 0..2 {
        let request = id(&alice.api().post("/v1/requests", write_orders.clone()).await.is(200));
        carol.api().post(&format!("/v1/requests/{request}/approve"), json!({})).await.is(200);
        dave.api().post(&format!("/v1/requests/{request}/approve"), json!({})).await;
        let bob = env.signed_in("bob").await;
        bob.api().post(&format!("/v1/requests/{request}/approve"), json!({})).await;
        let pii = id(&alice.api().post("/v1/requests", raw.clone()).await.is(200));
        carol.api().post(&format!("/v1/requests/{pii}/approve"), json!({})).await.is(200);
    }
    alice.run(&["policy", "suggest"]).exits(5);
    let none = dave.run(&["policy", "suggest"]).ok();
    assert!(none.out.is_empty() && none.err.contains("0 accesses"), "{none:?}");
    // None was slow; with a bound of nothing, all were.
    let text = dave.api().get("/v1/policy/suggest?slow_seconds=0").await.is(200);
    let (out, left_out) = (text["text"].as_str().unwrap().to_owned(), text["left_out"].to_string());
    assert!(out.contains("principal in Team::\"shop\""), "{out}");
    assert!(out.contains("Table::\"prod-orders/public.orders\""), "{out}");
    assert!(!out.contains("payments") && left_out.contains("classified data was seen raw"), "{text}");
    let file = write(env.dir.path(), "suggested.cedar", &out);
    let checked = offline(&["policy", "check", &file, "--with-default"]).ok();
    assert!(checked.out.contains("every rule decides"), "{}", checked.out);
    // What it says of the past is what replay says of it.
    let replayed = dave.run(&["policy", "replay", &file, "--with-default", "--output", "json"]).ok().json();
    assert_eq!(replayed["changed"], 2);
    assert_eq!(replayed["changes"][0]["would_be"]["tier"], "auto");
}

const SAMPLES: &str = r#"
[[request]]
name = "members read at once"
target = "prod-orders"
teams = ["shop"]
tier = "auto"
rule = "auto-read"

[[request]]
name = "guests are approved"
target = "prod-orders"
teams = ["other"]
tier = "single"
approvers = "lead|security"

[[request]]
name = "an incident opens at once"
target = "prod-orders"
permissions = ["read", "write"]
level = "database"
window = "30m"
incident = "confirmed"
break_glass = true
tier = "break-glass"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn b8_check_finds_what_is_wrong_before_a_server_does() {
    let env = TestEnv::start().await;
    let dir = env.dir.path();
    let config = dir.join("server.toml").display().to_string();
    let samples = write(dir, "samples.toml", SAMPLES);
    let check = |args: &[&str]| {
        let mut command = Command::new(BINARY);
        command.args(["policy", "check", "--config", &config]).args(args);
        let ran: Ran = command.env("TEST_GATEWAY_PASSWORD", "x").output().unwrap().into();
        ran
    };
    let fine = check(&["--tests", &samples]);
    // There is no development database here: nobody has to do anything about its rule.
    let (_, idle) = fine.out.split_once("but for built-in ones that have nothing to decide: ").unwrap();
    assert!(idle.contains("auto-development") && !idle.contains("auto-read"), "{fine:?}");
    assert!(fine.out.contains("3 requests are decided as expected"), "{fine:?}");
    assert!(fine.out.contains("every approval can be given, for 1 targets"), "{fine:?}");
    fine.ok();
    // Without a configuration the whole default policy makes sense.
    offline(&["policy", "check"]).ok();

    let never = write(dir, "never.cedar", NEVER_AT_ONCE);
    let failed = check(&[&never, "--with-default", "--tests", &samples]).exits(1);
    let words = failed.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("members read at once: expected tier auto"), "{words}");
    // What their own rules leave nothing to is said.
    let (_, idle) = words.split_once("but for built-in ones that have nothing to decide: ").unwrap();
    assert!(idle.contains("auto-read"), "{words}");
    let json = check(&[&never, "--with-default", "--tests", &samples, "--output", "json"]).exits(1).json();
    let problems: Vec<&str> = json
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["level"] == "problem")
        .map(|finding| finding["message"].as_str().unwrap())
        .collect();
    assert!(matches!(problems[..], [one] if one.contains("members read at once")), "{problems:#?}");

    let boss = write(
        dir,
        "boss.cedar",
        "@id(\"x\") @title(\"X\") @longest(\"1h\") @approvers(\"boss\")\npermit (principal, action == Action::\"single\", resource);",
    );
    assert!(check(&[&boss]).exits(1).out.contains("boss"), "nobody is a boss");
    let broken = write(dir, "broken.cedar", "\npermit (oops");
    assert!(offline(&["policy", "check", &broken]).exits(1).out.contains("broken.cedar:2"));
    let missing = offline(&["policy", "check", "/nowhere.cedar"]).exits(1);
    assert!(missing.out.contains("cannot read /nowhere.cedar"), "{missing:?}");
    let odd = write(dir, "odd.toml", "[[request]]\nname = \"x\"\ntier = \"automatic\"\n");
    let odd = offline(&["policy", "check", "--tests", &odd]).exits(1);
    assert!(odd.err.contains("automatic"), "{odd:?}");
}

/// Which rules are for whom: a fault is what somebody here can mend.
#[tokio::test(flavor = "multi_thread")]
async fn b8_check_tells_rules_for_other_places_from_rules_for_none() {
    let env = TestEnv::start().await;
    let dir = env.dir.path();
    let config = dir.join("server.toml").display().to_string();
    let check = |rules: &str, more: &[&str]| {
        let file = write(dir, "own.cedar", rules);
        let mut command = Command::new(BINARY);
        command.args(["policy", "check", &file, "--config", &config, "--output", "json"]).args(more);
        let ran: Ran = command.env("TEST_GATEWAY_PASSWORD", "x").output().unwrap().into();
        let findings = ran.json();
        let of_reach = findings.as_array().unwrap().iter().find(|one| one["check"] == "reach").unwrap();
        let word = |key: &str| of_reach[key].as_str().unwrap_or_default().to_owned();
        (ran.code, word("level"), word("message"), word("remedy"))
    };
    // Of their own, for a database that is yet to come; and one that no database can be.
    let staging = NEVER_AT_ONCE.replace(";", "when { resource.environment == Environment::\"staging\" };");
    let (code, level, message, _) = check(&staging, &["--with-default"]);
    assert_eq!((code, level.as_str()), (0, "warning"), "{message}");
    assert!(
        message.contains("never-at-once decides nothing here: it is for targets of another"),
        "{message}"
    );
    let nowhere = NEVER_AT_ONCE.replace(";", "when { resource == Target::\"prod-ordres\" };");
    let (code, level, message, _) = check(&nowhere, &["--with-default"]);
    assert_eq!((code, level.as_str()), (1, "problem"), "{message}");
    assert!(message.contains("own.cedar:2: rule never-at-once applies to none"), "{message}");
    // One that comes before all that a built-in rule allows.
    let wide = "@id(\"all\") @title(\"All\") @longest(\"8h\")\npermit (principal, action == Action::\"auto\", resource);";
    let (code, level, message, _) = check(wide, &["--with-default"]);
    assert_eq!((code, level.as_str()), (0, "ok"), "{message}");
    assert!(message.contains("single-read (behind all)"), "{message}");

    // Nothing at all is permitted: by these rules alone, and by these before the others.
    let (code, level, message, remedy) = check(NEVER_AT_ONCE, &[]);
    assert_eq!((code, level.as_str()), (1, "problem"), "{message}");
    assert!(message.contains("it permits nothing: every request would be denied"), "{message}");
    assert!(remedy.contains("--with-default") && remedy.contains("`extra`"), "{remedy}");
    let never = NEVER_AT_ONCE.replace("action == Action::\"auto\"", "action");
    let (code, _, message, remedy) = check(&never, &["--with-default"]);
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("it permits nothing") && remedy == "narrow the rules that forbid", "{remedy}");
}

const INTERVIEW: &[&str] = &[
    "--public-url",
    "https://db.example.com:7443",
    "--issuer",
    "https://login.example.com",
    "--team",
    "shop",
    "--team-group",
    "eng \"shop\"",
    "--lead-group",
    "leads",
    "--manager-group",
    "managers",
    "--security-group",
    "security",
    "--timezone",
    "Europe/Berlin",
    "--target",
    "prod-orders",
    "--host",
    "db.internal",
    "--database",
    "orders",
    "--service",
    "orders",
];

#[test]
fn b8_init_writes_a_configuration_that_a_server_takes() {
    let dir = tempfile::tempdir().unwrap();
    let pki = dbaccess::demo::pki::Pki::new(dir.path()).unwrap();
    let place = dir.path().join("first");
    std::fs::create_dir(&place).unwrap();
    let (place, data) = (place.display().to_string(), dir.path().join("data").display().to_string());
    let init = |more: &[&str]| {
        let (certificate, key) = (pki.certificate.display().to_string(), pki.key.display().to_string());
        let mut args = vec!["policy", "init", "--directory", &place, "--data-dir", &data];
        args.extend(["--tls-certificate", &certificate, "--tls-key", &key]);
        args.extend(more);
        offline(&args)
    };
    // Without a terminal the flags must say it, and nothing is written until they do.
    let asked = init(&INTERVIEW[2..]).exits(2);
    assert!(asked.err.contains("--public-url URL"), "{}", asked.err);
    let nonsense: Vec<&str> =
        INTERVIEW.iter().map(|word| if *word == "Europe/Berlin" { "Mars/Base" } else { word }).collect();
    let refused = init(&nonsense).exits(2);
    assert!(refused.err.contains("business_hours.timezone"), "{}", refused.err);
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "what no server takes is taken back");

    let mut strict = INTERVIEW.to_vec();
    strict.extend(["--read-at-once", "no", "--write-at-night", "no"]);
    let written = init(&strict).ok();
    assert!(written.err.contains("server.toml") && written.err.contains("extra.cedar"), "{}", written.err);
    let config = format!("{place}/server.toml");
    for step in ["target setup prod-orders --config", "target classify prod-orders --config", "policy check"]
    {
        assert!(written.err.contains(&format!("dbaccess {step}")), "{step}: {}", written.err);
    }
    assert!(!written.err.contains("TARGET"), "{}", written.err);
    let checked = offline(&["server", "--check", "--config", &config]).ok();
    says(&checked, &["targets.prod-orders has no password", "password_file", "server.toml is usable"]);
    let gone = offline(&["server", "--check", "--config", "/nonexist/server.toml"]).exits(1);
    assert_eq!(gone.err.matches("No such file").count(), 1, "{}", gone.err);
    let samples = write(
        dir.path(),
        "samples.toml",
        "[[request]]\nname = \"a\"\ntarget = \"prod-orders\"\nteams = [\"shop\"]\ntier = \"single\"\n\
         [[request]]\nname = \"b\"\ntarget = \"prod-orders\"\nteams = [\"shop\"]\nbusiness_hours = false\n\
         permissions = [\"read\", \"write\"]\ntier = \"deny\"\nrule = \"no-production-writes-at-night\"\n",
    );
    let checked = offline(&["policy", "check", "--config", &config, "--tests", &samples]).ok();
    assert!(checked.out.contains("2 requests are decided as expected"), "{checked:?}");
    // Nothing is overwritten.
    let before = std::fs::read_to_string(&config).unwrap();
    let again = init(&strict).exits(1);
    assert!(again.err.contains("is there already"), "{}", again.err);
    assert_eq!(std::fs::read_to_string(&config).unwrap(), before);
    // Whatever is answered, what it writes is a policy in order.
    for environment in ["production", "staging", "development"] {
        for (answer, without_service) in [("yes", false), ("no", true)] {
            std::fs::remove_dir_all(&place).unwrap();
            std::fs::create_dir(&place).unwrap();
            let mut args: Vec<&str> = INTERVIEW.to_vec();
            if without_service {
                args.truncate(args.len() - 2);
            }
            args.extend(["--environment", environment]);
            args.extend(["--read-at-once", answer, "--write-at-night", answer]);
            init(&args).ok();
            let checked = offline(&["policy", "check", "--config", &config]);
            assert_eq!(checked.code, 0, "{environment} {answer}: {checked:?}");
        }
    }
}

/// What a rule bounds beside the window holds in the sessions that it grants.
#[tokio::test(flavor = "multi_thread")]
async fn r4_5_r7_1_r6_5_a_rule_bounds_rows_and_keeps_masks() {
    let rules = r#"
        @id("bounded") @title("A little of it, masked") @longest("1h") @rows("3") @masks("on")
        permit (principal, action == Action::"auto", resource)
        when { context.permissions == [Permission::"read"] };
    "#;
    let (_dir, _, env) = with_extra(rules, "").await;
    let alice = env.signed_in("alice").await;
    let asked = ["request", "prod-orders", "--table", "payments", "--unmask", "card_number", "--reason", "x"];
    let shown = alice.run(&asked).ok().out;
    for words in [
        "bounded",
        "keeps every classified column masked",
        "at most 3 rows",
        "masked    public.payments.card_number",
    ] {
        assert!(shown.contains(words), "{words}:\n{shown}");
    }
    let grant = alice.run(&["requests", "--mine", "--all", "--output", "json"]).ok().json();
    let grant = &grant[0]["grant"];
    assert_eq!(grant["limits"], json!({"rows": 3, "recording": false, "masked": true}));
    assert_eq!(grant["scope"].get("unmask").filter(|unmask| **unmask != json!({})), None, "{grant}");
    let few = "SELECT generate_series(1, 3)";
    let exec = |person: &TestPerson<'_>, sql: &str| person.run(&["exec", "prod-orders", sql]);
    exec(&alice, few).ok();
    let over = exec(&alice, "SELECT generate_series(1, 4)");
    assert!(over.code != 0 && over.err.contains("may return 3 rows"), "{over:?}");
}
