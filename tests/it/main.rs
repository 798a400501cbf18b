//! The integration tests: one binary, real parts. `tests/run.sh` installs what they need.

mod provision;
mod support;
