//! Break-glass: one grant that an incident stands for, from its opening to its
//! end, with what people must still say of it.

use super::{Approval, GrantId, IncidentRef, PersonRef, RequestId, Slot};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One use of the emergency path. The grant has the window and the scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlass {
    pub grant: GrantId,
    pub request: RequestId,
    pub person: PersonRef,
    pub target: String,
    pub incident: IncidentRef,
    pub opened_at: Timestamp,
    /// How often its window was moved.
    pub renewals: u32,
    /// Due since the incident system could not be asked; a later answer of it
    /// does not make up for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<Confirmation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<BreakGlassEnd>,
}

/// What people must say in the incident system's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmation {
    /// When access first went on without the incident system.
    pub since: Timestamp,
    pub due: Timestamp,
    /// Each must be filled by another person.
    pub slots: Vec<Slot>,
    pub given: Vec<Approval>,
    /// It was told that it is overdue.
    #[serde(default)]
    pub overdue: bool,
}

impl Confirmation {
    /// The slots that nobody has filled yet.
    pub fn open_slots(&self) -> impl Iterator<Item = (usize, &Slot)> {
        let filled = |index: usize| self.given.iter().any(|given| given.slot == index);
        self.slots.iter().enumerate().filter(move |(index, _)| !filled(*index))
    }

    pub fn is_complete(&self) -> bool {
        self.open_slots().next().is_none()
    }
}

/// How it came to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakGlassEnd {
    pub at: Timestamp,
    pub why: BreakGlassEndReason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakGlassEndReason {
    /// The incident is closed. When it is opened again, so must be the glass.
    Closed,
    /// It is another's now.
    Reassigned,
    /// It is another service's now.
    OtherService,
    /// Nobody confirmed it in time.
    Unconfirmed,
    /// The window ended without a renewal: the incident is gone, could not be
    /// asked for too long, or policy allowed no more.
    WindowEnded,
    Revoked,
}

impl BreakGlassEndReason {
    /// As a sentence goes on after "ended: ".
    pub fn words(self) -> &'static str {
        match self {
            Self::Closed => "the incident is closed",
            Self::Reassigned => "the incident is assigned to somebody else",
            Self::OtherService => "the incident belongs to another service now",
            Self::Unconfirmed => "nobody confirmed in time what the incident system could not",
            Self::WindowEnded => "its window was not renewed",
            Self::Revoked => "it was revoked",
        }
    }
}
