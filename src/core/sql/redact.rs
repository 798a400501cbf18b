//! A text without its values: what a record may show where originals are sealed.

use super::{MAX_TEXT, MAX_TOKENS, tokens_at_most};
use pg_query::protobuf::Token;

/// What stands in place of a constant, and of a text that cannot be read.
pub const PLACEHOLDER: &str = "?";
/// PostgreSQL cuts names to 63 bytes, whole characters of up to four.
const SHORTEST_CUT: usize = 60;
/// What operators are made of (manual, section 4.1.3).
const OPERATOR: [char; 17] =
    ['+', '-', '*', '/', '<', '>', '=', '~', '!', '@', '#', '%', '^', '&', '|', '`', '?'];

/// The text with [`PLACEHOLDER`] for every constant and without its comments, as
/// PostgreSQL's own scanner tells them (manual, section 4.1). Names, parameters
/// such as `$1` and the space between stay; a quoted name that looks like none
/// does not. A text that the scanner refuses is one placeholder: nothing of it is
/// known to be no value.
pub fn redact(text: &str) -> String {
    each(text, without_value).unwrap_or_else(|| PLACEHOLDER.to_owned())
}

fn without_value(token: Token, word: &str) -> &str {
    match token {
        Token::Sconst | Token::Usconst | Token::Bconst | Token::Xconst | Token::Fconst | Token::Iconst => {
            PLACEHOLDER
        }
        Token::SqlComment | Token::CComment => " ",
        // Other databases take what stands in double quotes for a text.
        Token::Ident | Token::Uident if word.contains('"') && !is_plain(word.trim_matches('"')) => {
            PLACEHOLDER
        }
        _ => word,
    }
}

/// A text that the grammar reads as it would read the original of a redacted
/// one, as far as that can be: with a constant for each placeholder.
pub fn likeness(redacted: &str) -> String {
    let shown = |_, word| if word == PLACEHOLDER { "'0'" } else { word };
    each(redacted, shown).unwrap_or_else(|| redacted.to_owned())
}

/// Whether a name looks like one: letters, digits, `_` and `$`, and words of them.
/// One that was cut off may have had anything behind (manual, section 4.1.1).
pub fn is_plain(name: &str) -> bool {
    if name.len() >= SHORTEST_CUT {
        return false;
    }
    let begins = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    begins && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | ' '))
}

