//! Targets as the server knows them: configuration, a connection, a cached catalog.

use super::{Access, AccessError, Caller};
use crate::core::guard::Vocabulary;
use crate::core::model::{
    AskedScope, Catalog, Classification, Column, ErrorKind, Grant, GrantId, Relation, Suspension, Target,
    nearest,
};
use crate::core::policy::{BusinessHours, Sight};
use crate::proto::{ColumnView, TableView, TargetView};
use crate::server::config::Config;
use crate::server::gateway::Way;
use crate::server::provision::{self, ProvisionError};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How old the cached catalog may be where a stale one would only cost a hint.
const STALE: SignedDuration = SignedDuration::from_secs(60);
/// How old it may be where a session's privileges are made from it.
const FRESH: SignedDuration = SignedDuration::from_secs(2);

/// How long a list waits for a target that does not answer.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) struct TargetState {
    pub target: Target,
    pub way: Arc<Way>,
    pub database: provision::Target,
    /// Functions that configuration lets sessions call.
    functions: Vec<String>,
    seen: RwLock<Seen>,
}

/// A target as last seen, with what its configuration makes of that.
pub(super) struct Survey {
    pub catalog: Catalog,
    pub classification: Classification,
    pub vocabulary: Arc<Vocabulary>,
}

#[derive(Default)]
struct Seen {
    survey: Option<Arc<Survey>>,
    problem: Option<String>,
}

impl TargetState {
    pub(super) fn all(config: &Config) -> Result<BTreeMap<String, Self>, ProvisionError> {
        let one = |(name, configured): (&String, &crate::server::config::ConfiguredTarget)| {
            let state = Self {
                target: configured.target.clone(),
                way: Arc::new(Way::new(configured.upstream.clone()).map_err(ProvisionError::from)?),
                database: provision::Target::new(configured.upstream.clone())?,
                functions: configured.functions.clone(),
                seen: RwLock::default(),
            };
            Ok((name.clone(), state))
        };
        config.targets.iter().map(one).collect()
    }

    /// A survey good enough to name things in.
    pub(super) async fn survey(&self) -> Result<Arc<Survey>, AccessError> {
        self.survey_within(STALE).await
    }

    /// A survey good enough to make privileges from.
    pub(super) async fn fresh_survey(&self) -> Result<Arc<Survey>, AccessError> {
        self.survey_within(FRESH).await
    }

    async fn survey_within(&self, age: SignedDuration) -> Result<Arc<Survey>, AccessError> {
        let known = self.cached();
        match known {
            Some(survey) if crate::os::now().duration_since(survey.catalog.taken_at) < age => Ok(survey),
            _ => self.refresh().await,
        }
    }

    pub(super) fn cached(&self) -> Option<Arc<Survey>> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).survey.clone()
    }

    fn problem(&self) -> Option<String> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// Asks the target for its catalog. A failure keeps the old one, and is kept beside it.
    pub(super) async fn refresh(&self) -> Result<Arc<Survey>, AccessError> {
        let answer = self.database.catalog().await;
        let mut seen = self.seen.write().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(catalog) => {
                let survey = Arc::new(Survey {
                    classification: Classification::of(&self.target.classified, &catalog),
                    vocabulary: Arc::new(Vocabulary::of(&catalog, &self.functions)),
                    catalog,
                });
                *seen = Seen { survey: Some(Arc::clone(&survey)), problem: None };
                Ok(survey)
            }
            Err(error) => {
                seen.problem = Some(error.to_string());
                let name = &self.target.name;
                Err(AccessError::new(error.kind(), format!("{name}: {error}"))
                    .hint(format!("`dbaccess doctor {name}` looks closer")))
            }
        }
    }

    pub(super) fn is_standby(&self) -> bool {
        self.way.to.primary.is_some()
    }

    fn view(&self, caller: &Caller, grants: &[Grant], suspensions: &[Suspension]) -> TargetView {
        let Target { name, environment, service, owners, .. } = &self.target;
        let grants: Vec<Grant> = grants.iter().filter(|grant| grant.target == *name).cloned().collect();
        let tables = self.cached().map(|survey| survey.tables(&grants));
        TargetView {
            name: name.clone(),
            environment: environment.as_str().to_owned(),
            service: service.clone(),
            owners: owners.clone(),
            at_home: !owners.is_disjoint(&caller.person.teams),
            grants,
            tables: tables.unwrap_or_default(),
            problem: self.problem(),
            suspended: suspensions.iter().find(|suspension| suspension.target == *name).cloned(),
        }
    }
}

