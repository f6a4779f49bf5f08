//! `EXISTS`, `IN`, `ANY` and `ALL` that are no condition of their own (below `OR`, in `CASE`, among
//! the selected columns), and `NOT IN` over rows that depend on the outer one: as counts of rows,
//! which are subqueries with one value.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue, Spans};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, FetchType, Filter, LogicalPlan, LogicalPlanBuilder, Operator,
    Subquery, binary_expr, cast, lit, not, when,
};

use crate::error::PlanError;

/// What the columns of a subquery are called whose rows are counted.
const AMONG: &str = "__among";

/// What the value of a subquery is called.
const VALUE: &str = "__value";

/// The plan with subqueries as conditions only where a join is what they mean.
///
/// # Errors
/// DataFusion's, if types cannot be compared.
pub fn to_counts(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Filter(filter) => filtered(filter),
        LogicalPlan::Projection(_) => {
            let schema = Arc::clone(node.inputs()[0].schema());
            node.map_expressions(|expr| {
                let name = expr.schema_name().to_string();
                let counted = value(expr, &schema)?;
                Ok(match counted.data {
                    Expr::Alias(_) => counted,
                    _ if !counted.transformed => counted,
                    _ => counted.update_data(|expr| expr.alias(name)),
                })
            })
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

fn filtered(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(filter.input.schema());
    let mut changed = false;
    let mut conditions = Vec::new();
    for part in split_conjunction_owned(filter.predicate.clone()) {
        let counted = match &part {
            Expr::Exists(_) => Transformed::no(part),
            Expr::InSubquery(call) if !(call.negated && depends(&call.subquery)) => {
                Transformed::no(part)
            }
            Expr::Not(inner) if matches!(inner.as_ref(), Expr::Exists(_)) => Transformed::no(part),
            _ => condition(part, &schema)?,
        };
        changed |= counted.transformed;
        conditions.push(counted.data);
    }
    let Some(predicate) = conjunction(conditions).filter(|_| changed) else {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    };
    let counted = Filter::try_new(predicate, filter.input)?;
    Ok(Transformed::yes(LogicalPlan::Filter(counted)))
}

fn depends(subquery: &Subquery) -> bool {
    !subquery.outer_ref_columns.is_empty()
}

/// A condition of which only it matters whether it is true: not knowing is as good as false.
fn condition(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr {
            left,
            op: op @ (Operator::And | Operator::Or),
            right,
        }) => {
            let left = condition(*left, schema)?;
            let right = condition(*right, schema)?;
            let changed = left.transformed || right.transformed;
            let both = BinaryExpr::new(Box::new(left.data), op, Box::new(right.data));
            let both = Expr::BinaryExpr(both);
            Ok(Transformed::new(both, changed, TreeNodeRecursion::Continue))
        }
        Expr::InSubquery(call) if !call.negated => {
            let among = Among::of(*call.expr, call.subquery, schema)?;
            Ok(Transformed::yes(among.found()?))
        }
        other => value(other, schema),
    }
}

