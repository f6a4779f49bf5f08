//! The rule that puts PostgreSQL's casts and integer arithmetic in the place of DataFusion's. It
//! runs after types are coerced and before constants are folded, and changes no type and no name.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{BinaryExpr, Cast, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use crate::postgres::arithmetic::checked;
use crate::postgres::cast::{Otherwise, Target, cast_expr, differs};
use crate::postgres::function;
use crate::postgres::type_names::{CHAR, TYPE_KEY, VARCHAR};

/// Which integer arithmetic is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// All of it.
    Everywhere,
    /// That of constants, which is folded; the rest is checked by whoever runs the plan.
    Constants,
}

/// PostgreSQL's casts and integer arithmetic.
#[derive(Clone, Copy, Debug)]
pub struct PostgresSemantics {
    arithmetic: Arithmetic,
}

impl PostgresSemantics {
    /// The rule that replaces `arithmetic` and all casts.
    #[must_use]
    pub fn new(arithmetic: Arithmetic) -> Self {
        Self { arithmetic }
    }

    /// Applies it to one coerced expression over `schema`.
    ///
    /// # Errors
    /// DataFusion's, for an expression without a type.
    pub fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| self.one(expr, schema))
    }

    fn one(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        match expr {
            Expr::Cast(Cast { expr: inner, field }) => {
                let Some(target) = target(&inner, &field, schema) else {
                    return Ok(Transformed::no(Expr::Cast(Cast { expr: inner, field })));
                };
                Ok(Transformed::yes(cast_expr(
                    *inner,
                    target,
                    Otherwise::Fails,
                )))
            }
            Expr::TryCast(TryCast { expr: inner, field }) => {
                let Some(target) = target(&inner, &field, schema) else {
                    return Ok(Transformed::no(Expr::TryCast(TryCast {
                        expr: inner,
                        field,
                    })));
                };
                Ok(Transformed::yes(cast_expr(
                    *inner,
                    target,
                    Otherwise::IsNull,
                )))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let same = || Expr::BinaryExpr(BinaryExpr::new(left.clone(), op, right.clone()));
                let is_constant = |expr: &Expr| matches!(expr, Expr::Literal(..));
                let wanted = match self.arithmetic {
                    Arithmetic::Everywhere => true,
                    Arithmetic::Constants => is_constant(&left) && is_constant(&right),
                };
                let types = (left.get_type(schema), right.get_type(schema));
                let integers = matches!(types, (Ok(l), Ok(r)) if l == r && l.is_integer());
                let checked = (wanted && integers)
                    .then(|| checked((*left).clone(), op, (*right).clone()))
                    .flatten();
                Ok(match checked {
                    Some(checked) => Transformed::yes(checked),
                    None => Transformed::no(same()),
                })
            }
            Expr::Between(mut between) if is_interval(&between.expr, schema) => {
                for part in [&mut between.expr, &mut between.low, &mut between.high] {
                    **part = length(std::mem::take(part))?;
                }
                Ok(Transformed::yes(Expr::Between(between)))
            }
            Expr::InList(mut list) if is_interval(&list.expr, schema) => {
                let values = list.list.iter_mut();
                for part in values.chain([list.expr.as_mut()]) {
                    *part = length(std::mem::take(part))?;
                }
                Ok(Transformed::yes(Expr::InList(list)))
            }
            Expr::ScalarFunction(call) if call.func.name() == "round" => {
                let [value] = call.args.as_slice() else {
                    return Ok(Transformed::no(Expr::ScalarFunction(call)));
                };
                match value.get_type(schema) {
                    // Halves to the even number, as PostgreSQL rounds doubles.
                    Ok(DataType::Float64) => {
                        Ok(Transformed::yes(function::named("round_even", call.args)?))
                    }
                    _ => Ok(Transformed::no(Expr::ScalarFunction(call))),
                }
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn is_interval(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Interval(_)))
}

/// What intervals are compared by.
fn length(interval: Expr) -> Result<Expr> {
    function::named("interval_length", vec![interval])
}

/// What `inner` is cast to as `field`, if DataFusion would do it otherwise.
fn target(inner: &Expr, field: &Field, schema: &DFSchema) -> Option<Target> {
    let from = inner.get_type(schema).ok()?;
    match field.metadata().get(TYPE_KEY).map(String::as_str) {
        Some("uuid") => Some(Target::Uuid),
        Some("json") => Some(Target::Json),
        Some(form) if chars(form).is_some() => chars(form),
        _ => differs(&from, field.data_type()).then(|| Target::Type(field.data_type().clone())),
    }
}

fn chars(form: &str) -> Option<Target> {
    let (count, padded) = match form.strip_prefix(VARCHAR) {
        Some(count) => (count, false),
        None => (form.strip_prefix(CHAR)?, true),
    };
    let count = count.parse().ok()?;
    Some(Target::Chars { count, padded })
}

/// What the expressions of `node` are over.
pub(super) fn input_schema(node: &LogicalPlan) -> DFSchema {
    let mut schema = match node {
        LogicalPlan::TableScan(scan) => (*scan.projected_schema).clone(),
        _ => DFSchema::empty(),
    };
    for input in node.inputs() {
        schema.merge(input.schema());
    }
    schema
}

impl AnalyzerRule for PostgresSemantics {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let transformed = plan.transform_up_with_subqueries(|node| {
            let schema = input_schema(&node);
            let sorts = matches!(node, LogicalPlan::Sort(_));
            let names = NamePreserver::new(&node);
            let rewritten = node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = self.rewrite(expr, &schema)?;
                let rewritten = match sorts && is_interval(&rewritten.data, &schema) {
                    true => Transformed::yes(length(rewritten.data)?),
                    false => rewritten,
                };
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })?;
            match rewritten.transformed {
                true => rewritten.map_data(LogicalPlan::recompute_schema),
                false => Ok(rewritten),
            }
        })?;
        Ok(transformed.data)
    }

    fn name(&self) -> &str {
        "postgres_semantics"
    }
}
