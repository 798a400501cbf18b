//! The integration tests: one binary, real parts. `tests/run.sh` installs what they need.

mod ledger;
mod ledger_index;
mod provision;
mod support;
