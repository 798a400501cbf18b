//! What is decided. Everything here is a pure function of its arguments:
//! time, randomness and ids come in from outside, nothing is read or written.

pub mod approval;
pub mod audit;
pub mod break_glass;
pub mod campaign;
pub mod classify;
pub mod csv;
pub mod delegation;
pub mod evidence;
pub mod guard;
pub mod hex;
pub mod ledger;
pub mod link;
pub mod migration;
pub mod model;
pub mod policy;
pub mod profile;
pub mod recording;
pub mod reminder;
pub mod retention;
pub mod review;
pub mod risk;
pub mod rows;
pub mod scope;
pub mod seal;
pub mod sql;
pub mod text;
pub mod timeline;
pub mod unseal;
