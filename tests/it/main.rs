//! The one binary of integration tests.

mod ledger;
mod ledger_index;
