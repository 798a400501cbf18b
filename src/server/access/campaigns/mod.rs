//! Access review campaigns (R9.4): started over a period, decided line by line,
//! told of until somebody signs them. What a decision takes away is
//! [`super::bars`]'.

mod lines;
mod reviewers;

use super::request::short_enough;
use super::{Access, AccessError, Caller, bars};
use crate::core::campaign::{self, CampaignError, Said};
use crate::core::model::{
    Actor, Bar, Campaign, CampaignId, CampaignLine, CampaignTold, Event, GrantId, Person, Right, SessionId,
    format_duration,
};
use crate::proto::{CampaignDetail, CampaignRow, CampaignsQuery, DecideLines, LinesDecided, StartCampaign};
use crate::server::store::Tx;
use jiff::{SignedDuration, Timestamp};
use reviewers::{notice, sees_all};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const MOST_CAMPAIGNS: u32 = 200;
/// One answer and one row of the state hold them all.
const MOST_LINES: usize = 5000;
const USUAL_DUE: Duration = Duration::from_secs(14 * 24 * 3600);
const LONGEST_DUE: Duration = Duration::from_secs(366 * 24 * 3600);

impl From<CampaignError> for AccessError {
    fn from(error: CampaignError) -> Self {
        let refusal = Self::new(error.kind(), error.to_string());
        match error {
            CampaignError::Undecided { campaign, .. } => {
                refusal.hint(format!("`dbaccess review campaign show {campaign} --mine` lists yours"))
            }
            CampaignError::NotAReviewer { .. } | CampaignError::NoLine(..) => {
                refusal.hint("`dbaccess review campaign show ID --mine` lists the lines that are yours")
            }
            _ => refusal,
        }
    }
}

impl Access {
    pub async fn start_campaign(
        self: &Arc<Self>,
        caller: &Caller,
        asked: StartCampaign,
    ) -> Result<CampaignRow, AccessError> {
        if !caller.has_role("security") && !caller.has_role("admin") {
            return Err(AccessError::denied("access reviews are started by security and admins"));
        }
        let now = crate::os::now();
        if asked.from >= asked.to || asked.from >= now {
            return Err(AccessError::usage(
                "the period to review must begin before its end, and in the past",
            ));
        }
        let due = asked.due_seconds.map_or(USUAL_DUE, Duration::from_secs);
        if due.is_zero() || due > LONGEST_DUE {
            let most = format_duration(LONGEST_DUE);
            return Err(AccessError::usage(format!("a campaign is due within a second to {most}")));
        }
        let mut targets: BTreeSet<String> = asked.targets.into_iter().collect();
        if targets.is_empty() {
            targets = self.target_names().map(str::to_owned).collect();
        }
        let lines = self.campaign_lines(targets.clone(), asked.from, asked.to).await?;
        if lines.is_empty() {
            return Err(AccessError::not_found("there is nothing to review: nobody can get anything there"));
        }
        if lines.len() > MOST_LINES {
            let message = format!("that is {} lines, and a campaign has at most {MOST_LINES}", lines.len());
            return Err(AccessError::usage(message).hint("start one a target: --target NAME"));
        }
        let campaign = Campaign {
            id: CampaignId::from_random(crate::os::random()),
            by: caller.person.to_ref(),
            from: asked.from,
            to: asked.to,
            targets: targets.into_iter().collect(),
            started_at: now,
            due_at: now + SignedDuration::try_from(due).unwrap_or(SignedDuration::MAX),
            told: CampaignTold::Started,
            lines,
            signed: None,
        };
        let people: BTreeSet<&str> = campaign.lines.iter().map(|line| line.person.subject.as_str()).collect();
        let event = Event::CampaignStarted {
            campaign: campaign.id.clone(),
            by: campaign.by.clone(),
            from: campaign.from,
            to: campaign.to,
            targets: campaign.targets.clone(),
            due_at: campaign.due_at,
            lines: campaign.lines.len(),
            people: people.len(),
            sha256: campaign::sha256(&campaign.lines),
        };
        let notice = notice(&campaign, self.reviewers(&campaign).await?, now);
        let (notices, saved) = (self.notices.clone(), campaign.clone());
        self.store
            .write(move |tx| {
                tx.save_campaign(&saved)?;
                notices.tell(tx, now, &event, &notice).map_err(AccessError::from)
            })
            .await?;
        self.wake();
        let yours = self.yours(caller, &campaign).await?;
        Ok(row(&campaign, yours.len(), now))
    }

