//! What the past says about the policy: rules that would have spared people the
//! wait or the glass, and the warning when the glass is broken often (R8.6).

use super::super::{Access, AccessError, Caller};
use super::past::Walk;
use crate::core::model::{
    AccessRequest, Event, Facts, Grant, Level, Notice, NoticeKind, Path, Permission, PersonRef, RequestId,
    RequestState, Role, TableName, Tier, Urgency, split_name,
};
use crate::core::policy::{Past, often, suggest};
use crate::proto::{AuditQuery, Suggest, Suggested};
use crate::server::store::Tx;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What is slow, unless it is said.
const SLOW: u64 = 30 * 60;
const DAYS: u32 = 30;
/// Statements of one grant that are looked at, by pages.
const STATEMENTS: u32 = 1000;
const MOST_PAGES: usize = 5;

impl Access {
    /// Rules that would have covered what broke the glass or waited for long.
    pub async fn suggest(&self, caller: &Caller, asked: Suggest) -> Result<Suggested, AccessError> {
        caller.may_look_back()?;
        let days = SignedDuration::from_hours(24 * i64::from(DAYS));
        let since = asked.since.unwrap_or_else(|| crate::os::now() - days);
        let slow = Duration::from_secs(asked.slow_seconds.unwrap_or(SLOW));
        let (mut past, mut unknown) = (Vec::new(), 0);
        let mut walk = Walk::since(since);
        while let Some(page) = walk.next(self).await? {
            for request in page {
                match self.past(request, slow).await? {
                    Lesson::Nothing => {}
                    Lesson::Unknown => unknown += 1,
                    Lesson::Past(one) => past.push(*one),
                }
            }
        }
        let at_least = usize::try_from(asked.at_least.unwrap_or(2)).unwrap_or(usize::MAX).max(1);
        let found = suggest(&past, self.business_hours(), at_least);
        let mut left_out: BTreeMap<String, usize> =
            found.left_out.into_iter().map(|(why, times)| (why.to_owned(), times)).collect();
        if unknown > 0 {
            left_out.insert("decided by an earlier version, which did not keep its facts".into(), unknown);
        }
        Ok(Suggested { since, accesses: past.len(), rules: found.rules, text: found.text, left_out })
    }

    /// To be called when the glass was broken, once that is committed: tells
    /// security if a person or one of the teams does so more often than the
    /// configured bound, with the rules that would have covered it.
    pub async fn break_glass_often(
        &self,
        person: &PersonRef,
        teams: &BTreeSet<String>,
    ) -> Result<(), AccessError> {
        let now = crate::os::now();
        let since = now - SignedDuration::from_hours(24 * i64::from(DAYS));
        let read = move |tx: &Tx<'_>| tx.break_glass_since(since).map_err(AccessError::from);
        let uses = self.store.read(read).await?;
        for (who, requests) in often(&uses, person, teams, self.config.break_glass.warn_after) {
            let ids: Vec<RequestId> = requests.iter().map(|request| request.id.clone()).collect();
            let mut past = Vec::new();
            for request in requests.into_iter().cloned() {
                if let Lesson::Past(one) = self.past(request, Duration::MAX).await? {
                    past.push(*one);
                }
            }
            let suggestion = suggest(&past, self.business_hours(), 1).text;
            self.warn_often(now, who, ids, suggestion).await?;
        }
        Ok(())
    }

    async fn warn_often(
        &self,
        now: Timestamp,
        who: String,
        requests: Vec<RequestId>,
        suggestion: String,
    ) -> Result<(), AccessError> {
        let times = u32::try_from(requests.len()).unwrap_or(u32::MAX);
        let rules = if suggestion.is_empty() {
            "no ordinary rule would have covered it".to_owned()
        } else {
            suggestion.clone()
        };
        let people = self.store.read(|tx| tx.people().map_err(AccessError::from)).await?;
        let people = people.iter().map(|one| self.config.directory.person(one));
        let security = people.filter(|one| one.roles.contains(&Role::new("security")));
        let notice = Notice {
            kind: NoticeKind::BreakGlassOften,
            urgency: Urgency::Normal,
            title: format!(
                "{who} broke the glass {times} times in {DAYS} days: the ordinary policies may be too strict"
            ),
            facts: vec![
                ("more than".to_owned(), self.config.break_glass.warn_after.to_string()),
                ("rules to weigh".to_owned(), rules),
                ("more".to_owned(), "dbaccess policy suggest".to_owned()),
            ],
            request: None,
            to: security.map(|one| one.to_ref()).collect(),
            thread: None,
        };
        let event = Event::BreakGlassOften { who, times, days: DAYS, requests, suggestion };
        let notices = self.notices.clone();
        self.store.write(move |tx| notices.tell(tx, now, &event, &notice).map_err(AccessError::from)).await?;
        self.wake();
        Ok(())
    }

