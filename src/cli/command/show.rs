use super::{Context, request};
use crate::cli::error::CliError;
use crate::cli::output::OutputArgs;

/// Show one request: what was asked, what policy said, who approved, what is missing.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// The request's id, or a unique prefix of it
    id: String,
    #[command(flatten)]
    output: OutputArgs,
}

impl ShowArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let view = context.client()?.request_by_id(&self.id).await?;
        request::print(&view, self.output.output)
    }
}
