//! Access review campaigns (R9.4): who decides a line, what a decision bars,
//! when a campaign may be signed, and when people are told of it again.
//!
//! Pure: the store calls it inside the transaction that holds the campaign.
//! Who fills which role is policy's answer and comes in as an argument; that
//! nobody decides about their own access is enforced here (G6).
//!
//! ```text
//! lines ─► decided one by one ─► all decided ─► signed
//!              └► narrowed or revoked: a bar, until certified or lifted
//! ```

mod lines;
#[cfg(test)]
mod tests;

pub use lines::{Known, SessionUse, Used, lines};

use super::model::{
    Bar, Campaign, CampaignId, CampaignLine, CampaignSigned, CampaignTold, Decision, ErrorKind, Event,
    Limits, LineAbout, LineDecision, LineVerdict, Person, Right, Role, RuleRef, Scope, Tier,
};
use crate::core::hex::hex;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// How long before its end a campaign is told of again.
const SOON: SignedDuration = SignedDuration::from_hours(3 * 24);

/// Why something was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CampaignError {
    #[error("line {0} is about your own access: somebody else must decide it")]
    Own(u32),
    #[error("line {line} is not yours to decide: those who may approve for {person} on {target} can")]
    NotAReviewer { line: u32, person: String, target: String },
    #[error("{0} has no line {1}")]
    NoLine(CampaignId, u32),
    #[error("{0} is signed: what was decided stands; start another campaign")]
    Signed(CampaignId),
    #[error("a decision needs a comment: say why")]
    NoComment,
    #[error("line {0} has nothing of what is to stay: name some of {1}, or revoke it")]
    KeepsNothing(u32, String),
    #[error("line {0} keeps all that it has: certify it")]
    KeepsAll(u32),
    #[error("{campaign} has undecided lines: {lines}")]
    Undecided { campaign: CampaignId, lines: String },
    #[error("{by} took it from {person} after this campaign began, which therefore cannot give it back")]
    TakenLater { person: String, by: CampaignId },
    #[error("{0} is signed by whoever could decide a line of it, and by security")]
    MayNotSign(CampaignId),
}

impl CampaignError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Own(_) | Self::NotAReviewer { .. } | Self::MayNotSign(_) => ErrorKind::Denied,
            Self::NoLine(..) => ErrorKind::NotFound,
            Self::Signed(_) | Self::Undecided { .. } | Self::TakenLater { .. } => ErrorKind::Conflict,
            Self::NoComment | Self::KeepsNothing(..) | Self::KeepsAll(_) => ErrorKind::Usage,
        }
    }
}

/// The role in which somebody may decide a line. `fills` are the approver roles
/// that policy lets them fill for its person and target; security may always.
pub fn may_decide(about: &LineAbout, by: &Person, fills: &[Role]) -> Result<Role, CampaignError> {
    let LineAbout { line, person, target, .. } = about;
    if by.subject == person.subject {
        return Err(CampaignError::Own(*line));
    }
    let security = Role::new("security");
    let role = fills.first().cloned().or_else(|| by.roles.contains(&security).then_some(security));
    role.ok_or_else(|| CampaignError::NotAReviewer {
        line: *line,
        person: person.email.clone(),
        target: target.clone(),
    })
}

/// What a reviewer says of a line.
#[derive(Clone, Debug)]
pub struct Said<'a> {
    pub verdict: LineVerdict,
    /// What stays, where it is narrowed.
    pub keeps: &'a BTreeSet<Right>,
    pub comment: &'a str,
}

/// Decides a line of a campaign, and what is barred by that; none where it ends
/// bars. A decision may be made anew until the campaign is signed.
pub fn decide(
    campaign: &mut Campaign,
    line: &mut CampaignLine,
    (by, fills): (&Person, &[Role]),
    said: &Said<'_>,
    now: Timestamp,
) -> Result<(Event, Option<Bar>), CampaignError> {
    if campaign.signed.is_some() {
        return Err(CampaignError::Signed(campaign.id.clone()));
    }
    let (id, number) = (campaign.id.clone(), line.line);
    let role = may_decide(&line.about(), by, fills)?;
    let comment = said.comment.trim().to_owned();
    if comment.is_empty() {
        return Err(CampaignError::NoComment);
    }
    let keeps = match said.verdict {
        LineVerdict::Narrowed => kept(line, said.keeps)?,
        LineVerdict::Certified | LineVerdict::Revoked => BTreeSet::new(),
    };
    let decision = LineDecision { by: by.to_ref(), role, at: now, verdict: said.verdict, keeps, comment };
    if line.decision.replace(decision.clone()).is_none() {
        campaign.undecided = campaign.undecided.saturating_sub(1);
    }
    let (person, target) = (line.person.clone(), line.target.clone());
    let bar = (decision.verdict != LineVerdict::Certified).then(|| Bar {
        person: person.clone(),
        target: target.clone(),
        rights: Right::ALL.into_iter().filter(|right| !decision.keeps.contains(right)).collect(),
        by: by.to_ref(),
        at: now,
        campaign: id.clone(),
        line: number,
        comment: decision.comment.clone(),
    });
    Ok((Event::CampaignDecided { campaign: id, line: number, person, target, decision }, bar))
}

/// Whether a line may be decided so although another campaign barred it. Only
/// certifying gives back what another one took, and not what it took after this
/// one began, which did not look at that.
pub fn overrules(campaign: &Campaign, bar: &Bar, verdict: LineVerdict) -> Result<(), CampaignError> {
    let later = bar.campaign != campaign.id && bar.at > campaign.started_at;
    if later && verdict == LineVerdict::Certified {
        return Err(CampaignError::TakenLater { person: bar.person.email.clone(), by: bar.campaign.clone() });
    }
    Ok(())
}

