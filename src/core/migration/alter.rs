//! ALTER TABLE: each of its parts takes the lock that it needs, the whole the
//! strongest of them (`AlterTableGetLockLevel` in `tablecmds.c`).

use super::effects::{Effects, Finding, is_kind, name_of, relation};
use super::locks::LockMode as Mode;
use super::types::{keeps_rows, string};
use crate::core::guard;
use crate::core::model::{Catalog, TableName};
use crate::core::sql::{Name, Statement};
use pg_query::protobuf::{self as pg, AlterTableType as At, ConstrType as Kind};
use pg_query::{Node, NodeEnum};

const NOT_VALID: &str = "ADD CONSTRAINT … NOT VALID, and VALIDATE CONSTRAINT in a statement after a commit: it reads \
                         the rows while others write";
const NOT_NULL: &str = "ADD CONSTRAINT … CHECK (… IS NOT NULL) NOT VALID, VALIDATE it after a commit, then SET NOT \
                        NULL, which needs to read nothing any more";
const USING_INDEX: &str = "CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX";
const IN_STEPS: &str = "add the column without it, fill it in batches, then set the default";
const NEW_COLUMN: &str =
    "add a column of the new type, fill it in batches, and change over when the programs use it";

pub(super) fn table(s: &pg::AlterTableStmt, facts: &Statement, catalog: &Catalog, out: &mut Effects) {
    let Some(table) = s.relation.as_ref().map(name_of) else { return };
    for node in &s.cmds {
        if let Some(NodeEnum::AlterTableCmd(command)) = &node.node {
            let mode = part(command, &table, facts, catalog, out);
            out.lock(table.clone(), mode);
        }
    }
}

/// The lock that one part takes on the table itself.
fn part(
    command: &pg::AlterTableCmd,
    table: &Name,
    facts: &Statement,
    catalog: &Catalog,
    out: &mut Effects,
) -> Mode {
    let column = || command.name.clone();
    let def = command.def.as_ref().and_then(|def| def.node.as_ref());
    match (At::try_from(command.subtype), def) {
        (Ok(At::AtAddColumn), Some(NodeEnum::ColumnDef(added))) => {
            add_column(added, table, facts, out);
            Mode::AccessExclusive
        }
        (Ok(At::AtDropColumn), _) => {
            out.findings.push(Finding::DropColumn { table: table.clone(), column: column() });
            Mode::AccessExclusive
        }
        (Ok(At::AtAlterColumnType), Some(NodeEnum::ColumnDef(to))) => {
            out.findings.push(Finding::ChangeType { table: table.clone(), column: column() });
            let old = column_type(table, &command.name, catalog);
            let new = to.type_name.as_ref().filter(|_| to.raw_default.is_none());
            let same = old.zip(new).is_some_and(|(old, new)| keeps_rows(old, new));
            if !same {
                let why = "the values of the new type are stored in another way";
                rewrite(table, why, Some(NEW_COLUMN), out);
            }
            Mode::AccessExclusive
        }
        (Ok(At::AtSetNotNull), _) => {
            scan(table, "SET NOT NULL looks for a NULL in every row", NOT_NULL, out);
            Mode::AccessExclusive
        }
        (Ok(At::AtSetExpression), _) => {
            rewrite(table, "the generated column is computed for every row", None, out);
            Mode::AccessExclusive
        }
        (Ok(At::AtSetLogged), _) => {
            rewrite(table, "SET LOGGED writes every row to the log", None, out);
            Mode::AccessExclusive
        }
        (Ok(At::AtSetUnLogged), _) => {
            rewrite(table, "SET UNLOGGED copies the table; a crash empties it from then on", None, out);
            Mode::AccessExclusive
        }
        (Ok(At::AtAddConstraint), Some(NodeEnum::Constraint(constraint))) => {
            add_constraint(constraint, table, out)
        }
        (Ok(At::AtAttachPartition), Some(NodeEnum::PartitionCmd(partition))) => {
            if let Some(partition) = partition.name.as_ref().map(name_of) {
                out.lock(partition.clone(), Mode::AccessExclusive);
                let instead = "give the partition a valid CHECK constraint that implies its bounds first: then no \
                               row is read";
                scan(&partition, "ATTACH PARTITION checks the bounds for every row", instead, out);
            }
            Mode::ShareUpdateExclusive
        }
        (Ok(At::AtDetachPartition), Some(NodeEnum::PartitionCmd(partition))) => {
            out.alone = partition.concurrent;
            out.lock_relation(&partition.name, Mode::AccessExclusive);
            if partition.concurrent { Mode::ShareUpdateExclusive } else { Mode::AccessExclusive }
        }
        (Ok(At::AtAddInherit | At::AtDropInherit), _) => {
            let parent = command.def.as_deref().and_then(relation);
            parent.into_iter().for_each(|parent| out.lock(parent, Mode::ShareUpdateExclusive));
            Mode::AccessExclusive
        }
        (
            Ok(
                At::AtSetStatistics
                | At::AtSetOptions
                | At::AtResetOptions
                | At::AtClusterOn
                | At::AtDropCluster
                | At::AtValidateConstraint
                | At::AtDetachPartitionFinalize,
            ),
            _,
        ) => Mode::ShareUpdateExclusive,
        (Ok(At::AtSetRelOptions | At::AtResetRelOptions), Some(NodeEnum::List(options)))
            if options.items.iter().all(is_harmless) =>
        {
            Mode::ShareUpdateExclusive
        }
        _ => Mode::AccessExclusive,
    }
}

