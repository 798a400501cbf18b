//! Who sees and decides which lines of a campaign, and who is told of it.

use crate::core::campaign;
use crate::core::model::{
    Campaign, CampaignId, ErrorKind, LineAbout, Notice, NoticeKind, Person, PersonRef, Role, Urgency,
    format_duration,
};
use crate::core::policy::{Fills, Marks, Policy};
use crate::server::access::{Access, AccessError, Caller};
use crate::server::store::{all_named, only};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// Rows of one look at the state.
const PAGE: u32 = 1000;
/// The most people that a review looks at.
const MOST_REVIEWED: usize = 50_000;
/// How long it is known who has which teams, and who decides which lines.
const KNOWN_FOR: SignedDuration = SignedDuration::from_secs(60);
/// So many lines of callers and campaigns together are known.
const MOST_KNOWN: usize = 4_000_000;

/// What was found lately: people's teams, and which lines callers may decide,
/// by campaign and subject. Deciding asks anew.
#[derive(Default)]
pub(in crate::server::access) struct Lately {
    teams: Option<(Timestamp, Arc<Teams>)>,
    yours: HashMap<(CampaignId, String), Found>,
}

struct Found {
    at: Timestamp,
    person: Person,
    policy: Arc<Policy>,
    yours: Arc<BTreeSet<u32>>,
}

impl Found {
    fn holds(&self, policy: &Arc<Policy>, now: Timestamp) -> bool {
        now.duration_since(self.at) < KNOWN_FOR && Arc::ptr_eq(&self.policy, policy)
    }
}

impl Lately {
    /// Keeps what was found; the oldest goes where it is too much.
    fn keep(&mut self, campaign: CampaignId, found: Found) {
        self.yours.retain(|_, one| one.holds(&found.policy, found.at));
        self.yours.insert((campaign, found.person.subject.clone()), found);
        let mut known: usize = self.yours.values().map(|one| one.yours.len()).sum();
        while known > MOST_KNOWN {
            let oldest = self.yours.iter().min_by_key(|(_, one)| one.at).map(|(key, _)| key.clone());
            let Some(gone) = oldest.and_then(|key| self.yours.remove(&key)) else { return };
            known -= gone.yours.len();
        }
    }
}

/// The teams of people as last seen: they make the requester's side of a role.
pub(super) type Teams = BTreeMap<String, BTreeSet<String>>;

/// Which lines one person may decide.
struct Deciding<'a> {
    access: &'a Access,
    by: &'a Person,
    security: bool,
    fills: Fills<'a>,
}

impl<'a> Deciding<'a> {
    fn new(access: &'a Access, policy: &'a Policy, by: &'a Person, roles: &'a [Role]) -> Self {
        let security = by.roles.contains(&Role::new("security"));
        Self { access, by, security, fills: policy.fills_of(by, roles) }
    }

    fn decides(&mut self, about: &LineAbout, teams: &Teams) -> bool {
        let nobody = BTreeSet::new();
        let teams = teams.get(&about.person.subject).unwrap_or(&nobody);
        // Security needs no role: policy is not asked.
        let fills = if self.security { &[] } else { self.access.line_fills(&mut self.fills, about, teams) };
        campaign::may_decide(about, self.by, fills).is_ok()
    }
}

/// The roles that decide lines. A peer is asked about one request, not about
/// what somebody has for good.
pub(super) fn line_roles(policy: &Policy) -> Vec<Role> {
    policy.roles().into_iter().filter(|role| role.0 != "peer").collect()
}

