//! What a statement is: one arm for each kind of statement.

use super::facts::{Change, Class, CopyEnd, Named, Setting, Statement, TxEffect};
use super::record;
use super::walk::{Walker, constant, constant_location};
use pg_query::protobuf::{self as pg, DiscardMode, TransactionStmtKind as Tx, VariableSetKind};
use pg_query::{Node, NodeEnum};

/// The bit of WITH HOLD (`parsenodes.h`).
const CURSOR_OPT_HOLD: i32 = 0x20;

/// The facts of one statement of a text.
pub(super) fn statement(text: &str, raw: &pg::RawStmt) -> Statement {
    let mut walker = Walker::new(Statement::new(range(text, raw)));
    let class = match &raw.stmt {
        Some(node) => walker.statement(node),
        None => Class::Unknown("an empty statement"),
    };
    walker.finish();
    let unknown = walker.unknown;
    let mut statement = walker.out;
    statement.class = unknown.map_or(class, Class::Unknown);
    statement.record = record::of(&statement);
    statement
}

/// White space as PostgreSQL's scanner has it. What Unicode has besides is part
/// of a name there: cutting it off would cut the name.
const SPACE: [char; 6] = [' ', '\t', '\n', '\r', '\x0b', '\x0c'];

/// The parser counts bytes; a length of 0 means to the end of the text.
fn range(text: &str, raw: &pg::RawStmt) -> std::ops::Range<usize> {
    let start = usize::try_from(raw.stmt_location).unwrap_or(0);
    let length = usize::try_from(raw.stmt_len).unwrap_or(0);
    let end = if length == 0 { text.len() } else { start.saturating_add(length).min(text.len()) };
    let Some(own) = text.get(start..end) else { return 0..text.len() };
    let begun = own.trim_start_matches(SPACE);
    let start = end - begun.len();
    start..start + begun.trim_end_matches(SPACE).len()
}

