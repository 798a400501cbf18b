use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{Format, OutputArgs, json, note};
use crate::proto::Reason;

/// Cut access now: a grant with all its sessions, one session, or a granted request.
#[derive(Clone, Debug, clap::Args)]
pub struct RevokeArgs {
    /// Id of a grant, a session or a request, or a unique prefix of it
    id: String,
    /// A word for the record
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl RevokeArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let revoked = context.client()?.revoke(&self.id, &Reason { reason: self.reason }).await?;
        if self.output.output == Format::Json {
            json(&revoked)?;
        }
        if let Some(grant) = &revoked.grant {
            note(&format!("revoked {grant}"));
        }
        match revoked.sessions.as_slice() {
            [] => note("no session was open under it"),
            sessions => {
                let ids: Vec<&str> = sessions.iter().map(|id| id.as_str()).collect();
                note(&format!("ending {}", ids.join(", ")));
            }
        }
        Ok(())
    }
}
