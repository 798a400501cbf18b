//! Sessions played again: in the terminal, as a page, as a cast.
//!
//! ```text
//! server or ledger copy ─► load ─► Timeline ─┬─► roll ─┬─► player, screen   in the terminal
//! recording ─► filling ────────┘             │         └─► cast             for asciinema
//!                                            └─► page                       for a browser
//! ```
//!
//! What is shown to people has been made harmless once, by [`for_people`]:
//! behind it no text can drive a terminal.

mod cast;
mod filling;
mod keys;
mod load;
mod page;
mod player;
mod roll;
mod screen;

pub use cast::cast;
pub use load::{Asked, load};
pub use page::page;
pub use roll::plain;
pub use screen::play;

use super::output::clean;
use crate::core::timeline::Timeline;

/// How a session is played.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    pub speed: f64,
    /// The longest pause.
    pub idle: Option<std::time::Duration>,
}

/// The same without what could drive a terminal or turn the direction of text.
pub fn for_people(mut timeline: Timeline) -> Timeline {
    timeline.texts_mut(|text| *text = clean(&text.replace("\r\n", "\n")));
    timeline
}
