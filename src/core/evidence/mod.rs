//! Evidence: what the ledger's records say of who had which access, why, for
//! how long, and what came of it. It reads records and nothing else, so that
//! an auditor's copy of the ledger leads to the same answers as the server's.
//!
//! ```text
//! ledger lines ──► History (lives of requests, grants, sessions, reviews)
//!                     ├─► controls and their exceptions ─► report
//!                     └─► the metrics of privilege reduction
//! ```
//!
//! It never asks the store: what is not on the ledger is no evidence.

mod history;
mod metrics;
mod plot;
mod privilege;

pub use history::{
    Asked, Confirmed, Granted, Held, History, Mark, Recorded, Reviewed, Revocation, Statements, Swept, Used,
};
pub use metrics::{Span, measure};
pub use plot::{Plot, Shape};
pub use privilege::{Excess, excess};
