//! Retention: statements and recordings that have come to their age go, unless a
//! hold covers them.
//!
//! ```text
//! aged (index) ─► decided and marked, with its event, in one transaction (G7)
//!                   └─► lines out of the segments ─► out of the index
//! ```
//!
//! A session that is marked and still in the index is brought to its end by the
//! next run, so a crash at any point leaves nothing half done for good. Reports
//! are not made meanwhile: they read segments twice.

use super::{Access, AccessError, Caller};
use crate::core::model::{Event, IncidentId, Path, PrunedBy, Session, SessionId};
use crate::core::retention::{Candidate, Reach, Rule, Stays, stays};
use crate::proto::{RetentionView, RuleView};
use crate::server::journal::{Aged, place};
use crate::server::store::{StoreError, Tx};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// Sessions that are decided about at a time.
const PAGE: u32 = 1000;
/// They are no more once they have so many statements, of which each has lines.
const STATEMENTS: u64 = 200_000;
/// How often it is looked for what has come to its age, at least.
const DAILY: Duration = Duration::from_secs(86_400);

/// What was decided about a session's statements.
type Judged = (Aged, Option<Stays>);

impl Access {
    /// How often retention runs; never where everything is kept for ever.
    pub fn retention_period(&self) -> Option<Duration> {
        let ages = self.config.retention.statements.into_iter().chain(self.config.retention.recordings);
        ages.min().map(|age| age.min(DAILY))
    }

    /// Takes out what has come to its age.
    pub async fn retain(&self) -> Result<(), AccessError> {
        let _turn = self.reporting.lock().await;
        let now = crate::os::now();
        let statements = match self.config.retention.statements() {
            Some(rule) => self.prune_statements(rule, now).await,
            None => Ok(()),
        };
        // What keeps statements from going is no reason to keep what people have seen.
        let recordings = match self.config.retention.recordings() {
            Some(rule) => self.prune_recordings(rule, now).await,
            None => Ok(()),
        };
        if let (Err(_), Err(error)) = (&statements, &recordings) {
            tracing::error!(%error, "recordings cannot be pruned");
        }
        let outcome = statements.and(recordings);
        self.metrics.retained(outcome.is_ok());
        outcome
    }

    /// What goes with the next run, and what stays and why. For security and auditors.
    pub async fn retention(&self, caller: &Caller) -> Result<RetentionView, AccessError> {
        if !caller.sees_all() {
            return Err(AccessError::denied("what is kept, and why, is for security and auditors"));
        }
        let now = crate::os::now();
        let mut view = RetentionView::default();
        if let Some(rule) = self.config.retention.statements() {
            let (reach, mut shown) = (self.reach().await?, shown_of(rule));
            let mut after = 0;
            loop {
                let page = self.index.aged(rule.before(now), after, PAGE, STATEMENTS).await?;
                let Some(last) = page.last() else { break };
                after = last.last;
                let reach = reach.clone();
                let judged = self.store.read(move |tx| judge(tx, page, &reach, rule, now)).await?;
                judged.into_iter().for_each(|(aged, stays)| count(&mut shown, stays, aged.statements));
            }
            view.statements = Some(shown);
        }
        if let Some(rule) = self.config.retention.recordings() {
            let mut shown = shown_of(rule);
            for page in self.recordings.ended().await?.chunks(PAGE as usize) {
                let page = page.to_vec();
                let judged = self.store.read(move |tx| judge_recordings(tx, page, rule, now)).await?;
                judged.into_iter().for_each(|(_, stays)| count(&mut shown, stays, 0));
            }
            view.recordings = Some(shown);
        }
        Ok(view)
    }

    async fn prune_statements(&self, rule: Rule, now: Timestamp) -> Result<(), AccessError> {
        let reach = self.reach().await?;
        let mut waits: BTreeMap<String, u64> = reach.forwards.keys().map(|name| (name.clone(), 0)).collect();
        let mut after = 0;
        loop {
            let page = self.index.aged(rule.before(now), after, PAGE, STATEMENTS).await?;
            let Some(last) = page.last() else { break };
            after = last.last;
            let reach = reach.clone();
            let judged = self
                .store
                .write(move |tx| {
                    let judged = judge(tx, page, &reach, rule, now)?;
                    for (aged, _) in judged.iter().filter(|(_, stays)| stays.is_none()) {
                        mark_statements(tx, aged, rule, now)?;
                    }
                    Ok::<_, AccessError>(judged)
                })
                .await?;
            let mut gone = Vec::new();
            for (aged, stays) in judged {
                match stays {
                    None => gone.push(aged.session),
                    Some(Stays::NotForwarded(name)) => *waits.entry(name).or_default() += 1,
                    Some(_) => {}
                }
            }
            if !gone.is_empty() {
                self.take_out(gone, rule).await?;
            }
        }
        for (name, sessions) in waits {
            self.metrics.retention_waits(&name, sessions);
            if sessions > 0 {
                tracing::warn!(name, sessions, "retention waits: the ledger is not forwarded that far");
            }
        }
        Ok(())
    }

    /// Takes the lines of these sessions out of the ledger and the index.
    async fn take_out(&self, gone: Vec<SessionId>, rule: Rule) -> Result<(), AccessError> {
        self.wake();
        // The decision stands on the ledger before anything goes.
        self.flush().await?;
        let lines = self.index.lines_of(gone.clone()).await?;
        let lines = self.journal.prune(lines, &rule.to_string()).await?;
        let sessions = gone.len();
        self.index.forget(gone).await?;
        tracing::info!(sessions, lines, %rule, "statements have come to their age and are pruned");
        Ok(())
    }

