//! Names: relations that are read and written, what stands for them, columns.

use super::Walker;
use super::words::{relation_name, strings};
use crate::core::model::TableName;
use crate::core::sql::facts::{Attribute, Name, Named, Spot};
use pg_query::{Node, NodeEnum, protobuf as pg};

impl<'t> Walker<'t> {
    /// A relation in FROM: a table, unless a common table expression hides it.
    pub fn read(&mut self, relation: &'t pg::RangeVar) {
        self.named(relation);
        let bare = relation.schemaname.is_empty() && relation.catalogname.is_empty();
        let hidden = bare && self.visible.contains(&relation.relname.as_str());
        if !hidden {
            self.out.reads.insert(relation_name(relation));
        }
        self.range_of(relation, !hidden);
    }

    /// A table in FROM, or one that is changed, under the name it goes by.
    pub(super) fn range_of(&mut self, relation: &'t pg::RangeVar, certain: bool) {
        let mut known = certain.then(|| relation_name(relation));
        let mut name = relation.relname.as_str();
        if let Some(alias) = &relation.alias {
            name = &alias.aliasname;
            if !alias.colnames.is_empty() {
                self.column_name("*");
                known = None;
            }
        }
        self.range(name, known);
    }

    /// Something else in FROM that has a name. `covers`: renamed columns may be
    /// a table's.
    pub(super) fn alias(&mut self, alias: &'t Option<pg::Alias>, covers: bool) {
        let Some(alias) = alias else { return };
        self.range(&alias.aliasname, None);
        if covers && !alias.colnames.is_empty() {
            self.column_name("*");
        }
    }

    pub(super) fn range(&mut self, name: &'t str, relation: Option<Name>) {
        match self.ranges.entry(name) {
            std::collections::hash_map::Entry::Vacant(entry) => drop(entry.insert(relation)),
            std::collections::hash_map::Entry::Occupied(mut entry) => {
                if *entry.get() != relation {
                    entry.insert(None);
                }
            }
        }
    }

    /// A relation that is changed. No common table expression can hide it.
    pub fn write(&mut self, relation: &'t pg::RangeVar) {
        self.out.writes.insert(relation_name(relation));
    }

    pub(super) fn target(&mut self, relation: &'t Option<pg::RangeVar>, reads_too: bool) {
        let Some(relation) = relation else { return self.unknown("a change without a table") };
        self.named(relation);
        self.write(relation);
        self.range_of(relation, true);
        if reads_too {
            self.out.reads.insert(relation_name(relation));
        }
    }

    /// A relation that a view may stand for.
    pub fn named(&mut self, relation: &pg::RangeVar) {
        if !relation.schemaname.is_empty() {
            let database = !relation.catalogname.is_empty();
            let relation_name = TableName::new(&relation.schemaname, &relation.relname);
            self.spot(relation.location, Named::Relation { relation: relation_name, database });
        }
    }

    /// `schema.table.column`, or with the database in front; two names are
    /// never a schema's (`parse_expr.c`).
    pub(super) fn column_spot(&mut self, column: &pg::ColumnRef) {
        let Some((_, names)) = column.fields.split_last() else { return };
        let (schema, name, database) = match strings(names).as_slice() {
            [schema, name] => (*schema, *name, false),
            [_, schema, name] => (*schema, *name, true),
            _ => return,
        };
        self.spot(column.location, Named::Relation { relation: TableName::new(schema, name), database });
    }

    /// The parser counts bytes in the whole text; -1 is no place.
    pub fn spot(&mut self, location: i32, what: Named) {
        let at = usize::try_from(location).ok().and_then(|at| at.checked_sub(self.out.range.start));
        self.out.spots.extend(at.map(|at| Spot { at, what }));
    }

    pub(super) fn returning(&mut self, clause: &'t Option<pg::ReturningClause>) {
        if let Some(clause) = clause {
            self.nodes(&clause.exprs);
        }
    }

    /// The targets of INSERT and SET: their names are columns, not aliases.
    pub(super) fn assigned(&mut self, targets: &'t [Node]) {
        for target in targets {
            if let Some(NodeEnum::ResTarget(target)) = &target.node {
                self.column_name(&target.name);
            }
            self.node(target);
        }
    }

    pub(super) fn column(&mut self, fields: &'t [Node]) {
        match fields.last().and_then(|field| field.node.as_ref()) {
            Some(NodeEnum::String(name)) => {
                self.column_name(&name.sval);
                // A name alone is never a call; `x.f` is `f(x)` where x has no column f.
                match strings(fields).as_slice() {
                    [bare] => self.bare.push(bare),
                    [table, name] => self.dotted.push((None, table, name)),
                    [schema, table, name] | [_, schema, table, name] => {
                        self.dotted.push((Some(schema), table, name));
                    }
                    _ => self.unknown("a column without a name"),
                }
            }
            Some(NodeEnum::AStar(_)) => self.column_name("*"),
            _ => self.unknown("a column without a name"),
        }
    }

    pub fn column_names(&mut self, names: &'t [Node]) {
        for name in names {
            if let Some(NodeEnum::String(name)) = &name.node {
                self.column_name(&name.sval);
            }
        }
    }

    pub(super) fn column_name(&mut self, name: &str) {
        if !name.is_empty() {
            self.out.columns.insert(name.to_owned());
        }
    }

    /// `(x).field`, `x[1]`.
    pub(super) fn indirection(&mut self, steps: &'t [Node]) {
        self.column_names(steps);
        self.nodes(steps);
    }

    /// The fields of an expression, each of which may be a function.
    pub(super) fn attributes(&mut self, steps: &'t [Node]) {
        let names = strings(steps);
        self.out.expression_attributes |= !names.is_empty();
        let of_unknown = |name: &str| Attribute { name: name.to_owned(), relation: None };
        self.out.attributes.extend(names.into_iter().map(of_unknown));
    }
}
