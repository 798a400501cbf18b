//! The HTTP API's requests and responses, shared by server and client.
//! Paths are under `/v1`; every body is JSON; times are RFC 3339 in UTC;
//! lengths of time are whole seconds. A request with a field that is not known
//! is refused: a misspelt narrowing must not be taken for none.

mod audit;
mod unseal;

pub use audit::{AuditCount, AuditCounts, AuditPage, AuditQuery, AuditRow, CountBy, ResultKind, TouchedKind};
pub use unseal::{
    AskUnseal, DecideUnseal, OpenUnseal, OpenedStatement, SealedPart, UnsealView, Unsealed, UnsealsQuery,
};

use crate::core::model::{
    Absence, AccessRequest, Approval, AskedScope, Bar, BreakGlass, CampaignId, CampaignLine, CampaignSigned,
    Covered, Delegation, EndReason, ErrorKind, Explanation, Framework, Grant, GrantId, Hold, Limits,
    LineVerdict, Metric, Path, Permission, Person, PersonRef, PolicySource, RecordingRecord, RequestId,
    Review, Right, Risk, Role, RuleRef, Session, SessionId, StandingRole, Suspension, Tier, Totals, Verdict,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Every answer that is not a success.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    pub kind: ErrorKind,
    /// What happened and why.
    pub message: String,
    /// What to do next: a command where one helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// `GET /v1/about`: what a client needs before anybody is signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    pub version: String,
    /// The server's clock.
    pub now: Timestamp,
    pub login: LoginConfig,
    /// Where the native PostgreSQL endpoint listens, when it is on: `host:port`.
    pub native: Option<String>,
}

/// The identity provider that this server trusts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoginConfig {
    pub issuer: String,
    pub client_id: String,
    pub scopes: Vec<String>,
}

/// `POST /v1/login`: an ID token for a token of ours.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub id_token: String,
    /// For the claims that the provider answers only at its userinfo endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<String>,
    /// Kept by the client alone unless it asks for a renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// `POST /v1/renew`, with the old token as bearer: the server redeems the
/// refresh token at the provider, so that providers which send no ID token on
/// refresh work too.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renew {
    pub refresh_token: String,
}

/// `POST /v1/logout`, with the token as bearer.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
}

/// Answer to `login` and `renew`.
#[derive(Serialize, Deserialize)]
pub struct TokenIssued {
    pub token: String,
    pub expires_at: Timestamp,
    /// The refresh token to keep from now on, where the provider rotates it.
    pub refresh_token: Option<String>,
    pub person: Person,
}

/// `GET /v1/me`
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Me {
    pub person: Person,
    pub token_expires_at: Timestamp,
}

/// One row of `GET /v1/targets`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetView {
    pub name: String,
    pub environment: String,
    pub service: Option<String>,
    pub owners: BTreeSet<String>,
    /// Whether the caller belongs to an owning team.
    pub at_home: bool,
    /// The caller's live grants here.
    pub grants: Vec<Grant>,
    /// Tables as last seen; empty while the target was never reached.
    pub tables: Vec<TableView>,
    /// Why the target cannot be reached, when it cannot.
    pub problem: Option<String>,
    /// While it lasts, no session opens that needs masks or conditions.
    #[serde(default)]
    pub suspended: Option<Suspension>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableView {
    pub name: String,
    pub columns: Vec<ColumnView>,
    /// Why nobody is let into it, where that is so.
    #[serde(default)]
    pub closed: Option<String>,
    /// The conditions on its rows of the caller's grants.
    #[serde(default)]
    pub rows: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ColumnView {
    pub name: String,
    pub type_name: String,
    pub sensitivity: Option<String>,
    /// How it is shown while it is masked.
    #[serde(default)]
    pub mask: Option<String>,
    /// What the caller sees: `raw`, a mask, or `nothing`; under the grants
    /// they hold, where one covers it, else under one that asks for nothing more.
    #[serde(default)]
    pub you_see: String,
    /// Those of the caller's grants under which it is raw, where it is not always.
    #[serde(default)]
    pub raw_under: Vec<GrantId>,
}

/// `POST /v1/targets/{name}/rotate-tokens`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateTokens {
    /// Only this domain's.
    #[serde(default)]
    pub domain: Option<String>,
}

