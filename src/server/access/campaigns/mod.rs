//! Access review campaigns (R9.4): started over a period, decided line by line,
//! told of until somebody signs them. What a decision takes away is
//! [`super::bars`]'.

mod lines;
mod reviewers;

use super::request::short_enough;
use super::{Access, AccessError, Caller, bars};
use crate::core::campaign::{self, CampaignError, Said};
use crate::core::model::{
    Actor, Bar, Campaign, CampaignId, CampaignLine, CampaignTold, Event, GrantId, Person, PersonRef, Quarter,
    Right, SessionId, format_duration,
};
use crate::core::policy::Fills;
use crate::proto::{
    CampaignDetail, CampaignRow, CampaignsQuery, DecideLines, LinesDecided, LinesQuery, StartCampaign,
};
use crate::server::store::Tx;
use jiff::{SignedDuration, Timestamp};
pub(super) use reviewers::Lately;
use reviewers::{line_roles, notice, sees_all};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const MOST_CAMPAIGNS: u32 = 200;
/// All of them are decided in one transaction, and others wait for it.
const MOST_AT_ONCE: usize = 500;
/// One transaction keeps them all, and one signs them.
const MOST_LINES: usize = 50_000;
const LINES_A_PAGE: u16 = 2000;
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
        let due = asked.due_seconds.map_or(self.config.reviews.campaign_due, Duration::from_secs);
        if due.is_zero() || due > LONGEST_DUE {
            let most = format_duration(LONGEST_DUE);
            return Err(AccessError::usage(format!("a campaign is due within a second to {most}")));
        }
        let (by, period) = (Starter::Person(caller.person.to_ref()), (asked.from, asked.to));
        let started = self.begin_campaign(by, period, asked.targets, due, now).await?;
        let Some(campaign) = started else {
            return Err(AccessError::not_found("there is nothing to review: nobody can get anything there"));
        };
        let yours = self.yours(caller, &campaign.id).await?;
        Ok(row(&campaign, yours.len(), now))
    }

    /// Starts the campaign over the quarter that is over, if the schedule is to
    /// and has not. Whoever does so at once does it once: the state has one
    /// campaign a quarter.
    pub async fn start_scheduled_campaign(self: &Arc<Self>, now: Timestamp) -> Result<(), AccessError> {
        if !self.config.reviews.every_quarter {
            return Ok(());
        }
        let Some(quarter) = Quarter::of(now).and_then(Quarter::before) else { return Ok(()) };
        let name = quarter.to_string();
        if self.store.read(move |tx| tx.has_scheduled(&name).map_err(AccessError::from)).await? {
            return Ok(());
        }
        let by = Starter::Schedule(quarter.to_string());
        let due = self.config.reviews.campaign_due;
        self.begin_campaign(by, (quarter.from, quarter.to), Vec::new(), due, now).await.map(drop)
    }

    /// None where there is nothing to review, or the schedule was there before.
    ///
    /// Cancel-safety: where nobody waits any more before the state is changed,
    /// nothing has begun; after that all of it is done.
    async fn begin_campaign(
        self: &Arc<Self>,
        by: Starter,
        (from, to): (Timestamp, Timestamp),
        targets: Vec<String>,
        due: Duration,
        now: Timestamp,
    ) -> Result<Option<Campaign>, AccessError> {
        let mut targets: BTreeSet<String> = targets.into_iter().collect();
        if targets.is_empty() {
            targets = self.target_names().map(str::to_owned).collect();
        }
        let lines = self.campaign_lines(targets.clone(), from, to).await?;
        if lines.is_empty() {
            return Ok(None);
        }
        if lines.len() > MOST_LINES {
            let message = format!("that is {} lines, and a campaign has at most {MOST_LINES}", lines.len());
            return Err(AccessError::usage(message).hint("start one a target: --target NAME"));
        }
        let (by, scheduled) = match by {
            Starter::Person(person) => (Some(person), None),
            Starter::Schedule(quarter) => (None, Some(quarter)),
        };
        let campaign = Campaign {
            id: CampaignId::from_random(crate::os::random()),
            by,
            scheduled,
            from,
            to,
            targets: targets.into_iter().collect(),
            started_at: now,
            due_at: now + SignedDuration::try_from(due).unwrap_or(SignedDuration::MAX),
            told: CampaignTold::Started,
            lines: lines.len(),
            undecided: lines.len(),
            signed: None,
        };
        let people = lines.iter().map(|line| line.person.subject.as_str()).collect::<BTreeSet<&str>>().len();
        let about = lines.iter().map(CampaignLine::about).collect();
        let writing = tokio::task::spawn_blocking(move || campaign::written(&lines));
        let (lines, sha256) = writing.await.map_err(|_| AccessError::internal("writing lines broke off"))?;
        let event = Event::CampaignStarted {
            campaign: campaign.id.clone(),
            by: campaign.by.clone(),
            scheduled: campaign.scheduled.clone(),
            from: campaign.from,
            to: campaign.to,
            targets: campaign.targets.clone(),
            due_at: campaign.due_at,
            lines: campaign.lines,
            people,
            sha256,
        };
        let notice = notice(&campaign, self.reviewers(about).await?, now);
        let (access, saved) = (Arc::clone(self), campaign.clone());
        let starting = tokio::spawn(async move {
            let notices = access.notices.clone();
            let is_new = access
                .store
                .write(move |tx| {
                    if let Some(quarter) = &saved.scheduled
                        && tx.has_scheduled(quarter)?
                    {
                        return Ok(false);
                    }
                    tx.save_campaign(&saved)?;
                    tx.save_lines(&saved.id, &lines)?;
                    notices.tell(tx, now, &event, &notice)?;
                    Ok::<_, AccessError>(true)
                })
                .await?;
            access.wake();
            Ok::<_, AccessError>(is_new)
        });
        let is_new = starting.await.map_err(|_| AccessError::internal("starting the campaign broke off"))?;
        Ok(is_new?.then_some(campaign))
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
            if campaign.signed.is_some() && sees_all(caller) {
                // Nothing of it is to be decided: policy need not be asked.
                rows.push(row(&campaign, 0, now));
                continue;
            }
            let yours = self.yours(caller, &campaign.id).await?;
            if !yours.is_empty() || sees_all(caller) {
                rows.push(row(&campaign, self.open_of(&campaign, &yours).await?.len(), now));
            }
        }
        Ok(rows)
    }

    /// One campaign, with a page of the lines that the caller may see.
    pub async fn campaign(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        query: LinesQuery,
    ) -> Result<CampaignDetail, AccessError> {
        let (found, yours) = self.find_campaign(caller, &id).await?;
        let open = self.open_of(&found, &yours).await?;
        let campaign = row(&found, open.len(), crate::os::now());
        let (after, all) = (query.after.unwrap_or(0), sees_all(caller) && !query.mine);
        let among = if query.mine { &open } else { &*yours };
        let page = among.range(after.saturating_add(1)..).take(LINES_A_PAGE.into()).copied();
        let page: Vec<u32> = page.collect();
        let lines = self.store.read(move |tx| match all {
            true => tx.lines(&found.id, after, LINES_A_PAGE.into()),
            false => tx.lines_among(&found.id, &page),
        });
        let lines: Vec<CampaignLine> = lines.await?;
        let yours = lines.iter().map(|line| line.line).filter(|line| yours.contains(line)).collect();
        Ok(CampaignDetail { campaign, lines, yours })
    }

    /// Which of these lines nobody has decided.
    async fn open_of(
        &self,
        campaign: &Campaign,
        yours: &BTreeSet<u32>,
    ) -> Result<BTreeSet<u32>, AccessError> {
        if campaign.undecided == 0 || yours.is_empty() {
            return Ok(BTreeSet::new());
        }
        let id = campaign.id.clone();
        let open = self.store.read(move |tx| tx.undecided_lines(&id).map_err(AccessError::from)).await?;
        Ok(open.intersection(yours).copied().collect())
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
        if lines.len() > MOST_AT_ONCE {
            return Err(AccessError::usage(format!("at most {MOST_AT_ONCE} lines are decided at once"))
                .hint("decide them in parts"));
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
                    let (policy, mut became) = (within.policy(), Became::default());
                    let roles = line_roles(&policy);
                    let mut by = (&person, &said, policy.fills_of(&person, &roles));
                    for line in lines.iter().copied() {
                        within.decide_line(tx, &mut campaign, line, &mut by, now, &mut became)?;
                    }
                    let Became { lines, grants, sessions, replaced, standing } = became;
                    tx.save_campaign(&campaign)?;
                    let ended = sessions.iter().map(|(id, _)| SessionId::clone(id)).collect();
                    let decided = LinesDecided {
                        lines,
                        grants,
                        sessions: ended,
                        replaced,
                        standing,
                        undecided: campaign.undecided,
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
        (person, said, fills): &mut (&Person, &Said<'_>, Fills<'_>),
        now: Timestamp,
        became: &mut Became,
    ) -> Result<(), AccessError> {
        let found = tx.line(&campaign.id, number)?;
        let mut line = found.ok_or_else(|| CampaignError::NoLine(campaign.id.clone(), number))?;
        let identity = tx.person(&line.person.subject)?;
        let teams = identity.map(|one| self.config.directory.person(&one).teams).unwrap_or_default();
        let fills = self.line_fills(fills, &line.about(), &teams);
        let standing = tx.bars_of(&line.person.subject, &line.target)?;
        for bar in &standing {
            campaign::overrules(campaign, bar, said.verdict)?;
        }
        let (event, bar) = campaign::decide(campaign, &mut line, (person, fills), said, now)?;
        tx.save_line(&campaign.id, &line)?;
        became.lines.push(line);
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
        let (grants, sessions) = self.bar(tx, (&bar, own.first().cloned()), (person, fills), now)?;
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
                // All as of one moment: what is signed is what is there.
                let lines = tx.lines(&campaign.id, 0, u32::MAX)?;
                let event = campaign::sign(&mut campaign, &lines, (&person, !yours.is_empty()), now)?;
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
            let lines = self.all_about(&campaign.id).await?;
            let (notices, to) = (self.notices.clone(), self.reviewers(lines).await?);
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
                        undecided: campaign.undecided,
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

/// Who starts a campaign.
enum Starter {
    Person(PersonRef),
    /// For this quarter.
    Schedule(String),
}

/// What decisions came to.
#[derive(Default)]
struct Became {
    lines: Vec<CampaignLine>,
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
        scheduled: campaign.scheduled.clone(),
        state: campaign.state(now).to_owned(),
        from: campaign.from,
        to: campaign.to,
        targets: campaign.targets.clone(),
        started_at: campaign.started_at,
        due_at: campaign.due_at,
        lines: campaign.lines,
        undecided: campaign.undecided,
        yours,
        signed: campaign.signed.clone(),
    }
}
