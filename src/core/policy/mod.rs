//! Policy: which tier a request falls into, who may approve it, and why.
//!
//! Rules are Cedar texts over a published schema ([`SCHEMA`]); the tiers are
//! Cedar actions, and so is approving. It never looks anything up: the caller
//! (`server::access`) brings person, target, scope and the time's facts, and
//! stores the [`Decision`] as evidence. What cannot be decided is denied.
//!
//! ```text
//! Question ─► Facts ─► Cedar, tier by tier, lightest first ─► first rule ─► Decision
//!                └──► when none: the same facts, one changed ─► near misses
//! ```

mod alike;
mod compile;
mod explain;
mod facts;
mod hours;
mod parts;
mod reach;
mod report;
mod sensitivity;
mod suggest;

#[cfg(test)]
mod matrix;

pub use alike::{Fills, Marks, Reaches};
pub use compile::{PolicyError, Problem};
pub use hours::BusinessHours;
pub use reach::{Idle, Reach};
pub use sensitivity::{Sight, Touched, masked, sensitivities};
pub use suggest::{Past, Suggestions, often, suggest};

use super::model::{
    Decision, Facts, IncidentFact, Limits, Permission, Person, PersonRef, PolicySource, Role, RuleRef, Scope,
    Slot, Target, Tier,
};
use alike::Names;
use cedar_policy::{Authorizer, Decision as Answer, Effect, Entities, PolicySet, Schema};
use facts::{Vocabulary, facts};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

/// The schema that every policy is checked against.
pub const SCHEMA: &str = include_str!("schema.cedarschema");
/// The policy in force where none is configured.
pub const DEFAULT: &str = include_str!("default.cedar");

/// The tiers that an ordinary request is tried for, lightest first.
const TIERS: &[Tier] = &[Tier::Auto, Tier::Single, Tier::Dual];
/// The one of the emergency path: nothing else leads to it, and it leads to nothing else.
const EMERGENCY: &[Tier] = &[Tier::BreakGlass];

/// A checked set of rules.
pub struct Policy {
    /// In the order of the sources: within a tier the first that applies decides.
    rules: Vec<Rule>,
    by_id: HashMap<String, usize>,
    set: PolicySet,
    /// Those of the set that permit: what would be so, were nothing forbidden.
    permits: PolicySet,
    schema: Schema,
    vocabulary: Vocabulary,
    names: Names,
    sources: Vec<PolicySource>,
    hash: String,
}

/// What the annotations of one rule say.
#[derive(Debug)]
struct Rule {
    id: String,
    title: String,
    /// Where it is written.
    file: String,
    line: usize,
    effect: Effect,
    /// The tiers that it speaks of: one, where it permits; none, where it says
    /// who may approve.
    tiers: Vec<Tier>,
    slots: Vec<Slot>,
    longest: Duration,
    limits: Limits,
}

/// One request, as policy sees it.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub person: &'a Person,
    pub target: &'a Target,
    pub scope: &'a Scope,
    pub touched: Touched,
    /// The window asked for.
    pub window: Duration,
    /// From [`BusinessHours::contains`].
    pub business_hours: bool,
    /// Whether the person is on call for the target's service.
    pub on_call: bool,
    pub incident: IncidentFact,
}

impl Policy {
    /// The default policy: R4 for the tiers auto, single and dual.
    pub fn default_set() -> Result<Self, PolicyError> {
        Self::compile(&[("default.cedar", DEFAULT)])
    }

    /// Checks policy texts, given with their names, and makes them one policy.
    ///
    /// # Errors
    /// All problems found, each with file and line: syntax, facts that the
    /// schema does not know, rules that can never apply, missing or repeated annotations.
    pub fn compile(sources: &[(&str, &str)]) -> Result<Self, PolicyError> {
        compile::compile(sources)
    }

    /// [`Policy::compile`] of texts that were kept or sent.
    pub fn of(sources: &[PolicySource]) -> Result<Self, PolicyError> {
        let sources: Vec<(&str, &str)> =
            sources.iter().map(|source| (source.file.as_str(), source.text.as_str())).collect();
        Self::compile(&sources)
    }

