//! `dbaccess scan`: the logins of a target that are not dbaccess's.

use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{Listing, OutputArgs, note, print_list};
use crate::core::model::StandingRole;
use crate::os;

/// List the logins of a target's cluster that people could be using beside dbaccess.
///
/// Every login role that is neither dbaccess's own nor a service's (`service_roles`
/// of the target), with its password, its end, and what it may do, by itself and
/// through the roles that it belongs to. What it found is on the ledger, and
/// counts as R10.1 of `dbaccess metrics`. For security, auditors, admins, and leads of the teams
/// that own the target. Exit code 1 when there are some.
#[derive(Clone, Debug, clap::Args)]
pub struct ScanArgs {
    /// The database
    target: String,
    #[command(flatten)]
    output: OutputArgs,
}

impl ScanArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let found = context.client()?.scan(&self.target).await?;
        let mut listing = Listing::new(
            ["role", "powers", "password", "valid until", "connected", "statements", "member of", "comment"],
            "no login is there that is not dbaccess's or a service's",
        );
        for role in &found.standing {
            listing.row(row(role));
        }
        print_list(self.output.output, &listing, &found)?;
        note(&format!(
            "{}: {} of people or nobody's, {} of services, {} of dbaccess",
            found.target,
            found.standing.len(),
            found.declared.len(),
            found.managed
        ));
        for name in &found.missing {
            note(&format!("service_roles names {name}, and there is no such login"));
        }
        for unread in &found.unread {
            note(&format!("not known: {unread}"));
        }
        Ok(u8::from(!found.standing.is_empty()))
    }
}

fn row(role: &StandingRole) -> [String; 8] {
    let now = os::now();
    let until = match role.valid_until {
        None => "for ever".to_owned(),
        Some(until) if until <= now => format!("{until:.0} (over)"),
        Some(until) => format!("{until:.0}"),
    };
    let mut member = role.member_of.clone();
    member.extend(role.through.iter().map(|name| format!("{name} (inherited)")));
    [
        role.name.clone(),
        role.powers.join(", "),
        role.password.as_str().to_owned(),
        until,
        role.connections.to_string(),
        role.statements.map(|count| count.to_string()).unwrap_or_default(),
        member.join(", "),
        role.comment.clone().unwrap_or_default(),
    ]
}
