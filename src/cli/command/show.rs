use super::{Context, request};
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, OutputArgs};
use crate::cli::script;

/// Show one request: what was asked, what policy said, who approved, what is missing.
#[derive(Clone, Debug, clap::Args)]
pub struct ShowArgs {
    /// The request's id, or a unique prefix of it
    id: String,
    /// Print the script that it is to run, to the byte, and nothing else
    #[arg(long, conflicts_with = "output")]
    script: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl ShowArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let view = context.client()?.request_by_id(&self.id).await?;
        if self.script {
            let Some(script) = &view.request.migration else {
                return Err(CliError::usage(format!("request {} came without a script", view.request.id)));
            };
            return output::result(&script.text);
        }
        request::print(&view, self.output.output)?;
        match view.request.migration.as_ref().filter(|_| self.output.output == Format::Table) {
            Some(script) => {
                output::result(&format!("\n{}", script::numbered(script, output::width_of_stdout())))
            }
            None => Ok(()),
        }
    }
}
