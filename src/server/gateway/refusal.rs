//! What a client is told when the gateway itself says no.

use crate::core::guard;
use crate::wire::postgres::WireError;
use crate::wire::postgres::backend::Report;
use bytes::BytesMut;

/// An answer of the gateway's own: an allow-list of what a client may read.
/// What went wrong inside goes to the log, not here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub sqlstate: &'static str,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// Where in the statement, in characters from 1.
    pub position: Option<usize>,
}

impl Refusal {
    pub fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self { sqlstate, message: message.into(), detail: None, hint: None, position: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn at(mut self, position: usize) -> Self {
        self.position = Some(position);
        self
    }

    /// An ErrorResponse after which the connection goes on.
    pub fn error(&self, out: &mut BytesMut) {
        self.encode(Report::error(self.sqlstate, &self.message), out);
    }

    /// An ErrorResponse after which the connection closes.
    pub fn fatal(&self, out: &mut BytesMut) {
        self.encode(Report::fatal(self.sqlstate, &self.message), out);
    }

    fn encode<'a>(&'a self, report: Report<'a>, out: &mut BytesMut) {
        let report = match &self.detail {
            Some(detail) => report.detail(detail),
            None => report,
        };
        let report = match &self.hint {
            Some(hint) => report.hint(hint),
            None => report,
        };
        match self.position {
            Some(position) => report.position(position).encode(out),
            None => report.encode(out),
        }
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self::new(error.sqlstate(), error.to_string())
    }
}

impl From<guard::Refusal> for Refusal {
    fn from(refusal: guard::Refusal) -> Self {
        Self::new(refusal.sqlstate, refusal.message).hint(refusal.hint)
    }
}
