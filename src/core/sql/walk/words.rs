//! Names and constants as the tree has them, as text.

use crate::core::sql::facts::Name;
use pg_query::{Node, NodeEnum, protobuf as pg};

pub(in crate::core::sql) fn relation_name(relation: &pg::RangeVar) -> Name {
    Name::new(Some(relation.schemaname.as_str()).filter(|schema| !schema.is_empty()), &relation.relname)
}

/// Written as TEMP, or into the temporary schema.
pub(in crate::core::sql) fn is_temporary(relation: &pg::RangeVar) -> bool {
    relation.relpersistence == "t" || relation.schemaname == "pg_temp"
}

/// The strings of a list of names.
pub(in crate::core::sql) fn strings(names: &[Node]) -> Vec<&str> {
    names
        .iter()
        .filter_map(|name| match &name.node {
            Some(NodeEnum::String(name)) => Some(name.sval.as_str()),
            _ => None,
        })
        .collect()
}

/// `name`, `schema.name` or `database.schema.name`.
pub(in crate::core::sql) fn qualified(names: &[Node]) -> Option<Name> {
    match strings(names).as_slice() {
        [name] => Some(Name::new(None, name)),
        [schema, name] | [_, schema, name] => Some(Name::new(Some(schema), name)),
        _ => None,
    }
}

/// A constant whose casts do not change its text: `'10'::char(1)` is not one.
pub(super) fn uncut_constant(node: &Node) -> Option<String> {
    match node.node.as_ref()? {
        NodeEnum::TypeCast(cast) => {
            let to = cast.type_name.as_ref()?;
            let text = qualified(&to.names).is_some_and(|name| {
                name.may_be_builtin() && ["text", "varchar"].contains(&name.name.as_str())
            });
            if text && to.typmods.is_empty() && to.array_bounds.is_empty() {
                uncut_constant(cast.arg.as_ref()?)
            } else {
                None
            }
        }
        _ => constant(node),
    }
}

/// Where a constant is written, in front of or inside of its casts.
pub(in crate::core::sql) fn constant_location(node: &Node) -> Option<i32> {
    match node.node.as_ref()? {
        NodeEnum::AConst(value) => Some(value.location),
        NodeEnum::TypeCast(cast) => constant_location(cast.arg.as_ref()?),
        _ => None,
    }
}

/// The text of a constant. Casts are looked through: SET has one, of an interval.
pub(in crate::core::sql) fn constant(node: &Node) -> Option<String> {
    use pg::a_const::Val;
    match node.node.as_ref()? {
        NodeEnum::AConst(value) if !value.isnull => match value.val.as_ref()? {
            Val::Ival(v) => Some(v.ival.to_string()),
            Val::Fval(v) => Some(v.fval.clone()),
            Val::Boolval(v) => Some(v.boolval.to_string()),
            Val::Sval(v) => Some(v.sval.clone()),
            Val::Bsval(_) => None,
        },
        NodeEnum::TypeCast(cast) => constant(cast.arg.as_ref()?),
        NodeEnum::String(v) => Some(v.sval.clone()),
        NodeEnum::Integer(v) => Some(v.ival.to_string()),
        NodeEnum::Float(v) => Some(v.fval.clone()),
        NodeEnum::Boolean(v) => Some(v.boolval.to_string()),
        _ => None,
    }
}
