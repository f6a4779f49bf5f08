//! A query's text to DataFusion's logical plan: names resolved, types coerced, columns pruned.
//!
//! Windows are [`window_node::WindowNode`]s. Knows nothing of operators; [`crate::streaming`] does.

pub mod batch;
pub mod call_spelling;
pub mod cast_names;
pub mod fill_node;
pub mod function_spelling;
pub mod horizon_node;
pub mod inner_order;
pub mod join_marker;
mod joined_window;
pub mod literal;
mod named_windows;
mod one_row;
mod order_names;
pub mod plain_view;
pub mod query_spelling;
pub mod row_spelling;
pub mod sample;
pub mod scope;
pub mod series;
mod set_returning;
pub mod spelling;
pub mod subquery;
pub mod summary_part;
mod ties;
pub mod translate;
pub mod using;
pub mod view_spelling;
mod walk;
mod window_alias;
pub mod window_length;
pub mod window_node;
pub mod window_tvf;

use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Volatility};
use datafusion::optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::optimize_unions::OptimizeUnions;
use datafusion::optimizer::replace_distinct_aggregate::ReplaceDistinctWithAggregate;
use datafusion::optimizer::simplify_expressions::SimplifyExpressions;
use datafusion::optimizer::{Analyzer, Optimizer, OptimizerContext};
use datafusion::sql::planner::{ParserOptions, SqlToRel};
use datafusion::sql::sqlparser::ast::Statement;
use rtsap_udfs::postgres::{Arithmetic, MixedOperands, PostgresSemantics};

use crate::error::{Cause, PlanError};
use crate::logical::scope::Scope;

/// A query as DataFusion's logical plan, as written: nothing is coerced or optimized yet.
///
/// # Errors
/// DataFusion's, to be given to [`translate::translate`].
pub fn raw_plan(mut statement: Statement, scope: &Scope<'_>) -> DataFusionResult<LogicalPlan> {
    let options = ParserOptions::new()
        .with_map_string_types_to_utf8view(false)
        .with_collect_spans(true);
    literal::exact_statement(&mut statement);
    summary_part::mark(&mut statement);
    SqlToRel::new_with_options(scope, options).sql_statement_to_plan(statement)
}

/// The plan with types coerced, constants folded and unused columns pruned.
///
/// # Errors
/// DataFusion's, to be given to [`translate::translate`].
pub fn refine(plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
    let options = scope::options();
    // GROUPING() and type coercion: without them expressions cannot be evaluated. Before it,
    // doubles that meet decimals; after it, casts as PostgreSQL has them. Integer arithmetic is
    // checked where expressions become physical.
    let analyzer = Analyzer::with_rules(vec![
        Arc::new(ResolveGroupingFunction::new()),
        Arc::new(MixedOperands),
        Arc::new(TypeCoercion::new()),
        Arc::new(PostgresSemantics::new(Arithmetic::Constants)),
    ]);
    let plan = analyzer.execute_and_check(plan, &options, |_, _| {})?;
    // Why these and no others:
    // - OptimizeUnions: `a UNION ALL b UNION ALL c` becomes one node, hence one operator.
    // - SimplifyExpressions: constants are folded once, not for each row; windows need them.
    // - ReplaceDistinctWithAggregate: DISTINCT is GROUP BY of all columns: one operator for both.
    // - OptimizeProjections: a source decodes only the columns that reach here.
    // Left out: SingleDistinctToGroupBy (two aggregations where the runtime has DISTINCT
    // accumulators), PushDownFilter (it would tear a window and its aggregation apart;
    // `streaming::peel` moves filters itself), CommonSubexprEliminate (names from a counter would
    // make plans and state fingerprints unstable), and all rules about joins, limits and empty
    // relations, which
    // `streaming::join` brings into its own form.
    let optimizer = Optimizer::with_rules(vec![
        Arc::new(OptimizeUnions::new()),
        Arc::new(SimplifyExpressions::new()),
        Arc::new(ReplaceDistinctWithAggregate::new()),
        Arc::new(OptimizeProjections::new()),
    ]);
    let context = OptimizerContext::new_with_config_options(Arc::new(options))
        .without_query_execution_start_time()
        .with_skip_failing_rules(false);
    optimizer.optimize(plan, &context, |_, _| {})
}

/// Refuses functions whose value depends on when they are called: a view must give the same rows
/// whenever its input is read again.
///
/// # Errors
/// [`Cause::Volatile`].
pub fn check_deterministic(plan: &LogicalPlan) -> Result<(), PlanError> {
    let mut found = None;
    let visited = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Some(name) = volatile_name(expr) {
                    found = Some(name);
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    visited.map_err(|error| PlanError::internal(error.to_string()))?;
    found.map_or(Ok(()), |name| {
        let error = PlanError::new(Cause::Volatile { name });
        let detail = "Its value depends on when it is called, so a replay would give other rows.";
        Err(error
            .detail(detail)
            .hint("Use a column that carries the time or value, such as the event time."))
    })
}

fn volatile_name(expr: &Expr) -> Option<String> {
    let (name, volatility) = match expr {
        Expr::ScalarFunction(call) => (call.func.name(), call.func.signature().volatility),
        Expr::AggregateFunction(call) => (call.func.name(), call.func.signature().volatility),
        _ => return None,
    };
    (volatility != Volatility::Immutable).then(|| name.to_owned())
}

/// The plan with its columns called `names`.
///
/// # Errors
/// [`Cause::Declaration`] if their numbers differ.
pub fn rename(plan: LogicalPlan, names: &[String]) -> Result<LogicalPlan, PlanError> {
    let found = plan.schema().fields().len();
    if found != names.len() {
        let message = format!(
            "the view has {} column names but its query has {found} columns",
            names.len()
        );
        return Err(PlanError::declaration(message));
    }
    let exprs = plan
        .schema()
        .iter()
        .zip(names)
        .map(|(field, name)| Expr::from(field).alias(name));
    let exprs: Vec<Expr> = exprs.collect();
    let built = LogicalPlanBuilder::from(plan)
        .project(exprs)
        .and_then(LogicalPlanBuilder::build);
    built.map_err(|error| PlanError::internal(error.to_string()))
}
