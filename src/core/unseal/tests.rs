use super::*;
use std::collections::BTreeSet;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn who(name: &str, roles: &[&str]) -> Person {
    Person {
        subject: name.to_owned(),
        email: format!("{name}@example.com"),
        name: None,
        teams: BTreeSet::new(),
        roles: roles.iter().map(|role| Role::new(*role)).collect(),
    }
}

fn auditor(name: &str) -> Person {
    who(name, &["auditor"])
}

fn asked() -> Unseal {
    Unseal {
        id: UnsealId::from_random([1; 8]),
        by: auditor("erin").to_ref(),
        asked_at: at(0),
        reason: "INC-7".to_owned(),
        statements: vec![5],
        sessions: Vec::new(),
        people: vec![who("alice", &[]).to_ref()],
        expires_at: at(0) + WAITS,
        decision: None,
    }
}

#[test]
fn g6_r5_2_two_auditors_decide_and_nobody_about_themselves() {
    let mut unseal = asked();
    assert_eq!(
        decide(&mut unseal, &auditor("erin"), Some(&auditor("erin")), true, None, at(1)),
        Err(UnsealError::Same)
    );
    for nobody in [who("bob", &[]), who("bob", &["security", "admin", "lead"])] {
        assert_eq!(
            decide(&mut unseal, &nobody, Some(&auditor("erin")), true, None, at(1)),
            Err(UnsealError::NoAuditor)
        );
    }
    assert_eq!(
        decide(&mut unseal, &auditor("alice"), Some(&auditor("erin")), true, None, at(1)),
        Err(UnsealError::Own)
    );
    assert_eq!(unseal, asked(), "nothing has changed");
    assert!(matches!(may_open(&unseal, &auditor("erin"), at(1)), Err(UnsealError::NotSo { .. })));

    for gone in [None, Some(who("erin", &[]))] {
        let refused = decide(&mut unseal, &auditor("frank"), gone.as_ref(), true, None, at(1));
        assert!(matches!(refused, Err(UnsealError::AskerGone(_))), "{refused:?}");
    }
    let event = decide(&mut unseal, &auditor("frank"), Some(&auditor("erin")), true, None, at(1)).unwrap();
    assert!(matches!(event, Event::UnsealDecided { .. }));
    for two in ["erin", "frank"] {
        assert_eq!(may_open(&unseal, &auditor(two), at(2)), Ok(()));
    }
    assert!(matches!(may_open(&unseal, &auditor("gina"), at(2)), Err(UnsealError::NotYours { .. })));
    assert_eq!(may_open(&unseal, &who("erin", &[]), at(2)), Err(UnsealError::NoAuditor), "any more");
    assert!(matches!(
        decide(&mut unseal, &auditor("gina"), Some(&auditor("erin")), false, None, at(3)),
        Err(UnsealError::NotSo { state: UnsealState::Approved, .. })
    ));
    let over = may_open(&unseal, &auditor("erin"), at(1) + OPEN);
    assert!(matches!(over, Err(UnsealError::NotSo { state: UnsealState::Over, .. })));
}

#[test]
fn r5_2_an_unsealing_is_denied_withdrawn_or_expires() {
    let mut withdrawn = asked();
    decide(
        &mut withdrawn,
        &auditor("erin"),
        Some(&auditor("erin")),
        false,
        Some("found it".to_owned()),
        at(1),
    )
    .unwrap();
    assert_eq!(withdrawn.state(at(2)), UnsealState::Denied);
    assert!(may_open(&withdrawn, &auditor("erin"), at(2)).is_err());

    let mut late = asked();
    let then = at(0) + WAITS;
    assert_eq!(late.state(then), UnsealState::Expired);
    assert!(matches!(
        decide(&mut late, &auditor("frank"), Some(&auditor("erin")), true, None, then),
        Err(UnsealError::NotSo { state: UnsealState::Expired, .. })
    ));
}
