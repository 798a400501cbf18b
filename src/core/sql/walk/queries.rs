//! Queries and changes of rows, with what is in scope in each of their parts.

use super::super::facts::Class;
use super::Walker;
use super::words::is_temporary;
use pg_query::{NodeEnum, protobuf as pg};

impl<'t> Walker<'t> {
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

    pub(super) fn into(&mut self, into: &'t pg::IntoClause) {
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
            self.out.inner.extend(match pg::CmdType::try_from(when.command_type) {
                Ok(pg::CmdType::CmdInsert) => Some(Class::Insert),
                Ok(pg::CmdType::CmdUpdate) => Some(Class::Update),
                Ok(pg::CmdType::CmdDelete) => Some(Class::Delete),
                _ => None,
            });
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
    pub(super) fn with(&mut self, with: &'t Option<pg::WithClause>) -> usize {
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
                self.out.inner.extend(match query.node {
                    Some(NodeEnum::InsertStmt(_)) => Some(Class::Insert),
                    Some(NodeEnum::UpdateStmt(_)) => Some(Class::Update),
                    Some(NodeEnum::DeleteStmt(_)) => Some(Class::Delete),
                    Some(NodeEnum::MergeStmt(_)) => Some(Class::Merge),
                    _ => None,
                });
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
}
