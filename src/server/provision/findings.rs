//! What doctor finds in a target.