impl<'t> Walker<'t> {
    fn statement(&mut self, node: &'t Node) -> Class {
        let Some(node) = &node.node else { return Class::Unknown("an empty statement") };
        match node {
            NodeEnum::SelectStmt(s) => {
                self.select(s);
                match self.into.take() {
                    Some(temporary) => Class::SelectInto { temporary },
                    None if s.values_lists.is_empty() => Class::Select,
                    None => Class::Values,
                }
            }
            NodeEnum::InsertStmt(s) => {
                self.insert(s);
                Class::Insert
            }
            NodeEnum::UpdateStmt(s) => {
                self.update(s);
                Class::Update
            }
            NodeEnum::DeleteStmt(s) => {
                self.delete(s);
                Class::Delete
            }
            NodeEnum::MergeStmt(s) => {
                self.merge(s);
                Class::Merge
            }
            NodeEnum::TruncateStmt(s) => {
                self.written(&s.relations);
                Class::Truncate
            }
            NodeEnum::CopyStmt(s) => self.copy(s),
            NodeEnum::TransactionStmt(s) => self.transaction(s),

            NodeEnum::VariableSetStmt(s) => self.set(s),
            NodeEnum::VariableShowStmt(_) => Class::Show,
            NodeEnum::ConstraintsSetStmt(_) => Class::SetConstraints,
            NodeEnum::DiscardStmt(s) => {
                if s.target == DiscardMode::DiscardAll as i32 {
                    self.setting("*", Change::Back);
                }
                Class::Discard
            }

            NodeEnum::ExplainStmt(s) => {
                self.body(&s.query);
                Class::Explain { analyze: s.options.iter().any(is_analyze) }
            }
            NodeEnum::PrepareStmt(s) => {
                self.subject(&s.name);
                self.nodes(&s.argtypes);
                self.body(&s.query);
                Class::Prepare
            }
            NodeEnum::ExecuteStmt(s) => {
                self.subject(&s.name);
                self.nodes(&s.params);
                Class::Execute
            }
            NodeEnum::DeallocateStmt(s) => {
                self.subject(&s.name);
                Class::Deallocate
            }
            NodeEnum::DeclareCursorStmt(s) => {
                self.subject(&s.portalname);
                self.out.hold = s.options & CURSOR_OPT_HOLD != 0;
                self.body(&s.query);
                Class::DeclareCursor
            }
            NodeEnum::FetchStmt(s) => {
                self.subject(&s.portalname);
                if s.ismove { Class::Move } else { Class::Fetch }
            }
            NodeEnum::ClosePortalStmt(s) => {
                self.subject(&s.portalname);
                Class::Close
            }
            NodeEnum::ListenStmt(s) => {
                self.subject(&s.conditionname);
                Class::Listen
            }
            NodeEnum::UnlistenStmt(s) => {
                self.subject(&s.conditionname);
                Class::Unlisten
            }
            NodeEnum::NotifyStmt(s) => {
                self.subject(&s.conditionname);
                Class::Notify
            }
            NodeEnum::LockStmt(s) => {
                // ACCESS SHARE is what a SELECT takes.
                if s.mode == pg_query::LockMode::AccessShareLock as i32 {
                    self.nodes(&s.relations);
                } else {
                    self.written(&s.relations);
                    for node in &s.relations {
                        if let Some(NodeEnum::RangeVar(relation)) = &node.node {
                            self.named(relation);
                        }
                    }
                }
                Class::Lock { mode: s.mode }
            }

            NodeEnum::CallStmt(s) => {
                if let Some(call) = &s.funccall {
                    self.call(call);
                }
                Class::Call
            }
            NodeEnum::DoStmt(_) => Class::Do,

            NodeEnum::VacuumStmt(s) => {
                for node in &s.rels {
                    if let Some(NodeEnum::VacuumRelation(rel)) = &node.node {
                        self.changed(&rel.relation);
                    }
                }
                Class::Maintenance
            }
            NodeEnum::ClusterStmt(s) => {
                self.changed(&s.relation);
                Class::Maintenance
            }
            NodeEnum::ReindexStmt(s) => {
                self.changed(&s.relation);
                Class::Maintenance
            }

            NodeEnum::GrantStmt(_) | NodeEnum::GrantRoleStmt(_) | NodeEnum::AlterDefaultPrivilegesStmt(_) => {
                Class::Privileges
            }
            NodeEnum::CreateRoleStmt(_)
            | NodeEnum::AlterRoleStmt(_)
            | NodeEnum::AlterRoleSetStmt(_)
            | NodeEnum::DropRoleStmt(_)
            | NodeEnum::DropOwnedStmt(_)
            | NodeEnum::ReassignOwnedStmt(_)
            | NodeEnum::CreatedbStmt(_)
            | NodeEnum::AlterDatabaseStmt(_)
            | NodeEnum::AlterDatabaseRefreshCollStmt(_)
            | NodeEnum::AlterDatabaseSetStmt(_)
            | NodeEnum::DropdbStmt(_)
            | NodeEnum::CreateTableSpaceStmt(_)
            | NodeEnum::DropTableSpaceStmt(_)
            | NodeEnum::AlterTableSpaceOptionsStmt(_)
            | NodeEnum::AlterTableMoveAllStmt(_) => Class::Roles,
            NodeEnum::AlterSystemStmt(_) => Class::AlterSystem,
            NodeEnum::LoadStmt(_) => Class::Load,
            NodeEnum::CheckPointStmt(_) => Class::Checkpoint,

            other => self.schema_change(other).unwrap_or(Class::Unknown("a statement that it does not know")),
        }
    }

    /// The statement inside another: its class is kept with the facts.
    pub fn body(&mut self, query: &'t Option<Box<Node>>) {
        let Some(query) = query else { return self.unknown("a statement without a body") };
        let at = self.out.bodies.len();
        let class = self.statement(query);
        self.out.bodies.insert(at, class);
    }

    fn subject(&mut self, name: &str) {
        if !name.is_empty() {
            self.out.subject = Some(name.to_owned());
        }
    }

    pub fn changed(&mut self, relation: &'t Option<pg::RangeVar>) {
        if let Some(relation) = relation {
            self.write(relation);
        }
    }

    fn written(&mut self, relations: &'t [Node]) {
        for node in relations {
            match &node.node {
                Some(NodeEnum::RangeVar(relation)) => self.write(relation),
                _ => self.unknown("a relation without a name"),
            }
        }
    }

