//! Who can fill what, by whose authority: rule by rule, as a table, and at random.

use super::*;
use crate::core::approval::tests::{at, own, person, submitted};
use crate::core::approval::{self, ApprovalError, Outcome};
use crate::core::model::{AccessRequest, DelegationId, GrantId, Narrowing, Role, Tier};
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn lent(from: &str, to: &str, roles: &[&str]) -> Delegation {
    Delegation {
        id: DelegationId::from_stored(format!("dlg-{from}-{to}")),
        from: person(from).to_ref(),
        to: person(to).to_ref(),
        roles: roles.iter().map(|role| Role::new(*role)).collect(),
        targets: BTreeSet::new(),
        reason: "holiday".into(),
        at: at(0),
        until: at(100),
        ended: None,
    }
}

/// Who holds what here: the requester is alice; her colleagues are bob and ben,
/// carol leads them, mia is a manager, sam is security, and greta is nobody's.
fn roles_of(who: &str) -> &'static [&'static [&'static str]; 2] {
    match who {
        "bob" | "ben" => &[&["peer"], &[]],
        "carol" => &[&["peer"], &["lead"]],
        "mia" => &[&[], &["manager"]],
        "sam" => &[&[], &["security"]],
        _ => &[&[], &[]],
    }
}

fn held_by(who: &str, delegations: &[Delegation], minute: i64) -> Vec<Authority> {
    let fills_of = |someone: &PersonRef| own(&someone.subject, roles_of(&someone.subject)).fills;
    let (approver, requester) = (person(who).to_ref(), person("alice").to_ref());
    authorities(&approver, &requester, "prod-orders", delegations, at(minute), fills_of)
}

fn yes(
    request: AccessRequest,
    who: &str,
    delegations: &[Delegation],
    minute: i64,
) -> Result<Outcome, ApprovalError> {
    let grant = GrantId::from_stored("grt-1");
    let authorities = held_by(who, delegations, minute);
    let approver = person(who).to_ref();
    approval::approve(request, &approver, &authorities, Narrowing::default(), None, at(minute), grant)
}

#[test]
fn r4_3_a_delegate_approves_in_the_name_of_who_lent_the_role() {
    let given = [lent("mia", "greta", &["manager"])];
    let outcome = yes(submitted(Tier::Dual), "greta", &given, 5).unwrap();
    let approval = &outcome.request.approvals[0];
    assert_eq!((approval.by.subject.as_str(), approval.role.0.as_str()), ("greta", "manager"));
    assert_eq!(approval.on_behalf_of, Some(person("mia").to_ref()));
    // Without it, after it, for another target, in a role that was not lent: nobody's approver.
    let mut ended = given[0].clone();
    ended.ended = Some(super::super::model::Ended { by: person("mia").to_ref(), at: at(4) });
    let elsewhere = Delegation { targets: BTreeSet::from(["staging".to_owned()]), ..given[0].clone() };
    let other = lent("mia", "greta", &["lead"]);
    for (delegations, minute) in
        [(vec![], 5), (vec![given[0].clone()], 100), (vec![ended], 5), (vec![elsewhere], 5), (vec![other], 5)]
    {
        let refused = yes(submitted(Tier::Dual), "greta", &delegations, minute).unwrap_err();
        assert!(matches!(refused, ApprovalError::NotAnApprover { .. }), "{delegations:?}");
    }
}

#[test]
fn a_role_that_was_lost_is_lent_no_longer_and_what_was_lent_is_not_lent_on() {
    // Bob leads nobody now, whatever he lent when he did.
    let refused = yes(submitted(Tier::Dual), "greta", &[lent("bob", "greta", &["lead"])], 5).unwrap_err();
    assert!(matches!(refused, ApprovalError::NotAnApprover { .. }));
    let chain = [lent("mia", "bob", &["manager"]), lent("bob", "greta", &["manager"])];
    assert!(yes(submitted(Tier::Dual), "greta", &chain, 5).is_err());
    // A peer is who knows the work.
    assert!(yes(submitted(Tier::Dual), "greta", &[lent("ben", "greta", &["peer"])], 5).is_err());
}

