use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::note;

/// Log out: the server forgets the token, and so does this machine.
#[derive(Clone, Debug, clap::Args)]
pub struct LogoutArgs {}

impl LogoutArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        context.client()?.logout().await?;
        note("logged out");
        Ok(())
    }
}
