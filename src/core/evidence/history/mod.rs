//! The lives that records tell of, each fact with the place of the record
//! that says so. Feed records in their order; the past is not corrected: what
//! contradicts itself stays visible for whoever judges it.

mod campaigns;
mod lives;
mod used;

pub use campaigns::{Campaigned, Decided, Lifted, Signed};
pub use lives::{
    Asked, Confirmed, Granted, Held, Pruned, Recorded, Reviewed, Revocation, Statements, Swept, Tally,
};
pub use used::Used;

use crate::core::ledger::body_kind;
use crate::core::model::{
    Approval, CampaignId, Event, GrantId, ProbeAnswer, RecordingRecord, RequestId, ReviewId, RoleScan,
    SessionId, StatementRecord, StatementResult,
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Where a record stands: its line on the ledger, and when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mark {
    pub seq: u64,
    pub at: Timestamp,
}

/// All that was told, by what it is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub requests: BTreeMap<RequestId, Asked>,
    pub grants: BTreeMap<GrantId, Granted>,
    pub sessions: BTreeMap<SessionId, Held>,
    pub reviews: BTreeMap<ReviewId, Reviewed>,
    pub campaigns: BTreeMap<CampaignId, Campaigned>,
    /// What security gave back of what reviews took.
    pub lifted: Vec<Lifted>,
    /// Policies by their hash, with each time that they came into force.
    pub policies: BTreeMap<String, Vec<Mark>>,
    /// Roles that the sweeper found and removed.
    pub swept: Vec<Swept>,
    /// What was found of login roles, by target, in the order of the records.
    pub scans: BTreeMap<String, Vec<(Mark, RoleScan)>>,
    /// Statements of sessions that no record opens, by session.
    pub strays: BTreeMap<SessionId, Tally>,
    /// Records of a form that this version does not know, by their kind.
    pub unknown: BTreeMap<String, Tally>,
    /// Where a crash had torn the ledger's last line, which was then cut off.
    pub torn: Vec<Mark>,
    pub first: Option<Mark>,
    pub last: Option<Mark>,
}

impl History {
    /// The next record: a line's body, or what stands beside the chain for it.
    pub fn record(&mut self, mark: Mark, body: &str) {
        self.first.get_or_insert(mark);
        self.last = Some(mark);
        let is =
            |prefix: &str| body.strip_prefix("{\"kind\":\"").is_some_and(|rest| rest.starts_with(prefix));
        if is("checkpoint\"") {
            return;
        }
        if is("ledger.recovered\"") {
            return self.torn.push(mark);
        }
        // What the gaps of a segment are, the chain's verifier asks.
        if is("ledger.pruned\"") {
            return;
        }
        if is("statement.")
            && let Ok(record) = serde_json::from_str(body)
        {
            return self.statement(mark, &record);
        }
        if is("recording.")
            && let Ok(record) = serde_json::from_str(body)
        {
            return self.recording(mark, record);
        }
        match serde_json::from_str(body) {
            Ok(event) => {
                if let Some(event) = self.campaign(mark, event) {
                    self.event(mark, event);
                }
            }
            Err(_) => {
                let kind = body_kind(body).unwrap_or_default();
                self.unknown.entry(kind).or_insert(Tally::since(mark)).add(mark);
            }
        }
    }

    fn statement(&mut self, mark: Mark, record: &StatementRecord<'_>) {
        let (StatementRecord::Intent { session, .. } | StatementRecord::Outcome { session, .. }) = record;
        let Some(held) = self.sessions.get_mut(session.as_ref()) else {
            return self.strays.entry(session.as_ref().clone()).or_insert(Tally::since(mark)).add(mark);
        };
        let told = &mut held.statements;
        match record {
            StatementRecord::Intent { facts, .. } => {
                told.begun += 1;
                told.first.get_or_insert(mark);
                told.last = Some(mark);
                if let Some(facts) = facts {
                    held.used.add(Used::of(facts));
                }
            }
            StatementRecord::Outcome { result, rows, bytes, export, .. } => {
                told.ended += 1;
                told.rows += rows;
                told.bytes += bytes;
                told.exports += u64::from(export.is_some());
                match result {
                    StatementResult::Refused { .. } | StatementResult::Cut { .. } => told.refused += 1,
                    StatementResult::Error { .. } => told.failed += 1,
                    _ => {}
                }
            }
        }
    }

    fn recording(&mut self, mark: Mark, record: RecordingRecord) {
        let Some(held) = self.sessions.get_mut(record.session()) else { return };
        let told = held.recording.get_or_insert_with(|| Recorded::since(mark));
        match record {
            RecordingRecord::Started { sealed_to, .. } => told.sealed = sealed_to.is_some(),
            RecordingRecord::Chunk { .. } => told.chunks += 1,
            RecordingRecord::Ended { recovered, .. } => {
                told.ended = Some(mark);
                told.recovered = recovered;
            }
        }
    }

