//! R9, B4: evidence of an interval, and its check on a machine that knows nothing
//! but the bundle.

mod bundle;
mod live;
mod pages;
mod year;

pub use bundle::files_of;
