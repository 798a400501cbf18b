//! Tests of the repository itself.

mod dependencies;
