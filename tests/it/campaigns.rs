//! R9.4: who can get what, who got it and what was used is reviewed line by
//! line, and what a reviewer takes away is gone at once.

use crate::support::api::events;
use crate::support::env::{Setting, TestEnv, TestPerson};
use crate::support::pty::Terminal;
use dbaccess::core::campaign::sha256;
use dbaccess::core::model::{CampaignLine, Quarter};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

const WRITE: [&str; 8] =
    ["request", "prod-orders", "--table", "orders", "--write", "--reason", "INC-4", "-ojson"];

/// A campaign over everything, due in an hour.
fn started(dave: &TestPerson<'_>) -> String {
    let args = [
        "review",
        "campaign",
        "start",
        "--between",
        "2020-01-01",
        "2100-01-01",
        "--target",
        "prod-orders",
        "--due",
        "1h",
        "-ojson",
    ];
    dave.run(&args).ok().json()["id"].as_str().unwrap().to_owned()
}

fn lines(person: &TestPerson<'_>, campaign: &str) -> Vec<Value> {
    let shown = person.run(&["review", "campaign", "show", campaign, "-ojson"]).ok().json();
    shown["lines"].as_array().unwrap().clone()
}

fn line_of(lines: &[Value], name: &str) -> Value {
    let email = format!("{name}@example.com");
    lines.iter().find(|line| line["person"]["email"] == email.as_str()).unwrap().clone()
}

fn right(line: &Value, name: &str) -> Value {
    line["rights"].as_array().unwrap().iter().find(|one| one["right"] == name).unwrap().clone()
}

