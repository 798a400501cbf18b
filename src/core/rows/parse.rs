//! The walk over PostgreSQL's tree: what is known passes, all else is refused
//! with the words of what is allowed.

use super::RowsError;
use super::value::{Constant, Kind, own_type};
use crate::core::model::{Column, Comparison, Condition, Relation, ScopeError, nearest};
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AConst, AExpr, AExprKind, BoolExpr, BoolExprType, ColumnRef, Node, NullTestType, SelectStmt, Token,
    a_const::Val,
};

/// Levels of AND within OR within AND: what is written by hand has two or three.
const DEEPEST: usize = 16;

/// What the condition is the end of. Parsed alone with `true`, it is the
/// statement that the person's text may differ from in the condition only.
const BEFORE: &str = "SELECT 1 WHERE ";

pub(super) fn condition(text: &str, relation: &Relation) -> Result<Condition, RowsError> {
    let walk = Walk { relation };
    let tokens = pg_query::scan(text).map_err(|error| walk.syntax(error))?;
    for token in &tokens.tokens {
        match token.token() {
            Token::SqlComment | Token::CComment => return Err(walk.refused("a comment")),
            Token::Ascii59 => return Err(walk.refused("a semicolon")),
            _ => {}
        }
    }
    let (found, around) = walk.statement(&format!("{BEFORE}{text}"))?;
    let (_, expected) = walk.statement(&format!("{BEFORE}true"))?;
    if around != expected {
        return Err(walk.refused("anything after the condition"));
    }
    walk.condition(&found, 0)
}

struct Walk<'a> {
    relation: &'a Relation,
}