#[test]
fn g6_neither_giver_nor_delegate_is_the_requester() {
    let to_requester = [lent("mia", "alice", &["manager"])];
    assert_eq!(held_by("alice", &to_requester, 5), []);
    assert!(matches!(yes(submitted(Tier::Dual), "alice", &to_requester, 5), Err(ApprovalError::Own(..))));
    // Whatever alice may be elsewhere, she lends nothing for her own request.
    let fills_of = |_: &PersonRef| vec![vec![], vec![Role::new("security")]];
    let from_requester = [lent("alice", "greta", &["security"])];
    let (greta, alice) = (person("greta").to_ref(), person("alice").to_ref());
    let found = authorities(&greta, &alice, "prod-orders", &from_requester, at(5), fills_of);
    assert!(found.iter().all(|authority| authority.of == greta), "{found:?}");
}

#[test]
fn r4_3_nobody_stands_behind_two_approvals() {
    let given = [lent("carol", "bob", &["lead"]), lent("carol", "ben", &["lead"])];
    let in_her_name = yes(submitted(Tier::Dual), "bob", &given, 5).unwrap().request;
    let words = |request: &AccessRequest, who: &str, given: &[Delegation]| {
        yes(request.clone(), who, given, 6).map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        words(&in_her_name, "carol", &given),
        "bob@example.com approved request req-1 already, in your name: the other approval must be another \
         person's"
    );
    assert_eq!(
        words(&in_her_name, "bob", &given),
        "you approved request req-1 already, as lead: the other approval must be another person's"
    );
    // Ben's own yes is his own.
    assert!(yes(in_her_name, "ben", &given, 6).unwrap().grant.is_some());
    // Once carol has said yes as herself, nobody says it again in her name.
    let by_herself = yes(submitted(Tier::Dual), "carol", &given, 5).unwrap().request;
    let second = [lent("carol", "greta", &["lead"]), lent("mia", "greta", &["manager"])];
    assert_eq!(
        words(&by_herself, "greta", &second),
        "request req-1 needs approval by peer: you are not one for this request"
    );
    let as_peer = yes(submitted(Tier::Dual), "bob", &[], 5).unwrap().request;
    let carol_too = yes(as_peer.clone(), "greta", &second, 6).unwrap();
    assert!(carol_too.grant.is_some());
    let lent_by_bob = [lent("bob", "greta", &["lead"])];
    let refused = {
        let fills = |someone: &PersonRef| match someone.subject.as_str() {
            "bob" => own("bob", &[&["peer"], &["lead"]]).fills,
            _ => vec![vec![], vec![]],
        };
        let (greta, alice) = (person("greta").to_ref(), person("alice").to_ref());
        let authorities = authorities(&greta, &alice, "prod-orders", &lent_by_bob, at(6), fills);
        let grant = GrantId::from_stored("grt-1");
        approval::approve(as_peer, &greta, &authorities, Narrowing::default(), None, at(6), grant)
            .unwrap_err()
    };
    assert_eq!(
        refused.to_string(),
        "bob@example.com, who lent you the role, stands behind another approval of request req-1: the other \
         approval must be another person's"
    );
}

#[test]
fn what_can_be_lent_is_what_is_held_and_asked_for() {
    let role = |name: &str| Role::new(name);
    let asked = |names: &[&str]| names.iter().map(|name| role(name)).collect::<BTreeSet<_>>();
    let approving = asked(&["peer", "lead", "manager", "security"]);
    let mia = Person { roles: asked(&["manager", "lead", "admin"]), ..person("mia") };
    let said = |names: &[&str]| lendable(&mia, asked(names), &approving).map_err(|error| error.to_string());
    assert_eq!(said(&[]), Ok(asked(&["lead", "manager"])));
    assert_eq!(said(&["manager"]), Ok(asked(&["manager"])));
    assert_eq!(
        said(&["security"]).unwrap_err(),
        "you do not hold the role security, so you cannot delegate it"
    );
    assert_eq!(said(&["admin"]).unwrap_err(), "nobody approves in the role admin: it cannot be delegated");
    assert!(said(&["peer"]).unwrap_err().starts_with("peer cannot be delegated"));
    assert_eq!(lendable(&person("greta"), asked(&[]), &approving), Err(DelegationError::NoRole));
    let days = 24 * 60;
    assert_eq!(check_until(at(0), at(0)), Err(DelegationError::Past));
    assert_eq!(check_until(at(30 * days), at(0)), Ok(()));
    assert_eq!(check_until(at(30 * days + 1), at(0)), Err(DelegationError::TooLong));
}

