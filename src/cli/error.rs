//! Failures as a person reads them: what happened, why, and what to do next.

use super::output::{clean, colour_on_stderr};
use super::paths::PathError;
use super::tokens::TokenStoreError;
use crate::core::model::ErrorKind;
use crate::proto::ErrorBody;
use std::fmt;

/// Why a command could not do what was asked. Its kind is its exit code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    pub kind: ErrorKind,
    pub what: String,
    pub why: Option<String>,
    pub hint: Option<String>,
}

impl CliError {
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), why: None, hint: None }
    }

    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, what)
    }

    /// Something on this machine did not work.
    pub fn local(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Internal, what).why(why.to_string())
    }

    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The lines for stderr.
    pub fn render(&self) -> String {
        let (red, cyan, plain) =
            if colour_on_stderr() { ("\x1b[31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
        let mut text = format!("{red}error:{plain} {}\n", clean(&self.what));
        for line in self.why.iter().flat_map(|why| why.lines()) {
            text.push_str(&format!("  {}\n", clean(line)));
        }
        for line in self.hint.iter().flat_map(|hint| hint.lines()) {
            text.push_str(&format!("{cyan}hint:{plain} {}\n", clean(line)));
        }
        text
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        self.why.iter().try_for_each(|why| write!(f, ": {why}"))
    }
}

impl std::error::Error for CliError {}

impl From<ErrorBody> for CliError {
    fn from(body: ErrorBody) -> Self {
        Self { kind: body.kind, what: body.message, why: None, hint: body.hint }
    }
}

impl From<PathError> for CliError {
    fn from(error: PathError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<TokenStoreError> for CliError {
    fn from(error: TokenStoreError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_why_and_what_to_do() {
        let full = CliError::new(ErrorKind::Unreachable, "the server does not answer")
            .why("https://db.example: connection refused\nthe address resolved")
            .hint("check the address: dbaccess config get");
        assert_eq!(
            full.render(),
            "error: the server does not answer\n  https://db.example: connection refused\n  the address \
             resolved\nhint: check the address: dbaccess config get\n"
        );
        assert_eq!(CliError::usage("no").render(), "error: no\n");
    }

    #[test]
    fn text_from_elsewhere_cannot_drive_the_terminal() {
        assert_eq!(CliError::usage("a\x1b[2Jb").render(), "error: a\\u{1b}[2Jb\n");
    }

    #[test]
    fn b9_every_kind_has_its_documented_exit_code() {
        let table = [
            (ErrorKind::Internal, 1),
            (ErrorKind::NotFound, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::NotSignedIn, 3),
            (ErrorKind::Waiting, 4),
            (ErrorKind::Denied, 5),
            (ErrorKind::Expired, 6),
            (ErrorKind::Unreachable, 7),
        ];
        for (kind, code) in table {
            assert_eq!(CliError::new(kind, "").kind().exit_code(), code, "{kind:?}");
        }
    }
}