/// Any expression, with the three answers that SQL has.
fn value(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_down(|expr| match expr {
        Expr::Exists(Exists { subquery, negated }) => {
            let rows = rows_of(subquery.subquery.as_ref().clone())?;
            let some = counted(rows, lit(1_i64), &subquery.spans)?.gt(lit(0_i64));
            let answer = if negated { not(some) } else { some };
            Ok(Transformed::new(answer, true, TreeNodeRecursion::Jump))
        }
        Expr::InSubquery(InSubquery {
            expr,
            subquery,
            negated,
        }) => {
            let answer = Among::of(*expr, subquery, schema)?.answer()?;
            let answer = if negated { not(answer) } else { answer };
            Ok(Transformed::new(answer, true, TreeNodeRecursion::Jump))
        }
        Expr::ScalarSubquery(subquery) => {
            let name = subquery.subquery.schema().field(0).name();
            if !schema.has_column_with_unqualified_name(name) {
                return Ok(Transformed::no(Expr::ScalarSubquery(subquery)));
            }
            // Its column must not be taken for one of the outer row.
            let value = Expr::from(subquery.subquery.schema().qualified_field(0)).alias(VALUE);
            let plan = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone())
                .project([value])?
                .build()?;
            let named = Expr::ScalarSubquery(subquery.with_plan(Arc::new(plan)));
            Ok(Transformed::new(named, true, TreeNodeRecursion::Jump))
        }
        Expr::SetComparison(SetComparison {
            expr,
            subquery,
            op,
            quantifier,
        }) => {
            let among = Among::of(*expr, subquery, schema)?;
            let answer = match (op, quantifier) {
                (Operator::Eq, SetQuantifier::Any) => among.answer()?,
                (Operator::NotEq, SetQuantifier::All) => not(among.answer()?),
                _ => among.compared(op, quantifier)?,
            };
            Ok(Transformed::new(answer, true, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    })
}

/// The rows that decide whether there are any: without what changes neither that nor their number
/// to none.
fn rows_of(plan: LogicalPlan) -> Result<LogicalPlan> {
    match plan {
        LogicalPlan::Projection(projection) => rows_of(projection.input.as_ref().clone()),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => rows_of(sort.input.as_ref().clone()),
        LogicalPlan::Limit(limit)
            if limit.skip.is_none()
                && matches!(limit.get_fetch_type()?, FetchType::Literal(Some(1..))) =>
        {
            rows_of(limit.input.as_ref().clone())
        }
        other => Ok(other),
    }
}

/// `(SELECT count(value) FROM rows)`.
fn counted(rows: LogicalPlan, value: Expr, spans: &Spans) -> Result<Expr> {
    aggregated(rows, count(value), spans)
}

/// `(SELECT call FROM rows)`.
fn aggregated(rows: LogicalPlan, call: Expr, spans: &Spans) -> Result<Expr> {
    let plan = LogicalPlanBuilder::from(rows)
        .aggregate(Vec::<Expr>::new(), [call.alias(VALUE)])?
        .build()?;
    let outer_ref_columns = plan.all_out_ref_exprs();
    Ok(Expr::ScalarSubquery(Subquery {
        subquery: Arc::new(plan),
        outer_ref_columns,
        spans: spans.clone(),
    }))
}

/// `x IN (SELECT y …)`.
struct Among {
    /// `x`, in the type in which both are compared.
    value: Expr,
    /// `x` as the subquery sees it.
    outer: Expr,
    /// The rows of the subquery, with `y` in that type as their only column.
    rows: LogicalPlan,
    spans: Spans,
    nullable: bool,
}

impl Among {
    fn of(expr: Expr, subquery: Subquery, schema: &DFSchema) -> Result<Self> {
        let rows = subquery.subquery.as_ref().clone();
        let first = Expr::from(rows.schema().qualified_field(0));
        let (found, sought) = (first.get_type(rows.schema())?, expr.get_type(schema)?);
        let nullable = first.nullable(rows.schema())? || expr.nullable(schema)?;
        let common = comparison_coercion(&sought, &found);
        let to_common = |expr: Expr, from: DataType| match &common {
            Some(common) if *common != from => cast(expr, common.clone()),
            _ => expr,
        };
        let rows = LogicalPlanBuilder::from(rows)
            .project([to_common(first, found).alias(AMONG)])?
            .build()?;
        let value = to_common(expr, sought);
        let outer = value.clone().transform_up(|expr| match expr {
            Expr::Column(column) => {
                let field = Arc::clone(schema.qualified_field_from_column(&column)?.1);
                Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(Self {
            value,
            outer: outer.data,
            rows,
            spans: subquery.spans,
            nullable,
        })
    }

    /// Whether a row equals the value.
    fn found(&self) -> Result<Expr> {
        let equal = LogicalPlanBuilder::from(self.rows.clone())
            .filter(among().eq(self.outer.clone()))?
            .build()?;
        Ok(counted(equal, lit(1_i64), &self.spans)?.gt(lit(0_i64)))
    }

    /// True, false, or not known: of rows with a null nothing is certainly not one.
    fn answer(&self) -> Result<Expr> {
        if !self.nullable {
            return self.found();
        }
        when(self.found()?, lit(true))
            .when(self.rows()?.eq(lit(0_i64)), lit(false))
            .when(self.unknown()?, lit(ScalarValue::Boolean(None)))
            .otherwise(lit(false))
    }

    /// `x > ALL (SELECT y …)`, `x < ANY (…)`: as with the greatest or the least of the rows.
    fn compared(&self, op: Operator, quantifier: SetQuantifier) -> Result<Expr> {
        let all = quantifier == SetQuantifier::All;
        let bound = match (op, all) {
            (Operator::Gt | Operator::GtEq, true) | (Operator::Lt | Operator::LtEq, false) => max,
            (Operator::Lt | Operator::LtEq, true) | (Operator::Gt | Operator::GtEq, false) => min,
            _ => {
                let error = PlanError::unsupported(format!("{op} {quantifier}"));
                return Err(error.hint("Write IN, NOT IN or EXISTS.").into());
            }
        };
        let bound = aggregated(self.rows.clone(), bound(among()), &self.spans)?;
        let holds = binary_expr(self.value.clone(), op, bound);
        let decided = if all { holds.is_false() } else { holds };
        when(self.rows()?.eq(lit(0_i64)), lit(all))
            .when(decided, lit(!all))
            .when(self.unknown()?, lit(ScalarValue::Boolean(None)))
            .otherwise(lit(all))
    }

    /// How many rows there are.
    fn rows(&self) -> Result<Expr> {
        counted(self.rows.clone(), lit(1_i64), &self.spans)
    }

    /// Whether a null is on either side.
    fn unknown(&self) -> Result<Expr> {
        let values = counted(self.rows.clone(), among(), &self.spans)?;
        Ok(self.value.clone().is_null().or(self.rows()?.not_eq(values)))
    }
}

fn among() -> Expr {
    Expr::Column(Column::new_unqualified(AMONG))
}
