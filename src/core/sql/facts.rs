//! What is known of a text once PostgreSQL's grammar has read it.

use super::redact;
use crate::core::model::{StatementFacts, TableName};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// One text: what one Query or Parse message carries. Empty texts and texts of
/// comments only hold no statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub statements: Vec<Statement>,
}

/// One statement, with everything found anywhere inside it: in subqueries,
/// common table expressions, and the bodies of PREPARE, EXPLAIN, DECLARE and COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Byte range in the text, without surrounding white space and semicolon.
    pub range: Range<usize>,
    pub class: Class,
    /// The classes of the statements it carries: of EXPLAIN, PREPARE, DECLARE
    /// CURSOR, COPY (query) and CREATE TABLE AS, outermost first.
    pub bodies: Vec<Class>,
    /// Relations that are read. A name that a common table expression hides is
    /// left out only where PostgreSQL's scoping hides it.
    pub reads: BTreeSet<Name>,
    /// Relations that are written, created, altered, dropped, locked or truncated;
    /// of a change of the schema its types too, and what a foreign key points at.
    pub writes: BTreeSet<Name>,
    pub functions: BTreeSet<Name>,
    /// Types that are named: of casts, column definitions, parameters.
    pub types: BTreeSet<Name>,
    /// Operators, those too that the grammar has no sign for: CASE x WHEN is `=`.
    pub operators: BTreeSet<Name>,
    /// Settings that are changed, by SET, RESET, BEGIN or `set_config`.
    pub settings: Vec<Setting>,
    /// Columns by bare name, as far as they are named; `*` stands for all, and
    /// for those of a table whose columns get other names: `FROM t AS t(a, b)`.
    pub columns: BTreeSet<String>,
    /// Names after a dot, which PostgreSQL reads as a call where there is no
    /// such column: `f` of `t.f`, `s.t.f` and `(x).f`.
    pub attributes: BTreeSet<Attribute>,
    /// One of them is of an expression, `(x).f`, rather than of a table.
    pub expression_attributes: bool,
    /// A table's name or alias stands where a column could: its whole row.
    pub whole_rows: bool,
    /// A common table expression holds INSERT, UPDATE, DELETE or MERGE.
    pub modifying_cte: bool,
    /// Those, and what a MERGE does to rows.
    pub inner: BTreeSet<Class>,
    /// FOR UPDATE, FOR SHARE and kin.
    pub locks_rows: bool,
    /// The prepared statement, cursor, savepoint or channel that is named; for
    /// DEALLOCATE, CLOSE and UNLISTEN `None` is all.
    pub subject: Option<String>,
    /// Rows leave as COPY data rather than as a result.
    pub export: bool,
    /// A cursor WITH HOLD: its rows are set aside when the transaction ends.
    pub hold: bool,
    pub effect: TxEffect,
    /// Where a schema is named, for [`super::Rewrite`].
    pub spots: Vec<Spot>,
    /// These facts as the ledger keeps them.
    pub record: StatementFacts,
    /// What is left without values, once somebody has asked for it. Texts that
    /// share these facts differ in values alone.
    pub(super) redacted: OnceLock<Arc<Redacted>>,
}

/// A statement without its values.
#[derive(Debug, PartialEq, Eq)]
pub struct Redacted {
    pub text: String,
    /// The facts without names that look like values.
    pub record: StatementFacts,
}

/// A place in a statement that names a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// In bytes from the beginning of the statement's range.
    pub at: usize,
    pub what: Named,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// `schema.relation`, or a column named with both.
    Relation {
        relation: TableName,
        /// The database's name stands in front.
        database: bool,
    },
    /// One item of `SET search_path`, or the only one of `SET SCHEMA`.
    PathItem(String),
    /// The whole search path as the constant of `set_config`.
    PathText(String),
}

/// A name after a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attribute {
    pub name: String,
    /// The table before the dot, where that is certain.
    pub relation: Option<Name>,
}

/// A name as written, with its schema where it has one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub schema: Option<String>,
    pub name: String,
}

impl Name {
    pub fn new(schema: Option<&str>, name: &str) -> Self {
        Self { schema: schema.map(str::to_owned), name: name.to_owned() }
    }

    /// Whether it can mean the system's own: no schema, or `pg_catalog`.
    pub fn may_be_builtin(&self) -> bool {
        self.schema.as_deref().is_none_or(|schema| schema == "pg_catalog")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => f.pad(&format!("{schema}.{}", self.name)),
            None => f.pad(&self.name),
        }
    }
}

/// What happens to one setting. Names are lower case; `*` is RESET ALL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub name: String,
    pub change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The constant that is written; items of a list are joined by `, `.
    To(String),
    /// RESET or DEFAULT: back to what the session began with.
    Back,
    /// Not a constant, so not known before it runs.
    Unknown,
}

