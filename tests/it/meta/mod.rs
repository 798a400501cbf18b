//! Tests of the house itself.

mod dependencies;
mod generated;
