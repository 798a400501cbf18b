//! Changes of the schema: which of them a migration is made of, and what they
//! touch. A statement with any part beyond that (an owner, a trigger, a policy,
//! a tablespace, CASCADE) is [`Class::Ddl`], named by that part.

use super::facts::{Class, Name};
use super::walk::{Walker, is_temporary, qualified, relation_name, strings};
use pg_query::protobuf::{self as pg, AlterTableType as At, DropBehavior, ObjectType};
use pg_query::{Node, NodeEnum};

const TABLESPACE: Class = Class::Ddl("choosing a TABLESPACE");
const CASCADE: Class = Class::Ddl("CASCADE in a change of the schema");

impl<'t> Walker<'t> {
    /// The class of a statement that changes the schema; `None` for others.
    pub fn schema_change(&mut self, node: &'t NodeEnum) -> Option<Class> {
        Some(match node {
            NodeEnum::CreateStmt(s) => self.create_table(s),
            NodeEnum::CreateTableAsStmt(s) => self.create_table_as(s),
            NodeEnum::DropStmt(s) => self.drop(s),
            NodeEnum::AlterTableStmt(s) => self.alter_table(s),
            NodeEnum::RenameStmt(s) => self.rename(s),
            NodeEnum::CommentStmt(s) => self.comment(s),
            NodeEnum::IndexStmt(s) => {
                self.changed(&s.relation);
                self.nodes(&s.index_params);
                self.nodes(&s.index_including_params);
                self.nodes(&s.options);
                self.maybe(&s.where_clause);
                if s.table_space.is_empty() { Class::Migration("CREATE INDEX") } else { TABLESPACE }
            }
            NodeEnum::ViewStmt(s) => {
                self.changed(&s.view);
                self.body(&s.query);
                self.nodes(&s.options);
                if s.options.iter().all(is_strict_view_option) {
                    Class::Migration("CREATE VIEW")
                } else {
                    Class::Ddl("CREATE VIEW with such an option")
                }
            }
            NodeEnum::RefreshMatViewStmt(s) => {
                self.changed(&s.relation);
                Class::Migration("REFRESH MATERIALIZED VIEW")
            }
            NodeEnum::CreateSeqStmt(s) => {
                self.changed(&s.sequence);
                self.sequence_options(&s.options);
                Class::Migration("CREATE SEQUENCE")
            }
            NodeEnum::AlterSeqStmt(s) => {
                self.changed(&s.sequence);
                self.sequence_options(&s.options);
                Class::Migration("ALTER SEQUENCE")
            }
            NodeEnum::CompositeTypeStmt(s) => {
                self.changed(&s.typevar);
                self.nodes(&s.coldeflist);
                Class::Migration("CREATE TYPE")
            }
            NodeEnum::CreateEnumStmt(s) => {
                self.changes(qualified(&s.type_name));
                Class::Migration("CREATE TYPE")
            }
            NodeEnum::AlterEnumStmt(s) => {
                self.changes(qualified(&s.type_name));
                Class::Migration("ALTER TYPE")
            }
            NodeEnum::CreateDomainStmt(s) => {
                self.changes(qualified(&s.domainname));
                self.type_name(&s.type_name);
                self.nodes(&s.constraints);
                Class::Migration("CREATE DOMAIN")
            }
            NodeEnum::AlterDomainStmt(s) => {
                self.changes(qualified(&s.type_name));
                self.maybe(&s.def);
                if is_cascade(s.behavior) { CASCADE } else { Class::Migration("ALTER DOMAIN") }
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
            other => Class::Ddl(never(other)?),
        })
    }

    fn changes(&mut self, name: Option<Name>) {
        match name {
            Some(name) => drop(self.out.writes.insert(name)),
            None => self.unknown("an object without a name"),
        }
    }

    fn create_table(&mut self, s: &'t pg::CreateStmt) -> Class {
        let Some(relation) = &s.relation else { return Class::Unknown("a table without a name") };
        self.write(relation);
        for parent in &s.inh_relations {
            if let Some(NodeEnum::RangeVar(parent)) = &parent.node {
                self.out.reads.insert(relation_name(parent));
                self.write(parent);
            }
        }
        self.nodes(&s.table_elts);
        self.nodes(&s.constraints);
        self.nodes(&s.nnconstraints);
        self.nodes(&s.options);
        self.type_name(&s.of_typename);
        if let Some(by) = &s.partspec {
            self.partition_keys(&by.part_params);
        }
        if let Some(bound) = &s.partbound {
            self.partition_bound(bound);
        }
        if s.tablespacename.is_empty() && self.tablespaces(&s.table_elts).is_none() {
            Class::CreateTable { temporary: is_temporary(relation) }
        } else {
            TABLESPACE
        }
    }

    fn partition_keys(&mut self, keys: &'t [Node]) {
        for key in keys {
            match &key.node {
                Some(NodeEnum::PartitionElem(key)) => self.maybe(&key.expr),
                _ => self.unknown("a part of PARTITION BY that it does not know"),
            }
        }
    }

    fn partition_bound(&mut self, bound: &'t pg::PartitionBoundSpec) {
        self.nodes(&bound.listdatums);
        self.nodes(&bound.lowerdatums);
        self.nodes(&bound.upperdatums);
    }

    /// The first constraint whose index is put into a tablespace.
    fn tablespaces(&self, elements: &'t [Node]) -> Option<()> {
        let chosen = |node: &Node| match &node.node {
            Some(NodeEnum::Constraint(c)) => !c.indexspace.is_empty(),
            Some(NodeEnum::ColumnDef(c)) => c
                .constraints
                .iter()
                .any(|c| matches!(&c.node, Some(NodeEnum::Constraint(c)) if !c.indexspace.is_empty())),
            _ => false,
        };
        elements.iter().any(chosen).then_some(())
    }

    fn create_table_as(&mut self, s: &'t pg::CreateTableAsStmt) -> Class {
        let Some(into) = &s.into else { return Class::Unknown("a table without a name") };
        let Some(relation) = &into.rel else { return Class::Unknown("a table without a name") };
        self.write(relation);
        self.nodes(&into.options);
        self.body(&s.query);
        if !into.table_space_name.is_empty() {
            TABLESPACE
        } else if s.objtype == ObjectType::ObjectTable as i32 {
            Class::CreateTableAs { temporary: is_temporary(relation) }
        } else {
            Class::Migration("CREATE MATERIALIZED VIEW")
        }
    }

    fn drop(&mut self, s: &'t pg::DropStmt) -> Class {
        let verb = match ObjectType::try_from(s.remove_type) {
            Ok(ObjectType::ObjectTable) => "DROP TABLE",
            Ok(ObjectType::ObjectIndex) => "DROP INDEX",
            Ok(ObjectType::ObjectSequence) => "DROP SEQUENCE",
            Ok(ObjectType::ObjectView) => "DROP VIEW",
            Ok(ObjectType::ObjectMatview) => "DROP MATERIALIZED VIEW",
            Ok(ObjectType::ObjectType) => "DROP TYPE",
            Ok(ObjectType::ObjectDomain) => "DROP DOMAIN",
            Ok(ObjectType::ObjectSchema) => return Class::Ddl("DROP SCHEMA"),
            _ => return Class::Ddl("DROP of such an object"),
        };
        let names: Vec<Option<Name>> = s.objects.iter().map(object_name).collect();
        let is_temporary =
            |name: &Option<Name>| name.as_ref().is_some_and(|name| name.schema.as_deref() == Some("pg_temp"));
        let temporary = verb == "DROP TABLE" && names.iter().all(is_temporary);
        names.into_iter().for_each(|name| self.changes(name));
        match () {
            () if temporary => Class::DropTemporary,
            () if is_cascade(s.behavior) => CASCADE,
            () => Class::Migration(verb),
        }
    }

    fn alter_table(&mut self, s: &'t pg::AlterTableStmt) -> Class {
        self.changed(&s.relation);
        let (verb, is_view) = match ObjectType::try_from(s.objtype) {
            Ok(ObjectType::ObjectTable) => ("ALTER TABLE", false),
            Ok(ObjectType::ObjectIndex) => ("ALTER INDEX", false),
            Ok(ObjectType::ObjectSequence) => ("ALTER SEQUENCE", false),
            Ok(ObjectType::ObjectView) => ("ALTER VIEW", true),
            Ok(ObjectType::ObjectMatview) => ("ALTER MATERIALIZED VIEW", false),
            Ok(ObjectType::ObjectType) => ("ALTER TYPE", false),
            _ => return Class::Ddl("ALTER of such an object"),
        };
        let mut beyond = None;
        for node in &s.cmds {
            let Some(NodeEnum::AlterTableCmd(command)) = &node.node else {
                return Class::Unknown("a part of ALTER TABLE that it does not know");
            };
            beyond = beyond.or_else(|| beyond_migration(command, is_view));
            match command.def.as_ref().and_then(|def| def.node.as_ref()) {
                Some(NodeEnum::PartitionCmd(partition)) => {
                    self.changed(&partition.name);
                    if let Some(bound) = &partition.bound {
                        self.partition_bound(bound);
                    }
                }
                // INHERIT and NO INHERIT.
                Some(NodeEnum::RangeVar(parent)) => self.write(parent),
                // Refused above.
                Some(NodeEnum::ReplicaIdentityStmt(_)) => {}
                _ => self.maybe(&command.def),
            }
            let name = std::slice::from_ref(&command.name);
            self.out.columns.extend(name.iter().filter(|name| !name.is_empty()).cloned());
            if let Some(def) = &command.def
                && self.tablespaces(std::slice::from_ref(def)).is_some()
            {
                beyond = Some(TABLESPACE);
            }
        }
        beyond.unwrap_or(Class::Migration(verb))
    }

    fn rename(&mut self, s: &'t pg::RenameStmt) -> Class {
        use ObjectType as O;
        let known = match O::try_from(s.rename_type) {
            Ok(O::ObjectTable | O::ObjectIndex | O::ObjectSequence | O::ObjectView | O::ObjectMatview) => {
                true
            }
            Ok(O::ObjectColumn) => s.relation_type != O::ObjectForeignTable as i32,
            Ok(O::ObjectAttribute | O::ObjectTabconstraint) => true,
            Ok(O::ObjectType | O::ObjectDomain | O::ObjectDomconstraint) => true,
            _ => false,
        };
        if !known {
            return Class::Ddl("renaming of such an object");
        }
        match (&s.relation, &s.object) {
            (Some(relation), _) => self.write(relation),
            (None, Some(object)) => self.changes(object_name(object)),
            (None, None) => self.unknown("an object without a name"),
        }
        if is_cascade(s.behavior) { CASCADE } else { Class::Migration("ALTER … RENAME") }
    }

    fn comment(&mut self, s: &'t pg::CommentStmt) -> Class {
        use ObjectType as O;
        let Some(object) = &s.object else { return Class::Unknown("a comment on nothing") };
        let name = match O::try_from(s.objtype) {
            Ok(
                O::ObjectTable
                | O::ObjectIndex
                | O::ObjectSequence
                | O::ObjectView
                | O::ObjectMatview
                | O::ObjectType
                | O::ObjectDomain,
            ) => object_name(object),
            // The last name is the column's or the constraint's.
            Ok(O::ObjectColumn | O::ObjectTabconstraint) => match &object.node {
                Some(NodeEnum::List(parts)) => {
                    parts.items.split_last().and_then(|(_, table)| qualified(table))
                }
                _ => None,
            },
            _ => return Class::Ddl("COMMENT on such an object"),
        };
        self.changes(name);
        Class::Migration("COMMENT")
    }

    /// OWNED BY names a column, `s.t.c`, whose table must be its owner's too.
    fn sequence_options(&mut self, options: &'t [Node]) {
        for option in options {
            let Some(NodeEnum::DefElem(option)) = &option.node else { continue };
            match option.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
                Some(NodeEnum::List(names)) if option.defname == "owned_by" => {
                    if strings(&names.items) != ["none"] {
                        let table = names.items.split_last().map(|(_, table)| qualified(table));
                        self.changes(table.flatten());
                    }
                }
                _ => self.maybe(&option.arg),
            }
        }
    }
}

