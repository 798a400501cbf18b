//! What is wrong, and what to do about it.

use super::{Access, AccessError, Caller};
use crate::core::model::SessionState;
use crate::proto::{Finding, FindingLevel};
use jiff::SignedDuration;

/// A session that is still closing after this long needs somebody's attention.
const SLOW_DEATH: SignedDuration = SignedDuration::from_secs(30);

impl Access {
    /// The findings on this server and on one target, or on all.
    pub async fn doctor(&self, caller: &Caller, target: Option<String>) -> Result<Vec<Finding>, AccessError> {
        let mut findings = vec![self.ledger_finding()];
        findings.extend(self.undead_findings(caller).await?);
        let names: Vec<&str> = match &target {
            Some(name) => vec![self.target(name)?.target.name.as_str()],
            None => self.target_names().collect(),
        };
        for name in names {
            let of_target = self.target(name)?.database.findings().await;
            findings.extend(of_target.into_iter().map(|mut finding| {
                finding.check = format!("{name}: {}", finding.check);
                finding
            }));
        }
        Ok(findings)
    }

    fn ledger_finding(&self) -> Finding {
        let (level, message, remedy) = match self.journal.health() {
            Ok(()) => (FindingLevel::Ok, "the ledger is being written".to_owned(), None),
            Err(error) => (
                FindingLevel::Problem,
                format!("{error}; no statement gets through"),
                Some(
                    "make room on the disk of the data directory, or mend it; writing goes on by itself"
                        .to_owned(),
                ),
            ),
        };
        Finding { check: "ledger".to_owned(), level, message, remedy }
    }

    /// Other people's sessions are named only to those who may see all.
    async fn undead_findings(&self, caller: &Caller) -> Result<Vec<Finding>, AccessError> {
        let now = crate::os::now();
        let open = self.store.read(|tx| tx.sessions(None, false, 10_000).map_err(AccessError::from)).await?;
        let slow = open.into_iter().filter(|session| {
            session.state == SessionState::Closing
                && session.ended_at.is_some_and(|ended| now.duration_since(ended) > SLOW_DEATH)
        });
        Ok(slow
            .map(|session| Finding {
                check: format!("{}: revocation", session.target),
                level: FindingLevel::Problem,
                message: if caller.sees_all() || session.person.subject == caller.person.subject {
                    format!(
                        "role {} of {} ({}) should be gone and is still being removed",
                        session.role, session.id, session.person.email
                    )
                } else {
                    "a session's role should be gone and is still being removed".to_owned()
                },
                remedy: Some(
                    "see the server's log for why; make the target reachable, it is retried for ever"
                        .to_owned(),
                ),
            })
            .collect())
    }
}
