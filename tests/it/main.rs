//! The one binary of integration tests.

mod cli;
mod cli_login;
mod cli_requests;
mod ledger;
mod ledger_index;
mod meta;
