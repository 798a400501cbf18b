use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, clean, json, list, note, relative, short_ids};
use crate::cli::{ask, until::until};
use crate::core::model::{Delegation, Role, either};
use crate::os;
use crate::proto::{DelegationsQuery, NewDelegation};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::collections::BTreeSet;

/// Let somebody approve in your name for a while.
///
/// They can do what you could do yourself at that moment, never more, and
/// neither of you counts twice for one request. It lasts at most 30 days; you,
/// they, security and admins can end it before. All of it is on record.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["to", "list", "end"]))]
pub struct DelegateArgs {
    /// Who: the e-mail address of somebody who has logged in here
    to: Option<String>,
    /// Only this role; give it again for more. All your approver roles when left out
    #[arg(long, value_name = "ROLE", requires = "to")]
    role: Vec<String>,
    /// Only for requests for this database; give it again for more
    #[arg(long, value_name = "TARGET", requires = "to")]
    target: Vec<String>,
    /// Until when: 3d from now, 2026-12-24 (to the end of the day) or 2026-12-24T18:00
    #[arg(long, value_name = "TIME", value_parser = moment, required_unless_present_any = ["list", "end"])]
    until: Option<Timestamp>,
    /// Why; asked for on a terminal when left out
    #[arg(long, short, value_name = "TEXT", requires = "to")]
    reason: Option<String>,
    /// List them: yours, and those to you; everybody's for security and auditors
    #[arg(long, conflicts_with = "until")]
    list: bool,
    /// With --list: those that have ended, too
    #[arg(long, requires = "list")]
    all: bool,
    /// End one before its time
    #[arg(long, value_name = "ID", conflicts_with = "until")]
    end: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// A moment as an argument.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    until(text, os::now(), &TimeZone::system())
}

impl DelegateArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let client = context.client()?;
        let format = self.output.output;
        if self.list {
            let found = client.delegations(&DelegationsQuery { all: self.all }).await?;
            return output::print_list(format, &listing(&found, format), &found);
        }
        if let Some(id) = &self.end {
            let ended = client.end_delegation(id).await?;
            if format == Format::Json {
                json(&ended)?;
            }
            note(&format!("ended: {} approves for {} no longer", ended.to.email, ended.from.email));
            return Ok(());
        }
        let (Some(to), Some(until)) = (self.to, self.until) else {
            return Err(
                CliError::usage("say to whom, and until when").hint("dbaccess delegate TO --until 3d")
            );
        };
        let reason = match self.reason {
            Some(reason) => reason,
            None => ask::text("Reason", "--reason 'TEXT'")?,
        };
        let asked = NewDelegation { to, roles: self.role, targets: self.target, until, reason };
        let given = client.delegate(&asked).await?;
        match format {
            Format::Json => json(&given)?,
            Format::Csv => {
                output::print_list(format, &listing(std::slice::from_ref(&given), format), &given)?
            }
            Format::Table => {}
        }
        note(&said(&given));
        Ok(())
    }
}

/// What somebody may do from now on, and how it ends.
pub(super) fn said(given: &Delegation) -> String {
    let until = given.until;
    clean(&format!(
        "{} can approve for you as {} until {until:.0} ({})\nto end it before: dbaccess delegate --end {}",
        given.to.email,
        either(&given.roles),
        relative(until, os::now()),
        given.id
    ))
}

/// Roles as a list.
pub(super) fn role_names(roles: &BTreeSet<Role>) -> String {
    list(roles.iter().map(|role| role.0.as_str()))
}

/// Delegations as rows; whole ids and times for programs.
fn listing(found: &[Delegation], format: Format) -> Listing {
    let now = os::now();
    let short = short_ids(found.iter().map(|delegation| delegation.id.as_str()));
    let people = format == Format::Table;
    let mut listing =
        Listing::new(["id", "from", "to", "roles", "targets", "until", "ended", "reason"], "no delegations");
    let time = |at: Timestamp| if people { relative(at, now) } else { at.to_string() };
    for one in found {
        let ended = one.ended.as_ref().map(|ended| format!("{} by {}", time(ended.at), ended.by.email));
        listing.row([
            if people { short(one.id.as_str()) } else { one.id.to_string() },
            one.from.email.clone(),
            one.to.email.clone(),
            role_names(&one.roles),
            list(one.targets.iter().map(String::as_str)),
            time(one.until),
            ended.unwrap_or_default(),
            one.reason.clone(),
        ]);
    }
    listing
}