    fn copy(&mut self, s: &'t pg::CopyStmt) -> Class {
        let end = match (s.is_program, s.filename.is_empty()) {
            (true, _) => CopyEnd::Program,
            (false, true) => CopyEnd::Client,
            (false, false) => CopyEnd::File,
        };
        self.column_names(&s.attlist);
        self.nodes(&s.options);
        self.maybe(&s.where_clause);
        if s.query.is_some() {
            self.body(&s.query);
        }
        if s.is_from {
            self.changed(&s.relation);
            if let Some(relation) = &s.relation {
                self.named(relation);
            }
            return Class::CopyIn(end);
        }
        if let Some(relation) = &s.relation {
            self.read(relation);
            if s.attlist.is_empty() {
                self.out.columns.insert("*".to_owned());
            }
        }
        self.out.export = true;
        Class::CopyOut(end)
    }

    fn transaction(&mut self, s: &'t pg::TransactionStmt) -> Class {
        self.subject(&s.savepoint_name);
        for option in &s.options {
            self.mode(option, "");
        }
        let chain = s.chain;
        let (class, effect) = match Tx::try_from(s.kind) {
            Ok(Tx::TransStmtBegin | Tx::TransStmtStart) => (Class::Begin, TxEffect::Begin),
            Ok(Tx::TransStmtCommit) => (Class::Commit, TxEffect::Commit { chain }),
            Ok(Tx::TransStmtRollback) => (Class::Rollback, TxEffect::Rollback { chain }),
            Ok(Tx::TransStmtSavepoint) => (Class::Savepoint, TxEffect::Savepoint),
            Ok(Tx::TransStmtRelease) => (Class::Release, TxEffect::Release),
            Ok(Tx::TransStmtRollbackTo) => (Class::RollbackTo, TxEffect::RollbackTo),
            Ok(Tx::TransStmtPrepare) => (Class::PrepareTransaction, TxEffect::None),
            Ok(Tx::TransStmtCommitPrepared) => (Class::CommitPrepared, TxEffect::None),
            Ok(Tx::TransStmtRollbackPrepared) => (Class::RollbackPrepared, TxEffect::None),
            Ok(Tx::Undefined) | Err(_) => (Class::Unknown("a transaction command"), TxEffect::None),
        };
        self.out.effect = effect;
        class
    }

    fn set(&mut self, s: &'t pg::VariableSetStmt) -> Class {
        let name = s.name.to_lowercase();
        match VariableSetKind::try_from(s.kind) {
            Ok(VariableSetKind::VarSetValue) => {
                for item in s.args.iter().filter(|_| name == "search_path") {
                    if let (Some(at), Some(schema)) = (constant_location(item), constant(item)) {
                        self.spot(at, Named::PathItem(schema));
                    }
                }
                let values: Option<Vec<String>> = s.args.iter().map(constant).collect();
                self.setting(&name, values.map_or(Change::Unknown, |v| Change::To(v.join(", "))));
                Class::Set
            }
            Ok(VariableSetKind::VarSetDefault) => {
                self.setting(&name, Change::Back);
                Class::Set
            }
            Ok(VariableSetKind::VarSetMulti) => {
                match name.as_str() {
                    "transaction" => s.args.iter().for_each(|option| self.mode(option, "")),
                    "session characteristics" => {
                        s.args.iter().for_each(|option| self.mode(option, "default_"));
                    }
                    _ => self.setting(&name.replace(' ', "_"), Change::Unknown),
                }
                Class::Set
            }
            Ok(VariableSetKind::VarReset) => {
                self.setting(&name, Change::Back);
                Class::Reset
            }
            Ok(VariableSetKind::VarResetAll) => {
                self.setting("*", Change::Back);
                Class::Reset
            }
            // SET x FROM CURRENT stands only in function definitions.
            _ => Class::Unknown("a way of SET that it does not know"),
        }
    }

    /// A transaction mode is a setting by another spelling.
    fn mode(&mut self, option: &'t Node, prefix: &str) {
        let Some(NodeEnum::DefElem(option)) = &option.node else {
            return self.unknown("a transaction mode");
        };
        let value = option.arg.as_deref().and_then(constant);
        self.setting(&format!("{prefix}{}", option.defname), value.map_or(Change::Unknown, Change::To));
    }

    fn setting(&mut self, name: &str, change: Change) {
        self.out.settings.push(Setting { name: name.to_owned(), change });
    }
}

/// EXPLAIN's ANALYZE, which runs the statement, unless it is written as off.
fn is_analyze(option: &Node) -> bool {
    let Some(NodeEnum::DefElem(option)) = &option.node else { return true };
    let off = |value: String| ["off", "false", "0"].contains(&value.to_lowercase().as_str());
    option.defname == "analyze" && !option.arg.as_deref().and_then(constant).is_some_and(off)
}
