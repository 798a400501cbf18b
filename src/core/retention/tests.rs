//! Who stays and why: filter by filter, and at the edges of time.

use super::*;
use crate::core::model::{Covered, EndReason, GrantId, Released, SessionId, Totals};

const RULE: Rule = Rule { what: "statements", age: Duration::from_secs(400 * 86_400) };

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// Alice's, in prod, from 100 to 200.
fn session() -> Session {
    Session {
        id: SessionId::from_stored("ses-1"),
        grant: GrantId::from_stored("grt-1"),
        person: PersonRef { subject: "sub-alice".into(), email: "alice@example.com".into() },
        target: "prod".into(),
        role: "r".into(),
        profile: "p".into(),
        state: SessionState::Dead,
        opened_at: at(100),
        until: at(300),
        end: Some(EndReason::Exit),
        ended_at: Some(at(199)),
        dead_at: Some(at(200)),
        totals: Totals::default(),
        recorded: true,
        statements_pruned: None,
        recording_pruned: None,
    }
}

fn hold(covers: Covered) -> Hold {
    let by = PersonRef { subject: "sub-dave".into(), email: "dave@example.com".into() };
    let (id, subjects) = (HoldId::from_stored("hld-1"), Vec::new());
    Hold { id, covers, subjects, reason: "x".into(), by, at: at(0), released: None }
}

/// When a session of 200 has come to its age.
fn due() -> Timestamp {
    at(200 + 400 * 86_400 + 1)
}

fn asked(session: &Session, holds: &[Hold], now: Timestamp) -> Option<Stays> {
    let incident = "PD-Q1".parse().ok();
    stays(&Candidate { session, incident: incident.as_ref(), awaits_review: false }, holds, RULE, now)
}

#[test]
fn what_is_old_goes_and_not_a_moment_before() {
    let dead = session();
    assert_eq!(asked(&dead, &[], due()), None);
    assert_eq!(asked(&dead, &[], at(200 + 400 * 86_400)), Some(Stays::Young));
    assert_eq!(asked(&dead, &[], Timestamp::MIN), Some(Stays::Young));
    for state in [SessionState::Opening, SessionState::Open, SessionState::Closing] {
        assert_eq!(asked(&Session { state, ..session() }, &[], due()), Some(Stays::Young), "{state:?}");
    }
    let undated = Session { dead_at: None, ..session() };
    assert_eq!(asked(&undated, &[], due()), Some(Stays::Young));
    let candidate = Candidate { session: &dead, incident: None, awaits_review: true };
    assert_eq!(stays(&candidate, &[], RULE, due()), Some(Stays::AwaitsReview));
    assert_eq!(RULE.to_string(), "statements = 400d");
}

#[test]
fn a_hold_on_a_person_keeps_what_they_did_under_another_address() {
    let covers = Covered { person: Some("alice.miller@example.com".into()), ..Covered::default() };
    let alone = hold(covers);
    assert_eq!(asked(&session(), std::slice::from_ref(&alone), due()), None);
    let known = Hold { subjects: vec!["sub-bob".into(), "sub-alice".into()], ..alone.clone() };
    assert_eq!(asked(&session(), &[known], due()), Some(Stays::Held(alone.id.clone())));
    // Subjects say who a person is, and name nobody by themselves.
    let elsewhere = Covered { target: Some("stage".into()), ..alone.covers.clone() };
    let other = Hold { covers: elsewhere, subjects: vec!["sub-alice".into()], ..alone };
    assert_eq!(asked(&session(), &[other], due()), None);
}

#[test]
fn a_hold_keeps_what_it_covers_until_it_is_released() {
    let some = |text: &str| Some(text.to_owned());
    let table: [(&str, Covered, bool); 15] = [
        ("everything", Covered::default(), true),
        ("the address", Covered { person: some("Alice@Example.com"), ..Covered::default() }, true),
        ("the subject", Covered { person: some("sub-alice"), ..Covered::default() }, true),
        ("somebody else", Covered { person: some("bob@example.com"), ..Covered::default() }, false),
        ("the target", Covered { target: some("prod"), ..Covered::default() }, true),
        ("another target", Covered { target: some("Prod"), ..Covered::default() }, false),
        (
            "the session",
            Covered { session: Some(SessionId::from_stored("ses-1")), ..Covered::default() },
            true,
        ),
        (
            "another session",
            Covered { session: Some(SessionId::from_stored("ses-10")), ..Covered::default() },
            false,
        ),
        ("the incident", Covered { incident: "PD-Q1".parse().ok(), ..Covered::default() }, true),
        ("another incident", Covered { incident: "OG-Q1".parse().ok(), ..Covered::default() }, false),
        ("since its last moment", Covered { from: Some(at(200)), ..Covered::default() }, true),
        ("since after it", Covered { from: Some(at(201)), ..Covered::default() }, false),
        ("until its first moment", Covered { until: Some(at(100)), ..Covered::default() }, false),
        ("until after it", Covered { until: Some(at(101)), ..Covered::default() }, true),
        (
            "the person, in another target",
            Covered { person: some("sub-alice"), target: some("stage"), ..Covered::default() },
            false,
        ),
    ];
    for (name, covers, held) in table {
        let mut hold = hold(covers);
        let expected = held.then(|| Stays::Held(hold.id.clone()));
        assert_eq!(asked(&session(), std::slice::from_ref(&hold), due()), expected, "{name}");
        hold.released = Some(Released { by: hold.by.clone(), at: at(1), reason: "over".into() });
        assert_eq!(asked(&session(), &[hold], due()), None, "{name}, released");
    }
}

#[test]
fn lines_stay_while_their_segment_grows_or_a_destination_lacks_some() {
    let forwards = |next| [("siem".to_owned(), next), ("lake".to_owned(), 900)].into();
    let table = [
        (101, forwards(900), Some(Stays::SegmentOpen)),
        (100, forwards(101), None),
        (100, forwards(100), Some(Stays::NotForwarded("siem".into()))),
        (7, forwards(8), Some(Stays::NotForwarded("siem".into()))),
        (7, forwards(0), Some(Stays::NotForwarded("siem".into()))),
        (7, BTreeMap::new(), None),
    ];
    for (last, forwards, expected) in table {
        let reach = Reach { closed: 100, forwards };
        assert_eq!(reach.stays(last), expected, "{last} {reach:?}");
    }
}
