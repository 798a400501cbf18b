//! The walk over the tree of a query: every node by name, common table
//! expressions by PostgreSQL's scoping, and [`Walker::unknown`] for the rest.

use super::facts::{Attribute, Change, Name, Named, Setting, Spot, Statement};
use crate::core::model::TableName;
use pg_query::protobuf::AExprKind;
use pg_query::{Node, NodeEnum, protobuf as pg};
use std::collections::HashMap;

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

    pub fn select(&mut self, s: &'t pg::SelectStmt) {
        let outer = self.with(&s.with_clause);
        if let Some(into) = &s.into_clause {
            self.into(into);
        }
        self.nodes(&s.distinct_clause);
        self.nodes(&s.target_list);
        self.nodes(&s.from_clause);
        self.maybe(&s.where_clause);
        self.nodes(&s.group_clause);
        self.maybe(&s.having_clause);
        self.nodes(&s.window_clause);
        self.nodes(&s.values_lists);
        self.nodes(&s.sort_clause);
        self.maybe(&s.limit_offset);
        self.maybe(&s.limit_count);
        self.nodes(&s.locking_clause);
        for side in [&s.larg, &s.rarg].into_iter().flatten() {
            self.select(side);
        }
        self.visible.truncate(outer);
    }

    fn into(&mut self, into: &'t pg::IntoClause) {
        if let Some(relation) = &into.rel {
            self.into = Some(is_temporary(relation));
            self.write(relation);
        }
        self.nodes(&into.options);
    }

    pub fn insert(&mut self, s: &'t pg::InsertStmt) {
        let outer = self.with(&s.with_clause);
        self.target(&s.relation, s.returning_clause.is_some() || s.on_conflict_clause.is_some());
        self.assigned(&s.cols);
        self.maybe(&s.select_stmt);
        if let Some(conflict) = &s.on_conflict_clause {
            if let Some(infer) = &conflict.infer {
                self.nodes(&infer.index_elems);
                self.maybe(&infer.where_clause);
            }
            self.assigned(&conflict.target_list);
            self.maybe(&conflict.where_clause);
        }
        self.returning(&s.returning_clause);
        self.visible.truncate(outer);
    }

    pub fn update(&mut self, s: &'t pg::UpdateStmt) {
        let outer = self.with(&s.with_clause);
        self.target(&s.relation, true);
        self.assigned(&s.target_list);
        self.nodes(&s.from_clause);
        self.maybe(&s.where_clause);
        self.returning(&s.returning_clause);
        self.visible.truncate(outer);
    }

    pub fn delete(&mut self, s: &'t pg::DeleteStmt) {
        let outer = self.with(&s.with_clause);
        self.target(&s.relation, true);
        self.nodes(&s.using_clause);
        self.maybe(&s.where_clause);
        self.returning(&s.returning_clause);
        self.visible.truncate(outer);
    }

    pub fn merge(&mut self, s: &'t pg::MergeStmt) {
        let outer = self.with(&s.with_clause);
        self.target(&s.relation, true);
        self.maybe(&s.source_relation);
        self.maybe(&s.join_condition);
        for when in &s.merge_when_clauses {
            let Some(NodeEnum::MergeWhenClause(when)) = &when.node else {
                self.unknown("a part of MERGE that it does not know");
                continue;
            };
            self.maybe(&when.condition);
            self.assigned(&when.target_list);
            self.nodes(&when.values);
        }
        self.returning(&s.returning_clause);
        self.visible.truncate(outer);
    }

    /// Makes the names of a WITH visible and walks its queries; returns what
    /// was visible outside. A name hides a table from its own query on only
    /// in WITH RECURSIVE, else from the next query on (`parse_cte.c`).
    fn with(&mut self, with: &'t Option<pg::WithClause>) -> usize {
        let outer = self.visible.len();
        let Some(with) = with else { return outer };
        let mut queries = Vec::new();
        for node in &with.ctes {
            match &node.node {
                Some(NodeEnum::CommonTableExpr(cte)) => queries.push(cte),
                _ => self.unknown("a part of WITH that it does not know"),
            }
        }
        if with.recursive {
            self.visible.extend(queries.iter().map(|cte| cte.ctename.as_str()));
        }
        for cte in queries {
            if let Some(query) = &cte.ctequery {
                self.out.modifying_cte |= !matches!(query.node, Some(NodeEnum::SelectStmt(_)));
                self.node(query);
            }
            if let Some(cycle) = &cte.cycle_clause {
                self.maybe(&cycle.cycle_mark_value);
                self.maybe(&cycle.cycle_mark_default);
            }
            if !with.recursive {
                self.visible.push(&cte.ctename);
            }
        }
        outer
    }

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
    fn range_of(&mut self, relation: &'t pg::RangeVar, certain: bool) {
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
    fn alias(&mut self, alias: &'t Option<pg::Alias>, covers: bool) {
        let Some(alias) = alias else { return };
        self.range(&alias.aliasname, None);
        if covers && !alias.colnames.is_empty() {
            self.column_name("*");
        }
    }

    fn range(&mut self, name: &'t str, relation: Option<Name>) {
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

    fn target(&mut self, relation: &'t Option<pg::RangeVar>, reads_too: bool) {
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
    fn column_spot(&mut self, column: &pg::ColumnRef) {
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

    fn returning(&mut self, clause: &'t Option<pg::ReturningClause>) {
        if let Some(clause) = clause {
            self.nodes(&clause.exprs);
        }
    }

    /// The targets of INSERT and SET: their names are columns, not aliases.
    fn assigned(&mut self, targets: &'t [Node]) {
        for target in targets {
            if let Some(NodeEnum::ResTarget(target)) = &target.node {
                self.column_name(&target.name);
            }
            self.node(target);
        }
    }

    fn column(&mut self, fields: &'t [Node]) {
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

    fn column_name(&mut self, name: &str) {
        if !name.is_empty() {
            self.out.columns.insert(name.to_owned());
        }
    }

    /// `(x).field`, `x[1]`.
    fn indirection(&mut self, steps: &'t [Node]) {
        self.column_names(steps);
        self.nodes(steps);
    }

    /// The fields of an expression, each of which may be a function.
    fn attributes(&mut self, steps: &'t [Node]) {
        let names = strings(steps);
        self.out.expression_attributes |= !names.is_empty();
        let of_unknown = |name: &str| Attribute { name: name.to_owned(), relation: None };
        self.out.attributes.extend(names.into_iter().map(of_unknown));
    }

    pub fn call(&mut self, call: &'t pg::FuncCall) {
        self.function(&call.funcname);
        if strings(&call.funcname).last() == Some(&"set_config") {
            self.set_config(&call.args);
        }
        self.nodes(&call.args);
        self.nodes(&call.agg_order);
        self.maybe(&call.agg_filter);
        if let Some(window) = &call.over {
            self.window(window);
        }
    }

    fn set_config(&mut self, args: &'t [Node]) {
        let constant = |index: usize| args.get(index).and_then(uncut_constant);
        let name = constant(0).unwrap_or_default().to_lowercase();
        if let (true, Some(value), Some(at)) =
            (name == "search_path", constant(1), args.get(1).and_then(constant_location))
        {
            self.spot(at, Named::PathText(value));
        }
        let change = constant(1).map_or(Change::Unknown, Change::To);
        self.out.settings.push(Setting { name, change });
    }

    fn function(&mut self, name: &'t [Node]) {
        match qualified(name) {
            Some(name) => drop(self.out.functions.insert(name)),
            None => self.unknown("a function without a name"),
        }
    }

    fn operator(&mut self, name: &'t [Node]) {
        match qualified(name) {
            Some(name) => drop(self.out.operators.insert(name)),
            None => self.unknown("an operator without a name"),
        }
    }

    /// An operator that a construct stands for, found by the search path.
    fn implied(&mut self, name: &str) {
        self.out.operators.insert(Name::new(None, name));
    }

    fn expression_operator(&mut self, e: &'t pg::AExpr) {
        match AExprKind::try_from(e.kind) {
            Ok(
                AExprKind::AexprBetween
                | AExprKind::AexprNotBetween
                | AExprKind::AexprBetweenSym
                | AExprKind::AexprNotBetweenSym,
            ) => ["<", "<=", ">", ">="].into_iter().for_each(|name| self.implied(name)),
            _ => self.operator(&e.name),
        }
    }

    pub fn type_name(&mut self, name: &'t Option<pg::TypeName>) {
        if let Some(name) = name {
            self.types(name);
        }
    }

    fn types(&mut self, name: &'t pg::TypeName) {
        if name.pct_type {
            // `table.column%TYPE`: only in function signatures.
            return self.unknown("%TYPE");
        }
        match qualified(&name.names) {
            Some(name) => drop(self.out.types.insert(name)),
            None => self.unknown("a type without a name"),
        }
        self.nodes(&name.typmods);
    }

    fn window(&mut self, w: &'t pg::WindowDef) {
        self.nodes(&w.partition_clause);
        self.nodes(&w.order_clause);
        self.maybe(&w.start_offset);
        self.maybe(&w.end_offset);
    }

    fn column_def(&mut self, c: &'t pg::ColumnDef) {
        self.column_name(&c.colname);
        self.type_name(&c.type_name);
        self.maybe(&c.raw_default);
        self.nodes(&c.constraints);
    }

    fn constraint(&mut self, c: &'t pg::Constraint) {
        self.maybe(&c.raw_expr);
        // EXCLUDE (column WITH operator, …)
        for pair in &c.exclusions {
            match &pair.node {
                Some(NodeEnum::List(pair)) => self.exclusion(&pair.items),
                _ => self.unknown("a part of EXCLUDE that it does not know"),
            }
        }
        self.nodes(&c.options);
        self.maybe(&c.where_clause);
        // A foreign key puts triggers on the table that it points at.
        if let Some(table) = &c.pktable {
            self.write(table);
        }
    }

    fn exclusion(&mut self, pair: &'t [Node]) {
        let [element, operator] = pair else {
            return self.unknown("a part of EXCLUDE that it does not know");
        };
        self.node(element);
        match &operator.node {
            Some(NodeEnum::List(name)) => self.operator(&name.items),
            _ => self.unknown("an operator without a name"),
        }
    }

    fn json_value(&mut self, value: &'t Option<Box<pg::JsonValueExpr>>) {
        if let Some(value) = value {
            self.maybe(&value.raw_expr);
            self.maybe(&value.formatted_expr);
        }
    }

    fn json_key_value(&mut self, kv: &'t pg::JsonKeyValue) {
        self.maybe(&kv.key);
        self.json_value(&kv.value);
    }

    fn json_output(&mut self, output: &'t Option<pg::JsonOutput>) {
        if let Some(output) = output {
            self.type_name(&output.type_name);
        }
    }

    fn json_behavior(&mut self, behavior: &'t Option<Box<pg::JsonBehavior>>) {
        if let Some(behavior) = behavior {
            self.maybe(&behavior.expr);
        }
    }

    fn json_aggregate(&mut self, constructor: &'t Option<Box<pg::JsonAggConstructor>>) {
        let Some(constructor) = constructor else { return };
        self.json_output(&constructor.output);
        self.maybe(&constructor.agg_filter);
        self.nodes(&constructor.agg_order);
        if let Some(window) = &constructor.over {
            self.window(window);
        }
    }
}

pub(super) fn relation_name(relation: &pg::RangeVar) -> Name {
    Name::new(Some(relation.schemaname.as_str()).filter(|schema| !schema.is_empty()), &relation.relname)
}

/// Written as TEMP, or into the temporary schema.
pub(super) fn is_temporary(relation: &pg::RangeVar) -> bool {
    relation.relpersistence == "t" || relation.schemaname == "pg_temp"
}

/// The strings of a list of names.
pub(super) fn strings(names: &[Node]) -> Vec<&str> {
    names
        .iter()
        .filter_map(|name| match &name.node {
            Some(NodeEnum::String(name)) => Some(name.sval.as_str()),
            _ => None,
        })
        .collect()
}

/// `name`, `schema.name` or `database.schema.name`.
pub(super) fn qualified(names: &[Node]) -> Option<Name> {
    match strings(names).as_slice() {
        [name] => Some(Name::new(None, name)),
        [schema, name] | [_, schema, name] => Some(Name::new(Some(schema), name)),
        _ => None,
    }
}

/// A constant whose casts do not change its text: `'10'::char(1)` is not one.
fn uncut_constant(node: &Node) -> Option<String> {
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
pub(super) fn constant_location(node: &Node) -> Option<i32> {
    match node.node.as_ref()? {
        NodeEnum::AConst(value) => Some(value.location),
        NodeEnum::TypeCast(cast) => constant_location(cast.arg.as_ref()?),
        _ => None,
    }
}

/// The text of a constant. Casts are looked through: SET has one, of an interval.
pub(super) fn constant(node: &Node) -> Option<String> {
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
