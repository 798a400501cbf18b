//! Every answer at every moment, then people.

use super::*;
use crate::core::model::{GrantId, IncidentId, Limits, Objects, Path, Permission, Scope};

const RULES: Rules = Rules {
    window: Duration::from_secs(1800),
    unconfirmed_for: Duration::from_secs(7200),
    confirm_within: Duration::from_secs(3600),
};

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

fn person(name: &str) -> Person {
    Person {
        subject: name.into(),
        email: format!("{name}@example.com"),
        name: None,
        teams: BTreeSet::new(),
        roles: BTreeSet::new(),
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn slots() -> Vec<Slot> {
    let slot = |roles: &[&str]| Slot { any_of: roles.iter().map(|role| Role::new(*role)).collect() };
    vec![slot(&["peer"]), slot(&["manager", "security"])]
}

fn incident(state: IncidentState, assignees: &[&str], services: &[&str]) -> Incident {
    Incident {
        id: id(),
        title: "orders are slow".into(),
        state,
        services: set(services),
        assignees: set(assignees),
        url: None,
    }
}

fn id() -> IncidentId {
    "PD-Q1".parse().unwrap()
}

fn grant() -> Grant {
    Grant {
        id: GrantId::from_stored("grt-1"),
        request: RequestId::from_stored("req-1"),
        person: person("alice").to_ref(),
        target: "prod-orders".into(),
        scope: Scope::new(Objects::Database, BTreeSet::from([Permission::Read, Permission::Write])),
        path: Path::BreakGlass,
        script: None,
        limits: Limits::default(),
        from: at(0),
        until: at(30),
        revoked: None,
    }
}

fn opened(confirmed: bool) -> BreakGlass {
    let incident = IncidentRef { id: id(), title: None, url: None, confirmed };
    open(&grant(), incident, &slots(), at(0), &RULES).unwrap()
}

fn fine() -> Answer {
    Answer::Found(incident(IncidentState::Open, &["Alice@Example.com"], &["PSVC1"]))
}

fn step(glass: &BreakGlass, grant: &Grant, answer: Option<&Answer>, minute: i64) -> Step {
    next(glass, grant, answer, &set(&["PSVC1"]), at(minute), &RULES)
}

#[test]
fn r8_1_an_incident_stands_for_access_when_it_is_open_yours_and_of_the_service() {
    use IncidentState::{Closed, Open};
    type Case = (IncidentState, &'static [&'static str], &'static [&'static str], Result<(), &'static str>);
    let table: [Case; 7] = [
        (Open, &["alice@example.com"], &["PSVC1"], Ok(())),
        (Open, &["bob@example.com", "ALICE@EXAMPLE.COM"], &["PSVC9", "PSVC1"], Ok(())),
        (Closed, &["alice@example.com"], &["PSVC1"], Err("the incident is closed")),
        (
            Open,
            &["bob@example.com"],
            &["PSVC1"],
            Err("the incident is assigned to bob@example.com, not to you"),
        ),
        (Open, &[], &["PSVC1"], Err("the incident is assigned to nobody it names, not to you")),
        (Open, &["alice@example.com"], &["PSVC2"], Err("the incident belongs to another service (PSVC2)")),
        (
            Open,
            &["alice@example.com.evil.org"],
            &["PSVC1"],
            Err("the incident is assigned to alice@example.com.evil.org, not to you"),
        ),
    ];
    for (state, assignees, services, expected) in table {
        let found = check(&incident(state, assignees, services), "alice@example.com", &set(&["PSVC1"]));
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(str::to_owned));
    }
}

#[test]
fn r8_3_the_window_moves_while_the_incident_goes_on_and_ends_with_it() {
    let (glass, grant) = (opened(true), grant());
    let found =
        |state, assignees: &[&str], services: &[&str]| Answer::Found(incident(state, assignees, services));
    let unknown = Answer::Unknown("no answer".into());
    let closed = found(IncidentState::Closed, &[], &["PSVC1"]);
    let others = found(IncidentState::Open, &["bob@example.com"], &["PSVC1"]);
    let elsewhere = found(IncidentState::Open, &["alice@example.com"], &["PSVC2"]);
    let renew = |until, confirmed| Step::Renew { until: at(until), confirmed };
    let end = Step::End;
    let table: [(&Answer, i64, Step); 13] = [
        (&fine(), 1, Step::Keep),
        (&fine(), 24, Step::Keep),
        (&fine(), 25, renew(55, true)),
        (&fine(), 29, renew(59, true)),
        (&fine(), 30, end(BreakGlassEndReason::WindowEnded)),
        (&closed, 1, end(BreakGlassEndReason::Closed)),
        (&others, 1, end(BreakGlassEndReason::Reassigned)),
        (&elsewhere, 26, end(BreakGlassEndReason::OtherService)),
        (&Answer::Missing, 1, Step::Keep),
        (&Answer::Missing, 29, Step::Keep),
        (&unknown, 1, Step::Keep),
        (&unknown, 28, Step::Keep),
        (&unknown, 29, renew(59, false)),
    ];
    for (answer, minute, expected) in table {
        assert_eq!(step(&glass, &grant, Some(answer), minute), expected, "{answer:?} after {minute} min");
    }
    assert_eq!(step(&glass, &grant, None, 29), Step::Keep);
}

