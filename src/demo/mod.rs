//! Everything on one loopback, in one directory, to try and to test: never for real use.

pub mod identity;
pub mod pki;
