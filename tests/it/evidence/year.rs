//! A year of history, the same on every machine: accesses of eight people to
//! four databases, written as a ledger by the product's own rules and a fixed
//! key, with some things in it that should not have happened.

use dbaccess::core::approval::{Submission, approve, submit};
use dbaccess::core::campaign::{self, Said};
use dbaccess::core::delegation::Authority;
use dbaccess::core::ledger::{BlobRef, Checkpoint, Hash, PublicKey, push_line, segment_name};
use dbaccess::core::model::*;
use dbaccess::core::review;
use ed25519_dalek::SigningKey;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::time::Duration;

const PEOPLE: [&str; 8] = ["alice", "bob", "carla", "dmitri", "eleni", "farid", "grace", "hélène"];
const TARGETS: [(&str, [&str; 2]); 4] = [
    ("prod-orders", ["orders", "payments"]),
    ("prod-ledger", ["entries", "accounts"]),
    ("prod-customers", ["customers", "addresses"]),
    ("staging-orders", ["orders", "payments"]),
];
const REASONS: [&str; 6] = [
    "SUP-4120: a refund that did not arrive",
    "INC-88: the queue of payments grows",
    "Zahlung doppelt gebucht, Kundin wartet",
    "слишком медленный отчёт за квартал",
    "=cmd|' /C calc'!A0",
    "check the backfill of last night's migration",
];
/// Lines of a segment.
const SEGMENT: u64 = 2500;
const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

pub fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[42; 32])
}

pub fn public_key() -> PublicKey {
    PublicKey::of(&signing_key())
}

pub fn begin() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub fn end() -> Timestamp {
    "2027-01-01T00:00:00Z".parse().unwrap()
}

/// Writes it; returns the number of the last line.
pub fn write(dir: &FilePath) -> u64 {
    let mut year = Year { records: Vec::new(), random: 7 };
    // The policy came into force the year before, and one access began then.
    year.event(-DAY, &Event::ServerStarted { version: "0.1.0".into(), policy: policy() });
    year.access(-20 * MINUTE, Kind::Read, Flaw::None);
    let mut flaws = vec![
        (40, Flaw::NotApproved),
        (75, Flaw::SelfApproved),
        (110, Flaw::Outlived),
        (150, Flaw::NotRecorded),
        (190, Flaw::UnknownPolicy),
        (230, Flaw::NoOutcome),
        (300, Flaw::ReviewOverdue),
    ];
    for day in 0..364 {
        // A weekend is quiet.
        let accesses = if (day + 3) % 7 < 5 { 1 + year.below(2) } else { 0 };
        for _ in 0..accesses {
            let second = day * DAY + 8 * 60 * MINUTE + i64::try_from(year.below(9 * 3600)).unwrap();
            let kind = match year.below(20) {
                0 => Kind::Migration,
                1..=5 => Kind::Write,
                _ => Kind::Read,
            };
            year.access(second, kind, Flaw::None);
        }
        if day % 45 == 20 {
            year.access(day * DAY + 3 * 60 * MINUTE, Kind::BreakGlass, Flaw::None);
        }
        if let Some((_, flaw)) = flaws.iter().find(|(when, _)| *when == day).copied() {
            flaws.retain(|(when, _)| *when != day);
            let kind = match flaw {
                Flaw::NotRecorded | Flaw::ReviewOverdue => Kind::BreakGlass,
                _ => Kind::Write,
            };
            year.access(day * DAY + 5 * 60 * MINUTE, kind, flaw);
        }
    }
    year.event(200 * DAY, &Event::RoleSwept { target: "prod-orders".into(), role: "dbaccess_s_lost".into() });
    year.told(210 * DAY, json!({"kind": "future.thing", "x": 1}).to_string());
    // The first quarter has its review, the second none; the third's is signed late.
    year.campaign(5, [8, 14]);
    year.campaign(186, [190, 212]);
    // One statement is too large for the chain.
    let large = year.records.iter().position(|(_, body)| body.contains("statement.intent")).unwrap();
    year.records[large].1 =
        year.records[large].1.replace("\"select 1\"", &format!("\"select {}1\"", "1,".repeat(4000)));
    year.event(364 * DAY, &Event::ServerStarted { version: "0.1.0".into(), policy: policy() });
    year.store(dir)
}

fn policy() -> String {
    Hash::of(b"the policy").to_string()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Migration,
    BreakGlass,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    NotApproved,
    SelfApproved,
    Outlived,
    NotRecorded,
    UnknownPolicy,
    NoOutcome,
    ReviewOverdue,
}

struct Year {
    /// Seconds from the year's begin, and bodies.
    records: Vec<(i64, String)>,
    random: u64,
}

impl Year {
    /// splitmix64.
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn told(&mut self, second: i64, body: String) {
        self.records.push((second, body));
    }

