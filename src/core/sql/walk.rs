//! The walk over the tree of a query: every node by name, common table
//! expressions by PostgreSQL's scoping, and [`Walker::unknown`] for the rest.
//! Here the nodes; below what they hold: [`queries`], [`names`], [`parts`], and
//! [`words`], which need no walker.

mod names;
mod parts;
mod queries;
mod words;

use super::facts::{Attribute, Name, Statement};
use pg_query::{Node, NodeEnum};
use std::collections::HashMap;
pub(super) use words::{constant, constant_location, is_temporary, qualified, relation_name, strings};

pub(super) struct Walker<'t> {
    pub out: Statement,
    /// Names of the common table expressions that hide tables here, innermost last.
    visible: Vec<&'t str>,
    /// A SELECT … INTO was met; whether its table is temporary.
    pub into: Option<bool>,
    /// The first thing that is not known by name.
    pub unknown: Option<&'static str>,
    /// What the names before a dot stand for, wherever in the statement: a table,
    /// or `None` for anything else and for a name that stands for two things.
    ranges: HashMap<&'t str, Option<Name>>,
    /// Columns that are named alone: one of them may be a whole row.
    bare: Vec<&'t str>,
    /// `t.f` and `s.t.f`.
    dotted: Vec<(Option<&'t str>, &'t str, &'t str)>,
}

impl<'t> Walker<'t> {
    pub fn new(out: Statement) -> Self {
        Self {
            out,
            visible: Vec::new(),
            into: None,
            unknown: None,
            ranges: HashMap::new(),
            bare: Vec::new(),
            dotted: Vec::new(),
        }
    }

    pub fn unknown(&mut self, what: &'static str) {
        self.unknown.get_or_insert(what);
    }

    /// What only the whole statement tells: which table an attribute is of, and
    /// whether a name alone is a whole row.
    pub fn finish(&mut self) {
        self.out.whole_rows = self.bare.iter().any(|name| self.ranges.contains_key(name));
        for (schema, table, name) in std::mem::take(&mut self.dotted) {
            let known = self.ranges.get(table).cloned().flatten();
            let relation = known.filter(|known| schema.is_none() || known.schema.as_deref() == schema);
            self.out.attributes.insert(Attribute { name: name.to_owned(), relation });
        }
    }

    pub fn nodes(&mut self, nodes: &'t [Node]) {
        for node in nodes {
            self.node(node);
        }
    }

    pub fn maybe(&mut self, node: &'t Option<Box<Node>>) {
        if let Some(node) = node {
            self.node(node);
        }
    }