/// Answer to `POST /v1/targets/{name}/rotate-tokens`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokensRotated {
    pub target: String,
    pub domain: Option<String>,
    /// How many keys are new.
    pub keys: u32,
}

/// `POST /v1/targets/{name}/scan`
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {}

/// The logins of a target's cluster (R1.5).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scanned {
    pub target: String,
    pub at: Timestamp,
    /// Neither dbaccess's nor declared as a service's.
    pub standing: Vec<StandingRole>,
    pub managed: usize,
    pub declared: BTreeSet<String>,
    /// Declared, and no login.
    pub missing: Vec<String>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

/// `GET /v1/metrics`
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsQuery {
    /// Over how long, up to now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_seconds: Option<u64>,
}

/// The metrics of privilege reduction (R10).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricsView {
    pub from: Timestamp,
    pub until: Timestamp,
    pub metrics: Vec<Metric>,
}

/// `POST /v1/targets/{name}/suspend`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    #[serde(default)]
    pub for_seconds: Option<u64>,
}

/// Answer to `POST /v1/targets/{name}/suspend`, once nothing hinders a deploy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuspendedView {
    pub suspension: Suspension,
    /// Those that were ended.
    pub sessions: Vec<SessionId>,
    /// What does hinder it still: profiles whose views could not be dropped,
    /// each with why. It is tried again every minute.
    pub left: Vec<String>,
}

/// `POST /v1/targets/{name}/resume`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {}

/// Answer to `POST /v1/targets/{name}/resume`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResumedView {
    pub target: String,
    /// The suspension that this ended, if there was one.
    pub was: Option<Suspension>,
}

/// `POST /v1/requests`. Without a target, the one target that has the tables.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRequest {
    pub target: Option<String>,
    pub scope: AskedScope,
    pub reason: String,
    pub window_seconds: Option<u64>,
    /// To run a reviewed script: the scope follows from it, its schemas aside
    /// where they are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<NewScript>,
    /// The incident that it is asked for in: a fact for policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
}

/// A file with SQL, as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewScript {
    /// The file's, without a directory.
    pub name: String,
    pub text: String,
}

/// `POST /v1/requests/{id}/amend`: another script, while the request waits. Its
/// approvals are void.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amend {
    pub migration: NewScript,
    /// As in the scope of a new request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemas: Vec<String>,
}

/// `POST /v1/compare/{id}`: whether a session, or all sessions of a request, ran
/// a script. Answered with the [`crate::core::model::ScriptComparison`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// In place of the request's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<NewScript>,
}

/// `POST /v1/break-glass`: the whole database to write, at once, while an
/// incident of its service is open and the caller's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBreakGlass {
    pub target: String,
    /// `PD-…` of PagerDuty or `OG-…` of Opsgenie.
    pub incident: String,
    pub reason: String,
    /// Classified columns to see as they are.
    #[serde(default)]
    pub unmask: Vec<String>,
}

/// `POST /v1/requests/{id}/confirm`: that there was such an incident, where its
/// system could not say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    #[serde(default)]
    pub comment: Option<String>,
}

/// What became of a break-glass.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BreakGlassView {
    pub break_glass: BreakGlass,
    /// The roles in which the caller could confirm it now.
    pub you_confirm: Vec<Role>,
}

