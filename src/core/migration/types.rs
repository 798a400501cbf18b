//! Changes of a column's type that leave its rows as they are: the value's bytes
//! mean the same under both types, and no value is refused (PostgreSQL manual,
//! ALTER TABLE, "Notes"; `ATColumnChangeRequiresRewrite`).

use crate::core::model::usual_type_name;
use pg_query::protobuf as pg;
use pg_query::{Node, NodeEnum};

/// A type by its usual name, with its modifiers: `numeric(10,2)`.
#[derive(Debug, PartialEq, Eq)]
struct Type {
    name: String,
    modifiers: Vec<i64>,
    array: bool,
}

/// Whether no row has to be written. `old` is as `format_type` prints it.
pub(super) fn keeps_rows(old: &str, new: &pg::TypeName) -> bool {
    let (Some(old), Some(new)) = (printed(old), written(new)) else { return false };
    if old == new {
        return true;
    }
    if old.array != new.array {
        return false;
    }
    let wider = |index: usize| match (old.modifiers.get(index), new.modifiers.get(index)) {
        (_, None) => true,
        (Some(old), Some(new)) => new >= old,
        (None, Some(_)) => false,
    };
    match (old.name.as_str(), new.name.as_str()) {
        ("character varying", "text") | ("xml", "text") | ("cidr", "inet") => true,
        ("text", "character varying") => new.modifiers.is_empty(),
        ("numeric", "numeric") => {
            // The digits behind the point stay as many.
            let scale = |of: &Type| of.modifiers.get(1).copied().unwrap_or(0);
            new.modifiers.is_empty() || wider(0) && scale(&old) == scale(&new)
        }
        (
            "character varying"
            | "bit varying"
            | "timestamp without time zone"
            | "timestamp with time zone"
            | "time without time zone"
            | "time with time zone",
            same,
        ) if old.name == same => wider(0),
        _ => false,
    }
}

/// `timestamp(3) without time zone`, `character varying(40)[]`.
fn printed(text: &str) -> Option<Type> {
    let (text, array) = match text.strip_suffix("[]") {
        Some(of) => (of, true),
        None => (text, false),
    };
    let Some((before, rest)) = text.split_once('(') else {
        return Some(Type { name: text.to_owned(), modifiers: Vec::new(), array });
    };
    let (inside, after) = rest.split_once(')')?;
    let modifiers = inside.split(',').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
    Some(Type { name: format!("{before}{after}"), modifiers, array })
}

fn written(name: &pg::TypeName) -> Option<Type> {
    let names: Vec<&str> = name.names.iter().filter_map(string).collect();
    let name_of = match names.as_slice() {
        ["pg_catalog", builtin] | [builtin] => usual_type_name(builtin).to_owned(),
        [schema, own] => format!("{schema}.{own}"),
        _ => return None,
    };
    let modifiers = name.typmods.iter().map(integer).collect::<Option<_>>()?;
    Some(Type { name: name_of, modifiers, array: !name.array_bounds.is_empty() })
}

pub(super) fn string(node: &Node) -> Option<&str> {
    match node.node.as_ref()? {
        NodeEnum::String(name) => Some(&name.sval),
        _ => None,
    }
}

fn integer(node: &Node) -> Option<i64> {
    match node.node.as_ref()? {
        NodeEnum::AConst(constant) => match constant.val.as_ref()? {
            pg::a_const::Val::Ival(value) => Some(value.ival.into()),
            _ => None,
        },
        _ => None,
    }
}
