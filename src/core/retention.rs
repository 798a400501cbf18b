//! What retention takes out, and what stays and why: sessions' statements and
//! recordings that have come to an age, unless a legal hold covers them.
//!
//! A session goes whole, its statements together, so that an index made from
//! what is left says the same as one from which it was taken. Age counts from
//! the session's end. Nothing here looks at a clock or a file; whoever asks sees
//! to it that holds are read in the transaction in which the answer is written.

use crate::core::model::{Hold, HoldId, IncidentId, PersonRef, Session, SessionState, format_duration};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How long what is kept. Nothing said: for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub statements: Option<Duration>,
    pub recordings: Option<Duration>,
}

/// One rule, as it was configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub what: &'static str,
    pub age: Duration,
}

impl Retention {
    pub fn statements(&self) -> Option<Rule> {
        self.statements.map(|age| Rule { what: "statements", age })
    }

    pub fn recordings(&self) -> Option<Rule> {
        self.recordings.map(|age| Rule { what: "recordings", age })
    }
}

impl Rule {
    /// What ended before this moment has come to its age.
    pub fn before(&self, now: Timestamp) -> Timestamp {
        let age = SignedDuration::try_from(self.age).unwrap_or(SignedDuration::MAX);
        now.saturating_sub(age).unwrap_or(Timestamp::MIN)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.what, format_duration(self.age))
    }
}

/// A session with what decides about it beside itself.
pub struct Candidate<'a> {
    pub session: &'a Session,
    /// That it was opened for.
    pub incident: Option<&'a IncidentId>,
    /// Somebody must still look at it, and has not.
    pub awaits_review: bool,
}

/// How far lines may go at all.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The last line of the closed segments.
    pub closed: u64,
    /// The next line that each destination of the ledger gets.
    pub forwards: BTreeMap<String, u64>,
}

/// Why something stays.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stays {
    /// It is not old enough.
    Young,
    /// The state does not know it, so nobody can say what it was.
    Unknown,
    /// A hold covers it.
    Held(HoldId),
    AwaitsReview,
    /// Its segment still grows.
    SegmentOpen,
    /// This destination has not got all of it.
    NotForwarded(String),
}

/// Whether a session stays for what it is, whatever of it is asked about.
pub fn stays(candidate: &Candidate<'_>, holds: &[Hold], rule: Rule, now: Timestamp) -> Option<Stays> {
    let session = candidate.session;
    let over = session.dead_at.is_some_and(|dead| dead < rule.before(now));
    if session.state != SessionState::Dead || !over {
        return Some(Stays::Young);
    }
    let holding = holds.iter().find(|hold| hold.released.is_none() && hold.has(candidate));
    match holding {
        Some(hold) => Some(Stays::Held(hold.id.clone())),
        None => candidate.awaits_review.then_some(Stays::AwaitsReview),
    }
}

impl Reach {
    /// Whether lines up to `last` stay for where they are.
    pub fn stays(&self, last: u64) -> Option<Stays> {
        if last > self.closed {
            return Some(Stays::SegmentOpen);
        }
        // Its place in a closed segment would not be there any more when that is written anew.
        let behind = self.forwards.iter().find(|(_, next)| **next <= self.closed);
        behind.map(|(name, _)| Stays::NotForwarded(name.clone()))
    }
}

impl Hold {
    /// Whether a session is covered.
    pub fn has(&self, candidate: &Candidate<'_>) -> bool {
        let (session, covers) = (candidate.session, &self.covers);
        let PersonRef { subject, email } = &session.person;
        let person = |name: &String| {
            subject == name || email.eq_ignore_ascii_case(name) || self.subjects.contains(subject)
        };
        covers.person.as_ref().is_none_or(person)
            && covers.target.as_ref().is_none_or(|target| session.target == *target)
            && covers.session.as_ref().is_none_or(|id| session.id == *id)
            && covers.incident.as_ref().is_none_or(|incident| candidate.incident == Some(incident))
            && covers.from.is_none_or(|from| session.dead_at.is_none_or(|dead| from <= dead))
            && covers.until.is_none_or(|until| session.opened_at < until)
    }
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Young => f.write_str("not old enough"),
            Self::Unknown => f.write_str("not in the state any more"),
            Self::Held(id) => write!(f, "held by {id}"),
            Self::AwaitsReview => f.write_str("not reviewed yet"),
            Self::SegmentOpen => f.write_str("in a segment that still grows"),
            Self::NotForwarded(name) => write!(f, "not forwarded to {name} yet"),
        }
    }
}

#[cfg(test)]
mod tests;
