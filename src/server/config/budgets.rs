//! `[budgets]` and `[alerts]`: how much sessions may read, and what is told of it.

use super::reader::Section;
use super::secret::secret;
use super::{Alerts, Outside, Webhook};
use crate::core::model::{Budget, Budgets, BulkRule};

/// The tiers' own tables; what one leaves out keeps its default.
pub(super) fn budgets(section: Option<Section<'_>>) -> Budgets {
    let mut budgets = Budgets::default();
    let Some(section) = section else { return budgets };
    let tiers = [
        ("auto", &mut budgets.auto),
        ("single", &mut budgets.single),
        ("dual", &mut budgets.dual),
        ("export", &mut budgets.export),
    ];
    for (name, budget) in tiers {
        if let Some(tier) = section.section(name) {
            *budget = self::budget(tier, *budget);
        }
    }
    section.finish();
    budgets
}

fn budget(section: Section<'_>, default: Budget) -> Budget {
    let budget = Budget {
        statement_rows: section.amount("statement_rows", default.statement_rows),
        statement_bytes: section.amount("statement_bytes", default.statement_bytes),
        session_rows: section.amount("session_rows", default.session_rows),
        session_bytes: section.amount("session_bytes", default.session_bytes),
        aggregate_statements: section.amount("aggregate_statements", default.aggregate_statements),
    };
    section.finish();
    budget
}

pub(super) fn alerts(section: Option<Section<'_>>, outside: &Outside<'_>) -> Alerts {
    let default = BulkRule::default();
    let Some(section) = section else { return Alerts { bulk: default, webhook: None } };
    let percent = "a share of a table such as 50%";
    let share = |text: &str| {
        text.strip_suffix('%')?.trim().parse().ok().filter(|share: &u8| (1..=100).contains(share))
    };
    let bulk = BulkRule {
        rows: section.number("bulk_rows", 1 << 40, default.rows),
        share_percent: section.parsed("bulk_share", percent, share).unwrap_or(default.share_percent),
        factor: section.number("bulk_factor", 1_000_000, default.factor),
    };
    let expected = "an https URL, or an http one of this machine";
    let url = section.parsed("webhook", expected, |text| is_safe(text).then(|| text.to_owned()));
    let secret = secret(&section, "webhook_secret", outside);
    let ca = section.text("webhook_ca", "a PEM file").map(|found| outside.path(found.value));
    if url.is_none() && (secret.is_some() || ca.is_some()) {
        section.say("webhook_secret and webhook_ca are of use only with a webhook");
    }
    section.finish();
    Alerts { bulk, webhook: url.map(|url| Webhook { url, secret, ca }) }
}

/// Whether what is posted there stays among those who should know.
pub(super) fn is_safe(url: &str) -> bool {
    let Ok(url) = url.parse::<hyper::Uri>() else { return false };
    let host = url.host().unwrap_or_default();
    match url.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => matches!(host, "127.0.0.1" | "localhost" | "[::1]"),
        _ => false,
    }
}