/// A request as people see it: with what is still missing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestView {
    pub request: AccessRequest,
    /// The requester's teams, as last seen.
    #[serde(default)]
    pub teams: BTreeSet<String>,
    /// How much could go wrong, and why.
    #[serde(default)]
    pub risk: Option<Risk>,
    /// Classified columns that the scope shows raw, by sensitivity.
    pub sensitive: Vec<String>,
    /// Classified columns that stay masked, each with its mask.
    #[serde(default)]
    pub masked: Vec<String>,
    /// The roles that the caller could fill, the one that an approval would be
    /// counted as first; empty when the caller cannot approve.
    pub you_fill: Vec<Role>,
    /// In whose name the caller's approval would be given, where somebody lent them the role.
    #[serde(default)]
    pub on_behalf_of: Option<PersonRef>,
    /// What the requester did on this target before: for whoever decides, security
    /// and auditors, and the requester; of one request, not in lists.
    #[serde(default)]
    pub history: Option<History>,
    /// The grant, once there is one.
    pub grant: Option<Grant>,
    /// Where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlassView>,
}

/// What one person did on one target, in so many days.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    pub days: u32,
    /// Requests, by how they ended.
    pub granted: u64,
    pub denied: u64,
    pub cancelled: u64,
    pub expired: u64,
    pub waiting: u64,
    pub sessions: u64,
    /// Of sessions that have ended.
    pub statements: u64,
    pub rows: u64,
    /// When the last session was opened.
    pub last: Option<Timestamp>,
    /// The last few, newest first.
    pub denials: Vec<Denial>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Denial {
    pub at: Timestamp,
    /// Policy, where it is nobody.
    pub by: Option<PersonRef>,
    pub reason: Option<String>,
}

/// `POST /v1/requests/{id}/approve`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// Narrow the scope to these tables.
    #[serde(default)]
    pub tables: Option<Vec<String>>,
    /// Narrow the scope to these schemas, beside the tables.
    #[serde(default)]
    pub schemas: Option<Vec<String>>,
    /// Keep every mask on, whatever was asked to be seen raw.
    #[serde(default)]
    pub masked: bool,
    /// Narrow the window.
    #[serde(default)]
    pub window_seconds: Option<u64>,
    #[serde(default)]
    pub comment: Option<String>,
    /// SHA-256 of the script that was shown, where the request has one: no other
    /// is approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Its revision: a script that was changed and changed back was not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
}

impl Approve {
    /// As asked, and of a script the one that was shown.
    pub fn of(shown: &AccessRequest) -> Self {
        let script = shown.migration.as_ref();
        Self {
            sha256: script.map(|script| script.sha256.clone()),
            revision: script.map(|script| script.revision),
            ..Self::default()
        }
    }
}

/// `POST /v1/requests/{id}/deny`, `/cancel`; `POST /v1/revoke/{id}`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    #[serde(default)]
    pub reason: Option<String>,
}

/// Answer to `POST /v1/revoke/{id}`, where the id is a grant's, a session's or a granted request's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevokedView {
    pub grant: Option<GrantId>,
    pub sessions: Vec<SessionId>,
}

/// `POST /v1/sessions`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    pub grant: GrantId,
    /// The session outlives the client that opened it, until the window ends.
    #[serde(default)]
    pub detached: bool,
}

/// Answer to `POST /v1/sessions`. The password opens the gateway, for this
/// session alone; the database never sees it (G4).
#[derive(Serialize, Deserialize)]
pub struct SessionOpened {
    pub session: SessionId,
    pub grant: GrantId,
    pub target: String,
    pub user: String,
    pub password: String,
    pub database: String,
    pub until: Timestamp,
    pub permissions: BTreeSet<Permission>,
    /// Where the native endpoint takes the same credential, when it is on: `host:port`.
    pub native: Option<String>,
}

/// A line of `GET /v1/sessions/{id}/events` (newline-delimited JSON). The
/// client that holds this stream holds the session: when it is gone for longer
/// than the grace, the session ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum SessionEvent {
    /// Still there; sent every few seconds.
    Tick { now: Timestamp, until: Timestamp },
    /// No statement gets through any more.
    Ending { reason: EndReason, message: String },
    /// The role is proven gone.
    Dead(SessionSummary),
}

/// How a session ended. Answer to `DELETE /v1/sessions/{id}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionSummary {
    pub session: SessionId,
    pub reason: EndReason,
    pub totals: Totals,
    /// From the end's decision until the role was proven gone; `None` while it is still being retried.
    pub dead_after_ms: Option<u64>,
}

