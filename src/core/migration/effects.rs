//! What one statement does to the tables it names: which locks it takes, whether
//! it writes or reads all rows, what it takes away. From the grammar's tree and
//! the catalog; `cases.txt` holds what is said here against real PostgreSQL.
//!
//! Sources: PostgreSQL manual 13.3.1 and the pages of the commands;
//! `AlterTableGetLockLevel` in `tablecmds.c`.

use super::alter;
use super::locks::LockMode;
use crate::core::model::Catalog;
use crate::core::sql::{Name, Statement};
use pg_query::protobuf::{self as pg, ConstrType, ObjectType, ReindexObjectType};
use pg_query::{Node, NodeEnum};
use std::collections::{BTreeMap, BTreeSet};

/// What a statement does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The strongest lock on each relation that it names and that is there before.
    pub locks: BTreeMap<Name, LockMode>,
    pub findings: Vec<Finding>,
    /// Relations that it makes.
    pub creates: BTreeSet<Name>,
    /// Tables without which it fails.
    pub needs: BTreeSet<Name>,
    /// PostgreSQL refuses it in a transaction block.
    pub alone: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// All rows are written anew.
    Rewrite {
        table: Name,
        why: &'static str,
        instead: Option<&'static str>,
    },
    /// All rows are read while the lock is held.
    Scan {
        table: Name,
        why: &'static str,
        instead: &'static str,
    },
    /// An index is built while writes, or everything, waits.
    IndexBuild {
        table: Name,
        instead: &'static str,
    },
    DropTable(Name),
    DropColumn {
        table: Name,
        column: String,
    },
    Truncate(Name),
    RenameTable {
        table: Name,
        to: Name,
    },
    RenameColumn {
        table: Name,
        column: String,
    },
    ChangeType {
        table: Name,
        column: String,
    },
    /// UPDATE or DELETE of all rows.
    Unbounded {
        table: Name,
        verb: &'static str,
    },
    NewEnumValue(String),
    /// IF NOT EXISTS takes an invalid index for the one that is wanted.
    SkipsInvalidIndex,
}

impl Effects {
    pub(super) fn lock(&mut self, name: Name, mode: LockMode) {
        let held = self.locks.entry(name).or_insert(mode);
        *held = mode.max(*held);
    }

    pub(super) fn lock_relation(&mut self, relation: &Option<pg::RangeVar>, mode: LockMode) {
        if let Some(relation) = relation {
            self.lock(name_of(relation), mode);
        }
    }

    /// Of a table that takes a foreign key: what the other end is locked with.
    fn references<'n>(&mut self, constraints: impl IntoIterator<Item = &'n Node>) {
        for node in constraints {
            match &node.node {
                Some(NodeEnum::Constraint(constraint)) => {
                    self.lock_relation(&constraint.pktable, LockMode::ShareRowExclusive);
                }
                Some(NodeEnum::ColumnDef(column)) => self.references(&column.constraints),
                Some(NodeEnum::TableLikeClause(like)) => {
                    self.lock_relation(&like.relation, LockMode::AccessShare);
                }
                _ => {}
            }
        }
    }
}

