//! One access as a report tells of it: a grant with its approvals, and its sessions.

use super::history::{Asked, Granted, Held, History, Mark};
use super::population::{is_recorded, review_of};
use crate::core::model::{Actor, GrantId, PersonRef, SessionId};
use jiff::Timestamp;
use serde::Serialize;

/// One grant, from its request to its end.
#[derive(Clone, Debug, Serialize)]
pub struct Access {
    pub grant: String,
    pub person: PersonRef,
    pub target: String,
    pub path: &'static str,
    /// As granted.
    pub scope: String,
    pub request: Option<Request>,
    pub approvals: Vec<Approved>,
    pub granted: Mark,
    pub from: Timestamp,
    /// After every renewal.
    pub until: Timestamp,
    pub renewals: u32,
    pub revoked: Option<Revoked>,
    pub incident: Option<String>,
    pub review: Option<Review>,
    pub sessions: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Request {
    pub id: String,
    pub reason: String,
    pub asked: Mark,
    pub amended: Option<Mark>,
    pub tier: &'static str,
    /// The rules of the policy that decided, and its hash.
    pub rules: Vec<String>,
    pub policy: String,
    /// The approvals that were demanded.
    pub demanded: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Approved {
    #[serde(flatten)]
    pub mark: Mark,
    pub by: PersonRef,
    pub on_behalf_of: Option<PersonRef>,
    pub role: String,
    pub via: Option<&'static str>,
    pub comment: Option<String>,
    /// It was for what the request asked before it was amended.
    pub void: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct Revoked {
    #[serde(flatten)]
    pub mark: Mark,
    pub by: PersonRef,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Review {
    pub id: String,
    pub due: Timestamp,
    pub findings: Vec<Found>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Found {
    #[serde(flatten)]
    pub mark: Mark,
    pub by: PersonRef,
    pub verdict: &'static str,
    pub finding: String,
}

/// One session, with the proof that it is over.
#[derive(Clone, Debug, Serialize)]
pub struct Session {
    pub session: String,
    pub grant: String,
    pub person: PersonRef,
    pub target: String,
    pub path: Option<&'static str>,
    /// The database role that was made for it.
    pub role: String,
    pub opening: Mark,
    pub opened: Option<Mark>,
    pub ended: Option<Ended>,
    /// When the role was proven gone, and how long after the end was decided.
    pub dead: Option<Mark>,
    pub latency_ms: Option<u64>,
    pub statements: u64,
    pub outcomes: u64,
    pub refused: u64,
    pub failed: u64,
    pub rows: u64,
    pub bytes: u64,
    pub exports: u64,
    /// Whether it had to be recorded, and what the ledger knows of the recording.
    pub recorded: bool,
    pub recording: Option<Recording>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Ended {
    #[serde(flatten)]
    pub mark: Mark,
    pub reason: &'static str,
    /// Nobody: time, or the system.
    pub by: Option<PersonRef>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Recording {
    pub started: Mark,
    pub ended: Option<Mark>,
    pub chunks: u32,
    /// To an auditor's key.
    pub sealed: bool,
    /// Chunks that a crash lost.
    pub lost: u32,
}

impl Access {
    pub(super) fn of(history: &History, id: &GrantId, granted: &Granted, sessions: Vec<String>) -> Self {
        let grant = &granted.grant;
        let asked = history.requests.get(&grant.request);
        Self {
            grant: id.to_string(),
            person: grant.person.clone(),
            target: grant.target.clone(),
            path: grant.path.as_str(),
            scope: grant.scope.to_string(),
            request: asked.map(Request::of),
            approvals: asked.map(Approved::all).unwrap_or_default(),
            granted: granted.issued,
            from: grant.from,
            until: granted.until,
            renewals: granted.renewals,
            revoked: granted.revoked.as_ref().map(|revoked| Revoked {
                mark: revoked.mark,
                by: revoked.by.clone(),
                reason: revoked.reason.clone(),
            }),
            incident: granted.incident.as_ref().map(ToString::to_string),
            review: review_of(history, id).map(|(id, reviewed)| Review {
                id: id.to_string(),
                due: reviewed.review.due_at,
                findings: reviewed.findings.iter().map(Found::of).collect(),
            }),
            sessions,
        }
    }
}

impl Request {
    fn of(asked: &Asked) -> Self {
        let request = &asked.request;
        Self {
            id: request.id.to_string(),
            reason: request.reason.clone(),
            asked: asked.created,
            amended: asked.amended,
            tier: request.decision.tier.as_str(),
            rules: request.decision.rules.iter().map(|rule| rule.id.clone()).collect(),
            policy: request.decision.policy.clone(),
            demanded: request.decision.slots.iter().map(ToString::to_string).collect(),
        }
    }
}

impl Approved {
    fn all(asked: &Asked) -> Vec<Self> {
        let since = asked.amended.map_or(0, |mark| mark.seq);
        let of = |(mark, approval): &(Mark, crate::core::model::Approval)| Self {
            mark: *mark,
            by: approval.by.clone(),
            on_behalf_of: approval.on_behalf_of.clone(),
            role: approval.role.to_string(),
            via: approval.via.map(crate::core::model::Via::as_str),
            comment: approval.comment.clone(),
            void: mark.seq < since,
        };
        asked.approvals.iter().map(of).collect()
    }
}

impl Found {
    fn of((mark, finding): &(Mark, crate::core::model::ReviewFinding)) -> Self {
        let verdict = finding.verdict.as_str();
        Self { mark: *mark, by: finding.by.clone(), verdict, finding: finding.finding.clone() }
    }
}

impl Session {
    pub(super) fn of(history: &History, id: &SessionId, held: &Held) -> Self {
        let granted = history.grants.get(&held.grant);
        let told = &held.statements;
        Self {
            session: id.to_string(),
            grant: held.grant.to_string(),
            person: held.person.clone(),
            target: held.target.clone(),
            path: granted.map(|granted| granted.grant.path.as_str()),
            role: held.role.clone(),
            opening: held.opening,
            opened: held.opened,
            ended: held.ending.as_ref().map(|(mark, reason, by)| Ended {
                mark: *mark,
                reason: reason.as_str(),
                by: match by {
                    Actor::Person(person) => Some(person.clone()),
                    Actor::System => None,
                },
            }),
            dead: held.dead,
            latency_ms: held.latency_ms,
            statements: told.begun,
            outcomes: told.ended,
            refused: told.refused,
            failed: told.failed,
            rows: told.rows,
            bytes: told.bytes,
            exports: told.exports,
            recorded: is_recorded(history, held),
            recording: held.recording.map(|recording| Recording {
                started: recording.started,
                ended: recording.ended,
                chunks: recording.chunks,
                sealed: recording.sealed,
                lost: recording.recovered.map_or(0, |recovered| recovered.lost),
            }),
        }
    }
}
