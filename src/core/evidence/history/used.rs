//! What the statements of a session used of what they might have: the names
//! that they said, as they said them.

use crate::core::model::StatementFacts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The most names of one kind that are kept. Whoever uses more is not told that
/// a narrower scope would have done.
const MOST: usize = 1000;

/// The facts of many statements in one. The form is that of one statement's
/// facts on the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Used {
    pub verbs: BTreeSet<String>,
    pub reads: BTreeSet<String>,
    pub writes: BTreeSet<String>,
    /// By bare name; `*` stands for all.
    pub columns: BTreeSet<String>,
    /// Rows left as COPY data.
    pub export: bool,
    /// There was more than is kept here.
    pub cut: bool,
}

impl Used {
    /// What one statement used. Facts of a form that is not known use nothing.
    pub fn of(facts: &StatementFacts) -> Self {
        serde_json::from_str(facts.as_json()).unwrap_or_default()
    }

    pub fn add(&mut self, more: Self) {
        let Self { verbs, reads, writes, columns, export, cut } = more;
        self.export |= export;
        self.cut |= cut;
        for (known, more) in [
            (&mut self.verbs, verbs),
            (&mut self.reads, reads),
            (&mut self.writes, writes),
            (&mut self.columns, columns),
        ] {
            known.extend(more);
            while known.len() > MOST {
                known.pop_last();
                self.cut = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_statements_used_adds_up_and_stays_bounded() {
        let facts = |value: serde_json::Value| Used::of(&StatementFacts::of(&value));
        let mut used = facts(json!({"verbs": ["SELECT"], "reads": ["t"], "writes": [], "columns": ["a"],
            "functions": ["lower"], "export": false}));
        used.add(facts(json!({"verbs": ["COPY TO", "SELECT"], "reads": ["s.u"], "export": true})));
        used.add(facts(json!(null)));
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert_eq!((&used.verbs, &used.reads), (&set(&["COPY TO", "SELECT"]), &set(&["s.u", "t"])));
        assert_eq!((used.export, used.cut, used.writes.len()), (true, false, 0));
        let many: Vec<String> = (0..=MOST).map(|n| format!("t{n}")).collect();
        used.add(facts(json!({"writes": many})));
        assert_eq!((used.writes.len(), used.cut), (MOST, true));
        assert!(facts(json!({"reads": ["t"], "cut": true})).cut);
    }
}
