//! From a text to facts, with PostgreSQL's own grammar: what each statement is,
//! what it reads, writes, calls and sets. It decides nothing about what may
//! pass: that is [`super::guard`]'s. The gateway calls it for every Query and
//! Parse message, through a [`FactsCache`].
//!
//! What the walk does not know by name makes the statement [`Class::Unknown`],
//! never nothing (G2).

mod cache;
mod classify;
mod facts;
mod highlight;
mod record;
mod redact;
mod rewrite;
mod schema;
mod walk;

pub use cache::FactsCache;
pub use facts::{
    Attribute, Change, Class, CopyEnd, Facts, Name, Named, Redacted, Setting, Spot, Statement, TxEffect,
};
pub use highlight::{Shade, highlight};
pub use redact::{PLACEHOLDER, is_plain, likeness, redact};
pub use rewrite::{Rewrite, Rewrites, search_path};

use super::model::ErrorKind;

/// The longest text that is analysed, in bytes. A literal may be long; what
/// costs memory is the number of tokens, bounded apart.
pub const MAX_TEXT: usize = 64 << 20;

/// The most tokens that are analysed: room for the 65,535 parameters that a
/// statement can have. While it is read the tree takes up to 1.3 kB a token.
pub const MAX_TOKENS: usize = 250_000;

/// Why a text gives no facts. The gateway refuses it and answers with
/// [`SqlError::sqlstate`] and, for a syntax error, the position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// PostgreSQL's grammar does not accept it; the message is PostgreSQL's.
    #[error("{message}")]
    Syntax {
        message: String,
        /// Where, as the `P` field of ErrorResponse counts: characters from 1.
        position: Option<usize>,
    },
    #[error("the statement is nested too deeply to be analysed, so dbaccess cannot let it pass")]
    TooDeep,
    #[error(
        "the text is too large to be analysed, so dbaccess cannot let it pass: send values as parameters or by COPY"
    )]
    TooLarge,
    #[error("the text cannot be analysed, so dbaccess cannot let it pass: {0}")]
    Unreadable(String),
    #[error(
        "{0} is shown through a view, and its name cannot be put in here, so dbaccess cannot let it pass: name the table without its schema"
    )]
    NoPlace(String),
}

impl SqlError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Syntax { .. } => ErrorKind::Usage,
            Self::TooDeep | Self::TooLarge => ErrorKind::TooMany,
            Self::Unreadable(_) | Self::NoPlace(_) => ErrorKind::Denied,
        }
    }

    /// PostgreSQL manual, appendix A.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Syntax { .. } => "42601",
            Self::TooDeep => "54001",
            Self::TooLarge => "54000",
            Self::Unreadable(_) | Self::NoPlace(_) => "42501",
        }
    }
}

/// Reads a text. Its cost grows with the tokens (some tens of microseconds for
/// a small statement, up to a second at [`MAX_TOKENS`]); it never blocks.
///
/// Depth is bounded twice: the C parser measures the stack of its thread, and
/// the decoder of its tree gives up at 100 messages, some 45 levels of
/// expressions, so that the walk here is shallow.
pub fn analyse(text: &str) -> Result<Facts, SqlError> {
    if text.len() > MAX_TEXT || tokens_at_most(text) > MAX_TOKENS {
        return Err(SqlError::TooLarge);
    }
    let tree = pg_query::parse(text, 0).map_err(|error| refusal(text, error))?;
    let statements = tree.protobuf.stmts.iter().map(|raw| classify::statement(text, raw)).collect();
    Ok(Facts { statements })
}

/// No text has more tokens than this: every token begins with a byte that is
/// not a word's, or at the start of a word. Literals and comments are counted
/// as if they were code, for a count that trusted them could be fooled.
fn tokens_at_most(text: &str) -> usize {
    let mut in_word = false;
    let mut count = 0;
    for byte in text.bytes() {
        let word = byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        count += usize::from(!(byte.is_ascii_whitespace() || word && in_word));
        in_word = word;
    }
    count
}

fn refusal(text: &str, error: pg_query::Error) -> SqlError {
    match error {
        pg_query::Error::Parse(message) => {
            let deep = ["stack depth limit", "memory exhausted", "nesting", "too deep"];
            if deep.iter().any(|sign| message.contains(sign)) {
                return SqlError::TooDeep;
            }
            let position = position(text, &message);
            SqlError::Syntax { message, position }
        }
        // The decoder reads what the C parser has just written: the one thing
        // that it can dislike is the depth.
        pg_query::Error::Decode(_) => SqlError::TooDeep,
        other => SqlError::Unreadable(other.to_string()),
    }
}

/// Finds the place that a message speaks of (the crate keeps the text of an
/// error and drops its position). The grammar stops at the first token that
/// does not fit, so the place is the first such token up to which the text
/// already fails in the same way.
fn position(text: &str, message: &str) -> Option<usize> {
    const LONGEST: usize = 16 << 10;
    const TRIES: usize = 16;
    let characters = |end: usize| text.get(..end).map(|before| before.chars().count() + 1);
    if message.ends_with("at end of input") {
        return characters(text.len());
    }
    let token = message.split_once("at or near \"")?.1.strip_suffix('"')?;
    if token.is_empty() || text.len() > LONGEST {
        return None;
    }
    text.match_indices(token).take(TRIES).find_map(|(start, found)| {
        let through = text.get(..start + found.len())?;
        match pg_query::parse(through, 0) {
            Err(pg_query::Error::Parse(again)) if again == message => characters(start),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests;
