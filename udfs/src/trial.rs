//! What the tests share: a session with our functions, and aggregates run over any cut of their
//! rows. Compiled for tests only.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{concat, take};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Schema};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::functions_aggregate::variance::var_samp_udaf;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{AggregateUDF, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::PhysicalExpr;
use datafusion::prelude::SessionContext;

use crate::error::FunctionError;
use crate::registry::FunctionRegistry;

/// Two symbols, two minutes; sizes of one tick unknown; the last two ticks share a time.
const TRADES: &str = "CREATE TABLE trades AS
    SELECT symbol, CAST(ts AS TIMESTAMP(6)) AS ts, CAST(price AS DOUBLE) AS price,
           CAST(size AS DOUBLE) AS size
    FROM (VALUES
        ('A', '2026-03-02T09:30:00', 10.0, 1),
        ('B', '2026-03-02T09:30:01', 50.0, 2),
        ('A', '2026-03-02T09:30:20', 12.0, 3),
        ('A', '2026-03-02T09:30:10',  9.0, NULL),
        ('A', '2026-03-02T09:31:05', 11.0, 4),
        ('B', '2026-03-02T09:31:30', 51.0, 1),
        ('B', '2026-03-02T09:31:30', 49.0, 1)
    ) AS t(symbol, ts, price, size)";

const BARS: &str = "CREATE TABLE bars AS
    SELECT time_bucket('1 minute', ts) AS ts, symbol, candlestick_agg(ts, price, size) AS candle
    FROM trades GROUP BY 1, 2";

const QUOTES: &str = "CREATE TABLE quotes AS
    SELECT symbol, ts, price - 0.5 AS bid, price + 0.5 AS ask, size + 1 AS bid_size,
           size + 2 AS ask_size
    FROM trades WHERE size IS NOT NULL";

/// A session with DataFusion's functions, ours, and the tables `trades`, `bars` and `quotes`.
pub(crate) fn session() -> SessionContext {
    session_over(TRADES)
}

/// The same with other trades, made by this statement.
pub(crate) fn session_over(trades: &str) -> SessionContext {
    let registry = FunctionRegistry::with_builtins();
    let mut builder = SessionStateBuilder::new().with_default_features();
    // Ours are asked first, as in every session of an engine.
    let planners = builder.expr_planners().get_or_insert_default();
    planners.splice(0..0, registry.expr_planners.iter().cloned());
    let ctx = SessionContext::new_with_state(builder.build());
    // The planner's other name of it.
    let variance = var_samp_udaf().as_ref().clone();
    ctx.register_udaf(variance.with_aliases(["variance"]));
    for function in &registry.scalars {
        ctx.register_udf(function.as_ref().clone());
    }
    for function in &registry.aggregates {
        ctx.register_udaf(function.as_ref().clone());
    }
    for function in &registry.windows {
        ctx.register_udwf(function.as_ref().clone());
    }
    run(&ctx, trades).unwrap();
    run(&ctx, BARS).unwrap();
    run(&ctx, QUOTES).unwrap();
    ctx
}

/// Runs one statement to its end.
pub(crate) fn run(ctx: &SessionContext, sql: &str) -> Result<Vec<RecordBatch>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async { ctx.sql(sql).await?.collect().await })
}

/// Runs a query over the tables of [`session`] and returns its rows, one line each.
pub(crate) fn rows(sql: &str) -> Vec<String> {
    lines(&run(&session(), sql).unwrap_or_else(|error| panic!("{sql}: {error}")))
}

/// Returns rows as text, columns separated by one blank.
pub(crate) fn lines(batches: &[RecordBatch]) -> Vec<String> {
    let table = pretty_format_batches(batches).unwrap().to_string();
    let cells = |line: &str| {
        line.split('|')
            .map(str::trim)
            .filter(|cell| !cell.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    };
    table
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(1)
        .map(cells)
        .collect()
}

/// Returns a refusal as text, with the same name for every type of text.
pub(crate) fn refusal_text(sql: &str) -> String {
    refusal(sql).to_string().replace("Utf8View", "Utf8")
}

/// Returns why a query over the tables of [`session`] is refused by one of our functions.
pub(crate) fn refusal(sql: &str) -> FunctionError {
    let error = run(&session(), sql).expect_err(sql);
    FunctionError::find(&error)
        .cloned()
        .unwrap_or_else(|| panic!("{sql}: not our refusal: {error}"))
}

/// Returns an aggregate of ours by name.
pub(crate) fn aggregate(name: &str) -> Arc<AggregateUDF> {
    let registry = FunctionRegistry::with_builtins();
    registry
        .aggregates
        .into_iter()
        .find(|function| function.name() == name)
        .unwrap()
}

/// Makes the grouped accumulator of an aggregate of ours over columns of `types`.
pub(crate) fn accumulator(name: &str, types: &[DataType]) -> Box<dyn GroupsAccumulator> {
    let columns: Vec<ArrayRef> = types
        .iter()
        .map(datafusion::arrow::array::new_empty_array)
        .collect();
    open(&aggregate(name), &columns).unwrap()
}

/// Rows of an aggregate's arguments, each in a group.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) columns: Vec<ArrayRef>,
    pub(crate) groups: Vec<usize>,
    pub(crate) group_count: usize,
}

