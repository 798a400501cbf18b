//! Events: what the ledger records. The serialised form is the record's body;
//! its keys are stable, because auditors' programs read them.

use super::{
    Absence, AccessRequest, Approval, Bar, BreakGlass, BreakGlassEndReason, BulkRead, CampaignId,
    CampaignTold, ConnectionId, Delegation, DelegationId, EndReason, Framework, Grant, GrantId, Hold, HoldId,
    IncidentId, LineDecision, NoticeKind, PersonRef, PolicySource, ProbeAnswer, RequestId, Review,
    ReviewFinding, ReviewId, RoleScan, SessionId, Totals, Unseal, UnsealDecision, UnsealId, Via,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    Person(PersonRef),
    /// Policy, a timer or the sweeper.
    System,
}

/// A state change or act worth evidence. Statement records are separate
/// (the gateway's): they are too many to pass through the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Event {
    #[serde(rename = "server.started")]
    ServerStarted { version: String, policy: String },
    #[serde(rename = "person.signed_in")]
    SignedIn { person: PersonRef, issuer: String, groups: Vec<String> },
    #[serde(rename = "person.signed_out")]
    SignedOut { person: PersonRef },
    #[serde(rename = "request.created")]
    RequestCreated { request: Box<AccessRequest> },
    /// Another script in place of the one that was asked for: approvals so far are void.
    #[serde(rename = "request.amended")]
    RequestAmended { request: Box<AccessRequest>, was: String, voided: usize },
    #[serde(rename = "request.approved")]
    RequestApproved { request: RequestId, approval: Approval },
    #[serde(rename = "request.denied")]
    RequestDenied {
        request: RequestId,
        by: Actor,
        /// Who lent them the role: the denial is given in that person's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_behalf_of: Option<PersonRef>,
        reason: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        via: Option<Via>,
    },
    #[serde(rename = "request.cancelled")]
    RequestCancelled { request: RequestId, by: PersonRef },
    #[serde(rename = "request.expired")]
    RequestExpired { request: RequestId },
    #[serde(rename = "grant.issued")]
    GrantIssued { grant: Box<Grant> },
    #[serde(rename = "grant.revoked")]
    GrantRevoked { grant: GrantId, by: PersonRef, reason: Option<String> },
    #[serde(rename = "session.opening")]
    SessionOpening {
        session: SessionId,
        grant: GrantId,
        person: PersonRef,
        target: String,
        role: String,
        profile: String,
    },
    #[serde(rename = "session.opened")]
    SessionOpened { session: SessionId },
    #[serde(rename = "session.ending")]
    SessionEnding { session: SessionId, reason: EndReason, by: Actor },
    /// The role is proven gone, this long after the end was decided.
    #[serde(rename = "session.dead")]
    SessionDead { session: SessionId, role: String, latency_ms: u64, totals: Totals },
    /// Its credential was tried once more, this long after the end was decided (R10.6).
    #[serde(rename = "credential.probed")]
    CredentialProbed { session: SessionId, answer: ProbeAnswer, after_ms: u64 },
    /// Login roles of the target's cluster that people could be using (R1.5).
    #[serde(rename = "target.scanned")]
    TargetScanned { target: String, by: Actor, scan: Box<RoleScan> },
    #[serde(rename = "role.swept")]
    RoleSwept { target: String, role: String },
    /// Sessions with views end, and none opens until then.
    #[serde(rename = "target.suspended")]
    TargetSuspended { target: String, by: PersonRef, until: Timestamp },
    #[serde(rename = "target.resumed")]
    TargetResumed { target: String, by: Actor },
    /// Tokens of one domain, or of all, have new keys; the noise of sealed
    /// columns is among all.
    #[serde(rename = "target.tokens_rotated")]
    TokensRotated { target: String, by: PersonRef, domain: Option<String>, keys: u32 },
    /// A statement or session has read unusually much (R7.3).
    #[serde(rename = "alert.bulk_read")]
    BulkRead { read: Box<BulkRead> },
    /// Those who could decide were told again.
    #[serde(rename = "request.reminded")]
    RequestReminded { request: RequestId, number: u32, to: Vec<PersonRef> },
    /// It has waited so long that others were told.
    #[serde(rename = "request.escalated")]
    RequestEscalated { request: RequestId, to: Vec<PersonRef> },
    #[serde(rename = "delegation.given")]
    DelegationGiven { delegation: Box<Delegation> },
    /// Before its time.
    #[serde(rename = "delegation.ended")]
    DelegationEnded { delegation: DelegationId, by: PersonRef },
    #[serde(rename = "person.away")]
    PersonAway { absence: Box<Absence> },
    /// Before the time that they had said.
    #[serde(rename = "person.back")]
    PersonBack { person: PersonRef },
    /// A channel refused a notice for good: nobody learns of it there.
    #[serde(rename = "notice.given_up")]
    NoticeGivenUp {
        channel: String,
        notice: NoticeKind,
        title: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<String>,
        why: String,
    },
    #[serde(rename = "connection.opened")]
    ConnectionOpened { connection: ConnectionId, session: SessionId, application: Option<String> },
    #[serde(rename = "connection.closed")]
    ConnectionClosed { connection: ConnectionId, session: SessionId },
    /// Access without approval, because of an incident (R8).
    #[serde(rename = "break_glass.opened")]
    BreakGlassOpened { break_glass: Box<BreakGlass>, until: Timestamp },
    /// It was asked for, and refused without a request: `target` and
    /// `incident` as they were typed.
    #[serde(rename = "break_glass.refused")]
    BreakGlassRefused { person: PersonRef, target: String, incident: String, why: String },
    /// Its window was moved. Not confirmed: the incident system could not be asked.
    #[serde(rename = "break_glass.renewed")]
    BreakGlassRenewed {
        grant: GrantId,
        incident: IncidentId,
        confirmed: bool,
        renewals: u32,
        until: Timestamp,
        policy: String,
    },
    #[serde(rename = "break_glass.ended")]
    BreakGlassEnded { grant: GrantId, incident: IncidentId, why: BreakGlassEndReason },
    /// A person has said what the incident system could not.
    #[serde(rename = "break_glass.confirmed")]
    BreakGlassConfirmed { grant: GrantId, incident: IncidentId, confirmation: Approval, complete: bool },
    /// Its confirmation is overdue: the person's next one is refused until it is given.
    #[serde(rename = "break_glass.unconfirmed")]
    BreakGlassUnconfirmed { grant: GrantId, incident: IncidentId, due: Timestamp },
    /// From now on retention takes out nothing that it covers.
    #[serde(rename = "hold.placed")]
    HoldPlaced { hold: Box<Hold> },
    #[serde(rename = "hold.released")]
    HoldReleased { hold: HoldId, by: PersonRef, reason: String },
    /// A session's statements have come to their age: their lines go. Which gaps
    /// they leave in which segment, the lines of the kind `ledger.pruned` say.
    #[serde(rename = "statements.pruned")]
    StatementsPruned { session: SessionId, statements: u64, rule: String },
    /// A session's recording has come to its age: the file goes.
    #[serde(rename = "recording.pruned")]
    RecordingPruned { session: SessionId, rule: String },
    /// Somebody has asked for a session's recording.
    #[serde(rename = "recording.read")]
    RecordingRead { session: SessionId, by: PersonRef },
    /// An auditor asks for the originals of redacted statements.
    #[serde(rename = "unseal.requested")]
    UnsealRequested { unseal: Box<Unseal> },
    #[serde(rename = "unseal.decided")]
    UnsealDecided { unseal: UnsealId, decision: UnsealDecision },
    /// One of the two auditors was given the server's shares of so many statements.
    #[serde(rename = "unseal.opened")]
    UnsealOpened { unseal: UnsealId, by: PersonRef, statements: usize },
    /// A bundle of evidence was made: `manifest` is the SHA-256 of its manifest,
    /// and `first` to `last` the lines of the ledger that are in it.
    #[serde(rename = "report.made")]
    ReportMade {
        by: PersonRef,
        framework: Framework,
        from: Timestamp,
        until: Timestamp,
        first: u64,
        last: u64,
        exceptions: u64,
        manifest: String,
    },
    /// Break-glass access has ended, and somebody must look at it (R8.5).
    #[serde(rename = "review.opened")]
    ReviewOpened { review: Box<Review> },
    #[serde(rename = "review.reminded")]
    ReviewReminded { review: ReviewId, due_at: Timestamp },
    #[serde(rename = "review.overdue")]
    ReviewOverdue { review: ReviewId, grant: GrantId, person: PersonRef, due_at: Timestamp },
    #[serde(rename = "review.written")]
    ReviewWritten { review: ReviewId, grant: GrantId, finding: ReviewFinding },
    /// An access review of a period begins (R9.4); `sha256` is of its lines.
    #[serde(rename = "campaign.started")]
    CampaignStarted {
        campaign: CampaignId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<PersonRef>,
        /// The quarter that the schedule started it for, where nobody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scheduled: Option<String>,
        from: Timestamp,
        to: Timestamp,
        targets: Vec<String>,
        due_at: Timestamp,
        lines: usize,
        people: usize,
        sha256: String,
    },
    #[serde(rename = "campaign.decided")]
    CampaignDecided {
        campaign: CampaignId,
        line: u32,
        person: PersonRef,
        target: String,
        decision: LineDecision,
    },
    /// Those who could decide were told again: at half time, three days
    /// before it is due, and when it is overdue.
    #[serde(rename = "campaign.reminded")]
    CampaignReminded {
        campaign: CampaignId,
        stage: CampaignTold,
        undecided: usize,
        due_at: Timestamp,
        to: Vec<PersonRef>,
    },
    /// Every line was decided; `sha256` is of lines and decisions.
    #[serde(rename = "campaign.signed")]
    CampaignSigned {
        campaign: CampaignId,
        by: PersonRef,
        sha256: String,
        certified: usize,
        narrowed: usize,
        revoked: usize,
    },
    /// What a review took from a person at a target.
    #[serde(rename = "access.barred")]
    AccessBarred {
        bar: Box<Bar>,
        /// What an earlier decision about the same line had barred, and no longer does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<Box<Bar>>,
    },
    /// A later review, or security, has given it back.
    #[serde(rename = "access.unbarred")]
    AccessUnbarred {
        person: PersonRef,
        target: String,
        by: PersonRef,
        /// The campaign that had taken it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<CampaignId>,
        /// The one that gives it back; security without one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        campaign: Option<CampaignId>,
        comment: String,
    },
    /// These texts decide from now on. Decisions name them by their hash.
    #[serde(rename = "policy.loaded")]
    PolicyLoaded { policy: String, by: Actor, sources: Vec<PolicySource> },
    /// The texts on disk cannot be the policy; the one in force stays.
    #[serde(rename = "policy.refused")]
    PolicyRefused { policy: String, by: Actor, problems: Vec<String> },
    /// Break-glass was used so often that the ordinary policies seem too strict
    /// (R8.6). `who` is a person's or a team's name, `suggestion` Cedar text.
    #[serde(rename = "break_glass.often")]
    BreakGlassOften { who: String, times: u32, days: u32, requests: Vec<RequestId>, suggestion: String },
}

/// How a statement ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatementResult {
    /// The command tag as PostgreSQL sent it.
    Ok {
        tag: String,
    },
    /// A portal gave a part of its rows.
    Suspended,
    Error {
        sqlstate: String,
        message: String,
    },
    /// The gateway refused it; the database never saw it.
    Refused {
        sqlstate: String,
        message: String,
    },
    /// The gateway stopped it in its result: over a budget (R7.1). What of it was
    /// returned is counted; the database may have finished it all the same.
    Cut {
        sqlstate: String,
        message: String,
    },
    /// An earlier statement of the same message or pipeline failed.
    Skipped,
    /// The connection ended before the server answered.
    Unknown,
}

impl StatementResult {
    /// The SQLSTATE and message of what did not succeed.
    pub fn error(&self) -> Option<(&str, &str)> {
        match self {
            Self::Error { sqlstate, message }
            | Self::Refused { sqlstate, message }
            | Self::Cut { sqlstate, message } => Some((sqlstate, message)),
            Self::Ok { .. } | Self::Suspended | Self::Skipped | Self::Unknown => None,
        }
    }
}
