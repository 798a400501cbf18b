//! What is wrong, and what to do about it.
//!
//! Everybody who is signed in learns how the server is and which targets
//! answer. What is lax or broken inside a target is for those who can mend it:
//! its owners, security, auditors and admins.

use super::targets::{Survey, TargetState};
use super::{Access, AccessError, Caller};
use crate::core::model::{SessionState, Suspension};
use crate::proto::{Finding, FindingLevel};
use jiff::SignedDuration;
use std::path::Path;
use std::time::Duration;

/// A session that is still closing after this long needs somebody's attention.
const SLOW_DEATH: SignedDuration = SignedDuration::from_secs(10);
/// How long one check may take before that is the finding.
const PATIENCE: Duration = Duration::from_secs(15);
/// Free space for the ledger and the state, in bytes: less is a warning, and
/// much less a problem, because a full disk stops every statement (G1).
const LITTLE_SPACE: u64 = 2 << 30;
const NO_SPACE: u64 = 256 << 20;

impl Access {
    /// The findings on this server and on one target, or on all.
    pub async fn doctor(&self, caller: &Caller, target: Option<String>) -> Result<Vec<Finding>, AccessError> {
        let targets = match &target {
            Some(name) => vec![self.target(name)?],
            None => self.target_names().filter_map(|name| self.target(name).ok()).collect(),
        };
        let space = space_finding(&self.config.server.data_dir);
        let mut findings = vec![self.ledger_finding(), self.recordings_finding(), space];
        for suspension in self.suspensions().await? {
            if targets.iter().any(|state| state.target.name == suspension.target) {
                findings.push(suspended_finding(&suspension));
            }
        }
        let (identity, incidents, native, undead, of_targets) = tokio::join!(
            self.identity_finding(),
            self.incident_findings(),
            self.native_finding(),
            self.undead_findings(caller, &targets),
            futures_util::future::join_all(targets.iter().map(|state| self.target_findings(caller, state))),
        );
        findings.extend([identity, native]);
        findings.extend(incidents);
        findings.extend(undead?);
        findings.extend(of_targets.into_iter().flatten());
        Ok(findings)
    }

    fn ledger_finding(&self) -> Finding {
        match self.journal.health() {
            Ok(()) => ok("ledger", "is being written".to_owned()),
            Err(error) => problem(
                "ledger",
                format!("{error}; no statement gets through"),
                "make room on the disk of the data directory, or mend it; writing goes on by itself",
            ),
        }
    }

    fn recordings_finding(&self) -> Finding {
        let check = "recordings";
        match (self.recordings.failing(), self.recordings.key()) {
            (0, Some(_)) => ok(check, "are sealed to the auditor's key".to_owned()),
            (0, None) => Finding {
                level: FindingLevel::Warning,
                ..problem(
                    check,
                    "who can read the data directory can read the rows that recorded sessions have seen"
                        .to_owned(),
                    "`dbaccess recording keygen FILE` where the auditor works; the public key goes under [recording] auditor_key",
                )
            },
            (failing, _) => problem(
                check,
                format!("{failing} of them cannot be written; those sessions get no statement through"),
                "make room on the disk of the data directory, or mend it; writing goes on by itself",
            ),
        }
    }

    async fn identity_finding(&self) -> Finding {
        let issuer = &self.config.identity.issuer;
        let asked = tokio::time::timeout(PATIENCE, self.provider.answers()).await;
        let why = match asked {
            Ok(Ok(())) => return ok("identity provider", format!("{issuer} answers")),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", PATIENCE.as_secs()),
        };
        problem(
            "identity provider",
            format!("nobody can sign in: {issuer}: {why}"),
            "check [identity] in the server's configuration, and the way from the server to the provider",
        )
    }

    async fn incident_findings(&self) -> Vec<Finding> {
        let findings = self.incidents.health().await.into_iter().map(|health| {
            let name = health.system.name();
            match health.answer {
                Ok(services) => ok(name, format!("{} answers: {services}", health.url)),
                Err(why) => problem(
                    name,
                    format!("{}: {why}", health.url),
                    &format!(
                        "check the token and the services of [incidents.{}]: meanwhile incidents are unconfirmed, and \
                         policy decides about break-glass",
                        name.to_ascii_lowercase()
                    ),
                ),
            }
        });
        findings.collect()
    }

