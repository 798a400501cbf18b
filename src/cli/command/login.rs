use super::Context;
use crate::cli::error::CliError;

/// Log in with your browser: on this machine, or with a code on another.
#[derive(Clone, Debug, clap::Args)]
pub struct LoginArgs {
    /// Show the address as a QR code too, to scan with a telephone
    #[arg(long)]
    qr: bool,
    /// Do not open a browser; only print the address and the code
    #[arg(long)]
    no_browser: bool,
}

impl LoginArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let _client = context.client()?;
        Ok(())
    }
}
