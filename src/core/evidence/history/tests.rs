use super::*;
use crate::core::approval::approve;
use crate::core::approval::tests::{at, own, person, submitted};
use crate::core::model::{Actor, EndReason, Narrowing, Tier, Totals};
use serde_json::json;

/// Feeds records a minute apart.
struct Teller {
    history: History,
    seq: u64,
}

impl Teller {
    fn new() -> Self {
        Self { history: History::default(), seq: 0 }
    }

    fn tell(&mut self, body: &str) {
        self.seq += 1;
        self.history.record(Mark { seq: self.seq, at: at(self.seq as i64) }, body);
    }

    fn event(&mut self, event: &Event) {
        self.tell(&serde_json::to_string(event).unwrap());
    }
}

fn intent(session: &str) -> String {
    json!({"kind": "statement.intent", "session": session, "grant": "grt-1", "connection": "con-1",
        "person": {"subject": "alice", "email": "a@x"}, "target": "prod-orders", "text": "select 1",
        "class": "SELECT"})
    .to_string()
}

fn outcome(intent: u64, result: serde_json::Value) -> String {
    json!({"kind": "statement.outcome", "intent": intent, "session": "ses-1", "result": result, "rows": 2,
        "bytes": 30, "duration_us": 5})
    .to_string()
}

#[test]
fn r9_1_an_access_is_told_from_its_request_to_its_roles_death() {
    let mut teller = Teller::new();
    let waiting = submitted(Tier::Single);
    teller.event(&Event::RequestCreated { request: Box::new(waiting.clone()) });
    let carol = person("carol").to_ref();
    let granted = approve(
        waiting,
        &carol,
        &[own("carol", &[&["lead"]])],
        Narrowing::default(),
        None,
        at(1),
        GrantId::from_stored("grt-1"),
    );
    for event in granted.unwrap().events {
        teller.event(&event);
    }
    let session = SessionId::from_stored("ses-1");
    teller.event(&Event::SessionOpening {
        session: session.clone(),
        grant: GrantId::from_stored("grt-1"),
        person: person("alice").to_ref(),
        target: "prod-orders".into(),
        role: "dba_s_1".into(),
        profile: "p".into(),
    });
    teller.event(&Event::SessionOpened { session: session.clone() });
    for result in [
        json!({"ok": {"tag": "SELECT 2"}}),
        json!({"refused": {"sqlstate": "42501", "message": "no"}}),
        json!({"error": {"sqlstate": "42P01", "message": "no"}}),
    ] {
        teller.tell(&intent("ses-1"));
        teller.tell(&outcome(teller.seq, result));
    }
    teller.tell(&intent("ses-1"));
    teller.event(&Event::SessionEnding {
        session: session.clone(),
        reason: EndReason::Exit,
        by: Actor::System,
    });
    teller.event(&Event::SessionDead {
        session: session.clone(),
        role: "dba_s_1".into(),
        latency_ms: 12,
        totals: Totals { statements: 4, rows: 6, bytes: 90 },
    });

    let history = teller.history;
    let asked = &history.requests[&RequestId::from_stored("req-1")];
    assert_eq!(asked.created.seq, 1);
    assert_eq!(asked.standing().map(|(mark, by)| (mark.seq, &by.by)).collect::<Vec<_>>(), [(2, &carol)]);
    assert_eq!(asked.grant.as_ref().map(GrantId::as_str), Some("grt-1"));
    assert_eq!(history.grants[&GrantId::from_stored("grt-1")].issued.seq, 3);
    let held = &history.sessions[&session];
    assert_eq!((held.opening.seq, held.opened.unwrap().seq), (4, 5));
    let told = &held.statements;
    assert_eq!((told.begun, told.ended, told.refused, told.failed, told.rows), (4, 3, 1, 1, 6));
    assert_eq!((told.first.unwrap().seq, told.last.unwrap().seq), (6, 12));
    assert_eq!((held.dead.unwrap().seq, held.latency_ms), (14, Some(12)));
    assert_eq!((history.strays.len(), history.unknown.len()), (0, 0));
}

#[test]
fn approvals_before_an_amendment_do_not_stand() {
    let mut teller = Teller::new();
    let waiting = submitted(Tier::Dual);
    let request = Box::new(waiting.clone());
    teller.event(&Event::RequestCreated { request: request.clone() });
    let outcome = approve(
        waiting,
        &person("bob").to_ref(),
        &[own("bob", &[&["peer"], &[]])],
        Narrowing::default(),
        None,
        at(1),
        GrantId::from_stored("grt-1"),
    );
    for event in outcome.unwrap().events {
        teller.event(&event);
    }
    let asked = |teller: &Teller| teller.history.requests[&request.id].clone();
    assert_eq!(asked(&teller).standing().count(), 1);
    teller.event(&Event::RequestAmended { request: request.clone(), was: "0".into(), voided: 1 });
    assert_eq!((asked(&teller).standing().count(), asked(&teller).approvals.len()), (0, 1));
}

#[test]
fn what_no_record_opens_and_what_is_not_known_is_counted_with_its_place() {
    let mut teller = Teller::new();
    teller.tell(r#"{"kind":"checkpoint","of":1}"#);
    teller.tell(&intent("ses-9"));
    teller.tell(r#"{"kind":"future.thing"}"#);
    teller.tell("{}");
    let history = &teller.history;
    let told = |tally: &Tally| (tally.count, tally.first.seq, tally.last.seq);
    assert_eq!(told(&history.strays[&SessionId::from_stored("ses-9")]), (1, 2, 2));
    let unknown: Vec<_> = history.unknown.iter().map(|(kind, tally)| (kind.as_str(), told(tally))).collect();
    assert_eq!(unknown, [("", (1, 4, 4)), ("future.thing", (1, 3, 3))]);
    assert_eq!((teller.history.first.unwrap().seq, teller.history.last.unwrap().seq), (1, 4));
}
