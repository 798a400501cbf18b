//! Sample requests, with the answers that are expected: a test file for rules.

use super::{ok, problem};
use crate::core::model::{
    Decision, Environment, Facts, IncidentFact, Level, Permission, Role, Sensitivity, TableName, Tier,
    parse_duration,
};
use crate::core::policy::Policy;
use crate::proto::Finding;
use crate::server::config::Config;
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    request: Vec<Sample>,
}

/// One request as its author describes it, and what is expected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    name: String,
    /// Of the configuration; its environment, service and owners are then known.
    #[serde(default = "some_target")]
    target: String,
    environment: Option<Environment>,
    service: Option<String>,
    owners: Option<BTreeSet<String>>,
    #[serde(default)]
    teams: BTreeSet<String>,
    #[serde(default)]
    roles: BTreeSet<Role>,
    #[serde(default = "read")]
    permissions: BTreeSet<Permission>,
    #[serde(default = "table")]
    level: Level,
    #[serde(default)]
    tables: BTreeSet<TableName>,
    /// Why the columns are classified that would be seen raw.
    #[serde(default)]
    raw: BTreeSet<Sensitivity>,
    /// Those columns, where rules name them.
    #[serde(default)]
    columns: BTreeMap<String, Sensitivity>,
    #[serde(default = "hour")]
    window: String,
    #[serde(default = "yes")]
    business_hours: bool,
    #[serde(default)]
    on_call: bool,
    #[serde(default)]
    incident: IncidentFact,
    /// Asked for by `dbaccess break-glass`.
    #[serde(default)]
    break_glass: bool,
    tier: Tier,
    rule: Option<String>,
    /// As in `@approvers`.
    approvers: Option<String>,
}

fn some_target() -> String {
    "some-target".to_owned()
}

fn read() -> BTreeSet<Permission> {
    BTreeSet::from([Permission::Read])
}

fn table() -> Level {
    Level::Table
}

fn hour() -> String {
    "1h".to_owned()
}

fn yes() -> bool {
    true
}

/// Each sample that is not decided as expected; else that all are.
pub(super) fn check(policy: &Policy, path: &Path, config: Option<&Config>) -> anyhow::Result<Vec<Finding>> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let file: File = toml::from_str(&text).with_context(|| format!("{shown} cannot be used"))?;
    if file.request.is_empty() {
        bail!("{shown} has no [[request]]");
    }
    let mut findings = Vec::new();
    for sample in &file.request {
        let facts = facts(sample, config).with_context(|| format!("{shown}: request `{}`", sample.name))?;
        let decision = policy.decide_again(&facts, sample.break_glass);
        findings.extend(wrong(sample, &decision).map(|message| problem("samples", message, None)));
    }
    if findings.is_empty() {
        findings.push(ok("samples", format!("{} requests are decided as expected", file.request.len())));
    }
    Ok(findings)
}

fn wrong(sample: &Sample, decision: &Decision) -> Option<String> {
    let rules: Vec<&str> = decision.rules.iter().map(|rule| rule.id.as_str()).collect();
    let slots = decision
        .slots
        .iter()
        .map(|slot| slot.any_of.iter().map(|role| role.0.as_str()).collect::<Vec<_>>().join("|"));
    let approvers = slots.collect::<Vec<_>>().join(", ");
    let words = |text: &str| text.split_whitespace().collect::<String>();
    let mut expected = Vec::new();
    if sample.tier != decision.tier {
        expected.push(format!("tier {}", sample.tier.as_str()));
    }
    if let Some(rule) = sample.rule.as_ref().filter(|rule| !rules.contains(&rule.as_str())) {
        expected.push(format!("rule {rule}"));
    }
    if let Some(wanted) = sample.approvers.as_ref().filter(|wanted| words(wanted) != words(&approvers)) {
        expected.push(format!("approvers {wanted}"));
    }
    (!expected.is_empty()).then(|| {
        let by = if rules.is_empty() { String::new() } else { format!(" by {}", rules.join(", ")) };
        let ask = if approvers.is_empty() { String::new() } else { format!(", approvers {approvers}") };
        format!(
            "{}: expected {}, and it is {}{by}{ask}: {}",
            sample.name,
            expected.join(", "),
            decision.tier.as_str(),
            decision.why
        )
    })
}

fn facts(sample: &Sample, config: Option<&Config>) -> anyhow::Result<Facts> {
    let known = config.and_then(|config| config.targets.get(&sample.target)).map(|one| &one.target);
    let Some(environment) = sample.environment.or(known.map(|target| target.environment)) else {
        bail!("say its environment, or a target of the configuration (--config)");
    };
    let owners = sample.owners.clone().or_else(|| known.map(|target| target.owners.clone()));
    let kinds = sample.raw.iter().chain(sample.columns.values()).copied().collect::<BTreeSet<_>>();
    let tables: Vec<String> = sample.tables.iter().map(ToString::to_string).collect();
    let objects = match sample.level {
        Level::Database => "the whole database".to_owned(),
        _ if tables.is_empty() => format!("a {}", sample.level.as_str()),
        _ => tables.join(", "),
    };
    Ok(Facts {
        subject: "somebody".to_owned(),
        teams: sample.teams.clone(),
        roles: sample.roles.clone(),
        target: sample.target.clone(),
        environment,
        service: sample.service.clone().or_else(|| known.and_then(|target| target.service.clone())),
        owners: owners.unwrap_or_default(),
        permissions: sample.permissions.clone(),
        level: sample.level,
        objects,
        schemas: sample.tables.iter().map(|table| table.schema.clone()).collect(),
        tables: sample.tables.clone(),
        columns: sample.columns.clone(),
        unmask: !kinds.is_empty() && !sample.permissions.contains(&Permission::Ddl),
        sensitivities: kinds,
        masked: 0,
        window: parse_duration(&sample.window)?,
        business_hours: sample.business_hours,
        on_call: sample.on_call,
        incident: sample.incident,
    })
}
