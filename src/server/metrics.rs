//! Prometheus metrics (OpenMetrics text). Counted where things happen, read by `api`.

mod privilege;

use crate::core::model::Metric;
use jiff::{SignedDuration, Timestamp};
use privilege::Privilege;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TierLabel {
    tier: &'static str,
}

/// A `[forward.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ForwardLabel {
    name: String,
}

pub struct Metrics {
    registry: Registry,
    privilege: Privilege,
    requests: Family<TierLabel, Counter>,
    break_glass_opened: Counter,
    sessions_opened: Counter,
    sessions_open: Gauge,
    open_seconds: Histogram,
    revocation_seconds: Histogram,
    revocation_failures: Counter,
    pub connections: Gauge,
    pub statements: Counter,
    pub refused: Counter,
    pub login_failures: Counter,
    forward_behind: Family<ForwardLabel, Gauge>,
    retention_failed: Gauge,
    retention_waiting: Family<ForwardLabel, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        let times = || Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);
        let mut registry = Registry::with_prefix("dbaccess");
        let mut metrics = Self {
            privilege: Privilege::register(&mut registry),
            registry,
            requests: Family::default(),
            break_glass_opened: Counter::default(),
            sessions_opened: Counter::default(),
            sessions_open: Gauge::default(),
            open_seconds: times(),
            revocation_seconds: times(),
            revocation_failures: Counter::default(),
            connections: Gauge::default(),
            statements: Counter::default(),
            refused: Counter::default(),
            login_failures: Counter::default(),
            forward_behind: Family::default(),
            retention_failed: Gauge::default(),
            retention_waiting: Family::default(),
        };
        let r = &mut metrics.registry;
        r.register("requests", "Access requests by the tier that policy gave them", metrics.requests.clone());
        r.register(
            "break_glass_opened",
            "Uses of the emergency path; fewer than 3 a month are wanted",
            metrics.break_glass_opened.clone(),
        );
        r.register("sessions_opened", "Sessions opened", metrics.sessions_opened.clone());
        r.register(
            "sessions_open",
            "Sessions whose role is not yet proven gone",
            metrics.sessions_open.clone(),
        );
        r.register_with_unit(
            "session_open",
            "Time to open a session, its role included",
            Unit::Seconds,
            metrics.open_seconds.clone(),
        );
        r.register_with_unit(
            "revocation",
            "From a session's end until its role was proven gone",
            Unit::Seconds,
            metrics.revocation_seconds.clone(),
        );
        r.register(
            "revocation_failures",
            "Attempts to remove a role that failed and are retried",
            metrics.revocation_failures.clone(),
        );
        r.register(
            "forward_behind_lines",
            "Ledger lines that a destination has not taken yet",
            metrics.forward_behind.clone(),
        );
        r.register(
            "retention_failed",
            "Whether the last run of retention did not come to its end",
            metrics.retention_failed.clone(),
        );
        r.register(
            "retention_waiting_sessions",
            "Sessions whose statements have come to their age and wait for this destination to have them",
            metrics.retention_waiting.clone(),
        );
        r.register("connections", "Client connections in the gateway", metrics.connections.clone());
        r.register("statements", "Statements that passed the gateway", metrics.statements.clone());
        r.register("statements_refused", "Statements that the gateway refused", metrics.refused.clone());
        r.register("login_failures", "Failed logins at the gateway", metrics.login_failures.clone());
        metrics
    }
}

impl Metrics {
    pub fn requested(&self, tier: &'static str) {
        self.requests.get_or_create(&TierLabel { tier }).inc();
    }

    /// The emergency path was used (R10.5).
    pub fn broke_glass(&self) {
        self.break_glass_opened.inc();
    }

    /// So many lines have not reached this destination yet.
    pub fn forward_behind(&self, name: &str, lines: u64) {
        of(&self.forward_behind, name, lines);
    }

    /// A run of retention is over.
    pub fn retained(&self, whole: bool) {
        self.retention_failed.set(i64::from(!whole));
    }

    /// The statements of so many sessions would go if this destination had them.
    pub fn retention_waits(&self, name: &str, sessions: u64) {
        of(&self.retention_waiting, name, sessions);
    }

    /// From here on there may be a role.
    pub fn session_begun(&self) {
        self.sessions_open.inc();
    }

    pub fn session_opened(&self, took: SignedDuration) {
        self.sessions_opened.inc();
        self.open_seconds.observe(took.as_secs_f64());
    }

    pub fn session_dead(&self, latency: Duration) {
        self.sessions_open.dec();
        self.revocation_seconds.observe(latency.as_secs_f64());
    }

    pub fn revocation_failed(&self) {
        self.revocation_failures.inc();
    }

    /// What the record says of the last thirty days (R10).
    pub fn measured(&self, metrics: &[Metric], at: Timestamp) {
        self.privilege.set(metrics, at);
    }

    /// The metrics in OpenMetrics text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Sets one destination's gauge.
fn of(family: &Family<ForwardLabel, Gauge>, name: &str, value: u64) {
    let label = ForwardLabel { name: name.to_owned() };
    family.get_or_create(&label).set(i64::try_from(value).unwrap_or(i64::MAX));
}
