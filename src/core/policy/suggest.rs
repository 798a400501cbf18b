//! From what people had to break the glass for, or waited long for, to rules
//! that would have let it through: the narrowest that do, as text for people to
//! weigh. Nothing raw, no export and no schema change is ever among them.

use super::BusinessHours;
use crate::core::model::{
    AccessRequest, Environment, Permission, PersonRef, RequestId, TableName, format_duration,
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

/// One access of the past, as far as it was used.
#[derive(Clone, Debug)]
pub struct Past {
    pub request: RequestId,
    pub at: Timestamp,
    /// The person's teams that own the target, else all of theirs.
    pub teams: BTreeSet<String>,
    pub target: String,
    pub environment: Environment,
    /// What was read and written: of break-glass what its statements touched,
    /// of a request what it asked for.
    pub tables: BTreeSet<TableName>,
    pub permissions: BTreeSet<Permission>,
    /// Whether a classified column was seen raw.
    pub raw: bool,
    pub window: Duration,
    /// How long it waited for people; `None` for break-glass.
    pub waited: Option<Duration>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// Cedar text with the evidence in comments; empty where there is nothing to suggest.
    pub text: String,
    pub rules: usize,
    /// How many of the accesses no rule is suggested for, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
}

/// What the accesses of a rule have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pattern {
    team: String,
    target: String,
    writes: bool,
    tables: BTreeSet<TableName>,
}

/// Rules for what happened at least `at_least` times.
pub fn suggest(past: &[Past], hours: &BusinessHours, at_least: usize) -> Suggestions {
    let mut found = Suggestions::default();
    let mut groups: BTreeMap<Pattern, Vec<&Past>> = BTreeMap::new();
    for access in past {
        match pattern(access) {
            Ok(pattern) => groups.entry(pattern).or_default().push(access),
            Err(why) => *found.left_out.entry(why).or_default() += 1,
        }
    }
    let groups = absorbed(groups);
    let mut text = String::new();
    for (number, (pattern, evidence)) in
        (1..).zip(groups.iter().filter(|(_, evidence)| evidence.len() >= at_least))
    {
        found.rules += 1;
        text.push_str(&rule(number, pattern, evidence, hours));
    }
    let rare: usize = groups.values().map(Vec::len).filter(|times| *times < at_least).sum();
    if rare > 0 {
        found.left_out.insert("too rare to be a pattern", rare);
    }
    found.text = text;
    found
}

fn pattern(access: &Past) -> Result<Pattern, &'static str> {
    if access.raw {
        return Err("classified data was seen raw");
    }
    if access.permissions.contains(&Permission::Ddl) {
        return Err("it changed a schema");
    }
    if access.permissions.contains(&Permission::Export) {
        return Err("it took rows out");
    }
    if access.tables.is_empty() {
        return Err("it touched no table");
    }
    let names = access.tables.iter().flat_map(|table| [&table.schema, &table.name]);
    let names = names.chain(access.teams.first()).chain([&access.target]);
    if !names.into_iter().all(|name| name.chars().all(|c| c == ' ' || c.is_ascii_graphic())) {
        return Err("a name is not plain ASCII, which rules are held to");
    }
    let Some(team) = access.teams.first() else { return Err("the person is in no team") };
    Ok(Pattern {
        team: team.clone(),
        target: access.target.clone(),
        writes: access.permissions.contains(&Permission::Write),
        tables: access.tables.clone(),
    })
}

/// Accesses that another pattern's rule would cover are evidence for that.
fn absorbed(groups: BTreeMap<Pattern, Vec<&Past>>) -> BTreeMap<Pattern, Vec<&Past>> {
    let covers = |one: &Pattern, other: &Pattern| {
        one != other
            && (&one.team, &one.target, one.writes) == (&other.team, &other.target, other.writes)
            && one.tables.is_superset(&other.tables)
    };
    let patterns: Vec<Pattern> = groups.keys().cloned().collect();
    let mut kept: BTreeMap<Pattern, Vec<&Past>> = BTreeMap::new();
    for (pattern, evidence) in groups {
        // The widest that covers it: what covers that covers this, too.
        let widest = patterns.iter().filter(|other| covers(other, &pattern)).max_by_key(|p| p.tables.len());
        kept.entry(widest.cloned().unwrap_or(pattern)).or_default().extend(evidence);
    }
    kept
}

