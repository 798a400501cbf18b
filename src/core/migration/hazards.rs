//! From what a statement does to what a reviewer should know of it.

use super::effects::{Effects, Finding};
use super::locks::LockMode;
use crate::core::model::{
    Catalog, Classification, Hazard, HazardKind as Kind, Relation, Severity, TableName,
};
use crate::core::sql::Name;
use std::collections::BTreeSet;

/// From so many rows on, reading or writing all of them stops an application.
const MANY: u64 = 100_000;
/// Below so many, nobody notices.
const FEW: u64 = 1_000;

/// Goes through a script, statement by statement: what is made by it holds no
/// rows yet, and what is locked by it stays locked until the next commit.
pub(super) struct Reviewer<'c> {
    catalog: &'c Catalog,
    classification: &'c Classification,
    made: BTreeSet<Name>,
    /// New names of tables that were there.
    renamed: BTreeSet<Name>,
    /// Of the transaction so far, in order.
    held: Vec<(Name, LockMode)>,
    out: Vec<Hazard>,
}

impl<'c> Reviewer<'c> {
    pub fn new(catalog: &'c Catalog, classification: &'c Classification) -> Self {
        Self {
            catalog,
            classification,
            made: BTreeSet::new(),
            renamed: BTreeSet::new(),
            held: Vec::new(),
            out: Vec::new(),
        }
    }

    /// The next statement's hazards, the worst first.
    pub fn review(&mut self, effects: &Effects, ends_transaction: bool) -> Vec<Hazard> {
        if effects.alone {
            self.held.clear();
            self.alone(effects);
        }
        for name in &effects.needs {
            let known =
                self.made.contains(name) || self.renamed.contains(name) || self.relation(name).is_some();
            if !known {
                let why =
                    format!("there is no table {name} in the target: as things are the statement fails");
                self.say(Kind::Missing, Severity::Danger, why, None);
            }
        }
        let mut heavy: BTreeSet<&Name> = BTreeSet::new();
        for finding in &effects.findings {
            heavy.extend(self.finding(finding, effects));
        }
        for (name, mode) in &effects.locks {
            if self.made.contains(name) {
                continue;
            }
            if mode.blocks_writes() && !heavy.contains(name) {
                self.short_lock(name, *mode);
            }
            self.lock_order(name, *mode);
        }
        self.made.extend(effects.creates.iter().cloned());
        if effects.alone || ends_transaction {
            self.held.clear();
        }
        let mut found = std::mem::take(&mut self.out);
        found.sort_by_key(|hazard| std::cmp::Reverse(hazard.severity));
        found
    }

    fn say(&mut self, kind: Kind, severity: Severity, why: String, instead: Option<&str>) {
        self.out.push(Hazard { kind, severity, why, instead: instead.map(str::to_owned) });
    }

    fn alone(&mut self, effects: &Effects) {
        let index = effects.locks.values().any(|mode| *mode == LockMode::ShareUpdateExclusive);
        let left = if index { "; where it fails halfway, an invalid index may be left" } else { "" };
        let why =
            format!("runs outside of a transaction: what was done before it is committed by then{left}");
        self.say(Kind::NotInTransaction, Severity::Note, why, None);
    }

