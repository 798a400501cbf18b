use super::Context;
use super::audit::moment;
use crate::cli::ask;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, json, note, relative, short_ids};
use crate::core::model::{Covered, Hold, IncidentId, SessionId};
use crate::os;
use crate::proto::{HoldsQuery, PlaceHold, ReleaseHold};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Keep what retention would take out, for as long as the law asks. For security and auditors.
#[derive(Clone, Debug, clap::Args)]
pub struct HoldArgs {
    #[command(subcommand)]
    command: HoldCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum HoldCommand {
    Place(PlaceArgs),
    List(ListArgs),
    Release(ReleaseArgs),
}

/// Place a hold: the statements and recordings of the sessions that it covers stay.
///
/// All that is said must fit; with nothing said everything is held. Sessions to
/// come are held, too. What retention has taken out before cannot be held any
/// more; how many sessions that are is said.
#[derive(Clone, Debug, clap::Args)]
struct PlaceArgs {
    /// Sessions of this person, by e-mail address
    #[arg(long, value_name = "EMAIL")]
    person: Option<String>,
    /// Sessions on this database
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// This session, by id or unique prefix
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Sessions under break-glass for this incident
    #[arg(long, value_name = "INCIDENT")]
    incident: Option<IncidentId>,
    /// Sessions that lived between two times; a day as the second counts with all its hours
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    between: Option<Vec<String>>,
    /// Why; asked for on a terminal when left out
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// List the holds that last.
#[derive(Clone, Debug, clap::Args)]
struct ListArgs {
    /// Those that were released, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// End a hold: what it alone has kept goes with the next run of retention.
#[derive(Clone, Debug, clap::Args)]
struct ReleaseArgs {
    /// The hold, by id or unique prefix
    id: String,
    /// Why; asked for on a terminal when left out
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl HoldArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            HoldCommand::Place(args) => args.run(context).await,
            HoldCommand::List(args) => args.run(context).await,
            HoldCommand::Release(args) => args.run(context).await,
        }
    }
}

impl PlaceArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let now = os::now().to_zoned(TimeZone::system());
        let (mut from, mut until) = (None, None);
        if let Some([first, last]) = self.between.as_deref() {
            from = Some(moment(first, &now, false)?);
            until = Some(moment(last, &now, true)?);
        }
        let covers = Covered {
            person: self.person,
            target: self.target,
            session: self.session.map(SessionId::from_stored),
            incident: self.incident,
            from,
            until,
        };
        let reason = reason(self.reason)?;
        let placed = context.client()?.place_hold(&PlaceHold { covers, reason }).await?;
        match self.output.output {
            Format::Json => json(&placed)?,
            Format::Csv => {
                let hold = std::slice::from_ref(&placed.hold);
                output::print_list(Format::Csv, &listing(hold, Format::Csv), &placed)?;
            }
            Format::Table => {}
        }
        let id = &placed.hold.id;
        note(&format!("{id} holds {} ({} sessions so far)", covered(&placed.hold.covers), placed.sessions));
        if placed.pruned > 0 {
            note(&format!("the statements of {} of them had been pruned before", placed.pruned));
        }
        if placed.recordings_pruned > 0 {
            note(&format!("the recordings of {} of them had been pruned before", placed.recordings_pruned));
        }
        note(&format!("to end it: dbaccess hold release {id}"));
        Ok(())
    }
}

impl ListArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let found = context.client()?.holds(&HoldsQuery { all: self.all }).await?;
        let format = self.output.output;
        output::print_list(format, &listing(&found, format), &found)
    }
}

impl ReleaseArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let reason = reason(self.reason)?;
        let released = context.client()?.release_hold(&self.id, &ReleaseHold { reason }).await?;
        if self.output.output == Format::Json {
            json(&released)?;
        }
        note(&format!("{} holds {} no longer", released.id, covered(&released.covers)));
        Ok(())
    }
}

fn reason(given: Option<String>) -> Result<String, CliError> {
    given.map_or_else(|| ask::text("Reason", "--reason 'TEXT'"), Ok)
}

fn listing(found: &[Hold], format: Format) -> Listing {
    let now = os::now();
    let people = format == Format::Table;
    let short = short_ids(found.iter().map(|hold| hold.id.as_str()));
    let time = |at: Timestamp| if people { relative(at, now) } else { at.to_string() };
    let mut listing = Listing::new(["id", "covers", "by", "placed", "released", "reason"], "no holds");
    for hold in found {
        let released = hold.released.as_ref().map(|one| format!("{} by {}", time(one.at), one.by.email));
        listing.row([
            if people { short(hold.id.as_str()) } else { hold.id.to_string() },
            covered(&hold.covers),
            hold.by.email.clone(),
            time(hold.at),
            released.unwrap_or_default(),
            hold.reason.clone(),
        ]);
    }
    listing
}

/// What a hold covers, in words.
fn covered(covers: &Covered) -> String {
    let Covered { person, target, session, incident, from, until } = covers;
    let said = [
        ("person", person.clone()),
        ("target", target.clone()),
        ("session", session.as_ref().map(ToString::to_string)),
        ("incident", incident.as_ref().map(ToString::to_string)),
        ("from", from.map(|at| format!("{at:.0}"))),
        ("until", until.map(|at| format!("{at:.0}"))),
    ];
    let said: Vec<String> =
        said.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?))).collect();
    if said.is_empty() { "everything".to_owned() } else { said.join(", ") }
}