    async fn prune_recordings(&self, rule: Rule, now: Timestamp) -> Result<(), AccessError> {
        for page in self.recordings.ended().await?.chunks(PAGE as usize) {
            let page = page.to_vec();
            let gone = self
                .store
                .write(move |tx| {
                    let judged = judge_recordings(tx, page, rule, now)?;
                    let gone: Vec<SessionId> =
                        judged.into_iter().filter(|(_, stays)| stays.is_none()).map(|(id, _)| id).collect();
                    for id in &gone {
                        mark_recording(tx, id, rule, now)?;
                    }
                    Ok::<_, AccessError>(gone)
                })
                .await?;
            if gone.is_empty() {
                continue;
            }
            self.wake();
            self.flush().await?;
            for session in &gone {
                self.recordings.remove(session).await?;
            }
            tracing::info!(sessions = gone.len(), %rule, "recordings have come to their age and are pruned");
        }
        Ok(())
    }

    /// How far lines may go; everything that was told is in the index then.
    async fn reach(&self) -> Result<Reach, AccessError> {
        self.flush().await?;
        self.caught_up().await?;
        let folder = self.config.server.data_dir.join("forward");
        let names: Vec<String> = self.config.forward.iter().map(|forward| forward.name.clone()).collect();
        let journal = self.journal.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let next = |name: String| {
                let next = place(&folder.join(format!("{name}.json")))?.unwrap_or(0);
                Ok::<_, std::io::Error>((name, next))
            };
            let forwards = names.into_iter().map(next).collect::<Result<_, _>>();
            let forwards = forwards
                .map_err(|error| AccessError::internal(format!("the place in the ledger: {error}")))?;
            Ok::<_, AccessError>(Reach { closed: journal.closed()?, forwards })
        });
        reading.await.map_err(|_| AccessError::internal("looking at the ledger broke off"))?
    }
}

fn shown_of(rule: Rule) -> RuleView {
    RuleView { rule: rule.to_string(), ..RuleView::default() }
}

fn count(shown: &mut RuleView, stays: Option<Stays>, statements: u64) {
    match stays {
        None => {
            shown.sessions += 1;
            shown.statements += statements;
        }
        // The index knows the last statement, the state the end: this one has not come to its age.
        Some(Stays::Young) => {}
        Some(stays) => *shown.stay.entry(stays.to_string()).or_default() += 1,
    }
}

/// What is decided about each of them. Those that are marked already go.
fn judge(
    tx: &Tx<'_>,
    page: Vec<Aged>,
    reach: &Reach,
    rule: Rule,
    now: Timestamp,
) -> Result<Vec<Judged>, AccessError> {
    let holds = tx.holds(false)?;
    let one = |aged: Aged| {
        let Some(session) = session(tx, &aged.session)? else { return Ok((aged, Some(Stays::Unknown))) };
        if session.statements_pruned.is_some() {
            return Ok((aged, None));
        }
        let (incident, awaits_review) = candidate(tx, &session)?;
        let asked = Candidate { session: &session, incident: incident.as_ref(), awaits_review };
        let stays = stays(&asked, &holds, rule, now).or_else(|| reach.stays(aged.last_line));
        Ok((aged, stays))
    };
    page.into_iter().map(one).collect()
}

fn judge_recordings(
    tx: &Tx<'_>,
    page: Vec<SessionId>,
    rule: Rule,
    now: Timestamp,
) -> Result<Vec<(SessionId, Option<Stays>)>, AccessError> {
    let holds = tx.holds(false)?;
    let one = |id: SessionId| {
        let Some(session) = session(tx, &id)? else { return Ok((id, Some(Stays::Unknown))) };
        if session.recording_pruned.is_some() {
            return Ok((id, None));
        }
        let (incident, awaits_review) = candidate(tx, &session)?;
        let asked = Candidate { session: &session, incident: incident.as_ref(), awaits_review };
        Ok((id, stays(&asked, &holds, rule, now)))
    };
    page.into_iter().map(one).collect()
}

fn mark_statements(tx: &Tx<'_>, aged: &Aged, rule: Rule, now: Timestamp) -> Result<(), StoreError> {
    let Some(mut session) = session(tx, &aged.session)? else { return Ok(()) };
    if session.statements_pruned.is_some() {
        return Ok(());
    }
    let (rule, statements) = (rule.to_string(), aged.statements);
    session.statements_pruned = Some(PrunedBy { at: now, rule: rule.clone() });
    tx.save_session(&session)?;
    tx.record(now, &Event::StatementsPruned { session: session.id, statements, rule })
}

fn mark_recording(tx: &Tx<'_>, id: &SessionId, rule: Rule, now: Timestamp) -> Result<(), StoreError> {
    let Some(mut session) = session(tx, id)? else { return Ok(()) };
    if session.recording_pruned.is_some() {
        return Ok(());
    }
    let rule = rule.to_string();
    session.recording_pruned = Some(PrunedBy { at: now, rule: rule.clone() });
    tx.save_session(&session)?;
    tx.record(now, &Event::RecordingPruned { session: session.id, rule })
}

fn session(tx: &Tx<'_>, id: &SessionId) -> Result<Option<Session>, StoreError> {
    match tx.session(id.as_str()) {
        Err(StoreError::NoSuch { .. }) => Ok(None),
        found => found.map(Some),
    }
}

/// A session's incident, and whether its review is still to be written.
pub(super) fn candidate(tx: &Tx<'_>, session: &Session) -> Result<(Option<IncidentId>, bool), StoreError> {
    let grant = tx.grant(session.grant.as_str())?;
    let request = tx.request(grant.request.as_str())?;
    let awaits_review = grant.path == Path::BreakGlass
        && tx.review_of(&grant.id)?.is_none_or(|review| review.findings.is_empty());
    Ok((request.incident.map(|incident| incident.id), awaits_review))
}
