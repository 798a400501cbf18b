//! What follows from classified columns: whatever copies their values.

use super::super::{Catalog, Column, Mask, Relation, Sensitivity, TableName};
use super::{Classification, Classified, Columns, stricter};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Follows the columns that rules name through the catalog.
pub(super) fn follow(named: Columns, catalog: &Catalog) -> Classification {
    let relations = catalog.relations.iter().map(|relation| (&relation.name, relation)).collect();
    let mut lineage =
        Lineage { columns: named.clone(), named, relations, closed: BTreeMap::new(), judged: HashSet::new() };
    // Each round only adds, or replaces by something stricter: it ends.
    while lineage.share(catalog) | lineage.generate(catalog) {}
    for relation in &catalog.relations {
        lineage.judge(relation);
    }
    let closed = lineage.closed.into_iter().map(|(view, taint)| (view, taint.why)).collect();
    Classification { columns: lineage.columns, closed }
}

/// Why a view may show what is classified, and the worst of that.
struct Taint {
    why: String,
    worst: Sensitivity,
}

/// What runs with somebody else's rights may read anything.
const UNKNOWN: Sensitivity = Sensitivity::Secret;

struct Lineage<'c> {
    /// What rules say: never changed by what follows.
    named: Columns,
    columns: Columns,
    relations: HashMap<&'c TableName, &'c Relation>,
    closed: BTreeMap<TableName, Taint>,
    judged: HashSet<&'c TableName>,
}

impl<'c> Lineage<'c> {
    /// Between partitions, inheritance children and what they come from.
    /// Returns whether anything changed.
    fn share(&mut self, catalog: &Catalog) -> bool {
        let mut changed = false;
        for relation in &catalog.relations {
            for ancestor in &relation.ancestors {
                changed |= self.hand(ancestor, &relation.name) | self.hand(&relation.name, ancestor);
            }
        }
        changed
    }

    fn hand(&mut self, from: &TableName, to: &TableName) -> bool {
        let (Some(columns), Some(heir)) = (self.columns.get(from), self.relations.get(to)) else {
            return false;
        };
        let has = |name: &str| heir.columns.iter().any(|own| own.name == name);
        let handed: Vec<(String, Classified)> = columns
            .iter()
            .filter(|(name, _)| has(name))
            .map(|(name, classified)| (name.clone(), classified.clone()))
            .collect();
        handed
            .into_iter()
            .fold(false, |changed, (name, classified)| self.classify(to, &name, classified) | changed)
    }

    /// Classifies generated columns as what they are computed from.
    fn generate(&mut self, catalog: &Catalog) -> bool {
        let mut changed = false;
        for relation in catalog.relations.iter().filter(|relation| !relation.kind.is_view()) {
            for column in relation.columns.iter().filter(|column| !column.derived_from.is_empty()) {
                if let Some(classified) = self.derived(column, &column.derived_from) {
                    changed |= self.classify(&relation.name, &column.name, classified);
                }
            }
        }
        changed
    }

    /// Classifies a column that no rule names. Returns whether that is news.
    fn classify(&mut self, table: &TableName, column: &str, classified: Classified) -> bool {
        if self.named.get(table).is_some_and(|named| named.contains_key(column)) {
            return false;
        }
        let of_table = self.columns.entry(table.clone()).or_default();
        let before = of_table.get(column);
        let after = match before {
            Some(before) => stricter(before.clone(), classified),
            None => classified,
        };
        let changed = before != Some(&after);
        if changed {
            of_table.insert(column.to_owned(), after);
        }
        changed
    }

    /// How a column that is computed from `sources` is shown; `None` where none
    /// of them is classified.
    fn derived(&self, column: &Column, sources: &[(TableName, String)]) -> Option<Classified> {
        let mut found = None;
        for (table, source) in sources {
            let classified = match self.closed.get(table) {
                Some(taint) => Some(Classified { sensitivity: taint.worst, mask: Mask::Null }),
                None => self.columns.get(table).and_then(|columns| columns.get(source)).cloned(),
            };
            found = match (found, classified) {
                (Some(one), Some(other)) => Some(stricter(one, other)),
                (one, other) => one.or(other),
            };
        }
        let found = found?;
        // The kept paths of a document mean nothing in a part of it.
        let alone = sources.len() == 1 && !matches!(found.mask, Mask::Json { .. });
        let same = alone
            && sources.iter().all(|(table, source)| {
                let relation = self.relations.get(table);
                let source = relation.and_then(|r| r.columns.iter().find(|known| known.name == *source));
                source.is_some_and(|source| family(&source.type_name) == family(&column.type_name))
            });
        Some(if same { found } else { Classified { mask: Mask::Null, ..found } })
    }

    /// Closes a view that reads what is classified, or follows it through the
    /// view's columns where a rule names one of them.
    fn judge(&mut self, view: &'c Relation) {
        if !view.kind.is_view() || !self.judged.insert(&view.name) {
            return;
        }
        let relations: Vec<&'c Relation> =
            view.reads.iter().filter_map(|(table, _)| self.relations.get(table).copied()).collect();
        for relation in relations {
            self.judge(relation);
        }
        let Some(taint) = self.taint(view) else { return };
        if !self.named.contains_key(&view.name) {
            self.closed.insert(view.name.clone(), taint);
            return;
        }
        for column in &view.columns {
            let found = if column.derived_from.is_empty() {
                // Computed from who knows which of what the view reads.
                Some(Classified { sensitivity: taint.worst, mask: Mask::Null })
            } else {
                self.derived(column, &column.derived_from)
            };
            if let Some(classified) = found {
                self.classify(&view.name, &column.name, classified);
            }
        }
    }

    /// Why a view may show what is classified; `None` where it does not.
    fn taint(&self, view: &Relation) -> Option<Taint> {
        let name = &view.name;
        let cure = "classify a column of it, or leave it out";
        let copied = |table: &TableName| {
            let worst = self.closed.get(table)?.worst;
            Some((0, worst, format!("{name} reads {table}, which copies classified columns: {cure}")))
        };
        let classified = |table: &TableName, column: &str| {
            let worst = self.columns.get(table)?.get(column)?.sensitivity;
            Some((1, worst, format!("{name} reads {table}.{column}, which is classified: {cure}")))
        };
        let read = columns_read(view)
            .filter_map(|(table, column)| copied(table).or_else(|| classified(table, column)));
        let lent = view.definers.iter().filter(|_| !self.columns.is_empty()).map(|definer| {
            let why = "runs with its owner's rights and may read classified columns";
            (2, UNKNOWN, format!("{name} calls {definer}, which {why}: {cure}"))
        });
        let taints: Vec<(u8, Sensitivity, String)> = read.chain(lent).collect();
        let worst = taints.iter().map(|(_, worst, _)| *worst).max()?;
        // The first of its kind: what is surest says most.
        let why = taints.into_iter().min_by_key(|(kind, ..)| *kind)?.2;
        Some(Taint { why, worst })
    }
}

/// The columns that a view reads, without the relations whose rows it only
/// counts or looks for: no value comes from those.
fn columns_read(view: &Relation) -> impl Iterator<Item = &(TableName, String)> {
    view.reads.iter().filter(|(_, column)| !column.is_empty())
}

/// A type without its modifier; the character types are one, because a mask
/// of one fits the others.
fn family(type_name: &str) -> &str {
    let base = match type_name.split_once('(') {
        Some((base, rest)) if rest.ends_with(')') => base,
        _ => type_name,
    };
    match base {
        "character varying" | "character" | "bpchar" | "citext" | "public.citext" | "name" => "text",
        base => base,
    }
}
