use super::Context;
use crate::cli::device_login::sign_in;
use crate::cli::error::CliError;
use crate::cli::login_screen::{Screen, ScreenOptions};
use crate::cli::output::{note, relative};
use crate::os;

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
        let endpoint = context.endpoint()?;
        let client = context.client()?;
        if client.store().is_read_only() {
            return Err(CliError::usage("the login comes from DBACCESS_TOKEN").hint("unset DBACCESS_TOKEN"));
        }
        let about = client.about().await?;
        let mut screen = Screen::new(ScreenOptions { qr: self.qr, no_browser: self.no_browser });
        let tokens = sign_in(&about.login, endpoint.ca.as_deref(), &mut screen).await;
        // The spinner goes before anything else is said.
        drop(screen);
        let tokens = tokens.map_err(|error| {
            let failed = CliError::new(error.kind(), "you are not logged in").why(error.to_string());
            match crate::cli::client::Client::clock_problem(&about) {
                Some(problem) => failed.hint(problem),
                None => failed,
            }
        })?;
        let (person, expires_at, saved) = client.login(tokens).await?;
        if let Some(notice) = saved.notice() {
            note(&notice);
        }
        note(&format!("logged in as {}; the login ends {}", person.email, relative(expires_at, os::now())));
        Ok(())
    }
}
