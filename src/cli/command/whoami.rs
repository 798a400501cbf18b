use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, relative};
use crate::os;

/// Show who you are to the server: teams, roles, and how long the login lasts.
#[derive(Clone, Debug, clap::Args)]
pub struct WhoamiArgs {
    #[command(flatten)]
    output: OutputArgs,
}

impl WhoamiArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let me = context.client()?.me().await?;
        if self.output.output == Format::Table {
            let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let person = &me.person;
            let name = person.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
            return output::result(&output::clean(&format!(
                "{}{name}\n  teams  {}\n  roles  {}\n  login  ends {}\n",
                person.email,
                list(person.teams.iter().map(String::as_str).collect()),
                list(person.roles.iter().map(|role| role.0.as_str()).collect()),
                relative(me.token_expires_at, os::now()),
            )));
        }
        let mut listing =
            Listing::new(["subject", "email", "name", "teams", "roles", "token_expires_at"], "");
        let words = |words: Vec<&str>| words.join(" ");
        listing.row([
            me.person.subject.clone(),
            me.person.email.clone(),
            me.person.name.clone().unwrap_or_default(),
            words(me.person.teams.iter().map(String::as_str).collect()),
            words(me.person.roles.iter().map(|role| role.0.as_str()).collect()),
            me.token_expires_at.to_string(),
        ]);
        output::print_list(self.output.output, &listing, &me)
    }
}
