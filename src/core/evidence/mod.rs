//! Evidence: what the ledger's records say of who had which access, why, for
//! how long, and what came of it. It reads records and nothing else, so that
//! an auditor's copy of the ledger leads to the same answers as the server's.
//!
//! ```text
//! ledger lines ──► Reading ──► History (lives of requests, grants, sessions, reviews, campaigns)
//!                                ├─► population, controls, exceptions ─► Report ─► data
//!                                │                                           └─► Document ─► HTML, PDF
//!                                └─► the metrics of privilege reduction
//! ```
//!
//! A bundle holds the data, the document, the lines of the ledger that they
//! follow from, and a signed manifest: `server::evidence` writes it, the
//! command line checks it by doing all of this again.
//!
//! It never asks the store: what is not on the ledger is no evidence.

mod access;
mod campaign;
mod controls;
mod document;
mod exceptions;
mod history;
mod manifest;
mod metrics;
mod period;
mod population;
mod privilege;
mod reading;
mod report;
mod sample;
mod tables;

pub use access::{Access, Session};
pub use campaign::{LineDecided, ReviewedAccess, SignedBy};
pub use controls::{Control, Rule};
pub use document::{Block, Document, html, pdf};
pub use exceptions::{Exception, Fault, TOLERANCE};
pub use history::{
    Asked, Campaigned, Confirmed, Decided, Granted, Held, History, Lifted, Mark, Pruned, Recorded, Reviewed,
    Revocation, Signed, Statements, Swept, Tally, Used,
};
pub use manifest::{BLOBS, FileFacts, LEDGER, MANIFEST, Manifest, PUBLIC_KEY, Part, SIGNATURE};
pub use metrics::{Span, measure};
pub use period::Period;
pub use population::Population;
pub use privilege::{Excess, excess};
pub use reading::{Proven, Read, Reading};
pub use report::{Finding, Report, Totals};
pub use tables::{DataFile, data};
