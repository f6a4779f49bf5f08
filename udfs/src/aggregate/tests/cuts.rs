//! Every aggregate of its documentation's example, over rows with gaps: any cut of the rows into
//! batches, any restart from its partial state in between, gives what one pass gives.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, RecordBatch, new_null_array,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{EmitTo, Expr, GroupsAccumulator, LogicalPlan};
use datafusion::physical_expr::aggregate::{AggregateFunctionExpr, LoweredAggregateBuilder};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::prelude::SessionContext;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::registry::{FunctionKind, FunctionRegistry};
use crate::trial::{assert_close, session_over};

/// How many groups the rows are dealt to; the last one gets none.
const GROUPS: usize = 4;

/// Prices that walk, sizes with gaps, times that tie.
const ROWS: &str = "CREATE TABLE trades AS
    SELECT 'A' AS symbol, CAST(to_timestamp(1772443800 + value / 3) AS TIMESTAMP(6)) AS ts,
           CASE WHEN value % 41 = 0 THEN CAST('NaN' AS DOUBLE) WHEN value % 37 = 0 THEN NULL
                WHEN value % 53 = 0 THEN CAST('Infinity' AS DOUBLE)
                ELSE 10.0 + 2 * sin(value * 0.37) + value % 5 * 0.01 END AS price,
           CASE WHEN value % 29 = 0 THEN NULL WHEN value % 31 = 0 THEN 0.0
                ELSE CAST(1 + value % 7 AS DOUBLE) END AS size
    FROM generate_series(1, 300)";

/// The aggregates of a query and the rows that they read.
struct Calls {
    aggregates: Vec<Arc<AggregateFunctionExpr>>,
    rows: RecordBatch,
}

