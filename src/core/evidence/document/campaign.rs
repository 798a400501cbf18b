//! Access reviews one by one: who decided what. The data have every decision.

use super::access::Named;
use super::{Block, Cell, Table, Tone, grouped, time};
use crate::core::evidence::campaign::{LineDecided, ReviewedAccess};
use crate::core::evidence::report::{Finding, Report};
use std::collections::{BTreeMap, BTreeSet};

/// So many lines that lost something are shown of one review.
const MOST_TAKEN: usize = 50;

/// The sample of the control that asks for them.
pub(super) fn sample(named: &Named<'_>, finding: &Finding) -> Table {
    let bad: BTreeSet<&str> = finding.exceptions.iter().map(|one| one.about.as_str()).collect();
    let mut table = Table::new(&[
        ("review", 1.8, false),
        ("looked at", 2.6, false),
        ("started", 2.4, false),
        ("due", 1.5, false),
        ("decided", 1.1, true),
        ("signed", 2.4, false),
        ("exception", 1.1, false),
    ]);
    for told in finding.sample.iter().filter_map(|id| named.campaign(id)) {
        let period = format!("{:.10} to {:.10}", told.from.to_string(), told.to.to_string());
        table.row([
            Cell::link(&told.campaign, &told.campaign),
            Cell::plain(&format!("{}\n{period}", told.targets.join(", "))),
            Cell::plain(&format!("{}\n{}", told.starter(), time(told.started.at))),
            Cell::soft(&time(told.due)),
            Cell::plain(&format!("{} of {}", grouped(told.decided), grouped(told.lines))),
            signed(told),
            if bad.contains(told.campaign.as_str()) {
                Cell::new("exception", Tone::Bad)
            } else {
                Cell::new("none", Tone::Good)
            },
        ]);
    }
    table
}

/// Each review of a sample or with an exception, whole.
pub(super) fn blocks(report: &Report, blocks: &mut Vec<Block>) {
    let shown: BTreeSet<&str> = report
        .controls
        .iter()
        .flat_map(|one| {
            one.sample.iter().map(String::as_str).chain(one.exceptions.iter().map(|one| one.about.as_str()))
        })
        .collect();
    let mut chosen = report.campaigns.iter().filter(|one| shown.contains(one.campaign.as_str())).peekable();
    if chosen.peek().is_some() {
        blocks.push(Block::heading(1, "Access reviews", Some("campaigns")));
    }
    for told in chosen {
        whole(report, told, blocks);
    }
}

fn whole(report: &Report, told: &ReviewedAccess, blocks: &mut Vec<Block>) {
    let title = format!("{}: {}", told.campaign, told.targets.join(", "));
    blocks.push(Block::heading(3, &title, Some(&told.campaign)));
    let fact = |name: &str, cell: Cell| (name.to_owned(), cell);
    let mut facts = vec![
        fact("period", Cell::plain(&format!("{} to {}", time(told.from), time(told.to)))),
        fact(
            "started",
            Cell::plain(&format!("{}, {}, line {}", told.starter(), time(told.started.at), told.started.seq)),
        ),
        fact("due", Cell::plain(&time(told.due))),
        fact(
            "lines",
            Cell::plain(&format!(
                "{} of {} people, SHA-256 {}",
                grouped(told.lines),
                grouped(told.people),
                told.sha256
            )),
        ),
        fact(
            "decided",
            Cell::plain(&format!(
                "{}: {} certified, {} narrowed, {} revoked",
                grouped(told.decided),
                grouped(told.certified),
                grouped(told.narrowed),
                grouped(told.revoked)
            )),
        ),
        fact(
            "signed",
            match &told.signed {
                Some(signed) => Cell::plain(&format!(
                    "{}, {}, line {}, SHA-256 {}",
                    signed.by.email,
                    time(signed.mark.at),
                    signed.mark.seq,
                    signed.sha256
                )),
                None => Cell::soft("nobody has"),
            },
        ),
    ];
    let exceptions = report.controls.iter().flat_map(|finding| &finding.exceptions);
    for one in exceptions.filter(|one| one.about == told.campaign) {
        facts.push(fact(
            "exception",
            Cell::new(&format!("{} {}: {}", one.control, one.rule, one.what), Tone::Bad),
        ));
    }
    blocks.push(Block::Facts(facts));
    let counting: Vec<&LineDecided> = told.decisions.iter().filter(|one| one.counts).collect();
    if counting.is_empty() {
        return;
    }
    blocks.push(Block::Table(reviewers(&counting)));
    let taken: Vec<&&LineDecided> = counting.iter().filter(|one| one.verdict != "certified").collect();
    if taken.is_empty() {
        return;
    }
    if taken.len() > MOST_TAKEN {
        blocks.push(Block::Text(format!(
            "The first {MOST_TAKEN} of {} lines that were narrowed or revoked; `data/decisions.csv` has all.",
            grouped(taken.len() as u64)
        )));
    }
    let mut table = Table::new(&[
        ("line", 0.6, true),
        ("who and where", 2.6, false),
        ("verdict", 1.6, false),
        ("by", 2.2, false),
        ("why", 3.0, false),
        ("ledger", 0.9, true),
    ]);
    for one in taken.into_iter().take(MOST_TAKEN) {
        let keeps =
            if one.keeps.is_empty() { String::new() } else { format!(" to {}", one.keeps.join(", ")) };
        table.row([
            Cell::number(one.line.into()),
            Cell::plain(&format!("{}, {}", one.person.email, one.target)),
            Cell::plain(&format!("{}{keeps}", one.verdict)),
            Cell::plain(&format!("{} as {}", one.by.email, one.role)),
            Cell::plain(&one.comment),
            Cell::number(one.mark.seq),
        ]);
    }
    blocks.push(Block::Table(table));
}

/// Who decided how many lines, and how.
fn reviewers(counting: &[&LineDecided]) -> Table {
    let mut each: BTreeMap<(&str, &str), Vec<&LineDecided>> = BTreeMap::new();
    for one in counting {
        each.entry((&one.by.email, &one.role)).or_default().push(one);
    }
    let mut table = Table::new(&[
        ("reviewer", 3.0, false),
        ("certified", 1.0, true),
        ("narrowed", 1.0, true),
        ("revoked", 1.0, true),
        ("last", 2.0, false),
    ]);
    for ((email, role), decided) in each {
        let count =
            |verdict: &str| Cell::number(decided.iter().filter(|one| one.verdict == verdict).count() as u64);
        let last = decided.iter().map(|one| one.mark.at).max();
        table.row([
            Cell::plain(&format!("{email} as {role}")),
            count("certified"),
            count("narrowed"),
            count("revoked"),
            Cell::soft(&last.map(time).unwrap_or_default()),
        ]);
    }
    table
}

fn signed(told: &ReviewedAccess) -> Cell {
    match &told.signed {
        Some(signed) => Cell::plain(&format!("{}\n{}", signed.by.email, time(signed.mark.at))),
        None => Cell::soft("not signed"),
    }
}