fn add_column(added: &pg::ColumnDef, table: &Name, facts: &Statement, out: &mut Effects) {
    let constraints = || {
        added.constraints.iter().filter_map(|node| match &node.node {
            Some(NodeEnum::Constraint(constraint)) => Some(constraint),
            _ => None,
        })
    };
    let has = |kind| constraints().any(|constraint| is_kind(constraint, kind));
    let stored = constraints().any(|c| is_kind(c, Kind::ConstrGenerated) && c.generated_kind != "v");
    let changes = facts.functions.iter().any(|name| !guard::is_steady(name));
    let default = has(Kind::ConstrDefault);
    if stored {
        rewrite(table, "the generated column is computed for every row", None, out);
    } else if has(Kind::ConstrIdentity) || is_serial(added) {
        rewrite(table, "every row gets a number of its own", Some(IN_STEPS), out);
    } else if default && changes {
        rewrite(table, "the default may differ from row to row (a volatile function)", Some(IN_STEPS), out);
    } else if has(Kind::ConstrNotnull) && !default {
        let instead = "give it a DEFAULT that is a constant, or add it without NOT NULL and fill it first";
        scan(table, "NOT NULL without a default fails as soon as there is one row", instead, out);
    }
    if has(Kind::ConstrUnique) || has(Kind::ConstrPrimary) {
        let (table, instead) = (table.clone(), USING_INDEX);
        out.findings.push(Finding::IndexBuild { table, instead });
    }
    if has(Kind::ConstrCheck) {
        scan(table, "the CHECK is tried on every row", NOT_VALID, out);
    }
    for constraint in constraints().filter(|one| is_kind(one, Kind::ConstrForeign)) {
        out.lock_relation(&constraint.pktable, Mode::ShareRowExclusive);
        if default {
            scan(table, "the foreign key is checked for every row", NOT_VALID, out);
        }
    }
}

fn add_constraint(constraint: &pg::Constraint, table: &Name, out: &mut Effects) -> Mode {
    let unchecked = constraint.skip_validation;
    match Kind::try_from(constraint.contype) {
        Ok(Kind::ConstrForeign) => {
            out.lock_relation(&constraint.pktable, Mode::ShareRowExclusive);
            if !unchecked {
                scan(table, "the foreign key is checked for every row", NOT_VALID, out);
            }
            Mode::ShareRowExclusive
        }
        Ok(Kind::ConstrUnique | Kind::ConstrPrimary | Kind::ConstrExclusion) => {
            if constraint.indexname.is_empty() {
                let (table, instead) = (table.clone(), USING_INDEX);
                out.findings.push(Finding::IndexBuild { table, instead });
            }
            Mode::AccessExclusive
        }
        Ok(Kind::ConstrNotnull) if !unchecked => {
            scan(table, "NOT NULL looks for a NULL in every row", NOT_VALID, out);
            Mode::AccessExclusive
        }
        Ok(Kind::ConstrCheck) if !unchecked => {
            scan(table, "the CHECK is tried on every row", NOT_VALID, out);
            Mode::AccessExclusive
        }
        _ => Mode::AccessExclusive,
    }
}

fn rewrite(table: &Name, why: &'static str, instead: Option<&'static str>, out: &mut Effects) {
    out.findings.push(Finding::Rewrite { table: table.clone(), why, instead });
}

fn scan(table: &Name, why: &'static str, instead: &'static str, out: &mut Effects) {
    out.findings.push(Finding::Scan { table: table.clone(), why, instead });
}

fn is_serial(column: &pg::ColumnDef) -> bool {
    let name = column.type_name.as_ref().and_then(|name| name.names.last()).and_then(string);
    let serial = ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"];
    name.is_some_and(|name| serial.contains(&name))
}

/// Storage parameters that concern writers and autovacuum alone (manual, CREATE
/// TABLE, "Storage Parameters").
fn is_harmless(option: &Node) -> bool {
    let Some(NodeEnum::DefElem(option)) = &option.node else { return false };
    let name = option.defname.as_str();
    name.starts_with("autovacuum_")
        || name.starts_with("log_autovacuum_")
        || name.starts_with("vacuum_")
        || ["fillfactor", "toast_tuple_target", "parallel_workers", "deduplicate_items"].contains(&name)
}

fn column_type<'c>(table: &Name, column: &str, catalog: &'c Catalog) -> Option<&'c str> {
    let relation = catalog.relation(&TableName::new(table.schema.as_deref()?, &table.name))?;
    relation.columns.iter().find(|one| one.name == column).map(|one| one.type_name.as_str())
}
