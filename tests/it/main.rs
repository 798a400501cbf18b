//! The integration tests: one binary, real parts. `tests/run.sh` installs what they need.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod client_programs;
mod meta;
mod sign_in_providers;
mod support;
