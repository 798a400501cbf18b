use super::*;
use crate::core::model::{
    Grant, GrantId, LineRight, Objects, Path, Permission, PersonRef, RequestId, SessionId, TableName,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

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

fn person(name: &str) -> PersonRef {
    who(name, &[]).to_ref()
}

fn scope(permissions: &[Permission]) -> Scope {
    let orders = TableName::new("public", "orders");
    let objects = Objects::Only { schemas: BTreeSet::new(), tables: BTreeSet::from([orders]) };
    Scope::new(objects, permissions.iter().copied().collect())
}

fn grant(number: u8, name: &str, permissions: &[Permission], from: i64) -> Grant {
    Grant {
        id: GrantId::from_random([number; 8]),
        request: RequestId::from_random([number; 8]),
        person: person(name),
        target: "orders".into(),
        scope: scope(permissions),
        path: Path::Write,
        limits: Limits::default(),
        script: None,
        from: at(from),
        until: at(from + 100),
        revoked: None,
    }
}

fn used(grant: &Grant, read: u64, write: u64, last: i64) -> SessionUse {
    let used = |statements| Used { statements, last: (statements > 0).then(|| at(last)) };
    SessionUse {
        session: SessionId::from_random([7; 8]),
        grant: grant.id.clone(),
        person: grant.person.clone(),
        target: grant.target.clone(),
        read: used(read),
        write: used(write),
        ddl: used(0),
        export: used(0),
    }
}

/// alice may read at once and write with two approvals, and only read; bob may
/// do nothing now, and wrote; carol may do nothing, and did nothing.
fn known() -> Known {
    let (wrote, read) = (
        grant(1, "bob", &[Permission::Read, Permission::Write], 10),
        grant(2, "alice", &[Permission::Read], 20),
    );
    let can = Arc::new(BTreeMap::from([(Right::Read, Tier::Auto), (Right::Write, Tier::Dual)]));
    Known {
        can: HashMap::from([("orders".to_owned(), HashMap::from([("alice".to_owned(), can)]))]),
        people: ["carol", "alice"].map(person).to_vec(),
        targets: BTreeSet::from(["orders".to_owned()]),
        uses: vec![used(&wrote, 0, 3, 15), used(&read, 5, 0, 25)],
        grants: vec![wrote, read],
        bars: Vec::new(),
    }
}

fn campaign() -> Campaign {
    Campaign {
        id: CampaignId::from_random([0; 8]),
        by: Some(person("dave")),
        scheduled: None,
        from: at(0),
        to: at(100),
        targets: vec!["orders".into()],
        started_at: at(0),
        due_at: at(14 * 86_400),
        told: CampaignTold::Started,
        lines: 2,
        undecided: 2,
        signed: None,
    }
}

fn said<'a>(verdict: LineVerdict, keeps: &'a BTreeSet<Right>, comment: &'a str) -> Said<'a> {
    Said { verdict, keeps, comment }
}

#[test]
fn r9_4_a_line_says_what_can_be_had_was_had_and_was_used() {
    let found: Vec<String> = lines(&known())
        .iter()
        .flat_map(|line| {
            line.rights.iter().map(move |one| {
                format!(
                    "{} {} {} {} {}/{}",
                    line.line,
                    line.person.subject,
                    one.right.as_str(),
                    one.can.as_str(),
                    one.grants,
                    one.statements
                )
            })
        })
        .collect();
    assert_eq!(
        found,
        ["1 alice read auto 1/5", "1 alice write dual 0/0", "2 bob read deny 1/0", "2 bob write deny 1/3"]
    );
    let lines = lines(&known());
    let wrote = &lines[1].rights[1];
    assert_eq!(
        (wrote.sessions, wrote.last_grant, wrote.last_use),
        (1, Some(at(10)), Some(at(15))),
        "{wrote:?}"
    );
}

#[test]
fn r9_4_what_was_read_with_raw_columns_counts_as_unmasked() {
    let mut known = known();
    let orders = TableName::new("public", "orders");
    known.grants[1].scope.unmask = BTreeMap::from([(orders, BTreeSet::from(["mail".to_owned()]))]);
    let unmask = lines(&known)[0].rights[2].clone();
    assert_eq!(
        (unmask.right, unmask.can, unmask.grants, unmask.statements),
        (Right::Unmask, Tier::Deny, 1, 5)
    );
}

#[test]
fn r9_4_g6_whoever_may_approve_decides_and_nobody_their_own() {
    let lead = [Role::new("lead")];
    let line = &lines(&known())[0].about();
    for (by, fills, role) in [
        (who("bob", &[]), &lead[..], Some("lead")),
        (who("bob", &["security"]), &[], Some("security")),
        (who("bob", &["admin"]), &[], None),
        (who("alice", &["security"]), &lead, None),
    ] {
        let found = may_decide(line, &by, fills).ok();
        assert_eq!(found, role.map(Role::new), "{by:?}");
    }
    assert_eq!(may_decide(line, &who("alice", &[]), &lead), Err(CampaignError::Own(1)));
}

#[test]
fn r9_4_a_decision_bars_what_does_not_stay() {
    let (bob, lead) = (who("bob", &[]), [Role::new("lead")]);
    let rights = |names: &[Right]| names.iter().copied().collect::<BTreeSet<Right>>();
    let nothing = BTreeSet::new();
    for (verdict, keeps, expected) in [
        (LineVerdict::Certified, rights(&[]), Ok(None)),
        (LineVerdict::Revoked, rights(&[]), Ok(Some(rights(&Right::ALL)))),
        (
            LineVerdict::Narrowed,
            rights(&[Right::Read]),
            Ok(Some(rights(&[Right::Write, Right::Ddl, Right::Export, Right::Unmask]))),
        ),
        (LineVerdict::Narrowed, rights(&[Right::Write]), Err(CampaignError::KeepsAll(1))),
        (LineVerdict::Narrowed, rights(&[]), Err(CampaignError::KeepsNothing(1, "read, write".into()))),
        (
            LineVerdict::Narrowed,
            rights(&[Right::Ddl]),
            Err(CampaignError::KeepsNothing(1, "read, write".into())),
        ),
    ] {
        let mut campaign = campaign();
        let done = decide(
            &mut campaign,
            &mut lines(&known())[0],
            (&bob, &lead),
            &said(verdict, &keeps, "why"),
            at(1),
        );
        assert_eq!(done.map(|(_, bar)| bar.map(|bar| bar.rights)), expected, "{verdict:?} {keeps:?}");
    }
    let (mut campaign, mut line) = (campaign(), lines(&known()).remove(0));
    let mut revoked = |why| {
        decide(&mut campaign, &mut line, (&bob, &lead), &said(LineVerdict::Revoked, &nothing, why), at(1))
    };
    assert_eq!(revoked(" ").unwrap_err(), CampaignError::NoComment);
    // Decided anew it is still one line that is decided.
    revoked("x").unwrap();
    revoked("y").unwrap();
    assert_eq!(campaign.undecided, 1);
}

#[test]
fn r9_4_an_older_campaign_does_not_give_back_what_a_later_one_took() {
    let (bob, lead) = (who("bob", &[]), [Role::new("lead")]);
    let nothing = BTreeSet::new();
    let mut later = campaign();
    later.id = CampaignId::from_random([1; 8]);
    let taken = decide(
        &mut later,
        &mut lines(&known())[0],
        (&bob, &lead),
        &said(LineVerdict::Revoked, &nothing, "left"),
        at(9),
    );
    let bar = taken.unwrap().1.unwrap();
    let older = campaign();
    let certified = LineVerdict::Certified;
    assert!(matches!(overrules(&older, &bar, certified), Err(CampaignError::TakenLater { .. })));
    overrules(&later, &bar, certified).unwrap();
    overrules(&Campaign { started_at: at(10), ..campaign() }, &bar, certified).unwrap();
    // What takes more gives nothing back.
    overrules(&older, &bar, LineVerdict::Narrowed).unwrap();
    overrules(&older, &bar, LineVerdict::Revoked).unwrap();
}

#[test]
fn r9_4_a_change_of_schema_needs_write_and_sees_what_is_raw() {
    let all = BTreeSet::from([Permission::Read, Permission::Write, Permission::Ddl]);
    let rights = Right::of(&Scope::new(Objects::Database, all));
    assert_eq!(rights, BTreeSet::from([Right::Read, Right::Write, Right::Ddl, Right::Unmask]));
    let line = |rights: &[Right]| {
        let rights =
            rights.iter().map(|right| LineRight { right: *right, ..lines(&known())[0].rights[0].clone() });
        CampaignLine { rights: rights.collect(), ..lines(&known())[0].clone() }
    };
    let kept =
        kept(&line(&[Right::Read, Right::Write, Right::Ddl, Right::Export]), &BTreeSet::from([Right::Ddl]));
    assert_eq!(kept.unwrap(), BTreeSet::from([Right::Read, Right::Write, Right::Ddl, Right::Unmask]));
}

#[test]
fn r9_4_a_bar_stands_against_every_scope_that_needs_what_it_took() {
    let (bob, lead) = (who("bob", &[]), [Role::new("lead")]);
    let read = BTreeSet::from([Right::Read]);
    let mut campaign = campaign();
    let narrowed = said(LineVerdict::Narrowed, &read, "never writes");
    let (_, bar) = decide(&mut campaign, &mut lines(&known())[0], (&bob, &lead), &narrowed, at(1)).unwrap();
    let bar = bar.unwrap();
    assert_eq!(barred(&bar, &scope(&[Permission::Read])), None);
    let what = barred(&bar, &scope(&[Permission::Read, Permission::Write, Permission::Export])).unwrap();
    assert_eq!(what, "write, export");
    let why = why(&bar, &what);
    for says in ["took write, export on orders from alice", "never writes", "ask bob@example.com or security"]
    {
        assert!(why.contains(says), "{why}");
    }
}

#[test]
fn r9_4_only_a_whole_campaign_is_signed_and_its_hash_holds_the_decisions() {
    let (mut campaign, mut lines) = (campaign(), lines(&known()));
    let (dave, nothing) = (who("dave", &["security"]), BTreeSet::new());
    let before = sha256(&lines);
    let decided = said(LineVerdict::Certified, &nothing, "needs it");
    decide(&mut campaign, &mut lines[0], (&dave, &[]), &decided, at(1)).unwrap();
    assert!(
        matches!(sign(&mut campaign, &lines, (&dave, true), at(2)), Err(CampaignError::Undecided { lines, .. }) if lines == "2")
    );
    decide(&mut campaign, &mut lines[1], (&dave, &[]), &said(LineVerdict::Revoked, &nothing, "left"), at(3))
        .unwrap();
    let stranger = who("erin", &[]);
    assert!(matches!(
        sign(&mut campaign, &lines, (&stranger, false), at(4)),
        Err(CampaignError::MayNotSign(_))
    ));
    let event = sign(&mut campaign, &lines, (&stranger, true), at(4)).unwrap();
    let hash = sha256(&lines);
    assert_ne!(hash, before);
    assert!(
        matches!(event, Event::CampaignSigned { sha256, certified: 1, narrowed: 0, revoked: 1, .. } if sha256 == hash)
    );
    let again = decide(&mut campaign, &mut lines[0], (&dave, &[]), &decided, at(5));
    assert!(matches!(again, Err(CampaignError::Signed(_))));
}

#[test]
fn r9_4_undecided_lines_remind_at_half_time_three_days_before_and_when_overdue() {
    let day = 86_400;
    let table = [
        (6 * day, None),
        (7 * day, Some(CampaignTold::HalfTime)),
        (11 * day - 1, Some(CampaignTold::HalfTime)),
        (11 * day, Some(CampaignTold::Soon)),
        (14 * day, Some(CampaignTold::Overdue)),
    ];
    for (now, told) in table {
        assert_eq!(to_tell(&campaign(), at(now)), told, "{now}");
    }
    let mut campaign = campaign();
    campaign.told = CampaignTold::Soon;
    assert_eq!(to_tell(&campaign, at(12 * day)), None, "each once");
    // A short one has no three days left at half time.
    (campaign.told, campaign.due_at) = (CampaignTold::Started, at(4));
    assert_eq!(to_tell(&campaign, at(1)), None);
    assert_eq!(to_tell(&campaign, at(2)), Some(CampaignTold::HalfTime));
    assert_eq!(to_tell(&campaign, at(4)), Some(CampaignTold::Overdue));
}
