//! Proposals of what to classify, as `dbaccess target classify` shows them and asks.

use super::error::CliError;
use super::output::{Format, Listing, OutputArgs, can_ask, note, print_list};
use super::{ask, command::ClassifyArgs};
use crate::core::classify::{Confidence, Proposal};

/// Prints proposals; values are shown masked, if at all.
pub fn show_proposals(output: OutputArgs, proposals: &[Proposal]) -> Result<(), CliError> {
    let empty = "nothing looks sensitive that is not classified";
    let mut listing = Listing::new(["column", "mask", "sensitivity", "sure", "why", "example"], empty);
    for proposal in proposals {
        listing.row([
            format!("{}.{}", proposal.table, proposal.column),
            proposal.classified.mask.to_string(),
            proposal.classified.sensitivity.as_str().to_owned(),
            proposal.confidence.as_str().to_owned(),
            proposal.why.clone(),
            proposal.example.clone().unwrap_or_default(),
        ]);
    }
    print_list(output.output, &listing, &proposals)
}

/// Those of the proposals that somebody accepts: by flag, or asked on a
/// terminal. A program that reads JSON and accepts nothing gets nothing written.
pub fn accepted(args: &ClassifyArgs, proposals: Vec<Proposal>) -> Result<Vec<Proposal>, CliError> {
    let found = proposals.len();
    let sure: Vec<Proposal> = proposals
        .into_iter()
        .filter(|proposal| args.unsure || proposal.confidence > Confidence::Unsure)
        .collect();
    let for_programs = args.output.output != Format::Table && !can_ask();
    if sure.is_empty() {
        if found > 0 {
            note("nothing was written: these are weak hints, which --unsure accepts too");
        }
        return Ok(sure);
    }
    if !args.yes && for_programs {
        note("nothing was written: --yes accepts what was found");
        return Ok(Vec::new());
    }
    let question = format!("Write {} lines into {}?", sure.len(), args.server.config.display());
    let yes = args.yes || ask::confirm(&question, "--yes")?;
    Ok(if yes { sure } else { Vec::new() })
}
