//! `dbaccess policy check`: what is wrong with rules, before a server uses them.

mod samples;

use super::config::{Config, ConfigError, DEFAULT_NAME, PolicyFiles, Unusable, default_source, usable};
use crate::core::model::{Role, Target};
use crate::core::policy::{Idle, Policy};
use crate::proto::{Finding, FindingLevel};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What to check. Without files those of the configuration, and without that
/// the default policy.
pub struct Asked<'a> {
    pub files: &'a [PathBuf],
    pub with_default: bool,
    pub config: Option<&'a Path>,
    pub tests: Option<&'a Path>,
}

/// Everything that was found, good and bad.
pub fn check(asked: &Asked<'_>) -> anyhow::Result<Vec<Finding>> {
    let config = match asked.config.map(Config::load) {
        Some(Ok(config)) => Some(config),
        None => None,
        Some(Err(ConfigError::Problems(problems))) => {
            return Ok(problems.iter().map(|p| problem("configuration", p.to_string(), None)).collect());
        }
        Some(Err(error)) => return Err(error.into()),
    };
    let own = PolicyFiles::default();
    let files = match (&config, asked.files) {
        (Some(config), []) => config.policy_files.clone(),
        (None, []) => own,
        (_, files) => PolicyFiles { extra: Vec::new(), files: Some(files.to_vec()) },
    };
    let unusable = |problems: Vec<Unusable>| {
        problems.iter().map(|p| problem("rules", p.to_string(), None)).collect::<Vec<_>>()
    };
    let mut sources = match files.read() {
        Ok(sources) => sources,
        Err(problems) => return Ok(unusable(problems)),
    };
    if asked.with_default {
        sources.push(default_source());
    }
    // Without a configuration every role is somebody's.
    let policy = match &config {
        Some(config) => usable(&sources, &config.directory),
        None => Policy::of(&sources).map_err(Unusable::all),
    };
    let policy = match policy {
        Ok(policy) => policy,
        Err(problems) => return Ok(unusable(problems)),
    };
    let short = policy.hash().get(..12).unwrap_or_default();
    let mut findings = vec![ok("rules", format!("{} rules, policy {short}", policy.len()))];
    let targets: Vec<Target> =
        config.iter().flat_map(|config| config.targets.values()).map(|one| one.target.clone()).collect();
    findings.extend(reach(&policy, &targets));
    if let Some(config) = &config {
        let teams: BTreeSet<String> = config.directory.teams.keys().cloned().collect();
        let roles: BTreeSet<Role> = config.directory.roles.keys().cloned().collect();
        findings.extend(approvers(&policy, &targets, &teams, &roles));
    }
    if let Some(tests) = asked.tests {
        findings.extend(samples::check(&policy, tests, config.as_ref())?);
    }
    Ok(findings)
}

/// Rules that decide nothing. A built-in one is nobody's mistake: others have
/// taken its place, or no target here needs it.
fn reach(policy: &Policy, targets: &[Target]) -> Vec<Finding> {
    let reach = policy.reach(targets);
    let tried = format!("{} combinations of the facts that the rules speak of", reach.tried);
    if !reach.all {
        let message = format!("there are more combinations of facts than the {} that are tried", reach.tried);
        return vec![Finding {
            check: "reach".into(),
            level: FindingLevel::Warning,
            message: format!("whether every rule can decide is not known: {message}"),
            remedy: Some("check fewer files at a time".into()),
        }];
    }
    let has_default = policy.sources().contains(&default_source());
    if !reach.permits {
        let message = format!("it permits nothing: every request would be denied (of {tried})");
        let remedy = if has_default {
            "narrow the rules that forbid"
        } else {
            "where these rules are to come before the default policy, say --with-default, and in the \
             configuration `extra` in place of `files`; else write one that permits"
        };
        return vec![problem("reach", message, Some(remedy.into()))];
    }
    let (built_in, own): (Vec<&Idle>, Vec<&Idle>) =
        reach.idle.iter().partition(|idle| has_default && idle.file == DEFAULT_NAME);
    if !own.is_empty() {
        return own.into_iter().map(|idle| decides_nothing(idle, &tried)).collect();
    }
    let mut message = format!("every rule decides for some of {tried}");
    if !built_in.is_empty() {
        let names: Vec<String> = built_in.into_iter().map(with_those_before).collect();
        message
            .push_str(&format!(", but for built-in ones that have nothing to decide: {}", names.join(", ")));
    }
    vec![ok("reach", message)]
}

/// `single-read (behind all-reads)`
fn with_those_before(idle: &Idle) -> String {
    match idle.behind.join(", ").as_str() {
        "" => idle.rule.clone(),
        before => format!("{} (behind {before})", idle.rule),
    }
}

fn decides_nothing(idle: &Idle, tried: &str) -> Finding {
    let place = format!("{}:{}: rule {}", idle.file, idle.line, idle.rule);
    let before = idle.behind.join(", ");
    if idle.elsewhere {
        return Finding {
            check: "reach".into(),
            level: FindingLevel::Warning,
            message: format!("{place} decides nothing here: it is for targets of another environment"),
            remedy: Some("keep it, if there will be one".into()),
        };
    }
    if before.is_empty() {
        let remedy = "remove it, or look for the condition that cannot hold".to_owned();
        return problem("reach", format!("{place} applies to none of {tried}"), Some(remedy));
    }
    let why = format!("wherever it applies, {before} decides before it (of {tried})");
    problem("reach", format!("{place} never decides: {why}"), Some("remove it, or narrow those".into()))
}

/// Targets for which an approval that rules ask for could be given by nobody.
fn approvers(
    policy: &Policy,
    targets: &[Target],
    teams: &BTreeSet<String>,
    roles: &BTreeSet<Role>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for target in targets {
        for (slot, rules) in policy.nobody_approves(target, teams, roles) {
            let (name, rules) = (&target.name, rules.join(", "));
            findings.push(problem(
                "approvers",
                format!("nobody can approve as {slot} for {name}, which {rules} asks for"),
                Some(format!("see who owns {name}, and the rules of Action::\"approve\"")),
            ));
        }
    }
    if findings.is_empty() {
        findings.push(ok("approvers", format!("every approval can be given, for {} targets", targets.len())));
    }
    findings
}

fn ok(check: &str, message: String) -> Finding {
    Finding { check: check.into(), level: FindingLevel::Ok, message, remedy: None }
}

fn problem(check: &str, message: String, remedy: Option<String>) -> Finding {
    Finding { check: check.into(), level: FindingLevel::Problem, message, remedy }
}
