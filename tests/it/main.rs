//! The integration tests: one binary, real parts. `tests/run.sh` installs what they need.

#[cfg(test)]
mod provision;
#[cfg(test)]
mod support;