/// Reads one statement's tree. `facts` are the same statement's.
pub(super) fn of(node: &NodeEnum, facts: &Statement, catalog: &Catalog) -> Effects {
    use LockMode as Mode;
    let mut out = Effects::default();
    for read in facts.reads.iter().filter(|name| name.schema.is_some()) {
        out.lock(read.clone(), Mode::AccessShare);
    }
    out.needs.extend(needed(node));
    match node {
        NodeEnum::AlterTableStmt(s) => alter::table(s, facts, catalog, &mut out),
        NodeEnum::IndexStmt(s) => index(s, &mut out),
        NodeEnum::DropStmt(s) => dropped(s, &mut out),
        NodeEnum::RenameStmt(s) => renamed(s, &mut out),
        NodeEnum::CreateStmt(s) => created(s, &mut out),
        NodeEnum::CreateTableAsStmt(s) => {
            out.creates.extend(s.into.as_ref().and_then(|into| into.rel.as_ref()).map(name_of));
        }
        NodeEnum::ViewStmt(s) => {
            let Some(view) = s.view.as_ref().map(name_of) else { return out };
            if s.replace && is_there(&view, catalog) {
                out.lock(view, Mode::AccessExclusive);
            } else {
                out.creates.insert(view);
            }
        }
        NodeEnum::RefreshMatViewStmt(s) => {
            let mode = if s.concurrent { Mode::Exclusive } else { Mode::AccessExclusive };
            out.lock_relation(&s.relation, mode);
            if let Some(view) = s.relation.as_ref().filter(|_| !s.concurrent) {
                out.findings.push(Finding::Rewrite {
                    table: name_of(view),
                    why: "its query runs while nobody can read it",
                    instead: Some("REFRESH MATERIALIZED VIEW CONCURRENTLY, which takes a unique index"),
                });
            }
        }
        NodeEnum::CreateSeqStmt(s) => out.creates.extend(s.sequence.as_ref().map(name_of)),
        NodeEnum::AlterSeqStmt(s) => out.lock_relation(&s.sequence, Mode::ShareRowExclusive),
        NodeEnum::AlterEnumStmt(s) if s.old_val.is_empty() => {
            out.findings.push(Finding::NewEnumValue(s.new_val.clone()));
        }
        NodeEnum::CommentStmt(_) => {
            for name in &facts.writes {
                out.lock(name.clone(), Mode::ShareUpdateExclusive);
            }
        }
        NodeEnum::InsertStmt(s) => out.lock_relation(&s.relation, Mode::RowExclusive),
        NodeEnum::UpdateStmt(s) => rows_changed(&s.relation, s.where_clause.is_none(), "UPDATE", &mut out),
        NodeEnum::DeleteStmt(s) => rows_changed(&s.relation, s.where_clause.is_none(), "DELETE", &mut out),
        NodeEnum::MergeStmt(s) => out.lock_relation(&s.relation, Mode::RowExclusive),
        NodeEnum::TruncateStmt(s) => {
            for table in s.relations.iter().filter_map(relation) {
                out.lock(table.clone(), Mode::AccessExclusive);
                out.findings.push(Finding::Truncate(table));
            }
        }
        NodeEnum::LockStmt(s) => {
            for table in s.relations.iter().filter_map(relation) {
                out.lock(table, Mode::from_number(s.mode).unwrap_or(Mode::AccessExclusive));
            }
        }
        NodeEnum::VacuumStmt(s) => vacuum(s, &mut out),
        NodeEnum::ClusterStmt(s) => {
            out.lock_relation(&s.relation, Mode::AccessExclusive);
            out.findings.extend(s.relation.as_ref().map(|table| rewritten(table, "CLUSTER sorts the rows")));
        }
        NodeEnum::ReindexStmt(s) => reindex(s, &mut out),
        _ => {}
    }
    out
}

/// The table that must be there.
fn needed(node: &NodeEnum) -> Option<Name> {
    let table = match node {
        NodeEnum::AlterTableStmt(s) if s.objtype == ObjectType::ObjectTable as i32 && !s.missing_ok => {
            &s.relation
        }
        NodeEnum::IndexStmt(s) => &s.relation,
        NodeEnum::InsertStmt(s) => &s.relation,
        NodeEnum::UpdateStmt(s) => &s.relation,
        NodeEnum::DeleteStmt(s) => &s.relation,
        NodeEnum::MergeStmt(s) => &s.relation,
        _ => return None,
    };
    table.as_ref().map(name_of)
}

fn index(s: &pg::IndexStmt, out: &mut Effects) {
    let Some(table) = s.relation.as_ref().map(name_of) else { return };
    out.alone = s.concurrent;
    if s.concurrent {
        out.lock(table, LockMode::ShareUpdateExclusive);
        if s.if_not_exists {
            out.findings.push(Finding::SkipsInvalidIndex);
        }
    } else {
        out.lock(table.clone(), LockMode::Share);
        let instead = "CREATE INDEX CONCURRENTLY, which lets writes go on";
        out.findings.push(Finding::IndexBuild { table, instead });
    }
}

fn dropped(s: &pg::DropStmt, out: &mut Effects) {
    out.alone = s.concurrent;
    let mode = if s.concurrent { LockMode::ShareUpdateExclusive } else { LockMode::AccessExclusive };
    let kind = ObjectType::try_from(s.remove_type);
    for name in s.objects.iter().filter_map(object) {
        match kind {
            Ok(ObjectType::ObjectTable) => out.findings.push(Finding::DropTable(name.clone())),
            Ok(
                ObjectType::ObjectIndex
                | ObjectType::ObjectSequence
                | ObjectType::ObjectView
                | ObjectType::ObjectMatview,
            ) => {}
            _ => continue,
        }
        out.lock(name, mode);
    }
}