fn rule(number: usize, pattern: &Pattern, evidence: &[&Past], hours: &BusinessHours) -> String {
    let Pattern { team, target, writes, tables } = pattern;
    let mut text = String::new();
    let mut line = |words: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{words}");
    };
    line(format!("// Would have covered {}:", times(evidence.len())));
    for access in evidence {
        let how = match access.waited {
            Some(waited) => format!("waited {}", format_duration(Duration::from_secs(waited.as_secs()))),
            None => "break-glass".to_owned(),
        };
        line(format!("//   {} on {:.0}: {how}", access.request, access.at));
    }
    let production = evidence.iter().any(|access| access.environment == Environment::Production);
    if *writes && production {
        line("// It writes to production, for which two people are asked otherwise: weigh a rule of".into());
        line("// the tier single in its place.".into());
    }
    let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let verb = if *writes { "write" } else { "read" };
    let longest = evidence.iter().map(|access| access.window).max().unwrap_or_default();
    // Whole minutes, so that a person can say it.
    let longest = Duration::from_secs(longest.as_secs().div_ceil(60).max(1) * 60);
    let title = format!("Members of {team} {verb} {} of {target}", names.join(", "));
    line(format!("@id({})", quoted(&format!("suggested-{team}-{target}-{number}"))));
    line(format!("@title({})", quoted(&title)));
    line(format!("@longest({})", quoted(&format_duration(longest).replace(' ', ""))));
    line("@masks(\"on\")".into());
    line(format!(
        "permit (principal in Team::{}, action == Action::\"auto\", resource == Target::{})",
        quoted(team),
        quoted(target)
    ));
    line("when {".into());
    let permissions =
        if *writes { "[Permission::\"read\", Permission::\"write\"]" } else { "[Permission::\"read\"]" };
    line(format!("  context.permissions == {permissions} &&"));
    line("  context.sensitivities.isEmpty() &&".into());
    line("  [Level::\"row\", Level::\"table\"].contains(context.level) &&".into());
    if evidence.iter().all(|access| hours.contains(access.at)) {
        line("  context.business_hours &&".into());
    }
    let tables: Vec<String> =
        names.iter().map(|name| format!("Table::{}", quoted(&format!("{target}/{name}")))).collect();
    line(format!("  [{}].containsAll(context.tables)", tables.join(", ")));
    line("};\n".into());
    text
}

fn times(count: usize) -> String {
    if count == 1 { "one access".to_owned() } else { format!("{count} accesses") }
}

/// A Cedar string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

/// Who of a person and their teams broke the glass more than `bound` times, with
/// the requests that did. `uses` are those of the time that is looked at.
pub fn often<'r>(
    uses: &'r [AccessRequest],
    person: &PersonRef,
    teams: &BTreeSet<String>,
    bound: u32,
) -> Vec<(String, Vec<&'r AccessRequest>)> {
    let own = uses.iter().filter(|request| request.person.subject == person.subject).collect();
    let of_team = |team: &String| {
        let member = |request: &&AccessRequest| {
            request.decision.facts.as_ref().is_some_and(|facts| facts.teams.contains(team))
        };
        (format!("team {team}"), uses.iter().filter(member).collect())
    };
    let all: Vec<(String, Vec<&AccessRequest>)> =
        [(person.email.clone(), own)].into_iter().chain(teams.iter().map(of_team)).collect();
    let bound = usize::try_from(bound).unwrap_or(usize::MAX);
    all.into_iter().filter(|(_, requests)| requests.len() > bound).collect()
}

#[cfg(test)]
mod tests {
    use super::super::matrix::{person, scope, target, touched};
    use super::super::{DEFAULT, Policy, Question};
    use super::*;
    use crate::core::model::{IncidentFact, Sensitivity, Tier};
    use jiff::civil::{Time, Weekday};
    use jiff::tz::TimeZone;

    /// 09:00 to 17:00 on Mondays to Thursdays, in UTC.
    fn hours() -> BusinessHours {
        let days = vec![Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday];
        let (from, to) = (Time::constant(9, 0, 0, 0), Time::constant(17, 0, 0, 0));
        BusinessHours { zone: TimeZone::UTC, days, from, to }
    }

    fn past(tables: &[&str], permissions: &[Permission], at: &str, waited: Option<u64>) -> Past {
        Past {
            request: RequestId::from_stored(format!("req-{at}")),
            at: at.parse().unwrap(),
            teams: BTreeSet::from(["shop".to_owned()]),
            target: "prod-orders".to_owned(),
            environment: Environment::Production,
            tables: tables.iter().map(|name| TableName::new("public", *name)).collect(),
            permissions: permissions.iter().copied().collect(),
            raw: false,
            window: Duration::from_secs(1800),
            waited: waited.map(Duration::from_secs),
        }
    }