    fn event(&mut self, second: i64, event: &Event) {
        self.told(second, serde_json::to_string(event).unwrap());
    }

    /// One access with its sessions.
    fn access(&mut self, second: i64, kind: Kind, flaw: Flaw) {
        let who = PEOPLE[usize::try_from(self.below(6)).unwrap()];
        let (target, tables) = TARGETS[usize::try_from(self.below(4)).unwrap()];
        let table = TableName::new("public", tables[usize::try_from(self.below(2)).unwrap()]);
        let objects = Objects::Only { schemas: BTreeSet::new(), tables: BTreeSet::from([table]) };
        let mut permissions = BTreeSet::from([Permission::Read]);
        if kind != Kind::Read {
            permissions.insert(Permission::Write);
        }
        if kind == Kind::Migration {
            permissions.insert(Permission::Ddl);
        }
        let slot = |roles: &[&str]| Slot { any_of: roles.iter().map(|role| Role::new(*role)).collect() };
        let (tier, slots, rule) = match kind {
            Kind::Read => (Tier::Auto, Vec::new(), "read-own"),
            Kind::Write => (Tier::Single, vec![slot(&["lead", "security"])], "write"),
            Kind::Migration => (Tier::Dual, vec![slot(&["peer"]), slot(&["lead", "security"])], "schema"),
            Kind::BreakGlass => (Tier::BreakGlass, Vec::new(), "break-glass"),
        };
        let incident = || IncidentRef {
            id: format!("PD-Q{second}").parse().unwrap(),
            title: Some("payments fail".into()),
            url: None,
            confirmed: true,
        };
        let now = at(second);
        let asked = Submission {
            id: RequestId::from_random(self.next().to_be_bytes()),
            person: person(who),
            target: target.into(),
            scope: Scope::new(objects, permissions),
            reason: REASONS[usize::try_from(self.below(6)).unwrap()].into(),
            migration: None,
            window: Duration::from_secs(3600),
            expiry: Duration::from_secs(86_400),
            decision: Decision {
                tier,
                rules: vec![RuleRef { id: rule.into(), title: rule.into() }],
                why: "because".into(),
                slots,
                longest: Duration::from_secs(4 * 3600),
                limits: Limits::default(),
                policy: if flaw == Flaw::UnknownPolicy { "0".repeat(64) } else { policy() },
                facts: None,
            },
            incident: (kind == Kind::BreakGlass).then(incident),
            break_glass: kind == Kind::BreakGlass,
        };
        let id = GrantId::from_random(self.next().to_be_bytes());
        let mut outcome = submit(asked, now, id.clone()).unwrap();
        let mut second = second;
        for event in &outcome.events {
            self.event(second, event);
        }
        for (slot, approver) in
            ["grace", "hélène"].into_iter().enumerate().skip(usize::from(kind == Kind::Write))
        {
            if outcome.grant.is_some() {
                break;
            }
            second += 90 + i64::try_from(self.below(600)).unwrap();
            let slot = if kind == Kind::Write { 0 } else { slot };
            let mut fills = vec![Vec::new(); outcome.request.decision.slots.len()];
            fills[slot] = outcome.request.decision.slots[slot].any_of[..1].to_vec();
            let (now, by) = (at(second), person(approver));
            let authority = [Authority { of: by.clone(), fills }];
            outcome = approve(outcome.request, &by, &authority, Narrowing::default(), None, now, id.clone())
                .unwrap();
            for event in &mut outcome.events {
                if let (Event::RequestApproved { approval, .. }, Flaw::SelfApproved) = (&mut *event, flaw) {
                    approval.by = person(who);
                }
                if !(flaw == Flaw::NotApproved && matches!(event, Event::RequestApproved { .. })) {
                    self.event(second, event);
                }
            }
        }
        let grant = outcome.grant.unwrap();
        if kind == Kind::BreakGlass {
            self.break_glass(second, &grant, outcome.request.incident.unwrap(), flaw);
        } else {
            let sessions = 1 + self.below(2);
            for n in 0..i64::try_from(sessions).unwrap() {
                let length = 60 + i64::try_from(self.below(1200)).unwrap();
                self.session(second + 30 + n * 1500, length, &grant, flaw);
            }
        }
    }