    /// The texts that it was made of.
    pub fn sources(&self) -> &[PolicySource] {
        &self.sources
    }

    /// How many rules it has.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Never: a policy without a rule is refused.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether it has a rule of this name.
    pub fn has(&self, rule: &str) -> bool {
        self.by_id.contains_key(rule)
    }

    /// Whether no rule permits a tier, so that every request is denied.
    pub fn permits_nothing(&self) -> bool {
        !self.rules.iter().any(|rule| rule.permits().is_some())
    }

    /// SHA-256 in hex of the sources, one after the other.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Every role that some rule asks to approve, `peer` included.
    pub fn roles(&self) -> BTreeSet<Role> {
        self.rules.iter().flat_map(|rule| &rule.slots).flat_map(|slot| slot.any_of.clone()).collect()
    }

    /// The approvals that rules ask for and that nobody could ever give, if
    /// only these roles are handed out.
    pub fn unfillable(&self, known: &BTreeSet<Role>) -> Vec<(RuleRef, Slot)> {
        let fillable = |slot: &Slot| slot.any_of.iter().any(|role| role.0 == "peer" || known.contains(role));
        let slots = self.rules.iter().flat_map(|rule| rule.slots.iter().map(move |slot| (rule, slot)));
        slots.filter(|(_, slot)| !fillable(slot)).map(|(rule, slot)| (rule.to_ref(), slot.clone())).collect()
    }

    /// Decides a request. The lightest tier with a rule that applies and
    /// allows the window wins; forbids take tiers away; nothing left is a denial.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        self.decide_for(&facts(question), TIERS)
    }

    /// Decides about the emergency path (R8): break-glass, or a denial. The
    /// slots of the rule say who has to look at it afterwards.
    pub fn decide_break_glass(&self, question: &Question<'_>) -> Decision {
        self.decide_for(&facts(question), EMERGENCY)
    }

    /// Decides again about facts that were kept. `emergency` is whether they
    /// were of the path break-glass.
    pub fn decide_again(&self, facts: &Facts, emergency: bool) -> Decision {
        self.decide_for(facts, if emergency { EMERGENCY } else { TIERS })
    }

    fn decide_for(&self, facts: &Facts, tiers: &[Tier]) -> Decision {
        let verdict = self.weigh(facts, tiers);
        let told = Some(Box::new(facts.clone()));
        match verdict.chosen {
            Some((tier, rule)) => Decision {
                tier,
                rules: vec![rule.to_ref()],
                why: explain::chosen(facts, rule, &verdict.too_long),
                slots: rule.slots.clone(),
                longest: rule.longest,
                limits: rule.limits,
                policy: self.hash.clone(),
                facts: told,
            },
            None => {
                let forbids = self.in_the_way(facts, &verdict);
                Decision {
                    tier: Tier::Deny,
                    rules: forbids.iter().map(|rule| rule.to_ref()).collect(),
                    why: explain::denied(self, facts, tiers, &verdict, &forbids),
                    slots: Vec::new(),
                    longest: verdict.longest().unwrap_or_default(),
                    limits: Limits::default(),
                    policy: self.hash.clone(),
                    facts: told,
                }
            }
        }
    }

    /// The forbids that took a tier away: where no rule would permit it anyway,
    /// a forbid is not why it is denied.
    fn in_the_way<'p>(&self, facts: &Facts, verdict: &Verdict<'p>) -> Vec<&'p Rule> {
        let mut forbids: Vec<&Rule> = Vec::new();
        let Ok(entities) = self.vocabulary.entities(facts) else { return forbids };
        for (tier, rule) in &verdict.forbids {
            let known = forbids.iter().any(|known| known.id == rule.id);
            let permits = || self.applying(&self.permits, facts, *tier, &entities).unwrap_or_default();
            let is_kept =
                |place: usize| self.rules.get(place).is_some_and(|permit| permit.can_be_kept(facts));
            if !known && permits().into_iter().any(is_kept) {
                forbids.push(*rule);
            }
        }
        forbids
    }

    /// The roles out of `roles` in which `approver` may approve what
    /// `requester` asks for. Nobody has one for their own request, whatever
    /// the rules say (G6).
    pub fn fills(
        &self,
        approver: &Person,
        requester: &PersonRef,
        requester_teams: &BTreeSet<String>,
        target: &Target,
        roles: &[Role],
    ) -> Vec<Role> {
        if approver.subject == requester.subject {
            return Vec::new();
        }
        let may = |role: &&Role| {
            let asked =
                self.vocabulary.approval(approver, requester, requester_teams, target, role, &self.schema);
            asked.is_ok_and(|(request, entities)| {
                let response = Authorizer::new().is_authorized(&request, &self.set, &entities);
                response.decision() == Answer::Allow && response.diagnostics().errors().next().is_none()
            })
        };
        roles.iter().filter(may).cloned().collect()
    }

    /// Asks Cedar tier by tier. A rule that fails to evaluate takes its tier
    /// away: Cedar would skip it, and a skipped forbid would let through.
    fn weigh(&self, facts: &Facts, tiers: &[Tier]) -> Verdict<'_> {
        let mut verdict = Verdict::default();
        let entities = match self.vocabulary.entities(facts) {
            Ok(entities) => entities,
            Err(error) => return Verdict { broken: Some(error.to_string()), ..verdict },
        };
        for &tier in tiers {
            let rules = match self.applying(&self.set, facts, tier, &entities) {
                Ok(rules) => rules,
                Err(error) => {
                    verdict.broken = Some(error);
                    continue;
                }
            };
            for rule in rules.into_iter().filter_map(|place| self.rules.get(place)) {
                match rule.effect {
                    Effect::Permit if !rule.can_be_kept(facts) => {}
                    Effect::Forbid => verdict.forbids.push((tier, rule)),
                    Effect::Permit if rule.longest >= facts.window => {
                        return Verdict { chosen: Some((tier, rule)), ..verdict };
                    }
                    Effect::Permit => verdict.too_long.push((tier, rule)),
                }
            }
        }
        verdict
    }

    /// The rules that answer for a tier, by their places, in order: those that
    /// permit it, or where one forbids it those that do. `set` is all rules, or
    /// those that permit.
    fn applying(
        &self,
        set: &PolicySet,
        facts: &Facts,
        tier: Tier,
        entities: &Entities,
    ) -> Result<Vec<usize>, String> {
        let request = self.vocabulary.access(facts, tier, &self.schema).map_err(|error| error.to_string())?;
        let response = Authorizer::new().is_authorized(&request, set, entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(error.to_string());
        }
        let ids = response.diagnostics().reason();
        let mut places: Vec<usize> =
            ids.filter_map(|id| self.by_id.get::<str>(id.as_ref())).copied().collect();
        places.sort_unstable();
        Ok(places)
    }
}

