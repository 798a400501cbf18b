//! A text's parts as a reader sees them, by PostgreSQL's own scanner. For the
//! eye alone: nothing is decided by it.

use pg_query::protobuf::{KeywordKind, Token};
use std::ops::Range;

/// What a part of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shade {
    Plain,
    Keyword,
    Text,
    Number,
    Comment,
    Parameter,
}

/// Longer texts stay plain.
const LONGEST: usize = 256 << 10;

/// Words that could be names, and hardly ever are.
const USUAL: [&str; 26] = [
    "add",
    "alter",
    "before",
    "begin",
    "by",
    "cascade",
    "commit",
    "conflict",
    "copy",
    "cursor",
    "declare",
    "delete",
    "drop",
    "explain",
    "following",
    "if",
    "index",
    "insert",
    "nothing",
    "over",
    "partition",
    "preceding",
    "recursive",
    "rollback",
    "set",
    "update",
];

/// The whole text in parts, in order and without gaps.
pub fn highlight(text: &str) -> Vec<(Range<usize>, Shade)> {
    // The crate must not be asked for the tokens of a text that has none: it
    // makes a slice of a null pointer.
    let scanned = text.len() <= LONGEST && !text.trim().is_empty();
    let tokens = if scanned { pg_query::scan_tokens(text).unwrap_or_default() } else { Vec::new() };
    let mut parts: Vec<(Range<usize>, Shade)> = Vec::new();
    let (mut end, mut first) = (0, true);
    let mut push = |range: Range<usize>, shade: Shade| {
        match parts.last_mut() {
            Some((last, same)) if *same == shade => last.end = range.end,
            _ if range.is_empty() => {}
            _ => parts.push((range, shade)),
        };
    };
    for token in tokens {
        let place = |place: i32| usize::try_from(place).unwrap_or(usize::MAX);
        let range = place(token.start)..place(token.end);
        // The scanner's own ranges; a part that is none would show a wrong text.
        let Some(word) = text.get(range.clone()).filter(|_| range.start >= end) else { continue };
        push(end..range.start, Shade::Plain);
        push(range.clone(), shade(token.token, token.keyword_kind, word, first));
        first = token.token == Token::Ascii59 as i32;
        end = range.end;
    }
    push(end..text.len(), Shade::Plain);
    parts
}

fn shade(token: i32, keyword: i32, word: &str, first: bool) -> Shade {
    match Token::try_from(token) {
        Ok(Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst) => Shade::Text,
        Ok(Token::Iconst | Token::Fconst) => Shade::Number,
        Ok(Token::SqlComment | Token::CComment) => Shade::Comment,
        Ok(Token::Param) => Shade::Parameter,
        _ => match KeywordKind::try_from(keyword) {
            Ok(KeywordKind::NoKeyword) | Err(_) => Shade::Plain,
            // As good as any name, unless it is where a command is or written like one.
            Ok(KeywordKind::UnreservedKeyword) => {
                let shouted = word.len() > 1 && !word.contains(|c: char| c.is_ascii_lowercase());
                let usual = USUAL.contains(&word.to_ascii_lowercase().as_str());
                if first || shouted || usual { Shade::Keyword } else { Shade::Plain }
            }
            Ok(_) => Shade::Keyword,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, wanted: Shade) -> Vec<&str> {
        let parts = highlight(text);
        let whole: String = parts.iter().map(|(range, _)| &text[range.clone()]).collect();
        assert_eq!(whole, text, "nothing is lost");
        parts.into_iter().filter(|(_, shade)| *shade == wanted).map(|(range, _)| &text[range]).collect()
    }

    #[test]
    fn parts_are_what_the_scanner_says() {
        let text = "update t set name = 'a''b', n = 1.5 -- why\nWHERE id = $1; vacuum t";
        assert_eq!(words(text, Shade::Keyword), ["update", "set", "WHERE", "vacuum"]);
        assert_eq!(words(text, Shade::Text), ["'a''b'"]);
        assert_eq!(words(text, Shade::Number), ["1.5"]);
        assert_eq!(words(text, Shade::Comment), ["-- why"]);
        assert_eq!(words(text, Shade::Parameter), ["$1"]);
    }

    #[test]
    fn what_cannot_be_read_is_plain() {
        for text in ["", " \n\t", ";", "-- only", "SELECT 'open", "nul\0here", "grün → $", "/* open"] {
            let parts = highlight(text);
            assert_eq!(parts.iter().map(|(range, _)| range.len()).sum::<usize>(), text.len(), "{text}");
        }
        assert_eq!(words("SELECT 'ü', x", Shade::Text), ["'ü'"]);
    }
}