/// One row of `GET /v1/sessions?mine=&all=&target=`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionView {
    pub session: Session,
    /// Of its grant.
    pub path: Path,
    pub scope: String,
    pub reason: String,
    pub connections: u32,
}

/// One finding of `GET /v1/doctor?target=`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Finding {
    pub check: String,
    pub level: FindingLevel,
    pub message: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingLevel {
    Ok,
    Warning,
    Problem,
}

/// Filter of `GET /v1/requests`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestsQuery {
    /// Only the caller's own.
    #[serde(default)]
    pub mine: bool,
    /// Finished ones too.
    #[serde(default)]
    pub all: bool,
}

/// Filter of `GET /v1/sessions`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionsQuery {
    #[serde(default)]
    pub mine: bool,
    #[serde(default)]
    pub all: bool,
}

/// `POST /v1/policy/reload`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadPolicy {}

/// Answer to `POST /v1/policy/reload`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyLoaded {
    /// SHA-256 of the texts that decide from now on.
    pub policy: String,
    /// Of those before.
    pub was: String,
    pub changed: bool,
    pub rules: usize,
}

/// Answer to `GET /v1/requests/{id}/policy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explained {
    pub request: RequestId,
    pub target: String,
    /// Whether the policy that decided is the one in force now.
    pub in_force: bool,
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// `POST /v1/policy/replay`: what this policy would have said.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The whole policy, in the order in which its rules decide.
    pub sources: Vec<PolicySource>,
    pub since: Timestamp,
}

/// Answer to `POST /v1/policy/replay`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Replayed {
    /// SHA-256 of the policy that was sent.
    pub policy: String,
    /// It has no rule that permits: every request would be denied.
    #[serde(default)]
    pub permits_nothing: bool,
    /// How many requests were decided again, or could not be.
    pub requests: usize,
    pub same: usize,
    pub changed: usize,
    /// Decided by an earlier version, which did not keep its facts.
    pub not_replayable: usize,
    /// Whether there were more requests or changes than one answer holds.
    pub more: bool,
    /// Oldest first.
    pub changes: Vec<ReplayedChange>,
}

/// One request that would be decided otherwise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplayedChange {
    pub request: RequestId,
    pub at: Timestamp,
    pub person: PersonRef,
    pub target: String,
    pub asked: String,
    pub was: Decided,
    pub would_be: Decided,
    /// The rules that decided then and that the other policy does not have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// A decision in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decided {
    pub tier: Tier,
    pub rules: Vec<String>,
    pub approvers: Vec<String>,
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    pub why: String,
}

/// Query of `GET /v1/policy/suggest`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suggest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// From how long on an approval was slow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow_seconds: Option<u64>,
    /// How often something must have happened to be a pattern.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u32>,
}

/// Answer to `GET /v1/policy/suggest`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Suggested {
    pub since: Timestamp,
    /// How many accesses broke the glass or waited for long.
    pub accesses: usize,
    pub rules: usize,
    /// Cedar text; empty where there is nothing to suggest.
    pub text: String,
    /// Why nothing is suggested for some of them, and for how many.
    pub left_out: BTreeMap<String, usize>,
}

/// `POST /v1/delegations`: lends the caller's approver roles. Answered with the [`Delegation`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDelegation {
    /// The e-mail address of somebody who has signed in here, or their subject.
    pub to: String,
    /// All that the caller holds where none is named.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Only for requests for these; for all where none is named.
    #[serde(default)]
    pub targets: Vec<String>,
    pub until: Timestamp,
    pub reason: String,
}

/// Filter of `GET /v1/delegations`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationsQuery {
    /// Those that have ended, too.
    #[serde(default)]
    pub all: bool,
}

/// `POST /v1/delegations/{id}/end`, `POST /v1/absences/end`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {}