    /// The campaigns with a line that the caller decides; all of them for
    /// security, auditors and admins.
    pub async fn campaigns(
        self: &Arc<Self>,
        caller: &Caller,
        query: CampaignsQuery,
    ) -> Result<Vec<CampaignRow>, AccessError> {
        let now = crate::os::now();
        let found = self
            .store
            .read(move |tx| tx.campaigns(query.all, MOST_CAMPAIGNS).map_err(AccessError::from))
            .await?;
        let mut rows = Vec::new();
        for campaign in found {
            let yours = self.yours(caller, &campaign).await?;
            if !yours.is_empty() || sees_all(caller) {
                let open = |line: &&CampaignLine| line.decision.is_none() && yours.contains(&line.line);
                rows.push(row(&campaign, campaign.lines.iter().filter(open).count(), now));
            }
        }
        Ok(rows)
    }

    /// One campaign, with the lines that the caller may see.
    pub async fn campaign(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
    ) -> Result<CampaignDetail, AccessError> {
        let (mut campaign, yours) = self.find_campaign(caller, &id).await?;
        let open = |line: &&CampaignLine| line.decision.is_none() && yours.contains(&line.line);
        let open = campaign.lines.iter().filter(open).count();
        let campaign_row = row(&campaign, open, crate::os::now());
        if !sees_all(caller) {
            campaign.lines.retain(|line| yours.contains(&line.line));
        }
        Ok(CampaignDetail {
            campaign: campaign_row,
            lines: campaign.lines,
            yours: yours.into_iter().collect(),
        })
    }

    /// Decides lines, all of them or none, and takes away at once what does not stay.
    ///
    /// Cancel-safety: once decided it is done, whether or not anybody waits.
    pub async fn decide_lines(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        body: DecideLines,
    ) -> Result<LinesDecided, AccessError> {
        short_enough("comment", Some(&body.comment))?;
        let lines: BTreeSet<u32> = body.lines.iter().copied().collect();
        if lines.is_empty() {
            return Err(AccessError::usage("say which lines: their numbers"));
        }
        let (found, _) = self.find_campaign(caller, &id).await?;
        let (access, caller) = (Arc::clone(self), caller.clone());
        let deciding = tokio::spawn(async move {
            let (within, by) = (Arc::clone(&access), Actor::Person(caller.person.to_ref()));
            let (now, decided, sessions) = access
                .store
                .write(move |tx| {
                    let now = crate::os::now();
                    let person = within.decider(tx, &caller, now)?;
                    let mut campaign = one(tx, &found.id)?;
                    let keeps: BTreeSet<Right> = body.keeps.iter().copied().collect();
                    let said = Said { verdict: body.verdict, keeps: &keeps, comment: &body.comment };
                    let mut became = Became::default();
                    for line in lines.iter().copied() {
                        within.decide_line(tx, &mut campaign, line, (&person, &said), now, &mut became)?;
                    }
                    let Became { grants, sessions, replaced, standing } = became;
                    tx.save_campaign(&campaign)?;
                    let undecided = campaign.undecided();
                    campaign.lines.retain(|line| lines.contains(&line.line));
                    let ended = sessions.iter().map(|(id, _)| SessionId::clone(id)).collect();
                    let decided = LinesDecided {
                        lines: campaign.lines,
                        grants,
                        sessions: ended,
                        replaced,
                        standing,
                        undecided,
                    };
                    Ok::<_, AccessError>((now, decided, sessions))
                })
                .await?;
            access.wake();
            access.cut(&sessions, &by, now);
            Ok(decided)
        });
        deciding.await.map_err(|_| AccessError::internal("deciding broke off"))?
    }