/// What a statement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Select,
    Values,
    /// SELECT … INTO.
    SelectInto {
        temporary: bool,
    },
    Insert,
    Update,
    Delete,
    Merge,
    Truncate,
    CopyIn(CopyEnd),
    CopyOut(CopyEnd),
    Begin,
    Commit,
    Rollback,
    Savepoint,
    Release,
    RollbackTo,
    PrepareTransaction,
    CommitPrepared,
    RollbackPrepared,
    Set,
    Reset,
    Show,
    SetConstraints,
    Discard,
    Explain {
        analyze: bool,
    },
    Prepare,
    Execute,
    Deallocate,
    DeclareCursor,
    Fetch,
    Move,
    Close,
    Listen,
    Unlisten,
    Notify,
    /// The mode as in `pg_locks`: 1 is ACCESS SHARE, 8 ACCESS EXCLUSIVE.
    Lock {
        mode: i32,
    },
    CreateTable {
        temporary: bool,
    },
    CreateTableAs {
        temporary: bool,
    },
    /// DROP TABLE of nothing but `pg_temp` names.
    DropTemporary,
    /// A change of tables, indexes, sequences, views and types, and of nothing
    /// else: what a migration is made of.
    Migration(&'static str),
    /// Any other CREATE, ALTER, DROP, COMMENT, SECURITY LABEL, IMPORT, REASSIGN…
    Ddl(&'static str),
    Call,
    Do,
    /// VACUUM, ANALYZE, CLUSTER, REINDEX.
    Maintenance,
    /// GRANT, REVOKE, ALTER DEFAULT PRIVILEGES.
    Privileges,
    /// CREATE, ALTER, DROP of roles, databases, tablespaces; REASSIGN and DROP OWNED.
    Roles,
    AlterSystem,
    Load,
    Checkpoint,
    /// Something that this room does not know by name, here or inside.
    Unknown(&'static str),
}

/// The other end of a COPY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CopyEnd {
    Client,
    File,
    Program,
}

/// What a statement does to the transaction it runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TxEffect {
    #[default]
    None,
    Begin,
    /// COMMIT or END; with `chain` the next transaction begins at once.
    Commit {
        chain: bool,
    },
    /// ROLLBACK or ABORT.
    Rollback {
        chain: bool,
    },
    Savepoint,
    Release,
    RollbackTo,
}

impl Statement {
    pub(super) fn new(range: Range<usize>) -> Self {
        Self {
            range,
            class: Class::Unknown("nothing"),
            bodies: Vec::new(),
            reads: BTreeSet::new(),
            writes: BTreeSet::new(),
            functions: BTreeSet::new(),
            types: BTreeSet::new(),
            operators: BTreeSet::new(),
            settings: Vec::new(),
            columns: BTreeSet::new(),
            attributes: BTreeSet::new(),
            expression_attributes: false,
            whole_rows: false,
            modifying_cte: false,
            inner: BTreeSet::new(),
            locks_rows: false,
            subject: None,
            export: false,
            hold: false,
            effect: TxEffect::None,
            spots: Vec::new(),
            record: StatementFacts::default(),
            redacted: OnceLock::new(),
        }
    }

    /// Its own class and those it carries.
    pub fn classes(&self) -> impl Iterator<Item = Class> {
        std::iter::once(self.class).chain(self.bodies.iter().copied())
    }

    /// The statement's own text, cut out of the text it was found in.
    pub fn text<'t>(&self, whole: &'t str) -> &'t str {
        whole.get(self.range.clone()).unwrap_or(whole)
    }

    /// The facts of its own text.
    pub fn alone(&self) -> Facts {
        Facts { statements: vec![Self { range: 0..self.range.len(), ..self.clone() }] }
    }

    /// The same without its values; made once for all texts with these facts.
    pub fn redacted(&self, whole: &str) -> &Redacted {
        self.redacted.get_or_init(|| {
            Arc::new(Redacted { text: redact(self.text(whole)), record: super::record::redacted(self) })
        })
    }
}

impl Class {
    /// The command as PostgreSQL's manual spells it, for messages.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Values => "VALUES",
            Self::SelectInto { .. } => "SELECT INTO",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Merge => "MERGE",
            Self::Truncate => "TRUNCATE",
            Self::CopyIn(_) => "COPY FROM",
            Self::CopyOut(_) => "COPY TO",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
            Self::Savepoint => "SAVEPOINT",
            Self::Release => "RELEASE SAVEPOINT",
            Self::RollbackTo => "ROLLBACK TO SAVEPOINT",
            Self::PrepareTransaction => "PREPARE TRANSACTION",
            Self::CommitPrepared => "COMMIT PREPARED",
            Self::RollbackPrepared => "ROLLBACK PREPARED",
            Self::Set => "SET",
            Self::Reset => "RESET",
            Self::Show => "SHOW",
            Self::SetConstraints => "SET CONSTRAINTS",
            Self::Discard => "DISCARD",
            Self::Explain { .. } => "EXPLAIN",
            Self::Prepare => "PREPARE",
            Self::Execute => "EXECUTE",
            Self::Deallocate => "DEALLOCATE",
            Self::DeclareCursor => "DECLARE CURSOR",
            Self::Fetch => "FETCH",
            Self::Move => "MOVE",
            Self::Close => "CLOSE",
            Self::Listen => "LISTEN",
            Self::Unlisten => "UNLISTEN",
            Self::Notify => "NOTIFY",
            Self::Lock { .. } => "LOCK TABLE",
            Self::CreateTable { .. } => "CREATE TABLE",
            Self::CreateTableAs { .. } => "CREATE TABLE AS",
            Self::DropTemporary => "DROP TABLE",
            Self::Migration(verb) | Self::Ddl(verb) => verb,
            Self::Call => "CALL",
            Self::Do => "DO",
            Self::Maintenance => "maintenance (VACUUM, ANALYZE, REINDEX, CLUSTER)",
            Self::Privileges => "GRANT, REVOKE and default privileges",
            Self::Roles => "managing roles, databases and tablespaces",
            Self::AlterSystem => "ALTER SYSTEM",
            Self::Load => "LOAD",
            Self::Checkpoint => "CHECKPOINT",
            Self::Unknown(_) => "this statement",
        }
    }
}