/// `POST /v1/absences`: the caller is told of no request until then.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Away {
    pub until: Timestamp,
    /// Who is lent all the caller's approver roles meanwhile.
    #[serde(default)]
    pub to: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// Answer to `POST /v1/absences`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AbsenceView {
    pub absence: Absence,
    pub delegation: Option<Delegation>,
}

/// Answer to `POST /v1/absences/end`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackView {
    /// The absence that this ended, if there was one.
    pub was: Option<Absence>,
}

/// `POST /v1/holds`: retention takes out nothing that it covers. Answered with a [`HoldView`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceHold {
    /// Everything where nothing is said. A session may be named by the beginning of its id.
    #[serde(default)]
    pub covers: Covered,
    pub reason: String,
}

/// A hold, and how much it covers so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HoldView {
    pub hold: Hold,
    /// Sessions that it covers, and those of them whose statements, or recording, had gone before.
    pub sessions: u64,
    pub pruned: u64,
    #[serde(default)]
    pub recordings_pruned: u64,
}

/// Filter of `GET /v1/holds`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldsQuery {
    /// Those that were released, too.
    #[serde(default)]
    pub all: bool,
}

/// `POST /v1/holds/{id}/release`. Answered with the [`Hold`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseHold {
    pub reason: String,
}

/// Answer to `GET /v1/retention`: what goes with its next run. A rule that there
/// is not keeps everything for ever.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RetentionView {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statements: Option<RuleView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recordings: Option<RuleView>,
}

/// What one rule does.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RuleView {
    /// As it is configured.
    pub rule: String,
    /// Sessions that have come to their age and go, and their statements.
    pub sessions: u64,
    pub statements: u64,
    /// Sessions that have come to their age and stay, by the reason.
    pub stay: BTreeMap<String, u64>,
}

/// `POST /v1/reports`: evidence of an interval, as a bundle.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MakeReport {
    /// Whose controls.
    pub framework: Framework,
    pub from: Timestamp,
    /// The first moment that is not in it any more.
    pub until: Timestamp,
}

/// `GET /v1/recordings/{id}?after=`, where the id is a session's.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordingQuery {
    /// Only records behind this ledger position, for paging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// What the ledger says of a session's recording, oldest first: at most 1,000
/// records; ask again behind the last until none comes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordingPage {
    pub session: Session,
    pub records: Vec<OnLedger>,
}

/// A record and its place on the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OnLedger {
    pub seq: u64,
    pub at: Timestamp,
    pub record: RecordingRecord,
}

/// Filter of `GET /v1/reviews`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewsQuery {
    /// Written ones too.
    #[serde(default)]
    pub all: bool,
}

/// One row of `GET /v1/reviews`, the first due first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReviewView {
    pub review: Review,
    /// What the access was asked for.
    pub reason: String,
    /// The role in which the caller could write it; none where they cannot.
    pub you_review_as: Option<Role>,
}

/// `GET /v1/reviews/{id}`: what was done with the access.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReviewDetail {
    pub view: ReviewView,
    pub grant: Grant,
    /// The rules that let it be, and the facts that made them apply.
    pub rules: Vec<RuleRef>,
    pub why: String,
    /// Who said yes, before or afterwards.
    pub approvals: Vec<Approval>,
    /// What the ledger says of the grant: its windows, its incident, its end.
    pub history: Vec<LedgerEvent>,
    /// The first 200.
    pub sessions: Vec<ReviewedSession>,
    /// Oldest first. Where there are more than 2,000, those that wrote are kept
    /// first, then those that failed, were refused or cut.
    pub statements: Vec<AuditRow>,
    /// Of all sessions; statements that are left out are counted.
    pub summary: ReviewSummary,
}

/// A record of the ledger as it was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LedgerEvent {
    pub seq: u64,
    pub at: Timestamp,
    pub kind: String,
    pub body: serde_json::Value,
}

