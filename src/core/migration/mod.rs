//! Migrations (R2.2): what a script is, what its statements do to a busy
//! database, in which pieces it runs, and whether a session ran it.
//!
//! Pure, like all of `core`: the catalog comes in. What a script may hold is
//! the guard's to say ([`super::guard::check_script`]); who must review it is
//! policy's. The server reads a script when it comes in ([`Script::parse`],
//! [`Script::review`]), the command line tool cuts it into [`pieces`], and both
//! ask [`compare`] what became of it.
//!
//! ```text
//! text ─► Script ─► statements, each with its Effects ─► hazards ─► reviewers
//!            └────► pieces ─► migrate ─► ledger ─► compare
//! ```

mod alter;
mod compare;
mod effects;
mod hazards;
mod locks;
mod plan;
mod script;
#[cfg(test)]
mod tests;
mod types;

pub use compare::{Ran, compare, remaining};
pub use effects::{Effects, Finding};
pub use locks::LockMode;
pub use plan::{Piece, pieces};
pub use script::{LONGEST, Script, ScriptError};