impl Rule {
    /// The tier that it permits.
    fn permits(&self) -> Option<Tier> {
        self.tiers.first().copied().filter(|_| self.effect == Effect::Permit)
    }

    /// A migration works with the rights of the schema's owner, from whom
    /// nothing is masked: a rule that masks cannot let it in.
    fn can_be_kept(&self, facts: &Facts) -> bool {
        !self.limits.masked || !facts.permissions.contains(&Permission::Ddl)
    }

    fn to_ref(&self) -> RuleRef {
        RuleRef { id: self.id.clone(), title: self.title.clone() }
    }
}

/// The rules by name: the trees behind them fill pages.
impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<&str> = self.rules.iter().map(|rule| rule.id.as_str()).collect();
        f.debug_struct("Policy").field("rules", &ids).field("hash", &self.hash).finish()
    }
}

/// What the rules say to one set of facts.
#[derive(Default)]
struct Verdict<'p> {
    chosen: Option<(Tier, &'p Rule)>,
    /// Permits that apply, but not to a window as long as this.
    too_long: Vec<(Tier, &'p Rule)>,
    /// With the tiers that they forbid.
    forbids: Vec<(Tier, &'p Rule)>,
    /// A rule or fact could not be evaluated.
    broken: Option<String>,
}

impl Verdict<'_> {
    /// The longest window that would have been allowed.
    fn longest(&self) -> Option<Duration> {
        self.too_long.iter().map(|(_, rule)| rule.longest).max()
    }
}
