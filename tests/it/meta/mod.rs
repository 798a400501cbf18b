//! Tests of the house itself.

mod generated;