fn renamed(s: &pg::RenameStmt, out: &mut Effects) {
    let Some(relation) = s.relation.as_ref().map(name_of) else { return };
    let kind = ObjectType::try_from(s.rename_type);
    match kind {
        Ok(ObjectType::ObjectIndex) => return out.lock(relation, LockMode::ShareUpdateExclusive),
        Ok(ObjectType::ObjectColumn) => {
            out.findings.push(Finding::RenameColumn { table: relation.clone(), column: s.subname.clone() })
        }
        Ok(ObjectType::ObjectTable | ObjectType::ObjectView | ObjectType::ObjectMatview) => {
            let to = Name { name: s.newname.clone(), ..relation.clone() };
            out.findings.push(Finding::RenameTable { table: relation.clone(), to });
        }
        _ => {}
    }
    out.lock(relation, LockMode::AccessExclusive);
}

fn created(s: &pg::CreateStmt, out: &mut Effects) {
    out.creates.extend(s.relation.as_ref().map(name_of));
    // A partition is seen by every reader of the whole; a child table is not.
    let mode = if s.partbound.is_some() { LockMode::AccessExclusive } else { LockMode::ShareUpdateExclusive };
    for parent in s.inh_relations.iter().filter_map(relation) {
        out.lock(parent, mode);
    }
    out.references(s.table_elts.iter().chain(&s.constraints));
}

fn rows_changed(table: &Option<pg::RangeVar>, all: bool, verb: &'static str, out: &mut Effects) {
    out.lock_relation(table, LockMode::RowExclusive);
    if let Some(table) = table.as_ref().filter(|_| all) {
        out.findings.push(Finding::Unbounded { table: name_of(table), verb });
    }
}

fn vacuum(s: &pg::VacuumStmt, out: &mut Effects) {
    out.alone = s.is_vacuumcmd;
    let full = s.options.iter().any(|option| is_on(option, "full"));
    for node in &s.rels {
        let Some(NodeEnum::VacuumRelation(one)) = &node.node else { continue };
        let mode = if full { LockMode::AccessExclusive } else { LockMode::ShareUpdateExclusive };
        out.lock_relation(&one.relation, mode);
        if full {
            let why = "VACUUM FULL writes the table anew";
            out.findings.extend(one.relation.as_ref().map(|table| rewritten(table, why)));
        }
    }
}

fn reindex(s: &pg::ReindexStmt, out: &mut Effects) {
    let Some(name) = s.relation.as_ref().map(name_of) else { return };
    out.alone = s.params.iter().any(|option| is_on(option, "concurrently"));
    let of_index = s.kind == ReindexObjectType::ReindexObjectIndex as i32;
    let mode = match (out.alone, of_index) {
        (true, _) => LockMode::ShareUpdateExclusive,
        (false, true) => LockMode::AccessExclusive,
        (false, false) => LockMode::Share,
    };
    out.lock(name.clone(), mode);
    if !out.alone {
        out.findings.push(Finding::IndexBuild { table: name, instead: "REINDEX … CONCURRENTLY" });
    }
}

fn rewritten(table: &pg::RangeVar, why: &'static str) -> Finding {
    Finding::Rewrite { table: name_of(table), why, instead: None }
}

/// Whether an option such as `FULL` or `(FULL true)` is on.
fn is_on(option: &Node, name: &str) -> bool {
    let Some(NodeEnum::DefElem(option)) = &option.node else { return false };
    let off = |arg: &Node| match &arg.node {
        Some(NodeEnum::String(value)) => ["false", "off", "0"].contains(&value.sval.to_lowercase().as_str()),
        Some(NodeEnum::Integer(value)) => value.ival == 0,
        Some(NodeEnum::Boolean(value)) => !value.boolval,
        _ => false,
    };
    option.defname == name && !option.arg.as_deref().is_some_and(off)
}

pub(super) fn is_kind(constraint: &pg::Constraint, kind: ConstrType) -> bool {
    constraint.contype == kind as i32
}

pub(super) fn is_there(name: &Name, catalog: &Catalog) -> bool {
    catalog.relations.iter().any(|one| {
        one.name.name == name.name && name.schema.as_ref().is_none_or(|schema| one.name.schema == *schema)
    })
}

pub(super) fn name_of(relation: &pg::RangeVar) -> Name {
    Name::new(Some(relation.schemaname.as_str()).filter(|schema| !schema.is_empty()), &relation.relname)
}

pub(super) fn relation(node: &Node) -> Option<Name> {
    match node.node.as_ref()? {
        NodeEnum::RangeVar(relation) => Some(name_of(relation)),
        _ => None,
    }
}

/// Of DROP: a list of the parts of a name.
fn object(node: &Node) -> Option<Name> {
    let NodeEnum::List(parts) = node.node.as_ref()? else { return None };
    let parts: Vec<&str> = parts.items.iter().filter_map(super::types::string).collect();
    match parts.as_slice() {
        [name] => Some(Name::new(None, name)),
        [.., schema, name] => Some(Name::new(Some(schema), name)),
        [] => None,
    }
}