impl Access {
    /// The approver roles that somebody fills for a line's person and target.
    pub(super) fn line_fills<'f>(
        &self,
        by: &'f mut Fills<'_>,
        about: &LineAbout,
        teams: &BTreeSet<String>,
    ) -> &'f [Role] {
        self.target(&about.target).map_or(&[], |state| by.at(&about.person, teams, &state.target))
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
        let known = lately.yours.get(&(campaign.clone(), caller.person.subject.clone()));
        if let Some(found) = known.filter(|one| one.person == caller.person && one.holds(&policy, now)) {
            return Ok(Arc::clone(&found.yours));
        }
        let known = lately.teams.take().filter(|(at, _)| now.duration_since(*at) < KNOWN_FOR);
        let (at, teams) = match known {
            Some(known) => known,
            None => (now, Arc::new(self.everybody().await?.1)),
        };
        lately.teams = Some((at, Arc::clone(&teams)));
        let lines = self.all_about(campaign).await?;
        let (access, person, campaign) = (Arc::clone(self), caller.person.clone(), campaign.clone());
        // All lines are looked at: not while others wait for the thread.
        let looking = tokio::task::spawn_blocking(move || {
            let roles = line_roles(&policy);
            let mut deciding = Deciding::new(&access, &policy, &person, &roles);
            let mine = lines.iter().filter(|about| deciding.decides(about, &teams));
            let yours = Arc::new(mine.map(|about| about.line).collect::<BTreeSet<u32>>());
            // Held until here, also where whoever asked has gone: the next one waits.
            lately.keep(campaign, Found { at, person, policy, yours: Arc::clone(&yours) });
            yours
        });
        looking.await.map_err(|_| AccessError::internal("looking for lines broke off"))
    }

    /// Whom every line of a campaign is about, by pages: others use the state in between.
    pub(super) async fn all_about(&self, campaign: &CampaignId) -> Result<Vec<LineAbout>, AccessError> {
        let mut all: Vec<LineAbout> = Vec::new();
        loop {
            let (id, after) = (campaign.clone(), all.last().map_or(0, |about| about.line));
            let page = self
                .store
                .read(move |tx| tx.lines_about(&id, after, PAGE).map_err(AccessError::from))
                .await?;
            let is_last = page.len() < PAGE as usize;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Those who hold a role and could decide an undecided line.
    pub(super) async fn reviewers(
        self: &Arc<Self>,
        lines: Vec<LineAbout>,
    ) -> Result<Vec<PersonRef>, AccessError> {
        let (people, teams) = self.everybody().await?;
        let (access, policy) = (Arc::clone(self), self.policy());
        let looking = tokio::task::spawn_blocking(move || {
            let told = access.told(&policy, &people, &teams, &lines);
            let told = people.iter().filter(|person| told.contains(person.subject.as_str()));
            told.map(Person::to_ref).collect()
        });
        looking.await.map_err(|_| AccessError::internal("looking for reviewers broke off"))
    }

    /// Two lines stand for all that are of the same target and about people whom
    /// no rule can tell apart, and two reviewers for all whom no rule can tell
    /// apart: so many, because nobody decides about themself.
    fn told<'p>(
        &self,
        policy: &Policy,
        people: &'p [Person],
        teams: &Teams,
        lines: &[LineAbout],
    ) -> HashSet<&'p str> {
        let (roles, nobody) = (line_roles(policy), BTreeSet::new());
        // Whoever could decide a line can sign, when all are decided.
        let decided = lines.iter().all(|about| about.decided);
        let mut alike: HashMap<(&str, Marks), Vec<&LineAbout>> = HashMap::new();
        for about in lines.iter().filter(|about| decided || !about.decided) {
            let teams = teams.get(&about.person.subject).unwrap_or(&nobody);
            let marks = policy.marks(&about.person.subject, teams, &[teams]);
            let lines = alike.entry((&about.target, marks)).or_default();
            if lines.len() < 2 {
                lines.push(about);
            }
        }
        let open: Vec<&LineAbout> = alike.into_values().flatten().collect();
        let mut colleagues: HashMap<(Marks, &BTreeSet<Role>), Vec<&Person>> = HashMap::new();
        for person in people.iter().filter(|person| !person.roles.is_empty()) {
            let marks = policy.marks(&person.subject, &person.teams, &[&person.teams]);
            colleagues.entry((marks, &person.roles)).or_default().push(person);
        }
        let mut told = HashSet::new();
        for colleagues in colleagues.values() {
            // LineAbout two people is enough: whoever is the one decides about the other.
            let mut about: HashSet<&str> = HashSet::new();
            for by in colleagues.iter().take(2) {
                let mut deciding = Deciding::new(self, policy, by, &roles);
                let more = open.iter().filter(|line| deciding.decides(line, teams));
                for line in more {
                    about.insert(&line.person.subject);
                    if about.len() == 2 {
                        break;
                    }
                }
            }
            let decides = |person: &&&Person| about.iter().any(|subject| **subject != person.subject);
            told.extend(colleagues.iter().filter(decides).map(|person| person.subject.as_str()));
        }
        told
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
        for campaign in all_named("campaign", id.trim(), found)? {
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
