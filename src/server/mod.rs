//! What is done: the control plane and the gateway, in one process on one port.

pub mod access;
pub mod api;
pub mod boot;
pub mod classify;
pub mod config;
pub mod evidence;
pub mod forward;
pub mod gateway;
pub mod identity;
pub mod incidents;
pub mod journal;
mod key_file;
pub mod listen;
pub mod metrics;
pub mod outbound;
pub mod outbox;
pub mod policy_check;
pub mod provision;
pub mod recording;
pub mod setup;
pub mod store;
pub mod tasks;
pub mod web;