fn decide(person: &TestPerson<'_>, campaign: &str, line: &Value, more: &[&str]) -> crate::support::env::Ran {
    let number = line["line"].to_string();
    let mut args =
        vec!["review", "campaign", "decide", campaign, &number, "--comment", "as I see it", "-ojson"];
    args.extend(more);
    person.run(&args)
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_4_g6_a_campaign_shows_access_takes_it_away_at_once_and_is_signed_when_all_is_decided() {
    let env = TestEnv::start().await;
    let (alice, bob) = (env.signed_in("alice").await, env.signed_in("bob").await);
    let (carol, dave) = (env.signed_in("carol").await, env.signed_in("dave").await);
    let erin = env.signed_in("erin").await;
    let grant = alice.granted_write(&bob, &carol);
    let update = "UPDATE orders SET status = 'reviewed' WHERE id = 1";
    alice.connect(&["--", "psql", "-Xc", update]).ended().await.exits(0);
    let waiting = alice.run(&WRITE).exits(4).json()["request"]["id"].as_str().unwrap().to_owned();
    bob.run(&["approve", &waiting, "--yes"]).ok();
    let running = alice.connect_endless(&["--grant", &grant]).await;

    // For security and admins to start; for those who may approve to see and decide.
    alice.run(&["review", "campaign", "start"]).exits(5);
    let campaign = started(&dave);
    erin.run(&["review", "campaign", "show", &campaign]).exits(1);
    bob.run(&["review", "campaign", "show", &campaign]).exits(1);

    let alices = line_of(&lines(&carol, &campaign), "alice");
    let (read, write) = (right(&alices, "read"), right(&alices, "write"));
    assert_eq!((&read["can"], &write["can"]), (&"auto".into(), &"dual".into()));
    assert_eq!(
        (&write["grants"], &write["sessions"], &write["statements"]),
        (&1.into(), &1.into(), &1.into()),
        "{write}"
    );
    assert!(write["last_use"].is_string() && write["barred"] == false, "{write}");
    let shown = lines(&dave, &campaign);
    let bobs = right(&line_of(&shown, "bob"), "write");
    assert_eq!((&bobs["can"], &bobs["grants"], &bobs["last_use"]), (&"dual".into(), &0.into(), &Value::Null));
    let table = carol.run(&["review", "campaign", "show", &campaign, "-ocsv"]).ok().out;
    assert!(table.starts_with("line,person,target,permission,can get,grants,"), "{table}");

    // Nobody their own, and nothing is signed before all is decided.
    let daves = line_of(&lines(&dave, &campaign), "dave");
    let own = decide(&dave, &campaign, &daves, &["--certify"]).exits(5);
    assert!(own.err.contains("your own access"), "{}", own.err);
    let early = dave.run(&["review", "campaign", "sign", &campaign]).exits(1);
    assert!(early.err.contains("undecided lines"), "{}", early.err);

    // Narrowed: the live grant and its session are gone, and so is what waited.
    let narrowed = decide(&carol, &campaign, &alices, &["--narrow", "read"]).ok().json();
    assert_eq!((&narrowed["grants"], narrowed["sessions"].as_array().unwrap().len()), (&json!([grant]), 1));
    let ran = running.ended().await.exits(6);
    assert!(ran.err.contains("carol@example.com revoked the access"), "{}", ran.err);
    env.assert_clean().await;
    let refused = carol.run(&["approve", &waiting, "--yes"]).exits(5);
    assert!(refused.err.contains("an access review took write"), "{}", refused.err);
    let denied = alice.run(&WRITE).exits(5).json()["request"]["decision"].clone();
    assert_eq!((&denied["tier"], &denied["rules"][0]["title"]), (&"deny".into(), &"access review".into()));
    let why = denied["why"].as_str().unwrap();
    assert!(why.contains("ask carol@example.com or security"), "{why}");
    let read = alice.granted(&["--table", "orders"]);

    // Security gives it back; revoked in the same campaign, reading goes, too.
    let lift = ["review", "campaign", "lift", "alice@example.com", "prod-orders", "--comment", "on call"];
    carol.run(&lift).exits(5);
    dave.run(&lift).ok();
    assert_eq!(dave.run(&["review", "campaign", "bars", "-ojson"]).ok().json(), json!([]));
    let revoked = decide(&dave, &campaign, &alices, &["--revoke"]).ok().json();
    assert_eq!(revoked["grants"], json!([read]));
    alice.run(&["request", "prod-orders", "--table", "orders", "--reason", "INC-5"]).exits(5);
    decide(&dave, &campaign, &alices, &["--certify"]).ok();
    alice.granted(&["--table", "orders"]);

    for line in lines(&dave, &campaign) {
        let by = if line["person"]["email"] == "dave@example.com" { &carol } else { &dave };
        decide(by, &campaign, &line, &["--certify"]).ok();
    }
    let signed = carol.run(&["review", "campaign", "sign", &campaign, "-ojson"]).ok().json();
    assert_eq!((&signed["state"], &signed["undecided"]), (&"signed".into(), &0.into()));
    let kept: Vec<CampaignLine> = serde_json::from_value(json!(lines(&dave, &campaign))).unwrap();
    assert_eq!(signed["signed"]["sha256"], sha256(&kept), "it can be computed from what is shown");
    let late = decide(&dave, &campaign, &alices, &["--revoke"]).exits(1);
    assert!(late.err.contains("is signed"), "{}", late.err);

    // All of it is on the ledger.
    let of = |event: &Value| event["campaign"] == campaign.as_str();
    let begun = events(&env, "campaign.started", 1, of).await;
    assert_eq!(begun[0]["lines"], shown.len());
    assert_eq!(begun[0]["sha256"].as_str().map(str::len), Some(64));
    let decided = events(&env, "campaign.decided", 3 + shown.len(), of).await;
    assert_eq!(decided[0]["decision"]["verdict"], "narrowed");
    let barred =
        events(&env, "access.barred", 2, |event| event["bar"]["campaign"] == campaign.as_str()).await;
    assert_eq!(barred[0]["bar"]["rights"], json!(["write", "ddl", "export", "unmask"]));
    let unbarred = events(&env, "access.unbarred", 2, |_| true).await;
    assert_eq!(
        (&unbarred[0]["comment"], &unbarred[1]["campaign"]),
        (&"on call".into(), &campaign.clone().into())
    );
    let signature = events(&env, "campaign.signed", 1, of).await;
    assert_eq!(
        (&signature[0]["sha256"], &signature[0]["certified"]),
        (&signed["signed"]["sha256"], &shown.len().into())
    );
    events(&env, "grant.revoked", 2, |event| {
        event["reason"].as_str().is_some_and(|why| why.contains("access review"))
    })
    .await;
}

/// Moves a campaign so in time that it began so long ago and is due then.
fn moved(env: &TestEnv, campaign: &str, began: SignedDuration, due: SignedDuration) {
    let state = rusqlite::Connection::open(env.dir.path().join("data/state.db")).unwrap();
    state.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let now: Timestamp = dbaccess::os::now();
    let sql = "UPDATE campaign SET body = json_set(body, '$.started_at', ?2, '$.due_at', ?3) WHERE id = ?1";
    let changed = state.execute(sql, (campaign, (now - began).to_string(), (now + due).to_string()));
    assert_eq!(changed.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_4_reviewers_are_reminded_at_half_time_three_days_before_and_when_overdue() {
    let env = TestEnv::start().await;
    env.signed_in("alice").await;
    env.signed_in("carol").await;
    let dave = env.signed_in("dave").await;
    let campaign = started(&dave);
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    for (began, due, stage) in
        [(days(8), days(6), "half_time"), (days(12), days(2), "soon"), (days(15), -days(1), "overdue")]
    {
        moved(&env, &campaign, began, due);
        let told = events(&env, "campaign.reminded", 1, |event| event["stage"] == stage).await;
        assert_eq!(told.len(), 1, "{stage} is told once");
        let to: Vec<&str> =
            told[0]["to"].as_array().unwrap().iter().map(|one| one["email"].as_str().unwrap()).collect();
        assert!(to.contains(&"carol@example.com") && to.contains(&"dave@example.com"), "{to:?}");
        assert!(!to.contains(&"alice@example.com"), "{to:?}");
    }
    let listed = dave.run(&["review", "campaign", "list"]).ok().out;
    assert!(listed.contains("overdue"), "{listed}");

    // Among more than are looked at nobody can tell which one is meant.
    let state = rusqlite::Connection::open(env.dir.path().join("data/state.db")).unwrap();
    state.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
    let copy = "INSERT INTO campaign (id, started_at, signed, body)
                SELECT ?1, started_at, signed, json_set(body, '$.id', ?1) FROM campaign WHERE id = ?2";
    for number in 100..164 {
        assert_eq!(state.execute(copy, (format!("cam-zz{number}"), &campaign)).unwrap(), 1);
    }
    let unclear = dave.run(&["review", "campaign", "show", "zz1"]).exits(2);
    assert!(unclear.err.contains("zz1 fits more than one campaign"), "{}", unclear.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_4_what_one_review_took_another_gives_back_by_certifying_alone_and_says_so() {
    let env = TestEnv::start().await;
    let (alice, carol) = (env.signed_in("alice").await, env.signed_in("carol").await);
    let dave = env.signed_in("dave").await;
    let first = started(&dave);
    let alices = line_of(&lines(&dave, &first), "alice");
    decide(&dave, &first, &alices, &["--revoke"]).ok();

    // Less than that, by a later review: it takes nothing more, and gives nothing back.
    let second = started(&dave);
    let alices = line_of(&lines(&carol, &second), "alice");
    let narrowed = decide(&carol, &second, &alices, &["--narrow", "read"]).ok();
    let of = |bars: &Value| -> Vec<String> {
        bars.as_array().unwrap().iter().map(|bar| bar["campaign"].as_str().unwrap().to_owned()).collect()
    };
    let answer = narrowed.json();
    assert_eq!((of(&answer["replaced"]), of(&answer["standing"])), (vec![], vec![first.clone()]));
    let read = ["request", "prod-orders", "--table", "orders", "--reason", "INC-5"];
    let refused = alice.run(&read).exits(5);
    assert!(refused.err.contains(&first), "{}", refused.err);

    // The same line again: the last decision counts, and says what it replaces.
    let number = alices["line"].to_string();
    let revoke =
        ["review", "campaign", "decide", &second, &number, "--revoke", "--comment", "left, after all"];
    let said = carol.run(&revoke).ok().err;
    let replaced = format!(
        "no longer in force: write, ddl, export, unmask taken from alice@example.com on prod-orders ({second}"
    );
    assert!(said.contains(&replaced) && said.contains("stays as it was: read, write"), "{said}");
    let barred = events(&env, "access.barred", 3, |_| true).await;
    assert_eq!(
        (&barred[1]["replaces"], &barred[2]["replaces"]["campaign"]),
        (&Value::Null, &second.clone().into())
    );
    assert_eq!(of(&dave.run(&["review", "campaign", "bars", "-ojson"]).ok().json()).len(), 2);

    let certified = decide(&carol, &second, &alices, &["--certify"]).ok().json();
    assert_eq!(of(&certified["replaced"]).len(), 2);
    let returned = events(&env, "access.unbarred", 2, |event| event["campaign"] == second.as_str()).await;
    let whose: Vec<&str> = returned.iter().map(|event| event["of"].as_str().unwrap()).collect();
    assert!(whose.contains(&first.as_str()) && whose.contains(&second.as_str()), "{whose:?}");
    alice.granted(&["--table", "orders"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_4_the_schedule_starts_one_campaign_over_the_quarter_that_is_over() {
    let extra = "[reviews]\ncampaign_every = \"quarter\"\ncampaign_due = \"10d\"\n".to_owned();
    let mut env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    for name in ["alice", "carol", "dave"] {
        env.signed_in(name).await;
    }
    // Nobody had signed in when the server began: there was nothing to review.
    env.kill_server();
    env.start_server().await;
    let over = Quarter::of(dbaccess::os::now()).and_then(Quarter::before).unwrap();
    let begun = events(&env, "campaign.started", 1, |_| true).await;
    assert_eq!((&begun[0]["scheduled"], &begun[0]["by"]), (&over.to_string().into(), &Value::Null));
    assert_eq!((&begun[0]["from"], &begun[0]["to"]), (&json!(over.from), &json!(over.to)));
    assert_eq!(begun[0]["targets"], json!(["prod-orders"]));
    let due = begun[0]["due_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let left = due.duration_since(dbaccess::os::now());
    assert!(left > SignedDuration::from_hours(9 * 24) && left <= SignedDuration::from_hours(240), "{left}");

    env.kill_server();
    env.start_server().await;
    let dave = env.person("dave");
    // It takes as long as the schedule's look at the quarter, and comes after it.
    started(&dave);
    let begun = events(&env, "campaign.started", 2, |_| true).await;
    assert_eq!(begun.iter().filter(|event| event["scheduled"].is_string()).count(), 1, "{begun:?}");
    let listed = dave.run(&["review", "campaign", "list", "-ocsv"]).ok().out;
    assert!(listed.contains(",schedule,"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_4_a_reviewer_walks_through_their_lines_and_goes_on_where_they_ended() {
    let env = TestEnv::start().await;
    for name in ["alice", "bob", "carol"] {
        env.signed_in(name).await;
    }
    let dave = env.signed_in("dave").await;
    let campaign = started(&dave);
    let completed = dave.run(&["complete", "campaigns"]).ok().out;
    assert_eq!(completed.trim(), campaign);
    let walk = || Terminal::run(dave.command(&["review", "campaign", "decide", &campaign]), 40, 120);
    // The question that stands last on the screen, below what it is about.
    let asked = async |terminal: &Terminal, about: &str, question: &str| {
        let stands = || {
            let screen = terminal.screen();
            let last = screen.trim_end().lines().last()?;
            (screen.contains(about) && last.trim_start().starts_with(question)).then_some(())
        };
        env.eventually(&format!("{question} about {about}"), stands).await;
    };
    let of = |name: &str| format!("{name}@example.com on prod-orders");
    let (down, enter) = ("\x1b[B", "\r");
    let verdict = |steps: usize| format!("{}{enter}", down.repeat(steps));

    let mut terminal = walk();
    asked(&terminal, &of("alice"), "quit").await;
    terminal.press(&verdict(0));
    asked(&terminal, &of("alice"), "Why").await;
    terminal.press(&format!("on the team{enter}"));
    asked(&terminal, &of("bob"), "quit").await;
    terminal.press(&verdict(1));
    asked(&terminal, &of("bob"), "What stays").await;
    terminal.press(&format!("read{enter}"));
    asked(&terminal, &of("bob"), "Why").await;
    terminal.press(&format!("never writes{enter}"));
    asked(&terminal, &of("carol"), "quit").await;
    terminal.press(&verdict(4));
    assert_eq!(terminal.ended().await, 0);

    // Skipped, it is asked again the next time.
    let mut terminal = walk();
    asked(&terminal, &of("carol"), "quit").await;
    assert!(!terminal.screen().contains(&of("alice")), "{}", terminal.screen());
    terminal.press(&verdict(3));
    assert_eq!(terminal.ended().await, 0);
    terminal.shows("1 of them yours").await;
    let mut terminal = walk();
    asked(&terminal, &of("carol"), "quit").await;
    terminal.press(&verdict(2));
    asked(&terminal, &of("carol"), "Why").await;
    terminal.press(&format!("has left{enter}"));
    assert_eq!(terminal.ended().await, 0);
    terminal.shows("none of them yours").await;

    let lines = lines(&dave, &campaign);
    for (name, verdict, comment) in [
        ("alice", "certified", "on the team"),
        ("bob", "narrowed", "never writes"),
        ("carol", "revoked", "has left"),
    ] {
        let decision = line_of(&lines, name)["decision"].clone();
        assert_eq!(
            (&decision["verdict"], &decision["comment"]),
            (&verdict.into(), &comment.into()),
            "{name}"
        );
    }
    assert_eq!(line_of(&lines, "dave")["decision"], Value::Null, "it is not his to decide");
}
