use super::Context;
use super::delegate::{moment, said};
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, json, note, relative};
use crate::os;
use crate::proto::Away;
use jiff::Timestamp;

/// Say that you are away: you are told of no request until you are back.
///
/// Nothing else changes: you can still approve. With --to, somebody approves in
/// your name meanwhile, in all your approver roles (see: dbaccess delegate).
/// Saying it again replaces what you said before.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["until", "back", "list"]))]
pub struct AwayArgs {
    /// Until when: 3d from now, 2026-12-24 (to the end of the day) or 2026-12-24T18:00
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// Who approves for you: the e-mail address of somebody who has logged in here
    #[arg(long, value_name = "PERSON", requires = "until")]
    to: Option<String>,
    /// A word for the record
    #[arg(long, short, value_name = "TEXT", requires = "to")]
    reason: Option<String>,
    /// You are back: what you said, and who approves for you, ends now
    #[arg(long)]
    back: bool,
    /// List who is away: you; everybody for security and auditors
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl AwayArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let client = context.client()?;
        let format = self.output.output;
        let Some(until) = self.until else {
            if self.list {
                let found = client.absences().await?;
                let mut listing = Listing::new(["person", "until", "delegation"], "nobody is away");
                for one in &found {
                    let until = match format {
                        Format::Table => relative(one.until, os::now()),
                        _ => one.until.to_string(),
                    };
                    let delegation = one.delegation.as_ref().map(ToString::to_string);
                    listing.row([one.person.email.clone(), until, delegation.unwrap_or_default()]);
                }
                return output::print_list(format, &listing, &found);
            }
            let back = client.back().await?;
            if format == Format::Json {
                json(&back)?;
            }
            note(if back.was.is_some() { "welcome back" } else { "you were not away" });
            return Ok(());
        };
        let away = client.away(&Away { until, to: self.to, reason: self.reason }).await?;
        if format == Format::Json {
            json(&away)?;
        }
        note(&format!(
            "away until {until:.0} ({}); back before that: dbaccess away --back",
            relative(until, os::now())
        ));
        match &away.delegation {
            Some(given) => note(&said(given)),
            None => note("nobody approves for you: dbaccess away --until TIME --to PERSON says who does"),
        }
        Ok(())
    }
}
