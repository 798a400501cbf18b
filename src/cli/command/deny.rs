use super::{Context, request};
use crate::cli::ask;
use crate::cli::error::CliError;
use crate::cli::output::{Format, OutputArgs, note};
use crate::proto::Reason;

/// Deny a request.
#[derive(Clone, Debug, clap::Args)]
pub struct DenyArgs {
    /// The request's id, or a unique prefix of it
    id: String,
    /// Why; the requester reads it. Asked for on a terminal when left out
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl DenyArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let client = context.client()?;
        let reason = match self.reason {
            Some(reason) => reason,
            None => ask::text("Reason", "--reason 'TEXT'")?,
        };
        let view = client.deny(&self.id, &Reason { reason: Some(reason) }).await?;
        if self.output.output != Format::Table {
            request::print(&view, self.output.output)?;
        }
        note(&format!("denied {}, asked by {}", view.request.id, view.request.person.email));
        Ok(())
    }
}
