//! The integration tests: one binary, real parts. `tests/run.sh` installs what they need.

#[cfg(test)]
mod client_programs;
#[cfg(test)]
mod keyring;
#[cfg(test)]
mod meta;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod sign_in_providers;
#[cfg(test)]
mod support;