    const NIGHT: &str = "2026-11-24T03:00:00Z";
    const DAY: &str = "2026-11-24T10:00:00Z";
    const READ: &[Permission] = &[Permission::Read];
    const WRITE: &[Permission] = &[Permission::Read, Permission::Write];

    fn decided(text: &str, team: &str, asks: &str, table: &str, raw: &[Sensitivity], day: bool) -> Tier {
        let policy = Policy::compile(&[("suggested.cedar", text), ("default.cedar", DEFAULT)]).unwrap();
        let mut touched = touched(raw, 0);
        touched.tables = BTreeSet::from([TableName::new("public", table)]);
        let decision = policy.decide(&Question {
            person: &person("alice", &[team], &[]),
            target: &target(Environment::Production),
            scope: &scope("table", asks),
            touched,
            window: Duration::from_secs(1800),
            business_hours: day,
            on_call: false,
            incident: IncidentFact::None,
        });
        decision.tier
    }

    #[test]
    fn r8_6_b8_the_narrowest_rules_that_would_have_covered_it() {
        let accesses = [
            past(&["orders"], READ, NIGHT, None),
            past(&["orders"], READ, DAY, Some(7200)),
            past(&["payments"], WRITE, DAY, None),
        ];
        let found = suggest(&accesses, &hours(), 1);
        assert_eq!(found.rules, 2);
        let text = &found.text;
        // They cover what happened, and not much else.
        assert_eq!(decided(text, "shop", "read", "orders", &[], false), Tier::Auto);
        assert_eq!(decided(text, "shop", "read", "refunds", &[], false), Tier::Single);
        assert_eq!(decided(text, "other", "read", "orders", &[], false), Tier::Single);
        assert_eq!(decided(text, "shop", "read", "orders", &[Sensitivity::Pii], false), Tier::Single);
        assert_eq!(decided(text, "shop", "write", "orders", &[], false), Tier::Dual);
        assert_eq!(decided(text, "shop", "write", "payments", &[], true), Tier::Auto);
        assert_eq!(decided(text, "shop", "write", "payments", &[], false), Tier::Dual, "it was by day");
        assert_eq!(decided(text, "shop", "export", "orders", &[], true), Tier::Dual);
        assert!(text.contains("req-2026-11-24T10:00:00Z on 2026-11-24T10:00:00Z: waited 2h"), "{text}");
        assert!(text.contains("It writes to production"), "{text}");
        // And they are rules that decide something.
        let policy = Policy::compile(&[("suggested.cedar", text), ("default.cedar", DEFAULT)]).unwrap();
        let reach = policy.reach(&[]);
        assert_eq!((reach.idle, reach.all), (Vec::new(), true));
    }

    #[test]
    fn r8_6_raw_data_exports_and_migrations_are_never_suggested() {
        let mut raw = past(&["orders"], READ, DAY, None);
        raw.raw = true;
        let mut alone = past(&["orders"], READ, DAY, None);
        alone.teams.clear();
        let ddl = past(&["orders"], &[Permission::Read, Permission::Write, Permission::Ddl], DAY, None);
        let export = past(&["orders"], &[Permission::Read, Permission::Export], DAY, None);
        let idle = past(&[], READ, DAY, None);
        let rare = past(&["orders"], READ, DAY, None);
        let found = suggest(&[raw, alone, ddl, export, idle, rare], &hours(), 2);
        assert_eq!((found.rules, found.text.as_str()), (0, ""));
        assert_eq!(found.left_out.len(), 6, "{:?}", found.left_out);
    }

    /// Names from elsewhere stay names.
    #[test]
    fn r8_6_a_name_cannot_write_a_rule() {
        let mut access = past(&["a\"]; permit(principal, action, resource);//"], READ, DAY, None);
        access.teams = BTreeSet::from(["x\") @id(\"evil\")".to_owned()]);
        access.target = "a\\\"b".to_owned();
        let text = suggest(std::slice::from_ref(&access), &hours(), 1).text;
        let policy = Policy::compile(&[("suggested.cedar", &text)]).unwrap();
        assert_eq!(policy.len(), 1, "{text}");
        access.target = "a\nb".to_owned();
        assert_eq!(suggest(&[access], &hours(), 1).rules, 0);
    }

    #[test]
    fn r8_6_a_smaller_set_of_tables_is_evidence_for_the_larger() {
        let accesses = [past(&["orders"], READ, DAY, None), past(&["orders", "payments"], READ, DAY, None)];
        let found = suggest(&accesses, &hours(), 2);
        assert_eq!(found.rules, 1, "{}", found.text);
        assert_eq!(decided(&found.text, "shop", "read", "payments", &[], true), Tier::Auto);
    }
}
