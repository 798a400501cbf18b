//! The metrics of privilege reduction: a history from the ledger's index, and
//! what `core::evidence` makes of it.

use super::{Access, AccessError, Caller};
use crate::core::evidence::{History, Mark, Span, measure};
use crate::core::model::{Metric, SessionId};
use crate::proto::{MetricsQuery, MetricsView};
use crate::server::journal::EventRow;
use jiff::{SignedDuration, Timestamp};

/// Records that one question to the index answers: others' questions wait no longer.
const PAGE: u32 = 5000;
/// Sessions, likewise.
const SESSIONS: usize = 1000;
/// What is measured where nothing is said, and the longest that is.
const USUAL: u64 = 30 * 86_400;
const LONGEST: u64 = 366 * 86_400;

impl Access {
    /// The six, for security and auditors.
    pub async fn measure(&self, caller: &Caller, query: MetricsQuery) -> Result<MetricsView, AccessError> {
        if !caller.sees_all() {
            return Err(AccessError::denied(
                "metrics tell of everybody's access: they are for security and auditors",
            )
            .hint("`dbaccess sessions --mine --all` and `dbaccess audit` show your own"));
        }
        let seconds = query.since_seconds.unwrap_or(USUAL);
        if seconds == 0 || seconds > LONGEST {
            return Err(AccessError::usage("metrics are of a second to 366 days").hint("such as --since 90d"));
        }
        self.caught_up().await?;
        let length = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
        let span = Span::before(crate::os::now(), length);
        Ok(MetricsView { from: span.from, until: span.until, metrics: self.metrics_over(span).await? })
    }

    /// Measures the last thirty days again, for Prometheus.
    pub async fn refresh_metrics(&self) -> Result<(), AccessError> {
        let until = crate::os::now();
        let span = Span::before(until, SignedDuration::from_secs(30 * 86_400));
        self.metrics.measured(&self.metrics_over(span).await?, until);
        Ok(())
    }

    async fn metrics_over(&self, span: Span) -> Result<Vec<Metric>, AccessError> {
        let history = self.told_since(span.reads_from()).await?;
        let measuring = tokio::task::spawn_blocking(move || measure(&history, span));
        measuring.await.map_err(|_| AccessError::internal("measuring broke off"))
    }

    /// What is on record since then, without statements: of those the index
    /// keeps what each session used.
    async fn told_since(&self, since: Timestamp) -> Result<History, AccessError> {
        let mut history = History::default();
        let mut after = 0;
        loop {
            let page = self.index.lives(since, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            // Reading many records takes long: not while others wait for the thread.
            let reading = tokio::task::spawn_blocking(move || {
                for EventRow { seq, at, body, .. } in page {
                    history.record(Mark { seq, at }, &body);
                }
                history
            });
            history = reading.await.map_err(|_| AccessError::internal("reading the record broke off"))?;
        }
        let sessions: Vec<SessionId> = history.sessions.keys().cloned().collect();
        for some in sessions.chunks(SESSIONS) {
            for (session, usage) in self.index.usage(some.to_vec()).await? {
                if let Some(held) = history.sessions.get_mut(&session) {
                    held.statements.first = Some(usage.first);
                    held.used = usage.used;
                }
            }
        }
        Ok(history)
    }
}
