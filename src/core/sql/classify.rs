//! What a statement is: one arm for each kind of statement.

use super::facts::{Change, Class, CopyEnd, Name, Named, Setting, Statement, TxEffect};
use super::walk::{Walker, constant, constant_location, is_temporary, qualified, relation_name};
use pg_query::protobuf::{self as pg, DiscardMode, ObjectType, TransactionStmtKind as Tx, VariableSetKind};
use pg_query::{Node, NodeEnum};

/// The facts of one statement of a text.
pub(super) fn statement(text: &str, raw: &pg::RawStmt) -> Statement {
    let mut walker = Walker::new(Statement::new(range(text, raw)));
    let class = match &raw.stmt {
        Some(node) => walker.statement(node),
        None => Class::Unknown("an empty statement"),
    };
    let unknown = walker.unknown;
    let mut statement = walker.out;
    statement.class = unknown.map_or(class, Class::Unknown);
    statement
}

/// The parser counts bytes; a length of 0 means to the end of the text.
fn range(text: &str, raw: &pg::RawStmt) -> std::ops::Range<usize> {
    let start = usize::try_from(raw.stmt_location).unwrap_or(0);
    let length = usize::try_from(raw.stmt_len).unwrap_or(0);
    let end = if length == 0 { text.len() } else { start.saturating_add(length).min(text.len()) };
    let Some(own) = text.get(start..end) else { return 0..text.len() };
    let begun = own.trim_start();
    let start = end - begun.len();
    start..start + begun.trim_end().len()
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

            NodeEnum::CreateStmt(s) => self.create_table(s),
            NodeEnum::CreateTableAsStmt(s) => self.create_table_as(s),
            NodeEnum::DropStmt(s) => self.drop(s),
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
            NodeEnum::RefreshMatViewStmt(s) => {
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

            NodeEnum::AlterTableStmt(s) => {
                self.changed(&s.relation);
                Class::Ddl("ALTER TABLE")
            }
            NodeEnum::IndexStmt(s) => {
                self.changed(&s.relation);
                Class::Ddl("CREATE INDEX")
            }
            NodeEnum::ViewStmt(s) => {
                self.changed(&s.view);
                self.maybe(&s.query);
                Class::Ddl("CREATE VIEW")
            }
            NodeEnum::RenameStmt(s) => {
                self.changed(&s.relation);
                Class::Ddl("ALTER … RENAME")
            }
            NodeEnum::CreateTrigStmt(s) => {
                self.changed(&s.relation);
                Class::Ddl("CREATE TRIGGER")
            }
            NodeEnum::RuleStmt(s) => {
                self.changed(&s.relation);
                Class::Ddl("CREATE RULE")
            }
            NodeEnum::CreatePolicyStmt(s) => {
                self.changed(&s.table);
                Class::Ddl("CREATE POLICY")
            }
            NodeEnum::AlterPolicyStmt(s) => {
                self.changed(&s.table);
                Class::Ddl("ALTER POLICY")
            }
            other => ddl(other).map_or(Class::Unknown("a statement that it does not know"), Class::Ddl),
        }
    }

    /// The statement inside another: its class is kept with the facts.
    fn body(&mut self, query: &'t Option<Box<Node>>) {
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

    fn changed(&mut self, relation: &'t Option<pg::RangeVar>) {
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

    fn create_table(&mut self, s: &'t pg::CreateStmt) -> Class {
        let Some(relation) = &s.relation else { return Class::Unknown("a table without a name") };
        self.write(relation);
        for parent in &s.inh_relations {
            if let Some(NodeEnum::RangeVar(parent)) = &parent.node {
                self.out.reads.insert(relation_name(parent));
                self.out.writes.insert(relation_name(parent));
            }
        }
        self.nodes(&s.table_elts);
        self.nodes(&s.constraints);
        self.nodes(&s.nnconstraints);
        self.nodes(&s.options);
        self.type_name(&s.of_typename);
        if s.partspec.is_some() || s.partbound.is_some() {
            return Class::Ddl("CREATE TABLE (partitioned)");
        }
        Class::CreateTable { temporary: is_temporary(relation) }
    }

    fn create_table_as(&mut self, s: &'t pg::CreateTableAsStmt) -> Class {
        let Some(relation) = s.into.as_ref().and_then(|into| into.rel.as_ref()) else {
            return Class::Unknown("a table without a name");
        };
        self.write(relation);
        self.body(&s.query);
        if s.objtype == ObjectType::ObjectTable as i32 {
            Class::CreateTableAs { temporary: is_temporary(relation) }
        } else {
            Class::Ddl("CREATE MATERIALIZED VIEW")
        }
    }

    fn drop(&mut self, s: &'t pg::DropStmt) -> Class {
        let names: Vec<Option<Name>> = s
            .objects
            .iter()
            .map(|object| match &object.node {
                Some(NodeEnum::List(parts)) => qualified(&parts.items),
                _ => None,
            })
            .collect();
        if s.remove_type != ObjectType::ObjectTable as i32 {
            return Class::Ddl("DROP");
        }
        let temporary = names
            .iter()
            .all(|name| name.as_ref().is_some_and(|name| name.schema.as_deref() == Some("pg_temp")));
        self.out.writes.extend(names.into_iter().flatten());
        if temporary { Class::DropTemporary } else { Class::Ddl("DROP TABLE") }
    }
}

/// EXPLAIN's ANALYZE, which runs the statement, unless it is written as off.
fn is_analyze(option: &Node) -> bool {
    let Some(NodeEnum::DefElem(option)) = &option.node else { return true };
    let off = |value: String| ["off", "false", "0"].contains(&value.to_lowercase().as_str());
    option.defname == "analyze" && !option.arg.as_deref().and_then(constant).is_some_and(off)
}

/// What changes the schema or the server's objects and is told apart no further.
fn ddl(node: &NodeEnum) -> Option<&'static str> {
    Some(match node {
        NodeEnum::CreateSchemaStmt(_) => "CREATE SCHEMA",
        NodeEnum::ReplicaIdentityStmt(_) => "ALTER TABLE",
        NodeEnum::AlterCollationStmt(_) => "ALTER COLLATION",
        NodeEnum::AlterDomainStmt(_) => "ALTER DOMAIN",
        NodeEnum::CreateExtensionStmt(_) => "CREATE EXTENSION",
        NodeEnum::AlterExtensionStmt(_) | NodeEnum::AlterExtensionContentsStmt(_) => "ALTER EXTENSION",
        NodeEnum::CreateFdwStmt(_) => "CREATE FOREIGN DATA WRAPPER",
        NodeEnum::AlterFdwStmt(_) => "ALTER FOREIGN DATA WRAPPER",
        NodeEnum::CreateForeignServerStmt(_) => "CREATE SERVER",
        NodeEnum::AlterForeignServerStmt(_) => "ALTER SERVER",
        NodeEnum::CreateForeignTableStmt(_) => "CREATE FOREIGN TABLE",
        NodeEnum::CreateUserMappingStmt(_) => "CREATE USER MAPPING",
        NodeEnum::AlterUserMappingStmt(_) => "ALTER USER MAPPING",
        NodeEnum::DropUserMappingStmt(_) => "DROP USER MAPPING",
        NodeEnum::ImportForeignSchemaStmt(_) => "IMPORT FOREIGN SCHEMA",
        NodeEnum::CreateAmStmt(_) => "CREATE ACCESS METHOD",
        NodeEnum::CreateEventTrigStmt(_) => "CREATE EVENT TRIGGER",
        NodeEnum::AlterEventTrigStmt(_) => "ALTER EVENT TRIGGER",
        NodeEnum::CreatePlangStmt(_) => "CREATE LANGUAGE",
        NodeEnum::CreateSeqStmt(_) => "CREATE SEQUENCE",
        NodeEnum::AlterSeqStmt(_) => "ALTER SEQUENCE",
        NodeEnum::DefineStmt(_) => "CREATE AGGREGATE, OPERATOR, TYPE, TEXT SEARCH or COLLATION",
        NodeEnum::CreateDomainStmt(_) => "CREATE DOMAIN",
        NodeEnum::CreateOpClassStmt(_) => "CREATE OPERATOR CLASS",
        NodeEnum::CreateOpFamilyStmt(_) => "CREATE OPERATOR FAMILY",
        NodeEnum::AlterOpFamilyStmt(_) => "ALTER OPERATOR FAMILY",
        NodeEnum::CommentStmt(_) => "COMMENT",
        NodeEnum::SecLabelStmt(_) => "SECURITY LABEL",
        NodeEnum::CreateStatsStmt(_) => "CREATE STATISTICS",
        NodeEnum::AlterStatsStmt(_) => "ALTER STATISTICS",
        NodeEnum::CreateFunctionStmt(_) => "CREATE FUNCTION",
        NodeEnum::AlterFunctionStmt(_) => "ALTER FUNCTION",
        NodeEnum::AlterObjectDependsStmt(_) => "ALTER … DEPENDS ON EXTENSION",
        NodeEnum::AlterObjectSchemaStmt(_) => "ALTER … SET SCHEMA",
        NodeEnum::AlterOwnerStmt(_) => "ALTER … OWNER TO",
        NodeEnum::AlterOperatorStmt(_) => "ALTER OPERATOR",
        NodeEnum::AlterTypeStmt(_) | NodeEnum::AlterEnumStmt(_) => "ALTER TYPE",
        NodeEnum::CompositeTypeStmt(_) | NodeEnum::CreateEnumStmt(_) | NodeEnum::CreateRangeStmt(_) => {
            "CREATE TYPE"
        }
        NodeEnum::CreateConversionStmt(_) => "CREATE CONVERSION",
        NodeEnum::CreateCastStmt(_) => "CREATE CAST",
        NodeEnum::CreateTransformStmt(_) => "CREATE TRANSFORM",
        NodeEnum::AlterTsdictionaryStmt(_) => "ALTER TEXT SEARCH DICTIONARY",
        NodeEnum::AlterTsconfigurationStmt(_) => "ALTER TEXT SEARCH CONFIGURATION",
        NodeEnum::CreatePublicationStmt(_) => "CREATE PUBLICATION",
        NodeEnum::AlterPublicationStmt(_) => "ALTER PUBLICATION",
        NodeEnum::CreateSubscriptionStmt(_) => "CREATE SUBSCRIPTION",
        NodeEnum::AlterSubscriptionStmt(_) => "ALTER SUBSCRIPTION",
        NodeEnum::DropSubscriptionStmt(_) => "DROP SUBSCRIPTION",
        _ => return None,
    })
}
