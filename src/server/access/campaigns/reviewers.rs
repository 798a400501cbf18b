//! Who sees and decides which lines of a campaign, and who is told of it.

use crate::core::campaign;
use crate::core::model::{
    Campaign, CampaignId, CampaignLine, ErrorKind, Notice, NoticeKind, Person, PersonRef, Role, Urgency,
    format_duration,
};
use crate::core::policy::Policy;
use crate::server::access::{Access, AccessError, Caller};
use crate::server::store::only;
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Rows of one look at the state.
const PAGE: u32 = 1000;
/// The most people that a review looks at.
const MOST_REVIEWED: usize = 50_000;
/// How long it is known who decides which lines, and for how many callers.
const KNOWN_FOR: SignedDuration = SignedDuration::from_secs(60);
const MOST_KNOWN: usize = 64;

/// Which lines callers may decide, as was found lately. Deciding asks anew.
#[derive(Default)]
pub(in crate::server::access) struct Lately(VecDeque<Found>);

struct Found {
    at: Timestamp,
    campaign: CampaignId,
    person: Person,
    policy: Arc<Policy>,
    yours: Arc<BTreeSet<u32>>,
}

impl Lately {
    fn of(
        &mut self,
        campaign: &CampaignId,
        person: &Person,
        policy: &Arc<Policy>,
        now: Timestamp,
    ) -> Option<Arc<BTreeSet<u32>>> {
        self.0.retain(|found| now.duration_since(found.at) < KNOWN_FOR && Arc::ptr_eq(&found.policy, policy));
        let found = self.0.iter().find(|found| found.campaign == *campaign && found.person == *person);
        found.map(|found| Arc::clone(&found.yours))
    }

    fn keep(&mut self, found: Found) {
        self.0.push_back(found);
        while self.0.len() > MOST_KNOWN {
            self.0.pop_front();
        }
    }
}

/// The teams of people as last seen: they make the requester's side of a role.
pub(super) type Teams = BTreeMap<String, BTreeSet<String>>;

impl Access {
    /// The approver roles that somebody fills for a line's person and target. A
    /// peer is asked about one request, not about what somebody has for good.
    pub(super) fn line_fills(&self, by: &Person, line: &CampaignLine, teams: &BTreeSet<String>) -> Vec<Role> {
        let Ok(state) = self.target(&line.target) else { return Vec::new() };
        let policy = self.policy();
        let roles: Vec<Role> = policy.roles().into_iter().filter(|role| role.0 != "peer").collect();
        policy.fills(by, &line.person, teams, &state.target, &roles)
    }

    fn decides(&self, by: &Person, line: &CampaignLine, teams: &Teams) -> bool {
        let nobody = BTreeSet::new();
        let teams = teams.get(&line.person.subject).unwrap_or(&nobody);
        let security = by.roles.contains(&Role::new("security"));
        let fills = if security { Vec::new() } else { self.line_fills(by, line, teams) };
        campaign::may_decide(line, by, &fills).is_ok()
    }

    /// The lines that the caller may decide: found once a minute for each caller
    /// and campaign, and for one of them at a time, however often it is asked.
    pub(super) async fn yours(
        self: &Arc<Self>,
        caller: &Caller,
        campaign: &CampaignId,
    ) -> Result<Arc<BTreeSet<u32>>, AccessError> {
        let mut lately = Arc::clone(&self.lately).lock_owned().await;
        let (now, policy) = (crate::os::now(), self.policy());
        if let Some(yours) = lately.of(campaign, &caller.person, &policy, now) {
            return Ok(yours);
        }
        let (_, teams) = self.everybody().await?;
        let lines = self.all_lines(campaign).await?;
        let (access, person, campaign) = (Arc::clone(self), caller.person.clone(), campaign.clone());
        // Policy is asked of every line: not while others wait for the thread.
        let looking = tokio::task::spawn_blocking(move || {
            let mine = lines.iter().filter(|line| access.decides(&person, line, &teams));
            let yours = Arc::new(mine.map(|line| line.line).collect::<BTreeSet<u32>>());
            // Held until here, also where whoever asked has gone: the next one waits.
            lately.keep(Found { at: now, campaign, person, policy, yours: Arc::clone(&yours) });
            yours
        });
        looking.await.map_err(|_| AccessError::internal("looking for lines broke off"))
    }