impl Walk<'_> {
    /// The condition of the one SELECT that a text is, and the rest of it.
    fn statement(&self, text: &str) -> Result<(Node, SelectStmt), RowsError> {
        let parsed = pg_query::parse(text, 0).map_err(|error| self.syntax(error))?;
        let mut statements = parsed.protobuf.stmts.into_iter();
        let (first, second) = (statements.next(), statements.next());
        match (first.and_then(|raw| raw.stmt).and_then(|node| node.node), second) {
            (Some(NodeEnum::SelectStmt(mut select)), None) => match select.where_clause.take() {
                Some(condition) => Ok((*condition, *select)),
                None => Err(self.refused("this")),
            },
            _ => Err(self.refused("more than a condition")),
        }
    }

    fn condition(&self, node: &Node, depth: usize) -> Result<Condition, RowsError> {
        if depth > DEEPEST {
            return Err(RowsError::TooDeep(DEEPEST));
        }
        match node.node.as_ref() {
            Some(NodeEnum::BoolExpr(expression)) => self.combined(expression, depth),
            Some(NodeEnum::AExpr(expression)) => self.compared(expression),
            Some(NodeEnum::NullTest(test)) => {
                let negated = match test.nulltesttype() {
                    NullTestType::IsNull => false,
                    NullTestType::IsNotNull => true,
                    NullTestType::Undefined => return Err(self.refused("this test")),
                };
                let column = self.column(test.arg.as_deref())?;
                Ok(Condition::Null { column: column.name.clone(), negated })
            }
            Some(NodeEnum::ColumnRef(_)) => self.flag(Some(node), true),
            other => Err(self.refused(told(other))),
        }
    }

    fn combined(&self, expression: &BoolExpr, depth: usize) -> Result<Condition, RowsError> {
        let parts = || expression.args.iter().map(|node| self.condition(node, depth + 1));
        match expression.boolop() {
            BoolExprType::AndExpr => {
                let mut all = Vec::new();
                for part in parts() {
                    match part? {
                        Condition::And { all: inner } => all.extend(inner),
                        other => all.push(other),
                    }
                }
                Ok(Condition::And { all })
            }
            BoolExprType::OrExpr => {
                let mut any = Vec::new();
                for part in parts() {
                    match part? {
                        Condition::Or { any: inner } => any.extend(inner),
                        other => any.push(other),
                    }
                }
                Ok(Condition::Or { any })
            }
            BoolExprType::NotExpr => match expression.args.as_slice() {
                [node] if matches!(node.node, Some(NodeEnum::ColumnRef(_))) => self.flag(Some(node), false),
                _ => Err(self.refused("NOT before anything but a boolean column")),
            },
            BoolExprType::Undefined => Err(self.refused("this")),
        }
    }

    fn compared(&self, expression: &AExpr) -> Result<Condition, RowsError> {
        let (left, right) = (expression.lexpr.as_deref(), expression.rexpr.as_deref());
        match expression.kind() {
            AExprKind::AexprOp => {
                let operator = self.operator(expression)?;
                // Of `5 < a` the column is on the right.
                if left.is_some_and(is_constant) {
                    self.comparison(right, flipped(operator), left)
                } else {
                    self.comparison(left, operator, right)
                }
            }
            AExprKind::AexprIn => {
                let column = self.column(left)?;
                let kind = self.kind(column)?;
                let list = self.list(right)?;
                let values = list
                    .iter()
                    .map(|item| self.value(column, &kind, Some(item)))
                    .collect::<Result<_, _>>()?;
                let (name, type_name) = (column.name.clone(), column.type_name.clone());
                match self.operator(expression)? {
                    Comparison::Equal => Ok(Condition::In { column: name, values, type_name }),
                    // NOT IN
                    _ => {
                        let differ = |value| Condition::Compare {
                            column: name.clone(),
                            operator: Comparison::NotEqual,
                            value,
                            type_name: type_name.clone(),
                        };
                        let mut all: Vec<Condition> = values.into_iter().map(differ).collect();
                        match (all.pop(), all.is_empty()) {
                            (Some(only), true) => Ok(only),
                            (last, _) => {
                                all.extend(last);
                                Ok(Condition::And { all })
                            }
                        }
                    }
                }
            }
            AExprKind::AexprBetween => match self.list(right)? {
                [from, to] => Ok(Condition::And {
                    all: vec![
                        self.comparison(left, Comparison::AtLeast, Some(from))?,
                        self.comparison(left, Comparison::AtMost, Some(to))?,
                    ],
                }),
                _ => Err(self.refused("this BETWEEN")),
            },
            AExprKind::AexprLike | AExprKind::AexprIlike | AExprKind::AexprSimilar => {
                Err(self.refused("LIKE"))
            }
            AExprKind::AexprOpAny | AExprKind::AexprOpAll => Err(self.refused("ANY or ALL")),
            AExprKind::AexprDistinct | AExprKind::AexprNotDistinct => Err(self.refused("IS DISTINCT FROM")),
            _ => Err(self.refused("this comparison")),
        }
    }

    fn comparison(
        &self,
        column: Option<&Node>,
        operator: Comparison,
        constant: Option<&Node>,
    ) -> Result<Condition, RowsError> {
        let column = self.column(column)?;
        let value = self.value(column, &self.kind(column)?, constant)?;
        let (column, type_name) = (column.name.clone(), column.type_name.clone());
        Ok(Condition::Compare { column, operator, value, type_name })
    }

    /// A boolean column alone.
    fn flag(&self, node: Option<&Node>, is: bool) -> Result<Condition, RowsError> {
        let column = self.column(node)?;
        if self.kind(column)? != Kind::Boolean {
            let what = format!("{} alone, which is {} and not boolean,", column.name, column.type_name);
            return Err(self.refused(what));
        }
        Ok(Condition::Compare {
            column: column.name.clone(),
            operator: Comparison::Equal,
            value: is.to_string(),
            type_name: column.type_name.clone(),
        })
    }

    fn operator(&self, expression: &AExpr) -> Result<Comparison, RowsError> {
        // With a schema before it, it would be anybody's operator.
        let name = match expression.name.as_slice() {
            [Node { node: Some(NodeEnum::String(name)) }] => name.sval.as_str(),
            _ => return Err(self.refused("OPERATOR(…)")),
        };
        Ok(match name {
            "=" => Comparison::Equal,
            "<>" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::AtMost,
            ">" => Comparison::More,
            ">=" => Comparison::AtLeast,
            other => return Err(self.refused(format!("the operator {other}"))),
        })
    }

    /// One of the table's own columns: `name`, `table.name` or `schema.table.name`.
    fn column(&self, node: Option<&Node>) -> Result<&Column, RowsError> {
        let reference = match node.and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::ColumnRef(reference)) => reference,
            other => return Err(self.refused(format!("a comparison of {}", told(other)))),
        };
        let names = words(reference).ok_or_else(|| self.refused("a star"))?;
        let table = &self.relation.name;
        let name = match names.as_slice() {
            [name] => *name,
            [of, name] if *of == table.name => *name,
            [schema, of, name] if *schema == table.schema && *of == table.name => *name,
            _ => return Err(self.refused(format!("a column of another table ({})", names.join(".")))),
        };
        self.relation.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let nearest = nearest(name, self.relation.columns.iter().map(|column| column.name.as_str()));
            ScopeError::UnknownColumn { asked: name.to_owned(), within: table.to_string(), nearest }.into()
        })
    }

    fn kind(&self, column: &Column) -> Result<Kind, RowsError> {
        Kind::of(&column.type_name).ok_or_else(|| RowsError::Incomparable {
            column: self.relation.name.column(&column.name),
            type_name: column.type_name.clone(),
        })
    }

    /// A constant as the text that the column's type reads.
    fn value(&self, column: &Column, kind: &Kind, node: Option<&Node>) -> Result<String, RowsError> {
        let constant = self.constant(column, node)?;
        kind.read(&constant).map_err(|expected| RowsError::Value {
            value: constant.to_string(),
            column: self.relation.name.column(&column.name),
            type_name: column.type_name.clone(),
            expected,
        })
    }

    fn constant(&self, column: &Column, node: Option<&Node>) -> Result<Constant, RowsError> {
        match node.and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::AConst(constant)) => self.literal(constant),
            Some(NodeEnum::TypeCast(cast)) => {
                if !cast.type_name.as_ref().is_some_and(|name| own_type(name, &column.type_name)) {
                    let what =
                        format!("a cast to another type than {}'s own ({})", column.name, column.type_name);
                    return Err(self.refused(what));
                }
                match cast.arg.as_deref().and_then(|node| node.node.as_ref()) {
                    Some(NodeEnum::AConst(constant)) => self.literal(constant),
                    other => Err(self.refused(format!("a cast of {}", told(other)))),
                }
            }
            Some(NodeEnum::ColumnRef(reference)) => {
                let name = words(reference).unwrap_or_default().join(".");
                let what =
                    format!("a comparison with {name}, which is no constant (text is in single quotes),");
                Err(self.refused(what))
            }
            other => Err(self.refused(format!("a comparison with {}", told(other)))),
        }
    }

    fn literal(&self, constant: &AConst) -> Result<Constant, RowsError> {
        match &constant.val {
            _ if constant.isnull => Err(self.refused("a comparison with NULL (write IS NULL)")),
            Some(Val::Ival(value)) => Ok(Constant::Number(value.ival.to_string())),
            Some(Val::Fval(value)) => Ok(Constant::Number(value.fval.clone())),
            Some(Val::Boolval(value)) => Ok(Constant::Boolean(value.boolval)),
            Some(Val::Sval(value)) => Ok(Constant::Text(value.sval.clone())),
            Some(Val::Bsval(_)) | None => Err(self.refused("a bit string")),
        }
    }

    fn list<'n>(&self, node: Option<&'n Node>) -> Result<&'n [Node], RowsError> {
        match node.and_then(|node| node.node.as_ref()) {
            Some(NodeEnum::List(list)) => Ok(&list.items),
            other => Err(self.refused(told(other))),
        }
    }

    fn refused(&self, what: impl Into<String>) -> RowsError {
        RowsError::NotAllowed { what: what.into(), table: self.relation.name.clone() }
    }

    fn syntax(&self, error: pg_query::Error) -> RowsError {
        let message = match error {
            pg_query::Error::Parse(message) | pg_query::Error::Scan(message) => message,
            // What the C parser wrote is read again within a bound of depth.
            pg_query::Error::Decode(_) => return RowsError::TooDeep(DEEPEST),
            other => other.to_string(),
        };
        RowsError::Syntax { table: self.relation.name.clone(), message }
    }
}

