//! The integration tests: one binary, real parts. `tests/run.sh` installs what they need.

mod keyring;
mod ledger;
mod ledger_index;
mod provision;
mod sign_in;
mod support;
