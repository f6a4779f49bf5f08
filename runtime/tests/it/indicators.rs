//! Window functions that go on from row to row give what they give over all rows at once: for any
//! order of arrival, any cut into batches and any crash, with rows of one time, nulls, NaN and
//! infinite numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::FunctionRegistry as _;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, WindowFunctionDefinition, WindowUDF};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr, create_physical_expr};
use datafusion::prelude::SessionContext;
use proptest::prelude::*;
use proptest::sample::select;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::OperatorSpec;
use rtsap_plan::over::{AlongFunction, Course, History, OverCall, OverFunction, OverSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_runtime::operator::{Output, instantiate};
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::time::EventTime;
use rtsap_udfs::FunctionRegistry;
use rtsap_udfs::running::{self, Along, Running};

use super::drive::crash;
use super::generate::{Event, Script, script};
use super::plans::{expression, schema, session};
use super::rows::{Row, batch};
use super::saves::Saves;
use super::script::block_on;

const SECOND: i64 = 1_000_000_000;

/// Our own: to the last bit what they are over all rows.
const OURS: &[&str] = &[
    "zscore(price, 4)",
    "rolling_corr(price, qty, 4)",
    "rolling_quantile(price, 5, 0.5)",
    "ewma(price, 0.3)",
    "ewm_std(price, 3, 'span')",
    "ewma_time(price, ts, INTERVAL '2 seconds')",
    "returns(price)",
    "drawdown(price)",
    "crossover(price, 50)",
    "bars_since(price > 50)",
    "signal_state(price > 60, price < 40)",
    "session_vwap(price, qty, name)",
    "position_avg(qty, price)",
    "position_fifo(qty, amount)",
];

/// TA-Lib's with a state of their own.
const OWN: &[&str] = &[
    "ema(price, 3)",
    "rsi(price, 3)",
    "kama(price, 3)",
    "macd(price, 3, 5, 2)",
    "atr(price + 1, price - 1, price, 3)",
    "adx(price + 1, price - 1, price, 3)",
    "sar(price + 1, price - 1)",
    "obv(price, qty)",
    "stochrsi(price, 3, 3, 2)",
    "rsi_stoch_k(price, 3, 3, 2)",
    "kdj(price + 1, price - 1, price, 3, 2)",
    "smi(price + 1, price - 1, price, 3, 2, 2, 2)",
    "rvi(price, 3, 3)",
    "rvir(price + 1, price - 1, 3, 3)",
    "wavetrend(price + 1, price - 1, price, 3, 3, 2)",
    "massi(price + 1, price - qty, 3, 3)",
    "cksp(price + 1, price - 1, price, 3, 1, 2)",
    "dosc(price, 3, 2, 2, 2)",
    "pso(price + 1, price - 1, price, 3, 2)",
    "cvi(price + 1, price - qty, 3, 3)",
];

/// TA-Lib's over a ring of the last rows.
const RINGS: &[&str] = &[
    "sma(price, 4)",
    "bbands(price, 4)",
    "stoch(price + 1, price - 1, price, 3, 2, 0, 2, 0)",
    "stochrsi(price, 3, 3, 2, 2)",
    "willr(price + 1, price - 1, price, 4)",
    "cci(price + 1, price - 1, price, 4)",
    "linearreg(price, 5)",
    "ta_stddev(price, 4)",
    "ta_kurtosis(price, 5)",
    "minmaxindex(price, 4)",
];

/// One of our window functions, as the planner gives it to the operator.
#[derive(Debug)]
struct Call {
    udf: Arc<WindowUDF>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    types: Vec<DataType>,
}

impl AlongFunction for Call {
    fn name(&self) -> &str {
        self.udf.name()
    }

    fn start(&self) -> Result<Box<dyn Course>> {
        let running = running::start(&self.udf, &self.arguments, &self.types)?;
        Ok(Box::new(Begun(running)))
    }
}

#[derive(Debug)]
struct Begun(Box<dyn Running>);

impl Course for Begun {
    fn advance(&mut self, series: &[ArrayRef], row_count: usize) -> Result<ArrayRef> {
        self.0.advance(series, row_count)
    }

    fn save(&mut self) -> Vec<u8> {
        self.0.save()
    }

    fn load(&mut self, saved: &[u8]) -> Result<()> {
        self.0.load(saved)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

#[derive(Clone, Copy, Debug)]
struct Case {
    calls: &'static [&'static str],
    partition: &'static [&'static str],
    /// Whether what is over all rows is the same to the last bit.
    is_exact: bool,
}

impl Case {
    /// `SELECT t.*` with every call.
    fn text(&self) -> String {
        format!("SELECT t.*{}", self.calls("t", ""))
    }

    /// The same of all rows at once: those of one time in the order of their arrival, which is in
    /// the low bits of a row's id.
    fn text_of_all(&self) -> String {
        let rows = "(SELECT *, id & 1048575 AS arrival FROM t) AS t";
        let input = schema(TimeUnit::Millisecond);
        let names: Vec<&str> = input
            .fields()
            .iter()
            .map(|field| field.name().as_str())
            .collect();
        format!(
            "SELECT {}{}",
            names.join(", "),
            self.calls(rows, ", arrival")
        )
    }

    fn calls(&self, from: &str, tie: &str) -> String {
        let partition = match self.partition {
            [] => String::new(),
            columns => format!("PARTITION BY {}", columns.join(", ")),
        };
        let calls = self.calls.iter().enumerate();
        let calls = calls.map(|(index, call)| format!(", {call} OVER w AS call_{index}"));
        let calls: String = calls.collect();
        format!("{calls} FROM {from} WINDOW w AS ({partition} ORDER BY ts{tie})")
    }
}

fn session_of(rows: Vec<RecordBatch>) -> SessionContext {
    static REGISTRY: LazyLock<FunctionRegistry> = LazyLock::new(FunctionRegistry::with_builtins);
    let ctx = session("t", &schema(TimeUnit::Millisecond), rows);
    for function in &REGISTRY.windows {
        ctx.register_udwf(function.as_ref().clone());
    }
    for planner in &REGISTRY.expr_planners {
        let state = ctx.state_ref();
        let mut state = state.write();
        state.register_expr_planner(Arc::clone(planner)).unwrap();
    }
    ctx
}

/// The calls of a query, which all are over one window, and the fields of their results.
async fn calls(case: &Case) -> Vec<(OverCall, Field)> {
    let ctx = session_of(vec![]);
    let state = ctx.state();
    let plan = state.create_logical_plan(&case.text()).await.unwrap();
    let plan = state
        .analyzer()
        .execute_and_check(plan, state.config_options(), |_, _| {})
        .unwrap();
    let mut found = None;
    plan.apply(|node| {
        if let LogicalPlan::Window(window) = node {
            found = Some(window.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .unwrap();
    let window = found.unwrap();
    let added = window.schema.fields().iter();
    let added = added.skip(window.input.schema().fields().len());
    let calls = window.window_expr.iter().zip(added);
    let made: Vec<(OverCall, Field)> = calls
        .map(|(expr, field)| {
            let Expr::WindowFunction(function) = expr else {
                panic!("{expr}");
            };
            let planning = PhysicalPlanningContext::default();
            let physical = |argument: &Expr| {
                let (schema, props) = (window.input.schema(), state.execution_props());
                create_physical_expr(argument, schema, props, &planning).unwrap()
            };
            let arguments = function.params.args.iter().map(physical).collect();
            (call(function, arguments), field.as_ref().clone())
        })
        .collect();
    assert_eq!(made.len(), case.calls.len());
    made
}

fn call(function: &WindowFunction, arguments: Vec<Arc<dyn PhysicalExpr>>) -> OverCall {
    let WindowFunctionDefinition::WindowUDF(udf) = &function.fun else {
        panic!("{} is an aggregate", function.fun.name());
    };
    let along = running::along(udf, &arguments).unwrap().unwrap();
    let Along::Running { series, .. } = along else {
        panic!("{}: {along:?}", udf.name());
    };
    let input = schema(TimeUnit::Millisecond);
    let types = arguments.iter().map(|arg| arg.data_type(&input).unwrap());
    let call = Call {
        udf: Arc::clone(udf),
        types: types.collect(),
        arguments: arguments.clone(),
    };
    OverCall {
        function: OverFunction::Along {
            function: Arc::new(call),
            series: arguments.into_iter().take(series).collect(),
        },
        history: History::None,
        following_rows: 0,
        following_nanos: 0,
    }
}

async fn node(case: &Case) -> Node {
    let input = schema(TimeUnit::Millisecond);
    let mut partition = Vec::new();
    for text in case.partition {
        partition.push(expression(&input, text).await);
    }
    let time = PhysicalSortExpr::new_default(expression(&input, "ts").await);
    let mut fields: Vec<FieldRef> = input.fields().iter().map(Arc::clone).collect();
    let mut calls_made = Vec::new();
    for (index, (call, field)) in calls(case).await.into_iter().enumerate() {
        calls_made.push(call);
        let field = field.with_name(format!("call_{index}")).with_nullable(true);
        fields.push(Arc::new(field));
    }
    let spec = OperatorSpec::Over(OverSpec {
        time: 0,
        partition,
        order: vec![time],
        calls: calls_made,
        delay_nanos: 0,
    });
    let properties = StreamProperties {
        schema: Arc::new(Schema::new(fields)),
        mode: ChangelogMode::Append,
        key: vec![],
        event_time: Some(0),
        state: StateBound::PerKey,
    };
    Node {
        spec,
        inputs: vec![0],
        properties,
    }
}

/// A value: a number by its bits, anything else as text.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Bits(u64),
    Text(String),
}

/// The calls' values by the row's id, structs taken apart.
type Found = BTreeMap<i64, Vec<Value>>;

fn values(column: &ArrayRef, row: usize, into: &mut Vec<Value>) {
    if let Some(parts) = column.as_struct_opt() {
        for part in parts.columns() {
            let part = match parts.nulls() {
                None => Arc::clone(part),
                Some(_) => nullif(part, &is_null(column).unwrap()).unwrap(),
            };
            values(&part, row, into);
        }
        return;
    }
    if column.data_type() == &DataType::Float64 && column.is_valid(row) {
        let number = column.as_primitive::<Float64Type>().value(row);
        return into.push(Value::Bits(number.to_bits()));
    }
    let options = FormatOptions::default().with_null("NULL");
    let shown = ArrayFormatter::try_new(column, &options).unwrap();
    into.push(Value::Text(shown.value(row).to_string()));
}

fn take(rows: &RecordBatch, found: &mut Found) {
    let ids = rows.column(7).as_primitive::<Int64Type>();
    for row in 0..rows.num_rows() {
        let mut all = Vec::new();
        for column in &rows.columns()[8..] {
            values(column, row, &mut all);
        }
        let known = found.insert(ids.value(row), all);
        assert!(known.is_none(), "sent twice: {known:?}");
    }
}

/// What DataFusion computes over all rows, those of one time as they arrived.
async fn answer(case: &Case, rows: &[Row]) -> Found {
    let input = schema(TimeUnit::Millisecond);
    let ctx = session_of(vec![batch(&input, rows)]);
    let sql = case.text_of_all();
    let mut found = Found::new();
    for rows in &ctx.sql(&sql).await.unwrap().collect().await.unwrap() {
        take(rows, &mut found);
    }
    found
}

/// Prices that are none, on some rows.
fn spoilt(row: &Row) -> Row {
    let price = match (row.id & 1_048_575) % 29 {
        3 => Some(f64::NAN),
        11 => Some(f64::INFINITY),
        19 => Some(f64::NEG_INFINITY),
        _ => row.price,
    };
    Row {
        price,
        ts: row.ts.map(|ts| ts * 1_000),
        ..row.clone()
    }
}

/// Plays `script`; returns what came out and the rows that were in time, as they arrived.
fn played(node: &Node, script: &[Event]) -> (Found, Vec<Row>) {
    let input = schema(TimeUnit::Millisecond);
    let mut operator = instantiate::operator(node, &[Arc::clone(&input)]).unwrap();
    let (mut found, mut live) = (Found::new(), Vec::<Row>::new());
    let (mut latest, mut watermark) = (i64::MIN, i64::MIN);
    let mut saves = Saves::default();
    for event in script {
        let mut out = Output::default();
        match event {
            Event::Rows(rows) => {
                let times = rows.iter().filter_map(|row| row.ts);
                latest = times.fold(latest, i64::max);
                let rows: Vec<Row> = rows.iter().map(spoilt).collect();
                let changes = ChangeBatch::inserts(batch(&input, &rows));
                operator.on_changes(0, &changes, &mut out).unwrap();
                let in_time = |row: &Row| row.ts.is_some_and(|ts| ts * 1_000_000 >= watermark);
                live.extend(rows.into_iter().filter(in_time));
            }
            Event::Watermark(behind) if latest != i64::MIN => {
                let time = (latest - behind) * SECOND;
                if time > watermark {
                    watermark = time;
                    let time = EventTime::from_nanos(time);
                    operator.on_watermark(time, &mut out).unwrap();
                }
            }
            Event::Crash => {
                operator.on_publish(&mut out).unwrap();
                operator = crash(operator.as_mut(), &mut saves, node, &input);
            }
            Event::Publish => {
                operator.on_publish(&mut out).unwrap();
                saves.save(operator.as_mut());
            }
            Event::Watermark(_) | Event::Retract(_) => {}
        }
        for changes in &out.changes {
            take(changes.rows(), &mut found);
        }
    }
    let mut out = Output::default();
    operator.on_watermark(EventTime::MAX, &mut out).unwrap();
    for changes in &out.changes {
        take(changes.rows(), &mut found);
    }
    (found, live)
}

/// Whether two values are the same up to a billionth.
fn close(found: &Value, expected: &Value) -> bool {
    let (Value::Bits(found), Value::Bits(expected)) = (found, expected) else {
        return found == expected;
    };
    let (a, b) = (f64::from_bits(*found), f64::from_bits(*expected));
    a == b || (a - b).abs() <= 1e-9 * (1.0 + b.abs())
}

async fn run(case: &Case, script: &[Event]) {
    let node = node(case).await;
    let (found, live) = played(&node, script);
    // The same rows at once, without a crash.
    let input = schema(TimeUnit::Millisecond);
    let mut operator = instantiate::operator(&node, &[Arc::clone(&input)]).unwrap();
    let mut out = Output::default();
    if !live.is_empty() {
        let changes = ChangeBatch::inserts(batch(&input, &live));
        operator.on_changes(0, &changes, &mut out).unwrap();
    }
    operator.on_watermark(EventTime::MAX, &mut out).unwrap();
    let mut at_once = Found::new();
    for changes in &out.changes {
        take(changes.rows(), &mut at_once);
    }
    assert_eq!(found, at_once, "cuts and crashes make a difference");
    let expected = answer(case, &live).await;
    if case.is_exact {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
    for (id, row) in &found {
        let other = &expected[id];
        let same = row.len() == other.len() && row.iter().zip(other).all(|(a, b)| close(a, b));
        assert!(same, "row {id}: {row:?}, not {other:?}");
    }
}

fn case() -> impl Strategy<Value = (Case, Script)> {
    let lists = select(vec![(OURS, true), (OWN, false), (RINGS, false)]);
    let partitions = select(vec![&["k"][..], &["side"][..], &[][..]]);
    let cases = (lists, partitions).prop_map(|((calls, is_exact), partition)| Case {
        calls,
        partition,
        is_exact,
    });
    (cases, script())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 250,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn indicators_go_on_as_over_all_rows((case, script) in case()) {
        block_on(run(&case, &script));
    }
}
