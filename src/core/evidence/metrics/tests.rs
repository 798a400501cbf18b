use super::*;
use crate::core::approval::tests::{person, submitted};
use crate::core::evidence::Mark;
use crate::core::model::{
    Actor, BreakGlass, EndReason, Event, Grant, IncidentId, IncidentRef, Limits, RequestId, RoleScan, Totals,
};
use serde_json::json;

/// A history that is told second by second; the span ends at second 0.
#[derive(Default)]
struct Teller {
    history: History,
    seq: u64,
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

const HOUR: i64 = 3600;
const WEEK: i64 = 7 * 24 * HOUR;

impl Teller {
    fn tell(&mut self, at: i64, body: &str) {
        self.seq += 1;
        self.history.record(Mark { seq: self.seq, at: second(at) }, body);
    }

    fn event(&mut self, at: i64, event: &Event) {
        self.tell(at, &serde_json::to_string(event).unwrap());
    }

    /// A request of that tier, and its grant some seconds later.
    fn grant(&mut self, id: &str, at: i64, tier: Tier, waited: i64) -> Grant {
        let mut request = submitted(Tier::Single);
        request.decision.tier = tier;
        request.id = RequestId::from_stored(format!("req-{id}"));
        let grant = Grant {
            id: GrantId::from_stored(format!("grt-{id}")),
            request: request.id.clone(),
            person: request.person.clone(),
            target: request.target.clone(),
            scope: request.scope.clone(),
            path: if tier == Tier::BreakGlass { Path::BreakGlass } else { request.path },
            limits: Limits::default(),
            script: None,
            from: second(at),
            until: second(at + HOUR),
            revoked: None,
        };
        self.event(at, &Event::RequestCreated { request: Box::new(request) });
        self.event(at + waited, &Event::GrantIssued { grant: Box::new(grant.clone()) });
        grant
    }

    /// A session that reads orders three seconds after its opening began, and
    /// whose role is gone `latency_ms` after its end.
    fn session(&mut self, id: &str, grant: &Grant, at: i64, lasts: i64, writes: &[&str], latency_ms: u64) {
        let session = SessionId::from_stored(format!("ses-{id}"));
        self.event(
            at,
            &Event::SessionOpening {
                session: session.clone(),
                grant: grant.id.clone(),
                person: grant.person.clone(),
                target: grant.target.clone(),
                role: "dba_s_1".into(),
                profile: "p".into(),
            },
        );
        self.event(at + 1, &Event::SessionOpened { session: session.clone() });
        let facts = json!({"verbs": ["SELECT"], "reads": ["orders"], "writes": writes, "columns": ["id"]});
        let intent = json!({"kind": "statement.intent", "session": session, "grant": grant.id,
            "connection": "con-1", "person": grant.person, "target": grant.target, "text": "x",
            "class": "SELECT", "facts": facts});
        self.tell(at + 3, &intent.to_string());
        let ending =
            Event::SessionEnding { session: session.clone(), reason: EndReason::Exit, by: Actor::System };
        self.event(at + lasts, &ending);
        let totals = Totals { statements: 1, rows: 1, bytes: 9 };
        self.event(at + lasts, &Event::SessionDead { session, role: "dba_s_1".into(), latency_ms, totals });
    }

    fn measure(&self, length: i64) -> Vec<Metric> {
        measure(&self.history, Span::before(second(0), SignedDuration::from_secs(length)))
    }
}

fn part<'m>(metric: &'m Metric, name: &str) -> &'m Part {
    metric.parts.iter().find(|part| part.name == name).unwrap()
}

#[test]
fn r10_nothing_is_measured_where_nothing_happened() {
    let metrics = Teller::default().measure(30 * 24 * HOUR);
    let told: Vec<(&str, Option<f64>, Option<bool>)> =
        metrics.iter().map(|metric| (metric.id.as_str(), metric.value, metric.met)).collect();
    let ids = ["R10.1", "R10.2", "R10.3", "R10.4", "R10.5", "R10.6"];
    assert_eq!(told, ids.map(|id| (id, None, None)));
    assert!(metrics.iter().all(|metric| metric.weeks.len() == 12), "three months at least");
}