/// What is to stay of a line; reading is a part of everything else.
fn kept(line: &CampaignLine, named: &BTreeSet<Right>) -> Result<BTreeSet<Right>, CampaignError> {
    let has: BTreeSet<Right> = line.rights.iter().map(|one| one.right).collect();
    if named.is_empty() || !named.is_subset(&has) {
        let names: Vec<&str> = has.iter().map(|right| right.as_str()).collect();
        return Err(CampaignError::KeepsNothing(line.line, names.join(", ")));
    }
    let mut keeps = named.clone();
    keeps.insert(Right::Read);
    // Whoever may change a schema owns what is in it: they write, and see it raw.
    if keeps.contains(&Right::Ddl) {
        keeps.extend([Right::Write, Right::Unmask]);
    }
    if has.is_subset(&keeps) {
        return Err(CampaignError::KeepsAll(line.line));
    }
    Ok(keeps)
}

/// What of a scope is barred, if anything is.
pub fn barred(bar: &Bar, scope: &Scope) -> Option<String> {
    let names: Vec<&str> = Right::of(scope).intersection(&bar.rights).map(|right| right.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Why somebody does not get what a review took, and whom to ask.
pub fn why(bar: &Bar, what: &str) -> String {
    let Bar { person, target, by, at, campaign, line, comment, .. } = bar;
    format!(
        "an access review took {what} on {target} from {} ({campaign}, line {line}, by {} at {at:.0}: {comment}); \
         ask {} or security, who can give it back",
        person.email, by.email, by.email
    )
}

/// The denial of what is barred, in place of policy's decision.
pub fn denial(bar: &Bar, what: &str, decision: Decision) -> Decision {
    let rule = RuleRef { id: "access-review".to_owned(), title: "access review".to_owned() };
    Decision {
        tier: Tier::Deny,
        rules: vec![rule],
        why: why(bar, what),
        slots: Vec::new(),
        limits: Limits::default(),
        // Policy has not decided it: there is nothing for another one to decide again.
        facts: None,
        ..decision
    }
}

/// Signs a campaign whose lines, all of them here, are decided. `reviews` is
/// whether somebody could decide a line of it.
pub fn sign(
    campaign: &mut Campaign,
    lines: &[CampaignLine],
    (by, reviews): (&Person, bool),
    now: Timestamp,
) -> Result<Event, CampaignError> {
    let id = campaign.id.clone();
    if campaign.signed.is_some() {
        return Err(CampaignError::Signed(id));
    }
    if !reviews && !by.roles.contains(&Role::new("security")) {
        return Err(CampaignError::MayNotSign(id));
    }
    let open: Vec<String> =
        lines.iter().filter(|one| one.decision.is_none()).map(|one| one.line.to_string()).collect();
    if !open.is_empty() {
        let more = if open.len() > 10 { ", …" } else { "" };
        let named = open.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
        return Err(CampaignError::Undecided { campaign: id, lines: format!("{named}{more}") });
    }
    let sha256 = sha256(lines);
    campaign.signed = Some(CampaignSigned { by: by.to_ref(), at: now, sha256: sha256.clone() });
    let count = |verdict| {
        let decisions = lines.iter().filter_map(|line| line.decision.as_ref());
        decisions.filter(|decision| decision.verdict == verdict).count()
    };
    Ok(Event::CampaignSigned {
        campaign: id,
        by: by.to_ref(),
        sha256,
        certified: count(LineVerdict::Certified),
        narrowed: count(LineVerdict::Narrowed),
        revoked: count(LineVerdict::Revoked),
    })
}

/// SHA-256 in hex of lines, with what was decided so far: their compact JSON.
pub fn sha256(lines: &[CampaignLine]) -> String {
    written(lines).1
}

/// Lines as they are kept, each as compact JSON, and the [`sha256`] of them all.
pub fn written(lines: &[CampaignLine]) -> (Vec<String>, String) {
    // Nothing in a line can fail to be JSON.
    let texts: Vec<String> =
        lines.iter().map(|line| serde_json::to_string(line).unwrap_or_default()).collect();
    let mut hash = Sha256::new_with_prefix("[");
    for (place, text) in texts.iter().enumerate() {
        hash.update(if place > 0 { "," } else { "" });
        hash.update(text);
    }
    hash.update("]");
    let sha256 = hex(&hash.finalize());
    (texts, sha256)
}

/// What people must be told by `now` and were not: at half time, three days
/// before the end where that is later, and when it is overdue; each once.
pub fn to_tell(campaign: &Campaign, now: Timestamp) -> Option<CampaignTold> {
    if campaign.signed.is_some() {
        return None;
    }
    let Campaign { started_at, due_at, told, .. } = campaign;
    let half = due_at.saturating_sub(due_at.duration_since(*started_at) / 2).unwrap_or(*due_at);
    let soon = due_at.saturating_sub(SOON).unwrap_or(*due_at).max(half);
    let stage = match now {
        now if now >= *due_at => CampaignTold::Overdue,
        _ if campaign.undecided == 0 => return None,
        now if now >= soon && soon > half => CampaignTold::Soon,
        now if now >= half => CampaignTold::HalfTime,
        _ => CampaignTold::Started,
    };
    (stage > *told).then_some(stage)
}
