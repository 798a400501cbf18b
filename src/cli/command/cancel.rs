use super::{Context, request};
use crate::cli::error::CliError;
use crate::cli::output::{Format, OutputArgs, note};
use crate::proto::Reason;

/// Withdraw a request of yours that is still waiting.
#[derive(Clone, Debug, clap::Args)]
pub struct CancelArgs {
    /// The request's id, or a unique prefix of it
    id: String,
    /// A word for the record
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl CancelArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let view = context.client()?.cancel(&self.id, &Reason { reason: self.reason }).await?;
        if self.output.output != Format::Table {
            request::print(&view, self.output.output)?;
        }
        note(&format!("withdrew {}", view.request.id));
        Ok(())
    }
}
