//! The ledger's form: what a line is, how lines are chained, what a checkpoint
//! signs, and whether a ledger is whole.
//!
//! ```text
//! {"seq":7,"at":"2026-11-23T09:00:00Z","prev":"<SHA-256 of line 6>","body":{…}}
//! ```
//!
//! A line's hash is the SHA-256 of its bytes without the newline; the first
//! line's `prev` is 64 zeros; the chain runs on from segment to segment. Keys
//! and their order are fixed, so an auditor needs no JSON library to check the
//! chain. A checkpoint is a line whose body signs the line before it. Where lines
//! were pruned a [`Gap`] stands for them.
//!
//! Nothing here reads a file or a clock: `server::journal` writes by these
//! rules, the command line feeds a [`Verifier`] line by line.

mod checkpoint;
mod detached;
mod gap;
mod line;
mod prune;
mod segment;
mod verify;

pub use checkpoint::{Checkpoint, CheckpointFault, PublicKey};
pub use detached::{Detached, NotSigned};
pub use gap::{Entry, Gap, Pruning};
pub use line::{BlobRef, Hash, Line, NotALine, body_kind, push_line};
pub use prune::{Pruned, Pruner};
pub use segment::{first_seq, order_segments, segment_name};
pub use verify::{Broken, Fault, PrunedSegment, Report, ToldOf, Verifier};
