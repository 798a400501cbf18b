//! The gateway: one client connection, one server connection, every statement
//! on record. It asks the control plane nothing: a [`Live`] session carries the
//! permit and everything else it needs, and ends through a `watch`.

mod live;

pub use live::{Connections, Counters, End, Life, Live, Registry};