    fn event(&mut self, mark: Mark, event: Event) {
        match event {
            Event::RequestCreated { request } => {
                self.requests.insert(request.id.clone(), Asked::new(mark, *request));
            }
            Event::RequestAmended { request, .. } => {
                if let Some(asked) = self.requests.get_mut(&request.id) {
                    asked.amended(mark, *request);
                }
            }
            Event::RequestApproved { request, approval } => self.approved(mark, &request, approval),
            Event::RequestDenied { request, .. }
            | Event::RequestCancelled { request, .. }
            | Event::RequestExpired { request } => {
                if let Some(asked) = self.requests.get_mut(&request) {
                    asked.closed = Some(mark);
                }
            }
            Event::GrantIssued { grant } => {
                if let Some(asked) = self.requests.get_mut(&grant.request) {
                    asked.grant = Some(grant.id.clone());
                }
                self.grants.insert(grant.id.clone(), Granted::new(mark, *grant));
            }
            Event::GrantRevoked { grant, by, reason } => {
                if let Some(granted) = self.grants.get_mut(&grant) {
                    granted.revoked = Some(Revocation { mark, by, reason });
                }
            }
            Event::SessionOpening { session, grant, person, target, role, .. } => {
                self.sessions.insert(session, Held::new(mark, grant, person, target, role));
            }
            Event::SessionOpened { session } => self.held(&session, |held| held.opened = Some(mark)),
            Event::SessionEnding { session, reason, by } => {
                self.held(&session, |held| held.ending = Some((mark, reason, by)));
            }
            Event::SessionDead { session, latency_ms, totals, .. } => self.held(&session, |held| {
                held.dead = Some(mark);
                held.latency_ms = Some(latency_ms);
                held.totals = totals;
            }),
            Event::CredentialProbed { session, answer, after_ms } => {
                // Once let in stays so: that it was removed then is its repair.
                self.held(&session, |held| match held.probed {
                    Some((ProbeAnswer::LetIn, _)) => {}
                    _ => held.probed = Some((answer, after_ms)),
                });
            }
            Event::TargetScanned { target, scan, .. } => {
                self.scans.entry(target).or_default().push((mark, *scan));
            }
            Event::RoleSwept { target, role } => self.swept.push(Swept { mark, target, role }),
            Event::BreakGlassOpened { break_glass, until } => {
                if let Some(granted) = self.grants.get_mut(&break_glass.grant) {
                    granted.until = until;
                    granted.incident = Some(break_glass.incident.id.clone());
                    granted.owes = break_glass.confirmation.is_some();
                }
            }
            Event::BreakGlassRenewed { grant, until, confirmed, renewals, .. } => {
                self.granted(&grant, |granted| {
                    granted.until = until;
                    granted.renewals = renewals;
                    granted.owes |= !confirmed;
                });
            }
            Event::BreakGlassEnded { grant, .. } => {
                self.granted(&grant, |granted| granted.ended = Some(mark))
            }
            Event::BreakGlassConfirmed { grant, confirmation, complete, .. } => {
                self.granted(&grant, |granted| {
                    granted.confirmed.push(Confirmed { mark, by: confirmation, complete });
                });
            }
            Event::BreakGlassUnconfirmed { grant, .. } => {
                self.granted(&grant, |granted| granted.unconfirmed = Some(mark));
            }
            Event::StatementsPruned { session, rule, .. } => {
                self.held(&session, |held| held.statements_pruned = Some(Pruned { mark, rule }));
            }
            Event::RecordingPruned { session, rule } => {
                self.held(&session, |held| held.recording_pruned = Some(Pruned { mark, rule }));
            }
            Event::ReviewOpened { review } => {
                self.reviews.insert(review.id.clone(), Reviewed::new(mark, *review));
            }
            Event::ReviewOverdue { review, .. } => {
                if let Some(told) = self.reviews.get_mut(&review) {
                    told.overdue = Some(mark);
                }
            }
            Event::ReviewWritten { review, finding, .. } => {
                if let Some(told) = self.reviews.get_mut(&review) {
                    told.findings.push((mark, finding));
                }
            }
            Event::ServerStarted { policy, .. } | Event::PolicyLoaded { policy, .. } => {
                self.policies.entry(policy).or_default().push(mark);
            }
            // Told of already, or nothing that changes who may do what.
            Event::BreakGlassRefused { .. }
            | Event::SignedIn { .. }
            | Event::SignedOut { .. }
            | Event::TargetSuspended { .. }
            | Event::TargetResumed { .. }
            | Event::TokensRotated { .. }
            | Event::BulkRead { .. }
            | Event::RequestReminded { .. }
            | Event::RequestEscalated { .. }
            | Event::DelegationGiven { .. }
            | Event::DelegationEnded { .. }
            | Event::PersonAway { .. }
            | Event::PersonBack { .. }
            | Event::NoticeGivenUp { .. }
            | Event::ConnectionOpened { .. }
            | Event::ConnectionClosed { .. }
            | Event::RecordingRead { .. }
            | Event::HoldPlaced { .. }
            | Event::HoldReleased { .. }
            | Event::UnsealRequested { .. }
            | Event::UnsealDecided { .. }
            | Event::UnsealOpened { .. }
            | Event::ReportMade { .. }
            | Event::ReviewReminded { .. }
            | Event::CampaignStarted { .. }
            | Event::CampaignDecided { .. }
            | Event::CampaignReminded { .. }
            | Event::CampaignSigned { .. }
            | Event::AccessBarred { .. }
            | Event::AccessUnbarred { .. }
            | Event::PolicyRefused { .. }
            | Event::BreakGlassOften { .. } => {}
        }
    }

    fn approved(&mut self, mark: Mark, request: &RequestId, approval: Approval) {
        if let Some(asked) = self.requests.get_mut(request) {
            asked.approvals.push((mark, approval));
        }
    }

    fn granted(&mut self, grant: &GrantId, change: impl FnOnce(&mut Granted)) {
        if let Some(granted) = self.grants.get_mut(grant) {
            change(granted);
        }
    }

    fn held(&mut self, session: &SessionId, change: impl FnOnce(&mut Held)) {
        if let Some(held) = self.sessions.get_mut(session) {
            change(held);
        }
    }
}

#[cfg(test)]
mod tests;
