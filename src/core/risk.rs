//! How much could go wrong with a request. It decides nothing: policy does.
//! An approver reads it first, so it is one line, and says what made it so.

use super::model::{Environment, Level, Permission, Risk, RiskLevel, Scope, Sensitivity};
use std::collections::BTreeSet;

/// The risk of a scope in an environment. `raw` is what would be seen unmasked,
/// by why it is classified; `None` where the target's columns are not known now.
pub fn risk(environment: Environment, scope: &Scope, raw: Option<&BTreeSet<Sensitivity>>) -> Risk {
    use RiskLevel::{High, Low, Medium};
    let production = environment == Environment::Production;
    let at = environment.as_str();
    let outside = if production { High } else { Medium };
    let mut found: Vec<(RiskLevel, String)> = Vec::new();
    if scope.permissions.contains(&Permission::Ddl) {
        found.push((outside, format!("changes the schema of {at}, with the rights of its owner")));
    } else if scope.writes() {
        found.push((outside, format!("writes on {at}")));
    }
    if scope.exports() {
        found.push((outside, format!("takes rows out of {at}")));
    }
    match scope.level() {
        Level::Database => found.push((outside, "reaches the whole database".to_owned())),
        Level::Schema => found.push((if production { Medium } else { Low }, "reaches whole schemas".into())),
        Level::Table | Level::Row => {}
    }
    match raw {
        None => found.push((Medium, "what it would show raw is not known now".to_owned())),
        Some(raw) => {
            for sensitivity in raw {
                let level = if *sensitivity == Sensitivity::Pii { Medium } else { High };
                found.push((level, format!("shows {} data raw", sensitivity.as_str())));
            }
        }
    }
    if found.is_empty() {
        let rows = if scope.level() == Level::Row { "chosen rows" } else { "tables" };
        found.push((Low, format!("reads {rows} of {at} with every mask on")));
    }
    found.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
    let level = found.iter().map(|(level, _)| *level).max().unwrap_or(Low);
    Risk { level, reasons: found.into_iter().map(|(_, reason)| reason).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{Objects, TableName};

    #[test]
    fn b7_risk_is_one_line_with_the_gravest_reason_first() {
        use Permission::{Ddl, Export, Read, Write};
        let tables = BTreeSet::from([TableName::new("public", "orders")]);
        let table = || Objects::Only { schemas: BTreeSet::new(), tables: tables.clone() };
        let schema = || Objects::Only { schemas: BTreeSet::from(["public".into()]), tables: BTreeSet::new() };
        let (production, staging) = (Environment::Production, Environment::Staging);
        type Case = (Environment, Objects, &'static [Permission], &'static [Sensitivity], &'static str);
        let cases: [Case; 8] = [
            (production, table(), &[Read], &[], "low: reads tables of production with every mask on"),
            (staging, schema(), &[Read], &[], "low: reaches whole schemas"),
            (production, table(), &[Read], &[Sensitivity::Pii], "medium: shows pii data raw"),
            (
                production,
                table(),
                &[Read, Write],
                &[Sensitivity::Pii],
                "high: writes on production, shows pii data raw",
            ),
            (
                staging,
                table(),
                &[Read, Write],
                &[Sensitivity::Health],
                "high: shows health data raw, writes on staging",
            ),
            (production, table(), &[Read, Export], &[], "high: takes rows out of production"),
            (
                production,
                schema(),
                &[Read, Write, Ddl],
                &[],
                "high: changes the schema of production, with the rights of its owner, reaches whole schemas",
            ),
            (
                staging,
                Objects::Database,
                &[Read, Write],
                &[],
                "medium: writes on staging, reaches the whole database",
            ),
        ];
        for (environment, objects, permissions, raw, expected) in cases {
            let scope = Scope::new(objects, permissions.iter().copied().collect());
            let raw = raw.iter().copied().collect();
            assert_eq!(risk(environment, &scope, Some(&raw)).to_string(), expected);
        }
        let unknown = risk(production, &Scope::new(table(), BTreeSet::from([Read])), None);
        assert_eq!(unknown.to_string(), "medium: what it would show raw is not known now");
    }
}
