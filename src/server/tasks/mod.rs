//! Work that nobody waits for: reminders, lapsing requests and suspensions, reviews and
//! their campaigns, incidents, the sweeper, scans, catalogs, stale tokens, retention, metrics. Each task does one thing, logs what fails, and
//! tries again; none decides anything.

use crate::server::access::{Access, AccessError, Told};
use crate::server::gateway::LargeRead;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often the catalog of roles is reconciled with the state (G5).
const SWEEP: Duration = Duration::from_secs(60);
const LAPSE: Duration = Duration::from_secs(10);
/// How often it is looked for requests that have waited for long.
const REMIND: Duration = Duration::from_secs(5);
const CATALOG: Duration = Duration::from_secs(300);
/// How often login roles are counted (R10.1) where nothing is said, and how long
/// after the start first, at most.
const SCAN: Duration = Duration::from_secs(86_400);
const SETTLED: Duration = Duration::from_secs(600);
/// How soon after a quarter's end its access review starts.
const SCHEDULE: Duration = Duration::from_secs(3600);
const TOKENS: Duration = Duration::from_secs(3600);

/// Starts every task; they end when the set is dropped. `scan` is how often login
/// roles are counted, where it is configured.
pub fn spawn(access: &Arc<Access>, scan: Option<Duration>) -> JoinSet<()> {
    let period = scan.unwrap_or(SCAN);
    let mut tasks = JoinSet::new();
    let lapsing = Arc::clone(access);
    tasks.spawn(every(LAPSE, "lapsing requests", move || {
        let access = Arc::clone(&lapsing);
        async move { access.lapse_requests().await }
    }));
    let reminding = Arc::clone(access);
    tasks.spawn(every(REMIND, "reminding approvers", move || {
        let access = Arc::clone(&reminding);
        async move { access.remind().await }
    }));
    let suspended = Arc::clone(access);
    tasks.spawn(every(LAPSE, "ending suspensions", move || {
        let access = Arc::clone(&suspended);
        async move { access.lapse_suspensions().await }
    }));
    let reviews = Arc::clone(access);
    tasks.spawn(every(LAPSE, "tending reviews", move || {
        let access = Arc::clone(&reviews);
        async move { access.tend_reviews().await }
    }));
    let campaigns = Arc::clone(access);
    tasks.spawn(every(REMIND, "tending access reviews", move || {
        let access = Arc::clone(&campaigns);
        async move { access.tend_campaigns().await }
    }));
    let scheduled = Arc::clone(access);
    tasks.spawn(every(SCHEDULE, "starting the quarter's access review", move || {
        let access = Arc::clone(&scheduled);
        async move { access.start_scheduled_campaign(crate::os::now()).await }
    }));
    tasks.spawn(Arc::clone(access).follow_incidents());
    let tokens = Arc::clone(access);
    tasks.spawn(every(TOKENS, "stale tokens", move || {
        let access = Arc::clone(&tokens);
        async move { access.drop_stale_tokens().await }
    }));
    if let Some(period) = access.retention_period() {
        let retaining = Arc::clone(access);
        tasks.spawn(every(period, "retention", move || {
            let access = Arc::clone(&retaining);
            async move { access.retain().await }
        }));
    }
    for name in access.target_names().map(str::to_owned).collect::<Vec<_>>() {
        let (sweeping, target) = (Arc::clone(access), name.clone());
        tasks.spawn(every(SWEEP, "sweeping", move || {
            let (access, target) = (Arc::clone(&sweeping), target.clone());
            async move { access.sweep(&target).await }
        }));
        let (scanning, target) = (Arc::clone(access), name.clone());
        tasks.spawn(async move {
            // Not while everything else begins.
            sleep(SETTLED.min(period)).await;
            let scan = move || {
                let (access, target) = (Arc::clone(&scanning), target.clone());
                async move { access.scan_daily(&target).await }
            };
            every(period, "scanning for standing credentials", scan).await;
        });
        let catalogs = Arc::clone(access);
        tasks.spawn(every(CATALOG, "reading a catalog", move || {
            let (access, target) = (Arc::clone(&catalogs), name.clone());
            async move { access.refresh_catalog(&target).await }
        }));
    }
    tasks
}

/// Measures what the record says of privileges, for Prometheus, for ever.
pub async fn measure(access: Arc<Access>, period: Duration) {
    let measuring = move || {
        let access = Arc::clone(&access);
        async move { access.refresh_metrics().await }
    };
    every(period, "measuring privileges", measuring).await;
}

/// Weighs the gateway's large reads, one at a time, until the gateway is gone.
pub async fn weigh_reads(access: Arc<Access>, mut reads: mpsc::Receiver<LargeRead>) {
    let mut told = Told::default();
    while let Some(read) = reads.recv().await {
        if let Err(error) = access.weigh(read, &mut told).await {
            tracing::warn!(%error, "a large read was not weighed");
        }
    }
}

/// Runs `work` at once and then every `period`; a failure is logged when it
/// begins and when it is over, not every time.
async fn every<F>(period: Duration, what: &'static str, mut work: impl FnMut() -> F + Send)
where
    F: Future<Output = Result<(), AccessError>> + Send,
{
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = None;
    loop {
        ticks.tick().await;
        match work().await {
            Ok(()) => {
                if failing.take().is_some() {
                    tracing::info!(what, "works again");
                }
            }
            Err(error) => {
                let message = error.to_string();
                if failing.as_ref() != Some(&message) {
                    tracing::warn!(what, error = %message, "failed; trying again");
                }
                failing = Some(message);
            }
        }
    }
}
