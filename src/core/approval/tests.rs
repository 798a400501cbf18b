//! Every act in every state, then the rules one by one.

use super::*;
use crate::core::model::{Limits, Permission, Slot, TableName};

pub(in crate::core) fn person(name: &str) -> Person {
    Person {
        subject: name.into(),
        email: format!("{name}@example.com"),
        name: None,
        teams: BTreeSet::new(),
        roles: BTreeSet::new(),
    }
}

pub(in crate::core) fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
}

pub(in crate::core) fn slot(roles: &[&str]) -> Slot {
    Slot { any_of: roles.iter().map(|role| Role::new(*role)).collect() }
}

pub(in crate::core) fn tables(names: &[&str]) -> BTreeSet<TableName> {
    names.iter().map(|name| TableName::new("public", *name)).collect()
}

fn request_id() -> RequestId {
    RequestId::from_stored("req-1")
}

fn grant_id() -> GrantId {
    GrantId::from_stored("grt-1")
}

pub(in crate::core) fn asked(tier: Tier) -> Submission {
    let slots = match tier {
        Tier::Single => vec![slot(&["lead", "security"])],
        Tier::Dual => vec![slot(&["peer"]), slot(&["lead", "manager", "security"])],
        _ => Vec::new(),
    };
    let objects =
        Objects::Only { schemas: BTreeSet::new(), tables: tables(&["orders", "payments", "refunds"]) };
    Submission {
        id: request_id(),
        person: person("alice").to_ref(),
        target: "prod-orders".into(),
        scope: Scope::new(objects, BTreeSet::from([Permission::Read, Permission::Write])),
        reason: " ticket 7 ".into(),
        migration: None,
        window: Duration::from_secs(3600),
        expiry: Duration::from_secs(86_400),
        decision: Decision {
            tier,
            rules: Vec::new(),
            why: "because".into(),
            slots,
            longest: Duration::from_secs(7200),
            limits: Limits::default(),
            policy: "0".into(),
            facts: None,
        },
        incident: None,
        break_glass: false,
    }
}

/// One that waits for a lead or security, for a day from minute 0.
pub(in crate::core) fn waiting() -> AccessRequest {
    submitted(Tier::Single)
}

pub(in crate::core) fn submitted(tier: Tier) -> AccessRequest {
    submit(asked(tier), at(0), grant_id()).unwrap().request
}

fn yes(request: AccessRequest, who: &str, fills: &[&[&str]], minute: i64) -> Result<Outcome, ApprovalError> {
    narrower(request, who, fills, Narrowing::default(), minute)
}

fn narrower(
    request: AccessRequest,
    who: &str,
    fills: &[&[&str]],
    narrowing: Narrowing,
    minute: i64,
) -> Result<Outcome, ApprovalError> {
    let approver = person(who).to_ref();
    approve(request, &approver, &[own(who, fills)], narrowing, None, at(minute), grant_id())
}

/// What somebody could fill by their own roles.
pub(in crate::core) fn own(who: &str, fills: &[&[&str]]) -> Authority {
    let roles = |roles: &&[&str]| roles.iter().map(|role| Role::new(*role)).collect();
    Authority { of: person(who).to_ref(), fills: fills.iter().map(roles).collect() }
}

fn no(request: AccessRequest, who: &str, fills: &[&[&str]], minute: i64) -> Result<Outcome, ApprovalError> {
    deny(request, &person(who).to_ref(), &[own(who, fills)], Some("not now".into()), at(minute))
}

fn kinds(outcome: &Outcome) -> Vec<String> {
    let kind = |event| serde_json::to_value(event).unwrap()["kind"].as_str().unwrap().to_owned();
    outcome.events.iter().map(kind).collect()
}