#[test]
fn r10_1_standing_roles_are_those_of_each_targets_last_scan() {
    let mut teller = Teller::default();
    let mut scanned = |at: i64, target: &str, roles: &[&str]| {
        let roles: Vec<String> = roles.iter().map(ToString::to_string).collect();
        let scan = Box::new(RoleScan { standing: roles.len(), roles, ..RoleScan::default() });
        teller.event(at, &Event::TargetScanned { target: target.into(), by: Actor::System, scan });
    };
    scanned(-6 * WEEK, "gone", &["old"]);
    scanned(-2 * WEEK, "shop", &["ann", "bob"]);
    scanned(-2 * HOUR, "shop", &["ann"]);
    scanned(-HOUR, "hr", &["eve"]);
    let metric = &teller.measure(WEEK)[0];
    assert_eq!((metric.value, metric.met), (Some(2.0), Some(false)));
    let behind: Vec<_> = metric.behind.iter().map(|case| (case.target.as_str(), case.id.as_str())).collect();
    assert_eq!(behind, [("hr", "eve"), ("shop", "ann")]);
    let weeks: Vec<Option<f64>> = metric.weeks.iter().rev().map(|week| week.value).take(6).collect();
    assert_eq!(weeks, [Some(2.0), Some(2.0), None, None, None, Some(1.0)], "a scan holds for a week");
}

#[test]
fn r10_2_r10_6_sessions_count_when_their_role_is_gone() {
    let mut teller = Teller::default();
    let grant = teller.grant("1", -WEEK - HOUR, Tier::Auto, 0);
    // Of the week before.
    teller.session("0", &grant, -WEEK - HOUR, 600, &[], 100);
    teller.session("1", &grant, -5 * HOUR, HOUR, &[], 100);
    teller.session("2", &grant, -4 * HOUR, 3 * HOUR, &[], 40_000);
    let answer = ProbeAnswer::Refused { sqlstate: "28P01".into() };
    for (id, answer) in [("1", answer), ("2", ProbeAnswer::LetIn)] {
        let session = SessionId::from_stored(format!("ses-{id}"));
        teller.event(-60, &Event::CredentialProbed { session, answer, after_ms: 150 });
    }
    // Removed and refused after it was let in: that it was let in stays.
    let (session, sqlstate) = (SessionId::from_stored("ses-2"), "28P01".to_owned());
    let answer = ProbeAnswer::Refused { sqlstate };
    teller.event(-50, &Event::CredentialProbed { session, answer, after_ms: 250 });
    let metrics = teller.measure(WEEK);
    let durations = &metrics[1];
    assert_eq!((durations.value, durations.previous), (Some(7200.0), Some(600.0)));
    assert_eq!((durations.met, durations.behind[0].id.as_str()), (Some(false), "ses-2"));
    assert_eq!(durations.behind[0].why, "lasted 3 h");
    let revocations = &metrics[5];
    assert_eq!((revocations.value, revocations.met), (Some(40.0), Some(false)));
    assert_eq!(part(revocations, "p50").value, Some(0.1));
    assert_eq!(part(revocations, "dead credentials refused").value, Some(1.0));
    assert_eq!(part(revocations, "dead credentials let in").value, Some(1.0));
    let behind: Vec<_> = revocations.behind.iter().map(|case| case.why.as_str()).collect();
    assert_eq!(behind, ["its credential was let in afterwards", "its role was gone after 40 s"]);
}

