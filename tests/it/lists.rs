//! Lists: as tables for people, wide and narrow, as JSON and CSV for programs.

use crate::requests::{id, says};
use crate::support::env::{BINARY, Ran, TestEnv, TestPerson};
use serde_json::Value;
use std::io::Write as _;
use std::process::{Command, Stdio};

impl TestPerson<'_> {
    /// Runs a command on a terminal of so many columns, with what it shows.
    pub fn on_terminal(&self, columns: u16, args: &[&str]) -> String {
        self.at_terminal(columns, args, "").ok().out
    }

    /// The same with somebody who types.
    pub fn at_terminal(&self, columns: u16, args: &[&str], typed: &str) -> Ran {
        let words: Vec<String> = args.iter().map(|arg| format!("'{}'", arg.replace('\'', "'\\''"))).collect();
        let line = format!("stty cols {columns} rows 40; exec {BINARY} {}", words.join(" "));
        let mut command = Command::new("script");
        command.env_clear().envs(self.environment()).env("TERM", "xterm");
        // util-linux's, and what macOS has of BSD.
        if cfg!(target_os = "macos") {
            command.args(["-q", "/dev/null", "sh", "-c", &line]);
        } else {
            command.args(["-qec", &line, "/dev/null"]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = if typed.is_empty() {
            command.stdin(Stdio::null()).spawn()
        } else {
            command.stdin(Stdio::piped()).spawn()
        };
        let mut child = child.expect("script starts");
        if let Some(mut keyboard) = child.stdin.take() {
            keyboard.write_all(typed.as_bytes()).expect("script reads");
        }
        let mut ran = Ran::from(child.wait_with_output().expect("script ends"));
        ran.out = ran.out.replace('\r', "");
        ran
    }
}

/// Without colours, as wide as a terminal shows it.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            shown.push(c);
        }
    }
    shown
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_for_people_and_for_programs() {
    let env = TestEnv::start().await;
    let alice = env.signed_in("alice").await;
    let carol = env.signed_in("carol").await;
    let reason = "INC-4711: a customer says that the refund of last Tuesday never arrived";
    let ask = |args: &[&str]| {
        let words = [&["request", "prod-orders", "--reason", reason, "-o", "json"], args].concat();
        alice.run(&words).json()
    };
    ask(&["-t", "orders", "-t", "stock.items"]);
    let waiting = id(&ask(&["-t", "payments", "--unmask", "card_number"]));
    let dual = id(&ask(&["-t", "orders", "-t", "customers", "--write"]));
    alice.run(&["exec", "prod-orders", "SELECT count(*) FROM orders WHERE status = 'paid'"]).ok();

    let lists: [&[&str]; 8] = [
        &["requests"],
        &["requests", "--all"],
        &["sessions", "--all"],
        &["targets"],
        &["targets", "prod-orders"],
        &["targets", "describe", "prod-orders"],
        &["audit"],
        &["whoami"],
    ];
    for list in lists {
        for columns in [80, 40] {
            let shown = alice.on_terminal(columns, list);
            for line in plain(&shown).lines() {
                assert!(
                    line.chars().count() <= usize::from(columns),
                    "{list:?} at {columns}: {line}\n{shown}"
                );
            }
        }
        // A CSV of one width, with the header that the table has, and nothing but results on stdout.
        let csv = alice.run(&[list, &["-o", "csv"]].concat()).ok();
        let width =
            |line: &str| line.split('"').step_by(2).map(|part| part.matches(',').count()).sum::<usize>();
        let lines: Vec<&str> = csv.out.split_terminator("\r\n").collect();
        assert!(lines.len() > 1, "{list:?}: {}", csv.out);
        assert!(lines.iter().all(|line| width(line) == width(lines[0])), "{list:?}: {}", csv.out);
        assert_eq!(csv.err, "", "{list:?}");
        let json = alice.run(&[list, &["-o", "json"]].concat()).ok();
        json.json();
        assert_eq!(json.err, "", "{list:?}");
    }
    let colourless = |name: &str, value: &str| {
        let mut command = alice.command(&["requests"]);
        Ran::from(command.env(name, value).output().unwrap()).ok()
    };
    assert!(!colourless("NO_COLOR", "1").out.contains('\x1b'));

    // The keys that programs rely on.
    let first = |args: &[&str]| alice.run(&[args, &["-o", "json"]].concat()).ok().json()[0].take();
    assert_eq!(
        keys(&first(&["requests"])),
        ["grant", "history", "masked", "on_behalf_of", "request", "risk", "sensitive", "teams", "you_fill"]
    );
    assert_eq!(
        keys(&first(&["requests"])["request"]),
        [
            "approvals",
            "closed",
            "created_at",
            "decision",
            "expires_at",
            "grant",
            "id",
            "path",
            "person",
            "reason",
            "scope",
            "state",
            "target",
            "window"
        ]
    );
    assert_eq!(keys(&first(&["sessions", "--all"])), ["connections", "path", "reason", "scope", "session"]);
    assert_eq!(
        keys(&first(&["audit"])),
        [
            "at",
            "bytes",
            "connection",
            "duration_us",
            "facts",
            "grant",
            "message_sealed",
            "parameters",
            "person",
            "recorded",
            "result",
            "rows",
            "seq",
            "session",
            "shape",
            "target",
            "text",
            "text_sealed"
        ]
    );

    // An approver with a telephone reads who, what, why and as whom.
    let phone = plain(&carol.on_terminal(40, &["show", &dual]));
    for line in phone.lines() {
        assert!(line.chars().count() <= 40, "{line}");
    }
    let flat = phone.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "who alice@example.com",
        "read+write public.customers, public.orders",
        "masked public.customers.email: null",
        reason,
        "dual: two approvals needed",
        "needs peer",
        "needs lead or manager or security",
        "you can approve as lead",
    ] {
        assert!(flat.contains(words), "{words}: {phone}");
    }

    // Short ids, as lists print them, are taken everywhere.
    let table = alice.run(&["requests"]).ok().out;
    let short = table.split_whitespace().find(|word| waiting.starts_with(word) && word.len() > 3).unwrap();
    assert!(short.len() < waiting.len(), "{table}");
    says(&alice.run(&["show", short]).ok(), &[&waiting]);
    says(&alice.run(&["show", &short[4..].to_uppercase()]).ok(), &[&waiting]);
    says(&alice.run(&["cancel", short]).ok(), &["withdrew"]);
    let session = alice.run(&["sessions", "--all", "-o", "json"]).json()[0]["session"]["id"].take();
    let session = session.as_str().unwrap();
    let rows = alice.run(&["audit", "--session", &session[..9], "-o", "json"]).ok().json();
    assert!(!rows.as_array().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_concerns_them() {
    let env = TestEnv::start().await;
    let mut people = Vec::new();
    for name in ["alice", "bob", "carol", "dave", "erin"] {
        people.push(env.signed_in(name).await);
    }
    let alice = &people[0];
    let (auto, code) = alice.ask(&["-t", "orders"]);
    assert_eq!(code, 0);
    let single = alice.ask_and_wait_for_approval(&["-t", "payments", "--unmask", "card_number"]);
    let dual = alice.ask_and_wait_for_approval(&["-t", "orders", "--write"]);
    alice.run(&["exec", "prod-orders", "SELECT 1 FROM orders"]).ok();
    let auto = id(&auto);
    // Requester, peer, lead of the team, security, another team.
    let sees: [(&str, [bool; 3], usize); 5] = [
        ("alice", [true, true, true], 1),
        ("bob", [false, false, true], 0),
        ("carol", [true, true, true], 1),
        ("dave", [true, true, true], 1),
        ("erin", [false, false, false], 0),
    ];
    for (person, (name, requests, sessions)) in people.iter().zip(sees) {
        let listed = person.run(&["requests", "--all", "-o", "json"]).ok().json();
        let listed: Vec<String> = listed.as_array().unwrap().iter().map(id).collect();
        for (request, seen) in [&auto, &single, &dual].into_iter().zip(requests) {
            assert_eq!(listed.contains(request), seen, "{name} {request}");
            assert_eq!(person.run(&["show", request]).code == 0, seen, "{name} {request}");
        }
        let listed = person.run(&["sessions", "--all", "-o", "json"]).ok().json();
        assert_eq!(listed.as_array().unwrap().len(), sessions, "{name}");
        // Statements are their own, and everybody's for security.
        let rows = person.run(&["audit", "-o", "json"]).ok().json();
        assert_eq!(rows.as_array().unwrap().is_empty(), !["alice", "dave"].contains(&name), "{name}");
    }
    let refused = people[2].run(&["audit", "--person", "alice@example.com"]).exits(5);
    says(&refused, &["other people's statements are for security and auditors"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_what_became_of_each_grant_and_which_it_is() {
    let env = TestEnv::start().await;
    let (alice, carol) = (env.signed_in("alice").await, env.signed_in("carol").await);
    let grant_of = |request: &str| {
        let view = alice.run(&["show", request, "-o", "json"]).ok().json();
        view["grant"]["id"].as_str().unwrap().to_owned()
    };
    let ask =
        |args: &[&str]| id(&alice.run(&[&["request", "-r", "INC-1", "-o", "json"], args].concat()).json());
    let (active, revoked, expired) =
        (ask(&["-t", "orders"]), ask(&["-t", "items"]), ask(&["-t", "orders", "--for", "1s"]));
    let narrowed = ask(&["-t", "orders", "-t", "payments", "--unmask", "card_number"]);
    carol.run(&["approve", &narrowed, "--yes", "--table", "payments", "--for", "10m"]).ok();
    says(&alice.run(&["revoke", &revoked]).ok(), &["revoked grt-"]);
    let state = |shown: &str, request: &str| {
        let lines = plain(shown);
        let from = lines.lines().skip_while(|line| !request.starts_with(line.trim()) || line.is_empty());
        from.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
    };
    env.eventually("the shortest has expired", || {
        let ran = alice.run(&["show", &expired]).ok();
        ran.out.starts_with(&format!("{expired}  granted, expired")).then_some(())
    })
    .await;
    let shown = alice.on_terminal(40, &["requests", "--all"]);
    for (request, words) in [
        (&active, "state active, ends in"),
        (&revoked, "state revoked"),
        (&expired, "state expired"),
        (&narrowed, "narrowed"),
    ] {
        let record = state(&shown, request).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(record.contains(words), "{request} {words}: {record} in {shown}");
        let grant = grant_of(request);
        assert!(record.contains(&grant[..10]), "{grant}: {record}");
    }
    let record = state(&shown, &narrowed);
    assert!(record.contains("10m") && !record.contains("public.orders"), "as it was granted: {record}");
    let csv = alice.run(&["requests", "--all", "-o", "csv"]).ok().out;
    assert!(csv.contains(&format!("{revoked},revoked,{}", grant_of(&revoked))), "{csv}");

    // Several grants of one target are told apart.
    let targets = alice.run(&["targets"]).ok();
    for (request, scope) in
        [(&active, "read public.orders, ends in"), (&narrowed, "raw card_number, ends in")]
    {
        says(&targets, &[&format!("{}: ", &grant_of(request)[..10]), scope]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_read_on_a_narrow_terminal_and_an_empty_answer_is_told() {
    let env = TestEnv::start().await;
    let (alice, carol) = (env.signed_in("alice").await, env.signed_in("carol").await);
    let waiting = alice.ask_and_wait_for_approval(&["-t", "payments", "--unmask", "card_number"]);
    let asked = carol.at_terminal(40, &["approve", &waiting], "n").exits(1);
    let shown = plain(&asked.out);
    // Behind the question stands the answer, drawn over it.
    let (until, _) = shown.split_once("[y/N]").unwrap();
    assert!(until.lines().all(|line| line.chars().count() <= 40), "{shown}");
    says(&asked, &["Approve as lead: read public.payments; raw card_number on prod-orders for 1h?"]);
    says(&asked, &["nothing was approved"]);
    let denied = carol.at_terminal(80, &["deny", &waiting], "\n\n\n").exits(2);
    says(&denied, &["Reason: nothing was said; write a few words", "say it with --reason 'TEXT'"]);
    says(&carol.at_terminal(80, &["deny", &waiting], "\nnot on a Friday\n").ok(), &["denied req-"]);
    says(&alice.run(&["show", &waiting]).ok(), &["not on a Friday"]);
}