/// (state, act) → state or the refusal's words.
#[test]
fn every_act_in_every_state() {
    let waiting = submitted(Tier::Single);
    let states = [
        ("waiting", waiting.clone()),
        ("auto", submitted(Tier::Auto)),
        ("approved", yes(waiting.clone(), "carol", &[&["lead"]], 1).unwrap().request),
        ("refused", submitted(Tier::Deny)),
        ("denied", no(waiting.clone(), "bob", &[&["lead"]], 1).unwrap().request),
        ("cancelled", cancel(waiting.clone(), &person("alice").to_ref(), None, at(1)).unwrap().request),
        ("expired", expire(waiting, at(1440)).unwrap().request),
    ];
    type Act = fn(AccessRequest) -> Result<Outcome, ApprovalError>;
    let acts: [(&str, Act); 4] = [
        ("approve", |r| yes(r, "carol", &[&["lead"]], 2)),
        ("deny", |r| no(r, "carol", &[&["lead"]], 2)),
        ("cancel", |r| cancel(r, &person("alice").to_ref(), None, at(2))),
        ("expire", |r| expire(r, at(1440))),
    ];
    let mut lines = Vec::new();
    for (state, request) in &states {
        for (act, run) in &acts {
            let result = match run(request.clone()) {
                Ok(outcome) => format!("{}, {}", outcome.request.state.as_str(), kinds(&outcome).join(" ")),
                Err(error) => format!("{error}"),
            };
            lines.push(format!("{state:<9} {act:<7} {result}"));
        }
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("transitions", lines.join("
    "));
    });
}

#[test]
fn r4_1_auto_grants_at_once_and_deny_ends_at_once() {
    let auto = submit(asked(Tier::Auto), at(0), grant_id()).unwrap();
    assert_eq!(kinds(&auto), ["request.created", "grant.issued"]);
    let grant = auto.grant.unwrap();
    assert_eq!((grant.from, grant.until, grant.path), (at(0), at(60), Path::Write));
    assert_eq!(auto.request.reason, "ticket 7");
    let denied = submit(asked(Tier::Deny), at(0), grant_id()).unwrap();
    assert_eq!(kinds(&denied), ["request.created", "request.denied"]);
    assert_eq!((denied.grant, denied.request.closed.unwrap().reason), (None, Some("because".into())));
    let silent = Submission { reason: " \n".into(), ..asked(Tier::Auto) };
    assert_eq!(submit(silent, at(0), grant_id()), Err(ApprovalError::NoReason));
}

#[test]
fn r4_3_dual_needs_two_people() {
    let first = yes(submitted(Tier::Dual), "bob", &[&["peer"], &[]], 1).unwrap();
    assert_eq!((first.request.state, &first.grant), (RequestState::Waiting, &None));
    let again = yes(first.request.clone(), "bob", &[&["peer"], &["lead"]], 2).unwrap_err();
    assert_eq!(
        again.to_string(),
        "you approved request req-1 already, as peer: the other approval must be another person's"
    );
    let another_peer = yes(first.request.clone(), "ben", &[&["peer"], &[]], 2).unwrap_err();
    assert_eq!(
        another_peer.to_string(),
        "request req-1 needs approval by lead or manager or security: you are not one for this request"
    );
    let second = yes(first.request, "carol", &[&["peer"], &["lead"]], 30).unwrap();
    assert_eq!(kinds(&second), ["request.approved", "grant.issued"]);
    let grant = second.grant.unwrap();
    // The window starts at the last approval.
    assert_eq!((grant.from, grant.until), (at(30), at(90)));
}

#[test]
fn g6_nobody_decides_their_own_request() {
    let all: &[&[&str]] = &[&["peer"], &["lead", "security"]];
    let error = yes(submitted(Tier::Dual), "alice", all, 1).unwrap_err();
    assert_eq!(error.to_string(), "request req-1 is your own: somebody else must approve it");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(matches!(no(submitted(Tier::Dual), "alice", &[&["peer"]], 1), Err(ApprovalError::Own(..))));
}

/// Whoever fits several slots takes the one that is harder to fill.
#[test]
fn a_manager_who_is_also_a_peer_leaves_the_peer_slot_open() {
    let request = submitted(Tier::Dual);
    for (fills, slot, role) in [
        ([&["peer"][..], &["manager"][..]], 1, "manager"),
        ([&["peer"][..], &[][..]], 0, "peer"),
        ([&[][..], &["security"][..]], 1, "security"),
    ] {
        let outcome = yes(request.clone(), "dora", &fills, 1).unwrap();
        let given = &outcome.request.approvals[0];
        assert_eq!((given.slot, given.role.0.as_str()), (slot, role));
    }
    // With the other slot taken, they still serve as a peer.
    let first = yes(request, "mia", &[&[], &["manager"]], 1).unwrap().request;
    let second = yes(first, "dora", &[&["peer"], &["manager"]], 2).unwrap();
    assert_eq!((second.request.approvals[1].slot, second.grant.is_some()), (0, true));
}

#[test]
fn b7_approvals_narrow_and_the_narrowings_add_up() {
    let only = |names: &[&str], minutes: Option<u64>| Narrowing {
        tables: Some(tables(names)),
        window: minutes.map(|m| Duration::from_secs(m * 60)),
        ..Narrowing::default()
    };
    let first =
        narrower(submitted(Tier::Dual), "bob", &[&["peer"], &[]], only(&["orders", "payments"], Some(30)), 1);
    let first = first.unwrap().request;
    let lead: &[&[&str]] = &[&[], &["lead"]];
    let grant = |narrowing| narrower(first.clone(), "carol", lead, narrowing, 2).map(|o| o.grant.unwrap());
    let both = grant(only(&["payments", "refunds"], Some(45))).unwrap();
    assert_eq!(both.scope.to_string(), "read+write public.payments");
    assert_eq!(both.until, at(32));
    let none = grant(Narrowing::default()).unwrap();
    assert_eq!(none.scope.to_string(), "read+write public.orders, public.payments");
    for (narrowing, words) in [
        (
            only(&["refunds"], None),
            "nothing would be left: another approver narrowed this request to public.orders, public.payments",
        ),
        (
            only(&["salaries"], None),
            "public.salaries is outside what was asked for: approval can only narrow",
        ),
        (only(&["orders"], Some(61)), "1h 1m is longer than the 1h asked for: approval can only narrow"),
        (only(&["orders"], Some(0)), "a window must last at least a second"),
    ] {
        assert_eq!(grant(narrowing).unwrap_err().to_string(), words);
    }
    let nothing = narrower(submitted(Tier::Dual), "bob", &[&["peer"], &[]], only(&[], None), 1);
    assert!(matches!(nothing, Err(ApprovalError::NothingLeft(_))));
}

#[test]
fn b7_schemas_and_masks_are_narrowed_too_and_in_whichever_order_the_same_is_left() {
    let keep = |schemas: &[&str], names: &[&str]| Narrowing {
        schemas: Some(schemas.iter().map(|name| (*name).to_owned()).collect()),
        tables: Some(tables(names)),
        ..Narrowing::default()
    };
    let mut asked = asked(Tier::Dual);
    let both = BTreeSet::from(["public".to_owned(), "audit".to_owned()]);
    asked.scope.objects = Objects::Only { schemas: both, tables: BTreeSet::new() };
    asked.scope.unmask.insert(TableName::new("public", "payments"), BTreeSet::from(["card".to_owned()]));
    let request = submit(asked, at(0), grant_id()).unwrap().request;
    let granted = |first: Narrowing, second: Narrowing| {
        let request = narrower(request.clone(), "bob", &[&["peer"], &[]], first, 1)?.request;
        let outcome = narrower(request, "carol", &[&[], &["lead"]], second, 2)?;
        Ok::<_, ApprovalError>(outcome.grant.unwrap().scope.to_string())
    };
    let masked = || Narrowing { masked: true, ..Narrowing::default() };
    let cases = [
        (keep(&["public"], &[]), Narrowing::default(), "read+write schema public; raw public.payments.card"),
        (keep(&["public"], &[]), masked(), "read+write schema public"),
        (keep(&["public"], &[]), keep(&["audit"], &["payments"]), "read+write public.payments; raw card"),
        (keep(&["audit"], &[]), Narrowing::default(), "read+write schema audit"),
    ];
    for (one, other, expected) in cases {
        assert_eq!(granted(one.clone(), other.clone()).unwrap(), expected);
        assert_eq!(granted(other, one).unwrap(), expected, "the other way round");
    }
    for (one, other, words) in [
        (
            keep(&["public"], &[]),
            keep(&["audit"], &[]),
            "nothing would be left: another approver narrowed this request to schema public",
        ),
        (
            keep(&["salaries"], &[]),
            Narrowing::default(),
            "schema salaries is outside what was asked for: approval can only narrow",
        ),
    ] {
        assert_eq!(granted(one, other).unwrap_err().to_string(), words);
    }
    let plain = narrower(submitted(Tier::Dual), "bob", &[&["peer"], &[]], masked(), 1).unwrap_err();
    assert_eq!(plain.to_string(), "this request asks to see nothing raw by name: there is nothing to mask");
}

#[test]
fn a_denial_says_why() {
    for silent in [None, Some(" ".to_owned())] {
        let lead = [own("carol", &[&["lead"]])];
        let error = deny(waiting(), &person("carol").to_ref(), &lead, silent, at(1)).unwrap_err();
        assert_eq!(error.to_string(), "a denial needs a reason: alice@example.com reads it");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}

#[test]
fn requests_lapse_on_time_even_before_the_timer() {
    let request = submitted(Tier::Single);
    let early = expire(request.clone(), at(1439)).unwrap_err();
    assert!(matches!(early, ApprovalError::NotDue { .. }));
    let late = yes(request, "carol", &[&["lead"]], 1440).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Expired);
}

#[test]
fn who_may_cancel_and_revoke() {
    let other = cancel(submitted(Tier::Single), &person("bob").to_ref(), None, at(1)).unwrap_err();
    assert_eq!(
        other.to_string(),
        "only alice@example.com, who asked, can cancel this request: `deny` it instead"
    );
    let grant = submit(asked(Tier::Auto), at(0), grant_id()).unwrap().grant.unwrap();
    let guard = Person { roles: BTreeSet::from([Role::new("security")]), ..person("sam") };
    let lead = [Role::new("lead")];
    for (by, fills, may) in [
        (person("alice"), &[][..], true),
        (person("carol"), &lead[..], true),
        (guard.clone(), &[][..], true),
        (person("gus"), &[][..], false),
    ] {
        let result = revoke(grant.clone(), &by, fills, None, at(5));
        assert_eq!(result.is_ok(), may, "{}", by.subject);
    }
    let (revoked, event) = revoke(grant.clone(), &guard, &[], Some("incident".into()), at(5)).unwrap();
    assert!(!revoked.is_live(at(6)));
    assert!(matches!(event, Event::GrantRevoked { .. }));
    let twice = revoke(revoked, &guard, &[], None, at(6)).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "grant grt-1 was already revoked by sam@example.com at 2027-01-15T08:05:00Z"
    );
    assert!(matches!(revoke(grant, &guard, &[], None, at(60)), Err(ApprovalError::Finished(_))));
}