    fn break_glass(&mut self, second: i64, grant: &Grant, incident: IncidentRef, flaw: Flaw) {
        let glass = BreakGlass {
            grant: grant.id.clone(),
            request: grant.request.clone(),
            person: grant.person.clone(),
            target: grant.target.clone(),
            incident: incident.clone(),
            opened_at: at(second),
            renewals: 0,
            confirmation: None,
            ended: None,
        };
        self.event(second, &Event::BreakGlassOpened { break_glass: Box::new(glass), until: grant.until });
        self.session(second + 20, 1500, grant, flaw);
        let over = second + 1800;
        let (id, incident) = (grant.id.clone(), incident.id);
        self.event(
            over,
            &Event::BreakGlassEnded { grant: id.clone(), incident, why: BreakGlassEndReason::Closed },
        );
        let review_id = ReviewId::from_random(self.next().to_be_bytes());
        let opened = review::open(review_id.clone(), grant, at(over), Duration::from_secs(48 * 3600));
        let (person_, due_at) = (opened.person.clone(), opened.due_at);
        self.event(over + 60, &Event::ReviewOpened { review: Box::new(opened) });
        let written = if flaw == Flaw::ReviewOverdue { over + 5 * DAY } else { over + DAY };
        if flaw == Flaw::ReviewOverdue {
            let (review, grant) = (review_id.clone(), id.clone());
            self.event(over + 2 * DAY, &Event::ReviewOverdue { review, grant, person: person_, due_at });
        }
        let finding = ReviewFinding {
            by: person("grace"),
            role: Role::new("security"),
            at: at(written),
            verdict: Verdict::Justified,
            finding: "two rows were set right, as the incident needed".into(),
            actions: Vec::new(),
        };
        self.event(written, &Event::ReviewWritten { review: review_id, grant: id, finding });
    }

    /// A review of everybody everywhere from one day on: decided and signed on
    /// others. What it took from bob, security gives back.
    fn campaign(&mut self, day: i64, [decided, signed]: [i64; 2]) {
        let id = CampaignId::from_random([u8::try_from(day).unwrap(); 8]);
        let (second, by) = (day * DAY, person("hélène"));
        let right = |right, can| LineRight {
            right,
            can,
            barred: false,
            grants: 0,
            last_grant: None,
            sessions: 0,
            statements: 0,
            last_use: None,
        };
        let everywhere =
            TARGETS.iter().flat_map(|(target, _)| PEOPLE[..6].iter().map(move |who| (*target, *who)));
        let line = |(line, (target, who)): (u32, (&str, &str))| CampaignLine {
            line,
            person: person(who),
            target: target.into(),
            rights: vec![right(Right::Read, Tier::Auto), right(Right::Write, Tier::Single)],
            decision: None,
        };
        let mut lines: Vec<CampaignLine> = (1..).zip(everywhere).map(line).collect();
        let mut campaign = Campaign {
            id: id.clone(),
            by: (day < 100).then_some(by),
            scheduled: (day > 100).then(|| "2026Q2".to_owned()),
            from: at(second) - SignedDuration::from_secs(90 * DAY),
            to: at(second),
            targets: TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect(),
            started_at: at(second),
            due_at: at(second + 14 * DAY),
            told: CampaignTold::Started,
            lines: lines.len(),
            undecided: lines.len(),
            signed: None,
        };
        let started = Event::CampaignStarted {
            campaign: id.clone(),
            by: campaign.by.clone(),
            scheduled: campaign.scheduled.clone(),
            from: campaign.from,
            to: campaign.to,
            targets: campaign.targets.clone(),
            due_at: campaign.due_at,
            lines: lines.len(),
            people: 6,
            sha256: campaign::sha256(&lines),
        };
        self.event(second, &started);
        let reviewer = |name: &str| Person {
            subject: name.to_owned(),
            email: person(name).email,
            name: None,
            teams: BTreeSet::new(),
            roles: BTreeSet::from([Role::new("security")]),
        };
        let read = BTreeSet::from([Right::Read]);
        for one in &mut lines {
            let line = one.line;
            let second = decided * DAY + i64::from(line) * MINUTE;
            let (verdict, comment) = match line {
                2 => (LineVerdict::Revoked, "left the team"),
                9 => (LineVerdict::Narrowed, "=has not written since May"),
                _ => (LineVerdict::Certified, "as it should be"),
            };
            let keeps = if verdict == LineVerdict::Narrowed { read.clone() } else { BTreeSet::new() };
            let said = Said { verdict, keeps: &keeps, comment };
            let by = reviewer(if line % 3 == 0 { "grace" } else { "hélène" });
            let (event, bar) = campaign::decide(&mut campaign, one, (&by, &[]), &said, at(second)).unwrap();
            self.event(second, &event);
            if let Some(bar) = bar {
                self.event(second, &Event::AccessBarred { bar: Box::new(bar), replaces: None });
            }
        }
        let lifted = Event::AccessUnbarred {
            person: person("bob"),
            target: TARGETS[0].0.into(),
            by: person("grace"),
            of: Some(id),
            campaign: None,
            comment: "he is back".into(),
        };
        self.event((decided + 2) * DAY, &lifted);
        let event =
            campaign::sign(&mut campaign, &lines, (&reviewer("grace"), true), at(signed * DAY)).unwrap();
        self.event(signed * DAY, &event);
    }

