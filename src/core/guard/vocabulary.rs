//! What a target has of its own to call: functions, operators and casts that
//! could do more than the session's role may.
//!
//! They run without a trace in the statement's tree, so each is judged once,
//! when the catalog is read, and the guard asks here by name:
//!
//! - SECURITY DEFINER runs with its owner's rights: refused.
//! - A body in SQL is judged as a statement of the session's would be, and what
//!   it calls in its turn.
//! - Those of well-known extensions pass ([`super::extensions`]).
//! - All else (plpgsql, C, other languages) is not read: refused.
//! - What configuration names passes, whatever it is.
//!
//! A name without a schema may mean any schema's, so it passes only where all
//! pass. What nobody knows is refused (G2).

use super::functions::{self, Call};
use super::reason::{Needs, Reason};
use super::{Rights, extensions, reason_against};
use crate::core::model::{Catalog, RelationKind, Routine, RoutineKind, TableName};
use crate::core::sql::{Attribute, Class, Facts, Name, Statement, analyse};
use std::collections::{BTreeSet, HashMap};

/// The routines of one target, judged once for all its sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    functions: HashMap<String, Vec<Own>>,
    operators: HashMap<String, Vec<Own>>,
    /// By the type that they cast from or to; those that do not pass.
    casts: HashMap<String, Vec<Own>>,
    /// The relations that have a column, for columns that are called like a
    /// function or a type that does not pass.
    columns: HashMap<String, BTreeSet<TableName>>,
    /// The columns whose type has a cast that does not pass.
    cast_columns: HashMap<String, BTreeSet<TableName>>,
    /// The relations of a name, by schema: for `columns` alone.
    relations: HashMap<String, BTreeSet<String>>,
    foreign: BTreeSet<TableName>,
}

