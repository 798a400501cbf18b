//! The metrics of privilege reduction as gauges. They are measured from the
//! record at an interval, over the last thirty days; a scrape only reads them.

use crate::core::model::{Metric, Unit};
use jiff::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

type Number = Gauge<f64, AtomicU64>;

/// Name, requirement, part (none is the metric itself), and what it says.
const GAUGES: [(&str, &str, Option<&str>, &str); 15] = [
    ("standing_credentials", "R10.1", None, "Login roles that people could be using; 0 is wanted"),
    ("access_duration_mean_seconds", "R10.2", None, "Mean life of a session's role; under 7200 is wanted"),
    (
        "over_privileged_sessions_ratio",
        "R10.3",
        None,
        "Sessions whose grant allowed more than was used; under 0.1 is wanted",
    ),
    ("time_to_access_p50_seconds", "R10.4", None, "Request to first statement; under 300 is wanted"),
    ("time_to_access_p95_seconds", "R10.4", Some("p95"), "Request to first statement"),
    (
        "time_to_access_auto_p50_seconds",
        "R10.4",
        Some("auto-approved, p50"),
        "Request to first statement where nobody is waited for",
    ),
    (
        "approval_wait_p50_seconds",
        "R10.4",
        Some("people, p50"),
        "Request to last approval, where people approve",
    ),
    (
        "approval_wait_p95_seconds",
        "R10.4",
        Some("people, p95"),
        "Request to last approval, where people approve",
    ),
    ("access_machine_p50_seconds", "R10.4", Some("machine, p50"), "Deciding by policy and making the role"),
    ("access_machine_p95_seconds", "R10.4", Some("machine, p95"), "Deciding by policy and making the role"),
    ("break_glass_month", "R10.5", None, "Uses of the emergency path in thirty days; under 3 is wanted"),
    ("revocation_latency_p50_seconds", "R10.6", Some("p50"), "End decided to role proven gone"),
    ("revocation_latency_p99_seconds", "R10.6", None, "End decided to role proven gone; under 30 is wanted"),
    (
        "dead_credentials_refused",
        "R10.6",
        Some("dead credentials refused"),
        "Ended sessions whose credential was tried again and refused",
    ),
    (
        "dead_credentials_let_in",
        "R10.6",
        Some("dead credentials let in"),
        "Ended sessions whose credential still worked; 0 is wanted",
    ),
];

pub(super) struct Privilege {
    gauges: Vec<Number>,
    measured: Number,
}

impl Privilege {
    pub fn register(registry: &mut Registry) -> Self {
        let gauges = GAUGES.map(|(name, _, _, help)| {
            // Until it is measured, and where nothing happened: not a number, which no alert takes for good or bad.
            let gauge = Number::default();
            gauge.set(f64::NAN);
            registry.register(name, help, gauge.clone());
            gauge
        });
        let measured = Number::default();
        let help = "When the metrics of the last thirty days were measured, in seconds since 1970";
        registry.register("privilege_measured_timestamp_seconds", help, measured.clone());
        Self { gauges: gauges.into(), measured }
    }

    pub fn set(&self, metrics: &[Metric], at: Timestamp) {
        for ((_, id, part, _), gauge) in GAUGES.iter().zip(&self.gauges) {
            let metric = metrics.iter().find(|metric| metric.id == *id);
            let value = metric.and_then(|metric| match part {
                None => Some((metric.value?, metric.unit)),
                Some(name) => {
                    let part = metric.parts.iter().find(|part| part.name == *name)?;
                    Some((part.value?, part.unit))
                }
            });
            gauge.set(match value {
                Some((percent, Unit::Percent)) => percent / 100.0,
                Some((value, _)) => value,
                None => f64::NAN,
            });
        }
        self.measured.set(at.as_second() as f64);
    }
}
