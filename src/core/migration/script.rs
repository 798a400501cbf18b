//! From a file to statements, with PostgreSQL's grammar.

use super::effects::{self, Effects};
use super::hazards::Reviewer;
use crate::core::hex::hex;
use crate::core::model::{Catalog, Classification, ErrorKind, Migration, ScriptStatement, name_part};
use crate::core::sql::{self, Class, Facts, SqlError, Statement};
use crate::core::text::is_misleading;
use pg_query::NodeEnum;
use pg_query::protobuf::{ScanToken, Token};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The longest script, in bytes: people have to read it.
pub const LONGEST: usize = 100 * 1024;
const MOST_STATEMENTS: usize = 500;
const LONGEST_NAME: usize = 200;

/// Why a file is no script for a migration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("a script's name is the file's: 1 to 200 characters, without a slash, on one line")]
    Name,
    #[error("{0} holds no statement")]
    Empty(String),
    #[error("{name} has {bytes} bytes, and a script has at most {LONGEST}")]
    TooLong { name: String, bytes: usize },
    #[error("{name} has {count} statements, and a script has at most {MOST_STATEMENTS}")]
    TooMany { name: String, count: usize },
    /// Terminals go back to the line's beginning there, and show what follows in
    /// place of what runs.
    #[error("{name}, line {line}: a carriage return without a line feed, so that it is not shown as it runs")]
    LoneReturn { name: String, line: usize },
    #[error("{name}, line {line}, column {column}: {message}")]
    Syntax { name: String, line: usize, column: usize, message: String },
    #[error("{name} cannot be analysed: {why}")]
    Unreadable { name: String, why: String },
    /// One of its statements has no place in a script.
    #[error("{name}, line {line}: {what}")]
    Statement { name: String, line: usize, what: String, hint: &'static str },
}

impl ScriptError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLong { .. } | Self::TooMany { .. } => ErrorKind::TooMany,
            _ => ErrorKind::Usage,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Statement { hint, .. } => Some(hint),
            Self::LoneReturn { .. } => {
                Some("save it with line feeds, alone or after carriage returns; in a value, write E'\\r'")
            }
            Self::TooLong { .. } | Self::TooMany { .. } => Some(
                "make it several, each with a request of its own; load data with COPY under another grant",
            ),
            _ => None,
        }
    }
}

/// A script that the grammar has read.
#[derive(Clone, Debug)]
pub struct Script {
    name: String,
    text: String,
    facts: Facts,
    trees: Vec<NodeEnum>,
}

