//! Who sees and decides which lines of a campaign, and who is told of it.

use crate::core::campaign;
use crate::core::model::{
    Campaign, CampaignLine, Notice, NoticeKind, Person, PersonRef, Role, Urgency, format_duration,
};
use crate::server::access::{Access, AccessError, Caller};
use crate::server::store::StoreError;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

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

    /// The lines that the caller may decide.
    pub(super) async fn yours(
        self: &Arc<Self>,
        caller: &Caller,
        campaign: &Campaign,
    ) -> Result<BTreeSet<u32>, AccessError> {
        let (_, teams) = self.everybody().await?;
        let (access, person, lines) = (Arc::clone(self), caller.person.clone(), campaign.lines.clone());
        // Policy is asked of every line: not while others wait for the thread.
        let looking = tokio::task::spawn_blocking(move || {
            // The answer is of a person and a target: a campaign has the same ones again.
            let mut known = HashMap::new();
            let mine = lines.iter().filter(|line| {
                let whose = (line.person.subject.as_str(), line.target.as_str());
                *known.entry(whose).or_insert_with(|| access.decides(&person, line, &teams))
            });
            mine.map(|line| line.line).collect()
        });
        looking.await.map_err(|_| AccessError::internal("looking for lines broke off"))
    }

    /// Those who hold a role and could decide an undecided line.
    pub(super) async fn reviewers(
        self: &Arc<Self>,
        campaign: &Campaign,
    ) -> Result<Vec<PersonRef>, AccessError> {
        let (people, teams) = self.everybody().await?;
        let (access, lines) = (Arc::clone(self), campaign.lines.clone());
        let looking = tokio::task::spawn_blocking(move || {
            // Whoever could decide a line can sign, when all are decided.
            let decided = lines.iter().all(|line| line.decision.is_some());
            let open: Vec<&CampaignLine> =
                lines.iter().filter(|line| decided || line.decision.is_none()).collect();
            let decides = |person: &&Person| {
                !person.roles.is_empty() && open.iter().any(|line| access.decides(person, line, &teams))
            };
            people.iter().filter(decides).map(Person::to_ref).collect()
        });
        looking.await.map_err(|_| AccessError::internal("looking for reviewers broke off"))
    }

    /// Everybody who was here, and their teams.
    pub(super) async fn everybody(&self) -> Result<(Vec<Person>, Teams), AccessError> {
        let people = self.store.read(|tx| tx.people().map_err(AccessError::from)).await?;
        let people: Vec<Person> = people.iter().map(|one| self.config.directory.person(one)).collect();
        let teams = people.iter().map(|one| (one.subject.clone(), one.teams.clone())).collect();
        Ok((people, teams))
    }

    pub(super) async fn find_campaign(
        self: &Arc<Self>,
        caller: &Caller,
        id: &str,
    ) -> Result<(Campaign, BTreeSet<u32>), AccessError> {
        let (kind, prefix) = ("campaign", id.trim().to_owned());
        let asked = id.to_owned();
        let found = self.store.read(move |tx| tx.campaigns_named(&asked).map_err(AccessError::from)).await?;
        let mut visible = Vec::new();
        for campaign in found {
            let yours = self.yours(caller, &campaign).await?;
            if !yours.is_empty() || sees_all(caller) {
                visible.push((campaign, yours));
            }
        }
        match (visible.pop(), visible.pop()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(StoreError::NoSuch { kind, prefix }.into()),
            _ => Err(StoreError::Ambiguous { kind, prefix }.into()),
        }
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
    let (all, undecided) = (campaign.lines.len(), campaign.undecided());
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
