//! Requests: what was asked, what policy demanded, who answered.

use super::{Facts, GrantId, IncidentRef, Migration, PersonRef, RequestId, Scope, TableName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// A role that a person can fill, by configuration from groups. `peer` is not
/// configured: any member of the requester's team or of the owning team, other
/// than the requester, is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Role(pub String);

impl Role {
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which of the paths of R2 a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    ReadOnly,
    Write,
    /// Schema changes, with the rights of the schema's owner.
    Migration,
    /// In an incident, without waiting for anybody (R8).
    BreakGlass,
}

impl Path {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read-only",
            Self::Write => "write",
            Self::Migration => "migration",
            Self::BreakGlass => "break-glass",
        }
    }
}

/// What policy demands before access is granted (R4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    Auto,
    Single,
    Dual,
    /// Nobody is waited for: an incident stands for approval, people look at it afterwards (R4.4).
    BreakGlass,
    Deny,
}

impl Tier {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Single => "single",
            Self::Dual => "dual",
            Self::BreakGlass => "break-glass",
            Self::Deny => "deny",
        }
    }
}

/// A policy rule, as decisions cite it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    pub id: String,
    pub title: String,
}

/// One approval that is needed: by somebody who fills any of these roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    pub any_of: Vec<Role>,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&either(&self.any_of))
    }
}

/// `lead or security`: any of these.
pub fn either<'a>(roles: impl IntoIterator<Item = &'a Role>) -> String {
    let roles: Vec<&str> = roles.into_iter().map(|role| role.0.as_str()).collect();
    roles.join(" or ")
}

/// `peer and lead or security`: what is missing, all of it.
pub fn needed<'a>(slots: impl IntoIterator<Item = (usize, &'a Slot)>) -> String {
    let slots: Vec<String> = slots.into_iter().map(|(_, slot)| slot.to_string()).collect();
    slots.join(" and ")
}

/// What policy said to a request, kept as evidence (R4.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub tier: Tier,
    /// The rules that decided.
    pub rules: Vec<RuleRef>,
    /// The facts that made those rules apply, in words.
    pub why: String,
    /// The approvals that must all be given; empty for auto and deny.
    pub slots: Vec<Slot>,
    /// The longest window that the deciding rules allow.
    #[serde(with = "seconds")]
    pub longest: Duration,
    /// What else they allow no more of.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// SHA-256 of the policy text that decided, in hex.
    pub policy: String,
    /// What the rules were told. Decisions of earlier versions were kept without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Box<Facts>>,
}

/// What a rule bounds in the access that it grants, beside its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Rows that a session may read, in place of the tier's budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Whether the rows that a session reads are recorded, too: statements always are.
    #[serde(default)]
    pub recording: bool,
    /// Whether classified columns stay masked, whatever was asked for.
    #[serde(default)]
    pub masked: bool,
}

impl Limits {
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One approver's yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub by: PersonRef,
    /// Who lent them the role: the approval is given in that person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<PersonRef>,
    /// The role that this approval fills.
    pub role: Role,
    /// Index into [`Decision::slots`].
    pub slot: usize,
    pub at: Timestamp,
    pub narrowing: Narrowing,
    pub comment: Option<String>,
    /// SHA-256 of the script that it was given for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
}

/// By which way a person's decision came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// The command line, or another client of the API.
    Cli,
    /// The page that a notice leads to.
    Web,
    /// A button in Slack: Slack's word for who pressed it was enough.
    Slack,
}

impl Via {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cli => "cli",
            Self::Web => "web",
            Self::Slack => "slack",
        }
    }
}

/// How an approver cut a request down (B7). Empty means: as asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narrowing {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tables: Option<BTreeSet<TableName>>,
    /// Whole schemas to keep, beside the tables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemas: Option<BTreeSet<String>>,
    /// Every mask stays on, whatever was asked to be seen raw.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub masked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_seconds")]
    pub window: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    Waiting,
    Granted,
    Denied,
    Cancelled,
    Expired,
}

impl RequestState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Granted => "granted",
            Self::Denied => "denied",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// One request for access, with everything that was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRequest {
    pub id: RequestId,
    pub person: PersonRef,
    pub target: String,
    /// As asked; approvals may narrow it, never this field.
    pub scope: Scope,
    pub path: Path,
    pub reason: String,
    /// The script that is asked to be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Migration>,
    /// The window asked for.
    #[serde(with = "seconds")]
    pub window: Duration,
    pub created_at: Timestamp,
    /// When the request lapses if it is still waiting.
    pub expires_at: Timestamp,
    pub state: RequestState,
    pub decision: Decision,
    pub approvals: Vec<Approval>,
    /// Who ended it other than by approval, when, and what they said.
    pub closed: Option<Closed>,
    pub grant: Option<GrantId>,
    /// The incident that it is asked for in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentRef>,
}

/// How a request ended without a grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Nobody, where policy or time ended it.
    pub by: Option<PersonRef>,
    /// Who lent them the role in which they ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<PersonRef>,
    pub at: Timestamp,
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
}

impl Closed {
    /// By policy, or by time.
    pub fn by_nobody(at: Timestamp, reason: Option<String>) -> Self {
        Self { by: None, on_behalf_of: None, at, reason, via: None }
    }
}

impl AccessRequest {
    /// The slots that nobody has filled yet.
    pub fn open_slots(&self) -> impl Iterator<Item = (usize, &Slot)> {
        let filled = |index: usize| self.approvals.iter().any(|approval| approval.slot == index);
        self.decision.slots.iter().enumerate().filter(move |(index, _)| !filled(*index))
    }
}

/// A duration as whole seconds.
pub(super) mod seconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(length: &Duration, ser: S) -> Result<S::Ok, S::Error> {
        ser.serialize_u64(length.as_secs())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Duration, D::Error> {
        u64::deserialize(de).map(Duration::from_secs)
    }
}

mod optional_seconds {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(length: &Option<Duration>, ser: S) -> Result<S::Ok, S::Error> {
        match length {
            Some(length) => ser.serialize_some(&length.as_secs()),
            None => ser.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(de: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(de)?.map(Duration::from_secs))
    }
}