impl Script {
    /// Reads a file's text.
    ///
    /// # Errors
    /// With line and column where the grammar stops, or the line of a statement
    /// that a script cannot hold.
    pub fn parse(name: &str, text: &str) -> Result<Self, ScriptError> {
        let told = || name.to_owned();
        if name.is_empty()
            || name.chars().count() > LONGEST_NAME
            || name.contains(|c: char| c == '/' || is_misleading(c))
        {
            return Err(ScriptError::Name);
        }
        if text.len() > LONGEST {
            return Err(ScriptError::TooLong { name: told(), bytes: text.len() });
        }
        if let Some(at) = lone_return(text) {
            return Err(ScriptError::LoneReturn { name: told(), line: line_of(text, at) });
        }
        let facts = sql::analyse(text).map_err(|error| unreadable(name, text, error))?;
        let count = facts.statements.len();
        if count == 0 {
            return Err(ScriptError::Empty(told()));
        }
        if count > MOST_STATEMENTS {
            return Err(ScriptError::TooMany { name: told(), count });
        }
        for statement in &facts.statements {
            if let Some((what, hint)) = misplaced(statement) {
                let line = line_of(text, code_start(text, statement.range.start));
                return Err(ScriptError::Statement { name: told(), line, what, hint });
            }
        }
        let tree = pg_query::parse(text, 0)
            .map_err(|error| ScriptError::Unreadable { name: told(), why: error.to_string() })?;
        let trees: Vec<NodeEnum> = tree.protobuf.stmts.into_iter().filter_map(|raw| raw.stmt?.node).collect();
        if trees.len() != count {
            let why = "its statements are counted in two ways".to_owned();
            return Err(ScriptError::Unreadable { name: told(), why });
        }
        Ok(Self { name: told(), text: text.to_owned(), facts, trees })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its statements, each with the line of its first word.
    pub fn statements(&self) -> impl Iterator<Item = (usize, &Statement)> {
        let line = |statement: &Statement| line_of(&self.text, code_start(&self.text, statement.range.start));
        self.facts.statements.iter().map(move |statement| (line(statement), statement))
    }

    /// The schemas that it changes, or makes views of, as a request names them;
    /// each with the lines that need it.
    pub fn schemas(&self) -> BTreeMap<String, Vec<usize>> {
        let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (line, statement) in self.statements() {
            let read = statement.reads.iter().filter(|_| is_change_of_schema(statement.class));
            let schemas: BTreeSet<&str> = statement
                .writes
                .iter()
                .chain(read)
                .filter_map(|name| name.schema.as_deref())
                .filter(|schema| !is_system(schema))
                .collect();
            for schema in schemas {
                found.entry(name_part(schema)).or_default().push(line);
            }
        }
        found
    }

    /// What each statement does to the tables, in order.
    pub fn effects(&self, catalog: &Catalog) -> Vec<Effects> {
        let pairs = self.trees.iter().zip(&self.facts.statements);
        pairs.map(|(tree, facts)| effects::of(tree, facts, catalog)).collect()
    }

    /// The script as reviewers get it.
    pub fn review(&self, catalog: &Catalog, classification: &Classification, revision: u32) -> Migration {
        let mut reviewer = Reviewer::new(catalog, classification);
        let effects = self.effects(catalog);
        let mut statements = Vec::with_capacity(effects.len());
        for (index, (effects, (line, facts))) in effects.iter().zip(self.statements()).enumerate() {
            let later = self.facts.statements.get(index + 1..).unwrap_or_default();
            let ends_transaction = self.uses_new_value(effects, later);
            let hazards = reviewer.review(effects, ends_transaction);
            statements.push(ScriptStatement {
                from: facts.range.start,
                to: facts.range.end,
                line,
                last_line: line_of(&self.text, facts.range.end.saturating_sub(1)),
                verb: facts.class.verb().to_owned(),
                changes: facts.writes.iter().map(ToString::to_string).collect(),
                alone: effects.alone,
                ends_transaction,
                hazards,
            });
        }
        let sha256 = sha256(&self.text);
        Migration { name: self.name.clone(), text: self.text.clone(), sha256, revision, statements }
    }

    /// Whether a later statement names an enum's value that this one adds: it
    /// can be used only once it is committed (manual, ALTER TYPE, "Notes").
    fn uses_new_value(&self, effects: &Effects, later: &[Statement]) -> bool {
        effects.findings.iter().any(|finding| match finding {
            effects::Finding::NewEnumValue(value) => {
                let literal = format!("'{}'", value.replace('\'', "''"));
                later.iter().any(|statement| statement.text(&self.text).contains(&literal))
            }
            _ => false,
        })
    }
}

/// Where a carriage return stands that no line feed follows.
fn lone_return(text: &str) -> Option<usize> {
    let followed = |at: usize| text.get(at + 1..).is_some_and(|rest| rest.starts_with('\n'));
    text.match_indices('\r').map(|(at, _)| at).find(|at| !followed(*at))
}

/// SHA-256 in hex.
fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// What stands in a script for no good, and what to do instead.
fn misplaced(statement: &Statement) -> Option<(String, &'static str)> {
    let hint = match statement.class {
        Class::Select
        | Class::Values
        | Class::Insert
        | Class::Update
        | Class::Delete
        | Class::Merge
        | Class::Truncate
        | Class::Lock { .. }
        | Class::SelectInto { temporary: false }
        | Class::CreateTable { temporary: false }
        | Class::CreateTableAs { temporary: false }
        | Class::Migration(_)
        | Class::Maintenance => return unqualified(statement),
        // What the guard refuses it says better.
        Class::Ddl(_) | Class::Privileges | Class::Roles | Class::Unknown(_) | Class::Do | Class::Call => {
            return None;
        }
        Class::Begin | Class::Commit | Class::Rollback => {
            "leave it out: `dbaccess migrate` runs the script in one transaction, or in as few as PostgreSQL allows"
        }
        Class::Set | Class::Reset => {
            "leave it out: timeouts are flags of `dbaccess migrate`, and names are written with their schema"
        }
        Class::SelectInto { .. } | Class::CreateTable { .. } | Class::CreateTableAs { .. } => {
            "use a table that stays: a temporary one is gone when a migration is resumed"
        }
        Class::CopyIn(_) | Class::CopyOut(_) => {
            "write the rows as INSERT: data that is not in the script is not reviewed"
        }
        _ => "a script holds changes of the schema and of rows; run the rest in a session of its own",
    };
    Some((format!("{} has no place in a migration's script", statement.class.verb()), hint))
}

/// Where a name without a schema leads is for the search path.
fn unqualified(statement: &Statement) -> Option<(String, &'static str)> {
    let name = statement.writes.iter().find(|name| name.schema.is_none())?;
    Some((
        format!("{} does not say where {name} is", statement.class.verb()),
        "write the schema before the name: ALTER TABLE shop.products …",
    ))
}

fn is_change_of_schema(class: Class) -> bool {
    matches!(
        class,
        Class::Migration(_)
            | Class::CreateTable { .. }
            | Class::CreateTableAs { .. }
            | Class::SelectInto { .. }
    )
}

fn is_system(schema: &str) -> bool {
    schema.starts_with("pg_") || schema == "information_schema"
}

fn unreadable(name: &str, text: &str, error: SqlError) -> ScriptError {
    let name = name.to_owned();
    let (message, position) = match &error {
        SqlError::Syntax { message, position } => (message.clone(), *position),
        _ => return ScriptError::Unreadable { name, why: error.to_string() },
    };
    let at = position.map(|position| byte_of(text, position)).or_else(|| first_failing(text));
    let Some(at) = at else { return ScriptError::Unreadable { name, why: message } };
    let before = text.get(..at).unwrap_or(text);
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    ScriptError::Syntax { name, line: line_of(text, at), column, message }
}

/// Where the first statement that the grammar refuses by itself goes wrong; the
/// scanner finds the semicolons between them.
fn first_failing(text: &str) -> Option<usize> {
    let is_end = |token: &&ScanToken| token.token == Token::Ascii59 as i32;
    let scanned = pg_query::scan(text).ok()?;
    let ends = scanned.tokens.iter().filter(is_end).filter_map(|token| usize::try_from(token.end).ok());
    let mut start = 0;
    for end in ends.chain([text.len()]) {
        let part = text.get(start..end).unwrap_or_default();
        if let Err(SqlError::Syntax { position, .. }) = sql::analyse(part) {
            let inside = position.map_or_else(|| code_start(part, 0), |position| byte_of(part, position));
            return Some(start + inside);
        }
        start = end;
    }
    None
}

/// The byte of a character, counted from 1.
fn byte_of(text: &str, position: usize) -> usize {
    text.char_indices().nth(position.saturating_sub(1)).map_or(text.len(), |(at, _)| at)
}

fn line_of(text: &str, byte: usize) -> usize {
    text.as_bytes().iter().take(byte).filter(|byte| **byte == b'\n').count() + 1
}

/// Behind white space and comments (manual 4.1.5: `/* */` nests).
fn code_start(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let code = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
        at += rest.len() - code.len();
        if code.starts_with("--") {
            at += code.find('\n').map_or(code.len(), |end| end + 1);
        } else if code.starts_with("/*") {
            at += block_comment(code);
        } else {
            return at;
        }
    }
}

fn block_comment(code: &str) -> usize {
    let bytes = code.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(pair) = bytes.get(at..at + 2) {
        match pair {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth.saturating_sub(1), at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    code.len()
}