    fn session(&mut self, second: i64, length: i64, grant: &Grant, flaw: Flaw) {
        let id = SessionId::from_random(self.next().to_be_bytes());
        let role = format!("dbaccess_s_{}", &id.as_str()[4..]);
        self.event(
            second,
            &Event::SessionOpening {
                session: id.clone(),
                grant: grant.id.clone(),
                person: grant.person.clone(),
                target: grant.target.clone(),
                role: role.clone(),
                profile: "dbaccess_p_1".into(),
            },
        );
        let recorded = grant.is_recorded() && flaw != Flaw::NotRecorded;
        let sha256 = Hash::of(id.as_str().as_bytes()).to_string();
        let recording = |record: RecordingRecord| serde_json::to_string(&record).unwrap();
        if recorded {
            let (session, sha256) = (id.clone(), sha256.clone());
            self.told(
                second,
                recording(RecordingRecord::Started { session, sealed_to: None, sha256, bytes: 64 }),
            );
        }
        self.event(second + 1, &Event::SessionOpened { session: id.clone() });
        let statements = 2 + i64::try_from(self.below(10)).unwrap();
        let connection = ConnectionId::from_random(self.next().to_be_bytes());
        for n in 0..statements {
            let when = second + 2 + n * (length - 5) / statements;
            let rows = self.below(200);
            self.told(
                when,
                json!({
                    "kind": "statement.intent", "session": id, "grant": grant.id, "connection": connection,
                    "person": grant.person, "target": grant.target, "text": "select 1", "class": "SELECT",
                })
                .to_string(),
            );
            if flaw == Flaw::NoOutcome && n == 0 {
                continue;
            }
            self.told(when, json!({
                "kind": "statement.outcome", "intent": 1, "session": id, "result": {"ok": {"tag": format!("SELECT {rows}")}},
                "rows": rows, "bytes": rows * 40, "duration_us": 900,
            }).to_string());
        }
        if recorded {
            let (session, sha256) = (id.clone(), sha256.clone());
            self.told(
                second + length,
                recording(RecordingRecord::Chunk { session, index: 0, sha256, bytes: 4096 }),
            );
        }
        let latency_ms = if flaw == Flaw::Outlived { 65_000 } else { 20 + self.below(900) };
        let over = if flaw == Flaw::Outlived { second + 4200 } else { second + length };
        let ending = Event::SessionEnding {
            session: id.clone(),
            reason: EndReason::Exit,
            by: Actor::Person(grant.person.clone()),
        };
        self.event(over, &ending);
        let totals = Totals { statements: u64::try_from(statements).unwrap(), rows: 0, bytes: 0 };
        let gone = over + i64::try_from(latency_ms / 1000).unwrap();
        self.event(gone, &Event::SessionDead { session: id.clone(), role, latency_ms, totals });
        if recorded {
            let end = RecordingRecord::Ended { session: id, chunks: 1, bytes: 4160, sha256, recovered: None };
            self.told(gone, recording(end));
        }
    }

    /// In the order of time, as a server would have written it.
    fn store(mut self, dir: &FilePath) -> u64 {
        self.records.sort_by_key(|(second, _)| *second);
        std::fs::create_dir_all(dir.join("blobs")).unwrap();
        let (mut seq, mut prev, mut bytes) = (1, Hash::ZERO, Vec::new());
        let (mut first, key) = (1, signing_key());
        let close = |bytes: &mut Vec<u8>, first: u64| {
            std::fs::write(dir.join(segment_name(first)), std::mem::take(bytes)).unwrap();
        };
        for (second, body) in &self.records {
            let large = body.len() > 4096;
            let blob = BlobRef::to(body);
            if large {
                std::fs::write(dir.join("blobs").join(&blob.sha256), body).unwrap();
            }
            let body = if large { blob.to_body() } else { body.clone() };
            prev = push_line(&mut bytes, seq, at(*second), &prev, &body);
            seq += 1;
            if seq % 100 == 0 || seq % SEGMENT == 0 {
                let checkpoint = Checkpoint::sign(seq - 1, &prev, &key).to_body();
                prev = push_line(&mut bytes, seq, at(*second), &prev, &checkpoint);
                seq += 1;
            }
            if seq - first >= SEGMENT && seq % SEGMENT == 1 {
                close(&mut bytes, first);
                first = seq;
            }
        }
        close(&mut bytes, first);
        seq - 1
    }
}

fn at(second: i64) -> Timestamp {
    begin() + SignedDuration::from_secs(second)
}

fn person(name: &str) -> PersonRef {
    PersonRef { subject: name.to_owned(), email: format!("{name}@example.com") }
}