fn calls(ctx: &SessionContext, sql: &str) -> Option<Calls> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let plan = runtime.block_on(async {
        let plan = ctx.state().create_logical_plan(sql).await.unwrap();
        ctx.state().optimize(&plan).unwrap()
    });
    let mut found: Option<(Vec<Expr>, LogicalPlan)> = None;
    plan.apply(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node
            && !aggregate.aggr_expr.is_empty()
        {
            found = Some((
                aggregate.aggr_expr.clone(),
                aggregate.input.as_ref().clone(),
            ));
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    let (exprs, input) = found?;
    let schema = input.schema().as_ref().clone();
    let batches = runtime.block_on(async {
        let frame = ctx.execute_logical_plan(input).await.unwrap();
        frame.collect().await.unwrap()
    });
    let rows = concat_batches(schema.inner(), &batches).unwrap();
    let (props, planning) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let aggregates = exprs.iter().map(|expr| {
        let physical = schema.inner();
        let made = LoweredAggregateBuilder::new(expr, &schema, physical, &props, &planning);
        made.build().unwrap().aggregate
    });
    Some(Calls {
        aggregates: aggregates.collect(),
        rows,
    })
}

fn arguments(call: &AggregateFunctionExpr, rows: &RecordBatch) -> Vec<ArrayRef> {
    let columns = call.expressions();
    let columns = columns.iter().map(|expr| {
        expr.evaluate(rows)
            .unwrap()
            .into_array(rows.num_rows())
            .unwrap()
    });
    columns.collect()
}

fn fed(call: &AggregateFunctionExpr, rows: &RecordBatch, groups: &[usize]) -> ArrayRef {
    let mut accumulator = call.create_groups_accumulator().unwrap();
    accumulator
        .update_batch(&arguments(call, rows), groups, None, GROUPS)
        .unwrap();
    accumulator.evaluate(EmitTo::All).unwrap()
}

/// Feeds random pieces, and starts anew from the partial state after some of them.
fn in_pieces(
    call: &AggregateFunctionExpr,
    rows: &RecordBatch,
    groups: &[usize],
    random: &mut StdRng,
) -> ArrayRef {
    let every_group: Vec<usize> = (0..GROUPS).collect();
    let open = || call.create_groups_accumulator().unwrap();
    let mut accumulator: Box<dyn GroupsAccumulator> = open();
    let mut from = 0;
    while from < rows.num_rows() {
        let count = random.random_range(1..=60.min(rows.num_rows() - from));
        let piece = rows.slice(from, count);
        accumulator
            .update_batch(
                &arguments(call, &piece),
                &groups[from..from + count],
                None,
                GROUPS,
            )
            .unwrap();
        from += count;
        if random.random_bool(0.4) {
            let state = accumulator.state(EmitTo::All).unwrap();
            accumulator = open();
            accumulator
                .merge_batch(&state, &every_group, GROUPS)
                .unwrap();
        }
    }
    accumulator.evaluate(EmitTo::All).unwrap()
}

#[test]
fn any_cut_and_any_restart_gives_what_one_pass_gives() {
    let ctx = session_over(ROWS);
    let mut random = StdRng::seed_from_u64(5);
    let mut seen = 0;
    for doc in &FunctionRegistry::with_builtins().docs {
        if doc.kind != FunctionKind::Aggregate {
            continue;
        }
        let calls = calls(&ctx, doc.example).unwrap_or_else(|| panic!("{}", doc.example));
        let rows = calls.rows;
        let groups: Vec<usize> = (0..rows.num_rows())
            .map(|_| random.random_range(0..GROUPS - 1))
            .collect();
        for call in &calls.aggregates {
            let whole = fed(call, &rows, &groups);
            for _ in 0..4 {
                let found = in_pieces(call, &rows, &groups, &mut random);
                assert_close(&found, &whole);
            }
            // A group without rows is null, or zero where rows are counted or added.
            assert_eq!(whole.len(), GROUPS, "{}", doc.name);
            let one = fed(call, &rows.slice(0, 1), &[0]);
            assert_eq!(one.len(), GROUPS, "{}", doc.name);
        }
        seen += 1;
    }
    assert!(seen > 60, "only {seen} aggregates");
}

/// Rows without gaps, of one price and no volume, without spread in time.
const FLAT: &str = "CREATE TABLE trades AS
    SELECT 'A' AS symbol, CAST(to_timestamp(1772443800 + value / 30) AS TIMESTAMP(6)) AS ts,
           CAST(10.0 AS DOUBLE) AS price, CAST(0.0 AS DOUBLE) AS size
    FROM generate_series(1, 60)";

/// Rows whose values are as large and as small as they get.
const EXTREME: &str = "CREATE TABLE trades AS
    SELECT 'A' AS symbol, CAST(to_timestamp(1772443800 + value) AS TIMESTAMP(6)) AS ts,
           CASE value % 4 WHEN 0 THEN 1e150 WHEN 1 THEN -1e150 WHEN 2 THEN 1e-150 ELSE 0.0 END
               AS price,
           CASE value % 3 WHEN 0 THEN 1e150 WHEN 1 THEN 1e-150 ELSE 0.0 END AS size
    FROM generate_series(1, 60)";

/// Every documented aggregate with the rows of its example, over these trades.
fn each_call(trades: &str, mut visit: impl FnMut(&str, &AggregateFunctionExpr, &RecordBatch)) {
    let ctx = session_over(trades);
    let mut seen = 0;
    for doc in &FunctionRegistry::with_builtins().docs {
        if doc.kind == FunctionKind::Aggregate {
            let calls = calls(&ctx, doc.example).unwrap_or_else(|| panic!("{}", doc.example));
            for call in &calls.aggregates {
                visit(doc.name, call, &calls.rows);
            }
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} aggregates");
}

/// Whether a result holds a number that is none.
fn has_nan(result: &ArrayRef) -> bool {
    if let Some(parts) = result.as_struct_opt() {
        return parts.columns().iter().any(has_nan);
    }
    if let Some(list) = result.as_list_opt::<i32>() {
        return has_nan(list.values());
    }
    let numbers = result.as_primitive_opt::<Float64Type>();
    numbers.is_some_and(|numbers| numbers.iter().flatten().any(|value| !value.is_finite()))
}

#[test]
fn no_result_is_nan_or_infinite() {
    for trades in [ROWS, FLAT, EXTREME] {
        each_call(trades, |name, call, rows| {
            for count in [1, 2, rows.num_rows()] {
                let part = rows.slice(0, count.min(rows.num_rows()));
                let result = fed(call, &part, &vec![0; part.num_rows()]);
                // Values are handed on as they came by what picks one.
                let picks = ["first", "last", "arg_min", "arg_max", "min_by", "max_by"];
                assert!(
                    picks.contains(&name) || !has_nan(&result),
                    "{name}: {result:?}"
                );
            }
        });
    }
}

/// What an argument may be instead of a value.
fn without_value(column: &ArrayRef) -> Vec<ArrayRef> {
    let mut none = vec![new_null_array(column.data_type(), 1)];
    if column.data_type() == &DataType::Float64 {
        let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
        none.extend(values.map(|value| Arc::new(Float64Array::from(vec![value])) as ArrayRef));
    }
    none
}

/// The arguments, by function, that a row counts without: a bar's volume, and a side that is not
/// known beside sizes that are.
const OPTIONAL: [(&str, usize); 4] = [
    ("candlestick_agg", 2),
    ("implementation_shortfall", 5),
    ("ohlcv", 2),
    ("trade_imbalance", 1),
];

#[test]
fn rows_without_a_value_change_nothing() {
    let clean = ROWS
        .replace("FROM generate", "FROM (SELECT value FROM generate")
        .replace(
            "(1, 300)",
            "(1, 300)) AS v WHERE value % 41 <> 0 AND value % 37 <> 0 AND value % 53 <> 0 AND \
             value % 29 <> 0",
        );
    let (mut random, mut poisoned) = (StdRng::seed_from_u64(11), BTreeSet::new());
    each_call(&clean, |name, call, rows| {
        let columns = arguments(call, rows);
        let whole = fed(call, rows, &vec![0; rows.num_rows()]);
        for (place, expr) in call.expressions().iter().enumerate() {
            let is_constant = collect_columns(expr).is_empty();
            if is_constant || OPTIONAL.contains(&(name, place)) {
                continue;
            }
            poisoned.insert(name.to_owned());
            for none in without_value(&columns[place]) {
                let at = random.random_range(0..rows.num_rows());
                let mut accumulator = call.create_groups_accumulator().unwrap();
                for (from, count) in [(0, at), (at, rows.num_rows() - at)] {
                    let part: Vec<ArrayRef> = columns
                        .iter()
                        .map(|column| column.slice(from, count))
                        .collect();
                    accumulator
                        .update_batch(&part, &vec![0; count], None, GROUPS)
                        .unwrap();
                    let mut row: Vec<ArrayRef> =
                        columns.iter().map(|column| column.slice(at, 1)).collect();
                    row[place] = Arc::clone(&none);
                    accumulator.update_batch(&row, &[0], None, GROUPS).unwrap();
                }
                let found = accumulator.evaluate(EmitTo::All).unwrap();
                assert_eq!(
                    found.to_data(),
                    whole.to_data(),
                    "{name}, argument {place}: {none:?}"
                );
            }
        }
    });
    assert!(poisoned.len() > 60, "only {}", poisoned.len());
}
