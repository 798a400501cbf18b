//! What queries are made of: functions, operators, types, definitions, JSON.

use super::Walker;
use super::words::{constant_location, qualified, strings, uncut_constant};
use crate::core::sql::facts::{Change, Name, Named, Setting};
use pg_query::protobuf::AExprKind;
use pg_query::{Node, NodeEnum, protobuf as pg};

impl<'t> Walker<'t> {
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

    pub(super) fn set_config(&mut self, args: &'t [Node]) {
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

    pub(super) fn function(&mut self, name: &'t [Node]) {
        match qualified(name) {
            Some(name) => drop(self.out.functions.insert(name)),
            None => self.unknown("a function without a name"),
        }
    }

    pub(super) fn operator(&mut self, name: &'t [Node]) {
        match qualified(name) {
            Some(name) => drop(self.out.operators.insert(name)),
            None => self.unknown("an operator without a name"),
        }
    }

    /// An operator that a construct stands for, found by the search path.
    pub(super) fn implied(&mut self, name: &str) {
        self.out.operators.insert(Name::new(None, name));
    }

    pub(super) fn expression_operator(&mut self, e: &'t pg::AExpr) {
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

    pub(super) fn types(&mut self, name: &'t pg::TypeName) {
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

    pub(super) fn window(&mut self, w: &'t pg::WindowDef) {
        self.nodes(&w.partition_clause);
        self.nodes(&w.order_clause);
        self.maybe(&w.start_offset);
        self.maybe(&w.end_offset);
    }

    pub(super) fn column_def(&mut self, c: &'t pg::ColumnDef) {
        self.column_name(&c.colname);
        self.type_name(&c.type_name);
        self.maybe(&c.raw_default);
        self.nodes(&c.constraints);
    }

    pub(super) fn constraint(&mut self, c: &'t pg::Constraint) {
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

    pub(super) fn exclusion(&mut self, pair: &'t [Node]) {
        let [element, operator] = pair else {
            return self.unknown("a part of EXCLUDE that it does not know");
        };
        self.node(element);
        match &operator.node {
            Some(NodeEnum::List(name)) => self.operator(&name.items),
            _ => self.unknown("an operator without a name"),
        }
    }

    pub(super) fn json_value(&mut self, value: &'t Option<Box<pg::JsonValueExpr>>) {
        if let Some(value) = value {
            self.maybe(&value.raw_expr);
            self.maybe(&value.formatted_expr);
        }
    }

    pub(super) fn json_key_value(&mut self, kv: &'t pg::JsonKeyValue) {
        self.maybe(&kv.key);
        self.json_value(&kv.value);
    }

    pub(super) fn json_output(&mut self, output: &'t Option<pg::JsonOutput>) {
        if let Some(output) = output {
            self.type_name(&output.type_name);
        }
    }

    pub(super) fn json_behavior(&mut self, behavior: &'t Option<Box<pg::JsonBehavior>>) {
        if let Some(behavior) = behavior {
            self.maybe(&behavior.expr);
        }
    }

    pub(super) fn json_aggregate(&mut self, constructor: &'t Option<Box<pg::JsonAggConstructor>>) {
        let Some(constructor) = constructor else { return };
        self.json_output(&constructor.output);
        self.maybe(&constructor.agg_filter);
        self.nodes(&constructor.agg_order);
        if let Some(window) = &constructor.over {
            self.window(window);
        }
    }
}
