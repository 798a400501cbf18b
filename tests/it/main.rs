//! The integration tests: one binary, real parts. `tests/run.sh` installs what they need.

mod meta;
mod sign_in_providers;
mod support;
