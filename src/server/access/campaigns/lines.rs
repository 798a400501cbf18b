//! What a campaign's lines are made of: what policy gives each person at each
//! target, grants of the period, and what the ledger says of their use.

use crate::core::campaign::{self, Known};
use crate::core::model::{
    AskedScope, CampaignLine, IncidentFact, Person, PersonRef, Right, Role, Scope, Sensitivity, Target, Tier,
};
use crate::core::policy::{Marks, Policy, Question, Touched};
use crate::server::access::targets::Survey;
use crate::server::access::{Access, AccessError};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// So many tables and schemas of a target are put to policy, whole ones first.
const MOST_PROBED: usize = 8;
/// A window that every rule allows.
const WINDOW: Duration = Duration::from_secs(60);

/// A target, and the narrowest scopes in which each right could be asked for.
struct Probed {
    target: Target,
    survey: Arc<Survey>,
    probes: Vec<(Right, Scope)>,
}

impl Access {
    pub(super) async fn campaign_lines(
        &self,
        targets: BTreeSet<String>,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<CampaignLine>, AccessError> {
        let mut probed = Vec::new();
        for name in &targets {
            let state = self.target(name)?;
            let survey = state.survey().await?;
            let mut probes = probes(&survey);
            probes.retain(|(_, scope)| !state.is_standby() || !(scope.writes() || scope.changes_schema()));
            probed.push(Probed { target: state.target.clone(), survey, probes });
        }
        let (people, _) = self.everybody().await?;
        let (grants, bars) = self
            .store
            .read(move |tx| Ok::<_, AccessError>((tx.grants_between(from, to)?, tx.bars()?)))
            .await?;
        self.caught_up().await?;
        let uses = self.index.uses(from, to).await?;
        let policy = self.policy();
        // Policy is asked of everybody: not while others wait for the thread.
        let asking = tokio::task::spawn_blocking(move || {
            let can = can(&policy, &people, &probed);
            let people: Vec<PersonRef> = people.iter().map(Person::to_ref).collect();
            campaign::lines(&Known { can, people, targets, grants, uses, bars })
        });
        asking.await.map_err(|_| AccessError::internal("asking policy of everybody broke off"))
    }
}

/// The rights that somebody gets, each in its lightest tier.
type Rights = Arc<BTreeMap<Right, Tier>>;

/// What each person gets, by target and subject. Policy is asked once about
/// people, and about scopes, that no rule can tell apart.
fn can(policy: &Policy, people: &[Person], probed: &[Probed]) -> HashMap<String, HashMap<String, Rights>> {
    let at = |one: &Probed| {
        let Probed { target, .. } = one;
        let probes = apart(policy, one);
        let mut alike: HashMap<(Marks, &BTreeSet<Role>), Rights> = HashMap::new();
        let mut found = HashMap::new();
        for person in people {
            let marks = policy.marks(&person.subject, &person.teams, &[&target.owners]);
            let ask = || Arc::new(rights(policy, person, target, &probes));
            let rights = alike.entry((marks, &person.roles)).or_insert_with(ask);
            if !rights.is_empty() {
                found.insert(person.subject.clone(), Arc::clone(rights));
            }
        }
        (target.name.clone(), found)
    };
    probed.iter().map(at).collect()
}

/// The probes of a target that some rule can tell from the others.
fn apart<'p>(policy: &Policy, probed: &'p Probed) -> Vec<(Right, &'p Scope, Touched)> {
    let Probed { target, survey, probes } = probed;
    let mut seen = BTreeSet::new();
    let touched = |(right, scope): &'p (Right, Scope)| {
        (*right, scope, Touched::of(scope, &survey.classification, &survey.catalog))
    };
    let is_new = |(right, scope, touched): &(Right, &Scope, Touched)| {
        seen.insert((*right, policy.reaches(target, scope, touched)))
    };
    probes.iter().map(touched).filter(is_new).collect()
}

fn rights(
    policy: &Policy,
    person: &Person,
    target: &Target,
    probes: &[(Right, &Scope, Touched)],
) -> BTreeMap<Right, Tier> {
    let mut found: BTreeMap<Right, Tier> = BTreeMap::new();
    for (right, scope, touched) in probes {
        if found.get(right) == Some(&Tier::Auto) {
            continue;
        }
        let tier = policy.tier(&Question {
            person,
            target,
            scope,
            touched: touched.clone(),
            window: WINDOW,
            business_hours: true,
            on_call: false,
            incident: IncidentFact::None,
        });
        if tier != Tier::Deny {
            found.entry(*right).and_modify(|lightest| *lightest = tier.min(*lightest)).or_insert(tier);
        }
    }
    found
}

/// Scopes that ask for one right each: of single tables, schemas for what
/// changes them, and one classified column of each kind.
fn probes(survey: &Survey) -> Vec<(Right, Scope)> {
    let Survey { catalog, classification, .. } = survey;
    let mut asked: Vec<(Right, AskedScope)> = Vec::new();
    let open = catalog.relations.iter().filter(|one| classification.closed(&one.name).is_none());
    for relation in open.take(MOST_PROBED) {
        let tables = vec![relation.name.to_string()];
        let read = AskedScope { tables, ..AskedScope::default() };
        asked.push((Right::Write, AskedScope { write: true, ..read.clone() }));
        asked.push((Right::Export, AskedScope { export: true, ..read.clone() }));
        asked.push((Right::Read, read));
    }
    for schema in catalog.schemas.iter().take(MOST_PROBED) {
        let schemas = vec![crate::core::model::name_part(schema)];
        asked.push((Right::Ddl, AskedScope { schemas, ddl: true, ..AskedScope::default() }));
    }
    let mut kinds: BTreeSet<Sensitivity> = BTreeSet::new();
    for (table, columns) in classification.tables() {
        for (column, classified) in columns {
            let scope = AskedScope {
                tables: vec![table.to_string()],
                unmask: vec![table.column(column)],
                ..AskedScope::default()
            };
            if !kinds.contains(&classified.sensitivity) && scope.resolve(catalog, classification).is_ok() {
                kinds.insert(classified.sensitivity);
                asked.push((Right::Unmask, scope));
            }
        }
    }
    let resolved =
        |(right, asked): (Right, AskedScope)| Some((right, asked.resolve(catalog, classification).ok()?));
    asked.into_iter().filter_map(resolved).collect()
}