impl Survey {
    /// The tables, with what somebody sees who holds these grants.
    fn tables(&self, grants: &[Grant]) -> Vec<TableView> {
        let Self { catalog, classification, .. } = self;
        let sights: Vec<Sight<'_>> = grants.iter().map(|grant| Sight::of(&grant.scope, catalog)).collect();
        let table = |relation: &Relation| {
            let closed = classification.closed(&relation.name).map(str::to_owned);
            let column = |column: &Column| {
                let classified = classification.column(&relation.name, &column.name);
                let mask = classified.map(|classified| classified.mask.to_string());
                let raw_under: Vec<GrantId> = grants
                    .iter()
                    .zip(&sights)
                    .filter(|(_, sight)| sight.is_raw(&relation.name, &column.name))
                    .map(|(grant, _)| grant.id.clone())
                    .collect();
                let you_see = match &mask {
                    _ if closed.is_some() && !sights.iter().any(|sight| sight.owns(&relation.name)) => {
                        "nothing"
                    }
                    Some(mask) if raw_under.is_empty() => mask,
                    _ => "raw",
                };
                let always = mask.is_none() && closed.is_none();
                ColumnView {
                    raw_under: if you_see == "raw" && !always { raw_under } else { Vec::new() },
                    name: column.name.clone(),
                    type_name: column.type_name.clone(),
                    sensitivity: classified.map(|classified| classified.sensitivity.as_str().to_owned()),
                    you_see: you_see.to_owned(),
                    mask,
                }
            };
            let rows = grants.iter().filter_map(|grant| grant.scope.rows.get(&relation.name));
            TableView {
                name: relation.name.to_string(),
                columns: relation.columns.iter().map(column).collect(),
                rows: rows.map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect(),
                closed,
            }
        };
        catalog.relations.iter().map(table).collect()
    }
}

impl Access {
    /// A target by its exact name.
    pub(super) fn target(&self, name: &str) -> Result<&TargetState, AccessError> {
        self.targets.get(name).ok_or_else(|| {
            let near = nearest(name, self.targets.keys().map(String::as_str));
            let hint = match near.as_slice() {
                [] => "`dbaccess targets` lists them".to_owned(),
                names => format!("did you mean {}?", names.join(" or ")),
            };
            AccessError::new(ErrorKind::NotFound, format!("there is no target {name}")).hint(hint)
        })
    }

    /// The target that can be written where `standby` only follows.
    pub(super) fn writable(&self, standby: &TargetState) -> Option<&TargetState> {
        let place = standby.way.to.writable();
        self.targets.values().find(|state| {
            let to = &state.way.to;
            !state.is_standby()
                && (&to.host, to.port, &to.database) == (&place.host, place.port, &place.database)
        })
    }

    /// The names of all targets.
    pub fn target_names(&self) -> impl Iterator<Item = &str> {
        self.targets.keys().map(String::as_str)
    }

    /// Renews one target's catalog.
    pub async fn refresh_catalog(&self, target: &str) -> Result<(), AccessError> {
        self.target(target)?.refresh().await.map(drop)
    }

    pub async fn targets(&self, caller: &Caller) -> Result<Vec<TargetView>, AccessError> {
        let grants = self.live_grants(caller).await?;
        self.look_again(TargetState::survey).await;
        let suspensions = self.suspensions().await?;
        Ok(self.targets.values().map(|target| target.view(caller, &grants, &suspensions)).collect())
    }

    /// The one target whose catalog has all of these names.
    pub(super) async fn infer_target(&self, asked: &AskedScope) -> Result<&TargetState, AccessError> {
        if asked.is_database() {
            return Err(AccessError::usage("say which target, or which tables")
                .hint("`dbaccess request TARGET --table TABLE`; `dbaccess targets` lists the targets"));
        }
        self.look_again(TargetState::survey).await;
        match self.fitting_target(asked) {
            // Perhaps it is there since a minute: look again before saying no.
            Err(error) if error.kind == ErrorKind::NotFound => {
                self.look_again(TargetState::fresh_survey).await;
                self.fitting_target(asked)
            }
            found => found,
        }
    }

    /// Renews the catalogs. A person who looks gets today's where the target
    /// answers soon, and does not wait for one that does not.
    async fn look_again<'a, F>(&'a self, renew: impl Fn(&'a TargetState) -> F)
    where
        F: Future<Output = Result<Arc<Survey>, AccessError>>,
    {
        let renewals = self.targets.values().map(|state| tokio::time::timeout(PATIENCE, renew(state)));
        // What fails is kept with the target, as its problem.
        drop(futures_util::future::join_all(renewals).await);
    }

    fn fitting_target(&self, asked: &AskedScope) -> Result<&TargetState, AccessError> {
        let mut refusals = Vec::new();
        let mut fitting = Vec::new();
        for state in self.targets.values() {
            match state.cached().map(|survey| asked.resolve(&survey.catalog, &survey.classification)) {
                Some(Ok(_)) => fitting.push(state),
                Some(Err(error)) => refusals.push(format!("{}: {error}", state.target.name)),
                None => refusals.push(format!("{}: not reached yet", state.target.name)),
            }
        }
        match fitting.as_slice() {
            [one] => Ok(one),
            [] => Err(AccessError::not_found(format!("no target has all of that ({})", refusals.join("; ")))
                .hint("`dbaccess targets` lists the targets, `dbaccess targets NAME` its tables")),
            several => {
                let names: Vec<&str> = several.iter().map(|state| state.target.name.as_str()).collect();
                Err(AccessError::usage(format!("several targets have that: {}", names.join(", "))).hint(
                    format!(
                        "say which: `dbaccess request {} …`",
                        several.first().map_or("TARGET", |s| &s.target.name)
                    ),
                ))
            }
        }
    }

    pub(super) fn business_hours(&self) -> &BusinessHours {
        &self.config.business_hours
    }
}