    /// What a request teaches: of break-glass what was done with it, of a slow
    /// approval what was asked for.
    async fn past(&self, request: AccessRequest, slow: Duration) -> Result<Lesson, AccessError> {
        let Some(id) = request.grant.clone().filter(|_| request.state == RequestState::Granted) else {
            return Ok(Lesson::Nothing);
        };
        let emergency = request.path == Path::BreakGlass;
        let read = move |tx: &Tx<'_>| tx.grant(id.as_str()).map_err(AccessError::from);
        let grant = self.store.read(read).await?;
        let waited = Duration::try_from(grant.from.duration_since(request.created_at)).unwrap_or_default();
        let approved = matches!(request.decision.tier, Tier::Single | Tier::Dual);
        let slow = approved && waited >= slow;
        if !emergency && !slow {
            return Ok(Lesson::Nothing);
        }
        let Some(facts) = &request.decision.facts else { return Ok(Lesson::Unknown) };
        let mut past = asked_for(&request, facts, (!emergency).then_some(waited));
        if emergency {
            self.done_with(&grant, facts, &mut past).await?;
        }
        Ok(Lesson::Past(Box::new(past)))
    }

    /// In place of the whole database: the tables that statements named.
    async fn done_with(&self, grant: &Grant, facts: &Facts, past: &mut Past) -> Result<(), AccessError> {
        past.tables.clear();
        past.permissions = BTreeSet::from([Permission::Read]);
        let id = grant.id.clone();
        let read = move |tx: &Tx<'_>| tx.all_sessions_of(&id).map_err(AccessError::from);
        for session in self.store.read(read).await? {
            let mut query = AuditQuery {
                session: Some(session.id.to_string()),
                limit: Some(STATEMENTS),
                ..AuditQuery::default()
            };
            for _ in 0..MOST_PAGES {
                let rows = self.index.statements(&query).await?;
                for row in &rows {
                    let named = row.facts.clone().map(serde_json::from_value::<Named>);
                    let Some(Ok(named)) = named else { continue };
                    past.tables.extend(named.reads.iter().filter_map(|name| meant(name, facts)));
                    let written: Vec<TableName> =
                        named.writes.iter().filter_map(|name| meant(name, facts)).collect();
                    if !written.is_empty() {
                        past.permissions.insert(Permission::Write);
                    }
                    past.tables.extend(written);
                    if row.export.is_some() {
                        past.permissions.insert(Permission::Export);
                    }
                }
                match rows.last() {
                    Some(last) if rows.len() == usize::try_from(STATEMENTS).unwrap_or(usize::MAX) => {
                        query.before = Some(last.seq);
                    }
                    _ => break,
                }
            }
        }
        Ok(())
    }
}

enum Lesson {
    /// It was granted at once, or not at all.
    Nothing,
    /// It kept no facts.
    Unknown,
    Past(Box<Past>),
}

fn asked_for(request: &AccessRequest, facts: &Facts, waited: Option<Duration>) -> Past {
    let shared: BTreeSet<String> = facts.shared_teams().into_iter().map(str::to_owned).collect();
    // A schema is not a list of tables: it has others tomorrow.
    let named = matches!(facts.level, Level::Row | Level::Table);
    Past {
        request: request.id.clone(),
        at: request.created_at,
        teams: if shared.is_empty() { facts.teams.clone() } else { shared },
        target: request.target.clone(),
        environment: facts.environment,
        tables: if named { facts.tables.clone() } else { BTreeSet::new() },
        permissions: facts.permissions.clone(),
        raw: !facts.sensitivities.is_empty(),
        window: request.window,
        waited,
    }
}

/// The lists of a statement's record that matter here.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    reads: Vec<String>,
    #[serde(default)]
    writes: Vec<String>,
}

/// The table of a target that a statement's name meant: catalogs of the system
/// are none, and a name without a schema is one that only one schema has.
fn meant(name: &str, facts: &Facts) -> Option<TableName> {
    match split_name(name)?.as_slice() {
        [schema, name] => {
            let table = TableName::new(schema, name);
            facts.tables.contains(&table).then_some(table)
        }
        [name] => {
            let mut found = facts.tables.iter().filter(|table| table.name == *name);
            match (found.next(), found.next()) {
                (Some(table), None) => Some(table.clone()),
                _ => None,
            }
        }
        _ => None,
    }
}
