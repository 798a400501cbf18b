//! The exceptions from the controls: each rule is a question to the lives of
//! grants and sessions, each answer names the record that shows it.
//!
//! Nothing is weighed here. What is found is told, and a person judges it.

mod approved;
mod limited;
mod logged;
mod periodic;
mod recorded;
mod reviewed;
#[cfg(test)]
mod tests;

use super::controls::Rule;
use super::history::{History, Mark};
use super::population::Population;
use super::{Control, Period};
use jiff::SignedDuration;
use serde::Serialize;

/// How long a role may outlive its end: the target of R10.6.
pub const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// How long a review may take to be opened: a server that was down opens it at its start.
const OPENED_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// One departure from a control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exception {
    pub control: &'static str,
    pub rule: &'static str,
    /// The id of what it is about: a grant, a session, or a name.
    pub about: String,
    /// The ledger's line that shows it.
    #[serde(flatten)]
    pub mark: Mark,
    /// What is wrong, in a sentence.
    pub what: String,
}

/// What is asked: a population, and what else the ledger says.
pub struct Case<'h> {
    pub history: &'h History,
    pub population: &'h Population<'h>,
    pub period: Period,
    pub faults: &'h [Fault],
}

impl Case<'_> {
    /// Whether what follows a death must have followed by now.
    fn is_settled(&self, dead: Mark) -> bool {
        self.population.as_of.duration_since(dead.at) > TOLERANCE
    }
}

/// Something wrong with the ledger itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub mark: Mark,
    /// A segment, or the hash of a record beside the chain.
    pub about: String,
    pub what: String,
}

/// Every exception from a control, in the order of the ledger.
pub fn find(case: &Case<'_>, control: Control) -> Vec<Exception> {
    let mut found = match control {
        Control::Approved => approved::find(case),
        Control::Limited => limited::find(case),
        Control::Logged => logged::find(case),
        Control::Reviewed => reviewed::find(case),
        Control::Periodic => periodic::find(case),
        Control::Recorded => recorded::find(case),
    };
    found.sort_by(|a, b| (a.mark.seq, &a.about, a.rule).cmp(&(b.mark.seq, &b.about, b.rule)));
    found
}

impl Exception {
    fn new(rule: Rule, about: &str, mark: Mark, what: String) -> Self {
        let (control, rule) = (rule.control().id(), rule.id());
        Self { control, rule, about: about.to_owned(), mark, what }
    }
}

/// `1m 5s`, `12s`, `3d`: by how much.
fn by(length: SignedDuration) -> String {
    crate::core::model::format_duration(length.unsigned_abs())
}
