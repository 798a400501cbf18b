//! The one binary of integration tests.

mod cli;
mod ledger;
mod ledger_index;
mod meta;
