//! Large reads, weighed against what is usual (R7.3). What is unusual becomes
//! an event on the ledger, an alert on its way to the webhook, and a line in
//! the log. It stops nothing: that is what budgets are for.

use super::{Access, AccessError};
use crate::core::audit::written;
use crate::core::model::{
    BulkKind, BulkRead, Catalog, Event, Notice, NoticeKind, SessionId, Urgency, percent, usual,
};
use crate::core::profile::VIEW_SCHEMA_PREFIX;
use crate::core::sql::Name;
use crate::server::gateway::LargeRead;
use crate::server::journal::PastRead;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How far back a habit reaches.
const HISTORY: SignedDuration = SignedDuration::from_hours(30 * 24);
/// Sessions of which it is kept what was told.
const MOST_SESSIONS: usize = 10_000;

/// What was told of each session, so that a read is told of once and then only
/// when it has doubled.
#[derive(Default)]
pub struct Told(HashMap<(SessionId, bool), u64>);

impl Told {
    fn is_news(&self, session: &SessionId, of_session: bool, rows: u64) -> bool {
        let before = self.0.get(&(session.clone(), of_session));
        before.is_none_or(|before| rows >= before.saturating_mul(2))
    }

    fn note(&mut self, session: &SessionId, of_session: bool, rows: u64) {
        if self.0.len() >= MOST_SESSIONS {
            self.0.clear();
        }
        self.0.insert((session.clone(), of_session), rows);
    }
}

impl Access {
    /// Weighs one read of the gateway's.
    pub async fn weigh(&self, read: LargeRead, told: &mut Told) -> Result<(), AccessError> {
        let now = crate::os::now();
        let rule = self.config.alerts.bulk;
        let survey = self.target(&read.target)?.cached();
        let smallest = survey.as_ref().and_then(|survey| smallest(&survey.catalog, &read.tables));
        // Without any history at all it would not be told of: no need to look for one.
        let large =
            rule.weigh(read.rows, smallest, 0).is_some() && told.is_news(&read.session, false, read.rows);
        let session = read
            .session_rows
            .filter(|rows| rule.weigh(*rows, None, 0).is_some() && told.is_news(&read.session, true, *rows));
        if !large && session.is_none() {
            return Ok(());
        }
        let since = now - HISTORY;
        let mut own = self.index.past_reads(&read.target, Some(&read.person.subject), since).await?;
        own.retain(|past| past.session != read.session.as_str());
        if let Some(rows) = session {
            let mut sessions: BTreeMap<&str, u64> = BTreeMap::new();
            for past in &own {
                *sessions.entry(&past.session).or_default() += past.rows;
            }
            let usual = usual(sessions.into_values().collect());
            if let Some(why) = rule.weigh(rows, None, usual) {
                told.note(&read.session, true, rows);
                let bytes = read.session_bytes;
                self.tell(now, bulk(&read, BulkKind::Session, (rows, bytes), None, usual, why)).await?;
            }
        }
        if large {
            let of_person = usual(own.iter().map(|past| past.rows).collect());
            let others = self.index.past_reads(&read.target, None, since).await?;
            let usual = of_person.max(usual_of(&read.tables, read.intent, &others));
            if let Some(why) = rule.weigh(read.rows, smallest, usual) {
                told.note(&read.session, false, read.rows);
                let share = smallest.map(|all| percent(read.rows, all));
                let size = (read.rows, read.bytes);
                self.tell(now, bulk(&read, BulkKind::Statement, size, share, usual, why)).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, now: Timestamp, read: BulkRead) -> Result<(), AccessError> {
        let BulkRead { session, person, target, rows, why, .. } = &read;
        tracing::warn!(%session, person = %person.email, %target, rows, %why, "a bulk read");
        let (notices, notice) = (self.notices.clone(), notice(&read));
        let event = Event::BulkRead { read: Box::new(read) };
        self.store.write(move |tx| notices.tell(tx, now, &event, &notice).map_err(AccessError::from)).await?;
        self.wake();
        Ok(())
    }
}

fn notice(read: &BulkRead) -> Notice {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    Notice {
        kind: NoticeKind::BulkRead,
        urgency: Urgency::High,
        title: format!(
            "{} read {} rows of {} in one {}",
            read.person.email,
            read.rows,
            read.target,
            read.of.as_str()
        ),
        facts: vec![
            fact("who", read.person.email.clone()),
            fact("target", read.target.clone()),
            fact("session", read.session.to_string()),
            fact("tables", read.tables.join(", ")),
            fact("why", read.why.clone()),
        ],
        request: None,
        to: Vec::new(),
        thread: Some(read.session.to_string()),
    }
}

fn bulk(
    read: &LargeRead,
    of: BulkKind,
    (rows, bytes): (u64, u64),
    share_percent: Option<u64>,
    usual: u64,
    why: String,
) -> BulkRead {
    BulkRead {
        of,
        session: read.session.clone(),
        grant: read.grant.clone(),
        person: read.person.clone(),
        target: read.target.clone(),
        intent: read.intent,
        rows,
        bytes,
        tables: read.tables.iter().map(ToString::to_string).collect(),
        share_percent,
        usual,
        why,
    }
}

/// What reads of any of these tables usually return.
fn usual_of(tables: &BTreeSet<Name>, intent: Option<u64>, others: &[PastRead]) -> u64 {
    let names: BTreeSet<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let same = |past: &&PastRead| {
        let mut reads = past.tables.iter().map(|table| written(table).1);
        Some(past.seq) != intent && reads.any(|name| names.contains(name))
    };
    usual(others.iter().filter(same).map(|past| past.rows).collect())
}

/// The planner's estimate for the smallest of the tables: what a share is of.
fn smallest(catalog: &Catalog, tables: &BTreeSet<Name>) -> Option<u64> {
    let meant = |name: &Name| {
        let schema = name.schema.as_deref().filter(|schema| !schema.starts_with(VIEW_SCHEMA_PREFIX));
        let fits = move |relation: &&crate::core::model::Relation| {
            relation.name.name == name.name && schema.is_none_or(|schema| relation.name.schema == schema)
        };
        catalog.relations.iter().filter(fits).filter_map(|relation| relation.rows).min()
    };
    tables.iter().filter_map(meant).min()
}
