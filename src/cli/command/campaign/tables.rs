//! Campaigns, their lines and what they bar, as rows.

use crate::cli::output::{Format, Listing, relative, short_ids};
use crate::core::model::{Bar, CampaignLine, LineRight, LineVerdict, Right, Tier};
use crate::os;
use crate::proto::CampaignRow;
use jiff::Timestamp;
use std::collections::BTreeSet;

pub(super) fn campaigns(rows: &[CampaignRow], format: Format) -> Listing {
    let (now, people) = (os::now(), format == Format::Table);
    let short = short_ids(rows.iter().map(|row| row.id.as_str()));
    let mut listing = Listing::new(
        ["id", "state", "from", "to", "targets", "due", "lines", "undecided", "yours", "by", "sha256"],
        "no access reviews",
    );
    for row in rows {
        let day = |at: Timestamp| if people { format!("{:.10}", at.to_string()) } else { at.to_string() };
        let signed = row.signed.as_ref().filter(|_| !people);
        listing.row([
            if people { short(row.id.as_str()) } else { row.id.to_string() },
            row.state.clone(),
            day(row.from),
            day(row.to),
            row.targets.join(" "),
            if people { relative(row.due_at, now) } else { row.due_at.to_string() },
            row.lines.to_string(),
            row.undecided.to_string(),
            row.yours.to_string(),
            row.by.as_ref().map_or_else(|| "schedule".to_owned(), |by| by.email.clone()),
            signed.map(|signed| signed.sha256.clone()).unwrap_or_default(),
        ]);
    }
    listing
}

/// Lines as rows, one for each permission of a line.
pub(super) fn lines(all: &[CampaignLine], format: Format) -> Listing {
    let (now, people) = (os::now(), format == Format::Table);
    let mut listing = Listing::new(
        [
            "line",
            "person",
            "target",
            "permission",
            "can get",
            "grants",
            "last grant",
            "sessions",
            "statements",
            "last use",
            "decision",
            "by",
            "comment",
        ],
        "no lines",
    );
    let time = |at: Option<Timestamp>| match at {
        None => String::new(),
        Some(at) if people => relative(at, now),
        Some(at) => at.to_string(),
    };
    let count = |count: u64| if people && count == 0 { String::new() } else { count.to_string() };
    for line in all {
        for one in &line.rights {
            let decision = line.decision.as_ref();
            listing.row([
                line.line.to_string(),
                line.person.email.clone(),
                line.target.clone(),
                one.right.as_str().to_owned(),
                can(one),
                count(one.grants),
                time(one.last_grant),
                count(one.sessions),
                count(one.statements),
                time(one.last_use),
                decision.map(|said| decided(said.verdict, &said.keeps, one.right)).unwrap_or_default(),
                decision.map(|said| format!("{} as {}", said.by.email, said.role)).unwrap_or_default(),
                decision.map(|said| said.comment.clone()).unwrap_or_default(),
            ]);
        }
    }
    listing
}

/// Of a narrowed line, what becomes of this permission.
fn decided(verdict: LineVerdict, keeps: &BTreeSet<Right>, right: Right) -> String {
    let kept = verdict == LineVerdict::Narrowed && keeps.contains(&right);
    if kept { "kept".to_owned() } else { verdict.as_str().to_owned() }
}

fn can(one: &LineRight) -> String {
    let barred = if one.barred { ", barred" } else { "" };
    format!("{}{barred}", if one.can == Tier::Deny { "no" } else { one.can.as_str() })
}

pub(super) fn in_words(one: &LineRight, now: Timestamp) -> String {
    let last =
        |at: Option<Timestamp>| at.map(|at| format!(", last {}", relative(at, now))).unwrap_or_default();
    format!(
        "{:<7} can get: {}; granted {} times{}; used in {} sessions, {} statements{}",
        one.right.as_str(),
        can(one),
        one.grants,
        last(one.last_grant),
        one.sessions,
        one.statements,
        last(one.last_use)
    )
}

pub(super) fn bars(found: &[Bar], format: Format) -> Listing {
    let (now, people) = (os::now(), format == Format::Table);
    let mut listing = Listing::new(
        ["person", "target", "barred", "since", "by", "campaign", "line", "comment"],
        "nothing is barred",
    );
    for bar in found {
        let rights: Vec<&str> = bar.rights.iter().map(|right| right.as_str()).collect();
        listing.row([
            bar.person.email.clone(),
            bar.target.clone(),
            rights.join(" "),
            if people { relative(bar.at, now) } else { bar.at.to_string() },
            bar.by.email.clone(),
            bar.campaign.to_string(),
            bar.line.to_string(),
            bar.comment.clone(),
        ]);
    }
    listing
}
