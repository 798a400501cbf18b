//! The wire: protocol bytes to messages and back. Imports bytes only.

pub mod postgres;
