//! What the tests share: the real parts they run against.

pub mod pki;
pub mod providers;
pub mod tools;
