//! DataFusion's state that every session starts from: functions, rules and limits.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry as _, SessionState};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::optimizer::optimizer::{ApplyOrder, Optimizer, OptimizerRule};
use datafusion::optimizer::push_down_filter::PushDownFilter;
use datafusion::optimizer::single_distinct_to_groupby::SingleDistinctToGroupBy;
use datafusion::optimizer::{AnalyzerRule, OptimizerConfig};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_pg_catalog::pg_catalog::PgCatalogStaticTables;
use datafusion_pg_catalog::pg_catalog::generate_series_arg_coercion::CoerceIntArgsToBigInt;
use rtsap_planner::logical::batch::{BatchExtension, batch_extension};
use rtsap_planner::logical::cast_names;
use rtsap_udfs::FunctionRegistry;
use rtsap_udfs::postgres::{Arithmetic, MixedOperands, PostgresSemantics, SessionZone};

use crate::config::EngineConfig;
use crate::pg_catalog::functions;
use crate::pg_catalog::pg_type::PgTypePlanner;
use crate::query::narrowing::{ConditionsInOrder, HideCasts};
use crate::query::scalar;

/// Ours and those of DataFusion's that types need.
fn analyzer_rules(windows: &BatchExtension) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    vec![
        Arc::clone(&windows.subquery_rule),
        Arc::new(ResolveGroupingFunction::new()),
        Arc::new(MixedOperands),
        Arc::new(TypeCoercion::new()),
        Arc::clone(&windows.analyzer_rule),
        Arc::new(SessionZone),
        Arc::new(PostgresSemantics::new(Arithmetic::Everywhere)),
    ]
}

/// DataFusion's rules but the one that makes two aggregations of one with DISTINCT, which takes
/// every `sum` and `count` for its own, and with filters that stay above aggregates of all rows.
fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let left_out = SingleDistinctToGroupBy::new();
    let mut rules = Optimizer::new().rules;
    rules.retain(|rule| rule.name() != left_out.name());
    for rule in &mut rules {
        if rule.name() == PushDownFilter::new().name() {
            *rule = Arc::new(PushDownFilterToGroups(Arc::clone(rule)));
        }
    }
    rules
}

/// DataFusion's rules behind our own.
fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    rules.insert(0, Arc::new(HideCasts));
    rules.push(Arc::new(ConditionsInOrder));
    rules
}

/// `PushDownFilter`, except into an aggregate whose rows are not told apart by its groups: it would
/// push a condition without columns below one that has a row even of nothing.
#[derive(Debug)]
struct PushDownFilterToGroups(Arc<dyn OptimizerRule + Send + Sync>);

impl OptimizerRule for PushDownFilterToGroups {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if let LogicalPlan::Filter(filter) = &plan
            && let LogicalPlan::Aggregate(aggregate) = filter.input.as_ref()
            && matches!(aggregate.group_expr.as_slice(), [] | [Expr::GroupingSet(_)])
        {
            return Ok(Transformed::no(plan));
        }
        self.0.rewrite(plan, config)
    }
}

/// The state that sessions copy.
pub(crate) fn base_state(
    config: &EngineConfig,
    registry: &FunctionRegistry,
    statics: &PgCatalogStaticTables,
) -> Result<SessionState> {
    let mut session = SessionConfig::new()
        .with_target_partitions(config.read_partitions)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false);
    let options = session.options_mut();
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    // An order may matter to the query around; `planner::logical::inner_order` says where.
    options.sql_parser.enable_subquery_sort_elimination = false;
    // It compares what we note on fields, such as the length of a varchar, which nothing computes
    // by.
    options.execution.skip_physical_aggregate_schema_check = true;
    // The bounds of a join's keys that it filters by are found in another order than it compares
    // by: of lists with nulls, and of zeros with a sign.
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.catalog.default_schema = "public".to_owned();
    let pool = FairSpillPool::new(config.query_bytes_max);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .build_arc()?;
    let windows = batch_extension();
    let mut builder = SessionStateBuilder::new()
        .with_config(session)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_type_planner(Arc::new(PgTypePlanner))
        .with_optimizer_rules(optimizer_rules())
        .with_physical_optimizer_rules(physical_rules())
        .with_analyzer_rules(analyzer_rules(&windows));
    // Ours are asked first, as in views.
    let planners = builder.expr_planners().get_or_insert_default();
    planners.splice(0..0, registry.expr_planners.iter().cloned());
    let mut state = builder.build();
    state.register_relation_planner(windows.relation_planner)?;
    for function in functions::stateless(statics) {
        state.register_udf(Arc::new(function))?;
    }
    for function in &registry.scalars {
        state.register_udf(Arc::clone(function))?;
    }
    for function in &registry.aggregates {
        state.register_udaf(Arc::clone(function))?;
    }
    state.register_udf(Arc::new(scalar::function()))?;
    state.register_udf(Arc::new(cast_names::function()))?;
    state.register_udaf(rtsap_udfs::postgres::sum())?;
    state.register_udaf(rtsap_udfs::postgres::avg())?;
    for function in &registry.windows {
        state.register_udwf(Arc::clone(function))?;
    }
    state.register_udtf("pg_get_keywords", Arc::clone(&statics.pg_get_keywords) as _);
    // PostgreSQL's array bounds are 32 bits wide; the series functions want 64.
    let context = SessionContext::new_with_state(state);
    CoerceIntArgsToBigInt::widen(&context);
    Ok(context.state())
}