/// One schema's function, operator or cast.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Own {
    schema: String,
    judged: Judged,
    /// Configuration names it.
    configured: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Judged {
    Passes(Needs),
    /// And why: what it is, after its name.
    Refused(&'static str),
}

const DEFINER: &str = "which runs with its owner's rights (SECURITY DEFINER),";
const UNREAD: &str = "whose body dbaccess does not read,";
const BEYOND: &str = "whose body does what a session may not,";

impl Vocabulary {
    /// `allowed` are functions that configuration lets pass, as `schema.name`,
    /// or `schema.*` for all of a schema.
    pub fn of(catalog: &Catalog, allowed: &[String]) -> Self {
        let routines = &catalog.routines;
        let bodies: Vec<Option<Facts>> = routines.iter().map(body).collect();
        let mut known = Self::default();
        for routine in routines {
            known.add(routine, allowed);
        }
        // What a body calls is taken to pass until it is found not to: it only
        // ever gets worse, so this ends, and functions that call each other are
        // judged by all that they do.
        loop {
            let before = known.clone();
            for (routine, body) in routines.iter().zip(&bodies) {
                if let Some(body) = body {
                    let judged = before.judge_body(body);
                    known.put(routine, judged);
                }
            }
            if known == before {
                break;
            }
        }
        known.casts.values_mut().for_each(|casts| {
            casts.retain(|cast| cast.judged != Judged::Passes(Needs::NONE));
        });
        known.casts.retain(|_, casts| !casts.is_empty());
        known.look_at_relations(catalog);
        known
    }

    fn of_kind(&mut self, kind: RoutineKind) -> &mut HashMap<String, Vec<Own>> {
        match kind {
            RoutineKind::Function => &mut self.functions,
            RoutineKind::Operator => &mut self.operators,
            RoutineKind::Cast => &mut self.casts,
        }
    }

    fn add(&mut self, routine: &Routine, allowed: &[String]) {
        let by_name = |part: &str| allowed.contains(&format!("{}.{part}", routine.schema));
        let configured = routine.what == RoutineKind::Function && (by_name(&routine.name) || by_name("*"));
        let judged = match at_first(routine) {
            _ if configured => Judged::Passes(Needs::NONE),
            judged => judged,
        };
        let own = Own { schema: routine.schema.clone(), judged, configured };
        self.of_kind(routine.what).entry(routine.name.clone()).or_default().push(own);
    }

    /// Makes what is known of a routine worse, never better: of several of one
    /// name the worst counts.
    fn put(&mut self, routine: &Routine, judged: Judged) {
        let same = |own: &&mut Own| own.schema == routine.schema && !own.configured;
        let owns = self.of_kind(routine.what).get_mut(&routine.name);
        for own in owns.into_iter().flatten().filter(same) {
            own.judged = worse(&own.judged, &judged);
        }
    }

    /// A body's needs are what makes the difference whether its statements pass.
    fn judge_body(&self, body: &Facts) -> Judged {
        let rights = Rights {
            write: true,
            export: true,
            some_rows: false,
            migrate: None,
            only_there: false,
            script: false,
        };
        let passes = |rights: Rights<'_>| {
            body.statements.iter().all(|statement| reason_against(statement, rights, self).is_none())
        };
        let plain = |statement: &Statement| {
            let class = |class| {
                matches!(
                    class,
                    Class::Select
                        | Class::Values
                        | Class::Insert
                        | Class::Update
                        | Class::Delete
                        | Class::Merge
                )
            };
            statement.classes().all(class)
        };
        if !body.statements.iter().all(plain) || !passes(rights) {
            return Judged::Refused(BEYOND);
        }
        Judged::Passes(Needs {
            write: !passes(Rights { write: false, ..rights }),
            export: !passes(Rights { export: false, ..rights }),
            all_rows: !passes(Rights { some_rows: true, ..rights }),
        })
    }

    fn look_at_relations(&mut self, catalog: &Catalog) {
        for relation in &catalog.relations {
            let name = &relation.name;
            self.relations.entry(name.name.clone()).or_default().insert(name.schema.clone());
            if relation.kind == RelationKind::ForeignTable {
                self.foreign.insert(name.clone());
            }
            for column in &relation.columns {
                if self.may_be_called(&column.name) {
                    self.columns.entry(column.name.clone()).or_default().insert(name.clone());
                }
                if self.casts.contains_key(bare_type(&column.type_name)) {
                    self.cast_columns.entry(column.name.clone()).or_default().insert(name.clone());
                }
            }
        }
    }

    /// Whether `x.name` could do harm where it is no column.
    fn may_be_called(&self, name: &str) -> bool {
        let harmless = |call: Call| call == Call::Passes(Needs::NONE);
        let own = |own: &Own| own.judged == Judged::Passes(Needs::NONE);
        !functions::builtin(name).or_else(|| functions::listed(name)).is_none_or(harmless)
            || !self.functions.get(name).is_none_or(|owns| owns.iter().all(own))
            || self.casts.contains_key(name)
    }

    /// Whether something other than a column may be meant that is known to have
    /// an effect, or not known to have none.
    pub(super) fn may_have_effect(&self, attribute: &Attribute) -> bool {
        functions::listed(&attribute.name).is_some() || self.functions.contains_key(&attribute.name)
    }

    /// Whether a call may be of one of the target's own functions.
    pub(super) fn may_mean_own(&self, name: &Name) -> bool {
        !name.may_be_builtin() || name.schema.is_none() && self.functions.contains_key(&name.name)
    }

    pub(super) fn check_function(&self, name: &Name, rights: Rights<'_>) -> Option<Reason> {
        // What the driver of Java asks for keys with.
        if name.schema.as_deref() == Some("information_schema") && name.name.starts_with("_pg_") {
            return None;
        }
        let told = || format!("the function {name}");
        let own = meant(&self.functions, name);
        if let Some(reason) = own.iter().find_map(|own| own.reason("the function", name, rights)) {
            return Some(reason);
        }
        let configured = !own.is_empty() && name.schema.is_some() && own.iter().all(|own| own.configured);
        if configured {
            return None;
        }
        // What is listed is among the builtins as listed.
        let builtin = functions::builtin(&name.name).filter(|_| name.may_be_builtin());
        match builtin.or_else(|| functions::listed(&name.name)) {
            Some(call) => call.reason(rights, told),
            None if !own.is_empty() => None,
            None => Some(Reason::Unlisted {
                what: format!("the function {name}, which dbaccess does not know,"),
                function: Name::new(Some(name.schema.as_deref().unwrap_or("SCHEMA")), &name.name),
            }),
        }
    }

    pub(super) fn check_operator(&self, name: &Name, rights: Rights<'_>) -> Option<Reason> {
        let own = meant(&self.operators, name);
        if let Some(reason) = own.iter().find_map(|own| own.reason("the operator", name, rights)) {
            return Some(reason);
        }
        let known = !own.is_empty() || name.may_be_builtin() && functions::is_builtin_operator(&name.name);
        (!known).then(|| {
            Reason::never(
                format!("the operator {name}, which dbaccess does not know,"),
                "write it as a call of a function, or connect again if it is new",
            )
        })
    }

    /// A cast that does not pass may be meant wherever its type is: where the
    /// type is named, and where a value of it meets anything that could cast.
    pub(super) fn check_casts(&self, statement: &Statement, rights: Rights<'_>) -> Option<Reason> {
        if self.casts.is_empty() {
            return None;
        }
        let named = statement.types.iter().find_map(|name| {
            meant(&self.casts, name).iter().find_map(|own| own.reason("a cast of the type", name, rights))
        });
        if named.is_some() {
            return named;
        }
        let casting = !statement.types.is_empty()
            || !statement.functions.is_empty()
            || !statement.operators.is_empty()
            || !statement.writes.is_empty();
        let all = statement.whole_rows || statement.columns.contains("*");
        let reads = |table: &TableName| {
            statement.reads.iter().any(|name| {
                name.name == table.name && name.schema.as_ref().is_none_or(|schema| *schema == table.schema)
            })
        };
        let column = self.cast_columns.iter().find(|(column, tables)| {
            casting && (all || statement.columns.contains(*column)) && tables.iter().any(reads)
        });
        let row =
            statement.reads.iter().find(|name| statement.whole_rows && !meant(&self.casts, name).is_empty());
        let of = column.map(|(column, _)| column.clone()).or_else(|| row.map(ToString::to_string))?;
        Some(Reason::never(
            format!("casting {of}, whose type has a cast of its own that dbaccess does not let pass,"),
            "select it as it is, alone",
        ))
    }

    /// `x.f` is a column or, where there is none, the call `f(x)` or a cast to
    /// the type f (manual, section 38.4.3). Only the database knows which, so it
    /// is refused unless a table is before the dot that is known to have it.
    pub(super) fn check_attribute(&self, attribute: &Attribute, rights: Rights<'_>) -> Option<Reason> {
        let Attribute { name, relation } = attribute;
        let certain = relation.as_ref().is_some_and(|relation| self.is_column(relation, name, rights));
        if certain {
            return None;
        }
        let told = || {
            format!(
                "`.{name}`, which reads as a call of the function {name} (a column of that name: write it \
                 without its table, or rename it by an alias: FROM t AS t(a, b)),"
            )
        };
        if let Some(call) = functions::builtin(name).or_else(|| functions::listed(name)) {
            let reason = call.reason(rights, told);
            if reason.is_some() {
                return reason;
            }
        }
        let any = Name::new(None, name);
        let owns = meant(&self.functions, &any).into_iter().chain(meant(&self.casts, &any));
        owns.filter_map(|own| own.judged.reason(rights, told)).next()
    }

    /// Whether every relation that the name may stand for has the column. A
    /// temporary table could take the place of one that is named without schema.
    fn is_column(&self, relation: &Name, column: &str, rights: Rights<'_>) -> bool {
        let Some(tables) = self.columns.get(column) else { return false };
        let has = |schema: &String| tables.contains(&TableName::new(schema.as_str(), relation.name.as_str()));
        match &relation.schema {
            Some(schema) => has(schema),
            None if rights.write => false,
            None => self.relations.get(&relation.name).is_some_and(|schemas| schemas.iter().all(has)),
        }
    }

    /// A foreign table's rows are another database's.
    pub(super) fn check_written(&self, name: &Name) -> Option<Reason> {
        let meant = |table: &&TableName| {
            table.name == name.name && name.schema.as_ref().is_none_or(|schema| *schema == table.schema)
        };
        self.foreign.iter().find(meant).map(|table| {
            Reason::never(
                format!("changing {table}, a foreign table,"),
                "its rows are in another database: ask for access to that one",
            )
        })
    }
}