    /// Anything that can stand inside a query.
    pub fn node(&mut self, node: &'t Node) {
        // An empty node is how the tree writes a NULL in a list (plain DISTINCT).
        let Some(node) = &node.node else { return };
        match node {
            NodeEnum::SelectStmt(s) => self.select(s),
            NodeEnum::InsertStmt(s) => self.insert(s),
            NodeEnum::UpdateStmt(s) => self.update(s),
            NodeEnum::DeleteStmt(s) => self.delete(s),
            NodeEnum::MergeStmt(s) => self.merge(s),

            NodeEnum::RangeVar(r) => self.read(r),
            NodeEnum::RangeSubselect(r) => {
                self.alias(&r.alias, false);
                self.maybe(&r.subquery);
            }
            NodeEnum::RangeFunction(r) => {
                self.alias(&r.alias, false);
                self.nodes(&r.functions);
                self.nodes(&r.coldeflist);
            }
            NodeEnum::RangeTableFunc(r) => {
                self.alias(&r.alias, false);
                self.maybe(&r.docexpr);
                self.maybe(&r.rowexpr);
                self.nodes(&r.namespaces);
                self.nodes(&r.columns);
            }
            NodeEnum::RangeTableFuncCol(c) => {
                self.type_name(&c.type_name);
                self.maybe(&c.colexpr);
                self.maybe(&c.coldefexpr);
            }
            NodeEnum::RangeTableSample(r) => {
                self.maybe(&r.relation);
                self.function(&r.method);
                self.nodes(&r.args);
                self.maybe(&r.repeatable);
            }
            NodeEnum::JoinExpr(j) => {
                self.alias(&j.alias, true);
                self.alias(&j.join_using_alias, true);
                self.maybe(&j.larg);
                self.maybe(&j.rarg);
                if j.is_natural || !j.using_clause.is_empty() {
                    self.implied("=");
                }
                self.column_names(&j.using_clause);
                self.maybe(&j.quals);
            }

            NodeEnum::ColumnRef(c) => {
                self.column(&c.fields);
                self.column_spot(c);
            }
            NodeEnum::FuncCall(f) => self.call(f),
            NodeEnum::AExpr(e) => {
                self.expression_operator(e);
                self.maybe(&e.lexpr);
                self.maybe(&e.rexpr);
            }
            NodeEnum::BoolExpr(e) => self.nodes(&e.args),
            NodeEnum::SubLink(s) => {
                self.maybe(&s.testexpr);
                match s.oper_name.as_slice() {
                    // IN (SELECT …)
                    [] if s.testexpr.is_some() => self.implied("="),
                    [] => {}
                    name => self.operator(name),
                }
                self.maybe(&s.subselect);
            }
            NodeEnum::TypeCast(c) => {
                self.maybe(&c.arg);
                self.type_name(&c.type_name);
            }
            NodeEnum::TypeName(t) => self.types(t),
            NodeEnum::CollateClause(c) => self.maybe(&c.arg),
            NodeEnum::CaseExpr(c) => {
                if c.arg.is_some() {
                    self.implied("=");
                }
                self.maybe(&c.arg);
                self.nodes(&c.args);
                self.maybe(&c.defresult);
            }
            NodeEnum::CaseWhen(w) => {
                self.maybe(&w.expr);
                self.maybe(&w.result);
            }
            NodeEnum::CoalesceExpr(e) => self.nodes(&e.args),
            NodeEnum::MinMaxExpr(e) => self.nodes(&e.args),
            NodeEnum::NullTest(e) => self.maybe(&e.arg),
            NodeEnum::BooleanTest(e) => self.maybe(&e.arg),
            NodeEnum::RowExpr(e) => self.nodes(&e.args),
            NodeEnum::AArrayExpr(e) => self.nodes(&e.elements),
            NodeEnum::AIndirection(e) => {
                self.maybe(&e.arg);
                self.indirection(&e.indirection);
                self.attributes(&e.indirection);
            }
            NodeEnum::AIndices(i) => {
                self.maybe(&i.lidx);
                self.maybe(&i.uidx);
            }
            NodeEnum::NamedArgExpr(e) => self.maybe(&e.arg),
            NodeEnum::GroupingFunc(e) => self.nodes(&e.args),
            NodeEnum::GroupingSet(g) => self.nodes(&g.content),
            NodeEnum::ResTarget(t) => {
                self.indirection(&t.indirection);
                self.maybe(&t.val);
            }
            NodeEnum::MultiAssignRef(m) => self.maybe(&m.source),
            NodeEnum::SortBy(s) => {
                self.maybe(&s.node);
                if !s.use_op.is_empty() {
                    self.operator(&s.use_op);
                }
            }
            NodeEnum::WindowDef(w) => self.window(w),
            NodeEnum::IndexElem(e) => {
                self.column_name(&e.name);
                self.maybe(&e.expr);
                self.nodes(&e.opclassopts);
            }
            NodeEnum::List(l) => self.nodes(&l.items),
            NodeEnum::DefElem(d) => self.maybe(&d.arg),
            NodeEnum::LockingClause(_) => self.out.locks_rows = true,

            NodeEnum::ColumnDef(c) => self.column_def(c),
            NodeEnum::Constraint(c) => self.constraint(c),
            NodeEnum::TableLikeClause(l) => {
                if let Some(relation) = &l.relation {
                    self.named(relation);
                    self.out.reads.insert(relation_name(relation));
                }
            }

            NodeEnum::XmlExpr(e) => {
                self.nodes(&e.named_args);
                self.nodes(&e.args);
            }
            NodeEnum::XmlSerialize(e) => {
                self.maybe(&e.expr);
                self.type_name(&e.type_name);
            }

            NodeEnum::JsonIsPredicate(e) => self.maybe(&e.expr),
            NodeEnum::JsonFuncExpr(e) => {
                self.json_value(&e.context_item);
                self.maybe(&e.pathspec);
                self.nodes(&e.passing);
                self.json_output(&e.output);
                self.json_behavior(&e.on_empty);
                self.json_behavior(&e.on_error);
            }
            NodeEnum::JsonArgument(a) => self.json_value(&a.val),
            NodeEnum::JsonValueExpr(e) => {
                self.maybe(&e.raw_expr);
                self.maybe(&e.formatted_expr);
            }
            NodeEnum::JsonBehavior(b) => self.maybe(&b.expr),
            NodeEnum::JsonTable(t) => {
                self.alias(&t.alias, false);
                self.json_value(&t.context_item);
                if let Some(path) = &t.pathspec {
                    self.maybe(&path.string);
                }
                self.nodes(&t.passing);
                self.nodes(&t.columns);
                self.json_behavior(&t.on_error);
            }
            NodeEnum::JsonTableColumn(c) => {
                self.type_name(&c.type_name);
                if let Some(path) = &c.pathspec {
                    self.maybe(&path.string);
                }
                self.nodes(&c.columns);
                self.json_behavior(&c.on_empty);
                self.json_behavior(&c.on_error);
            }
            NodeEnum::JsonTablePathSpec(p) => self.maybe(&p.string),
            NodeEnum::JsonKeyValue(kv) => self.json_key_value(kv),
            NodeEnum::JsonOutput(o) => self.type_name(&o.type_name),
            NodeEnum::JsonParseExpr(e) => {
                self.json_value(&e.expr);
                self.json_output(&e.output);
            }
            NodeEnum::JsonScalarExpr(e) => {
                self.maybe(&e.expr);
                self.json_output(&e.output);
            }
            NodeEnum::JsonSerializeExpr(e) => {
                self.json_value(&e.expr);
                self.json_output(&e.output);
            }
            NodeEnum::JsonObjectConstructor(e) => {
                self.nodes(&e.exprs);
                self.json_output(&e.output);
            }
            NodeEnum::JsonArrayConstructor(e) => {
                self.nodes(&e.exprs);
                self.json_output(&e.output);
            }
            NodeEnum::JsonArrayQueryConstructor(e) => {
                self.maybe(&e.query);
                self.json_output(&e.output);
            }
            NodeEnum::JsonObjectAgg(e) => {
                self.json_aggregate(&e.constructor);
                if let Some(kv) = &e.arg {
                    self.json_key_value(kv);
                }
            }
            NodeEnum::JsonArrayAgg(e) => {
                self.json_aggregate(&e.constructor);
                self.json_value(&e.arg);
            }

            NodeEnum::AConst(_)
            | NodeEnum::AStar(_)
            | NodeEnum::ParamRef(_)
            | NodeEnum::SetToDefault(_)
            | NodeEnum::CurrentOfExpr(_)
            | NodeEnum::SqlvalueFunction(_)
            | NodeEnum::MergeSupportFunc(_)
            | NodeEnum::JsonFormat(_)
            | NodeEnum::Integer(_)
            | NodeEnum::Float(_)
            | NodeEnum::Boolean(_)
            | NodeEnum::String(_)
            | NodeEnum::BitString(_) => {}

            // Utility statements belong to `classify`, the rest to the planner.
            _ => self.unknown("a part that it does not know"),
        }
    }
}
