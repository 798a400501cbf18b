//! Notices: what people should learn of without asking. Each goes with an event
//! of the ledger; the channels (webhook, chat, mail, pager) say it in their own way.

use super::{PersonRef, RequestId};
use serde::{Deserialize, Serialize};

/// What a notice is about. Programs tell notices apart by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeKind {
    /// A request waits for those it is told to.
    #[serde(rename = "request.waiting")]
    RequestWaiting,
    /// It has waited for long.
    #[serde(rename = "request.reminder")]
    RequestReminder,
    /// It has waited for too long: it is told to others, too.
    #[serde(rename = "request.escalated")]
    RequestEscalated,
    /// Whoever asked learns of the answer.
    #[serde(rename = "request.decided")]
    RequestDecided,
    #[serde(rename = "break_glass.opened")]
    BreakGlassOpened,
    #[serde(rename = "break_glass.renewed")]
    BreakGlassRenewed,
    #[serde(rename = "break_glass.ended")]
    BreakGlassEnded,
    /// Nobody has confirmed in time what the incident system could not.
    #[serde(rename = "break_glass.unconfirmed")]
    BreakGlassUnconfirmed,
    /// Used so often that the ordinary policies seem too strict (R8.6).
    #[serde(rename = "break_glass.often")]
    BreakGlassOften,
    #[serde(rename = "review.due")]
    ReviewDue,
    #[serde(rename = "review.overdue")]
    ReviewOverdue,
    /// Lines of an access review wait for those it is told to.
    #[serde(rename = "campaign.due")]
    CampaignDue,
    #[serde(rename = "campaign.overdue")]
    CampaignOverdue,
    /// An auditor asks for originals of redacted statements; another must decide.
    #[serde(rename = "unseal.waiting")]
    UnsealWaiting,
    #[serde(rename = "alert.bulk_read")]
    BulkRead,
    /// A credential that must be dead was let in.
    #[serde(rename = "credential.alive")]
    CredentialAlive,
    /// The policy on disk cannot be used; the one in force stays.
    #[serde(rename = "policy.refused")]
    PolicyRefused,
}

impl NoticeKind {
    /// By its name in records and configurations.
    pub fn from_name(name: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::from(name)).ok()
    }

    /// Whether it asks somebody to decide about its request.
    pub fn asks(self) -> bool {
        matches!(self, Self::RequestWaiting | Self::RequestReminder | Self::RequestEscalated)
    }
}

/// How soon somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    Normal,
    /// Security is called.
    High,
}

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub kind: NoticeKind,
    pub urgency: Urgency,
    /// What happened, in one line.
    pub title: String,
    /// More of it, as names and values for people to read.
    pub facts: Vec<(String, String)>,
    /// The request that waits for a decision: the notice leads to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// Who is meant; whoever reads the channel where nobody is.
    #[serde(default)]
    pub to: Vec<PersonRef>,
    /// What notices have in common that are about one thing: an incident's
    /// opening and its end, a request and its reminders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
}
