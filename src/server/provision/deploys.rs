//! Whether deploys get past the views of masked and filtered tables, and what
//! an earlier one has left.

use super::findings::{listed, ok, warning};
use super::{ProvisionError, Target};
use crate::proto::Finding;

/// The event triggers that make way for deploys (`setup/deploys.sql`), where they are on.
const TRIGGERS: &str = "
    SELECT evtname::text FROM pg_event_trigger
    WHERE evtname IN ('dbaccess_before_ddl', 'dbaccess_after_ddl') AND evtenabled IN ('O', 'A')";

const MISSING: &str = "SELECT dbaccess.missing_views()";

impl Target {
    pub(super) async fn deploy_findings(&self) -> Result<Vec<Finding>, ProvisionError> {
        let mut findings = vec![match self.lines(TRIGGERS).await?.len() {
            2 => ok("deploys", "an event trigger makes way for them".to_owned()),
            _ => warning(
                "deploys",
                "views of dbaccess hinder those that drop or retype columns of masked or filtered tables: no event trigger makes way"
                    .to_owned(),
                Some(
                    "before a deploy: `dbaccess target suspend TARGET`, after it `dbaccess target resume TARGET`; or run `dbaccess target setup` as a superuser, once"
                        .to_owned(),
                ),
            ),
        }];
        // Where the setup is missing or old, that is the finding.
        if let Ok(missing) = self.lines(MISSING).await {
            findings.push(listed(
                "missing_views",
                &missing,
                "no open session misses a view",
                "a deploy has left profiles without views, so that open sessions cannot see these tables",
                "end those sessions (`dbaccess sessions`, `dbaccess revoke ID`): the next ones get views of their own, or say what hinders that",
            ));
        }
        Ok(findings)
    }
}