#[test]
fn r10_3_a_grants_sessions_are_judged_together_and_break_glass_is_not() {
    let mut teller = Teller::default();
    let wide = teller.grant("1", -9 * HOUR, Tier::Auto, 0);
    teller.session("1", &wide, -8 * HOUR, HOUR, &[], 10);
    let both = teller.grant("2", -9 * HOUR, Tier::Auto, 0);
    teller.session("2", &both, -8 * HOUR, HOUR, &["orders"], 10);
    teller.session("3", &both, -6 * HOUR, HOUR, &["payments", "refunds"], 10);
    let glass = teller.grant("4", -9 * HOUR, Tier::BreakGlass, 0);
    teller.session("4", &glass, -8 * HOUR, HOUR, &[], 10);
    let metric = &teller.measure(WEEK)[2];
    let value = metric.value.unwrap();
    assert!((value - 33.3).abs() < 0.1, "{metric:?}");
    assert_eq!((metric.met, metric.behind.len(), metric.more), (Some(false), 1, 0));
    let case = &metric.behind[0];
    assert_eq!((case.id.as_str(), case.person.as_deref()), ("ses-1", Some("alice@example.com")));
    assert_eq!(
        case.why,
        "writing was allowed, and nothing was written; not used: public.payments, public.refunds"
    );
    assert_eq!(case.tighter.as_deref(), Some("dbaccess request prod-orders --table public.orders"));
}

#[test]
fn r10_4_peoples_part_of_the_wait_is_told_apart_from_the_machines() {
    let mut teller = Teller::default();
    let auto = teller.grant("1", -9 * HOUR, Tier::Auto, 0);
    teller.session("1", &auto, -9 * HOUR, 60, &[], 10);
    // A later session of the same grant is no access of its own.
    teller.session("2", &auto, -8 * HOUR, 60, &[], 10);
    let asked = teller.grant("3", -7 * HOUR, Tier::Single, 1200);
    teller.session("3", &asked, -7 * HOUR + 1300, 60, &[], 10);
    teller.grant("4", -6 * HOUR, Tier::Auto, 0);
    let glass = teller.grant("5", -9 * HOUR, Tier::BreakGlass, 0);
    teller.session("5", &glass, -9 * HOUR, 60, &[], 10);
    let metric = &teller.measure(WEEK)[3];
    assert_eq!((metric.value, metric.met), (Some(3.0), Some(true)));
    for (name, value) in [
        ("p95", 1303.0),
        ("auto-approved, p50", 3.0),
        ("people, p50", 1200.0),
        ("machine, p95", 1.0),
        ("grants without a statement", 1.0),
    ] {
        assert_eq!(part(metric, name).value, Some(value), "{name}");
    }
    assert_eq!(metric.behind[0].why, "took 22 min, of which people's approval 20 min");
}

#[test]
fn r10_5_break_glass_is_counted_by_thirty_days() {
    let mut teller = Teller::default();
    for (id, at) in [("1", -40 * 24 * HOUR), ("2", -20 * 24 * HOUR), ("3", -24 * HOUR), ("4", -HOUR)] {
        let grant = teller.grant(id, at, Tier::BreakGlass, 0);
        let incident = IncidentRef {
            id: "PD-Q1".parse::<IncidentId>().unwrap(),
            title: None,
            url: None,
            confirmed: true,
        };
        let opened = BreakGlass {
            grant: grant.id,
            request: grant.request,
            person: person("alice").to_ref(),
            target: grant.target,
            incident,
            opened_at: second(at),
            renewals: 0,
            confirmation: None,
            ended: None,
        };
        teller
            .event(at, &Event::BreakGlassOpened { break_glass: Box::new(opened), until: second(at + HOUR) });
    }
    for (length, value, behind) in [(WEEK, 3.0, 3), (30 * 24 * HOUR, 3.0, 3), (60 * 24 * HOUR, 2.0, 4)] {
        let metric = &teller.measure(length)[4];
        assert_eq!((metric.value, metric.behind.len()), (Some(value), behind), "{length}");
        assert_eq!(metric.met, Some(value < 3.0));
    }
}

#[test]
fn quantiles_are_values_that_were_there() {
    for (values, part, expected) in [
        (vec![], 0.5, None),
        (vec![7.0], 0.99, Some(7.0)),
        (vec![4.0, 1.0, 3.0, 2.0], 0.5, Some(2.0)),
        ((1..=100).map(f64::from).collect(), 0.95, Some(95.0)),
        ((1..=100).map(f64::from).collect(), 0.99, Some(99.0)),
    ] {
        let mut values: Vec<f64> = values;
        assert_eq!(quantile(&mut values, part), expected);
    }
}
