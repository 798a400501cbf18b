//! R8.1: the incident systems' clients, against servers that answer as the
//! vendors' documentation says, and as servers do.

use crate::support::incidents::{Incident, Mood, TOKEN, Vendor};
use dbaccess::core::break_glass::Answer;
use dbaccess::core::model::{IncidentState, Secret};
use dbaccess::server::config;
use dbaccess::server::incidents::Incidents;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

fn api(port: u16, token: &str) -> config::IncidentApi {
    let named = |id: &str| BTreeMap::from([("orders".to_owned(), BTreeSet::from([id.to_owned()]))]);
    config::IncidentApi {
        url: format!("http://127.0.0.1:{port}"),
        token: Secret::new(token),
        ca: None,
        services: named("PSVC1"),
        schedules: named("SCHED1"),
    }
}

fn asking(pagerduty: Option<u16>, opsgenie: Option<u16>, token: &str) -> Incidents {
    let of = |port: Option<u16>| port.map(|port| api(port, token));
    Incidents::new(&config::Incidents { pagerduty: of(pagerduty), opsgenie: of(opsgenie) }).unwrap()
}

async fn ask(incidents: &Incidents, id: &str) -> Answer {
    incidents.ask(&id.parse().unwrap()).await
}

fn found(answer: Answer) -> dbaccess::core::model::Incident {
    match answer {
        Answer::Found(incident) => incident,
        other => panic!("{other:?}"),
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_1_pagerduty_tells_of_an_incident_its_service_and_its_assignees() {
    let vendor = Vendor::pagerduty().await;
    let incidents = asking(Some(vendor.port), None, TOKEN);
    vendor.q1(|one| one.assignees = vec!["PALICE", "PBOB", "PGONE"]);
    let incident = found(ask(&incidents, "PD-Q1").await);
    assert_eq!(incident.state, IncidentState::Open);
    assert_eq!(incident.title, "The server is on fire.");
    assert_eq!(incident.assignees, set(&["Alice@example.com", "bob@example.com"]));
    assert_eq!(incident.services, set(&["PSVC1"]));
    assert_eq!(incident.url.as_deref(), Some("https://acme.pagerduty.com/incidents/Q1"));
    for (status, state) in [
        ("acknowledged", Some(IncidentState::Open)),
        ("resolved", Some(IncidentState::Closed)),
        ("merged", None),
    ] {
        vendor.q1(|one| one.status = status);
        match (ask(&incidents, "PD-Q1").await, state) {
            (Answer::Found(incident), Some(state)) => assert_eq!(incident.state, state, "{status}"),
            (Answer::Unknown(why), None) => assert!(why.contains("unknown status `merged`"), "{why}"),
            (answer, _) => panic!("{status}: {answer:?}"),
        }
    }
    assert_eq!(ask(&incidents, "PD-Q2").await, Answer::Missing);
    assert!(matches!(ask(&incidents, "OG-Q1").await, Answer::Unknown(_)), "not configured");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_1_opsgenie_tells_of_incidents_and_alerts_and_of_who_took_them() {
    let vendor = Vendor::opsgenie().await;
    let incidents = asking(None, Some(vendor.port), TOKEN);
    vendor.q1(|one| one.status = "open");
    let incident = found(ask(&incidents, "OG-Q1").await);
    assert_eq!(incident.assignees, set(&["Alice@example.com"]));
    assert_eq!(incident.services, set(&["PSVC1", "PSVC9"]));
    // Whoever has taken one of the alerts that call people, on every page of them.
    vendor.q1(|one| one.assignees.clear());
    vendor.change(|world| {
        world.alerts =
            vec![("a1", ""), ("a2", "bob@example.com"), ("a3", ""), ("a4", ""), ("a5", "erin@example.com")];
    });
    let incident = found(ask(&incidents, "OG-Q1").await);
    assert_eq!(incident.assignees, set(&["bob@example.com", "erin@example.com"]));
    let pages = vendor.asked().iter().filter(|asked| asked.contains("responder-alert-ids?")).count();
    assert_eq!(pages, 1 + 3, "{:?}", vendor.asked());
    for (status, state) in [("resolved", IncidentState::Closed), ("closed", IncidentState::Closed)] {
        vendor.q1(|one| one.status = status);
        assert_eq!(found(ask(&incidents, "OG-Q1").await).state, state);
    }
    // An alert belongs to its responders' teams.
    vendor.change(|world| {
        let alert = Incident { status: "open", ..Incident::of("", &["PBOB"]) };
        world.known.incidents.insert("1791".to_owned(), alert);
    });
    let alert = found(ask(&incidents, "OG-1791").await);
    assert_eq!(alert.services, set(&["TEAM1"]));
    assert_eq!(alert.assignees, set(&["alice@example.com", "bob@example.com"]));
    assert!(vendor.asked().iter().any(|asked| asked == "/v2/alerts/1791?identifierType=tiny"));
    assert_eq!(ask(&incidents, "OG-0").await, Answer::Missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_1_a_system_in_trouble_says_nothing_and_in_time() {
    for (name, vendor) in [("PD-Q1", Vendor::pagerduty().await), ("OG-Q1", Vendor::opsgenie().await)] {
        let of = |token: &str| match name {
            "PD-Q1" => asking(Some(vendor.port), None, token),
            _ => asking(None, Some(vendor.port), token),
        };
        let trap = Vendor::pagerduty().await;
        let moods = [
            (Mood::Status(500), "status 500"),
            (Mood::Status(403), "does not accept the token (status 403)"),
            (Mood::Huge, "larger than a megabyte"),
            (Mood::Garbled, "cannot be read"),
            (Mood::Elsewhere(format!("http://127.0.0.1:{}/incidents/Q1", trap.port)), "status 302"),
            (Mood::Silent, "no answer within 3 s"),
        ];
        for (mood, words) in moods {
            vendor.feels(mood.clone());
            let started = Instant::now();
            let Answer::Unknown(why) = ask(&of(TOKEN), name).await else { panic!("{mood:?}") };
            assert!(why.contains(words), "{mood:?}: {why}");
            assert!(!why.contains(TOKEN) && started.elapsed() < Duration::from_secs(9), "{why}");
        }
        // What whoever asks could bring about is no trouble of the system's.
        vendor.feels(Mood::Status(400));
        let Answer::Refused(why) = ask(&of(TOKEN), name).await else { panic!("an id it cannot read") };
        assert!(why.contains("status 400"), "{why}");
        assert_eq!(trap.asked(), Vec::<String>::new(), "the token goes to nobody else");
        vendor.feels(Mood::Well);
        let Answer::Unknown(why) = ask(&of("another"), name).await else { panic!("a wrong token") };
        assert!(why.contains("does not accept the token (status 401)"), "{why}");
    }
    let nobody = asking(Some(1), None, TOKEN);
    let Answer::Unknown(why) = ask(&nobody, "PD-Q1").await else { panic!("nobody is there") };
    assert!(why.contains("cannot be reached"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_1_a_system_that_says_to_slow_down_is_left_alone_for_as_long() {
    let vendor = Vendor::pagerduty().await;
    let incidents = asking(Some(vendor.port), None, TOKEN);
    // A moment is waited for.
    vendor.feels(Mood::Busy(1, 0));
    found(ask(&incidents, "PD-Q1").await);
    vendor.feels(Mood::Busy(1, 30));
    let Answer::Refused(why) = ask(&incidents, "PD-Q1").await else { panic!("it is busy") };
    assert!(why.contains("asked again in 30 s"), "{why}");
    let asked = vendor.asked().len();
    let Answer::Refused(why) = ask(&incidents, "PD-Q1").await else { panic!("it is left alone") };
    assert!(why.contains("asked again in"), "{why}");
    assert_eq!(vendor.asked().len(), asked, "it was not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_1_who_is_on_call_is_asked_page_by_page_and_remembered() {
    let (pagerduty, opsgenie) = (Vendor::pagerduty().await, Vendor::opsgenie().await);
    let fresh = || asking(Some(pagerduty.port), Some(opsgenie.port), TOKEN);
    let incidents = fresh();
    assert!(!incidents.is_on_call("alice@example.com", "orders").await);
    pagerduty.change(|world| {
        world.known.on_call = vec![("PALICE", "PESC1", 1), ("PBOB", "PESC1", 2), ("PERIN", "PESC2", 1)]
    });
    opsgenie.change(|world| world.known.on_call = vec![("PBOB", "SCHED2", 1)]);
    let asked = pagerduty.asked().len();
    assert!(!incidents.is_on_call("ALICE@example.com", "orders").await, "remembered for a minute");
    assert_eq!(pagerduty.asked().len(), asked);
    let incidents = fresh();
    assert!(incidents.is_on_call("alice@example.com", "orders").await);
    assert!(pagerduty.asked().iter().any(|asked| asked.contains("offset=6")), "{:?}", pagerduty.asked());
    for (email, service) in [
        ("bob@example.com", "orders"),
        ("erin@example.com", "orders"),
        ("nobody@example.com", "orders"),
        ("alice@example.com", "billing"),
    ] {
        assert!(!incidents.is_on_call(email, service).await, "{email} {service}");
    }
    opsgenie.change(|world| world.known.on_call = vec![("PBOB", "SCHED1", 1)]);
    assert!(fresh().is_on_call("bob@example.com", "orders").await, "by Opsgenie's schedule");
    // Nobody is, while nobody answers, and that soon.
    pagerduty.feels(Mood::Silent);
    let started = Instant::now();
    assert!(!fresh().is_on_call("alice@example.com", "orders").await);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}
