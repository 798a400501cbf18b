//! What is known of each request, grant, session and review.

use super::{Mark, Used};
use crate::core::model::{
    AccessRequest, Actor, Approval, EndReason, Grant, GrantId, IncidentId, PersonRef, ProbeAnswer, Recovered,
    Review, ReviewFinding, Totals,
};
use jiff::Timestamp;

/// A request, as it was asked last.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub request: AccessRequest,
    pub created: Mark,
    /// Its last amendment. Approvals of what it was before are void.
    pub amended: Option<Mark>,
    pub approvals: Vec<(Mark, Approval)>,
    /// Denied, withdrawn or expired.
    pub closed: Option<Mark>,
    pub grant: Option<GrantId>,
}

/// A grant. What became of it is beside what was issued.
#[derive(Clone, Debug, PartialEq)]
pub struct Granted {
    pub grant: Grant,
    pub issued: Mark,
    /// The window's end: renewals of break-glass move it.
    pub until: Timestamp,
    pub renewals: u32,
    pub revoked: Option<Revocation>,
    /// Break-glass alone: what it was opened for, and when that was over.
    pub incident: Option<IncidentId>,
    pub ended: Option<Mark>,
    /// People owe a confirmation of what the incident system could not say.
    pub owes: bool,
    pub confirmed: Vec<Confirmed>,
    /// When it was told that the confirmation is overdue.
    pub unconfirmed: Option<Mark>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Revocation {
    pub mark: Mark,
    pub by: PersonRef,
    pub reason: Option<String>,
}

/// One person's confirmation; `complete` when it was the last that was due.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    pub mark: Mark,
    pub by: Approval,
    pub complete: bool,
}

/// A session, from before its role was made until the role was proven gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    pub grant: GrantId,
    pub person: PersonRef,
    pub target: String,
    pub role: String,
    pub opening: Mark,
    /// The role can log in from here on.
    pub opened: Option<Mark>,
    pub ending: Option<(Mark, EndReason, Actor)>,
    pub dead: Option<Mark>,
    /// From the decision that it ends until the role was proven gone.
    pub latency_ms: Option<u64>,
    /// What its dead credential was answered, and how long after the decision.
    pub probed: Option<(ProbeAnswer, u64)>,
    /// As the gateway counted them at the end.
    pub totals: Totals,
    /// As the ledger's lines count them.
    pub statements: Statements,
    pub used: Used,
    pub recording: Option<Recorded>,
    /// What retention has taken out.
    pub statements_pruned: Option<Pruned>,
    pub recording_pruned: Option<Pruned>,
}

/// That something was taken out, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    pub mark: Mark,
    pub rule: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statements {
    /// Intents. Each has an outcome, except where the server's life ended between them.
    pub begun: u64,
    pub ended: u64,
    /// By the gateway, before or within their result.
    pub refused: u64,
    /// By the database.
    pub failed: u64,
    pub rows: u64,
    pub bytes: u64,
    pub exports: u64,
    pub first: Option<Mark>,
    pub last: Option<Mark>,
}

/// What the ledger knows of a session's recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub started: Mark,
    pub sealed: bool,
    pub chunks: u32,
    pub ended: Option<Mark>,
    pub recovered: Option<Recovered>,
}

/// The review of a break-glass grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Reviewed {
    pub review: Review,
    pub opened: Mark,
    pub overdue: Option<Mark>,
    pub findings: Vec<(Mark, ReviewFinding)>,
}

/// A role that no living session had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    pub mark: Mark,
    pub target: String,
    pub role: String,
}

/// Records of one sort that should not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    pub count: u64,
    pub first: Mark,
    pub last: Mark,
}

impl Asked {
    pub(super) fn new(created: Mark, request: AccessRequest) -> Self {
        Self { request, created, amended: None, approvals: Vec::new(), closed: None, grant: None }
    }

    pub(super) fn amended(&mut self, mark: Mark, request: AccessRequest) {
        self.request = request;
        self.amended = Some(mark);
    }

    /// Those that stand: given after what was asked last.
    pub fn standing(&self) -> impl Iterator<Item = &(Mark, Approval)> {
        let since = self.amended.map_or(0, |mark| mark.seq);
        self.approvals.iter().filter(move |(mark, _)| mark.seq > since)
    }
}

impl Granted {
    pub(super) fn new(issued: Mark, grant: Grant) -> Self {
        Self {
            until: grant.until,
            grant,
            issued,
            renewals: 0,
            revoked: None,
            incident: None,
            ended: None,
            owes: false,
            confirmed: Vec::new(),
            unconfirmed: None,
        }
    }

    /// When it could last be used: its window's end, or what came before it.
    pub fn over(&self) -> Timestamp {
        let taken = [self.revoked.as_ref().map(|revoked| revoked.mark.at), self.ended.map(|mark| mark.at)];
        taken.into_iter().flatten().fold(self.until, Timestamp::min)
    }
}

impl Held {
    pub(super) fn new(
        opening: Mark,
        grant: GrantId,
        person: PersonRef,
        target: String,
        role: String,
    ) -> Self {
        Self {
            grant,
            person,
            target,
            role,
            opening,
            opened: None,
            ending: None,
            dead: None,
            latency_ms: None,
            probed: None,
            totals: Totals::default(),
            statements: Statements::default(),
            used: Used::default(),
            recording: None,
            statements_pruned: None,
            recording_pruned: None,
        }
    }
}

impl Recorded {
    pub(super) fn since(started: Mark) -> Self {
        Self { started, sealed: false, chunks: 0, ended: None, recovered: None }
    }
}

impl Reviewed {
    pub(super) fn new(opened: Mark, review: Review) -> Self {
        Self { review, opened, overdue: None, findings: Vec::new() }
    }
}

impl Tally {
    /// Of none yet.
    pub(super) fn since(first: Mark) -> Self {
        Self { count: 0, first, last: first }
    }

    pub(super) fn add(&mut self, mark: Mark) {
        self.count += 1;
        self.last = mark;
    }
}