/// The text with another word for each token. None where the scanner refuses it.
fn each<'t>(text: &'t str, shown: impl Fn(Token, &'t str) -> &'t str) -> Option<String> {
    if text.trim().is_empty() {
        return Some(text.to_owned());
    }
    if text.len() > MAX_TEXT || tokens_at_most(text) > MAX_TOKENS {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for token in pg_query::scan_tokens(text).ok()? {
        let place = |place: i32| usize::try_from(place).ok();
        let range = place(token.start)?..place(token.end)?;
        out.push_str(space(text.get(end..range.start)?));
        let word = shown(Token::try_from(token.token).ok()?, text.get(range.clone())?);
        // A placeholder is read apart from the operators beside it.
        if out.ends_with(OPERATOR) && word.starts_with(OPERATOR) {
            out.push(' ');
        }
        out.push_str(word);
        end = range.end;
    }
    out.push_str(space(text.get(end..)?));
    Some(out)
}

/// What lies between two tokens is space; if it ever is not, it is not shown.
fn space(between: &str) -> &str {
    if between.trim().is_empty() { between } else { PLACEHOLDER }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::sql::analyse;
    use proptest::prelude::*;

    #[test]
    fn r5_2_no_constant_and_no_comment_stays() {
        let long = format!("SELECT 1 AS \"{}\"", "k".repeat(64));
        for (text, redacted) in [
            (
                "SELECT a FROM t WHERE ssn = '123-45-6789' AND b < 17",
                "SELECT a FROM t WHERE ssn = ? AND b < ?",
            ),
            ("SELECT 'a''b', E'it\\'s', $$it$$, $x$a$$b$x$, U&'\\0061'", "SELECT ?, ?, ?, ?, ?"),
            ("SELECT a FROM t WHERE b = \"john@example.com\"", "SELECT a FROM t WHERE b = ?"),
            ("SELECT \"4111 1111\", \"Kunde\"", "SELECT ?, \"Kunde\""),
            (long.as_str(), "SELECT ? AS ?"),
            ("SELECT 'one'\n  'two'", "SELECT ?"),
            ("SELECT N'x', B'101', X'1F', 1.5, 1e10, .5, 0x1F, 1_000", "SELECT N?, ?, ?, ?, ?, ?, ?, ?"),
            (
                "SELECT -5, $1, $2::int4, t.\"a b\" FROM s1.t2 t",
                "SELECT - ?, $1, $2::int4, t.\"a b\" FROM s1.t2 t",
            ),
            ("SELECT 1 -- john@example.com\nFROM t /* 4111 /* nested */ */", "SELECT ?  \nFROM t  "),
            ("DO $$ BEGIN PERFORM 'secret'; END $$", "DO ?"),
            ("INSERT INTO café VALUES ('naïve', U&\"d\\0061t\")", "INSERT INTO café VALUES (?, ?)"),
            ("SELECT 'open", "?"),
            ("SELECT /* open", "?"),
            ("", ""),
            (" \n", " \n"),
            ("-- nothing but this", " "),
            ("SELECT '\u{1F600}', \u{3000}1", "?"),
        ] {
            let shown = redact(text);
            // What stands between tokens and is no space is hidden, too, however it came there.
            assert!(shown == redacted || !text.is_ascii(), "{text}: {shown}");
            for value in ["123-45-6789", "john@", "4111", "secret", "it", "naïve", "\u{1F600}", "'", "17"] {
                assert!(!shown.contains(value), "{text}: {shown}");
            }
        }
        let many = format!("SELECT 'secret'{}", ",1".repeat(MAX_TOKENS));
        assert_eq!(redact(&many), "?", "too large to be read");
    }

    #[test]
    fn r5_2_a_likeness_is_read_as_the_original_was() {
        for text in [
            "SET lock_timeout = '5s'",
            "UPDATE t SET a='x'||b, b = -1.5 WHERE c IN (1, 2) -- so",
            "DELETE FROM s.t WHERE at < now() - interval '90 days'",
            "ALTER TABLE t ADD COLUMN n numeric(10, 2) DEFAULT 0",
            "SELECT a FROM t WHERE b LIKE 'x%' LIMIT 10",
            "DO $$ BEGIN NULL; END $$",
        ] {
            let (facts, like) = (analyse(text).unwrap(), analyse(&likeness(&redact(text))).unwrap());
            let (one, other) = (&facts.statements[0], &like.statements[0]);
            assert_eq!(
                (one.class, &one.writes, &one.reads),
                (other.class, &other.writes, &other.reads),
                "{text}"
            );
            assert_eq!(one.record, other.record, "{text}");
        }
    }

    proptest! {
        /// Whatever a value is made of.
        #[test]
        fn r5_2_a_value_never_shows(value in "[^\u{0}]{0,40}", tag in "[a-z]{1,5}") {
            let quoted = value.replace('\'', "''");
            let texts = [
                format!("SELECT '{quoted}' FROM t"),
                format!("SELECT E'{}' FROM t", value.replace('\\', "\\\\").replace('\'', "\\'")),
                format!("SELECT /* {} */ a FROM t", value.replace("*/", "").replace("/*", "")),
            ];
            for text in &texts {
                let shown = redact(text);
                let known = ["SELECT ? FROM t", "SELECT   a FROM t", "?"];
                prop_assert!(known.contains(&shown.as_str()), "{}: {}", text, shown);
            }
            if !value.contains('$') {
                let shown = redact(&format!("SELECT ${tag}${value}${tag}$ FROM t"));
                prop_assert!(shown == "SELECT ? FROM t" || shown == "?", "{}", shown);
            }
        }
    }
}
