//! Sessions played again: in the terminal, as a page, as a cast.
//!
//! ```text
//! server or ledger copy ─► load ─► Timeline ─┬─► roll ─┬─► player, screen   in the terminal
//! recording ─► filling ────────┘             │         └─► cast             for asciinema
//!                                            └─► page                       for a browser
//! ```
//!
//! What of a session is in memory has its room (G9). What is shown to people has
//! been made harmless once, by [`for_people`]: behind it no text can drive a
//! terminal.

mod cast;
mod filling;
mod keys;
mod load;
mod page;
mod player;
mod roll;
mod room;
mod screen;

pub use cast::cast;
pub use load::{Asked, Loaded, load};
pub use page::page;
pub use roll::plain;
pub use screen::play;

use super::output::clean;
use crate::core::sql::highlight;
use crate::core::timeline::{Statement, Timeline};

/// The speeds that can be asked for, and that keys lead to.
pub const SLOWEST: f64 = 0.1;
pub const FASTEST: f64 = 100.0;

/// How a session is played.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub speed: f64,
    /// The longest pause.
    pub idle: Option<std::time::Duration>,
}

/// The same without what could drive a terminal or turn the direction of text.
pub fn for_people(mut timeline: Timeline) -> Timeline {
    timeline.statements.iter_mut().for_each(shade);
    timeline.texts_mut(|text| *text = clean(&text.replace("\r\n", "\n")));
    timeline
}

/// Finds the text's parts as PostgreSQL did, and only then makes them harmless:
/// a comment ends at a carriage return, and what stands for one does not end it.
fn shade(statement: &mut Statement) {
    let (mut text, mut parts) = (String::new(), Vec::new());
    for (range, shade) in highlight(&statement.text) {
        let part = statement.text.get(range).unwrap_or_default();
        let part = clean(&part.replace("\r\n", "\n").replace('\r', "\n"));
        text.push_str(&part);
        parts.push((part.len(), shade));
    }
    (statement.text, statement.parts) = (text, parts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::SessionId;
    use crate::core::sql::Shade;
    use jiff::Timestamp;

    fn shaded(text: &str) -> Statement {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        timeline.statements.push(Statement::begun(1, Timestamp::UNIX_EPOCH, "con-a", text.to_owned()));
        for_people(timeline).statements.remove(0)
    }

    #[test]
    fn r8_4_what_was_run_is_not_shown_as_a_comment() {
        let one = shaded("SELECT 1; --x\rDROP TABLE t");
        assert_eq!(one.text, "SELECT 1; --x\nDROP TABLE t");
        let parts = one.shaded();
        assert!(
            parts.contains(&("DROP", Shade::Keyword)) && parts.contains(&("--x", Shade::Comment)),
            "{parts:?}"
        );
        // Its tag is a mark that is not seen: what it quotes begins no comment.
        let one = shaded("SELECT $\u{200b}$ /* $\u{200b}$; DELETE FROM t; --*/");
        let parts = one.shaded();
        assert!(parts.contains(&("DELETE", Shade::Keyword)), "{parts:?}");
        assert_eq!(parts.iter().map(|(part, _)| *part).collect::<String>(), one.text);
        assert!(!one.text.contains('\u{200b}'));
    }

    #[test]
    fn r8_4_a_sessions_id_and_person_drive_no_terminal() {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-\x1b]0;pwned\x07"));
        timeline.notes.push("\x1b[2J".to_owned());
        let timeline = for_people(timeline);
        assert_eq!(timeline.session.as_str(), "ses-\\u{1b}]0;pwned\\u{7}");
        assert_eq!(timeline.notes, ["\\u{1b}[2J"]);
    }
}