    /// Every line of a campaign, by pages: others use the state in between.
    pub(super) async fn all_lines(&self, campaign: &CampaignId) -> Result<Vec<CampaignLine>, AccessError> {
        let mut all: Vec<CampaignLine> = Vec::new();
        loop {
            let (id, after) = (campaign.clone(), all.last().map_or(0, |line| line.line));
            let page =
                self.store.read(move |tx| tx.lines(&id, after, PAGE).map_err(AccessError::from)).await?;
            let is_last = page.len() < PAGE as usize;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Those who hold a role and could decide an undecided line. Policy is asked
    /// about two people of each combination of teams at each target: a rule that
    /// names one person tells nobody more.
    pub(super) async fn reviewers(
        self: &Arc<Self>,
        lines: Vec<CampaignLine>,
    ) -> Result<Vec<PersonRef>, AccessError> {
        let (people, teams) = self.everybody().await?;
        let access = Arc::clone(self);
        let looking = tokio::task::spawn_blocking(move || {
            // Whoever could decide a line can sign, when all are decided.
            let decided = lines.iter().all(|line| line.decision.is_some());
            let mut asked: HashMap<(&str, Option<&BTreeSet<String>>), Vec<&CampaignLine>> = HashMap::new();
            for line in lines.iter().filter(|line| decided || line.decision.is_none()) {
                let alike = asked.entry((&line.target, teams.get(&line.person.subject))).or_default();
                if alike.len() < 2 {
                    alike.push(line);
                }
            }
            let open: Vec<&CampaignLine> = asked.into_values().flatten().collect();
            let decides = |person: &&Person| {
                !person.roles.is_empty() && open.iter().any(|line| access.decides(person, line, &teams))
            };
            people.iter().filter(decides).map(Person::to_ref).collect()
        });
        looking.await.map_err(|_| AccessError::internal("looking for reviewers broke off"))
    }

    /// Everybody who was here, and their teams, by pages.
    pub(super) async fn everybody(&self) -> Result<(Vec<Person>, Teams), AccessError> {
        let mut people: Vec<Person> = Vec::new();
        loop {
            let after = people.last().map(|person| person.subject.clone()).unwrap_or_default();
            let page =
                self.store.read(move |tx| tx.people_after(&after, PAGE).map_err(AccessError::from)).await?;
            let is_last = page.len() < PAGE as usize;
            people.extend(page.iter().map(|one| self.config.directory.person(one)));
            if people.len() > MOST_REVIEWED {
                let message =
                    format!("a review looks at {MOST_REVIEWED} people at most, and here more have signed in");
                return Err(AccessError::new(ErrorKind::Conflict, message)
                    .hint("somebody would be left out unseen: say so to whoever runs the server"));
            }
            if is_last {
                break;
            }
        }
        let teams = people.iter().map(|one| (one.subject.clone(), one.teams.clone())).collect();
        Ok((people, teams))
    }

    pub(super) async fn find_campaign(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
    ) -> Result<(Campaign, Arc<BTreeSet<u32>>), AccessError> {
        let asked = id.to_owned();
        let found = self.store.read(move |tx| tx.campaigns_named(&asked).map_err(AccessError::from)).await?;
        let mut visible = Vec::new();
        for campaign in found {
            let yours = self.yours(caller, &campaign.id).await?;
            if !yours.is_empty() || sees_all(caller) {
                visible.push((campaign, yours));
            }
        }
        Ok(only("campaign", id.trim(), visible)?)
    }
}

pub(super) fn sees_all(caller: &Caller) -> bool {
    caller.sees_all() || caller.has_role("admin")
}

pub(super) fn notice(campaign: &Campaign, to: Vec<PersonRef>, now: Timestamp) -> Notice {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let left = Duration::try_from(campaign.due_at.duration_since(now)).unwrap_or_default();
    let (kind, when) = match left {
        Duration::ZERO => (NoticeKind::CampaignOverdue, "is overdue".to_owned()),
        left => {
            let left = format_duration(Duration::from_secs(left.as_secs()));
            (NoticeKind::CampaignDue, format!("is due in {left}"))
        }
    };
    let (all, undecided) = (campaign.lines, campaign.undecided);
    Notice {
        kind,
        urgency: Urgency::Normal,
        title: format!("the access review of {} {when}", campaign.targets.join(", ")),
        facts: vec![
            fact("undecided", format!("{undecided} of {all} lines")),
            fact("period", format!("{:.0} to {:.0}", campaign.from, campaign.to)),
            fact("due", format!("{:.0}", campaign.due_at)),
            fact("yours", format!("dbaccess review campaign show {} --mine", campaign.id)),
        ],
        request: None,
        to,
        thread: Some(campaign.id.to_string()),
    }
}
