use super::Context;
use super::delegate::role_names;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, field, list, relative};
use crate::core::model::{Absence, Delegation, either};
use crate::os;
use crate::proto::{DelegationsQuery, Me};
use jiff::Timestamp;
use serde::Serialize;

/// Show who you are to the server: teams, roles, login, delegations, and whether you are away.
#[derive(Clone, Debug, clap::Args)]
pub struct WhoamiArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// All that is known of somebody.
#[derive(Serialize)]
struct Known {
    #[serde(flatten)]
    me: Me,
    /// By and to them, those that go on.
    delegations: Vec<Delegation>,
    absence: Option<Absence>,
}

impl WhoamiArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let client = context.client()?;
        let me = client.me().await?;
        let subject = &me.person.subject;
        // Security sees everybody's.
        let mut delegations = client.delegations(&DelegationsQuery { all: false }).await?;
        delegations.retain(|one| [&one.from.subject, &one.to.subject].contains(&subject));
        let mut absences = client.absences().await?.into_iter();
        let absence = absences.find(|absence| absence.person.subject == *subject);
        let known = Known { me, delegations, absence };
        match self.output.output {
            Format::Table => output::result(&known.told(os::now())),
            format => output::print_list(format, &known.listing(), &known),
        }
    }
}

impl Known {
    fn told(&self, now: Timestamp) -> String {
        let person = &self.me.person;
        let name = person.name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
        let mut lines = format!("{}\n", output::clean(&format!("{}{name}", person.email)));
        let width = output::width_of_stdout();
        let mut line =
            |name: &str, text: String| lines.push_str(&field(name, &output::clean(&text), 7, width));
        let or_none = |names: String| if names.is_empty() { "none".to_owned() } else { names };
        line("teams", or_none(list(person.teams.iter().map(String::as_str))));
        line("roles", or_none(role_names(&person.roles)));
        line("login", format!("ends {}", relative(self.me.token_expires_at, now)));
        if let Some(absence) = &self.absence {
            line(
                "away",
                format!(
                    "until {:.0} ({}); dbaccess away --back",
                    absence.until,
                    relative(absence.until, now)
                ),
            );
        }
        for Delegation { id, from, to, roles, until, .. } in &self.delegations {
            let (roles, ends) = (either(roles), relative(*until, now));
            line(
                "lent",
                if from.subject == person.subject {
                    format!(
                        "{} approves for you as {roles}, ends {ends}; dbaccess delegate --end {id}",
                        to.email
                    )
                } else {
                    format!("you approve for {} as {roles}, ends {ends}", from.email)
                },
            );
        }
        lines
    }

    fn listing(&self) -> Listing {
        let person = &self.me.person;
        let header =
            ["subject", "email", "name", "teams", "roles", "token_expires_at", "delegations", "away_until"];
        let mut listing = Listing::new(header, "");
        listing.row([
            person.subject.clone(),
            person.email.clone(),
            person.name.clone().unwrap_or_default(),
            list(person.teams.iter().map(String::as_str)),
            role_names(&person.roles),
            self.me.token_expires_at.to_string(),
            list(self.delegations.iter().map(|one| one.id.as_str())),
            self.absence.as_ref().map(|absence| absence.until.to_string()).unwrap_or_default(),
        ]);
        listing
    }
}