#[test]
fn r4_5_a_denial_says_in_whose_name_it_is() {
    let erin = person("erin").to_ref();
    let nothing = own("erin", &[&[]]);
    let lent = Authority { of: person("carol").to_ref(), ..own("erin", &[&["lead"]]) };
    let denied = |held: &[Authority]| {
        let outcome = deny(waiting(), &erin, held, Some("no".into()), at(1)).unwrap();
        let told = match &outcome.events[0] {
            Event::RequestDenied { on_behalf_of, .. } => on_behalf_of.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(outcome.request.closed.unwrap().on_behalf_of, told);
        told.map(|whose| whose.subject)
    };
    assert_eq!(denied(&[nothing, lent.clone()]).as_deref(), Some("carol"));
    assert_eq!(denied(&[own("erin", &[&["security"]]), lent]), None, "their own role comes first");
}

/// A request for a script; `text` stands for its hash.
fn for_script(text: &str) -> AccessRequest {
    let migration = Some(script(text));
    submit(Submission { migration, ..asked(Tier::Single) }, at(0), grant_id()).unwrap().request
}

fn script(text: &str) -> Migration {
    let (name, text, sha256) = ("V1.sql".to_owned(), text.to_owned(), text.to_owned());
    Migration { name, text, sha256, revision: 1, statements: Vec::new() }
}

fn amended(request: AccessRequest, text: &str) -> Result<AccessRequest, ApprovalError> {
    let (scope, decision) = (request.scope.clone(), request.decision.clone());
    let to = Amendment { migration: script(text), scope, decision };
    amend(request, &person("alice").to_ref(), to, at(1), grant_id()).map(|outcome| outcome.request)
}

#[test]
fn r2_2_an_approval_is_of_the_script_and_the_revision_that_were_shown() {
    let shown = for_script("a");
    assert_eq!(check_seen(&shown, Some("a"), Some(1)), Ok(()));
    for unseen in [(None, None), (Some("a"), None), (None, Some(1))] {
        assert_eq!(check_seen(&shown, unseen.0, unseen.1), Err(ApprovalError::UnseenScript(request_id())));
    }
    let other = amended(shown, "b").unwrap();
    let another = |revision| Err(ApprovalError::AnotherScript { id: request_id(), revision });
    assert_eq!(check_seen(&other, Some("a"), Some(1)), another(2));
    // Changed back: the same text, and not what was shown.
    let back = amended(other, "a").unwrap();
    assert_eq!(check_seen(&back, Some("a"), Some(1)), another(3));
    assert_eq!(check_seen(&back, Some("a"), Some(3)), Ok(()));
    let plain = submitted(Tier::Single);
    assert_eq!(check_seen(&plain, None, None), Ok(()));
    assert_eq!(check_seen(&plain, None, Some(1)), Err(ApprovalError::NoScript(request_id())));
}

#[test]
fn r2_2_a_request_is_amended_so_often_and_no_more() {
    let mut request = for_script("0");
    for revision in 2..=50 {
        request = amended(request, &revision.to_string()).unwrap();
    }
    assert_eq!(request.migration.as_ref().unwrap().revision, 50);
    let refused = amended(request, "another").unwrap_err();
    assert_eq!(refused, ApprovalError::TooManyRevisions(request_id(), 50));
    assert_eq!(refused.kind(), ErrorKind::TooMany);
}

proptest::proptest! {
    /// Whoever approves in whatever order with whatever roles and narrowings: a
    /// grant means that every slot is filled, each by another person than the
    /// requester and than each other, and that nothing was widened.
    #[test]
    fn g6_b7_no_order_of_approvals_gets_round_the_rules(
        acts in proptest::collection::vec((0..5_usize, 0..4_u8, 0..8_u8, 0..5000_u64), 0..8)
    ) {
        let people = ["alice", "bob", "ben", "carol", "dora"];
        let asked_scope = asked(Tier::Dual).scope;
        let mut request = submitted(Tier::Dual);
        let mut granted = None;
        for (who, fills, chosen, seconds) in acts {
            let fills: [&[&str]; 2] = [
                if fills & 1 == 0 { &[] } else { &["peer"] },
                if fills & 2 == 0 { &[] } else { &["lead"] },
            ];
            let names = ["orders", "payments", "refunds"];
            let chosen = names.iter().enumerate().filter(|(i, _)| chosen & (1 << i) != 0);
            let chosen = chosen.map(|(_, name)| TableName::new("public", *name)).collect();
            let window = (seconds > 0).then(|| Duration::from_secs(seconds));
            let narrowing = Narrowing { tables: Some(chosen), window, ..Narrowing::default() };
            if let Ok(next) = narrower(request.clone(), people[who], &fills, narrowing, 1) {
                request = next.request;
                granted = granted.or(next.grant);
            }
        }
        let by: BTreeSet<&str> = request.approvals.iter().map(|given| given.by.subject.as_str()).collect();
        proptest::prop_assert_eq!(by.len(), request.approvals.len());
        proptest::prop_assert!(!by.contains("alice"));
        proptest::prop_assert_eq!(granted.is_some(), request.approvals.len() == 2);
        if let Some(grant) = granted {
            proptest::prop_assert!(grant.until <= at(61) && grant.until > grant.from);
            let Objects::Only { schemas, tables } = grant.scope.objects else { panic!("widened") };
            proptest::prop_assert!(schemas.is_empty() && !tables.is_empty());
            proptest::prop_assert!(tables.iter().all(|table| asked_scope.covers(table)));
            for given in &request.approvals {
                let kept = given.narrowing.tables.as_ref().unwrap();
                proptest::prop_assert!(tables.is_subset(kept));
            }
        }
    }
}
