//! The PostgreSQL v3 protocol without any I/O: bytes in, meaning out, and
//! the other way round. PostgreSQL manual, chapter 55.
//!
//! What it decides: where a frame begins and ends, what a body says, whether
//! a peer has proved that it knows a password, and which of the client's
//! messages a reply of the server answers. What it never does: read a socket,
//! know the time, draw randomness, or encode again what can be passed on as
//! it came. The gateway calls it, once for each chunk of bytes it reads.
//!
//! ```text
//!  client ──► startup ──► scram ──► frame (frontend) ──► tracker.send ──► target
//!         ◄───────────────────────  frame (backend)  ◄── tracker.receive ◄──
//! ```
//!
//! Nothing here panics on hostile input: all reading goes through one bounded
//! reader, and each body has a limit.

pub mod backend;
mod codec;
mod error;
pub mod frame;
pub mod frontend;
pub mod scram;
pub mod startup;
pub mod tracker;

pub use error::{Tag, WireError};
