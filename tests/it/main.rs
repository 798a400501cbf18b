//! The integration tests: one binary, real parts. `tests/run.sh` installs what they need.

#[cfg(test)]
mod alarms;
#[cfg(test)]
mod alerts;
#[cfg(test)]
mod api;
#[cfg(test)]
mod approvals;
#[cfg(test)]
mod approving;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod audit_follow;
#[cfg(test)]
mod audit_large;
#[cfg(test)]
mod audit_parquet;
#[cfg(test)]
mod authorization_codes;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod bad_input_server;
#[cfg(test)]
mod break_glass;
#[cfg(test)]
mod break_glass_bounds;
#[cfg(test)]
mod budgets;
#[cfg(test)]
mod builtins;
#[cfg(test)]
mod campaigns;
mod campaigns_large;
#[cfg(test)]
mod catalog;
#[cfg(test)]
mod classify;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod cli_login;
#[cfg(test)]
mod cli_requests;
#[cfg(test)]
mod client_programs;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod decide;
#[cfg(test)]
mod decide_browser;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod evidence;
#[cfg(test)]
mod expiry;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod forward;
#[cfg(test)]
mod forward_rsyslog;
#[cfg(test)]
#[path = "../fuzz/mod.rs"]
mod fuzz;
#[cfg(test)]
mod gateway_attacks;
#[cfg(test)]
mod gateway_cancel;
#[cfg(test)]
mod gateway_clients;
#[cfg(test)]
mod gateway_copy;
#[cfg(test)]
mod gateway_large;
#[cfg(test)]
mod gateway_login;
#[cfg(test)]
mod gateway_names;
#[cfg(test)]
mod gateway_protocol;
#[cfg(test)]
mod gateway_random;
#[cfg(test)]
mod gateway_shapes;
#[cfg(test)]
mod incidents;
#[cfg(test)]
mod install;
#[cfg(test)]
mod keyring;
#[cfg(test)]
mod kill;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod ledger_index;
#[cfg(test)]
mod legal_holds;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod main_path;
#[cfg(test)]
mod masks_keep_plans;
#[cfg(test)]
mod meta;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod migration_effects;
#[cfg(test)]
mod migrations;
#[cfg(test)]
mod notify;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod provision;
#[cfg(test)]
mod record;
#[cfg(test)]
mod recordings;
#[cfg(test)]
mod redacted;
#[cfg(test)]
mod redteam;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod retention_live;
#[cfg(test)]
mod reviews;
#[cfg(test)]
mod session_races;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod sign_in_providers;
#[cfg(test)]
mod slack;
#[cfg(test)]
mod standby;
#[cfg(test)]
mod support;
#[cfg(test)]
mod suspend;