    /// Says what a finding means; returns the table that is locked for long by it.
    fn finding<'e>(&mut self, finding: &'e Finding, effects: &Effects) -> Option<&'e Name> {
        match finding {
            Finding::Rewrite { table, why, instead } => {
                self.long(Kind::Rewrite, table, "are written anew", why, *instead, effects)
            }
            Finding::Scan { table, why, instead } => {
                self.long(Kind::FullScan, table, "are read", why, Some(instead), effects)
            }
            Finding::IndexBuild { table, instead } => {
                let why = "an index is built";
                self.long(Kind::IndexNotConcurrent, table, "are read", why, Some(instead), effects)
            }
            Finding::DropTable(table) if !self.made.contains(table) => {
                let rows = self.rows_of(table);
                self.say(
                    Kind::DropsData,
                    Severity::Danger,
                    format!("{table} and its rows ({rows}) are gone for good"),
                    Some("rename it, and drop it when nobody has missed it for a while"),
                );
                self.dependents(table, None);
                None
            }
            Finding::DropColumn { table, column } if !self.made.contains(table) => {
                self.say(
                    Kind::DropsData,
                    Severity::Danger,
                    format!(
                        "the values of {table}.{column} are gone for good, and programs that name it fail"
                    ),
                    Some("first release programs that do not use it"),
                );
                self.dependents(table, Some(column));
                if let Some(classified) = self.classified(table, column) {
                    let why =
                        format!("{classified}: open sessions see the table without the column from then on");
                    self.say(Kind::Dependent, Severity::Note, why, None);
                }
                None
            }
            Finding::Truncate(table) if !self.made.contains(table) => {
                let rows = self.rows_of(table);
                let why = format!("all rows of {table} ({rows}) are gone for good");
                self.say(Kind::DropsData, Severity::Danger, why, None);
                None
            }
            Finding::RenameTable { table, to } if !self.made.contains(table) => {
                self.renamed.insert(to.clone());
                self.renames(table.to_string());
                let columns = table_name(table).and_then(|name| self.classification.table(&name));
                if columns.is_some_and(|columns| !columns.is_empty()) {
                    let why = format!(
                        "{table} has classified columns, and rules that name it do not hold for the new name"
                    );
                    self.unmasks(why);
                }
                None
            }
            Finding::RenameColumn { table, column } if !self.made.contains(table) => {
                self.renames(format!("{table}.{column}"));
                if let Some(classified) = self.classified(table, column) {
                    self.unmasks(format!(
                        "{classified}, and rules that name it do not hold for the new name"
                    ));
                }
                None
            }
            Finding::ChangeType { table, column } => {
                if let Some(classified) = self.classified(table, column) {
                    let why =
                        format!("{classified}: its mask may not fit the new type, and shows nothing then");
                    self.say(Kind::Unmasks, Severity::Note, why, None);
                }
                self.dependents(table, Some(column));
                None
            }
            Finding::Unbounded { table, verb } if !self.made.contains(table) => {
                let rows = self.rows_of(table);
                self.say(
                    Kind::UnboundedChange,
                    self.severity(table),
                    format!("{verb} of all rows of {table} ({rows}): they stay locked until the commit"),
                    Some("change them in batches, by ranges of the primary key"),
                );
                None
            }
            Finding::NewEnumValue(value) => {
                let why = format!("'{value}' can be used only after the commit, and never be removed again");
                self.say(Kind::NewEnumValue, Severity::Note, why, None);
                None
            }
            Finding::SkipsInvalidIndex => {
                let why =
                    "IF NOT EXISTS is content with an invalid index, which a failed attempt leaves behind";
                let instead = "leave IF NOT EXISTS out";
                self.say(Kind::IndexNotConcurrent, Severity::Caution, why.to_owned(), Some(instead));
                None
            }
            _ => None,
        }
    }

    /// All rows are read or written under a lock.
    fn long<'e>(
        &mut self,
        kind: Kind,
        table: &'e Name,
        done: &str,
        why: &str,
        instead: Option<&str>,
        effects: &Effects,
    ) -> Option<&'e Name> {
        if self.made.contains(table) {
            return None;
        }
        let mode = effects.locks.get(table).copied().unwrap_or(LockMode::AccessExclusive);
        let waits = if mode.blocks_reads() {
            "nobody can read or write it"
        } else if mode.blocks_writes() {
            "nobody can write it"
        } else {
            "others read and write it"
        };
        let rows = self.rows_of(table);
        let text = format!("{why}: all rows of {table} ({rows}) {done} while {waits} ({mode})");
        self.say(kind, self.severity(table), text, instead);
        Some(table)
    }

    fn short_lock(&mut self, name: &Name, mode: LockMode) {
        let (kind, who) = if mode.blocks_reads() {
            (Kind::BlocksReads, "readers and writers")
        } else {
            (Kind::BlocksWrites, "writers")
        };
        let why = format!(
            "takes {mode} on {name}, for a moment: it waits for what runs there, and {who} wait behind it"
        );
        self.say(kind, Severity::Note, why, Some("a short --lock-timeout, and again when it times out"));
    }

    fn lock_order(&mut self, name: &Name, mode: LockMode) {
        let before = self.held.iter().find(|(held, _)| held == name).map(|(_, mode)| *mode);
        match before {
            Some(weaker) if mode.blocks_writes() && LockMode::AccessShare < weaker && weaker < mode => {
                let why = format!(
                    "the lock on {name} grows from {weaker} to {mode} in one transaction: two that do so wait for \
                     each other for ever"
                );
                let instead = "take the stronger lock first, or make it two scripts";
                self.say(Kind::LockOrder, Severity::Caution, why, Some(instead));
            }
            None if mode.blocks_writes() => {
                let other = self.held.iter().find(|(_, mode)| mode.blocks_writes()).cloned();
                if let Some((other, held)) = other {
                    let why = format!(
                        "waits for {name} while it holds {held} on {other}: whoever takes them the other way round \
                         waits for it in turn"
                    );
                    self.say(Kind::LockOrder, Severity::Note, why, Some("a script for each table"));
                }
            }
            _ => {}
        }
        match self.held.iter_mut().find(|(held, _)| held == name) {
            Some((_, held)) => *held = mode.max(*held),
            None => self.held.push((name.clone(), mode)),
        }
    }

    fn renames(&mut self, what: String) {
        let why = format!("programs that use {what} fail from the commit on");
        let instead =
            "add the new name beside it (a column, or a view), and drop the old one when nobody uses it";
        self.say(Kind::Renames, Severity::Caution, why, Some(instead));
    }

    fn unmasks(&mut self, why: String) {
        let instead = "have the new name classified in the server's configuration first";
        self.say(Kind::Unmasks, Severity::Danger, why, Some(instead));
    }

    /// Views that read a table or one of its columns, and keys that point at it.
    fn dependents(&mut self, table: &Name, column: Option<&str>) {
        let Some(name) = table_name(table) else { return };
        let reads = |relation: &&Relation| {
            let of_it =
                |(read, of): &(TableName, String)| *read == name && column.is_none_or(|column| of == column);
            relation.reads.iter().any(of_it)
        };
        let points = |relation: &&Relation| {
            let at_it = |key: &crate::core::model::ForeignKey| {
                key.table == name && column.is_none_or(|column| key.references.iter().any(|of| of == column))
            };
            relation.name != name && relation.foreign_keys.iter().any(at_it)
        };
        let views = self.catalog.relations.iter().filter(reads).map(|view| format!("the view {}", view.name));
        let keys = self.catalog.relations.iter().filter(points);
        let keys = keys.map(|other| format!("a foreign key of {}", other.name));
        let found: Vec<String> = views.chain(keys).collect();
        if !found.is_empty() {
            let why = format!("needed by {}: the statement fails while that is there", found.join(", "));
            self.say(Kind::Dependent, Severity::Danger, why, None);
        }
    }

    fn classified(&self, table: &Name, column: &str) -> Option<String> {
        let classified = self.classification.column(&table_name(table)?, column)?;
        Some(format!("{table}.{column} is classified as {}", classified.sensitivity.as_str()))
    }

    fn relation(&self, name: &Name) -> Option<&Relation> {
        self.catalog.relation(&table_name(name)?)
    }

    fn severity(&self, table: &Name) -> Severity {
        match self.relation(table).and_then(|relation| relation.rows) {
            Some(rows) if rows < FEW => Severity::Note,
            Some(rows) if rows < MANY => Severity::Caution,
            _ => Severity::Danger,
        }
    }

    fn rows_of(&self, table: &Name) -> String {
        match self.relation(table).and_then(|relation| relation.rows) {
            None => "how many is not known".to_owned(),
            Some(rows @ 0..10_000) => format!("about {rows}"),
            Some(rows @ 10_000..10_000_000) => format!("about {} thousand", rows / 1000),
            Some(rows) => format!("about {} million", rows / 1_000_000),
        }
    }
}

fn table_name(name: &Name) -> Option<TableName> {
    Some(TableName::new(name.schema.as_deref()?, &name.name))
}
