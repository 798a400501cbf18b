//! One control: what is required, of how many, what was looked at, what was found.

use super::access::{self, Named};
use super::{Block, Cell, Table, Tone, grouped, time};
use crate::core::evidence::report::Finding;

pub(super) fn blocks(named: &Named<'_>, finding: &Finding, blocks: &mut Vec<Block>) {
    let id = finding.control.id();
    blocks.push(Block::heading(1, &format!("{id} {}", finding.title), Some(id)));
    blocks.push(Block::Text(finding.requirement.to_owned()));
    let exceptions = finding.exceptions.len() as u64;
    let found = match exceptions {
        0 => Cell::new("none found", Tone::Good),
        many => Cell::new(&format!("{} found", grouped(many)), Tone::Bad),
    };
    let (count, sampled) = (finding.count, finding.sample.len() as u64);
    let looked = if count == sampled {
        "all of them".to_owned()
    } else {
        format!("{sampled} of {}, drawn by hash", grouped(count))
    };
    blocks.push(Block::Facts(vec![
        ("asked for by".to_owned(), Cell::plain(&finding.references)),
        ("evidence".to_owned(), Cell::plain(finding.control.evidence())),
        ("population".to_owned(), Cell::plain(&format!("{} {}", grouped(count), finding.population))),
        ("rules".to_owned(), Cell::plain("asked of every one of the population, not of the sample alone")),
        ("sample".to_owned(), Cell::plain(&looked)),
        ("exceptions".to_owned(), found),
    ]));
    blocks.push(Block::heading(2, "Rules", None));
    let mut rules =
        Table::new(&[("what would be an exception", 6.0, false), ("rule", 2.0, false), ("found", 1.0, true)]);
    for asked in &finding.rules {
        rules.row([Cell::plain(asked.finds), Cell::soft(asked.rule), Cell::count(asked.found)]);
    }
    blocks.push(Block::Table(rules));
    if exceptions > 0 {
        blocks.push(Block::heading(2, "Exceptions", None));
        let mut table = Table::new(&[
            ("about", 1.8, false),
            ("rule", 1.6, false),
            ("what", 4.4, false),
            ("line", 0.8, true),
            ("time", 1.8, false),
        ]);
        for one in &finding.exceptions {
            let mut about = Cell::plain(&one.about);
            about.link = named.anchor(&one.about);
            table.row([
                about,
                Cell::new(one.rule, Tone::Bad),
                Cell::plain(&one.what),
                Cell::number(one.mark.seq),
                Cell::soft(&time(one.mark.at)),
            ]);
        }
        blocks.push(Block::Table(table));
    }
    if !finding.sample.is_empty() {
        blocks.push(Block::heading(2, "Sample", None));
        blocks.push(Block::Table(access::sample(named, finding)));
    }
}
