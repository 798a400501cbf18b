use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::note;
use crate::proto::Reason;

/// Withdraw a request of yours that is still waiting.
#[derive(Clone, Debug, clap::Args)]
pub struct CancelArgs {
    /// The request's id, or a unique prefix of it
    id: String,
    /// A word for the record
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
}

impl CancelArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let view = context.client()?.cancel(&self.id, &Reason { reason: self.reason }).await?;
        note(&format!("withdrew {}", view.request.id));
        Ok(())
    }
}
