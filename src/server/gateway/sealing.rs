//! What a record says of a statement where values are not for everybody who
//! reads the ledger: its text without them, and the original sealed (R5.2).

use super::connection::Connection;
use super::live::Live;
use super::refusal::Refusal;
use crate::core::model::{StatementFacts, StatementResult};
use crate::core::sql::{Class, PLACEHOLDER, Statement, is_plain, redact};
use crate::core::unseal::{Original, TextSealer};
use std::borrow::Cow;

/// A statement's text for its record.
pub(super) struct Words<'a> {
    /// As it was typed.
    whole: Cow<'a, str>,
    /// Without its values, where the session's texts are redacted.
    shown: Option<Cow<'a, str>>,
}

/// What stands in the record of a statement's text and values.
pub(super) struct Written<'a> {
    pub text: Cow<'a, str>,
    pub parameters: &'a [Option<String>],
    pub parameters_sha256: Option<&'a str>,
    pub sealed: Option<String>,
}

/// Refusals whose words quote what was typed: a text that the grammar cannot
/// read, and a name that stands for no statement (PostgreSQL manual, appendix A).
const QUOTING: [&str; 2] = ["42601", "26000"];

/// In place of a message that may quote values.
const LEFT_OUT: &str = "(sealed)";

impl Live {
    /// Of a text that the grammar has read, and of words of ours.
    pub(super) fn read_words<'a>(&self, text: impl Into<Cow<'a, str>>) -> Words<'a> {
        let whole = text.into();
        let shown = self.texts.as_ref().map(|_| Cow::Owned(redact(&whole)));
        Words { whole, shown }
    }

    /// Of a text that it cannot read: nothing in it is known to be no value. Its parts are not what they seem: a stray
    /// quote makes names of what was meant as values.
    pub(super) fn unread_words<'a>(&self, text: impl Into<Cow<'a, str>>) -> Words<'a> {
        Words { whole: text.into(), shown: self.texts.as_ref().map(|_| PLACEHOLDER.into()) }
    }
}

impl Connection {
    /// Of a statement of `text`. Behind an EXECUTE, FETCH or MOVE stands, as a
    /// comment, what it runs, where the protocol and not SQL has prepared it.
    pub(super) fn words<'a>(&self, text: &'a str, statement: &Statement) -> Words<'a> {
        let own = statement.text(text);
        // What was approved with a grant stands on the ledger as it was approved,
        // and is compared with what ran, letter by letter.
        let script = self.live.permit.script.as_ref();
        let approved = script.is_some_and(|script| script.has(own));
        let seals = self.live.texts.is_some() && !approved;
        let shown = seals.then(|| Cow::Owned(statement.redacted(text).text.clone()));
        let mut words = Words { whole: own.into(), shown };
        let by_name = |class| matches!(class, Class::Execute | Class::Fetch | Class::Move);
        let Some(name) = statement.subject.as_ref().filter(|_| statement.classes().any(by_name)) else {
            return words;
        };
        let runs = self.book().names.may_mean(name.as_bytes());
        for run in runs {
            let comment = |run: &str| format!("\n-- {name}: {}", run.replace('\n', "\n--   "));
            words.whole.to_mut().push_str(&comment(&run));
            if let Some(shown) = &mut words.shown {
                shown.to_mut().push_str(&comment(&redact(&run)));
            }
        }
        words
    }

    /// The facts for the record beside the words, without names that are none.
    pub(super) fn facts(&self, text: &str, statement: &Statement) -> StatementFacts {
        match self.live.texts {
            Some(_) => statement.redacted(text).record.clone(),
            None => statement.record.clone(),
        }
    }

    pub(super) fn written<'a>(
        &self,
        words: &'a Words<'_>,
        parameters: &'a [Option<String>],
        parameters_sha256: Option<&'a str>,
    ) -> Result<Written<'a>, Refusal> {
        let hides =
            |shown: &&str| *shown != words.whole || !parameters.is_empty() || parameters_sha256.is_some();
        let shown = words.shown.as_deref().filter(hides);
        let Some((sealer, shown)) = self.live.texts.as_ref().zip(shown) else {
            return Ok(Written { text: words.whole(), parameters, parameters_sha256, sealed: None });
        };
        let original = Original {
            text: Some(words.whole()),
            parameters: parameters.into(),
            parameters_sha256: parameters_sha256.map(Cow::Borrowed),
            message: None,
        };
        let sealed = Some(seal(sealer, &original)?);
        Ok(Written { text: shown.into(), parameters: &[], parameters_sha256: None, sealed })
    }

    /// How a statement ended, for its record: a message that may quote values is sealed.
    pub(super) fn told(
        &self,
        result: &StatementResult,
    ) -> Result<(StatementResult, Option<String>), Refusal> {
        let mut shown = result.clone();
        let Some(sealer) = &self.live.texts else { return Ok((shown, None)) };
        let message = match &mut shown {
            StatementResult::Error { message, .. } => message,
            StatementResult::Refused { sqlstate, message } if QUOTING.contains(&sqlstate.as_str()) => message,
            _ => return Ok((shown, None)),
        };
        let message = Cow::Owned(std::mem::replace(message, LEFT_OUT.to_owned()));
        let sealed = seal(sealer, &Original { message: Some(message), ..Original::default() })?;
        Ok((shown, Some(sealed)))
    }
}

/// A result's column in a record: a name that may be a value is none.
pub(super) fn column_name(name: String, redacted: bool) -> String {
    if redacted && !is_plain(&name) { PLACEHOLDER.to_owned() } else { name }
}

impl Words<'_> {
    pub(super) fn whole(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.whole)
    }
}

/// What cannot be sealed is not put on record in the open, and so does not run (G1).
fn seal(sealer: &TextSealer, original: &Original<'_>) -> Result<String, Refusal> {
    sealer.seal(original).map_err(|error| {
        tracing::error!(%error, "a statement was stopped: its text cannot be sealed");
        Refusal::new("58030", "dbaccess cannot seal this statement's text, so it does not let it pass")
            .hint("tell the people who run dbaccess")
    })
}