impl Input {
    fn part(&self, from: usize, to: usize) -> (Vec<ArrayRef>, &[usize]) {
        let columns = self
            .columns
            .iter()
            .map(|column| column.slice(from, to - from))
            .collect();
        (columns, &self.groups[from..to])
    }
}

/// Opens an accumulator of `function` for the types of `columns`.
pub(crate) fn open(
    function: &AggregateUDF,
    columns: &[ArrayRef],
) -> Result<Box<dyn GroupsAccumulator>> {
    let types: Vec<DataType> = columns
        .iter()
        .map(|column| column.data_type().clone())
        .collect();
    let fields: Vec<_> = types
        .iter()
        .enumerate()
        .map(|(index, kind)| Arc::new(Field::new(format!("c{index}"), kind.clone(), true)))
        .collect();
    let exprs: Vec<Arc<dyn PhysicalExpr>> = fields
        .iter()
        .enumerate()
        .map(|(index, field)| Arc::new(Column::new(field.name(), index)) as Arc<dyn PhysicalExpr>)
        .collect();
    let schema = Schema::new(fields.clone());
    let args = AccumulatorArgs {
        return_field: function.return_field(&fields)?,
        schema: &schema,
        ignore_nulls: false,
        order_bys: &[],
        is_reversed: false,
        name: function.name(),
        is_distinct: false,
        exprs: &exprs,
        expr_fields: &fields,
    };
    function.create_groups_accumulator(args)
}

/// Aggregates all rows in one batch.
pub(crate) fn one_pass(function: &AggregateUDF, input: &Input) -> ArrayRef {
    let mut accumulator = open(function, &input.columns).unwrap();
    let Input {
        columns,
        groups,
        group_count,
    } = input;
    accumulator
        .update_batch(columns, groups, None, *group_count)
        .unwrap();
    accumulator.evaluate(EmitTo::All).unwrap()
}

/// Aggregates the rows in the parts that `cuts` (ascending row numbers) make, each part in a
/// partial state of its own, and merges them in the order `order`.
///
/// Every other part goes through `convert_to_state`, row by row, as DataFusion does when partial
/// aggregation does not pay.
pub(crate) fn merged(
    function: &AggregateUDF,
    input: &Input,
    cuts: &[usize],
    order: impl Fn(&mut Vec<usize>),
) -> ArrayRef {
    let mut bounds = vec![0];
    bounds.extend(cuts);
    bounds.push(input.groups.len());
    let mut parts: Vec<usize> = (0..bounds.len() - 1).collect();
    order(&mut parts);

    let mut target = open(function, &input.columns).unwrap();
    let every_group: Vec<usize> = (0..input.group_count).collect();
    for part in parts {
        let (columns, groups) = input.part(bounds[part], bounds[part + 1]);
        let mut source = open(function, &input.columns).unwrap();
        if part % 2 == 1 {
            let state = source.convert_to_state(&columns, None).unwrap();
            target
                .merge_batch(&state, groups, input.group_count)
                .unwrap();
        } else {
            source
                .update_batch(&columns, groups, None, input.group_count)
                .unwrap();
            // Emitting in two steps must not mix up groups.
            let head = source.state(EmitTo::First(input.group_count / 2)).unwrap();
            let tail = source.state(EmitTo::All).unwrap();
            let state: Vec<ArrayRef> = head
                .iter()
                .zip(&tail)
                .map(|(head, tail)| concat(&[head.as_ref(), tail.as_ref()]).unwrap())
                .collect();
            target
                .merge_batch(&state, &every_group, input.group_count)
                .unwrap();
        }
    }
    target.evaluate(EmitTo::All).unwrap()
}

/// Returns the rows of `input` in another order.
pub(crate) fn reordered(input: &Input, order: &[usize]) -> Input {
    let indices: UInt32Array = order.iter().map(|&row| Some(row as u32)).collect();
    let columns = input
        .columns
        .iter()
        .map(|column| take(column, &indices, None).unwrap());
    let groups = order.iter().map(|&row| input.groups[row]).collect();
    Input {
        columns: columns.collect(),
        groups,
        group_count: input.group_count,
    }
}

/// Asserts that two columns are equal, floats up to 1e-12 of their size.
pub(crate) fn assert_close(found: &ArrayRef, expected: &ArrayRef) {
    assert_eq!(found.data_type(), expected.data_type());
    assert_eq!(found.len(), expected.len());
    match found.data_type() {
        DataType::Float64 => {
            let (a, b) = (
                found.as_primitive::<Float64Type>(),
                expected.as_primitive::<Float64Type>(),
            );
            for row in 0..a.len() {
                assert_eq!(a.is_null(row), b.is_null(row), "row {row}: {a:?} {b:?}");
                let (x, y) = (a.value(row), b.value(row));
                assert!(
                    a.is_null(row) || close(x, y, 1e-12),
                    "row {row}: {x:e} {y:e}"
                );
            }
        }
        DataType::Struct(_) => {
            assert_eq!(found.logical_nulls(), expected.logical_nulls());
            for (a, b) in found
                .as_struct()
                .columns()
                .iter()
                .zip(expected.as_struct().columns())
            {
                assert_close(a, b);
            }
        }
        _ => assert_eq!(found, expected),
    }
}

/// Returns whether two numbers differ by at most `tolerance` of the larger one.
pub(crate) fn close(a: f64, b: f64, tolerance: f64) -> bool {
    a == b || (a - b).abs() <= tolerance * a.abs().max(b.abs())
}
