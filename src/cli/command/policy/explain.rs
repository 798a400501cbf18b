use super::super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, clean, field, width_of_stdout};
use crate::core::model::{RuleOutcome, RuleSaid, Tier};
use crate::proto::Explained;

/// Say why a request was decided as it was, rule by rule.
///
/// Which rules decided, which nearly did, and what each of those missed: the
/// condition, and what was the case. It is answered by the policy that decided,
/// with the facts of that hour.
#[derive(Clone, Debug, clap::Args)]
pub struct ExplainArgs {
    /// The request's id, or a unique prefix of it
    #[arg(value_name = "REQUEST")]
    id: String,
    /// Show the rules that missed by far, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// The answers that rules permit, lightest first.
const TIERS: [&str; 4] = ["auto", "single", "dual", "break-glass"];

impl ExplainArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let explained = context.client()?.explain(&self.id).await?;
        match self.output.output {
            Format::Table => output::result(&describe(&explained, self.all, width_of_stdout())),
            format => output::print_list(format, &listing(&explained), &explained),
        }
    }
}

fn describe(explained: &Explained, all: bool, width: Option<u16>) -> String {
    let decision = &explained.explanation.decision;
    let mut text = format!("{}  {}\n", explained.request, clean(&explained.target));
    let mut line = |name: &str, words: String| text.push_str(&field(name, &clean(&words), 10, width));
    line("tier", decision.tier.as_str().to_owned());
    line("why", decision.why.clone());
    for slot in &decision.slots {
        line("needs", slot.to_string());
    }
    let now = if explained.in_force { "still in force" } else { "no longer in force" };
    line("policy", format!("{}, {now}", decision.policy.get(..12).unwrap_or_default()));
    let far = |said: &&RuleSaid| !all && said.outcome == RuleOutcome::Missed && !near(said, decision.tier);
    let rules = &explained.explanation.rules;
    for said in rules.iter().filter(|said| !far(said)) {
        line(word(said.outcome), format!("{} ({}): {}", said.id, said.permits, said.title));
        for missing in &said.missing {
            line("", format!("needs {} ({})", missing.condition, missing.known));
        }
    }
    match rules.iter().filter(far).count() {
        0 => {}
        more => line("", format!("{more} more rules missed: --all shows them")),
    }
    text
}

/// Whether a rule nearly decided: one condition away from an answer that is no
/// heavier than the one that was given.
fn near(said: &RuleSaid, tier: Tier) -> bool {
    let place = |name: &str| TIERS.iter().position(|known| *known == name);
    let heaviest = place(tier.as_str()).unwrap_or(TIERS.len());
    said.missing.len() == 1 && place(&said.permits).is_some_and(|weight| weight <= heaviest)
}

fn word(outcome: RuleOutcome) -> &'static str {
    match outcome {
        RuleOutcome::Decided => "decided",
        RuleOutcome::TooLong => "too long",
        RuleOutcome::CannotMask => "no masks",
        RuleOutcome::Applied => "applied",
        RuleOutcome::Missed => "missed",
    }
}

fn listing(explained: &Explained) -> Listing {
    let mut listing =
        Listing::new(["rule", "permits", "outcome", "condition", "known"], "no rule speaks of it");
    for said in &explained.explanation.rules {
        let row = |condition: String, known: String| {
            [said.id.clone(), said.permits.clone(), word(said.outcome).to_owned(), condition, known]
        };
        if said.missing.is_empty() {
            listing.row(row(String::new(), String::new()));
        }
        for missing in &said.missing {
            listing.row(row(missing.condition.clone(), missing.known.clone()));
        }
    }
    listing
}