/// Of a table and kin `[schema, name]`, of a type its TypeName.
fn object_name(object: &Node) -> Option<Name> {
    match object.node.as_ref()? {
        NodeEnum::List(parts) => qualified(&parts.items),
        NodeEnum::TypeName(name) => qualified(&name.names),
        _ => None,
    }
}

fn is_cascade(behavior: i32) -> bool {
    behavior == DropBehavior::DropCascade as i32
}

/// A view runs with its owner's rights unless it is told otherwise; an option
/// may only make it stricter.
fn is_strict_view_option(option: &Node) -> bool {
    let Some(NodeEnum::DefElem(option)) = &option.node else { return false };
    let value = option.arg.as_deref().and_then(super::walk::constant);
    let on = value.is_none_or(|value| ["true", "on", "1"].contains(&value.to_lowercase().as_str()));
    match option.defname.as_str() {
        "security_barrier" | "security_invoker" => on,
        "check_option" => true,
        _ => false,
    }
}

/// What of ALTER TABLE is no part of a migration.
fn beyond_migration(command: &pg::AlterTableCmd, is_view: bool) -> Option<Class> {
    if is_cascade(command.behavior) {
        return Some(CASCADE);
    }
    Some(Class::Ddl(match At::try_from(command.subtype) {
        Ok(At::AtSetRelOptions | At::AtResetRelOptions) if is_view => "ALTER VIEW … SET (…)",
        Ok(
            At::AtAddColumn
            | At::AtColumnDefault
            | At::AtDropNotNull
            | At::AtSetNotNull
            | At::AtSetExpression
            | At::AtDropExpression
            | At::AtSetStatistics
            | At::AtSetOptions
            | At::AtResetOptions
            | At::AtSetStorage
            | At::AtSetCompression
            | At::AtDropColumn
            | At::AtAddIndex
            | At::AtAddConstraint
            | At::AtAlterConstraint
            | At::AtValidateConstraint
            | At::AtAddIndexConstraint
            | At::AtDropConstraint
            | At::AtAlterColumnType
            | At::AtClusterOn
            | At::AtDropCluster
            | At::AtSetLogged
            | At::AtSetUnLogged
            | At::AtSetRelOptions
            | At::AtResetRelOptions
            | At::AtAddInherit
            | At::AtDropInherit
            | At::AtAttachPartition
            | At::AtDetachPartition
            | At::AtDetachPartitionFinalize
            | At::AtAddIdentity
            | At::AtSetIdentity
            | At::AtDropIdentity,
        ) => return None,
        Ok(At::AtChangeOwner) => "ALTER … OWNER TO",
        Ok(At::AtSetTableSpace) => return Some(TABLESPACE),
        Ok(
            At::AtEnableRowSecurity
            | At::AtDisableRowSecurity
            | At::AtForceRowSecurity
            | At::AtNoForceRowSecurity,
        ) => "ALTER TABLE … ROW LEVEL SECURITY",
        Ok(
            At::AtEnableTrig
            | At::AtEnableAlwaysTrig
            | At::AtEnableReplicaTrig
            | At::AtDisableTrig
            | At::AtEnableTrigAll
            | At::AtDisableTrigAll
            | At::AtEnableTrigUser
            | At::AtDisableTrigUser,
        ) => "ALTER TABLE … TRIGGER",
        Ok(At::AtEnableRule | At::AtEnableAlwaysRule | At::AtEnableReplicaRule | At::AtDisableRule) => {
            "ALTER TABLE … RULE"
        }
        _ => "ALTER TABLE in such a way",
    }))
}

