use super::super::Context;
use super::super::request::length;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, note, relative, short_ids};
use crate::cli::view::short_text;
use crate::core::model::PolicySource;
use crate::core::policy::DEFAULT;
use crate::os;
use crate::proto::{Decided, Replay, Replayed, ReplayedChange};
use std::path::PathBuf;
use std::time::Duration;

/// Decide every past request again by other rules, and say what would change.
///
/// For security, admins and auditors. Nothing is changed by it. Each request
/// kept the facts of its hour, so the answer is what these rules would have said
/// then. FILE… is the whole policy.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// The rules, in the order in which they decide
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Put the default policy after FILE…, as `extra` of the configuration does
    #[arg(long)]
    with_default: bool,
    /// How far back, such as 90d
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = length)]
    since: Duration,
    #[command(flatten)]
    output: OutputArgs,
}

impl ReplayArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let mut sources = Vec::new();
        for path in &self.files {
            let text = std::fs::read_to_string(path)
                .map_err(|error| CliError::local(format!("{} cannot be read", path.display()), error))?;
            sources.push(PolicySource { file: path.display().to_string(), text });
        }
        if self.with_default {
            sources.push(PolicySource { file: "default.cedar".to_owned(), text: DEFAULT.to_owned() });
        }
        let since = back(self.since);
        let replayed = context.client()?.replay(&Replay { sources, since }).await?;
        output::print_list(self.output.output, &listing(&replayed, self.output.output), &replayed)?;
        if self.output.output == Format::Table {
            note(&summary(&replayed));
            if replayed.permits_nothing {
                let unless = if self.with_default {
                    ""
                } else {
                    ": --with-default puts the default policy after them"
                };
                note(&format!("These rules permit nothing, so every request would be denied{unless}"));
            }
        }
        Ok(())
    }
}

/// A time ago; the beginning of time, where that is before it.
pub(super) fn back(length: Duration) -> jiff::Timestamp {
    let length = jiff::SignedDuration::try_from(length).unwrap_or(jiff::SignedDuration::MAX);
    os::now().checked_sub(length).unwrap_or(jiff::Timestamp::MIN)
}

fn summary(replayed: &Replayed) -> String {
    let Replayed { requests, same, changed, not_replayable, more, .. } = replayed;
    let unknown = match not_replayable {
        0 => String::new(),
        n => format!(", {n} not replayable (an earlier version kept no facts of them)"),
    };
    let more = if *more { "; there is more than one answer holds: ask for a shorter time" } else { "" };
    format!("{requests} requests: {changed} would change, {same} would not{unknown}{more}")
}

fn listing(replayed: &Replayed, format: Format) -> Listing {
    let now = os::now();
    let short = short_ids(replayed.changes.iter().map(|change| change.request.as_str()));
    let people = format == Format::Table;
    let mut listing = Listing::new(
        ["request", "asked at", "person", "target", "asked for", "was", "would be", "rule"],
        "nothing would change",
    );
    for change in &replayed.changes {
        listing.row([
            if people { short(change.request.as_str()) } else { change.request.to_string() },
            if people { relative(change.at, now) } else { change.at.to_string() },
            change.person.email.clone(),
            change.target.clone(),
            if people { short_text(&change.asked) } else { change.asked.clone() },
            in_short(&change.was),
            in_short(&change.would_be),
            because(change),
        ]);
    }
    listing
}

/// The rules that would decide; where none would, that, and which are no longer there.
fn because(change: &ReplayedChange) -> String {
    if !change.would_be.rules.is_empty() {
        return change.would_be.rules.join(", ");
    }
    match change.missing.join(", ").as_str() {
        "" => "none permits it".to_owned(),
        missing => format!("none permits it: there is no {missing}"),
    }
}

fn in_short(decided: &Decided) -> String {
    let tier = decided.tier.as_str();
    let approvers = match decided.approvers.as_slice() {
        [] => tier.to_owned(),
        approvers => format!("{tier}: {}", approvers.join(" and ")),
    };
    let limits = crate::cli::view::limits(decided.limits);
    if limits.is_empty() { approvers } else { format!("{approvers} ({limits})") }
}
