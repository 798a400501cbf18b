//! Redacted statements (R5.2): how their originals are sealed, and who may read
//! them again. Two auditors decide: one asks and says why, another agrees, and
//! for a day both are given the server's share of these statements' keys. The
//! other half is the auditor's private key, which the server never has.
//!
//! ```text
//! asked ─► approved by another auditor ─► opened by either, on the ledger each time
//!      └► denied, withdrawn, or a week without an answer
//! ```

mod text;

pub use text::{Original, TextSealer, UnsealKey, open};

use super::model::{
    ErrorKind, Event, Person, PersonRef, Role, Unseal, UnsealDecision, UnsealId, UnsealState,
};
use jiff::{SignedDuration, Timestamp};

/// How long one waits for the second auditor.
pub const WAITS: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long the originals are given out.
pub const OPEN: SignedDuration = SignedDuration::from_hours(24);
/// The most statements of one.
pub const MOST: usize = 1000;

/// Why something was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    #[error("originals are unsealed by auditors")]
    NoAuditor,
    #[error("it is about your own statements: other auditors must ask and decide")]
    Own,
    #[error("an unsealing needs a reason")]
    NoReason,
    #[error("you asked for it yourself: another auditor must decide")]
    Same,
    #[error("{0}, who asked for it, is no auditor any more")]
    AskerGone(String),
    #[error("{id} is {}", state.as_str())]
    NotSo { id: UnsealId, state: UnsealState },
    #[error("{id} is for {asked} and {decided} to open")]
    NotYours { id: UnsealId, asked: String, decided: String },
    #[error("it cannot be sealed")]
    Unsealable,
    #[error("it is not what was sealed: it was changed, or the server's share is not its own")]
    NotSealed,
    #[error("the server gave no share of its key")]
    NoShare,
    #[error("it is sealed to another key, the one that begins with dbaccess-auditor-public-{0}")]
    OtherKey(String),
}

impl UnsealError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoAuditor | Self::Own | Self::Same | Self::AskerGone(_) | Self::NotYours { .. } => {
                ErrorKind::Denied
            }
            Self::NoReason | Self::OtherKey(_) => ErrorKind::Usage,
            Self::NotSo { .. } => ErrorKind::Conflict,
            Self::Unsealable | Self::NotSealed | Self::NoShare => ErrorKind::Internal,
        }
    }
}

/// Whether somebody may have a part in it: an auditor, and not about themselves (G6).
pub fn may_take_part(by: &Person, whose: &[PersonRef]) -> Result<(), UnsealError> {
    if !by.roles.contains(&Role::new("auditor")) {
        return Err(UnsealError::NoAuditor);
    }
    if whose.iter().any(|person| person.subject == by.subject) {
        return Err(UnsealError::Own);
    }
    Ok(())
}

/// The second auditor's word. Who asked can deny, which withdraws it. `asker` is
/// who asked as they are now, if they still are.
pub fn decide(
    unseal: &mut Unseal,
    by: &Person,
    asker: Option<&Person>,
    approved: bool,
    comment: Option<String>,
    now: Timestamp,
) -> Result<Event, UnsealError> {
    may_take_part(by, &unseal.people)?;
    if approved && by.subject == unseal.by.subject {
        return Err(UnsealError::Same);
    }
    let state = unseal.state(now);
    if state != UnsealState::Waiting {
        return Err(UnsealError::NotSo { id: unseal.id.clone(), state });
    }
    if approved && asker.is_none_or(|asker| may_take_part(asker, &unseal.people).is_err()) {
        return Err(UnsealError::AskerGone(unseal.by.email.clone()));
    }
    let until = approved.then(|| now + OPEN);
    let decision = UnsealDecision { by: by.to_ref(), at: now, approved, comment, until };
    unseal.decision = Some(decision.clone());
    Ok(Event::UnsealDecided { unseal: unseal.id.clone(), decision })
}

/// Whether somebody is given the server's shares.
pub fn may_open(unseal: &Unseal, by: &Person, now: Timestamp) -> Result<(), UnsealError> {
    may_take_part(by, &unseal.people)?;
    let state = unseal.state(now);
    let (UnsealState::Approved, Some(decision)) = (state, &unseal.decision) else {
        return Err(UnsealError::NotSo { id: unseal.id.clone(), state });
    };
    if by.subject != unseal.by.subject && by.subject != decision.by.subject {
        return Err(UnsealError::NotYours {
            id: unseal.id.clone(),
            asked: unseal.by.email.clone(),
            decided: decision.by.email.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