#[test]
fn r8_3_a_revocation_goes_before_a_renewal() {
    let revoked = crate::core::model::Revoked { by: person("dave").to_ref(), at: at(26), reason: None };
    let grant = Grant { revoked: Some(revoked), ..grant() };
    assert_eq!(step(&opened(true), &grant, Some(&fine()), 27), Step::End(BreakGlassEndReason::Revoked));
}

#[test]
fn r8_1_without_the_incident_system_access_is_bounded_and_must_be_confirmed() {
    let unknown = Answer::Unknown("no answer".into());
    let mut glass = opened(false);
    let mut grant = grant();
    assert_eq!(glass.confirmation.as_ref().unwrap().due, at(60));
    let renewed = renew(&mut glass, &mut grant, (at(59), false), &slots(), at(29), &RULES);
    assert_eq!((renewed, glass.renewals, grant.until), (Ok(()), 1, at(59)));
    assert_eq!(glass.confirmation.as_ref().unwrap().since, at(0), "counted from the first time");
    assert_eq!(step(&glass, &grant, Some(&fine()), 58), Step::Renew { until: at(88), confirmed: true });

    grant.until = at(70);
    let overdue = Step::End(BreakGlassEndReason::Unconfirmed);
    assert_eq!(step(&glass, &grant, Some(&fine()), 60), overdue, "the system's word does not make up for it");
    let fills = |role: &str| {
        slots()
            .iter()
            .map(|slot| slot.any_of.iter().filter(|r| r.0 == role).cloned().collect())
            .collect::<Vec<Vec<Role>>>()
    };
    for (name, role) in [("bob", "peer"), ("dave", "security")] {
        confirm(&mut glass, &person(name), &fills(role), (None, Via::Cli), at(40)).unwrap();
    }
    assert_eq!(step(&glass, &grant, Some(&unknown), 69), Step::Renew { until: at(99), confirmed: false });
    grant.until = at(115);
    assert_eq!(step(&glass, &grant, Some(&unknown), 114), Step::Renew { until: at(120), confirmed: false });
    grant.until = at(120);
    assert_eq!(step(&glass, &grant, Some(&unknown), 119), Step::Keep, "two hours in all");
}

#[test]
fn g6_r8_1_two_others_confirm_in_the_rules_roles() {
    let mut glass = opened(false);
    let fills = |peer: bool, security: bool| {
        let role = |may: bool, name: &str| may.then(|| Role::new(name)).into_iter().collect::<Vec<Role>>();
        vec![role(peer, "peer"), role(security, "security")]
    };
    let mut say = |name: &str, fills: Vec<Vec<Role>>| {
        confirm(&mut glass, &person(name), &fills, (None, Via::Web), at(5)).map_err(|error| error.to_string())
    };
    let refused = |result: Result<Event, String>, words: &str| {
        assert!(result.clone().is_err_and(|error| error.contains(words)), "{words}: {result:?}");
    };
    refused(say("alice", fills(true, true)), "your own");
    refused(say("erin", fills(false, false)), "needs confirmation by peer and manager or security");
    let first = say("dave", fills(true, true)).unwrap();
    assert!(matches!(
        first,
        Event::BreakGlassConfirmed {
            complete: false,
            confirmation: Approval { slot: 1, via: Some(Via::Web), .. },
            ..
        }
    ));
    refused(say("dave", fills(true, true)), "confirmed it already, as security");
    let second = say("bob", fills(true, false)).unwrap();
    assert!(matches!(second, Event::BreakGlassConfirmed { complete: true, .. }));
    refused(say("carol", fills(true, true)), "is confirmed already");
    let mut known = opened(true);
    assert!(matches!(
        confirm(&mut known, &person("bob"), &fills(true, true), (None, Via::Cli), at(5)),
        Err(ConfirmError::NotNeeded(_))
    ));
    let alone = open(&grant(), opened(false).incident, &slots()[..1], at(0), &RULES);
    assert_eq!(alone, Err(ConfirmError::TooFew));
}

#[test]
fn r8_1_who_was_not_confirmed_in_time_waits_with_the_next() {
    let (alice, bob) = (person("alice").to_ref(), person("bob").to_ref());
    let of = |confirmed, verdict| Earlier { glass: opened(confirmed), verdict };
    let earlier = [of(true, None), of(false, None)];
    assert_eq!(blocked(&earlier, &alice, at(59)), None);
    let why = blocked(&earlier, &alice, at(61)).unwrap();
    assert!(why.contains("req-1 (PD-Q1) should have been confirmed by two people 1m ago"), "{why}");
    assert_eq!(blocked(&earlier, &bob, at(61)), None);
    assert_eq!(blocked(&earlier[..1], &alice, at(61)), None);
    // What a review says counts as soon as it is said, and only a good word lifts.
    let justified = [of(false, Some(Verdict::Justified))];
    assert_eq!((blocked(&justified, &alice, at(61)), justified[0].owes()), (None, None));
    let unjustified = [of(false, Some(Verdict::Unjustified))];
    let why = blocked(&unjustified, &alice, at(1)).unwrap();
    assert!(why.contains("was not confirmed, and its review found it unjustified"), "{why}");
    // Where the incident system knew the incident, nothing was owed.
    assert_eq!(blocked(&[of(true, Some(Verdict::Unjustified))], &alice, at(61)), None);
}
