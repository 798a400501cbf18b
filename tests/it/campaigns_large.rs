//! R9.4: an access review of a whole company, as large as one may be, starts and
//! answers while somebody waits for it.

use crate::support::env::{Ran, Setting, TestEnv, TestPerson};
use dbaccess::core::model::Identity;
use dbaccess::server::store::{Store, StoreError};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// With the three who sign in, at five targets: 50,000 lines.
const PEOPLE: usize = 9_997;
const TEAMS: usize = 40;
/// Several times what it takes, and a fraction of asking policy about each line.
const START: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(15);

/// Everybody is in a team, some in two; some lead, and some own the databases.
fn somebody(number: usize) -> Identity {
    let mut groups = BTreeSet::from([format!("group-{}", number % TEAMS)]);
    if number.is_multiple_of(3) {
        groups.insert(format!("group-{}", number / TEAMS % TEAMS));
    }
    if number.is_multiple_of(50) {
        groups.insert("eng-leads".to_owned());
    }
    if number % 100 == 1 {
        groups.insert("eng-shop".to_owned());
    }
    let subject = format!("person-{number:05}");
    let email = format!("{subject}@example.com");
    Identity { subject, email, name: None, groups }
}

#[tokio::test(flavor = "multi_thread")]
async fn r9_4_a_review_of_fifty_thousand_lines_starts_and_answers_while_somebody_waits() {
    let sql = "CREATE TABLE stock (id int PRIMARY KEY, email text); CREATE TABLE moves (id int PRIMARY KEY)";
    let databases = ["north", "east", "south", "west"].map(|name| (name, sql)).to_vec();
    let teams = (0..TEAMS).map(|team| format!("[teams.team-{team}]\ngroups = [\"group-{team}\"]\n"));
    let env = TestEnv::with(Setting { databases, extra: teams.collect(), ..Setting::default() }).await;
    let (carol, dave) = (env.signed_in("carol").await, env.signed_in("dave").await);
    let erin = env.signed_in("erin").await;
    let store = Store::open(&env.dir.path().join("data/state.db")).unwrap();
    let seeded = store.write(|tx| {
        let now = dbaccess::os::now();
        // She leads two of the teams.
        for mut erin in tx.people_after("", 10)?.into_iter().filter(|one| one.email.starts_with("erin")) {
            erin.groups.extend(["eng-leads", "group-1", "group-2"].map(str::to_owned));
            tx.save_person(&erin, now)?;
        }
        (0..PEOPLE).try_for_each(|number| tx.save_person(&somebody(number), now))
    });
    seeded.await.unwrap_or_else(|error: StoreError| panic!("{error}"));

    let within = |most: Duration, by: &TestPerson<'_>, args: &[&str]| -> Ran {
        let begun = Instant::now();
        let ran = by.run(args).ok();
        let took = begun.elapsed();
        println!("{args:?} took {took:?}");
        assert!(took < most, "{args:?} took {took:?}");
        ran
    };
    let start = ["review", "campaign", "start", "--between", "2020-01-01", "2100-01-01", "-ojson"];
    let row = within(START, &dave, &start).json();
    assert_eq!(row["lines"], 50_000);
    let id = row["id"].as_str().unwrap();
    // A manager decides of every line but her own, which come first at each target.
    let listed = within(ANSWER, &carol, &["review", "campaign", "list", "-ojson"]).json();
    assert_eq!(listed[0]["yours"], 49_995);
    let decide = ["review", "campaign", "decide", id, "4", "10004", "--certify", "--comment", "on the team"];
    let decided = within(ANSWER, &carol, &[&decide[..], &["-ojson"]].concat()).json();
    assert_eq!(decided["undecided"], 49_998);
    let listed = within(ANSWER, &carol, &["review", "campaign", "list", "-ojson"]).json();
    assert_eq!(listed[0]["yours"], 49_993);
    // What is hers a lead sees by pages, each line once.
    let led = |number: &usize| {
        let groups = somebody(*number).groups;
        groups.contains("group-1") || groups.contains("group-2")
    };
    let hers = 5 * (0..PEOPLE).filter(led).count();
    assert!(hers > 2000, "more than a page");
    let shown = within(ANSWER, &erin, &["review", "campaign", "show", id, "--mine", "-ojson"]).json();
    let numbers: Vec<u64> =
        shown["lines"].as_array().unwrap().iter().map(|line| line["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers.len(), hers);
    assert!(numbers.is_sorted_by(|one, next| one < next));
}