fn is_constant(node: &Node) -> bool {
    matches!(node.node, Some(NodeEnum::AConst(_) | NodeEnum::TypeCast(_)))
}

fn words(reference: &ColumnRef) -> Option<Vec<&str>> {
    reference
        .fields
        .iter()
        .map(|node| match &node.node {
            Some(NodeEnum::String(word)) => Some(word.sval.as_str()),
            _ => None,
        })
        .collect()
}

/// `5 < a` is `a > 5`.
fn flipped(operator: Comparison) -> Comparison {
    match operator {
        Comparison::Equal => Comparison::Equal,
        Comparison::NotEqual => Comparison::NotEqual,
        Comparison::Less => Comparison::More,
        Comparison::AtMost => Comparison::AtLeast,
        Comparison::More => Comparison::Less,
        Comparison::AtLeast => Comparison::AtMost,
    }
}

fn told(node: Option<&NodeEnum>) -> &'static str {
    match node {
        Some(NodeEnum::FuncCall(_) | NodeEnum::SqlvalueFunction(_) | NodeEnum::CoalesceExpr(_)) => {
            "a function"
        }
        Some(NodeEnum::SubLink(_)) => "a subquery",
        Some(NodeEnum::ParamRef(_)) => "a parameter",
        Some(NodeEnum::AConst(_)) => "a constant alone",
        Some(NodeEnum::TypeCast(_)) => "a cast",
        Some(NodeEnum::CaseExpr(_)) => "CASE",
        Some(NodeEnum::AExpr(_)) => "a computed value",
        Some(NodeEnum::BooleanTest(_)) => "IS TRUE or IS FALSE",
        Some(NodeEnum::RowExpr(_)) => "a row of several values",
        Some(NodeEnum::CollateClause(_)) => "COLLATE",
        _ => "this",
    }
}