    async fn native_finding(&self) -> Finding {
        let check = "native endpoint";
        let Some(address) = self.config.server.native_listen else {
            return ok(check, "off: sessions go through the tunnel".to_owned());
        };
        let dialled = tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(address)).await;
        match dialled {
            Ok(Ok(_)) => ok(check, format!("listens on {address}")),
            Ok(Err(error)) => problem(
                check,
                format!("{address}: {error}"),
                "restart the server, and see its log for why it does not listen",
            ),
            Err(_) => problem(check, format!("{address} does not answer"), "see the server's log"),
        }
    }

    /// Sessions whose role should be gone and is not.
    async fn undead_findings(
        &self,
        caller: &Caller,
        targets: &[&TargetState],
    ) -> Result<Vec<Finding>, AccessError> {
        let now = crate::os::now();
        let open = self.store.read(|tx| tx.sessions(None, false, 10_000).map_err(AccessError::from)).await?;
        let slow = open.into_iter().filter(|session| {
            session.state == SessionState::Closing
                && session.ended_at.is_some_and(|ended| now.duration_since(ended) > SLOW_DEATH)
        });
        let finding = |session: crate::core::model::Session| {
            let state = targets.iter().find(|state| state.target.name == session.target);
            let concerns = session.person.subject == caller.person.subject
                || state.is_some_and(|state| caller.tends(state));
            concerns.then(|| {
                problem(
                    &format!("{}: revocation", session.target),
                    format!(
                        "role {} of {} ({}) should be gone and is still being removed",
                        session.role, session.id, session.person.email
                    ),
                    "make the target reachable: the removal is tried until it succeeds; the server's log says why it fails",
                )
            })
        };
        Ok(slow.filter_map(finding).collect())
    }

    async fn target_findings(&self, caller: &Caller, state: &TargetState) -> Vec<Finding> {
        let name = &state.target.name;
        if caller.tends(state) {
            let within = tokio::time::timeout(PATIENCE, state.database.findings()).await;
            let mut findings = within.unwrap_or_else(|_| {
                vec![problem("reachable", format!("no answer within {} s", PATIENCE.as_secs()), REACH)]
            });
            if let Some(survey) = state.cached() {
                findings.extend(escapes(state, &survey).await);
            }
            for finding in &mut findings {
                finding.check = format!("{name}: {}", finding.check);
                if finding.level != FindingLevel::Ok && finding.remedy.is_none() {
                    finding.remedy = Some(REACH.to_owned());
                }
            }
            return findings;
        }
        let check = format!("{name}: reachable");
        let owners: Vec<&str> = state.target.owners.iter().map(String::as_str).collect();
        match tokio::time::timeout(PATIENCE, state.refresh()).await {
            Ok(Ok(_)) => vec![ok(&check, "answers".to_owned())],
            _ => vec![problem(
                &check,
                "does not answer the server".to_owned(),
                &format!("tell its owners ({}), who see more in `dbaccess doctor {name}`", owners.join(", ")),
            )],
        }
    }
}

fn suspended_finding(suspension: &Suspension) -> Finding {
    let Suspension { target, by, until, .. } = suspension;
    let message = format!(
        "for a deploy until {until:.0}, by {}: no session opens that sees masked or filtered tables",
        by.email
    );
    let remedy = format!("when the deploy is done: `dbaccess target resume {target}`");
    Finding { level: FindingLevel::Warning, ..problem(&format!("{target}: suspended"), message, &remedy) }
}

/// What escapes the classification, as `dbaccess target check` finds it.
async fn escapes(state: &TargetState, survey: &Survey) -> Vec<Finding> {
    let Survey { catalog, classification, .. } = survey;
    let asked = state.database.escapes(&state.target.classified, catalog, classification);
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![problem("classified", error.to_string(), REACH)],
        Err(_) => vec![problem("classified", format!("no answer within {} s", PATIENCE.as_secs()), REACH)],
    }
}

const REACH: &str =
    "check that the target runs, and its host, port, user, password and CA in the server's configuration";

impl Caller {
    /// May see what is wrong inside a target.
    fn tends(&self, state: &TargetState) -> bool {
        self.sees_all() || self.has_role("admin") || !state.target.owners.is_disjoint(&self.person.teams)
    }
}

fn space_finding(data_dir: &Path) -> Finding {
    let check = "disk space";
    let remedy = "make room where the data directory is: a full disk stops every statement";
    let free = match rustix::fs::statvfs(data_dir) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => return problem(check, format!("{}: {error}", data_dir.display()), remedy),
    };
    let message = format!("{} MiB free for the ledger and the state", free >> 20);
    match free {
        ..NO_SPACE => problem(check, message, remedy),
        NO_SPACE..LITTLE_SPACE => Finding { level: FindingLevel::Warning, ..problem(check, message, remedy) },
        _ => ok(check, message),
    }
}

fn ok(check: &str, message: String) -> Finding {
    Finding { check: check.to_owned(), level: FindingLevel::Ok, message, remedy: None }
}

fn problem(check: &str, message: String, remedy: &str) -> Finding {
    Finding {
        check: check.to_owned(),
        level: FindingLevel::Problem,
        message,
        remedy: Some(remedy.to_owned()),
    }
}