/// Person × what was lent × slots that are open already → what they could fill,
/// in whose name. A change of the rules is a change of this file.
#[test]
fn r4_2_r4_3_g6_who_can_fill_what() {
    let people = ["alice", "bob", "carol", "mia", "sam", "greta"];
    let loans: [(&str, Vec<Delegation>); 5] = [
        ("nothing lent", vec![]),
        ("carol lends lead to bob", vec![lent("carol", "bob", &["lead"])]),
        ("mia lends manager to carol", vec![lent("mia", "carol", &["manager"])]),
        ("sam lends security to greta", vec![lent("sam", "greta", &["security"])]),
        ("mia lends manager to alice, who asks", vec![lent("mia", "alice", &["manager"])]),
    ];
    let mut table = String::new();
    for (title, delegations) in &loans {
        let fresh = submitted(Tier::Dual);
        let by_carol = yes(fresh.clone(), "carol", delegations, 5).unwrap().request;
        let by_bob = yes(fresh.clone(), "bob", delegations, 5).unwrap().request;
        writeln!(table, "{title}").unwrap();
        for (state, request) in [("none yet", &fresh), ("carol's yes", &by_carol), ("bob's yes", &by_bob)] {
            let can = people.map(|who| {
                let chosen = choose(request, &person(who).to_ref(), &held_by(who, delegations, 5));
                let what = chosen.map_or_else(
                    || "-".to_owned(),
                    |chosen| {
                        let whose = chosen.on_behalf_of.map(|whose| format!("/{}", whose.subject));
                        format!("{}{}", chosen.role, whose.unwrap_or_default())
                    },
                );
                format!("{who} {what}")
            });
            writeln!(table, "  {state:<12} {}", can.join(", ")).unwrap();
        }
    }
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("who_can_fill_what", table);
    });
}

proptest::proptest! {
    /// Whoever approves in whatever order, whatever was lent to whom: a grant
    /// means that every slot is filled, that the people behind its approvals are
    /// all different, that none of them asked, and that each role is held by
    /// the person in whose name it was used.
    #[test]
    fn g6_r4_3_no_delegation_gets_round_the_rules(
        loans in proptest::collection::vec((0..7_usize, 0..7_usize, 0..8_u8, 0..200_i64, proptest::bool::ANY), 0..6),
        acts in proptest::collection::vec((0..7_usize, 0..200_i64), 0..8),
    ) {
        let people = ["alice", "bob", "ben", "carol", "mia", "sam", "greta"];
        let delegations: Vec<Delegation> = loans.into_iter().map(|(from, to, roles, until, ended)| {
            let chosen = ["peer", "lead", "manager"];
            let mut roles: Vec<&str> =
                chosen.iter().enumerate().filter(|(i, _)| roles & (1 << i) != 0).map(|(_, role)| *role).collect();
            roles.push("security");
            let ended = ended.then(|| super::super::model::Ended { by: person("sam").to_ref(), at: at(1) });
            Delegation { until: at(until), ended, ..lent(people[from], people[to], &roles) }
        }).collect();
        let mut request = submitted(Tier::Dual);
        let mut granted = None;
        for (who, minute) in acts {
            if let Ok(next) = yes(request.clone(), people[who], &delegations, minute) {
                request = next.request;
                granted = granted.or(next.grant);
            }
        }
        let mut behind: BTreeMap<&str, usize> = BTreeMap::new();
        for given in &request.approvals {
            for person in std::iter::once(&given.by).chain(&given.on_behalf_of) {
                *behind.entry(person.subject.as_str()).or_default() += 1;
            }
            let whose = given.on_behalf_of.as_ref().unwrap_or(&given.by);
            proptest::prop_assert!(roles_of(&whose.subject)[given.slot].contains(&given.role.0.as_str()));
            if let Some(whose) = &given.on_behalf_of {
                let live = delegations.iter().any(|one| {
                    one.from == *whose && one.to == given.by && one.is_live(given.at) && one.roles.contains(&given.role)
                });
                proptest::prop_assert!(live && given.role.0 != "peer");
            }
        }
        proptest::prop_assert!(behind.values().all(|times| *times == 1), "{:?}", request.approvals);
        proptest::prop_assert!(!behind.contains_key("alice"));
        let slots: BTreeSet<usize> = request.approvals.iter().map(|given| given.slot).collect();
        proptest::prop_assert_eq!(slots.len(), request.approvals.len());
        proptest::prop_assert_eq!(granted.is_some(), request.approvals.len() == 2);
    }
}
