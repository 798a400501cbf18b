use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::result;
use crate::proto::{CampaignsQuery, DelegationsQuery, RequestsQuery, SessionsQuery};
use std::time::Duration;

/// List names for a shell's completion, one a line; nothing when the server is slow.
#[derive(Clone, Debug, clap::Args)]
pub struct CompleteArgs {
    what: What,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    Targets,
    /// Requests that wait.
    Requests,
    Sessions,
    Grants,
    Delegations,
    /// What `revoke` takes: sessions and grants.
    Revocable,
    /// What `replay` takes: sessions, ended ones too.
    Played,
    /// Access reviews that are not signed.
    Campaigns,
}

/// A person is waiting with a finger on the Tab key.
const PATIENCE: Duration = Duration::from_secs(2);

impl CompleteArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        // Whatever fails here, fails silently: it would be printed into a half-typed line.
        let names = tokio::time::timeout(PATIENCE, self.names(context)).await;
        let Ok(Ok(names)) = names else { return Ok(()) };
        // A name that a shell would take apart is left to be typed.
        let safe = |name: &&String| name.chars().all(|c| c.is_alphanumeric() || "-_.@".contains(c));
        let lines: String = names.iter().filter(safe).map(|name| format!("{name}\n")).collect();
        result(&lines)
    }

    async fn names(self, context: &Context) -> Result<Vec<String>, CliError> {
        let client = context.client()?;
        let sessions = async |all| -> Result<Vec<String>, CliError> {
            let sessions = client.sessions(&SessionsQuery { mine: false, all }).await?;
            Ok(sessions.into_iter().map(|view| view.session.id.to_string()).collect())
        };
        let grants = async || -> Result<Vec<String>, CliError> {
            Ok(client.grants(None).await?.into_iter().map(|grant| grant.id.to_string()).collect())
        };
        match self.what {
            What::Targets => Ok(client.targets().await?.into_iter().map(|target| target.name).collect()),
            What::Requests => {
                let views = client.requests(&RequestsQuery::default()).await?;
                Ok(views.into_iter().map(|view| view.request.id.to_string()).collect())
            }
            What::Sessions => sessions(false).await,
            What::Played => sessions(true).await,
            What::Grants => grants().await,
            What::Delegations => {
                let found = client.delegations(&DelegationsQuery::default()).await?;
                Ok(found.into_iter().map(|delegation| delegation.id.to_string()).collect())
            }
            What::Campaigns => {
                let rows = client.campaigns(CampaignsQuery::default()).await?;
                Ok(rows.into_iter().map(|row| row.id.to_string()).collect())
            }
            What::Revocable => Ok([sessions(false).await?, grants().await?].concat()),
        }
    }
}