impl Own {
    fn reason(&self, what: &str, name: &Name, rights: Rights<'_>) -> Option<Reason> {
        let full = Name::new(Some(&self.schema), &name.name);
        match self.judged {
            Judged::Passes(needs) => needs.unmet(rights, || format!("{what} {full}")),
            Judged::Refused(why) => {
                Some(Reason::Unlisted { what: format!("{what} {full}, {why}"), function: full })
            }
        }
    }
}

impl Judged {
    fn reason(&self, rights: Rights<'_>, told: impl Fn() -> String) -> Option<Reason> {
        match self {
            Self::Passes(needs) => needs.unmet(rights, told),
            Self::Refused(_) => Some(Reason::never(told(), "name the columns that you need")),
        }
    }
}

/// What a name may mean: its own schema's, or without one any schema's.
fn meant<'v>(known: &'v HashMap<String, Vec<Own>>, name: &Name) -> Vec<&'v Own> {
    let fits = |own: &&Own| name.schema.as_ref().is_none_or(|schema| *schema == own.schema);
    known.get(&name.name).into_iter().flatten().filter(fits).collect()
}

/// What is known before any body is looked at.
fn at_first(routine: &Routine) -> Judged {
    if routine.definer {
        return Judged::Refused(DEFINER);
    }
    if let Some(passes) =
        routine.extension.as_deref().and_then(|name| extensions::passes(name, &routine.name))
    {
        return if passes { Judged::Passes(Needs::NONE) } else { Judged::Refused(UNREAD) };
    }
    match routine.language.as_str() {
        "sql" => Judged::Passes(Needs::NONE),
        _ => Judged::Refused(UNREAD),
    }
}