/// A session of the access that is reviewed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReviewedSession {
    pub session: Session,
    /// What the ledger says of its recording; none where it was not recorded.
    pub recording: Option<ReviewedRecording>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReviewedRecording {
    /// `open`, `ended`, or `recovered` after a crash.
    pub state: String,
    /// The auditor's key that opens it, where it is sealed.
    pub sealed_to: Option<String>,
    pub chunks: u64,
    pub bytes: u64,
    /// SHA-256 of the whole file, once it has ended.
    pub sha256: Option<String>,
}

/// What was done, in numbers and names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewSummary {
    pub sessions: u64,
    pub statements: u64,
    /// Those that may have changed something, and were not refused.
    pub writing: u64,
    /// Those of them that `statements` has no room for.
    pub writing_left_out: u64,
    /// Those that failed, were refused, or were cut.
    pub failed: u64,
    /// Rows that were returned or changed.
    pub rows: u64,
    pub reads: BTreeSet<String>,
    pub writes: BTreeSet<String>,
    /// Columns that were seen as they are, though they are classified.
    pub unmasked: Vec<String>,
}

/// `POST /v1/reviews/{id}`: a finding, behind those that are there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WriteReview {
    pub verdict: Verdict,
    pub finding: String,
    /// What is to be done about it.
    #[serde(default)]
    pub actions: Vec<String>,
}

/// Filter of `GET /v1/campaigns`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignsQuery {
    /// Signed ones too.
    #[serde(default)]
    pub all: bool,
}

/// `POST /v1/campaigns`: reviews who can get what, who got it and what was used.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartCampaign {
    /// The period that is looked at: from the one, and before the other.
    pub from: Timestamp,
    pub to: Timestamp,
    /// All of them where none is named.
    #[serde(default)]
    pub targets: Vec<String>,
    /// Two weeks where nothing is said.
    #[serde(default)]
    pub due_seconds: Option<u64>,
}

/// One row of `GET /v1/campaigns`, the newest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CampaignRow {
    pub id: CampaignId,
    /// Nobody, where the schedule started it.
    pub by: Option<PersonRef>,
    /// The quarter that the schedule started it for.
    pub scheduled: Option<String>,
    /// `open`, `decided`, `overdue` or `signed`.
    pub state: String,
    pub from: Timestamp,
    pub to: Timestamp,
    pub targets: Vec<String>,
    pub started_at: Timestamp,
    pub due_at: Timestamp,
    pub lines: usize,
    pub undecided: usize,
    /// Undecided lines that the caller could decide.
    pub yours: usize,
    pub signed: Option<CampaignSigned>,
}

/// Filter of `GET /v1/campaigns/{id}`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinesQuery {
    /// Only undecided lines that the caller may decide.
    #[serde(default)]
    pub mine: bool,
    /// Only lines behind this one, for paging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
}

/// `GET /v1/campaigns/{id}`: lines that the caller may see, at most 2,000; ask
/// again behind the last until none comes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CampaignDetail {
    pub campaign: CampaignRow,
    pub lines: Vec<CampaignLine>,
    /// The numbers of those that the caller may decide.
    pub yours: Vec<u32>,
}

/// `POST /v1/campaigns/{id}/decide`: all of the lines, or none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideLines {
    pub lines: Vec<u32>,
    pub verdict: LineVerdict,
    /// What stays, where they are narrowed.
    #[serde(default)]
    pub keeps: Vec<Right>,
    pub comment: String,
}

/// What became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinesDecided {
    pub lines: Vec<CampaignLine>,
    /// Live grants that went beyond what stays, and are revoked.
    pub grants: Vec<GrantId>,
    /// Their sessions, which end.
    pub sessions: Vec<SessionId>,
    /// What was barred before and is not any more, or by the new decision instead.
    pub replaced: Vec<Bar>,
    /// What other campaigns took from these people there, and what stays taken.
    pub standing: Vec<Bar>,
    /// Lines of the campaign that nobody has decided yet.
    pub undecided: usize,
}

/// `POST /v1/campaigns/{id}/sign`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignCampaign {}

/// `POST /v1/bars/lift`: gives back what a review took.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftBar {
    /// By e-mail address.
    pub person: String,
    pub target: String,
    pub comment: String,
}
