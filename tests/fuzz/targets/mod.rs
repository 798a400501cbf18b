//! The targets: for each parser a function from bytes to the kind of answer.
//! It panics where the parser does, or where something is not as promised.

mod ledger;
mod names;
mod rows;
mod sql;
mod text;
mod wire;

pub use ledger::ledger_lines;
pub use names::names;
pub use rows::rows;
pub use sql::sql;
pub use text::{api_bodies, config};
pub use wire::{scram, startup_packet, wire_backend, wire_frontend, wire_tracker};

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

pub struct Target {
    /// Its corpus is the directory of this name.
    pub name: &'static str,
    /// What mutations put in.
    pub dictionary: &'static [&'static [u8]],
    /// Beside the corpus.
    pub seeds: fn() -> Vec<Vec<u8>>,
    pub check: fn(&[u8]) -> u64,
}

pub fn all() -> [Target; 11] {
    [
        wire_frontend(),
        wire_backend(),
        wire_tracker(),
        startup_packet(),
        scram(),
        sql(),
        rows(),
        config(),
        names(),
        api_bodies(),
        ledger_lines(),
    ]
}

fn no_seeds() -> Vec<Vec<u8>> {
    Vec::new()
}

/// The kind of an answer: equal for answers that print alike.
fn kind(answer: impl Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{answer:?}").hash(&mut hasher);
    hasher.finish()
}

/// The beginning of a message, before what an input put into it.
fn shape(message: &str) -> String {
    let own = message.split(['"', '`', '\'']).next().unwrap_or_default();
    own.chars().filter(|c| !c.is_ascii_digit()).take(60).collect()
}