/// What no migration holds.
fn never(node: &NodeEnum) -> Option<&'static str> {
    Some(match node {
        NodeEnum::CreateSchemaStmt(_) => "CREATE SCHEMA",
        NodeEnum::ReplicaIdentityStmt(_) => "ALTER TABLE … REPLICA IDENTITY",
        NodeEnum::AlterCollationStmt(_) => "ALTER COLLATION",
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
        NodeEnum::DefineStmt(_) => "CREATE AGGREGATE, OPERATOR, base TYPE, TEXT SEARCH or COLLATION",
        NodeEnum::CreateOpClassStmt(_) => "CREATE OPERATOR CLASS",
        NodeEnum::CreateOpFamilyStmt(_) => "CREATE OPERATOR FAMILY",
        NodeEnum::AlterOpFamilyStmt(_) => "ALTER OPERATOR FAMILY",
        NodeEnum::SecLabelStmt(_) => "SECURITY LABEL",
        NodeEnum::CreateStatsStmt(_) => "CREATE STATISTICS",
        NodeEnum::AlterStatsStmt(_) => "ALTER STATISTICS",
        NodeEnum::CreateFunctionStmt(_) => "CREATE FUNCTION",
        NodeEnum::AlterFunctionStmt(_) => "ALTER FUNCTION",
        NodeEnum::AlterObjectDependsStmt(_) => "ALTER … DEPENDS ON EXTENSION",
        NodeEnum::AlterObjectSchemaStmt(_) => "ALTER … SET SCHEMA",
        NodeEnum::AlterOwnerStmt(_) => "ALTER … OWNER TO",
        NodeEnum::AlterOperatorStmt(_) => "ALTER OPERATOR",
        NodeEnum::AlterTypeStmt(_) => "ALTER TYPE … SET (…)",
        NodeEnum::CreateRangeStmt(_) => "CREATE TYPE … AS RANGE",
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