    /// One line in the transaction of all: the decision, its bar, the grants beyond it.
    fn decide_line(
        &self,
        tx: &Tx<'_>,
        campaign: &mut Campaign,
        number: u32,
        (person, said): (&Person, &Said<'_>),
        now: Timestamp,
        became: &mut Became,
    ) -> Result<(), AccessError> {
        let line = campaign.lines.iter().find(|line| line.line == number).cloned();
        let fills = match &line {
            Some(line) => {
                let identity = tx.person(&line.person.subject)?;
                let teams = identity.map(|one| self.config.directory.person(&one).teams).unwrap_or_default();
                self.line_fills(person, line, &teams)
            }
            None => Vec::new(),
        };
        let standing = match &line {
            Some(line) => tx.bars_of(&line.person.subject, &line.target)?,
            None => Vec::new(),
        };
        for bar in &standing {
            campaign::overrules(campaign, bar, said.verdict)?;
        }
        let (event, bar) = campaign::decide(campaign, number, (person, &fills), said, now)?;
        tx.record(now, &event)?;
        let Some(bar) = bar else {
            for bar in &standing {
                bars::unbar(tx, bar, &person.to_ref(), Some(&campaign.id), said.comment, now)?;
            }
            became.replaced.extend(standing);
            return Ok(());
        };
        let (own, others): (Vec<_>, Vec<_>) =
            standing.into_iter().partition(|one| one.campaign == campaign.id);
        let (grants, sessions) = self.bar(tx, (&bar, own.first().cloned()), (person, &fills), now)?;
        became.grants.extend(grants);
        became.sessions.extend(sessions);
        became.replaced.extend(own);
        became.standing.extend(others);
        Ok(())
    }

    pub async fn sign_campaign(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
    ) -> Result<CampaignRow, AccessError> {
        let (found, yours) = self.find_campaign(caller, &id).await?;
        let (access, caller) = (Arc::clone(self), caller.clone());
        let row = self
            .store
            .write(move |tx| {
                let now = crate::os::now();
                let person = access.decider(tx, &caller, now)?;
                let mut campaign = one(tx, &found.id)?;
                let event = campaign::sign(&mut campaign, (&person, !yours.is_empty()), now)?;
                tx.save_campaign(&campaign)?;
                tx.record(now, &event)?;
                Ok::<_, AccessError>(row(&campaign, 0, now))
            })
            .await?;
        self.wake();
        Ok(row)
    }

    /// Tells of campaigns that are not signed, each stage once, whatever stops
    /// in between: what was told is in the state, committed with the notice.
    pub async fn tend_campaigns(self: &Arc<Self>) -> Result<(), AccessError> {
        let now = crate::os::now();
        let open =
            self.store.read(|tx| tx.campaigns(false, MOST_CAMPAIGNS).map_err(AccessError::from)).await?;
        for campaign in open {
            if campaign::to_tell(&campaign, now).is_none() {
                continue;
            }
            let (notices, to) = (self.notices.clone(), self.reviewers(&campaign).await?);
            self.store
                .write(move |tx| {
                    let mut campaign = one(tx, &campaign.id)?;
                    // Perhaps it was decided or signed meanwhile.
                    let Some(stage) = campaign::to_tell(&campaign, now) else { return Ok(()) };
                    campaign.told = stage;
                    tx.save_campaign(&campaign)?;
                    let event = Event::CampaignReminded {
                        campaign: campaign.id.clone(),
                        stage,
                        undecided: campaign.undecided(),
                        due_at: campaign.due_at,
                        to: to.clone(),
                    };
                    notices.tell(tx, now, &event, &notice(&campaign, to, now))?;
                    Ok::<_, AccessError>(())
                })
                .await?;
            self.wake();
        }
        Ok(())
    }
}

/// What decisions came to.
#[derive(Default)]
struct Became {
    grants: Vec<GrantId>,
    sessions: Vec<(SessionId, String)>,
    replaced: Vec<Bar>,
    standing: Vec<Bar>,
}

/// The campaign of this very id, as of the transaction.
fn one(tx: &Tx<'_>, id: &CampaignId) -> Result<Campaign, AccessError> {
    let mut found = tx.campaigns_named(id.as_str())?.into_iter().filter(|one| one.id == *id);
    found.next().ok_or_else(|| AccessError::not_found(format!("no campaign {id}")))
}

fn row(campaign: &Campaign, yours: usize, now: Timestamp) -> CampaignRow {
    CampaignRow {
        id: campaign.id.clone(),
        by: campaign.by.clone(),
        state: campaign.state(now).to_owned(),
        from: campaign.from,
        to: campaign.to,
        targets: campaign.targets.clone(),
        started_at: campaign.started_at,
        due_at: campaign.due_at,
        lines: campaign.lines.len(),
        undecided: campaign.undecided(),
        yours,
        signed: campaign.signed.clone(),
    }
}