/// The statements of a body that is judged by them. One that cannot be read
/// becomes a statement that no rule lets pass.
fn body(routine: &Routine) -> Option<Facts> {
    let by_extension =
        || routine.extension.as_deref().and_then(|name| extensions::passes(name, &routine.name));
    if routine.definer || routine.language != "sql" || by_extension().is_some() {
        return None;
    }
    let text = routine.body.as_deref().unwrap_or("?");
    let unread = || analyse("DO ''").unwrap_or_default();
    Some(analyse(&statements(text)).unwrap_or_else(|_| unread()))
}

/// A body in the standard's form, `RETURN x` or `BEGIN ATOMIC … END`, as
/// statements; any other as it is.
fn statements(text: &str) -> String {
    let trimmed = text.trim();
    let after = |word: &str| {
        let (head, rest) = trimmed.split_at_checked(word.len())?;
        (head.eq_ignore_ascii_case(word) && rest.starts_with(|c: char| c.is_whitespace() || c == '('))
            .then_some(rest)
    };
    if let Some(value) = after("RETURN") {
        return format!("SELECT {value}");
    }
    match after("BEGIN").map(str::trim_start) {
        Some(rest) if rest.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("ATOMIC")) => {
            let inner = rest.get(6..).unwrap_or_default().trim_end_matches(';').trim_end();
            let end = inner.len().saturating_sub(3);
            inner.get(..end).unwrap_or_default().to_owned()
        }
        _ => text.to_owned(),
    }
}

fn worse(one: &Judged, other: &Judged) -> Judged {
    match (one, other) {
        (Judged::Refused(why), _) | (_, Judged::Refused(why)) => Judged::Refused(why),
        (Judged::Passes(a), Judged::Passes(b)) => Judged::Passes(Needs {
            write: a.write || b.write,
            export: a.export || b.export,
            all_rows: a.all_rows || b.all_rows,
        }),
    }
}

/// The name of a type as `format_type` prints it, without schema, quotes,
/// modifiers and array signs.
fn bare_type(printed: &str) -> &str {
    let name = printed.split(['(', '[']).next().unwrap_or(printed).trim();
    name.rsplit('.').next().unwrap_or(name).trim_matches('"')
}
