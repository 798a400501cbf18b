//! Two stories in which nothing is wrong, and each way to make one wrong.

use super::*;
use crate::core::approval::tests::{at, own, person, submitted};
use crate::core::approval::{approve, submit, tests::asked};
use crate::core::evidence::exceptions::Case;
use crate::core::model::*;
use serde_json::{Value, json};

/// Records by name, each with its second after minute 0.
#[derive(Clone)]
struct Story(Vec<(&'static str, i64, Value)>);

impl Story {
    fn push(&mut self, name: &'static str, second: i64, event: &Event) {
        self.0.push((name, second, serde_json::to_value(event).unwrap()));
    }

    fn without(mut self, name: &str) -> Self {
        let before = self.0.len();
        self.0.retain(|(one, ..)| *one != name);
        assert!(self.0.len() < before, "{name}");
        self
    }

    fn change(mut self, name: &str, change: impl Fn(&mut Value)) -> Self {
        change(&mut self.0.iter_mut().find(|(one, ..)| *one == name).unwrap().2);
        self
    }

    /// The same record at another time, behind all that came until then.
    fn moved(mut self, name: &str, second: i64) -> Self {
        let from = self.0.iter().position(|(one, ..)| *one == name).unwrap();
        let mut step = self.0.remove(from);
        step.1 = second;
        let to = self.0.iter().position(|(_, later, _)| *later > second).unwrap_or(self.0.len());
        self.0.insert(to, step);
        self
    }

    fn with(mut self, second: i64, record: Value) -> Self {
        self.0.push(("new", second, record));
        self.moved("new", second)
    }

    /// What is found: rules and what they are about.
    fn found(&self) -> Vec<(&'static str, String)> {
        let mut history = History::default();
        for (seq, (_, second, record)) in (1..).zip(&self.0) {
            let at = at(0) + SignedDuration::from_secs(*second);
            history.record(Mark { seq, at }, &record.to_string());
        }
        let period = Period { from: at(-60), until: at(60 * 24 * 365) };
        let population = Population::of(&history, period);
        let case = Case { history: &history, population: &population, period, faults: &[] };
        let all = Control::ALL.into_iter().flat_map(|control| find(&case, control));
        let mut all: Vec<_> = all.map(|one| (one.rule, one.about)).collect();
        all.sort();
        all
    }
}

const POLICY: &str = r#"{"kind":"server.started","version":"0","policy":"0"}"#;

fn session(story: &mut Story, grant: &str, who: &str, end: EndReason) {
    let session = SessionId::from_stored("ses-1");
    let opening = Event::SessionOpening {
        session: session.clone(),
        grant: GrantId::from_stored(grant),
        person: person(who).to_ref(),
        target: "prod-orders".into(),
        role: "dba_s_1".into(),
        profile: "p".into(),
    };
    story.push("opening", 120, &opening);
    story.push("opened", 121, &Event::SessionOpened { session: session.clone() });
    let intent = json!({"kind": "statement.intent", "session": "ses-1", "grant": grant, "connection": "con-1",
        "person": person(who).to_ref(), "target": "prod-orders", "text": "select 1", "class": "SELECT"});
    let outcome = json!({"kind": "statement.outcome", "intent": 7, "session": "ses-1", "result": {"ok": {"tag": "SELECT 1"}},
        "rows": 1, "bytes": 9, "duration_us": 5});
    story.0.push(("intent", 130, intent));
    story.0.push(("outcome", 131, outcome));
    story.push(
        "ending",
        600,
        &Event::SessionEnding { session: session.clone(), reason: end, by: Actor::System },
    );
    let totals = Totals { statements: 1, rows: 1, bytes: 9 };
    let dead = Event::SessionDead { session, role: "dba_s_1".into(), latency_ms: 900, totals };
    story.push("dead", 601, &dead);
}

/// A request that two approve, its grant and its session.
fn approved() -> Story {
    let mut story = Story(vec![("policy", -60, serde_json::from_str(POLICY).unwrap())]);
    let waiting = submitted(Tier::Dual);
    story.push("request", 0, &Event::RequestCreated { request: Box::new(waiting.clone()) });
    let yes = |request, who: &str, fills: &[&[&str]]| {
        let approver = person(who).to_ref();
        let grant = GrantId::from_stored("grt-1");
        approve(request, &approver, &[own(who, fills)], Narrowing::default(), None, at(1), grant).unwrap()
    };
    let first = yes(waiting, "bob", &[&["peer"], &[]]);
    story.push("first", 30, &first.events[0]);
    let second = yes(first.request, "carol", &[&[], &["lead"]]);
    story.push("second", 60, &second.events[0]);
    story.push("grant", 60, &second.events[1]);
    session(&mut story, "grt-1", "alice", EndReason::Exit);
    story.0.push(("last", 90_000, serde_json::from_str(POLICY).unwrap()));
    story
}

/// Break-glass: recorded, ended with its incident, confirmed and reviewed.
fn broken_glass() -> Story {
    let mut story = Story(vec![("policy", -60, serde_json::from_str(POLICY).unwrap())]);
    let asked = crate::core::approval::Submission { break_glass: true, ..asked(Tier::BreakGlass) };
    let opened = submit(asked, at(0), GrantId::from_stored("grt-1")).unwrap();
    story.push("request", 0, &opened.events[0]);
    story.push("grant", 0, &opened.events[1]);
    let grant = opened.grant.unwrap();
    let incident = IncidentRef { id: "PD-7".parse().unwrap(), title: None, url: None, confirmed: false };
    let due =
        Confirmation { since: at(0), due: at(60), slots: Vec::new(), given: Vec::new(), overdue: false };
    let glass = BreakGlass {
        grant: grant.id.clone(),
        request: grant.request.clone(),
        person: grant.person.clone(),
        target: grant.target.clone(),
        incident: incident.clone(),
        opened_at: at(0),
        renewals: 0,
        confirmation: Some(due),
        ended: None,
    };
    let break_glass = Box::new(glass);
    story.push("glass", 0, &Event::BreakGlassOpened { break_glass, until: grant.until });
    session(&mut story, "grt-1", "alice", EndReason::IncidentOver);
    let record = |kind: &str| json!({"kind": kind, "session": "ses-1", "sha256": "", "bytes": 1});
    let mut ended = record("recording.ended");
    ended["chunks"] = json!(1);
    let story = story.with(120, record("recording.started")).with(602, ended);
    let mut story = story;
    let confirmation = Approval {
        by: person("carol").to_ref(),
        on_behalf_of: None,
        role: Role::new("lead"),
        slot: 0,
        at: at(5),
        narrowing: Narrowing::default(),
        comment: None,
        script: None,
        via: None,
    };
    let (id, incident) = (grant.id.clone(), incident.id);
    let confirmed = Event::BreakGlassConfirmed {
        grant: id.clone(),
        incident: incident.clone(),
        confirmation,
        complete: true,
    };
    story.push("confirmed", 603, &confirmed);
    story.push(
        "over",
        604,
        &Event::BreakGlassEnded { grant: id.clone(), incident, why: BreakGlassEndReason::Closed },
    );
    let review = crate::core::review::open(
        ReviewId::from_stored("rev-1"),
        &grant,
        at(10),
        std::time::Duration::from_secs(48 * 3600),
    );
    story.push("review", 605, &Event::ReviewOpened { review: Box::new(review) });
    let finding = ReviewFinding {
        by: person("carol").to_ref(),
        role: Role::new("security"),
        at: at(20),
        verdict: Verdict::Justified,
        finding: "needed".into(),
        actions: Vec::new(),
    };
    story.push(
        "finding",
        1200,
        &Event::ReviewWritten { review: ReviewId::from_stored("rev-1"), grant: id, finding },
    );
    story.0.push(("last", 90_000, serde_json::from_str(POLICY).unwrap()));
    story
}

/// A review over more than a quarter: started in it, decided by another, signed.
fn reviewed() -> Story {
    let days = |days: i64| days * 86_400;
    let mut story = Story(vec![("policy", -60, serde_json::from_str(POLICY).unwrap())]);
    let campaign = CampaignId::from_stored("cam-1");
    let started = Event::CampaignStarted {
        campaign: campaign.clone(),
        by: Some(person("dave").to_ref()),
        scheduled: None,
        from: at(-60),
        to: at(0),
        targets: vec!["prod-orders".into()],
        due_at: at(0) + SignedDuration::from_secs(days(14)),
        lines: 1,
        people: 1,
        sha256: "0".into(),
    };
    story.push("started", days(1), &started);
    let decision = LineDecision {
        by: person("carol").to_ref(),
        role: Role::new("lead"),
        at: at(0) + SignedDuration::from_secs(days(2)),
        verdict: LineVerdict::Revoked,
        keeps: std::collections::BTreeSet::new(),
        comment: "left".into(),
    };
    let (of, target) = (campaign.clone(), "prod-orders".to_owned());
    let decided = Event::CampaignDecided {
        campaign: campaign.clone(),
        line: 1,
        person: person("alice").to_ref(),
        target: target.clone(),
        decision,
    };
    story.push("decided", days(2), &decided);
    let signed = Event::CampaignSigned {
        campaign,
        by: person("carol").to_ref(),
        sha256: "1".into(),
        certified: 0,
        narrowed: 0,
        revoked: 1,
    };
    story.push("signed", days(3), &signed);
    // Given back by another review, which is no exception.
    let returned = Event::AccessUnbarred {
        person: person("alice").to_ref(),
        target,
        by: person("carol").to_ref(),
        of: Some(of),
        campaign: Some(CampaignId::from_stored("cam-2")),
        comment: "is back".into(),
    };
    story.push("returned", days(20), &returned);
    story.0.push(("last", days(89), serde_json::from_str(POLICY).unwrap()));
    story
}

#[test]
fn r9_4_a_quarter_without_a_review_is_found_where_all_of_it_is_on_the_ledger() {
    // It begins within the first quarter; the second lies between its days 76 and 167.
    let last = |day: i64| reviewed().moved("last", day * 86_400);
    assert_eq!(last(166).found(), []);
    assert_eq!(last(167).found(), [("no-campaign", "2027Q2".to_owned())]);
    let second = reviewed()
        .moved("started", 100 * 86_400)
        .moved("decided", 101 * 86_400)
        .moved("signed", 102 * 86_400);
    let second =
        second.moved("last", 182 * 86_400).change("started", |s| s["due_at"] = json!(at(200 * 1440)));
    assert_eq!(second.found(), []);
}

#[test]
fn r9_where_nothing_is_wrong_nothing_is_found() {
    assert_eq!(reviewed().found(), []);
    assert_eq!(approved().found(), []);
    assert_eq!(broken_glass().found(), []);
}

#[test]
fn r9_each_departure_is_found_and_named_after_what_it_is_about() {
    let alice = |value: &mut Value| value["approval"]["by"]["subject"] = json!("alice");
    let lent =
        |value: &mut Value| value["approval"]["on_behalf_of"] = json!({"subject": "bob", "email": "b@x"});
    let unready = |story: Story| story.without("first").without("second");
    let swept = json!({"kind": "role.swept", "target": "prod-orders", "role": "dba_s_9"});
    let revoked =
        json!({"kind": "grant.revoked", "grant": "grt-1", "by": person("bob").to_ref(), "reason": null});
    let denied = json!({"kind": "request.cancelled", "request": "req-1", "by": person("alice").to_ref()});
    let table: Vec<(Story, &[(&str, &str)])> = vec![
        (approved().without("request"), &[("no-request", "grt-1")]),
        (approved().with(31, denied), &[("refused", "grt-1")]),
        (approved().change("request", |r| r["request"]["decision"]["tier"] = json!("deny")), &[("refused", "grt-1")]),
        (unready(approved()), &[("not-approved", "grt-1")]),
        (approved().without("first"), &[("not-complete", "grt-1")]),
        (approved().moved("second", 70), &[("approved-late", "grt-1")]),
        (approved().change("first", alice), &[("self-approval", "grt-1")]),
        (approved().change("second", lent), &[("same-person", "grt-1")]),
        (
            approved().change("grant", |g| g["grant"]["script"] = json!({"name": "a.sql", "sha256": "1"})),
            &[("other-script", "grt-1"), ("other-script", "grt-1")],
        ),
        (approved().without("policy"), &[("unknown-policy", "grt-1")]),
        (approved().change("opening", |o| o["grant"] = json!("grt-9")), &[("no-grant", "ses-1")]),
        (approved().change("opening", |o| o["target"] = json!("other")), &[("other-access", "ses-1")]),
        (approved().moved("opening", 59), &[("opened-before", "ses-1")]),
        (
            approved().change("grant", |g| g["grant"]["until"] = json!(at(1) + SignedDuration::from_secs(30))),
            &[("opened-after", "ses-1"), ("outlived", "ses-1")],
        ),
        (approved().with(100, revoked.clone()), &[("opened-revoked", "ses-1"), ("outlived", "ses-1")]),
        (approved().with(500, revoked), &[("outlived", "ses-1")]),
        (approved().change("dead", |d| d["latency_ms"] = json!(30_001)), &[("revoked-late", "ses-1")]),
        (approved().without("dead"), &[("outlived", "ses-1"), ("never-dead", "ses-1")]),
        (
            approved().change("request", |r| r["request"]["window"] = json!(60)),
            &[("too-long", "grt-1")],
        ),
        (approved().with(700, swept), &[("swept-role", "dba_s_9")]),
        (approved().without("outcome"), &[("no-outcome", "ses-1")]),
        (
            approved().without("opening"),
            &[("no-session", "ses-1")],
        ),
        (approved().moved("intent", 700), &[("after-death", "ses-1")]),
        (approved().with(700, json!({"kind": "future.thing"})), &[("unknown-record", "future.thing")]),
        (approved().with(700, json!({"kind": "ledger.recovered"})), &[("record-torn", "ledger")]),
        (
            approved().without("intent").without("outcome").with(
                700,
                json!({"kind": "statements.pruned", "session": "ses-1", "statements": 1, "rule": "statements = 1d"}),
            ),
            &[("statements-pruned", "ses-1")],
        ),
        (approved().with(700, json!({"kind": "ledger.pruned", "segment": "s", "lines": 1, "gaps": "0", "rule": "r"})), &[]),
        (
            broken_glass().with(700, json!({"kind": "recording.pruned", "session": "ses-1", "rule": "recordings = 1d"})),
            &[("recording-pruned", "ses-1")],
        ),
        (broken_glass().without("review").without("finding"), &[("no-review", "grt-1")]),
        (
            broken_glass().without("finding").moved("last", 400_000),
            &[("review-overdue", "grt-1")],
        ),
        (
            broken_glass().change("finding", |f| f["finding"]["at"] = json!(at(60 * 24 * 3))),
            &[("review-overdue", "grt-1")],
        ),
        (broken_glass().change("finding", |f| f["finding"]["by"]["subject"] = json!("alice")), &[("own-review", "grt-1")]),
        (broken_glass().change("finding", |f| f["finding"]["verdict"] = json!("unjustified")), &[("unjustified", "grt-1")]),
        (broken_glass().without("confirmed"), &[("unconfirmed", "grt-1")]),
        (reviewed().without("signed"), &[("campaign-overdue", "cam-1")]),
        (reviewed().moved("signed", 15 * 86_400), &[("campaign-overdue", "cam-1")]),
        (reviewed().without("decided"), &[("signed-open", "cam-1")]),
        (reviewed().moved("decided", 4 * 86_400), &[("signed-open", "cam-1")]),
        (
            reviewed().change("decided", |d| d["decision"]["by"]["subject"] = json!("alice")),
            &[("own-line", "cam-1")],
        ),
        (
            reviewed().change("returned", |r| drop(r.as_object_mut().unwrap().remove("campaign"))),
            &[("lifted", "cam-1")],
        ),
        (broken_glass().without("new"), &[("not-recorded", "ses-1")]),
        (
            broken_glass().with(610, json!({"kind": "break_glass.unconfirmed", "grant": "grt-1", "incident": "PD-7", "due": at(1)})),
            &[("unconfirmed", "grt-1")],
        ),
    ];
    for (index, (story, expected)) in table.into_iter().enumerate() {
        let mut expected: Vec<_> =
            expected.iter().map(|(rule, about)| (*rule, (*about).to_owned())).collect();
        expected.sort();
        assert_eq!(story.found(), expected, "row {index}");
    }
    let mut story = broken_glass();
    let end = story.0.iter().position(|(_, _, record)| record["kind"] == "recording.ended").unwrap();
    let lost = json!({"untold": 0, "lost": 2, "torn_bytes": 0});
    let mut torn = story.clone();
    torn.0[end].2["recovered"] = lost;
    assert_eq!(torn.found(), [("recording-lost", "ses-1".to_owned())]);
    story.0.remove(end);
    assert_eq!(story.found(), [("not-ended", "ses-1".to_owned())]);
}
