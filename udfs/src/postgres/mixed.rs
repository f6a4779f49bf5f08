//! The rule for operands of several types, as in PostgreSQL: decimals that meet doubles become
//! doubles, where DataFusion would make decimals of both, with 15 digits after the point, which
//! most doubles do not fit; quoted constants become what they are compared with.
//!
//! It runs before types are coerced, and changes no name.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{BinaryExpr, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::{Join, Union};
use datafusion::logical_expr::{Case, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::optimizer::AnalyzerRule;

use crate::postgres::semantics::input_schema;
use crate::postgres::untyped::compared;

/// Functions whose arguments have one type, which is also that of the result.
const ONE_TYPE: [&str; 5] = ["coalesce", "greatest", "least", "make_array", "nullif"];

/// Decimals beside doubles become doubles, quoted constants what they are compared with.
#[derive(Clone, Copy, Debug)]
pub struct MixedOperands;

impl MixedOperands {
    /// Applies it to one expression over `schema` whose types are not coerced yet.
    ///
    /// # Errors
    /// DataFusion's, for an expression without a type.
    pub fn rewrite(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| Ok(one(expr, schema)))
    }
}

fn one(mut expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let changed = match &mut expr {
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => unite(&mut [left, right], schema),
        Expr::Between(between) => {
            let bounds = &mut [&mut *between.low, &mut *between.high];
            let quoted = compared(&between.expr, bounds, schema);
            let together = &mut [&mut *between.expr, &mut *between.low, &mut *between.high];
            unite(together, schema) || quoted
        }
        Expr::InList(list) => {
            let mut values: Vec<&mut Expr> = list.list.iter_mut().collect();
            let quoted = compared(&list.expr, &mut values, schema);
            let mut together: Vec<&mut Expr> = list.list.iter_mut().collect();
            together.push(&mut list.expr);
            unite(&mut together, schema) || quoted
        }
        Expr::Case(case) => results_and_conditions(case, schema),
        Expr::ScalarFunction(ScalarFunction { func, args }) if ONE_TYPE.contains(&func.name()) => {
            unite(&mut args.iter_mut().collect::<Vec<_>>(), schema)
        }
        _ => false,
    };
    match changed {
        true => Transformed::yes(expr),
        false => Transformed::no(expr),
    }
}

fn results_and_conditions(case: &mut Case, schema: &DFSchema) -> bool {
    let (mut results, mut conditions) = (Vec::new(), Vec::new());
    for (when, then) in &mut case.when_then_expr {
        conditions.push(when.as_mut());
        results.push(then.as_mut());
    }
    results.extend(case.else_expr.as_deref_mut());
    // With an operand the conditions are values that are compared with it.
    conditions.extend(case.expr.as_deref_mut());
    let changed = unite(&mut results, schema);
    unite(&mut conditions, schema) || changed
}

/// Makes doubles of the decimals among `exprs` if a double is among them; returns whether it did.
fn unite(exprs: &mut [&mut Expr], schema: &DFSchema) -> bool {
    let types: Vec<Option<DataType>> = exprs
        .iter()
        .map(|expr| expr.get_type(schema).ok())
        .collect();
    if !types.iter().flatten().any(DataType::is_floating) {
        return false;
    }
    let mut changed = false;
    for (expr, of) in exprs.iter_mut().zip(&types) {
        if of.as_ref().is_some_and(DataType::is_decimal) {
            let decimal = std::mem::take(*expr);
            **expr = cast(decimal, DataType::Float64);
            changed = true;
        }
    }
    changed
}

/// The same for the keys of a join.
fn keys(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for (left, right) in &mut join.on {
        let both = join.left.schema().join(join.right.schema())?;
        changed |= unite(&mut [left, right], &both);
    }
    let join = LogicalPlan::Join(join);
    Ok(match changed {
        true => Transformed::yes(join),
        false => Transformed::no(join),
    })
}

/// The same for the columns of a union.
fn columns(union: Union) -> Result<Transformed<LogicalPlan>> {
    let type_of =
        |input: &LogicalPlan, place: usize| input.schema().field(place).data_type().clone();
    let places = 0..union.schema.fields().len();
    let mixed = |place: &usize| {
        let mut inputs = union.inputs.iter().map(|input| type_of(input, *place));
        let mut others = inputs.clone();
        inputs.any(|of| of.is_floating()) && others.any(|of| of.is_decimal())
    };
    let mixed: Vec<usize> = places.filter(mixed).collect();
    if mixed.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let mut inputs = Vec::with_capacity(union.inputs.len());
    for input in &union.inputs {
        let columns = input.schema().columns().into_iter().enumerate();
        let exprs = columns.map(|(place, column): (usize, Column)| {
            let name = column.name.clone();
            match mixed.contains(&place) && type_of(input, place).is_decimal() {
                true => cast(Expr::Column(column), DataType::Float64).alias(name),
                false => Expr::Column(column),
            }
        });
        let exprs: Vec<Expr> = exprs.collect();
        let input = LogicalPlanBuilder::from(Arc::clone(input)).project(exprs)?;
        inputs.push(Arc::new(input.build()?));
    }
    let union = Union::try_new_with_loose_types(inputs)?;
    Ok(Transformed::yes(LogicalPlan::Union(union)))
}

impl AnalyzerRule for MixedOperands {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let transformed = plan.transform_up_with_subqueries(|node| {
            let schema = input_schema(&node);
            let names = NamePreserver::new(&node);
            let rewritten = node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = self.rewrite(expr, &schema)?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })?;
            let rewritten = rewritten.transform_data(|node| match node {
                LogicalPlan::Join(join) => keys(join),
                LogicalPlan::Union(union) => columns(union),
                other => Ok(Transformed::no(other)),
            })?;
            // Also above what has changed: a union takes the types of its first input.
            rewritten.map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(transformed.data)
    }

    fn name(&self) -> &str {
        "mixed_operands"
    }
}
